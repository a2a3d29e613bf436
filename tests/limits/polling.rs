//! Calls with a time limit notice deaths, however short the limit is and however busy the machine.
//!
//! Each of them is made again and again, with other threads that only use the processors. A wait
//! that ends before its first check for dead peers must not be what all waits do.

use std::thread;
use std::time::{Duration, Instant};

use multiprocess::process::Builder;
use multiprocess::shm::lock::BarrierError;
use multiprocess::shm::{
    Barrier, Condvar, Event, Mutex, ReentrantMutex, RwLock, Segment, Semaphore, bytes, pod,
};
use multiprocess::{Receiver, Sender, bounded, pipe};
use serde::Serialize;
use serde::de::DeserializeOwned;
use testkit::load::BusyLoops;
use testkit::watchdog_of;

/// Limits from nothing at all to more than a slice.
const LIMITS: [Duration; 3] =
    [Duration::ZERO, Duration::from_micros(50), Duration::from_millis(15)];

/// A child gets one half of what `make` makes, does `f` with it, and is killed. After that `poll`,
/// called with a short limit again and again, must notice it.
fn noticed<Mine, Theirs: Serialize + DeserializeOwned>(
    what: &str,
    make: impl Fn() -> (Mine, Theirs),
    f: fn((Theirs, Event)),
    poll: impl Fn(&Mine, Duration) -> bool,
) {
    for limit in LIMITS {
        let ((mine, theirs), here) = (make(), Event::new().unwrap());
        let child = Builder::new().kill_on_drop(true).spawn(f, (theirs, here.clone())).unwrap();
        assert!(
            here.wait_timeout(Duration::from_secs(20)).unwrap(),
            "{what}: the child did not come"
        );
        child.kill().unwrap();
        child.join().unwrap_err();
        let began = Instant::now();
        let mut polls = 0;
        while !poll(&mine, limit) {
            polls += 1;
            let passed = began.elapsed();
            assert!(
                passed < Duration::from_secs(10),
                "{what}: {polls} calls of {limit:?} notice nothing"
            );
        }
    }
}

/// Has what it was given until it is killed.
fn stay<A>((_args, here): (A, Event)) {
    here.set().unwrap();
    loop {
        thread::park();
    }
}

/// The same twice: one for each of two processes.
fn both<L: Clone>(lock: L) -> (L, L) {
    (lock.clone(), lock)
}

// fault 103
#[test]
fn polling_receivers_notice_a_death_on_a_busy_machine() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(55));
    let _busy = BusyLoops::new(4);
    fn swap<Tx, Rx>((tx, rx): (Tx, Rx)) -> (Rx, Tx) {
        (rx, tx)
    }
    let typed = || swap(bounded::<String>(2).unwrap());
    noticed("recv_timeout", typed, stay::<Sender<String>>, |rx, limit| {
        rx.recv_timeout(limit).unwrap_err().is_disconnected()
    });
    noticed("recv_deadline", typed, stay::<Sender<String>>, |rx, limit| {
        rx.recv_deadline(Instant::now() + limit).unwrap_err().is_disconnected()
    });
    noticed("recv_ref_timeout", typed, stay::<Sender<String>>, |rx, limit| {
        rx.recv_ref_timeout(limit).is_err_and(|error| error.is_disconnected())
    });
    noticed(
        "pod recv_timeout",
        || swap(pod::bounded::<u64>(2).unwrap()),
        stay,
        |rx, limit| rx.recv_timeout(limit).unwrap_err().is_disconnected(),
    );
    noticed(
        "bytes recv_timeout",
        || swap(bytes::bounded(2).unwrap()),
        stay,
        |rx, limit| rx.recv_timeout(limit).unwrap_err().is_disconnected(),
    );
    noticed(
        "pipe recv_timeout",
        || swap(pipe::channel::<u64>().unwrap()),
        stay,
        |rx, limit| rx.recv_timeout(limit).unwrap_err().is_disconnected(),
    );
    noticed(
        "anonymous recv_timeout",
        || swap(pipe::anonymous::<u64>().unwrap()),
        stay,
        |rx, limit| rx.recv_timeout(limit).unwrap_err().is_disconnected(),
    );
    let duplex = || pipe::duplex::<u64, u64>().unwrap();
    noticed("duplex recv_timeout", duplex, stay::<pipe::Duplex<u64, u64>>, |end, limit| {
        end.recv_timeout(limit).unwrap_err().is_disconnected()
    });
}

// faults 103, 108: calls without a limit that do not wait.
#[test]
fn trying_again_and_again_notices_a_death_on_a_busy_machine() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(55));
    let _busy = BusyLoops::new(4);
    let empty = || {
        let (tx, rx) = bounded::<String>(2).unwrap();
        (rx, tx)
    };
    noticed("try_recv", empty, stay::<Sender<String>>, |rx, _| {
        rx.try_recv().unwrap_err().is_disconnected()
    });
    let full = || {
        let (tx, rx) = pod::bounded::<u64>(1).unwrap();
        tx.send(0).unwrap();
        (tx, rx)
    };
    noticed("pod try_send", full, stay::<pod::Receiver<u64>>, |tx, _| {
        tx.try_send(1).unwrap_err().is_disconnected()
    });
}

