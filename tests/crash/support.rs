//! Files that survive kill -9, dice, and what a test can count of its own process.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};
use std::time::{Duration, Instant};

/// These tests count descriptors and measure times: one at a time. Taken before the watchdog is
/// started.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The tests that kill at random: `random_kills_*`, those of sockets and pipes, and of selectors.
const RANDOM_TESTS: u64 = 8;

/// How many processes a test that kills at random kills: its part of `CRASH_KILLS`; without it of
/// 2000, or 350 in debug.
pub(crate) fn kills() -> u64 {
    let default: u64 = if cfg!(debug_assertions) { 350 } else { 2000 };
    let all =
        std::env::var("CRASH_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(default);
    all.div_ceil(RANDOM_TESTS)
}

/// A clock of this process: it stands still while the process itself is stopped, by a user that
/// shares the machine, so that what is measured with it is the library's.
pub(crate) fn ticked() -> Duration {
    static TICKS: AtomicU64 = AtomicU64::new(0);
    static TICKER: Once = Once::new();
    const TICK: Duration = Duration::from_millis(1);
    TICKER.call_once(|| {
        std::thread::spawn(|| {
            loop {
                let began = Instant::now();
                std::thread::sleep(TICK);
                // A tick that takes much longer is a stop, or a machine that does not let any
                // process run.
                let ticks = began.elapsed().as_millis().clamp(1, 50) as u64;
                TICKS.fetch_add(ticks, Ordering::Relaxed);
            }
        });
    });
    TICK * TICKS.load(Ordering::Relaxed) as u32
}

/// A number in a file: written by one process, read by others, kept when the writer dies.
pub(crate) struct Counter(File);

impl Counter {
    pub(crate) fn open(path: &Path) -> Self {
        Counter(
            OpenOptions::new()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(path)
                .unwrap(),
        )
    }

    pub(crate) fn set(&self, value: u64) {
        // One write of eight bytes at offset 0 is never half done.
        self.0.write_all_at(&value.to_le_bytes(), 0).unwrap();
    }

    pub(crate) fn get(&self) -> u64 {
        let mut bytes = [0; 8];
        match self.0.read_at(&mut bytes, 0).unwrap() {
            8 => u64::from_le_bytes(bytes),
            _ => 0,
        }
    }
}

/// What a receiver writes down of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) sender: u64,
    pub(crate) seq: u64,
    /// Delivery count; 0 from calls that do not tell it.
    pub(crate) deliveries: u64,
    pub(crate) intact: u64,
}

const RECORD: usize = 32;

/// Records in a file, appended by one process with one write each.
pub(crate) struct Log(File);

impl Log {
    pub(crate) fn append(path: &Path) -> Self {
        Log(OpenOptions::new().create(true).append(true).open(path).unwrap())
    }

    pub(crate) fn write(&mut self, records: &[Record]) {
        let mut bytes = Vec::with_capacity(records.len() * RECORD);
        for r in records {
            for word in [r.sender, r.seq, r.deliveries, r.intact] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        // A record never crosses a page, so a killed writer leaves whole ones.
        self.0.write_all(&bytes).unwrap();
    }

    pub(crate) fn read(path: &Path) -> Vec<Record> {
        let bytes = fs::read(path).unwrap_or_default();
        assert_eq!(bytes.len() % RECORD, 0, "a log is cut");
        let words: Vec<u64> = bytes
            .chunks_exact(8)
            .map(|word| u64::from_le_bytes(word.try_into().unwrap()))
            .collect();
        let record = |w: &[u64]| Record { sender: w[0], seq: w[1], deliveries: w[2], intact: w[3] };
        words.chunks_exact(4).map(record).collect()
    }

    /// How many records a log has.
    pub(crate) fn count(path: &Path) -> u64 {
        fs::metadata(path).map_or(0, |data| data.len() / RECORD as u64)
    }
}

/// What could leak: descriptors, mappings of segments, names in shared memory.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Leaks {
    descriptors: usize,
    segments: usize,
    names: Vec<String>,
}

impl Leaks {
    pub(crate) fn count() -> Self {
        // The process makes its bell socket when it needs it, and keeps it.
        drop(ipc_sys::bell_socket::own());
        let mut names: Vec<String> = fs::read_dir("/dev/shm")
            .map(|dir| {
                dir.flatten()
                    .map(|entry| entry.file_name().to_string_lossy().into_owned())
                    .collect()
            })
            .unwrap_or_default();
        names.retain(|name| name.contains("multiprocess"));
        names.sort();
        Leaks { descriptors: testkit::descriptors(), segments: testkit::channel_mappings(), names }
    }

    /// Waits until what `self` counted is all there is: a thread that watched dead processes may be
    /// on its way out.
    pub(crate) fn none_since(&self) {
        let began = ticked();
        loop {
            let now = Leaks::count();
            if now == *self {
                return;
            }
            assert!(
                ticked() - began < Duration::from_secs(10),
                "leaked: {self:?} before, {now:?} now"
            );
            std::thread::yield_now();
        }
    }
}
