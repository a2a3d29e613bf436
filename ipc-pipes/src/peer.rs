//! The process at the other end of a connection.

use std::collections::BTreeSet;
use std::fmt;
use std::io;

use ipc_core::OsHandle;
use ipc_sys as sys;
use ipc_sys::socket::Credentials;

use crate::Duplex;

/// The process at the other end of a connection, as the kernel recorded it.
///
/// At the end that accepted, it is the process that connected, at that moment. At the end that
/// connected, it is the process that listens, as it was when it began to listen.
///
/// The end may have travelled to another process since. The number of a dead process may now belong
/// to another one. [`Duplex::peer_process`](crate::Duplex::peer_process) returns a handle that
/// never means another process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Peer {
    /// The number of the process, or 0 if its PID namespace is not visible to this process.
    pub pid: u32,
    /// The effective user of the process.
    pub uid: u32,
    /// The effective group of the process.
    pub gid: u32,
}

impl From<Credentials> for Peer {
    fn from(credentials: Credentials) -> Peer {
        Peer { pid: credentials.pid, uid: credentials.uid, gid: credentials.gid }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} of user {}", self.pid, self.uid)
    }
}

impl<A, B> Duplex<A, B> {
    /// Returns the process at the other end, as the kernel recorded it.
    ///
    /// It is recorded when the connection is made. For [`duplex`](crate::duplex()), it is the
    /// process that made the connection. Never blocks.
    ///
    /// # Errors
    ///
    /// `Unsupported` on systems that this crate does not support yet.
    #[doc(alias = "SO_PEERCRED")]
    pub fn peer(&self) -> io::Result<Peer> {
        sys::socket::credentials(self.fd()).map(Peer::from)
    }

    /// Returns a handle of the process at the other end, the one that [`peer`](Duplex::peer)
    /// returns.
    ///
    /// The handle never means another process, and becomes readable when that process ends. On
    /// Linux it is a pidfd. Never blocks.
    ///
    /// # Errors
    ///
    /// `Unsupported` before Linux 6.5 and on other systems. Otherwise an error of the system, if
    /// the process is gone for good or there is no descriptor left.
    #[doc(alias = "SO_PEERPIDFD")]
    pub fn peer_process(&self) -> io::Result<OsHandle> {
        sys::socket::peer_pidfd(self.fd())
    }
}

/// The users whose processes may be at the other end.
#[derive(Clone, Debug, Default)]
pub(crate) enum Users {
    /// This user's own.
    #[default]
    Own,
    /// This user's own, and these users'.
    And(BTreeSet<u32>),
    Any,
}

impl Users {
    pub(crate) fn allow(&mut self, users: impl IntoIterator<Item = u32>) {
        match self {
            Users::Own => *self = Users::And(users.into_iter().collect()),
            Users::And(allowed) => allowed.extend(users),
            Users::Any => {}
        }
    }

    pub(crate) fn admit(&self, uid: u32) -> bool {
        match self {
            Users::Own => uid == sys::process::user(),
            Users::And(allowed) => uid == sys::process::user() || allowed.contains(&uid),
            Users::Any => true,
        }
    }

    pub(crate) fn only_own(&self) -> bool {
        matches!(self, Users::Own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // fault 81
    #[test]
    fn other_users_are_admitted_only_when_allowed() {
        let (own, other) = (sys::process::user(), sys::process::user() + 1);
        let mut users = Users::default();
        assert!(users.admit(own) && !users.admit(other));
        users.allow([other]);
        assert!(users.admit(own) && users.admit(other) && !users.admit(other + 1));
        assert!(Users::Any.admit(other + 1));
    }
}
