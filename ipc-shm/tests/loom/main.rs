//! Models of the protocol for loom: every way that two threads (sometimes three) can run against
//! each other with few preemptions, and every value that a relaxed load may see. Processes are
//! threads here; a killed one stops at one of the protocol's points, and its leases are given back.
//!
//! ```sh
//! ci/loom.sh
//! ```
//!
//! Each model says one thing that must hold. A payload is two words that must agree and a cell that
//! loom watches for accesses which nothing orders; where a wake-up is lost, loom reports the
//! deadlock.
//!
//! What loom (0.7) cannot see, `ci/ring-model` or an argument beside the code must: a load never
//! sees a store that runs later; SeqCst accesses are AcqRel ones (only fences are SeqCst); a store
//! is here a swap, for which see `sync.rs`; more preemptions than the bound that each model names.

#![cfg(all(loom, not(shuttle)))]

mod bells;
mod blocks;
mod crashes;
mod latch;
mod locks;
mod members;
mod ring;
mod select;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Instant;

use ipc_shm::model::{NotYet, Peer};

/// Returns the preemptions of a model that takes long: `full` every night, where `LOOM_FULL` is
/// set, and else `quick`.
fn bound(quick: usize, full: usize) -> usize {
    if std::env::var_os("LOOM_FULL").is_some() { full } else { quick }
}

/// Runs a model with at most so many preemptions.
fn model(preemptions: usize, body: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    // `LOOM_MAX_PREEMPTIONS` asks for another search.
    builder.preemption_bound = builder.preemption_bound.or(Some(preemptions));
    builder.max_branches = 20_000;
    let runs = Arc::new(AtomicUsize::new(0));
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
fn both<A: 'static, B>(a: impl FnOnce() -> A + 'static, b: impl FnOnce() -> B) -> (A, B) {
    let a = loom::thread::spawn(a);
    let b = b();
    (a.join().expect("the model panics instead"), b)
}

/// Receives all that is there. No other thread runs.
fn drain(peer: &Peer) -> Vec<u64> {
    let mut all = Vec::new();
    while let Ok(value) = peer.receive() {
        all.push(value);
    }
    all
}

fn sorted(values: impl IntoIterator<Item = u64>) -> Vec<u64> {
    let mut values: Vec<u64> = values.into_iter().collect();
    values.sort_unstable();
    values
}

/// What was received, without what was not there.
fn some(one: Result<u64, NotYet>) -> impl Iterator<Item = u64> {
    one.ok().into_iter()
}
