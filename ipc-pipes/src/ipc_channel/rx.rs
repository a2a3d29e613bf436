//! The receiving end.
//!
//! There is one `IpcReceiver`, which one thread uses at a time. A thread that receives takes it out
//! of the shared state, waits in it without holding a lock, and puts it back. Other threads wait
//! until it is back, each until its own deadline.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ::ipc_channel::ipc::IpcReceiver;
use ::ipc_channel::{IpcError, TryRecvError};
use ipc_core::__private::handle;
use ipc_core::error::{DisconnectCause, RecvTimeoutError};
use ipc_core::route::{Borrow, End, Receive};
use ipc_core::{Deadline, Unreadable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser};

use super::error::codec_error;
use super::inside::{inside, is_inside};
use crate::Ref;

/// The receiving end of an `ipc-channel`, which [`Receiver`](super::Receiver) wraps.
pub struct Rx<T> {
    shared: Arc<Shared<T>>,
}

struct Shared<T> {
    state: Mutex<State<T>>,
    /// Notified when the receiver was put back, and when the channel has ended.
    available: Condvar,
}

struct State<T> {
    /// `None` while a thread waits in it.
    receiver: Option<IpcReceiver<T>>,
    /// The messages that were taken out to be counted, at most [`MOST`].
    ahead: VecDeque<Result<T, Unreadable>>,
    /// No sender is left, and no message.
    ended: bool,
}

/// How many messages are taken out to be counted: more than a socket's buffer holds at any moment.
const MOST: usize = 1024;

/// The result of one attempt to receive.
enum RecvStep<T> {
    Message(Result<T, Unreadable>),
    Nothing,
    /// The end; or the first piece of a message whose sender died before the last, which looks the
    /// same.
    End,
}

impl<T> Shared<T> {
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code of others runs while it is locked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The receiver, taken out of the shared state. Its drop puts it back, also on a panic.
struct ReceiverGuard<'a, T> {
    shared: &'a Shared<T>,
    receiver: Option<IpcReceiver<T>>,
}

impl<T> Drop for ReceiverGuard<'_, T> {
    fn drop(&mut self) {
        self.shared.lock().receiver = self.receiver.take();
        self.shared.available.notify_one();
    }
}

/// The longest that the receiver is asked to wait at once; much longer ones it takes for ever.
const SLICE: Duration = Duration::from_secs(3600);

impl<T: Serialize + DeserializeOwned> ReceiverGuard<'_, T> {
    /// Waits in the receiver.
    fn wait(&self, deadline: Deadline) -> RecvStep<T> {
        let Some(receiver) = &self.receiver else { return RecvStep::Nothing };
        let (received, _) = inside(|| {
            catch_unwind(AssertUnwindSafe(|| match deadline {
                Deadline::Never => receiver.recv().map_err(TryRecvError::IpcError),
                Deadline::Now => receiver.try_recv(),
                Deadline::At(_) => match deadline.left(SLICE) {
                    // It counts in milliseconds, and cuts off what is less.
                    Some(left) => receiver.try_recv_timeout(left + Duration::from_micros(999)),
                    None => receiver.try_recv(),
                },
            }))
        });
        match received {
            Ok(Ok(message)) => RecvStep::Message(Ok(message)),
            Ok(Err(TryRecvError::Empty)) => RecvStep::Nothing,
            Ok(Err(TryRecvError::IpcError(error))) => match error {
                IpcError::Disconnected => RecvStep::End,
                IpcError::SerializationError(error) => {
                    RecvStep::Message(Err(Unreadable::Decode(codec_error(&error))))
                }
                IpcError::Io(error) => match error.kind() {
                    io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock => RecvStep::Nothing,
                    io::ErrorKind::ConnectionReset => RecvStep::End,
                    io::ErrorKind::OutOfMemory => RecvStep::Message(Err(Unreadable::OutOfMemory)),
                    _ => RecvStep::Message(Err(Unreadable::Malformed(
                        "ipc-channel could not receive it",
                    ))),
                },
            },
            // It does where a message says of itself what is not true.
            Err(_) => RecvStep::Message(Err(Unreadable::Malformed("ipc-channel panicked over it"))),
        }
    }

    /// Waits in the receiver as [`wait`](ReceiverGuard::wait) does, but returns the end only if it
    /// is one.
    fn receive(&self, deadline: Deadline) -> RecvStep<T> {
        loop {
            match self.wait(deadline) {
                // Once at its end it stays there.
                RecvStep::End => match self.wait(Deadline::Now) {
                    RecvStep::Nothing => {
                        if deadline == Deadline::Now {
                            return RecvStep::Nothing;
                        }
                    }
                    step => return step,
                },
                step => return step,
            }
        }
    }
}

impl<T: Serialize + DeserializeOwned> Receive<T> for Rx<T> {
    fn recv(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        let shared = &*self.shared;
        let mut state = shared.lock();
        let mut tried = false;
        loop {
            if let Some(ahead) = state.ahead.pop_front() {
                return ahead.map_err(RecvTimeoutError::Unreadable);
            }
            if state.ended {
                return Err(RecvTimeoutError::Disconnected);
            }
            // A call that does not wait tries once, all the same.
            if tried && deadline.left(SLICE).is_none() {
                return Err(RecvTimeoutError::Timeout);
            }
            state = match state.receiver.take() {
                Some(receiver) => {
                    drop(state);
                    let guard = ReceiverGuard { shared, receiver: Some(receiver) };
                    let step = guard.receive(deadline);
                    drop(guard);
                    tried = true;
                    match step {
                        RecvStep::Message(message) => {
                            return message.map_err(RecvTimeoutError::Unreadable);
                        }
                        RecvStep::Nothing => shared.lock(),
                        RecvStep::End => {
                            let mut state = shared.lock();
                            state.ended = true;
                            shared.available.notify_all();
                            state
                        }
                    }
                }
                // The thread that has the receiver found nothing there.
                None => match deadline.left(SLICE) {
                    None => return Err(RecvTimeoutError::Timeout),
                    Some(left) => {
                        let waited = shared.available.wait_timeout(state, left);
                        waited.unwrap_or_else(PoisonError::into_inner).0
                    }
                },
            };
        }
    }
}

