//! What wakes the tasks of this process: futures, which are polled, and sleep in no thread.
//!
//! | what a task waits for | what calls its waker |
//! |---|---|
//! | nothing but a waker, which its end keeps | the end |
//! | a word | a thread of this process that sleeps on up to 127 words (`futex_waitv`) |
//! | a file | the thread of the [`reactor`] |
//! | a time | the first of the threads that sleep on words |
//!
//! The threads start when they are needed first. A forked child starts its own.
//!
//! # Words that are gone
//!
//! A future that is leaked never takes back what it has armed, and the memory of its word may be
//! unmapped while a thread sleeps on it. So a thread never accesses a word. It knows the address,
//! and the kernel, which checks every address, compares and sleeps.
//!
//! # A wake-up for a word that is not armed any more
//!
//! A thread still sleeps on a word for a moment after a task has taken it back. If it gets the
//! wake-up that another sleeper should have, it wakes one more.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ipc_core::__private::ready::{Source, Tasks};
use ipc_core::__private::select::Sleeper;

use crate::futex::{self, Address, Waited};
use crate::per_process::PerProcess;
use crate::reactor;
use crate::sleep::{File, MOST_WORDS, ThisThread};

/// How often words are compared where no system call waits for several.
const CHECK: Duration = Duration::from_millis(1);

static STATE: PerProcess<Mutex<State>> = PerProcess::new();

/// The tasks of this process.
#[derive(Clone, Copy, Debug)]
pub struct ThisProcess;

#[derive(Default)]
struct State {
    /// The number of what was armed last.
    last: u64,
    armed: HashMap<u64, Armed>,
    /// The times among them, the next one first.
    times: BTreeSet<(Instant, u64)>,
    /// The first one waits for the times, too.
    threads: Vec<Waiting>,
}

struct Armed {
    waker: Waker,
    until: Option<Instant>,
    on: On,
}

/// What a waker waits for, besides the time.
enum On {
    Nothing,
    Word { thread: usize },
    File(reactor::Number),
}

/// A thread, as the others see it.
struct Waiting {
    /// Changes when the thread must read its words anew.
    news: Arc<AtomicU64>,
    words: HashMap<u64, Address>,
    /// When it wakes up by itself.
    until: Option<Instant>,
}

impl Waiting {
    fn tell(&self) {
        // Release: with the Acquire in `run`. What was armed before is seen there.
        self.news.fetch_add(1, Ordering::Release);
        futex::wake_private(&self.news, 1);
    }
}

impl State {
    /// Removes what is armed, and returns its waker.
    fn take(&mut self, number: u64) -> Option<Waker> {
        let armed = self.armed.remove(&number)?;
        if let Some(until) = armed.until {
            self.times.remove(&(until, number));
        }
        match armed.on {
            On::Nothing => {}
            On::Word { thread } => _ = self.threads[thread].words.remove(&number),
            On::File(file) => reactor::disarm(file),
        }
        Some(armed.waker)
    }

    /// Returns a thread with room for one more word, and starts it if there is none.
    fn thread(&mut self) -> io::Result<usize> {
        let with_room = |thread: &Waiting| thread.words.len() < MOST_WORDS;
        match self.threads.iter().position(with_room) {
            Some(thread) => Ok(thread),
            None => self.start(),
        }
    }

    fn start(&mut self) -> io::Result<usize> {
        let index = self.threads.len();
        let news = Arc::new(AtomicU64::new(0));
        let of_thread = news.clone();
        let builder = thread::Builder::new().name("task-waker".to_owned()).stack_size(128 << 10);
        // The signal handlers of the program run in threads of the program.
        crate::process::without_signals(|| builder.spawn(move || run(index, &of_thread)))?;
        self.threads.push(Waiting { news, words: HashMap::new(), until: None });
        Ok(index)
    }
}

/// Calls a waker because its file is ready.
struct FileReady(u64);

