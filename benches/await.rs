//! Awaiting messages: `cargo bench --bench await`; with `-- await-trip` a part of it.
//!
//! `await-trip`: round trips between two tasks on runtimes of tokio of one thread each, in two
//! processes or two threads; `await-rested`: the same, a millisecond apart. Nothing is pinned: the
//! system places the peers.

mod support;

use std::time::{Duration, Instant};

use multiprocess::{Receiver, Route, Sender};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use support::CAPACITY;
use support::job::TimesItself;
use support::matrix::{self, Row};
use support::record::Unit;

const TOKIO: &str = "tokio-mpsc-threads";
const BLOCKING: &str = "shm-recv";

/// Times round trips: `nanos` makes some, and returns the nanoseconds that they took.
fn row(
    workload: &'static str,
    route: &'static str,
    reference: &'static str,
    count: u64,
    nanos: fn(u64) -> f64,
) -> Row {
    let about = match workload {
        "await-trip" => "there and back over two channels",
        _ => "there and back over two channels, a millisecond after the last time",
    };
    let shape = String::new();
    let open = Box::new(move || Box::new(TimesItself(nanos)) as _);
    let (unit, bytes, count) = (Unit::Step, 0, Some(count));
    Row { workload, about, route, shape, reference, unit, bytes, count, open }
}

fn rows() -> Vec<Row> {
    let trip = |route, nanos| row("await-trip", route, TOKIO, 30_000, nanos);
    let rested = |route, nanos| row("await-rested", route, BLOCKING, 100, nanos);
    vec![
        trip(TOKIO, |n| tokio_trips(n, None)),
        trip(BLOCKING, |n| blocking_trips(n, None)),
        trip("shm", |n| trips(n, Route::Shm, None)),
        trip("socket", |n| trips(n, Route::Pipe, None)),
        trip("thread", |n| trips(n, Route::Thread, None)),
        rested(TOKIO, |n| tokio_trips(n, REST)),
        rested(BLOCKING, |n| blocking_trips(n, REST)),
        rested("shm", |n| trips(n, Route::Shm, REST)),
        rested("socket", |n| trips(n, Route::Pipe, REST)),
        rested("thread", |n| trips(n, Route::Thread, REST)),
    ]
}

const REST: Option<Duration> = Some(Duration::from_millis(1));

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

type Ends = (Receiver<u64>, Sender<u64>);

fn answer((asked, answers): Ends) {
    for number in asked {
        answers.send(number).expect("the other side waits for it");
    }
}

fn answer_as_task((asked, answers): Ends) {
    runtime().block_on(async {
        while let Ok(number) = asked.recv_async().await {
            answers.send_async(number).await.expect("the other side waits for it");
        }
    });
}

/// Times `n` round trips. The first ones are not counted.
async fn time(n: u64, rest: Option<Duration>, mut trip: impl AsyncFnMut(u64) -> u64) -> f64 {
    let mut nanos = 0;
    for number in 0..n + n / 10 + 1 {
        // The runtime has nothing else to do.
        rest.into_iter().for_each(std::thread::sleep);
        let begin = Instant::now();
        assert_eq!(trip(number).await, number);
        if number > n / 10 {
            nanos += begin.elapsed().as_nanos();
        }
    }
    nanos as f64
}

/// Awaits answers of a task in another process, or thread.
fn trips(n: u64, route: Route, rest: Option<Duration>) -> f64 {
    let (ask, asked) = route.channel().expect("a channel");
    let (answers, answered) = route.channel().expect("a channel");
    let work = || {
        runtime().block_on(time(n, rest, async |number| {
            ask.send_async(number).await.expect("it answers");
            answered.recv_async().await.expect("it answers")
        }))
    };
    if let Route::Thread = route {
        let answerer = std::thread::spawn(move || answer_as_task((asked, answers)));
        let nanos = work();
        drop(ask);
        answerer.join().expect("it ends when nothing is asked any more");
        return nanos;
    }
    let child = multiprocess::spawn(answer_as_task, (asked, answers)).expect("a child");
    let nanos = work();
    drop(ask);
    child.join().expect("it ends when nothing is asked any more");
    nanos
}

/// Does the same, blocking, through shared memory.
fn blocking_trips(n: u64, rest: Option<Duration>) -> f64 {
    let (ask, asked) = Route::Shm.channel().expect("a channel");
    let (answers, answered) = Route::Shm.channel().expect("a channel");
    let child = multiprocess::spawn(answer, (asked, answers)).expect("a child");
    let nanos = runtime().block_on(time(n, rest, async |number| {
        ask.send(number).expect("it answers");
        answered.recv().expect("it answers")
    }));
    drop(ask);
    child.join().expect("it ends when nothing is asked any more");
    nanos
}

/// Does the same with channels of tokio, between threads.
fn tokio_trips(n: u64, rest: Option<Duration>) -> f64 {
    let (ask, mut asked) = mpsc::channel::<u64>(CAPACITY);
    let (answers, mut answered) = mpsc::channel(CAPACITY);
    let answerer = std::thread::spawn(move || {
        runtime().block_on(async {
            while let Some(number) = asked.recv().await {
                answers.send(number).await.expect("the other side waits for it");
            }
        });
    });
    let nanos = runtime().block_on(time(n, rest, async |number| {
        ask.send(number).await.expect("it answers");
        answered.recv().await.expect("it answers")
    }));
    drop(ask);
    answerer.join().expect("it ends when nothing is asked any more");
    nanos
}

fn main() {
    multiprocess::init();
    matrix::run("await", &rows(), &[], None);
}
