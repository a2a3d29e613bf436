//! What every test with real processes needs.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Ends the whole test process if a test hangs, and says which; disarmed when dropped.
pub(crate) struct Watchdog(#[allow(dead_code, reason = "dropping it is what it is for")] Sender<()>);

/// Bounds the calling test to 30 seconds.
pub(crate) fn watchdog() -> Watchdog {
    let name = thread::current().name().unwrap_or("?").to_owned();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        if receiver.recv_timeout(Duration::from_secs(30)) == Err(RecvTimeoutError::Timeout) {
            eprintln!("watchdog: {name} did not end within 30 s");
            std::process::abort();
        }
    });
    Watchdog(sender)
}
