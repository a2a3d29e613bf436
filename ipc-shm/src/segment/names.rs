//! Names: how a segment gets one, is found by it, and loses it.
//!
//! Any number of processes may do all of this to one name at once, and be killed anywhere.
//!
//! ```text
//!   create   an object without a name (O_TMPFILE): allocated, filled, described, attached ──linkat──▶ named
//!   open     open the file ──▶ take its first byte ──▶ is it still what the name says? ──▶ attach ──▶ let go
//!   the last take its first byte ──▶ nobody else alive? remove the name ──▶ unmap ──▶ let go
//! ```
//!
//! - So there is no name of something half done, and whoever makes an object is attached before it
//!   can be seen. Where the file system has no objects without names, it is made under the name
//!   with its first byte locked; what is found unfinished and unlocked is a dead process', and is
//!   replaced, never mended.
//! - The first byte is a lock of each object, not of the name: who has it asks whether the name
//!   still leads to this object, or else starts over. Names are only removed by who has the byte
//!   and has asked.
//! - So whoever attaches finds the name leading to his object, and it goes on leading there while
//!   he lives, unless somebody calls `unlink`.
//! - The byte is the kernel's lock, so it goes with a killed process. Waiting for it is bounded: a
//!   process may be stopped while it has it.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ipc_core::__private::step;
use ipc_core::OsHandle;
use ipc_sys as sys;
use ipc_sys::lease::Unforked;

use super::Segment;
use super::mapped::{Mapped, find};
use super::path::SegmentPath;
use crate::attach::descriptor::Descriptor;
use crate::killpoint::kill_point;
use crate::segment::footer::{Footer, FooterState, Lifetime};

/// How long to wait for others at the same name: they need microseconds, and are stopped if they
/// take longer.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an unfinished object that nobody holds may belong to somebody who is about to. Who
/// takes it away too early has its maker begin anew.
const UNFINISHED: Duration = Duration::from_millis(100);
/// The same for who can only give up.
const UNFINISHED_TO_OPEN: Duration = Duration::from_secs(1);
const NAP: Duration = Duration::from_micros(100);

/// The first byte, whose lock is the object's name lock.
const LOCK_BYTE: u64 = 0;

/// The lock on an object's first byte, held until dropped.
pub(crate) struct NameLockGuard<'a>(sys::Borrowed<'a>);

impl<'a> NameLockGuard<'a> {
    /// Waits for it until then; `None` if it was not to be had.
    fn take(open: sys::Borrowed<'a>, until: Instant) -> io::Result<Option<NameLockGuard<'a>>> {
        loop {
            if sys::lease::try_lock(open, LOCK_BYTE)? {
                kill_point!("name.turn");
                return Ok(Some(NameLockGuard(open)));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            thread::sleep(NAP);
        }
    }

    /// The open file that it is on.
    pub(crate) fn on(&self) -> sys::Borrowed<'a> {
        self.0
    }
}

impl Drop for NameLockGuard<'_> {
    fn drop(&mut self) {
        // Not left to closing: a child that was forked meanwhile would keep the lock until it
        // execs.
        let _ = sys::lease::unlock(self.0, LOCK_BYTE);
    }
}

/// What is looked for, and on which terms.
pub(crate) struct NameLookup {
    pub(crate) segment_path: SegmentPath,
    pub(crate) path: PathBuf,
    /// The rights that it may give.
    pub(crate) mode: u32,
    /// Whether it may belong to another user.
    pub(crate) any_owner: bool,
    /// The fingerprint of what must lie in it.
    pub(crate) holds: u64,
}

/// What a new segment is made of.
pub(crate) struct CreateArgs<'a> {
    /// What it is to be; asked for only if it is made.
    pub(crate) footer: &'a dyn Fn() -> io::Result<Footer>,
    /// Fills it, before anybody else sees it. Called once for each object that is made.
    pub(crate) fill: &'a mut dyn FnMut(&Segment) -> io::Result<()>,
}

/// What came of opening what a name leads to.
enum OpenAttempt {
    Attached(Arc<Mapped>),
    /// The name led elsewhere when it was locked.
    Moved,
    /// Nobody is at it, and it is not done. Removed, if that was asked for.
    Unfinished(sys::Identity),
}

impl NameLookup {
    fn error(&self, kind: io::ErrorKind, what: &str) -> io::Error {
        io::Error::new(kind, format!("{}: {what}", self.segment_path))
    }

    fn step<T>(&self, what: &str, result: io::Result<T>) -> io::Result<T> {
        step(&self.segment_path, what, result)
    }

