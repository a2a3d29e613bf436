//! Channels between threads without room: selections meet calls, and each other.

use std::thread;

use multiprocess::thread::bounded;
use multiprocess::{RecvError, Select, TrySelectError};
use testkit::watchdog;

use crate::support::SHORT;

/// How often two selections meet.
const ROUNDS: u32 = 300;

#[test]
fn a_selection_meets_a_call_that_waits() {
    let _watchdog = watchdog();
    let ((tx, rx), (back, answers)) = (bounded::<u32>(0).unwrap(), bounded::<u32>(0).unwrap());
    let (_idle, never) = bounded::<u32>(1).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..ROUNDS {
                tx.send(round).unwrap();
                assert_eq!(answers.recv(), Ok(round + 1));
            }
        });
        for round in 0..ROUNDS {
            let mut select = Select::new();
            select.recv(&never);
            let second = select.recv(&rx);
            let chosen = select.select();
            assert_eq!(chosen.index(), second);
            assert_eq!(chosen.recv(&rx), Ok(round));
            let mut select = Select::new();
            select.recv(&never);
            let second = select.send(&back);
            let chosen = select.select();
            assert_eq!(chosen.index(), second);
            chosen.send(&back, round + 1).unwrap();
        }
    });
}

#[test]
fn two_selections_meet() {
    let _watchdog = watchdog();
    let (tx, rx) = bounded::<u32>(0).unwrap();
    let (_idle, never) = bounded::<u32>(1).unwrap();
    thread::scope(|scope| {
        let never = &never;
        scope.spawn(move || {
            for round in 0..ROUNDS {
                let mut select = Select::new();
                select.recv(never);
                let send = select.send(&tx);
                let chosen = select.select();
                assert_eq!(chosen.index(), send);
                chosen.send(&tx, round).unwrap();
            }
        });
        for round in 0..ROUNDS {
            let mut select = Select::new();
            select.recv(never);
            let recv = select.recv(&rx);
            let chosen = select.select();
            assert_eq!(chosen.index(), recv);
            assert_eq!(chosen.recv(&rx), Ok(round));
        }
        assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    });
}

#[test]
fn a_selection_does_not_meet_itself() {
    let _watchdog = watchdog();
    let (tx, rx) = bounded::<u32>(0).unwrap();
    let mut select = Select::new();
    select.send(&tx);
    select.recv(&rx);
    assert_eq!(select.try_select().unwrap_err(), TrySelectError);
    assert!(select.select_timeout(SHORT).is_err());
}

#[test]
fn a_call_that_does_not_wait_meets_a_selection() {
    let _watchdog = watchdog();
    let (tx, rx) = bounded::<u32>(0).unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| {
            let mut select = Select::new();
            select.recv(&rx);
            select.select().recv(&rx)
        });
        while tx.try_send(7).is_err() {
            thread::yield_now();
        }
        assert_eq!(waiter.join().unwrap(), Ok(7));
    });
}
