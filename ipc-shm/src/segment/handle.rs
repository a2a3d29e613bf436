//! A handle to a segment: the data in it, and how it goes to another process.

use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use ipc_core::__private::handle;
use ipc_sys as sys;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::mapped::{CURSOR, Mapped};
use super::path::SegmentPath;
use crate::attach::participant_limit::not_issued;
use crate::attach::participants::Participants;
use crate::layout::PAGE;
use crate::sync::AtomicU64;
use crate::sync::unmodelled::AtomicU32;

/// A handle to memory that processes share. Handles are cloned and sent freely.
///
/// It is what Python calls `multiprocessing.shared_memory.SharedMemory`. A handle goes to another
/// process in the arguments of `multiprocess::spawn`, or in a message of a route that carries
/// handles. The other process can also open the segment by its name. [`read`](Segment::read) and
/// [`write`](Segment::write) copy bytes out and in. Typed data goes into a
/// [`Shared`](crate::Shared), a [`SharedSlice`](crate::SharedSlice) or a
/// [`SeqLock`](crate::SeqLock).
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
/// | which name | one component, as the name of `shm_open` without the leading slash: no slash, no control character, 1 to 255 bytes |
/// | which users may open it | those that its mode allows, 0600 by default; an object that belongs to another user, gives more rights than asked for, has a second name, or is no regular file is refused |
/// | is there memory for all of it | yes, from the beginning: a full file system is an error and never a SIGBUS |
/// | can its size change | an anonymous segment is sealed, so no; a process that may write to a named one can truncate it, and then access is SIGBUS |
/// | is it in a core dump | no |
/// | when is a name removed | see [`Lifetime`](crate::Lifetime) |
/// | what does another program see | the object `/dev/shm/NAME`, with user data at offset 0 and some pages of this crate at the end |
/// | what of another program's object | it opens as bytes; its users are unknown, so it can hold no locks |
///
/// # When a process dies
///
/// Its part in the segment is free again at once, and its bytes stay as they were. If all users
/// were killed, a name of [`LastHandle`](crate::Lifetime::LastHandle) stays, and keeps its memory:
///
/// - [`open`](Segment::open) and [`open_or_create`](Segment::open_or_create) find the data that is
///   left.
/// - [`create`](Segment::create) replaces it.
/// - [`list`](Segment::list) shows it as abandoned.
/// - [`remove_abandoned`](Segment::remove_abandoned) removes it.
///
/// # Forks
///
/// A process that was forked without exec has no mapping of the segments that its parent had. To
/// read, write or send an inherited one is an error, and dropping it changes nothing in the parent.
/// The process may make, open and receive segments of its own, also those that its parent has. It
/// is then a participant of its own.
#[derive(Clone)]
pub struct Segment {
    pub(super) mapped: Arc<Mapped>,
}

impl Segment {
    pub(super) fn of(mapped: Arc<Mapped>) -> Segment {
        Segment { mapped }
    }

