//! What every test with real processes needs.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

/// Ends the whole test process if a test hangs, and says which; disarmed when dropped.
pub(crate) struct Watchdog(#[allow(dead_code, reason = "dropping it is what it is for")] Sender<()>);

/// Bounds the calling test to 30 seconds.
#[allow(dead_code, reason = "not every test binary uses both")]
pub(crate) fn watchdog() -> Watchdog {
    watchdog_of(Duration::from_secs(30))
}

/// Bounds the calling test to `limit`.
#[allow(dead_code, reason = "not every test binary uses both")]
pub(crate) fn watchdog_of(limit: Duration) -> Watchdog {
    let name = thread::current().name().unwrap_or("?").to_owned();
    let (sender, receiver) = channel();
    thread::spawn(move || {
        if receiver.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            eprintln!("watchdog: {name} did not end within {limit:?}");
            std::process::abort();
        }
    });
    Watchdog(sender)
}

/// Stops a process, and waits until none of its threads runs any more: the signal reaches one of them first.
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
    targets.filter(|target| target.to_string_lossy().starts_with("/memfd:multiprocess-channel")).count()
}

/// Mappings of channels in this process.
#[allow(dead_code, reason = "not every test binary counts")]
pub(crate) fn channel_mappings() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().filter(|line| line.contains("/memfd:multiprocess-channel")).count()
}

/// A number that dice begin with: `SEED`, or another one each time. Printed, so that what was found can be looked for
/// again; what the kernel does meanwhile cannot be repeated.
#[allow(dead_code, reason = "not every test binary throws dice")]
pub(crate) fn seed() -> u64 {
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        (now.as_nanos() as u64 ^ u64::from(std::process::id()) << 40) >> 1
    });
    println!("{}: SEED={seed}", thread::current().name().unwrap_or("?"));
    seed
}
