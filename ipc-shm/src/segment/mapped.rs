//! A process' one mapping of a segment, and its membership.
//!
//! A process attaches to a segment once, however many handles of it arrive or are opened. A table
//! in the process finds the mapping again by the object's identity.

// Turns offsets into pointers and references to atomics.
#![allow(unsafe_code)]

use crate::sync::unmodelled::{AtomicBool, AtomicU32};
use crate::sync::{AtomicU64, Ordering};
use std::collections::HashMap;
use std::io;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ipc_core::__private::step;
use ipc_core::OsHandle;
use ipc_sys as sys;
use ipc_sys::lease::Unforked;
use ipc_sys::memory::MmapRaw;
use ipc_sys::per_process::PerProcess;

use super::names;
use super::path::SegmentPath;
use crate::attach::descriptor::Descriptor;
use crate::attach::lease::ByteLocks;
use crate::attach::participant_limit;
use crate::attach::participants::{Owner, Participants, Table};
use crate::copy::bytes_at;
use crate::killpoint::kill_point;
use crate::segment::footer::{END_WORDS, EndWords, Entry, Footer, FooterState, Lifetime, META};

type Attached = HashMap<sys::Identity, Weak<Mapped>>;
static TABLE: PerProcess<Mutex<Attached>> = PerProcess::new();

/// Locks the table. A panic leaves nothing half done in it.
fn table() -> MutexGuard<'static, Attached> {
    TABLE.get().lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the names removed when the program ends.
///
/// A handle in a static, or one that was forgotten, is never dropped.
fn remove_names_at_exit() {
    // Relaxed: the flag guards no other memory. A forked child inherits both the exit handler and
    // the flag.
    static ASKED: AtomicBool = AtomicBool::new(false);
    if !ASKED.load(Ordering::Relaxed) {
        // Before the flag is set: in a child that is forked in between, the handler runs twice, and
        // not never.
        sys::process::at_exit(at_exit);
        ASKED.store(true, Ordering::Relaxed);
    }
}

extern "C" fn at_exit() {
    // A program that ends in the middle of attaching leaves names, as if it were killed.
    let Ok(mut table) = TABLE.get().try_lock() else { return };
    // Taken out: if this runs twice, the second time finds nothing.
    let left: Vec<Arc<Mapped>> = table.drain().filter_map(|(_, weak)| weak.upgrade()).collect();
    drop(table);
    for mapped in left {
        // Not unmapped: other threads may still use it.
        mapped
            .membership
            .leave(|participants| participants.into_iter().for_each(Participants::end));
    }
}

/// A segment in this process.
pub(crate) struct Mapped {
    /// The life lease lives as long as this.
    mapping: ManuallyDrop<MmapRaw>,
    /// Bytes of user data.
    size: usize,
    fork: sys::fork::ForkCheck,
    membership: Membership,
}

/// The membership of this process in the segment, and the segment's name.
struct Membership {
    /// `None` for a foreign segment.
    ours: Option<Ours>,
    descriptor: Arc<Descriptor>,
    segment_path: SegmentPath,
    /// Whether later handles can find it. False if it could not be finished.
    known: AtomicBool,
}

/// The part that only segments of this crate have.
struct Ours {
    footer: Footer,
    participants: Participants,
}

/// Checks that this process has the mapping.
///
/// It has it unless it was forked from the one that `process` is.
#[inline]
pub(crate) fn not_forked(
    process: sys::fork::ForkCheck,
    segment_path: &SegmentPath,
) -> io::Result<()> {
    if process.forked() { Err(forked(segment_path)) } else { Ok(()) }
}

#[cold]
fn forked(segment_path: &SegmentPath) -> io::Error {
    let text = format!(
        "{segment_path}: this process was forked, without exec, from the one that attached to it, and has no \
         part in it; open it or receive it here"
    );
    io::Error::new(io::ErrorKind::Unsupported, text)
}

