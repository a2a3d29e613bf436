//! One side of a channel in one process: what its ends share.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ipc_core::__private::Unread;
use ipc_core::__private::codec::{self, Form};
use ipc_core::__private::handle;
use ipc_core::__private::shape::Shape;
use ipc_core::error::DisconnectCause;
use ipc_core::{Unreadable, Unsendable};
use ipc_sys as sys;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::batch::BATCH;
use crate::carrier::{Carrier, ReceivedCarrier};
use crate::message::TakenOut;
use crate::shared_counters::{SharedCounters, Side};
use crate::types::{ReceivedType, SentType};

/// A message that was taken out of the carrier.
pub(crate) enum Parked {
    /// One of a batch, encoded. It has no handles.
    Encoded(Vec<u8>),
    /// One with everything that came with it.
    Received(TakenOut),
}

impl Parked {
    pub(crate) fn decode<T: DeserializeOwned>(self) -> Result<T, Unreadable> {
        match self {
            Parked::Encoded(bytes) => codec::decode(&bytes).map_err(Unreadable::Decode),
            Parked::Received(message) => message.decode(),
        }
    }
}

/// One side of a channel in one process.
pub(crate) struct SharedEnd {
    pub(crate) carrier: Arc<Carrier>,
    /// `None` for half of a connection.
    pub(crate) counters: Option<Arc<SharedCounters>>,
    /// The type of the messages.
    shape: &'static Shape,
    /// How its messages are encoded.
    pub(crate) form: Form,
    /// Which half of a connection this is. Dropping it must not keep the other end waiting for the
    /// other half. Not if a copy of this half has left the process.
    half: Option<Side>,
    sent_away: AtomicBool,
    /// The messages that were taken out of the carrier and not asked for yet.
    parked: Mutex<VecDeque<Parked>>,
    /// The number of those messages.
    any_parked: AtomicUsize,
    /// Threads that receive now.
    pub(crate) inside: AtomicUsize,
    pub(crate) unread: Unread,
}

impl SharedEnd {
    pub(crate) fn new(
        carrier: Arc<Carrier>,
        counters: Option<Arc<SharedCounters>>,
        shape: &'static Shape,
        half: Option<Side>,
    ) -> SharedEnd {
        SharedEnd {
            carrier,
            counters,
            shape,
            form: Form::new(),
            half,
            sent_away: AtomicBool::new(false),
            parked: Mutex::default(),
            any_parked: AtomicUsize::new(0),
            inside: AtomicUsize::new(0),
            unread: Unread::default(),
        }
    }

    pub(crate) fn same(&self, other: &SharedEnd) -> bool {
        let identity = |shared: &SharedEnd| sys::descriptor::identity(shared.carrier.fd()).ok();
        Arc::ptr_eq(&self.carrier, &other.carrier)
            || identity(self).is_some_and(|this| Some(this) == identity(other))
    }

    pub(crate) fn len(&self, empty: impl Fn() -> bool) -> usize {
        if self.carrier.forked() {
            return 0;
        }
        match &self.counters {
            Some(counters) => counters.len(empty),
            None => usize::from(!empty()),
        }
    }

    pub(crate) fn is_disconnected(&self) -> bool {
        !self.carrier.forked() && sys::socket::gone(self.carrier.fd())
    }

    pub(crate) fn disconnect_cause(&self, others: Side) -> Option<DisconnectCause> {
        if !self.is_disconnected() {
            return None;
        }
        // Dropping an end counts it out before the kernel closes it.
        match &self.counters {
            Some(counters) if counters.count(others) > 0 => Some(DisconnectCause::Died),
            _ => Some(DisconnectCause::Dropped),
        }
    }

    /// Returns the number of ends of `side`, or `None` if this is half of a connection, which has
    /// no counters.
    pub(crate) fn count(&self, side: Side, mine: Side) -> Option<usize> {
        if self.carrier.forked() || (side != mine && self.is_disconnected()) {
            return Some(0);
        }
        self.counters.as_ref().map(|counters| counters.count(side))
    }

