//! Taking a file name: a free one, or one whose process is dead, but never one that is in use.
//!
//! ```text
//!              .orders.lock      .<number>.new            orders
//!   lock       made, locked
//!   clear         │              one left here is removed
//!   look up       │                 ·                     nothing, or a dead socket, else refused
//!   bind          │              socket, mode as asked
//!   listen        │                 │ listens
//!   publish       │                 └──── rename ───────▶ listens
//!                 │                 ┌─── (exchange) ────▶
//!   tidy          │              the dead socket, removed
//!   unlock     removed              ·                     │
//!                                                         │
//!   drop                                                  removed, then closed
//! ```
//!
//! # Which processes are alive
//!
//! The kernel decides: the socket behind a name is open in some process, or it is not. Only the
//! death of its last process, or closing it, ends that, and nothing makes a dead socket's file live
//! again. If a socket of another type tries to connect, the kernel answers which type it is, and
//! the listener does not notice. (A forked child has the socket open until it execs, and counts.)
//! So the name needs no lease of its own. The lock is only for processes that take a name; a
//! process that holds one needs no lock.
//!
//! # Why there are never two
//!
//! A name changes its owner under the lock, and only if there is nothing or a dead socket at it.
//! The entry that is swapped out is checked once more, and swapped back in if it is another one. A
//! holder that releases its name removes it while its socket is still open. So no other process can
//! have taken the name meanwhile, and the holder removes its own. The lock file is removed under
//! its own lock. A process that locks a file that has no name any more starts again.
//!
//! # If a process dies
//!
//! | killed | leaves | the next one |
//! |---|---|---|
//! | holding the lock | the lock file, not locked | locks it |
//! | having bound | the new socket, dead | finds it at the same place, since the lock file's number is in its name; removes it |
//! | having published | the name, dead, and perhaps the one before | takes it over, as any |
//! | as a holder | the name, dead | takes it over |

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use ipc_core::OsHandle;
use ipc_sys as sys;
use ipc_sys::Identity;
use ipc_sys::name::{Directory, Kind, Lock, NameEntry};
use ipc_sys::per_process::PerProcess;

use crate::killpoint::kill_point;

/// A name that is this socket's.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) socket: OsHandle,
    pub(super) directory: Directory,
    pub(super) file: OsString,
    pub(super) identity: Identity,
}

/// Takes the name and listens at it.
///
/// # Errors
///
/// - `AddrInUse` if the name belongs to a socket that is open in some process.
/// - `AlreadyExists` if the entry at the name is not a socket.
/// - `PermissionDenied` if the entry belongs to another user.
/// - `TimedOut` if another process takes longer than ten seconds to take this name.
/// - Others: an error of the system, with the step.
pub(super) fn claim(
    directory: Directory,
    file: OsString,
    mode: u32,
    backlog: u32,
) -> io::Result<Arc<Claim>> {
    let (socket, identity) = {
        let name = lock_of(&file);
        kill_point!("claim.lock");
        let lock = lock(&directory, &name)?;
        kill_point!("claim.locked");
        take(&directory, &file, &lock, mode, backlog)?
    };
    let claim = Arc::new(Claim { socket, directory, file, identity });
    remove_at_exit(&claim);
    Ok(claim)
}

/// The names of this process.
static HELD: PerProcess<Mutex<Vec<Weak<Claim>>>> = PerProcess::new();

/// A listener in a static, or on the stack of a program that calls `exit`, is never dropped: its
/// name goes when the program ends.
fn remove_at_exit(claim: &Arc<Claim>) {
    static ASKED: AtomicBool = AtomicBool::new(false);
    let mut held = HELD.lock();
    held.retain(|claim| claim.strong_count() > 0);
    held.push(Arc::downgrade(claim));
    drop(held);
    sys::process::at_exit(&ASKED, at_exit);
}

extern "C" fn at_exit() {
    // A program that ends while another thread binds leaves names, as if it were killed.
    let Ok(mut held) = HELD.get().try_lock() else { return };
    let held = std::mem::take(&mut *held);
    held.iter().filter_map(Weak::upgrade).for_each(|claim| claim.release());
}

/// The lock file of a name.
fn lock_of(file: &OsStr) -> OsString {
    let mut name = OsString::from(".");
    name.push(file);
    name.push(".lock");
    name
}

/// The name of the socket that the holder of the lock file of this number binds.
fn new_of(lock: u64) -> OsString {
    OsString::from(format!(".{lock:x}.new"))
}

/// How long another process may be in the middle of taking the same name: it takes microseconds, if
/// it is not stopped.
const LOCK_TIMEOUT: Duration = Duration::from_secs(10);

fn lock<'a>(directory: &'a Directory, name: &'a OsStr) -> io::Result<Lock<'a>> {
    let deadline = Instant::now() + LOCK_TIMEOUT;
    let mut pause = Duration::from_micros(20);
    loop {
        let step = |error: io::Error| {
            let text = format!("the lock file {}: {error}", Path::new(name).display());
            io::Error::new(error.kind(), text)
        };
        if let Some(lock) = sys::name::try_lock(directory, name).map_err(step)? {
            return Ok(lock);
        }
        if Instant::now() >= deadline {
            let text = "another process is in the middle of binding this name, for ten seconds now; is it stopped?";
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        // No call of the kernel waits for a lock and a deadline.
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(5));
    }
}

/// Removes the file at its path on drop, unless `keep` is set.
struct Temporary<'a> {
    directory: &'a Directory,
    name: &'a OsStr,
    keep: bool,
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.keep {
            let _ = sys::name::remove(self.directory, self.name);
        }
    }
}

