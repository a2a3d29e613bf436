//! Figures that can be compared: the rivals in turn, round by round, each right after the
//! reference.
//!
//! A machine changes from one minute to the next, and criterion measures one bench after the other.
//! Here both halves of a ratio come from the same fraction of a second, and the result is the
//! median over the rounds.

use std::cell::RefCell;

use super::machine::{Spent, SpentBy, cpus, spent};
use super::{Mode, mode};

/// A median, and its spread: in it is the median of ever more such values, 98 times of 100,
/// whatever their distribution is. Of up to ten values it is from the lowest to the highest; of
/// less than seven it is less sure than that.
///
/// W. R. Thompson, "On confidence ranges for the median and other expectation distributions for
/// populations of unknown distribution form", 1936.
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
        let beyond = beyond(sorted.len());
        Summary { median: at(0.5), low: sorted[beyond], high: sorted[sorted.len() - 1 - beyond] }
    }

    /// Returns whether the two spreads overlap.
    pub fn meets(&self, other: &Summary) -> bool {
        self.low <= other.high && other.low <= self.high
    }
}

/// How many of so many values are outside of the spread, at either side. Each value is below the
/// true median or above it like a tossed coin; that no more than these are below it happens less
/// than once in a hundred times.
fn beyond(values: usize) -> usize {
    // That exactly `count` are below, and that as many or fewer are.
    let mut exactly = 0.5f64.powi(values as i32);
    let mut at_most = exactly;
    for count in 1..values {
        exactly *= (values - count + 1) as f64 / count as f64;
        at_most += exactly;
        if at_most > 0.01 {
            return count - 1;
        }
    }
    0
}

/// The number of rounds.
pub fn rounds() -> usize {
    match mode() {
        Mode::Full => 7,
        Mode::Quick => 3,
        Mode::Once => 0,
    }
}

/// The processor time that other programs use during a measurement.
pub struct Outside {
    ours: Spent,
    all: Option<(f64, f64)>,
}

impl Outside {
    pub fn begin() -> Outside {
        Outside { ours: ours(), all: ticks() }
    }

    /// Which part of all processors others took since then; ours are those whose end was waited
    /// for.
    pub fn end(self) -> Option<f64> {
        let ((busy, all), (busy_before, all_before)) = (ticks()?, self.all?);
        let own = ours().since(self.ours);
        let own = (own.user + own.kernel) as f64 * 1e-9 * TICKS;
        let all = all - all_before;
        (all >= 20.0 * cpus() as f64).then(|| ((busy - busy_before - own) / all).clamp(0.0, 1.0))
    }
}

/// Ticks in a second, in the unit of `/proc/stat`.
const TICKS: f64 = 100.0;

fn ours() -> Spent {
    let mut sum = spent(SpentBy::Process);
    sum += spent(SpentBy::Children);
    sum
}

/// Returns the busy ticks and all ticks of all processors.
fn ticks() -> Option<(f64, f64)> {
    // user nice system idle iowait irq softirq steal …
    let stat = std::fs::read_to_string("/proc/stat").ok()?;
    let numbers = stat.lines().next()?.split_whitespace().skip(1).take(8);
    let ticks: Vec<f64> = numbers.filter_map(|n| n.parse().ok()).collect();
    let all: f64 = ticks.iter().sum();
    Some((all - ticks.get(3)? - ticks.get(4)?, all))
}

/// Returns which rows criterion ran: its filter applies to the rounds too.
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

/// Formats a number with three significant digits.
pub fn figure(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        v if v >= 1.0 => 2,
        _ => 3,
    };
    format!("{value:.digits$}")
}

/// Formats a number with three significant digits and a unit prefix: k, M, G.
pub fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 999.5e6 => figure(value * 1e-9) + " G",
        v if v >= 999.5e3 => figure(value * 1e-6) + " M",
        v if v >= 999.5 => figure(value * 1e-3) + " k",
        _ => figure(value),
    }
}

/// Formats as `median (low..high)`.
pub fn spread(values: &[f64], write: fn(f64) -> String) -> String {
    if values.is_empty() {
        return String::new();
    }
    let Summary { median, low, high } = Summary::of(values);
    format!("{} ({}..{})", write(median), write(low), write(high))
}

/// Formats nanoseconds with a suitable unit.
pub fn time(nanos: f64) -> String {
    match nanos.abs() {
        v if v >= 999.5e6 => figure(nanos * 1e-9) + " s",
        v if v >= 999.5e3 => figure(nanos * 1e-6) + " ms",
        v if v >= 999.5 => figure(nanos * 1e-3) + " us",
        _ => figure(nanos) + " ns",
    }
}
