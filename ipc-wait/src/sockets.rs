//! Waiters that a datagram wakes, where a futex would need a thread for each 127 words.
//!
//! A process that waits for thousands of words has one *bell socket* ([`ipc_sys::bell_socket`]),
//! and for each word a bit, which is set while it is registered. A waker claims a bit by clearing
//! it, and sends the process a datagram.
//!
//! # Edges
//!
//! | edge | from | to | over | orderings | what it carries |
//! |---|---|---|---|---|---|
//! | BELL-E1 | a registration in the word | the waker's look at the bits | the wait word | SeqCst, Acquire | the bit, and the address |
//! | BELL-E2 | a claim | the owner's look at its bit | the bit | AcqRel, Acquire | what was published |
//!
//! # If a process is killed
//!
//! - A waiter leaves its bit. The datagram of the waker that claims it is refused, and the waker
//!   goes on to the next bit.
//! - A waker that has claimed a bit sends no datagram. The process that recovers its state sends
//!   one to every participant ([`Sockets::call_everyone`]).

use std::fmt;
use std::ops::Deref;

use ipc_core::__private::ready::Outcome;
#[cfg(not(loom))]
use ipc_sys::bell_socket;

use crate::bell::{Barrier, Bell, MOST_ARMS, Ticket, arms, seq, tokens, wait_word, waiters};
use crate::killpoint::kill_point;
#[cfg(loom)]
use crate::model_sockets::ModelSockets;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::unmodelled;
use crate::sync::{AtomicU64, fence};

/// How a participant is reached. It begins as zeros.
#[repr(C)]
pub struct Address {
    /// The network namespace in which the participant rings bell sockets, or 0 if it rings none.
    pub namespace: AtomicU64,
    /// The name of its bell socket, or zeros if it has none.
    name: [AtomicU64; 2],
    /// The tag of its datagrams. It means something to the participant only.
    tag: AtomicU64,
}

impl Address {
    /// Makes one in the memory of a model.
    #[must_use]
    pub fn unknown() -> Address {
        let word = || AtomicU64::new(0);
        Address { namespace: word(), name: [word(), word()], tag: word() }
    }

    /// Sets the address of a new participant, which has no bell socket yet.
    pub fn begin(&self, namespace: u64) {
        for word in [&self.name[0], &self.name[1], &self.tag] {
            word.store(0, Relaxed); // Relaxed: the participant's bits are clear.
        }
        self.namespace.store(namespace, Release); // Release: a number that others read.
    }

    /// Sets the name of the participant's bell socket, before it registers.
    pub fn publish(&self, name: [u64; 2], tag: u64) {
        for (word, value) in [(&self.name[0], name[0]), (&self.name[1], name[1]), (&self.tag, tag)]
        {
            // Relaxed: BELL-E1 publishes it.
            if word.load(Relaxed) != value {
                word.store(value, Relaxed);
            }
        }
    }
}

/// The waiters of one word that have bell sockets.
#[derive(Clone, Copy)]
pub struct Sockets<'a> {
    /// A bit for each participant that is registered.
    pub armed: &'a [AtomicU64],
    /// The participants, by their ids.
    pub addresses: &'a [Address],
    /// Not 0 after a participant could not send a datagram. Then no participant registers any more.
    pub unreachable: &'a AtomicU64,
    /// The model's sockets.
    #[cfg(loom)]
    pub model: &'a ModelSockets,
}

impl<'a> Sockets<'a> {
    fn bit(&self, id: u64) -> Option<(&'a AtomicU64, u64)> {
        Some((self.armed.get(id as usize / 64)?, 1 << (id % 64)))
    }

    /// Sets the bit of a participant. The caller registers in the word next.
    fn set(&self, id: u64) {
        if let Some((word, bit)) = self.bit(id) {
            // Release: a claim is after it. BELL-E1 publishes it.
            word.fetch_or(bit, Release);
        }
    }

    /// Clears the bit of a participant. Returns whether it was set: false if a waker claimed it.
    fn clear(&self, id: u64) -> bool {
        // AcqRel: BELL-E2.
        self.bit(id).is_some_and(|(word, bit)| word.fetch_and(!bit, AcqRel) & bit != 0)
    }

    /// Returns whether the bit of a participant is set.
    fn is_set(&self, id: u64) -> bool {
        // Acquire: BELL-E2.
        self.bit(id).is_some_and(|(word, bit)| word.load(Acquire) & bit != 0)
    }

