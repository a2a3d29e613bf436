//! Names that processes meet at: sockets in directories, and names that are no files.
//!
//! | item | what it promises | on Linux |
//! |---|---|---|
//! | [`Directory`] | a directory that stays the same one, whatever is renamed | `open(O_PATH)` |
//! | [`NameEntry`] | the entry at a name, which stays the same one | `openat(O_PATH)` |
//! | [`Lock`] | an empty file beside the name, locked until it is dropped, or until death | `flock` |
//! | [`Watch::new`] | wakes up when a name appears in a directory | `inotify` |
//! | [`Watch::clear`] | discards the events so far; false if there were none | `read` |

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::Duration;

use ipc_core::Deadline;

use crate::OsHandle;
use crate::descriptor::Identity;
use crate::os::name as os;
pub use crate::os::name::{Directory, Lock, NameEntry, Watch};
use crate::process::Exit;
pub use crate::types::name::Kind;

contract! {
    /// Returns whether this is a directory of this user that no other user may enter. (`lstat`)
    pub fn private(path: &Path) -> bool;

    /// Makes such a directory, if it is not there; an error if it is anything else. (`mkdir`)
    pub fn make_private(path: &Path) -> io::Result<()>;

    /// Opens a directory to look names up in. (`open`)
    pub fn directory(path: &Path) -> io::Result<Directory>;

    /// Returns the entry at a name. Symbolic links are not followed. (`openat`, `fstat`)
    pub fn lookup(directory: &Directory, name: &OsStr) -> io::Result<Option<NameEntry>>;

    /// Returns whether this is the entry at a name. Opens nothing. (`fstatat`)
    pub fn is_at(directory: &Directory, name: &OsStr, wanted: Identity) -> bool;

    /// Returns whether the socket at a name is still open in some process, without that process
    /// noticing. (`connect`)
    pub fn alive(entry: &NameEntry) -> io::Result<bool>;
}

/// Locks a name; `None` if it is locked. (`openat`, `flock`)
#[inline]
pub fn try_lock<'a>(directory: &'a Directory, name: &'a OsStr) -> io::Result<Option<Lock<'a>>> {
    os::try_lock(directory, name)
}

contract! {
    /// Binds a socket to a new name, of exactly this mode, that does not listen yet. (`bind`,
    /// `chmod`)
    pub fn bind(directory: &Directory, name: &OsStr, mode: u32) -> io::Result<(OsHandle, Identity)>;

    /// Binds a socket to a name that is not a file, and that goes with the socket. (`bind`)
    pub fn bind_abstract(name: &[u8]) -> io::Result<OsHandle>;

    /// Queues connections from now on. (`listen`)
    pub fn listen(socket: &OsHandle, backlog: u32) -> io::Result<()>;

    /// Renames, if there is nothing at the new name. (`renameat2`, else `linkat`)
    pub fn publish(directory: &Directory, from: &OsStr, to: &OsStr) -> io::Result<()>;

    /// Exchanges two names, at one instant. (`renameat2`)
    pub fn exchange(directory: &Directory, one: &OsStr, other: &OsStr) -> io::Result<()>;

    /// Returns the names in a directory, except those that are not text. (`getdents`)
    pub fn entries(directory: &Directory) -> io::Result<Vec<String>>;

    /// Removes a name. (`unlinkat`)
    pub fn remove(directory: &Directory, name: &OsStr) -> io::Result<()>;

    /// Connects to the socket of an entry. (`connect`)
    pub fn connect(entry: &NameEntry, deadline: Deadline) -> io::Result<OsHandle>;

    /// Connects to a name that is not a file. (`connect`)
    pub fn connect_abstract(name: &[u8], deadline: Deadline) -> io::Result<OsHandle>;

    /// Sleeps until a connection, a new name or the end of the child is there, or the time is over.
    ///
    /// May return early. (`ppoll`)
    pub fn wait(
        listener: Option<&OsHandle>,
        watch: Option<&Watch>,
        exit: Option<&Exit>,
        timeout: Option<Duration>,
    ) -> io::Result<()>;
}

const _: fn(&Directory) -> io::Result<Watch> = Watch::new;
const _: fn(&Watch) -> io::Result<bool> = Watch::clear;
