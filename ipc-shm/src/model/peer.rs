//! The processes of a model, and what each does with the ring.

use std::time::Duration;

use ipc_core::__private::ready::Outcome;
use ipc_wait::{Barrier, Ticket};

use super::payload::{Held, Lender, Place, Taker, block_of};
use super::ring::Ring;
use crate::attach::lease::Leases;
use crate::channel::memory::{self, Memory};
use crate::channel::pool::Pool;
use crate::channel::recovery::Recovery;
use crate::channel::ring::{self, Participant};
use crate::killpoint;
use crate::layout::entry;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};

/// One endpoint, of either role or both.
pub const SENDER: u64 = entry::used(1, 0);
pub const RECEIVER: u64 = entry::used(0, 1);
pub const BOTH: u64 = entry::used(1, 1);

/// Selects one of the two bells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Receivers,
    Senders,
}

impl From<Side> for memory::Side {
    fn from(side: Side) -> Self {
        match side {
            Side::Receivers => memory::Side::Receivers,
            Side::Senders => memory::Side::Senders,
        }
    }
}

/// The reason why nothing was claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotYet {
    Busy,
    Closed,
}

impl From<ring::NotYet> for NotYet {
    fn from(why: ring::NotYet) -> Self {
        match why {
            ring::NotYet::Busy => NotYet::Busy,
            ring::NotYet::Closed => NotYet::Closed,
        }
    }
}

/// One process, with its id and a handle for each side.
///
/// If it is shared by reference, it has several threads.
pub struct Peer {
    ring: Ring,
    /// The process sends.
    participant: Participant,
    /// The process receives.
    taking: Participant,
}

impl Ring {
    /// Makes a ring with these blocks, and its processes.
    ///
    /// The ids from 1 on have these roles. The role of an id that is still free is 0.
    pub fn new<const N: usize>(capacity: u64, blocks: usize, roles: [u64; N]) -> (Ring, [Peer; N]) {
        let ring = Ring::with_roles(capacity, blocks, &roles);
        let peers = std::array::from_fn(|i| Peer::new(&ring, i as u64 + 1));
        (ring, peers)
    }

    /// Returns whether a waker would look for waiters.
    pub fn has_waiters(&self, side: Side) -> bool {
        self.memory().bell(side.into()).has_waiters()
    }

    /// Returns the number of tokens of a bell.
    pub fn tokens(&self, side: Side) -> u64 {
        u64::from(self.memory().bell(side.into()).tokens())
    }
}

/// The leases, as one process sees them.
///
/// As in the kernel, each query orders what it returns. The actions of a dead process come before
/// the end of its life lease. Those of a recovering process come before the end of its repair
/// lease.
impl Leases for Peer {
    fn alive(&self, id: u64) -> bool {
        self.ring.0.life[id as usize].load(Acquire) != 0
    }
    fn try_repair(&self, id: u64) -> bool {
        self.ring.0.repair[id as usize].compare_exchange(0, self.id(), AcqRel, Relaxed).is_ok()
    }
    fn end_repair(&self, id: u64) {
        self.ring.0.repair[id as usize].store(0, Release);
    }
}

impl Peer {
    fn new(ring: &Ring, id: u64) -> Peer {
        let (participant, taking) = (Participant::new(id), Participant::new(id));
        Peer { ring: ring.clone(), participant, taking }
    }

    pub fn id(&self) -> u64 {
        self.participant.id
    }

    fn memory(&self) -> Memory {
        self.ring.memory()
    }

    fn recovery<'a>(&'a self, memory: &'a Memory) -> Recovery<'a> {
        Recovery::of(memory, &self.taking, block_of)
    }

    /// Sends these as one batch, and returns how many were sent.
    pub fn send_all(&self, values: &[u64]) -> Result<u64, NotYet> {
        let mut next = values.iter();
        let sent = ring::Ring::of(&self.memory()).send(
            &self.participant,
            values.len() as u64,
            |to, pos| {
                self.ring.write_slot(to, pos, *next.next().expect("no more are claimed"));
            },
        );
        Ok(sent?)
    }

    pub fn send(&self, value: u64) -> Result<(), NotYet> {
        self.send_all(&[value]).map(|_| ())
    }

    /// Receives up to `k` messages, reads and acknowledges them.
    pub fn receive_all(&self, k: u64) -> Result<Vec<u64>, NotYet> {
        let mut values = Vec::new();
        self.receive_into(k, &mut values)?;
        Ok(values)
    }

    /// Receives in the same way, and records what was read in `values`.
    ///
    /// So it is known even if the process is killed meanwhile.
    pub fn receive_into(&self, k: u64, values: &mut Vec<u64>) -> Result<(), NotYet> {
        let mut taker = Taker { ring: &self.ring, values };
        let received = ring::Ring::of(&self.memory()).receive(&self.taking, k, &mut taker)?;
        assert_eq!(received, taker.values.len() as u64);
        Ok(())
    }

    pub fn receive(&self) -> Result<u64, NotYet> {
        self.receive_all(1).map(|values| values[0])
    }

