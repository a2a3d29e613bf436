//! Sleeping and waking: a lost wake-up is a deadlock.

use ipc_shm::model::{NotYet, RECEIVER, Ring, SENDER, Side};

use crate::{both, bound, model, sorted};

#[test]
fn a_sleeping_receiver_is_woken_by_a_message() {
    model(3, || {
        let (ring, [a, b]) = Ring::new(1, 0, [SENDER, RECEIVER]);
        let ((), got) = both(
            move || {
                a.send(1).expect("there is room");
                a.ring(Side::Receivers, 1);
            },
            || b.waiting(Side::Receivers, || b.receive().ok()),
        );
        assert_eq!(got, 1);
        ring.check();
    });
}

#[test]
fn a_sleeping_sender_is_woken_by_room() {
    model(3, || {
        let (ring, [a, b]) = Ring::new(1, 0, [SENDER, RECEIVER]);
        a.send(1).expect("there is room");
        let (got, ()) = both(
            move || {
                let got = b.receive().expect("it is there");
                b.ring(Side::Senders, 1);
                got
            },
            || a.waiting(Side::Senders, || a.send(2).ok()),
        );
        assert_eq!(got, 1);
        ring.check();
    });
}

#[test]
fn both_sides_sleep_in_turn() {
    model(2, || {
        let (_ring, [a, b]) = Ring::new(1, 0, [SENDER, RECEIVER]);
        let ((), got) = both(
            move || {
                for value in 1..=2 {
                    a.waiting(Side::Senders, || a.send(value).ok());
                    a.ring(Side::Receivers, 1);
                }
            },
            || {
                [(); 2].map(|()| {
                    let value = b.waiting(Side::Receivers, || b.receive().ok());
                    b.ring(Side::Senders, 1);
                    value
                })
            },
        );
        assert_eq!(got, [1, 2]);
    });
}

#[test]
fn a_sender_that_waits_for_a_block_is_woken_by_its_reader() {
    model(3, || {
        let (_ring, [a, b]) = Ring::new(2, 1, [SENDER, RECEIVER]);
        let block = a.loan(1).expect("there is one");
        a.send_block(block).expect("there is room");
        both(
            move || {
                assert_eq!(b.receive(), Ok(1));
                b.ring(Side::Senders, 1);
            },
            || {
                a.waiting(Side::Senders, || a.loan(2));
            },
        );
    });
}

#[test]
fn two_messages_wake_two_sleepers() {
    model(bound(1, 2), || {
        let (_ring, [a, b, c]) = Ring::new(2, 0, [SENDER, RECEIVER, RECEIVER]);
        let b = loom::thread::spawn(move || b.waiting(Side::Receivers, || b.receive().ok()));
        let c = loom::thread::spawn(move || c.waiting(Side::Receivers, || c.receive().ok()));
        for value in 1..=2 {
            a.send(value).expect("there is room");
            a.ring(Side::Receivers, 1);
        }
        assert_eq!(sorted([b.join().expect("woken"), c.join().expect("woken")]), [1, 2]);
    });
}

#[test]
fn a_batch_wakes_as_many_sleepers() {
    model(bound(1, 2), || {
        let (_ring, [a, b, c]) = Ring::new(2, 0, [SENDER, RECEIVER, RECEIVER]);
        let b = loom::thread::spawn(move || b.waiting(Side::Receivers, || b.receive().ok()));
        let c = loom::thread::spawn(move || c.waiting(Side::Receivers, || c.receive().ok()));
        assert_eq!(a.send_all(&[1, 2]), Ok(2));
        a.ring(Side::Receivers, 2);
        assert_eq!(sorted([b.join().expect("woken"), c.join().expect("woken")]), [1, 2]);
    });
}

/// One of two sleepers is woken and has no more time: it passes the wake-up on.
#[test]
fn a_wake_up_that_is_not_used_is_passed_on() {
    model(2, || {
        let (_ring, [a, impatient, c]) = Ring::new(1, 0, [SENDER, RECEIVER, RECEIVER]);
        let ticket = impatient.register(Side::Receivers);
        let impatient = loom::thread::spawn(move || {
            impatient.sleep(Side::Receivers, &ticket);
            impatient.ring(Side::Receivers, 1);
        });
        let c = loom::thread::spawn(move || c.waiting(Side::Receivers, || c.receive().ok()));
        a.send(1).expect("there is room");
        a.ring(Side::Receivers, 1);
        assert_eq!(c.join().expect("woken"), 1);
        // If it still sleeps it was not notified, and may.
        a.send(2).expect("there is room");
        a.ring(Side::Receivers, 1);
        impatient.join().expect("woken");
    });
}

