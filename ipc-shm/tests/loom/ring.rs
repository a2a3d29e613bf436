//! Claim, sign, publish, free: no process dies, but in the end to see what was signed.

use std::sync::Arc;

use ipc_shm::model::{NotYet, RECEIVER, Ring, SENDER};

use crate::{both, drain, model, some, sorted};

#[test]
fn two_sends_are_two_messages() {
    model(3, || {
        let (ring, [a, b, c]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER]);
        both(move || a.send(1).expect("there is room"), || b.send(2).expect("there is room"));
        assert_eq!(sorted(drain(&c)), [1, 2]);
        ring.check();
    });
}

#[test]
fn of_two_sends_into_one_slot_one_is_refused() {
    model(3, || {
        let (ring, [a, b, c]) = Ring::new(1, 0, [SENDER, SENDER, RECEIVER]);
        let (one, two) = both(move || a.send(1), || b.send(2));
        let sent = match (one, two) {
            (Ok(()), Err(NotYet::Busy)) => 1,
            (Err(NotYet::Busy), Ok(())) => 2,
            other => panic!("{other:?}"),
        };
        assert_eq!(drain(&c), [sent]);
        ring.check();
    });
}

#[test]
fn messages_arrive_whole_and_in_order_through_one_slot() {
    model(3, || {
        let (ring, [a, b]) = Ring::new(1, 0, [SENDER, RECEIVER]);
        let (sent, mut got) = both(
            move || (1..=3).take_while(|&value| a.send(value).is_ok()).count() as u64,
            || (0..2).flat_map(|_| some(b.receive())).collect::<Vec<_>>(),
        );
        got.extend(drain(&b));
        assert_eq!(got, (1..=sent).collect::<Vec<_>>());
        ring.check();
    });
}

#[test]
fn messages_arrive_whole_and_in_order_through_two_slots() {
    model(3, || {
        let (ring, [a, b]) = Ring::new(2, 0, [SENDER, RECEIVER]);
        a.send(1).expect("there is room");
        let (sent, mut got) = both(
            move || (2..=3).take_while(|&value| a.send(value).is_ok()).count() as u64,
            || (0..2).flat_map(|_| some(b.receive())).collect::<Vec<_>>(),
        );
        got.extend(drain(&b));
        assert_eq!(got, (1..=1 + sent).collect::<Vec<_>>());
        ring.check();
    });
}

#[test]
fn capacities_need_not_be_powers_of_two() {
    model(2, || {
        let (ring, [a, b]) = Ring::new(3, 0, [SENDER, RECEIVER]);
        assert_eq!(a.send_all(&[1, 2, 3]), Ok(3));
        let (sent, mut got) = both(
            move || (4..=5).take_while(|&value| a.send(value).is_ok()).count() as u64,
            || b.receive_all(3).expect("they are there"),
        );
        got.extend(drain(&b));
        assert_eq!(got, (1..=3 + sent).collect::<Vec<_>>());
        ring.check();
    });
}

#[test]
fn each_of_two_receivers_gets_one_of_two_messages() {
    model(3, || {
        let (ring, [a, b, c]) = Ring::new(2, 0, [SENDER, RECEIVER, RECEIVER]);
        assert_eq!(a.send_all(&[1, 2]), Ok(2));
        let (one, two) = both(
            move || b.receive().expect("there are two"),
            || c.receive().expect("there are two"),
        );
        assert_eq!(sorted([one, two]), [1, 2]);
        ring.check();
    });
}

#[test]
fn of_two_receivers_one_gets_the_message() {
    model(3, || {
        let (ring, [a, b, c]) = Ring::new(1, 0, [SENDER, RECEIVER, RECEIVER]);
        a.send(1).expect("there is room");
        let (one, two) = both(move || b.receive(), || c.receive());
        assert_eq!(some(one).chain(some(two)).collect::<Vec<_>>(), [1]);
        ring.check();
    });
}

#[test]
fn two_receivers_pass_a_void_once() {
    model(3, || {
        let (ring, [dead, a, b, c]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER, RECEIVER]);
        assert!(dead.killed_at("send.claimed", 0, || dead.send(9)).is_none());
        assert!(a.recover(dead.id()));
        a.send(1).expect("there is room");
        let (one, two) = both(move || b.receive(), || c.receive());
        let got: Vec<_> = some(one).chain(some(two)).chain(drain(&c)).collect();
        assert_eq!(got, [1]);
        ring.check();
        // The void's slot is in use again.
        assert_eq!(a.send_all(&[2, 3]), Ok(2));
        assert_eq!(drain(&c), [2, 3]);
    });
}

/// A receiver is still at a void which the next claimer has freed for it, and which is in use
/// again.
#[test]
fn a_late_receiver_leaves_a_reused_void_alone() {
    model(3, || {
        let (ring, [dead, a, b, c]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER, RECEIVER]);
        assert!(dead.killed_at("send.claimed", 0, || dead.send(9)).is_none());
        assert!(a.recover(dead.id()));
        a.send(1).expect("there is room");
        let (one, (two, sent)) = both(move || b.receive(), || (c.receive(), a.send(2).is_ok()));
        let got: Vec<_> = some(one).chain(some(two)).chain(drain(&c)).collect();
        assert_eq!(sorted(got), if sent { vec![1, 2] } else { vec![1] });
        ring.check();
    });
}

