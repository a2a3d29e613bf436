//! When a side is gone.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ipc_core::{
    DisconnectCause, RecvError, RecvTimeoutError, SendError, TryRecvError, TrySendError,
};

use crate::conformance::routes::{Message, Route, msg};

/// Long enough to fall asleep in. No test's outcome depends on whether that happened.
const NAP: Duration = Duration::from_millis(30);

// fault 84
pub(crate) fn receivers_drain_first<R: Route>() {
    let (tx, rx) = R::bounded(5);
    for n in 0..5 {
        tx.send(msg::<R>(n)).unwrap();
    }
    drop(tx);
    assert!(rx.is_disconnected());
    assert_eq!(rx.recv().unwrap().number(), 0);
    assert_eq!(rx.try_recv().unwrap().number(), 1);
    assert_eq!(rx.recv_timeout(Duration::from_secs(5)).unwrap().number(), 2);
    let mut rest = Vec::new();
    assert_eq!(rx.recv_many(&mut rest, 10), Ok(2));
    assert_eq!(rest, [msg::<R>(3), msg::<R>(4)]);
    for _ in 0..2 {
        assert_eq!(rx.recv(), Err(RecvError::Disconnected));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
        assert_eq!(rx.recv_timeout(Duration::MAX), Err(RecvTimeoutError::Disconnected));
        assert_eq!(rx.recv_many(&mut rest, 10), Err(RecvError::Disconnected));
        assert_eq!(rx.try_recv_many(&mut rest, 10), Err(TryRecvError::Disconnected));
    }
}

// fault 83
pub(crate) fn senders_get_their_message_back<R: Route>() {
    for queued in 0..3 {
        let (tx, rx) = R::bounded(2);
        for n in 0..queued {
            tx.send(msg::<R>(n)).unwrap();
        }
        drop(rx);
        assert!(tx.is_disconnected());
        assert_eq!(tx.send(msg::<R>(7)), Err(SendError::Disconnected(msg::<R>(7))));
        assert_eq!(tx.try_send(msg::<R>(8)), Err(TrySendError::Disconnected(msg::<R>(8))));
        let gone = tx.send_timeout(msg::<R>(9), Duration::MAX).unwrap_err();
        assert!(gone.is_disconnected());
        assert_eq!(gone.into_inner().number(), 9);
    }
}

// fault 83
pub(crate) fn a_blocked_sender_gets_its_message_back<R: Route>() {
    let (tx, rx) = R::bounded(1);
    tx.send(msg::<R>(1)).unwrap();
    let (ready, is_ready) = mpsc::channel();
    let waiting = thread::spawn(move || {
        ready.send(()).unwrap();
        tx.send(msg::<R>(2))
    });
    is_ready.recv().unwrap();
    thread::sleep(NAP);
    assert!(!waiting.is_finished());
    drop(rx);
    assert_eq!(waiting.join().unwrap(), Err(SendError::Disconnected(msg::<R>(2))));
}

pub(crate) fn blocked_receivers_wake<R: Route>() {
    let (tx, rx) = R::bounded(1);
    let waiting: Vec<_> = (0..4)
        .map(|i| {
            let rx = rx.clone();
            thread::spawn(move || match i % 2 {
                0 => rx.recv().unwrap_err().is_disconnected(),
                _ => rx.recv_timeout(Duration::from_secs(25)).unwrap_err().is_disconnected(),
            })
        })
        .collect();
    thread::sleep(NAP);
    drop(tx);
    for waiting in waiting {
        assert!(waiting.join().unwrap());
    }
}

pub(crate) fn every_blocked_sender_wakes<R: Route>() {
    let (tx, rx) = R::bounded(1);
    tx.send(msg::<R>(0)).unwrap();
    let waiting: Vec<_> = (1..5)
        .map(|n| {
            let tx = tx.clone();
            thread::spawn(move || tx.send(msg::<R>(n)).unwrap_err().into_inner().number() == n)
        })
        .collect();
    thread::sleep(NAP);
    drop(rx);
    for waiting in waiting {
        assert!(waiting.join().unwrap());
    }
}

pub(crate) fn the_last_of_several_counts<R: Route>() {
    let (tx, rx) = R::bounded(4);
    let (tx2, rx2) = (tx.clone(), rx.clone());
    drop(tx);
    drop(rx);
    assert!(!tx2.is_disconnected() && !rx2.is_disconnected());
    assert_eq!((tx2.disconnect_cause(), rx2.disconnect_cause()), (None, None));
    tx2.send(msg::<R>(1)).unwrap();
    let (tx3, rx3) = (tx2.clone(), rx2.clone());
    drop(tx2);
    drop(rx2);
    assert_eq!(rx3.recv().unwrap().number(), 1);
    tx3.send(msg::<R>(2)).unwrap();
    drop(tx3);
    assert_eq!(rx3.recv().unwrap().number(), 2);
    assert_eq!(rx3.recv(), Err(RecvError::Disconnected));
}

// fault 88: in each order, from one thread or two.
pub(crate) fn neither_side_left_is_no_harm<R: Route>() {
    for order in 0..4 {
        let (tx, rx) = R::bounded(2);
        tx.send(msg::<R>(1)).unwrap();
        match order {
            0 => {
                drop(tx);
                drop(rx);
            }
            1 => {
                drop(rx);
                drop(tx);
            }
            2 => {
                let dropped = thread::spawn(move || drop(tx));
                drop(rx);
                dropped.join().unwrap();
            }
            _ => {
                let (tx2, rx2) = (tx.clone(), rx.clone());
                let dropped = thread::spawn(move || {
                    drop(tx2);
                    drop(rx);
                });
                drop(rx2);
                drop(tx);
                dropped.join().unwrap();
            }
        }
    }
}

pub(crate) fn the_error_says_which_side_and_why<R: Route>() {
    let (tx, rx) = R::bounded(1);
    assert!(!tx.is_disconnected() && tx.disconnect_cause().is_none());
    drop(rx);
    assert_eq!(tx.disconnect_cause(), Some(DisconnectCause::Dropped));
    let (tx, rx) = R::bounded(1);
    tx.send(msg::<R>(1)).unwrap();
    drop(tx);
    assert!(rx.is_disconnected(), "also while there are messages left");
    assert_eq!(rx.disconnect_cause(), Some(DisconnectCause::Dropped));
    assert_eq!(rx.recv().unwrap().number(), 1);
}
