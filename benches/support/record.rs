//! Figures as they are kept: a file of each bench in `target/ipc-report`, from which the page is
//! made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::machine::Conditions;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Unit {
    /// Messages per second; more is better.
    PerSecond,
    /// The median round trip, in nanoseconds.
    Trip,
    /// The nanoseconds of a step.
    Step,
    /// The share of a processor.
    Percent,
    KiB,
    Descriptors,
    Millis,
}

/// The measurements of one cell.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Record {
    pub workload: String,
    pub route: String,
    /// `1-1`: a sender, a receiver; empty where it does not apply.
    pub shape: String,
    pub unit: Unit,
    /// The bytes of a message, if the cell is about messages.
    pub bytes: u64,
    /// The reference of the ratios.
    pub reference: String,
    /// One figure for each round.
    pub values: Vec<f64>,
    pub ratios: Vec<f64>,
    /// Parts of all round trips, as far as there were enough to tell, and the nanoseconds within
    /// which they were.
    pub quantiles: Vec<(f64, f64)>,
    /// Of processor time for a message, by all peers: nanoseconds in the program, and in the
    /// kernel.
    pub spent: Option<(f64, f64)>,
    /// The run that it comes from.
    pub run: String,
}

impl Record {
    /// Makes one that is compared with nothing.
    pub fn of(workload: &str, route: &str, unit: Unit, values: Vec<f64>) -> Record {
        Record {
            workload: workload.to_owned(),
            route: route.to_owned(),
            shape: String::new(),
            unit,
            bytes: 0,
            reference: route.to_owned(),
            values,
            ratios: Vec::new(),
            quantiles: Vec::new(),
            spent: None,
            run: String::new(),
        }
    }

    pub fn id(&self) -> (&str, &str, &str) {
        (&self.workload, &self.route, &self.shape)
    }
}

/// A run of a bench.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub conditions: Conditions,
    pub quick: bool,
    pub rounds: usize,
    /// The share of all processors that other programs used in each round.
    pub outside: Vec<f64>,
}

/// The results of the last runs of a bench.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Figures {
    pub runs: BTreeMap<String, Run>,
    pub records: Vec<Record>,
    /// The rows that are not measured, and why.
    pub omitted: Vec<(String, String)>,
}

/// `target`, or the directory that cargo was told to use in its place.
pub fn target() -> PathBuf {
    let exe = std::env::current_exe().expect("this program");
    let target = exe.ancestors().find(|path| path.join("CACHEDIR.TAG").exists()).map(PathBuf::from);
    let named = || std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.or_else(named).unwrap_or_else(|| "target".into())
}

/// `target/ipc-report`
pub fn directory() -> PathBuf {
    target().join("ipc-report")
}

/// Reads the stored results of a bench, if they exist and can still be read.
pub fn load_from(directory: &Path, bench: &str) -> Option<Figures> {
    let text = std::fs::read_to_string(directory.join(bench).with_extension("json")).ok()?;
    serde_json::from_str(&text).ok()
}

/// Stores the results of a run, and replaces earlier results for the same cells.
pub fn save(bench: &str, run: Run, mut records: Vec<Record>, omitted: &[(&str, &str)]) {
    let id = format!("{} {}", run.conditions.date, run.conditions.commit);
    records.iter_mut().for_each(|record| record.run.clone_from(&id));
    let mut figures = load_from(&directory(), bench).unwrap_or_default();
    figures.records.retain(|old| records.iter().all(|new| new.id() != old.id()));
    figures.records.append(&mut records);
    figures.runs.insert(id, run);
    figures.runs.retain(|id, _| figures.records.iter().any(|record| record.run == *id));
    figures.omitted =
        omitted.iter().map(|&(cells, why)| (cells.to_owned(), why.to_owned())).collect();
    let (directory, text) = (directory(), serde_json::to_string(&figures).expect("plain data"));
    std::fs::create_dir_all(&directory).expect("target is there to write in");
    std::fs::write(directory.join(bench).with_extension("json"), text)
        .expect("target is there to write in");
}
