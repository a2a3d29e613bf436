//! Stopped processes are not dead, and dead ones are dead however they died.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use ipc_shm::{RecvTimeoutError, SendTimeoutError, TryRecvError};
use multiprocess::process::Builder;
use rustix::process::Signal;
use testkit::signals::signal;
use testkit::{Directory, Random, stop, watchdog_of};

use crate::flavour::{Flavour, Mixed};
use crate::message::Message;
use crate::oracle::{Chronicle, Past};
use crate::roles::{How, Life, receive, record, send};
use crate::support::{Counter, Log, alone, ticked};

type Tx = <Mixed as Flavour>::Tx;
type Rx = <Mixed as Flavour>::Rx;

fn builder() -> Builder {
    Builder::new().stdout(Stdio::null()).kill_on_drop(true)
}

fn life(scratch: &Directory, number: u64, how: How) -> Life {
    Life { number, directory: scratch.path().to_owned(), how }
}

const STOPS: u64 = 40;
const BOUND: Duration = Duration::from_secs(1);

// faults 25, 29: at random, and so at times between claim and publishing.
#[test]
fn a_stopped_sender_is_alive_and_its_message_comes_once() {
    multiprocess::init();
    let _alone = alone();
    let _watchdog = watchdog_of(Duration::from_secs(60));
    let scratch = Directory::new();
    let (tx, rx): (Tx, Rx) = Mixed::make(3).unwrap();
    let sender = life(&scratch, 1, How::Recv);
    let child = builder().spawn(send::<Mixed>, (tx.clone(), sender.clone())).unwrap();
    let mut random = Random::new(child.id().into());
    let mut next = 0;
    let mut take = |timeout| {
        Mixed::recv_timeout(&rx, timeout).inspect(|message| {
            assert!(
                message.intact() && message.seq() == next,
                "{} instead of {next}",
                message.seq()
            );
            next += 1;
        })
    };
    for _ in 0..STOPS {
        for _ in 0..random.below(100) {
            take(Duration::from_secs(30)).unwrap();
        }
        stop(child.id());
        // What it had published comes; then the deadline holds, and no process is taken for dead.
        let stopped = ticked();
        while take(Duration::from_millis(20)).is_ok() {}
        assert!(ticked() - stopped < BOUND);
        assert_eq!(take(Duration::ZERO).unwrap_err(), RecvTimeoutError::Timeout);
        assert_eq!(Mixed::counts(&tx), (2, 1));
        signal(child.id(), Signal::CONT);
    }
    Counter::open(&sender.stop()).set(1);
    while !child.is_finished() {
        let _ = take(Duration::from_millis(1));
    }
    while take(Duration::from_millis(20)).is_ok() {}
    child.join().unwrap();
    assert_eq!(next, Counter::open(&sender.sent()).get());
}

// fault 26
#[test]
fn a_stopped_receiver_is_alive_and_receives_once() {
    multiprocess::init();
    let _alone = alone();
    let _watchdog = watchdog_of(Duration::from_secs(60));
    let scratch = Directory::new();
    let (tx, rx): (Tx, Rx) = Mixed::make(3).unwrap();
    let receiver = life(&scratch, 1, How::Recv);
    let child = builder().spawn(receive::<Mixed>, (rx.clone(), receiver.clone())).unwrap();
    let mut random = Random::new(child.id().into());
    let me = life(&scratch, 2, How::Recv);
    let sent = Counter::open(&me.sent());
    let mut next = 0;
    let mut put = |timeout| match Mixed::send(&tx, Message::new(2, next), Some(timeout)) {
        Ok(()) => {
            next += 1;
            sent.set(next);
            true
        }
        Err(SendTimeoutError::Timeout(_)) => false,
        Err(error) => panic!("{error}"),
    };
    for _ in 0..STOPS {
        (0..random.below(100)).for_each(|_| assert!(put(Duration::from_secs(30))));
        stop(child.id());
        let stopped = ticked();
        while put(Duration::from_millis(20)) {}
        assert!(ticked() - stopped < BOUND);
        assert!(!put(Duration::ZERO));
        assert_eq!(Mixed::counts(&tx), (1, 2));
        signal(child.id(), Signal::CONT);
    }
    drop(tx);
    child.join().unwrap();
    let past = |life, killed| Past { life, killed, kept: 0 };
    let verdict = Chronicle {
        senders: vec![past(me, false)],
        receivers: vec![past(receiver, false)],
        ..Chronicle::default()
    }
    .judge();
    assert_eq!((verdict.sent, verdict.lost, verdict.out_of_order), (next, 0, 0));
}

