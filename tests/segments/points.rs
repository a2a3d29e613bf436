//! Death at each named point of what segments, their names and sequence locks are made of, and what
//! is found after.
//!
//! Each scene is played with a death at each point, where its victim comes there.
//!
//! faults 4, 5, 17, 20, 87.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use ipc_core::__private::handle;
use multiprocess::process::Builder;
use multiprocess::shm::{Condvar, Lifetime, Mutex, Segment, SegmentBuilder, SeqLock};
use testkit::{busy, until, watchdog_of};

use crate::support::{Name, forbid_unnamed};

/// What a victim does with a name.
type Act = fn(String);

struct Scene {
    name: &'static str,
    /// What is there before; it is kept meanwhile.
    before: fn(&Name) -> Option<Segment>,
    act: Act,
}

fn nothing(_: &Name) -> Option<Segment> {
    None
}

fn kept(name: &Name) -> Option<Segment> {
    Some(Segment::create(name, 64).unwrap())
}

fn persistent(name: &Name) -> Option<Segment> {
    drop(SegmentBuilder::new(64).lifetime(Lifetime::Persistent).create(name).unwrap());
    None
}

/// Left by a process that was killed.
fn abandoned(name: &Name) -> Option<Segment> {
    assert!(
        dies("name.linked", |name| drop(Segment::create(&name, 64).unwrap()), name),
        "no process has released it"
    );
    assert!(name.is_there());
    None
}

/// Left by a process that was killed before it was done.
fn unfinished(name: &Name) -> Option<Segment> {
    let act = |name: String| {
        forbid_unnamed();
        drop(Segment::create(&name, 64).unwrap());
    };
    assert!(dies("name.marked", act, name), "no process has released it");
    assert!(name.is_there());
    None
}

const SCENES: [Scene; 14] = [
    Scene {
        name: "create",
        before: nothing,
        act: |name| drop(Segment::create(&name, 64).unwrap()),
    },
    Scene { name: "create in place", before: nothing, act: in_place },
    Scene { name: "create in place of a dead one's", before: abandoned, act: in_place },
    Scene { name: "open", before: kept, act: |name| drop(Segment::open(&name).unwrap()) },
    Scene {
        name: "open what dead processes left",
        before: abandoned,
        act: |name| drop(Segment::open(&name).unwrap()),
    },
    Scene {
        name: "replace what dead processes left",
        before: abandoned,
        act: |name| drop(Segment::create(&name, 64).unwrap()),
    },
    Scene {
        name: "replace what is not done",
        before: unfinished,
        act: |name| drop(Segment::create(&name, 64).unwrap()),
    },
    Scene {
        name: "open or replace what is not done",
        before: unfinished,
        act: |name| drop(Segment::open_or_create(&name, 64).unwrap()),
    },
    Scene {
        name: "remove what dead processes left",
        before: abandoned,
        act: |name| drop(Segment::remove_abandoned(&name).unwrap()),
    },
    Scene { name: "unlink", before: persistent, act: |name| Segment::unlink(&name).unwrap() },
    Scene {
        name: "unlink what others have",
        before: kept,
        act: |name| Segment::unlink(&name).unwrap(),
    },
    Scene { name: "send", before: kept, act: send },
    Scene { name: "forget", before: nothing, act: forget },
    Scene { name: "look for deaths", before: nothing, act: |_| look_for_deaths() },
];

/// A participant that never came counts as a dead one.
fn look_for_deaths() {
    let (mutex, condvar) = (Mutex::new(0u8).unwrap(), Condvar::new().unwrap());
    let (_, handles) = handle::collect(|| postcard::to_stdvec(&condvar).unwrap());
    drop(handles);
    let wait = condvar.wait_timeout(mutex.lock().unwrap(), Duration::from_secs(10));
    assert!(!wait.unwrap().1.timed_out(), "a death is looked for after a slice");
}

fn in_place(name: String) {
    forbid_unnamed();
    drop(Segment::create(&name, 64).unwrap());
}

/// Its name goes when the program ends in order.
fn forget(name: String) {
    std::mem::forget(Segment::create(&name, 64).unwrap());
    std::process::exit(FORGOTTEN);
}

const FORGOTTEN: i32 = 77;

/// To itself, which attaches no more; and to itself after it has let go, which attaches.
fn send(name: String) {
    let segment = Segment::open(&name).unwrap();
    for forget in [false, true] {
        let (bytes, handles) = handle::collect(|| postcard::to_stdvec(&segment).unwrap());
        if forget {
            drop(segment);
            drop(handle::provide(handles, || postcard::from_bytes::<Segment>(&bytes)));
            return;
        }
        drop(handle::provide(handles, || postcard::from_bytes::<Segment>(&bytes)));
    }
}

/// Runs a victim; whether it was killed at the point.
fn dies(point: &str, act: Act, name: &Name) -> bool {
    dies_with(point, act, name.0.clone())
}