impl Membership {
    /// Removes the name if no other process has the segment, and detaches by calling `depart`.
    fn leave(&self, depart: impl FnOnce(Option<&Participants>)) {
        let ours = self.ours.as_ref();
        let last_removes = ours.is_some_and(|ours| ours.footer.lifetime == Lifetime::LastHandle);
        let known = self.known.load(Ordering::Relaxed); // Relaxed: as where it is stored.
        let path = self.segment_path.path().filter(|_| last_removes && known);
        let lock = path.as_ref().and_then(|path| names::NameLock::of(&self.descriptor, path));
        // Held until this process has detached. So if two processes detach at once, the second
        // finds that it is alone. If the name cannot be locked, it stays, as if this process had
        // been killed.
        let guard = lock.as_ref().and_then(names::NameLock::lock);
        if let (Some(ours), Some(path), Some(guard)) = (ours, &path, &guard) {
            if !ours.participants.others(guard.on()) {
                names::remove(path, self.descriptor.identity());
            }
        }
        depart(ours.map(|ours| &ours.participants));
    }
}

/// The error if all ids belong to living participants.
fn full(segment_path: &SegmentPath, footer: &Footer) -> io::Error {
    participant_limit::all_taken(segment_path, footer.participants)
}

impl Mapped {
    /// Makes this process the first participant of a new object.
    ///
    /// The object is allocated and all zero. It has no description until
    /// [`describe`](Mapped::describe) is called.
    pub(crate) fn create(
        fd: Unforked,
        footer: Footer,
        segment_path: SegmentPath,
    ) -> io::Result<Arc<Mapped>> {
        let lease = Unforked::open(|| sys::descriptor::reopen(fd.fd()));
        let lease = step(&segment_path, "opening it again (is /proc mounted?)", lease)?;
        let mapping = step(&segment_path, "mapping it", sys::memory::map(lease.fd(), footer.len))?;
        let entries = entries(&mapping, &footer);
        let id = step(&segment_path, "taking a lease", entries.issue(lease.fd()))?
            .ok_or_else(|| full(&segment_path, &footer))?;
        kill_point!("segment.leased");
        let me = entries.enter(id, participant_limit::pid_identity()).expect("an id of this table");
        drop(lease); // The mapping keeps the lock.
        Ok(Arc::new(Self::new(mapping, fd, Some((footer, entries, me)), segment_path)?))
    }

    /// Publishes the description of a new segment.
    pub(crate) fn describe(&self) {
        if let Some(ours) = &self.membership.ours {
            kill_point!("segment.describe");
            ours.footer.write(end_words(&self.mapping));
            kill_point!("segment.described");
        }
    }

    fn new(
        mapping: MmapRaw,
        fd: Unforked,
        ours: Option<(Footer, Table, Owner)>,
        segment_path: SegmentPath,
    ) -> io::Result<Mapped> {
        if segment_path != SegmentPath::Anonymous {
            remove_names_at_exit();
        }
        let descriptor = Arc::new(step(&segment_path, "looking at it", Descriptor::new(fd))?);
        let size = ours.as_ref().map_or(mapping.len(), |(footer, ..)| footer.size);
        let ours = ours.map(|(footer, table, me)| Ours {
            footer,
            participants: Participants::new(table, me, Arc::clone(&descriptor)),
        });
        Ok(Mapped {
            mapping: ManuallyDrop::new(mapping),
            size,
            fork: sys::fork::ForkCheck::new(),
            membership: Membership {
                ours,
                descriptor,
                segment_path,
                known: AtomicBool::new(false),
            },
        })
    }

    /// Registers the mapping, so that later handles of the object in this process find it.
    pub(crate) fn known(self: Arc<Mapped>) -> Arc<Mapped> {
        // Relaxed: only this process uses it, and the mapping is handed over as a whole.
        self.membership.known.store(true, Ordering::Relaxed);
        table().insert(self.membership.descriptor.identity(), Arc::downgrade(&self));
        self
    }

