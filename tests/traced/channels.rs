//! Killed after an instruction of an operation on a channel: as at the named points
//! (`tests/crash/points.rs`), but wherever the compiler put them.

use std::cell::Cell;
use std::time::{Duration, Instant};

use ipc_core::__private::handle;
use ipc_shm::RecvTimeoutError;
use serde::{Deserialize, Serialize};

use crate::flavour::{Flavour, Large, Mixed, Small, all_blocks_are_free};
use crate::message::Message;
use crate::steps::{kill_after_each, watchdog};
use crate::tracer::{Stand, trace};

/// What the victim does between its marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Act {
    Send,
    Receive,
    /// With a guard, which is dropped.
    Lend,
    /// Comes to the channel, as an end that arrives does.
    Attach,
    /// Drops its end, and with it what it is in the channel.
    Leave,
    /// Tries to receive where nothing is: looks who is dead.
    Look,
}

const VICTIM: u64 = 7;
const SURVIVOR: u64 = 5;
const CAPACITY: usize = 4;
/// Longer than it takes to see that a process is dead.
const QUIET: Duration = Duration::from_millis(15);
const PATIENCE: Duration = Duration::from_secs(10);

type Args<F> = (<F as Flavour>::Tx, <F as Flavour>::Rx, Act);

fn act<F: Flavour>(((tx, rx, act), stand): (Args<F>, Stand)) {
    let message = F::M::new(VICTIM, 0);
    let travelling =
        (act == Act::Attach).then(|| handle::collect(|| postcard::to_stdvec(&tx).unwrap()));
    let mut ends = Some((tx, rx));
    if travelling.is_some() {
        ends = None;
    }
    let marks = stand.wait();
    marks.mark();
    match act {
        Act::Send => assert!(F::send(&ends.as_ref().unwrap().0, message, Some(PATIENCE)).is_ok()),
        Act::Receive => drop(F::recv_timeout(&ends.as_ref().unwrap().1, PATIENCE)),
        Act::Lend => drop(F::recv_ref(&ends.as_ref().unwrap().1, Some(PATIENCE), |_, _| ())),
        Act::Look => drop(F::try_recv(&ends.as_ref().unwrap().1)),
        Act::Leave => ends = None,
        Act::Attach => {
            let (bytes, handles) = travelling.unwrap();
            let tx: F::Tx = handle::provide(handles, || postcard::from_bytes(&bytes)).unwrap();
            std::mem::forget(tx);
        }
    }
    marks.mark();
    drop(ends);
}

/// Receives until nothing more comes: who sent it, its number, and how often it was delivered.
fn drain<F: Flavour>(rx: &F::Rx) -> Vec<(u64, u64, u64)> {
    let mut all = Vec::new();
    let ended = loop {
        let take = |m: &F::M, deliveries| {
            assert!(m.intact(), "torn");
            all.push((m.sender(), m.seq(), deliveries));
        };
        if let Err(ended) = F::recv_ref(rx, Some(QUIET), take) {
            break ended;
        }
    };
    assert_eq!(ended, RecvTimeoutError::Timeout);
    all
}

/// Drains until dead processes are gone, and one more time.
fn drain_after_death<F: Flavour>(tx: &F::Tx, rx: &F::Rx) -> Vec<(u64, u64, u64)> {
    let began = Instant::now();
    let mut all = drain::<F>(rx);
    while F::counts(tx) != (1, 1) {
        assert!(began.elapsed() < PATIENCE, "dead processes are still there: {:?}", F::counts(tx));
        all.append(&mut drain::<F>(rx));
    }
    all.append(&mut drain::<F>(rx));
    all
}

/// The survivor's two messages, and whether the victim's first act left them.
fn check(act: Act, after: u64, got: &[(u64, u64, u64)]) {
    let numbers =
        |of: u64| got.iter().filter(move |(sender, ..)| *sender == of).map(|(_, seq, _)| *seq);
    let (mut ours, theirs) = (numbers(SURVIVOR).collect::<Vec<_>>(), numbers(VICTIM).count());
    // What is delivered again may come after younger ones.
    ours.sort();
    let what = || format!("{act:?}, after {after} instructions: {got:?}");
    match act {
        Act::Receive | Act::Lend => {
            // The first may have been received. Nothing else is lost, nothing comes twice.
            assert!(ours == [0, 1] || ours == [1], "{}", what());
            assert_eq!(theirs, 0, "{}", what());
        }
        _ => {
            assert_eq!(ours, [0, 1], "{}", what());
            assert!(theirs <= usize::from(act == Act::Send), "{}", what());
        }
    }
    for (.., deliveries) in got {
        assert!((1..=2).contains(deliveries), "{}", what());
    }
}

