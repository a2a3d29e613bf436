//! Children that end with their parent, however it ends.

use std::os::unix::net::UnixStream;

use multiprocess::process::Builder;
use multiprocess::{JoinHandle, spawn};
use serde::{Deserialize, Deserializer, Serialize};
use testkit::{stop, watchdog};

use crate::support::{Fd, read_byte, socket_pair, write_byte};

/// Says its number, and then answers each byte, for ever.
fn answer(line: Fd) {
    let mut line = line.stream();
    write_byte(&mut line, b'c');
    for byte in std::process::id().to_le_bytes() {
        write_byte(&mut line, byte);
    }
    while let Some(byte) = read_byte(&mut line) {
        write_byte(&mut line, byte);
    }
    loop {
        std::thread::park();
    }
}

/// The number of the process that answers.
fn number(line: &mut UnixStream) -> u32 {
    assert_eq!(read_byte(line), Some(b'c'));
    u32::from_le_bytes(std::array::from_fn(|_| read_byte(line).unwrap()))
}

/// A child that ends with its parent, started by a thread that is gone when this returns.
fn spawn_from_a_thread_that_ends(line: Fd) -> JoinHandle<()> {
    let spawn = || {
        let child = Builder::new().kill_with_parent(true).spawn(answer, line).unwrap();
        (child, rustix::thread::gettid())
    };
    let (child, thread) = std::thread::scope(|scope| scope.spawn(spawn).join().unwrap());
    let task = format!("/proc/self/task/{}", thread.as_raw_nonzero());
    while std::path::Path::new(&task).exists() {
        std::thread::yield_now();
    }
    child
}

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

/// What a parent does once its child runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum End {
    Killed,
    Returns,
    Exits,
    Panics,
    Aborts,
}

// fault 121
#[test]
fn children_end_with_their_parent_and_not_with_the_thread_that_spawned_them() {
    multiprocess::init();
    let _watchdog = watchdog();
    let parent = |(line, control, end): (Fd, Fd, End)| {
        // Not the handle: dropping it changes nothing.
        drop(spawn_from_a_thread_that_ends(line));
        let mut control = control.stream();
        write_byte(&mut control, b't');
        assert_eq!(read_byte(&mut control), Some(b'e'));
        match end {
            End::Killed => park(),
            End::Returns => {}
            End::Exits => std::process::exit(0),
            End::Panics => panic!("on purpose"),
            End::Aborts => std::process::abort(),
        }
    };
    for end in [End::Killed, End::Returns, End::Exits, End::Panics, End::Aborts] {
        let ((mut ours, theirs), (mut control, its_control)) = (socket_pair(), socket_pair());
        let parent = spawn(parent, (theirs, its_control, end)).unwrap();
        number(&mut ours);
        assert_eq!(read_byte(&mut control), Some(b't'), "the thread is gone");
        write_byte(&mut ours, b'?');
        assert_eq!(read_byte(&mut ours), Some(b'?'), "the child is not");
        write_byte(&mut control, b'e');
        if end == End::Killed {
            parent.kill().unwrap();
        }
        let ended = parent.join();
        assert_eq!(ended.is_ok(), end == End::Returns, "{ended:?}");
        assert_eq!(read_byte(&mut ours), None, "{end:?}: the child ends");
    }
}

// fault 121
#[test]
fn a_stopped_child_ends_with_its_parent() {
    multiprocess::init();
    let _watchdog = watchdog();
    let parent = |line: Fd| {
        let _child = Builder::new().kill_with_parent(true).spawn(answer, line).unwrap();
        park();
    };
    let (mut ours, theirs) = socket_pair();
    let parent = spawn::<_, ()>(parent, theirs).unwrap();
    let child = number(&mut ours);
    stop(child);
    parent.kill().unwrap();
    assert!(parent.join().is_err());
    assert_eq!(read_byte(&mut ours), None);
}

// fault 121
#[test]
fn a_whole_family_ends_with_its_first_parent() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn generation((mut lines, last): (Vec<Fd>, Fd)) {
        let builder = Builder::new().kill_with_parent(true);
        // Held open until this process ends.
        let own = lines.pop();
        let _child = match own {
            Some(_) => builder.spawn(generation, (lines, last)),
            None => builder.spawn(answer, last),
        }
        .unwrap();
        park();
    }
    let (mut ours, theirs): (Vec<_>, Vec<_>) = (0..3).map(|_| socket_pair()).unzip();
    let (mut last, its_end) = socket_pair();
    let first = spawn::<_, ()>(generation, (theirs, its_end)).unwrap();
    number(&mut last);
    first.kill().unwrap();
    assert!(first.join().is_err());
    assert_eq!(read_byte(&mut last), None);
    for line in &mut ours {
        assert_eq!(read_byte(line), None);
    }
}

/// Arguments whose decoding never ends.
#[derive(Serialize, Deserialize)]
struct Endless(#[serde(deserialize_with = "hang")] Fd);

fn hang<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fd, D::Error> {
    let mut line = Fd::deserialize(deserializer)?.stream();
    write_byte(&mut line, b'd');
    park()
}

// fault 121
#[test]
fn a_child_that_is_still_starting_ends_with_its_parent() {
    multiprocess::init();
    let _watchdog = watchdog();
    let parent = |line: Fd| {
        let builder = Builder::new().kill_with_parent(true);
        builder.spawn(|_: Endless| (), Endless(line)).unwrap();
    };
    let (mut ours, theirs) = socket_pair();
    let parent = spawn(parent, theirs).unwrap();
    assert_eq!(read_byte(&mut ours), Some(b'd'));
    parent.kill().unwrap();
    assert!(parent.join().is_err());
    assert_eq!(read_byte(&mut ours), None);
}
