//! Channels without a capacity. A block of the model has room for three messages.

use ipc_thread::model::unbounded;

use crate::{both, message, model, number};

#[test]
fn a_message_arrives_and_wakes_a_sleeping_receiver() {
    model(2, || {
        let (tx, rx) = unbounded();
        // The sender stays: its end would wake the receiver, too.
        let sent = tx.clone();
        let ((), got) = both(move || sent.send(message(1)).unwrap(), || rx.recv().map(number));
        drop(tx);
        assert_eq!(got, Some(1));
    });
}

#[test]
fn messages_keep_their_order_from_block_to_block() {
    model(2, || {
        let (tx, rx) = unbounded();
        tx.send(message(1)).unwrap();
        tx.send(message(2)).unwrap();
        let (_, got) = both(
            move || {
                tx.send(message(3)).unwrap();
                tx.send(message(4)).unwrap();
            },
            || [(); 4].map(|()| rx.recv().map(number)),
        );
        assert_eq!(got, [Some(1), Some(2), Some(3), Some(4)]);
        assert_eq!(rx.recv().map(number), None);
    });
}

#[test]
fn two_senders_at_the_end_of_a_block_do_not_mix() {
    model(2, || {
        let (tx, rx) = unbounded();
        tx.send(message(1)).unwrap();
        tx.send(message(2)).unwrap();
        let other = tx.clone();
        both(move || other.send(message(3)).unwrap(), || tx.send(message(4)).unwrap());
        let mut got = [(); 4].map(|()| rx.recv().map(number));
        got.sort();
        assert_eq!(got, [Some(1), Some(2), Some(3), Some(4)]);
    });
}

#[test]
fn two_receivers_at_the_end_of_a_block_free_it_once() {
    model(2, || {
        let (tx, rx) = unbounded();
        for n in 1..=4 {
            tx.send(message(n)).unwrap();
        }
        assert_eq!(rx.recv().map(number), Some(1));
        let other = rx.clone();
        let (a, b) = both(move || other.recv().map(number), || rx.recv().map(number));
        let mut got = [a, b];
        got.sort();
        assert_eq!(got, [Some(2), Some(3)]);
        assert_eq!(rx.recv().map(number), Some(4));
    });
}

#[test]
fn a_freed_block_is_used_again() {
    model(2, || {
        let (tx, rx) = unbounded();
        for n in 1..=5 {
            tx.send(message(n)).unwrap();
        }
        assert_eq!([(); 2].map(|()| rx.recv().map(number)), [Some(1), Some(2)]);
        let (_, got) = both(
            move || {
                tx.send(message(6)).unwrap();
                tx.send(message(7)).unwrap();
            },
            || [(); 3].map(|()| rx.recv().map(number)),
        );
        assert_eq!(got, [Some(3), Some(4), Some(5)]);
        assert_eq!([(); 3].map(|()| rx.recv().map(number)), [Some(6), Some(7), None]);
    });
}

#[test]
fn the_last_receiver_drops_what_is_there_and_what_comes() {
    model(2, || {
        let (tx, rx) = unbounded();
        tx.send(message(1)).unwrap();
        tx.send(message(2)).unwrap();
        let (_, back) = both(move || drop(rx), || tx.send(message(3)));
        if let Err(back) = back {
            assert_eq!(number(back), 3);
        }
        assert!(tx.send(message(4)).is_err());
    });
}

#[test]
fn a_message_that_is_given_back_comes_first_and_wakes() {
    model(2, || {
        let (tx, rx) = unbounded();
        tx.send(message(1)).unwrap();
        let claim = rx.claim().expect("there is a message");
        let other = rx.clone();
        let (_, got) = both(move || rx.give_back(claim), || other.recv().map(number));
        assert_eq!(got, Some(1));
    });
}
