//! A parent hands each of two children a channel end inside a message of another channel, and the
//! children talk directly.
//!
//!     cargo run --example pass_endpoint

use multiprocess::{Receiver, Sender, pipe};
use serde::{Deserialize, Serialize};

/// What a child is told to do, with the end of a channel that it is told to do it with.
#[derive(Serialize, Deserialize)]
enum Job {
    Count { up_to: u64, tell: Sender<u64> },
    Add { what: Receiver<u64> },
}

fn work(jobs: Receiver<Job>) -> u64 {
    let mut done = 0;
    for job in jobs {
        done += match job {
            Job::Count { up_to, tell } => {
                (1..=up_to).for_each(|n| tell.send(n).expect("somebody adds"));
                up_to
            }
            Job::Add { what } => what.into_iter().sum(),
        };
    }
    done
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    multiprocess::init(); // A child process turns into its function here.
    let (to_counter, jobs) = pipe::channel()?;
    let counter = multiprocess::spawn(work, jobs)?;
    let (to_adder, jobs) = pipe::channel()?;
    let adder = multiprocess::spawn(work, jobs)?;

    // Both children run already. Ends of any route travel, that of shared memory, too.
    for (tell, what) in [pipe::channel()?, multiprocess::bounded(64)?] {
        to_adder.send(Job::Add { what })?;
        to_counter.send(Job::Count { up_to: 1000, tell })?;
    }
    drop((to_counter, to_adder)); // Their loops end when they have done what was sent.

    println!("process {} counted {} numbers", counter.id(), counter.join()?);
    println!("process {} added them up to {}", adder.id(), adder.join()?);
    Ok(())
}
