//! Senders and receivers of one channel that are killed anywhere, and replaced.
//!
//! - What a sender was told is sent comes, once; what one was killed in sending, once or never.
//! - Of what a receiver was killed in receiving, one message may be lost or come again.
//! - Of one sender's messages, each receiver gets the earlier before the later, unless a receiver
//!   was killed.
//! - Everybody comes to his end, and leaves nothing behind.

use std::collections::BTreeMap;
use std::ops::AddAssign;
use std::sync::Arc;

use ipc_shm::model::{NotYet, Peer, RECEIVER, Ring, SENDER, Side};
use shuttle::thread;

use crate::dice::{fate, once_in, one_of};
use crate::schedules;

/// What a process tells of itself.
#[derive(Default)]
struct Told {
    sent: Vec<u64>,
    /// In the call that it is in.
    sending: Vec<u64>,
    /// What some were killed in sending: perhaps sent.
    unsure: Vec<u64>,
    received: Vec<u64>,
    /// In the call that it is in.
    receiving: Vec<u64>,
    /// What some were killed in receiving: perhaps received.
    doubtful: Vec<u64>,
    /// Deaths of receivers.
    deaths: u64,
    /// Messages that were claimed and given back: another may get them after later ones.
    late: u64,
}

impl AddAssign for Told {
    fn add_assign(&mut self, other: Told) {
        self.sent.extend(other.sent);
        self.unsure.extend(other.unsure);
        self.received.extend(other.received);
        self.doubtful.extend(other.doubtful);
        self.deaths += other.deaths;
        self.late += other.late;
    }
}

/// Waits in the futex, or on the bell socket.
fn waiting<T>(peer: &Peer, side: Side, attempt: impl FnMut() -> Option<T>) -> T {
    if once_in(2) { peer.waiting(side, attempt) } else { peer.waiting_on_socket(side, attempt) }
}

/// Sends them all, unless no receiver is left.
fn send(peer: &Peer, values: &[u64], told: &mut Told) {
    let mut left = values;
    while let [value, ..] = *left {
        if once_in(4) {
            let before = told.sent.len();
            if !send_in_kept_place(peer, value, told) {
                break;
            }
            left = &left[told.sent.len() - before..];
            continue;
        }
        let all = &left[..left.len().min(one_of(1..4) as usize)];
        let block = if once_in(3) { peer.loan(value) } else { None };
        told.sending = if block.is_some() { vec![value] } else { all.to_vec() };
        let sent = waiting(peer, Side::Senders, || {
            let attempt = match block {
                Some(block) => peer.send_block(block).map(|()| 1),
                None => peer.send_all(all),
            };
            match attempt {
                Ok(sent) => Some(sent as usize),
                Err(NotYet::Busy) => None,
                Err(NotYet::Closed) => Some(0),
            }
        });
        told.sending.clear();
        if sent == 0 {
            assert!(peer.sees_receivers_gone());
            if let Some(block) = block {
                peer.free_block(block);
            }
            break;
        }
        told.sent.extend(&left[..sent]);
        left = &left[sent..];
        peer.ring(Side::Receivers, sent as u64);
    }
}

/// Claims a place, keeps it for a while, and then sends in it, or gives it up. Returns false if
/// no receiver is left.
fn send_in_kept_place(peer: &Peer, value: u64, told: &mut Told) -> bool {
    let place = waiting(peer, Side::Senders, || match peer.claim_place() {
        Ok(place) => Some(Some(place)),
        Err(NotYet::Busy) => None,
        Err(NotYet::Closed) => Some(None),
    });
    let Some(place) = place else {
        assert!(peer.sees_receivers_gone());
        return false;
    };
    thread::yield_now();
    if once_in(3) {
        peer.give_up(place);
    } else {
        told.sending = vec![value];
        peer.publish(place, value);
        told.sent.append(&mut told.sending);
        peer.ring(Side::Receivers, 1);
    }
    true
}

/// Receives until nothing can come any more.
fn receive(peer: &Peer, told: &mut Told) {
    loop {
        let k = one_of(1..4);
        let (lent, kept) = (once_in(4), once_in(4));
        let mut held = None;
        told.receiving.clear();
        let some = waiting(peer, Side::Receivers, || {
            let attempt = if kept {
                peer.claim_message().map(|kept| held = Some(kept))
            } else if lent {
                peer.borrow().map(|lent| held = Some(lent))
            } else {
                peer.receive_into(k, &mut told.receiving)
            };
            match attempt {
                Ok(()) => Some(true),
                Err(_) if peer.finished() => Some(false),
                Err(_) => None,
            }
        });
        if kept && some && once_in(3) {
            told.late += 1;
            peer.give_back(held.expect("it was claimed"));
            continue;
        }
        if let Some(held) = held {
            told.receiving.push(held.value);
            if kept { peer.complete(held) } else { peer.acknowledge(held) }
        }
        if !some {
            // Others that sleep must come to the same conclusion.
            peer.wake_all(Side::Receivers);
            break;
        }
        let freed = told.receiving.len() as u64;
        told.received.append(&mut told.receiving);
        peer.ring(Side::Senders, freed);
    }
}

