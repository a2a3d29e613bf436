//! What `select` and `ready` choose, on every route.

use std::time::Instant;

use multiprocess::{
    ReadyTimeoutError, RecvError, Route, Select, SelectTimeoutError, SendError, TryReadyError,
    TrySelectError,
};
use testkit::watchdog;

use crate::support::{LONG, ROUTES, SHORT, channel};

/// Runs a test with two routes, equal ones and different ones.
fn each_pair(test: impl Fn(Route, Route)) {
    for a in ROUTES {
        for b in ROUTES {
            test(a, b);
        }
    }
}

#[test]
fn the_operation_that_is_ready_is_chosen_and_completed() {
    let _watchdog = watchdog();
    each_pair(|a, b| {
        let ((tx_a, rx_a), (tx_b, rx_b)) = (channel::<u32>(a), channel::<String>(b));
        let mut select = Select::new();
        let (first, second) = (select.recv(&rx_a), select.recv(&rx_b));
        assert_eq!(select.try_select().unwrap_err(), TrySelectError);
        assert_eq!(select.try_ready(), Err(TryReadyError));
        for turn in 0..20 {
            tx_a.send(turn).unwrap();
            assert_eq!(select.ready(), first);
            let chosen = select.select();
            assert_eq!(chosen.index(), first);
            assert_eq!(chosen.recv(&rx_a), Ok(turn));
            tx_b.send("x".repeat(turn as usize * 1000)).unwrap();
            let chosen = select.select_timeout(LONG).unwrap();
            assert_eq!(chosen.index(), second);
            assert_eq!(chosen.recv(&rx_b).unwrap().len(), turn as usize * 1000);
        }
        assert!(rx_a.is_empty() && rx_b.is_empty());
    });
}

#[test]
fn a_time_limit_is_kept() {
    let _watchdog = watchdog();
    each_pair(|a, b| {
        let ((_tx_a, rx_a), (_tx_b, rx_b)) = (channel::<u32>(a), channel::<u32>(b));
        let mut select = Select::new();
        select.recv(&rx_a);
        select.recv(&rx_b);
        let began = Instant::now();
        assert_eq!(select.select_timeout(SHORT).unwrap_err(), SelectTimeoutError);
        assert!(began.elapsed() >= SHORT);
        let began = Instant::now();
        assert_eq!(select.ready_deadline(began + SHORT), Err(ReadyTimeoutError));
        assert!(began.elapsed() >= SHORT);
    });
}

#[test]
fn a_waiter_is_woken_by_each_of_its_operations() {
    let _watchdog = watchdog();
    each_pair(|a, b| {
        let ((tx_a, rx_a), (tx_b, rx_b)) = (channel::<u32>(a), channel::<u32>(b));
        let (answer, answers) = std::sync::mpsc::channel();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for turn in 0..60 {
                    let tx = if turn % 3 == 0 { &tx_a } else { &tx_b };
                    if turn % 4 == 0 {
                        // The waiter sleeps by now, or not: both must do.
                        std::thread::sleep(std::time::Duration::from_millis(1));
                    }
                    tx.send(turn).unwrap();
                    answers.recv().unwrap();
                }
            });
            let mut select = Select::new();
            let first = select.recv(&rx_a);
            select.recv(&rx_b);
            for turn in 0..60 {
                let chosen = select.select();
                assert_eq!(chosen.index() == first, turn % 3 == 0);
                let rx = if turn % 3 == 0 { &rx_a } else { &rx_b };
                assert_eq!(chosen.recv(rx), Ok(turn));
                answer.send(()).unwrap();
            }
        });
    });
}

