//! Which children run, and their ends as descriptors.

use std::os::fd::AsFd;
use std::time::Duration;

use multiprocess::process::{Builder, active_children};
use multiprocess::spawn;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use testkit::{stop, watchdog};

use crate::support::{Fd, read_byte, report_and_hang, socket_pair, write_byte};

/// Whether a descriptor is readable, at the latest after this.
fn readable(fd: &impl AsFd, patience: Duration) -> bool {
    let timeout = Timespec::try_from(patience).unwrap();
    poll(&mut [PollFd::new(fd, PollFlags::IN)], Some(&timeout)).unwrap() == 1
}

const NOW: Duration = Duration::ZERO;
const LONG: Duration = Duration::from_secs(20);

// fault 130: as Python's `active_children`.
#[test]
fn children_are_active_until_they_end() {
    multiprocess::init();
    let _watchdog = watchdog();
    // Other tests of this process have children, too.
    let active = |id: u32| active_children().into_iter().find(|child| child.id() == id);
    let started = || {
        let (mut ours, theirs) = socket_pair();
        let child = Builder::new().name("worker").spawn(report_and_hang, theirs).unwrap();
        assert_eq!(read_byte(&mut ours), Some(b'r'));
        (child, ours)
    };
    let (one, _one_line) = started();
    let (two, _two_line) = started();
    let (first, second) = (one.id(), two.id());
    assert_eq!(active(first).unwrap().name(), Some("worker"));
    stop(second);
    assert!(active(second).is_some(), "a stopped one has not ended");
    one.kill().unwrap();
    assert!(readable(&one, LONG));
    assert!(active(first).is_none() && active(second).is_some(), "not joined, but ended");
    assert!(one.join().is_err());
    two.kill().unwrap();
    assert!(two.join().is_err());
    assert!(active(second).is_none());

    // Also one whose handle is dropped, until it ends.
    let (mut ours, theirs) = socket_pair();
    let detached =
        spawn(|line: Fd| assert!(read_byte(&mut line.stream()).is_some()), theirs).unwrap();
    let id = detached.id();
    drop(detached);
    assert_eq!(active(id).unwrap().name(), None);
    write_byte(&mut ours, b'g');
    assert_eq!(read_byte(&mut ours), None, "it ends");
    while active(id).is_some() {
        std::thread::yield_now();
    }

    // A child begins without any.
    assert_eq!(spawn(|()| active_children().len(), ()).unwrap().join().unwrap(), 0);
}

// fault 130
#[test]
fn a_handle_is_readable_when_its_child_has_ended() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs) = socket_pair();
    let child = spawn(|line: Fd| read_byte(&mut line.stream()), theirs).unwrap();
    assert!(!readable(&child, NOW));
    write_byte(&mut ours, b'g');
    assert!(readable(&child, LONG));
    assert!(child.is_finished() && readable(&child, NOW), "and stays so when it was reaped");
    assert_eq!(child.try_join().unwrap().unwrap(), Some(b'g'));

    let (mut ours, theirs) = socket_pair();
    let child = Builder::new().kill_on_drop(true).spawn(report_and_hang, theirs).unwrap();
    assert_eq!(read_byte(&mut ours), Some(b'r'));
    assert!(!readable(&child, NOW));
    child.kill().unwrap();
    assert!(readable(&child, LONG));
    assert!(child.join().is_err());
}
