//! The kill points of the crash tests: see `ipc_wait::killpoint`. Without `--cfg killpoints` they
//! compile to nothing.
//!
//! Each shared write and each system call of the protocol has a point before it.

macro_rules! kill_point {
    ($name:literal) => {
        #[cfg(any(killpoints, loom, fuzzing, test))]
        ipc_wait::killpoint::reach($name);
    };
}
#[cfg(all(any(fuzzing, test), not(loom)))]
pub(crate) use ipc_wait::killpoint::die;
#[cfg(any(loom, fuzzing, test))]
pub(crate) use ipc_wait::killpoint::{killed_after, killed_at};
pub(crate) use kill_point;
