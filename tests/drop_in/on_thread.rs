//! The statements about channels between threads.

pub(crate) use multiprocess::{
    ReadyTimeoutError, Receiver, Select, SelectTimeoutError, Sender, TryReadyError, TrySelectError,
    after, at, never, select, select_biased, tick,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The receiver of a timer.
pub(crate) type Timer = Receiver<std::time::Instant, multiprocess::Timer>;

/// Makes a channel with room for `capacity` messages.
pub(crate) fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>)
where
    T: Serialize + DeserializeOwned,
{
    multiprocess::thread::bounded(capacity).unwrap()
}

#[path = "choosing.rs"]
mod choosing;
#[path = "contended.rs"]
mod contended;
#[path = "macros.rs"]
mod macros;
#[path = "programs.rs"]
mod programs;
#[path = "readiness.rs"]
mod readiness;
#[path = "room.rs"]
mod room;
#[path = "timers.rs"]
mod timers;
#[path = "zero.rs"]
mod zero;
