//! The location of a lock in a segment, and the identity of this process there.
//!
//! ```text
//!   word 0     tag: which lock, of which type; written last
//!   word 1     how many items it holds
//!   word 2 …   the lock's own
//! ```

// Keeps a pointer into the segment, so that access to a lock's word is fast.
#![allow(unsafe_code)]

use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::time::Duration;

use ipc_sys as sys;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::poison::Refused;
use super::thread;
use super::value::{ValueLayout, are_valid};
use super::word::{Liveness, LockEnv, held, id};
use crate::attach::entries::Owner;
use crate::attach::participant_limit;
use crate::attach::participants::Participants;
use crate::cached_number::CachedNumber;
use crate::killpoint::kill_point;
use crate::layout::{Fingerprint, LINE};
use crate::segment::{OpenMode, Segment, SegmentBuilder};
use crate::sync::{AtomicU64, Ordering};
use crate::value::checked::has_invalid_bits;

/// The number of words before the lock's own.
pub(crate) const HEAD: usize = 2;

/// The words of a lock, as mapped in this process.
#[derive(Clone)]
pub(crate) struct LockLocation {
    words: NonNull<AtomicU64>,
    count: usize,
    /// The number of items: read from the words once, checked and copied.
    pub(crate) len: usize,
    /// This process as a holder.
    pub(crate) me: u64,
    /// The number of the mapping ([`Participants::mapping`]).
    mapping: u64,
    fork: sys::fork::ForkCheck,
    offset: usize,
    segment: Segment,
}

// SAFETY: the pointer leads to atomics, in the mapping that the segment keeps. Any thread may use
// them.
unsafe impl Send for LockLocation {}
// SAFETY: as above.
unsafe impl Sync for LockLocation {}

/// Returns the number of a lock's own words, for so many items and so many participants.
///
/// `None` if no memory is so large.
pub(crate) type Count = fn(usize, usize) -> Option<usize>;

