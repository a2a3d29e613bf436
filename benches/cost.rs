//! What channels and processes cost apart from messages: `cargo bench --bench cost`; with `-- make`
//! a part of it.
//!
//! `make`: creating and dropping a channel of 64 slots. `hand-over`: starting a process (a thread
//! for crossbeam-channel) with the end of a channel in its arguments, until its first message
//! arrives. `argument`, `result`: starting a process that takes or returns 64 MiB, until it has
//! ended. The bytes travel in its argument or its result, or through a channel. `wait`: the
//! processor time of a process that waits in `recv`, and of one that waits in `send`. `memory`,
//! `filled`, `descriptors`: what a channel takes when it is created, and while it contains 64
//! messages.

mod support;

use std::borrow::Cow;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use criterion::Criterion;
use ipc_channel::ipc;
use multiprocess::JoinHandle;
use multiprocess::process::Builder;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use support::bytes::{BarePackets, BareSocket, Words};
use support::job::{Job, Steps};
use support::matrix::{self, More, Row};
use support::message::{Message, Order};
use support::naive::{Naive, Queue};
use support::record::{Record, Unit};
use support::rounds::{Wanted, figure, rounds, spread};
use support::routes::REFERENCE;
use support::wire::{Anonymous, Crossbeam, Duplex, Erased, IpcChannel, Local, Pod, Typed, Wire};
use support::{Mode, machine, mode};

/// Slots of the channels that are created here.
const ROOM: usize = 64;
const PAGE: usize = 4096;
/// The route of arguments and results.
const SPAWN: &str = "spawn";

type Plain = [u64; 8];
type Open = fn() -> Box<dyn Job>;

const OMITTED: &[(&str, &str)] = &[
    (
        "memory of sockets and pipes while messages lie in them",
        "it is the kernel's, which does not report the owner",
    ),
    (
        "hand-over of ipc-channel and others",
        "they start no processes: a program does that by itself",
    ),
];

fn steps<T: 'static>(f: fn() -> T) -> Box<dyn Job> {
    Box::new(Steps(f))
}

