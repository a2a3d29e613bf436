//! Killed after an instruction of a selection: over channels, an event and a semaphore.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use multiprocess::shm::{Event, Semaphore};
use multiprocess::{Receiver, RecvTimeoutError, Select, Sender, bounded};
use serde::{Deserialize, Serialize};

use crate::steps::{kill_after_each, watchdog};
use crate::tracer::Stand;

/// Which operation is ready, and so is chosen and completed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Act {
    Receive,
    Send,
    Event,
    Permit,
}

#[derive(Clone, Serialize, Deserialize)]
struct Things {
    a: (Sender<u64>, Receiver<u64>),
    b: (Sender<u64>, Receiver<u64>),
    event: Event,
    permits: Semaphore,
}

const CAPACITY: usize = 2;
const VICTIM: u64 = 7;
/// What the others have sent before.
const SURVIVORS: [u64; 2] = [1, 2];
/// Longer than it takes to see that a process is dead.
const QUIET: Duration = Duration::from_millis(15);
const PATIENCE: Duration = Duration::from_secs(10);

fn act(((things, act), stand): ((Things, Act), Stand)) {
    let Things { a, b, event, permits } = &things;
    let marks = stand.wait();
    marks.mark();
    let mut select = Select::new();
    select.recv(&a.1);
    if act == Act::Send {
        select.send(&b.0);
    } else {
        select.recv(&b.1);
    }
    select.wait_for(event);
    select.acquire(permits);
    let chosen = select.select();
    match chosen.index() {
        0 => assert!(SURVIVORS.contains(&chosen.recv(&a.1).unwrap())),
        1 if act == Act::Send => chosen.send(&b.0, VICTIM).unwrap(),
        2 => chosen.wait_for(event).unwrap(),
        3 => drop(chosen.acquire(permits).unwrap()),
        _ => unreachable!("nothing is sent there"),
    }
    marks.mark();
}

/// Receives until nothing more comes.
fn drain(rx: &Receiver<u64>) -> Vec<u64> {
    let mut all = Vec::new();
    loop {
        match rx.recv_timeout(QUIET) {
            Ok(number) => all.push(number),
            Err(error) => {
                assert_eq!(error, RecvTimeoutError::Timeout);
                return all;
            }
        }
    }
}

/// Drains until the dead process has no part any more, and one more time.
fn drain_after_death((tx, rx): &(Sender<u64>, Receiver<u64>)) -> Vec<u64> {
    let began = Instant::now();
    let mut all = drain(rx);
    while (tx.sender_count(), tx.receiver_count()) != (Some(1), Some(1)) {
        assert!(began.elapsed() < PATIENCE, "the dead process is still there");
        all.append(&mut drain(rx));
    }
    all.append(&mut drain(rx));
    all.sort_unstable();
    all
}

fn kill_while(what: Act) {
    let _watchdog = watchdog();
    let things = Things {
        a: bounded(CAPACITY).unwrap(),
        b: bounded(CAPACITY).unwrap(),
        event: Event::auto().unwrap(),
        permits: Semaphore::new(1).unwrap(),
    };
    let held = RefCell::new(None);
    let args = || {
        match what {
            Act::Receive => SURVIVORS.iter().for_each(|n| things.a.0.send(*n).unwrap()),
            Act::Event => things.event.set().unwrap(),
            _ => {}
        }
        if what != Act::Permit {
            *held.borrow_mut() = things.permits.acquire_timeout(PATIENCE).unwrap();
            assert!(held.borrow().is_some());
        }
        (things.clone(), what)
    };
    let look = |after| {
        let got = [&things.a, &things.b].map(drain_after_death);
        let right = match what {
            // The first may have been received.
            Act::Receive => got[1].is_empty() && (got[0] == SURVIVORS || got[0] == [2]),
            Act::Send => got[0].is_empty() && (got[1].is_empty() || got[1] == [VICTIM]),
            _ => got.concat().is_empty(),
        };
        let what = || format!("{what:?}, after {after} instructions");
        assert!(right, "{}: {got:?}", what());
        drop(held.take());
        // All of it works: each wakes a waiter, the waiters' bits being as the dead process left
        // them.
        let mut select = Select::new();
        select.recv(&things.a.1);
        select.recv(&things.b.1);
        let event = select.wait_for(&things.event);
        things.event.set().unwrap();
        let permit = things.permits.acquire_timeout(PATIENCE).unwrap();
        assert!(permit.is_some(), "{}: the permit is lost", what());
        assert!(things.permits.try_acquire().unwrap().is_none(), "{}: a permit more", what());
        let chosen = select.select_timeout(PATIENCE).unwrap();
        assert_eq!(chosen.index(), event);
        chosen.wait_for(&things.event).unwrap();
        for (tx, rx) in [&things.a, &things.b] {
            (0..CAPACITY as u64).for_each(|n| tx.send_timeout(n, PATIENCE).unwrap());
            assert_eq!(drain(rx).len(), CAPACITY, "{}", what());
        }
    };
    kill_after_each(&format!("{what:?} in a selection"), act, args, look);
}

// faults 11, 92
#[test]
fn killed_after_each_instruction_of_a_selection_receiving() {
    multiprocess::init();
    kill_while(Act::Receive);
}

// faults 11, 92
#[test]
fn killed_after_each_instruction_of_a_selection_sending() {
    multiprocess::init();
    kill_while(Act::Send);
}

// faults 11, 92
#[test]
fn killed_after_each_instruction_of_a_selection_taking_an_event() {
    multiprocess::init();
    kill_while(Act::Event);
}

// faults 11, 92
#[test]
fn killed_after_each_instruction_of_a_selection_taking_a_permit() {
    multiprocess::init();
    kill_while(Act::Permit);
}
