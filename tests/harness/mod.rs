//! What every test with real processes needs.

use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Ends the whole test process if a test hangs, and says which; disarmed when dropped.
pub(crate) struct Watchdog(
    #[allow(dead_code, reason = "dropping it is what it is for")] Sender<()>,
);

/// How many threads are ready to run for each processor, at least 1: how many times as long as on a
/// quiet machine something may take now. Limits of time are multiplied by it.
#[allow(dead_code, reason = "not every test binary looks at the clock")]
pub(crate) fn busy() -> u32 {
    let loads = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    // As in `0.20 0.18 0.12 1/80 11206`.
    let ready = loads.split([' ', '/']).nth(3).and_then(|ready| ready.parse::<usize>().ok());
    let processors = thread::available_parallelism().map_or(1, usize::from);
    ready.unwrap_or(1).div_ceil(processors).max(1) as u32
}

/// Bounds the calling test to 30 seconds of a quiet machine.
#[allow(dead_code, reason = "not every test binary uses both")]
pub(crate) fn watchdog() -> Watchdog {
    watchdog_of(Duration::from_secs(30))
}

/// Bounds the calling test to `limit`, on a quiet machine. On a busy one the time counts less.
#[allow(dead_code, reason = "not every test binary uses both")]
pub(crate) fn watchdog_of(limit: Duration) -> Watchdog {
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

/// Stops a process, and waits until none of its threads runs any more: the signal reaches one of
/// them first.
#[allow(dead_code, reason = "not every test binary stops processes")]
pub(crate) fn stop(pid: u32) {
    let process = rustix::process::Pid::from_raw(pid as i32).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::STOP).unwrap();
    let stopped = |task: std::fs::DirEntry| {
        // One that has just ended has none.
        let stat = std::fs::read_to_string(task.path().join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
    };
    while !std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten().all(stopped) {
        thread::yield_now();
    }
}

/// Descriptors of channels that this process has open.
#[allow(dead_code, reason = "not every test binary counts")]
pub(crate) fn channel_descriptors() -> usize {
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    // One that is closed meanwhile has no link.
    let targets = links.filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok());
    targets
        .filter(|target| target.to_string_lossy().starts_with("/memfd:multiprocess-channel"))
        .count()
}

/// Mappings of channels in this process.
#[allow(dead_code, reason = "not every test binary counts")]
pub(crate) fn channel_mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("/memfd:multiprocess-channel")).count()
}

/// A number that dice begin with: `SEED`, or another one each time. Printed, so that what was found
/// can be looked for again; what the kernel does meanwhile cannot be repeated.
#[allow(dead_code, reason = "not every test binary throws dice")]
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        (now.as_nanos() as u64 ^ u64::from(std::process::id()) << 40) >> 1
    });
    println!("{}: SEED={seed}", thread::current().name().unwrap_or("?"));
    seed
}
