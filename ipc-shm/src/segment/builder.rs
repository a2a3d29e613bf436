//! Options of a segment that is created or opened.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::handle::Segment;
use super::list;
use super::lookup::{MODE, NameLookup};
use super::mapped::Mapped;
use super::names::CreateArgs;
use super::path::SegmentPath;
use ipc_core::__private::step;
use ipc_sys as sys;
use ipc_sys::lease::Unforked;

use crate::attach::participant_limit;
use crate::layout::PAGE;
use crate::segment::footer::{Footer, Lifetime};

/// How long `create` may take to remove names that killed processes left.
const CLEANING: Duration = Duration::from_millis(10);

/// Creates and opens segments with other options than [`Segment`]'s own functions.
///
/// ```
/// use ipc_shm::SegmentBuilder;
///
/// let segment = SegmentBuilder::new(1 << 20).participants(4).prefault(true).anonymous()?;
/// assert_eq!(segment.size(), 1 << 20);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct SegmentBuilder {
    size: usize,
    /// The least bytes of a segment that is opened.
    least: usize,
    mode: u32,
    participants: usize,
    lifetime: Option<Lifetime>,
    any_owner: bool,
    huge_pages: bool,
    prefault: bool,
    lock_memory: bool,
    /// The fingerprint of the value that lies in the segment; 0 for bytes.
    fingerprint: u64,
    /// The prefix of the abandoned names that are removed first.
    abandoned: Option<String>,
}

/// Whether a named segment is created or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OpenMode {
    Create,
    Open,
    OpenOrCreate,
}

impl SegmentBuilder {
    /// A segment of `size` bytes. For one that is there already, the least it must have; 0 if any
    /// will do.
    pub fn new(size: usize) -> SegmentBuilder {
        SegmentBuilder {
            size,
            least: size,
            mode: MODE,
            participants: participant_limit::by_default(),
            lifetime: None,
            any_owner: false,
            huge_pages: false,
            prefault: false,
            lock_memory: false,
            fingerprint: 0,
            abandoned: None,
        }
    }

    /// Sets the rights of a new named segment, exactly, whatever the umask. The default is 0600.
    ///
    /// They are also the most rights that an existing segment may give. One that gives more is
    /// refused, because a user that can write to it can break it. The rights must include the
    /// owner's.
    pub fn mode(mut self, mode: u32) -> SegmentBuilder {
        self.mode = mode;
        self
    }

    /// Sets how many processes can be attached at once, at most 1023.
    ///
    /// The number includes handles on their way. The default is two for each processor of this
    /// machine, and not fewer than 127. When all are taken, the segment can neither be opened nor
    /// sent. The error says so, and names this method.
    pub fn participants(mut self, most: usize) -> SegmentBuilder {
        self.participants = most;
        self
    }

    /// Sets when the name is removed.
    ///
    /// The default is with the last handle, and for a [`file`](SegmentBuilder::file) never.
    pub fn lifetime(mut self, lifetime: Lifetime) -> SegmentBuilder {
        self.lifetime = Some(lifetime);
        self
    }

    /// Sets whether to open a segment of another user.
    ///
    /// The default is to refuse it, because the other user may write to the segment.
    pub fn any_owner(mut self, yes: bool) -> SegmentBuilder {
        self.any_owner = yes;
        self
    }

    /// Sets whether to use explicit huge pages (`MFD_HUGETLB`).
    ///
    /// Creation fails if the administrator has reserved none (`/proc/sys/vm/nr_hugepages`). They
    /// are for anonymous segments only, because names are in another file system.
    #[doc(alias = "MFD_HUGETLB")]
    pub fn huge_pages(mut self, yes: bool) -> SegmentBuilder {
        self.huge_pages = yes;
        self
    }

    /// Sets whether to map all pages at once, and not at their first access.
    ///
    /// It uses `MADV_POPULATE_WRITE`. The memory itself is always allocated from the beginning.
    #[doc(alias = "MADV_POPULATE_WRITE")]
    pub fn prefault(mut self, yes: bool) -> SegmentBuilder {
        self.prefault = yes;
        self
    }

    /// Sets whether to lock the segment in memory (`mlock`).
    ///
    /// It stays locked as long as this process has it.
    #[doc(alias = "mlock")]
    pub fn lock_memory(mut self, yes: bool) -> SegmentBuilder {
        self.lock_memory = yes;
        self
    }

    /// Lets a segment that is opened have any size. The caller checks what it needs.
    pub(crate) fn of_any_size(mut self) -> SegmentBuilder {
        self.least = 0;
        self
    }

    pub(crate) fn fingerprint(mut self, fingerprint: u64) -> SegmentBuilder {
        self.fingerprint = fingerprint;
        self
    }

