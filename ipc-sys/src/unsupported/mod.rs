//! A system without an implementation: everything compiles, and every call fails.

use std::io;

pub(crate) mod barrier;
pub(crate) mod descriptor;
pub(crate) mod exit_info;
pub(crate) mod file;
pub(crate) mod fork;
pub(crate) mod futex;
pub(crate) mod lease;
pub(crate) mod memory;
pub(crate) mod name;
pub(crate) mod pipe;
pub(crate) mod process;
pub(crate) mod reactor;
pub(crate) mod sleep;
pub(crate) mod socket;
pub(crate) mod spawn;
pub(crate) mod store;
pub(crate) mod unforked;
pub(crate) mod wake_pair;

fn unsupported<T>() -> io::Result<T> {
    let text = "this is not implemented for this operating system yet";
    Err(io::Error::new(io::ErrorKind::Unsupported, text))
}
