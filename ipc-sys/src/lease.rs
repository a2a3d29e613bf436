//! Leases: locks on bytes of an open file, which the kernel releases when their holder dies.
//!
//! A lock belongs to the open file, and lives as long as any descriptor or mapping of it does. So a
//! forked child that kept one would hold its parent's leases. [`Unforked`] is an open file that no
//! forked child keeps.
//!
//! | item | what it promises | on Linux |
//! |---|---|---|
//! | [`Unforked::open`], [`Unforked::open_if`] | opens a file while no thread forks, and records it | `pthread_atfork` |
//! | [`Unforked::fd`] | borrows it | |
//! | [`Unforked::send`] | releases it, to travel in a message; a fork still closes it while a lease is on it | `/proc/self/fdinfo/N` |
//! | [`Unforked::forget`] | forgets its number, which may be another file's: the program has closed this one | |

use std::io;

use crate::OsHandle;
use crate::descriptor::Borrowed;
use crate::os::lease as os;
pub use crate::os::unforked::Unforked;

contract! {
    /// Takes an exclusive lock on a byte; false if another open file has it.
    ///
    /// The lock lives as long as the open file, or a mapping made from it, also if the holder is
    /// killed. (`fcntl(F_OFD_SETLK)`)
    pub fn try_lock(fd: Borrowed<'_>, byte: u64) -> io::Result<bool>;

    /// Releases the lock on a byte. (`fcntl(F_OFD_SETLK)`)
    pub fn unlock(fd: Borrowed<'_>, byte: u64) -> io::Result<()>;

    /// Returns whether another open file has a lock on the byte. (`fcntl(F_OFD_GETLK)`)
    pub fn locked(fd: Borrowed<'_>, byte: u64) -> io::Result<bool>;
}

const _: fn(Unforked) -> OsHandle = Unforked::send;
const _: fn(Unforked) = Unforked::forget;
const _: for<'a> fn(&'a Unforked) -> Borrowed<'a> = Unforked::fd;
type Open<T> = fn() -> io::Result<T>;
const _: fn(Open<OsHandle>) -> io::Result<Unforked> = Unforked::open;
const _: fn(Open<Option<OsHandle>>) -> io::Result<Option<Unforked>> = Unforked::open_if;
