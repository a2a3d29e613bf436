//! The model of the kernel, and the processes that share a lock.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crate::killpoint;
use crate::lock::raw::words_for;
use crate::lock::word::{Liveness, LockEnv, generation, held, id};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Release, SeqCst};
use crate::sync::models::{Condvar, Mutex, UnsafeCell};

/// The maximum number of processes of a model.
pub(super) const MOST: usize = 4;
/// How many slices of one operation elapse while no other process runs.
///
/// By then the operation has recovered all that dead processes held.
#[cfg(not(loom))]
const SLICES: usize = 8;

struct Kernel {
    /// The generation that is alive, per id, or 0.
    life: Vec<AtomicU64>,
    futexes: Mutex<Futexes>,
    changed: Condvar,
}

#[derive(Default)]
struct Futexes {
    /// The sleepers and their words, in the order of their arrival.
    sleepers: Vec<(usize, usize)>,
    #[cfg(loom)]
    came: usize,
    deaths: usize,
}

/// The value that a lock protects. With loom, an access that no edge orders is an error.
///
/// Elsewhere one thread runs at a time, up to its next access to a word.
pub struct Protected(UnsafeCell<u64>);

impl Protected {
    pub fn add(&self, n: u64) -> u64 {
        self.0.with_mut(|value| {
            // SAFETY: loom checks that no other thread accesses the value. Elsewhere no other
            // thread runs.
            let value = unsafe { &mut *value };
            *value += n;
            *value
        })
    }
    pub fn read(&self) -> u64 {
        // SAFETY: loom checks that no thread writes meanwhile. Elsewhere no other thread runs.
        self.0.with(|value| unsafe { *value })
    }
}

// SAFETY: loom checks every access. Elsewhere all threads of a model run in one thread of the
// system.
unsafe impl Send for Protected {}
// SAFETY: as above.
unsafe impl Sync for Protected {}

/// The words of every kind of lock, more than enough for each.
pub struct Shared {
    kernel: Kernel,
    pub(super) words: Vec<AtomicU64>,
    pub(super) each: [Vec<AtomicU64>; 2],
    pub value: Protected,
    /// The words of the mutex that belongs to a condition.
    pub(super) mutex: [AtomicU64; 2],
    pub(super) parties: u32,
    pub(super) auto: bool,
}

fn words(n: usize) -> Vec<AtomicU64> {
    (0..n).map(|_| AtomicU64::new(0)).collect()
}

/// A process with one thread.
pub struct Peer {
    pub(super) shared: Arc<Shared>,
    pub(super) owner: u64,
    thread: u64,
    /// The number of deaths that have ended a slice of this process. Where processes take turns,
    /// the number of slices of this operation.
    seen: Cell<usize>,
    /// The word of the last sleep, and its value then.
    #[cfg(loom)]
    slept_on: Cell<(usize, u64)>,
}

/// Makes processes that share one lock.
pub fn processes<const N: usize>() -> [Peer; N] {
    with(0, false)
}

/// Makes processes that share a barrier with so many parties, or an event.
pub fn with<const N: usize>(parties: u32, auto: bool) -> [Peer; N] {
    let each = [words(words_for(MOST)), words(words_for(MOST))];
    let life = words(MOST + 1);
    for (id, life) in life.iter().enumerate().skip(1) {
        life.store(id as u64, Release);
    }
    let shared = Arc::new(Shared {
        kernel: Kernel { life, futexes: Mutex::new(Futexes::default()), changed: Condvar::new() },
        words: words(3 + 2 * MOST),
        each,
        value: Protected(UnsafeCell::new(0)),
        mutex: [AtomicU64::new(0), AtomicU64::new(0)],
        parties,
        auto,
    });
    std::array::from_fn(|i| {
        let id = i as u64 + 1;
        Peer::new(&shared, id << 16 | id)
    })
}

