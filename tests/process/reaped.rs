//! Another part of the program, or the system, reaps the children.

use std::time::{Duration, Instant};

use multiprocess::process::Builder;
use multiprocess::{JoinError, spawn};
use serde::{Deserialize, Serialize};
use testkit::proc::exists;
use testkit::signals::ignore;
use testkit::{forbid, watchdog};

use crate::support::{Fd, read_byte, report_and_hang, socket_pair};

/// Arguments that end the child which decodes them.
#[derive(Serialize, Deserialize)]
struct Ends(#[serde(deserialize_with = "end")] ());

fn end<'de, D: serde::Deserializer<'de>>(_: D) -> Result<(), D::Error> {
    std::process::exit(3)
}

/// Whether the system tells the status of a process that was reaped: since Linux 6.15.
fn status_is_kept() -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
    let mut numbers = release.split('.').map(|part| part.parse().unwrap_or(0));
    let version: (u32, u32) = (numbers.next().unwrap(), numbers.next().unwrap());
    version >= (6, 15)
}

fn ignore_sigchld() {
    ignore(libc::SIGCHLD);
}

fn never_keep_children() {
    // SAFETY: valid as zeros: the default action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_flags = libc::SA_NOCLDWAIT;
    // SAFETY: `action` is valid during the call.
    assert_eq!(unsafe { libc::sigaction(libc::SIGCHLD, &action, std::ptr::null_mut()) }, 0);
}

fn reap_everything() {
    std::thread::spawn(|| {
        loop {
            // SAFETY: asks for no status. Without children it answers at once.
            unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
        }
    });
}

fn exit_with(status: i32) {
    std::process::exit(status);
}

/// What a parent learns of its children. Whether the status of those that it did not kill is
/// `known`; `None` if that depends on which part of the program reaps them first.
fn ends(known: Option<bool>) {
    let (may_be_known, may_be_lost) = (known != Some(false), known != Some(true));
    let exited = |result: Result<(), JoinError>, status: i32| match result {
        Err(JoinError::Exited(found)) if may_be_known => assert_eq!(found, status),
        Err(JoinError::Unknown(error)) if may_be_lost => {
            let text = error.to_string();
            assert!(
                text.contains("SIGCHLD") || text.contains("another part of this program"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    };
    for status in [0, 7, 255] {
        exited(spawn(exit_with, status).unwrap().join(), status);
    }
    let (mut ours, theirs) = socket_pair();
    let child = spawn(report_and_hang, theirs).unwrap();
    assert_eq!(read_byte(&mut ours), Some(b'r'));
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(9))));

    assert_eq!(spawn(|n: u32| n + 1, 4).unwrap().join().unwrap(), 5);
    let panicked = spawn(|()| -> u8 { panic!("on purpose") }, ()).unwrap().join();
    assert!(matches!(panicked, Err(JoinError::Panicked(text)) if text == "on purpose"));

    let (mut ours, theirs) = socket_pair();
    let child = Builder::new().kill_on_drop(true).spawn(report_and_hang, theirs).unwrap();
    assert_eq!(read_byte(&mut ours), Some(b'r'));
    let id = child.id();
    drop(child);
    assert!(!exists(id));

    let (mut ours, theirs) = socket_pair();
    let child = spawn(report_and_hang, theirs).unwrap();
    assert_eq!(read_byte(&mut ours), Some(b'r'));
    child.terminate().unwrap();
    match child.join() {
        Err(JoinError::Killed(15)) if may_be_known => {}
        Err(JoinError::Unknown(_)) if may_be_lost => {}
        other => panic!("{other:?}"),
    }

    // One that ends before the parent can look for it by its number.
    for _ in 0..20 {
        let error = spawn(|_: Ends| (), Ends(())).unwrap_err().to_string();
        assert!(error.contains("before it had decoded its arguments"), "{error}");
        let status_is_there = error.contains("exit status 3");
        assert!(if status_is_there { may_be_known } else { may_be_lost }, "{error}");
    }
    let error = Builder::new().current_dir("/nowhere").spawn(|()| (), ()).unwrap_err().to_string();
    assert!(error.contains("\"/nowhere\": No such file") && !error.contains("/proc"), "{error}");

    let (mut ours, theirs) = socket_pair();
    let detached = spawn(|_: Fd| (), theirs).unwrap();
    let id = detached.id();
    drop(detached);
    assert_eq!(read_byte(&mut ours), None);
    let limit = Instant::now() + Duration::from_secs(20);
    while exists(id) {
        assert!(Instant::now() < limit);
        std::thread::yield_now();
    }
}

// fault 118
#[test]
fn statuses_are_known_although_something_else_reaps_all_children() {
    multiprocess::init();
    let _watchdog = watchdog();
    let parents = [
        |()| {
            ignore_sigchld();
            ends(Some(status_is_kept()));
        },
        |()| {
            never_keep_children();
            ends(Some(status_is_kept()));
        },
        |()| {
            reap_everything();
            ends(status_is_kept().then_some(true));
        },
    ];
    for parent in parents {
        spawn(parent, ()).unwrap().join().unwrap();
    }
}

// fault 118
#[test]
fn without_the_kernels_help_kills_and_results_are_known_and_the_rest_says_why() {
    multiprocess::init();
    let _watchdog = watchdog();
    let parents = [
        |()| {
            forbid(libc::SYS_ioctl, None, libc::ENOTTY);
            ignore_sigchld();
            ends(Some(false));
            let Err(JoinError::Unknown(error)) = spawn(exit_with, 7).unwrap().join() else {
                panic!("known");
            };
            assert!(error.to_string().contains("set SIGCHLD to its default action"), "{error}");
        },
        |()| {
            forbid(libc::SYS_ioctl, None, libc::ENOTTY);
            reap_everything();
            ends(None);
        },
    ];
    for parent in parents {
        spawn(parent, ()).unwrap().join().unwrap();
    }
}
