//! `Select::select` and the like: which operation is chosen, and what completing it does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use testkit::watchdog;

use super::{Receiver, Select, SelectTimeoutError, Sender, TrySelectError, channel};
use crate::drop_in::{LONG, SHORT};

#[test]
fn an_operation_that_need_not_wait_is_chosen_over_those_that_must() {
    let _watchdog = watchdog();
    let all: Vec<(Sender<usize>, Receiver<usize>)> = (0..5).map(|_| channel(2)).collect();
    for (expected, (tx, _)) in all.iter().enumerate() {
        tx.send(expected * 10).unwrap();
        let mut select = Select::new();
        for (_, rx) in &all {
            select.recv(rx);
        }
        let operation = select.select();
        let index = operation.index();
        assert_eq!(index, expected);
        assert_eq!(operation.recv(&all[index].1), Ok(index * 10));
        assert_eq!(select.try_select().unwrap_err(), TrySelectError);
    }
}

#[test]
fn what_was_sent_is_received_before_the_disconnection() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(4);
    thread::spawn(move || (0..3).for_each(|n| tx.send(n).unwrap())).join().unwrap();
    let mut select = Select::new();
    select.recv(&rx);
    for n in 0..3 {
        assert_eq!(select.select().recv(&rx), Ok(n));
    }
    // Disconnected is ready, each time, and whatever the time limit.
    assert!(select.select().recv(&rx).is_err());
    assert!(select.try_select().unwrap().recv(&rx).is_err());
    assert!(select.select_timeout(LONG).unwrap().recv(&rx).is_err());
    assert!(select.select_deadline(Instant::now() + LONG).unwrap().recv(&rx).is_err());
}

#[test]
fn sending_without_receivers_is_ready_and_returns_the_message() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<String>(1);
    drop(rx);
    let mut select = Select::new();
    select.send(&tx);
    for text in ["first", "second"] {
        let error = select.select().send(&tx, text.to_owned()).unwrap_err();
        assert_eq!(error.into_inner(), text);
    }
}

#[test]
fn a_clone_keeps_a_channel_connected() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(2);
    let other = tx.clone();
    drop(tx);
    let mut select = Select::new();
    select.recv(&rx);
    assert!(select.try_select().is_err());
    thread::scope(|scope| {
        scope.spawn(move || other.send(7).unwrap());
        assert_eq!(select.select().recv(&rx), Ok(7));
        assert!(select.select().recv(&rx).is_err());
    });
}

#[test]
fn a_time_limit_is_kept_and_a_past_one_finds_what_is_there() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(2);
    let mut select = Select::new();
    select.recv(&rx);
    let began = Instant::now();
    assert_eq!(select.select_timeout(SHORT).unwrap_err(), SelectTimeoutError);
    assert!(began.elapsed() >= SHORT);
    let deadline = Instant::now() + SHORT;
    assert_eq!(select.select_deadline(deadline).unwrap_err(), SelectTimeoutError);
    assert!(Instant::now() >= deadline);
    assert!(select.select_timeout(Duration::ZERO).is_err());
    tx.send(1).unwrap();
    assert_eq!(select.select_timeout(Duration::ZERO).unwrap().recv(&rx), Ok(1));
    tx.send(2).unwrap();
    assert_eq!(select.select_deadline(began).unwrap().recv(&rx), Ok(2));
    tx.send(3).unwrap();
    assert_eq!(select.select_timeout(Duration::MAX).unwrap().recv(&rx), Ok(3));
}

