//! What is deliberately different from crossbeam-channel's selection and timers. The guide *Waiting
//! for several things* has the list.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::{
    Receiver, RecvError, Route, Select, Timer, Unreadable, after, at, bounded, never, select, tick,
};
use testkit::watchdog;

use super::{Odd, SHORT};

#[test]
fn timers_have_a_route_of_their_own() {
    let _watchdog = watchdog();
    let timers: [Receiver<Instant, Timer>; 4] =
        [after(SHORT), at(Instant::now()), tick(SHORT), never()];
    assert!(timers.iter().all(|timer| !timer.is_disconnected()));
    let nothing: Receiver<String, Timer> = never();
    // So an arm that is left out is not added, in place of `unwrap_or(&never())`.
    let (tx, rx) = bounded::<u32>(1).unwrap();
    for optional in [None, Some(&rx)] {
        tx.try_send(1).unwrap_or(());
        let mut select = Select::new();
        select.recv(&nothing);
        let number = optional.map(|rx| select.recv(rx));
        assert_eq!(select.try_ready().ok(), number);
    }
}

#[test]
fn an_error_of_a_completed_operation_says_more() {
    let _watchdog = watchdog();
    for route in [Route::Shm, Route::Pipe] {
        let (tx, rx) = route.channel().unwrap();
        tx.send(Odd(2)).unwrap();
        tx.send(Odd(3)).unwrap();
        select! {
            recv(rx) -> got => {
                assert!(matches!(got, Err(RecvError::Unreadable(Unreadable::Decode(_)))));
            }
        }
        select! {
            recv(rx) -> got => assert_eq!(got.unwrap().0, 3),
        }
    }
}

#[test]
fn an_operation_that_is_dropped_gives_its_message_back_in_its_place() {
    let _watchdog = watchdog();
    for route in [Route::Shm, Route::Pipe, Route::Thread] {
        let (tx, rx) = route.channel::<u32>().unwrap();
        tx.send_many([1, 2]).unwrap();
        let mut select = Select::new();
        select.recv(&rx);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(select.select()))).is_err());
        assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)), "{route}");
    }
    let timer = after(Duration::ZERO);
    let mut select = Select::new();
    select.recv(&timer);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(select.select()))).is_err());
    assert!(timer.try_recv().is_ok());
}

#[test]
fn bias_goes_by_number_also_after_a_removal() {
    let _watchdog = watchdog();
    let all: Vec<_> = (0..4).map(|_| bounded::<u32>(1).unwrap()).collect();
    let mut select = Select::new_biased();
    all.iter().for_each(|(_, rx)| _ = select.recv(rx));
    all.iter().for_each(|(tx, _)| tx.send(1).unwrap());
    select.remove(0);
    assert_eq!(select.ready(), 1, "crossbeam-channel prefers the last one from here on");
    let mut clone = select.clone();
    clone.remove(1);
    assert_eq!((select.ready(), clone.ready()), (1, 2));
    assert_eq!(clone.recv(&all[0].1), 4);
}

#[test]
fn completing_a_send_over_a_socket_waits_if_another_sender_was_faster() {
    let _watchdog = watchdog();
    let (tx, rx) = multiprocess::pipe::channel::<Vec<u8>>().unwrap();
    let mut select = Select::new();
    select.send(&tx);
    let operation = select.select();
    let mut sent = 0;
    while tx.try_send(vec![1; 50_000]).is_ok() {
        sent += 1;
    }
    thread::scope(|scope| {
        let receiving = scope.spawn(|| rx.iter().take(sent + 1).last());
        operation.send(&tx, vec![2; 60_000]).unwrap();
        assert_eq!(receiving.join().unwrap().map(|last| last.len()), Some(60_000));
    });
}
