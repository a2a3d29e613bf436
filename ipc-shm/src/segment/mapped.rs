//! A process' one mapping of a segment, and its membership.
//!
//! A process attaches to a segment once, however many handles of it arrive or are opened: a table of the
//! process finds the mapping again by the object's identity.

// Turns offsets into pointers and references to atomics.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::io;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError, Weak};

use ipc_core::handle::OsHandle;
use memmap2::MmapRaw;

use super::Descriptor;
use super::origin::Origin;
use crate::killpoint::kp;
use crate::lease::ByteLocks;
use crate::member::{Members, Table};
use crate::step::step;
use crate::sys;
use crate::trailer::{Entry, FOOTER, Footer, Found, META, Trailer};

type Attached = HashMap<sys::Identity, Weak<Mapped>>;
static TABLE: LazyLock<Mutex<Attached>> = LazyLock::new(Mutex::default);

/// A panic leaves nothing half done in the table.
fn table() -> MutexGuard<'static, Attached> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A segment in this process.
pub(crate) struct Mapped {
    /// The life lease lives as long as this.
    mapping: ManuallyDrop<MmapRaw>,
    /// Bytes of user data.
    size: usize,
    /// `None` of a foreign segment.
    ours: Option<Ours>,
    fork: sys::ForkCheck,
    descriptor: Arc<Descriptor>,
    pub(crate) origin: Origin,
}

/// What only segments of this crate have.
struct Ours {
    trailer: Trailer,
    members: Members,
}

/// A mapping that is nobody's yet.
pub(crate) struct Fresh {
    mapping: MmapRaw,
    trailer: Trailer,
}

impl Fresh {
    /// Maps a new object from the open file that the life lease is to live on, and writes all of its trailer but
    /// the magic number.
    pub(crate) fn map(lease: sys::Borrowed<'_>, trailer: Trailer) -> io::Result<Fresh> {
        Ok(Fresh { mapping: sys::map(lease, trailer.len)?, trailer })
    }

    fn table(&self) -> Table {
        entries(&self.mapping, &self.trailer)
    }
}

