//! Channels without room in selections: two calls meet.

use std::thread;

use testkit::{until, watchdog};

use super::{Receiver, Select, Sender, channel, select};
use crate::drop_in::{LONG, SHORT};

#[test]
fn a_selection_meets_only_a_call_that_waits() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(0);
    let (idle, from_idle) = channel::<u32>(0);
    let mut sending = Select::new();
    sending.send(&idle);
    let send = sending.send(&tx);
    let mut receiving = Select::new();
    receiving.recv(&from_idle);
    let recv = receiving.recv(&rx);
    assert!(sending.try_select().is_err() && sending.try_ready().is_err());
    assert!(receiving.try_select().is_err() && receiving.try_ready().is_err());
    thread::scope(|scope| {
        let waiting = scope.spawn(|| rx.recv());
        assert_eq!(sending.ready_timeout(LONG), Ok(send));
        let operation = sending.select();
        assert_eq!(operation.index(), send);
        operation.send(&tx, 1).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(1));
        let waiting = scope.spawn(|| tx.send(2));
        assert_eq!(receiving.ready_timeout(LONG), Ok(recv));
        let operation = receiving.select();
        assert_eq!(operation.index(), recv);
        assert_eq!(operation.recv(&rx), Ok(2));
        waiting.join().unwrap().unwrap();
    });
    assert!(sending.try_select().is_err() && receiving.try_select().is_err());
}

#[test]
fn an_offer_ends_with_the_selection() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(0);
    let (other, from_other) = &channel::<u32>(1);
    let mut select = Select::new();
    select.send(&tx);
    select.recv(from_other);
    assert!(select.select_timeout(SHORT).is_err());
    assert!(rx.try_recv().is_err(), "nothing is offered any more");
    thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            let operation = select.select();
            assert_eq!(operation.index(), 1);
            operation.recv(from_other)
        });
        // It waits, or comes later: it has the other message.
        other.send(3).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(3));
        assert!(rx.try_recv().is_err());
    });
}

#[test]
fn a_selection_learns_that_the_other_side_is_gone() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(0);
    let (other, from_other) = channel::<u32>(0);
    thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            let mut select = Select::new();
            select.recv(&from_other);
            let recv = select.recv(&rx);
            let operation = select.select();
            assert_eq!(operation.index(), recv);
            operation.recv(&rx)
        });
        drop(tx);
        assert!(waiting.join().unwrap().is_err());
    });
    let (tx, rx) = channel::<u32>(0);
    thread::scope(|scope| {
        let waiting = scope.spawn(move || {
            let mut select = Select::new();
            let send = select.send(&tx);
            let operation = select.select();
            assert_eq!(operation.index(), send);
            operation.send(&tx, 7)
        });
        drop(rx);
        assert_eq!(waiting.join().unwrap().unwrap_err().into_inner(), 7);
    });
    drop(other);
}

#[test]
fn selections_meet_selections_and_plain_calls() {
    let _watchdog = watchdog();
    const EACH: usize = 300;
    let (tx, rx) = channel::<usize>(0);
    let (idle, from_idle) = channel::<usize>(0);
    thread::scope(|scope| {
        let senders = [true, false].map(|selects| {
            let (tx, from_idle) = (&tx, &from_idle);
            scope.spawn(move || {
                for n in 0..EACH {
                    if selects {
                        select! {
                            send(tx, n) -> sent => sent.unwrap(),
                            recv(from_idle) -> _ => unreachable!(),
                        }
                    } else {
                        tx.send(n).unwrap();
                    }
                }
            })
        });
        let receivers = [true, false].map(|selects| {
            let (rx, from_idle) = (&rx, &from_idle);
            scope.spawn(move || -> usize {
                let receive = |_| {
                    if !selects {
                        return rx.recv().unwrap();
                    }
                    select! {
                        recv(rx) -> got => got.unwrap(),
                        recv(from_idle) -> _ => unreachable!(),
                    }
                };
                (0..EACH).map(receive).sum()
            })
        });
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        let sum: usize = receivers.map(|receiver| receiver.join().unwrap()).into_iter().sum();
        assert_eq!(sum, EACH * (EACH - 1));
    });
    drop(idle);
}

#[test]
fn each_message_is_received_once_by_one_of_several_selections() {
    let _watchdog = watchdog();
    const EACH: usize = 300;
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
    /// Sends each number through any one of the channels.
    fn send(senders: &[Sender<usize>], numbers: std::ops::Range<usize>) {
        let mut select = Select::new();
        senders.iter().for_each(|tx| _ = select.send(tx));
        for number in numbers {
            let operation = select.select();
            let tx = &senders[operation.index()];
            operation.send(tx, number).unwrap();
        }
    }
    let all: Vec<(Sender<usize>, Receiver<usize>)> = (0..3).map(|_| channel(0)).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    thread::scope(|scope| {
        for s in 0..3 {
            let senders = senders.clone();
            scope.spawn(move || send(&senders, s * EACH..(s + 1) * EACH));
        }
        drop(senders);
        let threads: Vec<_> = (0..3).map(|_| scope.spawn(|| receive(&receivers))).collect();
        let got = threads.into_iter().map(|thread| thread.join().unwrap());
        let mut all = got.collect::<Vec<_>>().concat();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..3 * EACH), "{} messages", all.len());
    });
}

#[test]
fn of_two_that_want_one_message_one_gets_it_and_one_waits() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(0);
    for _ in 0..100 {
        let own: Vec<(Sender<u32>, Receiver<u32>)> = (0..2).map(|_| channel(1)).collect();
        thread::scope(|scope| {
            let threads: Vec<_> = own
                .iter()
                .map(|(_, own)| {
                    let rx = &rx;
                    scope.spawn(move || {
                        select! {
                            recv(rx) -> got => got.unwrap(),
                            recv(own) -> got => got.unwrap(),
                        }
                    })
                })
                .collect();
            tx.send(5).unwrap();
            until("one of them has it", || threads.iter().any(|thread| thread.is_finished()));
            own.iter().for_each(|(tx, _)| tx.send(1).unwrap());
            let got: u32 = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
            assert_eq!(got, 6);
        });
    }
}
