//! Many threads at both ends: each message exactly once, and in order per sender.

use std::thread;
use std::time::Duration;

use ipc_core::{TryRecvError, TrySendError};

use crate::conformance::routes::{Message, Route, Rx, Tx, msg};

/// Numbers of sender `s` begin here.
const STEP: u64 = 1 << 32;

/// How a thread sends or receives.
#[derive(Clone, Copy, PartialEq)]
enum How {
    One,
    Many,
    Try,
}

fn send<R: Route>(tx: &Tx<R>, how: How, from: u64, n: u64) {
    match how {
        How::One => (from..from + n).for_each(|i| tx.send(msg::<R>(i)).unwrap()),
        How::Many => assert_eq!(tx.send_many((from..from + n).map(msg::<R>)).unwrap() as u64, n),
        How::Try => {
            for i in from..from + n {
                let mut message = msg::<R>(i);
                while let Err(error) = tx.try_send(message) {
                    let TrySendError::Full(back) = error else { panic!("{error}") };
                    message = back;
                    thread::yield_now();
                }
            }
        }
    }
}

fn receive<R: Route>(rx: &Rx<R>, how: How) -> Vec<u64> {
    let mut got = Vec::new();
    match how {
        How::One => got.extend(rx.iter().map(|m| m.number())),
        How::Many => {
            let mut batch = Vec::new();
            while rx.recv_many(&mut batch, 10).is_ok() {
                got.extend(batch.drain(..).map(|m| m.number()));
            }
        }
        How::Try => loop {
            match rx.try_recv() {
                Ok(message) => got.push(message.number()),
                Err(TryRecvError::Empty) => thread::yield_now(),
                Err(error) => {
                    assert!(error.is_disconnected());
                    break;
                }
            }
        },
    }
    got
}

/// Sends `n` messages from each sender, and looks whether all came.
fn run<R: Route>(capacity: usize, senders: &[How], receivers: &[How], n: u64) {
    let (tx, rx) = R::bounded(capacity);
    let receiving: Vec<_> = receivers
        .iter()
        .map(|&how| {
            let rx = rx.clone();
            thread::spawn(move || receive::<R>(&rx, how))
        })
        .collect();
    let sending: Vec<_> = (0..)
        .zip(senders)
        .map(|(s, &how)| {
            let tx = tx.clone();
            thread::spawn(move || send::<R>(&tx, how, s * STEP, n))
        })
        .collect();
    drop((tx, rx));
    sending.into_iter().for_each(|sender| sender.join().unwrap());
    let got: Vec<_> = receiving.into_iter().map(|receiver| receiver.join().unwrap()).collect();
    for one in &got {
        for s in 0..senders.len() as u64 {
            assert!(one.iter().filter(|i| **i / STEP == s).is_sorted(), "out of order");
        }
    }
    let mut all = got.concat();
    all.sort_unstable();
    let expected = (0..senders.len() as u64).flat_map(|s| s * STEP..s * STEP + n);
    assert!(
        all.iter().copied().eq(expected),
        "{} messages of {}",
        all.len(),
        senders.len() as u64 * n
    );
}

pub(crate) fn one_to_one_in_order<R: Route>() {
    run::<R>(16, &[How::One], &[How::One], 3000);
}

pub(crate) fn many_to_one_each_once<R: Route>() {
    run::<R>(16, &[How::One; 4], &[How::One], 1000);
}

pub(crate) fn one_to_many_each_once<R: Route>() {
    run::<R>(16, &[How::One], &[How::One; 4], 3000);
}

pub(crate) fn many_to_many_each_once<R: Route>() {
    run::<R>(16, &[How::One; 4], &[How::One; 4], 1000);
}

pub(crate) fn capacity_one_under_stress<R: Route>() {
    run::<R>(1, &[How::One; 3], &[How::One; 3], 500);
}

pub(crate) fn capacity_three_under_stress<R: Route>() {
    run::<R>(3, &[How::One; 3], &[How::One; 3], 700);
}

pub(crate) fn batches_and_single_ones_mix<R: Route>() {
    for capacity in [3, 40] {
        run::<R>(capacity, &[How::One, How::Many, How::Many], &[How::One, How::Many], 1000);
    }
}

pub(crate) fn try_and_blocking_calls_mix<R: Route>() {
    run::<R>(2, &[How::One, How::Try, How::Many], &[How::One, How::Try, How::Many], 300);
}

pub(crate) fn one_end_shared_by_threads<R: Route>() {
    const N: u64 = 700;
    let (tx, rx) = R::bounded(4);
    let mut all = thread::scope(|scope| {
        // Not clones: the same two handles.
        for s in 0..3 {
            let tx = &tx;
            scope.spawn(move || send::<R>(tx, if s == 2 { How::Many } else { How::One }, s * N, N));
        }
        let take = || (0..N).map(|_| rx.recv().unwrap().number()).collect::<Vec<_>>();
        let receivers: Vec<_> = (0..3).map(|_| scope.spawn(take)).collect();
        receivers.into_iter().map(|receiver| receiver.join().unwrap()).collect::<Vec<_>>().concat()
    });
    all.sort_unstable();
    assert!(all.into_iter().eq(0..3 * N));
}

pub(crate) fn ping_pong<R: Route>() {
    let (ping, pinged) = R::bounded(1);
    let (pong, ponged) = R::bounded(1);
    let echo = thread::spawn(move || pinged.iter().for_each(|message| pong.send(message).unwrap()));
    for n in 0..500 {
        ping.send(msg::<R>(n)).unwrap();
        assert_eq!(ponged.recv_timeout(Duration::from_secs(20)).unwrap().number(), n);
    }
    drop(ping);
    echo.join().unwrap();
    assert!(ponged.recv().unwrap_err().is_disconnected());
}
