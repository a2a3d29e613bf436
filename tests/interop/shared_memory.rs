//! Objects that the crate `shared_memory` makes open as segments here, and segments open there.
#![cfg(target_os = "linux")]

#[path = "../segments/support.rs"]
#[allow(dead_code, reason = "a part of it is for other tests")]
mod support;

use std::io::ErrorKind::{InvalidData, NotFound, Unsupported};

use multiprocess::shm::{Segment, SeqLock, Shared, SharedSlice};
use multiprocess::spawn;
use shared_memory::ShmemConf;
use testkit::watchdog;

use crate::support::{Name, text};

#[test]
fn what_the_shared_memory_crate_makes_opens_here() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("theirs");
    let theirs = ShmemConf::new().os_id(&*name).size(8192).create().unwrap();
    let segment = Segment::open(&name).unwrap();
    assert_eq!((segment.size(), segment.attached()), (8192, None));
    segment.write(4, &7u32.to_ne_bytes()).unwrap();
    // SAFETY: as long as it was made, and no process writes there now.
    assert_eq!(unsafe { theirs.as_ptr().cast::<u32>().wrapping_add(1).read() }, 7);
    // SAFETY: as above.
    unsafe { theirs.as_ptr().cast::<u32>().wrapping_add(2).write(8) };
    assert_eq!(Shared::<u32>::at(&segment, 8).unwrap().get(), 8);
    assert_eq!(SharedSlice::<u32>::at(&segment, 0, 2048).unwrap().get(1), Some(7));
    // A handle of it goes to another process.
    let answer = |segment: Segment| segment.write(0, b"answered").unwrap();
    spawn(answer, segment.clone()).unwrap().join().unwrap();
    assert_eq!(text(&segment), "answered\u{8}");
    // It does not say which processes are attached, so there are no locks in it; the error says so.
    let error = SeqLock::new_in(&segment, 0u64).unwrap_err();
    assert!(error.kind() == Unsupported && error.to_string().contains("no locks in it"), "{error}");
    assert_eq!(Shared::new_in(&segment, 0u64).unwrap_err().kind(), Unsupported);
    assert_eq!(Shared::<u64>::open(&name).unwrap_err().kind(), InvalidData);
    assert!(Segment::create(&name, 1).unwrap_err().to_string().contains("another program"));
    assert!(Segment::list().unwrap().iter().all(|info| info.name != *name.0));
    // Its name is not ours to remove.
    drop(segment);
    assert!(name.is_there());
    drop(theirs);
    assert_eq!(Segment::open(&name).unwrap_err().kind(), NotFound);
}

#[test]
fn what_is_made_here_opens_with_the_shared_memory_crate() {
    let _watchdog = watchdog();
    let name = Name::new("ours");
    let segment = Segment::create(&name, 5000).unwrap();
    segment.write(4096, b"ours").unwrap();
    let theirs = ShmemConf::new().os_id(&*name).open().unwrap();
    assert!(theirs.len() >= 5000);
    // SAFETY: it is at least as long, and no process writes there now.
    let read = unsafe { std::slice::from_raw_parts(theirs.as_ptr().wrapping_add(4096), 4) };
    assert_eq!(read, b"ours");
    // SAFETY: as above.
    unsafe { theirs.as_ptr().write_bytes(b'x', 16) };
    assert_eq!(text(&segment), "x".repeat(16));
    drop(theirs);
    assert_eq!(Segment::open(&name).unwrap().attached(), Some(1));
    drop(segment);
    assert!(!name.is_there());
}
