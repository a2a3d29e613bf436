//! The statements about crossbeam-channel itself: so they are true of the original.

pub(crate) use crossbeam_channel::{
    ReadyTimeoutError, Receiver, Select, SelectTimeoutError, Sender, TryReadyError, TrySelectError,
    after, at, never, select, select_biased, tick,
};

/// The receiver of a timer.
pub(crate) type Timer = Receiver<std::time::Instant>;

/// Makes a channel with room for `capacity` messages.
pub(crate) fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    crossbeam_channel::bounded(capacity)
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
