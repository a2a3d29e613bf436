//! The time from `kill -9` until the survivors go on: `cargo bench --bench recovery`; with `--
//! recv` a part of it.
//!
//! Many waiters wait at once, each for a process of its own, in threads that sleep. The processes
//! are killed one after the other. Each row measures until:
//!
//! - `recv`: a receiver notices that its last sender is dead;
//! - `send`: a sender in a full channel notices that its last receiver is dead;
//! - `again`: a message is delivered again whose receiver was killed with it;
//! - `mutex`, `rwlock`, `semaphore`: a waiter gets what a killed process held;
//! - `condition`: a waiter for a change wakes up and checks.
//!
//! In milliseconds; not as a ratio, because with most other libraries the waiter waits for ever.

mod support;

use std::io;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use criterion::Criterion;
use hdrhistogram::Histogram;
use multiprocess::process::Builder;
use multiprocess::shm::{Condvar, Event, Mutex, RwLock, Semaphore};
use multiprocess::{Receiver, Sender};
use serde::Serialize;
use serde::de::DeserializeOwned;
use support::machine;
use support::matrix::{self, More};
use support::message::{Message, Order};
use support::record::{Record, Unit};
use support::rounds::{Summary, Wanted, figure, rounds};
use support::{Mode, mode};

/// How many waiters wait at once.
const TOGETHER: usize = 16;

type Channel = fn(usize) -> io::Result<(Sender<Order>, Receiver<Order>)>;

/// A process that will be killed, and the wait that ends then.
struct Scene {
    victim: multiprocess::JoinHandle<()>,
    wait: Box<dyn FnOnce() + Send>,
}

/// Starts a process that runs `f`, reports it, and then does nothing more.
fn victim<A: Serialize + DeserializeOwned>(
    f: fn((A, Event)),
    args: A,
) -> multiprocess::JoinHandle<()> {
    let here = Event::new().expect("an event");
    let child = Builder::new().kill_on_drop(true).spawn(f, (args, here.clone())).expect("a child");
    here.wait().expect("no process was forked");
    child
}

fn stay(here: &Event) -> ! {
    here.set().expect("no process was forked");
    loop {
        std::thread::park();
    }
}

/// Keeps an end, or a permit.
fn have<A>((_ours, here): (A, Event)) {
    stay(&here)
}

fn last_sender(channel: Channel) -> Scene {
    let (tx, rx) = channel(4).expect("a channel");
    let victim = victim(have::<Sender<Order>>, tx);
    Scene { victim, wait: Box::new(move || assert!(rx.recv().is_err(), "no message was sent")) }
}

fn last_receiver(channel: Channel) -> Scene {
    let (tx, rx) = channel(1).expect("a channel");
    tx.send(Order::new(1)).expect("there is room");
    let victim = victim(have::<Receiver<Order>>, rx);
    Scene {
        victim,
        wait: Box::new(move || assert!(tx.send(Order::new(2)).is_err(), "no receiver is left")),
    }
}

fn delivered_again() -> Scene {
    let (tx, rx) = ipc_shm::bounded::<Order>(4).expect("a channel");
    tx.send(Order::new(1)).expect("there is room");
    let victim = victim(
        |(rx, here): (ipc_shm::Receiver<Order>, Event)| {
            let _lent = rx.recv_ref().expect("it is there");
            stay(&here)
        },
        rx.clone(),
    );
    let wait = move || {
        assert_eq!(rx.recv().expect("a sender lives"), Order::new(1));
        drop(tx);
    };
    Scene { victim, wait: Box::new(wait) }
}

fn mutex() -> Scene {
    let mutex = Mutex::new(0u64).expect("a mutex");
    let victim = victim(
        |(mutex, here): (Mutex<u64>, Event)| {
            let _guard = mutex.lock().expect("no process died yet");
            stay(&here)
        },
        mutex.clone(),
    );
    Scene {
        victim,
        wait: Box::new(move || assert!(mutex.lock().expect_err("he died").cause().is_some())),
    }
}

fn rwlock() -> Scene {
    let lock = RwLock::new(0u64).expect("a lock");
    let victim = victim(
        |(lock, here): (RwLock<u64>, Event)| {
            let _guard = lock.read().expect("no process died yet");
            stay(&here)
        },
        lock.clone(),
    );
    Scene {
        victim,
        wait: Box::new(move || drop(lock.write().expect("a reader's death harms nothing"))),
    }
}

fn semaphore() -> Scene {
    let semaphore = Semaphore::new(1).expect("a semaphore");
    let victim = victim(
        |(semaphore, here): (Semaphore, Event)| {
            let _permit = semaphore.acquire().expect("no process was forked");
            stay(&here)
        },
        semaphore.clone(),
    );
    Scene {
        victim,
        wait: Box::new(move || drop(semaphore.acquire().expect("no process was forked"))),
    }
}

