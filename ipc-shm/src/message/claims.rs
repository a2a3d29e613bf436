//! Claimed operations: those that `Select` has chosen, and that are not completed yet.
//!
//! A claimed message stays in its slot or block, as in a receive that has not read it yet. A
//! claimed place is a slot of the ring, as in a send that has not published yet. So if this process
//! dies before it completes the operation, recovery gives the message to another receiver, and
//! voids the place ([`ring`](crate::channel::ring)).

use std::task::{Context, Poll, Waker};

use ipc_core::__private::SendFailure;
use ipc_core::__private::poll::{self, PollRecv, PollSend};
use ipc_core::__private::ready::{
    Claim, ClaimRecv, ClaimSend, Outcome, Pace, Quick, Ready, Registration, Selectable, Source,
    TaskQueue, Tasks, Ticket,
};
use ipc_core::__private::task::Wait;
use ipc_core::__private::wait::{Doorbell, Ended};
use ipc_core::route::Receive;
use ipc_core::{Deadline, RecvError, RecvTimeoutError, SendError, Unreadable, Unsendable};
use ipc_sys::tasks::ThisProcess;
use ipc_wait::spin_policy;

use crate::channel::endpoint::Endpoint;
use crate::channel::ends::{Codec, Rx, Tx};
use crate::channel::memory::Slot;
use crate::channel::recovery::BlockOf;
use crate::channel::ring::{After, Sink};
use crate::copy;
use crate::message::wire::{
    IN_BLOCK, inline_limit, read_inline, room, send_bytes, take_block, write_inline,
};
use crate::sync::Ordering::Relaxed;

/// Where a claimed message lies: the second number of its claim. The first is the position of the
/// slot, or the number of the block.
pub(crate) mod place {
    /// In a slot.
    pub(crate) const SLOT: u64 = 0;
    /// In a slot, and another receiver had it before.
    pub(crate) const SLOT_AGAIN: u64 = 1;
    /// In a block.
    pub(crate) const BLOCK: u64 = 2;
}

/// Receives one message so that it stays claimed.
struct ClaimSink<'a, F> {
    end: &'a Endpoint,
    block_of: F,
    claim: Claim,
    again: bool,
}

impl<'a, F> ClaimSink<'a, F> {
    #[inline]
    fn new(end: &'a Endpoint, block_of: F) -> Self {
        // Every message that is received replaces the claim.
        ClaimSink { end, block_of, claim: Claim::Disconnected, again: false }
    }
}

impl<F: Fn(Slot<'_>) -> Option<u64>> Sink for ClaimSink<'_, F> {
    #[inline(always)]
    fn block_of(&self, slot: Slot<'_>) -> Option<u64> {
        (self.block_of)(slot)
    }

    #[inline]
    fn inline(&mut self, _slot: Slot<'_>, pos: u64) -> After {
        self.claim = Claim::Place(pos, if self.again { place::SLOT_AGAIN } else { place::SLOT });
        After::Claim
    }

    fn block(&mut self, block: usize, _pos: u64) {
        self.claim = Claim::Place(block as u64, place::BLOCK);
        // Its slot is free.
        self.end.wake_senders(1);
    }

    fn redelivered(&mut self) {
        self.again = true;
    }

    fn corrupt(&mut self, what: &'static str) {
        self.claim = Claim::Unreadable(Box::new(Unreadable::Corrupt(what)));
        self.end.wake_senders(1);
    }
}

fn claim_message(end: &Endpoint, block_of: BlockOf) -> Option<Claim> {
    if end.forked() {
        return Some(Claim::Unreadable(Box::new(Unreadable::Forked)));
    }
    let received = match end.unread.check() {
        Ok(()) => {
            let mut sink = ClaimSink::new(end, block_of);
            end.try_receive(&mut sink)?.map(|()| sink.claim)
        }
        Err(error) => Err(error),
    };
    Some(received.unwrap_or_else(|error| match error {
        RecvTimeoutError::Unreadable(cause) => Claim::Unreadable(Box::new(cause)),
        _ => Claim::Disconnected,
    }))
}

/// Sends an encoded message of any length, if that is possible now.
pub(crate) fn send_bytes_now(end: &Endpoint, bytes: &[u8]) -> Result<(), SendFailure> {
    if bytes.len() > inline_limit(end) {
        // The block first: without one, no slot is claimed in vain.
        return send_bytes(end, bytes, Deadline::Now);
    }
    room_now(end)?.send_inline(|slot| write_inline(slot, bytes));
    Ok(())
}

/// Claims a slot to send, if there is one now.
pub(crate) fn room_now(end: &Endpoint) -> Result<Room<'_>, SendFailure> {
    Room::claimed(end, claim_room(end).ok_or(SendFailure::Timeout)?)
}

