//! Descriptors: none has an identity.

#![allow(missing_docs, reason = "the contract has the documentation")]
#![allow(unsafe_code, reason = "the contract has an unsafe function")]

use std::io;

use super::unsupported;
use crate::OsHandle;
use crate::types::descriptor::{Borrowed, Identity};

pub(crate) fn reopen(_fd: Borrowed<'_>) -> io::Result<OsHandle> {
    unsupported()
}

pub(crate) fn identity(_fd: Borrowed<'_>) -> io::Result<Identity> {
    unsupported()
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

pub(crate) fn reopen_read_only(_fd: Borrowed<'_>) -> io::Result<OsHandle> {
    unsupported()
}
