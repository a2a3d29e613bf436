//! The system calls of [`multiprocess`](https://docs.rs/multiprocess): each is made here, once.
//!
//! This crate is an implementation detail of `ipc-shm`, `ipc-pipes` and `multiprocess`. Its
//! interface may change with every version.
//!
//! # Contracts
//!
//! Each public module is a contract: it documents what the functions promise, on every system.
//!
//! | contract | what it holds |
//! |---|---|
//! | [`memory`] | files in memory, their seals, and mappings of them |
//! | [`mod@file`] | names of shared memory |
//! | [`descriptor`] | open files, and the table of them |
//! | [`lease`] | locks that end with their holder |
//! | [`futex`] | sleeping on a word of memory |
//! | [`sleep`] | sleeping on several words, files and wakers at once |
//! | [`reactor`] | a thread that waits for files |
//! | [`tasks`] | what wakes tasks |
//! | [`bell_socket`] | datagrams that wake a process which waits for very many things |
//! | [`barrier`] | barriers in the threads of other processes |
//! | [`process`] | this process and others |
//! | [`socket`] | local sockets, and handles in messages |
//! | [`pipe`] | pipes that keep the boundaries of packets |
//! | [`store`] | files in memory for messages, and shared counters |
//! | [`name`] | names that processes meet at |
//! | [`spawn`] | children of this executable |
//! | [`wake_pair`] | wake-ups from one thread to another that waits for descriptors, too |
//! | [`fork`] | whether this process was forked from the one that made an object |
//! | [`known`] | what this process has made of files, which it finds again by them |
//! | [`per_process`] | statics that a forked child does not share with its parent |
//!
//! # Porting
//!
//! The code for a system is one folder: `linux/`, and `unsupported/` for all systems without a
//! folder of their own, where everything compiles and every call fails. A port begins as a copy of
//! `unsupported/`, and one line in this file selects it. The contracts name each function of the
//! folder with its full signature, so the compiler reports what a port lacks. The folder uses the
//! types of the contracts (`types/`), and no contract that calls it.
//!
//! With `--cfg unsupported`, `unsupported/` is compiled in place of this system's own folder.

#[cfg_attr(all(target_os = "linux", not(unsupported)), path = "linux/mod.rs")]
#[cfg_attr(any(not(target_os = "linux"), unsupported), path = "unsupported/mod.rs")]
mod os;

/// Declares functions of a contract. Each calls the function of this name in `os`, which is the
/// code of this system for the module.
macro_rules! contract {
    ($($(#[$attribute:meta])* $visibility:vis fn $name:ident(
        $($argument:ident: $Type:ty),* $(,)?
    ) $(-> $Result:ty)?;)*) => {
        $($(#[$attribute])*
        #[inline]
        $visibility fn $name($($argument: $Type),*) $(-> $Result)? {
            os::$name($($argument),*)
        })*
    };
}

pub mod barrier;
pub mod bell_socket;
pub mod descriptor;
pub mod file;
pub mod fork;
pub mod futex;
pub mod known;
pub mod lease;
pub mod memory;
pub mod name;
pub mod per_process;
pub mod pipe;
pub mod process;
pub mod reactor;
pub mod sleep;
pub mod socket;
pub mod spawn;
pub mod store;
pub mod tasks;
mod types;
pub mod wake_pair;

pub use descriptor::{Borrowed, Identity, borrow};
pub use ipc_core::OsHandle;