    /// Claims bits and wakes their owners, up to `n`. Returns how many were woken. If they are
    /// fewer than `n`, each bit was clear when it was looked at, or was claimed.
    fn wake(&self, n: u32) -> u32 {
        if self.armed.is_empty() {
            return 0;
        }
        let first = first() as usize % (64 * self.armed.len());
        let mut woken = 0;
        // The word of the first bit comes twice: first its high bits, at the end its low ones.
        for step in 0..=self.armed.len() {
            let index = (first / 64 + step) % self.armed.len();
            let high = u64::MAX << (first % 64);
            let mask = match step {
                0 => high,
                _ if step == self.armed.len() => !high,
                _ => u64::MAX,
            };
            let word = &self.armed[index];
            // Relaxed: BELL-E1 was before, and the claim decides.
            let mut bits = word.load(Relaxed) & mask;
            while bits != 0 {
                if woken == n {
                    return woken;
                }
                let bit = 1 << bits.trailing_zeros();
                kill_point!("ring.claim");
                // AcqRel: BELL-E2. Acquire: the claimed registration, with its address.
                if word.fetch_and(!bit, AcqRel) & bit != 0 {
                    kill_point!("ring.call");
                    let id = 64 * index + bits.trailing_zeros() as usize;
                    NEXT.store(id as u64 + 1, Relaxed); // Relaxed: only fairness depends on it.
                    woken += u32::from(self.call(id));
                    kill_point!("ring.called");
                }
                bits &= bits - 1;
            }
        }
        woken
    }

    /// Wakes every participant, also those whose bits are clear: a dead waker may have claimed one
    /// and sent no datagram.
    pub fn call_everyone(&self) {
        for id in 0..self.addresses.len() {
            kill_point!("wake_all.call");
            self.call(id);
        }
    }

    /// Sends a datagram to a participant. Returns whether it is woken.
    #[cfg(not(loom))]
    fn call(&self, id: usize) -> bool {
        let Some(Address { name, tag, .. }) = self.addresses.get(id) else { return false };
        // Relaxed: BELL-E1 or the claim orders them. A peer may have written anything: then no
        // socket has the name, or a process looks for a message in vain.
        let name = [name[0].load(Relaxed), name[1].load(Relaxed)];
        if name == [0; 2] {
            return false;
        }
        match bell_socket::send(name, tag.load(Relaxed)) {
            bell_socket::Sent::Delivered | bell_socket::Sent::Pending => true,
            bell_socket::Sent::Refused => false,
            bell_socket::Sent::Failed => {
                // Registrations that were made already are lost to this process until an interval
                // is over. Then their owners look, and register with the futex.
                // Release: a number that others read.
                self.unreachable.store(1, Release);
                false
            }
        }
    }

    #[cfg(loom)]
    fn call(&self, id: usize) -> bool {
        id < self.addresses.len() && self.model.call(id)
    }
}

/// A word on which threads sleep, with waiters that have bell sockets.
#[derive(Clone, Copy, Debug)]
pub struct SocketBell<'a> {
    bell: Bell<'a>,
    sockets: Sockets<'a>,
}

