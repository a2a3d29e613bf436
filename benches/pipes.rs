//! Channels over sockets and pipes: `cargo bench --bench pipes`; with `-- 64B` a part of it.
//!
//! Blocking `send` and `recv` as a user writes them, every peer a process, pinned as `BENCH_PIN=two|one|none`
//! says. The reference of each workload is the system calls on the same kind of socket or pipe, or ipc-channel.

mod support;

use criterion::{BenchmarkId, SamplingMode};
use support::flow::{Packs, Single};
use support::message::{Blob, Message, Order, Text};
use support::rounds::{Summary, Wanted, interleave, rounds, spread};
use support::stream::{Shape, Stream};
use support::trips::Trips;
use support::wire::{
    Anonymous, BarePackets, BarePipe, BareRights, BareSocket, ErasedPipe, IpcChannel, Local,
};
use support::{Mode, machine, mode};

enum Bench {
    /// Messages one way.
    Stream(fn(Shape) -> Stream),
    /// Round trips.
    Trips(fn() -> Trips),
}

struct Row {
    workload: &'static str,
    name: &'static str,
    bench: Bench,
    /// Timed in a round.
    messages: u64,
}

/// What the others of a workload are compared with: its first row.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    let mut one_way = |workload, messages, name, open| {
        rows.push(Row { workload, name, bench: Bench::Stream(open), messages });
    };
    let p = Stream::processes::<Single<BareSocket<8>>>;
    one_way("64B-socket", 60_000, "bare", p);
    one_way("64B-socket", 60_000, "channel", Stream::processes::<Single<Local<Order>>>);
    one_way("64B-socket", 60_000, "erased", Stream::processes::<Single<ErasedPipe<Order>>>);
    one_way("64B-socket", 60_000, "by-32", Stream::processes::<Packs<Local<Order>>>);
    one_way("64B-rights", 60_000, "bare", Stream::processes::<Single<BareRights<8>>>);
    one_way("64B-rights", 60_000, "channel", Stream::processes::<Single<Local<Order>>>);
    one_way("64B-pipe", 60_000, "bare", Stream::processes::<Single<BarePackets<8>>>);
    one_way("64B-pipe", 60_000, "channel", Stream::processes::<Single<Anonymous<Order>>>);
    one_way("64B-pipe", 60_000, "by-32", Stream::processes::<Packs<Anonymous<Order>>>);
    one_way("64B-pipe", 60_000, "bare-bytes", Stream::processes::<Single<BarePipe<8>>>);
    one_way("64B", 60_000, "ipc-channel", Stream::processes::<Single<IpcChannel<Order>>>);
    one_way("64B", 60_000, "socket", Stream::processes::<Single<Local<Order>>>);
    one_way("64B", 60_000, "pipe", Stream::processes::<Single<Anonymous<Order>>>);
    one_way("1KiB", 30_000, "ipc-channel", Stream::processes::<Single<IpcChannel<Blob<1024>>>>);
    one_way("1KiB", 30_000, "socket", Stream::processes::<Single<Local<Blob<1024>>>>);
    one_way("1KiB", 30_000, "pipe", Stream::processes::<Single<Anonymous<Blob<1024>>>>);
    one_way("1MiB", 100, "ipc-channel", Stream::processes::<Single<IpcChannel<Blob<MIB>>>>);
    one_way("1MiB", 100, "socket", Stream::processes::<Single<Local<Blob<MIB>>>>);
    one_way("1MiB", 100, "pipe", Stream::processes::<Single<Anonymous<Blob<MIB>>>>);
    one_way("1MiB-text", 100, "ipc-channel", Stream::processes::<Single<IpcChannel<Text<MIB>>>>);
    one_way("1MiB-text", 100, "socket", Stream::processes::<Single<Local<Text<MIB>>>>);
    one_way("1MiB-text", 100, "pipe", Stream::processes::<Single<Anonymous<Text<MIB>>>>);
    let mut trips = |workload, name, open| {
        rows.push(Row { workload, name, bench: Bench::Trips(open), messages: 5000 });
    };
    trips("trip-socket", "bare", Trips::processes::<BareSocket<1>>);
    trips("trip-socket", "channel", Trips::processes::<Local<Number>>);
    trips("trip-pipe", "bare", Trips::processes::<BarePackets<1>>);
    trips("trip-pipe", "channel", Trips::processes::<Anonymous<Number>>);
    rows
}

