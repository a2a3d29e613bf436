//! A system without an implementation: everything compiles, and every call fails.

use std::io;

/// Defines functions of which each returns the given value, or else fails.
macro_rules! unsupported {
    ($(fn $name:ident($($Type:ty),* $(,)?) -> $Result:ty $(= $value:expr)?;)*) => {
        $(pub(crate) fn $name($(_: $Type),*) -> $Result {
            unsupported!(@value $($value)?)
        })*
    };
    (@value) => {
        $crate::os::unsupported()
    };
    (@value $value:expr) => {
        $value
    };
}

pub(crate) mod barrier;
pub(crate) mod bell_socket;
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
