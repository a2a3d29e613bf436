//! Messages in blocks: in flight, lent, lost, and given back.

use ipc_shm::model::{BOTH, NotYet, Peer, RECEIVER, Ring, SENDER};

use crate::{both, drain, model, some, sorted};

fn send_boxed(peer: &Peer, value: u64) -> Result<(), NotYet> {
    let block = peer.loan(value).ok_or(NotYet::Busy)?;
    peer.send_block(block).inspect_err(|_| peer.free_block(block))
}

#[test]
fn a_message_in_a_block_arrives_whole() {
    model(3, || {
        let (ring, [a, b]) = Ring::new(2, 1, [SENDER, RECEIVER]);
        let (sent, mut got) = both(
            move || (1..=2).take_while(|&value| send_boxed(&a, value).is_ok()).count() as u64,
            || (0..2).flat_map(|_| some(b.receive())).collect::<Vec<_>>(),
        );
        got.extend(drain(&b));
        assert_eq!(got, (1..=sent).collect::<Vec<_>>());
        assert_eq!(ring.blocks_free(), 1);
        ring.check();
    });
}

#[test]
fn two_senders_take_two_blocks() {
    model(3, || {
        let (ring, [a, b, c]) = Ring::new(2, 2, [SENDER, SENDER, RECEIVER]);
        both(
            move || send_boxed(&a, 1).expect("there is a block for each"),
            || send_boxed(&b, 2).expect("there is a block for each"),
        );
        assert_eq!(sorted(drain(&c)), [1, 2]);
        assert_eq!(ring.blocks_free(), 2);
    });
}

#[test]
fn a_block_is_loaned_only_after_it_was_read() {
    model(3, || {
        let (ring, [a, b]) = Ring::new(2, 1, [SENDER, RECEIVER]);
        send_boxed(&a, 1).expect("there is room");
        let held = b.borrow().expect("it is there");
        let (loaned, ()) = both(move || (a.loan(2), a).0.is_some(), || b.acknowledge(held));
        assert_eq!(ring.blocks_free(), usize::from(!loaned));
    });
}

/// A borrowed inline message moves into a block, and its slot is written again while it is read.
#[test]
fn a_borrowed_message_stands_still_while_its_slot_is_reused() {
    model(3, || {
        let (ring, [a, b]) = Ring::new(1, 1, [SENDER, RECEIVER]);
        a.send(1).expect("there is room");
        let (sent, value) = both(
            move || a.send(2).is_ok(),
            || {
                let held = b.borrow().expect("it is there");
                let value = held.value;
                b.acknowledge(held);
                value
            },
        );
        assert_eq!(value, 1);
        assert_eq!(drain(&b), if sent { vec![2] } else { vec![] });
        assert_eq!(ring.blocks_free(), 1);
        ring.check();
    });
}

/// Without a block it stays in its slot, signed, while others go on around it.
#[test]
fn a_borrowed_slot_is_kept() {
    model(3, || {
        let (ring, [a, b, c]) = Ring::new(2, 0, [SENDER, RECEIVER, RECEIVER]);
        assert_eq!(a.send_all(&[1, 2]), Ok(2));
        let held = b.borrow().expect("it is there");
        let ((a, sent), two) = both(
            move || {
                let sent = a.send(3).is_ok();
                (a, sent)
            },
            || {
                let two = c.receive().expect("there is another");
                b.acknowledge(held);
                two
            },
        );
        assert_eq!(two, 2);
        ring.check();
        assert_eq!(drain(&c), if sent { vec![3] } else { vec![] });
        drop(a);
    });
}

/// A sender of a block dies at any point: its message was sent or not, and no block is leaked.
#[test]
fn a_dead_senders_block_comes_back() {
    for point in ["loan.held", "send.claimed", "send.fly", "send.written", "send.published"] {
        model(2, move || {
            let (ring, [dead, a, b]) = Ring::new(1, 1, [SENDER, BOTH, RECEIVER]);
            let ((), one) = both(
                move || assert!(dead.killed_at(point, 0, || send_boxed(&dead, 1)).is_none()),
                || b.receive(),
            );
            let published = point == "send.published";
            assert!(published || one.is_err());
            let (repaired, two) = both(move || (a.recover(1), a), || b.receive());
            let (repaired, a) = repaired;
            assert!(repaired);
            ring.check();
            let got: Vec<_> = some(one).chain(some(two)).chain(drain(&b)).collect();
            assert_eq!(got, if published { vec![1] } else { vec![] });
            assert_eq!(ring.blocks_free(), 1);
            send_boxed(&a, 2).expect("there is room");
            b.leave();
            a.leave();
            ring.check_empty();
        });
    }
}

const READING: [&str; 6] = [
    "receive.claimed",
    "receive.lend",
    "receive.lent",
    "receive.block",
    "block.free",
    "block.freed",
];

/// A receiver of a block dies at any point before it has acknowledged the message: another gets it.
#[test]
fn a_dead_receivers_block_is_redelivered() {
    for point in READING {
        model(2, move || {
            let (ring, [a, dead, b]) = Ring::new(1, 1, [SENDER, RECEIVER, RECEIVER]);
            send_boxed(&a, 1).expect("there is room");
            assert!(dead.killed_at(point, 0, || dead.receive()).is_none());
            let ((repaired, a), one) = both(move || (a.recover(2), a), || b.receive());
            assert!(repaired);
            ring.check();
            let got: Vec<_> = some(one).chain(drain(&b)).collect();
            assert_eq!(got, if point == "block.freed" { vec![] } else { vec![1] });
            assert_eq!(ring.blocks_free(), 1);
            b.leave();
            a.leave();
            ring.check_empty();
        });
    }
}

