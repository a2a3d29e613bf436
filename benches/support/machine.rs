//! Where it runs: what the figures were taken on, which processor each peer is on, and a clock that
//! processes share.

use std::process::Command;
use std::time::Duration;

/// Where peers run: `BENCH_PIN=two|one|none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Those that send (or call) on CPU 0, those that receive (or answer) on CPU 1.
    Two,
    /// All on CPU 0.
    One,
    /// Where the system puts them.
    None,
}

/// Who of two sides a peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    First,
    Second,
}

pub fn pin() -> Pin {
    match std::env::var("BENCH_PIN").as_deref() {
        Ok("one") => Pin::One,
        Ok("none") => Pin::None,
        Ok("two") | Err(_) if cpus() >= 2 => Pin::Two,
        Ok("two") | Err(_) => Pin::One,
        Ok(other) => panic!("BENCH_PIN={other}: two, one or none"),
    }
}

/// The processor for a peer.
pub fn cpu(side: Side) -> Option<usize> {
    match (pin(), side) {
        (Pin::None, _) => None,
        (Pin::Two, Side::Second) => Some(1),
        _ => Some(0),
    }
}

pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Prints what a reader must know before the figures.
pub fn print_header() {
    let first = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let info = first("/proc/cpuinfo");
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    println!("machine  {} x {}", cpus(), model.trim_start_matches([' ', '\t', ':']));
    println!("system   {} {}", std::env::consts::OS, first("/proc/sys/kernel/osrelease").trim());
    println!("built    {}, commit {}", output("rustc", &["-V"]), commit());
    println!("date     {}", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]));
    println!(
        "load     {}; others take {:.0} % of all CPUs now",
        first("/proc/loadavg").trim(),
        busy() * 100.0
    );
    println!("pinning  BENCH_PIN={}", format!("{:?}", pin()).to_lowercase());
}

fn commit() -> String {
    let changed = !output("git", &["status", "--porcelain", "-uno"]).is_empty();
    output("git", &["rev-parse", "--short", "HEAD"]) + if changed { ", with changes" } else { "" }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or("unknown".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// What part of all processors is busy while we sleep.
fn busy() -> f64 {
    // user nice system idle iowait irq softirq steal …
    let ticks = || -> Option<(f64, f64)> {
        let stat = std::fs::read_to_string("/proc/stat").ok()?;
        let numbers = stat.lines().next()?.split_whitespace().skip(1).take(8);
        let ticks: Vec<f64> = numbers.filter_map(|n| n.parse().ok()).collect();
        Some((ticks.get(3)? + ticks.get(4)?, ticks.iter().sum()))
    };
    let before = ticks();
    std::thread::sleep(Duration::from_millis(300));
    match (before, ticks()) {
        (Some(a), Some(b)) if b.1 > a.1 => 1.0 - (b.0 - a.0) / (b.1 - a.1),
        _ => f64::NAN,
    }
}

#[cfg(target_os = "linux")]
mod sys {
    use rustix::thread::{CpuSet, sched_setaffinity};
    use rustix::time::{ClockId, clock_gettime};

    /// Pins the calling thread.
    pub fn pin_to(cpu: usize) {
        let mut set = CpuSet::new();
        set.set(cpu);
        sched_setaffinity(None, &set).expect("pinning to a processor (BENCH_PIN=none does not)");
    }

    fn nanos(clock: ClockId) -> u64 {
        let time = clock_gettime(clock);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }

    /// Nanoseconds since some moment that is the same for all processes.
    pub fn now() -> u64 {
        nanos(ClockId::Monotonic)
    }

    /// Processor time of this process, in nanoseconds.
    pub fn cpu_time() -> Option<u64> {
        Some(nanos(ClockId::ProcessCPUTime))
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    use std::time::{SystemTime, UNIX_EPOCH};

    pub fn pin_to(_cpu: usize) {}

    pub fn now() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
    }

    pub fn cpu_time() -> Option<u64> {
        None
    }
}

pub use sys::{cpu_time, now, pin_to};
