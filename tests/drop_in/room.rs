//! Selections that depend on an exact capacity.

use std::thread;

use testkit::watchdog;

use super::{Receiver, Select, Sender, channel, select};
use crate::drop_in::SHORT;

#[test]
fn a_full_channel_is_not_ready_to_send_and_an_empty_one_not_to_receive() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(3);
    let mut select = Select::new();
    let (sending, receiving) = (select.send(&tx), select.recv(&rx));
    for inside in 0..=3 {
        let mut seen = [false; 2];
        for _ in 0..50 {
            seen[select.try_ready().unwrap()] = true;
        }
        assert_eq!((seen[sending], seen[receiving]), (inside < 3, inside > 0), "{inside}");
        _ = tx.try_send(inside);
    }
}

#[test]
fn a_selection_that_sends_waits_for_room() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(1);
    tx.send(0).unwrap();
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            for n in 1..200 {
                select! {
                    send(tx, n) -> sent => sent.unwrap(),
                }
            }
        });
        assert!((0..200).all(|n| rx.recv() == Ok(n)));
        sender.join().unwrap();
    });
    tx.send(1).unwrap();
    select! {
        send(tx, 2) -> _ => unreachable!("it is full"),
        default(SHORT) => {}
    }
}

#[test]
fn a_queue_between_two_channels_sends_only_what_it_has() {
    let _watchdog = watchdog();
    // A queue without a limit, from two channels with room for one.
    fn queue(from: Receiver<u32>, to: Sender<u32>) -> usize {
        let (mut inside, mut most) = (std::collections::VecDeque::new(), 0);
        let mut open = true;
        while open || !inside.is_empty() {
            let mut select = Select::new();
            let receiving = open.then(|| select.recv(&from));
            if !inside.is_empty() {
                select.send(&to);
            }
            let operation = select.select();
            if Some(operation.index()) == receiving {
                match operation.recv(&from) {
                    Ok(number) => inside.push_back(number),
                    Err(_) => open = false,
                }
                most = most.max(inside.len());
            } else {
                operation.send(&to, inside.pop_front().unwrap()).unwrap();
            }
        }
        most
    }
    let (tx, from) = channel::<u32>(1);
    let (to, rx) = channel::<u32>(1);
    thread::scope(|scope| {
        let most = scope.spawn(move || queue(from, to));
        // Never waits for long: nothing is received meanwhile.
        (0..500).for_each(|n| tx.send(n).unwrap());
        drop(tx);
        assert!(rx.iter().eq(0..500));
        assert!(most.join().unwrap() >= 497, "both channels hold two of 500, and a sender one");
    });
}
