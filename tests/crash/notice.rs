//! How soon the living know of a death.

use std::process::Stdio;
use std::time::{Duration, Instant};

use ipc_shm::{RecvError, SendTimeoutError};
use multiprocess::JoinHandle;
use multiprocess::process::Builder;
use testkit::proc::{asleep, this_thread};
use testkit::{until, watchdog_of};

use crate::flavour::{Flavour, Small};
use crate::message::Message;
use crate::support::{alone, ticked};

const KILLS: usize = 100;
/// Far above what is promised, 50 ms: machines are busy.
const BOUND: Duration = Duration::from_secs(1);

type Tx = <Small as Flavour>::Tx;
type Rx = <Small as Flavour>::Rx;

/// Keeps an end until it is killed.
fn keep<T>(_end: T) {
    loop {
        std::thread::park();
    }
}

fn keeper<T: serde::Serialize + serde::de::DeserializeOwned>(end: T) -> JoinHandle<()> {
    Builder::new().stdout(Stdio::null()).kill_on_drop(true).spawn(keep::<T>, end).unwrap()
}

/// Blocks a thread in `wait`, kills `child`, and returns how long after that `wait` returned.
fn time(child: JoinHandle<()>, wait: impl FnOnce() + Send) -> Duration {
    std::thread::scope(|scope| {
        let (said, thread) = std::sync::mpsc::channel();
        let waiter = scope.spawn(move || {
            said.send(this_thread()).unwrap();
            wait();
            (Instant::now(), ticked())
        });
        let thread = thread.recv().unwrap();
        until("it sleeps", || asleep(std::process::id(), thread));
        let (killed, ticks) = (Instant::now(), ticked());
        child.kill().unwrap();
        let (knew, knew_ticks) = waiter.join().unwrap();
        assert!(knew_ticks - ticks < BOUND, "knew after {:?}", knew - killed);
        knew - killed
    })
}

fn print(what: &str, mut times: Vec<Duration>) {
    times.sort();
    println!(
        "notice_times: {what}: median {:?}, p99 {:?}",
        times[times.len() / 2],
        times[times.len() * 99 / 100]
    );
}

// fault 84, and when. The figures: `cargo test --release --test crash notice_times -- --nocapture`.
#[test]
fn notice_times_of_a_receiver_whose_last_sender_is_killed() {
    multiprocess::init();
    let _alone = alone();
    let _watchdog = watchdog_of(Duration::from_secs(100));
    let round = |_| {
        let (tx, rx): (Tx, Rx) = Small::make(4).unwrap();
        let child = keeper(tx);
        time(child, || assert_eq!(Small::recv(&rx), Err(RecvError::Disconnected)))
    };
    print("last sender, recv", (0..KILLS).map(round).collect());
}

// fault 83, and when.
#[test]
fn notice_times_of_a_sender_whose_last_receiver_is_killed() {
    multiprocess::init();
    let _alone = alone();
    let _watchdog = watchdog_of(Duration::from_secs(100));
    let message = |seq| <Small as Flavour>::M::new(1, seq);
    let round = |_| {
        let (tx, rx): (Tx, Rx) = Small::make(1).unwrap();
        let child = keeper(rx);
        Small::send(&tx, message(0), None).unwrap();
        let unsent = || match Small::send(&tx, message(1), None) {
            Err(SendTimeoutError::Disconnected(back)) => assert_eq!(back, message(1)),
            other => panic!("{other:?}"),
        };
        time(child, unsent)
    };
    print("last receiver, send", (0..KILLS).map(round).collect());
}