#[test]
fn room_for_a_message_is_an_operation_too() {
    let _watchdog = watchdog();
    each_pair(|a, b| {
        let ((tx_a, rx_a), (tx_b, rx_b)) = (channel::<Vec<u8>>(a), channel::<Vec<u8>>(b));
        while tx_a.try_send(vec![1; 50_000]).is_ok() {}
        let mut select = Select::new_biased();
        let (full, free) = (select.send(&tx_a), select.send(&tx_b));
        let chosen = select.select();
        assert_eq!(chosen.index(), free);
        chosen.send(&tx_b, vec![2; 3]).unwrap();
        assert_eq!(rx_b.recv().unwrap(), [2; 3]);
        // Large ones, too.
        let chosen = select.select();
        chosen.send(&tx_b, vec![3; 70_000]).unwrap();
        assert_eq!(rx_b.recv().unwrap().len(), 70_000);
        let mut select = Select::new();
        select.send(&tx_a);
        std::thread::scope(|scope| {
            let drain = scope.spawn(|| rx_a.iter().take_while(|got| got.len() != 4).count());
            let chosen = select.select();
            assert_eq!(chosen.index(), full);
            chosen.send(&tx_a, vec![4; 4]).unwrap();
            assert!(drain.join().unwrap() > 0);
        });
    });
}

#[test]
fn a_channel_without_its_other_side_is_ready_and_says_so() {
    let _watchdog = watchdog();
    for route in ROUTES {
        let (tx, rx) = channel::<u32>(route);
        tx.send(1).unwrap();
        drop(tx);
        let mut select = Select::new();
        let index = select.recv(&rx);
        assert_eq!(select.select().recv(&rx), Ok(1));
        assert_eq!(select.ready(), index);
        assert_eq!(select.select().recv(&rx), Err(RecvError::Disconnected));
        assert_eq!(select.try_select().unwrap().recv(&rx), Err(RecvError::Disconnected));
        let (tx, rx) = channel::<u32>(route);
        drop(rx);
        let mut select = Select::new();
        select.send(&tx);
        assert_eq!(select.select().send(&tx, 5), Err(SendError::Disconnected(5)));
    }
}

#[test]
fn a_disconnected_channel_and_a_message_that_was_given_back_keep_their_turn() {
    let _watchdog = watchdog();
    each_pair(|a, b| {
        let ((tx_a, rx_a), (tx_b, rx_b)) = (channel::<u32>(a), channel::<u32>(b));
        let mut select = Select::new_biased();
        let first = select.recv(&rx_a);
        select.recv(&rx_b);
        tx_b.send(2).unwrap();
        tx_a.send(1).unwrap();
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            drop(select.try_select());
        }));
        assert!(dropped.is_err());
        let chosen = select.try_select().unwrap();
        assert_eq!((chosen.index(), chosen.recv(&rx_a)), (first, Ok(1)));
        drop(tx_a);
        let chosen = select.try_select().unwrap();
        assert_eq!((chosen.index(), chosen.recv(&rx_a)), (first, Err(RecvError::Disconnected)));
    });
}

#[test]
fn of_several_that_are_ready_each_gets_its_share() {
    let _watchdog = watchdog();
    const TURNS: u32 = 3000;
    each_pair(|a, b| {
        let ((tx_a, rx_a), (tx_b, rx_b)) = (channel::<u32>(a), channel::<u32>(b));
        let (mut first, mut biased) = (0, 0);
        for _ in 0..TURNS {
            tx_a.send(1).unwrap();
            tx_b.send(2).unwrap();
            first += multiprocess::select! {
                recv(rx_a) -> got => got.unwrap(),
                recv(rx_b) -> got => got.unwrap() - 2,
            };
            // The other one.
            multiprocess::select! {
                recv(rx_a) -> got => got.unwrap(),
                recv(rx_b) -> got => got.unwrap(),
            };
            tx_a.send(1).unwrap();
            biased += multiprocess::select_biased! {
                recv(rx_a) -> got => got.unwrap(),
                send(tx_b, 2) -> _ => 0,
            };
        }
        // Ten standard deviations.
        assert!(first.abs_diff(TURNS / 2) < 300, "{a:?} {b:?}: {first}");
        assert_eq!(biased, TURNS);
    });
}

