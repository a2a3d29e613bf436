//! Claims of a selection, as two numbers: a place in the ring, or a pointer.
//!
//! A claim is handed back to the end that it comes from, or to a clone of that end, and once. Only
//! `Select` makes claims, and it does so. The comments below call this the contract of claims.

#![allow(unsafe_code)]

use ipc_core::error::SendTimeoutError;

use crate::array::NotYet;
use crate::ends::{Rx, Tx};
use crate::shared::{Kind, Side};

impl<T> Tx<T> {
    /// Claims a place or a receiver, if there is one. An unbounded channel has nothing to claim.
    pub(crate) fn claim_now(&self) -> Result<Option<(u64, u64)>, NotYet> {
        match &self.0.shared.kind {
            Kind::Array(array) => array.select_send().map(|at| Some((at, 0))),
            Kind::List(list) if list.is_closed() => Err(NotYet::Closed),
            Kind::List(_) => Ok(None),
            Kind::Meet(meet) => meet.select_send(&self.0),
        }
    }

    pub(crate) fn complete(&self, place: u64, message: T) -> Result<(), SendTimeoutError<T>> {
        match &self.0.shared.kind {
            Kind::Array(array) => {
                // SAFETY: the contract of claims.
                let sent = unsafe { array.complete_send(place, message) };
                sent.map_err(SendTimeoutError::Disconnected)?;
                self.0.shared.ring(Side::Receivers, 1);
                Ok(())
            }
            Kind::List(list) => {
                list.send(message).map_err(SendTimeoutError::Disconnected)?;
                self.0.shared.ring(Side::Receivers, 1);
                Ok(())
            }
            Kind::Meet(meet) => {
                // SAFETY: the contract of claims.
                unsafe { meet.complete_send(place, message) }.map_err(SendTimeoutError::Timeout)
            }
        }
    }

    pub(crate) fn undo(&self, place: u64) {
        match &self.0.shared.kind {
            Kind::Array(array) => {
                // SAFETY: the contract of claims.
                if unsafe { array.undo_send(place) } {
                    self.0.shared.ring(Side::Receivers, 1);
                }
                self.0.shared.ring(Side::Senders, 1);
            }
            Kind::List(_) => {}
            // SAFETY: the contract of claims.
            Kind::Meet(meet) => unsafe { meet.undo_send(place, &self.0) },
        }
    }
}

impl<T> Rx<T> {
    /// Claims a message or a sender, if there is one.
    pub(crate) fn claim_now(&self) -> Result<Option<(u64, u64)>, NotYet> {
        match &self.0.shared.kind {
            Kind::Array(array) => Ok(array.select_receive(|| self.room()).map(|at| (at, 0))),
            Kind::List(list) => Ok(list.select_receive()),
            Kind::Meet(meet) => meet.select_receive(&self.0),
        }
    }

    /// Receives what was claimed. `None`: the sender was a selection too, and gave its claim back.
    pub(crate) fn complete(&self, place: u64, more: u64) -> Option<T> {
        match &self.0.shared.kind {
            Kind::Array(array) => {
                // SAFETY: the contract of claims.
                let message = unsafe { array.complete_receive(place) };
                self.room();
                Some(message)
            }
            // SAFETY: the contract of claims.
            Kind::List(list) => Some(unsafe { list.complete_receive(place, more) }),
            // SAFETY: the contract of claims.
            Kind::Meet(meet) => unsafe { meet.complete_receive(place, more) },
        }
    }

    pub(crate) fn undo(&self, place: u64, more: u64) {
        match &self.0.shared.kind {
            // SAFETY: the contract of claims.
            Kind::Array(array) => unsafe { array.undo_receive(place) },
            // SAFETY: the contract of claims.
            Kind::List(list) => unsafe { list.undo_receive(place, more) },
            // SAFETY: the contract of claims.
            Kind::Meet(meet) => unsafe { meet.undo_receive(place, more, &self.0) },
        }
        self.0.shared.ring(Side::Receivers, 1);
    }
}
