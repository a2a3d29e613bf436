//! When there is no descriptor, no memory, no room; forks; programs that close everything.

use std::cell::Cell;
use std::fs::File;
use std::io::ErrorKind::{StorageFull, Unsupported};
use std::time::Duration;

use multiprocess::shm::{Segment, SegmentBuilder, SeqLock, Shared, SharedSlice, View};
use multiprocess::{Receiver, bounded, spawn};
use rustix::process::Resource;
use testkit::proc::ANONYMOUS;
use testkit::proc::address_space;
use testkit::{forbid, forked, held, inside, limit, watchdog};

use crate::support::{Name, arrive, send, text};

// fault 61
#[test]
fn without_descriptors_nothing_is_made_and_nothing_lost() {
    multiprocess::init();
    let _watchdog = watchdog();
    let starve = |name: String| {
        let there = Segment::anonymous(100).unwrap();
        there.write(0, b"there").unwrap();
        let before = (held(ANONYMOUS), held(&name));
        // So many more descriptors can be opened: at each step it is one too few.
        let mut seen = [[0; 2]; 4];
        for spare in 0..5 {
            let (bytes, handles) = send(&Segment::anonymous(100).unwrap());
            let old = limit(Resource::Nofile, Some(64));
            let mut filler = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                filler.push(file);
            }
            filler.truncate(filler.len() - spare);
            let made = Segment::anonymous(100).map(drop).map_err(|error| error.to_string());
            let named =
                Segment::open_or_create(&name, 100).map(drop).map_err(|error| error.to_string());
            let (encoded, issued) =
                ipc_core::__private::handle::collect(|| postcard::to_stdvec(&there));
            let sent = encoded.map(drop).map_err(ipc_core::__private::handle::cause_text);
            drop(issued);
            let arrived = arrive::<Segment>(&bytes, handles).map(drop);
            assert_eq!(text(&there), "there");
            drop(filler);
            limit(Resource::Nofile, old);
            for (result, seen) in [made, named, sent, arrived].into_iter().zip(&mut seen) {
                match result {
                    Ok(()) => seen[1] += 1,
                    Err(text) => {
                        assert!(text.contains("segment") && text.contains("open files"), "{text}");
                        seen[0] += 1;
                    }
                }
            }
            assert_eq!((held(ANONYMOUS), held(&name)), before, "{spare} to spare");
        }
        for (seen, what) in seen.iter().zip(["made", "named", "sent", "arrived"]) {
            assert!(seen[0] > 0 && seen[1] > 0, "{what}: {seen:?}");
        }
        drop(there);
        assert_eq!(held(ANONYMOUS), (0, 0));
    };
    let name = Name::new("starved");
    spawn(starve, name.0.clone()).unwrap().join().unwrap();
    assert!(!name.is_there());
}

/// A shared-memory file system of this process' namespace, so large.
fn own_file_system(bytes: usize) {
    let data = std::ffi::CString::new(format!("size={bytes}")).unwrap();
    // SAFETY: strings that end with zero; nothing is mounted that others see.
    let mounted = unsafe {
        libc::mount(
            c"none".as_ptr(),
            c"/dev/shm".as_ptr(),
            c"tmpfs".as_ptr(),
            0,
            data.as_ptr().cast(),
        )
    };
    assert_eq!(mounted, 0, "{}", std::io::Error::last_os_error());
}

// fault 62
#[test]
fn a_full_file_system_is_an_error_and_no_signal() {
    multiprocess::init();
    let _watchdog = watchdog();
    if !inside("--mount") {
        return;
    }
    let fill = |()| {
        own_file_system(256 << 10);
        let all_names = || std::fs::read_dir("/dev/shm").unwrap().count();
        let error = Segment::create("large", 1 << 20).unwrap_err();
        assert_eq!(error.kind(), StorageFull, "{error}");
        assert!(error.to_string().contains("segment \"large\": allocating it"), "{error}");
        assert_eq!(SharedSlice::<u64>::create("large", 1 << 20).unwrap_err().kind(), StorageFull);
        assert_eq!(all_names(), 0);
        let mut small = Vec::new();
        let error = loop {
            match Segment::create(&small.len().to_string(), 16 << 10) {
                Ok(segment) => small.push(segment),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), StorageFull);
        assert!(small.len() > 5 && all_names() == small.len());
        for segment in &small {
            // Every page is there.
            for offset in (0..segment.size()).step_by(4096) {
                segment.write(offset, b"x").unwrap();
            }
        }
        let last = small.len().to_string();
        assert_eq!(Segment::open_or_create(&last, 16 << 10).unwrap_err().kind(), StorageFull);
        small.pop();
        Segment::create(&last, 16 << 10).unwrap();
        drop(small);
        assert_eq!((all_names(), held("/dev/shm")), (0, (0, 0)));
    };
    spawn(fill, ()).unwrap().join().unwrap();
}

