//! Random kills: processes that lock, read, wait and initialise die at any moment, and others take
//! their place.
//!
//! faults 8, 12-14, 17, 18 as far as chance finds them.

use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use testkit::{Random, seed, watchdog_of};

use crate::fork_server::{Child, ForkServer, Task};
use crate::kit::{CELLS, Kit};

/// How many processes are killed: `LOCK_KILLS`; without it 2000, or 300 in debug.
fn kills() -> u64 {
    let default = if cfg!(debug_assertions) { 300 } else { 2000 };
    std::env::var("LOCK_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(default)
}

struct Locksmith;

impl Task for Locksmith {
    type Work = (Kit, usize, u64);

    /// Works until it is killed.
    fn work((kit, place, seed): Self::Work) {
        let mut random = Random::new(seed);
        let parent = rustix::process::getppid();
        let done = &kit.done[place];
        while rustix::process::getppid() == parent {
            // In bursts, so that they meet.
            let what = random.below(9);
            for _ in 0..random.below(100) {
                match what {
                    0 => kit.lock_mutex(),
                    1 => kit.update(),
                    2 => kit.read(),
                    3 => kit.write(),
                    4 => kit.upgrade(),
                    5 => kit.reenter(),
                    6 => kit.use_permit(),
                    7 => {
                        kit.produce(1);
                        // What one produces and another takes comes from a third.
                        kit.consume(Some(Duration::from_millis(random.below(3))));
                    }
                    _ => kit.initialise(random.index(CELLS)),
                }
                // Relaxed: a number that the parent looks at.
                done.fetch_add(1, Relaxed);
            }
        }
    }
}

const WORKERS: usize = 4;

#[test]
fn killed_at_any_moment() {
    multiprocess::init();
    let kills = kills();
    let _watchdog = watchdog_of(Duration::from_secs(50 + kills / 10));
    let mut seed = seed();
    let mut random = Random::new(seed);
    let began = Instant::now();
    let fork_server = ForkServer::<Locksmith>::new();
    let mut killed = 0;
    while killed < kills {
        // Cells are filled once: a kit is for some kills only.
        let kit = Kit::new();
        let mut start = |place: usize| -> Child {
            seed += 1;
            let work = (kit.clone(), place, seed);
            // Some as a program starts them; that takes much longer.
            if seed % 16 == 0 { fork_server.spawn(work) } else { fork_server.fork(work) }
        };
        let mut workers: Vec<_> = (0..WORKERS).map(&mut start).collect();
        let mut dead = Vec::new();
        for _ in 0..50.min(kills - killed) {
            // No process waits for anything here: chance says when one dies.
            thread::sleep(Duration::from_micros(random.below(1000)));
            let place = random.index(WORKERS);
            workers[place].kill();
            dead.push(std::mem::replace(&mut workers[place], start(place)));
        }
        // No process hangs: all living ones get on.
        let before: Vec<_> = kit.done.iter().map(|done| done.load(Relaxed)).collect();
        let since = Instant::now();
        while (0..WORKERS).any(|place| kit.done[place].load(Relaxed) == before[place]) {
            assert!(since.elapsed() < Duration::from_secs(20), "a process hangs");
            assert!(workers.iter().all(|worker| !worker.is_finished()), "a worker failed");
            thread::yield_now();
        }
        workers.iter().for_each(Child::kill);
        for worker in dead.into_iter().chain(workers) {
            assert!(fork_server.reap(worker), "a worker ended");
            killed += 1;
        }
        kit.check();
    }
    println!("{killed} kills in {:?}", began.elapsed());
}
