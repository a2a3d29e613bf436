//! A process' part in shared memory: its leases, its participants, and the deaths of peers.

#[cfg(not(loom))]
pub(crate) mod attachment;
#[cfg(not(loom))]
pub(crate) mod descriptor;
pub(crate) mod lease;
#[cfg(not(loom))]
pub(crate) mod participant_limit;
#[cfg(not(loom))]
pub(crate) mod participants;
#[cfg(not(loom))]
pub(crate) mod peer_monitor;