// fault 64
#[test]
fn limits_on_file_sizes_and_address_space_are_errors() {
    multiprocess::init();
    let _watchdog = watchdog();
    let starve = |name: String| {
        let old = limit(Resource::Fsize, Some(1 << 20));
        for error in
            [Segment::anonymous(1 << 21).unwrap_err(), Segment::create(&name, 1 << 21).unwrap_err()]
        {
            assert!(error.to_string().contains("RLIMIT_FSIZE"), "{error}");
        }
        drop(Segment::create(&name, 1 << 19).unwrap());
        limit(Resource::Fsize, old);
        let old = limit(Resource::As, Some(address_space() + (32 << 20)));
        for error in
            [Segment::anonymous(1 << 26).unwrap_err(), Segment::create(&name, 1 << 26).unwrap_err()]
        {
            assert!(error.to_string().contains("mapping it"), "{error}");
        }
        drop(Segment::create(&name, 1 << 19).unwrap());
        limit(Resource::As, old);
        let old = limit(Resource::Memlock, Some(64 << 10));
        // The superuser may lock what he likes.
        if let Err(error) = SegmentBuilder::new(1 << 20).lock_memory(true).create(&name) {
            assert!(error.to_string().contains("RLIMIT_MEMLOCK"), "{error}");
        }
        drop(SegmentBuilder::new(1 << 10).lock_memory(true).prefault(true).create(&name).unwrap());
        limit(Resource::Memlock, old);
        for size in [usize::MAX, usize::MAX / 2, 1 << 50, (1 << 46) + 1] {
            assert!(Segment::anonymous(size).is_err());
            assert!(SharedSlice::<u64>::new(size).is_err());
        }
        assert!(Segment::anonymous(0).is_err());
        assert_eq!((held(ANONYMOUS), held(&name)), ((0, 0), (0, 0)));
    };
    let name = Name::new("limited");
    spawn(starve, name.0.clone()).unwrap().join().unwrap();
    assert!(!name.is_there());
}

// fault 65
#[test]
fn where_anonymous_memory_is_forbidden_that_is_an_error() {
    multiprocess::init();
    let _watchdog = watchdog();
    let attempt = |name: String| {
        forbid(libc::SYS_memfd_create, None, libc::EPERM);
        let error = Segment::anonymous(100).unwrap_err();
        assert!(error.to_string().contains("anonymous segment: creating it"), "{error}");
        // Under a name there is another way.
        drop(Segment::create(&name, 100).unwrap());
    };
    let name = Name::new("forbidden");
    spawn(attempt, name.0.clone()).unwrap().join().unwrap();
}

#[test]
fn huge_pages_are_there_or_an_error() {
    let _watchdog = watchdog();
    match SegmentBuilder::new(3 << 20).huge_pages(true).anonymous() {
        Ok(segment) => {
            assert_eq!(segment.size(), 3 << 20);
            segment.write((3 << 20) - 5, b"there").unwrap();
            let back: Segment = {
                let (bytes, handles) = send(&segment);
                drop(segment);
                arrive(&bytes, handles).unwrap()
            };
            let mut end = [0; 5];
            back.read((3 << 20) - 5, &mut end).unwrap();
            assert_eq!(&end, b"there");
        }
        // No process has reserved any.
        Err(error) => assert!(error.to_string().starts_with("anonymous segment: "), "{error}"),
    }
    let name = Name::new("huge");
    assert!(SegmentBuilder::new(1).huge_pages(true).create(&name).is_err());
    assert!(!name.is_there());
}

fn close_all() {
    // SAFETY: the child's own descriptors; who owns one must live with that, which is what is
    // tested.
    assert_eq!(unsafe { libc::close_range(3, !0, 0) }, 0);
}

