//! The types of the contracts, which the code of each system uses too.
//!
//! A contract calls the code of a system. That code uses these types, and not the contract.

pub(crate) mod bell_socket;
pub(crate) mod descriptor;
pub(crate) mod file;
pub(crate) mod futex;
pub(crate) mod name;
pub(crate) mod pipe;
pub(crate) mod sleep;
pub(crate) mod socket;
pub(crate) mod spawn;
pub(crate) mod store;
