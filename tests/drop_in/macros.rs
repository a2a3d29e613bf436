//! `select!` and `select_biased!`: their arms, and what is evaluated when.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use testkit::watchdog;

use super::{Receiver, Sender, after, channel, never, select, select_biased};
use crate::drop_in::{LONG, SHORT};

#[test]
fn the_arm_of_the_operation_that_is_ready_runs() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(1);
    let (texts, from_texts) = channel::<String>(1);
    let (full, _drain) = channel::<Vec<u8>>(1);
    while full.try_send(vec![0; 50_000]).is_ok() {}
    for turn in 0..20 {
        tx.send(turn).unwrap();
        let got = select! {
            recv(rx) -> number => number.unwrap(),
            recv(from_texts) -> text => text.unwrap().len() as u32,
            send(full, vec![1]) -> _ => unreachable!("it is full"),
        };
        assert_eq!(got, turn);
        texts.send("text".to_owned()).unwrap();
        select! {
            recv(rx) -> _ => unreachable!("it is empty"),
            recv(from_texts) -> text => assert_eq!(text.unwrap(), "text"),
        }
        select! {
            recv(rx) -> _ => unreachable!("it is empty"),
            send(texts, "sent".to_owned()) -> sent => sent.unwrap(),
        }
        assert_eq!(from_texts.recv().unwrap(), "sent");
    }
}

#[test]
fn default_runs_if_nothing_is_ready() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(1);
    let mut ran = 0;
    select! {
        recv(rx) -> _ => unreachable!(),
        default => ran += 1,
    }
    let began = Instant::now();
    select! {
        recv(rx) -> _ => unreachable!(),
        default(SHORT) => ran += 1,
    }
    assert!(began.elapsed() >= SHORT);
    select_biased! {
        default => ran += 1,
    }
    select! {
        default(SHORT) => ran += 1,
    }
    assert_eq!(ran, 4);
    assert!(began.elapsed() >= 2 * SHORT);
    // Anything that is ready goes first, wherever the default is, and so does a disconnection.
    tx.send(1).unwrap();
    select_biased! {
        default => unreachable!(),
        recv(rx) -> got => assert_eq!(got, Ok(1)),
    }
    drop(tx);
    select! {
        recv(rx) -> got => assert!(got.is_err()),
        default(LONG) => unreachable!(),
    }
    let (tx, rx) = channel::<u32>(1);
    drop(rx);
    select! {
        send(tx, 5) -> sent => assert_eq!(sent.unwrap_err().into_inner(), 5),
        default => unreachable!(),
    }
}

#[test]
fn an_arm_is_a_block_or_an_expression_and_has_a_value() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(4);
    let value = |which: u32| {
        tx.send(which).unwrap();
        let text: &str = select! {
            recv(rx) -> got => match got.unwrap() { 0 => "none", _ => { "some" } },
            send(never_ready(), ()) -> _ => { "sent" }
        };
        text
    };
    fn never_ready() -> Sender<()> {
        let (tx, rx) = channel(1);
        while tx.try_send(()).is_ok() {}
        // Nothing is received or disconnected any more.
        std::mem::forget(rx);
        tx
    }
    assert_eq!((value(0), value(1)), ("none", "some"));
    let closure = || select! { recv(rx) -> got => got.ok(), default => None };
    tx.send(3).unwrap();
    assert_eq!((closure(), closure()), (Some(3), None));
    tx.send(4).unwrap();
    assert_eq!(1 + select!(recv(rx) -> got => got.unwrap(), default => 0), 5);
    select! {
        recv(rx) -> _ => {}
        default => {}
    }
    select! {
        recv(rx) -> _ => {},
        default => (),
    };
}

#[test]
fn ends_may_be_on_the_heap_borrowed_or_made_on_the_spot() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(4);
    let (boxed, mut other) = (Box::new(rx.clone()), rx.clone());
    let (shared, counted) = (Arc::new(rx.clone()), Rc::new(tx.clone()));
    let listed = [&rx];
    let end = || &rx;
    (0..9).for_each(|n| {
        select! { send(counted, n) -> sent => sent.unwrap() }
        let got = match n {
            0 => select! { recv(boxed) -> got => got },
            1 => select! { recv(shared) -> got => got },
            2 => select! { recv(&mut other) -> got => got },
            3 => select! { recv(&&&rx) -> got => got },
            4 => select! { recv(listed[0]) -> got => got },
            5 => select! { recv(rx.clone()) -> got => got },
            6 => select! { recv({ let first = &listed; first[0] }) -> got => got },
            7 => select! { recv(end()) -> got => got },
            _ => select! { recv(*listed.first().unwrap()) -> got => got },
        };
        assert_eq!(got, Ok(n));
    });
    select! { send(&*counted, 1) -> sent => sent.unwrap() }
    select! { send(Box::new(tx), 2) -> sent => sent.unwrap() }
    assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)));
}

#[test]
fn ends_are_evaluated_once_and_a_message_only_if_it_is_sent() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(4);
    let (ends, messages, limits) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let count = |of: &Cell<u32>| of.set(of.get() + 1);
    tx.send(1).unwrap();
    select_biased! {
        recv({ count(&ends); &rx }) -> got => assert_eq!(got, Ok(1)),
        send({ count(&ends); &tx }, { count(&messages); 2 }) -> _ => unreachable!(),
        default({ count(&limits); LONG }) => unreachable!(),
    }
    assert_eq!((ends.get(), messages.get(), limits.get()), (2, 0, 1));
    select! {
        send({ count(&ends); &tx }, { count(&messages); 2 }) -> sent => sent.unwrap(),
    }
    assert_eq!((ends.get(), messages.get(), rx.recv()), (3, 1, Ok(2)));
}

