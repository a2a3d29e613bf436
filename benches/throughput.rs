//! Messages per second, one way: `cargo bench --bench throughput`; with `-- 64B` a part of it.
//!
//! Blocking `send` and `recv` as in ordinary programs. Where a route lets one choose, there is room
//! for 1024 messages (16 of those above 1 KiB). Every peer is a process (a thread for
//! crossbeam-channel, std and `thread`), pinned as `BENCH_PIN=two|one|none` says: senders on one
//! processor, receivers on another.
//!
//! `…-touched`: the sender writes every word, and the receiver reads every word. Otherwise both
//! access only the number of the message, and the route decides whether bytes are copied.
//! `…-one-core`: all peers on one processor.

mod support;

use support::bytes::{self, Words};
use support::flow::{Batches, Bulk, Flow, Packs, Single};
use support::job::Job;
use support::machine::Place;
use support::matrix::{self, Row};
use support::message::{Number, Order};
use support::python::{self, Kind, Python};
use support::record::Unit;
use support::routes::REFERENCE;
use support::stream::{Shape, Stream};
use support::wire;

type Open = fn(Shape, Place) -> Box<dyn Job>;

/// Workloads: name, bytes, and description.
const EIGHT: (&str, u64, &str) = ("8B", 8, "a number");
const SMALL: (&str, u64, &str) = ("64B", 64, "eight words, or a struct of ten fields");
const ONE_CORE: (&str, u64, &str) = ("64B-one-core", 64, "the same, all peers on one core");
const MOVED: [(&str, u64, &str); 3] = [
    ("1KiB", 1 << 10, "moved: the number written and read, the rest as the route moves it"),
    ("64KiB", 1 << 16, "moved: the number written and read, the rest as the route moves it"),
    ("1MiB", 1 << 20, "moved: the number written and read, the rest as the route moves it"),
];
const TOUCHED: [(&str, u64, &str); 3] = [
    ("1KiB-touched", 1 << 10, "every word written and read"),
    ("64KiB-touched", 1 << 16, "every word written and read"),
    ("1MiB-touched", 1 << 20, "every word written and read"),
];

/// The rows that are left out, and why.
const OMITTED: &[(&str, &str)] = &[
    (
        "pod above 1 KiB",
        "a value of that size would go over the stack: bytes-lent writes and reads it in place",
    ),
    (
        "batches above 64 B",
        "they save the price of a message, which is small beside that of its bytes",
    ),
    ("bytes-lent at 2-2, 4-4, 4-1", "it differs from bytes by the copy, which is small at 64 B"),
    ("bare-socket at 1 MiB", "the kernel refuses datagrams of that size"),
    ("bare-packets above 1 KiB", "the kernel splits packets above 4 KiB"),
    (
        "several receivers on std-mpsc, ipc-channel, interprocess, bare-pipe",
        "they have one receiver",
    ),
    (
        "several peers on naive",
        "its events remember one signal, so of several who sleep one may be forgotten",
    ),
    ("several peers on duplex", "a connection has two ends"),
    ("socket-erased above 64 B", "it differs from socket by one branch a message"),
    ("several peers on python-queue, python-pipe", "they are far behind with one of each"),
];

struct Rows(Vec<Row>);

impl Rows {
    fn add(
        &mut self,
        (workload, bytes, about): (&'static str, u64, &'static str),
        route: &'static str,
        (senders, receivers): (u64, u64),
        place: Place,
        open: Open,
    ) {
        let shape = Shape { senders, receivers };
        self.0.push(Row {
            workload,
            about,
            route,
            bytes,
            shape: shape.to_string(),
            reference: REFERENCE,
            unit: Unit::PerSecond,
            count: None,
            open: Box::new(move || open(shape, place)),
        });
    }

