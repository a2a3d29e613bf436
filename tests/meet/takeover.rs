//! Names of killed processes are taken over, those of living ones never, whatever races for them.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use multiprocess::pipe::{Duplex, Listener, Name, connect, connect_timeout};
use multiprocess::{JoinHandle, Sender, bounded};
use testkit::signals::kill_this_process;
use testkit::{Directory, Random, seed, stop, watchdog, watchdog_of};

use super::support::{Witness, doubles, dying, kind, listener_at};

// faults 5, 9
#[test]
fn the_name_of_a_killed_listener_is_taken_over() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let name = directory.name("orders");
    for round in 0..20 {
        let mut child = Some(listener_at(name.clone()));
        let queued: Duplex<u64, u64> = connect(&name).unwrap();
        child.as_ref().unwrap().kill().unwrap();
        let listener = if round % 2 == 0 {
            // Known to be dead: there is nothing to wait for.
            assert!(child.take().unwrap().join().is_err());
            Listener::builder().wait_for_name(Duration::ZERO).bind(&name)
        } else {
            // It may be dying when the name is asked for, on a busy machine for long.
            Listener::builder().wait_for_name(Duration::from_secs(20)).bind(&name)
        };
        let listener = listener.unwrap();
        assert_eq!(directory.entries(), ["orders"]);
        let here: Duplex<u64, u64> = connect(&name).unwrap();
        let there: Duplex<u64, u64> = listener.accept().unwrap();
        here.send(1).unwrap();
        assert_eq!(there.recv(), Ok(1));
        assert!(queued.recv().unwrap_err().is_disconnected(), "that one is gone");
        drop(listener);
        assert!(directory.entries().is_empty());
    }
}

#[test]
fn connecting_to_a_killed_listener_is_refused_until_the_next_one_is_there() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let name = directory.name("orders");
    let child = listener_at(name.clone());
    child.kill().unwrap();
    assert!(child.join().is_err());
    assert_eq!(directory.entries(), ["orders"], "left behind");
    assert_eq!(kind(connect::<(), ()>(&name)), ErrorKind::ConnectionRefused);
    let _child = listener_at(name.clone());
    assert!(doubles(&connect(&name).unwrap()));
}

/// Has these names until it is killed.
fn hold((file, abstracted, ready): (PathBuf, String, Sender<()>)) {
    let _held = (Listener::bind(file).unwrap(), Listener::bind(abstracted).unwrap());
    ready.send(()).unwrap();
    loop {
        std::thread::park();
    }
}

// faults 25, 27
#[test]
fn a_stopped_listener_keeps_its_name() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let (file, abstracted) = (directory.name("orders"), Name::random().unwrap());
    let (ready, is_ready) = bounded(1).unwrap();
    let child = dying(hold, (file.clone(), abstracted.to_string(), ready));
    is_ready.recv().unwrap();
    stop(child.id());
    let began = Instant::now();
    assert_eq!(kind(Listener::bind(&file)), ErrorKind::AddrInUse);
    assert_eq!(kind(Listener::bind(&abstracted)), ErrorKind::AddrInUse);
    assert!(
        began.elapsed() >= Duration::from_millis(400),
        "twice the time in which the killed are gone"
    );
    child.kill().unwrap();
    assert!(child.join().is_err());
    let bind = Listener::builder().wait_for_name(Duration::ZERO);
    bind.bind(&file).unwrap();
    bind.bind(&abstracted).unwrap();
    assert!(directory.entries().is_empty());
}

#[test]
fn a_stand_by_takes_over_when_the_first_one_dies() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let name = directory.name("orders");
    let first = listener_at(name.clone());
    let stand_by = {
        let name = name.clone();
        std::thread::spawn(move || {
            Listener::builder().wait_for_name(Duration::from_secs(20)).bind(name)
        })
    };
    assert!(doubles(&connect(&name).unwrap()));
    first.kill().unwrap();
    let listener = stand_by.join().unwrap().unwrap();
    let here: Duplex<u64, u64> = connect_timeout(&name, Duration::from_secs(10)).unwrap();
    let _there: Duplex<u64, u64> = listener.accept().unwrap();
    here.send(1).unwrap();
}

/// Binds, holds the name for a moment, lets go, again and again, until it is killed; in between it
/// connects.
fn racer((name, witness, done): (PathBuf, PathBuf, Sender<u64>)) {
    let witness = Witness::open(&witness);
    let mut random = Random::new(std::process::id().into());
    let mut bound = 0;
    loop {
        match Listener::builder().wait_for_name(Duration::ZERO).bind(&name) {
            Ok(listener) => {
                witness.enter();
                // What connects now is our guest.
                if random.below(2) == 0 {
                    let guest: Duplex<u64, u64> = connect(&name).unwrap();
                    guest.send(1).unwrap();
                }
                if let Ok(connection) = listener.accept_timeout::<u64, u64>(Duration::ZERO) {
                    let _ = connection.send(u64::from(std::process::id()));
                }
                std::thread::sleep(Duration::from_micros(random.below(1 << 10)));
                witness.leave();
                drop(listener);
                bound += 1;
                done.send(bound).unwrap();
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
                match connect::<u64, u64>(&name) {
                    Ok(connection) => {
                        // Its host may close it unaccepted.
                        let _ = connection.recv_timeout(Duration::from_millis(1));
                    }
                    Err(error) => {
                        let kind = error.kind();
                        assert!(
                            matches!(kind, ErrorKind::NotFound | ErrorKind::ConnectionRefused),
                            "{error}"
                        );
                    }
                }
            }
        }
    }
}