    /// Whether what is there may be used.
    fn trust(&self, stat: &sys::file::FileStat) -> io::Result<()> {
        let refuse = |what: &str| {
            Err(self.error(io::ErrorKind::PermissionDenied, &format!("not trusted: {what}")))
        };
        if !stat.regular {
            return refuse("it is no regular file, but a link, a pipe, a directory or a device");
        }
        if stat.owner != sys::process::user() && !self.any_owner {
            return refuse(&format!("it belongs to user {} (`any_owner` allows that)", stat.owner));
        }
        if stat.mode & !self.mode != 0 {
            return refuse(&format!(
                "its mode {:04o} gives rights that {:04o} does not",
                stat.mode, self.mode
            ));
        }
        if stat.second_name {
            return refuse("it has a second name");
        }
        Ok(())
    }

    /// An open file of what the name leads to, and may be trusted, to lock its first byte.
    fn open_to_lock(&self) -> io::Result<Unforked> {
        self.open_file(|path| Unforked::open(|| sys::file::open_file(path, true)), Unforked::fd)
    }

    fn open_file<F>(
        &self,
        open: impl FnOnce(&Path) -> io::Result<F>,
        borrow: fn(&F) -> sys::Borrowed<'_>,
    ) -> io::Result<F> {
        // Looked at first: opening some devices does things.
        let seen = self.step("looking for it", sys::file::stat_path(&self.path))?;
        self.trust(&seen)?;
        let open = self.step("opening it", open(&self.path))?;
        let stat = self.step("looking at it", sys::file::stat_file(borrow(&open)))?;
        self.trust(&stat)?;
        Ok(open)
    }