/// One of two waits for other things too, is woken, and leaves without looking again: the other is
/// woken in its place.
#[test]
fn a_wake_of_a_waiter_that_leaves_is_forwarded() {
    model(2, || {
        let (_ring, [a, selector, c]) = Ring::new(1, 0, [SENDER, RECEIVER, RECEIVER]);
        let ticket = selector.register(Side::Receivers);
        let selector = loom::thread::spawn(move || {
            selector.sleep(Side::Receivers, &ticket);
            selector.leave_unused(Side::Receivers, ticket);
        });
        let c = loom::thread::spawn(move || c.waiting(Side::Receivers, || c.receive().ok()));
        a.send(1).expect("there is room");
        a.ring(Side::Receivers, 1);
        assert_eq!(c.join().expect("woken"), 1);
        // If it still sleeps it was not notified, and may.
        a.send(2).expect("there is room");
        a.ring(Side::Receivers, 1);
        selector.join().expect("woken");
    });
}

/// One of two unregisters while the bell is rung: the other is woken.
#[test]
fn a_wake_is_not_lost_to_a_waiter_that_unregisters() {
    model(2, || {
        let (ring, [a, hasty, c]) = Ring::new(1, 0, [SENDER, RECEIVER, RECEIVER]);
        let hasty = loom::thread::spawn(move || {
            let ticket = hasty.register(Side::Receivers);
            hasty.unregister(Side::Receivers, ticket);
        });
        let c = loom::thread::spawn(move || c.waiting(Side::Receivers, || c.receive().ok()));
        a.send(1).expect("there is room");
        a.ring(Side::Receivers, 1);
        assert_eq!(c.join().expect("woken"), 1);
        hasty.join().expect("it does not sleep");
        // Its token may be left behind: the next ring drops it.
        assert!(ring.tokens(Side::Receivers) <= 1);
        a.ring(Side::Receivers, 1);
        assert_eq!(ring.tokens(Side::Receivers), 0);
    });
}

/// Whose token was used unregisters late, when another has registered: that one's token stays.
#[test]
fn a_waiter_that_unregisters_takes_no_other_waiters_token() {
    model(3, || {
        let (_ring, [a, hasty, c]) = Ring::new(2, 0, [SENDER, RECEIVER, RECEIVER]);
        let ticket = hasty.register(Side::Receivers);
        a.send(1).expect("there is room");
        a.ring(Side::Receivers, 1);
        both(
            move || c.waiting(Side::Receivers, || c.receive().ok()),
            || {
                let _ = hasty.receive();
                hasty.unregister(Side::Receivers, ticket);
                a.send(2).expect("there is room");
                a.ring(Side::Receivers, 1);
            },
        );
    });
}

#[test]
fn the_last_sender_to_leave_wakes_every_receiver() {
    model(3, || {
        let (_ring, [a, b]) = Ring::new(1, 0, [SENDER, RECEIVER]);
        both(
            move || a.leave(),
            || b.waiting(Side::Receivers, || (b.receive().is_err() && b.finished()).then_some(())),
        );
    });
}

#[test]
fn the_last_receiver_to_leave_wakes_every_sender() {
    model(3, || {
        let (_ring, [a, b]) = Ring::new(1, 0, [SENDER, RECEIVER]);
        a.send(1).expect("there is room");
        both(
            move || b.leave(),
            // Discarding makes room, but a claim is no longer possible.
            || a.waiting(Side::Senders, || (a.send(2) == Err(NotYet::Closed)).then_some(())),
        );
    });
}

/// What a dead receiver had taken wakes another.
#[test]
fn a_repair_wakes_a_receiver_that_sleeps() {
    model(2, || {
        let (_ring, [a, dead, b]) = Ring::new(1, 0, [SENDER, RECEIVER, RECEIVER]);
        a.send(1).expect("there is room");
        assert!(dead.killed_at("receive.read", 0, || dead.receive()).is_none());
        let (_, got) =
            both(move || assert!(a.recover(2)), || b.waiting(Side::Receivers, || b.receive().ok()));
        assert_eq!(got, 1);
    });
}

#[test]
fn a_process_with_a_bell_socket_is_woken_by_a_message() {
    model(3, || {
        let (ring, [a, b]) = Ring::new(1, 0, [SENDER, RECEIVER]);
        let ((), got) = both(
            move || {
                a.send(1).expect("there is room");
                a.ring(Side::Receivers, 1);
            },
            || b.waiting_on_socket(Side::Receivers, || b.receive().ok()),
        );
        assert_eq!(got, 1);
        ring.check();
    });
}

