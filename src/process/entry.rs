//! The way of a function to the child: as a place in the executable file.
//!
//! Parent and child run the same file, each at addresses of its own. So the parent sends the offset
//! of the function's code in the file. The child looks up where that part of the file is mapped in
//! its own memory. Two offsets are sent: that of the function `f`, and that of [`trampoline`] for
//! its types. Only the trampoline can decode the arguments of `f` and encode its result.
//!
//! This file opts in to `unsafe`, because only `unsafe` turns an address back into a function.
#![allow(unsafe_code)]

use std::io;
use std::ptr;

use ipc_sys::spawn::{self as sys, CodeRange};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::causes::Refusal;
use super::execute::execute;
use super::fingerprint::{FNV_START, fingerprint, fnv};
use super::link::Link;

/// A function and its types, in a form that means the same in every process of this executable.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Where the code of `trampoline::<A, R>` starts in the executable file.
    trampoline: u64,
    /// Where the code of the `fn(A) -> R` starts in the executable file.
    function: u64,
    /// [`fingerprint`] of the executable's code ranges: is this the same program?
    code: u64,
    /// [`types`] of `A` and `R`: is this the function that was meant?
    types: u64,
}

/// The function at the trampoline's address. It takes `f`, the [`types`] that the parent sent, and
/// the connection to the parent.
type Trampoline = unsafe fn(f: *const (), types: u64, link: &mut Link) -> Refusal;

impl Entry {
    /// Describes `f` for another process of this executable.
    ///
    /// # Errors
    ///
    /// `Unsupported` if `f` or this crate is not part of the executable itself.
    pub(super) fn new<A, R>(f: fn(A) -> R) -> io::Result<Self>
    where
        A: DeserializeOwned,
        R: Serialize,
    {
        let ranges = sys::code_ranges()?;
        let place = |address: *const ()| {
            place_of(&ranges, address.addr() as u64).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::Unsupported,
                    "the function to run is not part of the executable itself but of a shared library, \
                     or the program was started through its dynamic loader; only functions of the \
                     executable can be spawned",
                )
            })
        };
        let trampoline: Trampoline = trampoline::<A, R>;
        Ok(Entry {
            trampoline: place(trampoline as *const ())?,
            function: place(f as *const ())?,
            code: fingerprint(&ranges),
            types: types::<A, R>(),
        })
    }

    /// In the child: runs the function and ends the process. Returns only if it cannot, with the
    /// reason.
    pub(super) fn run(&self, link: &mut Link) -> Refusal {
        let ranges = match sys::code_ranges() {
            Ok(ranges) => ranges,
            Err(error) => {
                return Refusal::Other(format!("cannot look up the function: {error}"));
            }
        };
        let addresses = (address_of(&ranges, self.trampoline), address_of(&ranges, self.function));
        let (Some(trampoline), Some(function)) = addresses else {
            return Refusal::Other("the function does not lie in this executable's code".into());
        };
        if self.code != fingerprint(&ranges) {
            return Refusal::Other("this is not the executable that the parent runs".into());
        }
        let trampoline = ptr::with_exposed_provenance::<()>(trampoline as usize);
        let function = ptr::with_exposed_provenance::<()>(function as usize);
        // SAFETY: `transmute` asks that the bits are a valid `Trampoline`: not null, and the start
        // of a function with this signature and ABI.
        // - Whose number is it? `Entry::new`'s, of the parent: it came over the socket pair that
        //   the parent made for this process alone (`sys::inherited` looks at the marker, at the
        //   user on the other side and at set-user-ID), so it is no stranger's choice.
        // - Does it mean the same here? It is an offset in the executable file. The child was
        //   started from the parent's own running file (`sys::command`), and `self.code` agrees, so
        //   the file's code is laid out in the same way; `address_of` found where that offset is
        //   mapped, executable, in this process. `Entry::new` computed it from a `Trampoline` in
        //   the same kind of mapping.
        // - Was the function compiled at all? The file contains it, as the parent took its address.
        //   Should the linker have merged it with another one of the same code, then that code is
        //   what it does.
        // - Provenance: functions are allocated by the loader, outside of what the language sees,
        //   for the whole run of the program; the address is used for nothing but to call.
        // - What if the parent died half-way? A frame that is incomplete is never seen
        //   (`socket.rs`).
        let trampoline = unsafe { std::mem::transmute::<*const (), Trampoline>(trampoline) };
        // SAFETY: `trampoline` asks that `function` is the `fn(A) -> R` of the very `A` and `R`
        // that it was compiled for. `Entry::new` took both from the same `A` and `R`, and the
        // argument above holds for the second address as well; the trampoline compares `types`
        // before it uses it.
        unsafe { trampoline(function, self.types, link) }
    }
}

/// Becomes `f`, which takes an `A` and returns an `R`. Returns only if it cannot, with the reason.
///
/// # Safety
///
/// If `types` is that of `A` and `R`, then `f` must be a `fn(A) -> R` of this process.
unsafe fn trampoline<A, R>(f: *const (), expected: u64, link: &mut Link) -> Refusal
where
    A: DeserializeOwned,
    R: Serialize,
{
    if expected != types::<A, R>() {
        return Refusal::Other("the function has other types than the parent said".into());
    }
    // SAFETY: the caller promises that this is a `fn(A) -> R`, see above; function pointers have
    // the size of a pointer on every system that starts processes.
    let f = unsafe { std::mem::transmute::<*const (), fn(A) -> R>(f) };
    execute(f, link)
}

/// Returns the offset in the file of the code at this address.
fn place_of(ranges: &[CodeRange], address: u64) -> Option<u64> {
    let range = ranges.iter().find(|r| (r.start..r.end).contains(&address))?;
    range.offset.checked_add(address - range.start)
}

/// Returns the address at which this offset of the file is mapped.
fn address_of(ranges: &[CodeRange], place: u64) -> Option<u64> {
    ranges
        .iter()
        .find_map(|r| {
            let address = r.start.checked_add(place.checked_sub(r.offset)?)?;
            (r.start..r.end).contains(&address).then_some(address)
        })
        .filter(|address| *address != 0)
}

/// The names, sizes and alignments of both types.
fn types<A, R>() -> u64 {
    let sizes = [size_of::<A>(), align_of::<A>(), size_of::<R>(), align_of::<R>()];
    let hash = fnv(FNV_START, std::any::type_name::<fn(A) -> R>().as_bytes());
    sizes.iter().fold(hash, |hash, size| fnv(hash, &size.to_le_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGES: [CodeRange; 2] = [
        CodeRange { start: 0x5000, end: 0x6000, offset: 0x1000 },
        CodeRange { start: 0x9000, end: 0x9800, offset: 0x4000 },
    ];

    #[test]
    fn a_place_is_found_again_at_its_address_and_nothing_outside() {
        for address in [0x5000, 0x5fff, 0x9000, 0x97ff] {
            let place = place_of(&RANGES, address).unwrap();
            assert_eq!(address_of(&RANGES, place), Some(address));
        }
        for address in [0, 0x4fff, 0x6000, 0x9800, u64::MAX] {
            assert_eq!(place_of(&RANGES, address), None);
        }
        for place in [0, 0xfff, 0x2000, 0x3fff, 0x4800, u64::MAX] {
            assert_eq!(address_of(&RANGES, place), None);
        }
    }

    #[test]
    fn types_differ_by_argument_and_by_result() {
        assert_eq!(types::<u32, String>(), types::<u32, String>());
        assert_ne!(types::<u32, String>(), types::<i32, String>());
        assert_ne!(types::<u32, String>(), types::<u32, Vec<u8>>());
    }
}
