//! The side of a connection that listens at a name.
//!
//! The sockets are made here, not by a crate that supports more systems. There are two reasons not
//! to use `interprocess` 2.4:
//!
//! - It makes stream sockets only, which do not keep the boundaries of messages. So a message of
//!   one of several senders could arrive in the middle of another one's message.
//! - If a name is in use, its `try_overwrite` removes whatever is there, also the name of a live
//!   listener or a plain file. Two processes that do so at once both believe that they own the
//!   name. The steps that `claim` takes instead need the socket under another name first.

mod claim;

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ipc_core::Deadline;
use ipc_core::OsHandle;
use ipc_sys as sys;
use ipc_sys::borrow;
use serde::de::DeserializeOwned;

use crate::Duplex;
use crate::killpoint::kill_point;
use crate::name::{Name, Place, ToName};
use crate::peer::Users;
use claim::Claim;

/// A name that other processes [`connect`](crate::connect()) to.
///
/// ```no_run
/// use ipc_pipes::Listener;
///
/// let listener = Listener::bind("orders")?;
/// for connection in listener.incoming::<String, u64>() {
///     let connection = connection?;
///     println!("{} is here", connection.peer()?);
///     connection.send("hello".to_owned())?;
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Any number of threads may accept. Dropping the listener removes its name, and so does the end of
/// the program by `exit`. Then connections that were not accepted yet are closed, and accepted ones
/// stay open.
///
/// If a process is killed, its name stays, and the next `bind` takes it over. A name that is in use
/// is never taken over. So there is no "address already in use" after a crash, and never a second
/// listener, however many processes race for a name.
///
/// Only processes of this user are accepted, unless [others are allowed](Builder::allow_users).
///
/// A process that was forked without exec may accept at a listener that it inherited, as
/// pre-forking servers do. The name stays in use as long as one of the processes has the listener.
/// Dropping the listener removes the name only in the process that bound it.
pub struct Listener {
    held: Held,
    name: Name,
    users: Users,
    refused: AtomicU64,
    /// The process that bound the name. A forked child has this socket too, but does not own the
    /// name.
    process: u32,
}

/// What keeps the name in use.
enum Held {
    File(Arc<Claim>),
    /// The socket alone: the kernel forgets an abstract name with it.
    Abstract(OsHandle),
}

impl Listener {
    /// Takes a name, with the default options of a [`Builder`].
    ///
    /// Blocks for at most 200 ms if the name is in use.
    ///
    /// # Errors
    ///
    /// As [`Builder::bind`].
    pub fn bind(name: impl ToName) -> io::Result<Listener> {
        Builder::new().bind(name)
    }

