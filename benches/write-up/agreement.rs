//! Whether two runs agree: the spreads of each cell meet, or its medians are as good as the same.

use super::support::record::Record;
use super::support::rounds::{Summary, figure};
use super::{All, BENCHES};

/// A machine is as much faster or slower from one quarter of an hour to the next, whatever a run's
/// rounds say.
const SAME: f64 = 1.05;

type Of = fn(&Record) -> &[f64];

/// A cell that two runs have.
#[derive(Debug, PartialEq)]
pub(crate) struct Compared {
    pub(crate) cell: String,
    /// The later run's figure, as a multiple of the earlier one's.
    pub(crate) times: f64,
    pub(crate) agree: bool,
}

/// Compares all cells that both runs have, by their figures or by their ratios.
pub(crate) fn compare(earlier: &All, later: &All, of: Of) -> Vec<Compared> {
    let mut compared = Vec::new();
    for bench in BENCHES {
        for record in later.records(bench) {
            let before = earlier.find(bench, record.id()).map_or(&[][..], of);
            if before.is_empty() || of(record).is_empty() {
                continue;
            }
            let (before, after) = (Summary::of(before), Summary::of(of(record)));
            let times = after.median / before.median;
            compared.push(Compared {
                cell: format!("{bench} {}/{} {}", record.workload, record.route, record.shape),
                times,
                agree: after.meets(&before) || times.max(1.0 / times) <= SAME,
            });
        }
    }
    compared
}

pub(crate) fn print(earlier: &All, later: &All) {
    let kinds: [(&str, Of); 2] =
        [("figures", |record| &record.values), ("ratios", |record| &record.ratios)];
    for (kind, of) in kinds {
        let compared = compare(earlier, later, of);
        let agree = compared.iter().filter(|cell| cell.agree).count();
        println!("\nThe {kind} of {agree} of {} cells agree with the earlier ones", compared.len());
        for Compared { cell, times, .. } in compared.iter().filter(|cell| !cell.agree) {
            println!("  {cell:<50} {} times as much", figure(*times));
        }
    }
}