/// Where to place a lock.
#[derive(Clone, Copy)]
pub(crate) enum LockSlot<'a> {
    /// In a segment of its own, without a name.
    Anonymous,
    /// In a given segment, next to the objects there.
    In(&'a Segment),
    /// In a segment of its own, with this name.
    Named(OpenMode, &'a str),
}

/// A kind of lock: its name, the fingerprint of its type, and its alignment.
#[derive(Clone, Copy)]
pub(crate) struct LockKind {
    pub(crate) name: &'static str,
    pub(crate) fingerprint: u64,
    /// The alignment of the lock's start, in words.
    pub(crate) align: usize,
}

impl LockKind {
    /// Returns the kind of the lock with this name, over values of type `T`.
    pub(crate) fn of<T>(name: &'static str, align: usize) -> LockKind {
        // Never 0, because unused memory is 0.
        LockKind { name, fingerprint: Fingerprint::of::<T>(name) | 1, align }
    }

    fn align(self) -> usize {
        LINE.max(8 * self.align)
    }
}

impl LockLocation {
    /// Makes a lock, or finds the one that has the name.
    ///
    /// `fill` writes the initial contents of a new lock's words, where they are not 0.
    pub(crate) fn make(
        slot: LockSlot<'_>,
        kind: LockKind,
        len: usize,
        count: Count,
        fill: &dyn Fn(&LockLocation) -> io::Result<()>,
    ) -> io::Result<LockLocation> {
        if let LockSlot::In(segment) = slot {
            return Self::within(segment, kind, len, count, fill);
        }
        let words = count(len, participant_limit::by_default()).ok_or_else(|| too_large(kind))?;
        let terms = SegmentBuilder::new(Self::bytes(words).ok_or_else(|| too_large(kind))?);
        match slot {
            LockSlot::Named(OpenMode::Open, name) => Self::open(name, kind, count),
            LockSlot::Named(open_mode, name) => {
                let mut fill =
                    |segment: &Segment| Self::within(segment, kind, len, count, fill).map(drop);
                // An existing segment may have been made for fewer participants. `find` checks its
                // size.
                let terms = terms.of_any_size().fingerprint(kind.fingerprint);
                let segment = terms.named(open_mode, name, &mut fill)?;
                Self::find(&segment, 0, kind, count)
            }
            _ => Self::within(&terms.anonymous()?, kind, len, count, fill),
        }
    }

    /// Opens the lock with this name.
    pub(crate) fn open(name: &str, kind: LockKind, count: Count) -> io::Result<LockLocation> {
        let terms = SegmentBuilder::new(0).fingerprint(kind.fingerprint);
        Self::find(&terms.named(OpenMode::Open, name, &mut |_| Ok(()))?, 0, kind, count)
    }

    fn within(
        segment: &Segment,
        kind: LockKind,
        len: usize,
        count: Count,
        fill: &dyn Fn(&LockLocation) -> io::Result<()>,
    ) -> io::Result<LockLocation> {
        let count =
            count(len, segment.participants()?.capacity()).ok_or_else(|| too_large(kind))?;
        let bytes = Self::bytes(count).ok_or_else(|| too_large(kind))?;
        let offset = segment.place(bytes, kind.align())?;
        let location = Self::at(segment, offset, count, len)?;
        kill_point!("lock.place");
        location.all()[1].store(len as u64, Ordering::Relaxed); // Relaxed: the tag's Release.
        fill(&location)?;
        kill_point!("lock.tag");
        // Release: a process that sees the tag sees the rest.
        location.all()[0].store(kind.fingerprint, Ordering::Release);
        Ok(location)
    }

    /// Finds the lock that was placed at an offset, and checks its words.
    pub(crate) fn find(
        segment: &Segment,
        offset: usize,
        kind: LockKind,
        count: Count,
    ) -> io::Result<LockLocation> {
        let refuse = |what: &str| {
            let text = format!("{}: what lies at offset {offset} of {segment:?} {what}", kind.name);
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        let head = segment.words64(offset, HEAD)?;
        // Acquire: pairs with the Release store of the tag in `within`.
        if head[0].load(Ordering::Acquire) != kind.fingerprint {
            return Err(refuse("is no such lock, or protects another type"));
        }
        if offset % kind.align() != 0 {
            return Err(refuse("is not aligned"));
        }
        // Read once, checked, and never read again. Relaxed: the tag's Acquire.
        let len = usize::try_from(head[1].load(Ordering::Relaxed))
            .map_err(|_| refuse("has no such length"))?;
        let count = count(len, segment.participants()?.capacity())
            .ok_or_else(|| refuse("has a length that it cannot have"))?;
        Self::at(segment, offset, count, len)
    }

    fn bytes(count: usize) -> Option<usize> {
        count.checked_add(HEAD)?.checked_mul(8)
    }

    fn at(segment: &Segment, offset: usize, count: usize, len: usize) -> io::Result<LockLocation> {
        let count = HEAD + count;
        let participants = segment.participants()?;
        let words = segment.words64(offset, count)?;
        Ok(LockLocation {
            words: NonNull::from(&words[0]),
            count,
            len,
            me: held(participants.me().bits(), 0),
            mapping: participants.mapping(),
            fork: sys::fork::ForkCheck::new(),
            offset,
            segment: segment.clone(),
        })
    }

    #[inline(always)]
    fn all(&self) -> &[AtomicU64] {
        // SAFETY: `at` took the pointer from a slice of `count` words in the segment, which `self`
        // keeps mapped.
        unsafe { std::slice::from_raw_parts(self.words.as_ptr(), self.count) }
    }

    /// Returns the lock's own words.
    #[inline(always)]
    pub(crate) fn words(&self) -> &[AtomicU64] {
        &self.all()[HEAD..]
    }

    /// Returns where the value lies that begins at one of the lock's own words.
    ///
    /// From there on the lock owns as many words as the value takes. If the value is not a slice,
    /// this is at least one word (`value::words`, which `find` calls).
    #[inline(always)]
    pub(crate) fn value<T: ValueLayout + ?Sized>(&self, word: usize) -> NonNull<T> {
        let empty = size_of::<T::Item>() == 0 || self.len == 0;
        let at =
            if empty { NonNull::dangling() } else { NonNull::from(&self.words()[word]).cast() };
        NonNull::new(T::view(at.as_ptr(), self.len)).expect("made from a pointer that is not null")
    }

    /// Returns whether the items from one of the lock's own words on are values. Plain data always
    /// is.
    #[inline(always)]
    pub(crate) fn is_valid<T: ValueLayout + ?Sized>(&self, word: usize) -> bool {
        !has_invalid_bits::<T::Item>() || are_valid::<T::Item>(&self.words()[word..], self.len)
    }

    fn participants(&self) -> &Participants {
        self.segment.participants().expect("it had participants when the lock was found")
    }

    /// Returns whether this process was forked from the process that attached.
    ///
    /// A forked process has no mapping, so it must not touch the lock.
    #[inline(always)]
    pub(crate) fn forked(&self) -> bool {
        self.fork.forked()
    }

    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), Refused> {
        if self.forked() { Err(Refused::Forked) } else { Ok(()) }
    }

    /// Returns the offset in the segment.
    pub(crate) fn offset(&self) -> usize {
        self.offset
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.segment
    }

    /// Returns a key that differs from that of every other lock that this process has or had.
    pub(crate) fn key(&self) -> thread::Read {
        (self.words.as_ptr().addr(), self.mapping)
    }

    pub(crate) fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.segment, self.offset as u64).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        kind: LockKind,
        count: Count,
    ) -> Result<LockLocation, D::Error> {
        let (segment, offset) = <(Segment, u64)>::deserialize(deserializer)?;
        let offset = usize::try_from(offset).map_err(de::Error::custom)?;
        LockLocation::find(&segment, offset, kind, count)
            .map_err(|error| de::Error::custom(ipc_core::__private::handle::record_cause(error)))
    }
}