fn take(
    directory: &Directory,
    file: &OsStr,
    lock: &Lock<'_>,
    mode: u32,
    backlog: u32,
) -> io::Result<(OsHandle, Identity)> {
    let step = |what: &'static str| {
        move |error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"))
    };
    let new = clear(directory, lock)?;
    let dead = dead(directory, file)?;

    kill_point!("claim.bind");
    let (socket, identity) =
        sys::name::bind(directory, &new, mode).map_err(step("binding the socket"))?;
    let mut temporary = Temporary { directory, name: &new, keep: false };
    kill_point!("claim.bound");
    sys::name::listen(&socket, backlog).map_err(step("listening"))?;
    kill_point!("claim.publish");
    let taken_over = match dead {
        Some(dead) => match sys::name::exchange(directory, &new, file) {
            Ok(()) => Some(dead),
            // Its holder was about to release the name when it was found, and has closed its socket
            // since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(step("taking over the name")(error)),
        },
        None => None,
    };
    match taken_over {
        None => {
            sys::name::publish(directory, &new, file)
                .map_err(step("giving the socket its name"))?;
            temporary.keep = true;
            kill_point!("claim.published");
        }
        Some(dead) => {
            kill_point!("claim.exchanged");
            if !sys::name::is_at(directory, &new, dead.identity) {
                // Another program, which does not follow these rules, has put something else there
                // meanwhile. Put it back.
                sys::name::exchange(directory, &new, file).map_err(step("giving the name back"))?;
                let text = "something else was put at this name while it was being bound";
                return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
            }
            drop(temporary);
            kill_point!("claim.tidied");
        }
    }
    Ok((socket, identity))
}

/// Removes the new socket of a process that was killed while it held the lock, and returns the
/// socket's name.
fn clear(directory: &Directory, lock: &Lock<'_>) -> io::Result<OsString> {
    let step = |what: &'static str| {
        move |error: io::Error| io::Error::new(error.kind(), format!("{what}: {error}"))
    };
    let new = new_of(lock.number);
    if let Some(left) = sys::name::lookup(directory, &new)? {
        check(&left, Path::new(&new))?;
        if sys::name::alive(&left).map_err(step("looking whether it is alive"))? {
            let text = format!("{} is in use", Path::new(&new).display());
            return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
        }
        kill_point!("claim.clear");
        sys::name::remove(directory, &new).map_err(step("removing what a killed process left"))?;
    }
    Ok(new)
}

/// Removes the names that begin with `prefix` and whose sockets no process has open, and what was
/// left of taking such names; returns the names. What another process is taking at this moment is
/// left. In a directory that is not `private` to this library, an empty lock file with nothing
/// beside it may be another program's, and is left.
///
/// # Errors
///
/// If the directory cannot be read. What cannot be removed is left.
pub(super) fn remove_abandoned(
    directory: &Directory,
    prefix: &str,
    private: bool,
) -> io::Result<Vec<String>> {
    // Of a name that was never published only the lock file is there, and perhaps the new socket.
    let locked = |entry: &str| Some(entry.strip_prefix('.')?.strip_suffix(".lock")?.to_owned());
    let names: BTreeSet<_> = sys::name::entries(directory)?
        .into_iter()
        .map(|entry| locked(&entry).unwrap_or(entry))
        .collect();
    let mut removed = Vec::new();
    for name in names.into_iter().filter(|name| name.starts_with(prefix) && !name.starts_with('.'))
    {
        if let Ok(true) = remove_if_abandoned(directory, OsStr::new(&name), private) {
            removed.push(name);
        }
    }
    Ok(removed)
}

fn remove_if_abandoned(directory: &Directory, file: &OsStr, private: bool) -> io::Result<bool> {
    let lock_name = lock_of(file);
    // First without the lock, whose file would be made for a name that is in use.
    if dead(directory, file)?.is_none() {
        let Some(left) = sys::name::lookup(directory, &lock_name)? else { return Ok(false) };
        if !private && sys::name::lookup(directory, &new_of(left.identity.1))?.is_none() {
            return Ok(false);
        }
    }
    let Some(lock) = sys::name::try_lock(directory, &lock_name)? else { return Ok(false) };
    clear(directory, &lock)?;
    let Some(dead) = dead(directory, file)? else { return Ok(false) };
    if !sys::name::is_at(directory, file, dead.identity) {
        return Ok(false);
    }
    sys::name::remove(directory, file)?;
    Ok(true)
}

/// The dead socket at a name; `None` if there is nothing.
fn dead(directory: &Directory, file: &OsStr) -> io::Result<Option<NameEntry>> {
    let Some(entry) = sys::name::lookup(directory, file)? else { return Ok(None) };
    check(&entry, Path::new(file))?;
    if sys::name::alive(&entry)? {
        let text = "a process that is alive listens there";
        return Err(io::Error::new(io::ErrorKind::AddrInUse, text));
    }
    Ok(Some(entry))
}

/// Refuses what is not a socket of this user.
fn check(entry: &NameEntry, name: &Path) -> io::Result<()> {
    match entry.kind {
        Kind::Other(what) => {
            let text = format!("{} is a {what}; it is left as it is", name.display());
            Err(io::Error::new(io::ErrorKind::AlreadyExists, text))
        }
        Kind::Socket if entry.owner != sys::process::user() => {
            let text = format!("{} belongs to user {}", name.display(), entry.owner);
            Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
        }
        Kind::Socket => Ok(()),
    }
}

impl Claim {
    /// Removes the name if it is still that of this socket.
    pub(super) fn release(&self) {
        kill_point!("release.check");
        // The socket is open, so no process that follows the rules has taken its name.
        if sys::name::is_at(&self.directory, &self.file, self.identity) {
            kill_point!("release.remove");
            let _ = sys::name::remove(&self.directory, &self.file);
        }
        kill_point!("release.removed");
    }
}
