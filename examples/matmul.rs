//! Multiplies two matrices in shared memory, with one process for each processor. Each process
//! takes the next free rows until none are left.
//!
//!     cargo run --release --example matmul -- --size 1024 --workers 4
//!
//! To compare, one thread does the same, which also checks the result, and then as many threads.
//! The measured time begins before the first process is started, and ends when the last one has
//! ended.

use std::io;
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::shm::{Segment, Shared, SharedSlice};
use serde::{Deserialize, Serialize};

/// What a worker needs: handles, which travel to a process as to a thread.
#[derive(Clone, Serialize, Deserialize)]
struct Job {
    size: usize,
    a: SharedSlice<f64>,
    b: SharedSlice<f64>,
    /// The product.
    c: SharedSlice<f64>,
    /// The first row that no worker has taken.
    next: Shared<u64>,
}

/// Rows that a worker takes at once and computes together, so that each row of `b` is loaded once
/// for all of them.
const ROWS: usize = 4;
/// Columns that are computed together: this many numbers of each row fit the first-level cache.
const COLUMNS: usize = 512;

impl Job {
    /// Makes two matrices of small whole numbers, whose product is exact.
    fn new(size: usize) -> io::Result<Job> {
        let bytes = 3 * size * size * size_of::<f64>() + 64;
        let segment = Segment::anonymous(bytes)?;
        let job = Job {
            size,
            next: Shared::new_in(&segment, 0)?,
            a: SharedSlice::new_in(&segment, size * size)?,
            b: SharedSlice::new_in(&segment, size * size)?,
            c: SharedSlice::new_in(&segment, size * size)?,
        };
        for i in 0..size {
            let row = |of: fn(usize, usize) -> usize| -> Vec<f64> {
                (0..size).map(|j| (of(i, j) % 17) as f64 - 8.0).collect()
            };
            job.a.write(i * size, &row(|i, j| i * 7 + j * 3));
            job.b.write(i * size, &row(|i, j| i * 5 + j * 11 + i * j));
        }
        Ok(job)
    }

    /// Forgets the result, so that it can be computed again.
    fn reset(&self) {
        self.c.fill(f64::NAN);
        self.next.store(0, Relaxed); // Relaxed: starting the workers comes after it.
    }
}

/// Computes rows until none are left, and returns how many.
fn work(job: Job) -> usize {
    let size = job.size;
    // SAFETY: no process writes the factors while there are workers. (`to_vec` would copy them, and
    // needs no such promise.)
    let a = unsafe { job.a.as_slice() };
    // SAFETY: as above.
    let b = unsafe { job.b.as_slice() };
    let mut done = 0;
    loop {
        // Relaxed: each number is given out once. The rows become visible to the parent when the
        // worker has ended.
        let first = job.next.fetch_add(ROWS as u64, Relaxed) as usize;
        if first >= size {
            return done;
        }
        let rows = ROWS.min(size - first);
        let mine = job.c.slice(first * size..(first + rows) * size);
        // SAFETY: only this worker got these rows, and no process reads them before it has ended.
        let c = unsafe { mine.as_mut_slice() };
        multiply(size, &a[first * size..(first + rows) * size], b, c);
        done += rows;
    }
}

/// Computes some rows of the product.
fn multiply(size: usize, a: &[f64], b: &[f64], c: &mut [f64]) {
    c.fill(0.0);
    for from in (0..size).step_by(COLUMNS) {
        let to = (from + COLUMNS).min(size);
        for k in 0..size {
            let b = &b[k * size + from..k * size + to];
            for (row, c) in c.chunks_exact_mut(size).enumerate() {
                let factor = a[row * size + k];
                for (c, b) in c[from..to].iter_mut().zip(b) {
                    *c += factor * b;
                }
            }
        }
    }
}

/// Multiplies with processes. Returns how long it took, and how many rows each did.
fn by_processes(job: &Job, workers: usize) -> io::Result<(Duration, Vec<usize>)> {
    job.reset();
    let start = Instant::now();
    let processes: io::Result<Vec<_>> =
        (0..workers).map(|_| multiprocess::spawn(work, job.clone())).collect();
    let rows: Result<Vec<usize>, _> =
        processes?.into_iter().map(|process| process.join()).collect();
    Ok((start.elapsed(), rows.map_err(io::Error::other)?))
}

/// Multiplies with threads.
fn by_threads(job: &Job, workers: usize) -> (Duration, Vec<usize>) {
    job.reset();
    let start = Instant::now();
    let threads: Vec<_> = (0..workers)
        .map(|_| {
            thread::spawn({
                let job = job.clone();
                move || work(job)
            })
        })
        .collect();
    let rows =
        threads.into_iter().map(|thread| thread.join().expect("it does not panic")).collect();
    (start.elapsed(), rows)
}

/// Returns the better of two runs: the first finds pages and caches as an earlier run left them.
fn better(
    mut run: impl FnMut() -> io::Result<(Duration, Vec<usize>)>,
) -> io::Result<(Duration, Vec<usize>)> {
    let (first, second) = (run()?, run()?);
    Ok(if first.0 < second.0 { first } else { second })
}

fn main() -> ExitCode {
    multiprocess::init(); // A worker process turns into its function here.
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("matmul: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The size of the matrices, and how many workers.
fn options() -> Result<(usize, usize), lexopt::Error> {
    use lexopt::prelude::{Long, ValueExt};
    let (mut size, mut workers) = (768, thread::available_parallelism().map_or(1, NonZero::get));
    let mut arguments = lexopt::Parser::from_env();
    while let Some(argument) = arguments.next()? {
        match argument {
            Long("size") => size = arguments.value()?.parse()?,
            Long("workers") => workers = arguments.value()?.parse()?,
            other => return Err(other.unexpected()),
        }
    }
    if size == 0 || workers == 0 || size > 1 << 16 {
        return Err("--size is 1 to 65536, --workers at least 1".into());
    }
    Ok((size, workers))
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (size, workers) = options()?;
    let job = Job::new(size)?;
    println!("{size} x {size} numbers of 8 bytes, {workers} workers");
    let operations = 2.0 * (size as f64).powi(3);
    let line = |who: &str, time: Duration, alone: Duration, rows: &[usize]| {
        println!(
            "{who:<12} {:>8.1} ms  {:>6.2} GFLOP/s  speed-up {:.2}  rows {rows:?}",
            time.as_secs_f64() * 1e3,
            operations / time.as_secs_f64() / 1e9,
            alone.as_secs_f64() / time.as_secs_f64(),
        );
    };
    let (alone, rows) = better(|| Ok(by_threads(&job, 1)))?;
    let right = job.c.to_vec();
    line("one thread", alone, alone, &rows);
    let check = |who: &str, rows: &[usize]| {
        let wrong =
            (0..size * size).find(|n| job.c.get(*n).map(f64::to_bits) != Some(right[*n].to_bits()));
        match wrong {
            Some(n) => Err(format!("{who}: row {}, column {} is wrong", n / size, n % size)),
            None if rows.iter().sum::<usize>() != size => {
                Err(format!("{who}: rows {rows:?} are not all"))
            }
            None => Ok(()),
        }
    };
    let (time, rows) = better(|| Ok(by_threads(&job, workers)))?;
    check("threads", &rows)?;
    line("threads", time, alone, &rows);
    let (time, rows) = better(|| by_processes(&job, workers))?;
    check("processes", &rows)?;
    line("processes", time, alone, &rows);
    println!("the same to the last bit");
    Ok(())
}
