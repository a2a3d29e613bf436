//! Mutex, readers-writer lock, condition, semaphore, once, event, barrier.
//!
//! A wake-up that is lost is a deadlock; with a death, each sleeper looks around once.

use ipc_shm::lock::model::{Peer, processes, with};

use crate::{both, bound, model};

fn add_locked(peer: &Peer) {
    peer.lock();
    peer.value().add(1);
    peer.unlock();
}

#[test]
fn a_mutex_has_one_holder_and_wakes_the_next() {
    model(3, || {
        let [a, b] = processes();
        both(
            move || add_locked(&a),
            || {
                add_locked(&b);
                add_locked(&b);
            },
        );
        b.lock();
        assert_eq!((b.value().read(), b.died()), (3, None));
    });
}

#[test]
fn each_of_three_gets_the_mutex() {
    model(2, || {
        let [a, b, c] = processes();
        let a = loom::thread::spawn(move || add_locked(&a));
        let b = loom::thread::spawn(move || add_locked(&b));
        add_locked(&c);
        a.join().expect("woken");
        b.join().expect("woken");
        c.lock();
        assert_eq!(c.value().read(), 3);
    });
}

/// Two take over from a dead holder: one after the other, and each learns of the death.
#[test]
fn a_dead_holders_mutex_is_taken_over_by_one() {
    model(2, || {
        let [dead, b, c] = processes();
        let next = |peer: &Peer| {
            peer.lock();
            assert_eq!(peer.died(), Some(1));
            peer.value().add(1);
            peer.unlock();
        };
        dead.lock();
        dead.value().add(1);
        let b = loom::thread::spawn(move || next(&b));
        let c = loom::thread::spawn(move || next(&c));
        dead.die();
        b.join().expect("it goes on");
        c.join().expect("it goes on");
        assert_eq!(dead.value().read(), 3);
    });
}

/// A process that takes over, and dies before it marks the mutex, does not hide the death before.
#[test]
fn a_death_while_taking_over_is_reported_as_well() {
    model(2, || {
        let [dead, second, c] = processes();
        assert!(dead.killed_at("unlock.free", 0, || add_locked(&dead)).is_none());
        let ((), ()) = both(
            move || {
                second.killed_at("lock.taken_over", 0, || second.lock_to_update());
            },
            || {
                c.lock();
                assert!(c.died().is_some());
                c.unlock();
            },
        );
    });
}

#[test]
fn a_death_in_an_update_spoils_nothing() {
    model(2, || {
        let [dead, b] = processes();
        both(
            move || {
                assert!(
                    dead.killed_at("unlock.free", 0, || {
                        dead.lock_to_update();
                        dead.value().add(1);
                        dead.unlock();
                    })
                    .is_none()
                );
            },
            || {
                b.lock();
                assert_eq!(b.died(), None);
                b.value().add(1);
                b.unlock();
            },
        );
    });
}

#[test]
fn a_holder_that_dies_before_it_wakes_leaves_no_waiter_asleep() {
    model(2, || {
        let [dead, b, c] = processes();
        let b = loom::thread::spawn(move || add_locked(&b));
        let c = loom::thread::spawn(move || add_locked(&c));
        dead.killed_at("unlock.freed", 0, || add_locked(&dead));
        b.join().expect("it goes on");
        c.join().expect("it goes on");
        assert_eq!(dead.died(), None);
    });
}

#[test]
fn a_woken_waiter_that_dies_leaves_no_thread_asleep() {
    model(2, || {
        let [a, dead, c] = processes();
        let dead = loom::thread::spawn(move || {
            dead.killed_at("park.woken", 0, || add_locked(&dead));
        });
        let c = loom::thread::spawn(move || add_locked(&c));
        add_locked(&a);
        dead.join().expect("it is modelled");
        c.join().expect("it goes on");
    });
}

#[test]
fn a_try_takes_over_from_a_dead_holder() {
    model(2, || {
        let [dead, b, c] = processes();
        assert!(dead.killed_at("unlock.free", 0, || add_locked(&dead)).is_none());
        let attempt = |peer: Peer| {
            let got = peer.try_lock();
            if got {
                assert_eq!(peer.died(), Some(1));
                peer.value().add(1);
                peer.unlock();
            }
            got
        };
        let (b, c) = both(move || attempt(b), || attempt(c));
        assert!(b || c);
    });
}

fn read(peer: &Peer) -> u64 {
    peer.read();
    let value = peer.value().read();
    peer.unlock_read();
    value
}

fn write(peer: &Peer) {
    peer.write();
    peer.value().add(1);
    peer.leave();
}

