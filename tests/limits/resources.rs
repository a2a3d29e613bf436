//! When there is no descriptor, no memory or no room for a file left.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use ipc_core::handle;
use multiprocess::{Receiver, Sender, bounded, spawn};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::harness::{channel_descriptors, channel_mappings, watchdog};

/// Sets the soft limit, and gives back the old one.
fn limit(resource: Resource, to: Option<u64>) -> Option<u64> {
    let old = getrlimit(resource);
    setrlimit(resource, Rlimit { current: to, maximum: old.maximum }).unwrap();
    old.current
}

fn works(tx: &Sender<Vec<u8>>, rx: &Receiver<Vec<u8>>) {
    for len in [1, 5000] {
        tx.send(vec![2; len]).unwrap();
        assert_eq!(rx.recv(), Ok(vec![2; len]));
    }
    assert!(rx.recv_timeout(Duration::from_millis(3)).unwrap_err().is_timeout());
}

// fault 61
#[test]
fn without_descriptors_nothing_is_made_and_nothing_lost() {
    multiprocess::init();
    let _watchdog = watchdog();
    let starve = |()| {
        let (tx, rx) = bounded(2).unwrap();
        works(&tx, &rx);
        let before = (channel_descriptors(), channel_mappings());
        // So many more descriptors can be opened: at each step of making and of sending an end it is one too few.
        for spare in 0..4 {
            let old = limit(Resource::Nofile, Some(64));
            let mut filler = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                filler.push(file);
            }
            filler.truncate(filler.len() - spare);
            let made = bounded::<u64>(1);
            let (encoded, handles) = handle::collect(|| postcard::to_stdvec(&tx));
            let issued = encoded.map(|_| ()).map_err(handle::explain);
            drop(handles);
            let clones = (tx.clone(), rx.clone());
            works(&tx, &rx);
            drop(clones);
            drop(filler);
            limit(Resource::Nofile, old);
            if let Err(error) = &made {
                assert!(error.to_string().starts_with("shared-memory channel: "), "{error}");
                assert!(error.to_string().contains("open files"), "{error}");
            }
            assert_eq!(made.is_ok(), spare >= 2, "a segment, and a lease on it");
            assert_eq!(issued.is_ok(), spare >= if made.is_ok() { 2 } else { 1 }, "{issued:?}");
            drop(made);
            assert_eq!((channel_descriptors(), channel_mappings()), before);
            works(&tx, &rx);
        }
    };
    spawn(starve, ()).unwrap().join().unwrap();
}

// fault 61: where an end arrives.
#[test]
fn an_end_that_finds_no_descriptor_is_refused() {
    multiprocess::init();
    let _watchdog = watchdog();
    let starve = |()| {
        let (tx, rx) = bounded::<Vec<u8>>(2).unwrap();
        let (bytes, handles) = handle::collect(|| postcard::to_stdvec(&rx).unwrap());
        drop((tx, rx));
        let old = limit(Resource::Nofile, Some(64));
        let mut filler = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            filler.push(file);
        }
        let arrived = handle::provide(handles, || postcard::from_bytes::<Receiver<Vec<u8>>>(&bytes));
        let arrived = arrived.map(drop).map_err(handle::explain);
        drop(filler);
        limit(Resource::Nofile, old);
        assert!(arrived.unwrap_err().contains("open"));
        assert_eq!((channel_descriptors(), channel_mappings()), (0, 0));
    };
    spawn(starve, ()).unwrap().join().unwrap();
}

// fault 64: a limit on the size of files is an error, and no signal.
#[test]
fn a_limit_on_file_sizes_is_an_error() {
    multiprocess::init();
    let _watchdog = watchdog();
    let starve = |()| {
        let (tx, rx) = bounded(2).unwrap();
        let old = limit(Resource::Fsize, Some(1 << 20));
        let error = bounded::<u64>(1).unwrap_err();
        assert!(error.to_string().contains("RLIMIT_FSIZE"), "{error}");
        assert_eq!((channel_descriptors(), channel_mappings()), (1, 1));
        // What is there goes on, larger messages than the limit included.
        works(&tx, &rx);
        tx.send(vec![3; 3 << 20]).unwrap();
        assert_eq!(rx.recv().unwrap().len(), 3 << 20);
        // A small one can be made.
        let small = ipc_shm::Builder::new(2).max_message(4096).typed::<u64>().unwrap();
        small.0.send(1).unwrap();
        assert_eq!(small.1.recv(), Ok(1));
        limit(Resource::Fsize, old);
        drop(bounded::<u64>(1).unwrap());
    };
    spawn(starve, ()).unwrap().join().unwrap();
}

