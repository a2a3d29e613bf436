//! A parent sends each of two children a channel end, in a message of another channel. Then the
//! children talk directly.
//!
//!     cargo run --example pass_endpoint

use multiprocess::{Receiver, Sender, pipe};
use serde::{Deserialize, Serialize};

/// A job for a child, with the channel end that it uses for it.
#[derive(Serialize, Deserialize)]
enum Job {
    Count { up_to: u64, numbers: Sender<u64> },
    Add { numbers: Receiver<u64> },
}

fn work(jobs: Receiver<Job>) -> u64 {
    let mut done = 0;
    for job in jobs {
        done += match job {
            Job::Count { up_to, numbers } => {
                (1..=up_to).for_each(|n| numbers.send(n).expect("the adder receives"));
                up_to
            }
            Job::Add { numbers } => numbers.into_iter().sum(),
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

    // Both children run already. Ends of any route travel, also those of shared memory.
    for (tx, rx) in [pipe::channel()?, multiprocess::bounded(64)?] {
        to_adder.send(Job::Add { numbers: rx })?;
        to_counter.send(Job::Count { up_to: 1000, numbers: tx })?;
    }
    drop((to_counter, to_adder)); // The children's loops end after the jobs that were sent.

    println!("process {} counted {} numbers", counter.id(), counter.join()?);
    println!("process {} added them up to {}", adder.id(), adder.join()?);
    Ok(())
}
