//! A process' one mapping of a segment, and its membership.
//!
//! The process attaches as to any object ([`attachments`]). The last one that detaches removes the
//! segment's name.

// Turns offsets into pointers and references to atomics.
#![allow(unsafe_code)]

use crate::sync::unmodelled::{AtomicBool, AtomicU32};
use crate::sync::{AtomicU64, Ordering};
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use ipc_core::OsHandle;
use ipc_sys as sys;
use ipc_sys::lease::Unforked;
use ipc_sys::memory::MmapRaw;

use super::footer::{END_WORDS, EndWords, Footer, Lifetime};
use super::name_lock::{self, NameLock};
use super::path::SegmentPath;
use crate::attach::attachments::{self, Attachments, reopen};
use crate::attach::descriptor::Descriptor;
use crate::attach::entries::{Entry, Owner, Table};
use crate::attach::lease::ByteLocks;
use crate::attach::mapped_file::MappedFile;
use crate::attach::participant_limit::{self, pid_identity};
use crate::attach::participants::Participants;
use crate::copy::bytes_at;
use crate::killpoint::kill_point;
use crate::layout::pid_hint;

static ATTACHMENTS: Attachments<Mapped> = Attachments::new();

extern "C" fn at_exit() {
    // A program that ends in the middle of attaching leaves names, as if it were killed. If this
    // runs twice, the second time finds nothing.
    for mapped in ATTACHMENTS.take_all() {
        // Not unmapped: other threads may still use it.
        mapped.membership.leave(mapped.file.descriptor(), |participants| {
            participants.into_iter().for_each(Participants::end);
        });
    }
}

/// A segment in this process.
pub(crate) struct Mapped {
    /// The life lease lives as long as its mapping.
    file: MappedFile,
    /// Bytes of user data.
    size: usize,
    membership: Membership,
}

/// The membership of this process in the segment, and the segment's name.
struct Membership {
    /// `None` for a foreign segment.
    ours: Option<Ours>,
    segment_path: SegmentPath,
    /// Whether later handles can find it. False if it could not be finished.
    known: AtomicBool,
}

/// The part that only segments of this crate have.
struct Ours {
    footer: Footer,
    participants: Participants,
}

/// What a process has of a segment of this crate before the mapping is handed over.
type Entered = (Footer, Table, Owner);

impl Membership {
    /// Removes the name if no other process has the segment, and detaches by calling `depart`.
    fn leave(&self, descriptor: &Descriptor, depart: impl FnOnce(Option<&Participants>)) {
        let ours = self.ours.as_ref();
        let last_removes = ours.is_some_and(|ours| ours.footer.lifetime == Lifetime::LastHandle);
        let known = self.known.load(Ordering::Relaxed); // Relaxed: as where it is stored.
        let path = self.segment_path.path().filter(|_| last_removes && known);
        let lock = path.as_ref().and_then(|path| NameLock::of(descriptor, path));
        // Held until this process has detached. So if two processes detach at once, the second
        // finds that it is alone. If the name cannot be locked, it stays, as if this process had
        // been killed.
        let guard = lock.as_ref().and_then(NameLock::lock);
        if let (Some(ours), Some(path), Some(guard)) = (ours, &path, &guard) {
            if !ours.participants.others(guard.on()) {
                name_lock::remove(path, descriptor.identity());
            }
        }
        depart(ours.map(|ours| &ours.participants));
    }
}

