//! Files to wait for.

/// A file to wait for.
#[derive(Clone, Copy, Debug)]
pub struct File<'a> {
    /// The descriptor.
    pub fd: crate::Borrowed<'a>,
    /// Whether to wait for room to write, not for something to read.
    pub writable: bool,
}