    /// Receives a message that stays lent. An inline message moves into a block, if one is free.
    pub fn borrow(&self) -> Result<Held, NotYet> {
        self.lend(true)
    }

    /// Claims a message, which stays in its slot or block until it is acknowledged or given back.
    pub fn claim_message(&self) -> Result<Held, NotYet> {
        self.lend(false)
    }

    fn lend(&self, moves: bool) -> Result<Held, NotYet> {
        let (ring, participant) = (&self.ring, &self.taking);
        let mut lender = Lender { ring, participant, moves, held: None };
        ring::Ring::of(&self.memory()).receive(&self.taking, 1, &mut lender)?;
        Ok(lender.held.expect("one message was received"))
    }

    /// Receives a claimed message.
    pub fn complete(&self, held: Held) {
        match held.place {
            Place::Slot(pos) => ring::Ring::of(&self.memory()).free_claimed(&self.taking, pos),
            Place::Block(_) => self.acknowledge(held),
        }
    }

    /// Gives a claimed message back.
    pub fn give_back(&self, held: Held) {
        match held.place {
            Place::Block(block) => Pool::of(&self.memory()).give_back(block),
            Place::Slot(pos) => ring::Ring::of(&self.memory()).give_back_slot(pos, self.id()),
        }
    }

    /// Claims a place to send, which stays claimed until it is published or given up.
    pub fn claim_place(&self) -> Result<u64, NotYet> {
        Ok(ring::Ring::of(&self.memory()).claim_slot(&self.participant)?)
    }

    /// Sends a message in a claimed place.
    pub fn publish(&self, place: u64, value: u64) {
        let memory = self.memory();
        self.ring.write_slot(memory.slot(place), place, value);
        ring::Ring::of(&memory).publish(place);
    }

    /// Gives a claimed place up.
    pub fn give_up(&self, place: u64) {
        ring::Ring::of(&self.memory()).give_up(place);
    }

    /// Reads a lent message once more, and acknowledges it.
    pub fn acknowledge(&self, held: Held) {
        let memory = self.memory();
        match held.place {
            Place::Block(block) => {
                assert_eq!(self.ring.read_block(block), held.value, "a lent message has changed");
                Pool::of(&memory).free(block);
            }
            Place::Slot(pos) => {
                assert_eq!(
                    self.ring.read_slot(memory.slot(pos), pos),
                    held.value,
                    "a lent message has changed"
                );
                ring::Ring::of(&memory).free_slot(pos);
            }
        }
    }

    /// Loans a block, and writes a message into it.
    pub fn loan(&self, value: u64) -> Option<usize> {
        let block = Pool::of(&self.memory()).loan(&self.participant)?;
        self.ring.write_block(block, value);
        Some(block)
    }

    pub fn send_block(&self, block: usize) -> Result<(), NotYet> {
        let memory = self.memory();
        let sent = ring::Ring::of(&memory).send(&self.participant, 1, |to, pos| {
            self.ring.write_index(to, pos, block);
            Pool::of(&memory).publish(block, pos);
        });
        Ok(sent.map(|_| ())?)
    }

    pub fn free_block(&self, block: usize) {
        Pool::of(&self.memory()).free(block);
    }

    /// Returns whether this process sees that no receiver is left.
    pub fn sees_receivers_gone(&self) -> bool {
        self.ring.receivers_gone()
    }

    /// Returns whether a receive would return `Disconnected` now.
    pub fn finished(&self) -> bool {
        ring::Ring::of(&self.memory()).closed()
            && ring::Ring::of(&self.memory()).finished(self.id())
    }

    /// Runs `work` until it reaches the point `name` for the `n`-th time, and dies there.
    ///
    /// If `work` does not reach it, this returns the result of `work`.
    pub fn killed_at<T>(&self, name: &'static str, n: u32, work: impl FnOnce() -> T) -> Option<T> {
        let done = killpoint::killed_at(name, n, work);
        if done.is_none() {
            self.die();
        }
        done
    }

    /// Runs `work` until it reaches the point after `n` others, and dies there.
    ///
    /// If `work` does not get so far, this returns its result. It also returns the points that were
    /// reached, including the one at which the process died.
    pub fn killed_after<T>(
        &self,
        n: u32,
        work: impl FnOnce() -> T,
    ) -> (Option<T>, Vec<&'static str>) {
        let (done, reached) = killpoint::killed_after(n, work);
        if done.is_none() {
            self.die();
        }
        (done, reached)
    }

    /// Stops a thread for good at a point, in a process that lives on.
    ///
    /// Otherwise as [`killed_at`](Peer::killed_at).
    pub fn stopped_at<T>(&self, name: &'static str, n: u32, work: impl FnOnce() -> T) -> Option<T> {
        killpoint::killed_at(name, n, work)
    }

    /// Ends the process: the kernel drops its leases. The process is not used any more.
    pub fn die(&self) {
        // The life lease depends on the mapping, which the kernel removes before the open files.
        self.ring.0.life[self.id() as usize].store(0, Release);
        #[cfg(loom)]
        self.memory().sockets(memory::Side::Receivers).model.end(self.id() as usize);
        for repair in &self.ring.0.repair {
            // Relaxed: only its holder releases it.
            if repair.load(Relaxed) == self.id() {
                repair.store(0, Release);
            }
        }
    }

