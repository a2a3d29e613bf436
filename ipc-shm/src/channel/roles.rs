//! The roles of a process in a channel: how many endpoints of each it has.

use std::io;

use crate::channel::membership::Membership;
use crate::killpoint::kill_point;
use crate::layout::entry;

/// One end of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Sender,
    Receiver,
}

/// The endpoints of a process, counted by role.
pub(crate) struct Roles([usize; 2]);

impl Roles {
    /// Counts one sender and one receiver.
    pub(crate) fn both() -> Roles {
        Roles([1; 2])
    }

    /// Counts one endpoint.
    pub(crate) fn only(role: Role) -> Roles {
        Roles([Role::Sender, Role::Receiver].map(|each| usize::from(each == role)))
    }

    /// Returns the word of the participant's entry.
    pub(crate) fn word(&self) -> u64 {
        let [senders, receivers] = self.0;
        entry::used(senders, receivers)
    }

    /// Counts one more endpoint of the participant `me`.
    pub(crate) fn add(&mut self, role: Role, members: Membership<'_>, me: u64) -> io::Result<()> {
        if self.0[role as usize] == entry::MAX_ENDPOINTS {
            return Err(io::Error::new(
                io::ErrorKind::QuotaExceeded,
                "too many endpoints in one process",
            ));
        }
        self.0[role as usize] += 1;
        if self.0[role as usize] > 1 {
            kill_point!("endpoint.add");
            members.publish(me, self.word());
        } else if !members.join(me, self.word()) {
            self.0[role as usize] -= 1;
            members.publish(me, self.word());
            return Err(disconnected());
        }
        Ok(())
    }

    /// Counts one endpoint of the participant `me` less.
    ///
    /// Returns false for the last one of its role, whose removal is not published: the participant
    /// leaves the role.
    pub(crate) fn remove(&mut self, role: Role, members: Membership<'_>, me: u64) -> bool {
        self.0[role as usize] -= 1;
        let others = self.0[role as usize] > 0;
        if others {
            kill_point!("endpoint.remove");
            members.publish(me, self.word());
        }
        others
    }
}

/// The error if the side of a role is gone for good.
pub(crate) fn disconnected() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "shared-memory channel: disconnected")
}
