//! A value with one writer, in a segment.

// Words at an address in a segment.
#![allow(unsafe_code)]

use crate::sync::{AtomicU64, Ordering};
use std::fmt;
use std::io;
use std::marker::PhantomData;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::attach::participants::{Owner, Participants};
use crate::copy::words;
use crate::killpoint::kill_point;
use crate::layout::{Fingerprint, LINE};
use crate::segment::{OpenMode, Segment};
use crate::value::checked::{Copied, Stored};
use crate::value::object::{Object, Placed, Shape, refuse};
use crate::value::seq::{COPIES, Copies};

/// One value ([`Stored`]) with one writer at a time, and any number of readers that never block it:
/// a handle, cloned and sent freely.
///
/// A reading is always one value as it was written, never a mixture, and takes nanoseconds; it
/// writes nothing, so that readers do not disturb each other or the writer.
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
/// A reader: nothing. A writer, anywhere: readers go on to read the last value that was complete,
/// and the next who asks is the [`writer`](SeqLock::writer).
///
/// # Promises
///
/// Against a peer that writes there without being the writer: readings are any bytes,
/// [`try_read`](SeqLock::try_read) ends. In a process that was forked, without exec, every access
/// to an inherited one panics: that process has no mapping of it. It may open or receive the same
/// value itself.
pub struct SeqLock<T> {
    object: Object,
    words: Placed<AtomicU64>,
    _value: PhantomData<T>,
}

// SAFETY: a handle of memory that is accessed by atomics, and copied.
unsafe impl<T: Stored + Send> Send for SeqLock<T> {}
// SAFETY: as above.
unsafe impl<T: Stored + Send> Sync for SeqLock<T> {}

/// `seq` and `owner`, on a line of their own.
const HEAD: usize = LINE;
/// How often [`SeqLock::try_read`] starts over.
const ATTEMPTS: u32 = 100;

impl<T: Stored> SeqLock<T> {
    /// Words of a copy: whole lines, so that the one that is written shares none with the one that
    /// is read.
    const STRIDE: usize = words(size_of::<T>()).next_multiple_of(LINE / 8);

    const BYTES: usize = HEAD + Self::STRIDE * 8 * COPIES as usize;

    fn shape() -> Shape {
        Shape { bytes: Self::BYTES, align: LINE, fingerprint: Fingerprint::of::<T>("seqlock") }
    }

    fn of(object: Object) -> io::Result<SeqLock<T>> {
        let words = object.pointer(Self::shape())?.cast();
        // Said now rather than when somebody wants to write.
        object.segment.participants()?;
        Ok(SeqLock { object, words, _value: PhantomData })
    }

    fn filled(object: Object, value: T) -> io::Result<SeqLock<T>> {
        let lock = Self::of(object)?;
        // Nobody else has it, and it may lie where somebody wrote before.
        lock.owner().store(0, Ordering::Relaxed); // Relaxed: handed over as a whole.
        lock.copies().write(u64::MAX, bytemuck::bytes_of(&value));
        Ok(lock)
    }

    /// Shares a value, in a segment of its own without a name.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn new(value: T) -> io::Result<SeqLock<T>> {
        Self::filled(Object::anonymous(Self::shape())?, value)
    }

    /// Shares a value in a segment, together with others.
    ///
    /// # Errors
    ///
    /// `StorageFull` if there is no room left in it; `Unsupported` if another program made it.
    pub fn new_in(segment: &Segment, value: T) -> io::Result<SeqLock<T>> {
        Self::filled(Object::new_in(segment, Self::shape())?, value)
    }

    /// Shares a value under a name. It goes with the last handle.
    ///
    /// # Errors
    ///
    /// As [`Segment::create`].
    pub fn create(name: &str, value: T) -> io::Result<SeqLock<T>> {
        Self::named(OpenMode::Create, name, value)
    }

    /// Opens a value by its name.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`]; `InvalidData` if it is of another type.
    pub fn open(name: &str) -> io::Result<SeqLock<T>> {
        Self::named(OpenMode::Open, name, Copied::new().value())
    }

    /// Opens the value of this name if there is one, and makes it `value` if there is none.
    ///
    /// # Errors
    ///
    /// As [`create`](SeqLock::create) and [`open`](SeqLock::open).
    pub fn open_or_create(name: &str, value: T) -> io::Result<SeqLock<T>> {
        Self::named(OpenMode::OpenOrCreate, name, value)
    }

    fn named(open_mode: OpenMode, name: &str, value: T) -> io::Result<SeqLock<T>> {
        let fill = |object: &Object| Self::filled(object.clone(), value).map(drop);
        Self::of(Object::named(open_mode, name, Self::shape(), fill)?)
    }

    #[inline(always)]
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: so many bytes lie there (`of`), aligned, as long as `self` does; atomics are
        // valid whatever a peer writes.
        unsafe { std::slice::from_raw_parts(self.words.get().as_ptr(), Self::BYTES / 8) }
    }

    #[inline(always)]
    fn copies(&self) -> Copies<'_> {
        let (head, words) = self.words().split_at(HEAD / 8);
        Copies { seq: &head[0], words, stride: Self::STRIDE }
    }

    /// The writer's [`Owner`], or 0.
    fn owner(&self) -> &AtomicU64 {
        &self.words()[1]
    }

    /// The last value that was completely written.
    ///
    /// Starts over when the writer completes three values while it copies one. A writer that is
    /// killed or stopped keeps nobody from reading.
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

    /// As [`read`](SeqLock::read), but gives up after a hundred attempts, some microseconds for
    /// small values.
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

    /// Makes the caller the writer, until the [`SeqWriter`] is dropped or its process dies.
    ///
    /// Does not wait: who wants to hand the writing on sends word that he has dropped it.
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
            // What is no owner was scribbled there.
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
            // Acquire: after the writer before, who is gone or dead.
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

    /// The segment that it lies in.
    #[must_use]
    pub fn segment(&self) -> &Segment {
        &self.object.segment
    }
}

/// The one who writes a [`SeqLock`]: from [`SeqLock::writer`]. Dropping it lets another be.
///
/// Not `Clone`, and stays in its process. One that is forgotten instead of dropped stays until its
/// process ends.
pub struct SeqWriter<T: Stored> {
    lock: SeqLock<T>,
    /// The number of the last value.
    last: u64,
}

impl<T: Stored> SeqWriter<T> {
    /// Writes a value: whoever reads from now on gets it, or a later one. Waits for nobody.
    #[inline]
    pub fn write(&mut self, value: T) {
        self.last = self.lock.copies().write(self.last, bytemuck::bytes_of(&value));
    }

    /// Writes what `change` makes of the last value. If it panics, or the process is killed
    /// meanwhile, that stays.
    pub fn update<R>(&mut self, change: impl FnOnce(&mut T) -> R) -> R {
        let mut value = self.lock.read();
        let result = change(&mut value);
        self.write(value);
        result
    }

    /// What is written.
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
        // Release: what was written comes before the next writer. If it is not ours any more, a
        // peer has scribbled.
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
