//! Waiting, and for how long.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use ipc_core::{RecvTimeoutError, SendTimeoutError};
use testkit::wait::takes;

use crate::conformance::routes::{Message, Route, msg};

/// Long enough to fall asleep in. No test's outcome depends on whether that happened.
const NAP: Duration = Duration::from_millis(30);
const WAIT: Duration = Duration::from_millis(60);

pub(crate) fn recv_waits_for_a_message<R: Route>() {
    let (tx, rx) = R::bounded(2);
    let (ready, is_ready) = mpsc::channel();
    let waiting = thread::spawn(move || {
        ready.send(()).unwrap();
        (rx.recv().unwrap().number(), rx.recv().unwrap().number())
    });
    is_ready.recv().unwrap();
    thread::sleep(NAP);
    assert!(!waiting.is_finished());
    tx.send(msg::<R>(1)).unwrap();
    thread::sleep(NAP);
    assert!(!waiting.is_finished());
    tx.send(msg::<R>(2)).unwrap();
    assert_eq!(waiting.join().unwrap(), (1, 2));
}

pub(crate) fn send_waits_for_room<R: Route>() {
    let (tx, rx) = R::bounded(1);
    let (ready, is_ready) = mpsc::channel();
    tx.send(msg::<R>(1)).unwrap();
    let waiting = thread::spawn(move || {
        ready.send(()).unwrap();
        tx.send(msg::<R>(2)).unwrap();
        tx.send(msg::<R>(3)).unwrap();
    });
    is_ready.recv().unwrap();
    thread::sleep(NAP);
    assert!(!waiting.is_finished());
    assert_eq!(rx.recv().unwrap().number(), 1);
    thread::sleep(NAP);
    assert!(!waiting.is_finished());
    assert_eq!(rx.recv().unwrap().number(), 2);
    waiting.join().unwrap();
    assert_eq!(rx.recv().unwrap().number(), 3);
}

pub(crate) fn recv_times_out_in_time<R: Route>() {
    let (tx, rx) = R::bounded(1);
    assert_eq!(takes(WAIT, || rx.recv_timeout(WAIT)), Err(RecvTimeoutError::Timeout));
    assert_eq!(
        takes(WAIT, || rx.recv_deadline(Instant::now() + WAIT)),
        Err(RecvTimeoutError::Timeout)
    );
    tx.send(msg::<R>(1)).unwrap();
    assert_eq!(rx.recv_timeout(WAIT), Ok(msg::<R>(1)));
    drop(tx);
    assert_eq!(rx.recv_timeout(Duration::MAX), Err(RecvTimeoutError::Disconnected));
    assert_eq!(rx.recv_deadline(Instant::now()), Err(RecvTimeoutError::Disconnected));
}

pub(crate) fn send_times_out_in_time<R: Route>() {
    let (tx, rx) = R::bounded(1);
    tx.send(msg::<R>(1)).unwrap();
    let late = takes(WAIT, || tx.send_timeout(msg::<R>(2), WAIT));
    assert_eq!(late, Err(SendTimeoutError::Timeout(msg::<R>(2))));
    let late = takes(WAIT, || tx.send_deadline(msg::<R>(3), Instant::now() + WAIT));
    assert_eq!(late.unwrap_err().into_inner(), msg::<R>(3));
    assert_eq!(rx.recv().unwrap().number(), 1);
    tx.send_timeout(msg::<R>(4), WAIT).unwrap();
    drop(rx);
    let gone = tx.send_timeout(msg::<R>(5), Duration::MAX);
    assert_eq!(gone, Err(SendTimeoutError::Disconnected(msg::<R>(5))));
}

// fault 31
pub(crate) fn no_time_at_all_is_enough_for_what_is_there<R: Route>() {
    let (tx, rx) = R::bounded(1);
    for timeout in [Duration::ZERO, Duration::from_nanos(1)] {
        assert_eq!(rx.recv_timeout(timeout), Err(RecvTimeoutError::Timeout));
        assert_eq!(tx.send_timeout(msg::<R>(1), timeout), Ok(()));
        assert!(tx.send_timeout(msg::<R>(2), timeout).unwrap_err().is_timeout());
        assert_eq!(rx.recv_timeout(timeout), Ok(msg::<R>(1)));
    }
}

pub(crate) fn deadlines_in_the_past_have_passed<R: Route>() {
    let (tx, rx) = R::bounded(1);
    let past = Instant::now();
    assert_eq!(rx.recv_deadline(past), Err(RecvTimeoutError::Timeout));
    assert_eq!(tx.send_deadline(msg::<R>(1), past), Ok(()));
    assert!(tx.send_deadline(msg::<R>(2), past).unwrap_err().is_timeout());
    assert_eq!(rx.recv_deadline(past), Ok(msg::<R>(1)));
}

// fault 31
pub(crate) fn endless_timeouts_wait_for_what_comes<R: Route>() {
    for timeout in [Duration::MAX, Duration::new(3, 999_999_999), Duration::from_secs(u64::MAX)] {
        let (tx, rx) = R::bounded(1);
        let waiting = thread::spawn(move || {
            let got = rx.recv_timeout(timeout);
            (got, rx)
        });
        thread::sleep(NAP);
        tx.send_timeout(msg::<R>(1), timeout).unwrap();
        let (got, rx) = waiting.join().unwrap();
        assert_eq!(got, Ok(msg::<R>(1)));
        tx.send(msg::<R>(2)).unwrap();
        let waiting = thread::spawn(move || tx.send_timeout(msg::<R>(3), timeout));
        thread::sleep(NAP);
        assert_eq!(rx.recv().unwrap().number(), 2);
        assert_eq!(waiting.join().unwrap(), Ok(()));
        assert_eq!(rx.recv().unwrap().number(), 3);
    }
}

pub(crate) fn many_short_timeouts_lose_nothing<R: Route>() {
    const N: u64 = 300;
    let (tx, rx) = R::bounded(1);
    let sender = thread::spawn(move || {
        for n in 0..N {
            let mut message = msg::<R>(n);
            while let Err(error) = tx.send_timeout(message, Duration::from_micros(50)) {
                assert!(error.is_timeout());
                message = error.into_inner();
            }
            if n % 50 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
    });
    for n in 0..N {
        let got = loop {
            match rx.recv_timeout(Duration::from_micros(50)) {
                Ok(message) => break message.number(),
                Err(error) => assert!(error.is_timeout()),
            }
        };
        assert_eq!(got, n);
    }
    sender.join().unwrap();
}