fn rows() -> Vec<Row> {
    let make: &[(&'static str, Open)] = &[
        (REFERENCE, || steps(|| crossbeam_channel::bounded::<Plain>(ROOM))),
        ("std-mpsc", || steps(|| std::sync::mpsc::sync_channel::<Plain>(ROOM))),
        ("thread", || steps(|| multiprocess::thread::bounded::<Order>(ROOM).expect("a channel"))),
        ("pod", || steps(|| ipc_shm::pod::bounded::<Plain>(ROOM).expect("a channel"))),
        ("typed", || steps(|| ipc_shm::bounded::<Order>(ROOM).expect("a channel"))),
        ("erased", || steps(|| multiprocess::bounded::<Order>(ROOM).expect("a channel"))),
        ("bytes", || steps(|| ipc_shm::bytes::bounded(ROOM).expect("a channel"))),
        ("naive", || steps(|| Queue::create(64, ROOM))),
        ("pipe", || steps(|| ipc_pipes::pipe::channel::<Order>().expect("a channel"))),
        ("socket", || steps(|| ipc_pipes::channel::<Order>().expect("a channel"))),
        ("duplex", || steps(|| ipc_pipes::duplex::<Order, Order>().expect("a connection"))),
        ("ipc-channel", || steps(|| ipc::channel::<Order>().expect("a channel"))),
        ("ipc-channel-bytes", || steps(|| ipc::bytes_channel().expect("a channel"))),
        ("bare-socket", || steps(Words::<BareSocket, 8>::channel)),
        ("bare-packets", || steps(Words::<BarePackets, 8>::channel)),
    ];
    let hand_over: &[(&'static str, Open)] = &[
        (REFERENCE, || steps(start_thread)),
        ("erased", || steps(|| start_process(multiprocess::bounded(ROOM)))),
        ("socket-erased", || steps(|| start_process(multiprocess::pipe::channel()))),
    ];
    let argument: &[(&'static str, Open)] = &[
        (SPAWN, || steps(take_argument)),
        ("erased", || steps(|| take_message(multiprocess::bounded(1)))),
        ("socket-erased", || steps(|| take_message(multiprocess::pipe::channel()))),
    ];
    let result: &[(&'static str, Open)] = &[
        (SPAWN, || steps(give_result)),
        ("erased", || steps(|| give_message(multiprocess::bounded(1)))),
        ("socket-erased", || steps(|| give_message(multiprocess::pipe::channel()))),
    ];
    let mut rows = Vec::new();
    for (workload, about, reference, bytes, routes) in [
        ("make", "a channel of 64 slots is made and dropped", REFERENCE, 0, make),
        (
            "hand-over",
            "a process (a thread) is started with one end, and its first message is here",
            REFERENCE,
            0,
            hand_over,
        ),
        (
            "argument",
            "a process is started, takes 64 MiB as its argument or from a channel, and ends",
            SPAWN,
            Large::len() as u64,
            argument,
        ),
        (
            "result",
            "a process is started, gives 64 MiB as its result or through a channel, and ends",
            SPAWN,
            Large::len() as u64,
            result,
        ),
    ] {
        for &(route, open) in routes {
            rows.push(Row {
                workload,
                about,
                route,
                shape: String::new(),
                reference,
                unit: Unit::Step,
                bytes,
                count: None,
                open: Box::new(open),
            });
        }
    }
    rows
}

fn start_thread() {
    let (tx, rx) = crossbeam_channel::bounded(ROOM);
    let thread = std::thread::spawn(move || tx.send(Order::new(7)).expect("the receiver is there"));
    assert_eq!(rx.recv().expect("the thread sends"), Order::new(7));
    thread.join().expect("a thread that ends well");
}

type Ends = (multiprocess::Sender<Order>, multiprocess::Receiver<Order>);

fn start_process(channel: std::io::Result<Ends>) {
    let (tx, rx) = channel.expect("a channel");
    let child = multiprocess::spawn(greet, tx).expect("a child");
    assert_eq!(rx.recv().expect("the child sends"), Order::new(7));
    child.join().expect("a child that ends well");
}

fn greet(tx: multiprocess::Sender<Order>) {
    tx.send(Order::new(7)).expect("the parent receives");
}

/// Many bytes, which are not copied before they are sent.
#[derive(Serialize, Deserialize)]
struct Large(Cow<'static, [u8]>);

impl Large {
    fn new() -> Large {
        static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
            let mut bytes = vec![0; Large::len()];
            (0..Large::len()).step_by(PAGE).for_each(|at| bytes[at] = Large::mark(at));
            bytes
        });
        Large(Cow::Borrowed(&BYTES))
    }

    /// Returns how many bytes it has. Without optimisation, and only to be run once, fewer do.
    fn len() -> usize {
        if mode() == Mode::Once { 1 << 20 } else { 64 << 20 }
    }

    /// Returns the first byte of the page at this offset.
    fn mark(at: usize) -> u8 {
        (at / PAGE % 251) as u8
    }

    fn check(&self) {
        assert_eq!(self.0.len(), Large::len());
        assert!((0..Large::len()).step_by(PAGE).all(|at| self.0[at] == Large::mark(at)));
    }
}

type LargeEnds = (multiprocess::Sender<Large>, multiprocess::Receiver<Large>);

fn take_argument() {
    let child = multiprocess::spawn(|large: Large| large.check(), Large::new()).expect("a child");
    child.join().expect("a child that ends well");
}

fn take_message(channel: std::io::Result<LargeEnds>) {
    let (tx, rx) = channel.expect("a channel");
    let child = multiprocess::spawn(recv_large, rx).expect("a child");
    tx.send(Large::new()).expect("the child receives");
    child.join().expect("a child that ends well");
}

fn recv_large(rx: multiprocess::Receiver<Large>) {
    rx.recv().expect("the parent sends").check();
}

fn give_result() {
    let child = multiprocess::spawn(|()| Large::new(), ()).expect("a child");
    child.join().expect("a child that ends well").check();
}

fn give_message(channel: std::io::Result<LargeEnds>) {
    let (tx, rx) = channel.expect("a channel");
    let child = multiprocess::spawn(send_large, tx).expect("a child");
    rx.recv().expect("the child sends").check();
    child.join().expect("a child that ends well");
}

fn send_large(tx: multiprocess::Sender<Large>) {
    tx.send(Large::new()).expect("the parent receives");
}

fn main() {
    multiprocess::init();
    matrix::run("cost", &rows(), OMITTED, Some(&Rest));
}

/// Measured once, and not in rounds: waiting, and the resources of a channel.
struct Rest;

const WAIT: [&str; 2] = ["recv", "send"];
const TAKES: usize = WAIT.len();

impl More for Rest {
    /// The processor time of a millisecond of waiting. For memory, no time.
    fn report(&self, criterion: &mut Criterion) -> Vec<usize> {
        let wanted = Wanted::default();
        for (i, name) in WAIT.into_iter().enumerate() {
            let mut group = criterion.benchmark_group("wait");
            group.bench_function(name, |bencher| {
                wanted.add(i);
                bencher.iter_custom(|millis| {
                    let waiter =
                        if i == 0 { wait_in_recv::<Erased<Order>>() } else { wait_in_send() };
                    std::thread::sleep(Duration::from_millis(millis));
                    waiter.end()
                });
            });
            group.finish();
        }
        criterion.benchmark_group("memory").bench_function("make-64", |bencher| {
            wanted.add(TAKES);
            bencher.iter_custom(|n| {
                let begin = Instant::now();
                (0..n).for_each(|_| {
                    std::hint::black_box(Takes::of::<Erased<Order>>("erased", true));
                });
                begin.elapsed()
            });
        });
        wanted.rows()
    }

    fn measure(&self, wanted: &[usize]) -> Vec<Record> {
        let mut records = Vec::new();
        let rows = wanted;
        if rows.contains(&0) || rows.contains(&1) {
            records.extend(waits(rows.contains(&0), rows.contains(&1)));
        }
        if rows.contains(&TAKES) {
            records.extend(takes());
        }
        records
    }
}

/// A process that waits, and the way to wake it.
struct Waiter {
    child: JoinHandle<Duration>,
    wake: Box<dyn FnOnce()>,
}

impl Waiter {
    /// Wakes it. Returns the processor time that it used.
    fn end(self) -> Duration {
        (self.wake)();
        self.child.join().expect("a child that ends well")
    }
}

/// Processor time that `f` takes, with its first spinning and the last wake-up; none where it is
/// not known.
fn taken(f: impl FnOnce()) -> Duration {
    let before = machine::cpu_time();
    f();
    match (before, machine::cpu_time()) {
        (Some(before), Some(after)) => Duration::from_nanos(after - before),
        _ => Duration::ZERO,
    }
}

fn wait_in_recv<W>() -> Waiter
where
    W: Wire<Tx: 'static, Rx: Serialize + DeserializeOwned>,
{
    let (tx, rx) = W::channel();
    let child = Builder::new().kill_on_drop(true).spawn(recv_one::<W>, rx).expect("a child");
    // What travels by a rendezvous is fetched by a thread of its own: it must not keep the child
    // from starting.
    let wake = Box::new(move || W::sender(tx)(W::Message::new(7)));
    Waiter { child, wake }
}

fn recv_one<W: Wire>(rx: W::Rx) -> Duration {
    let mut recv = W::receiver(rx);
    taken(|| assert!(recv() == W::Message::new(7)))
}

fn wait_in_send() -> Waiter {
    let (tx, rx) = multiprocess::bounded(ROOM).expect("a channel");
    (0..ROOM as u64).for_each(|id| tx.send(Order::new(id)).expect("there is room"));
    let child = Builder::new().kill_on_drop(true).spawn(send_one, tx).expect("a child");
    let wake = move || {
        (0..=ROOM as u64).for_each(|id| assert_eq!(rx.recv().expect("it is there"), Order::new(id)))
    };
    Waiter { child, wake: Box::new(wake) }
}

fn send_one(tx: multiprocess::Sender<Order>) -> Duration {
    taken(|| tx.send(Order::new(ROOM as u64)).expect("the parent receives"))
}

/// Measures several of each at once, because a waiter leaves the processors to the others.
fn waits(recv: bool, send: bool) -> Vec<Record> {
    type Start = fn() -> Waiter;
    let in_recv: [(&str, Start); 9] = [
        ("pod", wait_in_recv::<Pod<Plain>>),
        ("typed", wait_in_recv::<Typed<Order>>),
        ("erased", wait_in_recv::<Erased<Order>>),
        ("naive", wait_in_recv::<Words<Naive, 8>>),
        ("pipe", wait_in_recv::<Anonymous<Order>>),
        ("socket", wait_in_recv::<Local<Order>>),
        ("ipc-channel", wait_in_recv::<IpcChannel<Order>>),
        ("bare-socket", wait_in_recv::<Words<BareSocket, 8>>),
        ("bare-packets", wait_in_recv::<Words<BarePackets, 8>>),
    ];
    let in_send: [(&str, Start); 1] = [("erased", wait_in_send)];
    let rows = |wanted, workload, routes: &[(&'static str, Start)]| -> Vec<_> {
        let wanted = routes.iter().filter(|_| wanted);
        wanted
            .map(|&(route, start)| (workload, route, (0..rounds()).map(|_| start()).collect()))
            .collect()
    };
    let mut all: Vec<(&str, &str, Vec<Waiter>)> = rows(recv, "wait-recv", &in_recv);
    all.extend(rows(send, "wait-send", &in_send));
    let long = Duration::from_secs(if mode() == Mode::Full { 5 } else { 1 });
    std::thread::sleep(long);
    println!(
        "Processor time of a process that waits for {long:?}, in % of a processor; median (spread) of {}\n",
        rounds()
    );
    let mut records = Vec::new();
    for (workload, route, waiters) in all {
        let percent = |waiter: Waiter| waiter.end().as_secs_f64() / long.as_secs_f64() * 100.0;
        let percents: Vec<f64> = waiters.into_iter().map(percent).collect();
        println!("{:<24} {:>24}", format!("{workload}/{route}"), spread(&percents, figure));
        records.push(Record::of(workload, route, Unit::Percent, percents));
    }
    println!();
    records
}

/// The resources that a channel takes of this process, according to the system.
struct Takes {
    route: &'static str,
    made: f64,
    /// With messages in it. For sockets and pipes the kernel does not say.
    filled: Option<f64>,
    descriptors: f64,
}

impl Takes {
    /// How many channels are created, so that other changes matter little.
    fn of<W: Wire>(route: &'static str, fill: bool) -> Option<Takes> {
        let many = 64;
        let (memory, open) = (resident()?, descriptors()?);
        let ends: Vec<_> = (0..many).map(|_| W::channel()).collect();
        let each = |now: f64, before: f64| (now - before).max(0.0) / many as f64;
        let (made, descriptors) = (each(resident()?, memory), each(descriptors()?, open));
        let mut takes = Takes { route, made, filled: None, descriptors };
        if fill {
            for (tx, _) in &ends {
                let mut send = W::sender(tx.clone());
                (0..ROOM as u64).for_each(|id| send(W::Message::new(id)));
            }
            takes.filled = Some(each(resident()?, memory));
        }
        Some(takes)
    }
}

/// Returns the KiB of memory in which this process has pages.
fn resident() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

/// Returns how many descriptors are open.
fn descriptors() -> Option<f64> {
    Some(std::fs::read_dir("/proc/self/fd").ok()?.count() as f64)
}

fn takes() -> Vec<Record> {
    let all = [
        Takes::of::<Crossbeam<Plain>>(REFERENCE, true),
        Takes::of::<Pod<Plain>>("pod", true),
        Takes::of::<Typed<Order>>("typed", true),
        Takes::of::<Erased<Order>>("erased", true),
        Takes::of::<Anonymous<Order>>("pipe", false),
        Takes::of::<Local<Order>>("socket", false),
        Takes::of::<Duplex<Order>>("duplex", false),
        Takes::of::<Words<BareSocket, 8>>("bare-socket", false),
        Takes::of::<Words<BarePackets, 8>>("bare-packets", false),
    ];
    println!(
        "A channel of 1024 slots of 64 bytes when it is made, and while {ROOM} messages lie in it\n"
    );
    let mut records = Vec::new();
    for takes in all.into_iter().flatten() {
        let Takes { route, made, filled, descriptors } = takes;
        let with = filled.map_or("?".to_owned(), |kib| format!("{kib:.1}"));
        println!("{route:<20} {made:>8.1} KiB {with:>8} KiB {descriptors:>6.1} descriptors");
        records.push(Record::of("memory", route, Unit::KiB, vec![made]));
        records.extend(filled.map(|kib| Record::of("filled", route, Unit::KiB, vec![kib])));
        records.push(Record::of("descriptors", route, Unit::Descriptors, vec![descriptors]));
    }
    println!();
    records
}
