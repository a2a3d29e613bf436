//! How children of tests start, or fail to. Those of programs: `tests/program`.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::time::{Duration, Instant};

use multiprocess::process::Builder;
use multiprocess::spawn;
use serde::{Deserialize, Serialize};
use testkit::proc::children_of_this_thread;
use testkit::{descriptors, limit, watchdog};

use crate::support::{Fd, read_byte, report_and_hang, socket_pair, write_byte};

/// Arguments whose decoding asks the other end of the line for permission.
#[derive(Serialize, Deserialize)]
struct Slow(#[serde(deserialize_with = "ask")] Fd);

fn ask<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Fd, D::Error> {
    let fd = Fd::deserialize(deserializer)?.take();
    let mut line = UnixStream::from(fd.try_clone().unwrap());
    write_byte(&mut line, b'?');
    assert_eq!(read_byte(&mut line), Some(b'!'));
    Ok(Fd::new(fd))
}

#[test]
fn a_child_ends_if_its_parent_is_killed_before_the_handshake() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs) = socket_pair();
    let parent = |line: Fd| {
        let started = |line: Slow| write_byte(&mut line.0.stream(), b'f');
        spawn(started, Slow(line)).unwrap();
    };
    let parent = spawn(parent, theirs).unwrap();
    assert_eq!(read_byte(&mut ours), Some(b'?'), "the grandchild has its arguments");
    parent.kill().unwrap();
    assert!(parent.join().is_err());
    write_byte(&mut ours, b'!');
    assert_eq!(read_byte(&mut ours), None, "it ended, and never started its function");
}

/// Arguments that take two and a half seconds of work to decode.
#[derive(Serialize, Deserialize)]
struct Laborious(#[serde(deserialize_with = "work")] ());

fn work<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<(), D::Error> {
    let end = Instant::now() + Duration::from_millis(2500);
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    <()>::deserialize(deserializer)
}

// fault 120
#[test]
fn a_child_is_not_killed_while_it_works_on_its_arguments() {
    multiprocess::init();
    let _watchdog = watchdog();
    let builder = Builder::new().startup_timeout(Duration::from_secs(1));
    let child = builder.spawn(|_: Laborious| 7, Laborious(())).unwrap();
    assert_eq!(child.join().unwrap(), 7);
}

// fault 120: one that does nothing is.
#[test]
fn a_child_that_hangs_while_decoding_is_killed_in_time() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs) = socket_pair();
    let started = Instant::now();
    let error = Builder::new()
        .startup_timeout(Duration::from_secs(2))
        .spawn(|_: Slow| (), Slow(theirs))
        .unwrap_err();
    assert!(started.elapsed() >= Duration::from_secs(2));
    assert!(error.to_string().contains("did nothing with its arguments"), "{error}");
    assert_eq!(read_byte(&mut ours), Some(b'?'));
    assert_eq!(read_byte(&mut ours), None, "it is gone");
}

#[test]
fn more_handles_than_one_message_carries_are_refused() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs): (Vec<_>, Vec<Fd>) = (0..254).map(|_| socket_pair()).unzip();
    let error = spawn(|_: Vec<Fd>| (), theirs).unwrap_err();
    assert!(error.to_string().contains("do not encode"), "{error}");
    assert!(ours.iter_mut().all(|line| read_byte(line).is_none()), "all are closed");
}

#[test]
fn children_have_children() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn tree(depth: u32) -> u32 {
        // It has come through `init`; again it does nothing.
        multiprocess::init();
        match depth {
            0 => 1,
            _ => {
                let children = [(); 2].map(|()| spawn(tree, depth - 1).unwrap());
                children.into_iter().map(|child| child.join().unwrap()).sum()
            }
        }
    }
    assert_eq!(spawn(tree, 3).unwrap().join().unwrap(), 8);
}

#[test]
fn eight_threads_spawn_at_once() {
    multiprocess::init();
    let _watchdog = watchdog();
    std::thread::scope(|scope| {
        for n in 0..8u32 {
            scope.spawn(move || {
                multiprocess::init();
                for m in 0..4 {
                    let child = spawn(|(n, m): (u32, u32)| n * 10 + m, (n, m)).unwrap();
                    assert_eq!(child.join().unwrap(), n * 10 + m);
                }
            });
        }
    });
}