fn claim_room(end: &Endpoint) -> Option<Claim> {
    Some(match end.try_claim_slot()? {
        Ok(pos) => Claim::Place(pos, place::SLOT),
        Err(SendFailure::Unsendable(cause)) => Claim::Unsendable(Box::new(cause)),
        Err(_) => Claim::Disconnected,
    })
}

/// Copies the encoded message that a claim of `end` names, and acknowledges it.
///
/// # Errors
///
/// If there is no message, or its bytes cannot be reached.
#[inline]
pub(crate) fn claimed<'a>(
    end: &Endpoint,
    claim: Claim,
    bytes: &'a mut Vec<u8>,
) -> Result<&'a [u8], RecvTimeoutError> {
    if end.forked() {
        return Err(RecvTimeoutError::Unreadable(Unreadable::Forked));
    }
    match claim {
        Claim::Place(block, place::BLOCK) => {
            take_block(end, block as usize, bytes).map_err(RecvTimeoutError::Unreadable)
        }
        Claim::Place(pos, _) => {
            // RING-I4: the slot is Ready or Reading by this process, so its payload stays.
            let len = read_inline(end.memory.slot(pos), room(bytes, inline_limit(end)));
            end.prefetch(pos, 16 + len);
            end.ring().free_claimed(&end.participant, pos);
            end.wake_senders(1);
            Ok(&bytes[..len])
        }
        Claim::Unreadable(cause) => Err(RecvTimeoutError::Unreadable(*cause)),
        _ => Err(RecvTimeoutError::Disconnected),
    }
}

/// A claimed slot to send. If it is dropped, it is given up.
pub(crate) struct Room<'a> {
    end: &'a Endpoint,
    pos: u64,
}