// fault 59
#[test]
fn a_process_that_closes_everything_stays_attached() {
    multiprocess::init();
    let _watchdog = watchdog();
    let close = |(lock, name, step): (SeqLock<u64>, String, Receiver<()>)| -> () {
        let named = Segment::open(&name).unwrap();
        let mut writer = lock.writer().unwrap();
        close_all();
        writer.write(7);
        // What is there can be taken; to wait for it without a descriptor is an error.
        while step.recv_timeout(Duration::from_millis(5)).is_err() {}
        // What it opens next gets the numbers; none of that is locked, or closed.
        let files: Vec<_> = (0..20).map(|_| File::open("/dev/null").unwrap()).collect();
        let (encoded, _) = ipc_core::__private::handle::collect(|| postcard::to_stdvec(&named));
        assert!(
            ipc_core::__private::handle::cause_text(encoded.unwrap_err())
                .contains("closed the segment's descriptor")
        );
        assert_eq!(named.attached(), None);
        drop((named, writer, lock));
        for file in &files {
            file.metadata().unwrap();
        }
        std::process::exit(5);
    };
    let name = Name::new("closed");
    let segment = Segment::create(&name, 1).unwrap();
    let lock = SeqLock::new(0u64).unwrap();
    let (go, wait) = bounded(1).unwrap();
    let child = spawn(close, (lock.clone(), name.0.clone(), wait)).unwrap();
    testkit::until("it writes", || lock.read() == 7);
    assert!(lock.writer().is_err(), "alive");
    assert_eq!((segment.attached(), lock.segment().attached()), (Some(2), Some(2)));
    // It is the last one, and takes the name along.
    drop(segment);
    assert!(name.is_there());
    go.send(()).unwrap();
    assert!(child.join().is_err(), "its socket was closed too");
    assert!(!name.is_there());
    assert!(lock.writer().is_ok());
}

// fault 89
#[test]
fn a_forked_child_has_no_part_in_what_it_inherited_and_the_parent_keeps_all() {
    multiprocess::init();
    let _watchdog = watchdog();
    let parent = |name: String| {
        let segment = Segment::create(&name, 100).unwrap();
        let lock = SeqLock::new(1u64).unwrap();
        let (writer, view) = (lock.writer().unwrap(), segment.view().unwrap());
        let inherited = Cell::new(Some((segment, lock, writer, view)));
        let status = forked(|| {
            let (segment, lock, writer, view) = inherited.take().unwrap();
            let refused = |result: std::io::Result<()>| {
                let error = result.unwrap_err();
                assert!(error.kind() == Unsupported && error.to_string().contains("fork"));
            };
            let unsent = |encoded: Result<Vec<u8>, postcard::Error>| {
                let text = ipc_core::__private::handle::cause_text(encoded.unwrap_err());
                assert!(text.contains("fork"), "{text}");
            };
            refused(segment.write(0, &[1]));
            refused(segment.view().map(drop));
            refused(view.read(0, &mut [0]));
            refused(Shared::new_in(&segment, 1u8).map(drop));
            refused(Shared::<u8>::at(&segment, 0).map(drop));
            assert_eq!(View::open(&name).unwrap().size(), 100);
            assert_eq!(Segment::open(&name).unwrap().attached(), Some(2));
            refused(lock.writer().map(drop));
            unsent(ipc_core::__private::handle::collect(|| postcard::to_stdvec(&segment)).0);
            unsent(ipc_core::__private::handle::collect(|| postcard::to_stdvec(&view)).0);
            drop((writer, lock, view, segment));
        });
        assert_eq!(status, 0, "see what the fork said");
        let (segment, lock, writer, view) = inherited.take().unwrap();
        let status = forked(|| {
            std::panic::set_hook(Box::new(|_| ()));
            // It touches what it does not have.
            let read = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| lock.read()));
            assert!(read.is_err());
        });
        assert_eq!(status, 0);
        // The parent has noticed nothing.
        assert!(lock.writer().is_err());
        drop(writer);
        assert!(lock.writer().is_ok());
        assert_eq!((segment.attached(), Segment::open(&name).unwrap().size()), (Some(1), 100));
        drop((segment, view));
    };
    let name = Name::new("forked");
    spawn(parent, name.0.clone()).unwrap().join().unwrap();
    assert!(!name.is_there());
}

// fault 67, for segments.
#[test]
fn what_is_opened_and_closed_leaves_nothing() {
    multiprocess::init();
    let _watchdog = watchdog();
    let turn = |name: String| {
        for _ in 0..500 {
            let segment = Segment::open_or_create(&name, 100).unwrap();
            let lock = SeqLock::new(1u8).unwrap();
            let (bytes, handles) = send(&(segment.clone(), lock.clone()));
            drop(segment);
            let _: (Segment, SeqLock<u8>) = arrive(&bytes, handles).unwrap();
        }
        assert_eq!((held(ANONYMOUS), held(&name)), ((0, 0), (0, 0)));
    };
    let name = Name::new("leaks");
    let children: Vec<_> = (0..3).map(|_| spawn(turn, name.0.clone()).unwrap()).collect();
    for child in children {
        child.join().unwrap();
    }
    assert!(!name.is_there());
}
