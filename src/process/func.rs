//! Functions as values that travel.
//!
//! A [`Func`] is a reference to a [`Target`], a constant that the compiler puts into the executable
//! for each function that is named with [`func!`](crate::func). The target's offset from the
//! beginning of the executable in memory travels.
//!
//! Any bytes may arrive. So the receiver checks the place in its memory before it calls anything:
//!
//! | it checks | so that |
//! |---|---|
//! | the place lies as a whole in memory of the executable's file that cannot be written | it may be read, and shows what the compiler and the linker made |
//! | two words of 64 bits that only targets have | it is a target |
//! | the address of a function of this file, which the loader has put there | it is not the image of a target that was never relocated: a page of the file may be mapped twice |
//! | the `TypeId` of the function's signature | it may be called with these types |
//! | a hash of the function's name, and of the executable's layout | it is the function that was sent, and not one of another build |
//!
//! This file opts in to `unsafe`, because only `unsafe` turns an address into a reference.
#![allow(unsafe_code)]

use std::any::TypeId;
use std::fmt;
use std::mem::offset_of;
use std::ptr;
use std::sync::OnceLock;

use ipc_core::__private::{handle, shape};
use ipc_sys::per_process::PerProcess;
use ipc_sys::spawn::{self as sys, CodeRange};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::fingerprint::{FNV_START, fingerprint, fnv};

/// A function as a value.
///
/// It can be sent to other processes of this executable and called there. [`func!`](crate::func)
/// makes one from a `fn` item, or from a closure that captures nothing. The signature is part of
/// the type: a `Func<A, R>` takes an `A` and returns an `R`. Neither must be a serde type, unless
/// it is sent too.
///
/// | it arrives | result |
/// |---|---|
/// | in a process of the same executable, however it was started | the same function |
/// | in another program, or another build of it | it does not decode |
/// | as bytes that were not a `Func`, or one of another signature | it does not decode, and no other function is ever called |
///
/// With it, a pool of workers is a channel:
///
/// ```
/// use multiprocess::process::Func;
/// use multiprocess::{Receiver, Sender};
///
/// type Job = (Func<u64, u64>, u64);
///
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// fn worker((jobs, results): (Receiver<Job>, Sender<u64>)) {
///     for (function, argument) in jobs {
///         results.send(function.call(argument)).expect("the parent listens");
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// multiprocess::init();
/// let (jobs, for_workers) = multiprocess::bounded::<Job>(16)?;
/// let (from_workers, results) = multiprocess::bounded(16)?;
/// let workers = [(); 2].map(|()| {
///     multiprocess::spawn(worker, (for_workers.clone(), from_workers.clone()))
/// });
/// drop((for_workers, from_workers));
/// jobs.send((multiprocess::func!(square), 5))?;
/// jobs.send((multiprocess::func!(|n: u64| n + 1), 5))?;
/// drop(jobs); // The workers end when there is nothing left to do.
/// let mut all: Vec<u64> = results.iter().collect();
/// all.sort();
/// assert_eq!(all, [6, 25]);
/// for worker in workers {
///     worker?.join()?;
/// }
/// # Ok(())
/// # }
/// ```
///
/// (Sixteen places in each direction are enough for two jobs. For more jobs than the channels have
/// places, receive while you send: see [`bounded`](crate::bounded).)
///
/// # Errors of a channel
///
/// A message is `Unsendable` if its function is not part of the executable itself but of a shared
/// library. So is any function on a system on which this crate cannot start processes.
pub struct Func<A: 'static, R: 'static> {
    target: &'static Target<A, R>,
}

/// Makes a [`Func`] of a function.
///
/// The function is a `fn` item or a closure that captures nothing. Other closures do not compile.
///
/// ```
/// use multiprocess::process::Func;
///
/// fn len(text: String) -> usize {
///     text.len()
/// }
///
/// let function: Func<String, usize> = multiprocess::func!(len);
/// assert_eq!(function.call("four".to_owned()), 4);
/// ```
///
/// ```compile_fail
/// let n = std::env::args().count();
/// let add: multiprocess::process::Func<usize, usize> = multiprocess::func!(|m: usize| n + m);
/// ```
#[macro_export]
macro_rules! func {
    ($function:expr) => {
        $crate::process::Func::new(
            const {
                &$crate::process::Target::new(
                    $function,
                    ::std::concat!(::std::module_path!(), "::", ::std::stringify!($function)),
                )
            },
        )
    };
}