fn too_large(kind: LockKind) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{}: no memory is so large", kind.name))
}

impl fmt::Debug for LockLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.segment, self.offset)
    }
}

/// How many times to read a held lock again before a sleep: as often as `std`, if the holder can
/// run meanwhile.
const SPINS: u32 = 100;

impl LockEnv for LockLocation {
    #[inline(always)]
    fn me(&self) -> u64 {
        self.me | held(0, thread::number())
    }

    fn liveness(&self, owner: u64) -> Liveness {
        let participants = self.participants();
        match Owner::from_bits(owner) {
            Some(owner) if usize::from(id(owner.bits())) <= participants.capacity() => {
                if participants.alive(owner) {
                    Liveness::Alive
                } else {
                    Liveness::Dead
                }
            }
            _ => Liveness::Unknown,
        }
    }

    fn deaths(&self) -> u64 {
        self.participants().deaths()
    }

    fn look_for_deaths(&self, turn: usize) -> u64 {
        self.participants().look_for_deaths(turn)
    }

    fn look_for_deaths_throttled(&self) -> u64 {
        self.participants().look_for_deaths_throttled()
    }

    fn pid(&self, owner: u64) -> u32 {
        Owner::from_bits(owner).and_then(|owner| self.participants().pid(owner)).unwrap_or(0)
    }

    fn max_participants(&self) -> usize {
        self.participants().capacity()
    }

    fn sleep(&self, word: &AtomicU64, seen: u64, timeout: Duration) {
        sys::futex::wait(word, seen as u32, timeout);
    }

    fn wake(&self, word: &AtomicU64, n: u32) -> usize {
        sys::futex::wake(word, n)
    }

    fn spins(&self) -> u32 {
        static CPUS: CachedNumber = CachedNumber::new();
        if CPUS.get(|| sys::process::cpus() as u64) > 1 { SPINS } else { 0 }
    }
}

/// The constructors by name, which are the same for all locks.
///
/// The macro takes the arguments of `new`, and how to pass them on.
macro_rules! create_by_name {
    ($($arg:ident: $Arg:ty)? $(=> $pass:expr)?) => {
        /// Makes the object as [`new`](Self::new), in a segment of its own with this name.
        ///
        /// The name is removed with the last handle.
        ///
        /// # Errors
        ///
        /// As [`new`](Self::new) and [`Segment::create`].
        pub fn create(name: &str $(, $arg: $Arg)?) -> io::Result<Self> {
            Self::make(LockSlot::Named(OpenMode::Create, name) $(, $pass)?)
        }

        /// Opens the object with this name, or makes it as [`create`](Self::create) if there is
        /// none.
        ///
        /// If several processes call this at once, one of them makes the object.
        ///
        /// # Errors
        ///
        /// As [`create`](Self::create) and [`open`](Self::open), except for `AlreadyExists` and
        /// `NotFound`.
        pub fn open_or_create(name: &str $(, $arg: $Arg)?) -> io::Result<Self> {
            Self::make(LockSlot::Named(OpenMode::OpenOrCreate, name) $(, $pass)?)
        }
    };
}
/// The methods that need nothing but the location, which are the same for all locks.
macro_rules! open_or_find {
    () => {
        /// Opens the object with this name.
        ///
        /// # Errors
        ///
        /// As [`Segment::open`], and `InvalidData` if the object is of another kind or type.
        pub fn open(name: &str) -> io::Result<Self> {
            Self::at_location(LockLocation::open(name, Self::kind(), Self::count)?)
        }

        /// Returns the object that was made in a segment at this [offset](Self::offset).
        ///
        /// # Errors
        ///
        /// `InvalidInput` if no object can lie there, `InvalidData` if the object there is of
        /// another kind or type.
        pub fn at(segment: &Segment, offset: usize) -> io::Result<Self> {
            Self::at_location(LockLocation::find(segment, offset, Self::kind(), Self::count)?)
        }

        /// Returns the offset of the object in its segment.
        #[must_use]
        pub fn offset(&self) -> usize {
            self.location.offset()
        }

        /// Returns the segment of the object.
        #[must_use]
        pub fn segment(&self) -> &Segment {
            self.location.segment()
        }
    };
}
pub(crate) use {create_by_name, open_or_find};