    /// Small messages: of eight bytes and of 64 between two, and of 64 in other shapes.
    fn small(&mut self, route: &'static str, eight: Open, small: Open, shapes: &[(u64, u64)]) {
        self.add(EIGHT, route, (1, 1), Place::Apart, eight);
        self.add(SMALL, route, (1, 1), Place::Apart, small);
        self.add(ONE_CORE, route, (1, 1), Place::Together, small);
        for &shape in shapes {
            self.add(SMALL, route, shape, Place::Apart, small);
        }
    }

    /// Those of 1 KiB, 64 KiB and 1 MiB, as far as there are any.
    fn large(&mut self, route: &'static str, moved: &[Open], touched: &[Open]) {
        for (workload, &open) in
            MOVED.into_iter().zip(moved).chain(TOUCHED.into_iter().zip(touched))
        {
            self.add(workload, route, (1, 1), Place::Apart, open);
        }
    }
}

/// Between threads.
fn threads<F: Flow<Tx: Send, Rx: Send>>() -> Open {
    Stream::threads::<F>
}

/// Between processes.
fn processes<F>() -> Open
where
    F: Flow<
            Tx: serde::Serialize + serde::de::DeserializeOwned,
            Rx: serde::Serialize + serde::de::DeserializeOwned,
        >,
{
    Stream::processes::<F>
}

/// Large messages of a route of bytes.
macro_rules! large {
    ($opens:ident, $Bytes:ty) => {
        (
            &[
                $opens::<Bulk<$Bytes, 1024, false>>(),
                $opens::<Bulk<$Bytes, 65536, false>>(),
                $opens::<Bulk<$Bytes, 1048576, false>>(),
            ],
            &[
                $opens::<Bulk<$Bytes, 1024, true>>(),
                $opens::<Bulk<$Bytes, 65536, true>>(),
                $opens::<Bulk<$Bytes, 1048576, true>>(),
            ],
        )
    };
}

const MANY: &[(u64, u64)] = &[(2, 2), (4, 4), (4, 1)];
const TO_ONE: &[(u64, u64)] = &[(4, 1)];

