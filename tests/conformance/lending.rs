//! Messages that are lent: received when the guard is dropped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use ipc_core::{RecvTimeoutError, TryRecvError};

use crate::conformance::routes::{Message, Route, msg};

pub(crate) fn a_lent_message_is_delivered_once<R: Route>() {
    let (tx, rx) = R::bounded(4);
    for n in 0..100 {
        tx.send(msg::<R>(n)).unwrap();
        assert_eq!(R::lend(&rx, |number, deliveries| (number, deliveries)), Ok((n, 1)));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    }
    assert_eq!(R::lend(&rx, |_, _| ()), Err(TryRecvError::Empty));
    drop(tx);
    assert_eq!(R::lend(&rx, |_, _| ()), Err(TryRecvError::Disconnected));
    assert!(rx.recv_ref().is_err_and(|error| error.is_disconnected()));
}

pub(crate) fn dropping_the_guard_acknowledges<R: Route>() {
    let (tx, rx) = R::bounded(2);
    // More often than there are slots and blocks: each must come back.
    for n in 0..200 {
        tx.try_send(msg::<R>(n)).unwrap();
        tx.try_send(msg::<R>(n + 1)).unwrap();
        let both =
            R::lend(&rx, |first, _| R::lend(&rx, |second, _| (first, second)).unwrap()).unwrap();
        assert_eq!(both, (n, n + 1));
    }
}

// fault 37
pub(crate) fn a_panic_with_a_guard_releases_it<R: Route>() {
    let (tx, rx) = R::bounded(1);
    for n in 0..100 {
        tx.send_timeout(msg::<R>(n), Duration::from_secs(5)).unwrap();
        let unwound = catch_unwind(AssertUnwindSafe(|| {
            R::lend(&rx, |number, _| {
                assert_eq!(number, n);
                std::panic::resume_unwind(Box::new(()));
            })
        }));
        assert!(unwound.is_err());
    }
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    assert_eq!(tx.len(), 0);
}

pub(crate) fn guards_may_outnumber_the_capacity<R: Route>() {
    // More guards at once than a channel has blocks to spare: the rest stay in their slots.
    const N: u64 = 24;
    let (tx, rx) = R::bounded(N as usize);
    for round in 0..3 {
        for n in 0..N {
            tx.try_send(msg::<R>(round + n)).unwrap();
        }
        let guards: Vec<_> = (0..N).map(|_| rx.try_recv_ref().unwrap()).collect();
        assert!(rx.try_recv_ref().is_err());
        drop(guards);
    }
    tx.try_send(msg::<R>(1)).unwrap();
    assert_eq!(rx.try_recv().unwrap().number(), 1);
}

pub(crate) fn lending_waits_and_times_out<R: Route>() {
    let (tx, rx) = R::bounded(1);
    let begin = Instant::now();
    let late = rx.recv_ref_timeout(Duration::from_millis(40));
    assert!(matches!(late, Err(RecvTimeoutError::Timeout)));
    drop(late);
    assert!(begin.elapsed() >= Duration::from_millis(40));
    let waiting = thread::spawn(move || rx.recv_ref().is_ok());
    tx.send(msg::<R>(1)).unwrap();
    assert!(waiting.join().unwrap());
}

pub(crate) fn a_lent_message_does_not_keep_the_channel_open<R: Route>() {
    let (tx, rx) = R::bounded(2);
    tx.send(msg::<R>(1)).unwrap();
    tx.send(msg::<R>(2)).unwrap();
    let lent = rx.recv_ref().ok().unwrap();
    drop(tx);
    assert_eq!(rx.recv().unwrap().number(), 2);
    assert!(rx.recv().unwrap_err().is_disconnected(), "what is lent to us cannot come again");
    drop(lent);
    assert!(rx.recv().unwrap_err().is_disconnected());
}
