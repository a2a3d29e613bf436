//! Segments: memory that processes share.

mod builder;
pub(crate) mod footer;
mod list;
mod mapped;
mod names;
mod path;
#[cfg(all(test, target_os = "linux"))]
mod tests;
mod view;

use crate::sync::AtomicU64;
use crate::sync::unmodelled::AtomicU32;
use std::fmt;
use std::io;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::Arc;

use ipc_core::__private::handle;
use ipc_core::__private::step;
use ipc_sys as sys;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

pub(crate) use self::builder::OpenMode;
pub use self::builder::SegmentBuilder;
pub use self::list::SegmentInfo;
use self::mapped::{CURSOR, Mapped};
use self::path::SegmentPath;
pub use self::view::View;
use crate::attach::participant_limit::not_issued;
use crate::attach::participants::Participants;
use crate::layout::PAGE;

/// Memory that processes share: a handle, cloned and sent freely.
///
/// What Python calls `multiprocessing.shared_memory.SharedMemory`. A handle goes to another process
/// in the arguments of `multiprocess::spawn` or in a message of a route that carries handles, or
/// the other process opens it by its name. Bytes are copied in and out with [`read`](Segment::read)
/// and [`write`](Segment::write); typed data goes into a [`Shared`](crate::Shared), a
/// [`SharedSlice`](crate::SharedSlice) or a [`SeqLock`](crate::SeqLock).
///
/// ```
/// use ipc_shm::Segment;
///
/// let segment = Segment::anonymous(4096)?;
/// segment.write(100, b"hello")?;
/// let mut back = [0; 5];
/// segment.read(100, &mut back)?;
/// assert_eq!(&back, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// | question | answer |
/// |---|---|
/// | which name | one component, as `shm_open`'s without the slash in front: no slash, no control character, 1 to 255 bytes |
/// | who may open it | who its mode lets, 0600 if nothing else is asked for; what belongs to another user, gives more rights than asked for, has a second name or is no regular file is refused |
/// | is there memory for all of it | yes, from the beginning: a full file system is an error and never a SIGBUS |
/// | can its size change | an anonymous one's not: it is sealed. Whoever may write a named one can cut it off under your feet; touching it then is SIGBUS |
/// | is it in a core dump | no |
/// | when does a name go | [`Lifetime`](crate::Lifetime) |
/// | what does another program see | the object `/dev/shm/NAME`, user data at offset 0, some pages of ours at the end |
/// | and the other way round | an object made by another program opens as bytes: nobody knows who is attached, no locks in it |
///
/// # When a process dies
///
/// Its part in the segment is free again at once, its bytes are what they were. If everybody was
/// killed, a name of [`LastHandle`](crate::Lifetime::LastHandle) stays until somebody comes to it:
/// [`open`](Segment::open) and [`open_or_create`](Segment::open_or_create) find the data that is
/// left, [`create`](Segment::create) replaces it, [`list`](Segment::list) shows it as abandoned,
/// and [`remove_abandoned`](Segment::remove_abandoned) removes it. Until then it keeps its memory.
///
/// # Forks
///
/// A process that was forked without exec has no mapping of the segments that its parent had: to
/// read, write or send an inherited one is an error, and dropping it changes nothing in the parent.
/// It may make, open and receive segments of its own, also those that its parent has, and is a
/// participant of its own then.
#[derive(Clone)]
pub struct Segment {
    mapped: Arc<Mapped>,
}

impl Segment {
    /// Makes a segment of `size` bytes, all zero, that has no name: it goes when the last process
    /// that uses it has gone, however it goes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the size is 0 or larger than any memory; `Unsupported` on systems that
    /// this crate does not know yet; whatever the system answers, with the step that failed.
    #[doc(alias = "memfd_create")]
    pub fn anonymous(size: usize) -> io::Result<Segment> {
        SegmentBuilder::new(size).anonymous()
    }

    /// Makes a segment of `size` bytes, all zero, under a name that nobody uses.
    ///
    /// What was left under the name by processes that are all dead is replaced, unless it is
    /// [`Persistent`](crate::Lifetime::Persistent).
    ///
    /// # Errors
    ///
    /// `AlreadyExists` if somebody uses the name; `InvalidInput` if the name or the size cannot be;
    /// `PermissionDenied` if something is there that is not to be trusted; `StorageFull` if there
    /// is no room; `TimedOut` if a process is stopped in the midst of it. Nothing is left behind.
    #[doc(alias = "shm_open")]
    pub fn create(name: &str, size: usize) -> io::Result<Segment> {
        SegmentBuilder::new(size).create(name)
    }

