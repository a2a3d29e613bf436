//! A thread of the process that waits for files and calls wakers.
//!
//! It exists only in a process in which a thread waits for files and for something else at once. It
//! is started at the first need. A forked child starts its own.

use std::io;
use std::task::Waker;

use crate::os::reactor as os;
use crate::types::sleep::File;

pub use crate::os::reactor::Armed;

/// Calls the waker once when the file is ready, also if it is already. Dropping the result takes
/// that back. (`epoll_ctl`)
#[inline]
pub fn arm<'a>(file: File<'a>, waker: &Waker) -> io::Result<Armed<'a>> {
    os::arm(file, waker)
}
