//! Ends that go from process to process.

use std::time::Duration;

use ipc_core::__private::handle::{self, NotCarried};
use multiprocess::{
    Receiver, RecvTimeoutError, SendError, Sender, TryRecvError, Unsendable, bounded, spawn,
};
use serde::{Deserialize, Deserializer, Serialize};
use testkit::{channel_descriptors, watchdog};

#[test]
fn ends_of_one_channel_share_one_attachment() {
    multiprocess::init();
    let _watchdog = watchdog();
    type Ends = (Sender<u64>, Receiver<u64>, Sender<u64>, Receiver<u64>);
    fn look((tx, rx, tx2, rx2): Ends) -> (bool, bool, usize, (usize, usize)) {
        tx.send(5).unwrap();
        assert_eq!(rx2.recv(), Ok(5));
        let counts = (tx.sender_count().unwrap(), tx.receiver_count().unwrap());
        (tx.same_channel(&tx2), rx.same_channel(&rx2), channel_descriptors(), counts)
    }
    let (tx, rx) = bounded(4).unwrap();
    let child = spawn(look, (tx.clone(), rx.clone(), tx.clone(), rx.clone())).unwrap();
    let (same_tx, same_rx, descriptors, counts) = child.join().unwrap();
    assert!(same_tx && same_rx);
    assert_eq!(descriptors, 1, "a channel keeps at most one descriptor per process");
    assert_eq!(counts, (3, 3), "one of each here, two there");
    assert_eq!((tx.sender_count(), rx.receiver_count()), (Some(1), Some(1)));
}

#[test]
fn an_end_goes_on_to_a_grandchild() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn child((tx, depth): (Sender<u32>, u32)) {
        tx.send(depth).unwrap();
        if depth > 0 {
            spawn(child, (tx, depth - 1)).unwrap().join().unwrap();
        }
    }
    let (tx, rx) = bounded(10).unwrap();
    spawn(child, (tx, 2)).unwrap().join().unwrap();
    assert!(rx.into_iter().eq([2, 1, 0]));
}

#[test]
fn an_end_comes_back_as_a_result() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn make(n: u64) -> (Sender<u64>, Receiver<u64>) {
        let (tx, rx) = bounded(2).unwrap();
        tx.send(n).unwrap();
        (tx, rx)
    }
    let (tx, rx) = spawn(make, 9).unwrap().join().unwrap();
    assert_eq!(rx.recv(), Ok(9));
    tx.send(10).unwrap();
    assert_eq!(rx.recv(), Ok(10));
    drop(tx);
    assert!(rx.recv().unwrap_err().is_disconnected());
}

#[test]
fn many_ends_go_at_once() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn answer((all, same): (Vec<Sender<usize>>, Vec<Sender<usize>>)) -> usize {
        for (i, tx) in all.iter().chain(&same).enumerate() {
            tx.send(i).unwrap();
        }
        channel_descriptors()
    }
    // A hundred channels, and a hundred ends of one.
    let (all, receivers): (Vec<_>, Vec<_>) = (0..100).map(|_| bounded(1).unwrap()).unzip();
    let (tx, rx) = bounded(100).unwrap();
    let child = spawn(answer, (all, vec![tx; 100])).unwrap();
    for (i, receiver) in receivers.iter().enumerate() {
        assert_eq!(receiver.recv(), Ok(i));
    }
    assert!(rx.into_iter().eq(100..200));
    assert_eq!(child.join().unwrap(), 101);
}

#[test]
fn an_end_in_transit_counts_as_alive() {
    let _watchdog = watchdog();
    let (tx, rx) = bounded::<u64>(1).unwrap();
    let (bytes, handles) = handle::collect(|| postcard::to_stdvec(&tx).unwrap());
    drop(tx);
    // Long enough for several checks for dead peers.
    assert_eq!(rx.recv_timeout(Duration::from_millis(60)), Err(RecvTimeoutError::Timeout));
    assert!(!rx.is_disconnected());
    assert_eq!(rx.sender_count(), Some(1));
    let tx: Sender<u64> = handle::provide(handles, || postcard::from_bytes(&bytes).unwrap());
    tx.send(1).unwrap();
    assert_eq!(rx.recv(), Ok(1));
    // One that never arrives dies with its descriptor.
    let (_, handles) = handle::collect(|| postcard::to_stdvec(&tx).unwrap());
    drop(tx);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    drop(handles);
    assert!(rx.recv().unwrap_err().is_disconnected());
}

