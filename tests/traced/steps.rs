//! After which instructions.

use std::time::{Duration, Instant};

use serde::Serialize;
use serde::de::DeserializeOwned;
use testkit::{Watchdog, watchdog_of};

use crate::tracer::{Stand, trace};

/// Whether nothing is left to chance: `STEPS=all`.
pub(crate) fn all() -> bool {
    std::env::var("STEPS").is_ok_and(|steps| steps == "all")
}

/// After how many of an operation's instructions a process is killed.
fn most(length: u64) -> u64 {
    match std::env::var("STEPS") {
        _ if all() => length,
        Ok(number) => number.parse().expect("STEPS is `all` or a number"),
        // A step takes some microseconds.
        Err(_) => (30_000 / length).clamp(3, 12),
    }
}

/// Without `STEPS=all`, a process is killed so often at least, and then no more after this time.
const LEAST: u64 = 3;
const ENOUGH: Duration = Duration::from_secs(20);

/// Bounds the calling test to a minute, or more if all is to be tried.
pub(crate) fn watchdog() -> Watchdog {
    watchdog_of(Duration::from_secs(if std::env::var_os("STEPS").is_some() { 900 } else { 55 }))
}

/// Kills a process that does `f` after some of the instructions between its two marks, or after
/// each; says what went before to `args`, and calls `look` with the instruction's number after each
/// death. None if tracing is not permitted; else how many died.
pub(crate) fn kill_after_each<A, R>(
    what: &str,
    f: fn((A, Stand)) -> R,
    mut args: impl FnMut() -> A,
    mut look: impl FnMut(u64),
) -> Option<u64>
where
    A: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
{
    let began = Instant::now();
    // Beforehand, how many there are. Not always as many: some depend on addresses.
    let whole = trace(f, args())?;
    let length = whole.steps(u64::MAX);
    whole.kill();
    look(length);
    let stride = length.div_ceil(most(length)).max(1);
    // Others each time, so that many runs see all.
    let first = u64::from(std::process::id()) % stride;
    let mut died = 0;
    for after in (first..length).step_by(stride as usize) {
        if !all() && died >= LEAST && began.elapsed() > ENOUGH {
            break; // On a busy machine each step may take a time slice.
        }
        let victim = trace(f, args())?;
        victim.steps(after);
        victim.kill();
        look(after);
        died += 1;
    }
    println!("{what}: {died} of {length} instructions, in {:?}", began.elapsed());
    assert!(died > 0, "{what}: nothing was done between the marks");
    Some(died)
}
