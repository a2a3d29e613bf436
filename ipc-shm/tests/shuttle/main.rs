//! Random schedules of the protocol, with deaths: several processes, each with much to do, one step
//! of one of them at a time. loom goes through all schedules of two or three threads with a few
//! steps each; this goes through some of far longer stories, which end in deadlock where a wake-up
//! is lost.
//!
//! ```sh
//! ci/shuttle.sh
//! ```
//!
//! Processes are threads here; a killed one stops at one of the protocol's points, and its leases
//! are given back. Half of the schedules are random, half change priorities at a few random steps
//! (Burckhardt et al., "A Randomized Scheduler with Probabilistic Guarantees of Finding Bugs",
//! 2010). Memory is sequentially consistent: weaker orders are loom's.

#![cfg(all(loom, shuttle))]

mod channel;
mod dice;
mod locks;
mod room;

use std::time::{Instant, SystemTime};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

/// Changes of priority in one schedule, and one.
const DEPTH: usize = 5;
/// Steps of one schedule, which takes some hundreds to some thousands.
const STEPS: usize = 200_000;

/// Runs a story under `SHUTTLE_SCHEDULES` schedules. What fails prints its schedule, and its seed,
/// which `SHUTTLE_RANDOM_SEED` plays again.
fn schedules(story: fn()) {
    let count =
        std::env::var("SHUTTLE_SCHEDULES").map_or(3000, |count| count.parse().expect("a number"));
    let now =
        SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("a clock that is set");
    let seed = now.as_nanos() as u64;
    let seed =
        std::env::var("SHUTTLE_RANDOM_SEED").map_or(seed, |seed| seed.parse().expect("a number"));
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    println!("{name}: SHUTTLE_RANDOM_SEED={seed}");
    let start = Instant::now();
    let run = |scheduler: Box<dyn Scheduler + Send>| {
        let mut config = Config::new();
        config.silence_warnings = true;
        config.max_steps = MaxSteps::FailAfter(STEPS);
        Runner::new(scheduler, config).run(story)
    };
    let random = run(Box::new(RandomScheduler::new_from_seed(seed, count / 2)));
    let changed = run(Box::new(PctScheduler::new_from_seed(seed, DEPTH, count - count / 2)));
    println!("{name}: {} schedules, {:.1} s", random + changed, start.elapsed().as_secs_f64());
}