impl<T: Serialize + DeserializeOwned> Borrow<T> for Rx<T> {
    type Ref<'a>
        = Ref<'a, T>
    where
        T: 'a;

    fn recv_ref(&self, deadline: Deadline) -> Result<Ref<'_, T>, RecvTimeoutError> {
        Ok(Ref::new(self.recv(deadline)?))
    }
}

impl<T: Serialize + DeserializeOwned> Rx<T> {
    /// Takes out what is there, to count it, until `most` messages are kept.
    fn fetch_ahead(&self, most: usize) -> MutexGuard<'_, State<T>> {
        let mut state = self.shared.lock();
        if state.ahead.len() >= most || state.ended {
            return state;
        }
        // The thread that has the receiver found nothing there.
        let Some(receiver) = state.receiver.take() else { return state };
        let mut kept = state.ahead.len();
        drop(state);
        let guard = ReceiverGuard { shared: &self.shared, receiver: Some(receiver) };
        while kept < most {
            let step = guard.receive(Deadline::Now);
            let mut state = self.shared.lock();
            match step {
                // Kept before the next message is received: it is the older one.
                RecvStep::Message(message) => state.ahead.push_back(message),
                RecvStep::Nothing => break,
                RecvStep::End => {
                    state.ended = true;
                    break;
                }
            }
            kept = state.ahead.len();
        }
        drop(guard);
        // There may be something for each waiting thread.
        self.shared.available.notify_all();
        self.shared.lock()
    }
}

impl<T> Clone for Rx<T> {
    fn clone(&self) -> Self {
        Rx { shared: self.shared.clone() }
    }
}

impl<T> fmt::Debug for Rx<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Rx { .. }")
    }
}

impl<T: Serialize + DeserializeOwned> End for Rx<T> {
    fn len(&self) -> usize {
        self.fetch_ahead(MOST).ahead.len()
    }

    fn is_empty(&self) -> bool {
        self.fetch_ahead(1).ahead.is_empty()
    }

    fn capacity(&self) -> Option<usize> {
        None
    }

    fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    fn is_disconnected(&self) -> bool {
        self.fetch_ahead(MOST).ended
    }

    fn disconnect_cause(&self) -> Option<DisconnectCause> {
        self.is_disconnected().then_some(DisconnectCause::Dropped)
    }

    fn sender_count(&self) -> Option<usize> {
        // The number of a sender's clones, and of their processes, is unknown.
        self.is_disconnected().then_some(0)
    }

    fn receiver_count(&self) -> Option<usize> {
        Some(Arc::strong_count(&self.shared))
    }
}

/// The error text for an end whose receiver cannot be taken out.
const BUSY: &str = "the ipc-channel receiver has clones here, or holds messages that were counted: drop them, or receive them";

impl<T> Rx<T> {
    /// Makes an end of a receiver of `ipc-channel`.
    pub(super) fn new(receiver: IpcReceiver<T>) -> Self {
        let state = State { receiver: Some(receiver), ahead: VecDeque::new(), ended: false };
        Rx { shared: Arc::new(Shared { state: Mutex::new(state), available: Condvar::new() }) }
    }

    /// Takes the receiver out. Returns this end instead if it is not the only one in this process,
    /// or holds messages.
    pub(super) fn into_receiver(mut self) -> Result<IpcReceiver<T>, Self> {
        let state = Arc::get_mut(&mut self.shared)
            .map(|shared| shared.state.get_mut().unwrap_or_else(PoisonError::into_inner));
        let alone = state.filter(|state| state.ahead.is_empty());
        match alone.and_then(|state| state.receiver.take()) {
            Some(receiver) => Ok(receiver),
            None => Err(self),
        }
    }
}

/// Sends the receiver in messages of `ipc-channel`, as `IpcReceiver` does. This end is then
/// disconnected.
impl<T> Serialize for Rx<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let refused = |cause: &str| ser::Error::custom(handle::record_cause(cause));
        if !is_inside() {
            handle::carried().map_err(|error| refused(&error.to_string()))?;
            return Err(refused("an ipc-channel receiver travels in messages of ipc-channel only"));
        }
        let mut state = self.shared.lock();
        if Arc::strong_count(&self.shared) > 1 || !state.ahead.is_empty() {
            return Err(refused(BUSY));
        }
        match state.receiver.take() {
            Some(receiver) => {
                state.ended = true;
                receiver.serialize(serializer)
            }
            None => Err(refused("this ipc-channel receiver has travelled already")),
        }
    }
}

impl<'de, T> Deserialize<'de> for Rx<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !is_inside() {
            let cause = "an ipc-channel receiver travels in messages of ipc-channel only";
            return Err(serde::de::Error::custom(handle::record_cause(cause)));
        }
        IpcReceiver::deserialize(deserializer).map(Rx::new)
    }
}
