//! Round trips of 8 bytes: `cargo bench --bench latency`; with `-- hot` a part of it.
//!
//! Blocking `send` and `recv` as in ordinary programs, with one message under way between two
//! processes (two threads for crossbeam-channel, std and `thread`), pinned as
//! `BENCH_PIN=two|one|none` says. `hot`: one round trip after the other. `rested`: each after a
//! millisecond in which neither side does anything. `…-one-core`: both peers on one processor.

mod support;

use std::time::Duration;

use support::bytes::{self, Words};
use support::job::Job;
use support::machine::Place;
use support::matrix::{self, Row};
use support::message::Number;
use support::naive::Naive;
use support::python::{self, Kind, Python};
use support::record::Unit;
use support::routes::REFERENCE;
use support::trips::Trips;
use support::wire;

type Open = fn(Duration, Place) -> Box<dyn Job>;

const REST: Duration = Duration::from_millis(1);
const WORKLOADS: [(&str, &str, Duration, Place); 3] = [
    ("hot", "one round trip after the other", Duration::ZERO, Place::Apart),
    ("rested", "each round trip after a millisecond of rest", REST, Place::Apart),
    (
        "hot-one-core",
        "one round trip after the other, both peers on one core",
        Duration::ZERO,
        Place::Together,
    ),
];

const OMITTED: &[(&str, &str)] = &[
    (
        "batches, bytes-lent, ipc-channel-bytes in round trips",
        "of one small message at a time they are the route itself",
    ),
    (
        "bare-rights, bare-packets in round trips",
        "as bare-socket and bare-pipe; the bench `pipes` has them",
    ),
];

fn routes() -> Vec<(&'static str, Open)> {
    let mut routes: Vec<(&'static str, Open)> = vec![
        (REFERENCE, Trips::threads::<wire::Crossbeam<[u64; 1]>>),
        ("std-mpsc", Trips::threads::<wire::Std<[u64; 1]>>),
        ("thread", Trips::threads::<wire::Thread<[u64; 1]>>),
        ("pod", Trips::processes::<wire::Pod<[u64; 1]>>),
        ("typed", Trips::processes::<wire::Typed<Number>>),
        ("erased", Trips::processes::<wire::Erased<Number>>),
        ("bytes", Trips::processes::<Words<bytes::Copied, 1>>),
        ("naive", Trips::processes::<Words<Naive, 1>>),
        ("pipe", Trips::processes::<wire::Anonymous<Number>>),
        ("socket", Trips::processes::<wire::Local<Number>>),
        ("duplex", Trips::processes::<wire::Duplex<Number>>),
        ("ipc-channel", Trips::processes::<wire::IpcChannel<Number>>),
        ("interprocess", Trips::processes::<Words<bytes::Interprocess, 1>>),
        ("bare-socket", Trips::processes::<Words<bytes::BareSocket, 1>>),
        ("bare-pipe", Trips::processes::<Words<bytes::BarePipe, 1>>),
    ];
    if python::interpreter().is_some() {
        routes.push(("python-queue", |rest, place| Python::trips(Kind::Queue, rest, place)));
        routes.push(("python-pipe", |rest, place| Python::trips(Kind::Pipe, rest, place)));
    } else {
        println!("python3 is not there: without its rows");
    }
    routes
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (workload, about, rest, place) in WORKLOADS {
        for (route, open) in routes() {
            rows.push(Row {
                workload,
                about,
                route,
                shape: String::new(),
                reference: REFERENCE,
                unit: Unit::Trip,
                bytes: 8,
                count: None,
                open: Box::new(move || open(rest, place)),
            });
        }
    }
    rows
}

fn main() {
    multiprocess::init();
    matrix::run("latency", &rows(), OMITTED, None);
}
