//! A busy machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, JoinHandle};

/// Threads that only use the processors, until this is dropped.
pub struct BusyLoops {
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl BusyLoops {
    /// Starts so many.
    pub fn new(threads: usize) -> BusyLoops {
        let over = Arc::new(AtomicBool::new(false));
        let work = |_| {
            let over = Arc::clone(&over);
            // Relaxed: nothing else is passed on.
            thread::spawn(move || while !over.load(Relaxed) {})
        };
        let threads = (0..threads).map(work).collect();
        BusyLoops { over, threads }
    }
}

impl Drop for BusyLoops {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
    }
}
