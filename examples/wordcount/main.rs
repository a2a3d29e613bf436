//! Counts the words of real text with worker processes, and with one thread to compare.
//!
//!     cargo run --release --example wordcount [-- OPTION… PATH…]
//!
//! Options: `--workers N`, `--route shm|thread`, `--times N`, `--kill`.
//!
//! ```text
//!           chunks (bounded)             results (bounded)
//!   feeder ════════════════▶ worker 1, 2, … ═══════════════▶ collector
//! ```
//!
//! The feeder, a thread, reads the files and sends their text. The workers borrow chunks, count
//! them, send the result, and only then acknowledge the chunks. So a worker can be killed at any
//! time: chunks that it had not acknowledged are delivered again. A chunk that it had counted but
//! not acknowledged is counted twice, and the collector takes only the first result for each chunk.

mod args;
mod count;
mod crew;
mod text;

use std::collections::HashMap;
use std::error::Error;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use multiprocess::{JoinError, Receiver, RecvError, SendError, Sender};

use args::{Command, Options};
use count::Counter;
use crew::{Chunk, Counted, Worker};
use text::Files;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> ExitCode {
    multiprocess::init(); // A worker process turns into its function here.
    let options = match args::parse() {
        Ok(Command::Count(options)) => options,
        Ok(Command::Help) => {
            println!("{}", args::HELP);
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("wordcount: {error} (--help says more)");
            return ExitCode::from(2);
        }
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wordcount: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let mut files = Files::find(&options.paths)?;
    files.repeat(options.times);
    let files = Arc::new(files);
    if files.paths.is_empty() {
        return Err("there are no text files here".into());
    }
    let begin = Instant::now();
    let many = count_with_workers(&files, options)?;
    let took = begin.elapsed();
    let begin = Instant::now();
    let one = count_with_one_thread(&files)?;
    let alone = begin.elapsed();

    let sorted = many.counter.sorted();
    let mut report = top(&sorted);
    let (total, different) = (many.counter.total(), many.counter.different());
    let again =
        if files.times > 1 { format!(", counted {} times", files.times) } else { String::new() };
    writeln!(
        report,
        "{total} words, {different} different, in {} files{again}\n",
        files.paths.len()
    )?;
    let workers = format!("{} workers ({})", options.workers, options.route);
    for (who, took) in [(workers.as_str(), took), ("one thread", alone)] {
        let (mb, seconds) = (files.bytes as f64 / 1e6, took.as_secs_f64());
        writeln!(report, "{who:<18} {mb:>8.1} MB {seconds:>8.3} s {:>8.1} MB/s", mb / seconds)?;
    }
    writeln!(report, "{:<18} {:>8.2}", "speed-up", alone.as_secs_f64() / took.as_secs_f64())?;
    if files.bytes < 10_000_000 {
        report += "(So little text is counted while the workers still start. Try a larger PATH, or --times.)\n";
    }
    io::stdout().write_all(report.as_bytes())?;

    if one.sorted() != sorted {
        let (total, different) = (one.total(), one.different());
        let found = format!("one thread finds {total} words, {different} different");
        return Err(format!("the counts DIFFER: {found} (has a file changed meanwhile?)").into());
    }
    let death = many.death.map_or(String::new(), |death| format!(": {death}"));
    Ok(writeln!(io::stdout(), "The counts are equal{death}.")?)
}

/// The workers' results.
struct Many {
    counter: Counter,
    /// How one of them was killed.
    death: Option<String>,
}

fn count_with_workers(files: &Arc<Files>, options: &Options) -> Result<Many> {
    let Options { workers, route, kill, .. } = *options;
    let (chunks, work) = route.bounded::<Chunk>(64)?;
    let (results, counted) = route.bounded::<Counted>(64)?;
    // In a thread of its own: with both channels full, one thread that sends and receives in turn
    // would wait for ever.
    let feeder = thread::spawn({
        let files = files.clone();
        move || feed(&files, workers, &chunks)
    });
    let mut crew = Vec::new();
    let mut victim = None;
    if kill {
        let (began_tx, began_rx) = route.bounded(1)?;
        let worker = Worker::start(route, (work.clone(), results.clone(), Some(began_tx)))?;
        match began_rx.recv() {
            Ok(chunk) => victim = Some((worker, chunk, began_rx)),
            Err(_) => crew.push(worker), // There is no text at all.
        }
    }
    while crew.len() + usize::from(victim.is_some()) < workers {
        crew.push(Worker::start(route, (work.clone(), results.clone(), None))?);
    }

    let mut death = None;
    if let Some((Worker::Process(child), chunk, began_rx)) = victim {
        let id = child.id();
        child.kill()?;
        drop(began_rx); // Not before: the victim waits as long as this end exists.
        match child.join() {
            Err(JoinError::Killed(signal)) => death = Some((id, signal, chunk)),
            other => return Err(format!("the worker that was killed ended with {other:?}").into()),
        }
        // Starts another worker in its place.
        crew.push(Worker::start(route, (work.clone(), results.clone(), None))?);
    }
    // The workers have the last ends, so both sides notice when all workers are gone.
    drop((work, results));

    let collected = collect(&counted, files.bytes)?;
    for worker in crew {
        // No failure: the other workers have done its work.
        worker.join().unwrap_or_else(|error| eprintln!("wordcount: a worker failed: {error}"));
    }
    let fed = feeder.join().map_err(|_| "the feeder panicked")??;
    if collected.deliveries.len() != fed {
        return Err(
            format!("only {} of {fed} chunks were counted", collected.deliveries.len()).into()
        );
    }
    let again = collected.deliveries.values().filter(|deliveries| **deliveries > 1).count();
    let death = death.map(|(id, signal, chunk)| match collected.deliveries[&chunk] {
        1 => Err(format!("chunk {chunk} was not delivered again after its worker was killed")),
        n => Ok(format!(
            "worker process {id} was killed (signal {signal}) in the middle of chunk {chunk}; what it had not \
             acknowledged went to others (chunks: {again}), that chunk as delivery {n}"
        )),
    });
    Ok(Many { counter: collected.counter, death: death.transpose()? })
}

/// Sends the text in chunks; returns how many.
fn feed(files: &Files, workers: usize, chunks: &Sender<Chunk>) -> Result<usize> {
    let mut fed = 0;
    for text in files.chunks(workers) {
        chunks.send(Chunk { id: fed, text: text? }).map_err(|error| match error {
            SendError::Disconnected(_) => "no worker is left".to_owned(),
            SendError::Unsendable(_, cause) => cause.to_string(),
        })?;
        fed += 1;
    }
    Ok(fed)
}

/// The total of the workers' results.
#[derive(Default)]
struct Collected {
    counter: Counter,
    /// How often each chunk had been delivered when it was counted.
    deliveries: HashMap<usize, u64>,
}

/// Adds up the results until the last worker is gone, each chunk once.
fn collect(counted: &Receiver<Counted>, bytes: u64) -> Result<Collected> {
    let bar = ProgressBar::new(bytes).with_style(ProgressStyle::with_template(
        "{bar:40} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} to go",
    )?);
    let mut collected = Collected::default();
    loop {
        match counted.recv() {
            Ok(result) => {
                let known = |(chunk, _): &&(usize, u64)| collected.deliveries.contains_key(chunk);
                match result.chunks.iter().filter(known).count() {
                    0 => {
                        collected.counter.merge(&result.counts);
                        bar.inc(result.bytes);
                    }
                    1 if result.chunks.len() == 1 => {}
                    _ => return Err("a chunk was counted again together with others".into()),
                }
                collected.deliveries.extend(result.chunks);
            }
            Err(RecvError::Disconnected) => break,
            Err(error) => return Err(error.into()),
        }
    }
    bar.finish_and_clear();
    Ok(collected)
}

fn count_with_one_thread(files: &Files) -> Result<Counter> {
    let mut counter = Counter::default();
    for text in files.chunks(1) {
        counter.count(&text?);
    }
    Ok(counter)
}

/// The most frequent words, with bars.
fn top(sorted: &[(&str, u64)]) -> String {
    let mut lines = String::new();
    for (word, seen) in sorted.iter().take(12) {
        let bar = "█".repeat((40 * seen).div_ceil(sorted[0].1) as usize);
        let word: String = word.chars().take(16).collect();
        lines += &format!("{word:>16} {seen:>9} {bar}\n");
    }
    lines
}
