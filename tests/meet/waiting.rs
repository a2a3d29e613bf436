//! What waits, for how long, and for what.

use std::io::ErrorKind;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::pipe::{Duplex, Listener, Name, connect, connect_timeout};
use multiprocess::process::Builder;
use multiprocess::{Sender, bounded};
use testkit::{Directory, in_time, storm, watchdog};

use super::support::{doubles, dying, kind, listener_at};

const WAIT: Duration = Duration::from_millis(150);

// fault 31
#[test]
fn waits_without_a_peer_end_in_time() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let name = directory.name("orders");
    let nowhere = [name.clone(), directory.name("no/such/directory")];
    for name in &nowhere {
        assert_eq!(kind(connect::<(), ()>(name)), ErrorKind::NotFound);
        let began = Instant::now();
        assert_eq!(kind(connect_timeout::<(), ()>(name, WAIT)), ErrorKind::NotFound);
        in_time(began, WAIT);
        assert_eq!(kind(connect_timeout::<(), ()>(name, Duration::ZERO)), ErrorKind::NotFound);
    }
    let began = Instant::now();
    let unbound = Name::random().unwrap();
    assert_eq!(kind(connect_timeout::<(), ()>(&unbound, WAIT)), ErrorKind::ConnectionRefused);
    in_time(began, WAIT);
    // A name whose process is dead.
    drop(UnixListener::bind(directory.name("dead")).unwrap());
    let began = Instant::now();
    assert_eq!(
        kind(connect_timeout::<(), ()>(directory.name("dead"), WAIT)),
        ErrorKind::ConnectionRefused
    );
    in_time(began, WAIT);

    let listener = Listener::bind(&name).unwrap();
    let began = Instant::now();
    assert_eq!(kind(listener.accept_timeout::<(), ()>(WAIT)), ErrorKind::TimedOut);
    in_time(began, WAIT);
    let began = Instant::now();
    assert_eq!(kind(listener.accept_deadline::<(), ()>(began + WAIT)), ErrorKind::TimedOut);
    in_time(began, WAIT);
    assert_eq!(kind(listener.accept_timeout::<(), ()>(Duration::ZERO)), ErrorKind::TimedOut);
    assert_eq!(
        kind(listener.accept_timeout::<(), ()>(Duration::from_nanos(1))),
        ErrorKind::TimedOut
    );
    let _here: Duplex<(), ()> = connect_timeout(&name, Duration::MAX).unwrap();
    listener.accept_timeout::<(), ()>(Duration::MAX).unwrap();
}

/// Binds when it is told to.
fn late((name, go): (String, multiprocess::Receiver<()>)) {
    go.recv().unwrap();
    let listener = Listener::bind(name).unwrap();
    let connection: Duplex<u64, u64> = listener.accept().unwrap();
    connection.send(connection.recv().unwrap() * 2).unwrap();
}

/// Waits for a listener that comes later; makes its directory just before, if it is given one.
fn early((name, missing): (String, Option<PathBuf>)) {
    let (go, is_going) = bounded(1).unwrap();
    let listener = dying(late, (name.clone(), is_going));
    let teller = thread::spawn(move || {
        // Not a synchronization: were it early, the test would show less.
        thread::sleep(Duration::from_millis(30));
        if let Some(missing) = missing {
            std::fs::create_dir(missing).unwrap();
        }
        go.send(()).unwrap();
    });
    let connection: Duplex<u64, u64> = connect_timeout(name, Duration::from_secs(20)).unwrap();
    assert!(doubles(&connection));
    teller.join().unwrap();
    listener.join().unwrap();
}

#[test]
fn a_wait_for_a_listener_connects_when_it_comes() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (runtime, directory) = (Directory::new(), Directory::new());
    let text = |name: PathBuf| name.to_str().unwrap().to_owned();
    let missing = directory.name("missing");
    drop(UnixListener::bind(directory.name("dead")).unwrap());
    for (name, missing) in [
        ("plain".to_owned(), None),
        (text(directory.name("orders")), None),
        (text(directory.name("dead")), None),
        (text(missing.join("orders")), Some(missing)),
        (Name::random().unwrap().to_string(), None),
    ] {
        let child = Builder::new().env("XDG_RUNTIME_DIR", runtime.path());
        child.spawn(early, (name, missing)).unwrap().join().unwrap();
    }
}