#[test]
fn the_builder_sets_name_environment_and_directory() {
    multiprocess::init();
    let _watchdog = watchdog();
    let look = |()| {
        let var = |key| std::env::var(key).ok();
        let directory = std::env::current_dir().unwrap();
        (var("MULTIPROCESS_A"), var("MULTIPROCESS_B"), var("PATH"), directory)
    };
    let child = Builder::new()
        .name("looker")
        .env_remove("PATH")
        .env("MULTIPROCESS_A", "1")
        .envs([("MULTIPROCESS_B", "2")])
        .current_dir("/")
        .spawn(look, ())
        .unwrap();
    assert_eq!(child.name(), Some("looker"));
    assert!(child.id() > 0);
    let expected = (Some("1".into()), Some("2".into()), None, "/".into());
    assert_eq!(child.join().unwrap(), expected);
    let bare = Builder::new().env_clear().spawn(look, ()).unwrap();
    assert_eq!(bare.join().unwrap().2, None);
}

// fault 117
#[test]
fn output_can_be_read_by_the_parent() {
    multiprocess::init();
    let _watchdog = watchdog();
    let print = |()| {
        print!("to stdout, no end of line");
        eprint!("to stderr");
    };
    let mut child =
        Builder::new().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn(print, ()).unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    child.take_stdout().unwrap().read_to_string(&mut out).unwrap();
    child.take_stderr().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!(out, "to stdout, no end of line");
    assert_eq!(err, "to stderr");
    child.join().unwrap();
}

#[test]
fn stdin_of_a_child_is_empty() {
    multiprocess::init();
    let _watchdog = watchdog();
    let read = |()| {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!(spawn(read, ()).unwrap().join().unwrap(), "");
}

#[test]
fn handles_do_not_leak_into_other_children() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut first, theirs) = socket_pair();
    let (_second, other) = socket_pair();
    let one = spawn(report_and_hang, theirs).unwrap();
    let two = spawn(report_and_hang, other).unwrap();
    assert_eq!(read_byte(&mut first), Some(b'r'));
    one.kill().unwrap();
    // If the second child held the first one's line as well, this would not end.
    assert_eq!(read_byte(&mut first), None);
    two.kill().unwrap();
    assert!(one.join().is_err() && two.join().is_err());
}

#[test]
fn without_room_for_descriptors_spawn_fails_and_leaves_no_child() {
    multiprocess::init();
    let _watchdog = watchdog();
    // In a process of its own, in which nothing else opens descriptors.
    let parent = |()| {
        use rustix::process::Resource;
        let open = descriptors() as u64;
        let mut failed = 0;
        for more in 0.. {
            let before = limit(Resource::Nofile, Some(open + more));
            let result = spawn(|()| 5, ());
            limit(Resource::Nofile, before);
            if let Ok(child) = result {
                assert_eq!(child.join().unwrap(), 5);
                break;
            }
            failed += 1;
            assert_eq!(children_of_this_thread(), "", "{more}");
            assert_eq!(descriptors() as u64, open, "{more}");
        }
        failed
    };
    let failed = spawn(parent, ()).unwrap().join().unwrap();
    assert!(failed > 2, "{failed}");
}

// fault 117: alone, as one of many, and in a process of its own, as cargo-nextest runs it.
#[test]
fn a_test_that_forgets_init_runs_its_own_function_and_prints_nothing_else() {
    const ALONE: &str = "MULTIPROCESS_TEST_ALONE";
    let _watchdog = watchdog();
    let mut child = Builder::new().stdout(Stdio::piped()).spawn(|n: u32| n + 1, 6).unwrap();
    let mut output = String::new();
    child.take_stdout().unwrap().read_to_string(&mut output).unwrap();
    assert_eq!((child.join().unwrap(), output.as_str()), (7, ""));
    // From a thread that belongs to no test, as far as its name tells.
    let elsewhere = std::thread::spawn(|| spawn(|n: u32| n + 1, 7).unwrap().join().unwrap());
    assert_eq!(elsewhere.join().unwrap(), 8);
    if std::env::var_os(ALONE).is_none() {
        let name = "start::a_test_that_forgets_init_runs_its_own_function_and_prints_nothing_else";
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let output = alone.args([name, "--exact", "--nocapture"]).env(ALONE, "1").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.matches("running 1 test").count() == 1, "{text}");
    }
}
