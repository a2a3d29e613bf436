//! Locks whose holders and waiters are killed anywhere, and replaced.
//!
//! - No two processes are inside that must not be there together.
//! - Everybody else comes to his end: a wake-up that is lost with no death is a deadlock, for a
//!   sleep elapses only when a process dies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use ipc_shm::lock::model::{Peer, processes, with};
use shuttle::thread;

use crate::dice::{fate, once_in, one_of};
use crate::room::{How, Room};
use crate::schedules;

/// Processes at once.
const ALL: usize = 4;

/// Each of four processes does this much, is killed anywhere, and replaced or not. `who` is another
/// one for each.
fn each_of_four(peers: [Peer; ALL], work: fn(&Peer, &Room, u64)) {
    let room = Room::default();
    let all = peers.into_iter().enumerate().map(|(id, mut peer)| {
        let room = room.clone();
        thread::spawn(move || {
            let mut who = id as u64 * 100;
            while peer.killed_after(fate(60), || work(&peer, &room, who)).0.is_none() && once_in(2)
            {
                who += 1;
                peer = peer.successor();
            }
        })
    });
    all.collect::<Vec<_>>().into_iter().for_each(|one| one.join().expect("it comes to its end"));
}

/// Looks around and lets others run.
fn stay(room: &Room, who: u64, how: How) {
    let inside = room.enter(who, how);
    thread::yield_now();
    drop(inside);
}

#[test]
fn a_mutex() {
    schedules(|| {
        each_of_four(processes(), |peer, room, who| {
            for _ in 0..3 {
                match one_of(0..4) {
                    0 if !peer.try_lock() => continue,
                    0 => {}
                    1 => peer.lock_to_update(),
                    _ => peer.lock(),
                }
                stay(room, who, How::Alone);
                peer.unlock();
            }
        });
    });
}

#[test]
fn a_readers_writer_lock() {
    schedules(|| {
        each_of_four(processes(), |peer, room, who| {
            for _ in 0..3 {
                match one_of(0..4) {
                    0 => {
                        peer.write();
                        stay(room, who, How::Alone);
                        peer.leave();
                    }
                    1 => {
                        peer.upgradable();
                        stay(room, who, How::Looking);
                        peer.upgrade();
                        stay(room, who, How::Alone);
                        peer.leave();
                    }
                    _ => {
                        peer.read();
                        stay(room, who, How::Looking);
                        peer.unlock_read();
                    }
                }
            }
        });
    });
}

#[test]
fn a_semaphore_of_two() {
    schedules(|| {
        let peers: [Peer; ALL] = processes();
        peers[0].permits(2);
        each_of_four(peers, |peer, room, who| {
            for _ in 0..3 {
                if once_in(4) {
                    if !peer.try_take() {
                        continue;
                    }
                } else {
                    peer.take();
                }
                stay(room, who, How::Among(2));
                peer.give();
            }
        });
    });
}

#[test]
fn once() {
    schedules(|| {
        each_of_four(processes(), |peer, room, who| {
            peer.call_once(|| stay(room, who, How::Alone));
            peer.call_once(|| panic!("done twice by one"));
        });
    });
}

/// Consumers wait at a condition for what a producer makes, with one notification for each unit.
/// All are killed anywhere, the producer also between a unit and its notification; another producer
/// makes the rest.
#[test]
fn a_condition() {
    const UNITS: u64 = 6;
    schedules(|| {
        let [mut producer, consumers @ ..]: [Peer; ALL] = processes();
        // What is there to be consumed; under the mutex. To look at it is no step.
        let units = Arc::new(AtomicU64::new(0));
        let all = consumers.map(|mut peer| {
            let units = units.clone();
            thread::spawn(move || {
                let mut needed = UNITS / 3;
                let mut consume = |peer: &Peer| {
                    while needed > 0 {
                        peer.lock();
                        while units.load(Relaxed) == 0 {
                            peer.wait();
                        }
                        units.fetch_sub(1, Relaxed);
                        needed -= 1;
                        peer.unlock();
                    }
                };
                while peer.killed_after(fate(60), || consume(&peer)).0.is_none() && once_in(2) {
                    peer = peer.successor();
                }
            })
        });
        let mut left = UNITS;
        let mut produce = |producer: &Peer| {
            while left > 0 {
                producer.lock();
                units.fetch_add(1, Relaxed);
                left -= 1;
                if once_in(2) {
                    producer.notify_one();
                    producer.unlock();
                } else {
                    producer.unlock();
                    producer.notify_one();
                }
            }
        };
        while producer.killed_after(fate(60), || produce(&producer)).0.is_none() {
            producer = producer.successor();
        }
        all.into_iter().for_each(|one| one.join().expect("it has got what it needs"));
        assert!(producer.try_lock());
    });
}

/// An event that lets one through for each time that it is set, and is set until all are through.
#[test]
fn an_event_for_one_each() {
    schedules(|| {
        let [setter, others @ ..]: [Peer; ALL] = with(0, true);
        let through = Arc::new(AtomicU64::new(0));
        let count = through.clone();
        let all = others.map(|peer| {
            let through = count.clone();
            thread::spawn(move || {
                peer.killed_after(fate(20), || peer.wait_for_event());
                through.fetch_add(1, Relaxed);
            })
        });
        while through.load(Relaxed) < 3 {
            setter.set();
            thread::yield_now();
        }
        all.into_iter().for_each(|one| one.join().expect("it was let through"));
    });
}

/// All come to it three times, and one of them leads; if one dies, the others get an error.
#[test]
fn a_barrier_of_four() {
    schedules(|| {
        let peers: [Peer; ALL] = with(ALL as u32, false);
        peers.iter().for_each(Peer::join_barrier);
        let all = peers.map(|peer| {
            thread::spawn(move || {
                let mut led = 0;
                let rounds = || {
                    (0..3).all(|_| {
                        peer.wait_at_barrier().inspect(|leads| led += u64::from(*leads)).is_some()
                    })
                };
                let through = peer.killed_after(fate(60), rounds).0;
                (through, led)
            })
        });
        let all = all.map(|one| one.join().expect("it comes to its end"));
        if all.iter().all(|(through, _)| through.is_some()) {
            assert_eq!(all.map(|(through, _)| through), [Some(true); ALL], "no one broke it");
            assert_eq!(all.iter().map(|(_, led)| led).sum::<u64>(), 3);
        }
    });
}
