//! Child processes: there are none.

#![allow(missing_docs, reason = "the contract has the documentation")]
#![allow(unsafe_code, reason = "the contract has an unsafe function")]

use std::convert::Infallible;
use std::io;
use std::process::Command;
use std::time::Duration;

use ipc_core::__private::ready::Source;

use super::unsupported;
use crate::OsHandle;
use crate::types::spawn::{
    Activity, CodeRange, Inherited, Interest, Ready, Reap, SetUp, Signal, Streams,
};

pub(crate) fn stream_pair() -> io::Result<(OsHandle, OsHandle)> {
    unsupported()
}

pub(crate) fn wait(
    _: Option<&Process>,
    _: Option<(&OsHandle, Interest)>,
    _: Option<Duration>,
) -> io::Result<Ready> {
    unsupported()
}

pub(crate) fn command() -> Command {
    Command::new(std::env::current_exe().unwrap_or_default())
}

pub(crate) fn marker(_: &OsHandle) -> io::Result<String> {
    unsupported()
}

pub(crate) fn check_executable() -> io::Result<()> {
    unsupported()
}

pub(crate) fn start(
    _: Command,
    _: &OsHandle,
    _: OsHandle,
    _: SetUp,
) -> io::Result<(Process, Streams)> {
    unsupported()
}

/// A child process: there is none.
#[derive(Debug)]
pub struct Process(Infallible);

impl Process {
    pub fn id(&self) -> u32 {
        match self.0 {}
    }

    pub fn end(&self) -> End {
        match self.0 {}
    }

    pub fn activity(&self) -> Activity {
        match self.0 {}
    }

    pub fn signal(&self, _: Signal) -> io::Result<()> {
        match self.0 {}
    }

    pub fn try_reap(&self) -> io::Result<Reap> {
        match self.0 {}
    }
}

/// The end of a child process: there is none.
#[derive(Clone, Debug)]
pub struct End(Infallible);

impl End {
    pub fn source(&self) -> Source<'_> {
        match self.0 {}
    }

    pub fn downgrade(&self) -> WeakEnd {
        match self.0 {}
    }
}

/// As [`End`].
#[derive(Debug)]
pub struct WeakEnd(Infallible);

impl WeakEnd {
    pub fn is_pending(&self) -> bool {
        match self.0 {}
    }
}

pub(crate) fn in_executable() -> bool {
    true
}

/// # Safety
///
/// None: there is nothing.
pub(crate) unsafe fn inherited(_: &str) -> io::Result<Inherited> {
    Ok(Inherited::Nothing)
}

pub(crate) fn is_socket(_: &OsHandle) -> bool {
    false
}

pub(crate) fn name_process(_: &str) {}

pub(crate) fn own_process() -> io::Result<OsHandle> {
    unsupported()
}

pub(crate) fn end_with(_: OsHandle, _: i32) -> io::Result<()> {
    unsupported()
}
pub(crate) fn forget(_: &str) {}

pub(crate) fn as_before_main() {}

pub(crate) fn parent_id() -> u32 {
    0
}

pub(crate) fn on_main_thread() -> bool {
    true
}

pub(crate) fn code_ranges() -> io::Result<Vec<CodeRange>> {
    unsupported()
}

pub(crate) fn constant_ranges() -> io::Result<Vec<CodeRange>> {
    unsupported()
}
