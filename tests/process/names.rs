//! What processes are called: by themselves, by the system's tools, and when they panic.

use std::io::Read;
use std::process::Stdio;

use multiprocess::process::{self, Builder, Current};
use multiprocess::{JoinError, spawn};
use serde::{Deserialize, Serialize};
use testkit::watchdog;

use crate::support::{Fd, read_byte, socket_pair, write_byte};

/// What a process finds about itself.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Identity {
    name: String,
    id: u32,
    parent: u32,
    is_child: bool,
    /// Of the process, of a thread without a name, and of one with a name: as `ps`, `top` and
    /// `perf` show them.
    shown: [String; 3],
    started_as: String,
}

fn shown(path: &str) -> String {
    std::fs::read_to_string(path).unwrap().trim_end().to_owned()
}

fn identity(_: ()) -> Identity {
    let this: Current = process::current();
    let of_thread = || shown("/proc/thread-self/comm");
    let named = std::thread::Builder::new().name("own-name".into()).spawn(of_thread).unwrap();
    Identity {
        name: this.name().to_owned(),
        id: this.id(),
        parent: this.parent_id(),
        is_child: this.is_child(),
        shown: [
            shown("/proc/self/comm"),
            std::thread::spawn(of_thread).join().unwrap(),
            named.join().unwrap(),
        ],
        started_as: std::env::args().next().unwrap(),
    }
}

fn program() -> String {
    let started_as = std::env::args().next().unwrap();
    started_as.rsplit('/').next().unwrap().to_owned()
}

// fault 123
#[test]
fn children_are_called_by_their_name_or_the_programs() {
    multiprocess::init();
    let _watchdog = watchdog();
    let this = process::current();
    assert_eq!((this.name(), this.id()), (program().as_str(), std::process::id()));
    assert!(!this.is_child());

    let own = &program()[..program().len().min(15)];
    let names = [
        (Some("reader"), "reader", "reader"),
        (None, &*program(), own),
        (Some("fifteen-bytes-and-more"), "fifteen-bytes-and-more", "fifteen-bytes-a"),
        // No half of a character, and no zero byte.
        (Some("fourteen-bytesü"), "fourteen-bytesü", "fourteen-bytes"),
        (Some("a\0b"), "a\0b", "a"),
    ];
    for (name, whole, short) in names {
        let builder = Builder::new();
        let builder = if let Some(name) = name { builder.name(name) } else { builder };
        let child = builder.spawn(identity, ()).unwrap();
        let id = child.id();
        let found = child.join().unwrap();
        assert_eq!(
            found,
            Identity {
                name: whole.to_owned(),
                id,
                parent: std::process::id(),
                is_child: true,
                shown: [short.to_owned(), short.to_owned(), "own-name".to_owned()],
                started_as: std::env::args().next().unwrap(),
            }
        );
    }
}

// fault 123
#[test]
fn grandchildren_are_called_by_the_program_and_know_their_parent() {
    multiprocess::init();
    let _watchdog = watchdog();
    let parent = |()| (std::process::id(), spawn(identity, ()).unwrap().join().unwrap());
    let (id, found) = Builder::new().name("in-between").spawn(parent, ()).unwrap().join().unwrap();
    assert_eq!((found.name, found.parent, found.is_child), (program(), id, true));
}

// fault 123
#[test]
fn a_child_knows_its_parent_after_that_has_ended() {
    multiprocess::init();
    let _watchdog = watchdog();
    let parent = |line: Fd| {
        let child = |line: Fd| {
            let mut line = line.stream();
            write_byte(&mut line, b's');
            assert_eq!(read_byte(&mut line), Some(b'g'));
            for byte in process::current().parent_id().to_le_bytes() {
                write_byte(&mut line, byte);
            }
        };
        drop(spawn(child, line).unwrap());
    };
    let (mut ours, theirs) = socket_pair();
    let parent = spawn(parent, theirs).unwrap();
    let id = parent.id();
    assert_eq!(read_byte(&mut ours), Some(b's'));
    parent.join().unwrap();
    write_byte(&mut ours, b'g');
    assert_eq!(u32::from_le_bytes(std::array::from_fn(|_| read_byte(&mut ours).unwrap())), id);
}

// fault 123
#[test]
fn a_panic_says_in_which_process() {
    multiprocess::init();
    let _watchdog = watchdog();
    let fail = |()| -> u8 { panic!("on purpose") };
    let mut child = Builder::new().name("reader").stderr(Stdio::piped()).spawn(fail, ()).unwrap();
    let mut stderr = String::new();
    child.take_stderr().unwrap().read_to_string(&mut stderr).unwrap();
    let label = format!("process \"reader\" ({}):", child.id());
    let (before, after) = stderr.split_once("panicked at").unwrap();
    assert!(before.contains(&label) && after.contains("on purpose"), "{stderr}");
    assert!(matches!(child.join(), Err(JoinError::Panicked(text)) if text == "on purpose"));
}