    /// Removes abandoned names first, as [`Segment::remove_abandoned`] does.
    ///
    /// [`create`](SegmentBuilder::create) and [`open_or_create`](SegmentBuilder::open_or_create)
    /// then first remove the names that begin with `prefix` and whose every user was killed.
    ///
    /// It is for programs whose names differ from run to run, so that names left by killed ones do
    /// not pile up. It takes 10 ms at most, and leaves the rest to the next call. An error of the
    /// removal does not make `create` fail. The name that is created or opened is never removed.
    ///
    /// ```
    /// use ipc_shm::SegmentBuilder;
    ///
    /// let name = format!("shop-orders-{}", std::process::id());
    /// let orders = SegmentBuilder::new(4096).remove_abandoned("shop-orders-").create(&name)?;
    /// # drop(orders);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn remove_abandoned(mut self, prefix: impl Into<String>) -> SegmentBuilder {
        self.abandoned = Some(prefix.into());
        self
    }

    /// Creates a segment without a name, as [`Segment::anonymous`] does.
    ///
    /// # Errors
    ///
    /// As [`Segment::anonymous`].
    pub fn anonymous(&self) -> io::Result<Segment> {
        let path = SegmentPath::Anonymous;
        let name = "multiprocess-segment";
        let (what, create) = if self.huge_pages {
            ("creating it of huge pages", sys::memory::create_huge as fn(&str) -> _)
        } else {
            ("creating it", sys::memory::create as fn(&str) -> _)
        };
        let fd = path.step(what, Unforked::open(|| create(name)))?;
        let open = fd.fd();
        let granule = if self.huge_pages {
            path.step("looking at it", sys::memory::granule(open))?
        } else {
            PAGE
        };
        let footer = self.footer(&path, granule)?;
        path.step("sizing it", sys::memory::set_len(open, footer.len))?;
        path.step("allocating it", sys::memory::allocate(open, 0, footer.len))?;
        path.step("sealing it", sys::memory::seal(open))?;
        let mapped = Mapped::create(fd, footer, path)?;
        mapped.describe();
        self.apply_memory_options(&mapped)?;
        Ok(Segment::of(mapped.known()))
    }

    /// Creates a segment under a name that is not in use, as [`Segment::create`] does.
    ///
    /// # Errors
    ///
    /// As [`Segment::create`].
    pub fn create(&self, name: &str) -> io::Result<Segment> {
        self.named(OpenMode::Create, name, &mut |_| Ok(()))
    }

    /// Opens the segment of this name, as [`Segment::open`] does.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`]; and `InvalidData` if it is smaller than asked for.
    pub fn open(&self, name: &str) -> io::Result<Segment> {
        self.named(OpenMode::Open, name, &mut |_| Ok(()))
    }

    /// Opens or creates the segment of this name, as [`Segment::open_or_create`] does.
    ///
    /// # Errors
    ///
    /// As [`Segment::open_or_create`].
    pub fn open_or_create(&self, name: &str) -> io::Result<Segment> {
        self.named(OpenMode::OpenOrCreate, name, &mut |_| Ok(()))
    }

    /// Opens or creates the file at this path as a segment, as [`Segment::file`] does.
    ///
    /// # Errors
    ///
    /// As [`Segment::file`].
    pub fn file(&self, path: impl AsRef<Path>) -> io::Result<Segment> {
        let path = path.as_ref();
        let absolute =
            step(format_args!("segment file {path:?}"), "finding it", std::path::absolute(path))?;
        let mut terms = self.clone();
        terms.lifetime = Some(self.lifetime.unwrap_or(Lifetime::Persistent));
        terms.at(OpenMode::OpenOrCreate, SegmentPath::File(absolute), &mut |_| Ok(()))
    }

    /// Creates or opens a segment under a name. `fill` writes into a new one before another process
    /// sees it.
    pub(crate) fn named(
        &self,
        open_mode: OpenMode,
        name: &str,
        fill: &mut dyn FnMut(&Segment) -> io::Result<()>,
    ) -> io::Result<Segment> {
        self.at(open_mode, SegmentPath::Name(name.to_owned()), fill)
    }

    fn at(
        &self,
        open_mode: OpenMode,
        segment_path: SegmentPath,
        fill: &mut dyn FnMut(&Segment) -> io::Result<()>,
    ) -> io::Result<Segment> {
        let lookup = self.lookup(segment_path)?;
        let mut fill = |mapped: &Arc<Mapped>| {
            self.apply_memory_options(mapped)?;
            fill(&Segment::of(Arc::clone(mapped)))
        };
        let mapped = if open_mode == OpenMode::Open {
            lookup.open()?
        } else {
            if let (Some(prefix), SegmentPath::Name(name)) = (&self.abandoned, &lookup.segment_path)
            {
                list::remove_some_abandoned(prefix, name, Instant::now() + CLEANING);
            }
            if self.huge_pages {
                let text = "huge pages are for anonymous segments only";
                return Err(lookup.segment_path.error(io::ErrorKind::InvalidInput, text));
            }
            let mut args =
                CreateArgs { footer: &|| self.footer(&lookup.segment_path, PAGE), fill: &mut fill };
            match open_mode {
                OpenMode::Create => lookup.create(&mut args)?,
                _ => lookup.open_or_create(&mut args)?,
            }
        };
        let segment = Segment::of(mapped);
        if segment.size() < self.least {
            let text = format!("it has {} bytes, fewer than {}", segment.size(), self.least);
            return Err(segment.error(io::ErrorKind::InvalidData, &text));
        }
        self.apply_memory_options(&segment.mapped)?;
        Ok(segment)
    }

    fn lookup(&self, segment_path: SegmentPath) -> io::Result<NameLookup> {
        let lookup = NameLookup::new(segment_path, self.mode)?;
        Ok(NameLookup { any_owner: self.any_owner, holds: self.fingerprint, ..lookup })
    }

    fn footer(&self, segment_path: &SegmentPath, granule: usize) -> io::Result<Footer> {
        let lifetime = self.lifetime.unwrap_or_default();
        Footer::new(self.size, self.participants, lifetime, self.fingerprint, granule)
            .map_err(|what| segment_path.error(io::ErrorKind::InvalidInput, what))
    }

    /// Applies the options that concern only this process.
    fn apply_memory_options(&self, mapped: &Arc<Mapped>) -> io::Result<()> {
        if self.prefault {
            mapped.populate()?;
        }
        if self.lock_memory {
            mapped.pin()?;
        }
        Ok(())
    }
}
