//! One connection to a program that was started for it.

use std::io::{ErrorKind, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use multiprocess::pipe::{ChildExited, Duplex, OneShotClient, OneShotServer};
use testkit::proc::state;
use testkit::signals::{ignore, kill_this_process};
use testkit::{in_time, until, watchdog};

use super::support::{dying, kind};

/// What the program does; not set in the test run itself.
const PART: &str = "MEET_ONE_SHOT_PART";

/// The program: this test binary, with this test.
#[test]
fn program() {
    let Ok(part) = std::env::var(PART) else { return };
    let connect = || OneShotClient::from_env().unwrap().connect::<u64, u64>();
    match part.as_str() {
        "answer" => {
            let parent = connect().unwrap();
            while let Ok(number) = parent.recv() {
                parent.send(number + 1).unwrap();
            }
        }
        "send and exit" => connect().unwrap().send(7).unwrap(),
        "connect twice" => {
            let parent = connect().unwrap();
            assert_eq!(parent.recv(), Ok(1));
            parent
                .send(u64::from(connect().unwrap_err().kind() == ErrorKind::ConnectionRefused))
                .unwrap();
        }
        "sleep" => loop {
            std::thread::park();
        },
        other => panic!("{other}"),
    }
    std::process::exit(0);
}

fn this_program(part: &str) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args(["meet::one_shot::program", "--exact", "--nocapture", "--test-threads=1"]);
    command.env(PART, part).stdout(Stdio::null());
    command
}

fn start(server: &OneShotServer, part: &str) -> Child {
    server.set_env(&mut this_program(part)).spawn().unwrap()
}

fn shell(script: &str) -> Child {
    Command::new("sh").args(["-c", script]).spawn().unwrap()
}

#[track_caller]
fn exited(result: std::io::Result<Duplex<u64, u64>>) -> std::process::ExitStatus {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{error}");
    error.get_ref().unwrap().downcast_ref::<ChildExited>().unwrap().status
}

#[test]
fn a_program_calls_back_and_no_other_ever_can() {
    multiprocess::init();
    let _watchdog = watchdog();
    let mut server = OneShotServer::new().unwrap();
    let name = server.name().to_owned();
    let mut child = start(&server, "answer");
    let connection: Duplex<u64, u64> = server.accept_from(&mut child).unwrap();
    assert_eq!(connection.peer().unwrap().pid, child.id());
    connection.send(1).unwrap();
    assert_eq!(connection.recv(), Ok(2));
    let late = OneShotClient::new(name).unwrap();
    assert_eq!(kind(late.connect::<u64, u64>()), ErrorKind::ConnectionRefused);
    assert_eq!(kind(server.accept::<u64, u64>()), ErrorKind::NotConnected);
    drop(connection);
    assert!(child.wait().unwrap().success());

    let mut server = OneShotServer::new().unwrap();
    let mut child = start(&server, "connect twice");
    let connection: Duplex<u64, u64> = server.accept_timeout(Duration::from_secs(20)).unwrap();
    connection.send(1).unwrap();
    assert_eq!(connection.recv(), Ok(1), "the second connection is refused");
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_child_that_ends_before_it_connects_is_an_error_that_says_how() {
    multiprocess::init();
    let _watchdog = watchdog();
    let mut server = OneShotServer::new().unwrap();
    assert_eq!(exited(server.accept_from(&mut shell("exit 3"))).code(), Some(3));
    assert_eq!(exited(server.accept_from(&mut shell("kill -9 $$"))).signal(), Some(9));
    // Ended, and waited for, before it is asked about.
    let mut child = shell("exit 4");
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert_eq!(exited(server.accept_from(&mut child)).code(), Some(4));
    // Killed while it is waited for.
    let mut child = start(&server, "sleep");
    let began = Instant::now();
    let wait = Duration::from_millis(100);
    let late = server.accept_from_timeout::<u64, u64>(&mut child, wait);
    assert_eq!(kind(late), ErrorKind::TimedOut);
    in_time(began, wait);
    let pid = rustix::process::Pid::from_child(&child);
    let killer = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(50)); // Not a synchronization: early is as good.
        rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    });
    assert_eq!(exited(server.accept_from(&mut child)).signal(), Some(9));
    killer.join().unwrap();
    // The server is as good as new.
    let mut child = start(&server, "answer");
    let connection: Duplex<u64, u64> = server.accept_from(&mut child).unwrap();
    connection.send(1).unwrap();
    assert_eq!(connection.recv(), Ok(2));
    drop(connection);
    child.wait().unwrap();
}