/// Preemptions: 2.
#[test]
fn two_senders_and_a_receiver_share_one_slot() {
    model(2, || {
        let (ring, [a, b, c]) = Ring::new(1, 0, [SENDER, SENDER, RECEIVER]);
        let a = loom::thread::spawn(move || a.send(1).is_ok());
        let b = loom::thread::spawn(move || b.send(2).is_ok());
        let mut got: Vec<_> = some(c.receive()).collect();
        let sent = [(a.join(), 1), (b.join(), 2)];
        got.extend(drain(&c));
        let sent =
            sent.into_iter().filter(|(sent, _)| *sent.as_ref().expect("no panic")).map(|(_, v)| v);
        assert_eq!(sorted(got), sorted(sent));
        ring.check();
    });
}

#[test]
fn a_batch_arrives_in_order_at_a_batch() {
    model(3, || {
        let (ring, [a, b]) = Ring::new(2, 0, [SENDER, RECEIVER]);
        a.send(1).expect("there is room");
        let (sent, mut got) = both(
            move || a.send_all(&[2, 3]).expect("there is room for one"),
            || b.receive_all(2).expect("one is there"),
        );
        got.extend(drain(&b));
        assert_eq!(got, (1..=1 + sent).collect::<Vec<_>>());
        ring.check();
    });
}

#[test]
fn two_batches_do_not_mix_with_others() {
    model(3, || {
        let (ring, [a, b, c]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER]);
        let (one, two) = both(move || a.send_all(&[1, 2]), || b.send_all(&[11, 12]));
        let expected = match (one, two) {
            (Ok(2), Err(NotYet::Busy)) => [1, 2],
            (Err(NotYet::Busy), Ok(2)) => [11, 12],
            other => panic!("{other:?}"),
        };
        assert_eq!(drain(&c), expected);
        ring.check();
    });
}

#[test]
fn two_receivers_of_batches_share_the_messages() {
    model(3, || {
        let (ring, [a, b, c]) = Ring::new(2, 0, [SENDER, RECEIVER, RECEIVER]);
        assert_eq!(a.send_all(&[1, 2]), Ok(2));
        let (one, two) = both(move || b.receive_all(2), || c.receive_all(2));
        let got = one.into_iter().chain(two).flatten().chain(drain(&c));
        assert_eq!(sorted(got), [1, 2]);
        ring.check();
    });
}

/// Two threads send through one handle, and one stops in its claim: what the other knows of "its
/// own" last claim must not keep it from signing (RING-E5).
#[test]
fn threads_of_one_handle_sign_each_others_claims() {
    model(3, || {
        let (ring, [a, b, c]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER]);
        let a = Arc::new(a);
        let thread = a.clone();
        both(
            move || thread.stopped_at("send.written", 0, || thread.send(1)),
            || a.send(2).expect("there is room"),
        );
        ring.check();
        a.die();
        assert!(b.recover(a.id()));
        assert_eq!(drain(&c), [2]);
        ring.check();
    });
}

/// As above, for receivers.
#[test]
fn threads_of_one_handle_sign_each_others_claims_to_receive() {
    model(3, || {
        let (ring, [a, b, c]) = Ring::new(2, 0, [SENDER, RECEIVER, RECEIVER]);
        assert_eq!(a.send_all(&[1, 2]), Ok(2));
        let b = Arc::new(b);
        let thread = b.clone();
        let (_, two) = both(
            move || thread.stopped_at("receive.read", 0, || thread.receive()),
            || b.receive().expect("there are two"),
        );
        ring.check();
        b.die();
        assert!(c.recover(b.id()));
        assert_eq!(sorted(drain(&c).into_iter().chain([two])), [1, 2]);
        ring.check();
    });
}

/// Two receivers free two slots, and a sender that has seen only one of them free finds a claim on
/// the other: it must not take an older state of that slot for a signature (RING-E3: `tail` is
/// loaded with Acquire).
#[test]
fn an_old_state_of_a_slot_is_not_taken_for_a_signature() {
    model(3, || {
        let (ring, [dead, a, b, c]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER, RECEIVER]);
        assert_eq!(a.send_all(&[1, 2]), Ok(2));
        let (stopped, (one, sent)) = both(
            move || {
                let one = b.receive().expect("there are two");
                let stopped = dead.killed_at("send.claimed", 0, || dead.send(9)).is_none();
                if !stopped {
                    dead.die();
                }
                (one, b, stopped)
            },
            || (c.receive().expect("there are two"), a.send(3).is_ok()),
        );
        let (two, _b, _stopped) = stopped;
        assert_eq!(sorted([one, two]), [1, 2]);
        ring.check();
        assert!(c.recover(1));
        assert_eq!(drain(&c), if sent { vec![3] } else { vec![] });
        ring.check();
    });
}

/// The same for receivers, who load `head`: a claim on a message that was published by another
/// sender.
#[test]
fn an_old_state_of_a_slot_is_not_taken_for_a_readers_signature() {
    model(3, || {
        let (ring, [a, b, dead, c]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER, RECEIVER]);
        let ((), one) = both(
            move || {
                a.send(1).expect("there is room");
                if dead.killed_at("receive.claimed", 0, || dead.receive().is_err()).is_some() {
                    dead.die();
                }
            },
            || {
                b.send(2).expect("there is room");
                c.receive()
            },
        );
        ring.check();
        assert!(c.recover(3));
        let got = some(one).chain(drain(&c));
        assert_eq!(sorted(got), [1, 2]);
        ring.check();
    });
}