const MIB: usize = 1 << 20;

/// Eight bytes, and a serde type.
#[derive(PartialEq, serde::Serialize, serde::Deserialize)]
struct Number(u64);

impl Message for Number {
    fn new(id: u64) -> Self {
        Number(id << 8 | 0xa5)
    }
    fn id(&self) -> u64 {
        self.0 >> 8
    }
    fn intact(&self) -> bool {
        *self == Number::new(self.id())
    }
}

fn main() {
    multiprocess::init();
    if mode() != Mode::Once {
        machine::print_header();
    }
    let rows = rows();
    let wanted = Wanted::default();
    report(&rows, &wanted);
    table(&rows, &wanted.rows());
}

const ONE: Shape = Shape { senders: 1, receivers: 1 };

/// A row under way.
enum Running {
    Stream(Stream),
    Trips(Trips),
}

impl Running {
    fn open(row: &Row) -> Running {
        match row.bench {
            Bench::Stream(open) => {
                let mut stream = open(ONE);
                stream.prove_with(row.messages.min(4096));
                Running::Stream(stream)
            }
            Bench::Trips(open) => {
                let mut trips = open();
                trips.prove();
                Running::Trips(trips)
            }
        }
    }

    /// Seconds for so many messages or round trips: of trips so many times the median.
    fn time(&mut self, messages: u64) -> f64 {
        match self {
            Running::Stream(stream) => stream.time(messages).as_secs_f64(),
            Running::Trips(trips) => {
                let times = trips.time(messages, std::time::Duration::ZERO);
                times.value_at_quantile(0.5) as f64 * 1e-9 * messages as f64
            }
        }
    }

    fn finish(self) {
        match self {
            Running::Stream(stream) => stream.finish(),
            Running::Trips(trips) => trips.finish(),
        }
    }
}

/// Criterion's report: one bench after the other.
fn report(rows: &[Row], wanted: &Wanted) {
    let mut criterion = support::criterion();
    for (i, row) in rows.iter().enumerate() {
        let messages = if mode() == Mode::Once { 50 } else { row.messages.div_ceil(40) };
        let mut group = criterion.benchmark_group(row.workload);
        group.sampling_mode(SamplingMode::Flat);
        group.throughput(criterion::Throughput::Elements(messages));
        let mut running = None;
        group.bench_function(BenchmarkId::from_parameter(row.name), |bencher| {
            wanted.add(i);
            let running = running.get_or_insert_with(|| Running::open(row));
            bencher.iter_custom(|iterations| {
                std::time::Duration::from_secs_f64(running.time(iterations * messages))
            });
        });
        running.into_iter().for_each(Running::finish);
        group.finish();
    }
    criterion.final_summary();
}

/// A round's figure is the median of so many pieces: what else the machine does hits a few of them.
const PIECES: u64 = 10;

/// Our own: the rivals in turn.
fn table(rows: &[Row], wanted: &[usize]) {
    if rounds() == 0 || wanted.is_empty() {
        return;
    }
    let reference = |i: usize| rows.iter().position(|other| other.workload == rows[i].workload);
    let figures = interleave(wanted, reference, |i| {
        let row = &rows[i];
        let mut running = Running::open(row);
        let piece = row.messages / PIECES;
        running.time(piece); // Until caches and pages have settled.
        let rates: Vec<f64> = (0..PIECES).map(|_| piece as f64 / running.time(piece)).collect();
        running.finish();
        Summary::of(&rates).median
    });
    println!(
        "{} rounds, the rivals in turn, each after the reference of its workload, its first row;\n\
         median (quartiles)\n",
        rounds()
    );
    println!("{:<24} {:>26} {:>26}", "", "thousand messages/s", "times the reference");
    for (&i, figures) in &figures {
        println!(
            "{:<24} {:>26} {:>26}",
            format!("{}/{}", rows[i].workload, rows[i].name),
            spread(&figures.values, 1e-3),
            spread(&figures.ratios, 1.0)
        );
    }
    println!();
}