    /// Recovers the participant `id`, if it is dead.
    pub fn recover(&self, id: u64) -> bool {
        !self.alive(id) && self.recovery(&self.memory()).recover(id, self)
    }

    pub fn recover_all(&self) -> bool {
        self.recovery(&self.memory()).recover_all(self)
    }

    /// Drops the last endpoint of this process.
    pub fn leave(&self) {
        self.recovery(&self.memory()).leave();
        self.ring.0.life[self.id() as usize].store(0, Release);
    }

    /// Drops the last endpoint of one role. `roles` are left.
    pub fn leave_role(&self, roles: u64) {
        self.recovery(&self.memory()).leave_role(roles, entry::receivers(roles) == 0);
    }

    /// Counts `roles` in the entry of this process, which had none of that role.
    ///
    /// Returns false if that side is disconnected.
    pub fn join(&self, roles: u64) -> bool {
        self.memory().membership().join(self.id(), roles)
    }

    /// Attaches this peer, under an id that is or becomes free.
    ///
    /// Returns `None` if the id is taken, and else whether the peer joined.
    pub fn attach(&self, roles: u64) -> Option<bool> {
        let (id, life) = (self.id(), &self.ring.0.life[self.id() as usize]);
        if self.memory().entries()[id as usize].load(Relaxed) != 0 || !self.try_repair(id) {
            return None;
        }
        let won = life.compare_exchange(0, id, AcqRel, Relaxed).is_ok();
        if !won || self.memory().entries()[id as usize].load(Acquire) != 0 {
            if won {
                life.store(0, Release);
            }
            self.end_repair(id);
            return None;
        }
        #[cfg(loom)]
        self.memory().sockets(memory::Side::Receivers).model.begin(id as usize);
        let joined = self.memory().membership().join(id, roles);
        self.end_repair(id);
        if !joined {
            self.leave();
        }
        Some(joined)
    }

    /// Makes another process with the same id, to be attached after this one is gone.
    pub fn successor(&self) -> Peer {
        Peer::new(&self.ring, self.id())
    }

    /// Wakes up to `n` waiters of a side, after a publication that concerns them.
    pub fn ring(&self, side: Side, n: u64) {
        self.memory().ring(side.into(), n, Barrier::Ours);
    }

    pub fn wake_all(&self, side: Side) {
        self.memory().bell(side.into()).wake_all();
    }

    /// Tries `attempt` and sleeps on this side until it succeeds.
    ///
    /// This is the loop of `ipc-core/src/wait.rs` without spinning, slices and deadlines. So a
    /// waiter that is not woken sleeps for ever.
    pub fn waiting<T>(&self, side: Side, mut attempt: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(done) = attempt() {
                return done;
            }
            let ticket = self.register(side);
            if let Some(done) = attempt() {
                self.unregister(side, ticket);
                return done;
            }
            self.sleep(side, &ticket);
        }
    }

    /// Does the same, and waits on the bell socket of this process.
    #[cfg(loom)]
    pub fn waiting_on_socket<T>(&self, side: Side, mut attempt: impl FnMut() -> Option<T>) -> T {
        loop {
            if let Some(done) = attempt() {
                return done;
            }
            self.arm(side);
            if let Some(done) = attempt() {
                self.disarm(side);
                return done;
            }
            self.sleep_on_socket(side);
        }
    }

    /// Registers this process as a waiter with a bell socket.
    #[cfg(loom)]
    pub fn arm(&self, side: Side) {
        self.memory().bell(side.into()).arm(self.id());
        let _ = ipc_wait::Bell::barrier();
    }

    /// Unregisters it. If it was notified, another waiter is notified instead.
    #[cfg(loom)]
    pub fn disarm(&self, side: Side) {
        if !self.memory().bell(side.into()).disarm(self.id()) {
            self.ring(side, 1);
        }
    }

    /// Sleeps until it is notified.
    #[cfg(loom)]
    pub fn sleep_on_socket(&self, side: Side) {
        let memory = self.memory();
        let bell = memory.bell(side.into());
        loop {
            memory.sockets(side.into()).model.wait(self.id() as usize);
            // A datagram may be an old one.
            if !bell.is_armed(self.id()) {
                return;
            }
        }
    }

    pub fn register(&self, side: Side) -> Registered {
        Registered(self.memory().bell(side.into()).register())
    }

    pub fn unregister(&self, side: Side, ticket: Registered) {
        self.memory().bell(side.into()).unregister(&ticket.0);
    }

    /// Unregisters a waiter that waits for other things too, and does not check this one again.
    pub fn leave_unused(&self, side: Side, ticket: Registered) {
        self.memory().bell(side.into()).leave(&ticket.0, Outcome::Unused, Barrier::Ours);
    }

    pub fn sleep(&self, side: Side, ticket: &Registered) {
        self.memory().bell(side.into()).sleep(&ticket.0, Duration::MAX);
    }
}

/// A waiter's registration.
pub struct Registered(Ticket);
