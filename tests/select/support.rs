//! What the tests of `select` share.

use std::time::Duration;

use multiprocess::{Receiver, Route, Sender};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Longer than anything that should happen.
pub(crate) const LONG: Duration = Duration::from_secs(20);
/// For what should not happen.
pub(crate) const SHORT: Duration = Duration::from_millis(20);

/// The routes between processes, and between threads.
pub(crate) const ROUTES: [Route; 3] = [Route::Shm, Route::Pipe, Route::Thread];

/// Makes a channel with room for a few messages.
pub(crate) fn channel<T: Serialize + DeserializeOwned>(route: Route) -> (Sender<T>, Receiver<T>) {
    match route {
        Route::Pipe => multiprocess::pipe::channel().unwrap(),
        _ => route.bounded(4).unwrap(),
    }
}
