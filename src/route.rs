//! The choice of a route at run time.

use std::fmt;
use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Receiver, Sender};

/// The route of a channel, to choose at run time.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let route: multiprocess::Route = "thread".parse()?;
/// let (tx, rx) = route.bounded::<String>(8)?;
/// tx.send("hello".to_owned())?;
/// assert_eq!(rx.recv()?, "hello");
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Route {
    /// Through shared memory, between any processes.
    Shm,
    /// Through sockets, between any processes; handles travel in messages.
    Pipe,
    /// Between the threads of one process.
    Thread,
}

impl Route {
    /// Makes a channel on this route with room for `capacity` messages.
    ///
    /// # Errors
    ///
    /// - As [`shm::bounded`](crate::shm::bounded) and [`thread::bounded`](crate::thread::bounded).
    /// - `InvalidInput` for [`Route::Pipe`]: the kernel does not count messages, so a sender would
    ///   not block at `capacity`. Use [`channel`](Route::channel).
    pub fn bounded<T: Serialize + DeserializeOwned>(
        self,
        capacity: usize,
    ) -> io::Result<(Sender<T>, Receiver<T>)> {
        match self {
            Route::Shm => crate::shm::bounded(capacity),
            Route::Pipe => Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a channel on the route pipe has no capacity that one can choose; make it with `Route::channel`",
            )),
            Route::Thread => crate::thread::bounded(capacity),
        }
    }

    /// Makes a channel on this route with the route's own capacity.
    ///
    /// | route | capacity |
    /// |---|---|
    /// | [`Shm`](Route::Shm) | 1024 messages |
    /// | [`Pipe`](Route::Pipe) | the kernel's buffer, some hundred small messages |
    /// | [`Thread`](Route::Thread) | all memory |
    ///
    /// # Errors
    ///
    /// As [`shm::bounded`](crate::shm::bounded) and [`pipe::channel`](crate::pipe::channel).
    pub fn channel<T: Serialize + DeserializeOwned>(self) -> io::Result<(Sender<T>, Receiver<T>)> {
        match self {
            Route::Shm => crate::shm::bounded(1024),
            Route::Pipe => crate::pipe::channel(),
            Route::Thread => crate::thread::unbounded(),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Route::Shm => "shm",
            Route::Pipe => "pipe",
            Route::Thread => "thread",
        })
    }
}

impl std::str::FromStr for Route {
    type Err = UnknownRoute;

    fn from_str(name: &str) -> Result<Route, UnknownRoute> {
        match name {
            "shm" => Ok(Route::Shm),
            "pipe" => Ok(Route::Pipe),
            "thread" => Ok(Route::Thread),
            _ => Err(UnknownRoute(name.to_owned())),
        }
    }
}

/// The error of parsing a [`Route`]: there is no route of this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownRoute(String);

impl fmt::Display for UnknownRoute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no route is called {:?}: there are shm, pipe and thread", self.0)
    }
}

impl std::error::Error for UnknownRoute {}
