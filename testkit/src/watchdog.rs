//! Bounds for the time of a test.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Ends the whole test process if a test hangs, and says which; disarmed when dropped.
pub struct Watchdog(
    #[allow(dead_code, reason = "the watching thread notices its drop")] Sender<()>,
);

/// Returns how many threads are ready to run for each processor, at least 1.
///
/// Something may take this many times as long as on a quiet machine. Limits of time are multiplied
/// by it.
pub fn busy() -> u32 {
    let loads = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    // As in `0.20 0.18 0.12 1/80 11206`.
    let ready = loads.split([' ', '/']).nth(3).and_then(|ready| ready.parse::<usize>().ok());
    let processors = thread::available_parallelism().map_or(1, usize::from);
    ready.unwrap_or(1).div_ceil(processors).max(1) as u32
}

/// Bounds the calling test to 30 seconds of a quiet machine.
pub fn watchdog() -> Watchdog {
    watchdog_of(Duration::from_secs(30))
}

/// Bounds the calling test to `limit` of a quiet machine; on a busy one time counts less.
pub fn watchdog_of(limit: Duration) -> Watchdog {
    const TICK: Duration = Duration::from_millis(100);
    let name = thread::current().name().unwrap_or("?").to_owned();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut left = limit;
        while receiver.recv_timeout(TICK) == Err(RecvTimeoutError::Timeout) {
            left = left.saturating_sub(TICK / busy());
            if left.is_zero() {
                // Not by a macro, whose output would be captured and lost.
                let text = format!("watchdog: {name} did not end within {limit:?}\n");
                let _ = std::io::stderr().write_all(text.as_bytes());
                std::process::abort();
            }
        }
    });
    Watchdog(sender)
}