impl<'a> SocketBell<'a> {
    /// Adds waiters that have bell sockets to a bell in memory that processes share.
    #[must_use]
    pub fn new(bell: Bell<'a>, sockets: Sockets<'a>) -> SocketBell<'a> {
        SocketBell { bell, sockets }
    }

    /// Wakes up to `n` waiters, after a publication that concerns them.
    pub fn ring(self, n: u64, barrier: Barrier) {
        if self.bell.must_ring(barrier) {
            self.ring_waiters(n);
        }
    }

    /// Does what [`ring`](SocketBell::ring) does after [`Bell::must_ring`] has returned true.
    #[cold]
    pub fn ring_waiters(self, n: u64) {
        let n = n.min(u64::from(u32::MAX)) as u32;
        let woken = self.bell.ring_threads(n);
        if woken < n {
            self.ring_sockets(n - woken);
        }
    }

    /// Wakes up to `n` waiters that have bell sockets.
    fn ring_sockets(self, n: u32) {
        // K5. Acquire: BELL-E1.
        let mut w = self.bell.word.load(Acquire);
        let before = w;
        // K6.
        if arms(w) == 0 || self.sockets.wake(n) == n {
            return;
        }
        // K7.
        while arms(w) == arms(before) && seq(w) == seq(before) {
            kill_point!("ring.none");
            let none = wait_word(0, tokens(w), seq(w).wrapping_add(1));
            // AcqRel: a waiter that registers next sees that the bits were claimed. Relaxed on
            // failure: the loop compares only the word.
            match self.bell.word.compare_exchange(w, none, AcqRel, Relaxed) {
                Ok(_) => return,
                Err(now) => w = now,
            }
        }
    }

    /// Wakes all waiters. `arms` stays, which costs the next waker one look at the bits.
    #[cold]
    pub fn wake_all(self) {
        self.bell.wake_all();
        // BELL-E1: that was an Acquire. A bit that is set later is registered later, too.
        self.sockets.wake(u32::MAX);
        kill_point!("wake_all.called");
    }

    /// Wakes all waiters, if there are any. It is cheap where none waits.
    ///
    /// A waiter registers before it checks what was changed before this call. So either the waiter
    /// sees the change, or this function sees its registration. If another waker has already
    /// removed the registration, that waker wakes the waiter. If it dies first, the process that
    /// observes its death rings regardless of registrations.
    pub fn wake_sleepers(self) {
        // SeqCst: orders the change before the load of the word. S1 and S2 are the other half.
        fence(SeqCst);
        // Relaxed: the fence orders this load.
        if waiters(self.bell.word.load(Relaxed)) {
            self.wake_all();
        }
    }

    /// Ends the registration of a thread, as [`Bell::leave`].
    pub fn leave(self, ticket: &Ticket, outcome: Outcome, barrier: Barrier) {
        if !self.bell.unregister(ticket) && outcome == Outcome::Unused {
            self.ring(1, barrier);
        }
    }

    /// Registers the participant `id`, which waits on its bell socket: S1. The caller issues a
    /// [`barrier`](Bell::barrier) before it checks again.
    pub fn arm(self, id: u64) {
        kill_point!("arm.bit");
        self.sockets.set(id);
        kill_point!("arm.word");
        let mut w = self.bell.word.load(Relaxed); // Relaxed: the CAS decides.
        loop {
            let (next, step) = if arms(w) < MOST_ARMS { (arms(w) + 1, 0) } else { (1, 1) };
            let armed = wait_word(next, tokens(w), seq(w).wrapping_add(step));
            // S1. SeqCst, and BELL-E1.
            match self.bell.word.compare_exchange(w, armed, SeqCst, Relaxed) {
                Ok(_) => break,
                Err(now) => w = now,
            }
        }
        kill_point!("arm.armed");
    }

    /// Ends the registration of a participant by [`arm`](SocketBell::arm). Returns false if it was
    /// notified.
    ///
    /// `arms` stays, which costs the next waker one look at the bits.
    #[must_use]
    pub fn disarm(self, id: u64) -> bool {
        kill_point!("disarm.bit");
        self.sockets.clear(id)
    }

    /// Returns whether the participant is registered by [`arm`](SocketBell::arm) and was not
    /// notified.
    #[must_use]
    pub fn is_armed(self, id: u64) -> bool {
        self.sockets.is_set(id)
    }
}

/// Registrations of threads, which sleep on the word.
impl<'a> Deref for SocketBell<'a> {
    type Target = Bell<'a>;

    fn deref(&self) -> &Bell<'a> {
        &self.bell
    }
}

impl fmt::Debug for Sockets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sockets").finish_non_exhaustive()
    }
}

/// The participant after the one that this process woke last, so that all have their turn.
static NEXT: unmodelled::AtomicU64 = unmodelled::AtomicU64::new(0);

/// Returns the participant to begin with.
fn first() -> u64 {
    // In a model every run is the same. Relaxed: only fairness depends on it.
    if cfg!(loom) { 0 } else { NEXT.load(Relaxed) }
}

#[cfg(all(test, not(loom), target_os = "linux"))]
mod tests {
    use super::*;

    /// Bell sockets of participants, whose tags are their ids.
    struct World {
        armed: [AtomicU64; 16],
        addresses: Vec<Address>,
        unreachable: AtomicU64,
        word: AtomicU64,
        owners: Vec<(u64, bell_socket::BellSocket)>,
    }

    impl World {
        fn new(participants: usize, ids: &[u64]) -> World {
            let addresses: Vec<_> = (0..participants).map(|_| Address::unknown()).collect();
            let owner = |id: &u64| {
                let socket = bell_socket::BellSocket::new().unwrap();
                addresses[*id as usize].publish(socket.name(), *id);
                (*id, socket)
            };
            let owners = ids.iter().map(owner).collect();
            let word = || AtomicU64::new(0);
            let armed = std::array::from_fn(|_| word());
            World { armed, addresses, unreachable: word(), word: word(), owners }
        }