    /// Locks the first byte of an open file. `None` if the name does not lead there.
    fn lock<'a>(
        &self,
        open: sys::Borrowed<'a>,
        until: Instant,
    ) -> io::Result<Option<NameLockGuard<'a>>> {
        let guard =
            self.step("locking it", NameLockGuard::take(open, until))?.ok_or_else(|| {
                self.error(
                    io::ErrorKind::TimedOut,
                    "another process is at it, and does not end; is it stopped?",
                )
            })?;
        let here = self.step("looking at it", sys::file::stat_file(open))?;
        Ok(leads_to(&self.path, here.identity).then_some(guard))
    }

    /// Looks what is there, and attaches to it; or removes it, if it is this one and not finished.
    fn enter(&self, until: Instant, clear: Option<sys::Identity>) -> io::Result<OpenAttempt> {
        let file = self.open_to_lock()?;
        let open = file.fd();
        kill_point!("name.opened");
        let Some(guard) = self.lock(open, until)? else { return Ok(OpenAttempt::Moved) };
        // Again, as it is now.
        let stat = self.step("looking at it", sys::file::stat_file(open))?;
        self.trust(&stat)?;
        if stat.len == 0 || matches!(find(open, stat.len), Ok(FooterState::Unfinished)) {
            if clear == Some(stat.identity) {
                self.step("removing what its dead maker left", sys::file::remove(&self.path))?;
                kill_point!("name.cleared");
            }
            return Ok(OpenAttempt::Unfinished(stat.identity));
        }
        let own =
            self.step("opening it again (is /proc mounted?)", sys::descriptor::reopen(open))?;
        let mapped = Mapped::attach(own, None, Some(self.holds), self.segment_path.clone())?;
        kill_point!("name.attached");
        drop(guard);
        Ok(OpenAttempt::Attached(mapped))
    }

    /// Opens what the name leads to.
    pub(crate) fn open(&self) -> io::Result<Arc<Mapped>> {
        let text =
            "whoever makes it died before it was done, or is not done yet; `create` replaces it";
        self.open_until(Instant::now() + PATIENCE, false)?
            .ok_or_else(|| self.error(io::ErrorKind::InvalidData, text))
    }

    /// `None` if what was there was not finished by whoever made it; cleared away if asked for.
    fn open_until(&self, until: Instant, clear: bool) -> io::Result<Option<Arc<Mapped>>> {
        let patience = if clear { UNFINISHED } else { UNFINISHED_TO_OPEN };
        // Which, and since when: another one is another's, who has only begun.
        let mut unfinished = None;
        loop {
            let old = unfinished.filter(|(_, since): &(_, Instant)| since.elapsed() >= patience);
            let old = old.map(|(which, _)| which);
            match self.enter(until, old.filter(|_| clear))? {
                OpenAttempt::Attached(mapped) => {
                    // Not under the lock: dropped here, it may be the last handle, which takes
                    // the lock.
                    mapped.must_hold(self.holds)?;
                    return Ok(Some(mapped));
                }
                OpenAttempt::Moved => unfinished = None,
                OpenAttempt::Unfinished(seen) if old == Some(seen) => return Ok(None),
                OpenAttempt::Unfinished(seen) => {
                    if unfinished.is_none_or(|(which, _)| which != seen) {
                        unfinished = Some((seen, Instant::now()));
                    }
                    thread::sleep(NAP);
                }
            }
            self.in_time(until)?;
        }
    }

    fn in_time(&self, until: Instant) -> io::Result<()> {
        if Instant::now() < until {
            return Ok(());
        }
        Err(self.error(io::ErrorKind::TimedOut, "others make and remove it all the time"))
    }

    /// Makes it; `AlreadyExists` if somebody uses what is there, or it is there to stay.
    pub(crate) fn create(&self, args: &mut CreateArgs<'_>) -> io::Result<Arc<Mapped>> {
        self.create_until(Instant::now() + PATIENCE, args)
    }

    fn create_until(&self, until: Instant, args: &mut CreateArgs<'_>) -> io::Result<Arc<Mapped>> {
        let parent = self.path.parent().unwrap_or(Path::new("/"));
        let Some(fd) =
            self.step("creating it", Unforked::open_if(|| sys::file::create_unnamed(parent)))?
        else {
            return self.create_in_place(until, args);
        };
        let mapped = self.make(fd, (args.footer)()?, args)?;
        kill_point!("name.link");
        while !self.step(
            "giving it its name",
            sys::file::name_file(mapped.open_descriptor()?, &self.path),
        )? {
            self.evict(until)?;
            self.in_time(until)?;
        }
        kill_point!("name.linked");
        Ok(mapped.known())
    }

    /// Where the file system cannot make objects without names.
    pub(crate) fn create_in_place(
        &self,
        until: Instant,
        args: &mut CreateArgs<'_>,
    ) -> io::Result<Arc<Mapped>> {
        let footer = (args.footer)()?;
        loop {
            let Some(fd) = self
                .step("creating it", Unforked::open_if(|| sys::file::create_named(&self.path)))?
            else {
                self.evict(until)?;
                self.in_time(until)?;
                continue;
            };
            kill_point!("name.created");
            let open = fd.fd();
            // Somebody may have found it empty, and have taken it away.
            let Some(guard) = self.lock(open, until)? else { continue };
            let own = self.step(
                "opening it again (is /proc mounted?)",
                Unforked::open(|| sys::descriptor::reopen(open)),
            );
            let made = own.and_then(|own| {
                // From here on it is not empty, and does not look like another program's.
                let (mark, at) = footer.unfinished();
                self.step("writing to it", sys::memory::write_at(open, &mark, at as u64))?;
                kill_point!("name.marked");
                self.make(own, footer, args)
            });
            if made.is_err() {
                self.step("removing it", sys::file::remove(&self.path))?;
            }
            drop(guard);
            return made.map(Mapped::known);
        }
    }

    /// Makes an object of an empty file: all but its name.
    fn make(
        &self,
        fd: Unforked,
        footer: Footer,
        args: &mut CreateArgs<'_>,
    ) -> io::Result<Arc<Mapped>> {
        let open = fd.fd();
        self.step("setting its mode", sys::file::set_mode(open, self.mode))?;
        self.step("sizing it", sys::memory::set_len(open, footer.len))?;
        self.step("allocating it", sys::memory::allocate(open, 0, footer.len))?;
        kill_point!("name.allocated");
        let segment = Segment::of(Mapped::create(fd, footer, self.segment_path.clone())?);
        (args.fill)(&segment)?;
        segment.mapped.describe();
        Ok(segment.mapped)
    }

    /// Removes a name whose users are all dead, and that should have gone with them.
    fn evict(&self, until: Instant) -> io::Result<()> {
        let exists = |what: &str| {
            Err(self.error(io::ErrorKind::AlreadyExists, &format!("it is there already: {what}")))
        };
        let file = match self.open_to_lock() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            file => file?,
        };
        let open = file.fd();
        let patient = Instant::now() + UNFINISHED;
        loop {
            let Some(guard) = self.lock(open, until)? else { return Ok(()) };
            let stat = self.step("looking at it", sys::file::stat_file(open))?;
            let found =
                if stat.len == 0 { Ok(FooterState::Unfinished) } else { find(open, stat.len) };
            match found {
                Ok(FooterState::Unfinished) if Instant::now() < patient => {
                    drop(guard);
                    thread::sleep(NAP);
                    continue;
                }
                Ok(FooterState::Unfinished) => {}
                Ok(FooterState::Foreign) => return exists("made by another program"),
                Ok(FooterState::Ours(footer)) if footer.living(open) > 0 => {
                    return exists("a process has it");
                }
                Ok(FooterState::Ours(footer)) if footer.lifetime == Lifetime::Persistent => {
                    return exists("persistent; `unlink` removes it, `open` opens it");
                }
                Ok(FooterState::Ours(_)) => {}
                Err(Ok(what)) => return exists(&format!("{what}; `unlink` removes it")),
                Err(Err(error)) => return self.step("reading its description", Err(error)),
            }
            kill_point!("name.evict");
            self.step("removing what the dead left", sys::file::remove(&self.path))?;
            kill_point!("name.evicted");
            return Ok(());
        }
    }

    /// Opens it, or makes it.
    pub(crate) fn open_or_create(&self, args: &mut CreateArgs<'_>) -> io::Result<Arc<Mapped>> {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.open_until(until, true) {
                Ok(Some(mapped)) => return Ok(mapped),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            match self.create_until(until, args) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.in_time(until)?
                }
                made => return made,
            }
        }
    }

    /// An open file to be read only, and what lies in it: bytes, or a value.
    pub(crate) fn open_read_only(&self) -> io::Result<OsHandle> {
        self.open_file(|path| sys::file::open_file(path, false), sys::borrow)
    }

    /// Removes the name if every process that had the object was killed, and the last one was to
    /// remove it, or if its maker was killed before it was done. Returns whether it did. Waits for
    /// nothing: an object that another process is at is in use.
    pub(crate) fn remove_if_abandoned(&self) -> io::Result<bool> {
        let file = self.open_to_lock()?;
        let open = file.fd();
        // First without the lock, which others at the name would have to wait for.
        if !self.is_abandoned(open)? {
            return Ok(false);
        }
        kill_point!("name.unlocked");
        let guard = self.step("locking it", NameLockGuard::take(open, Instant::now()))?;
        // A process that attaches holds the lock, so the answer does not change while this one has
        // it.
        if guard.is_none()
            || !leads_to(&self.path, sys::descriptor::identity(open)?)
            || !self.is_abandoned(open)?
        {
            return Ok(false);
        }
        kill_point!("name.abandoned");
        self.step("removing what killed processes left", sys::file::remove(&self.path))?;
        Ok(true)
    }

    /// Whether no process has the object, and it was to go with the last one that had it.
    fn is_abandoned(&self, open: sys::Borrowed<'_>) -> io::Result<bool> {
        let stat = self.step("looking at it", sys::file::stat_file(open))?;
        self.trust(&stat)?;
        Ok(match find(open, stat.len) {
            Ok(FooterState::Ours(footer)) => {
                footer.lifetime == Lifetime::LastHandle && footer.living(open) == 0
            }
            // Its maker marks it while it holds the lock, and holds the lock until it is done.
            Ok(FooterState::Unfinished) => true,
            Ok(FooterState::Foreign) | Err(_) => false,
        })
    }

    /// Removes the name, whoever has the object.
    pub(crate) fn unlink(&self) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let seen = self.step("looking for it", sys::file::stat_path(&self.path))?;
            if !seen.regular {
                return self.trust(&seen);
            }
            let file = match Unforked::open(|| sys::file::open_file(&self.path, true)) {
                // Nobody can open it, so nobody is at it.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                    return self.step("removing it", sys::file::remove(&self.path));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                file => self.step("opening it", file)?,
            };
            if let Some(_turn) = self.lock(file.fd(), until)? {
                kill_point!("name.unlink");
                return self.step("removing it", sys::file::remove(&self.path));
            }
            self.in_time(until)?;
        }
    }
}