/// The first ring may find that no bit is set while the receiver registers again.
#[test]
fn a_process_with_a_bell_socket_is_woken_again_and_again() {
    model(2, || {
        let (ring, [a, b]) = Ring::new(2, 0, [SENDER, RECEIVER]);
        let ((), got) = both(
            move || {
                for value in 1..=2 {
                    a.send(value).expect("there is room");
                    a.ring(Side::Receivers, 1);
                }
            },
            || [(); 2].map(|()| b.waiting_on_socket(Side::Receivers, || b.receive().ok())),
        );
        assert_eq!(got, [1, 2]);
        // What is left of the registrations costs one look at the bits.
        b.ring(Side::Receivers, 1);
        assert!(!ring.has_waiters(Side::Receivers));
    });
}

/// Of two wakers one clears the word while the receiver registers again.
#[test]
fn two_wakers_and_a_bell_socket_lose_no_wake_up() {
    model(1, || {
        let (_ring, [a, b, c]) = Ring::new(2, 0, [SENDER, SENDER, RECEIVER]);
        let send = |peer: ipc_shm::model::Peer| {
            move || {
                peer.send(1).expect("there is room");
                peer.ring(Side::Receivers, 1);
            }
        };
        let a = loom::thread::spawn(send(a));
        let b = loom::thread::spawn(send(b));
        for _ in 0..2 {
            assert_eq!(c.waiting_on_socket(Side::Receivers, || c.receive().ok()), 1);
        }
        a.join().expect("it sends");
        b.join().expect("it sends");
    });
}

#[test]
fn two_messages_wake_a_thread_and_a_bell_socket() {
    model(bound(1, 2), || {
        let (_ring, [a, b, c]) = Ring::new(2, 0, [SENDER, RECEIVER, RECEIVER]);
        let b = loom::thread::spawn(move || b.waiting(Side::Receivers, || b.receive().ok()));
        let c =
            loom::thread::spawn(move || c.waiting_on_socket(Side::Receivers, || c.receive().ok()));
        for value in 1..=2 {
            a.send(value).expect("there is room");
            a.ring(Side::Receivers, 1);
        }
        assert_eq!(sorted([b.join().expect("woken"), c.join().expect("woken")]), [1, 2]);
    });
}

/// A token that is left behind does not hide a bell socket.
#[test]
fn a_token_without_a_sleeper_hides_no_bell_socket() {
    model(2, || {
        let (_ring, [a, gone, c]) = Ring::new(1, 0, [SENDER, RECEIVER, RECEIVER]);
        let _left = gone.register(Side::Receivers);
        let ((), got) = both(
            move || {
                a.send(1).expect("there is room");
                a.ring(Side::Receivers, 1);
            },
            || c.waiting_on_socket(Side::Receivers, || c.receive().ok()),
        );
        assert_eq!(got, 1);
    });
}

/// One of two leaves while it is notified: the other is woken in its place.
#[test]
fn a_wake_is_not_lost_to_a_bell_socket_that_unregisters() {
    model(2, || {
        let (_ring, [a, hasty, c]) = Ring::new(1, 0, [SENDER, RECEIVER, RECEIVER]);
        hasty.arm(Side::Receivers);
        let hasty = loom::thread::spawn(move || hasty.disarm(Side::Receivers));
        let c =
            loom::thread::spawn(move || c.waiting_on_socket(Side::Receivers, || c.receive().ok()));
        a.send(1).expect("there is room");
        a.ring(Side::Receivers, 1);
        assert_eq!(c.join().expect("woken"), 1);
        hasty.join().expect("it does not sleep");
    });
}

/// The datagram to a dead process is refused. The next one gets it.
#[test]
fn a_dead_process_with_a_bell_socket_uses_up_no_wake_up() {
    model(2, || {
        let (_ring, [a, dead, c]) = Ring::new(1, 0, [SENDER, RECEIVER, RECEIVER]);
        dead.arm(Side::Receivers);
        dead.die();
        let ((), got) = both(
            move || {
                a.send(1).expect("there is room");
                a.ring(Side::Receivers, 1);
            },
            || c.waiting_on_socket(Side::Receivers, || c.receive().ok()),
        );
        assert_eq!(got, 1);
    });
}

/// A waker that is killed between its claim and its datagram is recovered, which wakes everyone.
#[test]
fn a_dead_wakers_claim_is_made_good_by_its_recovery() {
    model(2, || {
        let (_ring, [a, b, c]) = Ring::new(1, 0, [SENDER, RECEIVER, RECEIVER]);
        b.arm(Side::Receivers);
        a.send(1).expect("there is room");
        assert!(a.killed_at("ring.call", 0, || a.ring(Side::Receivers, 1)).is_none());
        let (recovered, got) = both(
            move || c.recover(1),
            || {
                b.sleep_on_socket(Side::Receivers);
                b.waiting_on_socket(Side::Receivers, || b.receive().ok())
            },
        );
        assert!(recovered);
        assert_eq!(got, 1);
    });
}
