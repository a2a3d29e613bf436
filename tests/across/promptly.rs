//! Four processes in turns: calls that do not wait say Empty or Full only where it is so.

use ipc_core::route::{Receive, Route, Transmit};
use multiprocess::process::Builder;
use multiprocess::shm::{Barrier, pod, slice};
use multiprocess::{Receiver, Sender};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use testkit::watchdog_of;

const PROCESSES: usize = 4;
const ROUNDS: u64 = if cfg!(debug_assertions) { 20_000 } else { 100_000 };

/// What each process does in each round.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Turn {
    /// It sends, and then tries to receive.
    Receive,
    /// It receives, and then tries to send.
    Send,
}

type Args<Tx, Rx> = (Tx, Rx, Barrier, Turn);
type ArgsOf<T, R> = Args<ipc_core::Sender<T, R>, ipc_core::Receiver<T, R>>;

fn take_turns<T, R>((tx, rx, start, turn): ArgsOf<T, R>)
where
    T: From<Number>,
    R: Route<T>,
    R::Tx: Transmit<T>,
    R::Rx: Receive<T>,
{
    start.wait().unwrap();
    for round in 0..ROUNDS {
        let message = T::from(Number(round));
        let done = match turn {
            Turn::Receive => tx.send(message).is_ok() && rx.try_recv().is_ok(),
            Turn::Send => rx.recv().is_ok() && tx.try_send(message).is_ok(),
        };
        assert!(done, "{turn:?}, round {round}");
    }
}

/// What messages are made of.
#[derive(Clone, Copy)]
struct Number(u64);

impl From<Number> for u64 {
    fn from(Number(number): Number) -> u64 {
        number
    }
}

impl From<Number> for Vec<u64> {
    fn from(Number(number): Number) -> Vec<u64> {
        vec![number; 1 + (number % 7) as usize * 16]
    }
}

fn in_processes<T, R>(
    (tx, rx): (ipc_core::Sender<T, R>, ipc_core::Receiver<T, R>),
    work: fn(ArgsOf<T, R>),
) where
    T: From<Number>,
    R: Route<T>,
    R::Tx: Serialize + DeserializeOwned,
    R::Rx: Serialize + DeserializeOwned,
{
    for turn in [Turn::Receive, Turn::Send] {
        let start = Barrier::new(PROCESSES).unwrap();
        let children: Vec<_> = (0..PROCESSES)
            .map(|_| {
                let args = (tx.clone(), rx.clone(), start.clone(), turn);
                Builder::new().kill_on_drop(true).spawn(work, args).unwrap()
            })
            .collect();
        if matches!(turn, Turn::Send) {
            // The first room in each process is that of one of these.
            (0..PROCESSES as u64).for_each(|n| assert!(tx.send(T::from(Number(n))).is_ok()));
        }
        children.into_iter().for_each(|child| child.join().unwrap());
    }
    assert_eq!(rx.drain().count(), PROCESSES);
}

// fault 108
#[test]
fn processes_find_what_is_there_in_a_typed_channel() {
    multiprocess::init();
    let _watchdog = watchdog_of(std::time::Duration::from_secs(55));
    fn work(args: Args<Sender<u64>, Receiver<u64>>) {
        take_turns(args);
    }
    in_processes(multiprocess::bounded(PROCESSES).unwrap(), work);
}

// fault 108
#[test]
fn processes_find_what_is_there_in_a_typed_channel_of_large_messages() {
    multiprocess::init();
    let _watchdog = watchdog_of(std::time::Duration::from_secs(55));
    fn work(args: Args<Sender<Vec<u64>>, Receiver<Vec<u64>>>) {
        take_turns(args);
    }
    in_processes(multiprocess::bounded(PROCESSES).unwrap(), work);
}

// fault 108
#[test]
fn processes_find_what_is_there_in_a_channel_of_plain_data() {
    multiprocess::init();
    let _watchdog = watchdog_of(std::time::Duration::from_secs(55));
    fn work(args: Args<pod::Sender<u64>, pod::Receiver<u64>>) {
        take_turns(args);
    }
    in_processes(pod::bounded(PROCESSES).unwrap(), work);
}

// fault 108
#[test]
fn processes_find_what_is_there_in_a_channel_of_slices() {
    multiprocess::init();
    let _watchdog = watchdog_of(std::time::Duration::from_secs(55));
    fn work(args: Args<slice::Sender<u64>, slice::Receiver<u64>>) {
        take_turns(args);
    }
    in_processes(slice::bounded(PROCESSES).unwrap(), work);
}
