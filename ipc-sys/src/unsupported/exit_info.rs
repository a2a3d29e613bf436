//! Ends of child processes: nothing is known of them.

#![allow(missing_docs, reason = "the contract has the documentation")]

use std::io;
use std::process::ExitStatus;

use super::unsupported;
use crate::types::descriptor::Borrowed;

unsupported! {
    fn exit_status(Borrowed<'_>) -> io::Result<Option<ExitStatus>>;
    fn reaped_elsewhere() -> &'static str = "";
    fn cause_if_reaped(&io::Error) -> Option<&'static str> = None;
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
