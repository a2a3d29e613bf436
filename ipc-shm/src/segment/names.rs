//! Names: how a segment gets one, is found by it, and loses it.
//!
//! Any number of processes may do all of this to one name at once, and be killed at any point.
//!
//! ```text
//!   create     make an object without a name (O_TMPFILE) ──▶ allocate, fill, describe, attach
//!              ──linkat──▶ named
//!   open       open the file ──▶ lock its first byte ──▶ does the name still lead to it?
//!              ──▶ attach ──▶ unlock
//!   last user  lock its first byte ──▶ no other user alive? remove the name ──▶ unmap ──▶ unlock
//! ```
//!
//! - So no name leads to an unfinished object, and the process that makes an object is attached
//!   before others can see it. Some file systems have no objects without names. There the object is
//!   made under the name, with its first byte locked. An object that is found unfinished and
//!   unlocked is a dead process', and is replaced, never mended.
//! - The first byte is a lock of each object, not of the name. A process that has locked it checks
//!   whether the name still leads to this object, and starts over if not. Only a process that holds
//!   the lock, and has checked, removes a name.
//! - So a process that attaches finds the name leading to its object. The name goes on leading
//!   there as long as the process lives, unless a process calls `unlink`.
//! - The kernel owns the lock, so it is released when its holder is killed. Waiting for it is
//!   bounded, because a process may be stopped while it holds the lock.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use ipc_sys as sys;
use ipc_sys::lease::Unforked;

use super::footer::{Footer, FooterState, Lifetime};
use super::lookup::NameLookup;
use super::mapped::Mapped;
use super::name_lock::{NAP, NameLockGuard, PATIENCE, leads_to};
use crate::killpoint::kill_point;

/// How long an unfinished, unlocked object may still belong to a living process.
///
/// That process is about to lock it. If it is removed too early, its maker starts over.
const UNFINISHED: Duration = Duration::from_millis(100);
/// As [`UNFINISHED`], for a process that only opens, and can do no more than give up.
const UNFINISHED_TO_OPEN: Duration = Duration::from_secs(1);
/// The arguments of the creation of a segment.
pub(crate) struct CreateArgs<'a> {
    /// Makes the footer. Called only if a segment is created.
    pub(crate) footer: &'a dyn Fn() -> io::Result<Footer>,
    /// Fills the segment before another process can see it. Called once for each object that is
    /// made.
    pub(crate) fill: &'a mut dyn FnMut(&Arc<Mapped>) -> io::Result<()>,
}

/// The result of opening the object that a name leads to.
enum OpenAttempt {
    Attached(Arc<Mapped>),
    /// The name led elsewhere when it was locked.
    Moved,
    /// The object is unfinished, and no process is working on it. It was removed, if that was asked
    /// for.
    Unfinished(sys::Identity),
}

impl NameLookup {
    /// Attaches to the object that is there, or removes it if it is `clear` and unfinished.
    fn enter(&self, until: Instant, clear: Option<sys::Identity>) -> io::Result<OpenAttempt> {
        let file = self.open_to_lock()?;
        let open = file.fd();
        kill_point!("name.opened");
        let Some(guard) = self.lock(open, until)? else { return Ok(OpenAttempt::Moved) };
        // Checked again, as the object is now.
        let stat = self.step("looking at it", sys::file::stat_file(open))?;
        self.trust(&stat)?;
        if stat.len == 0 || matches!(FooterState::find(open, stat.len), Ok(FooterState::Unfinished))
        {
            if clear == Some(stat.identity) {
                self.step("removing what its dead maker left", sys::file::remove(&self.path))?;
                kill_point!("name.cleared");
            }
            return Ok(OpenAttempt::Unfinished(stat.identity));
        }
        let own =
            self.step("opening it again (is /proc mounted?)", sys::descriptor::reopen(open))?;
        let mapped = Mapped::attach(own, None, Some(self.holds), &self.segment_path)?;
        kill_point!("name.attached");
        drop(guard);
        Ok(OpenAttempt::Attached(mapped))
    }

    /// Opens the segment that the name leads to.
    pub(crate) fn open(&self) -> io::Result<Arc<Mapped>> {
        let text = "its creator died before it was finished, or has not finished it yet; `create` replaces it";
        self.open_until(Instant::now() + PATIENCE, false)?
            .ok_or_else(|| self.error(io::ErrorKind::InvalidData, text))
    }