/// The target of a [`Func`]: a constant of the executable, made by [`func!`](crate::func).
#[repr(C)]
pub struct Target<A: 'static, R: 'static> {
    head: Head,
    call: fn(A) -> R,
}

/// The fields that all targets have, whatever their types.
#[repr(C)]
struct Head {
    mark: [u64; 2],
    /// [`witness`].
    witness: fn(),
    /// Of the signature.
    types: fn() -> TypeId,
    name: &'static str,
}

/// Nothing else in the executable begins like this.
const MARK: [u64; 2] = [0x9d1c_53f0_6b7e_a284, 0x41e8_0b36_d2f5_7c9a];

/// A function whose address the loader writes into each target.
#[inline(never)]
fn witness() {
    // Not empty: the linker may give all empty functions one address, also that of another crate.
    std::hint::black_box(MARK);
}

fn types<A: 'static, R: 'static>() -> TypeId {
    TypeId::of::<fn(A) -> R>()
}

impl<A: 'static, R: 'static> Target<A, R> {
    /// Describes a function. For [`func!`](crate::func).
    #[doc(hidden)]
    #[must_use]
    pub const fn new(call: fn(A) -> R, name: &'static str) -> Self {
        Target { head: Head { mark: MARK, witness, types: types::<A, R>, name }, call }
    }
}

impl<A: 'static, R: 'static> fmt::Debug for Target<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Target").field(&self.head.name).finish()
    }
}

/// A function in a message.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Place {
    /// The place of its target, counted from the beginning of the executable in memory.
    offset: u64,
    /// [`hash`] of its name.
    name: u64,
    /// [`fingerprint`] of the executable's constants: is this the same program?
    program: u64,
}

impl<A: 'static, R: 'static> Func<A, R> {
    /// Refers to a target. For [`func!`](crate::func).
    #[doc(hidden)]
    #[must_use]
    pub const fn new(target: &'static Target<A, R>) -> Self {
        Func { target }
    }

    /// Calls the function in this process.
    pub fn call(&self, args: A) -> R {
        (self.target.call)(args)
    }

    /// Returns the function: an argument for [`spawn`](crate::spawn), say.
    #[must_use]
    pub fn get(&self) -> fn(A) -> R {
        self.target.call
    }

    /// Returns the function's path, or the text of the closure, as the source has it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.target.head.name
    }

    fn place(&self) -> Result<Place, String> {
        let ranges = constants()?;
        let address = ptr::from_ref(self.target).addr() as u64;
        if !lies_in(ranges, address) {
            return Err(format!(
                "the function {} is not part of the executable itself but of a shared library, or its constants \
                 can be written; only functions of the executable can be sent",
                self.name()
            ));
        }
        let offset = address - begin(ranges);
        Ok(Place { offset, name: hash(self.name()), program: fingerprint(ranges) })
    }

    fn at(place: Place) -> Result<Self, String> {
        let ranges = constants()?;
        if place.program != fingerprint(ranges) {
            return Err(
                "it is a function of another program, or of another build of this one".into()
            );
        }
        let nothing = || "no function lies where it says".to_owned();
        let address = begin(ranges).checked_add(place.offset).ok_or_else(nothing)?;
        if !lies_in(ranges, address) || address % align_of::<Head>() as u64 != 0 {
            return Err(nothing());
        }
        let head = ptr::with_exposed_provenance::<Head>(address as usize);
        // SAFETY: a whole target lies in one mapping of the executable that is readable, checked by
        // `lies_in`, and `head` is aligned for two words. The mapping is private to this process
        // and is not writable, so no other process changes it; the executable stays mapped for the
        // life of the process.
        let mark = unsafe { head.cast::<[u64; 2]>().read() };
        let word = head.cast::<usize>().wrapping_byte_add(offset_of!(Head, witness));
        // SAFETY: as above: the field lies in the same target. Any bytes are a `usize`.
        let found = unsafe { word.read() };
        let expected: fn() = witness;
        if mark != MARK || found != expected as usize {
            return Err(nothing());
        }
        // SAFETY: the bytes are those of a `Target`, whose `Head` comes first (`repr(C)`): nothing
        // but the constants of `Target::new` has this mark, and the witness says that the loader
        // has relocated the pointers in this copy. It lies there, unchanged, for the life of the
        // process.
        let head = unsafe { &*head };
        if (head.types)() != types::<A, R>() {
            return Err(format!("the function {} takes or returns other types", head.name));
        }
        if hash(head.name) != place.name {
            return Err("it is a function of another build of this program".into());
        }
        // SAFETY: as above; and its signature is that of `A` and `R`, as its `TypeId` says, so it
        // is a `Target<A, R>`. All targets have one size, checked in `lies_in`.
        let target = unsafe { &*ptr::from_ref(head).cast::<Target<A, R>>() };
        Ok(Func { target })
    }
}

