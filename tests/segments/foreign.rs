//! Files as segments, and views that cannot write.

use std::io::ErrorKind::{InvalidInput, NotFound};

use multiprocess::shm::{Segment, SegmentBuilder, Shared, SharedSlice, View};
use multiprocess::{bounded, spawn};
use testkit::{held, watchdog};

use crate::support::{Name, arrive, send, text};

#[test]
fn a_file_is_a_segment_that_stays() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = std::env::temp_dir().join(&*Name::new("files"));
    std::fs::create_dir(&directory).unwrap();
    let path = directory.join("counter");
    let count = |path: std::path::PathBuf| {
        let segment = Segment::file(path, 1000).unwrap();
        assert_eq!(segment.name(), None);
        Shared::<u64>::at(&segment, 992)
            .unwrap()
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    };
    let children: Vec<_> = (0..4).map(|_| spawn(count, path.clone()).unwrap()).collect();
    for child in children {
        child.join().unwrap();
    }
    let segment = Segment::file(&path, 0).unwrap();
    assert_eq!((segment.size(), Shared::<u64>::at(&segment, 992).unwrap().get()), (1000, 4));
    let (bytes, handles) = send(&segment);
    drop(segment);
    assert_eq!(arrive::<Segment>(&bytes, handles).unwrap().size(), 1000);
    // Of another program, of any length.
    let path = directory.join("letters");
    std::fs::write(&path, [b'a'; 5003]).unwrap();
    let wide = SegmentBuilder::new(0).mode(0o666).file(&path);
    let segment = wide.unwrap();
    assert_eq!((segment.size(), text(&segment)), (5003, "a".repeat(16)));
    segment.write(5000, b"end").unwrap();
    assert_eq!(segment.write(5001, b"end").unwrap_err().kind(), InvalidInput);
    assert_eq!(std::fs::read(&path).unwrap()[4999..], *b"aend");
    drop(segment);
    // Nothing is made where there is no directory, or no size.
    assert_eq!(Segment::file(directory.join("a/b"), 1).unwrap_err().kind(), NotFound);
    assert_eq!(Segment::file(directory.join("none"), 0).unwrap_err().kind(), InvalidInput);
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 2);
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_view_reads_and_cannot_write() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("viewed");
    let array = SharedSlice::<u32>::create(&name, 100).unwrap();
    array.set(99, 12);
    let view = View::open(&name).unwrap();
    assert_eq!((view.size(), view.get::<u32>(396).unwrap()), (400, 12));
    array.set(99, 13);
    assert_eq!(view.get::<u32>(396).unwrap(), 13);
    for (offset, len) in [(397, 4), (400, 1), (usize::MAX, 2), (0, 401)] {
        assert_eq!(view.read(offset, &mut vec![0; len]).unwrap_err().kind(), InvalidInput);
    }
    assert_eq!(array.segment().attached(), Some(1), "a view is not attached");
    // In another process, which has not the rights to write by it.
    let write = |view: View| {
        assert_eq!(view.get::<u32>(396).unwrap(), 13);
        // SAFETY: it is not: that is what is tested.
        unsafe { view.as_ptr().cast_mut().write_volatile(1) };
    };
    let (done, _is_done) = bounded::<()>(1).unwrap();
    drop(done);
    let error = spawn(write, view.clone()).unwrap().join().unwrap_err();
    assert!(error.to_string().contains("signal 11"), "{error}");
    drop(array);
    assert!(!name.is_there(), "a view keeps no name");
    assert_eq!(view.get::<u32>(396).unwrap(), 13, "but the memory");
    drop(view);
    let segment = Segment::anonymous(10).unwrap();
    segment.write(0, b"anonymous").unwrap();
    let (bytes, handles) = send(&segment.view().unwrap());
    drop(segment);
    let view: View = arrive(&bytes, handles).unwrap();
    let mut back = [0; 9];
    view.read(0, &mut back).unwrap();
    assert_eq!(&back, b"anonymous");
    assert_eq!(held(&name), (0, 0));
}
