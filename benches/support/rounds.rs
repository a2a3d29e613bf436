//! Figures that can be compared: the rivals in turn, round by round, each right after the reference.
//!
//! A machine is not the same from one minute to the next, and criterion measures one bench after the other.
//! Here a ratio has both its halves from within a fraction of a second, and is the median over the rounds.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::{Mode, mode};

/// Median and quartiles.
#[derive(Clone, Copy, Debug)]
pub struct Summary {
    pub median: f64,
    pub low: f64,
    pub high: f64,
}

impl Summary {
    pub fn of(values: &[f64]) -> Summary {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * (sorted.len() - 1) as f64;
            let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
            below + (above - below) * place.fract()
        };
        Summary { median: at(0.5), low: at(0.25), high: at(0.75) }
    }
}

/// What the rounds gave for a row.
#[derive(Default)]
pub struct Figures {
    pub values: Vec<f64>,
    /// To the reference in the same round; empty for the reference itself.
    pub ratios: Vec<f64>,
}

/// How many rounds.
pub fn rounds() -> usize {
    match mode() {
        Mode::Full => 9,
        Mode::Quick => 3,
        Mode::Once => 0,
    }
}

/// Measures the wanted rows in turn. `reference` says which row a row is compared with, `measure` takes one
/// figure.
pub fn interleave(
    wanted: &[usize],
    reference: impl Fn(usize) -> Option<usize>,
    mut measure: impl FnMut(usize) -> f64,
) -> BTreeMap<usize, Figures> {
    let mut figures: BTreeMap<usize, Figures> = BTreeMap::new();
    for _ in 0..rounds() {
        for &row in wanted {
            match reference(row).filter(|&reference| reference != row) {
                Some(reference) => {
                    let base = measure(reference);
                    let value = measure(row);
                    figures.entry(reference).or_default().values.push(base);
                    let row = figures.entry(row).or_default();
                    row.values.push(value);
                    row.ratios.push(value / base);
                }
                // It comes with its rivals, unless it has none here.
                None if wanted.iter().any(|&other| other != row && reference(other) == Some(row)) => {}
                None => figures.entry(row).or_default().values.push(measure(row)),
            }
        }
    }
    figures
}

/// Which rows criterion ran: its filter is ours.
#[derive(Default)]
pub struct Wanted(RefCell<Vec<usize>>);

impl Wanted {
    pub fn add(&self, row: usize) {
        let mut rows = self.0.borrow_mut();
        if !rows.contains(&row) {
            rows.push(row);
        }
    }

    pub fn rows(self) -> Vec<usize> {
        self.0.into_inner()
    }
}

/// Three digits that count.
pub fn figure(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// `median (quartile..quartile)`, scaled.
pub fn spread(values: &[f64], scale: f64) -> String {
    if values.is_empty() {
        return String::new();
    }
    let Summary { median, low, high } = Summary::of(values);
    format!("{:>6} ({}..{})", figure(median * scale), figure(low * scale), figure(high * scale))
}
