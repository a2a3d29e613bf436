//! What channels and processes cost beside messages: `cargo bench --bench cost`; with `-- make` a part of it.
//!
//! `make`: making and dropping a channel of 64 slots. `hand-over`: starting a process, with the end of a
//! channel in its arguments, until its first message is here (of crossbeam-channel: a thread). `wait`: the
//! processor time of a process that waits in `recv`, and of one that waits in `send`.

mod support;

use std::collections::BTreeSet;
use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use criterion::Criterion;
use multiprocess::{Receiver, Sender};
use support::message::{Message, Order};
use support::rounds::{Summary, Wanted, figure, interleave, rounds, spread};
use support::{Mode, machine, mode};

/// Slots of the channels made here.
const ROOM: usize = 64;

struct Row {
    workload: &'static str,
    name: &'static str,
    /// Does it so often; the time it takes.
    time: fn(u64) -> Duration,
    /// In a round.
    times: u64,
}

const REFERENCE: &str = "crossbeam";

fn rows() -> Vec<Row> {
    vec![
        Row { workload: "make", name: REFERENCE, time: |n| timed(n, make_crossbeam), times: 1000 },
        Row { workload: "make", name: "pod", time: |n| timed(n, make_pod), times: 200 },
        Row { workload: "make", name: "typed", time: |n| timed(n, make_typed), times: 200 },
        Row { workload: "hand-over", name: REFERENCE, time: |n| timed(n, start_thread), times: 20 },
        Row { workload: "hand-over", name: "erased", time: |n| timed(n, start_process), times: 10 },
    ]
}

fn timed<T>(times: u64, mut f: impl FnMut() -> T) -> Duration {
    let begin = Instant::now();
    for _ in 0..times {
        drop(black_box(f()));
    }
    begin.elapsed()
}

type Plain = [u64; 8];
type PodEnds = (ipc_shm::pod::Sender<Plain>, ipc_shm::pod::Receiver<Plain>);
type TypedEnds = (ipc_shm::Sender<Order>, ipc_shm::Receiver<Order>);

fn make_crossbeam() -> (crossbeam_channel::Sender<Plain>, crossbeam_channel::Receiver<Plain>) {
    crossbeam_channel::bounded(ROOM)
}

fn make_pod() -> PodEnds {
    ipc_shm::pod::bounded(ROOM).expect("a channel")
}

fn make_typed() -> TypedEnds {
    ipc_shm::bounded(ROOM).expect("a channel")
}

fn start_thread() {
    let (tx, rx) = crossbeam_channel::bounded(ROOM);
    let thread = std::thread::spawn(move || tx.send(Order::new(7)).expect("somebody receives"));
    assert_eq!(rx.recv().expect("the thread sends"), Order::new(7));
    thread.join().expect("a thread that ends well");
}

fn start_process() {
    let (tx, rx) = multiprocess::bounded(ROOM).expect("a channel");
    let child = multiprocess::spawn(greet, tx).expect("a child");
    assert_eq!(rx.recv().expect("the child sends"), Order::new(7));
    child.join().expect("a child that ends well");
}

fn greet(tx: Sender<Order>) {
    tx.send(Order::new(7)).expect("the parent receives");
}

fn main() {
    multiprocess::init();
    if mode() != Mode::Once {
        machine::print_header();
        println!("channels of {ROOM} slots\n");
    }
    prove();
    let rows = rows();
    let wanted = Wanted::default();
    let mut criterion = support::criterion();
    report(&mut criterion, &rows, &wanted);
    let waits = Wanted::default();
    report_waits(&mut criterion, &waits);
    criterion.final_summary();
    if rounds() > 0 {
        table(&rows, &wanted.rows());
        print_waits(&waits.rows());
    }
}

/// What is made here works.
fn prove() {
    let (tx, rx) = make_pod();
    tx.send(Plain::new(7)).expect("there is room");
    assert_eq!(rx.recv().expect("it is there"), Plain::new(7));
    let (tx, rx) = make_typed();
    tx.send(Order::new(7)).expect("there is room");
    assert_eq!(rx.recv().expect("it is there"), Order::new(7));
}

fn report(criterion: &mut Criterion, rows: &[Row], wanted: &Wanted) {
    for (i, row) in rows.iter().enumerate() {
        let mut group = criterion.benchmark_group(row.workload);
        group.bench_function(row.name, |bencher| {
            wanted.add(i);
            bencher.iter_custom(row.time);
        });
        group.finish();
    }
}

/// Waits so long in a child; the processor time it takes.
type Wait = fn(Duration) -> Duration;
const WAITS: [(&str, Wait); 2] = [("recv", wait_in_recv), ("send", wait_in_send)];

