//! Locks: `cargo bench --bench lock`; with `-- alone` a part of it.
//!
//! `alone`: locking, adding one and unlocking, and other uncontended steps, in one process. `two`:
//! two processes (threads where a row says so) at once, without a pause, each on its processor.
//! `event`: round trips over two automatic events. The bench `recovery` measures what follows the
//! kill of a holder.

#[cfg(target_os = "linux")]
#[path = "support/rivals.rs"]
mod rivals;
mod support;

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("locks between processes are not there on this system yet");
}

#[cfg(target_os = "linux")]
fn main() {
    linux::main();
}

#[cfg(target_os = "linux")]
mod linux {
    use std::hint::black_box;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use multiprocess::Route;
    use multiprocess::shm::{
        Condvar, Event, Mutex, Once, ReentrantMutex, RwLock, Semaphore, SeqLock,
    };
    use raw_sync::Timeout;
    use raw_sync::events::{EventInit, EventState};
    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::rivals::{Counter, RawSync, Robust, Room, Shared};
    use super::support::job::TimesItself;
    use super::support::machine::{self, Place, Side};
    use super::support::matrix::{self, Row};
    use super::support::record::Unit;
    use super::support::team::{Answer, Post, Task, Team};

    /// Times an operation: `nanos` repeats it, and returns the nanoseconds that this took.
    fn row(
        workload: &'static str,
        route: &'static str,
        reference: &'static str,
        count: u64,
        nanos: fn(u64) -> f64,
    ) -> Row {
        let about = match workload {
            "alone" => "locking, adding one and unlocking, and other steps, uncontended",
            "two" => "two that add one under a lock, without a pause",
            "two-read" => "two that look under a lock, without a pause",
            _ => "there and back by two automatic events",
        };
        let shape = String::new();
        let open = Box::new(move || Box::new(TimesItself(nanos)) as _);
        Row {
            workload,
            about,
            route,
            shape,
            reference,
            unit: Unit::Step,
            bytes: 0,
            count: Some(count),
            open,
        }
    }

    fn rows() -> Vec<Row> {
        let alone = |name, nanos| row("alone", name, PARKING_LOT, 1_000_000, nanos);
        let two = |name, reference, nanos| row("two", name, reference, 1_500_000, nanos);
        vec![
            alone(PARKING_LOT, |n| uncontended(n, &Arc::new(parking_lot::Mutex::new(0)))),
            alone("std", |n| uncontended(n, &Arc::new(std::sync::Mutex::new(0)))),
            alone("mutex", |n| uncontended(n, &Mutex::new(0).expect("a mutex"))),
            alone("pthread-robust", |n| uncontended(n, &Robust::new(&Room::new(), true))),
            alone("raw_sync", |n| uncontended(n, &RawSync::new(&Room::new(), true))),
            alone("mutex-update", |n| {
                let mutex = Mutex::new([0u64; 2]).expect("a mutex");
                timed(n, || mutex.update(|pair| pair[0] += 1).expect("no process dies"))
            }),
            alone("reentrant", |n| {
                let mutex = ReentrantMutex::new(()).expect("a mutex");
                timed(n, || drop(mutex.lock().expect("no process dies")))
            }),
            alone("rwlock-read", |n| {
                let lock = RwLock::new(0u64).expect("a lock");
                timed(n, || *lock.read().expect("no process dies"))
            }),
            alone("rwlock-write", |n| uncontended(n, &RwLock::new(0u64).expect("a lock"))),
            alone("semaphore", |n| {
                let semaphore = Semaphore::new(1).expect("a semaphore");
                timed(n, || drop(semaphore.acquire().expect("no process dies")))
            }),
            alone("seqlock-read-64B", |n| {
                let lock = SeqLock::new([1u64; 8]).expect("a lock");
                timed(n, || lock.read())
            }),
            alone("once", |n| {
                let once = Once::new().expect("a once");
                timed(n, || once.call_once(|| ()).expect("no process dies"))
            }),
            alone("notify-no-waiter", |n| {
                let condvar = Condvar::new().expect("a condition");
                timed(n, || condvar.notify_one().expect("no process was forked"))
            }),
            two(STD_THREADS, STD_THREADS, |n| threads(n, Arc::new(std::sync::Mutex::new(0)))),
            two("parking_lot-threads", STD_THREADS, |n| {
                threads(n, Arc::new(parking_lot::Mutex::new(0)))
            }),
            two("mutex", STD_THREADS, processes::<Mutex<u64>>),
            two("pthread-robust", STD_THREADS, processes::<Robust>),
            two("raw_sync", STD_THREADS, processes::<RawSync>),
            two("rwlock-write", STD_THREADS, processes::<RwLock<u64>>),
            row("two-read", "mutex", "mutex", 2_000_000, readers::<Mutex<u64>>),
            row("two-read", "rwlock", "mutex", 2_000_000, readers::<RwLock<u64>>),
            row("event", "raw_sync", "raw_sync", 5000, raw_sync_events),
            row("event", "event", "raw_sync", 5000, events),
        ]
    }

    const PARKING_LOT: &str = "parking_lot";
    const STD_THREADS: &str = "std-threads";

    fn timed<T>(n: u64, mut f: impl FnMut() -> T) -> f64 {
        let begin = Instant::now();
        for _ in 0..n {
            black_box(f());
        }
        begin.elapsed().as_nanos() as f64
    }

    fn uncontended<C: Counter>(n: u64, counter: &C) -> f64 {
        let before = counter.get();
        let nanos = timed(n, || counter.add());
        assert_eq!(counter.get() - before, n);
        nanos
    }

