//! The environment of a measurement: the machine, the processor of each peer, and a clock that
//! processes share.

use std::process::Command;

use serde::{Deserialize, Serialize};

/// Where peers run: `BENCH_PIN=two|one|none`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Senders and callers on CPU 0, receivers and responders on CPU 1.
    Two,
    /// All on CPU 0.
    One,
    /// Where the system schedules them.
    None,
}

/// How the peers of a row are placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// As `BENCH_PIN` says: the two sides on two processors, if there are two.
    Apart,
    /// All on CPU 0, so each must yield to the others.
    Together,
}

/// The side of a peer.
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
pub fn cpu(place: Place, side: Side) -> Option<usize> {
    match (place, pin(), side) {
        (Place::Together, ..) => Some(0),
        (_, Pin::None, _) => None,
        (_, Pin::Two, Side::Second) => Some(1),
        _ => Some(0),
    }
}

pub fn cpus() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The conditions that a reader must know before the figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Conditions {
    pub machine: String,
    pub system: String,
    pub compiler: String,
    pub commit: String,
    pub date: String,
    /// `BENCH_PIN`
    pub pin: String,
    /// The load averages at the start.
    pub load: String,
}

impl Conditions {
    pub fn now() -> Conditions {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let info = read("/proc/cpuinfo");
        let model =
            info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
        Conditions {
            machine: format!("{} x {}", cpus(), model.trim_start_matches([' ', '\t', ':'])),
            system: format!(
                "{} {}",
                std::env::consts::OS,
                read("/proc/sys/kernel/osrelease").trim()
            ),
            compiler: output("rustc", &["-V"]),
            commit: commit(),
            date: output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
            pin: format!("{:?}", pin()).to_lowercase(),
            load: read("/proc/loadavg").split(' ').take(3).collect::<Vec<_>>().join(" "),
        }
    }

    pub fn print(&self) {
        println!("machine  {}", self.machine);
        println!("system   {}", self.system);
        println!("built    {}, commit {}", self.compiler, self.commit);
        println!("date     {}", self.date);
        println!("load     {}", self.load);
        println!("pinning  BENCH_PIN={}", self.pin);
    }
}

fn commit() -> String {
    let changed = !output("git", &["status", "--porcelain", "-uno"]).is_empty();
    output("git", &["rev-parse", "--short", "HEAD"]) + if changed { ", with changes" } else { "" }
}

fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    output.map_or("unknown".to_owned(), |output| {
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    })
}

/// Processor time, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct Spent {
    pub user: u64,
    /// In the kernel. How the two share the sum is the kernel's estimate, good over many of its
    /// ticks.
    pub kernel: u64,
}

impl Spent {
    #[must_use]
    pub fn since(self, earlier: Spent) -> Spent {
        Spent {
            user: self.user.saturating_sub(earlier.user),
            kernel: self.kernel.saturating_sub(earlier.kernel),
        }
    }
}

impl std::ops::AddAssign for Spent {
    fn add_assign(&mut self, other: Spent) {
        self.user += other.user;
        self.kernel += other.kernel;
    }
}

/// The thread or processes that used the processor time.
#[derive(Clone, Copy, Debug)]
pub enum SpentBy {
    Thread,
    Process,
    /// That of the reaped children and their children.
    Children,
}

#[cfg(target_os = "linux")]
mod sys {
    use rustix::thread::{CpuSet, sched_setaffinity};
    use rustix::time::{ClockId, clock_gettime};

    use super::{Spent, SpentBy};

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

    /// Returns the nanoseconds since a moment that is the same for all processes.
    pub fn now() -> u64 {
        nanos(ClockId::Monotonic)
    }

    /// Processor time of this process, in nanoseconds.
    pub fn cpu_time() -> Option<u64> {
        Some(nanos(ClockId::ProcessCPUTime))
    }

    /// Processor time so far.
    pub fn spent(by: SpentBy) -> Spent {
        let target = match by {
            SpentBy::Thread => libc::RUSAGE_THREAD,
            SpentBy::Process => libc::RUSAGE_SELF,
            SpentBy::Children => libc::RUSAGE_CHILDREN,
        };
        // SAFETY: plain numbers, for which zero is a value.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: there is room for what it writes.
        assert_eq!(unsafe { libc::getrusage(target, &mut usage) }, 0);
        let nanos =
            |time: libc::timeval| time.tv_sec as u64 * 1_000_000_000 + time.tv_usec as u64 * 1000;
        Spent { user: nanos(usage.ru_utime), kernel: nanos(usage.ru_stime) }
    }
}

#[cfg(not(target_os = "linux"))]
mod sys {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::{Spent, SpentBy};

    pub fn pin_to(_cpu: usize) {}

    pub fn now() -> u64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos() as u64)
    }

    pub fn cpu_time() -> Option<u64> {
        None
    }

    pub fn spent(_by: SpentBy) -> Spent {
        Spent::default()
    }
}

pub use sys::{cpu_time, now, pin_to, spent};
