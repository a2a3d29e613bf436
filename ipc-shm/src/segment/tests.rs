use std::io;
use std::sync::Arc;

use ipc_core::__private::handle;

use super::footer::{Footer, Lifetime};
use super::lookup::{MODE, NameLookup};
use super::mapped::Mapped;
use super::names::CreateArgs;
use super::path::SegmentPath;
use super::*;
use crate::layout::PAGE;
use crate::sync::Ordering::Relaxed;

#[test]
fn what_is_placed_does_not_overlap_and_ends_with_the_segment() {
    let segment = Segment::anonymous(100).unwrap();
    assert_eq!(segment.size(), 100);
    assert_eq!(segment.place(1, 1).unwrap(), 0);
    assert_eq!(segment.place(8, 8).unwrap(), 8);
    assert_eq!(segment.place(0, 64).unwrap(), 64);
    assert_eq!(segment.place(36, 4).unwrap(), 64);
    let error = segment.place(1, 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::StorageFull);
    assert!(error.to_string().contains("no room for 1 bytes more in its 100"), "{error}");
    for align in [0, 3, 8192] {
        assert_eq!(segment.place(1, align).unwrap_err().kind(), io::ErrorKind::InvalidInput);
    }
}

// faults 42, 43
#[test]
fn what_is_not_in_the_segment_cannot_be_reached() {
    let segment = Segment::anonymous(100).unwrap();
    assert_eq!(segment.words64(0, 12).unwrap().len(), 12);
    assert!(segment.words64(0, 13).is_err(), "behind its size, though mapped");
    assert!(segment.words64(4, 1).is_err());
    assert!(segment.words32(4, 1).is_ok());
    assert!(segment.words64(usize::MAX - 7, 1).is_err());
    assert!(segment.words64(8, usize::MAX / 8).is_err());
    assert!(segment.at(100, 0, 1).is_ok());
    assert!(segment.at(101, 0, 1).is_err());
}

// fault 77
#[test]
fn a_scribbled_cursor_is_no_room() {
    let segment = Segment::anonymous(100).unwrap();
    for cursor in [101, u64::MAX, u64::MAX - 6, 1 << 63] {
        segment.mapped.cursor().unwrap().store(cursor, Relaxed);
        assert_eq!(segment.place(8, 8).unwrap_err().kind(), io::ErrorKind::StorageFull);
    }
}

#[test]
fn a_handle_that_comes_home_is_the_same_memory() {
    let segment = Segment::anonymous(100).unwrap();
    let (bytes, handles) = handle::collect(|| postcard::to_stdvec(&segment).unwrap());
    assert_eq!(handles.len(), 1);
    let back: Segment = handle::provide(handles, || postcard::from_bytes(&bytes).unwrap());
    assert!(back.same_segment(&segment));
    segment.words64(8, 1).unwrap()[0].store(7, Relaxed);
    assert_eq!(back.words64(8, 1).unwrap()[0].load(Relaxed), 7);
}

#[test]
fn values_of_one_segment_share_a_handle_in_a_message() {
    let segment = SegmentBuilder::new(64 << 10).participants(2).anonymous().unwrap();
    let locks: Vec<_> =
        (0..300u64).map(|i| crate::lock::Mutex::new_in(&segment, i).unwrap()).collect();
    let sent = (locks, segment.clone(), Segment::anonymous(1).unwrap());
    let (bytes, handles) = handle::collect(|| postcard::to_stdvec(&sent).unwrap());
    assert_eq!(handles.len(), 2, "one a segment");
    drop(segment);
    drop(sent); // So that it is mapped anew.
    let (locks, segment, _) = handle::provide(handles, || {
        postcard::from_bytes::<(Vec<crate::lock::Mutex<u64>>, Segment, Segment)>(&bytes).unwrap()
    });
    assert!((0..300u64).zip(&locks).all(|(i, lock)| lock.get().unwrap() == i));
    assert!(locks.iter().all(|lock| lock.segment().same_segment(&segment)));
    assert_eq!(segment.attached(), Some(1));
    // Each message has its own.
    let (_, one) = handle::collect(|| postcard::to_stdvec(&segment).unwrap());
    drop(one);
    let (_, other) = handle::collect(|| postcard::to_stdvec(&locks).unwrap());
    assert_eq!(other.len(), 1);
}

#[test]
fn a_handle_that_arrives_after_its_sender_has_gone_is_attached() {
    let segment = Segment::anonymous(100).unwrap();
    segment.words64(8, 1).unwrap()[0].store(7, Relaxed);
    let me = segment.participants().unwrap().me();
    let (bytes, handles) = handle::collect(|| postcard::to_stdvec(&segment).unwrap());
    drop(segment);
    let back: Segment = handle::provide(handles, || postcard::from_bytes(&bytes).unwrap());
    assert_eq!(back.words64(8, 1).unwrap()[0].load(Relaxed), 7);
    let participants = back.participants().unwrap();
    assert!(
        participants.me() != me && !participants.alive(me) && participants.alive(participants.me())
    );
}

fn name(what: &str) -> String {
    format!("multiprocess-test-{}-{what}", std::process::id())
}

#[test]
fn a_name_goes_with_the_last_handle() {
    let name = name("last");
    let first = Segment::create(&name, 100).unwrap();
    first.write(3, b"abc").unwrap();
    assert_eq!(first.name(), Some(&*name));
    let again = Segment::open(&name).unwrap();
    assert!(again.same_segment(&first));
    assert_eq!(again.attached(), Some(1), "the same process");
    drop(first);
    let mut back = [0; 3];
    again.read(3, &mut back).unwrap();
    assert_eq!(&back, b"abc");
    assert_eq!(Segment::create(&name, 100).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    drop(again);
    assert_eq!(Segment::open(&name).unwrap_err().kind(), io::ErrorKind::NotFound);
}

fn footer() -> io::Result<Footer> {
    Ok(Footer::new(100, 3, Lifetime::LastHandle, 0, PAGE).unwrap())
}

// Where the file system has no objects without names.
#[test]
fn what_is_made_under_its_name_is_made_as_well() {
    let name = name("in-place");
    let lookup = NameLookup::new(SegmentPath::Name(name.clone()), MODE).unwrap();
    let mut fill = |made: &Arc<Mapped>| Segment::of(Arc::clone(made)).write(0, b"filled");
    let mut args = CreateArgs { footer: &footer, fill: &mut fill };
    let until = || std::time::Instant::now() + std::time::Duration::from_secs(1);
    let made = Segment::of(lookup.create_in_place(until(), &mut args).unwrap());
    let open = Segment::open(&name).unwrap();
    assert!(open.same_segment(&made));
    let error = lookup.create_in_place(until(), &mut args).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    drop((made, open));
    let mut fails = |_: &Arc<Mapped>| Err(io::Error::other("no"));
    let mut args = CreateArgs { footer: &footer, fill: &mut fails };
    let before = std::time::Instant::now();
    assert_eq!(lookup.create_in_place(until(), &mut args).unwrap_err().to_string(), "no");
    assert!(before.elapsed() < std::time::Duration::from_secs(1), "waits for itself");
    assert_eq!(Segment::open(&name).unwrap_err().kind(), io::ErrorKind::NotFound);
}
