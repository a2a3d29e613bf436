//! What killed processes leave under names, and who removes it.

use std::fs;
use std::os::unix::fs::symlink;

use multiprocess::process::Builder;
use multiprocess::shm::{Lifetime, Mutex, Segment, SegmentBuilder, Shared};
use multiprocess::{JoinHandle, Receiver, Sender, bounded};
use rustix::fs::{CWD, FileType, Mode};
use testkit::{until, watchdog};

use crate::support::{Name, forbid_unnamed, send};

/// Makes what has a name, in three ways, and keeps it until it is killed.
fn keep((name, ready): (String, Sender<()>)) {
    let _segment = SegmentBuilder::new(100).mode(0o660).create(&format!("{name}-segment")).unwrap();
    let _mutex = Mutex::<u64>::create(&format!("{name}-mutex"), 1).unwrap();
    let shared = Shared::create(&format!("{name}-shared"), 1u64).unwrap();
    std::mem::forget(shared);
    ready.send(()).unwrap();
    loop {
        std::thread::park();
    }
}

fn started(name: String) -> JoinHandle<()> {
    let (ready, is_ready) = bounded(1).unwrap();
    let child = Builder::new().kill_on_drop(true).spawn(keep, (name, ready)).unwrap();
    is_ready.recv().unwrap();
    child
}

fn three(name: &str) -> Vec<String> {
    ["mutex", "segment", "shared"].map(|what| format!("{name}-{what}")).into()
}

fn all(prefix: &str) -> Vec<String> {
    let entries = fs::read_dir("/dev/shm").unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<_> = entries.filter_map(|name| name.into_string().ok()).collect();
    names.retain(|name| name.starts_with(prefix));
    names.sort();
    names
}

// fault 126
#[test]
fn what_killed_processes_left_is_removed_and_nothing_else() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("abandoned");
    let [killed, terminated, living] =
        ["a-killed", "b-terminated", "c-living"].map(|who| format!("{}-{who}", name.0));
    let children = [&killed, &terminated, &living].map(|name| started(name.clone()));
    assert_eq!(Segment::remove_abandoned(&name).unwrap(), [""; 0], "all are in use");
    // What is on its way to a process is in use.
    let (on_its_way, handles) = {
        let segment = Segment::create(&format!("{}-d-sent", name.0), 1).unwrap();
        let sent = send(&segment);
        std::mem::forget(segment);
        sent
    };
    drop(on_its_way);
    let persistent = Name(format!("{}-e-persistent", name.0));
    drop(SegmentBuilder::new(1).lifetime(Lifetime::Persistent).create(&persistent).unwrap());

    let [first, second, third] = children;
    first.kill().unwrap();
    second.terminate().unwrap();
    assert!(first.join().is_err() && second.join().is_err());
    let left: Vec<_> = [three(&killed), three(&terminated)].concat();
    assert_eq!(all(&format!("{}-a", name.0)), three(&killed), "left behind");
    // Not those whose names begin otherwise.
    assert_eq!(Segment::remove_abandoned(&terminated).unwrap(), three(&terminated));
    assert_eq!(Segment::remove_abandoned(&name).unwrap(), three(&killed));
    assert!(left.iter().all(|name| Segment::open(name).is_err()));
    assert_eq!(Shared::<u64>::open(&format!("{living}-shared")).unwrap().get(), 1, "still there");
    assert_eq!(all(&living), three(&living));

    third.kill().unwrap();
    assert!(third.join().is_err());
    assert_eq!(Segment::remove_abandoned(&name).unwrap(), three(&living));
    drop(handles);
    let sent = format!("{}-d-sent", name.0);
    // This process has it still: the handle was forgotten.
    assert_eq!(all(&name), [&*sent, &*persistent.0]);
    fs::remove_file(format!("/dev/shm/{sent}")).unwrap();
}

// fault 126: what is none of ours, or not to be trusted, is left as it is, and nothing hangs.
#[test]
fn what_is_no_segment_of_this_user_is_left() {
    let _watchdog = watchdog();
    let name = Name::new("none-of-ours");
    let [empty, page, file, fifo, link, directory, linked, cut] =
        ["empty", "page", "file", "fifo", "link", "directory", "linked", "cut"]
            .map(|what| Name(format!("{}-{what}", name.0)));
    fs::write(empty.path(), []).unwrap();
    fs::write(page.path(), [0; 4096]).unwrap();
    fs::write(file.path(), [7; 5000]).unwrap();
    rustix::fs::mknodat(CWD, fifo.path(), FileType::Fifo, Mode::RWXU, 0).unwrap();
    symlink(page.path(), link.path()).unwrap();
    fs::create_dir(directory.path()).unwrap();
    // Two names of one segment that is abandoned.
    let abandoned = Name(format!("{}-other", name.0));
    let segment = Segment::create(&abandoned, 1).unwrap();
    let bytes = fs::read(abandoned.path()).unwrap();
    drop(segment);
    fs::write(abandoned.path(), &bytes).unwrap();
    fs::hard_link(abandoned.path(), linked.path()).unwrap();
    fs::write(cut.path(), &bytes[4096..]).unwrap();
    let before = all(&name);
    assert_eq!(before.len(), 9);
    assert_eq!(Segment::remove_abandoned(&name).unwrap(), [""; 0]);
    assert_eq!(all(&name), before);
    // With one name it is what a killed process would have left.
    fs::remove_file(linked.path()).unwrap();
    assert_eq!(Segment::remove_abandoned(&name).unwrap(), [&*abandoned.0]);
    assert!(Segment::remove_abandoned("no such prefix at all").unwrap().is_empty());
}

