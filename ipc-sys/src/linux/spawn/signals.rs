//! The signals of a thread and of a process, around `fork`.
//!
//! This file opts in to `unsafe` for libc's calls, which no crate of ours has async-signal-safe.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;

/// All signals, or none.
pub(super) fn signals(all: bool) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    let fill = if all { libc::sigfillset } else { libc::sigemptyset };
    // SAFETY: both functions only write the set that they are given.
    unsafe { fill(set.as_mut_ptr()) };
    // SAFETY: filled above.
    unsafe { set.assume_init() }
}

/// Async-signal-safe. It cannot fail with a valid set.
pub(super) fn set_mask(set: &libc::sigset_t) {
    // SAFETY: `set` is valid during the call; no old mask is asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, set, std::ptr::null_mut()) };
}

/// All signals are blocked on this thread, until it is dropped.
pub(super) struct BlockedSignals {
    before: libc::sigset_t,
}

impl BlockedSignals {
    pub(super) fn new() -> Self {
        let mut before = signals(false);
        // SAFETY: both sets are valid during the call.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &signals(true), &raw mut before) };
        BlockedSignals { before }
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        set_mask(&self.before);
    }
}

/// Async-signal-safe.
pub(super) fn ignore(signal: libc::c_int) {
    // SAFETY: ignoring a signal installs no code.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Sets every signal that has a handler to its default, and SIGCHLD in any case. Async-signal-safe.
///
/// Other signals that the parent ignores stay ignored, as over any `exec`: `nohup` and shells rely
/// on it.
pub(super) fn default_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        // SAFETY: a `sigaction` is valid as zeros: the default action, no flags.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: `action` is valid during the call; the action is only read.
        let read = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut action) };
        // Those that the C library keeps for itself answer an error.
        if read != 0 || (action.sa_sigaction == libc::SIG_IGN && signal != libc::SIGCHLD) {
            continue;
        }
        if action.sa_sigaction == libc::SIG_DFL && action.sa_flags == 0 {
            continue;
        }
        // SAFETY: as above.
        let default: libc::sigaction = unsafe { std::mem::zeroed() };
        // SAFETY: `default` is valid during the call, and is no handler.
        unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) };
    }
}