impl Wake for FileReady {
    fn wake(self: Arc<Self>) {
        let waker = STATE.lock().take(self.0);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Tasks for ThisProcess {
    fn arm(&self, source: Source<'_>, until: Option<Instant>, waker: &Waker) -> io::Result<u64> {
        let mut state = STATE.lock();
        // First, so that nothing is armed if no thread can be started for the time.
        if until.is_some() && state.threads.is_empty() {
            state.start()?;
        }
        state.last += 1;
        let number = state.last;
        let mut tell = None;
        let on = match source {
            Source::Word { word, seen, shared } => {
                let thread = state.thread()?;
                state.threads[thread].words.insert(number, Address::new(word, seen, shared));
                tell = Some(thread);
                On::Word { thread }
            }
            #[cfg(unix)]
            Source::File { fd, writable } => {
                let ready = Waker::from(Arc::new(FileReady(number)));
                match reactor::arm_number(File { fd, writable }, &ready)? {
                    Some(file) => On::File(file),
                    None => {
                        drop(state);
                        waker.wake_by_ref();
                        return Ok(number);
                    }
                }
            }
            _ => On::Nothing,
        };
        if let Some(until) = until {
            let sooner = state.threads[0].until.is_none_or(|wakes| until < wakes);
            if sooner && tell != Some(0) {
                state.threads[0].until = Some(until);
                state.threads[0].tell();
            }
            state.times.insert((until, number));
        }
        state.armed.insert(number, Armed { waker: waker.clone(), until, on });
        if let Some(thread) = tell {
            state.threads[thread].tell();
        }
        Ok(number)
    }

    fn renew(&self, number: u64, waker: &Waker) -> bool {
        let mut state = STATE.lock();
        let Some(armed) = state.armed.get_mut(&number) else { return false };
        armed.waker.clone_from(waker);
        true
    }

    fn disarm(&self, number: u64) {
        // Its waker is dropped without the lock: that may run code of the program.
        let waker = STATE.lock().take(number);
        drop(waker);
    }

    fn armed(&self) -> usize {
        STATE.lock().armed.len()
    }

    fn barrier(&self) -> bool {
        ThisThread.barrier()
    }

    fn sleep(&self, source: Source<'_>, timeout: Duration) {
        ThisThread.sleep(&[source], timeout);
    }
}

/// A thread that sleeps on words. The first one waits for times, too.
fn run(index: usize, news: &AtomicU64) {
    let mut slept_on: Vec<(u64, Address)> = Vec::new();
    let mut changed: Vec<u64> = Vec::new();
    loop {
        let mut state = STATE.lock();
        // Under the lock, so it may have been told of what it now reads.
        let seen = news.load(Ordering::Acquire) as u32; // Acquire: with the Release in `tell`.
        let gone = |(number, _): &(u64, Address)| !state.armed.contains_key(number);
        let gone: Vec<Address> =
            slept_on.iter().filter(|one| gone(one)).map(|(_, address)| *address).collect();
        let mut wakers: Vec<Waker> = changed.drain(..).filter_map(|one| state.take(one)).collect();
        let mut until = None;
        if index == 0 {
            let now = Instant::now();
            while let Some(&(time, number)) = state.times.first() {
                if time > now {
                    until = Some(time);
                    break;
                }
                wakers.extend(state.take(number));
            }
        }
        let this = &mut state.threads[index];
        this.until = until;
        slept_on.clear();
        slept_on.extend(this.words.iter().map(|(number, address)| (*number, *address)));
        drop(state);
        // Without the lock: a waker runs code of the program.
        wakers.into_iter().for_each(Waker::wake);
        gone.iter().for_each(Address::wake_one);
        sleep(Address::new(news, seen, false), &slept_on, until, &mut changed);
    }
}

/// Sleeps until `news` or a word changes, or until a time. Finds the numbers of the words that have
/// changed.
fn sleep(news: Address, words: &[(u64, Address)], until: Option<Instant>, changed: &mut Vec<u64>) {
    let timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
    let all: Vec<Address> =
        std::iter::once(news).chain(words.iter().map(|(_, address)| *address)).collect();
    let compare = |changed: &mut Vec<u64>| {
        changed.extend(words.iter().filter(|(_, word)| word.has_changed()).map(|(one, _)| *one));
    };
    match futex::wait_any_address(&all, timeout) {
        Waited::Elapsed => {}
        Waited::Woken(0) => {}
        Waited::Woken(index) => {
            // The others that were woken too are found by the next call.
            let (number, word) = words[index - 1];
            if word.has_changed() {
                changed.push(number);
            }
        }
        Waited::Changed => {
            if !news.has_changed() {
                compare(changed);
            }
        }
        Waited::Unsupported => {
            let slice = if words.is_empty() { timeout } else { Some(CHECK) };
            news.wait(timeout.into_iter().chain(slice).min());
            compare(changed);
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
#[path = "tasks_tests.rs"]
mod tests;