    /// Attaches this process to the object of an open file, unless it is attached already.
    ///
    /// With `issued`, the open file holds the life lease of that id. With `holds`, the value in the
    /// object must have this fingerprint. If the object is already mapped, the caller checks that
    /// with [`must_hold`](Mapped::must_hold).
    pub(crate) fn attach(
        fd: OsHandle,
        issued: Option<u16>,
        holds: Option<u64>,
        segment_path: SegmentPath,
    ) -> io::Result<Arc<Mapped>> {
        let open = sys::borrow(&fd);
        let refuse = |what: &str| refused(&segment_path, what);
        let identity = step(&segment_path, "looking at it", sys::descriptor::identity(open))?;
        // Held until the end: two handles of one segment that arrive at once make one mapping.
        let mut table = table();
        if let Some(here) = table.get(&identity).and_then(Weak::upgrade) {
            // The lease that arrived ends, because nothing names its id. It is released here, not
            // by closing, because a forked child may have a copy of the descriptor.
            if let Some(id) = issued.filter(|id| *id != 0) {
                ByteLocks(open).end_life(id.into());
            }
            return Ok(here);
        }
        let len = step(&segment_path, "looking at it", sys::memory::len(open))?;
        let found = find(open, len).map_err(|error| match error {
            Ok(what) => refuse(what),
            Err(error) => io::Error::new(
                error.kind(),
                format!("{segment_path}: reading its description: {error}"),
            ),
        })?;
        match &found {
            FooterState::Unfinished => {
                return Err(refuse("its creator died before it was finished"));
            }
            FooterState::Foreign => holds_what(&segment_path, None, holds)?,
            // Before this process attaches: if it detached again, it might be the last.
            FooterState::Ours(footer) => holds_what(&segment_path, Some(footer), holds)?,
        }
        // The file that is mapped is closed, and its mapping holds the life lease. Another one is
        // kept open.
        let lease = Unforked::open(|| sys::descriptor::reopen(open));
        let lease = step(&segment_path, "opening it again (is /proc mounted?)", lease)?;
        let on = lease.fd();
        let mapping = step(&segment_path, "mapping it", sys::memory::map(on, len))?;
        kill_point!("segment.mapped");
        // An object that has shrunk since cannot be accessed without SIGBUS. A process that shrinks
        // it later is itself to blame.
        if step(&segment_path, "looking at it", sys::memory::len(on))? != len {
            return Err(refuse("its length changes"));
        }
        let ours = match found {
            FooterState::Foreign | FooterState::Unfinished => None,
            FooterState::Ours(footer) => {
                let entries = entries(&mapping, &footer);
                let id = match issued {
                    // On the open file that holds the lease, taking it again succeeds. No other
                    // process can have it.
                    Some(id) => {
                        let (arrived, id) = (ByteLocks(open), u64::from(id));
                        let known = id < footer.entries() as u64 && id != 0;
                        if !known
                            || !step(&segment_path, "taking its lease", arrived.take_life(id))?
                        {
                            return Err(refuse("its participant is not there"));
                        }
                        // A child that was forked when the message arrived may have a copy of the
                        // descriptor, and keep the lease on it. So the lease moves to an open file
                        // that no child has.
                        arrived.end_life(id);
                        kill_point!("segment.moving");
                        step(&segment_path, "moving its lease", ByteLocks(on).take_life(id))?
                            .then_some(id as u16)
                    }
                    None => None,
                };
                // If another participant was given that id in between, any free id is taken.
                let id = match id {
                    Some(id) => id,
                    None => step(&segment_path, "taking a lease", entries.issue(on))?
                        .ok_or_else(|| full(&segment_path, &footer))?,
                };
                let me = entries
                    .enter(id, participant_limit::pid_identity())
                    .ok_or_else(|| refuse("no such id"))?;
                Some((footer, entries, me))
            }
        };
        drop(fd);
        let own = step(
            &segment_path,
            "opening it again",
            Unforked::open(|| sys::descriptor::reopen(lease.fd())),
        )?;
        drop(lease); // The mapping keeps the lock.
        let mapped = Arc::new(Self::new(mapping, own, ours, segment_path)?);
        mapped.membership.known.store(true, Ordering::Relaxed); // Relaxed: as in `known`.
        table.insert(identity, Arc::downgrade(&mapped));
        Ok(mapped)
    }

    /// Checks that the value in the segment has this fingerprint.
    pub(crate) fn must_hold(&self, fingerprint: u64) -> io::Result<()> {
        holds_what(&self.membership.segment_path, self.footer(), Some(fingerprint))
    }

    /// Makes a handle for another process.
    ///
    /// Returns a descriptor, and the id whose life lease it holds (0 for a foreign segment).
    pub(crate) fn issue(&self) -> io::Result<(OsHandle, u16)> {
        let fd = self.open_descriptor()?;
        let lease = step(
            &self.membership.segment_path,
            "opening it again",
            Unforked::open(|| sys::descriptor::reopen(fd)),
        )?;
        let Some(ours) = &self.membership.ours else { return Ok((lease.send(), 0)) };
        let table = ours.participants.table();
        let id = step(&self.membership.segment_path, "taking a lease", table.issue(lease.fd()))?
            .ok_or_else(|| full(&self.membership.segment_path, &ours.footer))?;
        kill_point!("segment.issue");
        table.enter(id, crate::layout::pid_hint::NONE);
        Ok((lease.send(), id))
    }

