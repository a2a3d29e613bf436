//! Waiting on the bell socket of this process, for any number of channels at once.
//!
//! A waiter registers its waker here. For each side of each channel, the process has at most one
//! registration in the shared memory ([`SocketBell::arm`](ipc_wait::SocketBell::arm)), however many
//! waiters it has there. A datagram names the channel to look at. If the bit of this process was
//! cleared, all its waiters of that side are woken, and none is registered any more.
//!
//! The wakers run in the thread of [`reactor`], not in the one that monitors peers: a waker belongs
//! to the user, and may write to a descriptor of the program, which the monitor's thread does not
//! have.
//!
//! # If no datagram can arrive
//!
//! A process reaches the sockets of its own network namespace only. So a waiter registers here only
//! if each other participant is known to be in the namespace of this process. A participant that is
//! in transit is not known. The process that issues it wakes all waiters
//! ([`Memory::wake_sleepers`]). They look at the participants again, and register with the futex.
//! The process that receives it wakes them again, through the futex.
//!
//! If a datagram is forbidden, or the program has closed the socket's descriptor, a wake-up is
//! lost. A waiter notices that when its interval is over, as it notices deaths
//! ([`Waiting::recover`]).

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use ipc_sys::bell_socket::{self, BellSocket};
use ipc_sys::per_process::PerProcess;
use ipc_sys::reactor::{self, Served};
use ipc_sys::sleep::File;

use crate::channel::memory::{Memory, Side};
use crate::layout::entry;
use crate::sync::Ordering::{Acquire, Relaxed, SeqCst};
use crate::sync::fence;
use crate::sync::unmodelled::AtomicU64;

#[derive(Default)]
struct State {
    /// The socket, and what the reactor's thread does for it.
    serving: Option<(Arc<BellSocket>, Served)>,
    /// The number of the last waiter.
    last: u64,
    /// By their tags.
    channels: HashMap<u64, Channel>,
}

static STATE: PerProcess<Mutex<State>> = PerProcess::new();

/// The waiters of one attachment.
struct Channel {
    /// Valid until `forget`.
    memory: Memory,
    me: u64,
    /// Of each side, by their numbers.
    waiters: [Vec<(u64, Waker)>; 2],
}

const SIDES: [Side; 2] = [Side::Receivers, Side::Senders];

/// An attachment, as it takes part in waiting on the bell socket.
#[derive(Clone, Copy)]
pub(crate) struct Waiting<'a> {
    pub(crate) memory: &'a Memory,
    pub(crate) me: u64,
    /// A number of the attachment in this process.
    pub(crate) tag: u64,
}

/// Returns a tag that no other attachment of this process has.
pub(crate) fn new_tag() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Relaxed) + 1 // Relaxed: the number says nothing about other memory.
}

impl Waiting<'_> {
    /// Registers a waiter of this side, and returns its number. The waker is called once, when the
    /// process is notified. The caller issues a barrier, and looks again.
    ///
    /// Returns `None` if the process cannot be notified through its socket. Then the waiter
    /// registers with the futex.
    pub(crate) fn register(self, side: Side, waker: &Waker) -> Option<u64> {
        let namespace = bell_socket::namespace();
        if namespace == 0 {
            return None;
        }
        let waker = waker.clone();
        let mut state = STATE.lock();
        let name = state.serve()?;
        let Waiting { memory, me, tag } = self;
        memory.addresses().get(me as usize)?.publish(name, tag);
        state.last += 1;
        let number = state.last;
        let new = || Channel { memory: *memory, me, waiters: [Vec::new(), Vec::new()] };
        let channel = state.channels.entry(tag).or_insert_with(new);
        let bell = memory.bell(side);
        // Those that were notified just now: when their datagram arrives, the bit is set again.
        let woken = channel.take_notified(side);
        channel.waiters[side as usize].push((number, waker));
        if !bell.is_armed(me) {
            bell.arm(me);
        }
        // SeqCst: after the registration. A process that attaches later finds it, and wakes the
        // waiter (`wake_sleepers`).
        fence(SeqCst);
        if memory.all_reach(me, namespace) {
            drop(state);
            woken.into_iter().for_each(Waker::wake);
            return Some(number);
        }
        let (_, removed) = channel.remove(side, number);
        state.trim(tag);
        drop(state);
        drop(removed);
        // The caller looks again, so it needs no notification.
        woken.into_iter().for_each(Waker::wake);
        None
    }

    /// Ends the registration of a waiter. Returns false if it was notified.
    pub(crate) fn unregister(self, side: Side, number: u64) -> bool {
        let mut state = STATE.lock();
        let Some(channel) = state.channels.get_mut(&self.tag) else { return false };
        let (was_registered, removed) = channel.remove(side, number);
        state.trim(self.tag);
        drop(state);
        // Without the lock: it may be the last waker of a task.
        drop(removed);
        was_registered
    }

    /// Returns whether a waiter was notified.
    pub(crate) fn notified(self, side: Side, number: u64) -> bool {
        if !self.memory.bell(side).is_armed(self.me) {
            return true;
        }
        let state = STATE.lock();
        let waiters = state.channels.get(&self.tag).map(|channel| &channel.waiters[side as usize]);
        !waiters.is_some_and(|waiters| waiters.iter().any(|(of, _)| *of == number))
    }

    /// Wakes all waiters that no datagram may reach any more. They register anew. Returns whether
    /// there were any.
    pub(crate) fn recover(self) -> bool {
        let mut state = STATE.lock();
        let open = state.serving.as_ref().is_some_and(|(socket, _)| socket.fd().is_some());
        let Some(channel) = state.channels.get_mut(&self.tag) else { return false };
        if open && self.memory.all_reach(self.me, bell_socket::namespace()) {
            return false;
        }
        let woken = channel.take_all();
        state.trim(self.tag);
        drop(state);
        let any = !woken.is_empty();
        // Without the lock: a waker runs code of its owner.
        woken.into_iter().for_each(Waker::wake);
        any
    }

    /// Forgets an attachment before its mapping ends.
    pub(crate) fn forget(self) {
        let channel = STATE.lock().channels.remove(&self.tag);
        // There are waiters only if some were forgotten.
        channel.into_iter().for_each(|mut channel| _ = channel.take_all());
    }
}

