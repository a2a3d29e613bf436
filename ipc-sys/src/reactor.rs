//! A thread of the process that waits for files and calls wakers.
//!
//! It exists only in a process in which a thread waits for files and for something else at once. It
//! is started at the first need. A forked child starts its own.

use std::io;
use std::task::Waker;

use crate::os::reactor as os;
use crate::types::sleep::File;

pub use crate::os::reactor::{Armed, Number, Served};

/// Calls the waker once when the file is ready, also if it is already. Dropping the result takes
/// that back. (`epoll_ctl`)
#[inline]
pub fn arm<'a>(file: File<'a>, waker: &Waker) -> io::Result<Armed<'a>> {
    os::arm(file, waker)
}

/// Does what [`arm`] does, for a waiter that may be leaked, until [`disarm`]. Returns `None` for a
/// file that is always ready: then the waker is not called.
#[inline]
pub fn arm_number(file: File<'_>, waker: &Waker) -> io::Result<Option<Number>> {
    os::arm_number(file, waker)
}

/// Takes [`arm_number`] back. (`epoll_ctl`)
#[inline]
pub fn disarm(number: Number) {
    os::disarm(number)
}

/// Calls the waker each time that the file is ready, until the result is dropped. The waker makes
/// the file not ready, or is called again at once. (`epoll_ctl`)
///
/// The file stays open until then. If the program closes it, the waker is no longer called, or may
/// be called for another file of the same number.
#[inline]
pub fn serve(file: File<'_>, waker: &Waker) -> io::Result<Served> {
    os::serve(file, waker)
}
