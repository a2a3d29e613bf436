//! A file of shared memory in this process: its mapping, and the one descriptor that is kept of it.

use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use ipc_core::__private::step;
use ipc_sys as sys;
use ipc_sys::fork::ForkCheck;
use ipc_sys::lease::Unforked;
use ipc_sys::memory::MmapRaw;

use crate::attach::descriptor::Descriptor;

/// A mapped file, and a descriptor of it. Its drop ends both.
///
/// A forked child inherits neither (`MADV_DONTFORK`, [`Unforked`]). A drop there changes nothing.
pub(crate) struct MappedFile {
    /// `None` after [`unmap`](MappedFile::unmap).
    mapping: Option<MmapRaw>,
    process: ForkCheck,
    descriptor: Arc<Descriptor>,
}

impl MappedFile {
    /// Keeps a mapping, and a descriptor of the same file. `name` names the object in errors.
    pub(crate) fn new(
        name: impl fmt::Display,
        mapping: MmapRaw,
        fd: Unforked,
    ) -> io::Result<MappedFile> {
        let descriptor = Arc::new(step(name, "looking at it", Descriptor::new(fd))?);
        Ok(MappedFile { mapping: Some(mapping), process: ForkCheck::new(), descriptor })
    }

    /// Returns the process that has the mapping.
    #[inline]
    pub(crate) fn process(&self) -> ForkCheck {
        self.process
    }

    /// Returns whether this process was forked from the one that has the mapping.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.process.forked()
    }

    /// Returns the descriptor, which checks at each use whether the program has closed it.
    pub(crate) fn descriptor(&self) -> &Arc<Descriptor> {
        &self.descriptor
    }

    /// Returns the identity of the file, which distinguishes it from others.
    pub(crate) fn identity(&self) -> sys::Identity {
        self.descriptor.identity()
    }

    #[inline]
    pub(crate) fn mapping(&self) -> &MmapRaw {
        self.mapping.as_ref().expect("mapped until its owner's drop")
    }

    /// Returns where the mapping begins.
    #[inline]
    pub(crate) fn base(&self) -> NonNull<u8> {
        NonNull::new(self.mapping().as_mut_ptr()).expect("a mapping is somewhere")
    }

    /// Ends the mapping, and with it the life lease that it keeps.
    ///
    /// So a process counts as dead only when it cannot write any more. The owner calls this when no
    /// user of the mapping is left.
    pub(crate) fn unmap(&mut self) {
        let mapping = self.mapping.take();
        if self.forked() {
            // Other memory may lie there in this process.
            std::mem::forget(mapping);
        }
    }
}

impl Drop for MappedFile {
    fn drop(&mut self) {
        self.unmap();
    }
}