    /// Opens the segment of this name, also one that another program made.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none; `PermissionDenied` if what is there is not to be trusted;
    /// `InvalidData` if it is no segment, or holds a value of some type; others as
    /// [`create`](Segment::create).
    #[doc(alias = "shm_open")]
    pub fn open(name: &str) -> io::Result<Segment> {
        SegmentBuilder::new(0).open(name)
    }

    /// Opens the segment of this name if there is one of at least `size` bytes, and makes it if
    /// there is none. Of any number of processes that do this at once, one makes it.
    ///
    /// # Errors
    ///
    /// As [`open`](Segment::open) and [`create`](Segment::create), but for `NotFound` and
    /// `AlreadyExists`.
    #[doc(alias = "shm_open")]
    pub fn open_or_create(name: &str, size: usize) -> io::Result<Segment> {
        SegmentBuilder::new(size).open_or_create(name)
    }

    /// Opens the file at this path as a segment, or makes one of `size` bytes. It is there to stay:
    /// [`Lifetime::Persistent`](crate::Lifetime::Persistent) if nothing else is asked for.
    ///
    /// Its bytes are written to disk by the system, some time after. A file of another program, of
    /// any length, is mapped as it is.
    ///
    /// # Errors
    ///
    /// As [`open_or_create`](Segment::open_or_create); `Unsupported` on a file system that cannot
    /// promise memory (`fallocate`).
    #[doc(alias = "mmap")]
    pub fn file(path: impl AsRef<Path>, size: usize) -> io::Result<Segment> {
        SegmentBuilder::new(size).file(path)
    }

    /// Removes a name. Whoever has the segment keeps it; the name is free for another at once.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none; `PermissionDenied` if it is no regular file, or may not be
    /// removed; `TimedOut` if a process is stopped in the midst of opening or leaving it.
    #[doc(alias = "shm_unlink")]
    pub fn unlink(name: &str) -> io::Result<()> {
        SegmentBuilder::new(0).lookup(SegmentPath::Name(name.to_owned()))?.unlink()
    }

    /// Removes the names, beginning with `prefix`, of segments whose every user was killed; returns
    /// them in order.
    ///
    /// A segment's name goes with the last process that has it
    /// ([`LastHandle`](crate::Lifetime::LastHandle)). A process that is killed, by SIGKILL, by
    /// SIGTERM without a handler or by a crash, cannot remove it, so after the last one the name
    /// stays, with its memory, until it is opened, replaced by [`create`](Segment::create), or
    /// removed here. Everything that has a name is a segment: locks, [`Shared`](crate::Shared) and
    /// others too.
    ///
    /// What stays: segments that a process has, or that are on their way to one; those of
    /// [`Persistent`](crate::Lifetime::Persistent) lifetime; those of other users; files that are
    /// none of this crate's. Blocks for nothing: a segment that another process is opening at this
    /// moment is in use. Other processes see the name go, and `NotFound` when they open it.
    ///
    /// A service that restarts calls this first, with what its names begin with;
    /// [`SegmentBuilder::remove_abandoned`] does it with each `create`.
    ///
    /// ```
    /// use ipc_shm::Segment;
    ///
    /// for name in Segment::remove_abandoned("shop-orders-")? {
    ///     eprintln!("removed {name}, whose users were killed");
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// If the directory of shared memory (`/dev/shm`) cannot be read. What cannot be removed is
    /// left.
    #[doc(alias = "shm_unlink")]
    pub fn remove_abandoned(prefix: &str) -> io::Result<Vec<String>> {
        list::remove_abandoned(prefix)
    }

    /// The named segments of this crate that this process may read, in the order of their names.
    ///
    /// # Errors
    ///
    /// If the directory of shared memory (`/dev/shm`) cannot be read.
    pub fn list() -> io::Result<Vec<SegmentInfo>> {
        list::list()
    }

    /// A view of the same memory that cannot write.
    ///
    /// # Errors
    ///
    /// Whatever the system answers, with the step that failed; `Unsupported` in a forked process.
    pub fn view(&self) -> io::Result<View> {
        View::of(self)
    }

    fn of(mapped: Arc<Mapped>) -> Segment {
        Segment { mapped }
    }