    /// Returns a [`Builder`], which sets options of the listener before it takes its name.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Removes the names of killed listeners that begin with `prefix`.
    ///
    /// Returns the removed names in order.
    ///
    /// A process that is killed, by SIGKILL, by SIGTERM without a handler or by a crash, cannot
    /// remove its name. The name stays as a dead socket, which uses no memory, until the next
    /// [`bind`](Listener::bind) takes it over, or this function removes it. An abstract name goes
    /// with its process, so there are none to remove.
    ///
    /// The prefix is the beginning of a plain name, or a path whose last component is the beginning
    /// of a file name.
    ///
    /// These entries stay: names of sockets that a process has open, names that a process is
    /// binding at this moment, names of other users, and everything that is not a socket.
    ///
    /// ```
    /// use ipc_pipes::Listener;
    ///
    /// for name in Listener::remove_abandoned("shop-orders-")? {
    ///     eprintln!("removed {name}, whose listener was killed");
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Fails if `prefix` cannot begin a name, or the directory cannot be read. A name that cannot
    /// be removed stays, without an error.
    pub fn remove_abandoned(prefix: impl ToName) -> io::Result<Vec<Name>> {
        let prefix = prefix.to_name()?;
        let failed = |error: io::Error| {
            let text = format!("removing abandoned names that begin with {prefix}: {error}");
            io::Error::new(error.kind(), text)
        };
        let removed = match prefix.place().map_err(failed)? {
            Place::File(directory, file) => match file.to_str() {
                Some(file) => claim::remove_abandoned(&directory, file, prefix.is_private())
                    .map_err(failed)?,
                None => {
                    return Err(failed(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        "it is not UTF-8",
                    )));
                }
            },
            Place::Abstract(_) => Vec::new(),
        };
        Ok(removed.into_iter().filter_map(|file| prefix.beside(file)).collect())
    }

    /// Accepts the next connection. Sends `A` on it and receives `B`.
    ///
    /// Blocks until a process connects. Connections are queued, so a process that connects need not
    /// wait for this call. If that process has died meanwhile, its connection is accepted all the
    /// same. The messages that the process had sent are received, and then the end. Connections of
    /// users that are not allowed are closed, and never returned.
    ///
    /// # Errors
    ///
    /// An error of the system, with the name: above all if no descriptor or no memory is left. The
    /// connection stays in the queue for a later call.
    pub fn accept<A: DeserializeOwned, B: DeserializeOwned>(&self) -> io::Result<Duplex<A, B>> {
        self.accept_until(Deadline::Never)
    }

    /// Accepts the next connection, and blocks for at most `timeout`. With 0, it takes a connection
    /// that is there.
    ///
    /// # Errors
    ///
    /// `TimedOut` if no connection came in time, and as [`accept`](Listener::accept).
    pub fn accept_timeout<A: DeserializeOwned, B: DeserializeOwned>(
        &self,
        timeout: Duration,
    ) -> io::Result<Duplex<A, B>> {
        self.accept_until(Deadline::after(timeout))
    }

    /// Accepts the next connection, and blocks until `deadline` at most.
    ///
    /// # Errors
    ///
    /// `TimedOut` if no connection came in time, and as [`accept`](Listener::accept).
    pub fn accept_deadline<A: DeserializeOwned, B: DeserializeOwned>(
        &self,
        deadline: Instant,
    ) -> io::Result<Duplex<A, B>> {
        self.accept_until(Deadline::At(deadline))
    }

    /// Returns an iterator that accepts one connection after the other, and never ends.
    ///
    /// It blocks until a process connects. After an error it can be used further, but an error that
    /// persists (no descriptor left) comes again at once.
    #[must_use]
    pub fn incoming<A: DeserializeOwned, B: DeserializeOwned>(&self) -> Incoming<'_, A, B> {
        Incoming { listener: self, connections: PhantomData }
    }

    /// Returns the name that the listener is bound to.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Returns how many connections were refused because their users are not allowed.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed) // Relaxed: a number, nothing rides on it.
    }

    fn socket(&self) -> &OsHandle {
        match &self.held {
            Held::File(claim) => &claim.socket,
            Held::Abstract(socket) => socket,
        }
    }

    pub(crate) fn accept_until<A: DeserializeOwned, B: DeserializeOwned>(
        &self,
        deadline: Deadline,
    ) -> io::Result<Duplex<A, B>> {
        let accepted = self.accept_socket(deadline, &mut |timeout| {
            sys::name::wait(Some(self.socket()), None, None, timeout)?;
            Ok(())
        });
        accepted.map(Duplex::to_other_program).map_err(|error| self.accept_error(&error))
    }

    pub(crate) fn accept_error(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("accepting a connection at {}: {error}", self.name))
    }

    /// Accepts the next connection of an allowed user. Calls `wait` while there is none; `wait` may
    /// return early.
    pub(crate) fn accept_socket(
        &self,
        deadline: Deadline,
        wait: &mut dyn FnMut(Option<Duration>) -> io::Result<()>,
    ) -> io::Result<OsHandle> {
        loop {
            kill_point!("listener.accept");
            match sys::socket::accept(self.socket())? {
                Some(socket) => {
                    kill_point!("listener.accepted");
                    if self.users.admit(sys::socket::credentials(borrow(&socket))?.uid) {
                        return Ok(socket);
                    }
                    self.refused.fetch_add(1, Ordering::Relaxed); // Relaxed: as where it is read.
                    if deadline != Deadline::Never && deadline.left(Duration::MAX).is_none() {
                        return Err(late());
                    }
                }
                None => {
                    let timeout = match deadline {
                        Deadline::Never => None,
                        _ => Some(deadline.left(Duration::MAX).ok_or_else(late)?),
                    };
                    wait(timeout)?;
                }
            }
        }
    }

    /// Sleeps until there is a connection, a child has ended, or the time is over. May return
    /// early.
    pub(crate) fn wait_with(
        &self,
        exit: Option<&sys::process::Exit>,
        timeout: Option<Duration>,
    ) -> io::Result<()> {
        sys::name::wait(Some(self.socket()), None, exit, timeout)
    }
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no connection came in time")
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Held::File(claim) = &self.held {
            if self.process == std::process::id() {
                claim.release();
            }
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(unix)]
impl std::os::fd::AsFd for Listener {
    /// Returns the socket, which is readable when a connection waits: for an event loop.
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

/// An iterator over connections; see [`Listener::incoming`].
#[derive(Debug)]
pub struct Incoming<'a, A, B> {
    listener: &'a Listener,
    connections: PhantomData<fn() -> (A, B)>,
}

impl<A: DeserializeOwned, B: DeserializeOwned> Iterator for Incoming<'_, A, B> {
    type Item = io::Result<Duplex<A, B>>;

    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept())
    }
}

/// Configures a [`Listener`]: how it takes its name, and which users it accepts.
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    mode: Option<u32>,
    backlog: u32,
    grace: Duration,
    users: Users,
}

