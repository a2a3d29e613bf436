//! What the benches share. A bench is its own child process: its peers are this same executable,
//! started by `multiprocess::spawn`, and turn into their function in `multiprocess::init()`.

// Each bench uses a part of it, as a module of its own.
#![allow(dead_code, unreachable_pub, unused_imports)]

pub mod bytes;
pub mod flow;
pub mod job;
pub mod machine;
pub mod matrix;
pub mod message;
pub mod naive;
pub mod python;
pub mod record;
pub mod rounds;
pub mod routes;
pub mod stream;
pub mod team;
pub mod trips;
pub mod wire;

/// The capacity of every channel, if a row does not say otherwise.
pub const CAPACITY: usize = 1024;
/// The capacity of a channel of large messages.
pub const FEW: usize = 16;

/// The mode that the arguments select. Criterion reads the same arguments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// `cargo bench`
    Full,
    /// `cargo bench -- --quick`
    Quick,
    /// `cargo test`, or one of criterion's modes in which nothing is to be compared: each bench
    /// once, short.
    Once,
}

pub fn mode() -> Mode {
    let has = |wanted: &str| std::env::args().any(|argument| argument == wanted);
    if !has("--bench") || ["--test", "--list", "--profile-time"].into_iter().any(has) {
        Mode::Once
    } else if has("--quick") {
        Mode::Quick
    } else {
        Mode::Full
    }
}

/// Criterion as all benches use it: its own report and baselines beside the table, so short
/// measurements.
pub fn criterion() -> criterion::Criterion {
    use std::time::Duration;
    // In quick mode, the second is the least time that it takes.
    let (warm_up, measure) = if mode() == Mode::Quick { (1, 5) } else { (30, 150) };
    criterion::Criterion::default()
        .output_directory(&record::target().join("criterion"))
        .without_plots()
        .sample_size(10)
        .nresamples(2000)
        .warm_up_time(Duration::from_millis(warm_up))
        .measurement_time(Duration::from_millis(measure))
        .configure_from_args()
}