impl<'a> Room<'a> {
    /// Returns the slot that a claim of `end` names.
    ///
    /// # Errors
    ///
    /// If there is no slot, because nothing can be sent.
    pub(crate) fn claimed(end: &'a Endpoint, claim: Claim) -> Result<Room<'a>, SendFailure> {
        if end.forked() {
            return Err(SendFailure::Unsendable(Unsendable::Forked));
        }
        match claim {
            Claim::Place(pos, _) => Ok(Room { end, pos }),
            Claim::Unsendable(cause) => Err(SendFailure::Unsendable(*cause)),
            _ => Err(SendFailure::Disconnected),
        }
    }

    /// Writes the message into the slot, and publishes it.
    pub(crate) fn send_inline(self, write: impl FnOnce(Slot<'_>)) {
        // RING-I4: the slot is Free or Writing by this process, so only it accesses the payload.
        write(self.end.memory.slot(self.pos));
        self.end.ring().publish(self.pos);
        self.end.wake_receivers(1);
        std::mem::forget(self);
    }

    /// Publishes an own block as the message. `header` is the payload that names it.
    pub(crate) fn send_block(self, block: usize, header: u64) {
        self.send_inline_with(|end, pos, slot| {
            slot.payload[0].store(header, Relaxed); // Relaxed: RING-E1 publishes it.
            end.pool().publish(block, pos);
        });
    }

    fn send_inline_with(self, write: impl FnOnce(&Endpoint, u64, Slot<'_>)) {
        let (end, pos) = (self.end, self.pos);
        self.send_inline(|slot| write(end, pos, slot));
    }

    /// Sends an encoded message of any length. Waits only if all blocks are in use, and then
    /// without the slot.
    pub(crate) fn send_bytes(self, bytes: &[u8]) -> Result<(), SendFailure> {
        let end = self.end;
        if bytes.len() <= inline_limit(end) {
            self.send_inline(|slot| write_inline(slot, bytes));
            return Ok(());
        }
        match end.loan(bytes.len(), Deadline::Now) {
            Ok((block, words)) => {
                copy::write_bytes(words, bytes);
                self.send_block(block, IN_BLOCK | block as u64);
                Ok(())
            }
            Err(SendFailure::Timeout) => {
                drop(self);
                send_bytes(end, bytes, Deadline::Never)
            }
            Err(failure) => Err(failure),
        }
    }
}

impl Drop for Room<'_> {
    fn drop(&mut self) {
        self.end.ring().give_up(self.pos);
    }
}

impl Pace for Endpoint {
    fn spins(&self) -> u32 {
        Doorbell::spins(self)
    }

    fn pause(&self) {
        Doorbell::pause(self);
    }

    fn shares_processor(&self) -> bool {
        spin_policy::shares_processor(self)
    }

    fn waited(&self, ended: Ended) {
        Doorbell::waited(self, ended);
    }

    fn let_peer_run_ahead(&self) -> bool {
        Doorbell::let_peer_run_ahead(self)
    }
}

/// The bit of a ticket of a waiter that waits on the bell socket. Its number is below.
const ON_SOCKET: u64 = 1 << 63;

/// Returns the number of a waiter that waits on the bell socket.
fn on_socket(Ticket(number): Ticket) -> Option<u64> {
    (number & ON_SOCKET != 0).then_some(number & !ON_SOCKET)
}

impl Ready for Endpoint {
    fn is_ready(&self) -> bool {
        self.may_do_something()
    }

    fn register(&self, _waker: &Waker) -> Registration<'_> {
        let bell = self.memory.bell(self.side());
        let ticket = bell.announce();
        Registration { source: bell.source(&ticket), ticket: ticket.into(), barrier: true }
    }

    fn register_task(&self, waker: &Waker) -> Registration<'_> {
        match self.attachment.waiting().register(self.side(), waker) {
            Some(number) => {
                let ticket = Ticket(ON_SOCKET | number);
                Registration { source: Source::Waker, ticket, barrier: true }
            }
            None => Ready::register(self, waker),
        }
    }

    fn unregister(&self, ticket: Ticket, outcome: Outcome) {
        let bell = self.memory.bell(self.side());
        let Some(number) = on_socket(ticket) else {
            return bell.leave(&ticket.into(), outcome, self.barrier);
        };
        let notified = !self.attachment.waiting().unregister(self.side(), number);
        if notified && outcome == Outcome::Unused {
            bell.ring(1, self.barrier);
        }
    }

    fn notified(&self, ticket: Ticket) -> bool {
        match on_socket(ticket) {
            Some(number) => self.attachment.waiting().notified(self.side(), number),
            None => self.memory.bell(self.side()).notified(&ticket.into()),
        }
    }

    fn recover_dead(&self) -> bool {
        Doorbell::recover_dead(self) | self.attachment.waiting().recover()
    }

    fn recover_dead_throttled(&self) -> bool {
        Doorbell::recover_dead_throttled(self)
    }

    fn settle(&self) -> bool {
        Endpoint::settle(self)
    }

    fn monitors_deaths(&self) -> bool {
        Doorbell::monitors_deaths(self)
    }

    fn recovers(&self) -> bool {
        true
    }

    fn tasks(&self) -> &'static dyn Tasks {
        &ThisProcess
    }

    fn task_queue(&self) -> Option<&TaskQueue> {
        Some(self.attachment.task_queue(self.side()))
    }
}

