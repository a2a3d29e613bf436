//! How children start, or fail to, and who is taken for a child.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use multiprocess::process::Builder;
use multiprocess::spawn;
use serde::{Deserialize, Serialize};

use crate::harness::watchdog;
use crate::support::{Fd, hear, in_process_table, line, report_and_hang, say, this_test};

/// What a test does before `init` in processes that are told so.
const BEFORE: &str = "MULTIPROCESS_TEST_BEFORE_INIT";

fn before_init() -> Option<String> {
    std::env::var(BEFORE).ok()
}

#[test]
fn a_child_that_ends_before_init_is_an_error_of_spawn() {
    match before_init().as_deref() {
        Some("exit") => std::process::exit(3),
        Some("return") => return,
        Some("abort") => std::process::abort(),
        _ => {}
    }
    multiprocess::init();
    let _watchdog = watchdog();
    for (how, status) in
        [("exit", "exit status 3"), ("return", "exit status 0"), ("abort", "killed by signal 6")]
    {
        let error = Builder::new().name("early").env(BEFORE, how).spawn(|()| (), ()).unwrap_err();
        let text = error.to_string();
        let expected = format!("ended ({status}) before it reached multiprocess::init()");
        assert!(text.contains(&expected) && text.contains("\"early\""), "{text}");
    }
}

#[test]
fn a_child_that_never_comes_to_init_is_killed_in_time() {
    if let Some(path) = before_init() {
        let mut line = UnixStream::connect(path).unwrap();
        line.write_all(&std::process::id().to_le_bytes()).unwrap();
        while hear(&mut line).is_some() {}
        return;
    }
    multiprocess::init();
    let _watchdog = watchdog();
    let path = std::env::temp_dir().join(format!("multiprocess-{}-init", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let error = Builder::new()
        .env(BEFORE, &path)
        .startup_timeout(Duration::from_secs(2))
        .spawn(|()| (), ())
        .unwrap_err();
    let (mut line, _) = listener.accept().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert!(error.to_string().contains("did not reach multiprocess::init()"), "{error}");
    let mut id = [0; 4];
    line.read_exact(&mut id).unwrap();
    assert!(!in_process_table(u32::from_le_bytes(id)));
}

#[test]
fn a_child_that_has_not_come_to_init_cannot_spawn() {
    if before_init().is_some() {
        let error = spawn(|()| (), ()).unwrap_err();
        let right = error.to_string().contains("itself spawned");
        std::process::exit(if right { 42 } else { 1 });
    }
    multiprocess::init();
    let _watchdog = watchdog();
    let error = Builder::new().env(BEFORE, "x").spawn(|()| (), ()).unwrap_err();
    assert!(error.to_string().contains("exit status 42"), "{error}");
}

#[test]
fn a_child_that_lost_its_stdin_does_not_start_itself_for_ever() {
    if before_init().is_some() {
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null").unwrap()).unwrap();
        multiprocess::init();
        let error = spawn(|()| (), ()).unwrap_err();
        let right = error.to_string().contains("itself spawned");
        std::process::exit(if right { 42 } else { 1 });
    }
    multiprocess::init();
    let _watchdog = watchdog();
    let error = Builder::new().env(BEFORE, "x").spawn(|()| (), ()).unwrap_err();
    assert!(error.to_string().contains("exit status 42"), "{error}");
}

#[test]
fn a_program_that_never_calls_init_cannot_spawn() {
    if before_init().is_some() {
        println!("{}", spawn(|()| (), ()).unwrap_err());
        return;
    }
    multiprocess::init();
    let _watchdog = watchdog();
    let output =
        this_test("start::a_program_that_never_calls_init_cannot_spawn").env(BEFORE, "x").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("init() has not been called"), "{text}");
}

/// Arguments whose decoding asks the other end of the line for permission.
#[derive(Serialize, Deserialize)]
struct Slow(#[serde(deserialize_with = "ask")] Fd);

fn ask<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Fd, D::Error> {
    let fd = Fd::deserialize(deserializer)?.take();
    let mut line = UnixStream::from(fd.try_clone().unwrap());
    say(&mut line, b'?');
    assert_eq!(hear(&mut line), Some(b'!'));
    Ok(Fd::new(fd))
}

#[test]
fn a_child_ends_if_its_parent_is_killed_before_the_handshake() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs) = line();
    let parent = |line: Fd| {
        let started = |line: Slow| say(&mut line.0.stream(), b'f');
        spawn(started, Slow(line)).unwrap();
    };
    let parent = spawn(parent, theirs).unwrap();
    assert_eq!(hear(&mut ours), Some(b'?'), "the grandchild has its arguments");
    parent.kill().unwrap();
    assert!(parent.join().is_err());
    say(&mut ours, b'!');
    assert_eq!(hear(&mut ours), None, "it ended, and never started its function");
}

