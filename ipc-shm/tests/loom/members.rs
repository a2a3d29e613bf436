//! The participants: attach, leave, closing, ids used again.

use ipc_shm::model::{BOTH, NotYet, RECEIVER, Ring, SENDER};

use crate::{both, bound, drain, model, some};

#[test]
fn of_the_last_two_senders_one_closes() {
    model(bound(2, 3), || {
        let (ring, [a, b, c]) = Ring::new(1, 0, [SENDER, SENDER, RECEIVER]);
        both(move || a.leave(), || b.leave());
        assert!(ring.senders_gone() && !ring.receivers_gone());
        assert!(ring.closed() && c.finished());
        c.leave();
        ring.check_empty();
    });
}

#[test]
fn of_the_last_two_receivers_one_closes_and_discards() {
    // With 3 it takes minutes.
    model(bound(1, 2), || {
        let (ring, [a, b, c]) = Ring::new(1, 1, [SENDER, RECEIVER, RECEIVER]);
        let block = a.loan(1).expect("there is one");
        a.send_block(block).expect("there is room");
        both(move || b.leave(), || c.leave());
        assert!(ring.receivers_gone() && !ring.senders_gone());
        assert_eq!(a.send(2), Err(NotYet::Closed));
        assert_eq!(ring.blocks_free(), 1);
        a.leave();
        ring.check_empty();
    });
}

#[test]
fn when_both_sides_leave_both_are_gone() {
    model(bound(2, 3), || {
        let (ring, [a, b]) = Ring::new(1, 0, [SENDER, RECEIVER]);
        both(move || a.leave(), || b.leave());
        assert!(ring.senders_gone() && ring.receivers_gone() && ring.closed());
        ring.check_empty();
    });
}

#[test]
fn two_that_drop_their_last_sender_close_and_stay() {
    model(3, || {
        let (ring, [a, b]) = Ring::new(1, 0, [BOTH, BOTH]);
        let (a, ()) = both(
            move || {
                a.leave_role(RECEIVER);
                a
            },
            || b.leave_role(RECEIVER),
        );
        assert!(ring.senders_gone() && !ring.receivers_gone());
        assert!(a.finished() && b.finished());
    });
}

/// A leaver and a dead sender: the last one that settles the membership sees that none is left.
#[test]
fn a_process_that_leaves_and_a_recovering_one_find_no_participant() {
    model(bound(2, 3), || {
        let (ring, [dead, a, b]) = Ring::new(1, 0, [SENDER, SENDER, RECEIVER]);
        dead.die();
        both(move || a.leave(), || assert!(b.recover(1)));
        assert!(ring.senders_gone() && b.finished());
    });
}

/// What is sent while the last receiver leaves is refused or discarded, and its block comes back.
#[test]
fn a_message_to_a_leaving_receiver_is_refused_or_discarded() {
    model(3, || {
        let (ring, [a, b]) = Ring::new(1, 1, [SENDER, RECEIVER]);
        let (a, ()) = both(
            move || {
                let block = a.loan(1).expect("there is one");
                match a.send_block(block) {
                    Ok(()) => {}
                    Err(NotYet::Closed) => a.free_block(block),
                    Err(NotYet::Busy) => panic!("there is room"),
                }
                a
            },
            || b.leave(),
        );
        assert!(ring.closed());
        assert_eq!(a.send(2), Err(NotYet::Closed));
        a.leave();
        ring.check_empty();
    });
}

/// A claim before the ring was closed is published and arrives.
#[test]
fn what_was_sent_before_the_close_arrives() {
    model(3, || {
        let (ring, [a, b]) = Ring::new(1, 0, [SENDER, RECEIVER]);
        let ((), told) = both(
            move || {
                a.send(1).expect("there is room");
                a.leave();
            },
            || match b.receive() {
                Err(_) if b.finished() => None,
                one => Some(one),
            },
        );
        let one = told.expect("a message was sent");
        assert_eq!(some(one).chain(drain(&b)).collect::<Vec<_>>(), [1]);
        assert!(b.finished());
        ring.check();
    });
}