        fn bell(&self) -> SocketBell<'_> {
            let World { armed, addresses, unreachable, word, .. } = self;
            let sockets = Sockets { armed, addresses, unreachable };
            SocketBell::new(Bell::shared(word), sockets)
        }

        fn arm_all(&self) {
            self.owners.iter().for_each(|(id, _)| self.bell().arm(*id));
        }

        /// Returns the ids of those that were called, and takes their datagrams out.
        fn called(&self) -> Vec<u64> {
            let mut tags = Vec::new();
            for (id, socket) in &self.owners {
                let before = tags.len();
                assert!(socket.drain(&mut tags));
                assert!(tags[before..].iter().all(|tag| tag == id));
            }
            tags
        }
    }

    const IDS: [u64; 7] = [1, 2, 63, 64, 127, 130, 1023];

    #[test]
    fn each_that_is_registered_is_called_once() {
        let world = World::new(1024, &IDS);
        for most in [1, 2, 7, 9, u64::MAX] {
            world.arm_all();
            let mut called = Vec::new();
            while called.len() < IDS.len() {
                world.bell().ring(most, Barrier::Ours);
                let now = world.called();
                assert_eq!(now.len() as u64, most.min((IDS.len() - called.len()) as u64));
                assert!(now.iter().all(|id| !world.bell().is_armed(*id)));
                called.extend(now);
            }
            called.sort_unstable();
            assert_eq!(called, IDS);
            world.bell().ring(1, Barrier::Ours);
            assert!(world.called().is_empty() && !world.bell().has_waiters());
        }
    }

    #[test]
    fn all_have_their_turn() {
        let world = World::new(1024, &IDS);
        let mut turns = Vec::new();
        for _ in 0..IDS.len() {
            world.arm_all();
            world.bell().ring(1, Barrier::Ours);
            turns.extend(world.called());
        }
        turns.sort_unstable();
        // Another test of this process may have moved the place to begin.
        turns.dedup();
        assert!(turns.len() > IDS.len() / 2, "{turns:?}");
    }

    #[test]
    fn all_are_called_also_without_a_registration() {
        let world = World::new(1024, &IDS);
        world.arm_all();
        world.bell().wake_all();
        assert_eq!(world.called(), IDS);
        assert!(IDS.iter().all(|id| !world.bell().is_armed(*id)));
        world.bell().wake_all();
        assert!(world.called().is_empty());
        world.bell().sockets.call_everyone();
        assert_eq!(world.called(), IDS);
    }

    #[test]
    fn bits_without_an_address_and_addresses_without_a_socket_are_passed_over() {
        let mut world = World::new(100, &[1, 3]);
        world.owners.retain(|(id, _)| *id == 3);
        for bits in &world.armed {
            bits.store(u64::MAX, Relaxed);
        }
        world.bell().arm(3);
        world.bell().ring(1, Barrier::Ours);
        assert_eq!(world.called(), [3]);
        world.bell().ring(u64::MAX, Barrier::Ours);
        assert!(world.called().is_empty() && !world.bell().has_waiters());
        assert!(world.armed.iter().all(|bits| bits.load(Relaxed) == 0));
        assert_eq!(world.unreachable.load(Relaxed), 0);
    }

    #[test]
    fn threads_come_first_and_surplus_tokens_hide_no_socket() {
        let world = World::new(8, &[5]);
        world.arm_all();
        let _left = world.bell().announce();
        world.bell().ring(1, Barrier::Ours);
        assert_eq!(world.called(), [5]);
        assert_eq!(world.bell().tokens(), 0);
    }

    #[test]
    fn each_registration_changes_the_word() {
        let world = World::new(8, &[5]);
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..3000 {
            world.bell().arm(5);
            assert!(seen.insert(world.word.load(Relaxed)));
            assert!(world.bell().disarm(5));
            if seen.len() % 700 == 0 {
                // It finds none.
                world.bell().ring(1, Barrier::Ours);
                assert!(!world.bell().has_waiters());
            }
        }
        assert!(world.called().is_empty());
    }

    #[test]
    fn tokens_do_not_overflow_into_the_count_of_registrations() {
        let world = World::new(8, &[5]);
        world.arm_all();
        for _ in 0..1 << 22 {
            let _ = world.bell().announce();
        }
        let word = world.word.load(Relaxed);
        assert_eq!((arms(word), tokens(word) <= 1 << 21), (1, true));
    }
}
