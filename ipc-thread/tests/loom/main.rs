//! Models of the channels for loom: every way that two threads (sometimes three) can run against
//! each other with few preemptions, and every value that a relaxed load may see.
//!
//! ```sh
//! ci/loom.sh
//! ```
//!
//! Messages are boxes, so loom reports one that is lost or dropped twice. Where a wake-up is lost,
//! loom reports the deadlock.

#![cfg(all(loom, not(shuttle)))]

mod array;
mod list;
mod meet;

use std::sync::Arc as Plain;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use loom::sync::Arc;

/// A message with a number, which loom counts.
pub(crate) type Message = Arc<u64>;

pub(crate) fn message(number: u64) -> Message {
    Arc::new(number)
}

pub(crate) fn number(message: Message) -> u64 {
    assert_eq!(Arc::strong_count(&message), 1, "a message was duplicated");
    *message
}

/// Runs a model with at most so many preemptions.
pub(crate) fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // `LOOM_MAX_PREEMPTIONS` asks for another search.
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 20_000;
    let runs = Plain::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let start = Instant::now();
    builder.check(move || {
        counted.fetch_add(1, Relaxed);
        body();
    });
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    println!("{name}: {} runs, {:.1} s", runs.load(Relaxed), start.elapsed().as_secs_f64());
}

/// Runs two threads at once.
pub(crate) fn both<A: 'static, B>(
    a: impl FnOnce() -> A + 'static,
    b: impl FnOnce() -> B,
) -> (A, B) {
    let a = loom::thread::spawn(a);
    let b = b();
    (a.join().expect("the model panics instead"), b)
}
