//! A ring on the heap, for loom, shuttle and fuzzing.
//!
//! The words of a segment lie in boxes, and leases are words of their own. The processes are
//! threads of a model, or take turns in one thread. Each can be killed at any kill point of the
//! protocol.
//!
//! The protocol is the crate's own, on [`Memory::parts`]. The replacements of the kernel and of the
//! layers above are small: leases ([`Parts::life`]), the waiting loop ([`Peer::waiting`]), and how
//! a borrowed inline message moves into a block ([`Peer::borrow`]).
//!
//! The module is for internal use only, and nothing here is stable.

// The caller of `Memory::parts` must ensure that the boxes outlive the view.
#![allow(unsafe_code, missing_docs)]

use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

use crate::attach::lease::Leases;
use crate::channel::memory::{self, Memory, Slot};
use crate::channel::ring::{self, After, Participant, Sink};
use crate::killpoint;
use crate::layout::{BlockMeta, CacheLine, Description, Geometry, Header, Hints, Seqs};
use crate::layout::{block, count, entry, kind, members, owner, pos, slot};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release};
use crate::sync::models::UnsafeCell;
use ipc_core::__private::ready::Outcome;
#[cfg(loom)]
use ipc_wait::model_futex::ModelFutex;
use ipc_wait::{Barrier, Ticket};

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

/// The flag in a slot's first word that the message lies in a block. The rest names the block.
const BOXED: u64 = 1 << 63;

/// The words of a message: a word and its copy. In a torn or stale message the two differ.
const WORDS: usize = 2;

struct Parts {
    header: Box<Header>,
    entries: Box<[AtomicU64]>,
    pid_hints: Box<[AtomicU64]>,
    blocks: Box<[BlockMeta]>,
    slots: Box<[AtomicU64]>,
    data: Box<[AtomicU64]>,
    /// The payloads as the processor sees them: plain memory. loom finds unordered accesses.
    slot_bytes: Box<[UnsafeCell<()>]>,
    block_bytes: Box<[UnsafeCell<()>]>,
    geometry: Geometry,
    /// The holder of each id's lease: 0 or an id.
    life: Box<[AtomicU64]>,
    repair: Box<[AtomicU64]>,
}

/// A ring, and the kernel that knows which processes are alive.
#[derive(Clone)]
pub struct Ring(Arc<Parts>);

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

/// A message that is lent to its receiver.
pub struct Held {
    place: Place,
    pub value: u64,
}

enum Place {
    Block(usize),
    Slot(u64),
}

fn words(n: usize) -> Box<[AtomicU64]> {
    (0..n).map(|_| AtomicU64::new(0)).collect()
}

fn part<T>(part: &[T]) -> NonNull<T> {
    NonNull::from(part).cast()
}

