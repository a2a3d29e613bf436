//! The common part of all shared-memory endpoints, independent of their messages.

use crate::sync::{AtomicU64, Ordering};
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ipc_core::__private::codec::Form;
use ipc_core::__private::handle;
use ipc_core::__private::wait::{Doorbell, Ended, InTheWay, Woken, at_once, until};
use ipc_core::__private::{SendFailure, Unread};
use ipc_core::error::DisconnectCause;
use ipc_core::{Deadline, RecvTimeoutError, SizeLimit, Unreadable, Unsendable};
use ipc_sys as sys;
use ipc_wait::spin_policy::{self, Lane, SpinPolicy};
use ipc_wait::{Barrier, Ticket};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::attach::participant_limit::not_issued;
use crate::channel::attachment::{Attachment, Kind};
use crate::channel::memory::{Memory, Side, Slot};
use crate::channel::places::Unreached;
use crate::channel::pool::Pool;
use crate::channel::prefetch::Prefetcher;
use crate::channel::ring::{NOWHERE, NotYet, Participant, Ring, Sink};
use crate::channel::roles::Role;
use crate::layout::{entry, members, pos};

const NO_PLACE: &str = "a message lies where no message can";

/// One end of a channel: a share in the attachment, and the state of this handle.
pub(crate) struct Endpoint {
    /// A copy of the attachment's view, which saves one indirection on the hot path.
    pub(crate) memory: Memory,
    pub(crate) participant: Participant,
    pub(crate) barrier: Barrier,
    fork: sys::fork::ForkCheck,
    /// How messages of a serde type are encoded.
    pub(crate) form: Form,
    role: Role,
    spin_policy: SpinPolicy,
    prefetcher: Prefetcher,
    pub(crate) unread: Unread,
    /// The position of the peer for which `try_*` no longer waits.
    given_up: AtomicU64,
    pub(crate) attachment: Arc<Attachment>,
}

impl Endpoint {
    /// Makes an endpoint that is counted already.
    pub(crate) fn counted(attachment: Arc<Attachment>, role: Role) -> Endpoint {
        Endpoint {
            memory: attachment.memory,
            participant: Participant::new(attachment.me),
            barrier: attachment.barrier,
            fork: attachment.fork,
            form: Form::new(),
            role,
            spin_policy: SpinPolicy::new(),
            prefetcher: Prefetcher::new(&attachment.memory.geometry),
            unread: Unread::default(),
            given_up: AtomicU64::new(NOWHERE),
            attachment,
        }
    }