#[test]
fn a_writer_is_alone() {
    model(3, || {
        let [a, b] = processes();
        both(
            move || {
                read(&a);
                write(&a);
            },
            || write(&b),
        );
        assert_eq!(read(&b), 2);
    });
}

#[test]
fn two_readers_and_a_writer_all_come_to_their_end() {
    model(bound(1, 2), || {
        let [a, b, c] = processes();
        let a = loom::thread::spawn(move || read(&a));
        let b = loom::thread::spawn(move || read(&b));
        write(&c);
        a.join().expect("woken");
        b.join().expect("woken");
        assert_eq!(read(&c), 1);
    });
}

#[test]
fn two_writers_and_a_reader_all_come_to_their_end() {
    model(1, || {
        let [a, b, c] = processes();
        let a = loom::thread::spawn(move || write(&a));
        let b = loom::thread::spawn(move || read(&b));
        write(&c);
        a.join().expect("woken");
        b.join().expect("woken");
        assert_eq!(read(&c), 2);
    });
}

#[test]
fn a_dead_reader_is_subtracted() {
    model(2, || {
        let [dead, b] = processes();
        both(
            move || {
                assert!(dead.killed_at("read.uncount", 0, || read(&dead)).is_none());
            },
            || write(&b),
        );
        assert_eq!((read(&b), b.wrote()), (1, None));
    });
}

#[test]
fn a_dead_writer_is_reported_and_one_that_waited_is_not() {
    for (point, poisoned) in [("turn.free", true), ("turn.claimed", false), ("turn.mode", false)] {
        model(1, move || {
            let [dead, b, c, last] = processes();
            let b = loom::thread::spawn(move || read(&b));
            let c = loom::thread::spawn(move || write(&c));
            assert!(dead.killed_at(point, 0, || write(&dead)).is_none());
            b.join().expect("it goes on");
            c.join().expect("it goes on");
            // If both came before.
            read(&last);
            assert_eq!(last.wrote().is_some(), poisoned);
        });
    }
}

#[test]
fn an_upgrade_lets_no_writer_in_between() {
    model(bound(1, 2), || {
        let [a, b, c] = processes();
        let a = loom::thread::spawn(move || {
            a.upgradable();
            let before = a.value().read();
            a.upgrade();
            assert_eq!(a.value().add(1), before + 1);
            a.downgrade();
            assert_eq!(a.value().read(), before + 1);
            a.unlock_read();
        });
        let b = loom::thread::spawn(move || write(&b));
        read(&c);
        a.join().expect("woken");
        b.join().expect("woken");
        assert_eq!(read(&c), 2);
    });
}

/// Waits until the value is not 0.
fn consume(peer: &Peer) {
    peer.lock();
    while peer.value().read() == 0 {
        peer.wait();
    }
    peer.unlock();
}

fn produce(peer: &Peer, all: bool) {
    peer.lock();
    peer.value().add(1);
    peer.unlock();
    if all { peer.notify_all() } else { peer.notify_one() }
}

#[test]
fn one_that_waits_is_notified() {
    model(3, || {
        let [a, b] = processes();
        both(move || produce(&a, false), || consume(&b));
    });
}

#[test]
fn all_that_wait_are_notified() {
    model(2, || {
        let [a, b, c] = processes();
        let b = loom::thread::spawn(move || consume(&b));
        let c = loom::thread::spawn(move || consume(&c));
        produce(&a, true);
        b.join().expect("notified");
        c.join().expect("notified");
    });
}

/// One notification, and two that wait, one of which dies with it.
#[test]
fn a_dead_waiters_notification_is_forwarded() {
    for point in ["park.sleep", "park.woken", "condvar.unregister"] {
        model(2, move || {
            let [a, dead, c] = processes();
            // They wait, in this order: the first notification is the dead process's.
            let (first, second) = (dead.enter(), c.enter());
            let dead = loom::thread::spawn(move || {
                if dead.killed_at(point, 0, || dead.wait_as(first)).is_some() {
                    // Notified before it came there, it does not die: the next one is for the
                    // other.
                    dead.notify_one();
                }
            });
            let c = loom::thread::spawn(move || c.wait_as(second));
            a.notify_one();
            dead.join().expect("it is modelled");
            c.join().expect("the notification was passed on");
        });
    }
}

/// Two wait while one dies with a notification, and another notification comes at the same time.
#[test]
fn a_death_wakes_all_that_wait() {
    model(2, || {
        let [a, dead, b, c] = processes();
        let [first, second, third] = [&dead, &b, &c].map(Peer::enter);
        a.notify_one();
        assert!(dead.killed_at("condvar.unregister", 0, || dead.wait_as(first)).is_none());
        let b = loom::thread::spawn(move || b.wait_as(second));
        let c = loom::thread::spawn(move || c.wait_as(third));
        a.notify_one();
        b.join().expect("it wakes up");
        c.join().expect("it wakes up");
    });
}

