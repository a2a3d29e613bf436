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
use ipc_wait::cached_number::CachedNumber;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::poison::Refused;
use super::thread;
use super::value::{self, ValueLayout, are_valid};
use super::word::{Liveness, LockEnv, held, id};
use crate::attach::entries::Owner;
use crate::attach::participant_limit;
use crate::attach::participants::Participants;
use crate::killpoint::kill_point;
use crate::layout::{Fingerprint, LINE};
use crate::segment::Segment;
use crate::sync::{AtomicU64, Ordering};
use crate::value::checked::has_invalid_bits;
use crate::value::object::{Object, ObjectSlot, Placed, Shape, refuse};

/// The number of words before the lock's own.
pub(crate) const HEAD: usize = 2;

/// Returns the index of the first word of a value that comes after so many of a lock's own words.
pub(crate) fn after<T: ValueLayout + ?Sized>(words: usize) -> usize {
    (HEAD + words).next_multiple_of(value::align::<T>()) - HEAD
}

/// The words of a lock, as mapped in this process.
#[derive(Clone)]
pub(crate) struct LockLocation {
    words: Placed<AtomicU64>,
    count: usize,
    /// The number of items: read from the words once, checked and copied.
    pub(crate) len: usize,
    /// This process as a holder.
    pub(crate) me: u64,
    /// The number of the mapping ([`Participants::mapping`]).
    mapping: u64,
    object: Object,
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

/// A kind of lock: its name, the fingerprint of its type, its alignment and its size.
#[derive(Clone, Copy)]
pub(crate) struct LockKind {
    pub(crate) name: &'static str,
    pub(crate) fingerprint: u64,
    /// The alignment of the lock's start, in words.
    pub(crate) align: usize,
    pub(crate) count: Count,
}

impl LockKind {
    /// Returns the kind of the lock with this name, over values of type `T`.
    pub(crate) fn over<T: ValueLayout + ?Sized>(name: &'static str, count: Count) -> LockKind {
        // Never 0, because unused memory is 0.
        let fingerprint = Fingerprint::of::<T::Item>(name) | 1;
        LockKind { name, fingerprint, align: value::align::<T>(), count }
    }

    /// Returns the kind of the lock with this name that protects no value.
    pub(crate) fn plain(name: &'static str, count: Count) -> LockKind {
        Self::over::<()>(name, count)
    }

    fn align(self) -> usize {
        LINE.max(8 * self.align)
    }

    /// Returns the shape of a lock with `len` items. `None` if no memory is so large.
    ///
    /// A named lock may have been made for fewer participants. `find` checks its size.
    fn shape(self, len: usize, participants: usize) -> Option<Shape> {
        let count = (self.count)(len, participants)?;
        let bytes = count.checked_add(HEAD)?.checked_mul(8)?;
        let (align, fingerprint) = (self.align(), self.fingerprint);
        Some(Shape { bytes, align, fingerprint, any_size: true })
    }
}

impl LockLocation {
    /// Makes a lock, or finds the one that has the name.
    ///
    /// `fill` writes the initial contents of a new lock's words, where they are not 0.
    pub(crate) fn make(
        slot: ObjectSlot<'_>,
        kind: LockKind,
        len: usize,
        fill: impl Fn(&LockLocation) -> io::Result<()>,
    ) -> io::Result<LockLocation> {
        let participants = match slot {
            ObjectSlot::In(segment) => segment.participants()?.capacity(),
            _ => participant_limit::by_default(),
        };
        let shape = kind.shape(len, participants).ok_or_else(|| {
            let text = format!("{}: no memory is so large", kind.name);
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })?;
        let object = Object::make(slot, shape, |object| {
            let location = Self::of(object.clone(), shape, len)?;
            kill_point!("lock.place");
            location.all()[1].store(len as u64, Ordering::Relaxed); // Relaxed: the tag's Release.
            fill(&location)?;
            kill_point!("lock.tag");
            // Release: a process that sees the tag sees the rest.
            location.all()[0].store(kind.fingerprint, Ordering::Release);
            Ok(())
        })?;
        Self::find(object, kind)
    }