    /// Returns the ring, in which messages are queued.
    #[inline(always)]
    pub(crate) fn ring(&self) -> Ring<'_> {
        Ring::of(&self.memory)
    }

    /// Returns the pool of blocks, in which large messages lie.
    #[inline(always)]
    pub(crate) fn pool(&self) -> Pool<'_> {
        Pool::of(&self.memory)
    }

    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.fork.forked()
    }

    /// Prefetches the first `len` bytes of a slot ahead of `pos`, the position in progress.
    #[inline(always)]
    pub(crate) fn prefetch(&self, pos: u64, len: usize) {
        self.prefetcher.fetch(&self.memory, self.side(), pos, len);
    }

    /// Returns the side of this endpoint, which names the bell that it waits on.
    pub(crate) fn side(&self) -> Side {
        match self.role {
            Role::Sender => Side::Senders,
            Role::Receiver => Side::Receivers,
        }
    }

    /// Wakes receivers after `n` messages were published.
    #[inline(always)]
    pub(crate) fn wake_receivers(&self, n: u64) {
        self.memory.ring(Side::Receivers, n, self.barrier);
    }

    /// Wakes senders after `n` messages were received, which made room.
    #[inline(always)]
    pub(crate) fn wake_senders(&self, n: u64) {
        self.memory.ring(Side::Senders, n, self.barrier);
    }

    /// Retries `attempt` until it succeeds, or `deadline` has passed.
    ///
    /// The caller has just made a failed attempt.
    #[cold]
    pub(crate) fn send_slow(
        &self,
        deadline: Deadline,
        attempt: impl FnMut() -> Result<u64, NotYet>,
    ) -> Result<u64, SendFailure> {
        self.send_past(deadline, || self.ring().receiver_in_the_way(), attempt)
    }

    /// Returns whether a call that has just failed cannot succeed soon.
    ///
    /// That is so if no peer is in its way, the ring is open, and no peer was found dead.
    fn is_final(&self, in_the_way: impl Fn() -> Option<InTheWay>) -> bool {
        !self.ring().closed()
            && in_the_way().is_none()
            && self.attachment.corrupt().is_none()
            && !self.attachment.recover_dead_throttled()
    }

    /// Retries as [`send_slow`](Endpoint::send_slow). `in_the_way` returns the peer that blocks the
    /// attempt.
    fn send_past(
        &self,
        deadline: Deadline,
        in_the_way: impl Fn() -> Option<InTheWay>,
        mut attempt: impl FnMut() -> Result<u64, NotYet>,
    ) -> Result<u64, SendFailure> {
        let attempt = || match attempt() {
            Ok(sent) => Some(Ok(sent)),
            Err(NotYet::Closed) => Some(Err(SendFailure::Disconnected)),
            Err(NotYet::Busy) => {
                let what = self.attachment.corrupt()?;
                Some(Err(SendFailure::Unsendable(Unsendable::Corrupt(what))))
            }
        };
        let sent = match deadline {
            Deadline::Now if self.is_final(&in_the_way) => None,
            Deadline::Now => at_once(self, &self.given_up, in_the_way, attempt),
            _ => until(self, deadline, attempt),
        };
        sent.unwrap_or(Err(SendFailure::Timeout))
    }

    /// Returns an error if a message of `size` bytes is larger than the channel allows.
    #[inline]
    pub(crate) fn fits(&self, size: usize) -> Result<(), SendFailure> {
        let limit = self.memory.geometry.largest;
        if size > limit {
            let set_by = SizeLimit::MaxMessage;
            return Err(SendFailure::Unsendable(Unsendable::TooLarge { size, limit, set_by }));
        }
        Ok(())
    }

    /// Claims a block with memory for `len` bytes, and returns its bytes. Waits for a free block.
    pub(crate) fn loan(
        &self,
        len: usize,
        deadline: Deadline,
    ) -> Result<(usize, &[AtomicU64]), SendFailure> {
        if self.forked() {
            return Err(SendFailure::Unsendable(Unsendable::Forked));
        }
        self.fits(len)?;
        let attempt = || {
            if self.ring().closed() {
                return Err(NotYet::Closed);
            }
            self.pool().loan(&self.participant).map(|block| block as u64).ok_or(NotYet::Busy)
        };
        let block = match attempt() {
            Ok(block) => block,
            Err(NotYet::Closed) => return Err(SendFailure::Disconnected),
            Err(NotYet::Busy) => {
                self.send_past(deadline, || self.ring().block_in_the_way(), attempt)?
            }
        } as usize;
        match self.attachment.commit(block, len) {
            Ok(words) => {
                self.pool().set_len(block, len);
                Ok((block, words))
            }
            Err(unreached) => {
                self.return_block(block);
                Err(SendFailure::Unsendable(self.unsendable(len, &unreached)))
            }
        }
    }

    #[cold]
    fn unsendable(&self, size: usize, unreached: &Unreached) -> Unsendable {
        match unreached {
            Unreached::Corrupt => Unsendable::Corrupt(NO_PLACE),
            Unreached::System(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                // The limit in messages would depend on those that are queued, so the error names
                // the limit of the file.
                let limit = sys::memory::file_limit().unwrap_or(u64::MAX) as usize;
                Unsendable::TooLarge { size, limit, set_by: SizeLimit::FileSize }
            }
            Unreached::System(_) => Unsendable::OutOfMemory,
        }
    }

    /// Returns the first `len` bytes of a message in a lent block, in whole words.
    ///
    /// # Errors
    ///
    /// Fails if the bytes cannot be reached. This process then gives the block up, and the message,
    /// if it is one, goes to another receiver.
    pub(crate) fn lent(&self, block: usize, len: usize) -> Result<&[AtomicU64], Unreadable> {
        self.attachment.lent(block, len).map_err(|unreached| self.unread_block(block, &unreached))
    }

    #[cold]
    fn unread_block(&self, block: usize, unreached: &Unreached) -> Unreadable {
        match unreached {
            Unreached::Corrupt => {
                self.return_block(block);
                Unreadable::Corrupt(NO_PLACE)
            }
            Unreached::System(_) => self.no_memory_for(block),
        }
    }

    /// Returns the message in a lent block, so that a receiver with enough memory gets it.
    ///
    /// That may be this process at a later time.
    #[cold]
    pub(crate) fn no_memory_for(&self, block: usize) -> Unreadable {
        self.pool().give_back(block);
        Unreadable::OutOfMemory
    }

    /// Frees an own block, and wakes senders.
    pub(crate) fn return_block(&self, block: usize) {
        let others = self.attachment.economize(block, self.participant.id);
        self.pool().free(block);
        self.wake_senders(1 + others);
    }

    /// Publishes an own block as the next message. Waits for room.
    ///
    /// If this fails, this process still owns the block.
    pub(crate) fn send_block(
        &self,
        block: usize,
        header: u64,
        deadline: Deadline,
    ) -> Result<(), SendFailure> {
        let attempt = || {
            self.ring().send(&self.participant, 1, |slot, pos| {
                slot.payload[0].store(header, Ordering::Relaxed); // Relaxed: RING-E1 publishes it.
                self.pool().publish(block, pos);
            })
        };
        match attempt() {
            Ok(_) => {}
            Err(NotYet::Closed) => return Err(SendFailure::Disconnected),
            Err(NotYet::Busy) => {
                self.send_slow(deadline, attempt)?;
            }
        }
        self.wake_receivers(1);
        Ok(())
    }

    /// Receives up to `k` messages into `sink`, and returns how many.
    ///
    /// Waits for the first message until `deadline`.
    #[inline(always)]
    pub(crate) fn receive(
        &self,
        k: u64,
        deadline: Deadline,
        sink: &mut impl Sink,
    ) -> Result<u64, RecvTimeoutError> {
        if self.forked() {
            return Err(RecvTimeoutError::Unreadable(Unreadable::Forked));
        }
        match self.ring().receive(&self.participant, k, sink) {
            Ok(received) => Ok(received),
            Err(_) => self.receive_slow(k, deadline, sink),
        }
    }

    #[cold]
    fn receive_slow(
        &self,
        k: u64,
        deadline: Deadline,
        sink: &mut impl Sink,
    ) -> Result<u64, RecvTimeoutError> {
        let attempt = || match self.ring().receive(&self.participant, k, sink) {
            Ok(received) => Some(Ok(received)),
            Err(_) => self.nothing_to_receive().map(Err),
        };
        let in_the_way = || self.ring().sender_in_the_way();
        let received = match deadline {
            Deadline::Now if self.is_final(in_the_way) => None,
            Deadline::Now => at_once(self, &self.given_up, in_the_way, attempt),
            _ => until(self, deadline, attempt),
        };
        received.unwrap_or(Err(RecvTimeoutError::Timeout))
    }

    /// Receives a message into `sink` if there is one. Returns `None` if there is none now.
    pub(crate) fn try_receive(&self, sink: &mut impl Sink) -> Option<Result<(), RecvTimeoutError>> {
        match self.ring().receive(&self.participant, 1, sink) {
            Ok(_) => Some(Ok(())),
            Err(_) => self.nothing_to_receive().map(Err),
        }
    }

    /// Returns why no message can come, after an attempt that found none.
    fn nothing_to_receive(&self) -> Option<RecvTimeoutError> {
        if self.ring().closed() && self.ring().finished(self.participant.id) {
            // Other receivers that sleep must return the same error.
            self.memory.bell(Side::Receivers).wake_all();
            return Some(RecvTimeoutError::Disconnected);
        }
        let what = self.attachment.corrupt()?;
        Some(RecvTimeoutError::Unreadable(Unreadable::Corrupt(what)))
    }

    /// Claims a slot to send, if there is one. Returns `None` if there is none now.
    pub(crate) fn try_claim_slot(&self) -> Option<Result<u64, SendFailure>> {
        if self.forked() {
            return Some(Err(SendFailure::Unsendable(Unsendable::Forked)));
        }
        match self.ring().claim_slot(&self.participant) {
            Ok(pos) => Some(Ok(pos)),
            Err(NotYet::Closed) => Some(Err(SendFailure::Disconnected)),
            Err(NotYet::Busy) => {
                let what = self.attachment.corrupt()?;
                Some(Err(SendFailure::Unsendable(Unsendable::Corrupt(what))))
            }
        }
    }

    /// Returns whether a call may do something now.
    pub(crate) fn may_do_something(&self) -> bool {
        if self.forked() || self.unread.any() {
            return true;
        }
        match self.role {
            Role::Sender => self.ring().may_send(),
            Role::Receiver => {
                self.ring().may_receive(&self.participant)
                    || (self.ring().closed() && self.ring().finished(self.participant.id))
            }
        }
    }

    /// Waits, for a bounded time, for a peer that is in the middle of an operation. Returns whether
    /// a call may do something then.
    pub(crate) fn settle(&self) -> bool {
        let in_the_way = || match self.role {
            Role::Sender => self.ring().receiver_in_the_way(),
            Role::Receiver => self.ring().sender_in_the_way(),
        };
        let attempt = || self.may_do_something().then_some(());
        !self.is_final(in_the_way) && at_once(self, &self.given_up, in_the_way, attempt).is_some()
    }

    fn flags(&self) -> u64 {
        if self.forked() {
            return 0;
        }
        self.memory.members().load(Ordering::Acquire)
    }

    pub(crate) fn len(&self) -> usize {
        if self.forked() { 0 } else { self.ring().len() }
    }

    pub(crate) fn capacity(&self) -> usize {
        self.memory.geometry.capacity as usize
    }

    pub(crate) fn is_disconnected(&self) -> bool {
        let gone = match self.role {
            Role::Sender => members::RECEIVERS_GONE,
            Role::Receiver => members::SENDERS_GONE,
        };
        if self.flags() & gone == 0 && !self.forked() {
            self.attachment.recover_dead_throttled();
        }
        self.flags() & gone != 0
    }

    pub(crate) fn disconnect_cause(&self) -> Option<DisconnectCause> {
        if !self.is_disconnected() {
            return None;
        }
        let died = match self.role {
            Role::Sender => members::RECEIVERS_DIED,
            Role::Receiver => members::SENDERS_DIED,
        };
        Some(if self.flags() & died != 0 {
            DisconnectCause::Died
        } else {
            DisconnectCause::Dropped
        })
    }

    pub(crate) fn count(&self, role: Role) -> usize {
        if self.forked() {
            return 0;
        }
        let count = match role {
            Role::Sender => entry::senders,
            Role::Receiver => entry::receivers,
        };
        // Relaxed: a number for information only.
        self.memory.entries()[1..].iter().map(|entry| count(entry.load(Ordering::Relaxed))).sum()
    }

    pub(crate) fn same_channel(&self, other: &Endpoint) -> bool {
        Arc::ptr_eq(&self.attachment, &other.attachment)
    }

    pub(crate) fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Checked first, because a participant issued for a message that cannot carry it would be
        // wasted.
        handle::carried().map_err(|error| ser::Error::custom(handle::record_cause(error)))?;
        if self.forked() {
            return Err(ser::Error::custom(handle::record_cause(Unsendable::Forked)));
        }
        let (lease, id) = self.attachment.issue(self.role).map_err(not_issued)?;
        let index = handle::attach(lease)
            .map_err(|error| ser::Error::custom(handle::record_cause(error)))?;
        (index, id).serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        role: Role,
        kind: Kind,
    ) -> Result<Endpoint, D::Error> {
        let (index, id) = <(u32, u64)>::deserialize(deserializer)?;
        let lease = handle::take(index).ok_or_else(|| {
            de::Error::custom(handle::record_cause(
                "the descriptor of a channel end did not arrive",
            ))
        })?;
        let attachment = Attachment::adopt(lease, id, role, kind)
            .map_err(|error| de::Error::custom(handle::record_cause(error)))?;
        Ok(Endpoint::counted(attachment, role))
    }
}