impl Ring {
    /// Makes a ring with these blocks.
    ///
    /// The ids from 1 on have these roles. The role of an id that is still free is 0.
    pub fn new<const N: usize>(capacity: u64, blocks: usize, roles: [u64; N]) -> (Ring, [Peer; N]) {
        let word = || AtomicU64::new(0);
        let line = || CacheLine(AtomicU64::new(0));
        let geometry = Geometry {
            capacity,
            mask: capacity.next_power_of_two() - 1,
            stride: 8 * (1 + WORDS),
            entries: N + 1,
            blocks,
            largest: 8 * WORDS,
            block_size: 8 * WORDS,
        };
        let header = Header {
            description: Description::new(),
            tail: line(),
            head: line(),
            recv_wait: line(),
            send_wait: line(),
            seqs: Seqs { members: word(), orphan_seq: word(), end: word() },
            hints: Hints { senders_cpu: word(), receivers_cpu: word() },
            text: std::array::from_fn(|_| word()),
            #[cfg(loom)]
            futexes: [ModelFutex::new(), ModelFutex::new()],
        };
        let meta = |_| BlockMeta {
            state: word(),
            len: word(),
            deliveries: word(),
            committed: word(),
            place: word(),
            room: word(),
        };
        #[allow(
            clippy::arc_with_non_send_sync,
            reason = "processes take turns, or the scheduler watches"
        )]
        let ring = Ring(Arc::new(Parts {
            header: Box::new(header),
            entries: words(N + 1),
            pid_hints: words(N + 1),
            blocks: (0..blocks).map(meta).collect(),
            slots: words(capacity as usize * (1 + WORDS)),
            data: words(blocks * WORDS),
            slot_bytes: (0..capacity).map(|_| UnsafeCell::new(())).collect(),
            block_bytes: (0..blocks).map(|_| UnsafeCell::new(())).collect(),
            geometry,
            life: words(N + 1),
            repair: words(N + 1),
        }));
        ring.memory().initialise(0);
        for (i, roles) in roles.into_iter().enumerate() {
            if roles != 0 {
                // Relaxed: no other thread exists yet.
                ring.0.entries[i + 1].store(roles, Relaxed);
                ring.0.life[i + 1].store(i as u64 + 1, Relaxed);
            }
        }
        let peers = std::array::from_fn(|i| ring.peer(i as u64 + 1));
        (ring, peers)
    }

    fn peer(&self, id: u64) -> Peer {
        Peer { ring: self.clone(), participant: Participant::new(id), taking: Participant::new(id) }
    }

    fn memory(&self) -> Memory {
        let p = &*self.0;
        // SAFETY: the boxes are as long as `geometry` says. They live as long as `self` or a clone
        // of it, which every user of the view has.
        unsafe {
            Memory::parts(
                NonNull::from(&*p.header),
                part(&p.entries),
                part(&p.pid_hints),
                part(&p.blocks),
                part(&p.slots),
                p.geometry,
            )
        }
    }

    /// Checks the ring after all threads were joined.
    ///
    /// Every dead process was recovered, unless no process is left that could recover it. No claim
    /// is left open, and no word names an id whose entry is free (RING-I1, RING-I2, RING-I3).
    pub fn check(&self) {
        let memory = self.memory();
        let used =
            |id: u64| id == 0 || memory.entries()[id as usize].load(Acquire) & entry::USED != 0;
        let (tail, head) = (memory.tail().load(Acquire), memory.head().load(Acquire));
        assert!(used(owner(tail)) && used(owner(head)), "RING-I3: tail or head names a free id");
        for index in 0..self.0.geometry.capacity as usize {
            let state = memory.slot_at(index).state.load(Acquire);
            assert!(used(owner(state)), "RING-I3: a slot names a free id");
            let p = pos(state);
            let g = &self.0.geometry;
            if kind(state) == slot::FREE && g.distance(p, pos(tail)).wrapping_sub(1) < g.capacity {
                assert!(
                    g.distance(p, pos(tail)) <= count(tail),
                    "RING-I1: a claim to send is unsigned"
                );
            }
            if matches!(kind(state), slot::READY | slot::VOID)
                && g.distance(p, pos(head)).wrapping_sub(1) < g.capacity
            {
                assert!(
                    g.distance(p, pos(head)) <= count(head),
                    "RING-I2: a claim to receive is unsigned"
                );
            }
        }
        for found in memory.blocks() {
            assert!(used(owner(found.state.load(Acquire))), "RING-I3: a block names a free id");
        }
    }

    /// Checks that nothing is left after all processes have detached.
    pub fn check_empty(&self) {
        self.check();
        let memory = self.memory();
        assert!(memory.entries().iter().all(|entry| entry.load(Acquire) == 0), "an entry is left");
        assert_eq!(self.blocks_free(), memory.blocks().len(), "a block is leaked");
    }

    pub fn blocks_free(&self) -> usize {
        let free = |b: &&BlockMeta| b.state.load(Acquire) == block::FREE;
        self.memory().blocks().iter().filter(free).count()
    }

    pub fn closed(&self) -> bool {
        self.memory().closed()
    }

    pub fn senders_gone(&self) -> bool {
        self.memory().members().load(Acquire) & members::SENDERS_GONE != 0
    }

    pub fn receivers_gone(&self) -> bool {
        self.memory().members().load(Acquire) & members::RECEIVERS_GONE != 0
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
    pub fn id(&self) -> u64 {
        self.participant.id
    }

    fn memory(&self) -> Memory {
        self.ring.memory()
    }

    /// Sends these as one batch, and returns how many were sent.
    pub fn send_all(&self, values: &[u64]) -> Result<u64, NotYet> {
        let mut next = values.iter();
        let sent = self.memory().send(&self.participant, values.len() as u64, |to, pos| {
            self.write_slot(to, pos, *next.next().expect("no more are claimed"));
        });
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
        let mut taker = Taker { peer: self, values };
        let received = self.memory().receive(&self.taking, k, &mut taker)?;
        assert_eq!(received, taker.values.len() as u64);
        Ok(())
    }

    pub fn receive(&self) -> Result<u64, NotYet> {
        self.receive_all(1).map(|values| values[0])
    }

    /// Receives a message that stays lent. An inline message moves into a block, if one is free.
    pub fn borrow(&self) -> Result<Held, NotYet> {
        let mut lender = Lender { peer: self, held: None };
        self.memory().receive(&self.taking, 1, &mut lender)?;
        Ok(lender.held.expect("one message was received"))
    }

    /// Reads a lent message once more, and acknowledges it.
    pub fn acknowledge(&self, held: Held) {
        let memory = self.memory();
        match held.place {
            Place::Block(block) => {
                assert_eq!(self.read_block(block), held.value, "a lent message has changed");
                memory.free_block(block);
            }
            Place::Slot(pos) => {
                assert_eq!(
                    self.read_slot(memory.slot(pos), pos),
                    held.value,
                    "a lent message has changed"
                );
                memory.free_slot(pos);
            }
        }
    }

    /// Loans a block, and writes a message into it.
    pub fn loan(&self, value: u64) -> Option<usize> {
        let block = self.memory().loan_block(&self.participant)?;
        self.write_block(block, value);
        Some(block)
    }

    pub fn send_block(&self, block: usize) -> Result<(), NotYet> {
        let memory = self.memory();
        let sent = memory.send(&self.participant, 1, |to, pos| {
            self.write_index(to, pos, block);
            memory.publish_block(block, pos);
        });
        Ok(sent.map(|_| ())?)
    }

    pub fn free_block(&self, block: usize) {
        self.memory().free_block(block);
    }

    /// Returns whether this process sees that no receiver is left.
    pub fn sees_receivers_gone(&self) -> bool {
        self.ring.receivers_gone()
    }

    /// Returns whether a receive would return `Disconnected` now.
    pub fn finished(&self) -> bool {
        self.memory().closed() && self.memory().finished(self.id())
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
        for repair in &self.ring.0.repair {
            // Relaxed: only its holder releases it.
            if repair.load(Relaxed) == self.id() {
                repair.store(0, Release);
            }
        }
    }

    /// Recovers the participant `id`, if it is dead.
    pub fn recover(&self, id: u64) -> bool {
        !self.alive(id) && self.memory().recover(id, &self.taking, self, block_of)
    }

    pub fn recover_all(&self) -> bool {
        self.memory().recover_all(&self.taking, self, block_of)
    }

    /// Drops the last endpoint of this process.
    pub fn leave(&self) {
        self.memory().leave(&self.taking, block_of);
        self.ring.0.life[self.id() as usize].store(0, Release);
    }

    /// Drops the last endpoint of one role. `roles` are left.
    pub fn leave_role(&self, roles: u64) {
        self.memory().leave_role(&self.taking, roles, entry::receivers(roles) == 0, block_of);
    }

    /// Counts `roles` in the entry of this process, which had none of that role.
    ///
    /// Returns false if that side is disconnected.
    pub fn join(&self, roles: u64) -> bool {
        self.memory().join(self.id(), roles)
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
        let joined = self.memory().join(id, roles);
        self.end_repair(id);
        if !joined {
            self.leave();
        }
        Some(joined)
    }

    /// Makes another process with the same id, to be attached after this one is gone.
    pub fn successor(&self) -> Peer {
        self.ring.peer(self.id())
    }

    /// Wakes up to `n` waiters of a side, after a publication that concerns them.
    pub fn ring(&self, side: Side, n: u64) {
        self.memory().bell(side.into()).ring(n, Barrier::Ours);
    }

    pub fn ring_all(&self, side: Side) {
        self.memory().bell(side.into()).ring_all();
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
            self.sleep(side, ticket);
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

    pub fn sleep(&self, side: Side, ticket: Registered) {
        self.memory().bell(side.into()).sleep(&ticket.0, Duration::MAX);
    }
}

/// A waiter's registration.
pub struct Registered(Ticket);

/// The payloads: words, and the plain bytes that they stand for.
///
/// All accesses are Relaxed, because the state words order them.
impl Peer {
    fn write_slot(&self, to: Slot<'_>, pos: u64, value: u64) {
        self.ring.0.slot_bytes[self.ring.0.geometry.index(pos)].with_mut(|_| ());
        to.payload[0].store(value, Relaxed);
        to.payload[1].store(value, Relaxed);
    }

    fn write_index(&self, to: Slot<'_>, pos: u64, block: usize) {
        self.ring.0.slot_bytes[self.ring.0.geometry.index(pos)].with_mut(|_| ());
        to.payload[0].store(BOXED | block as u64, Relaxed);
    }

    fn read_slot(&self, from: Slot<'_>, pos: u64) -> u64 {
        self.ring.0.slot_bytes[self.ring.0.geometry.index(pos)].with(|_| ());
        agreed(from.payload)
    }

    fn block_words(&self, block: usize) -> &[AtomicU64] {
        &self.ring.0.data[block * WORDS..][..WORDS]
    }

    fn write_block(&self, block: usize, value: u64) {
        self.ring.0.block_bytes[block].with_mut(|_| ());
        let to = self.block_words(block);
        to[0].store(value, Relaxed);
        to[1].store(value, Relaxed);
    }

    fn read_block(&self, block: usize) -> u64 {
        self.ring.0.block_bytes[block].with(|_| ());
        agreed(self.block_words(block))
    }
}

fn agreed(from: &[AtomicU64]) -> u64 {
    let (one, two) = (from[0].load(Relaxed), from[1].load(Relaxed));
    assert_eq!(one, two, "torn message");
    one
}

fn block_of(from: Slot<'_>) -> Option<u64> {
    let word = from.payload[0].load(Relaxed); // Relaxed: after the slot's Acquire, RING-E1.
    (word & BOXED != 0).then_some(word & !BOXED)
}

/// A sink that copies messages out.
struct Taker<'a> {
    peer: &'a Peer,
    values: &'a mut Vec<u64>,
}

