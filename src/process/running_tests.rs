use std::os::fd::AsRawFd;
use std::process::Command;

use super::*;

/// A foreign program in the place of a child, with the socket as its stdin.
fn foreign(script: &str) -> Running {
    let (ours, theirs) = sys::stream_pair().unwrap();
    // Bash, which knows descriptors of more than one digit.
    let mut command = Command::new("bash");
    let close = format!("exec {}<&-; {script}", theirs.as_raw_fd());
    command.args(["-c", &close]).stdin(theirs.try_clone().unwrap());
    let set_up = sys::SetUp { stdin: true, ..sys::SetUp::default() };
    let started = sys::start(command, &ours, theirs, set_up).unwrap();
    Running::new(started.process, ours)
}

fn later() -> Option<Instant> {
    Instant::now().checked_add(Duration::from_secs(20))
}

#[test]
fn sending_to_a_child_that_does_not_read_ends_at_its_timeout() {
    let mut running = foreign("exec sleep 1000");
    let body = vec![0; 10 << 20];
    let timeout = Duration::from_millis(50);
    let error = running.send(1, &body, &[], timeout).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    running.kill_and_reap();
    assert!(running.process.is_none());
}

#[test]
fn sending_to_a_child_that_dies_meanwhile_ends_with_the_child() {
    let scripts = [
        "head -c 3000000 > /dev/null; kill -9 $$",
        // Someone else still holds the socket open.
        "sleep 5 <&0 >/dev/null 2>&1 & head -c 3000000 > /dev/null; kill -9 $$",
    ];
    for script in scripts {
        let mut running = foreign(script);
        let body = vec![0; 10 << 20];
        let timeout = Duration::from_secs(20);
        let error = running.send(1, &body, &[], timeout).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(matches!(running.next(later()), Ok(Event::Ended)));
        assert_eq!(running.reap(later()).unwrap(), Some(Status::Killed(9)));
    }
}

#[test]
fn what_a_foreign_program_writes_is_refused_and_its_end_is_seen() {
    let mut running = foreign("echo this is not a frame of ours, not at all >&0; exit 4");
    let error = running.next(later()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    assert!(matches!(running.next(later()), Ok(Event::Ended)));
    assert_eq!(running.reap(later()).unwrap(), Some(Status::Exited(4)));
}

#[test]
fn a_child_that_closes_its_socket_is_waited_for_without_spinning() {
    let mut running = foreign("exec < /dev/null; exec sleep 1000");
    let deadline = Instant::now().checked_add(Duration::from_millis(50));
    assert!(matches!(running.next(deadline), Ok(Event::TimedOut)));
    running.signal(Signal::Terminate).unwrap();
    assert!(matches!(running.next(later()), Ok(Event::Ended)));
    assert_eq!(running.reap(later()).unwrap(), Some(Status::Killed(15)));
}
