//! One end of an anonymous pipe that carries packets. It knows how long to wait, and nothing about
//! the contents of a packet.
//!
//! A pipe in packet mode (`O_DIRECT`) keeps the boundaries of each write of up to 4096 bytes
//! (PIPE_BUF). So any number of processes may write and read at the same time without a lock. A
//! longer message is written to the channel's *store* first, and the packet says where it is. The
//! store is a file in memory that all ends share, in which each message has a place of its own. So
//! a large message takes as little room in the pipe as a small one, no writer waits for another
//! one, and no reader ever meets half of a message.
//!
//! Allocating memory and freeing it costs more than copying the message. So the beginning of the
//! store, its *shelf*, keeps its memory from one message to the next. A bit in the shared counters
//! says for each piece of the shelf whether it is in use. A message that finds no room on the shelf
//! has a place that is used once.
//!
//! # What a death leaves behind
//!
//! | it is killed | it leaves | the others |
//! |---|---|---|
//! | writing to the store | bytes there that no packet names: memory, or pieces of the shelf, until the channel is gone | see nothing |
//! | before the packet is in the pipe | the same | see nothing |
//! | after that | a message | receive it |
//! | having taken the packet out | bytes in the store that no process will read: as above | the message is gone with it |
//! | having read the bytes | the same | as above |
//! | having given their place back | nothing | as above |

use std::sync::Arc;

use ipc_core::__private::SendFailure;
use ipc_core::__private::handle::{self, NotCarried, OsHandle};
use ipc_core::{Deadline, RecvTimeoutError, Unreadable, Unsendable};
use ipc_sys as sys;
use ipc_sys::Borrowed;
use ipc_sys::socket::{Interest, NotReceived, NotSent};
use ipc_sys::store::NotStored;

use crate::killpoint::kill_point;
use crate::poll_backoff::PollBackoff;
use crate::shared_counters::SharedCounters;

/// One end of a pipe.
pub(crate) struct Packets {
    fd: OsHandle,
    store: OsHandle,
    counters: Arc<SharedCounters>,
    fork: sys::fork::ForkCheck,
    backoff: PollBackoff,
}

impl Packets {
    pub(crate) fn new(fd: OsHandle, store: OsHandle, counters: Arc<SharedCounters>) -> Packets {
        Packets {
            fd,
            store,
            counters,
            fork: sys::fork::ForkCheck::new(),
            backoff: PollBackoff::new(),
        }
    }

    pub(crate) fn fd(&self) -> Borrowed<'_> {
        sys::borrow(&self.fd)
    }

    pub(crate) fn store(&self) -> Borrowed<'_> {
        sys::borrow(&self.store)
    }

    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.fork.forked()
    }

    /// Gives copies of its files to the message that is being encoded.
    pub(crate) fn attach_copy(&self) -> Result<(u32, u32), NotCarried> {
        Ok((handle::attach_copy(&self.fd)?, handle::attach_copy(&self.store)?))
    }

    /// Sends one packet, whole or not at all.
    pub(crate) fn send(&self, bytes: &[u8], deadline: Deadline) -> Result<(), SendFailure> {
        if self.forked() {
            return Err(SendFailure::Unsendable(Unsendable::Forked));
        }
        kill_point!("packets.send");
        let sent = self.wait(Interest::Send, deadline, || {
            match sys::pipe::write_packet(self.fd(), bytes) {
                Ok(()) => Some(Ok(())),
                Err(NotSent::Full) => None,
                Err(NotSent::OutOfMemory) => {
                    Some(Err(SendFailure::Unsendable(Unsendable::OutOfMemory)))
                }
                Err(_) => Some(Err(SendFailure::Disconnected)),
            }
        });
        kill_point!("packets.sent");
        sent.unwrap_or(Err(SendFailure::Timeout))
    }

    /// Attempts something until it is done, or the deadline has passed.
    #[inline]
    fn wait<R>(
        &self,
        interest: Interest,
        deadline: Deadline,
        mut attempt: impl FnMut() -> Option<R>,
    ) -> Option<R> {
        let mut done = attempt();
        if done.is_some() || deadline == Deadline::Now {
            return done;
        }
        done = self.backoff.poll(&mut attempt);
        let mut over = false;
        while done.is_none() && !over {
            over = !sys::socket::ready(self.fd(), interest, deadline);
            done = attempt();
        }
        done
    }

    /// Receives one packet, and returns its length.
    pub(crate) fn recv(
        &self,
        into: &mut [u8],
        deadline: Deadline,
    ) -> Result<usize, RecvTimeoutError> {
        if self.forked() {
            return Err(RecvTimeoutError::Unreadable(Unreadable::Forked));
        }
        kill_point!("packets.recv");
        let received = self.wait(Interest::Receive, deadline, || {
            match sys::pipe::read_packet(self.fd(), into) {
                Ok(len) => Some(Ok(len)),
                Err(NotReceived::Gone) => Some(Err(RecvTimeoutError::Disconnected)),
                Err(NotReceived::OutOfMemory) => {
                    Some(Err(RecvTimeoutError::Unreadable(Unreadable::OutOfMemory)))
                }
                Err(NotReceived::Empty) => None,
            }
        });
        kill_point!("packets.received");
        received.unwrap_or(Err(RecvTimeoutError::Timeout))
    }

    /// Puts bytes into the store, and returns their place.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<u64, NotStored> {
        let place = self.counters.place(bytes.len());
        kill_point!("packets.put");
        // It has given the memory back.
        sys::store::put(sys::borrow(&self.store), place, bytes)
            .inspect_err(|_| _ = self.counters.unshelve(place, bytes.len() as u64))?;
        kill_point!("packets.stored");
        Ok(place)
    }

    /// Takes bytes out of the store.
    pub(crate) fn get(&self, place: u64, len: u64, bytes: &mut Vec<u8>) -> Result<(), Unreadable> {
        sys::store::get(sys::borrow(&self.store), place, len, bytes)?;
        kill_point!("packets.got");
        self.free(place, len);
        Ok(())
    }

    /// Frees a place: for the next message that needs one, or its memory for the system.
    pub(crate) fn free(&self, place: u64, len: u64) {
        if !self.counters.unshelve(place, len) {
            sys::store::free(sys::borrow(&self.store), place, len);
        }
    }
}
