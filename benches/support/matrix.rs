//! Rows that are measured alike: by criterion, one after the other, for its statistics and
//! baselines; and in rounds, for the table and the page.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use hdrhistogram::Histogram;
use indicatif::{ProgressBar, ProgressStyle};

use super::job::Job;
use super::machine::{Conditions, Spent};
use super::record::{self, Record, Run, Unit};
use super::rounds::{Outside, Summary, Wanted, figure, rounds, short, spread, time};
use super::trips::histogram;
use super::{Mode, criterion, mode};

pub struct Row {
    pub workload: &'static str,
    /// Its description, for the heading of a table.
    pub about: &'static str,
    pub route: &'static str,
    /// `1-1`: a sender, a receiver; empty where it does not apply.
    pub shape: String,
    /// The route that it is compared with, in the same workload and shape; itself if none.
    pub reference: &'static str,
    pub unit: Unit,
    pub bytes: u64,
    /// The number of operations in a piece, where it is fixed.
    pub count: Option<u64>,
    pub open: Box<dyn Fn() -> Box<dyn Job>>,
}

impl Row {
    fn name(&self) -> String {
        let shape = if self.shape.is_empty() { String::new() } else { format!("/{}", self.shape) };
        format!("{}/{}{shape}", self.workload, self.route)
    }

    fn same(&self, other: &Row) -> bool {
        (self.workload, &self.shape) == (other.workload, &other.shape)
    }
}

/// How many small and large messages are checked byte by byte.
const PROOF: (u64, u64) = (4096, 64);

fn open(row: &Row) -> Box<dyn Job> {
    let mut job = (row.open)();
    let most = if row.bytes > 1024 { PROOF.1 } else { PROOF.0 };
    job.prove(if mode() == Mode::Full { most } else { most / 8 });
    job
}

/// Measures what is wanted of the rows, prints and keeps it. `more` has rows of other kinds: what
/// it wants from criterion, and how it measures them afterwards.
pub fn run(bench: &str, rows: &[Row], omitted: &[(&str, &str)], more: Option<&dyn More>) {
    let conditions = Conditions::now();
    if mode() != Mode::Once {
        conditions.print();
    }
    let mut criterion = criterion();
    let wanted = report(&mut criterion, rows);
    let others = more.map(|more| (more, more.report(&mut criterion)));
    criterion.final_summary();
    if rounds() == 0 {
        return;
    }
    let (measured, outside) = interleave(rows, &wanted);
    if !measured.is_empty() {
        table(rows, &measured);
        print_outside(&outside);
    }
    let mut records: Vec<Record> =
        measured.iter().map(|(&i, measured)| measured.record(&rows[i])).collect();
    if let Some((more, wanted)) = others {
        records.extend(more.measure(&wanted));
    }
    if records.is_empty() {
        return; // A filter that is for other benches.
    }
    let run = Run { conditions, quick: mode() == Mode::Quick, rounds: rounds(), outside };
    record::save(bench, run, records, omitted);
}

/// Measurements that are not rows.
pub trait More {
    /// Runs criterion's part. Returns which of them were selected.
    fn report(&self, criterion: &mut Criterion) -> Vec<usize>;
    /// Measures and prints the selected ones.
    fn measure(&self, wanted: &[usize]) -> Vec<Record>;
}

/// Criterion's report: one bench after the other. An iteration is a message, a round trip, or a
/// step.
fn report(criterion: &mut Criterion, rows: &[Row]) -> Vec<usize> {
    let wanted = Wanted::default();
    for (i, row) in rows.iter().enumerate() {
        let mut group = criterion.benchmark_group(row.workload);
        group.sampling_mode(SamplingMode::Flat);
        if row.unit == Unit::PerSecond {
            group.throughput(if row.bytes > 64 {
                Throughput::Bytes(row.bytes)
            } else {
                Throughput::Elements(1)
            });
        }
        let id = match row.shape.as_str() {
            "" => BenchmarkId::from_parameter(row.route),
            shape => BenchmarkId::new(row.route, shape),
        };
        let mut job = None;
        group.bench_function(id, |bencher| {
            wanted.add(i);
            let job = job.get_or_insert_with(|| open(row));
            bencher.iter_custom(|iterations| {
                let count = job.round(iterations);
                let nanos = job.time(count).nanos * iterations as f64 / count as f64;
                Duration::from_nanos(nanos as u64)
            });
        });
        job.into_iter().for_each(Job::finish);
        group.finish();
    }
    wanted.rows()
}

