//! Waiting for several things: `cargo bench --bench select`; with `-- select-2` a part of it.
//!
//! `select-2`, `select-8`: one peer sends to so many channels in turn, and a `Select` over all of
//! them receives. `select-trip`: round trips with another process, received by `recv` and by
//! `select!` over two channels; `select-rested`: the same, a millisecond apart. Nothing is pinned:
//! the system places the peers.

mod support;

use std::time::{Duration, Instant};

use multiprocess::{Receiver, Route, Select, Sender, select};

use support::CAPACITY;
use support::job::TimesItself;
use support::matrix::{self, Row};
use support::record::Unit;

const CROSSBEAM: &str = "crossbeam-threads";
const PLAIN: &str = "shm-recv";

/// Times an operation: `nanos` repeats it, and returns the nanoseconds that this took.
fn row(
    workload: &'static str,
    route: &'static str,
    reference: &'static str,
    count: u64,
    nanos: fn(u64) -> f64,
) -> Row {
    let about = match workload {
        "select-2" => "a message from one of two channels, whose sender does not pause",
        "select-8" => "a message from one of eight channels, whose sender does not pause",
        "select-trip" => "there and back over two channels",
        _ => "there and back over two channels, a millisecond after the last time",
    };
    let shape = String::new();
    let open = Box::new(move || Box::new(TimesItself(nanos)) as _);
    let (unit, bytes, count) = (Unit::Step, 0, Some(count));
    Row { workload, about, route, shape, reference, unit, bytes, count, open }
}

fn rows() -> Vec<Row> {
    let stream = |workload, route, nanos| row(workload, route, CROSSBEAM, 300_000, nanos);
    let trip = |route, nanos| row("select-trip", route, PLAIN, 30_000, nanos);
    let rested = |route, nanos| row("select-rested", route, PLAIN, 100, nanos);
    vec![
        stream("select-2", CROSSBEAM, crossbeam::<2>),
        stream("select-2", "shm", |n| streams::<2>(n, Route::Shm)),
        stream("select-2", "thread", |n| streams::<2>(n, Route::Thread)),
        stream("select-8", CROSSBEAM, crossbeam::<8>),
        stream("select-8", "shm", |n| streams::<8>(n, Route::Shm)),
        stream("select-8", "thread", |n| streams::<8>(n, Route::Thread)),
        trip(PLAIN, |n| trips(n, Route::Shm, None, |rx, _| rx.recv().expect("it answers"))),
        trip("shm-select", |n| trips(n, Route::Shm, None, either)),
        trip("socket-recv", |n| {
            trips(n, Route::Pipe, None, |rx, _| rx.recv().expect("it answers"))
        }),
        trip("socket-select-beside-shm", |n| trips(n, Route::Pipe, None, either)),
        rested(PLAIN, |n| trips(n, Route::Shm, REST, |rx, _| rx.recv().expect("it answers"))),
        rested("shm-select", |n| trips(n, Route::Shm, REST, either)),
        rested("socket-recv", |n| {
            trips(n, Route::Pipe, REST, |rx, _| rx.recv().expect("it answers"))
        }),
        rested("socket-select-beside-shm", |n| trips(n, Route::Pipe, REST, either)),
    ]
}

const REST: Option<Duration> = Some(Duration::from_millis(1));

/// Sends as many numbers as each count says, to all channels in turn.
fn send_in_turn((counts, channels): (Receiver<u64>, Vec<Sender<u64>>)) {
    for count in counts {
        for (number, channel) in (0..count).zip(channels.iter().cycle()) {
            channel.send(number).expect("the other side waits for all");
        }
    }
}

