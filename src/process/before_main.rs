//! A function that runs before `main`.
//!
//! It recognizes a child before other code can interfere: it takes the socket and removes the
//! variable from the environment while there is only one thread. A child whose parent did not call
//! `init` on its main thread also becomes its function here. In tests, `main` is that of libtest,
//! which would print and run a test.
//!
//! Such a child runs before what `main` does. The standard library has not yet named the main
//! thread nor ignored SIGPIPE ([`sys::as_before_main`](ipc_sys::spawn::as_before_main) does both),
//! and constructors that the linker put behind this one have not run.
//!
//! This file opts in to `unsafe`, because only a section of the executable can name a function that
//! runs before `main`.
#![allow(unsafe_code)]

use std::sync::atomic::{AtomicBool, Ordering};

/// Relaxed: it guards no other memory.
static RAN: AtomicBool = AtomicBool::new(false);

#[cfg(target_os = "linux")]
// SAFETY: the loader calls each pointer in this section once, before `main`, as a C function whose
// arguments may be ignored. This one returns or ends the process; `extern "C"` lets no panic out of
// it.
#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

#[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "nothing calls it there"))]
extern "C" fn before_main() {
    RAN.store(true, Ordering::Relaxed);
    super::child::before_main();
}

/// Returns whether this executable has called the function of this file.
pub(super) fn has_run() -> bool {
    RAN.load(Ordering::Relaxed)
}