#[test]
fn without_an_operation_a_time_limit_passes_and_select_panics() {
    let _watchdog = watchdog();
    for mut select in [Select::new(), Select::new_biased()] {
        assert_eq!(select.try_select().unwrap_err(), TrySelectError);
        let began = Instant::now();
        assert_eq!(select.select_timeout(SHORT).unwrap_err(), SelectTimeoutError);
        assert!(began.elapsed() >= SHORT);
        let deadline = Instant::now() + SHORT;
        assert_eq!(select.select_deadline(deadline).unwrap_err(), SelectTimeoutError);
        assert!(Instant::now() >= deadline);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(select.select()))).is_err());
        // A time that the clock cannot represent is no limit.
        let endless = AssertUnwindSafe(|| select.select_timeout(Duration::MAX).is_err());
        assert!(catch_unwind(endless).is_err());
    }
    // One that has lost its operations is empty, too.
    let (_tx, rx) = channel::<u32>(1);
    let mut select = Select::new();
    let index = select.recv(&rx);
    select.remove(index);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(select.select()))).is_err());
}

#[test]
fn a_message_a_disconnection_and_room_end_the_wait() {
    let _watchdog = watchdog();
    for turn in 0..30 {
        let (message, from_message) = channel::<Vec<u8>>(1);
        let (last, from_last) = channel::<Vec<u8>>(1);
        let (full, room) = channel::<Vec<u8>>(1);
        while full.try_send(vec![0; 50_000]).is_ok() {}
        let mut select = Select::new();
        let numbers = [select.recv(&from_message), select.recv(&from_last), select.send(&full)];
        thread::scope(|scope| {
            let (rx, tx, first) = (room.clone(), message.clone(), turn % 3);
            let other = scope.spawn(move || {
                if turn % 2 == 0 {
                    // The other thread sleeps by now, or not: both must do.
                    thread::sleep(Duration::from_millis(2));
                }
                match first {
                    0 => tx.send(vec![1]).unwrap(),
                    1 => return None,
                    // A socket has room when most of it is free.
                    _ => while rx.try_recv().is_ok() {},
                }
                Some(last)
            });
            let operation = select.select();
            assert_eq!(operation.index(), numbers[first]);
            match first {
                0 => assert_eq!(operation.recv(&from_message).unwrap(), [1]),
                1 => assert!(operation.recv(&from_last).is_err()),
                _ => operation.send(&full, vec![2]).unwrap(),
            }
            assert_eq!(other.join().unwrap().is_some(), first != 1);
        });
    }
}

#[test]
fn of_many_that_are_ready_each_gets_its_share() {
    let _watchdog = watchdog();
    const TURNS: usize = 4000;
    let all: Vec<(Sender<u32>, Receiver<u32>)> = (0..4).map(|_| channel(2)).collect();
    // Also if some are ready because they are disconnected, or because there is room.
    let (_, gone) = channel::<u32>(1);
    let (room, drain) = channel::<u32>(2);
    let mut chosen = [0; 6];
    for _ in 0..TURNS {
        for (tx, rx) in &all {
            if rx.is_empty() {
                tx.send(1).unwrap();
            }
        }
        let mut select = Select::new();
        for (_, rx) in &all {
            select.recv(rx);
        }
        select.recv(&gone);
        select.send(&room);
        let operation = select.select();
        let index = operation.index();
        chosen[index] += 1;
        match index {
            4 => assert!(operation.recv(&gone).is_err()),
            5 => {
                operation.send(&room, 2).unwrap();
                assert_eq!(drain.recv(), Ok(2));
            }
            index => assert_eq!(operation.recv(&all[index].1), Ok(1)),
        }
    }
    // A share is 667 on average, with a standard deviation of 24.
    for share in chosen {
        assert!(share > TURNS / 12, "{chosen:?}");
    }
}

#[test]
fn a_busy_channel_does_not_hide_a_quiet_one() {
    let _watchdog = watchdog();
    let (busy, from_busy) = channel::<u32>(4);
    let (quiet, from_quiet) = channel::<u32>(4);
    thread::scope(|scope| {
        scope.spawn(move || while busy.send(0).is_ok() {});
        for n in 1..=100 {
            quiet.send(n).unwrap();
            let mut select = Select::new();
            let (first, _) = (select.recv(&from_busy), select.recv(&from_quiet));
            loop {
                let operation = select.select();
                if operation.index() == first {
                    assert_eq!(operation.recv(&from_busy), Ok(0));
                } else {
                    assert_eq!(operation.recv(&from_quiet), Ok(n));
                    break;
                }
            }
        }
        drop(from_busy);
    });
}

