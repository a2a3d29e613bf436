//! Several selections that compete for the same channels.

use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;

use testkit::watchdog;

use super::{Receiver, Select, Sender, channel, select};
use crate::drop_in::SHORT;

#[test]
fn each_message_is_received_once_by_one_of_several_selections() {
    let _watchdog = watchdog();
    const EACH: usize = 500;
    fn receive(receivers: &[Receiver<usize>]) -> Vec<usize> {
        let mut select = Select::new();
        receivers.iter().for_each(|rx| _ = select.recv(rx));
        let (mut got, mut open) = (Vec::new(), receivers.len());
        while open > 0 {
            let operation = select.select();
            let index = operation.index();
            match operation.recv(&receivers[index]) {
                Ok(number) => got.push(number),
                Err(_) => {
                    select.remove(index);
                    open -= 1;
                }
            }
        }
        got
    }
    let all: Vec<(Sender<usize>, Receiver<usize>)> = (0..3).map(|_| channel(2)).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    thread::scope(|scope| {
        for (s, tx) in senders.into_iter().enumerate() {
            scope.spawn(move || (0..EACH).for_each(|n| tx.send(s * EACH + n).unwrap()));
        }
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| receive(&receivers))).collect();
        let got: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        for one in &got {
            for s in 0..3 {
                assert!(one.iter().filter(|n| **n / EACH == s).is_sorted(), "out of order");
            }
        }
        let mut all = got.concat();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..3 * EACH), "{} messages", all.len());
    });
}

#[test]
fn selections_that_send_and_receive_lose_nothing() {
    let _watchdog = watchdog();
    const THREADS: usize = 4;
    const TURNS: usize = 300;
    let (tx, rx) = channel::<usize>(4);
    let (other, from_other) = channel::<usize>(4);
    let (sent, got) = (AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                for n in 0..TURNS {
                    select! {
                        send(tx, n) -> done => {
                            done.unwrap();
                            sent.fetch_add(n, Relaxed);
                        }
                        send(other, n) -> done => {
                            done.unwrap();
                            sent.fetch_add(n, Relaxed);
                        }
                        recv(rx) -> number => {
                            got.fetch_add(number.unwrap(), Relaxed);
                        }
                        recv(from_other) -> number => {
                            got.fetch_add(number.unwrap(), Relaxed);
                        }
                    }
                }
            });
        }
    });
    let rest: usize = rx.try_iter().chain(from_other.try_iter()).sum();
    assert_eq!(sent.into_inner(), got.into_inner() + rest);
}

#[test]
fn a_message_that_must_be_there_is_found_without_waiting() {
    let _watchdog = watchdog();
    const TURNS: u32 = 2000;
    let (tx, rx) = channel::<u32>(4);
    let (other, from_other) = channel::<u32>(4);
    let (begin, end) = (Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..TURNS {
                begin.wait();
                // There is always a message, but not always in the same channel.
                other.send(n).unwrap();
                _ = rx.try_recv();
                end.wait();
            }
        });
        for n in 0..TURNS {
            tx.send(n).unwrap();
            begin.wait();
            let mut select = Select::new();
            let first = select.recv(&rx);
            select.recv(&from_other);
            let operation = select.try_select().expect("a message is there");
            let receiver = if operation.index() == first { &rx } else { &from_other };
            assert_eq!(operation.recv(receiver), Ok(n));
            end.wait();
            assert_eq!(rx.try_iter().chain(from_other.try_iter()).filter(|m| *m != n).count(), 0);
        }
    });
}

#[test]
fn a_selection_that_is_too_late_for_a_message_takes_another() {
    let _watchdog = watchdog();
    for _ in 0..100 {
        let (shared, from_shared) = channel::<u32>(2);
        let all: Vec<(Sender<u32>, Receiver<u32>)> = (0..2).map(|_| channel(2)).collect();
        thread::scope(|scope| {
            let threads: Vec<_> = all
                .iter()
                .map(|(_, own)| {
                    let from_shared = from_shared.clone();
                    scope.spawn(move || {
                        select! {
                            recv(from_shared) -> got => got.unwrap(),
                            recv(own) -> got => got.unwrap(),
                        }
                    })
                })
                .collect();
            shared.send(0).unwrap();
            // The other thread gets one of its own, whichever thread that is.
            testkit::until("a thread has the message", || from_shared.is_empty());
            all.iter().for_each(|(tx, _)| tx.send(1).unwrap());
            let got: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            assert_eq!(got, 1);
        });
    }
}

#[test]
fn selections_and_plain_calls_wake_each_other() {
    let _watchdog = watchdog();
    const EACH: usize = 500;
    let (tx, rx) = channel::<usize>(2);
    let (idle, from_idle) = channel::<usize>(1);
    thread::scope(|scope| {
        let plain = scope.spawn(|| rx.iter().take(EACH).count());
        let selecting = scope.spawn(|| {
            for _ in 0..EACH {
                select! {
                    recv(rx) -> got => assert!(got.is_ok()),
                    recv(from_idle) -> _ => unreachable!(),
                }
            }
        });
        let sending = scope.spawn(|| (0..EACH).for_each(|n| tx.send(n).unwrap()));
        for n in 0..EACH {
            select! {
                send(tx, n) -> sent => sent.unwrap(),
                recv(from_idle) -> _ => unreachable!(),
            }
        }
        sending.join().unwrap();
        selecting.join().unwrap();
        assert_eq!(plain.join().unwrap(), EACH);
    });
    drop(idle);
    select! {
        recv(rx) -> _ => unreachable!("it is empty"),
        default(SHORT) => {}
    }
}