    /// Returns the descriptor, or an error if the program has closed it.
    pub(crate) fn open_descriptor(&self) -> io::Result<sys::Borrowed<'_>> {
        self.membership.descriptor.get().ok_or_else(|| {
            io::Error::other(format!(
                "{}: this program has closed the segment's descriptor",
                self.membership.segment_path
            ))
        })
    }

    pub(crate) fn segment_path(&self) -> &SegmentPath {
        &self.membership.segment_path
    }

    pub(crate) fn identity(&self) -> sys::Identity {
        self.membership.descriptor.identity()
    }

    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.fork.forked()
    }

    /// Returns the process that has the mapping.
    pub(crate) fn process(&self) -> sys::fork::ForkCheck {
        self.fork
    }

    /// Checks that this is that process.
    #[inline]
    pub(crate) fn not_forked(&self) -> io::Result<()> {
        not_forked(self.fork, &self.membership.segment_path)
    }

    /// Bytes of user data.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn footer(&self) -> Option<&Footer> {
        self.membership.ours.as_ref().map(|ours| &ours.footer)
    }

    pub(crate) fn participants(&self) -> Option<&Participants> {
        self.membership.ours.as_ref().map(|ours| &ours.participants)
    }

    /// Returns the allocation cursor.
    pub(crate) fn cursor(&self) -> Option<&AtomicU64> {
        self.membership.ours.as_ref().map(|_| &end_words(&self.mapping).cursor.0)
    }

    /// Maps all pages now, rather than at their first access.
    pub(crate) fn populate(&self) -> io::Result<()> {
        step(
            &self.membership.segment_path,
            "mapping its pages",
            sys::memory::populate(&self.mapping),
        )
    }

    /// Locks the segment in memory, as long as this process has it mapped.
    pub(crate) fn pin(&self) -> io::Result<()> {
        step(
            &self.membership.segment_path,
            "locking it in memory (see RLIMIT_MEMLOCK)",
            sys::memory::pin(&self.mapping),
        )
    }

    /// Returns where the user data begins.
    #[inline]
    pub(crate) fn base(&self) -> NonNull<u8> {
        NonNull::new(self.mapping.as_mut_ptr()).expect("a mapping is somewhere")
    }

    /// Returns whether `len` bytes at `offset` are user data, aligned to `align`.
    #[inline]
    fn has(&self, offset: usize, len: usize, align: usize) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.size) && offset % align == 0
    }

    /// Returns where `len` bytes at `offset` lie, if they are user data, aligned to `align`.
    #[inline]
    pub(crate) fn at(&self, offset: usize, len: usize, align: usize) -> Option<NonNull<u8>> {
        if !self.has(offset, len, align) {
            return None;
        }
        // SAFETY: within the mapping, checked above.
        Some(unsafe { self.base().add(offset) })
    }

    /// Copies bytes out. Returns `None` if they are not all user data.
    pub(crate) fn read(&self, offset: usize, to: &mut [u8]) -> Option<()> {
        let from = self.at(offset, to.len(), 1)?;
        // SAFETY: so many bytes are mapped there, as long as `self` is. A caller that makes
        // references to them vouches for what other processes do.
        unsafe { bytes_at::read(from, to) };
        Some(())
    }

    /// Copies bytes in. Returns `None` if they do not all fit into user data.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) -> Option<()> {
        let to = self.at(offset, bytes.len(), 1)?;
        // SAFETY: as `read`, and the mapping is writable.
        unsafe { bytes_at::write(to, bytes) };
        Some(())
    }

    /// Returns `n` words of 64 bits.
    #[inline]
    pub(crate) fn words64(&self, offset: usize, n: usize) -> Option<&[AtomicU64]> {
        let at = self.at(offset, n.checked_mul(8)?, 8)?;
        // SAFETY: so many bytes are mapped there as long as `self` is. They are aligned, because
        // the base is aligned to a page. Atomics are valid whatever bytes they hold. As with peers,
        // the user keeps other views of them (`words32`, pointers that users write through) apart.
        Some(unsafe { std::slice::from_raw_parts(at.as_ptr().cast(), n) })
    }

    /// Returns `n` words of 32 bits.
    #[inline]
    pub(crate) fn words32(&self, offset: usize, n: usize) -> Option<&[AtomicU32]> {
        let at = self.at(offset, n.checked_mul(4)?, 4)?;
        // SAFETY: as `words64`.
        Some(unsafe { std::slice::from_raw_parts(at.as_ptr().cast(), n) })
    }
}