/// With one channel that is always ready, and some others.
#[test]
fn a_channel_that_is_always_ready_leaves_the_others_their_share() {
    let _watchdog = watchdog();
    const CHANNELS: usize = 8;
    const TURNS: u32 = 4000;
    const BUSY: usize = 3;
    for route in ROUTES {
        for ready in [&[BUSY, 5][..], &[BUSY, 4], &[BUSY, 4, 6, 7], &[0, 1, 2, BUSY, 4, 5, 6, 7]] {
            let channels: Vec<_> = (0..CHANNELS).map(|_| channel::<u32>(route)).collect();
            let mut select = Select::new();
            channels.iter().for_each(|(_, rx)| _ = select.recv(rx));
            (0..2).for_each(|n| channels[BUSY].0.send(n).unwrap());
            ready.iter().for_each(|at| channels[*at].0.send(2).unwrap());
            let mut chosen = [0u32; CHANNELS];
            for n in 0..TURNS {
                let operation = select.select();
                let at = operation.index();
                operation.recv(&channels[at].1).unwrap();
                channels[at].0.send(n).unwrap();
                chosen[at] += 1;
            }
            let what = || format!("{route:?}, {ready:?}: {chosen:?}");
            assert_eq!(ready.iter().map(|at| chosen[*at]).sum::<u32>(), TURNS, "{}", what());
            // Ten standard deviations at most.
            let least = TURNS / CHANNELS as u32 - 210;
            assert!(ready.iter().all(|at| chosen[*at] > least), "{}", what());
            if let [_, other] = ready {
                assert!(chosen[*other].abs_diff(TURNS / 2) < 320, "{}", what());
            }
        }
    }
}

#[test]
fn an_operation_that_is_not_completed_is_given_back() {
    let _watchdog = watchdog();
    for route in ROUTES {
        let (tx, rx) = channel::<String>(route);
        for text in ["first".to_owned(), "x".repeat(200_000)] {
            tx.send(text.clone()).unwrap();
            tx.send("next".to_owned()).unwrap();
            let mut select = Select::new();
            select.recv(&rx);
            let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                drop(select.select());
            }));
            assert!(dropped.is_err(), "it says that it was not completed");
            assert_eq!(rx.recv().unwrap(), text, "{route:?}");
            assert_eq!(rx.recv().unwrap(), "next");
        }
        let mut select = Select::new();
        select.send(&tx);
        let dropped = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            drop(select.select());
        }));
        assert!(dropped.is_err());
        tx.send("after".to_owned()).unwrap();
        assert_eq!(rx.recv().unwrap(), "after");
        assert!(rx.try_recv().unwrap_err().is_empty());
    }
}

#[test]
fn the_wrong_end_is_refused() {
    let _watchdog = watchdog();
    let ((_a, rx_a), (b, rx_b)) = (channel::<u32>(Route::Shm), channel::<u32>(Route::Shm));
    b.send(1).unwrap();
    let mut select = Select::new();
    select.recv(&rx_a);
    select.recv(&rx_b);
    let wrong =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| select.select().recv(&rx_a)));
    assert!(wrong.is_err());
    assert_eq!(rx_b.recv(), Ok(1), "the message was given back");
}

#[test]
fn a_removed_operation_is_not_chosen_and_numbers_stay() {
    let _watchdog = watchdog();
    let ((a, rx_a), (b, rx_b)) = (channel::<u32>(Route::Shm), channel::<u32>(Route::Shm));
    let mut select = Select::new();
    let (first, second) = (select.recv(&rx_a), select.recv(&rx_b));
    a.send(1).unwrap();
    select.remove(first);
    assert!(select.try_select().is_err());
    b.send(2).unwrap();
    let chosen = select.select();
    assert_eq!(chosen.index(), second);
    assert_eq!(chosen.recv(&rx_b), Ok(2));
    let again = select.recv(&rx_a);
    assert!(again > second);
    assert_eq!(select.ready(), again);
    let removed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| select.remove(first)));
    assert!(removed.is_err());
}

#[test]
fn a_select_may_wait_in_another_thread() {
    let _watchdog = watchdog();
    for route in ROUTES {
        let (tx, rx) = channel::<u32>(route);
        let mut select = Select::new();
        let index = select.recv(&rx);
        std::thread::scope(|scope| {
            let waiter = scope.spawn(move || select.ready());
            tx.send(1).unwrap();
            assert_eq!(waiter.join().unwrap(), index);
        });
    }
}