    /// Its name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self.mapped.segment_path() {
            SegmentPath::Name(name) => Some(name),
            _ => None,
        }
    }

    /// How many processes are attached, this one and handles on their way included; `None` of a
    /// segment that another program made.
    #[must_use]
    pub fn attached(&self) -> Option<usize> {
        let footer = self.mapped.footer()?;
        let open = self.mapped.open_descriptor().ok()?;
        Some(footer.living(open))
    }

    /// Where its bytes begin, as long as a handle of the segment lives in this process.
    ///
    /// Other processes may write there at any time, so make no reference to it but to atomics,
    /// unless you know that they do not.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.mapped.base().as_ptr()
    }

    /// Copies the bytes at `offset` to `to`. What a peer writes meanwhile may arrive or not, in any
    /// mixture.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if they are not all in the segment; `Unsupported` in a process that was
    /// forked since.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> io::Result<()> {
        self.mapped.not_forked()?;
        self.mapped.read(offset, to).ok_or_else(|| self.outside(offset, to.len(), 1))
    }

    /// Copies `bytes` to `offset`. A peer that reads there meanwhile may see any mixture.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if they do not all fit into the segment; `Unsupported` in a process that was
    /// forked since.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.mapped.not_forked()?;
        self.mapped.write(offset, bytes).ok_or_else(|| self.outside(offset, bytes.len(), 1))
    }

    /// Bytes of user data.
    #[must_use]
    pub fn size(&self) -> usize {
        self.mapped.size()
    }

    /// Who is attached.
    ///
    /// # Errors
    ///
    /// `Unsupported` of a foreign segment: nobody knows.
    pub(crate) fn participants(&self) -> io::Result<&Participants> {
        self.mapped.participants().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::Unsupported,
                format!(
                    "{}: it was not made by this library, so nobody knows who is attached: \
                     no locks in it, and nothing can be placed",
                    self.mapped.segment_path()
                ),
            )
        })
    }

    /// Whether both are the same memory.
    #[must_use]
    pub fn same_segment(&self, other: &Segment) -> bool {
        self.mapped.identity() == other.mapped.identity()
    }

    /// Gives out `bytes` of user data, zero if nobody wrote there by an offset of his own, aligned
    /// so, never to be given out again; returns their offset.
    ///
    /// # Errors
    ///
    /// `StorageFull` if there is no room; `InvalidInput` if `align` is no power of two or more than
    /// a page; `Unsupported` of a foreign segment.
    pub(crate) fn place(&self, bytes: usize, align: usize) -> io::Result<usize> {
        self.participants()?;
        let Some(cursor) = self.mapped.cursor() else { unreachable!("it has participants") };
        if !align.is_power_of_two() || align > PAGE {
            return Err(
                self.error(io::ErrorKind::InvalidInput, "cannot place data with such an alignment")
            );
        }
        self.mapped.not_forked()?;
        let mut at = cursor.load(CURSOR);
        loop {
            // Whatever a peer wrote there: checked on this copy.
            let start = usize::try_from(at).ok().and_then(|at| at.checked_next_multiple_of(align));
            let end = start.and_then(|start| start.checked_add(bytes));
            let (Some(start), Some(end)) = (start, end.filter(|end| *end <= self.size())) else {
                let text = format!("no room for {bytes} bytes more in its {}", self.size());
                return Err(self.error(io::ErrorKind::StorageFull, &text));
            };
            match cursor.compare_exchange(at, end as u64, CURSOR, CURSOR) {
                Ok(_) => return Ok(start),
                Err(now) => at = now,
            }
        }
    }

    /// The process that has it mapped.
    pub(crate) fn process(&self) -> sys::fork::ForkCheck {
        self.mapped.process()
    }

    fn error(&self, kind: io::ErrorKind, what: &str) -> io::Error {
        io::Error::new(kind, format!("{}: {what}", self.mapped.segment_path()))
    }

    fn outside(&self, offset: usize, bytes: usize, align: usize) -> io::Error {
        let size = self.size();
        let what = format!("{bytes} bytes at {offset}, aligned to {align}, are not in its {size}");
        self.error(io::ErrorKind::InvalidInput, &what)
    }

    /// Where `bytes` bytes at `offset` lie, as long as a handle of the segment does.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if they are not in the segment, or not aligned so.
    pub(crate) fn at(&self, offset: usize, bytes: usize, align: usize) -> io::Result<NonNull<u8>> {
        self.mapped.not_forked()?;
        self.mapped.at(offset, bytes, align).ok_or_else(|| self.outside(offset, bytes, align))
    }

    /// `n` words of 64 bits at `offset`.
    ///
    /// # Errors
    ///
    /// As [`at`](Segment::at).
    pub(crate) fn words64(&self, offset: usize, n: usize) -> io::Result<&[AtomicU64]> {
        self.mapped.not_forked()?;
        self.mapped.words64(offset, n).ok_or_else(|| self.outside(offset, n.saturating_mul(8), 8))
    }

    /// `n` words of 32 bits at `offset`.
    ///
    /// # Errors
    ///
    /// As [`at`](Segment::at).
    pub(crate) fn words32(&self, offset: usize, n: usize) -> io::Result<&[AtomicU32]> {
        self.mapped.not_forked()?;
        self.mapped.words32(offset, n).ok_or_else(|| self.outside(offset, n.saturating_mul(4), 4))
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("path", &format_args!("{}", self.mapped.segment_path()))
            .field("size", &self.size())
            .finish()
    }
}