impl Channel {
    /// Removes the waiters of a side, if they were notified.
    fn take_notified(&mut self, side: Side) -> Vec<Waker> {
        let waiters = &mut self.waiters[side as usize];
        if waiters.is_empty() || self.memory.bell(side).is_armed(self.me) {
            return Vec::new();
        }
        std::mem::take(waiters).into_iter().map(|(_, waker)| waker).collect()
    }

    /// Removes all waiters.
    fn take_all(&mut self) -> Vec<Waker> {
        let mut woken = Vec::new();
        for side in SIDES {
            let waiters = std::mem::take(&mut self.waiters[side as usize]);
            if !waiters.is_empty() {
                // Notified or not, they look again.
                let _ = self.memory.bell(side).disarm(self.me);
            }
            woken.extend(waiters.into_iter().map(|(_, waker)| waker));
        }
        woken
    }

    /// Removes a waiter. Returns whether it was registered and not notified.
    fn remove(&mut self, side: Side, number: u64) -> (bool, Option<Waker>) {
        let waiters = &mut self.waiters[side as usize];
        let Some(at) = waiters.iter().position(|(of, _)| *of == number) else {
            return (false, None);
        };
        let (_, waker) = waiters.swap_remove(at);
        let bell = self.memory.bell(side);
        let was_armed =
            if waiters.is_empty() { bell.disarm(self.me) } else { bell.is_armed(self.me) };
        (was_armed, Some(waker))
    }
}

impl State {
    /// Makes the socket, unless there is one, and returns its name.
    fn serve(&mut self) -> Option<[u64; 2]> {
        let socket = bell_socket::own().ok()?;
        if let Some((serving, _)) = &self.serving {
            if Arc::ptr_eq(serving, &socket) {
                return Some(socket.name());
            }
            // The program has closed it. Its waiters look when an interval is over.
            self.serving = None;
        }
        let waker = Waker::from(Arc::new(Look));
        let served = reactor::serve(File { fd: socket.fd()?, writable: false }, &waker).ok()?;
        let name = socket.name();
        self.serving = Some((socket, served));
        Some(name)
    }

    /// Removes a channel without waiters.
    fn trim(&mut self, tag: u64) {
        let idle = |channel: &Channel| channel.waiters.iter().all(Vec::is_empty);
        if self.channels.get(&tag).is_some_and(idle) {
            self.channels.remove(&tag);
        }
    }
}

/// Looks which waiters were notified. The reactor's thread calls it when the socket is readable.
struct Look;

impl Wake for Look {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let Some(socket) = STATE.lock().serving.as_ref().map(|(socket, _)| socket.clone()) else {
            return;
        };
        let mut tags = Vec::new();
        let complete = socket.drain(&mut tags);
        let mut woken = Vec::new();
        let mut state = STATE.lock();
        if !complete {
            // A datagram may be missing. This takes time in proportion to the channels that are
            // waited for, after a full queue only.
            tags = state.channels.keys().copied().collect();
        }
        for tag in tags {
            let Some(channel) = state.channels.get_mut(&tag) else { continue };
            SIDES.into_iter().for_each(|side| woken.extend(channel.take_notified(side)));
            state.trim(tag);
        }
        drop(state);
        // Without the lock: a waker runs code of its owner.
        woken.into_iter().for_each(Waker::wake);
    }
}

impl Memory {
    /// Returns whether each participant other than `me` is in this network namespace, and can send.
    fn all_reach(&self, me: u64, namespace: u64) -> bool {
        // Acquire: numbers that others store.
        let used = |id: usize| self.entries()[id].load(Acquire) & entry::USED != 0;
        let same = |id: usize| self.addresses()[id].namespace.load(Acquire) == namespace;
        self.sockets(Side::Receivers).unreachable.load(Acquire) == 0
            && (1..self.entries().len()).all(|id| id as u64 == me || !used(id) || same(id))
    }
}
