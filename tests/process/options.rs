//! What the builder says about a child, as the child finds it.

use std::io::{Read, Write};
use std::process::Stdio;

use multiprocess::process::{Builder, Resource};
use multiprocess::{JoinError, Receiver, Sender, spawn};
use testkit::signals::ignore;
use testkit::watchdog;

use crate::support::{Fd, read_byte, socket_pair, write_byte};

/// A line of this thread's `/proc/thread-self/status`. Not of the main thread: while that starts a
/// thread, the C library blocks all of its signals.
fn status(key: &str) -> String {
    let text = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = text.lines().find(|line| line.split(':').next() == Some(key)).unwrap();
    line[key.len() + 1..].trim().to_owned()
}

fn signal_set(key: &str) -> u64 {
    u64::from_str_radix(&status(key), 16).unwrap()
}

fn bit(signal: libc::c_int) -> u64 {
    1 << (signal - 1)
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
    let (mut ours, theirs) = socket_pair();
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
        let done =
            unsafe { libc::sigprocmask(libc::SIG_BLOCK, all.as_ptr(), std::ptr::null_mut()) };
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

/// Says its number and whether it leads a process group, and then answers.
fn report(line: Fd) {
    let mut line = line.stream();
    let leads = rustix::process::getpgrp() == rustix::process::getpid();
    write_byte(&mut line, leads.into());
    while let Some(byte) = read_byte(&mut line) {
        write_byte(&mut line, byte);
    }
}

// fault 122
#[test]
fn an_interrupt_of_the_group_reaches_those_that_do_not_keep_out_of_reach() {
    multiprocess::init();
    let _watchdog = watchdog();
    // Ctrl-C is SIGINT to each process of a group. The group must not be that of the tests.
    let parent = |(control, lines): (Fd, Vec<Fd>)| {
        // A shell without job control starts what runs in the background with SIGINT ignored, and
        // children inherit that.
        // SAFETY: the default action installs no code.
        assert_ne!(unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) }, libc::SIG_ERR);
        let configured = [
            Builder::new(),
            Builder::new().new_process_group(true),
            Builder::new().ignore_interrupt(true),
        ];
        let children: Vec<_> = configured
            .into_iter()
            .zip(lines)
            .map(|(builder, line)| builder.spawn(report, line))
            .collect();
        assert!(children.iter().all(|child| child.is_ok()));
        let mut control = control.stream();
        write_byte(&mut control, b'r');
        read_byte(&mut control);
    };
    let (mut control, its_control) = socket_pair();
    let (mut ours, theirs): (Vec<_>, Vec<_>) = (0..3).map(|_| socket_pair()).unzip();
    let parent =
        Builder::new().new_process_group(true).spawn(parent, (its_control, theirs)).unwrap();
    assert_eq!(read_byte(&mut control), Some(b'r'));
    for (line, leads) in ours.iter_mut().zip([0, 1, 0]) {
        assert_eq!(read_byte(line), Some(leads));
    }
    let group = rustix::process::Pid::from_raw(parent.id() as i32).unwrap();
    rustix::process::kill_process_group(group, rustix::process::Signal::INT).unwrap();
    assert!(matches!(parent.join(), Err(JoinError::Killed(2))));
    assert_eq!(read_byte(&mut ours[0]), None, "the one in the group is gone");
    for line in &mut ours[1..] {
        write_byte(line, b'?');
        assert_eq!(read_byte(line), Some(b'?'), "the others go on");
    }
}

// fault 122
#[test]
fn the_nice_value_grows_by_what_was_asked_for() {
    multiprocess::init();
    let _watchdog = watchdog();
    let nice = || rustix::process::getpriority_process(None).unwrap();
    let of_child = |()| {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        (nice(), std::thread::spawn(nice).join().unwrap())
    };
    let child = Builder::new().nice(3).spawn(of_child, ()).unwrap();
    let expected = (nice() + 3).min(19);
    assert_eq!(child.join().unwrap(), (expected, expected));
    let last = Builder::new().nice(1000).spawn(of_child, ()).unwrap();
    assert_eq!(last.join().unwrap(), (19, 19));
}

// fault 122
#[test]
fn limits_are_those_that_were_asked_for() {
    multiprocess::init();
    let _watchdog = watchdog();
    let look = |()| {
        use rustix::process::{Resource, getrlimit};
        [Resource::Core, Resource::Nofile, Resource::Cpu, Resource::Stack].map(|resource| {
            let limit = getrlimit(resource);
            (limit.current, limit.maximum)
        })
    };
    let this = look(());
    let child = Builder::new()
        .rlimit(Resource::CoreSize, 5, 5)
        .rlimit(Resource::CoreSize, 0, 4096)
        .rlimit(Resource::OpenFiles, 100, 200)
        .rlimit(Resource::CpuTime, 1000, this[2].1)
        .spawn(look, ())
        .unwrap();
    let expected = [
        (Some(0), Some(4096)),
        (Some(100), Some(200)),
        (Some(1000), this[2].1),
        (this[3].0, this[3].1),
    ];
    assert_eq!(child.join().unwrap(), expected);
    let error = Builder::new()
        .rlimit(Resource::OpenFiles, 200, 100)
        .spawn(look, ())
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("limit of OpenFiles to 200 (soft) and 100 (hard): Invalid argument"),
        "{error}"
    );
}

// fault 122
#[test]
fn a_child_runs_as_the_user_and_groups_that_were_asked_for() {
    multiprocess::init();
    let _watchdog = watchdog();
    let look = |(receiver, sender): (Receiver<u32>, Sender<u32>)| {
        // Channels work across users.
        sender.clone().send(receiver.clone().recv().unwrap() + 1).unwrap();
        ["Uid", "Gid", "Groups"].map(status)
    };
    let run = |builder: Builder| {
        let (ours, theirs) = (multiprocess::bounded(1).unwrap(), multiprocess::bounded(1).unwrap());
        let child = builder.spawn(look, (ours.1, theirs.0))?;
        ours.0.send(4).unwrap();
        assert_eq!(theirs.1.recv().unwrap(), 5);
        Ok::<_, std::io::Error>(child.join().unwrap())
    };
    let four = |id: u32| format!("{id}\t{id}\t{id}\t{id}");
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let same = run(Builder::new().gid(gid)).unwrap();
    assert_eq!((&same[0], &same[1]), (&four(uid), &four(gid)));

    let other = Builder::new().uid(65534).gid(65533).groups([7, 65533]);
    if uid == 0 {
        assert_eq!(run(other).unwrap(), [four(65534), four(65533), "7 65533".to_owned()]);
        let bare = run(Builder::new().uid(65534)).unwrap();
        assert_eq!(bare, [four(65534), four(gid), String::new()]);
        // Also where the parent has groups to give up.
        let parent = |()| {
            let child = Builder::new().uid(65534).spawn(|()| status("Groups"), ()).unwrap();
            (status("Groups"), child.join().unwrap())
        };
        let groups = Builder::new().groups([7]).spawn(parent, ()).unwrap().join().unwrap();
        assert_eq!(groups, ("7".to_owned(), String::new()));
    } else {
        let error = run(other).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        assert!(
            error.to_string().contains("setting supplementary groups: Operation not"),
            "{error}"
        );
    }
    for builder in [Builder::new().uid(u32::MAX), Builder::new().groups([u32::MAX])] {
        let error = run(builder).unwrap_err();
        assert!(error.to_string().contains("4294967295 is not the number"), "{error}");
    }
}
