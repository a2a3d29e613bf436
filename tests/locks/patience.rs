//! Deadlines, signals, priorities.

use std::thread;
use std::time::{Duration, Instant};

use multiprocess::shm::{Barrier, Condvar, Event, Mutex, RwLock, Semaphore};
use testkit::signals::handled;
use testkit::{busy, storm, watchdog};

use crate::support::{child_with, kill};

type Wait = Box<dyn Fn(Duration) -> bool + Send + Sync>;

/// Every call that waits, with a deadline: false if the time was over.
fn waits() -> Vec<(&'static str, Wait)> {
    let mutex = Mutex::new(0u8).unwrap();
    let lock = RwLock::new(0u8).unwrap();
    let semaphore = Semaphore::new(0).unwrap();
    let (event, auto) = (Event::new().unwrap(), Event::auto().unwrap());
    let (condvar, free) = (Condvar::new().unwrap(), Mutex::new(0u8).unwrap());
    // Held by threads that stay.
    let (held, reading) = (mutex.clone(), lock.clone());
    let (ready, is_ready) = std::sync::mpsc::channel();
    thread::spawn(move || {
        let _guards = (held.lock().unwrap(), reading.read().unwrap());
        ready.send(()).unwrap();
        loop {
            thread::park();
        }
    });
    is_ready.recv().unwrap();
    vec![
        ("mutex", Box::new(move |time| mutex.lock_timeout(time).is_ok())),
        ("write", Box::new(move |time| lock.write_timeout(time).is_ok())),
        ("semaphore", Box::new(move |time| semaphore.acquire_timeout(time).unwrap().is_some())),
        ("event", Box::new(move |time| event.wait_timeout(time).unwrap())),
        ("automatic event", Box::new(move |time| auto.wait_timeout(time).unwrap())),
        (
            "condition",
            Box::new(move |time| {
                !condvar.wait_timeout(free.lock().unwrap(), time).unwrap().1.timed_out()
            }),
        ),
        ("barrier", Box::new(move |time| Barrier::new(2).unwrap().wait_timeout(time).is_ok())),
    ]
}

// fault 31
#[test]
fn deadlines_are_neither_early_nor_overflow() {
    let _watchdog = watchdog();
    for (what, wait) in waits() {
        for time in [0, 1, 999, 999_999, 5_999_999, 71_000_000].map(Duration::from_nanos) {
            let began = Instant::now();
            assert!(!wait(time), "{what}");
            let took = began.elapsed();
            assert!(took >= time, "{what}: {took:?} of {time:?}");
            assert!(took < time + Duration::from_secs(1) * busy(), "{what}: {took:?} of {time:?}");
        }
    }
    let mutex = Mutex::new(0u8).unwrap();
    drop(mutex.lock_timeout(Duration::MAX).unwrap());
    let guard = mutex.lock().unwrap();
    let theirs = mutex.clone();
    let waiter = crate::support::sleeper(move || theirs.lock_timeout(Duration::MAX).is_ok());
    drop(guard);
    assert!(waiter.join().unwrap());
}

// fault 34
#[test]
fn a_storm_of_signals_changes_nothing() {
    let _watchdog = watchdog();
    let time = Duration::from_millis(150);
    for (what, wait) in waits() {
        let took = storm(|| {
            let began = Instant::now();
            assert!(!wait(time), "{what}");
            began.elapsed()
        });
        assert!(
            took >= time && took < time + Duration::from_millis(500) * busy(),
            "{what}: {took:?}"
        );
    }
    assert!(handled() > 100);
}

// fault 32
#[test]
fn a_waiter_of_high_priority_does_not_keep_the_owner_from_running() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn to_one_processor() {
        let mut first = rustix::thread::CpuSet::new();
        first.set(0);
        rustix::thread::sched_setaffinity(None, &first).unwrap();
    }
    fn schedule(policy: libc::c_int, priority: libc::c_int) -> bool {
        let param = libc::sched_param { sched_priority: priority };
        // SAFETY: `param` is read during the call only.
        unsafe { libc::sched_setscheduler(0, policy, &param) == 0 }
    }
    let mutex = Mutex::new(0u64).unwrap();
    let child = child_with(&mutex, |(mutex, here)| {
        to_one_processor();
        schedule(libc::SCHED_IDLE, 0);
        here.set().unwrap();
        loop {
            let mut guard = mutex.lock().unwrap();
            for _ in 0..2000 {
                *guard = std::hint::black_box(*guard + 1);
            }
        }
    });
    let theirs = mutex.clone();
    let permitted = thread::spawn(move || {
        to_one_processor();
        if !schedule(libc::SCHED_FIFO, 10) {
            return false;
        }
        for _ in 0..50 {
            *theirs.lock().unwrap() += 1;
            thread::sleep(Duration::from_millis(1));
        }
        true
    })
    .join()
    .unwrap();
    if !permitted {
        println!("SCHED_FIFO is not permitted here: not tested");
    }
    kill(child);
}