impl Serialize for Segment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some((index, id)) = handle::context(|sent: &Sent| sent.of(&self.mapped)) {
            return (index, id, self.mapped.segment_path()).serialize(serializer);
        }
        // Asked first: taking an id for a message that cannot carry it would be for nothing.
        handle::carried().map_err(|error| ser::Error::custom(handle::record_cause(error)))?;
        self.mapped
            .not_forked()
            .map_err(|error| ser::Error::custom(handle::record_cause(error)))?;
        let (lease, id) = self.mapped.issue().map_err(not_issued)?;
        let index = handle::attach(lease)
            .map_err(|error| ser::Error::custom(handle::record_cause(error)))?;
        handle::set_context(Sent { segment: self.mapped.identity(), index, id });
        (index, id, self.mapped.segment_path()).serialize(serializer)
    }
}

/// A note in a message that is being encoded: its values of one segment, be they a hundred locks,
/// take one descriptor and one participant on their way.
struct Sent {
    segment: sys::Identity,
    index: u32,
    id: u16,
}

impl Sent {
    fn of(&self, mapped: &Mapped) -> Option<(u32, u16)> {
        (self.segment == mapped.identity()).then_some((self.index, self.id))
    }
}

/// And in one that is being decoded: the descriptor and id that a mapping was attached from.
struct AttachedFrom {
    index: u32,
    id: u16,
    mapped: Arc<Mapped>,
}

impl<'de> Deserialize<'de> for Segment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (index, id, segment_path) = <(u32, u16, SegmentPath)>::deserialize(deserializer)?;
        let here = |arrived: &AttachedFrom| {
            ((arrived.index, arrived.id) == (index, id)).then(|| Arc::clone(&arrived.mapped))
        };
        if let Some(mapped) = handle::context(here) {
            return Ok(Segment { mapped });
        }
        let fd = handle::take(index).ok_or_else(|| {
            de::Error::custom(handle::record_cause(format!(
                "{segment_path}: its descriptor did not arrive"
            )))
        })?;
        let mapped = arrive(fd, id, segment_path)
            .map_err(|error| de::Error::custom(handle::record_cause(error)))?;
        handle::set_context(AttachedFrom { index, id, mapped: Arc::clone(&mapped) });
        Ok(Segment { mapped })
    }
}

/// What came in a message: nothing of it is believed.
fn arrive(fd: handle::OsHandle, id: u16, segment_path: SegmentPath) -> io::Result<Arc<Mapped>> {
    arrived(&fd, &segment_path, true)?;
    Mapped::attach(fd, (id != 0).then_some(id), None, segment_path)
}

/// Whether what arrived can be a segment.
fn arrived(fd: &handle::OsHandle, segment_path: &SegmentPath, write: bool) -> io::Result<()> {
    segment_path.check()?;
    let open = sys::borrow(fd);
    let stat = step(segment_path, "looking at it", sys::file::stat_file(open))?;
    if !stat.regular
        || (write && !step(segment_path, "looking at it", sys::memory::mappable(open))?)
    {
        return Err(mapped::refused(segment_path, "what arrived is no file to read and write"));
    }
    if *segment_path == SegmentPath::Anonymous {
        if !sys::memory::sealed(open) {
            return Err(mapped::refused(segment_path, "what arrived is not sealed"));
        }
    } else if stat.owner != sys::process::user() {
        let what = "it belongs to another user: open it by its name, with `any_owner`";
        return Err(mapped::refused(segment_path, what));
    }
    Ok(())
}