/// Sends, and is followed by another when killed. `guard` repairs.
fn sender(mut peer: Peer, values: Vec<u64>, guard: &Peer) -> Told {
    let mut told = Told::default();
    let mut left = &values[..];
    loop {
        let before = told.sent.len();
        let work = || {
            send(&peer, left, &mut told);
            peer.leave();
        };
        if peer.killed_after(fate(80), work).0.is_some() {
            return told;
        }
        guard.recover_all();
        // What may have been sent is not sent again.
        let over = told.sent.len() - before + told.sending.len();
        left = &left[over..];
        told.unsure.append(&mut told.sending);
        let Some(next) = successor(&peer, SENDER, guard) else { return told };
        peer = next;
    }
}

fn receiver(mut peer: Peer, guard: &Peer) -> Told {
    let mut told = Told::default();
    loop {
        let work = || {
            receive(&peer, &mut told);
            peer.leave();
        };
        if peer.killed_after(fate(80), work).0.is_some() {
            return told;
        }
        told.deaths += 1;
        guard.recover_all();
        // All but the last was acknowledged, for they are one by one.
        let last = told.receiving.pop();
        told.received.append(&mut told.receiving);
        told.doubtful.extend(last);
        let Some(next) = successor(&peer, RECEIVER, guard) else { return told };
        peer = next;
    }
}

/// Another process in the place of a dead one, if it gets so far, and if it is let in.
fn successor(dead: &Peer, role: u64, guard: &Peer) -> Option<Peer> {
    if once_in(2) {
        return None;
    }
    let next = dead.successor();
    match next.killed_after(fate(20), || next.attach(role)).0 {
        Some(joined) => (joined == Some(true)).then_some(next),
        None => {
            guard.recover_all();
            None
        }
    }
}

/// The process that lives to the end: it receives, and recovers what the others leave, as any
/// survivor would when a slice of its sleep is over.
fn story(senders: usize, receivers: usize, each: u64) {
    let (capacity, blocks) = (one_of(1..5), one_of(0..3) as usize);
    let roles = |id: usize| match id {
        0 => RECEIVER,
        id if id <= senders => SENDER,
        id if id <= senders + receivers => RECEIVER,
        _ => 0,
    };
    let (ring, peers) = Ring::new(capacity, blocks, std::array::from_fn::<_, 6, _>(roles));
    let mut peers = peers.into_iter();
    let last = Arc::new(peers.next().expect("six peers"));
    let mut all = Vec::new();
    for (id, peer) in peers.enumerate().take(senders + receivers) {
        let guard = last.clone();
        all.push(thread::spawn(move || {
            if id < senders {
                let first = (id as u64 + 1) * 1000;
                sender(peer, (first..first + each).collect(), &guard)
            } else {
                receiver(peer, &guard)
            }
        }));
    }
    let mut mine = Told::default();
    receive(&last, &mut mine);
    let mut tales: Vec<_> = all.into_iter().map(|one| one.join().expect("it tells")).collect();
    // What a process died with after all got the answer that nothing would come.
    receive(&last, &mut mine);
    tales.push(mine);
    last.leave();
    ring.check_empty();
    judge(tales);
}

fn judge(tales: Vec<Told>) {
    let orderly = tales.iter().all(|told| told.deaths == 0 && told.late == 0);
    for told in &tales {
        let mut lasts = BTreeMap::new();
        for value in &told.received {
            let before = lasts.insert(value / 1000, value);
            assert!(!orderly || before < Some(value), "{value} after {before:?}");
        }
    }
    let mut all = Told::default();
    tales.into_iter().for_each(|told| all += told);
    assert!(all.doubtful.len() as u64 <= all.deaths, "more than one message for each death");
    let mut got = BTreeMap::new();
    for value in &all.received {
        assert!(all.sent.contains(value) || all.unsure.contains(value), "{value} was not sent");
        *got.entry(*value).or_insert(0) += 1;
    }
    for (value, times) in &got {
        assert_eq!(*times, 1, "{value} came {times} times");
    }
    for value in &all.sent {
        assert!(got.contains_key(value) || all.doubtful.contains(value), "{value} is lost");
    }
}

#[test]
fn two_senders_and_two_receivers() {
    schedules(|| story(2, 1, 4));
}

#[test]
fn three_senders_and_three_receivers() {
    schedules(|| story(3, 2, 3));
}

#[test]
fn four_senders_and_one_receiver() {
    schedules(|| story(4, 0, 3));
}

#[test]
fn one_sender_and_four_receivers() {
    schedules(|| story(1, 3, 6));
}
