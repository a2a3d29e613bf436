//! A system without an implementation: everything compiles, and every call fails.

pub(crate) mod fork;