/// As above, for an inline message that moves into a block, beside a receiver and after it a
/// sender.
#[test]
fn a_dead_receivers_moved_message_is_redelivered() {
    for point in
        ["loan.held", "receive.lend_inline", "receive.lent_inline", "receive.read", "receive.freed"]
    {
        model(2, move || {
            let (ring, [a, dead, b]) = Ring::new(1, 1, [SENDER, RECEIVER, RECEIVER]);
            a.send(1).expect("there is room");
            assert!(dead.killed_at(point, 0, || dead.borrow()).is_none());
            let ((repaired, a), one) = both(move || (a.recover(2), a), || b.receive());
            assert!(repaired);
            ring.check();
            let got: Vec<_> = some(one).chain(drain(&b)).collect();
            assert_eq!(got, [1]);
            a.send(2).expect("the slot is free");
            assert_eq!(drain(&b), [2]);
            b.leave();
            a.leave();
            ring.check_empty();
        });
    }
}

/// Slot and block of a dead receiver's message are one message, also when the repairer dies between
/// them.
#[test]
fn a_dead_repairer_leaves_one_message() {
    for point in ["clean.lent_slot", "clean.lost"] {
        model(2, move || {
            let (ring, [a, dead, repairer, b]) =
                Ring::new(1, 1, [SENDER, RECEIVER, RECEIVER, RECEIVER]);
            send_boxed(&a, 1).expect("there is room");
            assert!(dead.killed_at("receive.lent", 0, || dead.receive()).is_none());
            assert!(repairer.killed_at(point, 0, || repairer.recover(2)).is_none());
            let early = drain(&b);
            assert!(b.recover(3) && b.recover(2));
            ring.check();
            let got: Vec<_> = early.into_iter().chain(drain(&b)).collect();
            assert_eq!(got, [1]);
            assert_eq!(ring.blocks_free(), 1);
            send_boxed(&a, 2).expect("the slot is free");
            assert_eq!(drain(&b), [2]);
            b.leave();
            a.leave();
            ring.check_empty();
        });
    }
}

#[test]
fn of_two_adopters_one_gets_the_lost_block() {
    model(3, || {
        let (ring, [a, dead, b, c]) = Ring::new(1, 1, [SENDER, RECEIVER, RECEIVER, RECEIVER]);
        send_boxed(&a, 1).expect("there is room");
        assert!(dead.killed_at("receive.block", 0, || dead.receive()).is_none());
        assert!(a.recover(2));
        let (one, two) = both(move || b.borrow().ok(), || c.borrow().ok());
        assert_eq!(one.iter().chain(&two).map(|held| held.value).collect::<Vec<_>>(), [1]);
        ring.check();
    });
}

/// While a dead receiver's message is on its way to another, no receiver is told that nothing will
/// come.
#[test]
fn disconnected_is_returned_only_when_no_message_can_arrive() {
    for (borrowed, point) in [
        (false, "receive.claimed"),
        (false, "receive.lent"),
        (false, "receive.block"),
        (true, "receive.lent_inline"),
    ] {
        model(2, move || {
            let (ring, [a, dead, b, c]) = Ring::new(1, 1, [SENDER, RECEIVER, RECEIVER, RECEIVER]);
            if borrowed {
                a.send(1).expect("there is room");
            } else {
                send_boxed(&a, 1).expect("there is room");
            }
            a.leave();
            let ((), told) = both(
                move || {
                    let late = match borrowed {
                        true => dead.killed_at(point, 0, || assert!(dead.borrow().is_err())),
                        false => dead.killed_at(point, 0, || assert!(dead.receive().is_err())),
                    };
                    if late.is_some() {
                        dead.die();
                    }
                    assert!(c.recover(2));
                },
                || match b.receive() {
                    Err(_) if b.finished() => None,
                    one => Some(one.ok()),
                },
            );
            let one = told.expect("no receiver got the message yet").into_iter();
            assert_eq!(one.chain(drain(&b)).collect::<Vec<_>>(), [1]);
            assert!(b.finished());
            ring.check();
        });
    }
}

/// A receiver that leaves with a forgotten guard gives its message to the others.
#[test]
fn a_forgotten_guard_is_given_back() {
    for blocks in [0, 1] {
        model(3, move || {
            let (ring, [a, b, c]) = Ring::new(1, blocks, [SENDER, RECEIVER, RECEIVER]);
            a.send(1).expect("there is room");
            let forgotten = b.borrow().expect("it is there");
            drop(forgotten);
            let ((), one) = both(move || b.leave(), || c.receive());
            assert_eq!(some(one).chain(drain(&c)).collect::<Vec<_>>(), [1]);
            c.leave();
            a.leave();
            ring.check_empty();
        });
    }
}

/// The last one of all leaves with a guard that was forgotten: no receiver is left to give it to,
/// and nothing stays.
#[test]
fn what_the_last_one_forgot_is_discarded() {
    for blocks in [0, 1] {
        model(2, move || {
            let (ring, [a, b]) = Ring::new(1, blocks, [SENDER, RECEIVER]);
            a.send(1).expect("there is room");
            drop(b.borrow().expect("it is there"));
            a.leave();
            b.leave();
            ring.check_empty();
        });
    }
}