impl LockEnv for Peer {
    fn me(&self) -> u64 {
        held(self.owner, self.thread)
    }
    fn liveness(&self, owner: u64) -> Liveness {
        match self.shared.kernel.life.get(usize::from(id(owner))) {
            Some(life) if life.load(Acquire) == u64::from(generation(owner)) => Liveness::Alive,
            Some(_) => Liveness::Dead,
            None => Liveness::Unknown,
        }
    }
    fn deaths(&self) -> u64 {
        self.shared.kernel.futexes.lock().expect("no panic while it is held").deaths as u64
    }
    fn look_for_deaths(&self, _turn: usize) -> u64 {
        self.deaths()
    }
    fn look_for_deaths_throttled(&self) -> u64 {
        self.deaths()
    }
    fn pid(&self, owner: u64) -> u32 {
        u32::from(id(owner))
    }
    fn max_participants(&self) -> usize {
        MOST
    }
    #[cfg(not(loom))]
    fn sleep(&self, word: &AtomicU64, seen: u64, _timeout: Duration) {
        if word.load(SeqCst) as u32 != seen as u32 {
            return;
        }
        self.seen.set(self.seen.get() + 1);
        if self.seen.get() > SLICES {
            killpoint::die();
        }
    }
    #[cfg(loom)]
    fn sleep(&self, word: &AtomicU64, seen: u64, _timeout: Duration) {
        let kernel = &self.shared.kernel;
        let mut futexes = kernel.futexes.lock().expect("no panic while it is held");
        // Like the kernel, compares under the lock that wakers take. SeqCst: for loom this is
        // Acquire.
        if word.load(SeqCst) as u32 != seen as u32 {
            return;
        }
        let place = futexes.came;
        futexes.came += 1;
        let address = std::ptr::from_ref(word).addr();
        futexes.sleepers.push((address, place));
        let seen_here = if self.slept_on.get() == (address, seen) { self.seen.get() } else { 0 };
        while futexes.sleepers.iter().any(|(_, other)| *other == place)
            && futexes.deaths == seen_here
        {
            futexes = kernel.changed.wait(futexes).expect("no panic while it is held");
        }
        let elapsed = futexes.sleepers.iter().any(|(_, other)| *other == place);
        futexes.sleepers.retain(|(_, other)| *other != place);
        // A sleeper that is woken, or finds the word changed, does not check for deaths. Its slice
        // is still to elapse.
        if elapsed && word.load(SeqCst) as u32 == seen as u32 {
            self.seen.set(futexes.deaths);
            self.slept_on.set((address, seen));
        }
    }
    fn wake(&self, word: &AtomicU64, n: u32) -> usize {
        let kernel = &self.shared.kernel;
        let mut futexes = kernel.futexes.lock().expect("no panic while it is held");
        let mut left = n;
        futexes.sleepers.retain(|(at, _)| {
            let woken = *at == std::ptr::from_ref(word).addr() && left > 0;
            left -= u32::from(woken);
            !woken
        });
        drop(futexes);
        kernel.changed.notify_all();
        (n - left) as usize
    }
    fn spins(&self) -> u32 {
        0
    }
}

impl Peer {
    fn new(shared: &Arc<Shared>, owner: u64) -> Peer {
        Peer {
            shared: shared.clone(),
            owner,
            thread: 1,
            seen: Cell::new(0),
            #[cfg(loom)]
            slept_on: Cell::new((0, 0)),
        }
    }

    /// Runs `work` up to the `n`-th arrival at the kill point `name`, and dies.
    ///
    /// Returns the result of `work` if it ends before that.
    pub fn killed_at<T>(&self, name: &'static str, n: u32, work: impl FnOnce() -> T) -> Option<T> {
        let done = killpoint::killed_at(name, n, work);
        if done.is_none() {
            self.die();
        }
        done
    }

    /// Runs `work` up to the kill point after `n` others, or until it would sleep for ever, and
    /// dies.
    ///
    /// Returns the result of `work` if it ends before that, and the points that were reached.
    pub fn killed_after<T>(
        &self,
        n: u32,
        work: impl FnOnce() -> T,
    ) -> (Option<T>, Vec<&'static str>) {
        #[cfg(not(loom))]
        self.seen.set(0);
        let (done, reached) = killpoint::killed_after(n, work);
        if done.is_none() {
            self.die();
        }
        (done, reached)
    }

    /// Ends the process, and the next slice of every other process.
    pub fn die(&self) {
        let kernel = &self.shared.kernel;
        kernel.life[usize::from(id(self.owner))].store(0, Release);
        let mut futexes = kernel.futexes.lock().expect("no panic while it is held");
        futexes.deaths += 1;
        drop(futexes);
        kernel.changed.notify_all();
    }

    /// Makes another process with the id of this one, which is dead.
    pub fn successor(&self) -> Peer {
        let generation = generation(self.owner) as u64 + 10;
        let id = u64::from(id(self.owner));
        self.shared.kernel.life[id as usize].store(generation, Release);
        Peer::new(&self.shared, generation << 16 | id)
    }

    pub fn value(&self) -> &Protected {
        &self.shared.value
    }
}
