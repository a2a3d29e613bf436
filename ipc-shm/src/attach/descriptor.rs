//! The one descriptor that a process keeps for a segment, be it a channel's or another.

use std::io;

use ipc_sys as sys;
use ipc_sys::lease::Unforked;

/// An open file that the program may have closed, together with all that it does not know.
///
/// The next file that the program opens then gets the number. To lock, allocate or close there
/// would do harm, so each use checks first.
pub(crate) struct Descriptor {
    /// `None` in its drop only.
    fd: Option<Unforked>,
    identity: sys::Identity,
    fork: sys::fork::ForkCheck,
}

impl Descriptor {
    pub(crate) fn new(fd: Unforked) -> io::Result<Descriptor> {
        let identity = sys::descriptor::identity(fd.fd())?;
        Ok(Descriptor { fd: Some(fd), identity, fork: sys::fork::ForkCheck::new() })
    }

    /// Returns the descriptor, if it is still this file's.
    ///
    /// Returns `None` in a forked child, where the number may be another file's.
    pub(crate) fn get(&self) -> Option<sys::Borrowed<'_>> {
        if self.fork.forked() {
            return None;
        }
        let fd = self.fd.as_ref()?.fd();
        sys::descriptor::identity(fd).is_ok_and(|identity| identity == self.identity).then_some(fd)
    }

    /// Returns the identity of the object, which distinguishes it from others.
    pub(crate) fn identity(&self) -> sys::Identity {
        self.identity
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let closed = !self.fork.forked() && self.get().is_none();
        if let Some(fd) = self.fd.take().filter(|_| closed) {
            fd.forget();
        }
    }
}
