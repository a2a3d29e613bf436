//! `Select::ready` and the like: which operation may be tried.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use testkit::watchdog;

use super::{ReadyTimeoutError, Receiver, Select, Sender, TryReadyError, channel};
use crate::drop_in::{LONG, SHORT};

#[test]
fn readiness_takes_nothing() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(2);
    let (_other, from_other) = channel::<u32>(2);
    let mut select = Select::new();
    let (first, _) = (select.recv(&rx), select.recv(&from_other));
    assert_eq!(select.try_ready(), Err(TryReadyError));
    tx.send(1).unwrap();
    for _ in 0..3 {
        assert_eq!(select.ready(), first);
        assert_eq!(select.try_ready(), Ok(first));
        assert_eq!(select.ready_timeout(LONG), Ok(first));
        assert_eq!(select.ready_deadline(Instant::now() + LONG), Ok(first));
    }
    assert_eq!(rx.try_recv(), Ok(1));
    assert_eq!(select.try_ready(), Err(TryReadyError));
}

#[test]
fn a_disconnected_channel_is_ready() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(2);
    let (other, from_other) = channel::<u32>(2);
    let mut select = Select::new();
    let receiving = select.recv(&rx);
    thread::scope(|scope| {
        scope.spawn(move || drop(tx));
        assert_eq!(select.ready(), receiving);
    });
    assert!(rx.try_recv().unwrap_err().is_disconnected());
    while other.try_send(1).is_ok() {}
    let mut select = Select::new();
    let sending = select.send(&other);
    assert_eq!(select.try_ready(), Err(TryReadyError));
    thread::scope(|scope| {
        scope.spawn(move || drop(from_other));
        assert_eq!(select.ready(), sending);
    });
    assert!(other.try_send(2).unwrap_err().is_disconnected());
}

#[test]
fn room_makes_sending_ready() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<Vec<u8>>(3);
    while tx.try_send(vec![7; 50_000]).is_ok() {}
    let mut select = Select::new();
    let sending = select.send(&tx);
    assert_eq!(select.ready_timeout(SHORT), Err(ReadyTimeoutError));
    thread::scope(|scope| {
        // A socket has room when most of it is free.
        scope.spawn(|| while rx.try_recv().is_ok() {});
        assert_eq!(select.ready(), sending);
    });
    tx.try_send(vec![8]).unwrap();
}

#[test]
fn a_time_limit_is_kept() {
    let _watchdog = watchdog();
    let (_tx, rx) = channel::<u32>(2);
    let mut select = Select::new();
    select.recv(&rx);
    let began = Instant::now();
    assert_eq!(select.ready_timeout(SHORT), Err(ReadyTimeoutError));
    assert!(began.elapsed() >= SHORT);
    let deadline = Instant::now() + SHORT;
    assert_eq!(select.ready_deadline(deadline), Err(ReadyTimeoutError));
    assert!(Instant::now() >= deadline);
    assert_eq!(select.ready_deadline(began), Err(ReadyTimeoutError));
}

#[test]
fn without_an_operation_a_time_limit_passes_and_ready_panics() {
    let _watchdog = watchdog();
    let mut select = Select::new();
    assert_eq!(select.try_ready(), Err(TryReadyError));
    let began = Instant::now();
    assert_eq!(select.ready_timeout(SHORT), Err(ReadyTimeoutError));
    assert!(began.elapsed() >= SHORT);
    assert!(catch_unwind(AssertUnwindSafe(|| select.ready())).is_err());
    let endless = AssertUnwindSafe(|| select.ready_timeout(Duration::MAX));
    assert!(catch_unwind(endless).is_err());
}

#[test]
fn of_several_that_are_ready_each_gets_its_share() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(2);
    let (_, gone) = channel::<u32>(2);
    tx.send(1).unwrap();
    let mut chosen = [0; 4];
    for _ in 0..2000 {
        let mut select = Select::new();
        // The same channel in both directions, and once more.
        select.recv(&rx);
        select.send(&tx);
        select.recv(&gone);
        select.recv(&rx);
        chosen[select.ready()] += 1;
    }
    // A share is 500 on average, with a standard deviation of 19.
    assert!(chosen.iter().all(|share| *share > 250), "{chosen:?}");
}

#[test]
fn with_bias_the_first_that_is_ready_is_reported() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(2);
    let (other, from_other) = channel::<u32>(2);
    other.send(1).unwrap();
    let mut select = Select::new_biased();
    let (first, second, third) = (select.recv(&rx), select.recv(&from_other), select.send(&tx));
    for _ in 0..50 {
        assert_eq!(select.ready(), second);
        assert_eq!(select.try_ready(), Ok(second));
    }
    tx.send(1).unwrap();
    assert_eq!(select.ready_timeout(LONG), Ok(first));
    select.remove(first);
    select.remove(second);
    assert_eq!(select.ready(), third);
}

#[test]
fn threads_that_compete_try_again_and_receive_each_message_once() {
    let _watchdog = watchdog();
    const EACH: usize = 400;
    let all: Vec<(Sender<usize>, Receiver<usize>)> = (0..3).map(|_| channel(4)).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    fn receive(receivers: &[Receiver<usize>]) -> Vec<usize> {
        let mut select = Select::new();
        receivers.iter().for_each(|rx| _ = select.recv(rx));
        let (mut got, mut open) = (Vec::new(), receivers.len());
        while open > 0 {
            let index = select.ready();
            match receivers[index].try_recv() {
                Ok(number) => got.push(number),
                Err(error) if error.is_empty() => {}
                Err(_) => {
                    select.remove(index);
                    open -= 1;
                }
            }
        }
        got
    }
    thread::scope(|scope| {
        for (s, tx) in senders.into_iter().enumerate() {
            scope.spawn(move || (0..EACH).for_each(|n| tx.send(s * EACH + n).unwrap()));
        }
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| receive(&receivers))).collect();
        let mut all: Vec<_> = threads.into_iter().flat_map(|one| one.join().unwrap()).collect();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..3 * EACH), "{} messages", all.len());
    });
}