// fault 126
#[test]
fn what_its_maker_had_not_finished_is_removed() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("unfinished");
    let (ready, is_ready) = bounded(1).unwrap();
    // In place, since there are no files without a name; and large, so that it takes long.
    fn make((name, ready): (String, Sender<()>)) {
        forbid_unnamed();
        ready.send(()).unwrap();
        loop {
            drop(SegmentBuilder::new(64 << 20).prefault(true).create(&name).unwrap());
        }
    }
    let child = Builder::new().kill_on_drop(true).spawn(make, (name.0.clone(), ready)).unwrap();
    is_ready.recv().unwrap();
    until("it makes one", || name.is_there());
    child.kill().unwrap();
    assert!(child.join().is_err());
    // Empty, it is no segment yet, and the next `create` replaces it; else it is removed.
    let left = name.path().metadata().map_or(0, |file| file.len());
    let removed = Segment::remove_abandoned(&name).unwrap();
    assert_eq!(removed.len(), usize::from(left > 0));
    drop(Segment::create(&name, 1).unwrap());
    assert!(!name.is_there());
}

// fault 126
#[test]
fn create_removes_what_killed_processes_left_if_it_is_asked_to() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("at-create");
    let leave = |n: u32| {
        let child = started(format!("{}-{n}", name.0));
        child.kill().unwrap();
        assert!(child.join().is_err());
    };
    (0..2).for_each(leave);
    assert_eq!(all(&name).len(), 6);
    let living = started(format!("{}-living", name.0));
    let own = format!("{}-own", name.0);
    let builder = SegmentBuilder::new(1).remove_abandoned(&*name.0);
    let rest = three(&format!("{}-living", name.0));
    // Each call spends 10 ms on it at most, which may pass before it has a processor.
    loop {
        drop(builder.create(&own).unwrap());
        if all(&name) == rest {
            break;
        }
    }
    // What is left under the name itself is opened, as always.
    leave(3);
    let shared = format!("{}-3-shared", name.0);
    let builder = SegmentBuilder::new(8).remove_abandoned(&*name.0);
    assert!(builder.open(&shared).is_err(), "it holds a value");
    let segment = format!("{}-3-segment", name.0);
    assert_eq!(builder.mode(0o660).open_or_create(&segment).unwrap().size(), 100);
    drop(living);
    Segment::remove_abandoned(&name).unwrap();
    assert!(all(&name).is_empty());
}

/// Removes what is abandoned again and again.
fn remove_for_ever((name, stop): (String, Receiver<()>)) -> u64 {
    let mut removed = 0;
    while stop.try_recv().is_err_and(|error| error.is_empty()) {
        removed += Segment::remove_abandoned(&name).unwrap().len() as u64;
    }
    removed
}

/// Opens or makes it, looks that its name leads to it, and lets it go; some are killed with it.
fn come_and_go((name, killed): (String, bool)) {
    for n in 0.. {
        let segment = match Segment::create(&name, 64) {
            Ok(segment) => segment,
            Err(_) => continue,
        };
        let again = Segment::open(&name).expect("its name was not removed while it is in use");
        assert!(again.same_segment(&segment));
        if killed && n >= 3 {
            std::process::abort();
        }
        if n >= 800 {
            return;
        }
    }
}

// faults 57, 126: a name that a process has is never removed, whatever happens at it.
#[test]
fn a_name_in_use_is_never_removed_while_others_make_it_and_die() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("remove-race");
    let (stop, stopped) = bounded::<()>(1).unwrap();
    let removers: Vec<_> = (0..2)
        .map(|_| {
            Builder::new()
                .kill_on_drop(true)
                .spawn(remove_for_ever, (name.0.clone(), stopped.clone()))
                .unwrap()
        })
        .collect();
    drop(stopped);
    let live =
        Builder::new().kill_on_drop(true).spawn(come_and_go, (name.0.clone(), false)).unwrap();
    for _ in 0..20 {
        let victim = Builder::new().spawn(come_and_go, (name.0.clone(), true)).unwrap();
        let error = victim.join().unwrap_err().to_string();
        assert!(error.contains("signal 6"), "{error}");
    }
    live.join().unwrap();
    drop(stop);
    removers.into_iter().for_each(|remover| _ = remover.join().unwrap());
    Segment::remove_abandoned(&name).unwrap();
    assert!(!name.is_there());
}