fn dies_with<A: serde::Serialize + serde::de::DeserializeOwned>(
    point: &str,
    act: fn(A),
    args: A,
) -> bool {
    let child = Builder::new().env("KILLPOINT", format!("{point}:1")).spawn(act, args);
    // Where it dies while it takes its arguments, spawning says so.
    let died = match child {
        Ok(child) => child.join().map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match died {
        Ok(()) => false,
        Err(error) if error.contains(&FORGOTTEN.to_string()) => false,
        Err(error) => {
            assert!(error.contains("signal 9") || error.contains("signal: 9"), "{point}: {error}");
            true
        }
    }
}

/// The names of all points there are.
fn named() -> BTreeSet<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("ipc-shm/src");
    let mut files: Vec<_> =
        fs::read_dir(sources.join("segment")).unwrap().map(|file| file.unwrap().path()).collect();
    files.extend(
        ["attach/entries.rs", "attach/participants.rs", "value/seq.rs", "value/seqlock.rs"]
            .map(|file| sources.join(file)),
    );
    let texts = files.iter().map(|file| fs::read_to_string(file).unwrap());
    let named: BTreeSet<String> = texts
        .flat_map(|text| {
            let points = text
                .split("kill_point!(\"")
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap().to_owned());
            points.collect::<Vec<_>>()
        })
        .collect();
    assert!(named.len() > 20, "the sources are elsewhere");
    named
}

#[test]
fn after_a_death_at_any_point_the_name_is_whole_or_free() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(55));
    let mut left = named();
    left.retain(|point| !point.starts_with("seq"));
    let (mut points, mut deaths) = (named(), 0);
    // Where others wait for a while, a point is not reached each time.
    for _ in 0..4 {
        for scene in &SCENES {
            // A process that finds what is not done waits for a while.
            let slow = scene.name.contains("not done");
            for point in points.iter().filter(|point| !slow || point.starts_with("name.")) {
                let name = Name::new("points");
                let kept = (scene.before)(&name);
                if !dies(point, scene.act, &name) {
                    drop(kept);
                    let there = name.is_there();
                    assert!(!there, "{}: left without a death at {point}", scene.name);
                    continue;
                }
                deaths += 1;
                left.remove(point);
                let what = format!("{} killed at {point}", scene.name);
                let begin = Instant::now();
                let open = Segment::open_or_create(&name, 64).expect(&what);
                // A dead maker in place is waited for a while.
                assert!(
                    begin.elapsed() < Duration::from_secs(2) * busy(),
                    "{what}: {:?}",
                    begin.elapsed()
                );
                if let Some(kept) = kept {
                    assert!(open.same_segment(&kept) || scene.name.starts_with("unlink"), "{what}");
                    until(&what, || kept.attached() == Some(1));
                }
                assert_eq!(open.attached(), Some(1), "{what}");
                let mut bytes = [1; 64];
                open.read(0, &mut bytes).unwrap();
                assert_eq!(bytes, [0; 64], "{what}");
                drop(open);
                if scene.name == "unlink" && name.is_there() {
                    Segment::unlink(&name).unwrap();
                }
                assert!(!name.is_there(), "{what}");
            }
        }
        points = left.clone();
    }
    println!("{deaths} deaths");
    assert!(left.is_empty(), "no process reaches {left:?}");
}

/// Pauses a process that removes abandoned names where it has looked at `name` and not locked it,
/// and calls `meanwhile`. Returns the names that it removed.
fn removed_with(name: &Name, meanwhile: impl FnOnce()) -> Vec<String> {
    let pause = Name::new("pause");
    let remove = |name: String| Segment::remove_abandoned(&name).unwrap();
    let remover = Builder::new()
        .kill_on_drop(true)
        .env("KILLPOINT", "name.unlocked:1")
        .env("KILLPOINT_PAUSE", pause.path())
        .spawn(remove, name.0.clone())
        .unwrap();
    until("it has looked at the name", || pause.is_there());
    meanwhile();
    fs::remove_file(pause.path()).unwrap();
    remover.join().unwrap()
}

// fault 126
#[test]
fn what_is_opened_or_replaced_before_its_removal_keeps_its_name() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(30));
    for attach in [Segment::open, |name: &str| Segment::create(name, 64)] {
        let name = Name::new("opened-late");
        abandoned(&name);
        let mut segment = None;
        let removed = removed_with(&name, || segment = Some(attach(&name).unwrap()));
        assert_eq!(removed, [""; 0]);
        assert!(Segment::open(&name).unwrap().same_segment(&segment.unwrap()));
    }
}

/// Writes some values, each of them eight times the same number, larger each time.
fn write(lock: SeqLock<[u64; 8]>) {
    let mut writer = lock.writer().unwrap();
    for _ in 0..9 {
        writer.update(|value| *value = [value[0] + 1; 8]);
    }
}

#[test]
fn after_a_writer_s_death_at_any_point_the_last_value_is_whole() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(55));
    let lock = SeqLock::new([1u64; 8]).unwrap();
    for point in named().into_iter().filter(|point| point.starts_with("seq")) {
        let before = lock.read();
        assert!(dies_with(&point, write, lock.clone()), "no process reaches {point}");
        let value = lock.try_read().expect("no writer");
        assert!(value == [value[0]; 8] && value[0] >= before[0], "killed at {point}: {value:?}");
        until("it is known to be dead", || lock.writer().is_ok());
        let mut writer = lock.writer().unwrap();
        for n in 1..9 {
            writer.write([value[0] + n; 8]);
            assert_eq!(lock.read(), [value[0] + n; 8], "killed at {point}");
        }
    }
}