// fault 103: also what the dead process had lent to it, or was in the middle of sending, comes to
// those that poll.
#[test]
fn polling_receivers_get_what_a_dead_process_was_lent_on_a_busy_machine() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(55));
    let _busy = BusyLoops::new(4);
    let make = || {
        let (tx, rx) = bounded::<String>(2).unwrap();
        tx.send("lent".to_owned()).unwrap();
        ((tx, rx.clone()), rx)
    };
    fn hold((rx, here): (Receiver<String>, Event)) {
        let _lent = rx.recv_ref().unwrap();
        stay(((), here))
    }
    noticed("recv_timeout", make, hold, |(_, rx), limit| {
        rx.recv_timeout(limit).is_ok_and(|message| message == "lent")
    });
    noticed(
        "sender_count",
        || {
            let (tx, rx) = bounded::<u64>(2).unwrap();
            ((tx.clone(), rx), tx)
        },
        stay,
        |(_, rx), limit| {
            rx.recv_timeout(limit).unwrap_err().is_timeout() && rx.sender_count() == Some(1)
        },
    );
}

// fault 103
#[test]
fn polling_senders_notice_a_death_on_a_busy_machine() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(55));
    let _busy = BusyLoops::new(4);
    noticed(
        "send_timeout",
        || {
            let (tx, rx) = bounded::<String>(1).unwrap();
            tx.send(String::new()).unwrap();
            (tx, rx)
        },
        stay,
        |tx, limit| tx.send_timeout(String::new(), limit).unwrap_err().is_disconnected(),
    );
    let full = || {
        let (tx, rx) = pod::bounded::<u64>(1).unwrap();
        tx.send(0).unwrap();
        (tx, rx)
    };
    noticed("pod send_deadline", full, stay::<pod::Receiver<u64>>, |tx, limit| {
        tx.send_deadline(1, Instant::now() + limit).unwrap_err().is_disconnected()
    });
    // A message that needs a block, where all are lent.
    noticed(
        "large send_timeout",
        || bytes::bounded(1).unwrap(),
        stay,
        |tx, limit| {
            tx.send_timeout(vec![1; 4000], limit).is_err_and(|error| error.is_disconnected())
        },
    );
    for make in [pipe::channel::<Vec<u8>>, pipe::anonymous::<Vec<u8>>] {
        let full = || {
            let (tx, rx) = make().unwrap();
            while tx.try_send(vec![0; 1000]).is_ok() {}
            (tx, rx)
        };
        noticed("pipe send_timeout", full, stay::<Receiver<Vec<u8>>>, |tx, limit| {
            tx.send_timeout(vec![0; 1000], limit).is_err_and(|error| error.is_disconnected())
        });
    }
}

// fault 103
#[test]
fn polling_for_locks_notices_a_death_on_a_busy_machine() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(55));
    let _busy = BusyLoops::new(4);
    fn hold((mutex, here): (Mutex<u64>, Event)) {
        let _guard = mutex.lock().unwrap();
        stay(((), here))
    }
    noticed(
        "lock_timeout",
        || both(Mutex::new(0u64).unwrap()),
        hold,
        |mutex, limit| mutex.lock_timeout(limit).is_err_and(|error| error.cause().is_some()),
    );
    fn hold_again((mutex, here): (ReentrantMutex<u64>, Event)) {
        let _guard = mutex.lock().unwrap();
        stay(((), here))
    }
    noticed(
        "reentrant",
        || both(ReentrantMutex::new(0u64).unwrap()),
        hold_again,
        |mutex, limit| mutex.lock_timeout(limit).is_err_and(|error| error.cause().is_some()),
    );
    fn write((lock, here): (RwLock<u64>, Event)) {
        let _guard = lock.write().unwrap();
        stay(((), here))
    }
    noticed(
        "read_timeout",
        || both(RwLock::new(0u64).unwrap()),
        write,
        |lock, limit| lock.read_timeout(limit).is_err_and(|error| error.cause().is_some()),
    );
    fn read((lock, here): (RwLock<u64>, Event)) {
        let _guard = lock.read().unwrap();
        stay(((), here))
    }
    noticed(
        "write_timeout",
        || both(RwLock::new(0u64).unwrap()),
        read,
        |lock, limit| lock.write_timeout(limit).is_ok(),
    );
    noticed(
        "upgrade_timeout",
        || both(RwLock::new(0u64).unwrap()),
        read,
        |lock, limit| lock.upgradable_read().unwrap().upgrade_timeout(limit).is_ok(),
    );
}

// fault 103
#[test]
fn polling_for_conditions_and_permits_notices_a_death_on_a_busy_machine() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(55));
    let _busy = BusyLoops::new(4);
    fn acquire((semaphore, here): (Semaphore, Event)) {
        let _permit = semaphore.acquire().unwrap();
        stay(((), here))
    }
    noticed(
        "acquire_timeout",
        || both(Semaphore::new(1).unwrap()),
        acquire,
        |semaphore, limit| semaphore.acquire_timeout(limit).unwrap().is_some(),
    );
    // The first one that waits after the death breaks it: the round cannot end any more.
    noticed(
        "barrier",
        || both(Barrier::new(2).unwrap()),
        stay,
        |barrier, limit| {
            assert_eq!(barrier.wait_timeout(limit).unwrap_err(), BarrierError::Broken, "{limit:?}");
            true
        },
    );
    let condition = || {
        let segment = Segment::anonymous(4096).unwrap();
        both((Mutex::new_in(&segment, 0u64).unwrap(), Condvar::new_in(&segment).unwrap()))
    };
    noticed("condition", condition, stay::<(Mutex<u64>, Condvar)>, |(mutex, condvar), limit| {
        !condvar.wait_timeout(mutex.lock().unwrap(), limit).unwrap().1.timed_out()
    });
}