/// Either the newcomer was counted, or it learns that its side is gone.
#[test]
fn a_process_that_joins_while_the_last_of_its_side_leaves_is_in_or_refused() {
    model(bound(2, 3), || {
        let (ring, [a, b, late]) = Ring::new(1, 0, [SENDER, RECEIVER, 0]);
        let (joined, ()) = both(
            move || {
                let joined = late.attach(SENDER).expect("the id is free");
                assert!(!joined || late.send(1).is_ok());
                joined
            },
            || a.leave(),
        );
        assert_eq!(ring.senders_gone(), !joined);
        assert_eq!(ring.closed(), !joined);
        assert_eq!(drain(&b), if joined { vec![1] } else { vec![] });
        ring.check();
    });
}

/// A receiver may come after the senders have gone, and still gets what is queued.
#[test]
fn a_receiver_that_joins_while_the_last_sender_leaves_gets_the_rest() {
    model(3, || {
        let (ring, [a, b, late]) = Ring::new(1, 0, [SENDER, RECEIVER, 0]);
        a.send(1).expect("there is room");
        let (late, ()) = both(
            move || {
                assert_eq!(late.attach(RECEIVER), Some(true));
                late
            },
            || a.leave(),
        );
        assert!(ring.senders_gone());
        assert_eq!(drain(&late), [1]);
        assert!(late.finished() && b.finished());
    });
}

/// A sender may come after the receivers have gone: it is told so with its first message at the
/// latest.
#[test]
fn a_sender_that_joins_while_the_last_receiver_leaves_is_disconnected() {
    model(3, || {
        let (ring, [a, b, late]) = Ring::new(1, 1, [SENDER, RECEIVER, 0]);
        let (late, ()) = both(
            move || {
                let gone = late.sees_receivers_gone();
                assert_eq!(late.attach(SENDER), Some(true));
                assert!(!gone || late.send(1) == Err(NotYet::Closed));
                late
            },
            || b.leave(),
        );
        assert!(ring.receivers_gone());
        assert_eq!(late.send(2), Err(NotYet::Closed));
        a.leave();
        late.leave();
        ring.check_empty();
    });
}

/// An endpoint that arrives in a process which is attached already: the process counts the role,
/// then the id it came under leaves; at each time one is there.
#[test]
fn a_role_that_is_handed_over_is_never_gone() {
    model(3, || {
        let (ring, [process, transit, last, c]) =
            Ring::new(1, 0, [RECEIVER, SENDER, SENDER, RECEIVER]);
        let (process, ()) = both(
            move || {
                assert!(process.join(BOTH));
                transit.leave();
                process
            },
            || last.leave(),
        );
        assert!(!ring.senders_gone() && !ring.closed());
        process.send(1).expect("there is room");
        assert_eq!(drain(&c), [1]);
        ring.check();
    });
}

/// An id is given out again only when no word names it.
#[test]
fn an_id_is_used_again_after_it_was_repaired() {
    model(3, || {
        let (ring, [dead, b]) = Ring::new(2, 0, [SENDER, BOTH]);
        let late = dead.successor();
        assert!(dead.killed_at("send.claimed", 0, || dead.send(9)).is_none());
        let (late, repaired) = both(
            move || {
                let attached = late.attach(SENDER);
                if attached == Some(true) {
                    late.send(1).expect("there is room");
                }
                (late, attached)
            },
            || b.recover(1),
        );
        assert!(repaired || late.1.is_none());
        if !repaired {
            assert!(b.recover(1));
        }
        ring.check();
        assert_eq!(drain(&b), if late.1.is_some() { vec![1] } else { vec![] });
    });
}

/// A leaver's id is given out again: nothing of it is left.
#[test]
fn an_id_is_used_again_after_it_was_left() {
    model(3, || {
        let (ring, [a, b]) = Ring::new(2, 1, [SENDER, BOTH]);
        let late = a.successor();
        a.send(1).expect("there is room");
        let (late, ()) = both(move || (late.attach(SENDER), late), || a.leave());
        ring.check();
        assert_ne!(late.0, Some(false), "a sender was there all the time");
        if late.0.is_some() {
            late.1.send(2).expect("there is room");
        }
        assert_eq!(drain(&b)[0], 1);
        ring.check();
    });
}
