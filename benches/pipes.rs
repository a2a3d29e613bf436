//! Channels over sockets and pipes against their own kind: `cargo bench --bench pipes`; with `--
//! 64B` a part of it.
//!
//! Blocking `send` and `recv` as in ordinary programs. Every peer is a process, pinned as
//! `BENCH_PIN=two|one|none` says. The reference of each workload is its first row: bare system
//! calls
//! on the same kind of socket or pipe, or ipc-channel.

mod support;

use std::time::Duration;

use support::bytes::{BarePackets, BarePipe, BareRights, BareSocket, Words};
use support::flow::{Packs, Single};
use support::job::Job;
use support::machine::Place;
use support::matrix::{self, Row};
use support::message::{Blob, Number, Order, Text};
use support::record::Unit;
use support::stream::{Shape, Stream};
use support::trips::Trips;
use support::wire::{Anonymous, ErasedPipe, IpcChannel, Local};

type Open = fn(Shape, Place) -> Box<dyn Job>;
type Trip = fn(Duration, Place) -> Box<dyn Job>;

const MIB: usize = 1 << 20;
const ONE: Shape = Shape { senders: 1, receivers: 1 };

/// The reference of a workload: its first row.
fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut workload = |workload, bytes, about, routes: &[(&'static str, Open)]| {
        for &(route, open) in routes {
            rows.push(Row {
                workload,
                about,
                route,
                shape: ONE.to_string(),
                reference: routes[0].0,
                unit: Unit::PerSecond,
                bytes,
                count: None,
                open: Box::new(move || open(ONE, Place::Apart)),
            });
        }
    };
    workload(
        "64B-socket",
        64,
        "against send and recv",
        &[
            ("bare-socket", Stream::processes::<Single<Words<BareSocket, 8>>>),
            ("socket", Stream::processes::<Single<Local<Order>>>),
            ("socket-erased", Stream::processes::<Single<ErasedPipe<Order>>>),
            ("socket-by-32", Stream::processes::<Packs<Local<Order>>>),
        ],
    );
    workload(
        "64B-rights",
        64,
        "against send and recvmsg with room for handles",
        &[
            ("bare-rights", Stream::processes::<Single<Words<BareRights, 8>>>),
            ("socket", Stream::processes::<Single<Local<Order>>>),
        ],
    );
    workload(
        "64B-pipe",
        64,
        "against write and read on a pipe that keeps packets",
        &[
            ("bare-packets", Stream::processes::<Single<Words<BarePackets, 8>>>),
            ("pipe", Stream::processes::<Single<Anonymous<Order>>>),
            ("pipe-by-32", Stream::processes::<Packs<Anonymous<Order>>>),
            ("bare-pipe", Stream::processes::<Single<Words<BarePipe, 8>>>),
        ],
    );
    workload(
        "64B-serde",
        64,
        "a struct, against ipc-channel",
        &[
            ("ipc-channel", Stream::processes::<Single<IpcChannel<Order>>>),
            ("socket", Stream::processes::<Single<Local<Order>>>),
            ("pipe", Stream::processes::<Single<Anonymous<Order>>>),
        ],
    );
    workload(
        "1KiB-serde",
        1024,
        "a struct with a vector of bytes, against ipc-channel",
        &[
            ("ipc-channel", Stream::processes::<Single<IpcChannel<Blob<1024>>>>),
            ("socket", Stream::processes::<Single<Local<Blob<1024>>>>),
            ("pipe", Stream::processes::<Single<Anonymous<Blob<1024>>>>),
        ],
    );
    workload(
        "1MiB-serde",
        MIB as u64,
        "a struct with a vector of bytes, against ipc-channel",
        &[
            ("ipc-channel", Stream::processes::<Single<IpcChannel<Blob<MIB>>>>),
            ("socket", Stream::processes::<Single<Local<Blob<MIB>>>>),
            ("pipe", Stream::processes::<Single<Anonymous<Blob<MIB>>>>),
        ],
    );
    workload(
        "1MiB-text",
        MIB as u64,
        "a struct with a text, against ipc-channel",
        &[
            ("ipc-channel", Stream::processes::<Single<IpcChannel<Text<MIB>>>>),
            ("socket", Stream::processes::<Single<Local<Text<MIB>>>>),
            ("pipe", Stream::processes::<Single<Anonymous<Text<MIB>>>>),
        ],
    );
    let mut trips = |workload, about, routes: [(&'static str, Trip); 2]| {
        for (route, open) in routes {
            rows.push(Row {
                workload,
                about,
                route,
                shape: String::new(),
                reference: routes[0].0,
                unit: Unit::Trip,
                bytes: 8,
                count: None,
                open: Box::new(move || open(Duration::ZERO, Place::Apart)),
            });
        }
    };
    trips(
        "trip-socket",
        "round trips, against send and recv",
        [
            ("bare-socket", Trips::processes::<Words<BareSocket, 1>>),
            ("socket", Trips::processes::<Local<Number>>),
        ],
    );
    trips(
        "trip-pipe",
        "round trips, against write and read on a pipe that keeps packets",
        [
            ("bare-packets", Trips::processes::<Words<BarePackets, 1>>),
            ("pipe", Trips::processes::<Anonymous<Number>>),
        ],
    );
    rows
}

fn main() {
    multiprocess::init();
    matrix::run("pipes", &rows(), &[], None);
}