    /// Opens the lock with this name.
    pub(crate) fn open(name: &str, kind: LockKind) -> io::Result<LockLocation> {
        let (align, fingerprint) = (kind.align(), kind.fingerprint);
        let shape = Shape { bytes: 0, align, fingerprint, any_size: true };
        Self::find(Object::open(name, shape)?, kind)
    }

    /// Returns the lock that was placed at an offset.
    pub(crate) fn at(segment: &Segment, offset: usize, kind: LockKind) -> io::Result<LockLocation> {
        Self::find(Object::at(segment, offset), kind)
    }

    /// Finds the lock that was made as this object, and checks its words.
    fn find(object: Object, kind: LockKind) -> io::Result<LockLocation> {
        let Object { segment, offset } = &object;
        let refuse = |what: &str| {
            let text = format!("{}: what lies at offset {offset} of {segment:?} {what}", kind.name);
            io::Error::new(io::ErrorKind::InvalidData, text)
        };
        let head = segment.words64(*offset, HEAD)?;
        // Acquire: pairs with the Release store of the tag in `make`.
        if head[0].load(Ordering::Acquire) != kind.fingerprint {
            return Err(refuse("is no such lock, or protects another type"));
        }
        if offset % kind.align() != 0 {
            return Err(refuse("is not aligned"));
        }
        // Read once, checked, and never read again. Relaxed: the tag's Acquire.
        let len = usize::try_from(head[1].load(Ordering::Relaxed))
            .map_err(|_| refuse("has no such length"))?;
        let shape = kind
            .shape(len, segment.participants()?.capacity())
            .ok_or_else(|| refuse("has a length that it cannot have"))?;
        Self::of(object, shape, len)
    }

    fn of(object: Object, shape: Shape, len: usize) -> io::Result<LockLocation> {
        let participants = object.segment.participants()?;
        Ok(LockLocation {
            words: object.pointer(shape)?.cast(),
            count: shape.bytes / 8,
            len,
            me: held(participants.me().bits(), 0),
            mapping: participants.mapping(),
            object,
        })
    }

    #[inline(always)]
    fn all(&self) -> &[AtomicU64] {
        // SAFETY: so many words lie there, checked by `of` and aligned to a cache line or more, in
        // the segment that `self` keeps mapped. Atomics are valid whatever a peer writes.
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
        let empty = size_of::<T::Item>() == 0 || (T::MANY && self.len == 0);
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
        self.object.segment.participants().expect("it had participants when the lock was found")
    }

    /// Returns whether this process was forked from the process that attached.
    ///
    /// A forked process has no mapping, so it must not touch the lock.
    #[inline(always)]
    pub(crate) fn forked(&self) -> bool {
        self.words.forked()
    }

    #[inline(always)]
    pub(crate) fn check(&self) -> Result<(), Refused> {
        if self.forked() { Err(Refused::Forked) } else { Ok(()) }
    }

    /// Returns the offset in the segment.
    pub(crate) fn offset(&self) -> usize {
        self.object.offset
    }

    pub(crate) fn segment(&self) -> &Segment {
        &self.object.segment
    }

    /// Returns a key that differs from that of every other lock that this process has or had.
    pub(crate) fn key(&self) -> thread::Read {
        (self.words.as_ptr().addr(), self.mapping)
    }

    pub(crate) fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.segment(), self.offset() as u64).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        kind: LockKind,
    ) -> Result<LockLocation, D::Error> {
        let (segment, offset) = <(Segment, u64)>::deserialize(deserializer)?;
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        LockLocation::find(Object { segment, offset }, kind).map_err(refuse)
    }
}

impl fmt::Debug for LockLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.segment(), self.offset())
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
