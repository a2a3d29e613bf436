//! The one descriptor that a process keeps of a segment, a channel's or any other.

use std::io;
use std::mem::ManuallyDrop;

use ipc_sys as sys;
use ipc_sys::lease::Unforked;

/// An open file that a program which closes all that it does not know may have closed behind our
/// back; the next file that it opens then has the number. To lock, allocate or close there would be
/// harm, so each use asks first.
pub(crate) struct Descriptor {
    fd: ManuallyDrop<Unforked>,
    identity: sys::Identity,
    fork: sys::fork::ForkCheck,
}

impl Descriptor {
    pub(crate) fn new(fd: Unforked) -> io::Result<Descriptor> {
        let identity = sys::descriptor::identity(fd.fd())?;
        Ok(Descriptor { fd: ManuallyDrop::new(fd), identity, fork: sys::fork::ForkCheck::new() })
    }

    /// The descriptor, if it is still ours. Not in a forked child, where its number may be another
    /// file's.
    pub(crate) fn get(&self) -> Option<sys::Borrowed<'_>> {
        if self.fork.forked() {
            return None;
        }
        let fd = self.fd.fd();
        sys::descriptor::identity(fd).is_ok_and(|identity| identity == self.identity).then_some(fd)
    }

    /// What tells its object from others.
    pub(crate) fn identity(&self) -> sys::Identity {
        self.identity
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let closed = !self.fork.forked() && self.get().is_none();
        let fd = take(&mut self.fd);
        if closed {
            fd.forget();
        }
    }
}

#[allow(unsafe_code)]
fn take(fd: &mut ManuallyDrop<Unforked>) -> Unforked {
    // SAFETY: called once, by the drop above.
    unsafe { ManuallyDrop::take(fd) }
}