fn condition() -> Scene {
    let (mutex, condvar) =
        (Mutex::new(0u64).expect("a mutex"), Condvar::new().expect("a condition"));
    let victim = victim(have::<Condvar>, condvar.clone());
    let wait = move || {
        let guard = mutex.lock().expect("no process died with it");
        drop(condvar.wait(guard).expect("no process died with the mutex"));
    };
    Scene { victim, wait: Box::new(wait) }
}

struct Case {
    workload: &'static str,
    route: &'static str,
    /// How long the waiters have waited, at least, when the first process is killed.
    waited: Duration,
    scene: fn() -> Scene,
}

const SHORT: Duration = Duration::from_millis(30);
/// A second after they began, the kernel notifies waiters, and they check less often themselves.
const LONG: Duration = Duration::from_millis(1500);

const CASES: [Case; 12] = [
    case("recv", "shm", SHORT, || last_sender(multiprocess::bounded)),
    case("recv", "shm, for long", LONG, || last_sender(multiprocess::bounded)),
    case("recv", "socket", SHORT, || last_sender(|_| multiprocess::pipe::channel())),
    case("recv", "pipe", SHORT, || last_sender(|_| multiprocess::pipe::anonymous())),
    case("send", "shm", SHORT, || last_receiver(multiprocess::bounded)),
    case("send", "shm, for long", LONG, || last_receiver(multiprocess::bounded)),
    case("again", "shm", SHORT, delivered_again),
    case("mutex", "shm", SHORT, mutex),
    case("mutex", "shm, for long", LONG, mutex),
    case("rwlock", "shm", SHORT, rwlock),
    case("semaphore", "shm", SHORT, semaphore),
    case("condition", "shm", SHORT, condition),
];

impl Case {
    fn rounds(&self) -> usize {
        if self.waited == LONG { 2 } else { rounds().min(5) }
    }
}

const fn case(
    workload: &'static str,
    route: &'static str,
    waited: Duration,
    scene: fn() -> Scene,
) -> Case {
    Case { workload, route, waited, scene }
}

/// Returns the nanoseconds from each kill until its waiter goes on.
fn kill(case: &Case, many: usize) -> Vec<f64> {
    let scenes = (0..many).map(|_| (case.scene)());
    let waiting: Vec<_> = scenes
        .map(|Scene { victim, wait }| {
            let waiter: JoinHandle<Instant> = std::thread::spawn(move || {
                wait();
                Instant::now()
            });
            (victim, waiter)
        })
        .collect();
    std::thread::sleep(case.waited);
    let times = waiting.into_iter().map(|(victim, waiter)| {
        // At any point of the interval between two checks.
        std::thread::sleep(Duration::from_micros(machine::now() % 5_000));
        assert!(!waiter.is_finished(), "no process died yet");
        let killed = Instant::now();
        victim.kill().expect("it lives");
        let took = waiter.join().expect("a thread that ends well") - killed;
        assert!(victim.join().is_err());
        took.as_nanos() as f64
    });
    times.collect()
}

struct Kills;

impl More for Kills {
    fn report(&self, criterion: &mut Criterion) -> Vec<usize> {
        let wanted = Wanted::default();
        for (i, case) in CASES.iter().enumerate() {
            let mut times = Vec::new();
            criterion.benchmark_group(case.workload).bench_function(case.route, |bencher| {
                wanted.add(i);
                bencher.iter_custom(|n| {
                    let next = |_| {
                        if times.is_empty() {
                            times = kill(case, if mode() == Mode::Once { 1 } else { TOGETHER });
                        }
                        times.pop().expect("there are some")
                    };
                    Duration::from_nanos((0..n).map(next).sum::<f64>() as u64)
                });
            });
        }
        wanted.rows()
    }

    fn measure(&self, wanted: &[usize]) -> Vec<Record> {
        if wanted.is_empty() {
            return Vec::new();
        }
        println!("From a kill until the living go on, in ms: median, p99, most\n");
        let mut records = Vec::new();
        for case in wanted.iter().map(|&i| &CASES[i]) {
            let mut all = Histogram::<u64>::new(3).expect("three digits");
            let mut medians = Vec::new();
            for _ in 0..case.rounds() {
                let times = kill(case, TOGETHER);
                times.iter().for_each(|nanos| all.record(*nanos as u64).expect("it resizes"));
                medians.push(Summary::of(&times).median / 1e6);
            }
            let quantiles = [0.5, 0.99, 1.0].map(|part| (part, all.value_at_quantile(part) as f64));
            let [median, p99, most] = quantiles.map(|(_, nanos)| figure(nanos / 1e6));
            let name = format!("{}/{}", case.workload, case.route);
            println!("{name:<24} {median:>8} {p99:>8} {most:>8} of {}", all.len());
            let record = Record::of(case.workload, case.route, Unit::Millis, medians);
            records.push(Record { quantiles: quantiles.to_vec(), ..record });
        }
        println!();
        records
    }
}

fn main() {
    multiprocess::init();
    matrix::run("recovery", &[], &[], Some(&Kills));
}
