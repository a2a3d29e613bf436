//! Killed in the middle: what others do meanwhile, and what they find afterwards.

use ipc_shm::model::{BOTH, RECEIVER, Ring, SENDER};

use crate::{both, bound, drain, model, some, sorted};

const SENDING: [&str; 4] = ["send.claim", "send.claimed", "send.written", "send.published"];
const RECEIVING: [&str; 4] = ["receive.claim", "receive.claimed", "receive.read", "receive.freed"];

/// While one recovers a dead sender, another sends: behind its claim, or before it was cleared.
#[test]
fn a_dead_senders_claim_is_voided_while_others_send() {
    for point in SENDING {
        model(3, move || {
            let (ring, [dead, a, b]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER]);
            assert!(dead.killed_at(point, 0, || dead.send(1)).is_none());
            let (repaired, b) =
                both(move || (b.recover(1), b), || a.send(2).expect("there is room for it")).0;
            assert!(repaired);
            ring.check();
            let published = point == "send.published";
            assert_eq!(drain(&b), if published { vec![1, 2] } else { vec![2] });
            // Both slots are in use again.
            ring.check();
        });
    }
}

/// A sender dies while another claims behind it: the claim must be found, by its signature or in
/// `tail`.
#[test]
fn a_sender_that_dies_beside_another_is_found() {
    for point in SENDING {
        model(3, move || {
            let (ring, [dead, a, b]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER]);
            both(
                move || assert!(dead.killed_at(point, 0, || dead.send(1)).is_none()),
                || a.send(2).expect("there is room"),
            );
            ring.check();
            assert!(b.recover(1));
            ring.check();
            let published = point == "send.published";
            assert_eq!(sorted(drain(&b)), if published { vec![1, 2] } else { vec![2] });
            ring.check();
        });
    }
}

/// A sender dies after the first message of its batch was published.
#[test]
fn a_sender_that_dies_in_its_batch_has_sent_the_first() {
    model(3, || {
        let (ring, [dead, a, b]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER]);
        let ((), one) = both(
            move || assert!(dead.killed_at("send.claimed", 1, || dead.send_all(&[1, 2])).is_none()),
            || b.receive(),
        );
        assert!(b.recover(1));
        ring.check();
        assert_eq!(a.send(3).is_ok(), one.is_ok());
        let got: Vec<_> = some(one).chain(drain(&b)).collect();
        assert_eq!(got[0], 1);
        assert!(got[1..].is_empty() || got[1..] == [3]);
        ring.check();
    });
}

/// A process that signs for a dead batch dies in the middle of it, beside another: what is signed
/// is signed upwards, so that one finds the rest.
#[test]
fn a_signer_that_dies_in_the_middle_is_followed() {
    model(3, || {
        let (ring, [dead, signer, a, b]) = Ring::new(4, 0, [SENDER, SENDER, SENDER, RECEIVER]);
        assert!(dead.killed_at("send.claimed", 0, || dead.send_all(&[1, 2])).is_none());
        both(
            move || {
                // It comes there only if it is the first.
                if signer.killed_at("send.sign", 1, || signer.send(3)).is_some() {
                    signer.die();
                }
            },
            || a.send(4).expect("there is room"),
        );
        b.recover(1);
        b.recover(2);
        ring.check();
        let got = sorted(drain(&b));
        assert!(got == [4] || got == [3, 4], "{got:?}");
        ring.check();
    });
}

/// A receiver dies at what a dead sender left, and another goes on: the slot is used again.
#[test]
fn a_void_of_a_dead_receiver_is_freed() {
    model(2, || {
        let (ring, [dead, a, dies, b]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER, RECEIVER]);
        assert!(dead.killed_at("send.claimed", 0, || dead.send(1)).is_none());
        assert!(a.recover(1));
        a.send(2).expect("there is room");
        assert!(dies.killed_at("receive.void", 0, || dies.receive()).is_none());
        assert_eq!(b.receive(), Ok(2));
        assert!(b.recover(3));
        ring.check();
        assert_eq!(a.send_all(&[3, 4]), Ok(2), "both slots are free");
        assert_eq!(drain(&b), [3, 4]);
        ring.check();
    });
}

/// While one recovers a dead receiver, another receives: its message comes to one of them, once.
#[test]
fn a_dead_receivers_message_is_redelivered_while_others_receive() {
    for point in RECEIVING {
        model(3, move || {
            let (ring, [a, dead, b, c]) = Ring::new(2, 0, [SENDER, RECEIVER, RECEIVER, RECEIVER]);
            assert_eq!(a.send_all(&[1, 2]), Ok(2));
            assert!(dead.killed_at(point, 0, || dead.receive()).is_none());
            let (repaired, one) = both(move || c.recover(2), || b.receive().expect("one is there"));
            assert!(repaired);
            ring.check();
            let got: Vec<_> = [one].into_iter().chain(drain(&b)).collect();
            let received = point == "receive.freed";
            assert_eq!(sorted(got), if received { vec![2] } else { vec![1, 2] });
            ring.check();
        });
    }
}

