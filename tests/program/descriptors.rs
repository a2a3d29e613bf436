//! What children inherit.

use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};

use multiprocess::process::Builder;
use rustix::io::{FdFlags, fcntl_setfd};
use testkit::watchdog;

use crate::runner::tests;
use crate::support::{read_byte, report_and_hang, socket_pair};

tests![a_child_inherits_no_descriptor_that_it_was_not_given, a_child_inherits_what_it_is_given];

/// Both ends of a pipe as C code makes one: not close-on-exec.
fn pipe() -> (std::fs::File, OwnedFd) {
    let (reader, writer) = rustix::pipe::pipe().unwrap();
    (reader.into(), writer)
}

// fault 129
fn a_child_inherits_no_descriptor_that_it_was_not_given() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut reader, writer) = pipe();
    let (mut ours, theirs) = socket_pair();
    let child = Builder::new().kill_on_drop(true).spawn(report_and_hang, theirs).unwrap();
    assert_eq!(read_byte(&mut ours), Some(b'r'));
    drop(writer);
    assert_eq!(reader.read(&mut [0]).unwrap(), 0, "the pipe ends, though the child lives");
    assert!(!child.is_finished());
}

// fault 129: a descriptor that is given stays under its number, also across the child's own exec.
fn a_child_inherits_what_it_is_given() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut reader, writer) = pipe();
    let number = writer.as_raw_fd();
    fcntl_setfd(&writer, FdFlags::CLOEXEC).unwrap();
    let write = |fd: i32| {
        let script = format!("echo given >&{fd}");
        assert!(std::process::Command::new("sh").args(["-c", &script]).status().unwrap().success());
    };
    let child = Builder::new().inherit_fd(writer).spawn(write, number).unwrap();
    child.join().unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "given\n");
}
