//! A server with one loop: it waits for clients, their questions, the results of a worker, a clock,
//! and the end of the worker.
//!
//! ```text
//! $ cargo run --example select
//! the server is at factors
//! client 1 is here
//! client 2 is here
//! client 1: 600851475143 = 71 * 839 * 1471 * 6857
//! client 2: 97 = 97
//! client 2: 65537 = 65537
//! client 1: 1001 = 7 * 11 * 13
//! 1 s: 2 clients, 4 questions, 4 answers
//! client 1: 1234567890 = 2 * 3 * 3 * 5 * 3607 * 3803
//! client 2: 4294967297 = 641 * 6700417
//! client 1 has left
//! client 2 has left
//! the worker has ended, after 6 answers
//! ```

use std::collections::{BTreeMap, HashMap};
use std::thread::sleep;
use std::time::{Duration, Instant};

use multiprocess::pipe::{Duplex, Listener, connect_timeout};
use multiprocess::{Receiver, Select, Sender, bounded, spawn, tick};

const NAME: &str = "factors";

/// The number of a client, with its question or its answer.
type Job = (u32, u64);
type Factors = (u32, Vec<u64>);

/// Finds the prime factors of numbers, in a process of its own. Returns how many it has answered.
fn work((jobs, results): (Receiver<Job>, Sender<Factors>)) -> usize {
    let mut answered = 0;
    for (client, mut number) in jobs {
        let (mut factors, mut factor) = (Vec::new(), 2);
        while factor * factor <= number {
            if number % factor == 0 {
                factors.push(factor);
                number /= factor;
            } else {
                factor += 1;
            }
        }
        factors.push(number);
        results.send((client, factors)).expect("the server listens");
        answered += 1;
    }
    answered
}

/// Asks for the factors of some numbers, and leaves.
fn ask((client, numbers): (u32, Vec<u64>)) {
    let server: Duplex<u64, Vec<u64>> =
        connect_timeout(NAME, Duration::from_secs(10)).expect("the server listens");
    for number in numbers {
        sleep(Duration::from_millis(450)); // It thinks.
        server.send(number).expect("the server listens");
        let factors: Vec<_> =
            server.recv().expect("the server answers").iter().map(u64::to_string).collect();
        println!("client {client}: {number} = {}", factors.join(" * "));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    multiprocess::init(); // A child process turns into its function here.
    let began = Instant::now();
    let listener = Listener::bind(NAME)?;
    println!("the server is at {}", listener.name());
    let (jobs, queue) = bounded(16)?;
    let (answered, results) = bounded(16)?;
    let worker = spawn(work, (queue, answered))?;
    let asking = [
        spawn(ask, (1, vec![600_851_475_143, 1001, 1_234_567_890]))?,
        spawn(ask, (2, vec![97, 65_537, 4_294_967_297]))?,
    ];

    let mut jobs = Some(jobs);
    let mut clients: BTreeMap<u32, Duplex<Vec<u64>, u64>> = BTreeMap::new();
    let (mut seen, mut questions, mut answers) = (0, 0, 0);
    let clock = tick(Duration::from_secs(1));
    loop {
        let mut select = Select::new();
        let client = select.accept(&listener);
        let result = select.recv(&results);
        let second = select.recv(&clock);
        let end = select.join(&worker);
        let whose: HashMap<usize, u32> =
            clients.iter().map(|(id, client)| (select.readable(client), *id)).collect();

        let operation = select.select();
        match operation.index() {
            index if index == client => {
                operation.complete();
                seen += 1;
                clients.insert(seen, listener.accept_timeout(Duration::ZERO)?);
                println!("client {seen} is here");
            }
            index if index == result => match operation.recv(&results) {
                Ok((id, factors)) => {
                    answers += 1;
                    // It may have left meanwhile.
                    let _ = clients.get(&id).map(|client| client.send(factors));
                }
                Err(_) => break, // The worker has ended, too.
            },
            index if index == second => {
                operation.recv(&clock)?;
                let (seconds, clients) = (began.elapsed().as_secs(), clients.len());
                println!(
                    "{seconds} s: {clients} clients, {questions} questions, {answers} answers"
                );
            }
            index if index == end => {
                operation.complete();
                break;
            }
            index => {
                operation.complete();
                let id = whose[&index];
                match (clients[&id].try_recv(), &jobs) {
                    (Ok(number), Some(jobs)) => {
                        questions += 1;
                        // Each client has one question at a time, so there is room.
                        jobs.send((id, number))?;
                    }
                    (Err(error), _) if error.is_empty() => {}
                    _ => {
                        println!("client {id} has left");
                        clients.remove(&id);
                    }
                }
                if clients.is_empty() && seen == 2 {
                    jobs = None; // The worker ends when the last sender is gone.
                }
            }
        }
    }
    println!("the worker has ended, after {} answers", worker.join()?);
    for child in asking {
        child.join()?;
    }
    Ok(())
}