/// A receiver dies while another claims behind it.
#[test]
fn a_receiver_that_dies_beside_another_is_found() {
    for point in RECEIVING {
        model(3, move || {
            let (ring, [a, dead, b]) = Ring::new(2, 0, [SENDER, RECEIVER, RECEIVER]);
            assert_eq!(a.send_all(&[1, 2]), Ok(2));
            let ((), one) = both(
                move || assert!(dead.killed_at(point, 0, || dead.receive()).is_none()),
                || b.receive().expect("there are two"),
            );
            ring.check();
            assert!(b.recover(2));
            ring.check();
            let got = sorted([one].into_iter().chain(drain(&b)));
            let received = point == "receive.freed";
            assert!(if received { got.len() == 1 } else { got == [1, 2] }, "{got:?}");
            ring.check();
        });
    }
}

#[test]
fn of_two_adopters_one_gets_the_orphan() {
    model(3, || {
        let (ring, [a, dead, b, c]) = Ring::new(1, 0, [SENDER, RECEIVER, RECEIVER, RECEIVER]);
        a.send(1).expect("there is room");
        assert!(dead.killed_at("receive.read", 0, || dead.receive()).is_none());
        assert!(a.recover(2));
        let (one, two) = both(move || b.receive(), || c.receive());
        assert_eq!(some(one).chain(some(two)).collect::<Vec<_>>(), [1]);
        ring.check();
        a.send(2).expect("its slot is free");
    });
}

#[test]
fn an_orphan_and_a_message_go_to_two_receivers() {
    model(3, || {
        let (ring, [a, dead, b, c]) = Ring::new(2, 0, [SENDER, RECEIVER, RECEIVER, RECEIVER]);
        assert_eq!(a.send_all(&[1, 2]), Ok(2));
        assert!(dead.killed_at("receive.read", 0, || dead.receive()).is_none());
        assert!(a.recover(2));
        let (one, two) = both(move || b.receive(), || c.receive());
        let got = some(one).chain(some(two)).chain(drain(&c));
        assert_eq!(sorted(got), [1, 2]);
        ring.check();
    });
}

/// The orphan is made while a receiver looks: it finds it now, or is reminded of it by
/// `orphan_seq`.
#[test]
fn an_orphan_made_during_a_scan_is_found_later() {
    model(bound(2, 3), || {
        let (ring, [a, dead, b, other]) = Ring::new(1, 0, [BOTH, RECEIVER, RECEIVER, RECEIVER]);
        a.send(1).expect("there is room");
        // Another one was recovered before, so there is a reason to scan already.
        other.die();
        assert!(a.recover(4));
        assert!(dead.killed_at("receive.claimed", 0, || dead.receive()).is_none());
        let (repaired, (mut got, b)) = both(
            move || a.recover(2),
            || ((0..2).flat_map(|_| some(b.receive())).collect::<Vec<_>>(), b),
        );
        assert!(repaired);
        got.extend(drain(&b));
        assert_eq!(got, [1]);
        ring.check();
    });
}

#[test]
fn an_orphans_slot_is_written_only_after_it_was_read() {
    model(3, || {
        let (ring, [a, dead, b]) = Ring::new(1, 0, [SENDER, RECEIVER, RECEIVER]);
        a.send(1).expect("there is room");
        assert!(dead.killed_at("receive.read", 0, || dead.receive()).is_none());
        assert!(b.recover(2));
        let (sent, one) =
            both(move || a.send(2).is_ok(), || b.receive().expect("there is an orphan"));
        assert_eq!(one, 1);
        assert_eq!(drain(&b), if sent { vec![2] } else { vec![] });
        ring.check();
    });
}

#[test]
fn of_two_recoverers_one_repairs() {
    for point in ["send.claimed", "send.published"] {
        model(2, move || {
            let (ring, [dead, a, b]) = Ring::new(1, 0, [SENDER, BOTH, BOTH]);
            assert!(dead.killed_at(point, 0, || dead.send(1)).is_none());
            let (one, two) = both(move || a.recover(1), || b.recover(1));
            assert!(one != two);
            ring.check();
            assert_eq!(drain(&b).len(), usize::from(point == "send.published"));
            b.send(2).expect("there is room");
            ring.check();
        });
    }
}

/// A repairer dies at each of its steps while another is about to repair; whoever comes last
/// repairs both.
#[test]
fn a_repair_may_be_begun_again_at_any_point() {
    const POINTS: [&str; 8] = [
        "recover.leased",
        "recover.roles",
        "clean.tail",
        "clean.head",
        "clean.orphan",
        "recover.orphans",
        "wake_all.tokens",
        "recover.free",
    ];
    for point in POINTS {
        // Preemptions: 2.
        model(2, move || {
            let (ring, [dead, late, a]) = Ring::new(1, 0, [BOTH, BOTH, BOTH]);
            dead.send(1).expect("there is room");
            assert!(dead.killed_at("receive.read", 0, || dead.receive()).is_none());
            let ((), _) = both(
                move || {
                    late.killed_at(point, 0, || late.recover(1));
                    late.die();
                },
                || a.recover(1),
            );
            a.recover_all();
            a.recover_all();
            ring.check();
            assert_eq!(drain(&a), [1]);
            a.leave();
            ring.check_empty();
        });
    }
}