// fault 64
#[test]
fn a_limit_on_address_space_is_an_error() {
    multiprocess::init();
    let _watchdog = watchdog();
    let starve = |()| {
        let (tx, rx) = bounded(2).unwrap();
        let maps = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages: u64 = maps.split(' ').next().unwrap().parse().unwrap();
        let old = limit(Resource::As, Some(pages * 4096 + (64 << 20)));
        let error = bounded::<u64>(1).unwrap_err();
        assert!(error.to_string().contains("mapping its segment"), "{error}");
        assert_eq!((channel_descriptors(), channel_mappings()), (1, 1));
        works(&tx, &rx);
        let small = ipc_shm::Builder::new(2).max_message(4096).typed::<u64>().unwrap();
        small.0.send(1).unwrap();
        assert_eq!(small.1.recv(), Ok(1));
        limit(Resource::As, old);
    };
    spawn(starve, ()).unwrap().join().unwrap();
}

/// Closes every descriptor but the first three, as daemons do.
fn close_all() {
    // SAFETY: the child's own descriptors; who owns one must live with that, which is what is tested.
    assert_eq!(unsafe { libc::close_range(3, !0, 0) }, 0);
}

// fault 59
#[test]
fn a_process_that_closes_everything_stays_alive_to_its_peers() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn close_and_send((tx, rx): (Sender<u64>, Receiver<u64>)) {
        close_all();
        tx.send(1).unwrap();
        // What is there can be taken. Nobody waits any more for what may never come: that is an error.
        let got = loop {
            match rx.recv_timeout(Duration::from_millis(5)) {
                Ok(got) => break got,
                Err(error) => assert!(!error.is_disconnected()),
            }
        };
        assert_eq!(got, 2);
        tx.send(3).unwrap();
        let error = rx.recv().unwrap_err();
        assert!(error.to_string().contains("closed the channel's descriptor"), "{error}");
        // The socket to the parent is gone too: nothing is left to be returned.
        std::process::exit(5);
    }
    let (tx, there) = bounded(1).unwrap();
    let (back, rx) = bounded(1).unwrap();
    let child = spawn(close_and_send, (back, there)).unwrap();
    assert_eq!(rx.recv(), Ok(1));
    // Several looks at who is dead.
    assert!(rx.recv_timeout(Duration::from_millis(60)).unwrap_err().is_timeout());
    tx.send(2).unwrap();
    assert_eq!(rx.recv(), Ok(3));
    assert!(rx.recv().unwrap_err().is_disconnected());
    assert!(child.join().is_err());
}

// fault 59: and what it opens next gets the numbers of what was closed.
#[test]
fn a_closed_descriptor_is_not_mistaken_for_another_file() {
    multiprocess::init();
    let _watchdog = watchdog();
    type Ends = (Sender<Vec<u8>>, Receiver<Vec<u8>>, Sender<u64>);
    fn close_and_use((tx, rx, done): Ends) {
        const CONTENT: [u8; 4096] = [7; 4096];
        let directory = std::env::temp_dir();
        close_all();
        let files: Vec<_> = (0..40)
            .map(|n| {
                let path = directory.join(format!("multiprocess-limits-{}-{n}", std::process::id()));
                let file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
                std::fs::remove_file(path).unwrap();
                file.write_all_at(&CONTENT, 0).unwrap();
                file
            })
            .collect();
        // What needs the descriptor fails or waits; nobody is taken for dead, no file is written into.
        let late = rx.recv_timeout(Duration::from_millis(100)).unwrap_err();
        assert!(!late.is_disconnected(), "the parent lives");
        let _ = tx.try_send(vec![1; 100_000]);
        let _ = tx.try_send(vec![1; 3 << 20]);
        let _ = handle::collect(|| postcard::to_stdvec(&tx).is_ok());
        drop((tx, rx));
        for file in &files {
            let mut content = vec![0; 5000];
            assert_eq!(file.read_at(&mut content, 0).unwrap(), 4096, "and none was closed");
            assert_eq!(content[..4096], CONTENT);
            let meta = file.metadata().unwrap();
            assert!(std::os::unix::fs::MetadataExt::blocks(&meta) <= 16, "no room was made in it");
        }
        done.send(1).unwrap();
        std::process::exit(0);
    }
    let (tx, rx) = bounded(2).unwrap();
    let (done, is_done) = bounded(1).unwrap();
    let child = spawn(close_and_use, (tx.clone(), rx.clone(), done)).unwrap();
    assert_eq!(is_done.recv(), Ok(1), "the child failed");
    drop(child);
    while rx.try_recv().is_ok() {}
    works(&tx, &rx);
}
