use std::sync::atomic::Ordering::Relaxed;

use super::*;

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
fn a_handle_that_arrives_after_its_sender_has_gone_is_attached() {
    let segment = Segment::anonymous(100).unwrap();
    segment.words64(8, 1).unwrap()[0].store(7, Relaxed);
    let me = segment.members().unwrap().me();
    let (bytes, handles) = handle::collect(|| postcard::to_stdvec(&segment).unwrap());
    drop(segment);
    let back: Segment = handle::provide(handles, || postcard::from_bytes(&bytes).unwrap());
    assert_eq!(back.words64(8, 1).unwrap()[0].load(Relaxed), 7);
    let members = back.members().unwrap();
    assert!(members.me() != me && !members.alive(me) && members.alive(members.me()));
}
