//! Creating, opening, finding and removing segments.

use std::io;
use std::path::Path;

use super::builder::SegmentBuilder;
use super::handle::Segment;
use super::list::{self, SegmentInfo};
use super::lookup::{MODE, NameLookup};
use super::path::SegmentPath;
use super::view::View;

impl Segment {
    /// Creates a segment of `size` bytes, all zero, that has no name.
    ///
    /// Its memory is freed when the last process that uses it detaches or dies.
    ///
    /// # Errors
    ///
    /// - `InvalidInput` if the size is 0 or larger than any memory.
    /// - `Unsupported` on systems that this crate does not know yet.
    /// - Any error of the system, with the step that failed.
    #[doc(alias = "memfd_create")]
    pub fn anonymous(size: usize) -> io::Result<Segment> {
        SegmentBuilder::new(size).anonymous()
    }

    /// Creates a segment of `size` bytes, all zero, under a name that is not in use.
    ///
    /// If processes that are all dead have left a segment under the name, it is replaced, unless it
    /// is [`Persistent`](crate::Lifetime::Persistent).
    ///
    /// # Errors
    ///
    /// - `AlreadyExists` if the name is in use.
    /// - `InvalidInput` if the name or the size is not allowed.
    /// - `PermissionDenied` if the name leads to an object that cannot be trusted.
    /// - `StorageFull` if there is no room.
    /// - `TimedOut` if a process is stopped while it creates, opens or removes the name.
    ///
    /// After an error nothing is left.
    #[doc(alias = "shm_open")]
    pub fn create(name: &str, size: usize) -> io::Result<Segment> {
        SegmentBuilder::new(size).create(name)
    }

    /// Opens the segment of this name, also one that another program made.
    ///
    /// # Errors
    ///
    /// - `NotFound` if there is none.
    /// - `PermissionDenied` if the object cannot be trusted.
    /// - `InvalidData` if it is no segment, or holds a value of some type.
    /// - Others as [`create`](Segment::create).
    #[doc(alias = "shm_open")]
    pub fn open(name: &str) -> io::Result<Segment> {
        SegmentBuilder::new(0).open(name)
    }

    /// Opens the segment of this name, or creates it if there is none.
    ///
    /// A segment that is opened must have at least `size` bytes. If several processes do this at
    /// once, exactly one creates it.
    ///
    /// # Errors
    ///
    /// As [`open`](Segment::open) and [`create`](Segment::create), except `NotFound` and
    /// `AlreadyExists`.
    #[doc(alias = "shm_open")]
    pub fn open_or_create(name: &str, size: usize) -> io::Result<Segment> {
        SegmentBuilder::new(size).open_or_create(name)
    }

    /// Opens the file at this path as a segment, or creates one of `size` bytes.
    ///
    /// The file stays: its lifetime is [`Lifetime::Persistent`](crate::Lifetime::Persistent) by
    /// default.
    ///
    /// The system writes its bytes to disk some time later. A file of another program, of any
    /// length, is mapped as it is.
    ///
    /// # Errors
    ///
    /// As [`open_or_create`](Segment::open_or_create); `Unsupported` on a file system that cannot
    /// reserve memory (`fallocate`).
    #[doc(alias = "mmap")]
    pub fn file(path: impl AsRef<Path>, size: usize) -> io::Result<Segment> {
        SegmentBuilder::new(size).file(path)
    }

    /// Removes a name. Processes that have the segment keep it, and the name is free at once.
    ///
    /// # Errors
    ///
    /// - `NotFound` if there is none.
    /// - `PermissionDenied` if it is no regular file, or may not be removed.
    /// - `TimedOut` if a process is stopped while it opens the segment or detaches from it.
    #[doc(alias = "shm_unlink")]
    pub fn unlink(name: &str) -> io::Result<()> {
        NameLookup::new(SegmentPath::Name(name.to_owned()), MODE)?.unlink()
    }

    /// Removes the names of segments whose every user was killed.
    ///
    /// Only names that begin with `prefix` are removed. Returns the removed names in order.
    ///
    /// The last process that has a segment removes its name
    /// ([`LastHandle`](crate::Lifetime::LastHandle)). A process that is killed, by SIGKILL, by
    /// SIGTERM without a handler or by a crash, cannot do so. If the last process is killed, the
    /// name stays, with its memory, until the segment is opened, replaced by
    /// [`create`](Segment::create), or removed here. Everything that has a name is a segment:
    /// locks, [`Shared`](crate::Shared) and others too.
    ///
    /// These names stay:
    ///
    /// - of segments that a process has, or that are on their way to one
    /// - of [`Persistent`](crate::Lifetime::Persistent) lifetime
    /// - of other users
    /// - of files that this crate did not make
    ///
    /// The function does not block. A segment that another process is opening at this moment is in
    /// use. After the removal, other processes get `NotFound` when they open the name.
    ///
    /// A service that restarts calls this first, with the prefix of its names.
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
    /// If the directory of shared memory (`/dev/shm`) cannot be read. Names that cannot be removed
    /// stay, without an error.
    #[doc(alias = "shm_unlink")]
    pub fn remove_abandoned(prefix: &str) -> io::Result<Vec<String>> {
        list::remove_abandoned(prefix)
    }

    /// Returns this crate's named segments that this process may read, sorted by name.
    ///
    /// # Errors
    ///
    /// If the directory of shared memory (`/dev/shm`) cannot be read.
    pub fn list() -> io::Result<Vec<SegmentInfo>> {
        list::list()
    }

    /// Returns a view of the same memory that cannot write.
    ///
    /// # Errors
    ///
    /// Any error of the system, with the step that failed; `Unsupported` in a forked process.
    pub fn view(&self) -> io::Result<View> {
        View::of(&self.mapped)
    }
}
