//! Many processes on one processor.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use multiprocess::process::Builder;
use multiprocess::shm::{Mutex, Shared};
use multiprocess::{Receiver, Sender, bounded};
use serde::{Deserialize, Serialize};
use testkit::{busy, watchdog_of};

const EACH: usize = 8;
/// What each of them must get done while all others go on.
const ENOUGH: u64 = 300;
/// How long none may wait for its turn: far more than 32 turns of the scheduler, also on a busy
/// machine.
const BOUND: Duration = Duration::from_secs(3);

#[derive(Clone, Copy, Serialize, Deserialize)]
enum Part {
    Send,
    SendLarge,
    Receive,
    Lock,
}

#[derive(Clone, Serialize, Deserialize)]
struct Village {
    tx: Sender<Vec<u8>>,
    rx: Receiver<Vec<u8>>,
    mutex: Mutex<u64>,
    over: Shared<u32>,
}

/// One of the village's, what it has done, and its longest wait, in microseconds.
type Args = (Village, Part, Shared<u64>, Shared<u64>);

fn live((village, part, done, longest): Args) {
    let one = rustix::thread::sched_getaffinity(None).unwrap();
    let first = (0..1024).find(|cpu| one.is_set(*cpu)).unwrap();
    let mut only = rustix::thread::CpuSet::new();
    only.set(first);
    rustix::thread::sched_setaffinity(None, &only).unwrap();
    let mut last = Instant::now();
    // Relaxed: numbers to look at.
    while village.over.load(Relaxed) == 0 {
        const PATIENCE: Duration = Duration::from_secs(20);
        match part {
            Part::Send => village.tx.send_timeout(vec![1; 20], PATIENCE).unwrap(),
            Part::SendLarge => village.tx.send_timeout(vec![1; 2000], PATIENCE).unwrap(),
            Part::Receive => drop(village.rx.recv_timeout(PATIENCE).unwrap()),
            Part::Lock => *village.mutex.lock_timeout(PATIENCE).unwrap() += 1,
        }
        done.fetch_add(1, Relaxed);
        longest.fetch_max(last.elapsed().as_micros() as u64, Relaxed);
        last = Instant::now();
    }
}

// fault 33
#[test]
fn none_of_32_processes_on_one_processor_starves() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(55));
    let (tx, rx) = bounded(4).unwrap();
    let village = Village { tx, rx, mutex: Mutex::new(0).unwrap(), over: Shared::new(0).unwrap() };
    let parts = [Part::Send, Part::SendLarge, Part::Receive, Part::Lock].into_iter();
    let people: Vec<_> = parts
        .flat_map(|part| std::iter::repeat_n(part, EACH))
        .map(|part| {
            let (done, longest) = (Shared::new(0).unwrap(), Shared::new(0).unwrap());
            let args = (village.clone(), part, done.clone(), longest.clone());
            let process = Builder::new().kill_on_drop(true).spawn(live, args).unwrap();
            (process, done, longest)
        })
        .collect();
    // Waiting for the start of the others is not starvation.
    let all = |least: u64| people.iter().all(|(_, done, _)| done.load(Relaxed) >= least);
    while !all(1) {
        std::thread::yield_now();
    }
    people.iter().for_each(|(_, _, longest)| longest.store(0, Relaxed));
    let began = Instant::now();
    while !all(ENOUGH) {
        assert!(people.iter().all(|(process, ..)| !process.is_finished()), "one has failed");
        std::thread::yield_now();
    }
    let longest = people.iter().map(|(_, _, longest)| longest.load(Relaxed)).max().unwrap();
    println!("all have done {ENOUGH} in {:?}, the longest wait was {longest} us", began.elapsed());
    assert!(
        Duration::from_micros(longest) < BOUND * busy(),
        "one waited {longest} us for its turn"
    );
}