impl Clone for Endpoint {
    /// # Panics
    ///
    /// If this process has 2^24 - 1 endpoints of this role.
    fn clone(&self) -> Self {
        if !self.forked() {
            self.attachment.add(self.role).expect("an endpoint of this role is here already");
        }
        Endpoint::counted(self.attachment.clone(), self.role)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if !self.forked() {
            self.attachment.remove(self.role);
        }
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("role", &self.role)
            .field("me", &self.participant.id)
            .finish()
    }
}

/// All loads are Relaxed: the positions are estimates, and no data depends on them.
impl Lane for Endpoint {
    fn other(&self) -> u64 {
        pos(match self.side() {
            Side::Receivers => self.memory.tail().load(Ordering::Relaxed),
            Side::Senders => self.memory.head().load(Ordering::Relaxed),
        })
    }

    fn distance(&self, from: u64, to: u64) -> u64 {
        self.memory.geometry.distance(from, to)
    }

    fn ready(&self, mine: u64, other: u64) -> u64 {
        let g = &self.memory.geometry;
        match self.side() {
            Side::Receivers => g.distance(mine, other),
            Side::Senders => g.capacity.saturating_sub(g.distance(other, mine)),
        }
    }

    fn goal(&self) -> u64 {
        self.memory.geometry.capacity / 4
    }

