//! How children end, and what their ends leave behind.

use std::io::Read;
use std::os::fd::BorrowedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use multiprocess::process::Builder;
use multiprocess::{JoinError, spawn};
use testkit::proc::exists;
use testkit::proc::open_files;
use testkit::proc::state;
use testkit::{descriptors, stop, watchdog};

use crate::support::{Fd, read_byte, report_and_hang, socket_pair, write_byte};

#[test]
fn a_killed_child_is_reported_as_killed() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs) = socket_pair();
    let child = spawn(report_and_hang, theirs).unwrap();
    assert_eq!(read_byte(&mut ours), Some(b'r'));
    assert!(!child.is_finished());
    child.kill().unwrap();
    assert_eq!(read_byte(&mut ours), None);
    assert!(matches!(child.join(), Err(JoinError::Killed(9))));
}

#[test]
fn a_terminated_child_is_reported_as_killed() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (_ours, theirs) = socket_pair();
    let child = spawn(report_and_hang, theirs).unwrap();
    child.terminate().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(15))));
}

#[test]
fn signals_to_a_child_that_ended_do_nothing() {
    multiprocess::init();
    let _watchdog = watchdog();
    let child = spawn(|()| 5, ()).unwrap();
    while !child.is_finished() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.terminate().unwrap();
    assert!(!exists(child.id()));
    assert_eq!(child.join().unwrap(), 5);
}

#[test]
fn waiting_with_a_deadline_gives_the_handle_back() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs) = socket_pair();
    let child = spawn(report_and_hang, theirs).unwrap();
    assert_eq!(read_byte(&mut ours), Some(b'r'));
    let child = child.try_join().unwrap_err();
    let started = Instant::now();
    let child = child.join_timeout(Duration::from_millis(50)).unwrap_err();
    assert!(started.elapsed() >= Duration::from_millis(50));
    let child = child.join_timeout(Duration::ZERO).unwrap_err();
    child.kill().unwrap();
    let result = child.join_timeout(Duration::MAX).unwrap();
    assert!(matches!(result, Err(JoinError::Killed(9))));
}

#[test]
fn a_stopped_child_does_not_stretch_the_deadline() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs) = socket_pair();
    let child = spawn(report_and_hang, theirs).unwrap();
    assert_eq!(read_byte(&mut ours), Some(b'r'));
    stop(child.id());
    let started = Instant::now();
    let child = child.join_timeout(Duration::from_millis(100)).unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(10));
    assert!(!child.is_finished(), "a stopped process is alive");
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(9))));
}

#[test]
fn kill_on_drop_kills_and_reaps() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs) = socket_pair();
    let child = Builder::new().kill_on_drop(true).spawn(report_and_hang, theirs).unwrap();
    assert_eq!(read_byte(&mut ours), Some(b'r'));
    let id = child.id();
    drop(child);
    assert!(!exists(id));
    assert_eq!(read_byte(&mut ours), None);
}

#[test]
fn a_dropped_handle_detaches_and_leaves_no_zombie() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs) = socket_pair();
    let wait_then_return = |line: Fd| {
        let mut line = line.stream();
        assert_eq!(read_byte(&mut line), Some(b'g'));
        write_byte(&mut line, b'd');
        vec![0u8; 1 << 20]
    };
    let child = spawn(wait_then_return, theirs).unwrap();
    let id = child.id();
    drop(child);
    assert!(exists(id));
    write_byte(&mut ours, b'g');
    assert_eq!(read_byte(&mut ours), Some(b'd'), "it goes on");
    assert_eq!(read_byte(&mut ours), None, "it ends, though its result is not taken");
    // Between closing its files and its end there is a moment; no later spawn leaves it unreaped.
    while exists(id) {
        spawn(|()| (), ()).unwrap().join().unwrap();
    }
}

#[test]
fn a_detached_child_that_had_ended_is_reaped_when_dropped() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs) = socket_pair();
    let child = spawn(|_: Fd| (), theirs).unwrap();
    assert_eq!(read_byte(&mut ours), None);
    while state(child.id()) != Some('Z') {
        std::thread::yield_now();
    }
    let id = child.id();
    drop(child);
    assert!(!exists(id));
}

