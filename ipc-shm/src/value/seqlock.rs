//! Values with one writer, in a segment.

// Words at an address in a segment.
#![allow(unsafe_code)]

use crate::sync::{AtomicU64, Ordering};
use std::fmt;
use std::io;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::attach::entries::Owner;
use crate::attach::participants::Participants;
use crate::copy::words;
use crate::killpoint::kill_point;
use crate::layout::{Fingerprint, LINE};
use crate::segment::{OpenMode, Segment};
use crate::value::checked::{Copied, Stored};
use crate::value::object::{Object, ObjectSlot, Placed, Shape, refuse};
use crate::value::seq::{COPIES, Copies};

/// A handle to one value ([`Stored`]) with one writer at a time. Handles are cloned and sent
/// freely.
///
/// Any number of readers read it, and never block the writer.
///
/// A read always returns one value as it was written, never a mixture, and takes nanoseconds. It
/// writes nothing, so readers do not disturb each other or the writer.
///
/// ```
/// let position = ipc_shm::SeqLock::new([0.0f64; 3])?;
/// let mut writer = position.writer()?; // One at a time, among all processes.
/// writer.write([1.0, 2.0, 3.0]);
/// assert_eq!(position.read(), [1.0, 2.0, 3.0]); // From any process that has a handle.
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # When a process dies
///
/// The death of a reader changes nothing. If the writer dies, at any point, readers continue to
/// read the last complete value. The next process that calls [`writer`](SeqLock::writer) becomes
/// the writer.
///
/// # Promises
///
/// If a peer writes there without being the writer, reads may return any bytes, and
/// [`try_read`](SeqLock::try_read) still ends. In a process that was forked, without exec, every
/// access to an inherited `SeqLock` panics, because that process has no mapping of it. It may open
/// or receive the same value itself.
pub struct SeqLock<T> {
    object: Object,
    words: Placed<AtomicU64>,
    _value: PhantomData<T>,
}

// SAFETY: a handle to memory that is accessed by atomics, and copied.
unsafe impl<T: Stored + Send> Send for SeqLock<T> {}
// SAFETY: as above.
unsafe impl<T: Stored + Send> Sync for SeqLock<T> {}

/// Bytes of `seq` and `owner`, on a cache line of their own.
const HEAD: usize = LINE;
/// How many attempts [`SeqLock::try_read`] makes.
const ATTEMPTS: u32 = 100;

impl<T: Stored> SeqLock<T> {
    /// Words of a copy. A copy takes whole cache lines, so that the one that is written shares none
    /// with the one that is read.
    const STRIDE: usize = words(size_of::<T>()).next_multiple_of(LINE / 8);

    const BYTES: usize = HEAD + Self::STRIDE * 8 * COPIES as usize;

    fn shape() -> Shape {
        Shape {
            bytes: Self::BYTES,
            align: LINE,
            fingerprint: Fingerprint::of::<T>("seqlock"),
            any_size: false,
        }
    }

    fn of(object: Object) -> io::Result<SeqLock<T>> {
        let words = object.pointer(Self::shape())?.cast();
        // Checked now, rather than when a process wants to write.
        object.segment.participants()?;
        Ok(SeqLock { object, words, _value: PhantomData })
    }

    fn make(slot: ObjectSlot<'_>, value: T) -> io::Result<SeqLock<T>> {
        let fill = |object: &Object| {
            let lock = Self::of(object.clone())?;
            // No other process has it, and a process may have written at its place before.
            lock.owner().store(0, Ordering::Relaxed); // Relaxed: handed over as a whole.
            lock.copies().write(u64::MAX, bytemuck::bytes_of(&value));
            Ok(())
        };
        Self::of(Object::make(slot, Self::shape(), fill)?)
    }

