//! One connection to one process that this process has started.

use std::fmt;
use std::io;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use ipc_core::Deadline;
use ipc_core::OsHandle;
use ipc_sys as sys;
use ipc_sys::borrow;
use ipc_sys::process::Exit;
use serde::de::DeserializeOwned;

use crate::listener::Listener;
use crate::name::{Name, ToName};
use crate::{Connector, Duplex};

/// The environment variable in which a child finds its parent's name.
const VARIABLE: &str = "MULTIPROCESS_ONE_SHOT";

/// A server for one connection, from a process that was given its name.
///
/// It makes the first connection to a child that is another program. (For functions of this
/// program, see `multiprocess::spawn`.)
///
/// ```no_run
/// use ipc_pipes::{Duplex, OneShotServer};
/// use std::process::Command;
///
/// let mut server = OneShotServer::new()?;
/// let mut child = server.set_env(&mut Command::new("worker")).spawn()?;
/// // An error if it exits first.
/// let worker: Duplex<String, u64> = server.accept_from(&mut child)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The child calls [`OneShotClient::from_env`], or gets [`name`](OneShotServer::name) as an
/// argument. Further channels travel over the connection, inside messages.
///
/// The name cannot be guessed, is not a file, and is gone after the connection was accepted. Only
/// processes of this user are accepted, on both sides. If the child runs as another user or in
/// another network namespace, make a [`Listener`] that accepts it, and make the server [from
/// it](OneShotServer::from).
#[derive(Debug)]
pub struct OneShotServer {
    /// `None` after the connection was accepted.
    listener: Option<Listener>,
    name: String,
}

impl From<Listener> for OneShotServer {
    fn from(listener: Listener) -> OneShotServer {
        OneShotServer { name: listener.name().to_string(), listener: Some(listener) }
    }
}

impl OneShotServer {
    /// Makes a server with a [random name](Name::random).
    ///
    /// # Errors
    ///
    /// As [`Listener::bind`].
    pub fn new() -> io::Result<OneShotServer> {
        Ok(Listener::bind(Name::random()?)?.into())
    }

    /// Returns the name to pass to the other process: an argument for [`OneShotClient::new`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts the name into the environment of a command, for [`OneShotClient::from_env`].
    pub fn set_env<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env(VARIABLE, &self.name)
    }

    /// Accepts the connection.
    ///
    /// Blocks until a process connects. Any process that knows the name and is allowed may be at
    /// the other end. No second connection is accepted.
    ///
    /// # Errors
    ///
    /// `NotConnected` if the connection was accepted before, and as [`Listener::accept`].
    pub fn accept<A: DeserializeOwned, B: DeserializeOwned>(&mut self) -> io::Result<Duplex<A, B>> {
        self.accept_first(Deadline::Never)
    }

    /// Accepts the connection, and blocks for at most `timeout`. It can be called again after that.
    ///
    /// # Errors
    ///
    /// `TimedOut` if no connection came in time, and as [`accept`](OneShotServer::accept).
    pub fn accept_timeout<A: DeserializeOwned, B: DeserializeOwned>(
        &mut self,
        timeout: Duration,
    ) -> io::Result<Duplex<A, B>> {
        self.accept_first(Deadline::after(timeout))
    }

    /// Accepts the connection of this child, or of a process that the child has started.
    ///
    /// Blocks until the child connects or ends. Connections of other processes are closed.
    ///
    /// # Errors
    ///
    /// - [`ChildExited`], of kind `BrokenPipe`, if the child exits first. It has then been waited
    ///   for.
    /// - Another error of kind `BrokenPipe` if it exits and another part of the program reaped it
    ///   (because SIGCHLD is ignored, for example), on Linux before 6.15.
    /// - Others as [`accept`](OneShotServer::accept).
    pub fn accept_from<A: DeserializeOwned, B: DeserializeOwned>(
        &mut self,
        child: &mut Child,
    ) -> io::Result<Duplex<A, B>> {
        self.accept_child(child, Deadline::Never)
    }

    /// Accepts the connection of this child, as [`accept_from`](OneShotServer::accept_from) does.
    ///
    /// Blocks for at most `timeout`. It can be called again after that.
    ///
    /// # Errors
    ///
    /// `TimedOut` if no connection came in time, and as
    /// [`accept_from`](OneShotServer::accept_from).
    pub fn accept_from_timeout<A: DeserializeOwned, B: DeserializeOwned>(
        &mut self,
        child: &mut Child,
        timeout: Duration,
    ) -> io::Result<Duplex<A, B>> {
        self.accept_child(child, Deadline::after(timeout))
    }

    fn listener(&self) -> io::Result<&Listener> {
        self.listener.as_ref().ok_or_else(|| {
            let text = "this one-shot server has accepted its connection";
            io::Error::new(io::ErrorKind::NotConnected, text)
        })
    }

    fn accept_first<A: DeserializeOwned, B: DeserializeOwned>(
        &mut self,
        deadline: Deadline,
    ) -> io::Result<Duplex<A, B>> {
        let connection = self.listener()?.accept_until(deadline)?;
        self.listener = None;
        Ok(connection)
    }

    fn accept_child<A: DeserializeOwned, B: DeserializeOwned>(
        &mut self,
        child: &mut Child,
        deadline: Deadline,
    ) -> io::Result<Duplex<A, B>> {
        let listener = self.listener()?;
        match accept_of(listener, child, deadline) {
            Ok(socket) => {
                self.listener = None;
                Ok(Duplex::to_other_program(socket))
            }
            Err(error) if error.get_ref().is_some_and(|cause| cause.is::<ChildExited>()) => {
                Err(error)
            }
            Err(error) => Err(listener.accept_error(&error)),
        }
    }
}