/// The results of the rounds for a row.
struct Measured {
    values: Vec<f64>,
    /// Ratios to the reference in the same round; empty for the reference itself.
    ratios: Vec<f64>,
    trips: Histogram<u64>,
    spent: Spent,
    count: u64,
}

impl Default for Measured {
    fn default() -> Self {
        let (values, ratios) = (Vec::new(), Vec::new());
        Measured { values, ratios, trips: histogram(), spent: Spent::default(), count: 0 }
    }
}

const QUANTILES: [f64; 8] = [0.1, 0.5, 0.75, 0.9, 0.99, 0.999, 0.9999, 1.0];

impl Measured {
    fn spent(&self) -> Option<(f64, f64)> {
        let each = |nanos: u64| nanos as f64 / self.count as f64;
        let known = self.count > 0 && self.spent.user + self.spent.kernel > 0;
        known.then(|| (each(self.spent.user), each(self.spent.kernel)))
    }

    fn record(&self, row: &Row) -> Record {
        let quantile = |&part: &f64| (part, self.trips.value_at_quantile(part) as f64);
        let enough = |&&part: &&f64| {
            let beyond = self.trips.len() as f64 * (1.0 - part);
            !self.trips.is_empty() && (part == 1.0 || beyond >= 1.0)
        };
        Record {
            workload: row.workload.to_owned(),
            route: row.route.to_owned(),
            shape: row.shape.clone(),
            unit: row.unit,
            bytes: row.bytes,
            reference: row.reference.to_owned(),
            values: self.values.clone(),
            ratios: self.ratios.clone(),
            quantiles: QUANTILES.iter().filter(enough).map(quantile).collect(),
            spent: self.spent(),
            run: String::new(),
        }
    }
}

/// A row that is ready, and the number of operations in a piece.
struct Ready {
    job: Box<dyn Job>,
    pieces: usize,
    count: u64,
}

/// How long the pieces of a figure take. The figure is the median of them: what else the machine
/// does hits few.
fn pieces() -> (usize, Duration) {
    match mode() {
        Mode::Full => (10, Duration::from_micros(1800)),
        _ => (5, Duration::from_micros(800)),
    }
}

impl Ready {
    /// Opens it, and goes on until caches, pages and the pace have settled, and it is known how
    /// many take how long.
    fn new(row: &Row) -> Ready {
        let mut job = open(row);
        let (pieces, long) = pieces();
        if let Some(count) = row.count {
            let count = if mode() == Mode::Full { count } else { count / 8 };
            return Ready { job, pieces: 1, count: count.max(1) };
        }
        let mut count = job.round(1);
        loop {
            let begin = Instant::now();
            job.time(count);
            let took = begin.elapsed();
            if took >= long {
                // Round trips are looked at one by one, and so in one piece.
                let (pieces, long) =
                    if row.unit == Unit::Trip { (1, long * pieces as u32) } else { (pieces, long) };
                let count = (count as f64 * long.as_secs_f64() / took.as_secs_f64()) as u64;
                let least = if row.unit == Unit::Trip { 10 } else { 1 };
                let count = job.round(count.max(least));
                return Ready { job, pieces, count };
            }
            count = job.round(count * if took < long / 8 { 4 } else { 2 });
        }
    }

    fn measure(&mut self, row: &Row, into: &mut Measured) -> f64 {
        let mut each = Vec::new();
        for _ in 0..self.pieces {
            let timed = self.job.time(self.count);
            let nanos = timed.nanos / self.count as f64;
            each.push(match (row.unit, &timed.trips) {
                (Unit::PerSecond, _) => 1e9 / nanos,
                (_, Some(trips)) => trips.value_at_quantile(0.5) as f64,
                _ => nanos,
            });
            if let Some(trips) = timed.trips {
                into.trips.add(trips).expect("resizes");
            }
            into.spent += timed.spent;
            into.count += self.count;
        }
        Summary::of(&each).median
    }
}

fn progress(steps: usize) -> ProgressBar {
    let style = "{bar:24} {percent:>3} %, {eta} left: {msg}";
    ProgressBar::new(steps as u64)
        .with_style(ProgressStyle::with_template(style).expect("a template"))
}