/// Receives `n` messages from `K` channels of a route, whose sender is another process, or thread.
fn streams<const K: usize>(n: u64, route: Route) -> f64 {
    let make = |_| route.bounded::<u64>(CAPACITY).expect("a channel");
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..K).map(make).unzip();
    let (count, counts) = route.bounded(1).expect("a channel");
    let receive = |n: u64| {
        count.send(n).expect("the sender waits for it");
        let mut select = Select::new();
        receivers.iter().for_each(|receiver| _ = select.recv(receiver));
        let begin = Instant::now();
        let mut sum = 0;
        for _ in 0..n {
            let chosen = select.select();
            let receiver = &receivers[chosen.index()];
            sum += chosen.recv(receiver).expect("it sends as many");
        }
        assert_eq!(sum, n * (n - 1) / 2);
        begin.elapsed().as_nanos() as f64
    };
    let work = |n| {
        receive(n / 10 + 1);
        receive(n)
    };
    match route {
        Route::Thread => {
            let sender = std::thread::spawn(move || send_in_turn((counts, senders)));
            let nanos = work(n);
            drop(count);
            sender.join().expect("it ends when there is nothing more to send");
            nanos
        }
        _ => {
            let sender = multiprocess::spawn(send_in_turn, (counts, senders)).expect("a child");
            let nanos = work(n);
            drop(count);
            sender.join().expect("it ends when there is nothing more to send");
            nanos
        }
    }
}

/// Does the same with channels of crossbeam-channel, between threads.
fn crossbeam<const K: usize>(n: u64) -> f64 {
    let make = |_| crossbeam_channel::bounded::<u64>(CAPACITY);
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..K).map(make).unzip();
    let (count, counts) = crossbeam_channel::bounded(1);
    let receive = |n: u64| {
        count.send(n).expect("the sender waits for it");
        let mut select = crossbeam_channel::Select::new();
        receivers.iter().for_each(|receiver| _ = select.recv(receiver));
        let begin = Instant::now();
        let mut sum = 0;
        for _ in 0..n {
            let chosen = select.select();
            let receiver = &receivers[chosen.index()];
            sum += chosen.recv(receiver).expect("it sends as many");
        }
        assert_eq!(sum, n * (n - 1) / 2);
        begin.elapsed().as_nanos() as f64
    };
    let sender = std::thread::spawn(move || {
        for count in counts {
            for (number, channel) in (0..count).zip(senders.iter().cycle()) {
                channel.send(number).expect("the other side waits for all");
            }
        }
    });
    receive(n / 10 + 1);
    let nanos = receive(n);
    drop(count);
    sender.join().expect("it ends when there is nothing more to send");
    nanos
}

fn answer((asked, answers): (Receiver<u64>, Sender<u64>)) {
    for number in asked {
        answers.send(number).expect("the other side waits for it");
    }
}

/// Receives from the first of two channels, by `select!` over both.
fn either(rx: &Receiver<u64>, other: &Receiver<u64>) -> u64 {
    select! {
        recv(rx) -> number => number.expect("it answers"),
        recv(other) -> _ => unreachable!("it has no sender that sends"),
    }
}

/// Makes this many round trips with another process over two channels of a route. `receive` gets
/// the channel of the answers, and one through shared memory on which nothing comes.
fn trips(
    n: u64,
    route: Route,
    rest: Option<Duration>,
    receive: fn(&Receiver<u64>, &Receiver<u64>) -> u64,
) -> f64 {
    let (ask, asked) = route.channel().expect("a channel");
    let (answers, answered) = route.channel().expect("a channel");
    let (_silent, other) = multiprocess::bounded::<u64>(1).expect("a channel");
    let child = multiprocess::spawn(answer, (asked, answers)).expect("a child");
    let mut nanos = 0;
    for number in 0..n + n / 10 + 1 {
        rest.into_iter().for_each(std::thread::sleep);
        let begin = Instant::now();
        ask.send(number).expect("it answers");
        assert_eq!(receive(&answered, &other), number);
        // The first ones are not counted.
        if number > n / 10 {
            nanos += begin.elapsed().as_nanos();
        }
    }
    drop(ask);
    child.join().expect("it ends when nothing is asked any more");
    nanos as f64
}

fn main() {
    multiprocess::init();
    matrix::run("select", &rows(), &[], None);
}
