//! The channels as loom runs them.
//!
//! A call waits as ever, but without spinning, slices and deadlines. So a waiter that is not woken
//! sleeps for ever.
//!
//! The module is for internal use only, and nothing here is stable.

#![allow(unsafe_code, missing_docs)]

use std::time::Duration;

use ipc_core::Deadline;
use ipc_core::route::{End, Receive, Transmit};

use crate::array::NotYet;
use crate::ends::{self, Rx, Tx};
use crate::handle::Handle;
use crate::shared::Kind;

pub struct Sender<T>(Tx<T>);
pub struct Receiver<T>(Rx<T>);

/// A claim of a selection.
pub struct Claim(u64, u64);

pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = ends::bounded(capacity);
    (Sender(tx), Receiver(rx))
}

pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    let (tx, rx) = ends::unbounded();
    (Sender(tx), Receiver(rx))
}

/// The loop of `ipc-core/src/wait.rs`, as far as loom can run it.
fn waiting<T, R>(handle: &Handle<T>, mut attempt: impl FnMut() -> Option<R>) -> R {
    loop {
        if let Some(done) = attempt() {
            return done;
        }
        let ticket = handle.bell().register();
        if let Some(done) = attempt() {
            handle.bell().unregister(&ticket);
            return done;
        }
        handle.bell().sleep(&ticket, Duration::MAX);
    }
}

impl<T> Sender<T> {
    /// Sends, and waits for room. Returns the message if no receiver is left.
    pub fn send(&self, message: T) -> Result<(), T> {
        match &self.0.0.shared.kind {
            Kind::Array(array) => {
                let claimed = waiting(&self.0.0, || match array.claim_send() {
                    Err(NotYet::Busy) => None,
                    done => Some(done),
                });
                match claimed {
                    Ok(claimed) => self.0.publish(claimed, message),
                    Err(_) => return Err(message),
                }
                Ok(())
            }
            _ => self.0.send(message, Deadline::Never).map_err(|error| error.into_inner()),
        }
    }

    pub fn try_send(&self, message: T) -> Result<(), T> {
        match &self.0.0.shared.kind {
            Kind::Array(array) => match array.claim_send() {
                Ok(claimed) => {
                    self.0.publish(claimed, message);
                    Ok(())
                }
                Err(_) => Err(message),
            },
            _ => self.0.send(message, Deadline::Now).map_err(|error| error.into_inner()),
        }
    }

    pub fn claim(&self) -> Option<Claim> {
        self.0.claim_now().ok().flatten().map(|(place, more)| Claim(place, more))
    }

    /// Claims, and waits until that is possible.
    pub fn claim_waiting(&self) -> Claim {
        waiting(&self.0.0, || self.claim())
    }

    pub fn complete(&self, claim: Claim, message: T) -> Result<(), T> {
        self.0.complete(claim.0, message).map_err(|error| error.into_inner())
    }

    pub fn give_back(&self, claim: Claim) {
        self.0.undo(claim.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T> Receiver<T> {
    /// Receives, and waits for a message. Returns `None` if there is none and no sender.
    pub fn recv(&self) -> Option<T> {
        match &self.0.0.shared.kind {
            Kind::Meet(_) => self.0.recv(Deadline::Never).ok(),
            _ => waiting(&self.0.0, || self.0.attempt()).ok(),
        }
    }

    pub fn try_recv(&self) -> Option<T> {
        match &self.0.0.shared.kind {
            Kind::Meet(_) => self.0.recv(Deadline::Now).ok(),
            _ => self.0.attempt().and_then(Result::ok),
        }
    }

    pub fn recv_many(&self, most: usize) -> Vec<T> {
        let mut messages = Vec::new();
        if let Kind::Array(array) = &self.0.0.shared.kind {
            let count = array.receive_many(most, &mut messages, || self.0.room());
            self.0.0.shared.ring(crate::shared::Side::Senders, count as u64);
        }
        messages
    }

    pub fn claim(&self) -> Option<Claim> {
        self.0.claim_now().ok().flatten().map(|(place, more)| Claim(place, more))
    }

    /// Claims, and waits until that is possible.
    pub fn claim_waiting(&self) -> Claim {
        waiting(&self.0.0, || self.claim())
    }

    pub fn complete(&self, claim: Claim) -> Option<T> {
        self.0.complete(claim.0, claim.1)
    }

    pub fn give_back(&self, claim: Claim) {
        self.0.undo(claim.0, claim.1);
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Sender(self.0.clone())
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Receiver(self.0.clone())
    }
}