/// Says that it is there, and never accepts.
fn inert((name, ready): (PathBuf, Sender<()>)) {
    let _listener = Listener::builder().backlog(1).bind(name).unwrap();
    ready.send(()).unwrap();
    loop {
        thread::park();
    }
}

#[test]
fn a_full_queue_makes_connecting_wait_and_a_deadline_holds() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let name = directory.name("orders");
    let listener = Listener::builder().backlog(1).bind(&name).unwrap();
    let mut queued = Vec::new();
    let began = loop {
        let began = Instant::now();
        match connect_timeout::<u64, u64>(&name, WAIT) {
            Ok(connection) => queued.push(connection),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}");
                break began;
            }
        }
        assert!(queued.len() < 10);
    };
    in_time(began, WAIT);
    let waiting = {
        let name = name.clone();
        thread::spawn(move || connect::<u64, u64>(name))
    };
    for connection in &queued {
        connection.send(1).unwrap();
        let accepted: Duplex<u64, u64> = listener.accept().unwrap();
        assert_eq!(accepted.recv(), Ok(1));
    }
    let connected = waiting.join().unwrap().unwrap();
    connected.send(7).unwrap();
    assert_eq!(listener.accept::<u64, u64>().unwrap().recv(), Ok(7));
    drop(listener);

    // A wait for a process that is then killed ends with an error.
    let (ready, is_ready) = bounded(1).unwrap();
    let child = dying(inert, (name.clone(), ready));
    is_ready.recv().unwrap();
    let waiting = {
        let name = name.clone();
        thread::spawn(move || {
            let mut queued = Vec::new();
            loop {
                match connect::<u64, u64>(&name) {
                    Ok(connection) => queued.push(connection),
                    Err(error) => return error.kind(),
                }
            }
        })
    };
    // Not a synchronization: if the process is killed early, the test shows less.
    thread::sleep(Duration::from_millis(30));
    child.kill().unwrap();
    assert_eq!(waiting.join().unwrap(), ErrorKind::ConnectionRefused);
}

// fault 34
#[test]
fn a_storm_of_signals_changes_no_result_and_no_deadline() {
    multiprocess::init();
    let _watchdog = watchdog();
    let run = |directory: PathBuf| {
        let name = directory.join("orders");
        let in_storm = |began: Instant| in_time(began, WAIT);
        storm(|| {
            let began = Instant::now();
            assert_eq!(kind(connect_timeout::<(), ()>(&name, WAIT)), ErrorKind::NotFound);
            in_storm(began);
            let listener = Listener::builder().backlog(1).bind(&name).unwrap();
            let began = Instant::now();
            assert_eq!(kind(listener.accept_timeout::<(), ()>(WAIT)), ErrorKind::TimedOut);
            in_storm(began);
            let mut queued = Vec::new();
            let began = loop {
                let began = Instant::now();
                match connect_timeout::<(), ()>(&name, WAIT) {
                    Ok(connection) => queued.push(connection),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::TimedOut);
                        break began;
                    }
                }
            };
            in_storm(began);
        });
        // Binding, connecting and accepting, all of them in it.
        let peer = listener_at(directory.join("doubles"));
        storm(|| {
            for _ in 0..100 {
                assert!(doubles(
                    &connect_timeout(directory.join("doubles"), Duration::MAX).unwrap()
                ));
                let listener = Listener::bind(&name).unwrap();
                let here: Duplex<u64, u64> = connect(&name).unwrap();
                let there: Duplex<u64, u64> = listener.accept().unwrap();
                here.send(1).unwrap();
                assert_eq!(there.recv(), Ok(1));
            }
        });
        // A connection comes while the storm rages.
        let listener = Listener::bind(&name).unwrap();
        let comes = thread::spawn(move || {
            thread::sleep(Duration::from_millis(50));
            connect::<u64, u64>(name).unwrap()
        });
        storm(|| listener.accept::<u64, u64>().unwrap());
        comes.join().unwrap();
        drop(peer);
    };
    let directory = Directory::new();
    dying(run, directory.path().to_owned()).join().unwrap();
}
