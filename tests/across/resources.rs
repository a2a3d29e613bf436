//! What channels take from a process and give back. Counted in a child of its own: other tests do
//! not disturb.

use ipc_core::NotCarried;
use multiprocess::shm::{Segment, SegmentBuilder};
use multiprocess::{Receiver, SendError, Sender, Unsendable, bounded, spawn};
use testkit::{channel_descriptors, channel_mappings, descriptors, watchdog};

#[test]
fn participants_are_used_again() {
    multiprocess::init();
    let _watchdog = watchdog();
    // More children, one after the other, than a channel has participants.
    let (tx, rx) = bounded::<u64>(4).unwrap();
    for n in 0..200 {
        let child =
            spawn(|(tx, n): (Sender<u64>, u64)| tx.send(n).unwrap(), (tx.clone(), n)).unwrap();
        assert_eq!(rx.recv(), Ok(n));
        child.join().unwrap();
    }
    assert_eq!(rx.sender_count(), Some(1));
}

#[test]
fn dropped_channels_leave_nothing() {
    multiprocess::init();
    let _watchdog = watchdog();
    let count = |()| {
        let before = (channel_descriptors(), channel_mappings(), descriptors());
        for n in 0..1000u64 {
            let (tx, rx) = bounded(2).unwrap();
            assert_eq!((channel_descriptors(), channel_mappings()), (1, 1));
            tx.send(vec![n; (n % 2) as usize * 1000]).unwrap();
            let more = (tx.clone(), rx.clone());
            if n % 3 == 0 {
                drop(tx);
                assert!(rx.recv().is_ok());
            }
            drop(more);
        }
        (before, (channel_descriptors(), channel_mappings(), descriptors()))
    };
    let (before, after) = spawn(count, ()).unwrap().join().unwrap();
    assert_eq!(before, after);
    assert_eq!((before.0, before.1), (0, 0));
}

// fault 67
#[test]
fn two_thousand_channels_at_once() {
    multiprocess::init();
    let _watchdog = watchdog();
    let make = |()| {
        let mut channels: Vec<(Sender<u64>, Receiver<u64>)> = Vec::new();
        while channels.len() < 2000 {
            match bounded(1) {
                Ok(channel) => channels.push(channel),
                // The limit on open files may be lower: then it says so.
                Err(error) => {
                    assert_eq!(error.raw_os_error().or(Some(24)), Some(24), "{error}");
                    break;
                }
            }
        }
        let made = channels.len();
        assert_eq!((channel_descriptors(), channel_mappings()), (made, made));
        (0u64..).zip(&channels).for_each(|(n, (tx, _))| tx.send(n).unwrap());
        (0u64..).zip(&channels).for_each(|(n, (_, rx))| assert_eq!(rx.recv(), Ok(n)));
        drop(channels);
        (made, channel_descriptors(), channel_mappings())
    };
    let (made, descriptors, mappings) = spawn(make, ()).unwrap().join().unwrap();
    assert!(made > 200, "{made}");
    assert_eq!((descriptors, mappings), (0, 0));
}

#[test]
fn a_failed_spawn_leaves_nothing() {
    multiprocess::init();
    let _watchdog = watchdog();
    let attempt = |()| {
        let (tx, rx) = bounded::<u64>(2).unwrap();
        let (stays, _rx) = multiprocess::thread::bounded::<u64>(1).unwrap();
        // More often than there are participants: those of the failed ones must be had again.
        for _ in 0..200 {
            let args = (tx.clone(), rx.clone(), stays.clone());
            assert!(spawn(|_: (Sender<u64>, Receiver<u64>, Sender<u64>)| (), args).is_err());
        }
        let counts = (channel_descriptors(), channel_mappings());
        tx.send(1).unwrap();
        assert_eq!(rx.recv(), Ok(1));
        drop(tx);
        assert!(rx.recv().unwrap_err().is_disconnected());
        counts
    };
    assert_eq!(spawn(attempt, ()).unwrap().join().unwrap(), (1, 1));
}

// faults 66, 124: all participants alive.
#[test]
fn too_many_participants_are_an_error() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (tx, rx) = ipc_shm::Builder::new(2).participants(2).typed::<u64>().unwrap();
    let (tx, rx) = multiprocess::shm::erase((tx, rx));
    let error = spawn(|_: (Sender<u64>, Sender<u64>)| (), (tx.clone(), tx.clone())).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::QuotaExceeded);
    for text in ["all 2 participants are taken", "more `participants`"] {
        assert!(error.to_string().contains(text), "{error}");
    }
    assert!(!error.to_string().contains("do not encode"), "{error}");
    // And the one that was issued before is free again.
    spawn(|tx: Sender<u64>| tx.send(6).unwrap(), tx.clone()).unwrap().join().unwrap();
    assert_eq!(rx.recv(), Ok(6));
}

// fault 124: on a route whose messages carry ends.
#[test]
fn an_end_for_which_no_participant_is_free_cannot_be_sent() {
    multiprocess::init();
    let _watchdog = watchdog();
    let builder = ipc_shm::Builder::new(2).participants(2);
    let (tx, rx) = multiprocess::shm::erase(builder.typed::<u64>().unwrap());
    let (carrier, arrivals) = multiprocess::pipe::channel::<(Sender<u64>, Sender<u64>)>().unwrap();
    let full = Unsendable::Handles(NotCarried::Participants { most: 2 });
    let SendError::Unsendable(ends, cause) = carrier.send((tx.clone(), tx.clone())).unwrap_err()
    else {
        panic!("not for want of a participant")
    };
    assert_eq!(cause, full);
    let text = cause.to_string();
    assert!(text.contains("all 2 participants") && text.contains("`participants`"), "{text}");
    drop(ends);
    let (lock, carrier_of_locks) =
        (Segment::anonymous(1).unwrap(), multiprocess::pipe::channel().unwrap());
    let small = SegmentBuilder::new(1).participants(1).anonymous().unwrap();
    let error = carrier_of_locks.0.send((lock, small)).unwrap_err();
    assert!(error.to_string().contains("all 1 participants"), "{error}");
    // Nothing was sent, and the one that was free is free again.
    assert!(arrivals.try_recv().unwrap_err().is_empty());
    spawn(|tx: Sender<u64>| tx.send(6).unwrap(), tx).unwrap().join().unwrap();
    assert_eq!(rx.recv(), Ok(6));
}
