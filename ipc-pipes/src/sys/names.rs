//! What meeting by name needs of the operating system.
//!
//! Each system's file exports exactly these names. All descriptors are opened close-on-exec, and a
//! call interrupted by a signal is repeated.
//!
//! | name | promises | system calls on Linux |
//! |---|---|---|
//! | [`user`] | the user that this process acts for | `geteuid` |
//! | [`random`] | 16 bytes that nobody can guess | `getrandom` |
//! | [`private`] | whether this is a directory of this user that nobody else may enter | `lstat` |
//! | [`make_private`] | such a directory, made if it is not there; an error if it is anything else | `mkdir`, `lstat` |
//! | [`directory`] | a directory to look names up in, which stays the same one whatever is renamed | `open` |
//! | [`look`] | what is at a name, symbolic links not followed; what is found stays what it is | `openat`, `fstat` |
//! | [`is_at`] | whether this is what is at a name; opens nothing | `fstatat` |
//! | [`alive`] | whether the socket at a name is still open in some process; nobody notices | `connect` |
//! | [`try_lock`] | an empty file beside the name, locked until it is dropped, or until death | `openat`, `flock` |
//! | [`bind`] | a socket at a new name, of exactly this mode, that does not listen yet | `bind`, `chmod` |
//! | [`bind_abstract`] | the same with a name that is no file, and goes with the socket | `bind` |
//! | [`listen`] | connections are queued from now on | `listen` |
//! | [`publish`] | renames, if there is nothing at the new name | `renameat2`, else `linkat` |
//! | [`exchange`] | two names change places, at one instant | `renameat2` |
//! | [`at_exit`] | runs it when the program ends in order | `atexit` |
//! | [`entries`] | the names in a directory, without those of no text | `getdents` |
//! | [`remove`] | takes a name away | `unlinkat` |
//! | [`accept`] | the next connection, if there is one | `accept4` |
//! | [`connect`] | a connection to what was found | `connect` |
//! | [`connect_abstract`] | a connection to a name that is no file | `connect` |
//! | [`credentials`] | who connected, or who listens, as the kernel noted it then | `SO_PEERCRED` |
//! | [`process`] | a handle for that process, whatever happens to its number | `SO_PEERPIDFD` |
//! | [`parent`] | the parent of a process | reads `/proc/<pid>/stat` |
//! | [`Watch`] | wakes up when a name appears in a directory | `inotify` |
//! | [`Exit`] | wakes up when a child process ends, and knows how, also if something else reaps it | `pidfd_open`, `PIDFD_GET_INFO` |
//! | [`reaped_elsewhere`] | whether something else reaped a child, and what | `sigaction` |
//! | [`wait`] | sleeps until one of these, or a connection, is there, or the time is over; may return early | `ppoll` |

#[cfg_attr(target_os = "linux", path = "../../../ipc-sys/src/linux/name.rs")]
#[cfg_attr(not(target_os = "linux"), path = "../../../ipc-sys/src/unsupported/name.rs")]
mod os;

pub(crate) use os::{
    Directory, Exit, Lock, NameEntry, Watch, accept, alive, at_exit, bind, bind_abstract, connect,
    connect_abstract, credentials, directory, entries, exchange, is_at, listen, look, make_private,
    parent, private, process, publish, random, reaped_elsewhere, remove, try_lock, user, wait,
};

/// What is at a name.
#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing is found there"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Socket,
    /// Anything else: what to call it.
    Other(&'static str),
}

/// Device and inode: the same for as long as somebody holds the file open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity(pub(crate) u64, pub(crate) u64);
