//! The workers: processes, or threads, that count chunks of text.

use std::io;
use std::thread;
use std::time::Duration;

use multiprocess::{JoinError, JoinHandle, Receiver, RecvError, Ref, Route, Sender, process};
use serde::{Deserialize, Serialize};

use crate::count::{Counter, Counts};
use crate::text;

/// Work for one worker.
#[derive(Serialize, Deserialize)]
pub(crate) struct Chunk {
    pub(crate) id: usize,
    pub(crate) text: String,
}

/// A worker's result for some chunks.
#[derive(Serialize, Deserialize)]
pub(crate) struct Counted {
    /// Each chunk, and how often it was delivered until it was counted.
    pub(crate) chunks: Vec<(usize, u64)>,
    pub(crate) bytes: u64,
    pub(crate) counts: Counts,
}

/// The ends that a worker gets: for chunks, for results, and, if it is going to be killed, for the
/// report that it is in the middle of a chunk.
pub(crate) type Share = (Receiver<Chunk>, Sender<Counted>, Option<Sender<usize>>);

/// The most chunks in one result. Many chunks have few more different words than one, so the
/// collector has less to add up.
const BATCH: usize = 16;

/// Counts chunks until there are no more.
fn work((chunks, results, victim): Share) {
    let mut counter = Counter::default();
    // Chunks are lent: if this process is killed before it drops them, another worker gets them.
    let mut held: Vec<Ref<'_, Chunk>> = Vec::new();
    let mut next = None;
    for nth in 1.. {
        let chunk = match next.take().map_or_else(|| chunks.recv_ref(), Ok) {
            Ok(chunk) => chunk,
            Err(RecvError::Disconnected) => return, // That was all.
            Err(error) => panic!("receiving a chunk: {error}"),
        };
        let (first, second) = text::halves(&chunk.text);
        counter.count(first);
        if let Some(victim) = &victim {
            if nth == 3 || chunks.is_empty() {
                await_death(victim, chunk.id);
            }
        }
        counter.count(second);

        // Goes on with another chunk, if there is one now and both may be in one result.
        let full = held.len() + 1 == BATCH || alone(&chunk);
        held.push(chunk);
        if !full {
            next = chunks.try_recv_ref().ok();
            if next.as_ref().is_some_and(|chunk| !alone(chunk)) {
                continue;
            }
        }
        let result = Counted {
            chunks: held.iter().map(|chunk| (chunk.id, chunk.deliveries())).collect(),
            bytes: held.iter().map(|chunk| chunk.text.len() as u64).sum(),
            counts: counter.take(),
        };
        if results.send(result).is_err() {
            return; // The collector is gone.
        }
        held.clear(); // Acknowledges. After a kill just before, the parent drops the second count.
    }
}

/// Returns whether this chunk needs a result of its own: it may have been counted before, and the
/// parent can only drop a whole result. The delivery count of small messages is not always known.
fn alone(chunk: &Ref<'_, Chunk>) -> bool {
    chunk.deliveries() > 1 || chunk.text.len() < 1024
}

/// Reports that this worker is in the middle of a chunk, and waits to be killed, as long as the
/// parent is there to do it.
fn await_death(victim: &Sender<usize>, chunk: usize) {
    if victim.send(chunk).is_ok() {
        while !victim.is_disconnected() {
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// A worker: the same function in a process or in a thread.
pub(crate) enum Worker {
    Process(JoinHandle<()>),
    Thread(thread::JoinHandle<()>),
}

impl Worker {
    pub(crate) fn start(route: Route, share: Share) -> io::Result<Worker> {
        match route {
            Route::Thread => thread::Builder::new().spawn(|| work(share)).map(Worker::Thread),
            _ => process::Builder::new().kill_on_drop(true).spawn(work, share).map(Worker::Process),
        }
    }

    pub(crate) fn join(self) -> Result<(), JoinError> {
        match self {
            Worker::Process(child) => child.join(),
            Worker::Thread(thread) => {
                thread.join().map_err(|_| JoinError::Panicked("its message is above".to_owned()))
            }
        }
    }
}