impl Sink for Taker<'_> {
    fn block_of(&self, slot: Slot<'_>) -> Option<u64> {
        block_of(slot)
    }
    fn inline(&mut self, slot: Slot<'_>, pos: u64) -> After {
        self.values.push(self.peer.read_slot(slot, pos));
        After::Free
    }
    fn block(&mut self, block: usize, _pos: u64) {
        self.values.push(self.peer.read_block(block));
        self.peer.memory().free_block(block);
    }
    fn corrupt(&mut self, what: &'static str) {
        panic!("{what}");
    }
}

/// A sink that keeps one message lent.
struct Lender<'a> {
    peer: &'a Peer,
    held: Option<Held>,
}

impl Sink for Lender<'_> {
    fn block_of(&self, slot: Slot<'_>) -> Option<u64> {
        block_of(slot)
    }
    fn inline(&mut self, slot: Slot<'_>, pos: u64) -> After {
        let (memory, participant) = (self.peer.memory(), &self.peer.taking);
        let value = self.peer.read_slot(slot, pos);
        let (place, after) = match memory.loan_block(participant) {
            Some(block) => {
                self.peer.write_block(block, value);
                memory.lend_own_block(block, pos, participant.id, 1);
                (Place::Block(block), After::Free)
            }
            None => {
                memory.sign_own_reading(pos, participant.id);
                (Place::Slot(pos), After::Keep)
            }
        };
        self.held = Some(Held { place, value });
        after
    }
    fn block(&mut self, block: usize, _pos: u64) {
        let value = self.peer.read_block(block);
        self.held = Some(Held { place: Place::Block(block), value });
    }
    fn corrupt(&mut self, what: &'static str) {
        panic!("{what}");
    }
}