/// Accepts the connection of a child.
fn accept_of(listener: &Listener, child: &mut Child, deadline: Deadline) -> io::Result<OsHandle> {
    // `None` if the child was waited for before.
    let exit = Exit::of(child.id())?;
    loop {
        // Before the queue is looked at: everything that the child did before it ended is then in
        // the queue.
        let ended = match &exit {
            Some(exit) => exit.is_over()?,
            None => true,
        };
        match listener.accept_socket(Deadline::Now, &mut |_| Ok(())) {
            // The process number belongs to the child as long as the child has not been waited for.
            Ok(socket) if is_family(sys::socket::credentials(borrow(&socket))?.pid, child.id()) => {
                return Ok(socket);
            }
            Ok(_) => continue,
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {}
            Err(error) => return Err(error),
        }
        if ended {
            let status = child.wait().or_else(|error| {
                let elsewhere = sys::process::cause_if_reaped(&error).ok_or(error)?;
                exit.as_ref().and_then(Exit::status_elsewhere).ok_or_else(|| {
                    let text = format!(
                        "the child ended before it connected; how is not known: {elsewhere}"
                    );
                    io::Error::new(io::ErrorKind::BrokenPipe, text)
                })
            })?;
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, ChildExited { status }));
        }
        let timeout = match deadline {
            Deadline::Never => None,
            _ => Some(deadline.left(Duration::MAX).ok_or_else(|| {
                let text = "the child is alive, but did not connect in time";
                io::Error::new(io::ErrorKind::TimedOut, text)
            })?),
        };
        listener.wait_with(exit.as_ref(), timeout)?;
    }
}

/// Returns whether a process is the child, or descends from it.
fn is_family(mut pid: u32, child: u32) -> bool {
    // Bounded: parents may change while they are followed.
    for _ in 0..64 {
        if pid == child {
            return true;
        }
        match sys::process::parent(pid) {
            Some(parent) if parent > 1 => pid = parent,
            _ => return false,
        }
    }
    false
}

/// The child exited before it connected. The error of [`OneShotServer::accept_from`] holds this.
///
/// ```
/// # fn look(error: std::io::Error) -> Option<std::process::ExitStatus> {
/// let exited = error.get_ref()?.downcast_ref::<ipc_pipes::ChildExited>()?;
/// Some(exited.status)
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChildExited {
    /// How the child ended.
    pub status: ExitStatus,
}

impl fmt::Display for ChildExited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the child ended before it connected: {}", self.status)
    }
}

impl std::error::Error for ChildExited {}

/// The other side of a [`OneShotServer`], in the process that was given its name.
///
/// ```no_run
/// use ipc_pipes::{Duplex, OneShotClient};
///
/// let parent: Duplex<u64, String> = OneShotClient::from_env()?.connect()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct OneShotClient {
    name: Name,
    connector: Connector,
}

impl OneShotClient {
    /// Makes a client of the server with this [name](OneShotServer::name).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it cannot be a name.
    pub fn new(name: impl ToName) -> io::Result<OneShotClient> {
        Ok(OneShotClient { name: name.to_name()?, connector: Connector::new() })
    }

    /// Makes a client of the server whose name is in the environment of this process.
    ///
    /// # Errors
    ///
    /// `NotFound` if the environment holds no name, `InvalidInput` if it cannot be a name.
    pub fn from_env() -> io::Result<OneShotClient> {
        match std::env::var(VARIABLE) {
            Ok(name) => OneShotClient::new(name),
            Err(error) => {
                let text = format!(
                    "the environment variable {VARIABLE}: {error}; the program that starts this one must set it"
                );
                Err(io::Error::new(io::ErrorKind::NotFound, text))
            }
        }
    }

    /// Sets which users' servers to connect to, if not only those of this user.
    #[must_use]
    pub fn connector(mut self, connector: Connector) -> OneShotClient {
        self.connector = connector;
        self
    }

    /// Connects to the server. Sends `A` and receives `B`, the other way round as the server.
    ///
    /// Blocks only if the server's queue is full.
    ///
    /// # Errors
    ///
    /// As [`connect`](crate::connect()). `ConnectionRefused` means that the server is gone or has
    /// accepted its connection.
    pub fn connect<A: DeserializeOwned, B: DeserializeOwned>(&self) -> io::Result<Duplex<A, B>> {
        self.connector.connect(&self.name)
    }
}
