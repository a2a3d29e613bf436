//! Processes count together, under a lock in shared memory. With `--kill` one of them is killed
//! while it holds the lock, and the next one gets an error that says so.
//!
//!     cargo run --example counter
//!     cargo run --example counter -- --kill

use multiprocess::shm::lock::{LockError, Mutex};
use multiprocess::{Sender, spawn};

/// The count, twice: a reader can tell whether both were written.
type Count = [u64; 2];

fn count((counter, times): (Mutex<Count>, u64)) {
    for _ in 0..times {
        let mut guard = counter.lock().expect("no process dies");
        guard[0] += 1;
        guard[1] += 1;
    }
}

fn die_half_way((counter, here): (Mutex<Count>, Sender<()>)) {
    let mut guard = counter.lock().expect("no process died before");
    guard[0] += 1;
    here.send(()).expect("the parent waits");
    loop {
        std::thread::park(); // Killed here, with the lock in its hands.
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    multiprocess::init(); // A child process turns into its function here.
    let counter = Mutex::new([0, 0])?;
    let children: Vec<_> =
        (0..4).map(|_| spawn(count, (counter.clone(), 10_000))).collect::<Result<_, _>>()?;
    for child in children {
        child.join()?;
    }
    println!("four processes counted to {}", counter.get()?[0]);

    if std::env::args().any(|argument| argument == "--kill") {
        let (here, is_here) = multiprocess::bounded(1)?;
        let child = spawn(die_half_way, (counter.clone(), here))?;
        is_here.recv()?;
        child.kill()?;
        match counter.lock() {
            Err(LockError::Poisoned(poisoned)) => {
                println!("the lock is ours, and {}", poisoned.cause());
                let mut guard = poisoned.into_inner();
                println!("found {guard:?}, set right");
                guard[0] = guard[1];
                counter.clear_poison();
            }
            Ok(_) => return Err("a holder was killed, and no process got an error".into()),
            Err(error) => return Err(error.to_string().into()),
        }
        // `update` never leaves a value half changed: a process that dies in it leaves the old one.
        counter.update(|[one, other]| {
            *one += 1;
            *other += 1;
        })?;
        println!("and on to {:?}", counter.get()?);
    }
    Ok(())
}
