//! When there is no descriptor, no memory or no room for a file left.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::time::Duration;

use ipc_core::__private::handle;
use multiprocess::{
    Receiver, RecvTimeoutError, SendError, Sender, SizeLimit, TryRecvError, Unreadable, Unsendable,
    bounded, spawn,
};
use rustix::process::{Resource, getrlimit};
use testkit::proc::{CHANNELS, address_space, mappings};
use testkit::{channel_descriptors, channel_mappings, limit, watchdog, watchdog_of};

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
        // So many more descriptors can be opened: at each step of making and of sending an end it
        // is one too few.
        for spare in 0..4 {
            let old = limit(Resource::Nofile, Some(64));
            let mut filler = Vec::new();
            while let Ok(file) = File::open("/dev/null") {
                filler.push(file);
            }
            filler.truncate(filler.len() - spare);
            let made = bounded::<u64>(1);
            let (encoded, handles) = handle::collect(|| postcard::to_stdvec(&tx));
            let issued = encoded.map(|_| ()).map_err(handle::cause_text);
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
        let arrived =
            handle::provide(handles, || postcard::from_bytes::<Receiver<Vec<u8>>>(&bytes));
        let arrived = arrived.map(drop).map_err(handle::cause_text);
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
        // One whose ring alone is longer.
        let error = bounded::<u64>(10_000).unwrap_err();
        assert!(
            error.to_string().contains("RLIMIT_FSIZE") && error.to_string().contains("`capacity`"),
            "{error}"
        );
        assert_eq!((channel_descriptors(), channel_mappings()), (1, 1));
        // What is there goes on, with messages for which the file may be long enough.
        works(&tx, &rx);
        let Err(SendError::Unsendable(large, cause)) = tx.send(vec![3; 3 << 20]) else {
            panic!("too long a file")
        };
        assert!(
            matches!(cause, Unsendable::TooLarge { set_by: SizeLimit::FileSize, .. }),
            "{cause}"
        );
        assert!(cause.to_string().contains("RLIMIT_FSIZE"), "{cause}");
        works(&tx, &rx);
        // Others are made.
        let (small, received) = bounded(1).unwrap();
        works(&small, &received);
        limit(Resource::Fsize, old);
        tx.send(large).unwrap();
        assert_eq!(rx.recv().unwrap().len(), 3 << 20);
        // And with the limit again: the file is long enough by now.
        limit(Resource::Fsize, Some(1 << 20));
        tx.send(vec![4; 3 << 20]).unwrap();
        assert_eq!(rx.recv().unwrap().len(), 3 << 20);
        limit(Resource::Fsize, old);
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
        let old = limit(Resource::As, Some(address_space() + (64 << 20)));
        // One whose ring alone takes more.
        let error = bounded::<u64>(1_000_000).unwrap_err();
        for text in ["mapping its segment", "RLIMIT_AS", "`capacity`"] {
            assert!(error.to_string().contains(text), "{error}");
        }
        assert_eq!((channel_descriptors(), channel_mappings()), (1, 1));
        works(&tx, &rx);
        let small = bounded(2).unwrap();
        works(&small.0, &small.1);
        limit(Resource::As, old);
    };
    spawn(starve, ()).unwrap().join().unwrap();
}

/// What the channels of this process take of that.
fn address_space_of_channels() -> u64 {
    let ours = mappings().into_iter().filter(|mapping| mapping.path.contains(CHANNELS));
    ours.map(|mapping| mapping.len as u64).sum()
}

// fault 110: of ten channels that could carry 16 GiB each.
#[test]
fn channels_take_address_space_for_what_they_carry() {
    multiprocess::init();
    let _watchdog = watchdog();
    let starve = |()| {
        let old = limit(Resource::As, Some(1 << 30));
        let channels: Vec<_> = (0..10).map(|_| bounded(1024).unwrap()).collect();
        for (tx, rx) in &channels {
            works(tx, rx);
        }
        let idle = address_space_of_channels();
        assert!(idle < 16 << 20, "{idle}");
        // A message of the largest size that they take: 15 MiB and more.
        let Err(SendError::Unsendable(_, Unsendable::TooLarge { limit: largest, .. })) =
            channels[0].0.send(vec![0; 20 << 20])
        else {
            panic!("1024 messages share 16 GiB")
        };
        // A length of four bytes comes before them, and the form of the encoding behind.
        let most = largest - 5;
        for (tx, rx) in &channels[..3] {
            tx.send(vec![5; most]).unwrap();
            assert_eq!(rx.recv().unwrap().len(), most);
        }
        let used = address_space_of_channels();
        assert!(used < idle + 3 * 2 * largest as u64, "{used}");
        limit(Resource::As, old);
    };
    spawn(starve, ()).unwrap().join().unwrap();
}