fn kill_while<F: Flavour>(what: Act) {
    let _watchdog = watchdog();
    let (tx, rx) = F::make(CAPACITY).unwrap();
    let prepared = Cell::new(0);
    let args = || {
        for seq in 0..2 {
            assert!(F::send(&tx, F::M::new(SURVIVOR, seq), Some(PATIENCE)).is_ok());
        }
        prepared.set(prepared.get() + 1);
        (tx.clone(), rx.clone(), what)
    };
    let look = |after| {
        let got = drain_after_death::<F>(&tx, &rx);
        check(what, after, &got);
        for seq in 0..CAPACITY as u64 {
            assert!(F::send(&tx, F::M::new(SURVIVOR, seq), Some(PATIENCE)).is_ok());
        }
        assert_eq!(drain::<F>(&rx).len(), CAPACITY);
        all_blocks_are_free::<F>(&tx, &rx, CAPACITY);
    };
    kill_after_each(&format!("{what:?}"), act::<F>, args, look);
}

// fault 10
#[test]
fn killed_after_each_instruction_of_send() {
    multiprocess::init();
    kill_while::<Small>(Act::Send);
}

// fault 10
#[test]
fn killed_after_each_instruction_of_send_in_a_block() {
    multiprocess::init();
    kill_while::<Large>(Act::Send);
}

// fault 10
#[test]
fn killed_after_each_instruction_of_send_of_any_type() {
    multiprocess::init();
    kill_while::<Mixed>(Act::Send);
}

// fault 11
#[test]
fn killed_after_each_instruction_of_recv() {
    multiprocess::init();
    kill_while::<Small>(Act::Receive);
}

// fault 11
#[test]
fn killed_after_each_instruction_of_recv_of_any_type() {
    multiprocess::init();
    kill_while::<Mixed>(Act::Receive);
}

// fault 11
#[test]
fn killed_after_each_instruction_of_a_loan_to_a_receiver() {
    multiprocess::init();
    kill_while::<Small>(Act::Lend);
}

// fault 11
#[test]
fn killed_after_each_instruction_of_attaching() {
    multiprocess::init();
    kill_while::<Small>(Act::Attach);
}

// faults 5, 11
#[test]
fn killed_after_each_instruction_of_leaving() {
    multiprocess::init();
    kill_while::<Small>(Act::Leave);
}

// fault 28: the recovering process is stopped, at any instruction: the others are held up by
// nothing that has a deadline, repair nothing a second time, and go on when it goes on, or dies.
#[test]
fn a_stopped_repairer_holds_no_process_up_for_good() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (tx, rx) = <Small as Flavour>::make(CAPACITY).unwrap();
    let rounds = 12;
    let mut length = 0;
    for round in 0..rounds {
        // One dies with a claim: somewhere in the middle of `send`, where that is.
        for seq in 0..2 {
            Small::send(&tx, Message::new(SURVIVOR, seq), Some(PATIENCE)).unwrap();
        }
        let Some(dying) = trace(act::<Small>, (tx.clone(), rx.clone(), Act::Send)) else { return };
        // It looks only once the two messages are gone, and the dying one is dead.
        let repairer = trace(act::<Small>, (tx.clone(), rx.clone(), Act::Look)).unwrap();
        assert_eq!(drain::<Small>(&rx).len(), 2);
        dying.steps(20 * round);
        dying.kill();
        if round == 0 {
            length = repairer.steps(200_000);
        } else {
            repairer.steps(length * round / rounds);
        }
        // Now it is stopped there.
        let began = Instant::now();
        assert!(
            Small::recv_timeout(&rx, QUIET)
                .map_or_else(|e| e == RecvTimeoutError::Timeout, |m| m.intact())
        );
        let _ = Small::send(&tx, Message::new(SURVIVOR, 9), Some(QUIET));
        assert!(began.elapsed() < PATIENCE, "held up beyond a deadline");
        if round % 2 == 0 {
            repairer.kill();
        } else {
            repairer.finish();
        }
        let got = drain_after_death::<Small>(&tx, &rx);
        assert!(got.iter().filter(|(sender, ..)| *sender == VICTIM).count() <= 1, "{got:?}");
        all_blocks_are_free::<Small>(&tx, &rx, CAPACITY);
    }
}