/// Dies with a guard in its hands.
fn die((rx, how): (Rx, String)) {
    let _ = Mixed::recv_ref(&rx, None, |_, _| match how.as_str() {
        "abort" => std::process::abort(),
        "exit" => std::process::exit(0),
        "exec" => panic!("{}", Command::new("/bin/true").exec()),
        "segv" => loop {
            signal(std::process::id(), Signal::SEGV);
        },
        _ => {}
    });
}

// fault 20
#[test]
fn every_death_gives_back_what_was_lent() {
    multiprocess::init();
    let _alone = alone();
    let _watchdog = watchdog_of(Duration::from_secs(60));
    let (tx, rx): (Tx, Rx) = Mixed::make(3).unwrap();
    for (seq, how) in ["abort", "exit", "exec", "segv"].into_iter().enumerate() {
        Mixed::send(&tx, Message::new(1, seq as u64), None).unwrap();
        let child =
            builder().stderr(Stdio::null()).spawn(die, (rx.clone(), how.to_owned())).unwrap();
        let _ = child.join();
        let mut seen = None;
        Mixed::recv_ref(&rx, Some(Duration::from_secs(30)), |m, deliveries| {
            seen = Some((m.seq(), deliveries))
        })
        .unwrap();
        assert_eq!(seen, Some((seq as u64, 2)), "{how}");
    }
}

/// Keeps a guard until it is killed.
fn keep_guard((rx, ready): (Rx, Tx)) {
    let _ = Mixed::recv_ref(&rx, None, |_, _| {
        Mixed::send(&ready, Message::new(9, 0), None).unwrap();
        loop {
            std::thread::park();
        }
    });
}

// fault 16: the last sender is gone, but the message in a guard may still come.
#[test]
fn a_lent_message_holds_up_disconnected() {
    multiprocess::init();
    let _alone = alone();
    let _watchdog = watchdog_of(Duration::from_secs(60));
    let (tx, rx): (Tx, Rx) = Mixed::make(3).unwrap();
    let (ready, readiness): (Tx, Rx) = Mixed::make(1).unwrap();
    Mixed::send(&tx, Message::new(1, 0), None).unwrap();
    let child = builder().spawn(keep_guard, (rx.clone(), ready)).unwrap();
    Mixed::recv(&readiness).unwrap();
    drop(tx);
    assert_eq!(Mixed::try_recv(&rx), Err(TryRecvError::Empty));
    assert_eq!(Mixed::recv_timeout(&rx, Duration::from_millis(30)), Err(RecvTimeoutError::Timeout));
    child.kill().unwrap();
    let mut seen = None;
    let patience = Some(Duration::from_secs(30));
    Mixed::recv_ref(&rx, patience, |m, deliveries| seen = Some((m.seq(), deliveries))).unwrap();
    assert_eq!(seen, Some((0, 2)));
    assert_eq!(Mixed::try_recv(&rx), Err(TryRecvError::Disconnected));
}

// fault 23: a lease is the process', not the thread's that took it.
#[test]
fn the_thread_that_made_a_channel_may_end() {
    multiprocess::init();
    let _alone = alone();
    let _watchdog = watchdog_of(Duration::from_secs(60));
    let (tx, rx): (Tx, Rx) = std::thread::spawn(|| Mixed::make(3).unwrap()).join().unwrap();
    let scratch = Directory::new();
    let receiver = life(&scratch, 1, How::Recv);
    let child = builder().spawn(receive::<Mixed>, (rx.clone(), receiver.clone())).unwrap();
    drop(rx);
    for seq in 0..5 {
        Mixed::send(&tx, Message::new(2, seq), None).unwrap();
        // Time for the receiver to look who is dead, some times.
        std::thread::sleep(Duration::from_millis(20));
        assert_eq!(Mixed::counts(&tx), (1, 1));
    }
    drop(tx);
    child.join().unwrap();
    assert_eq!(Log::count(&receiver.received()), 5);
}

// A message can be written down with the count that a guard tells: what the oracle relies on.
#[test]
fn a_first_delivery_says_one() {
    // Its channel would be counted as another test's.
    let _alone = alone();
    let (tx, rx): (Tx, Rx) = Mixed::make(3).unwrap();
    Mixed::send(&tx, Message::new(1, 0), None).unwrap();
    Mixed::recv_ref(&rx, None, |m, deliveries| assert_eq!(record(m, deliveries).deliveries, 1))
        .unwrap();
}
