//! Places at which a process is told to die, for the crash tests: only with `--cfg killpoints`.
//!
//! A process that is started with `KILLPOINT=name:n` in its environment dies where the point of
//! that name is reached for the n-th time. What dying is, the routes know; each has the points
//! themselves, as a macro that is nothing at all in any other build.
//!
//! If `KILLPOINT_PAUSE=file` is there too, the process does not die at the point. It makes the
//! file, waits until the file is removed, and goes on. So a test can act between two steps.

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

/// Whether this is where to die. Pauses first, and returns false, if this is where to pause.
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