/// A process that changes what another waits for dies before, or while, it notifies.
#[test]
fn a_notifier_that_dies_leaves_no_thread_asleep() {
    for point in ["unlock.free", "unlock.freed", "condvar.notify", "condvar.wake"] {
        model(3, move || {
            let [dead, b] = processes();
            both(
                move || {
                    // It does not come to the later ones if none waits.
                    dead.killed_at(point, 0, || produce(&dead, false));
                },
                || consume(&b),
            );
        });
    }
}

/// A waiter that does not wait after all passes on a notification that has come already.
#[test]
fn a_waiter_that_gives_up_forwards_its_notification() {
    model(2, || {
        let [a, b, c] = processes();
        let (first, second) = (b.enter(), c.enter());
        let c = loom::thread::spawn(move || c.wait_as(second));
        both(move || b.give_up(first), || a.notify_one());
        // Given up before: the notification was the other's. After: it was passed on.
        c.join().expect("notified");
    });
}

fn use_permit(peer: &Peer) {
    peer.take();
    peer.value().add(1);
    peer.give();
}

#[test]
fn a_permit_has_one_holder() {
    model(2, || {
        let [a, b] = processes();
        a.permits(1);
        both(move || use_permit(&a), || use_permit(&b));
        assert_eq!((b.value().read(), b.left()), (2, 1));
    });
}

#[test]
fn two_permits_wake_two() {
    model(bound(1, 2), || {
        let [a, b, c] = processes();
        a.permits(0);
        let b = loom::thread::spawn(move || b.take());
        let c = loom::thread::spawn(move || c.take());
        a.add(1);
        a.add(1);
        b.join().expect("woken");
        c.join().expect("woken");
        assert_eq!(a.left(), 0);
    });
}

#[test]
fn a_dead_holders_permit_comes_back_once() {
    for point in [
        "semaphore.take",
        "semaphore.taken",
        "semaphore.settled",
        "semaphore.give",
        "semaphore.given",
    ] {
        model(1, move || {
            let [dead, b] = processes();
            dead.permits(1);
            let killed = dead.killed_at(point, 0, || {
                dead.take();
                dead.give();
            });
            assert!(killed.is_none());
            let next = dead.successor();
            both(
                move || use_permit(&b),
                // One comes under the dead process's id.
                || use_permit(&next),
            );
            assert_eq!(dead.left(), 1);
        });
    }
}

#[test]
fn a_dead_holders_permit_is_not_taken_from_its_successor() {
    model(bound(1, 2), || {
        let [dead, b] = processes();
        dead.permits(1);
        assert!(dead.killed_at("semaphore.taken", 0, || dead.take()).is_none());
        let next = dead.successor();
        // Each looks once who is dead, and may find the other's permit by then.
        let try_permit = |peer: Peer| {
            if peer.try_take() {
                peer.value().add(1);
                peer.give();
            }
        };
        both(move || try_permit(b), || try_permit(next));
        assert_eq!(dead.left(), 1);
    });
}

#[test]
fn what_is_forgotten_is_gone_and_what_is_added_is_there() {
    model(2, || {
        let [a, b] = processes();
        a.permits(1);
        let (a, ()) = both(
            move || {
                a.take();
                a.forget();
                a
            },
            || b.add(1),
        );
        assert_eq!(a.left(), 1);
        assert!(a.try_take() && !b.try_take());
    });
}

#[test]
fn once_is_once() {
    model(3, || {
        let [a, b] = processes();
        let run = |peer: Peer| {
            let ours = peer.call_once(|| {
                peer.value().add(1);
            });
            assert_eq!(peer.value().read(), 1);
            ours
        };
        let (a, b) = both(move || run(a), || run(b));
        assert!(a ^ b);
    });
}

#[test]
fn a_dead_initialiser_is_followed_by_the_next() {
    for point in ["once.claimed", "once.end", "once.ended"] {
        model(1, move || {
            let [dead, b, c] = processes();
            let run = |peer: Peer| {
                peer.call_once(|| {
                    peer.value().add(1);
                });
                assert!(peer.value().read() > 0);
            };
            let b = loom::thread::spawn(move || run(b));
            let c = loom::thread::spawn(move || run(c));
            let dies = || {
                dead.call_once(|| {
                    dead.value().add(1);
                })
            };
            dead.killed_at(point, 0, dies);
            b.join().expect("it goes on");
            c.join().expect("it goes on");
            assert!(dead.value().read() <= 2);
        });
    }
}

