//! How a process attaches to shared memory: the mapping, the leases and the participants.

#[cfg(not(loom))]
pub(crate) mod attachments;
#[cfg(not(loom))]
pub(crate) mod descriptor;
#[cfg(not(loom))]
pub(crate) mod entries;
pub(crate) mod lease;
#[cfg(not(loom))]
pub(crate) mod mapped_file;
#[cfg(not(loom))]
pub(crate) mod participant_limit;
#[cfg(not(loom))]
pub(crate) mod participants;
