//! What the figures say: where a rival is ahead of ours, by more than the noise.

use super::All;
use super::support::record::{Record, Unit};
use super::support::rounds::{Summary, figure};
use super::support::routes::{By, Family, REFERENCE, route};

/// A cell in which a rival is ahead.
#[derive(Debug, PartialEq)]
pub(crate) struct Behind {
    pub(crate) cell: String,
    pub(crate) ours: String,
    pub(crate) rival: String,
    /// How many times as good the rival is: in messages per second, or in time for a step.
    pub(crate) times: f64,
}

/// Where a value is compared, more than 1 is better, whatever the unit.
pub(crate) fn goodness(record: &Record, values: &[f64]) -> Option<Summary> {
    if values.is_empty() {
        return None;
    }
    let better = |value: &f64| if record.unit == Unit::PerSecond { *value } else { 1.0 / value };
    Some(Summary::of(&values.iter().map(better).collect::<Vec<_>>()))
}

fn cell(record: &Record) -> String {
    let shape = if record.shape.is_empty() { String::new() } else { format!(" {}", record.shape) };
    format!("{}{shape}", record.workload)
}

/// Returns whether the spreads do not meet.
fn ahead(rival: Summary, ours: Summary) -> bool {
    rival.low > ours.high
}

/// Each of our routes that is behind a rival of its own kind. Ratios to the reference are compared:
/// they were taken in the same rounds.
pub(crate) fn behind_rivals(all: &All) -> Vec<Behind> {
    let mut found = Vec::new();
    for bench in ["throughput", "latency"] {
        for record in all.records(bench) {
            let Some(us) = route(&record.route).filter(|route| route.by == By::Us) else {
                continue;
            };
            let Some(ours) = goodness(record, &record.ratios) else { continue };
            for &name in us.rivals {
                let rival = if name == REFERENCE {
                    Some(Summary { median: 1.0, low: 1.0, high: 1.0 })
                } else {
                    all.find(bench, (&record.workload, name, &record.shape))
                        .and_then(|r| goodness(r, &r.ratios))
                };
                if let Some(rival) = rival.filter(|&rival| ahead(rival, ours)) {
                    found.push(Behind {
                        cell: cell(record),
                        ours: record.route.clone(),
                        rival: name.to_owned(),
                        times: rival.median / ours.median,
                    });
                }
            }
        }
    }
    found.extend(against_references(all, "pipes"));
    found.extend(against_references(all, "lock"));
    found
}

/// Rows of other crates in the bench of locks. All others are of this project.
const OTHER_LOCKS: [&str; 6] =
    ["parking_lot", "std", "pthread-robust", "raw_sync", "std-threads", "parking_lot-threads"];

fn against_references<'a>(all: &'a All, bench: &'a str) -> impl Iterator<Item = Behind> + 'a {
    let ours = move |record: &&Record| match bench {
        "lock" => !OTHER_LOCKS.contains(&record.route.as_str()),
        _ => route(&record.route).is_some_and(|route| route.by == By::Us),
    };
    let comparable =
        |record: &&Record| !matches!(record.workload.as_str(), "alone") || record.route == "mutex";
    all.records(bench).filter(ours).filter(comparable).filter_map(|record| {
        let of = goodness(record, &record.ratios)?;
        ahead(Summary { median: 1.0, low: 1.0, high: 1.0 }, of).then(|| Behind {
            cell: cell(record),
            ours: record.route.clone(),
            rival: record.reference.clone(),
            times: 1.0 / of.median,
        })
    })
}

/// Each cell: the best route across processes beside crossbeam between threads.
pub(crate) fn against_crossbeam(all: &All) -> Vec<(Behind, Summary)> {
    let mut best: Vec<(Behind, Summary)> = Vec::new();
    for bench in ["throughput", "latency", "cost"] {
        for record in all.records(bench).filter(|record| record.reference == REFERENCE) {
            let across = |route: &super::support::routes::Route| {
                route.by == By::Us && route.family != Family::Threads
            };
            if !route(&record.route).is_some_and(across) {
                continue;
            }
            let Some(ours) = goodness(record, &record.ratios) else { continue };
            let cell = cell(record);
            let behind = Behind {
                cell: cell.clone(),
                ours: record.route.clone(),
                rival: REFERENCE.to_owned(),
                times: 1.0 / ours.median,
            };
            match best.iter_mut().find(|(other, _)| other.cell == cell) {
                Some(other) if other.1.median < ours.median => *other = (behind, ours),
                Some(_) => {}
                None => best.push((behind, ours)),
            }
        }
    }
    best
}

/// The cells of those in which crossbeam is ahead by more than the noise.
pub(crate) fn crossbeam_ahead(all: &All) -> Vec<Behind> {
    let ahead = |(_, ours): &(Behind, Summary)| ours.high < 1.0;
    against_crossbeam(all).into_iter().filter(ahead).map(|(behind, _)| behind).collect()
}

pub(crate) fn print(all: &All) {
    let list = |title: &str, found: &[Behind]| {
        println!("{title}{}", if found.is_empty() { ": nowhere" } else { "" });
        for Behind { cell, ours, rival, times } in found {
            println!("  {cell:<22} {ours:<16} {rival} is {} times as good", figure(*times));
        }
    };
    list(
        "Where a rival of its own kind is ahead of a route of ours, by more than the noise",
        &behind_rivals(all),
    );
    list(
        "Where crossbeam between threads is ahead of our best route across processes, by more than the noise",
        &crossbeam_ahead(all),
    );
}