#[test]
fn an_event_lets_through_all_or_one() {
    for auto in [false, true] {
        model(2, move || {
            let [a, b, c] = with(0, auto);
            let [b, c] = [b, c].map(|peer| {
                loom::thread::spawn(move || {
                    peer.wait_for_event();
                    assert_eq!(peer.value().read(), 1);
                })
            });
            a.value().add(1);
            a.set();
            if auto {
                // The second one once the first was taken: while it is set, setting it again is
                // nothing.
                while a.is_set() {
                    loom::thread::yield_now();
                }
                a.set();
            }
            b.join().expect("woken");
            c.join().expect("woken");
            assert_eq!(a.is_set(), !auto);
        });
    }
}

/// A waiter that waits for other things too and stops waiting may have got the only wake-up.
#[test]
fn a_waiter_that_stops_passes_its_wake_up_on() {
    type Waits = [fn(&Peer); 4];
    let of: [Waits; 3] = [
        [|_| (), Peer::wait_for_event, Peer::leave_event, Peer::set],
        [|_| (), Peer::take, Peer::leave_semaphore, |peer| peer.add(1)],
        [Peer::lock, add_locked, Peer::leave_mutex, Peer::unlock],
    ];
    for [begin, wait, leave, wake] in of {
        model(2, move || {
            let [waker, waiter, other] = with(0, true);
            begin(&waker);
            let waiter = loom::thread::spawn(move || wait(&waiter));
            let other = loom::thread::spawn(move || leave(&other));
            wake(&waker);
            waiter.join().expect("woken");
            // If that woke the waiter, the other still waits.
            begin(&waker);
            wake(&waker);
            other.join().expect("woken");
        });
    }
}

/// Each of two waiters lets the other one through when it was. One waits for other things too.
#[test]
fn a_waiter_for_several_things_leaves_the_next_its_wake_up() {
    type Waits = [fn(&Peer); 4];
    let of: [Waits; 3] = [
        [|_| (), Peer::wait_for_event, Peer::wait_for_event_together, Peer::set],
        [|_| (), Peer::take, Peer::take_together, |peer| peer.add(1)],
        [Peer::lock, Peer::lock, Peer::lock_together, Peer::unlock],
    ];
    for [begin, wait, wait_together, wake] in of {
        model(2, move || {
            let [waker, waiter, other] = with(0, true);
            begin(&waker);
            let waiter = loom::thread::spawn(move || {
                wait(&waiter);
                wake(&waiter);
            });
            let other = loom::thread::spawn(move || {
                wait_together(&other);
                wake(&other);
            });
            wake(&waker);
            waiter.join().expect("woken");
            other.join().expect("woken");
        });
    }
}

#[test]
fn waiters_for_several_things_read_and_write_one_after_the_other() {
    model(2, || {
        let [a, b] = processes();
        let reader = loom::thread::spawn(move || {
            b.read_together();
            let value = b.value().read();
            b.unlock_read();
            value
        });
        a.write_together();
        a.value().add(1);
        a.leave();
        assert!(reader.join().expect("woken") <= 1);
        a.read_together();
        assert_eq!(a.value().read(), 1);
    });
    model(2, || {
        let [a, b] = processes();
        let writer = loom::thread::spawn(move || {
            b.write_together();
            b.value().add(1);
            b.leave();
        });
        a.write();
        a.value().add(1);
        a.leave();
        writer.join().expect("woken");
        assert_eq!(a.value().read(), 2);
    });
}

#[test]
fn a_manual_event_that_is_cleared_at_once_is_not_missed() {
    model(3, || {
        let [a, b] = with(0, false);
        let began = b.begin_to_wait();
        let waiter = loom::thread::spawn(move || {
            b.wait_for_event_since(began);
            assert_eq!(b.value().read(), 1);
        });
        a.value().add(1);
        a.set();
        a.clear();
        waiter.join().expect("woken");
    });
}

#[test]
fn a_barrier_lets_both_through_and_one_leads() {
    model(2, || {
        let [a, b] = with(2, false);
        let wait = |peer: Peer| [(); 2].map(|()| peer.wait_at_barrier().expect("no process died"));
        let (a, b) = both(move || wait(a), || wait(b));
        assert!((0..2).all(|round| a[round] ^ b[round]));
    });
}

#[test]
fn a_dead_party_breaks_the_barrier() {
    model(2, || {
        let [dead, b, c] = with(3, false);
        dead.join_barrier();
        let b = loom::thread::spawn(move || b.wait_at_barrier());
        let c = loom::thread::spawn(move || c.wait_at_barrier());
        assert!(dead.killed_at("barrier.arrive", 0, || dead.wait_at_barrier()).is_none());
        assert_eq!((b.join().expect("no panic"), c.join().expect("no panic")), (None, None));
    });
}