// fault 57
#[test]
fn of_any_number_of_processes_that_race_for_a_name_and_are_killed_one_has_it() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(120));
    let rounds: u64 = std::env::var("MEET_ROUNDS").map_or(400, |rounds| rounds.parse().unwrap());
    let directory = Directory::new();
    let elsewhere = Directory::new();
    let name = directory.name("orders");
    let witness = elsewhere.name("witness");
    Witness::create(&witness);
    let (done, is_done) = bounded(64).unwrap();
    let start = || dying(racer, (name.clone(), witness.clone(), done.clone()));
    let mut racers: Vec<JoinHandle<()>> = (0..8).map(|_| start()).collect();
    let mut killed = 0;
    let mut random = Random::new(seed());
    for round in 0..rounds {
        is_done.recv_timeout(Duration::from_secs(20)).expect("one of them gets the name");
        if round % 4 == 0 {
            let victim = racers.swap_remove(random.index(racers.len()));
            victim.kill().unwrap();
            match victim.join() {
                Err(multiprocess::JoinError::Killed(9)) => killed += 1,
                other => panic!("{other:?}"),
            }
            racers.push(start());
        }
    }
    for racer in &racers {
        racer.kill().unwrap();
    }
    for racer in racers {
        let joined = racer.join();
        assert!(matches!(joined, Err(multiprocess::JoinError::Killed(9))), "{joined:?}");
    }
    assert_eq!(Witness::open(&witness).violations(), 0, "two had the name at once");
    assert_eq!(killed, rounds.div_ceil(4));
    // Whatever the killed have left: it is one bind away from being gone.
    drop(Listener::bind(&name).unwrap());
    assert!(directory.entries().is_empty(), "{:?}", directory.entries());
}

// fault 126
#[test]
fn names_of_killed_listeners_are_removed_and_nothing_else() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let [killed, terminated, living] = ["orders-a", "orders-b", "orders-c"]
        .map(|name| (directory.name(name), listener_at(directory.name(name))));
    let other = Listener::bind(directory.name("other")).unwrap();
    std::fs::write(directory.name("orders-file"), "x").unwrap();
    std::fs::write(directory.name(".orders-z.lock"), "").unwrap();
    // As one leaves them that is killed in the middle of binding.
    std::fs::write(directory.name(".orders-a.lock"), "").unwrap();
    let prefix = directory.name("orders-");
    assert!(Listener::remove_abandoned(&prefix).unwrap().is_empty());
    killed.1.kill().unwrap();
    terminated.1.terminate().unwrap();
    assert!(killed.1.join().is_err() && terminated.1.join().is_err());
    let removed = Listener::remove_abandoned(&prefix).unwrap();
    assert_eq!(removed, [Name::path(killed.0).unwrap(), Name::path(terminated.0).unwrap()]);
    // The lock of a name that there is none of is not known to be ours.
    assert_eq!(directory.entries(), [".orders-z.lock", "orders-c", "orders-file", "other"]);
    assert!(doubles(&connect(&living.0).unwrap()));
    drop(other);
    assert!(Listener::remove_abandoned("@orders").unwrap().is_empty());
}

// fault 126
#[test]
fn plain_names_of_killed_listeners_are_removed_with_what_was_left_of_binding() {
    multiprocess::init();
    let _watchdog = watchdog();
    let prefix = format!("multiprocess-test-{}-plain-", std::process::id());
    let bind = |name: String| {
        let _listener = Listener::bind(&name).unwrap();
        kill_this_process();
    };
    let names = ["a", "b"].map(|name| format!("{prefix}{name}"));
    for name in &names {
        assert!(dying(bind, name.clone()).join().is_err());
    }
    // Of a process that was killed before its socket had a name, only this is left.
    let runtime =
        std::env::var_os("XDG_RUNTIME_DIR").map(|of| PathBuf::from(of).join("multiprocess"));
    let user = rustix::process::geteuid().as_raw();
    let directories = runtime.into_iter().chain([format!("/tmp/multiprocess-{user}").into()]);
    let directory = directories.into_iter().find(|of| of.join(&names[0]).exists()).unwrap();
    let lock = directory.join(format!(".{prefix}c.lock"));
    std::fs::write(&lock, "").unwrap();
    let removed = Listener::remove_abandoned(&prefix).unwrap();
    assert_eq!(removed, names.map(|name| Name::new(name).unwrap()));
    assert!(!lock.exists());
    assert!(Listener::remove_abandoned(&prefix).unwrap().is_empty());
}

// fault 126
#[test]
fn a_listener_that_is_never_dropped_takes_its_name_away_when_the_program_ends() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    fn exit(name: PathBuf) {
        std::mem::forget(Listener::bind(name.with_extension("forgotten")).unwrap());
        let _listener = Listener::bind(name).unwrap();
        std::process::exit(7)
    }
    assert!(matches!(
        dying(exit, directory.name("orders")).join(),
        Err(multiprocess::JoinError::Exited(7))
    ));
    assert!(directory.entries().is_empty());
}
