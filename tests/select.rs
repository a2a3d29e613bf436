//! Waiting for one of several operations.

#[cfg(target_os = "linux")]
#[path = "select/async_locks.rs"]
mod async_locks;
#[path = "select/choose.rs"]
mod choose;
#[path = "select/futures.rs"]
mod futures;
#[path = "select/grammar.rs"]
mod grammar;
#[cfg(target_os = "linux")]
#[path = "select/processes.rs"]
mod processes;
#[cfg(target_os = "linux")]
#[path = "select/signals.rs"]
mod signals;
#[cfg(target_os = "linux")]
#[path = "select/sockets.rs"]
mod sockets;
#[path = "select/support.rs"]
mod support;
#[path = "select/threads.rs"]
mod threads;