// fault 110: a message that finds no address space is not lost, neither at the sender nor at the
// receiver.
#[test]
fn a_message_for_which_there_is_no_address_space_stays_in_the_channel() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn starve((tx, rx): (Sender<Vec<u8>>, Receiver<Vec<u8>>)) {
        let old = limit(Resource::As, Some(address_space() + (8 << 20)));
        // What this process cannot map: its own, and the parent's.
        let Err(SendError::Unsendable(_, cause)) = tx.send(vec![2; 1 << 20]) else {
            panic!("it cannot be mapped")
        };
        assert!(matches!(cause, Unsendable::OutOfMemory), "{cause}");
        assert!(cause.to_string().contains("RLIMIT_AS"), "{cause}");
        for _ in 0..3 {
            let error = rx.recv_timeout(Duration::from_secs(10)).unwrap_err();
            assert!(
                matches!(error, RecvTimeoutError::Unreadable(Unreadable::OutOfMemory)),
                "{error}"
            );
            assert!(error.to_string().contains("RLIMIT_AS"), "{error}");
            assert!(matches!(
                rx.try_recv_ref(),
                Err(TryRecvError::Unreadable(Unreadable::OutOfMemory))
            ));
        }
        limit(Resource::As, old);
        assert_eq!(rx.recv().unwrap(), vec![1; 30 << 20]);
        works(&tx, &rx);
    }
    let (tx, rx) = bounded(2).unwrap();
    tx.send(vec![1; 30 << 20]).unwrap();
    spawn(starve, (tx.clone(), rx.clone())).unwrap().join().unwrap();
    works(&tx, &rx);
}

// fault 110
#[test]
fn there_can_be_as_many_channels_as_open_files() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(55));
    let make = |()| {
        let hard = getrlimit(Resource::Nofile).maximum;
        // As many as would have taken all address space at 16 GiB each, and some.
        let most = 8191.min(hard.unwrap_or(u64::MAX) as usize - 64);
        limit(Resource::Nofile, Some(most as u64 + 60));
        let channels: Vec<_> = (0..most).map(|_| bounded(1).unwrap()).collect();
        for (tx, rx) in channels.iter().step_by(500) {
            works(tx, rx);
        }
        let mut more = Vec::new();
        let error = loop {
            match bounded::<u64>(1) {
                Ok(channel) => more.push(channel),
                Err(error) => break error,
            }
        };
        for text in ["open files", "RLIMIT_NOFILE", "ulimit -n"] {
            assert!(error.to_string().contains(text), "{error}");
        }
        drop((channels, more));
        (most, channel_descriptors(), channel_mappings())
    };
    let (most, descriptors, mappings) = spawn(make, ()).unwrap().join().unwrap();
    println!("{most} channels");
    assert_eq!((descriptors, mappings), (0, 0));
}

/// Closes every descriptor but the first three, as daemons do.
fn close_all() {
    // SAFETY: the child's own descriptors; who owns one must live with that, which is what is
    // tested.
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
        // What is there can be taken. No call waits any more for what may never come: that is an
        // error.
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
                let path =
                    directory.join(format!("multiprocess-limits-{}-{n}", std::process::id()));
                let file =
                    File::options().read(true).write(true).create_new(true).open(&path).unwrap();
                std::fs::remove_file(path).unwrap();
                file.write_all_at(&CONTENT, 0).unwrap();
                file
            })
            .collect();
        // What needs the descriptor fails or waits; no process is taken for dead, no file is
        // written into.
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