#[test]
fn with_bias_the_first_that_is_ready_is_chosen() {
    let _watchdog = watchdog();
    let all: Vec<(Sender<u32>, Receiver<u32>)> = (0..4).map(|_| channel(2)).collect();
    let mut select = Select::new_biased();
    let numbers: Vec<_> = all.iter().map(|(_, rx)| select.recv(rx)).collect();
    for _ in 0..20 {
        all.iter().for_each(|(tx, _)| tx.send(1).unwrap());
        for (expected, (_, rx)) in all.iter().enumerate() {
            let operation = match expected {
                0 => select.select(),
                1 => select.try_select().unwrap(),
                2 => select.select_timeout(LONG).unwrap(),
                _ => select.select_deadline(Instant::now() + LONG).unwrap(),
            };
            assert_eq!(operation.index(), numbers[expected]);
            assert_eq!(operation.recv(rx), Ok(1));
        }
    }
}

#[test]
fn what_was_removed_is_not_chosen_and_its_number_is_not_used_again() {
    let _watchdog = watchdog();
    let (gone, from_gone) = channel::<u32>(1);
    let (tx, rx) = channel::<u32>(4);
    drop(gone);
    let mut select = Select::new();
    let (first, second) = (select.recv(&from_gone), select.recv(&rx));
    assert_eq!((first, second), (0, 1));
    let operation = select.select();
    assert_eq!(operation.index(), first);
    assert!(operation.recv(&from_gone).is_err());
    select.remove(first);
    assert!(select.try_select().is_err());
    tx.send(1).unwrap();
    let operation = select.select();
    assert_eq!(operation.index(), second);
    assert_eq!(operation.recv(&rx), Ok(1));
    // The numbers go on.
    assert_eq!((select.send(&tx), select.recv(&from_gone)), (2, 3));
    select.remove(3);
    assert_eq!(select.recv(&rx), 4);
    for number in [first, 3, 5, usize::MAX] {
        assert!(catch_unwind(AssertUnwindSafe(|| select.remove(number))).is_err());
    }
    let operation = select.select();
    assert_eq!(operation.index(), 2);
    operation.send(&tx, 2).unwrap();
    assert_eq!(rx.recv(), Ok(2));
}

#[test]
fn one_channel_may_be_in_a_select_several_times() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(4);
    let clone = rx.clone();
    let mut chosen = [0; 3];
    for n in 0..900 {
        let mut select = Select::new();
        let numbers = [select.recv(&rx), select.recv(&rx), select.recv(&clone)];
        let operation = thread::scope(|scope| {
            scope.spawn(|| tx.send(n).unwrap());
            select.select()
        });
        let at = numbers.iter().position(|number| *number == operation.index()).unwrap();
        chosen[at] += 1;
        assert_eq!(operation.recv(if at == 2 { &clone } else { &rx }), Ok(n));
        assert!(select.try_select().is_err(), "it was there once");
    }
    // A share is 300 on average, with a standard deviation of 14.
    assert!(chosen.iter().all(|share| *share > 150), "{chosen:?}");
}

#[test]
fn a_select_may_send_and_receive_on_one_channel() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(4);
    let mut inside = std::collections::VecDeque::new();
    for n in 0..500 {
        let mut select = Select::new();
        let (sending, _) = (select.send(&tx), select.recv(&rx));
        let operation = select.select();
        if operation.index() == sending {
            operation.send(&tx, n).unwrap();
            inside.push_back(n);
        } else {
            assert_eq!(operation.recv(&rx).ok(), inside.pop_front());
        }
        assert_eq!(rx.len(), inside.len());
    }
}