fn rows() -> Vec<Row> {
    let mut rows = Rows(Vec::new());
    macro_rules! small {
        ($name:literal, $opens:ident, $Eight:ty, $Small:ty, $shapes:expr) => {
            rows.small($name, $opens::<$Eight>(), $opens::<$Small>(), $shapes)
        };
    }
    macro_rules! bytes {
        ($name:literal, $opens:ident, $Bytes:ty, $shapes:expr) => {
            small!($name, $opens, Single<Words<$Bytes, 1>>, Single<Words<$Bytes, 8>>, $shapes)
        };
    }
    rows.small(
        REFERENCE,
        threads::<Single<wire::Crossbeam<[u64; 1]>>>(),
        threads::<Single<wire::Crossbeam<[u64; 8]>>>(),
        MANY,
    );
    small!("std-mpsc", threads, Single<wire::Std<[u64; 1]>>, Single<wire::Std<[u64; 8]>>, TO_ONE);
    small!("thread", threads, Single<wire::Thread<[u64; 1]>>, Single<wire::Thread<[u64; 8]>>, MANY);
    small!("pod", processes, Single<wire::Pod<[u64; 1]>>, Single<wire::Pod<[u64; 8]>>, MANY);
    small!("pod-by-32", processes, Batches<[u64; 1]>, Batches<[u64; 8]>, MANY);
    small!("typed", processes, Single<wire::Typed<Number>>, Single<wire::Typed<Order>>, MANY);
    small!("erased", processes, Single<wire::Erased<Number>>, Single<wire::Erased<Order>>, MANY);
    bytes!("bytes", processes, bytes::Copied, MANY);
    bytes!("bytes-lent", processes, bytes::Lent, &[]);
    bytes!("naive", processes, support::naive::Naive, &[]);
    small!(
        "pipe",
        processes,
        Single<wire::Anonymous<Number>>,
        Single<wire::Anonymous<Order>>,
        MANY
    );
    small!(
        "pipe-by-32",
        processes,
        Packs<wire::Anonymous<Number>>,
        Packs<wire::Anonymous<Order>>,
        TO_ONE
    );
    small!("socket", processes, Single<wire::Local<Number>>, Single<wire::Local<Order>>, MANY);
    small!(
        "socket-by-32",
        processes,
        Packs<wire::Local<Number>>,
        Packs<wire::Local<Order>>,
        TO_ONE
    );
    small!(
        "socket-erased",
        processes,
        Single<wire::ErasedPipe<Number>>,
        Single<wire::ErasedPipe<Order>>,
        &[]
    );
    small!("duplex", processes, Single<wire::Duplex<Number>>, Single<wire::Duplex<Order>>, &[]);
    small!(
        "ipc-channel",
        processes,
        Single<wire::IpcChannel<Number>>,
        Single<wire::IpcChannel<Order>>,
        &[]
    );
    bytes!("ipc-channel-bytes", processes, bytes::IpcBytes, &[]);
    bytes!("interprocess", processes, bytes::Interprocess, &[]);
    bytes!("bare-socket", processes, bytes::BareSocket, MANY);
    bytes!("bare-packets", processes, bytes::BarePackets, MANY);
    bytes!("bare-pipe", processes, bytes::BarePipe, TO_ONE);

    macro_rules! bulk {
        ($name:expr, $opens:ident, $Bytes:ty) => {{
            let (moved, touched) = large!($opens, $Bytes);
            rows.large($name, moved, touched);
        }};
    }
    bulk!(REFERENCE, threads, bytes::Crossbeam);
    bulk!("std-mpsc", threads, bytes::Std);
    bulk!("thread", threads, bytes::Thread);
    rows.large("pod", &[processes::<Single<wire::Pod<[u64; 128]>>>()], &[]);
    bulk!("typed", processes, bytes::Typed);
    bulk!("erased", processes, bytes::Erased);
    bulk!("bytes", processes, bytes::Copied);
    bulk!("bytes-lent", processes, bytes::Lent);
    bulk!("naive", processes, support::naive::Naive);
    bulk!("pipe", processes, bytes::Anonymous);
    bulk!("socket", processes, bytes::Local);
    bulk!("duplex", processes, bytes::Duplex);
    bulk!("ipc-channel", processes, bytes::IpcTyped);
    bulk!("ipc-channel-bytes", processes, bytes::IpcBytes);
    bulk!("interprocess", processes, bytes::Interprocess);
    {
        let (moved, touched) = large!(processes, bytes::BareSocket);
        rows.large("bare-socket", &moved[..2], &touched[..2]);
    }
    bulk!("bare-pipe", processes, bytes::BarePipe);

    if python::interpreter().is_some() {
        for (route, kind) in [("python-queue", Kind::Queue), ("python-pipe", Kind::Pipe)] {
            python(&mut rows, route, kind);
        }
    } else {
        println!("python3 is not there: without its rows");
    }
    let mut rows = rows.0;
    // Tables and rounds go by workload; the order of routes stays.
    let order: Vec<&str> =
        [EIGHT, SMALL, ONE_CORE].into_iter().chain(MOVED).chain(TOUCHED).map(|w| w.0).collect();
    rows.sort_by_key(|row| {
        (order.iter().position(|&name| name == row.workload), row.shape.clone())
    });
    rows
}

fn python(rows: &mut Rows, route: &'static str, kind: Kind) {
    let workloads = [EIGHT, SMALL, ONE_CORE].into_iter().chain(MOVED).chain(TOUCHED);
    for (workload, bytes, about) in workloads {
        let place = if workload == ONE_CORE.0 { Place::Together } else { Place::Apart };
        let touch = workload.ends_with("touched");
        rows.0.push(Row {
            workload,
            about,
            route,
            bytes,
            shape: "1-1".to_owned(),
            reference: REFERENCE,
            unit: Unit::PerSecond,
            count: None,
            open: Box::new(move || Python::stream(kind, bytes as usize, touch, place)),
        });
    }
}

fn main() {
    multiprocess::init();
    matrix::run("throughput", &rows(), OMITTED, None);
}
