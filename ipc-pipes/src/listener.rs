//! The side that waits for others to come.
//!
//! The sockets are made here, not by a crate that knows more systems: `interprocess` 2.4 makes
//! stream sockets only, which do not keep the boundaries of messages, so a message of one of
//! several senders could come in the middle of another's; and where a name is in use, its
//! `try_overwrite` removes whatever is there, a live listener's name or a plain file, and two
//! processes that do so at once both believe to have it. The steps that `claim` takes instead need
//! the socket under another name first.

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
/// Any number of threads may accept. Dropping the listener takes its name away, as does the end of
/// the program by `exit`; connections that nobody has accepted are closed, those that somebody has
/// stay. A name that is left behind by a process that was killed is taken over by the next one who
/// binds it, and one that is in use never is: there is no "address already in use" after a crash,
/// and never a second listener, however many processes race for a name.
///
/// Only processes of this user are let in, unless [others are allowed](Builder::allow_users).
///
/// A process that was forked without exec may accept at a listener that it inherited, as
/// pre-forking servers do. The name stays in use as long as one of the processes has the listener;
/// dropping the listener removes the name only in the process that bound it.
pub struct Listener {
    held: Held,
    name: Name,
    users: Users,
    refused: AtomicU64,
    /// A forked child has this socket, too, but the name is not its own.
    process: u32,
}

/// What keeps the name.
enum Held {
    File(Arc<Claim>),
    /// The socket alone: the kernel forgets an abstract name with it.
    Abstract(OsHandle),
}

impl Listener {
    /// Takes a name, as [`Builder::bind`] with everything at its default.
    ///
    /// # Errors
    ///
    /// As [`Builder::bind`].
    pub fn bind(name: impl ToName) -> io::Result<Listener> {
        Builder::new().bind(name)
    }

    /// Says more about the listener before it takes its name.
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Removes the names that begin with `prefix` and that killed listeners left; returns them in
    /// order.
    ///
    /// A process that is killed, by SIGKILL, by SIGTERM without a handler or by a crash, cannot
    /// take its name away. The name stays as a dead socket, which keeps no memory, until the next
    /// [`bind`](Listener::bind) takes it over, or this removes it. The prefix is the beginning of a
    /// plain name, or a path whose last component is the beginning of a file name. An abstract name
    /// goes with its process, so there are none to remove.
    ///
    /// What stays: names of sockets that a process has open; those that a process is binding at
    /// this moment; other users'; whatever is no socket.
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
    /// If `prefix` cannot begin a name, or the directory cannot be read. What cannot be removed is
    /// left.
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

    /// Waits for the next connection, as long as it takes. `A` is sent on it, `B` received.
    ///
    /// Whoever connects need not wait for this: connections are queued. One whose process has died
    /// meanwhile is accepted all the same, with what it has sent; then it is disconnected.
    /// Connections of users that are not allowed are closed, and never seen here.
    ///
    /// # Errors
    ///
    /// What the system answers, with the name: no descriptor or no memory left, above all. The
    /// connection stays in the queue, and a later call finds it.
    pub fn accept<A: DeserializeOwned, B: DeserializeOwned>(&self) -> io::Result<Duplex<A, B>> {
        self.accept_until(Deadline::Never)
    }

    /// Waits for the next connection, at most `timeout`; with 0, takes one that is there.
    ///
    /// # Errors
    ///
    /// `TimedOut`, and as [`accept`](Listener::accept).
    pub fn accept_timeout<A: DeserializeOwned, B: DeserializeOwned>(
        &self,
        timeout: Duration,
    ) -> io::Result<Duplex<A, B>> {
        self.accept_until(Deadline::after(timeout))
    }

    /// Waits for the next connection, until `deadline` at most.
    ///
    /// # Errors
    ///
    /// `TimedOut`, and as [`accept`](Listener::accept).
    pub fn accept_deadline<A: DeserializeOwned, B: DeserializeOwned>(
        &self,
        deadline: Instant,
    ) -> io::Result<Duplex<A, B>> {
        self.accept_until(Deadline::At(deadline))
    }

    /// Accepts one connection after the other; never ends by itself.
    ///
    /// An error is no reason to stop, but one that stays (no descriptor left) comes at once again.
    #[must_use]
    pub fn incoming<A: DeserializeOwned, B: DeserializeOwned>(&self) -> Incoming<'_, A, B> {
        Incoming { listener: self, connections: PhantomData }
    }

    /// The name that it is bound to.
    #[must_use]
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// How many connections were refused because their users are not allowed.
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
        accepted.map(Duplex::introduced).map_err(|error| self.accept_error(&error))
    }

    pub(crate) fn accept_error(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("accepting a connection at {}: {error}", self.name))
    }

    /// The next connection of an allowed user. `wait` is called while there is none, and may return
    /// early.
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

    /// Sleeps until a connection is there, a child has ended, or the time is over; may return
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
    /// Readable when a connection waits: for an event loop.
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

/// Connections, one after the other; see [`Listener::incoming`].
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

/// How a [`Listener`] takes its name, and whom it lets in.
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
    /// Connections that are queued if nothing else is said.
    const BACKLOG: u32 = 128;
    /// A killed process is dead when its memory is freed: some 50 ms for each gigabyte.
    const GRACE: Duration = Duration::from_millis(200);

    /// A listener of mode 0600, for this user's processes.
    pub fn new() -> Builder {
        Builder { mode: None, backlog: Self::BACKLOG, grace: Self::GRACE, users: Users::Own }
    }

    /// The mode of the socket's file, exactly, whatever the umask: 0600 if not set, 0666 if other
    /// users are allowed. Who may not write to it cannot connect. An abstract name has none.
    pub fn mode(mut self, mode: u32) -> Builder {
        self.mode = Some(mode);
        self
    }

    /// Lets processes of these users in, too, by number.
    pub fn allow_users(mut self, users: impl IntoIterator<Item = u32>) -> Builder {
        self.users.allow(users);
        self
    }

    /// Lets everybody in. Look at [`Duplex::peer`] before you do what they say.
    pub fn allow_any_user(mut self) -> Builder {
        self.users = Users::Any;
        self
    }

    /// How many connections are queued before [`connect`](crate::connect()) waits: 128 if not set;
    /// the system has a limit of its own.
    pub fn backlog(mut self, connections: u32) -> Builder {
        self.backlog = connections;
        self
    }

    /// How long [`bind`](Builder::bind) waits for a name that is in use: 200 ms if not set, in
    /// which a process that was just killed is gone. A stand-by that waits for the first one's end
    /// says how long.
    ///
    /// The kernel does not tell, so it looks again, every 20 ms at last.
    pub fn wait_for_name(mut self, timeout: Duration) -> Builder {
        self.grace = timeout;
        self
    }

    /// Takes the name. Connections are queued from the moment in which the name is there.
    ///
    /// # Errors
    ///
    /// `AddrInUse` if a process that is alive has the name; `AlreadyExists` if it is a file, a
    /// directory, a symbolic link or a named pipe, which stays as it is; `PermissionDenied` if it
    /// is another user's, or its directory is; `InvalidInput` if it cannot be a name, the mode has
    /// more than nine bits, or others are allowed at a name that is private to this user;
    /// `Unsupported` on systems that this crate does not know yet; what else the system answers.
    /// The error says the name and the step, and nothing is left behind.
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
