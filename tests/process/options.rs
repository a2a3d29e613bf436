//! What the builder says about a child, as the child finds it.

use std::io::{Read, Write};
use std::process::Stdio;

use multiprocess::process::Builder;
use multiprocess::spawn;

use crate::harness::watchdog;
use crate::support::line;

/// A line of `/proc/self/status`.
fn status(key: &str) -> String {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find(|line| line.split(':').next() == Some(key)).unwrap();
    line[key.len() + 1..].trim().to_owned()
}

fn signal_set(key: &str) -> u64 {
    u64::from_str_radix(&status(key), 16).unwrap()
}

fn bit(signal: libc::c_int) -> u64 {
    1 << (signal - 1)
}

fn ignore(signal: libc::c_int) {
    // SAFETY: ignoring a signal installs no code.
    assert_ne!(unsafe { libc::signal(signal, libc::SIG_IGN) }, libc::SIG_ERR);
}

// fault 122
#[test]
fn the_writing_end_of_stdin_can_be_taken() {
    multiprocess::init();
    let _watchdog = watchdog();
    let read = |()| {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).unwrap();
        text
    };
    let mut child = Builder::new().stdin(Stdio::piped()).spawn(read, ()).unwrap();
    let mut stdin = child.take_stdin().unwrap();
    assert!(child.take_stdin().is_none());
    stdin.write_all(b"from the parent").unwrap();
    drop(stdin);
    assert_eq!(child.join().unwrap(), "from the parent");
    let (mut ours, theirs) = line();
    ours.write_all(b"any descriptor").unwrap();
    drop(ours);
    let child = Builder::new().stdin(theirs.take()).spawn(read, ()).unwrap();
    assert_eq!(child.join().unwrap(), "any descriptor");
}

// fault 122
#[test]
fn children_start_with_an_empty_signal_mask_and_default_sigchld() {
    multiprocess::init();
    let _watchdog = watchdog();
    // In a process of its own, whose signals are no other test's.
    let parent = |()| {
        ignore(libc::SIGCHLD);
        ignore(libc::SIGHUP);
        let mut all = std::mem::MaybeUninit::uninit();
        // SAFETY: it fills the set.
        unsafe { libc::sigfillset(all.as_mut_ptr()) };
        // SAFETY: the set was filled above.
        let done = unsafe { libc::sigprocmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut()) };
        assert_eq!(done, 0);
        let child = |()| (signal_set("SigBlk"), signal_set("SigIgn"));
        let sets = spawn(child, ()).unwrap().join().unwrap();
        // The parent's own mask is as it was.
        let mut now = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: it fills the set.
        unsafe { libc::sigprocmask(libc::SIG_BLOCK, std::ptr::null(), now.as_mut_ptr()) };
        // SAFETY: filled above.
        let blocked = unsafe { libc::sigismember(now.as_ptr(), libc::SIGTERM) };
        (sets, blocked)
    };
    let ((blocked, ignored), of_parent) = spawn(parent, ()).unwrap().join().unwrap();
    assert_eq!(blocked, 0, "blocked: {blocked:x}");
    assert_eq!(ignored & bit(libc::SIGCHLD), 0, "SIGCHLD is at its default");
    assert_ne!(ignored & bit(libc::SIGHUP), 0, "SIGHUP stays ignored, as nohup wants it");
    assert_eq!(of_parent, 1);
}
