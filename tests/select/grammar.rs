//! The grammar of `select!`.

use std::cell::Cell;
use std::time::{Duration, Instant};

use multiprocess::{Receiver, Sender, after, bounded, never, select, select_biased};
use testkit::watchdog;

use crate::support::{LONG, SHORT};

#[test]
fn arms_may_be_blocks_or_expressions_with_or_without_a_comma_at_the_end() {
    let _watchdog = watchdog();
    let (tx, rx) = bounded::<u32>(4).unwrap();
    let (other, from_other) = bounded::<String>(4).unwrap();
    for _ in 0..2 {
        tx.send(1).unwrap();
        let got = select! {
            recv(rx) -> got => got.unwrap(),
            recv(from_other) -> text => text.unwrap().len() as u32
        };
        assert_eq!(got, 1);
    }
    other.send("four".to_owned()).unwrap();
    let got = select! {
        recv(rx) -> got => { got.unwrap() }
        recv(from_other) -> text => {
            let text = text.unwrap();
            text.len() as u32
        }
        default(LONG) => { 0 }
    };
    assert_eq!(got, 4);
    let got = select! {
        recv(&rx,) -> got => got.unwrap(),
        default => 9,
    };
    assert_eq!(got, 9);
    let got = select_biased! {
        default() => 8,
        recv(rx) -> got => got.unwrap()
    };
    assert_eq!(got, 8);
}

#[test]
fn a_message_is_evaluated_only_if_its_arm_is_chosen() {
    let _watchdog = watchdog();
    let (tx, rx) = bounded::<u32>(1).unwrap();
    tx.send(1).unwrap();
    let evaluated = Cell::new(0);
    let message = || {
        evaluated.set(evaluated.get() + 1);
        7
    };
    select! {
        send(tx, message()) -> _ => unreachable!("it is full"),
        default => {}
    }
    assert_eq!((rx.recv(), evaluated.get()), (Ok(1), 0));
    select! {
        send(&tx, message(),) -> sent => sent.unwrap(),
        recv(rx) -> _ => unreachable!(),
    }
    assert_eq!((rx.recv(), evaluated.get()), (Ok(7), 1));
}

#[test]
fn the_ends_of_an_arm_are_evaluated_once_and_may_be_temporaries() {
    let _watchdog = watchdog();
    let (tx, rx) = bounded::<u32>(1).unwrap();
    let mut evaluated = 0;
    let mut end = || {
        evaluated += 1;
        rx.clone()
    };
    tx.send(3).unwrap();
    select! {
        recv(end()) -> got => assert_eq!(got, Ok(3)),
        recv(after(LONG)) -> _ => unreachable!(),
        recv(std::hint::black_box(None).unwrap_or(&never::<u8>())) -> _ => unreachable!(),
    }
    assert_eq!(evaluated, 1);
}

#[test]
fn an_arm_may_break_return_and_drop_what_was_waited_for() {
    let _watchdog = watchdog();
    let (tx, rx) = bounded::<u32>(4).unwrap();
    tx.send_many([1, 2]).unwrap();
    drop(tx);
    let mut got = Vec::new();
    loop {
        select! {
            recv(rx) -> message => match message {
                Ok(message) => got.push(message),
                Err(_) => break,
            },
        }
    }
    assert_eq!(got, [1, 2]);
    fn first(rx: Receiver<u32>) -> Option<u32> {
        select! {
            recv(rx) -> message => {
                drop(rx);
                if message.is_ok() {
                    return message.ok();
                }
                None
            }
            default(SHORT) => None,
        }
    }
    assert_eq!(first(rx), None);
    fn question(rx: &Receiver<u32>) -> Result<u32, multiprocess::RecvError> {
        Ok(select! { recv(rx) -> message => message? })
    }
    let (tx, rx) = bounded::<u32>(1).unwrap();
    tx.send(5).unwrap();
    assert_eq!(question(&rx), Ok(5));
}

#[test]
fn arms_with_equal_names_do_not_meet() {
    let _watchdog = watchdog();
    let (tx, rx) = bounded::<u32>(1).unwrap();
    let (end, index, select, chosen) = (1, 2, 3, 4);
    tx.send(5).unwrap();
    select! {
        recv(rx) -> message => assert_eq!((end, index, select, chosen, message), (1, 2, 3, 4, Ok(5))),
        send(tx, end) -> _ => unreachable!("it is full"),
    }
}

#[test]
fn a_default_with_a_time_runs_when_that_is_over() {
    let _watchdog = watchdog();
    let (_tx, rx): (Sender<u8>, _) = bounded(1).unwrap();
    let began = Instant::now();
    select! {
        recv(rx) -> _ => unreachable!(),
        default(Duration::from_millis(30)) => {}
    }
    assert!(began.elapsed() >= Duration::from_millis(30));
    select! {
        default(SHORT) => {}
    }
    select_biased!(default => {});
}
