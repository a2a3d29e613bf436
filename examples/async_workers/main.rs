//! A service on tokio that hands work to processes: with time limits, a request that is given up,
//! and a worker that is killed on the way.
//!
//! ```text
//! $ cargo run --example async_workers
//! request 4: no answer within 5 ms
//! request 1: 78498 primes below 1000000
//! worker 1 did not end well: the child process was killed by signal 9
//! request 3: 216816 primes below 3000000
//! request 2: 148933 primes below 2000000
//! request 5: 348513 primes below 5000000
//! request 7: 476648 primes below 7000000
//! request 8: 539777 primes below 8000000
//! request 6: 412849 primes below 6000000
//! worker 2 has ended
//! ```

use std::cell::RefCell;
use std::collections::HashMap;
use std::error::Error;
use std::rc::Rc;
use std::time::Duration;

use multiprocess::process::Builder;
use multiprocess::{Receiver, Sender, bounded};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};
use tokio::time::timeout;

/// The number of a request, and what it asks for.
type Job = (u64, usize);
type Answer = (u64, usize);

/// Counts the primes below some numbers, in a process of its own.
fn work((jobs, answers): (Receiver<Job>, Sender<Answer>)) {
    // Lent: if this process is killed before it has answered, another worker gets the job.
    while let Ok(job) = jobs.recv_ref() {
        let (id, limit) = *job;
        let mut composite = vec![false; limit];
        let mut primes = 0;
        for number in 2..limit {
            if !composite[number] {
                primes += 1;
                (number * number..limit).step_by(number).for_each(|at| composite[at] = true);
            }
        }
        answers.send((id, primes)).expect("the service listens");
    }
}

/// The requests that wait for an answer.
type Waiting = Rc<RefCell<HashMap<u64, oneshot::Sender<usize>>>>;

/// Asks a worker, as one of many tasks. If the future is dropped, the answer goes to no task.
async fn primes_below(jobs: &Sender<Job>, waiting: &Waiting, id: u64, limit: usize) -> usize {
    let (answer, answered) = oneshot::channel();
    waiting.borrow_mut().insert(id, answer);
    // Waits while the queue is full, and lets other tasks run.
    jobs.send_async((id, limit)).await.expect("a worker lives");
    answered.await.expect("each job is answered")
}

/// Gives each answer to the task that waits for it.
async fn distribute(answers: Receiver<Answer>, waiting: Waiting) {
    while let Ok((id, primes)) = answers.recv_async().await {
        if let Some(task) = waiting.borrow_mut().remove(&id) {
            // The task may have given up.
            let _ = task.send(primes);
        }
    }
}

/// Asks, and gives up when its patience is over.
async fn request(jobs: Sender<Job>, waiting: Waiting, id: u64, limit: usize, patience: Duration) {
    match timeout(patience, primes_below(&jobs, &waiting, id, limit)).await {
        Ok(primes) => println!("request {id}: {primes} primes below {limit}"),
        Err(_) => {
            waiting.borrow_mut().remove(&id);
            println!("request {id}: no answer within {} ms", patience.as_millis());
        }
    }
}

async fn serve() -> Result<(), Box<dyn Error>> {
    let (jobs, queue) = bounded(4)?;
    let (answered, answers) = bounded(4)?;
    let mut workers = Vec::new();
    for number in 1..=2 {
        let name = format!("worker {number}");
        let ends = (queue.clone(), answered.clone());
        workers.push(Builder::new().name(&name).kill_on_drop(true).spawn(work, ends)?);
    }
    drop((queue, answered)); // The workers have them now.

    let waiting = Waiting::default();
    let distributor = spawn_local(distribute(answers, waiting.clone()));
    let mut requests: Vec<_> = (1..=8)
        .map(|id| {
            let patience = Duration::from_millis(if id == 4 { 5 } else { 30_000 });
            let limit = 1_000_000 * id as usize;
            spawn_local(request(jobs.clone(), waiting.clone(), id, limit, patience))
        })
        .collect();
    drop(jobs); // The last worker ends when the last request is done.

    requests.remove(0).await?;
    // It has a job, which the other worker gets.
    let victim = workers.remove(0);
    victim.kill()?;
    if let Err(cause) = victim.await {
        println!("worker 1 did not end well: {cause}");
    }
    for request in requests {
        request.await?;
    }
    for worker in workers {
        worker.await?;
        println!("worker 2 has ended");
    }
    distributor.await?;
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    multiprocess::init(); // A child process turns into its function here.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    LocalSet::new().block_on(&runtime, serve())
}