pub(crate) fn refused(segment_path: &SegmentPath, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{segment_path}: refused: {what}"))
}

/// Checks whether a segment holds what is wanted, if that is known.
fn holds_what(
    segment_path: &SegmentPath,
    footer: Option<&Footer>,
    want: Option<u64>,
) -> io::Result<()> {
    match (footer.map_or(0, |footer| footer.fingerprint), want) {
        (_, None) => Ok(()),
        (have, Some(want)) if have == want => Ok(()),
        (0, Some(_)) => Err(refused(segment_path, "it holds bytes, not a value of this type")),
        (_, Some(0)) => Err(refused(segment_path, "it holds a value of some type, not bytes")),
        _ => Err(refused(segment_path, "it holds a value of another type")),
    }
}

/// Reads the end of an object of `len` bytes. `Ok` in the error says why it was refused.
pub(crate) fn find(
    open: sys::Borrowed<'_>,
    len: usize,
) -> Result<FooterState, Result<&'static str, io::Error>> {
    if len == 0 {
        return Err(Ok("it is empty"));
    }
    if len % crate::layout::PAGE != 0 {
        return Ok(FooterState::Foreign);
    }
    let mut meta = [0; META];
    sys::memory::read_at(open, &mut meta, (len - END_WORDS) as u64).map_err(Err)?;
    Footer::read(len, &meta).map_err(Ok)
}

/// Returns the entries in a mapping that is as long as the footer says.
fn entries(mapping: &MmapRaw, footer: &Footer) -> Table {
    assert!(mapping.len() == footer.len && footer.entries_offset() < footer.len);
    let base = NonNull::new(mapping.as_mut_ptr()).expect("a mapping is somewhere");
    // SAFETY: within the mapping, asserted above.
    let first = unsafe { base.add(footer.entries_offset()) };
    // SAFETY: so many entries lie before the last words (`footer_len`), at whole pages. Only this
    // crate's atomics access them. The mapping outlives the table, which is dropped with the
    // `Mapped`, or before.
    unsafe { Table::new(first.cast::<Entry>(), footer.entries()) }
}

/// Returns the last words of a mapping of at least a page, and of whole pages.
fn end_words(mapping: &MmapRaw) -> &EndWords {
    assert!(mapping.len() >= END_WORDS && mapping.len() % END_WORDS == 0);
    let end_words = mapping.as_mut_ptr().wrapping_add(mapping.len() - END_WORDS);
    // SAFETY: these are the last bytes of the mapping, aligned to their length, because the mapping
    // begins at a page. They are atomics only.
    unsafe { &*end_words.cast::<EndWords>() }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.forked() {
            // The mapping is not this process' (MADV_DONTFORK), nor is the membership.
            return;
        }
        let Mapped { mapping, membership, .. } = self;
        membership.leave(|participants| {
            participants.into_iter().for_each(Participants::leave);
            kill_point!("segment.unmap");
            // SAFETY: called once, here. All users of the mapping hold this `Mapped`, so none is
            // left.
            unsafe { ManuallyDrop::drop(mapping) };
            kill_point!("segment.unmapped");
        });
        let mut table = table();
        let identity = self.membership.descriptor.identity();
        if table.get(&identity).is_some_and(|weak| weak.strong_count() == 0) {
            table.remove(&identity);
        }
    }
}

impl std::fmt::Debug for Mapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapped")
            .field("path", &self.membership.segment_path)
            .field("size", &self.size)
            .finish()
    }
}

/// The ordering of the allocation cursor, which carries no edge.
///
/// The process that allocates data hands it over by other means.
pub(crate) const CURSOR: Ordering = Ordering::Relaxed;