#[test]
fn a_parent_may_drop_its_own_end_as_soon_as_spawn_returns() {
    multiprocess::init();
    let _watchdog = watchdog();
    for _ in 0..5 {
        let (tx, rx) = bounded(1).unwrap();
        let child = spawn(|tx: Sender<u64>| tx.send(3).unwrap(), tx).unwrap();
        // `tx` went into the arguments: nothing of it is left here.
        assert_eq!(rx.recv(), Ok(3));
        assert!(rx.recv().unwrap_err().is_disconnected());
        child.join().unwrap();
    }
}

#[test]
fn an_end_of_another_channel_is_not_the_same() {
    let _watchdog = watchdog();
    let (tx, _rx) = bounded::<u8>(1).unwrap();
    let (shm, _rx2) = bounded::<u8>(1).unwrap();
    let (thread, _rx3) = multiprocess::thread::bounded::<u8>(1).unwrap();
    assert!(!tx.same_channel(&shm) && !tx.same_channel(&thread) && !thread.same_channel(&tx));
}

#[test]
fn a_channel_of_bytes_refuses_ends_and_loses_nothing() {
    let _watchdog = watchdog();
    let (tx, rx) = bounded::<Sender<u64>>(2).unwrap();
    let (inner, received) = bounded::<u64>(1).unwrap();
    let mut message = inner;
    for _ in 0..200 {
        let error = tx.send(message).unwrap_err();
        assert!(matches!(
            error,
            SendError::Unsendable(_, Unsendable::Handles(NotCarried::BytesOnly))
        ));
        assert!(error.to_string().contains("spawned"), "{error}");
        message = error.into_inner();
    }
    assert!(rx.is_empty());
    assert_eq!(received.sender_count(), Some(1));
    message.send(8).unwrap();
    assert_eq!(received.recv(), Ok(8));
    // In a batch too.
    let error = tx.send_many([message]).unwrap_err();
    assert!(matches!(error.unsendable, Some(Unsendable::Handles(_))));
    drop(error);
    assert!(received.recv().unwrap_err().is_disconnected());
}

#[test]
fn an_end_of_a_thread_channel_stays() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (tx, rx) = multiprocess::thread::bounded::<u64>(1).unwrap();
    let error = spawn(|tx: Sender<u64>| tx.send(1).unwrap(), tx.clone()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    assert!(
        error.to_string().contains("a channel between threads cannot leave its process"),
        "{error}"
    );
    let error = spawn(|rx: Receiver<u64>| drop(rx), rx).unwrap_err();
    assert!(error.to_string().contains("cannot leave its process"), "{error}");
    drop(error);
    assert!(tx.send(1).unwrap_err().is_disconnected());
}

/// Goes as a sender of numbers, arrives as one of texts.
enum Disguised {
    Numbers(Sender<u64>),
    Texts(#[allow(dead_code, reason = "no test gets so far")] Sender<String>),
}

impl Serialize for Disguised {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Disguised::Numbers(tx) => tx.serialize(serializer),
            Disguised::Texts(tx) => tx.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Disguised {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Sender::deserialize(deserializer).map(Disguised::Texts)
    }
}

// fault 40
#[test]
fn an_end_of_another_type_is_refused() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (tx, rx) = bounded::<u64>(1).unwrap();
    let error = spawn(|_: Disguised| (), Disguised::Numbers(tx.clone())).unwrap_err();
    for part in ["this end is for messages `string`", "the other side is for `u64`"] {
        assert!(error.to_string().contains(part), "{error}");
    }
    // Here, where the channel is attached already.
    let (bytes, handles) = handle::collect(|| postcard::to_stdvec(&tx).unwrap());
    let refused = handle::provide(handles, || postcard::from_bytes::<Sender<String>>(&bytes));
    assert!(refused.is_err());
    // And one role for the other.
    let (bytes, handles) = handle::collect(|| postcard::to_stdvec(&rx).unwrap());
    drop(handle::provide(handles, || postcard::from_bytes::<Sender<u64>>(&bytes)));
    // The refused are gone, the others work.
    tx.send(4).unwrap();
    assert_eq!(rx.recv(), Ok(4));
    drop(tx);
    assert!(rx.recv().unwrap_err().is_disconnected());
}
