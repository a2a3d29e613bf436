//! Channels without room.

use ipc_thread::model::bounded;

use crate::{both, message, model, number};

#[test]
fn a_sender_and_a_receiver_meet() {
    model(3, || {
        let (tx, rx) = bounded(0);
        let ((), got) = both(move || tx.send(message(1)).unwrap(), || rx.recv().map(number));
        assert_eq!(got, Some(1));
    });
}

#[test]
fn one_that_does_not_wait_meets_who_waits_or_no_one() {
    model(2, || {
        let (tx, rx) = bounded(0);
        let (back, got) =
            both(move || tx.try_send(message(1)).map_err(number), || rx.recv().map(number));
        assert_eq!(back.is_ok(), got.is_some());
    });
}

#[test]
fn two_senders_and_a_receiver_meet_in_turn() {
    model(2, || {
        let (tx, rx) = bounded(0);
        let other = tx.clone();
        let a = loom::thread::spawn(move || other.send(message(1)).unwrap());
        let b = loom::thread::spawn(move || tx.send(message(2)).unwrap());
        let mut got = [(); 2].map(|()| rx.recv().map(number));
        got.sort();
        assert_eq!(got, [Some(1), Some(2)]);
        a.join().expect("done");
        b.join().expect("done");
    });
}

#[test]
fn the_last_receiver_gives_a_waiting_sender_its_message_back() {
    model(3, || {
        let (tx, rx) = bounded(0);
        let (_, back) = both(move || drop(rx), || tx.send(message(1)).map_err(number));
        assert_eq!(back, Err(1));
    });
}

#[test]
fn the_last_sender_wakes_a_waiting_receiver() {
    model(3, || {
        let (tx, rx) = bounded::<crate::Message>(0);
        let (_, got) = both(move || drop(tx), || rx.recv().map(number));
        assert_eq!(got, None);
    });
}

#[test]
fn a_claimed_sender_is_received_from_later() {
    model(2, || {
        let (tx, rx) = bounded(0);
        let (_, got) = both(
            move || tx.send(message(1)).unwrap(),
            || {
                let claim = loop {
                    match rx.claim() {
                        Some(claim) => break claim,
                        None => loom::thread::yield_now(),
                    }
                };
                rx.complete(claim).map(number)
            },
        );
        assert_eq!(got, Some(1));
    });
}

#[test]
fn a_claim_to_receive_that_is_given_back_leaves_the_sender_waiting() {
    model(2, || {
        let (tx, rx) = bounded(0);
        let other = rx.clone();
        let sender = loom::thread::spawn(move || tx.send(message(1)).unwrap());
        let receiver = loom::thread::spawn(move || other.recv().map(number));
        if let Some(claim) = rx.claim() {
            rx.give_back(claim);
        }
        sender.join().expect("sent");
        assert_eq!(receiver.join().expect("received"), Some(1));
    });
}

#[test]
fn a_claim_to_send_that_is_given_back_leaves_the_receiver_waiting() {
    model(2, || {
        let (tx, rx) = bounded(0);
        let other = tx.clone();
        let sender = loom::thread::spawn(move || other.send(message(1)).unwrap());
        let receiver = loom::thread::spawn(move || rx.recv().map(number));
        if let Some(claim) = tx.claim() {
            tx.give_back(claim);
        }
        sender.join().expect("sent");
        assert_eq!(receiver.join().expect("received"), Some(1));
    });
}
