//! The statements about channels through sockets.

pub(crate) use multiprocess::{
    ReadyTimeoutError, Receiver, Select, SelectTimeoutError, Sender, TryReadyError, TrySelectError,
    after, at, never, select, select_biased, tick,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The receiver of a timer.
pub(crate) type Timer = Receiver<std::time::Instant, multiprocess::Timer>;

/// Makes a channel, whose room the kernel decides: it is enough for these programs.
pub(crate) fn channel<T>(_capacity: usize) -> (Sender<T>, Receiver<T>)
where
    T: Serialize + DeserializeOwned,
{
    multiprocess::pipe::channel().unwrap()
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
#[path = "timers.rs"]
mod timers;