    /// Returns the segment's name, if it has one.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match self.mapped.segment_path() {
            SegmentPath::Name(name) => Some(name),
            _ => None,
        }
    }

    /// Returns how many processes are attached.
    ///
    /// The number includes this process and handles on their way. Returns `None` for a segment that
    /// another program made.
    #[must_use]
    pub fn attached(&self) -> Option<usize> {
        let footer = self.mapped.footer()?;
        let open = self.mapped.open_descriptor().ok()?;
        Some(footer.living(open))
    }

    /// Returns where the bytes begin. Valid as long as this process has a handle of the segment.
    ///
    /// Other processes may write there at any time. So make no references to it except to atomics,
    /// unless you know that they do not.
    #[must_use]
    pub fn as_ptr(&self) -> *mut u8 {
        self.mapped.base().as_ptr()
    }

    /// Copies the bytes at `offset` to `to`.
    ///
    /// If a peer writes there meanwhile, the result may be any mixture of old and new bytes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the bytes are not all in the segment; `Unsupported` in a process that was
    /// forked since.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> io::Result<()> {
        self.mapped.not_forked()?;
        self.mapped.read(offset, to).ok_or_else(|| self.outside(offset, to.len(), 1))
    }

    /// Copies `bytes` to `offset`.
    ///
    /// A peer that reads there meanwhile may see any mixture of old and new bytes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the bytes do not all fit into the segment; `Unsupported` in a process that
    /// was forked since.
    pub fn write(&self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        self.mapped.not_forked()?;
        self.mapped.write(offset, bytes).ok_or_else(|| self.outside(offset, bytes.len(), 1))
    }

    /// Returns the number of bytes of user data.
    #[must_use]
    pub fn size(&self) -> usize {
        self.mapped.size()
    }

    /// Returns the participants of the segment.
    ///
    /// # Errors
    ///
    /// `Unsupported` for a foreign segment, whose participants are unknown.
    pub(crate) fn participants(&self) -> io::Result<&Participants> {
        self.mapped.participants().ok_or_else(|| {
            let what = "it was not made by this library, so it does not say which processes are attached: \
                        no locks in it, and nothing can be placed";
            self.error(io::ErrorKind::Unsupported, what)
        })
    }

    /// Returns whether both handles lead to the same memory.
    #[must_use]
    pub fn same_segment(&self, other: &Segment) -> bool {
        self.mapped.identity() == other.mapped.identity()
    }

    /// Allocates `bytes` of user data, aligned to `align`, and returns their offset.
    ///
    /// The bytes are never allocated again. They are zero, unless a process wrote there by an
    /// offset of its own.
    ///
    /// # Errors
    ///
    /// `StorageFull` if there is no room; `InvalidInput` if `align` is no power of two or more than
    /// a page; `Unsupported` for a foreign segment.
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
            // A peer may have written anything there, so this copy is checked.
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

    /// Returns the process that has the segment mapped.
    pub(crate) fn process(&self) -> sys::fork::ForkCheck {
        self.mapped.process()
    }

    pub(super) fn error(&self, kind: io::ErrorKind, what: &str) -> io::Error {
        self.mapped.segment_path().error(kind, what)
    }

    fn outside(&self, offset: usize, bytes: usize, align: usize) -> io::Error {
        let size = self.size();
        let what = format!("{bytes} bytes at {offset}, aligned to {align}, are not in its {size}");
        self.error(io::ErrorKind::InvalidInput, &what)
    }

    /// Returns where `bytes` bytes at `offset` lie. Valid as long as a handle of the segment lives.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if they are not in the segment, or not aligned to `align`.
    pub(crate) fn at(&self, offset: usize, bytes: usize, align: usize) -> io::Result<NonNull<u8>> {
        self.mapped.not_forked()?;
        self.mapped.at(offset, bytes, align).ok_or_else(|| self.outside(offset, bytes, align))
    }

    /// Returns `n` words of 64 bits at `offset`.
    ///
    /// # Errors
    ///
    /// As [`at`](Segment::at).
    pub(crate) fn words64(&self, offset: usize, n: usize) -> io::Result<&[AtomicU64]> {
        self.mapped.not_forked()?;
        self.mapped.words64(offset, n).ok_or_else(|| self.outside(offset, n.saturating_mul(8), 8))
    }

    /// Returns `n` words of 32 bits at `offset`.
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
        // Checked first, so that no id is taken for a message that cannot carry it.
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

/// A note on a message that is being encoded, about a segment that it carries.
///
/// It has the segment's descriptor and id. All values of one segment, be they a hundred locks,
/// share one descriptor and one participant in a message.
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

/// A note on a message that is being decoded, about a mapping that was attached from it.
///
/// It has the descriptor and id that the mapping was attached from.
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
            return Ok(Segment::of(mapped));
        }
        let fd = handle::take(index).ok_or_else(|| {
            de::Error::custom(handle::record_cause(format!(
                "{segment_path}: its descriptor did not arrive"
            )))
        })?;
        let mapped = arrive(fd, id, segment_path)
            .map_err(|error| de::Error::custom(handle::record_cause(error)))?;
        handle::set_context(AttachedFrom { index, id, mapped: Arc::clone(&mapped) });
        Ok(Segment::of(mapped))
    }
}

/// Attaches to a segment that arrived in a message, of which nothing is trusted.
fn arrive(fd: handle::OsHandle, id: u16, segment_path: SegmentPath) -> io::Result<Arc<Mapped>> {
    arrived(&fd, &segment_path, true)?;
    Mapped::attach(fd, (id != 0).then_some(id), None, &segment_path)
}

/// Checks whether an object that arrived can be a segment.
pub(super) fn arrived(
    fd: &handle::OsHandle,
    segment_path: &SegmentPath,
    write: bool,
) -> io::Result<()> {
    segment_path.check()?;
    let open = sys::borrow(fd);
    let stat = segment_path.step("looking at it", sys::file::stat_file(open))?;
    if !stat.regular
        || (write && !segment_path.step("looking at it", sys::memory::mappable(open))?)
    {
        return Err(segment_path.refuse("what arrived is no file to read and write"));
    }
    if *segment_path == SegmentPath::Anonymous {
        if !sys::memory::sealed(open) {
            return Err(segment_path.refuse("what arrived is not sealed"));
        }
    } else if stat.owner != sys::process::user() {
        let what = "it belongs to another user: open it by its name, with `any_owner`";
        return Err(segment_path.refuse(what));
    }
    Ok(())
}
