//! What look-ups of files return.

use super::descriptor::Identity;

/// The kind and the owner of a file.
#[derive(Clone, Copy, Debug)]
pub struct FileStat {
    /// Whether it is a regular file.
    pub regular: bool,
    /// The user that owns it.
    pub owner: u32,
    /// The rights, with the bits above them.
    pub mode: u32,
    /// Whether it has more than one name.
    pub second_name: bool,
    /// The identity, which distinguishes it from other files.
    pub identity: Identity,
    /// Its size.
    pub len: usize,
}
