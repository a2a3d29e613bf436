//! Attached processes: handles that travel, processes that are killed.

use std::io::ErrorKind::{QuotaExceeded, ResourceBusy};
use std::os::fd::AsRawFd;

use multiprocess::shm::{Segment, SegmentBuilder, SeqLock};
use multiprocess::{Receiver, Sender, bounded, spawn};
use testkit::signals::end_with_the_parent;
use testkit::{held, inside, until, watchdog};

use crate::support::{Name, arrive, send, text};

#[test]
fn a_handle_is_the_same_memory_in_another_process() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("sent");
    for segment in [Segment::anonymous(100).unwrap(), Segment::create(&name, 100).unwrap()] {
        segment.write(0, b"question").unwrap();
        let answer = |segment: Segment| {
            assert_eq!(text(&segment), "question");
            segment.write(0, b"answer\0\0").unwrap();
            (segment.attached(), segment.name().is_some())
        };
        let (attached, named) = spawn(answer, segment.clone()).unwrap().join().unwrap();
        assert_eq!((attached, named), (Some(2), segment.name().is_some()));
        assert_eq!(text(&segment), "answer");
        until("the child's part is free", || segment.attached() == Some(1));
    }
    assert!(!name.is_there());
}

#[test]
fn a_handle_on_its_way_keeps_the_name() {
    let _watchdog = watchdog();
    let name = Name::new("transit");
    let segment = Segment::create(&name, 100).unwrap();
    segment.write(0, b"travels").unwrap();
    let (bytes, handles) = send(&segment);
    assert_eq!(segment.attached(), Some(2));
    drop(segment);
    assert!(name.is_there());
    let back: Segment = arrive(&bytes, handles).unwrap();
    assert_eq!((text(&back), back.attached()), ("travels".into(), Some(1)));
    drop(back);
    assert!(!name.is_there());
    assert_eq!(held(&name), (0, 0));
}

fn hang((_segment, ready): (Segment, Sender<()>)) {
    end_with_the_parent();
    ready.send(()).unwrap();
    drop(ready);
    loop {
        std::thread::park();
    }
}

// fault 66
#[test]
fn dead_processes_make_room_and_living_ones_do_not() {
    multiprocess::init();
    let _watchdog = watchdog();
    let segment = SegmentBuilder::new(1).participants(3).anonymous().unwrap();
    for _ in 0..3 {
        let (ready, is_ready) = bounded(2).unwrap();
        let children = [(); 2].map(|()| spawn(hang, (segment.clone(), ready.clone())).unwrap());
        for _ in &children {
            is_ready.recv().unwrap();
        }
        let error = spawn(|_: Segment| (), segment.clone()).unwrap_err();
        assert!(error.to_string().contains("all 3 participants are taken"), "{error}");
        for child in children {
            child.kill().unwrap();
            child.join().unwrap_err();
        }
        until("their parts are free", || segment.attached() == Some(1));
    }
    spawn(|_: Segment| (), segment.clone()).unwrap().join().unwrap();
}

/// Locks every life byte, as a hostile process can.
fn lock_all(segment: &Segment) -> rustix::fd::OwnedFd {
    let (_, handles) = send(segment);
    let file = testkit::hostile::reopen(&handles[0]);
    drop(handles);
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: (1 << 60) + 4, // Behind the first participant, which is this process.
        l_len: 0,
        l_pid: 0,
    };
    // SAFETY: the file is open, the lock is read during the call.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw mut lock) }, 0);
    file
}

// fault 82
#[test]
fn a_peer_that_has_all_leases_leaves_no_room() {
    let _watchdog = watchdog();
    let name = Name::new("leases");
    let segment = SegmentBuilder::new(1).participants(64).create(&name).unwrap();
    let thief = lock_all(&segment);
    let (encoded, handles) = ipc_core::__private::handle::collect(|| postcard::to_stdvec(&segment));
    assert!(encoded.is_err() && handles.is_empty());
    assert_eq!(segment.attached(), Some(64));
    drop(thief);
    assert_eq!(segment.attached(), Some(1));
    drop(segment);
    assert!(!name.is_there());
}

