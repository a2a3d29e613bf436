//! Looking up a name: the object that it leads to, if that can be trusted, and its lock.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Instant;

use ipc_core::OsHandle;
use ipc_sys as sys;
use ipc_sys::lease::Unforked;

use super::name_lock::{NameLockGuard, leads_to};
use super::path::SegmentPath;

/// The default mode: rights of the owner only.
pub(super) const MODE: u32 = 0o600;

/// The name that is looked up, and the conditions.
pub(super) struct NameLookup {
    pub(super) segment_path: SegmentPath,
    pub(super) path: PathBuf,
    /// The most rights that the object may give.
    pub(super) mode: u32,
    /// Whether it may belong to another user.
    pub(super) any_owner: bool,
    /// The fingerprint of what must lie in it.
    pub(super) holds: u64,
}

impl NameLookup {
    /// Checks the conditions.
    pub(super) fn new(segment_path: SegmentPath, mode: u32) -> io::Result<NameLookup> {
        segment_path.check()?;
        if mode & 0o600 != 0o600 || mode & !0o666 != 0 {
            let text = format!(
                "mode {mode:04o}: its owner must be able to read and write it, and no user to execute it"
            );
            return Err(segment_path.error(io::ErrorKind::InvalidInput, &text));
        }
        let Some(path) = segment_path.path() else { unreachable!("it is not anonymous") };
        Ok(NameLookup { segment_path, path, mode, any_owner: false, holds: 0 })
    }

    pub(super) fn error(&self, kind: io::ErrorKind, what: &str) -> io::Error {
        self.segment_path.error(kind, what)
    }

    pub(super) fn step<T>(&self, what: &str, result: io::Result<T>) -> io::Result<T> {
        self.segment_path.step(what, result)
    }

    /// Checks whether the object that is there may be used.
    pub(super) fn trust(&self, stat: &sys::file::FileStat) -> io::Result<()> {
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

    /// Opens the file that the name leads to, if it may be trusted, to lock its first byte.
    pub(super) fn open_to_lock(&self) -> io::Result<Unforked> {
        self.open_file(|path| Unforked::open(|| sys::file::open_file(path, true)), Unforked::fd)
    }

    fn open_file<F>(
        &self,
        open: impl FnOnce(&Path) -> io::Result<F>,
        borrow: fn(&F) -> sys::Borrowed<'_>,
    ) -> io::Result<F> {
        // Checked before opening, because opening some devices has effects.
        let seen = self.step("looking for it", sys::file::stat_path(&self.path))?;
        self.trust(&seen)?;
        let open = self.step("opening it", open(&self.path))?;
        let stat = self.step("looking at it", sys::file::stat_file(borrow(&open)))?;
        self.trust(&stat)?;
        Ok(open)
    }

    /// Locks the first byte of an open file. Returns `None` if the name does not lead there.
    pub(super) fn lock<'a>(
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

    /// Opens the file to be read only, whether bytes or a value lie in it.
    pub(super) fn open_read_only(&self) -> io::Result<OsHandle> {
        self.open_file(|path| sys::file::open_file(path, false), sys::borrow)
    }

    pub(super) fn in_time(&self, until: Instant) -> io::Result<()> {
        if Instant::now() < until {
            return Ok(());
        }
        Err(self.error(io::ErrorKind::TimedOut, "others make and remove it all the time"))
    }
}