/// A process that was forked from one that uses segments has none, and gets none: what it inherited of this
/// crate, the table included, is the other process'.
pub(crate) fn not_forked(origin: &Origin) -> io::Result<()> {
    if sys::ForkCheck::new().forked() {
        let text = format!("{origin}: this process was forked from one that uses segments, without exec");
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    Ok(())
}

/// All participants are alive.
fn full(origin: &Origin, trailer: &Trailer) -> io::Error {
    let most = trailer.participants;
    io::Error::new(
        io::ErrorKind::QuotaExceeded,
        format!("{origin}: all {most} participants are taken; make it with more `participants`"),
    )
}

impl Mapped {
    /// Makes this process the first participant of a new object, whose memory is paid for and all zero, lets
    /// `fill` write into it, and publishes its description.
    pub(crate) fn create(
        fd: OsHandle,
        trailer: Trailer,
        origin: Origin,
        fill: impl FnOnce(&Mapped) -> io::Result<()>,
    ) -> io::Result<Mapped> {
        let lease = step(&origin, "opening it again (is /proc mounted?)", sys::reopen(sys::borrow(&fd)))?;
        let fresh = step(&origin, "mapping it", Fresh::map(sys::borrow(&lease), trailer))?;
        let table = fresh.table();
        let id = step(&origin, "taking a lease", table.issue(sys::borrow(&lease)))?
            .ok_or_else(|| full(&origin, &trailer))?;
        kp!("segment.leased");
        let me = table.enter(id, sys::pid_identity()).expect("an id of this table");
        drop(lease); // The mapping keeps the lock.
        let mapped = Self::new(fresh.mapping, fd, Some((trailer, table, me)), origin)?;
        fill(&mapped)?;
        kp!("segment.filled");
        trailer.write(footer(&mapped.mapping));
        kp!("segment.made");
        Ok(mapped)
    }

    fn new(
        mapping: MmapRaw,
        fd: OsHandle,
        ours: Option<(Trailer, Table, crate::member::Owner)>,
        origin: Origin,
    ) -> io::Result<Mapped> {
        let descriptor = Arc::new(step(&origin, "looking at it", Descriptor::new(fd))?);
        let size = ours.as_ref().map_or(mapping.len(), |(trailer, ..)| trailer.size);
        let ours = ours.map(|(trailer, table, me)| Ours {
            trailer,
            members: Members::new(table, me, Arc::clone(&descriptor)),
        });
        Ok(Mapped {
            mapping: ManuallyDrop::new(mapping),
            size,
            ours,
            fork: sys::ForkCheck::new(),
            descriptor,
            origin,
        })
    }

    /// Has later comers to the same object in this process find this mapping.
    pub(crate) fn known(self) -> Arc<Mapped> {
        let identity = self.descriptor.identity();
        let mapped = Arc::new(self);
        table().insert(identity, Arc::downgrade(&mapped));
        mapped
    }

    /// Attaches this process to the object of an open file, unless it is already. With `issued`, the open file
    /// holds the life lease of that id.
    pub(crate) fn attach(fd: OsHandle, issued: Option<u16>, origin: Origin) -> io::Result<Arc<Mapped>> {
        not_forked(&origin)?;
        let open = sys::borrow(&fd);
        let refuse = |what: &str| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{origin}: segment refused: {what}"))
        };
        let identity = step(&origin, "looking at it", sys::identity(open))?;
        // Held throughout: two handles of one segment that arrive at once make one mapping.
        let mut table = table();
        if let Some(here) = table.get(&identity).and_then(Weak::upgrade) {
            // The lease that came goes with its descriptor; nothing names its id.
            return Ok(here);
        }
        let len = step(&origin, "looking at it", sys::len(open))?;
        let found = find(open, len).map_err(|error| match error {
            Ok(what) => refuse(what),
            Err(error) => io::Error::new(error.kind(), format!("{origin}: reading its description: {error}")),
        })?;
        // The one from which it is mapped is closed, and holds the life lease; the other is kept.
        let other = step(&origin, "opening it again (is /proc mounted?)", sys::reopen(open))?;
        let (lease, own) = if issued.is_some() { (fd, other) } else { (other, fd) };
        let on = sys::borrow(&lease);
        let mapping = step(&origin, "mapping it", sys::map(on, len))?;
        kp!("segment.mapped");
        // What shrank since cannot be touched without SIGBUS. Who shrinks it later is to blame himself.
        if step(&origin, "looking at it", sys::len(on))? != len {
            return Err(refuse("its length changes"));
        }
        let ours = match found {
            Found::Foreign => None,
            Found::Ours(trailer) => {
                let entries = entries(&mapping, &trailer);
                let id = match issued {
                    // On the very open file that holds it, taking it again succeeds: nobody else can have it.
                    Some(id) => {
                        let known = usize::from(id) < trailer.entries() && id != 0;
                        if !known || !step(&origin, "taking its lease", ByteLocks(on).take_life(id.into()))? {
                            return Err(refuse("its participant is not there"));
                        }
                        id
                    }
                    None => step(&origin, "taking a lease", entries.issue(on))?
                        .ok_or_else(|| full(&origin, &trailer))?,
                };
                let me = entries.enter(id, sys::pid_identity()).ok_or_else(|| refuse("no such id"))?;
                Some((trailer, entries, me))
            }
        };
        drop(lease); // The mapping keeps the lock.
        let mapped = Arc::new(Self::new(mapping, own, ours, origin)?);
        table.insert(identity, Arc::downgrade(&mapped));
        Ok(mapped)
    }

    /// Makes a handle for another process: a descriptor, and the id whose life lease it holds (0 of a foreign
    /// segment).
    pub(crate) fn issue(&self) -> io::Result<(OsHandle, u16)> {
        let fd = self.open_descriptor()?;
        let lease = step(&self.origin, "opening it again", sys::reopen(fd))?;
        let Some(ours) = &self.ours else { return Ok((lease, 0)) };
        let table = ours.members.table();
        let id = step(&self.origin, "taking a lease", table.issue(sys::borrow(&lease)))?
            .ok_or_else(|| full(&self.origin, &ours.trailer))?;
        kp!("segment.issue");
        table.enter(id, crate::layout::who::NOBODY);
        Ok((lease, id))
    }

    /// The descriptor, or what became of it.
    pub(crate) fn open_descriptor(&self) -> io::Result<sys::Borrowed<'_>> {
        self.descriptor.get().ok_or_else(|| {
            io::Error::other(format!("{}: this program has closed the segment's descriptor", self.origin))
        })
    }

    pub(crate) fn identity(&self) -> sys::Identity {
        self.descriptor.identity()
    }

    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.fork.forked()
    }

    /// Bytes of user data.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn trailer(&self) -> Option<&Trailer> {
        self.ours.as_ref().map(|ours| &ours.trailer)
    }

    pub(crate) fn members(&self) -> Option<&Members> {
        self.ours.as_ref().map(|ours| &ours.members)
    }

    /// The allocation cursor.
    pub(crate) fn cursor(&self) -> Option<&AtomicU64> {
        self.ours.as_ref().map(|_| &footer(&self.mapping).cursor.0)
    }

    /// Where the user data begins.
    #[inline]
    pub(crate) fn base(&self) -> NonNull<u8> {
        NonNull::new(self.mapping.as_mut_ptr()).expect("a mapping is somewhere")
    }

    /// Whether `len` bytes at `offset` are user data, aligned so.
    #[inline]
    fn has(&self, offset: usize, len: usize, align: usize) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.size) && offset % align == 0
    }

    /// Where `len` bytes at `offset` lie, if they are user data, aligned so.
    #[inline]
    pub(crate) fn at(&self, offset: usize, len: usize, align: usize) -> Option<NonNull<u8>> {
        if !self.has(offset, len, align) {
            return None;
        }
        // SAFETY: within the mapping, checked above.
        Some(unsafe { self.base().add(offset) })
    }

    /// `n` words of 64 bits.
    #[inline]
    pub(crate) fn words64(&self, offset: usize, n: usize) -> Option<&[AtomicU64]> {
        let at = self.at(offset, n.checked_mul(8)?, 8)?;
        // SAFETY: so many bytes are mapped there as long as `self` is, aligned, as the base is to a page;
        // atomics are valid whatever bytes they hold. Other views of them (`words32`, pointers that users
        // write through) are the user's to keep apart, as with peers.
        Some(unsafe { std::slice::from_raw_parts(at.as_ptr().cast(), n) })
    }

    /// `n` words of 32 bits.
    #[inline]
    pub(crate) fn words32(&self, offset: usize, n: usize) -> Option<&[AtomicU32]> {
        let at = self.at(offset, n.checked_mul(4)?, 4)?;
        // SAFETY: as `words64`.
        Some(unsafe { std::slice::from_raw_parts(at.as_ptr().cast(), n) })
    }
}