    fn same_cpu(&self, here: u64) -> bool {
        let hints = &self.memory.header().hints;
        let (mine, other) = match self.side() {
            Side::Senders => (&hints.senders_cpu, &hints.receivers_cpu),
            Side::Receivers => (&hints.receivers_cpu, &hints.senders_cpu),
        };
        spin_policy::record_cpu(mine, other, here)
    }
}

impl Doorbell for Endpoint {
    type Ticket = Ticket;

    fn register(&self) -> Ticket {
        self.memory.bell(self.side()).register()
    }

    fn unregister(&self, ticket: Ticket) {
        self.memory.bell(self.side()).unregister(&ticket);
    }

    fn sleep(&self, ticket: &Ticket, timeout: Duration) -> Woken {
        self.memory.bell(self.side()).sleep(ticket, timeout)
    }

    fn recover_dead(&self) -> bool {
        self.attachment.recover_dead()
    }

    fn monitors_deaths(&self) -> bool {
        self.attachment.monitors_deaths()
    }

    fn recover_dead_throttled(&self) -> bool {
        self.attachment.recover_dead_throttled()
    }

    fn can_run(&self, peer: u64) -> bool {
        self.attachment.pid(peer).is_some_and(sys::process::can_run)
    }

    fn forward_wake(&self) {
        self.memory.bell(self.side()).ring(1, self.barrier);
    }

    fn let_peer_run_ahead(&self) -> bool {
        self.spin_policy.let_peer_run_ahead(self, self.participant.last.load(Ordering::Relaxed))
    }

    fn spins(&self) -> u32 {
        self.spin_policy.spins(self)
    }

    fn pause(&self) {
        spin_policy::pause(spin_policy::POLL);
    }

    fn waited(&self, ended: Ended) {
        self.spin_policy.waited(ended);
    }
}

/// Returns no block, for channels whose messages never lie in one.
pub(crate) fn never_in_block(_slot: Slot<'_>) -> Option<u64> {
    None
}

/// Returns the block that a slot names, for channels whose messages always lie in one.
pub(crate) fn always_in_block(slot: Slot<'_>) -> Option<u64> {
    Some(slot.payload[0].load(Ordering::Relaxed)) // Relaxed: after the slot's Acquire, RING-E1.
}
