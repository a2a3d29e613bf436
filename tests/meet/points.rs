//! Death at each named point of taking a name, holding it, coming to it and giving it up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use multiprocess::JoinError;
use multiprocess::pipe::{Duplex, Listener, connect, connect_timeout};
use multiprocess::process::Builder;
use testkit::{Directory, busy, watchdog_of};

use super::support::{doubles, dying, listener_at};

/// What a victim does until it dies.
#[derive(Clone, Copy, Debug)]
enum Scene {
    /// Takes a name that is free, is connected to, accepts, and lets go.
    Free,
    /// As before, with the name of a killed process.
    Dead,
    /// As before, after a process was killed between binding and publishing.
    HalfMade,
    /// Comes to a process that listens.
    Guest,
}

fn host(name: PathBuf) {
    let listener = Listener::bind(&name).unwrap();
    let here: Duplex<u64, u64> = connect(&name).unwrap();
    let there: Duplex<u64, u64> = listener.accept().unwrap();
    here.send(1).unwrap();
    assert_eq!(there.recv(), Ok(1));
}

fn guest(name: PathBuf) {
    assert!(doubles(&connect_timeout(name, Duration::from_secs(5)).unwrap()));
}

/// Whether the process was killed at the point, the only way in which it may fail.
fn dies(work: fn(PathBuf), name: &Path, point: &str, hit: u64) -> bool {
    let child = Builder::new().kill_on_drop(true).env("KILLPOINT", format!("{point}:{hit}"));
    match child.spawn(work, name.to_owned()).unwrap().join() {
        Ok(()) => false,
        Err(JoinError::Killed(9)) => true,
        Err(error) => panic!("{point}: {error}"),
    }
}

/// So many die at the same point, one after the other; then the next one does what it came for.
fn play(scene: Scene, point: &str, hit: u64, depth: u32) -> bool {
    let directory = Directory::new();
    let name = directory.name("orders");
    let mut died = false;
    match scene {
        Scene::Free => {}
        Scene::Dead => drop(std::os::unix::net::UnixListener::bind(&name).unwrap()),
        Scene::HalfMade => assert!(dies(host, &name, "claim.publish", 1)),
        Scene::Guest => {
            let child = listener_at(name.clone());
            for _ in 0..depth {
                died |= dies(guest, &name, point, hit);
            }
            // The host is as it was.
            guest(name.clone());
            child.kill().unwrap();
            assert!(child.join().is_err());
            drop(Listener::bind(&name).unwrap());
            assert!(directory.entries().is_empty(), "{scene:?} {point}: {:?}", directory.entries());
            return died;
        }
    }
    for _ in 0..depth {
        died |= dies(host, &name, point, hit);
    }
    let began = Instant::now();
    let child = dying(host, name.clone());
    child.join().unwrap_or_else(|error| panic!("{scene:?}, killed at {point}: {error}"));
    assert!(
        began.elapsed() < Duration::from_secs(5) * busy(),
        "{scene:?} {point}: {:?}",
        began.elapsed()
    );
    assert!(
        directory.entries().is_empty(),
        "{scene:?}, killed at {point}: {:?}",
        directory.entries()
    );
    died
}

/// The names of all points in these sources.
fn named() -> BTreeSet<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("ipc-pipes/src");
    let mut named = BTreeSet::new();
    for file in ["listener.rs", "listener/claim.rs", "connect.rs"] {
        let text = fs::read_to_string(sources.join(file)).unwrap();
        for rest in text.split("kill_point!(\"").skip(1) {
            named.insert(rest.split('"').next().unwrap().to_owned());
        }
    }
    assert!(named.len() > 12, "the sources are elsewhere");
    named
}

// faults 4, 5, 6, 7
#[test]
fn killed_at_any_point_the_next_one_gets_the_name_and_nothing_is_left() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(60));
    let mut deaths: BTreeMap<String, u32> = named().into_iter().map(|point| (point, 0)).collect();
    for scene in [Scene::Free, Scene::Dead, Scene::HalfMade, Scene::Guest] {
        for (point, deaths) in &mut deaths {
            for (hit, depth) in [(1, 1), (1, 3), (2, 1)] {
                let died = play(scene, point, hit, depth);
                *deaths += u32::from(died);
                if !died {
                    break; // It does not come there, or not so often.
                }
            }
        }
    }
    println!("{deaths:?}");
    let never: Vec<_> = deaths.iter().filter(|(_, deaths)| **deaths == 0).collect();
    assert!(never.is_empty(), "no process comes to {never:?}");
}

// fault 126: except for an empty lock file, which may be another program's.
#[test]
fn what_a_death_at_any_point_leaves_is_removed_as_abandoned() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(60));
    let mut left = BTreeSet::new();
    for scene in [Scene::Free, Scene::Dead] {
        for point in named() {
            let directory = Directory::new();
            let name = directory.name("orders");
            if let Scene::Dead = scene {
                drop(std::os::unix::net::UnixListener::bind(&name).unwrap());
            }
            if !dies(host, &name, &point, 1) {
                continue;
            }
            left.extend(directory.entries());
            Listener::remove_abandoned(&name).unwrap();
            let entries = directory.entries();
            assert!(
                entries.iter().all(|entry| entry == ".orders.lock"),
                "{scene:?}, killed at {point}: {entries:?}"
            );
        }
    }
    let kinds = ["orders", ".orders.lock"].map(|entry| left.remove(entry));
    assert!(kinds == [true; 2] && !left.is_empty(), "and new sockets: {left:?}");
}