/// What the end of an object of `len` bytes says. `Ok` in the error: it was refused.
fn find(open: sys::Borrowed<'_>, len: usize) -> Result<Found, Result<&'static str, io::Error>> {
    if len == 0 {
        return Err(Ok("it is empty"));
    }
    if len % crate::layout::PAGE != 0 {
        return Ok(Found::Foreign);
    }
    let mut meta = [0; META];
    sys::read_at(open, &mut meta, (len - FOOTER) as u64).map_err(Err)?;
    Trailer::read(len, &meta).map_err(Ok)
}

/// The entries in a mapping that is as long as the trailer says.
fn entries(mapping: &MmapRaw, trailer: &Trailer) -> Table {
    assert!(mapping.len() == trailer.len && trailer.entries_offset() < trailer.len);
    let base = NonNull::new(mapping.as_mut_ptr()).expect("a mapping is somewhere");
    // SAFETY: within the mapping, asserted above.
    let first = unsafe { base.add(trailer.entries_offset()) };
    // SAFETY: so many entries lie before the footer (`trailer_len`), at whole pages; only this crate's atomics
    // access them; the mapping outlives the table, which is dropped with the `Mapped`, or before.
    unsafe { Table::new(first.cast::<Entry>(), trailer.entries()) }
}

/// The footer of a mapping of at least a page, and of whole pages.
fn footer(mapping: &MmapRaw) -> &Footer {
    assert!(mapping.len() >= FOOTER && mapping.len() % FOOTER == 0);
    let footer = mapping.as_mut_ptr().wrapping_add(mapping.len() - FOOTER);
    // SAFETY: the last bytes of the mapping, aligned to their length as it begins at a page; atomics only.
    unsafe { &*footer.cast::<Footer>() }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        if self.forked() {
            // The mapping is not ours (MADV_DONTFORK), nor is the membership.
            return;
        }
        if let Some(ours) = &self.ours {
            ours.members.leave();
        }
        kp!("segment.unmap");
        // SAFETY: once, here; whoever uses the mapping holds this.
        unsafe { ManuallyDrop::drop(&mut self.mapping) };
        kp!("segment.unmapped");
        let mut table = table();
        let identity = self.descriptor.identity();
        if table.get(&identity).is_some_and(|weak| weak.strong_count() == 0) {
            table.remove(&identity);
        }
    }
}

impl std::fmt::Debug for Mapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mapped").field("origin", &self.origin).field("size", &self.size).finish()
    }
}

/// Nothing rides on it: what was placed is handed over by whoever placed it.
pub(crate) const CURSOR: Ordering = Ordering::Relaxed;