/// Starts `cat`s that outlive this process: one holds its socket to the parent, one its stdout.
fn leave_heirs(inputs: Vec<Fd>) -> String {
    let taken: Vec<i32> = inputs.iter().map(Fd::number).collect();
    let is_ours = |fd: i32| fd > 2 && !taken.contains(&fd);
    let mut files = open_files().into_iter();
    let (socket, _) = files.find(|(fd, file)| is_ours(*fd) && file.starts_with("socket:")).unwrap();
    // SAFETY: `init` holds this descriptor until the process ends.
    let socket = unsafe { BorrowedFd::borrow_raw(socket) };
    let mut outputs = vec![Stdio::from(socket.try_clone_to_owned().unwrap()), Stdio::inherit()];
    for input in inputs {
        #[allow(clippy::zombie_processes, reason = "they outlive this process")]
        Command::new("cat").stdin(input.take()).stdout(outputs.pop().unwrap()).spawn().unwrap();
    }
    "result".to_owned()
}

#[test]
fn what_grandchildren_hold_open_does_not_hold_join() {
    multiprocess::init();
    let _watchdog = watchdog();
    let returns = leave_heirs;
    let exits = |inputs: Vec<Fd>| -> String {
        leave_heirs(inputs);
        std::process::exit(3)
    };
    for f in [returns, exits] {
        let ((first, a), (second, b)) = (socket_pair(), socket_pair());
        let mut child = Builder::new().stdout(Stdio::piped()).spawn(f, vec![a, b]).unwrap();
        let mut stdout = child.take_stdout().unwrap();
        match child.join() {
            Ok(text) => assert_eq!(text, "result"),
            Err(JoinError::Exited(3)) => {}
            other => panic!("{other:?}"),
        }
        // The heirs are still there: only now do they see the end of their input.
        drop((first, second));
        stdout.read_to_end(&mut Vec::new()).unwrap();
    }
}

#[test]
fn fifty_children_at_once() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs) = socket_pair();
    let theirs = theirs.stream();
    let children: Vec<_> = (0..50u64)
        .map(|n| {
            let wait = |(n, line): (u64, Fd)| {
                while read_byte(&mut line.stream()).is_some() {}
                n * n
            };
            spawn(wait, (n, Fd::new(theirs.try_clone().unwrap()))).unwrap()
        })
        .collect();
    assert!(children.iter().all(|child| !child.is_finished()));
    drop(theirs);
    ours.shutdown(std::net::Shutdown::Both).unwrap();
    for (n, child) in (0..).zip(children) {
        assert_eq!(child.join().unwrap(), n * n);
    }
    assert_eq!(read_byte(&mut ours), None);
}

#[test]
fn no_descriptor_is_left_over() {
    multiprocess::init();
    let _watchdog = watchdog();
    // In a child, where no other test opens anything meanwhile.
    let count = |()| {
        let before = descriptors();
        for round in 0..5 {
            let (_ours, theirs) = socket_pair();
            let child = spawn(report_and_hang, theirs).unwrap();
            match round {
                0 => drop(Builder::new().kill_on_drop(true).spawn(|()| (), ()).unwrap()),
                1 => drop(spawn(|()| vec![0u8; 1 << 20], ()).unwrap()),
                _ => drop(spawn(|()| -> u8 { panic!("on purpose") }, ()).unwrap().join()),
            }
            child.kill().unwrap();
            assert!(child.join().is_err());
            let refused = Builder::new().current_dir("/nowhere").spawn(|()| (), ());
            assert!(refused.is_err());
        }
        // The detached child ends when its result has nowhere to go; then a spawn reaps it.
        while descriptors() != before {
            spawn(|()| (), ()).unwrap().join().unwrap();
        }
        (before, descriptors())
    };
    let (before, after) = spawn(count, ()).unwrap().join().unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_child_goes_on_when_its_parent_dies_later() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs) = socket_pair();
    let parent = |line: Fd| {
        let child = |line: Fd| {
            let mut line = line.stream();
            write_byte(&mut line, b's');
            assert_eq!(read_byte(&mut line), Some(b'g'));
            write_byte(&mut line, b'd');
            // More than the socket holds: it must not wait for a reader that is dead.
            vec![0u8; 4 << 20]
        };
        let _child = spawn(child, line).unwrap();
        loop {
            std::thread::park();
        }
    };
    let parent = spawn(parent, theirs).unwrap();
    let _: Result<(), _> = {
        assert_eq!(read_byte(&mut ours), Some(b's'));
        parent.kill().unwrap();
        parent.join()
    };
    write_byte(&mut ours, b'g');
    assert_eq!(read_byte(&mut ours), Some(b'd'));
    assert_eq!(read_byte(&mut ours), None, "it ends");
}
