//! Descriptors: none has an identity.

#![allow(missing_docs, reason = "the contract has the documentation")]
#![allow(unsafe_code, reason = "the contract has an unsafe function")]

use std::io;

use super::unsupported;
use crate::OsHandle;
use crate::types::descriptor::{Borrowed, Identity};

unsupported! {
    fn reopen(Borrowed<'_>) -> io::Result<OsHandle>;
    fn identity(Borrowed<'_>) -> io::Result<Identity>;
    fn reopen_read_only(Borrowed<'_>) -> io::Result<OsHandle>;
}

#[derive(Clone, Copy, Debug)]
pub struct Number;
pub(crate) fn number(_fd: &OsHandle) -> Number {
    Number
}

/// # Safety
///
/// None: it fails.
pub(crate) unsafe fn own_table(_keep: Number) -> io::Result<OsHandle> {
    unsupported()
}

pub(crate) fn has_own_table() -> bool {
    false
}