#[test]
fn a_value_may_be_the_message_of_several_arms() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<String>(1);
    let (other, from_other) = channel::<String>(1);
    let text = "moved once".to_owned();
    select! {
        send(tx, text) -> sent => sent.unwrap(),
        send(other, text) -> sent => sent.unwrap(),
    }
    let got = select! {
        recv(rx) -> got => got,
        recv(from_other) -> got => got,
    };
    assert_eq!(got.unwrap(), "moved once");
}

#[test]
fn arms_may_leave_a_loop_a_function_and_a_chain_of_errors() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(8);
    let (_idle, from_idle) = channel::<u32>(1);
    (0..8).for_each(|n| tx.send(n).unwrap());
    let mut odd = Vec::new();
    let last = 'outer: loop {
        loop {
            select! {
                recv(rx) -> got => match got.unwrap() {
                    5 => break 'outer 5,
                    even if even % 2 == 0 => continue,
                    number => odd.push(number),
                },
                recv(from_idle) -> _ => break,
            }
        }
    };
    assert_eq!((last, odd), (5, vec![1, 3]));
    fn first(rx: &Receiver<u32>) -> Option<u32> {
        select! {
            recv(rx) -> got => return Some(got.ok()? * 10),
            default => {}
        }
        None
    }
    assert_eq!((first(&rx), first(&rx), first(&rx)), (Some(60), Some(70), None));
    drop(tx);
    assert_eq!(first(&rx), None);
}

#[test]
fn an_arm_may_select_move_and_drop_the_ends() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(4);
    tx.send(1).unwrap();
    tx.send(2).unwrap();
    let sum = select! {
        recv(rx) -> first => select! {
            recv(rx) -> second => first.unwrap() + second.unwrap(),
            default => select! { default => 0 },
        },
    };
    assert_eq!(sum, 3);
    select! {
        send(tx, 3) -> sent => {
            sent.unwrap();
            drop(tx);
            let rx = rx;
            assert_eq!(rx.recv(), Ok(3));
            assert!(rx.recv().is_err());
        }
    }
}

#[test]
fn types_come_from_later_use() {
    let _watchdog = watchdog();
    let (tx, rx) = channel(1);
    let (other, _from_other) = channel(1);
    select! {
        recv(rx) -> _ => unreachable!(),
        default => {}
    }
    select! {
        send(other, Default::default()) -> sent => sent.unwrap(),
    }
    tx.send(7u8).unwrap();
    other.try_send(String::new()).map_err(drop).unwrap_or(());
    select! {
        recv(rx) -> got => assert_eq!(got.unwrap(), 7),
    }
}

#[test]
fn of_several_arms_that_are_ready_each_gets_its_share() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(1);
    let (_, gone) = channel::<u32>(1);
    let mut chosen = [0; 4];
    for _ in 0..2000 {
        tx.send(1).unwrap();
        select! {
            recv(rx) -> _ => chosen[0] += 1,
            recv(gone) -> _ => chosen[1] += 1,
            recv(rx) -> _ => chosen[2] += 1,
            recv(after(Duration::ZERO)) -> _ => chosen[3] += 1,
        }
        _ = rx.try_recv();
    }
    // A share is 500 on average, with a standard deviation of 19.
    assert!(chosen.iter().all(|share| *share > 250), "{chosen:?}");
}

#[test]
fn with_bias_the_first_arm_that_is_ready_runs() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(1);
    let (_, gone) = channel::<u32>(1);
    let choose = || {
        select_biased! {
            recv(never::<u32>()) -> _ => 0,
            recv(rx) -> _ => 1,
            recv(gone) -> _ => 2,
            recv(after(Duration::ZERO)) -> _ => 3,
            default(LONG) => 4,
        }
    };
    for _ in 0..50 {
        tx.send(1).unwrap();
        assert_eq!((choose(), choose(), choose()), (1, 2, 2));
    }
}

#[test]
fn as_many_arms_as_one_writes_by_hand() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(1);
    let (_idle, idle) = channel::<u32>(1);
    tx.send(9).unwrap();
    let got = select! {
        recv(idle) -> _ => 1,
        recv(idle) -> _ => 2,
        recv(idle) -> _ => 3,
        recv(idle) -> _ => 4,
        recv(idle) -> _ => 5,
        recv(idle) -> _ => 6,
        recv(idle) -> _ => 7,
        recv(idle) -> _ => 8,
        recv(rx) -> got => got.unwrap(),
        recv(idle) -> _ => 10,
        recv(idle) -> _ => 11,
        recv(idle) -> _ => 12,
        recv(idle) -> _ => 13,
        recv(idle) -> _ => 14,
        recv(idle) -> _ => 15,
        recv(idle) -> _ => 16,
        default(LONG) => 17,
    };
    assert_eq!(got, 9);
}

#[test]
fn the_end_of_the_other_side_wakes_the_arms() {
    let _watchdog = watchdog();
    for turn in 0..20 {
        let (tx, rx) = channel::<u32>(1);
        let (full, drain) = channel::<Vec<u8>>(1);
        while full.try_send(vec![0; 50_000]).is_ok() {}
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(turn % 3));
                drop(tx);
            });
            select! {
                recv(rx) -> got => assert!(got.is_err()),
                send(full, vec![1]) -> _ => unreachable!("it is full"),
                default(LONG) => unreachable!("the sender is dropped"),
            }
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(turn % 3));
                drop(drain);
            });
            select! {
                send(full, vec![1, 2]) -> sent => {
                    assert_eq!(sent.unwrap_err().into_inner(), [1, 2]);
                }
                default(LONG) => unreachable!("the receiver is dropped"),
            }
        });
    }
}
