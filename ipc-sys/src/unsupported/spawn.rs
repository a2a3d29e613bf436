//! Child processes: there are none.

#![allow(missing_docs, reason = "the contract has the documentation")]
#![allow(unsafe_code, reason = "the contract has an unsafe function")]

use std::convert::Infallible;
use std::io;
use std::process::Command;
use std::time::Duration;

use ipc_core::__private::ready::Source;

use crate::OsHandle;
use crate::types::spawn::{
    Activity, CodeRange, Inherited, Interest, Ready, Reap, SetUp, Signal, Streams,
};

unsupported! {
    fn stream_pair() -> io::Result<(OsHandle, OsHandle)>;
    fn wait(Option<&Process>, Option<(&OsHandle, Interest)>, Option<Duration>) -> io::Result<Ready>;
    fn command() -> Command = Command::new(std::env::current_exe().unwrap_or_default());
    fn marker(&OsHandle) -> io::Result<String>;
    fn check_executable() -> io::Result<()>;
    fn start(Command, &OsHandle, OsHandle, SetUp) -> io::Result<(Process, Streams)>;
    fn in_executable() -> bool = true;
    fn is_socket(&OsHandle) -> bool = false;
    fn name_process(&str) -> () = ();
    fn own_process() -> io::Result<OsHandle>;
    fn end_with(OsHandle, i32) -> io::Result<()>;
    fn forget(&str) -> () = ();
    fn as_before_main() -> () = ();
    fn parent_id() -> u32 = 0;
    fn on_main_thread() -> bool = true;
    fn code_ranges() -> io::Result<Vec<CodeRange>>;
    fn constant_ranges() -> io::Result<Vec<CodeRange>>;
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

/// # Safety
///
/// None: there is nothing.
pub(crate) unsafe fn inherited(_: &str) -> io::Result<Inherited> {
    Ok(Inherited::Nothing)
}
