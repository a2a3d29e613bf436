//! How messages lie in a channel: encoded, as plain data, as slices, copied or lent.

pub mod bytes;
pub(crate) mod claims;
pub(crate) mod lend;
pub mod pod;
pub mod slice;
pub(crate) mod typed;
pub(crate) mod wire;
