//! Kill points: places where a process dies on request, for the crash tests, only with `--cfg
//! killpoints`.
//!
//! A process that is started with `KILLPOINT=name:n` in its environment dies when it reaches the
//! point of that name for the n-th time. Each route defines how it dies, and its own points. They
//! are a macro that expands to nothing in any other build.
//!
//! If `KILLPOINT_PAUSE=file` is set too, the process does not die at the point. It creates the
//! file, waits until the file is removed, and continues. So a test can act between two steps.

use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

static ARMED: OnceLock<Option<(String, u64)>> = OnceLock::new();
static REACHED: AtomicU64 = AtomicU64::new(0);

fn parse() -> Option<(String, u64)> {
    let spec = std::env::var("KILLPOINT").ok()?;
    let (name, hit) = spec.rsplit_once(':')?;
    Some((name.to_owned(), hit.parse().ok()?))
}

/// Returns whether the process dies here. If it is to pause here, pauses first and returns false.
#[must_use]
pub fn is_armed(name: &str) -> bool {
    let Some((armed, hit)) = ARMED.get_or_init(parse) else { return false };
    // Relaxed: a count, and the process ends with it.
    let here = armed == name && REACHED.fetch_add(1, Ordering::Relaxed) + 1 == *hit;
    match std::env::var_os("KILLPOINT_PAUSE") {
        Some(file) if here => {
            pause(Path::new(&file));
            false
        }
        _ => here,
    }
}

fn pause(file: &Path) {
    std::fs::write(file, "").expect("the test has named a file that can be made");
    while file.exists() {
        std::thread::yield_now();
    }
}