#[test]
fn an_operation_is_completed_although_another_select_goes_on_meanwhile() {
    let _watchdog = watchdog();
    for _ in 0..50 {
        let (tx, rx) = channel::<u32>(4);
        let (other, from_other) = channel::<u32>(4);
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        other.send(3).unwrap();
        let mut outer = Select::new();
        outer.recv(&rx);
        let operation = outer.select();
        let mut inner = Select::new();
        let (first, second) = (inner.recv(&rx), inner.recv(&from_other));
        let mut got = Vec::new();
        for _ in 0..2 {
            let operation = inner.select();
            match operation.index() {
                index if index == first => {
                    got.push(operation.recv(&rx).unwrap());
                    inner.remove(first);
                }
                index => {
                    assert_eq!(index, second);
                    got.push(operation.recv(&from_other).unwrap());
                    inner.remove(second);
                }
            }
        }
        got.push(operation.recv(&rx).unwrap());
        got.sort_unstable();
        assert_eq!(got, [1, 2, 3]);
    }
}

#[test]
fn a_select_in_the_arm_of_a_select_may_use_the_same_channels() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(8);
    for depth in 0..5u32 {
        (0..depth).for_each(|n| tx.send(n).unwrap());
        fn take(rx: &Receiver<u32>, depth: u32) -> u32 {
            let mut select = Select::new();
            select.recv(rx);
            match select.try_select() {
                Ok(operation) => {
                    let number = operation.recv(rx).unwrap();
                    number + take(rx, depth)
                }
                Err(TrySelectError) => depth,
            }
        }
        assert_eq!(take(&rx, depth), depth + (0..depth).sum::<u32>());
    }
}

#[test]
fn a_select_waits_for_any_number_of_receivers() {
    let _watchdog = watchdog();
    for count in [1, 2, 8, 40, 200] {
        let all: Vec<(Sender<usize>, Receiver<usize>)> = (0..count).map(|_| channel(1)).collect();
        let (senders, receivers): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        let (done, turns) = std::sync::mpsc::channel();
        thread::scope(|scope| {
            scope.spawn(move || {
                for turn in 0..60 {
                    if turn % 8 == 0 {
                        // The waiter sleeps by now, or not: both must do.
                        thread::sleep(Duration::from_millis(2));
                    }
                    senders[turn * 37 % count].send(turn).unwrap();
                    turns.recv().unwrap();
                }
                // Each end that is dropped makes one more of them ready.
                senders.into_iter().for_each(drop);
            });
            let mut select = Select::new();
            receivers.iter().for_each(|rx| _ = select.recv(rx));
            for turn in 0..60 {
                let operation = select.select();
                let index = operation.index();
                assert_eq!(index, turn * 37 % count);
                assert_eq!(operation.recv(&receivers[index]), Ok(turn));
                done.send(()).unwrap();
            }
            for _ in 0..count {
                let operation = select.select();
                let index = operation.index();
                assert!(operation.recv(&receivers[index]).is_err());
                select.remove(index);
            }
            assert!(select.try_select().is_err());
        });
    }
}

#[test]
fn a_select_may_be_used_many_times() {
    let _watchdog = watchdog();
    let (jobs, queue) = channel::<u32>(2);
    let (results, answers) = channel::<u32>(2);
    thread::scope(|scope| {
        scope.spawn(move || {
            while let Ok(job) = queue.recv() {
                results.send(job + 1).unwrap();
            }
        });
        // Sends and receives at its own pace, in one loop.
        let (mut sent, mut got) = (0, 0);
        let mut select = Select::new();
        let (sending, receiving) = (select.send(&jobs), select.recv(&answers));
        while got < 1000 {
            let operation = select.select();
            match operation.index() {
                index if index == sending => {
                    operation.send(&jobs, sent).unwrap();
                    sent += 1;
                    if sent == 1000 {
                        select.remove(sending);
                    }
                }
                index => {
                    assert_eq!(index, receiving);
                    got += 1;
                    assert_eq!(operation.recv(&answers), Ok(got));
                }
            }
        }
        drop(jobs);
    });
}

#[test]
fn an_operation_that_is_dropped_panics() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(4);
    tx.send(1).unwrap();
    let mut select = Select::new();
    select.recv(&rx);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(select.try_select()))).is_err());
}