impl Default for Builder {
    fn default() -> Self {
        Builder::new()
    }
}

impl Builder {
    /// The length of the queue of connections if it is not set.
    const BACKLOG: u32 = 128;
    /// The default of [`wait_for_name`](Builder::wait_for_name). A killed process is dead when its
    /// memory is freed, which takes some 50 ms for each gigabyte.
    const GRACE: Duration = Duration::from_millis(200);

    /// Makes a builder for a listener of mode 0600, for processes of this user.
    pub fn new() -> Builder {
        Builder { mode: None, backlog: Self::BACKLOG, grace: Self::GRACE, users: Users::Own }
    }

    /// Sets the exact mode of the socket's file, whatever the umask. The default is 0600, or 0666
    /// if other users are allowed. A process that may not write to the file cannot connect. An
    /// abstract name has no mode.
    pub fn mode(mut self, mode: u32) -> Builder {
        self.mode = Some(mode);
        self
    }

    /// Also accepts processes of these users, given by number.
    pub fn allow_users(mut self, users: impl IntoIterator<Item = u32>) -> Builder {
        self.users.allow(users);
        self
    }

    /// Accepts processes of every user. Look at [`Duplex::peer`] before you trust their messages.
    pub fn allow_any_user(mut self) -> Builder {
        self.users = Users::Any;
        self
    }

    /// Sets how many connections are queued before [`connect`](crate::connect()) blocks. The
    /// default is 128, and the system has a limit of its own.
    pub fn backlog(mut self, connections: u32) -> Builder {
        self.backlog = connections;
        self
    }

    /// Sets how long [`bind`](Builder::bind) waits for a name that is in use.
    ///
    /// The default is 200 ms, in which a process that was just killed is gone. A stand-by process
    /// sets how long it waits for the end of the first one. The kernel does not notify it, so
    /// `bind` tries again, at least every 20 ms.
    pub fn wait_for_name(mut self, timeout: Duration) -> Builder {
        self.grace = timeout;
        self
    }

    /// Takes the name and listens at it. Connections are queued from the moment in which the name
    /// is there.
    ///
    /// Blocks for at most [`wait_for_name`](Builder::wait_for_name) if the name is in use.
    ///
    /// # Errors
    ///
    /// The error names the name and the step, and nothing stays behind.
    ///
    /// - `AddrInUse` if a live process has the name.
    /// - `AlreadyExists` if it is a file, a directory, a symbolic link or a named pipe. It stays as
    ///   it is.
    /// - `PermissionDenied` if the name or its directory belongs to another user.
    /// - `InvalidInput` if it cannot be a name, the mode has more than nine bits, or other users
    ///   are allowed at a name that is private to this user.
    /// - `TimedOut` if another process takes longer than ten seconds to take this name, because it
    ///   is stopped, for example.
    /// - `Unsupported` on systems that this crate does not support yet.
    /// - Others: an error of the system.
    pub fn bind(&self, name: impl ToName) -> io::Result<Listener> {
        let name = name.to_name()?;
        match self.bind_name(&name) {
            Ok(held) => Ok(Listener {
                held,
                name,
                users: self.users.clone(),
                refused: AtomicU64::new(0),
                process: std::process::id(),
            }),
            Err(error) => {
                Err(io::Error::new(error.kind(), format!("binding the name {name}: {error}")))
            }
        }
    }

    fn bind_name(&self, name: &Name) -> io::Result<Held> {
        let invalid = |text| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        let mode = match self.mode {
            Some(mode) if mode & !0o777 != 0 => return invalid("a mode has nine bits: 0o600, say"),
            Some(mode) => mode,
            None if self.users.only_own() => 0o600,
            None => 0o666,
        };
        if name.is_private() && !self.users.only_own() {
            return invalid(
                "other users never reach a plain name; use Name::path or Name::abstract_name",
            );
        }
        let deadline = Deadline::after(self.grace);
        let mut pause = Duration::from_millis(1);
        loop {
            let bound = match name.place()? {
                Place::File(directory, file) => {
                    claim::claim(directory, file, mode, self.backlog).map(Held::File)
                }
                Place::Abstract(name) => self.bind_abstract(&name),
            };
            match (bound, deadline.left(pause)) {
                (Err(error), Some(pause)) if error.kind() == io::ErrorKind::AddrInUse => {
                    std::thread::sleep(pause);
                }
                (bound, _) => return bound,
            }
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }

    fn bind_abstract(&self, name: &[u8]) -> io::Result<Held> {
        let socket = sys::name::bind_abstract(name).map_err(|error| match error.kind() {
            io::ErrorKind::AddrInUse => {
                io::Error::new(io::ErrorKind::AddrInUse, "a process that is alive has it")
            }
            _ => error,
        })?;
        sys::name::listen(&socket, self.backlog)?;
        Ok(Held::Abstract(socket))
    }
}
