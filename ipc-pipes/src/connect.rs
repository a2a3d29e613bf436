//! The side of a connection that connects to a listener.

use std::io;
use std::time::Duration;

use ipc_core::Deadline;
use ipc_core::OsHandle;
use ipc_sys as sys;
use ipc_sys::borrow;
use ipc_sys::name::{Kind, Watch};
use serde::de::DeserializeOwned;

use crate::Duplex;
use crate::killpoint::kill_point;
use crate::name::{Name, Place, ToName};
use crate::peer::{Peer, Users};

/// Connects to the [`Listener`](crate::Listener) at a name. Sends `A` and receives `B`.
///
/// Fails at once if no process listens there. The connection is made before it is accepted:
/// messages that are sent meanwhile are queued in it. Blocks while the listener's queue is full.
///
/// ```no_run
/// let connection = ipc_pipes::connect::<u64, String>("orders")?;
/// println!("{}", connection.recv()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// The error names the name and the step.
///
/// - `NotFound` if there is no such name.
/// - `ConnectionRefused` if the process that had the name is dead.
/// - `PermissionDenied` if the mode of the file or of its directory excludes this process, or a
///   process of another user listens.
/// - `InvalidInput` if it cannot be a name, or the file is not a socket, or a socket of another
///   type.
/// - Others: an error of the system.
pub fn connect<A: DeserializeOwned, B: DeserializeOwned>(
    name: impl ToName,
) -> io::Result<Duplex<A, B>> {
    Connector::new().connect(name)
}

/// Connects to the [`Listener`](crate::Listener) at a name, and waits until there is one.
///
/// Blocks for at most `timeout`. If a file name does not exist yet, the kernel wakes this call when
/// the name appears. For an abstract name, and for a path whose directory does not exist yet, the
/// kernel notifies no process. Then this call tries again, at least every 20 ms.
///
/// # Errors
///
/// As [`connect`](connect()), but `NotFound` and `ConnectionRefused` only after `timeout`, and
/// `TimedOut` if the listener's queue stayed full until then.
pub fn connect_timeout<A: DeserializeOwned, B: DeserializeOwned>(
    name: impl ToName,
    timeout: Duration,
) -> io::Result<Duplex<A, B>> {
    Connector::new().connect_timeout(name, timeout)
}

/// Configures which users' listeners to connect to; [`connect`](connect()) with options.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Connector {
    users: Users,
}

impl Connector {
    /// Makes a connector that connects to listeners of this user only.
    pub fn new() -> Connector {
        Connector::default()
    }

    /// Also connects to listeners of these users, given by number.
    ///
    /// For a service that runs as root, for example, that is `[0]`.
    pub fn allow_users(mut self, users: impl IntoIterator<Item = u32>) -> Connector {
        self.users.allow(users);
        self
    }

    /// Connects to listeners of every user. Look at [`Duplex::peer`] before you send anything.
    pub fn allow_any_user(mut self) -> Connector {
        self.users = Users::Any;
        self
    }

    /// Connects to the listener at a name; see [`connect`](connect()).
    ///
    /// Blocks while the listener's queue is full.
    ///
    /// # Errors
    ///
    /// As [`connect`](connect()).
    pub fn connect<A: DeserializeOwned, B: DeserializeOwned>(
        &self,
        name: impl ToName,
    ) -> io::Result<Duplex<A, B>> {
        let name = name.to_name()?;
        let connected = name.place().and_then(|place| self.attempt(&place, Deadline::Never));
        self.finish(&name, connected)
    }

    /// Connects to the listener at a name, and waits for it; see [`connect_timeout`].
    ///
    /// Blocks for at most `timeout`.
    ///
    /// # Errors
    ///
    /// As [`connect_timeout`].
    pub fn connect_timeout<A: DeserializeOwned, B: DeserializeOwned>(
        &self,
        name: impl ToName,
        timeout: Duration,
    ) -> io::Result<Duplex<A, B>> {
        let name = name.to_name()?;
        let connected = self.wait(&name, Deadline::after(timeout));
        self.finish(&name, connected)
    }

    fn finish<A: DeserializeOwned, B: DeserializeOwned>(
        &self,
        name: &Name,
        connected: io::Result<OsHandle>,
    ) -> io::Result<Duplex<A, B>> {
        let checked = connected.and_then(|socket| {
            let peer = Peer::from(sys::socket::credentials(borrow(&socket))?);
            if !self.users.admit(peer.uid) {
                let text = format!("{peer} listens there, which is not allowed");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
            Ok(Duplex::to_other_program(socket))
        });
        checked.map_err(|error| {
            let what = match error.kind() {
                io::ErrorKind::NotFound => "no process listens there: ",
                io::ErrorKind::ConnectionRefused => "no process listens there any more: ",
                _ => "",
            };
            io::Error::new(error.kind(), format!("connecting to the name {name}: {what}{error}"))
        })
    }

    /// Connects to the process that listens now.
    fn attempt(&self, place: &Place, deadline: Deadline) -> io::Result<OsHandle> {
        kill_point!("connect.lookup");
        match place {
            Place::Abstract(name) => sys::name::connect_abstract(name, deadline),
            Place::File(directory, file) => {
                let Some(entry) = sys::name::lookup(directory, file)? else {
                    return Err(io::Error::new(io::ErrorKind::NotFound, "there is no such name"));
                };
                if let Kind::Other(what) = entry.kind {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        format!("it is a {what}"),
                    ));
                }
                kill_point!("connect.found");
                sys::name::connect(&entry, deadline)
            }
        }
    }

    fn wait(&self, name: &Name, deadline: Deadline) -> io::Result<OsHandle> {
        let mut place = None;
        let mut watch = None;
        let mut pause = Duration::from_millis(1);
        loop {
            // A directory that does not exist yet is waited for like the name.
            let attempt = match &place {
                Some(place) => self.attempt(place, deadline),
                None => match name.place() {
                    Ok(found) => {
                        if let Place::File(directory, _) = &found {
                            // Watches before it looks, so that a name that appears after the look
                            // is noticed. Watches are a scarce resource; it works without one.
                            watch = Watch::new(directory).ok();
                        }
                        let attempt = self.attempt(&found, deadline);
                        place = Some(found);
                        attempt
                    }
                    Err(error) => Err(error),
                },
            };
            let absent = |error: &io::Error| {
                matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
            };
            match attempt {
                Err(error) if absent(&error) => {
                    let slice = match &watch {
                        // For a directory that was moved, or a listener that binds first and
                        // listens later.
                        Some(_) => WATCHED,
                        None => pause,
                    };
                    let Some(slice) = deadline.left(slice) else { return Err(error) };
                    sys::name::wait(None, watch.as_ref(), None, Some(slice))?;
                    match &watch {
                        Some(watch) if watch.clear()? => {}
                        _ => {
                            // The directory may be another one by now.
                            (place, watch) = (None, None);
                            pause = (pause * 2).min(Duration::from_millis(20));
                        }
                    }
                }
                done => return done,
            }
        }
    }
}

/// How long to sleep if the kernel wakes this call for new names.
const WATCHED: Duration = Duration::from_millis(250);