/// Takes a free id on the open file of a life lease.
fn issue(
    table: &Table,
    lease: sys::Borrowed<'_>,
    segment_path: &SegmentPath,
    footer: &Footer,
) -> io::Result<u16> {
    segment_path
        .step("taking a lease", table.issue(lease))?
        .ok_or_else(|| participant_limit::all_taken(segment_path, footer.participants))
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
        attachments::create(&segment_path, fd, |lease| {
            let lease = lease.fd();
            let mapping = segment_path.step("mapping it", sys::memory::map(lease, footer.len))?;
            let table = table(&mapping, &footer);
            let id = issue(&table, lease, &segment_path, &footer)?;
            kill_point!("segment.leased");
            let me = table.enter(id, pid_identity()).expect("an id of this table");
            let (ours, path) = (Some((footer, table, me)), segment_path.clone());
            Ok((mapping, move |file| Self::new(file, ours, path)))
        })
    }

    /// Publishes the description of a new segment.
    pub(crate) fn describe(&self) {
        if let Some(ours) = &self.membership.ours {
            kill_point!("segment.describe");
            ours.footer.write(end_words(self.file.mapping()));
            kill_point!("segment.described");
        }
    }

    fn new(file: MappedFile, ours: Option<Entered>, segment_path: SegmentPath) -> Mapped {
        if segment_path != SegmentPath::Anonymous {
            // A handle in a static, or one that was forgotten, is never dropped.
            static ASKED: AtomicBool = AtomicBool::new(false);
            sys::process::at_exit(&ASKED, at_exit);
        }
        let size = ours.as_ref().map_or(file.mapping().len(), |(footer, ..)| footer.size);
        let ours = ours.map(|(footer, table, me)| Ours {
            footer,
            participants: Participants::new(table, me, Arc::clone(file.descriptor())),
        });
        let membership = Membership { ours, segment_path, known: AtomicBool::new(false) };
        Mapped { file, size, membership }
    }

    /// Registers the mapping, so that later handles of the object in this process find it.
    pub(crate) fn known(self: Arc<Mapped>) -> Arc<Mapped> {
        // Relaxed: only this process uses it, and the mapping is handed over as a whole.
        self.membership.known.store(true, Ordering::Relaxed);
        ATTACHMENTS.insert(self.identity(), &self);
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
        segment_path: &SegmentPath,
    ) -> io::Result<Arc<Mapped>> {
        let enter = |open: sys::Borrowed<'_>, lease: &Unforked| {
            let (mapping, ours) = Self::enter(open, lease.fd(), issued, holds, segment_path)?;
            Ok((mapping, move |file| {
                let mapped = Self::new(file, ours, segment_path.clone());
                mapped.membership.known.store(true, Ordering::Relaxed); // Relaxed: as in `known`.
                mapped
            }))
        };
        let (mapped, unused) = ATTACHMENTS.attach(segment_path, fd, enter)?;
        if let (Some(fd), Some(id)) = (unused, issued) {
            // The lease that arrived ends, because nothing names its id. It is released here, not
            // by closing, because a forked child may have a copy of the descriptor.
            ByteLocks(sys::borrow(&fd)).end_life(id.into());
        }
        Ok(mapped)
    }

    /// Maps the object, and becomes a participant if it is a segment of this crate.
    fn enter(
        open: sys::Borrowed<'_>,
        lease: sys::Borrowed<'_>,
        issued: Option<u16>,
        holds: Option<u64>,
        segment_path: &SegmentPath,
    ) -> io::Result<(MmapRaw, Option<Entered>)> {
        let len = segment_path.step("looking at it", sys::memory::len(open))?;
        let footer = Footer::of(open, len, segment_path)?;
        // Before this process attaches: if it detached again, it might be the last.
        holds_what(segment_path, footer.as_ref(), holds)?;
        let mapping = segment_path.step("mapping it", sys::memory::map(lease, len))?;
        kill_point!("segment.mapped");
        // An object that has shrunk since cannot be accessed without SIGBUS. A process that shrinks
        // it later is itself to blame.
        if segment_path.step("looking at it", sys::memory::len(lease))? != len {
            return Err(segment_path.refuse("its length changes"));
        }
        let Some(footer) = footer else { return Ok((mapping, None)) };
        let table = table(&mapping, &footer);
        let mut moved = None;
        if let Some(id) = issued {
            // On the open file that holds the lease, taking it again succeeds. No other process can
            // have it.
            let (arrived, lasting) = (ByteLocks(open), u64::from(id));
            let known = lasting < footer.entries() as u64 && lasting != 0;
            if !known || !segment_path.step("taking its lease", arrived.take_life(lasting))? {
                return Err(segment_path.refuse("its participant is not there"));
            }
            let here = ByteLocks(lease).move_life(lasting, &arrived);
            moved = segment_path.step("moving its lease", here)?.then_some(id);
        }
        // If another participant was given that id in between, any free id is taken.
        let id = match moved {
            Some(id) => id,
            None => issue(&table, lease, segment_path, &footer)?,
        };
        let me =
            table.enter(id, pid_identity()).ok_or_else(|| segment_path.refuse("no such id"))?;
        Ok((mapping, Some((footer, table, me))))
    }

    /// Checks that the value in the segment has this fingerprint.
    pub(crate) fn must_hold(&self, fingerprint: u64) -> io::Result<()> {
        holds_what(self.segment_path(), self.footer(), Some(fingerprint))
    }

    /// Makes a handle for another process.
    ///
    /// Returns a descriptor, and the id whose life lease it holds (0 for a foreign segment).
    pub(crate) fn issue(&self) -> io::Result<(OsHandle, u16)> {
        let path = self.segment_path();
        let lease = reopen(path, self.open_descriptor()?)?;
        let Some(ours) = &self.membership.ours else { return Ok((lease.send(), 0)) };
        let table = ours.participants.table();
        let id = issue(table, lease.fd(), path, &ours.footer)?;
        kill_point!("segment.issue");
        table.enter(id, pid_hint::NONE);
        Ok((lease.send(), id))
    }

    /// Returns the descriptor, or an error if the program has closed it.
    pub(crate) fn open_descriptor(&self) -> io::Result<sys::Borrowed<'_>> {
        self.segment_path().open(self.file.descriptor())
    }

    pub(crate) fn segment_path(&self) -> &SegmentPath {
        &self.membership.segment_path
    }

    pub(crate) fn identity(&self) -> sys::Identity {
        self.file.identity()
    }

    /// Returns the process that has the mapping.
    pub(crate) fn process(&self) -> sys::fork::ForkCheck {
        self.file.process()
    }

    /// Checks that this is that process.
    #[inline]
    pub(crate) fn not_forked(&self) -> io::Result<()> {
        self.segment_path().not_forked(self.file.process())
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
        self.membership.ours.as_ref().map(|_| &end_words(self.file.mapping()).cursor.0)
    }

    /// Maps all pages now, rather than at their first access.
    pub(crate) fn populate(&self) -> io::Result<()> {
        let populated = sys::memory::populate(self.file.mapping());
        self.segment_path().step("mapping its pages", populated)
    }

    /// Locks the segment in memory, as long as this process has it mapped.
    pub(crate) fn pin(&self) -> io::Result<()> {
        let pinned = sys::memory::pin(self.file.mapping());
        self.segment_path().step("locking it in memory (see RLIMIT_MEMLOCK)", pinned)
    }

    /// Returns where the user data begins.
    #[inline]
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.file.base()
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

/// Checks whether a segment holds what is wanted, if that is known.
fn holds_what(
    segment_path: &SegmentPath,
    footer: Option<&Footer>,
    want: Option<u64>,
) -> io::Result<()> {
    match (footer.map_or(0, |footer| footer.fingerprint), want) {
        (_, None) => Ok(()),
        (have, Some(want)) if have == want => Ok(()),
        (0, Some(_)) => Err(segment_path.refuse("it holds bytes, not a value of this type")),
        (_, Some(0)) => Err(segment_path.refuse("it holds a value of some type, not bytes")),
        _ => Err(segment_path.refuse("it holds a value of another type")),
    }
}

/// Returns the entries of the participants in a mapping that is as long as the footer says.
fn table(mapping: &MmapRaw, footer: &Footer) -> Table {
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
        let Mapped { file, membership, .. } = self;
        if file.forked() {
            // Nor is the membership this process'.
            return;
        }
        let descriptor = Arc::clone(file.descriptor());
        membership.leave(&descriptor, |participants| {
            participants.into_iter().for_each(Participants::leave);
            kill_point!("segment.unmap");
            file.unmap();
            kill_point!("segment.unmapped");
        });
        ATTACHMENTS.remove(descriptor.identity());
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
