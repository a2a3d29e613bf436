//! Channels: the ring and its large messages, recovery, and the ends.

#[cfg(not(loom))]
pub(crate) mod attachment;
#[cfg(not(loom))]
pub(crate) mod bell_socket;
#[cfg(not(loom))]
pub(crate) mod builder;
#[cfg(not(loom))]
pub(crate) mod commit;
#[cfg(not(loom))]
pub(crate) mod endpoint;
#[cfg(not(loom))]
pub(crate) mod ends;
pub(crate) mod membership;
pub(crate) mod memory;
#[cfg(not(loom))]
pub(crate) mod peer_monitor;
#[cfg(not(loom))]
pub(crate) mod places;
pub(crate) mod pool;
#[cfg(not(loom))]
pub(crate) mod prefetch;
pub(crate) mod recovery;
pub(crate) mod ring;
#[cfg(not(loom))]
pub(crate) mod roles;