#[test]
fn a_child_ends_if_its_parent_is_killed_before_it_comes_to_init() {
    if let Some(path) = before_init() {
        if std::env::var_os("MULTIPROCESS_TEST_DEPTH").is_some() {
            let mut line = UnixStream::connect(path).unwrap();
            say(&mut line, b'i');
            assert_eq!(hear(&mut line), Some(b'g'));
            // From here on only its own end closes the line.
            std::mem::forget(line);
        }
    }
    multiprocess::init();
    let _watchdog = watchdog();
    let path = std::env::temp_dir().join(format!("multiprocess-{}-orphan", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let parent = |()| {
        let held = Builder::new().env("MULTIPROCESS_TEST_DEPTH", "1");
        held.spawn(|()| (), ()).unwrap();
    };
    let parent = Builder::new().env(BEFORE, &path).spawn(parent, ()).unwrap();
    let (mut line, _) = listener.accept().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(hear(&mut line), Some(b'i'));
    parent.kill().unwrap();
    assert!(parent.join().is_err());
    say(&mut line, b'g');
    assert_eq!(hear(&mut line), None);
}

#[test]
fn a_child_that_hangs_while_decoding_is_killed_in_time() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs) = line();
    let started = Instant::now();
    let error =
        Builder::new().startup_timeout(Duration::from_secs(2)).spawn(|_: Slow| (), Slow(theirs)).unwrap_err();
    assert!(started.elapsed() >= Duration::from_secs(2));
    assert!(error.to_string().contains("did nothing with its arguments"), "{error}");
    assert_eq!(hear(&mut ours), Some(b'?'));
    assert_eq!(hear(&mut ours), None, "it is gone");
}

#[test]
fn a_child_that_cannot_take_all_handles_refuses() {
    if before_init().is_some() {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let limit = Rlimit { current: Some(40), maximum: Some(40) };
        setrlimit(Resource::Nofile, limit).unwrap();
    }
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs): (Vec<_>, Vec<Fd>) = (0..100).map(|_| line()).unzip();
    let error = Builder::new().env(BEFORE, "x").spawn(|_: Vec<Fd>| (), theirs).unwrap_err();
    assert!(error.to_string().contains("limit on open files"), "{error}");
    assert!(ours.iter_mut().all(|line| hear(line).is_none()), "all are closed");
}

#[test]
fn more_handles_than_one_message_carries_are_refused() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs): (Vec<_>, Vec<Fd>) = (0..254).map(|_| line()).unzip();
    let error = spawn(|_: Vec<Fd>| (), theirs).unwrap_err();
    assert!(error.to_string().contains("do not encode"), "{error}");
    assert!(ours.iter_mut().all(|line| hear(line).is_none()), "all are closed");
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

#[test]
fn output_can_be_read_by_the_parent() {
    multiprocess::init();
    let _watchdog = watchdog();
    let print = |()| {
        print!("to stdout, no end of line");
        eprint!("to stderr");
    };
    let mut child = Builder::new().stdout(Stdio::piped()).stderr(Stdio::piped()).spawn(print, ()).unwrap();
    let (mut out, mut err) = (String::new(), String::new());
    child.take_stdout().unwrap().read_to_string(&mut out).unwrap();
    child.take_stderr().unwrap().read_to_string(&mut err).unwrap();
    assert!(out.ends_with("to stdout, no end of line"), "{out:?}");
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
fn a_program_started_by_a_child_is_no_child() {
    multiprocess::init();
    if std::env::var_os("MULTIPROCESS_TEST_PROGRAM").is_some() {
        // An ordinary program that inherited the variable: it may even spawn.
        println!("spawned {}", spawn(|n: u32| n + 1, 4).unwrap().join().unwrap());
        return;
    }
    let _watchdog = watchdog();
    let run = |()| {
        assert!(std::env::var_os("MULTIPROCESS_CHILD").is_some());
        let (_ours, socket) = line();
        let inputs = [Stdio::inherit(), Stdio::piped(), socket.take().into()];
        inputs.map(|stdin| {
            let output = this_test("start::a_program_started_by_a_child_is_no_child")
                .env("MULTIPROCESS_TEST_PROGRAM", "1")
                .stdin(stdin)
                .output()
                .unwrap();
            (output.status.success(), String::from_utf8(output.stdout).unwrap())
        })
    };
    for (success, text) in spawn(run, ()).unwrap().join().unwrap() {
        assert!(success && text.contains("spawned 5"), "{text}");
    }
}

#[test]
fn handles_do_not_leak_into_other_children() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut first, theirs) = line();
    let (_second, other) = line();
    let one = spawn(report_and_hang, theirs).unwrap();
    let two = spawn(report_and_hang, other).unwrap();
    assert_eq!(hear(&mut first), Some(b'r'));
    one.kill().unwrap();
    // If the second child held the first one's line as well, this would not end.
    assert_eq!(hear(&mut first), None);
    two.kill().unwrap();
    assert!(one.join().is_err() && two.join().is_err());
}

#[test]
fn without_room_for_descriptors_spawn_fails_and_leaves_no_child() {
    multiprocess::init();
    let _watchdog = watchdog();
    // In a process of its own, in which nothing else opens descriptors.
    let parent = |()| {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        let before = getrlimit(Resource::Nofile);
        let mut failed = 0;
        for more in 0.. {
            setrlimit(Resource::Nofile, Rlimit { current: Some(open - 1 + more), ..before }).unwrap();
            let result = spawn(|()| 5, ());
            setrlimit(Resource::Nofile, before).unwrap();
            if let Ok(child) = result {
                assert_eq!(child.join().unwrap(), 5);
                break;
            }
            failed += 1;
            let children = std::fs::read_to_string("/proc/thread-self/children").unwrap_or_default();
            assert_eq!(children, "", "{more}");
            assert_eq!(std::fs::read_dir("/proc/self/fd").unwrap().count() as u64, open, "{more}");
        }
        failed
    };
    let failed = spawn(parent, ()).unwrap().join().unwrap();
    assert!(failed > 2, "{failed}");
}