    /// Opens the segment that the name leads to, until `until`.
    ///
    /// Returns `None` if its maker did not finish it. With `clear`, such an object is removed.
    fn open_until(&self, until: Instant, clear: bool) -> io::Result<Option<Arc<Mapped>>> {
        let patience = if clear { UNFINISHED } else { UNFINISHED_TO_OPEN };
        // Which object is unfinished, and since when. Another object has another maker, which has
        // only begun.
        let mut unfinished = None;
        loop {
            let old = unfinished.filter(|(_, since): &(_, Instant)| since.elapsed() >= patience);
            let old = old.map(|(which, _)| which);
            match self.enter(until, old.filter(|_| clear))? {
                OpenAttempt::Attached(mapped) => {
                    // Not under the lock. The mapping may be the last handle, and to drop that
                    // takes the lock.
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

    /// Creates the segment. Fails with `AlreadyExists` if the one that is there is in use or
    /// persistent.
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

    /// Creates the segment where the file system cannot make objects without names.
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
            // Another process may have found it empty, and have removed it.
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

    /// Makes a segment from an empty file: everything but its name.
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
        let mapped = Mapped::create(fd, footer, self.segment_path.clone())?;
        (args.fill)(&mapped)?;
        mapped.describe();
        Ok(mapped)
    }

    /// Opens the segment, or creates it.
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

    /// Removes a name whose users are all dead, and that the last of them should have removed.
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
            let found = if stat.len == 0 {
                FooterState::Unfinished
            } else {
                self.step("reading its description", FooterState::find(open, stat.len))?
            };
            match found {
                FooterState::Unfinished if Instant::now() < patient => {
                    drop(guard);
                    thread::sleep(NAP);
                    continue;
                }
                FooterState::Unfinished => {}
                FooterState::Foreign => return exists("made by another program"),
                FooterState::Ours(footer) if footer.living(open) > 0 => {
                    return exists("a process has it");
                }
                FooterState::Ours(footer) if footer.lifetime == Lifetime::Persistent => {
                    return exists("persistent; `unlink` removes it, `open` opens it");
                }
                FooterState::Ours(_) => {}
                FooterState::Refused(what) => {
                    return exists(&format!("{what}; `unlink` removes it"));
                }
            }
            kill_point!("name.evict");
            self.step("removing what a dead process left", sys::file::remove(&self.path))?;
            kill_point!("name.evicted");
            return Ok(());
        }
    }

    /// Removes the name if the object is abandoned. Returns whether it did.
    ///
    /// An object is abandoned if every process that had it was killed, and the last one was to
    /// remove the name. So is one whose maker was killed before it was finished. The function does
    /// not wait: an object that another process has locked is in use.
    pub(super) fn remove_if_abandoned(&self) -> io::Result<bool> {
        let file = self.open_to_lock()?;
        let open = file.fd();
        // First without the lock, for which other processes at the name would have to wait.
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

    /// Returns whether no process has the object, and the last one was to remove its name.
    fn is_abandoned(&self, open: sys::Borrowed<'_>) -> io::Result<bool> {
        let stat = self.step("looking at it", sys::file::stat_file(open))?;
        self.trust(&stat)?;
        Ok(match FooterState::find(open, stat.len) {
            Ok(FooterState::Ours(footer)) => {
                footer.lifetime == Lifetime::LastHandle && footer.living(open) == 0
            }
            // Its maker marks it while it holds the lock, and holds the lock until the object is
            // finished.
            Ok(FooterState::Unfinished) => true,
            Ok(FooterState::Foreign | FooterState::Refused(_)) | Err(_) => false,
        })
    }

    /// Removes the name, whichever processes have the object.
    pub(super) fn unlink(&self) -> io::Result<()> {
        let until = Instant::now() + PATIENCE;
        loop {
            let seen = self.step("looking for it", sys::file::stat_path(&self.path))?;
            if !seen.regular {
                return self.trust(&seen);
            }
            let file = match Unforked::open(|| sys::file::open_file(&self.path, true)) {
                // No process can open it, so no process holds its lock.
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