    /// Creates a shared value, in a segment of its own without a name.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new(value: T) -> io::Result<SeqLock<T>> {
        Self::make(ObjectSlot::Anonymous, value)
    }

    /// Creates a shared value in a segment, together with others.
    ///
    /// # Errors
    ///
    /// `StorageFull` if there is no room left in it; `Unsupported` if another program made it.
    pub fn new_in(segment: &Segment, value: T) -> io::Result<SeqLock<T>> {
        Self::make(ObjectSlot::In(segment), value)
    }

    /// Creates a shared value under a name. The last process that has it removes the name.
    ///
    /// # Errors
    ///
    /// As [`Segment::create`].
    pub fn create(name: &str, value: T) -> io::Result<SeqLock<T>> {
        Self::make(ObjectSlot::Named(OpenMode::Create, name), value)
    }

    /// Opens a value by its name.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`]; `InvalidData` if it is of another type.
    pub fn open(name: &str) -> io::Result<SeqLock<T>> {
        Self::of(Object::open(name, Self::shape())?)
    }

    /// Opens the value of this name, or creates it as `value` if there is none.
    ///
    /// # Errors
    ///
    /// As [`create`](SeqLock::create) and [`open`](SeqLock::open).
    pub fn open_or_create(name: &str, value: T) -> io::Result<SeqLock<T>> {
        Self::make(ObjectSlot::Named(OpenMode::OpenOrCreate, name), value)
    }

    #[inline(always)]
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: so many bytes lie there (`of`), aligned, as long as `self` lives. Atomics are
        // valid whatever a peer writes.
        unsafe { std::slice::from_raw_parts(self.words.get().as_ptr(), Self::BYTES / 8) }
    }

    #[inline(always)]
    fn copies(&self) -> Copies<'_> {
        let (head, words) = self.words().split_at(HEAD / 8);
        Copies { seq: &head[0], words, stride: Self::STRIDE }
    }

    /// Returns the word that holds the writer's [`Owner`], or 0.
    fn owner(&self) -> &AtomicU64 {
        &self.words()[1]
    }

    /// Returns the last value that was completely written.
    ///
    /// It starts over if the writer completes three values while it copies one. A writer that is
    /// killed or stopped does not block readers.
    #[must_use]
    #[inline]
    pub fn read(&self) -> T {
        loop {
            if let Some(value) = self.try_read() {
                return value;
            }
            std::thread::yield_now();
        }
    }

    /// Reads as [`read`](SeqLock::read), but returns `None` after a hundred attempts.
    ///
    /// That takes some microseconds for small values.
    #[must_use]
    #[inline]
    pub fn try_read(&self) -> Option<T> {
        let copies = self.copies();
        let mut copied = Copied::new();
        for _ in 0..ATTEMPTS {
            if copies.read(copied.bytes()) {
                return Some(copied.value());
            }
            std::hint::spin_loop();
        }
        None
    }

    /// Makes the caller the writer until the [`SeqWriter`] is dropped or its process dies.
    ///
    /// It does not wait. A process that wants to hand the role over drops its [`SeqWriter`], and
    /// then notifies the next writer.
    ///
    /// # Errors
    ///
    /// `ResourceBusy` if there is a living writer, in this process or another; `Unsupported` in a
    /// process that was forked without exec.
    pub fn writer(&self) -> io::Result<SeqWriter<T>> {
        let participants = self.participants()?;
        if participants.forked() {
            let text = "SeqLock: this process was forked without exec from the one that attached";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let me = participants.me();
        let word = self.owner();
        let mut now = word.load(Ordering::Relaxed); // Relaxed: the CAS decides.
        loop {
            // A word that is no owner was scribbled by a peer.
            let busy = Owner::from_bits(now).filter(|owner| {
                owner.bits() == now && (*owner == me || participants.alive(*owner))
            });
            if let Some(owner) = busy {
                let who = participants
                    .pid(owner)
                    .map_or("a process".to_owned(), |pid| format!("process {pid}"));
                let text = format!("SeqLock: {who} is its writer");
                return Err(io::Error::new(io::ErrorKind::ResourceBusy, text));
            }
            kill_point!("seqlock.own");
            // Acquire: after the previous writer, which has dropped the role or is dead.
            match word.compare_exchange(now, me.bits(), Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => break,
                Err(other) => now = other,
            }
        }
        kill_point!("seqlock.owned");
        Ok(SeqWriter { last: self.copies().last(), lock: self.clone() })
    }

    fn participants(&self) -> io::Result<&Participants> {
        self.object.segment.participants()
    }

    /// Returns the segment that the value lies in.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.object.segment
    }
}

/// The writer of a [`SeqLock`], from [`SeqLock::writer`]. Its drop lets another process be the
/// writer.
///
/// It is not `Clone`, and stays in its process. If it is forgotten instead of dropped, its process
/// remains the writer until it ends.
pub struct SeqWriter<T: Stored> {
    lock: SeqLock<T>,
    /// The number of the last value written.
    last: u64,
}

impl<T: Stored> SeqWriter<T> {
    /// Writes a value. Each read that begins from now on returns it, or a later one. Does not
    /// block.
    #[inline]
    pub fn write(&mut self, value: T) {
        self.last = self.lock.copies().write(self.last, bytemuck::bytes_of(&value));
    }

    /// Calls `change` with the last value, and writes the result.
    ///
    /// If `change` panics, or the process is killed meanwhile, the last value stays.
    pub fn update<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut value = self.lock.read();
        let result = change(&mut value);
        self.write(value);
        result
    }

    /// Returns the value that this writer writes.
    #[must_use]
    pub fn lock(&self) -> &SeqLock<T> {
        &self.lock
    }
}

impl<T: Stored> Drop for SeqWriter<T> {
    fn drop(&mut self) {
        let Ok(participants) = self.lock.participants() else { return };
        if participants.forked() {
            return; // It is the parent's.
        }
        kill_point!("seqlock.leave");
        // Release: what was written comes before the next writer. If this process is not the owner
        // any more, a peer has scribbled.
        let me = participants.me().bits();
        let _ = self.lock.owner().compare_exchange(me, 0, Ordering::Release, Ordering::Relaxed);
    }
}

impl<T> Clone for SeqLock<T> {
    fn clone(&self) -> Self {
        SeqLock { object: self.object.clone(), words: self.words, _value: PhantomData }
    }
}

impl<T> fmt::Debug for SeqLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeqLock").field("in", &self.object).finish_non_exhaustive()
    }
}

impl<T: Stored> fmt::Debug for SeqWriter<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeqWriter").field("lock", &self.lock).field("last", &self.last).finish()
    }
}

impl<T: Stored> Serialize for SeqLock<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.object.serialize_with(Self::shape().fingerprint, (), serializer)
    }
}

impl<'de, T: Stored> Deserialize<'de> for SeqLock<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (object, ()) = Object::deserialize_with(Self::shape().fingerprint, deserializer)?;
        Self::of(object).map_err(refuse)
    }
}
