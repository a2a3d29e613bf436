//! The side that comes to one that waits.

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

/// Connects to the [`Listener`](crate::Listener) at a name; fails at once if nobody listens there.
/// `A` is sent on the connection, `B` received.
///
/// The connection is made before it is accepted: what is sent on it meanwhile waits there. If the
/// listener's queue is full, this waits until it is not, as long as it takes.
///
/// ```no_run
/// let connection = ipc_pipes::connect::<u64, String>("orders")?;
/// println!("{}", connection.recv()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// `NotFound` if there is no such name; `ConnectionRefused` if there is, but the process that had
/// it is dead; `PermissionDenied` if the file's mode or its directory's keeps this process out, or
/// another user listens; `InvalidInput` if it cannot be a name, or what is there is no socket, or
/// one of another type; what else the system answers. The error says the name and the step.
pub fn connect<A: DeserializeOwned, B: DeserializeOwned>(
    name: impl ToName,
) -> io::Result<Duplex<A, B>> {
    Connector::new().connect(name)
}

/// Connects to the [`Listener`](crate::Listener) at a name, and waits for it to come, at most
/// `timeout`.
///
/// Whoever waits for a file name is woken when it appears. For an abstract name, and for a path
/// whose directory is not there yet, the kernel has nothing that tells: this looks again, every 20
/// ms at last.
///
/// # Errors
///
/// As [`connect`](connect()), but `NotFound` and `ConnectionRefused` only after `timeout`;
/// `TimedOut` if the listener's queue stayed full until then.
pub fn connect_timeout<A: DeserializeOwned, B: DeserializeOwned>(
    name: impl ToName,
    timeout: Duration,
) -> io::Result<Duplex<A, B>> {
    Connector::new().connect_timeout(name, timeout)
}

/// Whom to connect to: [`connect`](connect()) with more to say.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Connector {
    users: Users,
}

impl Connector {
    /// Connects to listeners of this user only.
    pub fn new() -> Connector {
        Connector::default()
    }

    /// Connects to listeners of these users, too, by number: a service that runs as root, say, is
    /// `[0]`.
    pub fn allow_users(mut self, users: impl IntoIterator<Item = u32>) -> Connector {
        self.users.allow(users);
        self
    }

    /// Connects to whoever listens. Look at [`Duplex::peer`] before you tell them anything.
    pub fn allow_any_user(mut self) -> Connector {
        self.users = Users::Any;
        self
    }

    /// Connects, as [`connect`](connect()).
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

    /// Connects, and waits for a listener to come, as [`connect_timeout`].
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
            Ok(Duplex::introduced(socket))
        });
        checked.map_err(|error| {
            let what = match error.kind() {
                io::ErrorKind::NotFound => "nobody listens: ",
                io::ErrorKind::ConnectionRefused => "nobody listens any more: ",
                _ => "",
            };
            io::Error::new(error.kind(), format!("connecting to the name {name}: {what}{error}"))
        })
    }

    /// Connects to who is there now.
    fn attempt(&self, place: &Place, deadline: Deadline) -> io::Result<OsHandle> {
        kill_point!("connect.look");
        match place {
            Place::Abstract(name) => sys::name::connect_abstract(name, deadline),
            Place::File(directory, file) => {
                let Some(entry) = sys::name::look(directory, file)? else {
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
            // A directory that is not there yet is waited for as the name is.
            let attempt = match &place {
                Some(place) => self.attempt(place, deadline),
                None => match name.place() {
                    Ok(found) => {
                        if let Place::File(directory, _) = &found {
                            // Before the look, so that whoever comes after it is noticed. There are
                            // few watches to be had; it works without.
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
                        // A directory that was moved, or a listener that binds first and listens
                        // later.
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

/// How long to sleep where the kernel tells of new names.
const WATCHED: Duration = Duration::from_millis(250);
