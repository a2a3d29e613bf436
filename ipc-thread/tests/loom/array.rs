//! Channels with a capacity.

use ipc_thread::model::bounded;

use crate::{both, message, model, number};

#[test]
fn a_message_arrives_and_wakes_a_sleeping_receiver() {
    model(3, || {
        let (tx, rx) = bounded(1);
        // The sender stays: its end would wake the receiver, too.
        let sent = tx.clone();
        let ((), got) = both(move || sent.send(message(1)).unwrap(), || rx.recv().map(number));
        drop(tx);
        assert_eq!(got, Some(1));
    });
}

#[test]
fn room_wakes_a_sleeping_sender() {
    model(2, || {
        let (tx, rx) = bounded(1);
        tx.send(message(1)).unwrap();
        let ((), got) =
            both(move || tx.send(message(2)).unwrap(), || [(); 2].map(|()| rx.recv().map(number)));
        assert_eq!(got, [Some(1), Some(2)]);
        assert_eq!(rx.recv().map(number), None);
    });
}

#[test]
fn two_senders_take_different_slots() {
    model(2, || {
        let (tx, rx) = bounded(2);
        let other = tx.clone();
        both(move || other.send(message(1)).unwrap(), || tx.send(message(2)).unwrap());
        let mut got = [(); 2].map(|()| rx.recv().map(number));
        got.sort();
        assert_eq!(got, [Some(1), Some(2)]);
    });
}

#[test]
fn two_receivers_take_different_messages() {
    model(2, || {
        let (tx, rx) = bounded(2);
        tx.send(message(1)).unwrap();
        tx.send(message(2)).unwrap();
        let other = rx.clone();
        let (a, b) = both(move || other.recv().map(number), || rx.recv().map(number));
        let mut got = [a, b];
        got.sort();
        assert_eq!(got, [Some(1), Some(2)]);
    });
}

#[test]
fn a_batch_is_received_in_order() {
    model(2, || {
        let (tx, rx) = bounded(3);
        let (_, mut got) = both(
            move || {
                tx.send(message(1)).unwrap();
                tx.send(message(2)).unwrap();
            },
            || rx.recv_many(3).into_iter().map(number).collect::<Vec<_>>(),
        );
        got.extend(rx.recv_many(3).into_iter().map(number));
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn the_last_sender_wakes_a_receiver_that_gets_all_messages_first() {
    model(3, || {
        let (tx, rx) = bounded(1);
        let (_, got) = both(
            move || tx.send(message(1)).unwrap(),
            || (rx.recv().map(number), rx.recv().map(number)),
        );
        assert_eq!(got, (Some(1), None));
    });
}

#[test]
fn the_last_receiver_drops_what_is_there_and_what_comes() {
    model(2, || {
        let (tx, rx) = bounded(2);
        tx.send(message(1)).unwrap();
        let kept = message(2);
        let (_, back) = both(move || drop(rx), || tx.send(kept));
        // Either it came back, or the receiver or the channel has dropped it.
        if let Err(back) = back {
            assert_eq!(number(back), 2);
        }
        assert!(tx.send(message(3)).is_err());
    });
}

#[test]
fn the_last_receiver_wakes_a_sender() {
    model(2, || {
        let (tx, rx) = bounded(1);
        tx.send(message(1)).unwrap();
        let (_, back) = both(move || drop(rx), || tx.send(message(2)));
        assert_eq!(back.map_err(number), Err(2));
    });
}

#[test]
fn a_claimed_slot_is_sent_into_later() {
    model(2, || {
        let (tx, rx) = bounded(1);
        let claim = tx.claim().expect("there is room");
        let (sent, got) =
            both(move || tx.complete(claim, message(1)).is_ok(), || rx.recv().map(number));
        assert!(sent);
        assert_eq!(got, Some(1));
    });
}

#[test]
fn a_claim_to_send_that_is_given_back_blocks_no_one() {
    model(2, || {
        let (tx, rx) = bounded(2);
        let claim = tx.claim().expect("there is room");
        let other = tx.clone();
        let (_, ()) = both(move || tx.give_back(claim), || other.send(message(1)).unwrap());
        assert_eq!(rx.recv().map(number), Some(1));
        other.send(message(2)).unwrap();
        other.send(message(3)).unwrap();
        assert_eq!(rx.recv().map(number), Some(2));
        assert_eq!(rx.recv().map(number), Some(3));
    });
}

#[test]
fn a_void_slot_wakes_the_receiver_behind_it() {
    model(2, || {
        let (tx, rx) = bounded(2);
        let claim = tx.claim().expect("there is room");
        tx.send(message(1)).unwrap();
        let (_, got) = both(move || tx.give_back(claim), || rx.recv().map(number));
        assert_eq!(got, Some(1));
    });
}

#[test]
fn a_claim_meets_the_end_of_the_receivers() {
    model(2, || {
        let (tx, rx) = bounded(2);
        let claim = tx.claim().expect("there is room");
        let (_, back) = both(move || drop(rx), || tx.complete(claim, message(1)));
        if let Err(back) = back {
            assert_eq!(number(back), 1);
        }
    });
}

#[test]
fn a_claim_that_is_given_back_meets_the_end_of_the_receivers() {
    model(2, || {
        let (tx, rx) = bounded(2);
        let claim = tx.claim().expect("there is room");
        let other = tx.clone();
        other.send(message(1)).unwrap();
        both(move || drop(rx), || tx.give_back(claim));
        assert!(other.send(message(2)).is_err());
    });
}

#[test]
fn a_message_that_is_given_back_comes_first_and_wakes() {
    model(2, || {
        let (tx, rx) = bounded(2);
        tx.send(message(1)).unwrap();
        let claim = rx.claim().expect("there is a message");
        let other = rx.clone();
        let (_, got) = both(move || rx.give_back(claim), || other.recv().map(number));
        assert_eq!(got, Some(1));
        tx.send(message(2)).unwrap();
        tx.send(message(3)).unwrap();
        assert_eq!([other.recv().map(number), other.recv().map(number)], [Some(2), Some(3)]);
    });
}

#[test]
fn of_two_messages_given_back_the_earlier_comes_first() {
    model(2, || {
        let (tx, rx) = bounded(3);
        for n in 1..=3 {
            tx.send(message(n)).unwrap();
        }
        let (one, two) = (rx.claim().expect("a message"), rx.claim().expect("another"));
        let other = rx.clone();
        both(move || rx.give_back(two), || other.give_back(one));
        assert_eq!([(); 3].map(|()| other.recv().map(number)), [Some(1), Some(2), Some(3)]);
    });
}

#[test]
fn a_selection_that_waits_to_receive_is_woken() {
    model(2, || {
        let (tx, rx) = bounded(1);
        let (_, got) = both(
            move || tx.send(message(1)).unwrap(),
            || {
                let claim = rx.claim_waiting();
                rx.complete(claim).map(number)
            },
        );
        assert_eq!(got, Some(1));
    });
}

#[test]
fn messages_that_no_one_receives_are_dropped() {
    model(2, || {
        let (tx, rx) = bounded(2);
        tx.send(message(1)).unwrap();
        both(move || drop(tx), || drop(rx));
    });
}