    fn task(count: u64) -> Task {
        Task { first: 0, count, prove: false, rest: Duration::ZERO }
    }

    /// Does its work, and reports when.
    fn serve(post: Post, mut once: impl FnMut() -> u64) {
        post.take_place();
        post.serve(|task| {
            let begin = machine::now();
            let mut sum = 0u64;
            for _ in 0..task.count {
                sum = sum.wrapping_add(once());
            }
            Answer { begin, end: machine::now(), count: task.count, sum, ..Answer::default() }
        });
    }

    /// Runs both at once, half of the work each. Returns the nanoseconds from start to end.
    fn together(team: Team, n: u64) -> f64 {
        let half = (n / 2).max(1);
        team.work([task(half / 10 + 1), task(half / 10 + 1)]);
        let answers = team.work([task(half), task(half)]);
        team.finish();
        let begin = answers.iter().map(|answer| answer.begin).min().expect("two answers");
        let end = answers.iter().map(|answer| answer.end).max().expect("two answers");
        // What both have done takes as long as if one had: n / (2 * half) is 1, but for rounding.
        (end - begin) as f64 * n as f64 / (2 * half) as f64
    }

    fn add_all<C: Counter>((counter, post): (C, Post)) {
        serve(post, || {
            counter.add();
            0
        });
    }

    fn threads<C: Counter + Clone + Send + 'static>(n: u64, counter: C) -> f64 {
        let mut team = Team::new(Route::Thread, Place::Apart);
        for side in [Side::First, Side::Second] {
            team.thread(side, add_all::<C>, counter.clone());
        }
        let nanos = together(team, n);
        assert!(counter.get() >= n / 2 * 2);
        nanos
    }

    fn add_in_process<C: Shared>((ends, post): (C::Ends, Post)) {
        add_all((C::attach(&ends, false), post));
    }

    fn processes<C: Shared>(n: u64) -> f64 {
        let ends = C::ends();
        let counter = C::attach(&ends, true);
        let mut team = Team::new(Route::Shm, Place::Apart);
        for side in [Side::First, Side::Second] {
            team.process(side, add_in_process::<C>, ends.clone());
        }
        let nanos = together(team, n);
        assert!(counter.get() >= n / 2 * 2);
        nanos
    }

    fn look_in_process<C: Shared>((ends, post): (C::Ends, Post)) {
        let counter = C::attach(&ends, false);
        serve(post, || counter.get());
    }

    fn readers<C: Shared>(n: u64) -> f64 {
        let ends = C::ends();
        C::attach(&ends, true).add();
        let mut team = Team::new(Route::Shm, Place::Apart);
        for side in [Side::First, Side::Second] {
            team.process(side, look_in_process::<C>, ends.clone());
        }
        together(team, n)
    }

    /// Makes this many round trips with another process.
    fn trips<E: Clone + Serialize + DeserializeOwned>(
        n: u64,
        ends: &E,
        answer: fn((E, Post)),
        ready: impl FnOnce() -> Box<dyn FnMut()> + Send,
    ) -> f64 {
        let mut team = Team::new(Route::Shm, Place::Apart);
        team.process(Side::Second, answer, ends.clone());
        // The team gets its task first; then it waits for the first event. A thread of its own:
        // who is started later inherits this one's processors.
        let nanos = std::thread::scope(|scope| {
            scope.spawn(|| team.work([task(n)]));
            let timed = scope.spawn(|| {
                machine::cpu(Place::Apart, Side::First).into_iter().for_each(machine::pin_to);
                let mut once = ready();
                let begin = Instant::now();
                (0..n).for_each(|_| once());
                begin.elapsed().as_nanos() as f64
            });
            timed.join().expect("a thread that ends well")
        });
        team.finish();
        nanos
    }

    fn events(n: u64) -> f64 {
        let ends = [(); 2].map(|()| Event::auto().expect("an event"));
        let answer = |([there, back], post): ([Event; 2], Post)| {
            serve(post, || {
                there.wait().expect("no process was forked");
                back.set().expect("no process was forked");
                0
            });
        };
        let [there, back] = ends.clone();
        trips(n, &ends, answer, || {
            Box::new(move || {
                there.set().expect("no process was forked");
                back.wait().expect("no process was forked");
            })
        })
    }

    fn raw_sync_events(n: u64) -> f64 {
        let ends = [(); 2].map(|()| Room::new());
        let attach = |room: &Room, first: bool| {
            let made = if first {
                // SAFETY: it lies in the room, which lives longer, and no other process has it yet.
                unsafe { raw_sync::events::Event::new(room.memory(), true) }
            } else {
                // SAFETY: it lies in the room, which lives longer; the first one has made it.
                unsafe { raw_sync::events::Event::from_existing(room.memory()) }
            };
            made.expect("an event").0
        };
        let answer = |(rooms, post): ([Room; 2], Post)| {
            // SAFETY: as in `attach`; it was made before.
            let [there, back] = [0, 1].map(|i: usize| unsafe {
                raw_sync::events::Event::from_existing(rooms[i].memory()).expect("an event").0
            });
            serve(post, || {
                there.wait(Timeout::Infinite).expect("it is set");
                back.set(EventState::Signaled).expect("it is there");
                0
            });
        };
        let _made = [0, 1].map(|i: usize| attach(&ends[i], true));
        trips(n, &ends, answer, || {
            let [there, back] = [0, 1].map(|i: usize| attach(&ends[i], false));
            Box::new(move || {
                there.set(EventState::Signaled).expect("it is there");
                back.wait(Timeout::Infinite).expect("it is set");
            })
        })
    }

    pub(super) fn main() {
        multiprocess::init();
        matrix::run("lock", &rows(), &[], None);
    }
}