/// Criterion's report: the processor time of a millisecond of waiting.
fn report_waits(criterion: &mut Criterion, wanted: &Wanted) {
    for (i, (name, wait)) in WAITS.into_iter().enumerate() {
        let mut group = criterion.benchmark_group("wait");
        group.bench_function(name, |bencher| {
            wanted.add(i);
            bencher.iter_custom(|millis| wait(Duration::from_millis(millis)));
        });
        group.finish();
    }
}

fn print_waits(wanted: &[usize]) {
    if wanted.is_empty() {
        return;
    }
    let long = Duration::from_secs(if mode() == Mode::Full { 5 } else { 1 });
    println!("Processor time of a process that waits for {long:?}, in % of a processor\n");
    for &i in wanted {
        let (name, wait) = WAITS[i];
        let share = wait(long).as_secs_f64() / long.as_secs_f64();
        println!("{:<20} {:>8}", format!("wait/{name}"), figure(share * 100.0));
    }
    println!();
}

/// Processor time that `f` takes, with its first spinning and the last wake-up; none where it is not known.
fn taken(f: impl FnOnce()) -> Duration {
    let before = machine::cpu_time();
    f();
    match (before, machine::cpu_time()) {
        (Some(before), Some(after)) => Duration::from_nanos(after - before),
        _ => Duration::ZERO,
    }
}

fn wait_in_recv(long: Duration) -> Duration {
    let (tx, rx) = multiprocess::bounded(ROOM).expect("a channel");
    let child = multiprocess::spawn(recv_one, rx).expect("a child");
    std::thread::sleep(long);
    tx.send(Order::new(7)).expect("the child receives");
    child.join().expect("a child that ends well")
}

fn recv_one(rx: Receiver<Order>) -> Duration {
    taken(|| assert_eq!(rx.recv().expect("the parent sends"), Order::new(7)))
}

fn wait_in_send(long: Duration) -> Duration {
    let (tx, rx) = multiprocess::bounded(ROOM).expect("a channel");
    (0..ROOM as u64).for_each(|id| tx.send(Order::new(id)).expect("there is room"));
    let child = multiprocess::spawn(send_one, tx).expect("a child");
    std::thread::sleep(long);
    (0..=ROOM as u64).for_each(|id| assert_eq!(rx.recv().expect("it is there"), Order::new(id)));
    child.join().expect("a child that ends well")
}

fn send_one(tx: Sender<Order>) -> Duration {
    taken(|| tx.send(Order::new(ROOM as u64)).expect("the parent receives"))
}

fn table(rows: &[Row], wanted: &[usize]) {
    if wanted.is_empty() {
        return;
    }
    let reference = |i: usize| {
        rows.iter().position(|other| other.workload == rows[i].workload && other.name == REFERENCE)
    };
    let figures = interleave(wanted, reference, |i| {
        let row = &rows[i];
        let once: Vec<f64> = (0..row.times).map(|_| (row.time)(1).as_secs_f64()).collect();
        Summary::of(&once).median
    });
    println!("Each once, {} rounds of medians, the rivals in turn; median (quartiles)\n", rounds());
    println!("{:<20} {:>24} {:>24}", "", "microseconds", "times crossbeam's");
    for (&i, figures) in &figures {
        println!(
            "{:<20} {:>24} {:>24}",
            format!("{}/{}", rows[i].workload, rows[i].name),
            spread(&figures.values, 1e6),
            spread(&figures.ratios, 1.0)
        );
    }
    println!("\nA channel when it is made, and while 64 messages lie in it\n");
    print_memory("pod", make_pod, |(tx, _), id| tx.send(Plain::new(id)).expect("there is room"));
    print_memory("typed", make_typed, |(tx, _), id| tx.send(Order::new(id)).expect("there is room"));
    println!();
}

/// Descriptors that are open, as far as the system tells.
fn descriptors() -> BTreeSet<PathBuf> {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten();
    let mut paths: BTreeSet<PathBuf> = open.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.exists()); // Without the one that listed them, closed by now.
    paths
}

/// Bytes that a file takes.
#[cfg(unix)]
fn allocated(path: &PathBuf) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).map_or(0, |file| file.blocks() * 512)
}

#[cfg(not(unix))]
fn allocated(_path: &PathBuf) -> u64 {
    0
}

fn print_memory<E>(name: &str, make: fn() -> E, send: impl Fn(&E, u64)) {
    let before = descriptors();
    if before.is_empty() {
        return println!("{name:<20} not told by this system");
    }
    let ends = make();
    let own: Vec<PathBuf> = descriptors().difference(&before).cloned().collect();
    let kib = || own.iter().map(allocated).sum::<u64>() / 1024;
    let empty = kib();
    (0..ROOM as u64).for_each(|id| send(&ends, id));
    println!("{name:<20} {empty} KiB, {} KiB, {} descriptors", kib(), own.len());
}