// fault 118
#[test]
fn a_child_that_something_else_reaps_is_an_error_that_says_how_it_ended() {
    multiprocess::init();
    let _watchdog = watchdog();
    // In a process of its own, whose children are no other test's.
    let parent = |()| {
        ignore(libc::SIGCHLD);
        let mut server = OneShotServer::new().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", "read line; exit 3"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, name) = (child.stdin.take().unwrap(), server.name().to_owned());
        let stranger = std::thread::spawn(move || {
            // It is turned away by a server that waits for its child.
            let connection: Duplex<u64, u64> =
                OneShotClient::new(&name).unwrap().connect().unwrap();
            assert!(connection.recv().is_err());
            input.write_all(b"\n").unwrap();
        });
        let error = server.accept_from::<u64, u64>(&mut child).unwrap_err();
        stranger.join().unwrap();
        let status = error
            .get_ref()
            .unwrap()
            .downcast_ref::<ChildExited>()
            .map(|exited| exited.status.code());
        (error.kind() == ErrorKind::BrokenPipe, status, error.to_string())
    };
    let (is_broken, status, text) = multiprocess::spawn(parent, ()).unwrap().join().unwrap();
    assert!(is_broken, "{text}");
    match status {
        Some(status) => assert_eq!(status, Some(3)),
        // Before Linux 6.15.
        None => assert!(text.contains("set SIGCHLD to its default action"), "{text}"),
    }
}

#[test]
fn a_child_that_connected_and_ended_is_accepted() {
    multiprocess::init();
    let _watchdog = watchdog();
    let mut server = OneShotServer::new().unwrap();
    let mut child = start(&server, "send and exit");
    until("it is over", || state(child.id()) == Some('Z'));
    let connection: Duplex<u64, u64> = server.accept_from(&mut child).unwrap();
    assert_eq!(connection.recv(), Ok(7));
    assert!(connection.recv().unwrap_err().is_disconnected());
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_child_of_the_child_may_call_back() {
    multiprocess::init();
    let _watchdog = watchdog();
    let mut server = OneShotServer::new().unwrap();
    let mut script = Command::new("sh");
    let test = "meet::one_shot::program --exact --nocapture --test-threads=1 >/dev/null & wait";
    script.args(["-c", &format!("\"$0\" {test}")]).arg(std::env::current_exe().unwrap());
    let mut child = server.set_env(script.env(PART, "answer")).spawn().unwrap();
    let connection: Duplex<u64, u64> = server.accept_from(&mut child).unwrap();
    assert_ne!(connection.peer().unwrap().pid, child.id());
    connection.send(1).unwrap();
    assert_eq!(connection.recv(), Ok(2));
    drop(connection);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_process_that_is_not_the_child_is_refused() {
    multiprocess::init();
    let _watchdog = watchdog();
    let mut server = OneShotServer::new().unwrap();
    // They are first: a process that is killed with its connection in the queue, and this one.
    let wrong = |name: String| {
        let _connection: Duplex<u64, u64> = OneShotClient::new(name).unwrap().connect().unwrap();
        kill_this_process();
    };
    assert!(dying(wrong, server.name().to_owned()).join().is_err());
    let client = OneShotClient::new(server.name()).unwrap();
    let strangers: Vec<Duplex<u64, u64>> = (0..3).map(|_| client.connect().unwrap()).collect();
    let mut child = start(&server, "answer");
    let connection: Duplex<u64, u64> = server.accept_from(&mut child).unwrap();
    assert_eq!(connection.peer().unwrap().pid, child.id());
    for stranger in strangers {
        assert!(stranger.recv().unwrap_err().is_disconnected());
    }
    connection.send(1).unwrap();
    assert_eq!(connection.recv(), Ok(2));
    drop(connection);
    child.wait().unwrap();
}

#[test]
fn a_program_without_a_name_to_call_gets_an_error() {
    let error = OneShotClient::from_env().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("MULTIPROCESS_ONE_SHOT"), "{error}");
}