/// Returns where the executable's constants are mapped. That does not change while a process runs.
fn constants() -> Result<&'static [CodeRange], String> {
    // One for each process: a process that was forked during the initialization would wait for
    // ever.
    static RANGES: PerProcess<OnceLock<Result<Vec<CodeRange>, String>>> = PerProcess::new();
    let ranges = RANGES.get().get_or_init(|| match sys::constant_ranges() {
        Ok(ranges) if !ranges.is_empty() => Ok(ranges),
        Ok(_) => {
            Err("the executable's constants are not found; was it started through its loader?"
                .into())
        }
        Err(error) => Err(format!("looking up the executable's constants: {error}")),
    });
    ranges.as_deref().map_err(Clone::clone)
}

/// Returns where the executable begins.
fn begin(ranges: &[CodeRange]) -> u64 {
    ranges.iter().map(|range| range.start).min().unwrap_or(0)
}

/// Returns whether a whole target can be there.
fn lies_in(ranges: &[CodeRange], address: u64) -> bool {
    let Some(end) = address.checked_add(size_of::<Target<(), ()>>() as u64) else { return false };
    ranges.iter().any(|range| range.start <= address && end <= range.end)
}

fn hash(name: &str) -> u64 {
    fnv(FNV_START, name.as_bytes())
}

impl<A: 'static, R: 'static> Clone for Func<A, R> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A: 'static, R: 'static> Copy for Func<A, R> {}

impl<A: 'static, R: 'static> fmt::Debug for Func<A, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Func({})", self.name())
    }
}

impl<A: 'static, R: 'static> From<Func<A, R>> for fn(A) -> R {
    fn from(function: Func<A, R>) -> Self {
        function.get()
    }
}

impl<A: 'static, R: 'static> Serialize for Func<A, R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.place()
            .map_err(|cause| ser::Error::custom(handle::record_cause(cause)))?
            .serialize(serializer)
    }
}

impl<'de, A: 'static, R: 'static> Deserialize<'de> for Func<A, R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if shape::tracing() {
            return Err(shape::other("Func", deserializer));
        }
        let place = Place::deserialize(deserializer)?;
        Func::at(place).map_err(|cause| {
            de::Error::custom(handle::record_cause(format_args!("a function arrived: {cause}")))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGES: [CodeRange; 2] = [
        CodeRange { start: 0x5000, end: 0x6000, offset: 0x1000 },
        CodeRange { start: 0x9000, end: 0x9800, offset: 0x4000 },
    ];

    #[test]
    fn a_target_lies_in_one_range_as_a_whole() {
        let size = size_of::<Target<String, [u8; 100]>>() as u64;
        assert_eq!(size, size_of::<Target<(), ()>>() as u64);
        assert_eq!(begin(&RANGES), 0x5000);
        for address in [0x5000, 0x6000 - size, 0x9000, 0x9800 - size] {
            assert!(lies_in(&RANGES, address));
        }
        for address in [0, 0x4fff, 0x6000 - size + 1, 0x8fff, 0x9800, u64::MAX, u64::MAX - size] {
            assert!(!lies_in(&RANGES, address));
        }
    }
}
