//! Round trips of 8 bytes: `cargo bench --bench latency`; with `-- hot` a part of it.
//!
//! Blocking `send` and `recv` as a user writes them, capacity 1024, one message under way, two processes (the
//! rows of crossbeam-channel: two threads), pinned as `BENCH_PIN=two|one|none` says. `hot`: one trip after
//! the other. `rested`: each after a millisecond in which neither side does anything.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use support::message::Message;
use support::rounds::{Wanted, figure, interleave, rounds, spread};
use support::trips::{Trips, histogram};
use support::wire::{Crossbeam, Erased, IpcChannel, Pod, Typed};
use support::{CAPACITY, Mode, machine, mode};

/// Eight bytes, and a serde type.
#[derive(PartialEq, Serialize, Deserialize)]
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

type Open = fn() -> Trips;

struct Row {
    workload: &'static str,
    name: &'static str,
    open: Open,
    rest: Duration,
    /// In a round.
    trips: u64,
}

const REFERENCE: &str = "crossbeam";

fn rows() -> Vec<Row> {
    let routes: [(_, Open); 5] = [
        (REFERENCE, Trips::threads::<Crossbeam<[u64; 1]>>),
        ("pod", Trips::processes::<Pod<[u64; 1]>>),
        ("typed", Trips::processes::<Typed<Number>>),
        ("erased", Trips::processes::<Erased<Number>>),
        ("ipc-channel", Trips::processes::<IpcChannel<Number>>),
    ];
    let workloads = [("hot", Duration::ZERO, 25_000), ("rested", Duration::from_millis(1), 60)];
    let row = |(workload, rest, trips)| routes.map(|(name, open)| Row { workload, name, open, rest, trips });
    workloads.into_iter().flat_map(row).collect()
}

fn main() {
    multiprocess::init();
    if mode() != Mode::Once {
        machine::print_header();
        println!("capacity {CAPACITY}, blocking send and recv, 8 bytes\n");
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
        let mut group = criterion.benchmark_group(row.workload);
        let mut trips = None;
        group.bench_function(row.name, |bencher| {
            wanted.add(i);
            let trips = trips.get_or_insert_with(|| open(row));
            bencher.iter_custom(|iterations| {
                let times = trips.time(iterations, row.rest);
                Duration::from_nanos((times.mean() * times.len() as f64) as u64)
            });
        });
        trips.into_iter().for_each(Trips::finish);
        group.finish();
    }
    criterion.final_summary();
}

fn open(row: &Row) -> Trips {
    let mut trips = (row.open)();
    trips.prove();
    trips
}

/// Our own: the rivals in turn.
fn table(rows: &[Row], wanted: &[usize]) {
    if rounds() == 0 || wanted.is_empty() {
        return;
    }
    let reference = |i: usize| {
        rows.iter().position(|other| other.workload == rows[i].workload && other.name == REFERENCE)
    };
    let mut times: BTreeMap<usize, Histogram<u64>> = BTreeMap::new();
    let figures = interleave(wanted, reference, |i| {
        let row = &rows[i];
        let mut trips = open(row);
        trips.time(row.trips / 10, row.rest);
        let round = trips.time(row.trips, row.rest);
        trips.finish();
        times.entry(i).or_insert_with(histogram).add(&round).expect("resizes");
        round.value_at_quantile(0.5) as f64
    });
    println!(
        "Round trips in microseconds, {} rounds, the rivals in turn, each after the reference\n\
         {REFERENCE}: crossbeam-channel, bounded({CAPACITY}), threads; all others: processes\n\
         of all trips: p50 p99 p99.9; of the rounds' p50, as parts of crossbeam's: median (quartiles)\n",
        rounds()
    );
    println!(
        "{:<20} {:>8} {:>8} {:>8} {:>8} {:>10} {:>24}",
        "", "p50", "p99", "p99.9", "max", "trips", "of crossbeam's"
    );
    for (&i, figures) in &figures {
        let (row, times) = (&rows[i], &times[&i]);
        let micros = |quantile| figure(times.value_at_quantile(quantile) as f64 / 1000.0);
        println!(
            "{:<20} {:>8} {:>8} {:>8} {:>8} {:>10} {:>24}",
            format!("{}/{}", row.workload, row.name),
            micros(0.5),
            micros(0.99),
            micros(0.999),
            micros(1.0),
            times.len(),
            spread(&figures.ratios, 1.0)
        );
    }
    println!();
}
