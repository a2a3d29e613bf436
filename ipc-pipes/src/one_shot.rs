//! One connection to one process that this one has started: how the two find each other.

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

/// The variable that a child finds its parent's name in.
const VARIABLE: &str = "MULTIPROCESS_ONE_SHOT";

/// Waits for one connection, of a process that was told where: the first link to a child that is a
/// program of its own. (For functions of this program there is `multiprocess::spawn`.)
///
/// ```no_run
/// use ipc_pipes::{Duplex, OneShotServer};
/// use std::process::Command;
///
/// let mut server = OneShotServer::new()?;
/// let mut child = server.set_env(&mut Command::new("worker")).spawn()?;
/// let worker: Duplex<String, u64> = server.accept_from(&mut child)?; // An error if it exits first.
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// The child calls [`OneShotClient::from_env`], or gets [`name`](OneShotServer::name) as an
/// argument. Further channels go over the connection, inside messages.
///
/// The name cannot be guessed, is no file, and is gone once somebody is accepted; on both sides
/// only this user's processes are. Where that is not what is needed (the child runs as another
/// user, or in another network namespace), make a [`Listener`] that lets them in, and the server
/// [from it](OneShotServer::from).
#[derive(Debug)]
pub struct OneShotServer {
    /// Until somebody is accepted.
    listener: Option<Listener>,
    name: String,
}

impl From<Listener> for OneShotServer {
    fn from(listener: Listener) -> OneShotServer {
        OneShotServer { name: listener.name().to_string(), listener: Some(listener) }
    }
}

impl OneShotServer {
    /// A server with a [random name](Name::random).
    ///
    /// # Errors
    ///
    /// As [`Listener::bind`].
    pub fn new() -> io::Result<OneShotServer> {
        Ok(Listener::bind(Name::random()?)?.into())
    }

    /// What the other process must be told: an argument for [`OneShotClient::new`].
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Puts the name into the environment of a command, for [`OneShotClient::from_env`].
    pub fn set_env<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env(VARIABLE, &self.name)
    }

    /// Waits for the connection, as long as it takes. Whoever knows the name and is allowed may be
    /// at the other end. There is never another one.
    ///
    /// # Errors
    ///
    /// As [`Listener::accept`]; `NotConnected` if somebody was accepted before.
    pub fn accept<A: DeserializeOwned, B: DeserializeOwned>(&mut self) -> io::Result<Duplex<A, B>> {
        self.accept_first(Deadline::Never)
    }

    /// Waits for the connection, at most `timeout`; it can be waited for again.
    ///
    /// # Errors
    ///
    /// `TimedOut`, and as [`accept`](OneShotServer::accept).
    pub fn accept_timeout<A: DeserializeOwned, B: DeserializeOwned>(
        &mut self,
        timeout: Duration,
    ) -> io::Result<Duplex<A, B>> {
        self.accept_first(Deadline::after(timeout))
    }

    /// Waits for the connection of this child, or of a process that it has started, as long as it
    /// lives.
    ///
    /// Connections of others are closed.
    ///
    /// # Errors
    ///
    /// [`ChildExited`], of kind `BrokenPipe`, if the child exits first; it has been waited for
    /// then. Another error of that kind if it exits and something else reaped it (SIGCHLD is
    /// ignored, say), on Linux before 6.15. Else as [`accept`](OneShotServer::accept).
    pub fn accept_from<A: DeserializeOwned, B: DeserializeOwned>(
        &mut self,
        child: &mut Child,
    ) -> io::Result<Duplex<A, B>> {
        self.accept_child(child, Deadline::Never)
    }

    /// Waits for the connection of this child, as [`accept_from`](OneShotServer::accept_from), at
    /// most `timeout`. It can be waited for again.
    ///
    /// # Errors
    ///
    /// `TimedOut`, and as [`accept_from`](OneShotServer::accept_from).
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
                Ok(Duplex::introduced(socket))
            }
            Err(error) if error.get_ref().is_some_and(|cause| cause.is::<ChildExited>()) => {
                Err(error)
            }
            Err(error) => Err(listener.accept_error(&error)),
        }
    }
}

/// The connection of a child.
fn accept_of(listener: &Listener, child: &mut Child, deadline: Deadline) -> io::Result<OsHandle> {
    // `None` if it was waited for before.
    let exit = Exit::of(child.id())?;
    loop {
        // First this: what the child did before it ended is in the queue when that is looked at.
        let ended = match &exit {
            Some(exit) => exit.is_over()?,
            None => true,
        };
        match listener.accept_socket(Deadline::Now, &mut |_| Ok(())) {
            // A number is the child's own as long as it has not been waited for.
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

/// Whether a process is the child, or descends from it.
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

/// The child exited before it connected: what [`OneShotServer::accept_from`]'s error holds.
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
    /// How it ended.
    pub status: ExitStatus,
}

impl fmt::Display for ChildExited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the child ended before it connected: {}", self.status)
    }
}

impl std::error::Error for ChildExited {}

/// The other side of a [`OneShotServer`], in the process that was told its name.
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
    /// A client of the server whose [name](OneShotServer::name) this is.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it cannot be one.
    pub fn new(name: impl ToName) -> io::Result<OneShotClient> {
        Ok(OneShotClient { name: name.to_name()?, connector: Connector::new() })
    }

    /// A client of the server that has put its name into this process' environment.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is none there, `InvalidInput` if it cannot be one.
    pub fn from_env() -> io::Result<OneShotClient> {
        match std::env::var(VARIABLE) {
            Ok(name) => OneShotClient::new(name),
            Err(error) => {
                let text = format!(
                    "the environment variable {VARIABLE}: {error}; who starts this program sets it"
                );
                Err(io::Error::new(io::ErrorKind::NotFound, text))
            }
        }
    }

    /// Says whom to connect to, if not to this user's processes only.
    #[must_use]
    pub fn connector(mut self, connector: Connector) -> OneShotClient {
        self.connector = connector;
        self
    }

    /// Connects. `A` is sent on the connection, `B` received: the other way round as at the server.
    ///
    /// # Errors
    ///
    /// As [`connect`](crate::connect()): `ConnectionRefused` if the server is gone, or has accepted
    /// somebody.
    pub fn connect<A: DeserializeOwned, B: DeserializeOwned>(&self) -> io::Result<Duplex<A, B>> {
        self.connector.connect(&self.name)
    }
}