/// Measures the selected rows in turn, round by round, each right after its reference.
fn interleave(rows: &[Row], wanted: &[usize]) -> (BTreeMap<usize, Measured>, Vec<f64>) {
    let mut measured: BTreeMap<usize, Measured> = BTreeMap::new();
    let mut outside = Vec::new();
    let bar = progress(rounds() * wanted.len());
    for round in 1..=rounds() {
        let others = Outside::begin();
        let mut left = wanted.to_vec();
        while let Some(&first) = left.first() {
            let (group, rest): (Vec<usize>, Vec<usize>) = left.into_iter().partition(|&i| {
                rows[i].same(&rows[first]) && rows[i].reference == rows[first].reference
            });
            left = rest;
            let is_reference =
                |row: &Row| row.same(&rows[first]) && row.route == rows[first].reference;
            let reference = rows.iter().position(is_reference);
            let mut base = reference.map(|i| (i, Ready::new(&rows[i]), Vec::new()));
            for &i in &group {
                bar.set_message(format!("round {round} of {}, {}", rounds(), rows[i].name()));
                bar.inc(1);
                if reference == Some(i) {
                    // It comes with its rivals, unless it has none here.
                    if group.len() == 1
                        && let Some((_, ready, values)) = &mut base
                    {
                        values.push(ready.measure(&rows[i], measured.entry(i).or_default()));
                    }
                    continue;
                }
                let mut ready = Ready::new(&rows[i]);
                let mut ratio = None;
                if let Some((reference, base, values)) = &mut base {
                    let value =
                        base.measure(&rows[*reference], measured.entry(*reference).or_default());
                    values.push(value);
                    ratio = Some(value);
                }
                let row = measured.entry(i).or_default();
                let value = ready.measure(&rows[i], row);
                row.values.push(value);
                row.ratios.extend(ratio.map(|base| value / base));
                ready.job.finish();
            }
            if let Some((i, ready, values)) = base {
                measured.entry(i).or_default().values.push(Summary::of(&values).median);
                ready.job.finish();
            }
        }
        outside.extend(others.end());
    }
    bar.finish_and_clear();
    (measured, outside)
}

fn print_outside(outside: &[f64]) {
    if outside.is_empty() {
        return println!("what others did meanwhile is not known\n");
    }
    let most = outside.iter().copied().fold(0.0, f64::max) * 100.0;
    let usual = Summary::of(outside).median * 100.0;
    let warn = if most > 5.0 { "; NOT A QUIET MACHINE" } else { "" };
    println!("others took {usual:.1} % of all processors, {most:.1} % in the worst round{warn}\n");
}

fn table(rows: &[Row], measured: &BTreeMap<usize, Measured>) {
    println!(
        "\n{} rounds, the rivals in turn, each right after what it is compared with; median (spread);\n\
         processor time of all peers for one, and the part of it in the kernel\n",
        rounds()
    );
    let mut heading = String::new();
    for (&i, measured) in measured {
        let row = &rows[i];
        let (unit, write): (_, fn(f64) -> String) = match row.unit {
            Unit::PerSecond => ("messages/s", short),
            Unit::Trip => ("p50", time),
            _ => ("each", time),
        };
        let shape = if row.shape.is_empty() { String::new() } else { format!(", {}", row.shape) };
        let now = format!("{}{shape}: {}", row.workload, row.about);
        let against = if row.reference == row.route { "" } else { row.reference };
        if now != heading {
            heading = now;
            println!(
                "{heading}\n{:<20}{unit:>28} {:>36} {:>18}",
                "", "times what is named", "CPU (kernel)"
            );
        }
        let trips = &measured.trips;
        let quantile = |part| time(trips.value_at_quantile(part) as f64);
        println!(
            "{:<20}{:>28} {:>36} {:>18}{}",
            format!("  {}", row.route),
            spread(&measured.values, write),
            if measured.ratios.is_empty() {
                String::new()
            } else {
                format!("{} {against}", spread(&measured.ratios, figure))
            },
            measured.spent().map_or(String::new(), |(user, kernel)| {
                format!("{} ({:.0} %)", time(user + kernel), 100.0 * kernel / (user + kernel))
            }),
            if trips.is_empty() {
                String::new()
            } else {
                format!(
                    "  p99 {}, p99.9 {}, at most {}",
                    quantile(0.99),
                    quantile(0.999),
                    quantile(1.0)
                )
            },
        );
    }
    println!();
}