macro_rules! end {
    ($End:ident) => {
        impl<T, C> Pace for $End<T, C> {
            fn spins(&self) -> u32 {
                Pace::spins(&self.end)
            }
            fn pause(&self) {
                Pace::pause(&self.end);
            }
            fn shares_processor(&self) -> bool {
                self.end.shares_processor()
            }
            fn waited(&self, ended: Ended) {
                Pace::waited(&self.end, ended);
            }
            fn let_peer_run_ahead(&self) -> bool {
                Pace::let_peer_run_ahead(&self.end)
            }
        }

        impl<T, C> Ready for $End<T, C> {
            fn is_ready(&self) -> bool {
                self.end.is_ready()
            }
            fn register(&self, waker: &Waker) -> Registration<'_> {
                Ready::register(&self.end, waker)
            }
            fn register_task(&self, waker: &Waker) -> Registration<'_> {
                Ready::register_task(&self.end, waker)
            }
            fn unregister(&self, ticket: Ticket, outcome: Outcome) {
                Ready::unregister(&self.end, ticket, outcome);
            }
            fn notified(&self, ticket: Ticket) -> bool {
                self.end.notified(ticket)
            }
            fn recover_dead(&self) -> bool {
                Ready::recover_dead(&self.end)
            }
            fn recover_dead_throttled(&self) -> bool {
                Ready::recover_dead_throttled(&self.end)
            }
            fn settle(&self) -> bool {
                Ready::settle(&self.end)
            }
            fn monitors_deaths(&self) -> bool {
                Ready::monitors_deaths(&self.end)
            }
            fn recovers(&self) -> bool {
                self.end.recovers()
            }
            fn tasks(&self) -> &'static dyn Tasks {
                self.end.tasks()
            }
            fn task_queue(&self) -> Option<&TaskQueue> {
                self.end.task_queue()
            }
        }
    };
}

end!(Tx);
end!(Rx);

impl<T, C> Selectable for Tx<T, C> {
    fn claim(&self) -> Option<Claim> {
        claim_room(&self.end)
    }

    fn give_back(&self, claim: Claim) {
        // Its drop gives it up.
        drop(Room::claimed(&self.end, claim));
    }
}

impl<T, C: Codec<T>> Selectable for Rx<T, C> {
    fn claim(&self) -> Option<Claim> {
        claim_message(&self.end, C::block_of)
    }

    #[inline]
    fn claim_now(&self) -> Quick<Claim> {
        let end = &self.end;
        if end.forked() || end.unread.any() {
            return Quick::Unknown;
        }
        if end.ring().is_idle(&end.participant) {
            return Quick::NotNow;
        }
        let mut sink = ClaimSink::new(end, C::block_of);
        match end.ring().receive(&end.participant, 1, &mut sink) {
            Ok(_) => Quick::Done(sink.claim),
            Err(_) => Quick::Unknown,
        }
    }

    fn give_back(&self, claim: Claim) {
        let end = &self.end;
        match claim {
            _ if end.forked() => {}
            Claim::Place(block, place::BLOCK) => end.pool().give_back(block as usize),
            Claim::Place(pos, _) => end.ring().give_back_slot(pos, end.participant.id),
            Claim::Unreadable(cause) => end.unread.keep(*cause),
            _ => {}
        }
    }
}

impl<T, C> PollSend<T> for Tx<T, C>
where
    Tx<T, C>: ClaimSend<T>,
{
    type Waiting = Wait;

    fn poll_send(
        &self,
        wait: &mut Wait,
        message: &mut Option<T>,
        context: &Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        poll::send(self, wait, message, context)
    }

    fn leave_send(&self, wait: &mut Wait, _message: &mut Option<T>) {
        poll::leave(self, wait);
    }
}

impl<T, C> PollRecv<T> for Rx<T, C>
where
    Rx<T, C>: ClaimRecv<T> + Receive<T>,
{
    type Waiting = Wait;

    #[inline]
    fn poll_recv(&self, wait: &mut Wait, context: &Context<'_>) -> Poll<Result<T, RecvError>> {
        poll::recv(self, wait, context)
    }

    fn leave_recv(&self, wait: &mut Wait) {
        poll::leave(self, wait);
    }
}