// fault 82: for processes that come by name.
#[test]
fn a_newcomer_finds_no_room_and_does_not_wait() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("no-room");
    let segment = SegmentBuilder::new(1).participants(64).create(&name).unwrap();
    let _thief = lock_all(&segment);
    let come = |name: String| {
        Segment::open(&name)
            .map(drop)
            .map_err(|error| (error.kind() == QuotaExceeded, error.to_string()))
    };
    let (kind, text) = spawn(come, name.0.clone()).unwrap().join().unwrap().unwrap_err();
    assert!(kind && text.contains("all 64 participants are taken"), "{text}");
}

// fault 17, as it applies to a writer: killed anywhere, the next one writes, and readers never
// wait.
#[test]
fn a_killed_writer_is_followed_by_the_next() {
    multiprocess::init();
    let _watchdog = watchdog();
    let lock = SeqLock::new([0u64; 40]).unwrap();
    let write = |(lock, ready): (SeqLock<[u64; 40]>, Sender<()>)| {
        end_with_the_parent();
        let mut writer = lock.writer().unwrap();
        let first = lock.read()[0];
        ready.send(()).unwrap();
        for n in first.. {
            writer.write([n; 40]);
        }
    };
    let mut last = 0;
    for round in 0..30u32 {
        let (ready, is_ready) = bounded(1).unwrap();
        let child = spawn(write, (lock.clone(), ready)).unwrap();
        is_ready.recv().unwrap();
        let error = lock.writer().unwrap_err();
        assert!(
            error.kind() == ResourceBusy && error.to_string().contains(&child.id().to_string()),
            "{error}"
        );
        for _ in 0..u64::from(round) * 50 {
            let value = lock.read();
            assert!(value.iter().all(|n| *n == value[0]) && value[0] >= last, "torn: {value:?}");
            last = value[0];
        }
        child.kill().unwrap();
        child.join().unwrap_err();
        let value = lock.read();
        assert!(value.iter().all(|n| *n == value[0]) && value[0] >= last, "torn: {value:?}");
        assert_eq!(lock.try_read(), Some(value));
        last = value[0];
        until("it is known to be dead", || lock.writer().is_ok());
        let mut writer = lock.writer().unwrap();
        assert_eq!(writer.update(|value| value[0]), last);
    }
    assert!(last > 0);
}

/// In the environment of a process that is the first of its pid namespace: the name to write to.
const CONTAINED: &str = "MULTIPROCESS_TEST_CONTAINED";

/// Is the writer of this name, until no process holds the other end of stdin.
fn write_contained(name: &str) {
    let lock = SeqLock::<u64>::open(name).unwrap();
    let mut writer = lock.writer().unwrap();
    writer.write(std::process::id().into());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
}

/// Starts such a process, and ends it when told.
fn contain((test, name, wait): (String, String, Receiver<()>)) {
    // SAFETY: for the children of this process only.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0);
    let mut child = std::process::Command::new("/proc/self/exe")
        .args([&test, "--exact", "--nocapture"])
        .env(CONTAINED, name)
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let _ = wait.recv();
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
}

// fault 60
#[test]
fn processes_of_other_namespaces_are_not_taken_for_ours() {
    if let Ok(name) = std::env::var(CONTAINED) {
        return write_contained(&name);
    }
    multiprocess::init();
    let _watchdog = watchdog();
    if !inside("--pid --mount-proc") {
        return;
    }
    let test = std::thread::current().name().unwrap().to_owned();
    let names = [Name::new("contained"), Name::new("contained-too")];
    let locks = [0, 1].map(|n| SeqLock::create(&names[n], 0u64).unwrap());
    let (go, wait) = bounded::<()>(1).unwrap();
    let children =
        [0, 1].map(|n| spawn(contain, (test.clone(), names[n].0.clone(), wait.clone())).unwrap());
    // Both call themselves 1; neither is taken for the other, or for this machine's first process.
    for lock in &locks {
        until("it is the writer", || lock.read() == 1);
        let error = lock.writer().unwrap_err();
        assert!(
            error.kind() == ResourceBusy && error.to_string().contains("a process is its writer"),
            "{error}"
        );
        assert_eq!(lock.segment().attached(), Some(2));
    }
    drop((go, wait));
    for child in children {
        child.join().unwrap();
    }
    for lock in &locks {
        until("it is known to be dead", || lock.writer().is_ok());
    }
}