/// Whether a name leads to this object.
fn leads_to(path: &Path, identity: sys::Identity) -> bool {
    sys::file::stat_path(path).is_ok_and(|stat| stat.identity == identity)
}

/// The open file by which a process that lets a segment go locks its name.
pub(crate) enum NameLock<'a> {
    Kept(sys::Borrowed<'a>),
    /// The program has closed the one that was kept.
    Opened(Unforked),
}

impl<'a> NameLock<'a> {
    /// `None` if the name does not lead to the segment.
    pub(crate) fn of(descriptor: &'a Descriptor, path: &Path) -> Option<NameLock<'a>> {
        if !leads_to(path, descriptor.identity()) {
            return None;
        }
        if let Some(open) = descriptor.get() {
            return Some(NameLock::Kept(open));
        }
        let open = Unforked::open(|| sys::file::open_file(path, true)).ok()?;
        let identity = sys::descriptor::identity(open.fd()).ok()?;
        (identity == descriptor.identity()).then_some(NameLock::Opened(open))
    }

    /// `None` if it is not to be had.
    pub(crate) fn lock(&self) -> Option<NameLockGuard<'_>> {
        let open = match self {
            NameLock::Kept(open) => *open,
            NameLock::Opened(open) => open.fd(),
        };
        NameLockGuard::take(open, Instant::now() + PATIENCE).ok().flatten()
    }
}

/// Removes a name that leads to this object; to be called under its lock.
pub(crate) fn remove(path: &Path, identity: sys::Identity) {
    if leads_to(path, identity) {
        kill_point!("name.remove");
        // What it cannot remove it leaves, as if it had been killed.
        let _ = sys::file::remove(path);
        kill_point!("name.removed");
    }
}
