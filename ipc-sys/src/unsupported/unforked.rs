//! Open files that no forked child keeps: all are, where there is no fork.

#![allow(missing_docs, reason = "the contract has the documentation")]

use std::io;

use crate::OsHandle;
use crate::types::descriptor::{Borrowed, borrow};

#[derive(Debug)]
pub struct Unforked(OsHandle);
impl Unforked {
    pub fn open(open: impl FnOnce() -> io::Result<OsHandle>) -> io::Result<Unforked> {
        open().map(Unforked)
    }
    pub fn open_if(
        open: impl FnOnce() -> io::Result<Option<OsHandle>>,
    ) -> io::Result<Option<Unforked>> {
        Ok(open()?.map(Unforked))
    }
    pub fn fd(&self) -> Borrowed<'_> {
        borrow(&self.0)
    }
    pub fn send(self) -> OsHandle {
        self.0
    }
    pub fn forget(self) {
        std::mem::forget(self.0);
    }
}
