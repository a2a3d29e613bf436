//! Messages per second, one way: `cargo bench --bench throughput`; with `-- 64B` a part of it.
//!
//! Blocking `send` and `recv` as a user writes them, capacity 1024, every peer a process (the rows of
//! crossbeam-channel: a thread), pinned as `BENCH_PIN=two|one|none` says. `64KiB` is touched: the sender
//! writes every word, the receiver sums every word.

mod support;

use criterion::{BenchmarkId, SamplingMode, Throughput};
use support::flow::{Batches, Boxes, Lent, Single};
use support::message::Order;
use support::rounds::{Summary, Wanted, interleave, rounds, spread};
use support::stream::{Shape, Stream};
use support::wire::{Crossbeam, Erased, IpcChannel, Pod, Typed};
use support::{CAPACITY, Mode, machine, mode};

struct Row {
    workload: &'static str,
    name: &'static str,
    shape: Shape,
    open: fn(Shape) -> Stream,
    /// Timed in a round: some ten milliseconds.
    messages: u64,
    bytes: u64,
}

/// A round's figure is the median of so many pieces: what else the machine does hits a few of them.
const PIECES: u64 = 10;
const REFERENCE: &str = "crossbeam";
/// The room that most would give a channel of large messages.
const FEW: usize = 16;

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut add = |workload, name, shapes: &[u64], open: fn(Shape) -> Stream, messages, bytes| {
        for &n in shapes {
            let shape = Shape { senders: n, receivers: n };
            rows.push(Row { workload, name, shape, open, messages, bytes });
        }
    };
    let (one, all): (&[u64], &[u64]) = (&[1], &[1, 2, 4]);
    add("8B", REFERENCE, one, Stream::threads::<Single<Crossbeam<[u64; 1]>>>, 1_600_000, 8);
    add("8B", "pod", one, Stream::processes::<Single<Pod<[u64; 1]>>>, 1_600_000, 8);
    add("64B", REFERENCE, all, Stream::threads::<Single<Crossbeam<[u64; 8]>>>, 800_000, 64);
    add("64B", "pod", all, Stream::processes::<Single<Pod<[u64; 8]>>>, 800_000, 64);
    add("64B", "typed", all, Stream::processes::<Single<Typed<Order>>>, 600_000, 64);
    add("64B", "erased", all, Stream::processes::<Single<Erased<Order>>>, 600_000, 64);
    add("64B", "pod-by-32", one, Stream::processes::<Batches<[u64; 8]>>, 2_400_000, 64);
    add("64B", "ipc-channel", one, Stream::processes::<Single<IpcChannel<Order>>>, 60_000, 64);
    add("64KiB", REFERENCE, one, Stream::threads::<Boxes<CAPACITY>>, 10_000, 65536);
    add("64KiB", "pod-lent", one, Stream::processes::<Lent<CAPACITY>>, 10_000, 65536);
    add("64KiB-of-16", REFERENCE, one, Stream::threads::<Boxes<FEW>>, 10_000, 65536);
    add("64KiB-of-16", "pod-lent", one, Stream::processes::<Lent<FEW>>, 10_000, 65536);
    rows
}

fn main() {
    multiprocess::init();
    if mode() != Mode::Once {
        machine::print_header();
        println!("capacity {CAPACITY}, blocking send and recv\n");
    }
    let rows = rows();
    let wanted = Wanted::default();
    report(&rows, &wanted);
    table(&rows, &wanted.rows());
}

/// Criterion's report: one bench after the other.
fn report(rows: &[Row], wanted: &Wanted) {
    let mut criterion = support::criterion();
    for (i, row) in rows.iter().enumerate() {
        let messages = if mode() == Mode::Once { 400 } else { row.messages / 40 };
        let mut group = criterion.benchmark_group(row.workload);
        group.sampling_mode(SamplingMode::Flat);
        group.throughput(match row.bytes {
            0..1024 => Throughput::Elements(messages),
            bytes => Throughput::Bytes(messages * bytes),
        });
        let mut stream = None;
        group.bench_function(BenchmarkId::new(row.name, row.shape), |bencher| {
            wanted.add(i);
            let stream = stream.get_or_insert_with(|| open(row));
            bencher.iter_custom(|iterations| stream.time(iterations * messages));
        });
        stream.into_iter().for_each(Stream::finish);
        group.finish();
    }
    criterion.final_summary();
}

fn open(row: &Row) -> Stream {
    let mut stream = (row.open)(row.shape);
    stream.prove();
    stream
}

/// Our own: the rivals in turn.
fn table(rows: &[Row], wanted: &[usize]) {
    if rounds() == 0 || wanted.is_empty() {
        return;
    }
    let reference = |i: usize| {
        let row: &Row = &rows[i];
        let same = |other: &Row| (other.workload, other.shape) == (row.workload, row.shape);
        rows.iter().position(|other| same(other) && other.name == REFERENCE)
    };
    let figures = interleave(wanted, reference, |i| {
        let row = &rows[i];
        let mut stream = open(row);
        let piece = row.messages / PIECES;
        stream.time(piece); // Until caches, pages and the pace have settled.
        let rates: Vec<f64> = (0..PIECES).map(|_| piece as f64 / stream.time(piece).as_secs_f64()).collect();
        stream.finish();
        Summary::of(&rates).median
    });
    println!(
        "One way, {} rounds, the rivals in turn, each after the reference; median (quartiles)\n\
         {REFERENCE}: crossbeam-channel, bounded({CAPACITY}), threads; all others: processes\n",
        rounds()
    );
    println!("{:<30} {:>24} {:>24} {:>24}", "", "million messages/s", "GiB/s", "times crossbeam");
    for (&i, figures) in &figures {
        let row = &rows[i];
        let gib = match row.bytes {
            0..1024 => String::new(),
            bytes => spread(&figures.values, bytes as f64 / f64::from(1 << 30)),
        };
        println!(
            "{:<30} {:>24} {:>24} {:>24}",
            format!("{}/{}/{}", row.workload, row.name, row.shape),
            spread(&figures.values, 1e-6),
            gib,
            spread(&figures.ratios, 1.0)
        );
    }
    println!();
}