    pub(crate) fn serialize<S: Serializer>(
        &self,
        side: Side,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let refused = |cause: &dyn fmt::Display| ser::Error::custom(handle::record_cause(cause));
        // Checked first, because what follows cannot be undone.
        handle::carried().map_err(|error| refused(&error))?;
        if self.carrier.forked() {
            return Err(refused(&Unsendable::Forked));
        }
        let leaving = self.counters.as_ref().filter(|_| side == Side::Receiver);
        // Announced first: a batch that is made in spite of it is seen below.
        leaving.inspect(|counters| counters.add_in_transit());
        if leaving.is_some() && self.batches_under_way() {
            leaving.inspect(|counters| counters.arrive());
            return Err(refused(
                &"batches are on their way to this receiver: receive them before it goes to another process, \
                  or let it go before the first `recv_many`",
            ));
        }
        // Relaxed: the drop of the last end reads it.
        self.sent_away.store(true, Ordering::Relaxed);
        let counters = match &self.counters {
            Some(counters) => Some(counters.attach_to_message().map_err(|error| refused(&error))?),
            None => None,
        };
        (SentType(self.shape), counters, SentCarrier(&self.carrier, self.counters.as_ref(), side))
            .serialize(serializer)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
        side: Side,
        shape: &'static Shape,
    ) -> Result<SharedEnd, D::Error> {
        let (received, counters, carrier) =
            <(ReceivedType, Option<u32>, ReceivedCarrier)>::deserialize(deserializer)?;
        received.check(shape, "an end of a channel arrived")?;
        let refused = |cause: &dyn fmt::Display| de::Error::custom(handle::record_cause(cause));
        let counters = match counters {
            Some(index) => {
                Some(SharedCounters::take_from_message(index).map_err(|error| refused(&error))?)
            }
            None => None,
        };
        let carrier = carrier.carrier(counters.as_ref(), side, None)?;
        Ok(SharedEnd::new(carrier, counters, shape, None))
    }

    /// Withdraws the wish for batches, and returns whether some are in the channel.
    pub(crate) fn batches_under_way(&self) -> bool {
        let Some(counters) = &self.counters else { return false };
        counters.want(0);
        self.any_parked() || (counters.any_packed() && sys::socket::unread(self.carrier.fd()) > 0)
    }

    #[inline]
    pub(crate) fn any_parked(&self) -> bool {
        // Relaxed: the lock orders the rest.
        self.any_parked.load(Ordering::Relaxed) != 0
    }

    /// Takes a message that is parked.
    pub(crate) fn unpark(&self) -> Option<Parked> {
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        let message = parked.pop_front()?;
        self.any_parked.store(parked.len(), Ordering::Relaxed);
        drop(parked);
        if let Some(counters) = &self.counters {
            counters.unpark(1);
        }
        Some(message)
    }

    pub(crate) fn park<'a>(&self, messages: impl Iterator<Item = &'a [u8]>) {
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        let before = parked.len();
        parked.extend(messages.map(|message| Parked::Encoded(message.to_vec())));
        self.any_parked.store(parked.len(), Ordering::Relaxed);
        if let Some(counters) = &self.counters {
            counters.park(parked.len() - before);
        }
    }

    /// Parks a message that was taken out and is not wanted, as the next one.
    #[cold]
    pub(crate) fn park_first(&self, message: Parked) {
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        parked.push_front(message);
        self.any_parked.store(parked.len(), Ordering::Relaxed);
        if let Some(counters) = &self.counters {
            counters.park(1);
        }
    }
}

impl Drop for SharedEnd {
    fn drop(&mut self) {
        // Relaxed: the thread that stored it had an end, whose drop came before.
        if self.carrier.forked() || self.sent_away.load(Ordering::Relaxed) {
            return;
        }
        match self.half {
            Some(Side::Sender) => sys::socket::end_of_sending(self.carrier.fd()),
            Some(Side::Receiver) => sys::socket::end_of_receiving(self.carrier.fd()),
            None => {}
        }
    }
}

/// The carrier of an end that leaves in a message, with the counters and the side of that end.
pub(crate) struct SentCarrier<'a>(
    pub(crate) &'a Arc<Carrier>,
    pub(crate) Option<&'a Arc<SharedCounters>>,
    pub(crate) Side,
);

impl Serialize for SentCarrier<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(self.1, self.2, serializer)
    }
}

/// A thread that receives.
pub(crate) struct Inside<'a>(&'a SharedEnd);

impl<'a> Inside<'a> {
    /// Tells senders whether to make batches, of up to `wanted` messages. They are wanted only if
    /// no other thread of this process receives.
    pub(crate) fn enter(shared: &'a SharedEnd, wanted: usize) -> Inside<'a> {
        // SeqCst: of two threads that enter together, at least one sees the other.
        let alone = shared.inside.fetch_add(1, Ordering::SeqCst) == 0;
        if let Some(counters) = &shared.counters {
            counters.want(if alone && wanted > 1 { wanted.min(BATCH) } else { 0 });
        }
        Inside(shared)
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.inside.fetch_sub(1, Ordering::SeqCst); // SeqCst: as above.
    }
}
