//! Ends of child processes: nothing is known of them.

#![allow(missing_docs, reason = "the contract has the documentation")]

use std::io;
use std::process::ExitStatus;

use super::unsupported;
use crate::types::descriptor::Borrowed;

pub(crate) fn exit_status(_pidfd: Borrowed<'_>) -> io::Result<Option<ExitStatus>> {
    unsupported()
}
pub(crate) fn reaped_elsewhere() -> &'static str {
    ""
}
#[derive(Debug)]
pub struct Exit;
impl Exit {
    pub fn status_elsewhere(&self) -> Option<ExitStatus> {
        None
    }
    pub fn of(_pid: u32) -> io::Result<Option<Exit>> {
        unsupported()
    }
    pub fn is_over(&self) -> io::Result<bool> {
        unsupported()
    }
}

pub(crate) fn cause_if_reaped(_error: &io::Error) -> Option<&'static str> {
    None
}
