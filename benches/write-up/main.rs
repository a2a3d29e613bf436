//! Writes the page of all figures, `target/ipc-report/index.html`, from the results of the last
//! runs of the other benches.
//!
//! `cargo bench` ends with it; `cargo bench --bench write-up` draws it again. With `BENCH_README=1`
//! it also writes the chart in the README, `docs/figures.svg`. With `BENCH_AGAINST=directory` it
//! compares the figures with those of an earlier run, a copy of `target/ipc-report`.

#[path = "../support/mod.rs"]
mod support;

mod agreement;
mod charts;
mod page;
mod svg;
mod tests;
mod verdict;

use std::collections::BTreeMap;
use std::path::Path;

use support::record::{self, Figures, Record, Run};
use support::{Mode, mode};

/// The benches that leave figures, in the order in which they run.
const BENCHES: [&str; 8] =
    ["throughput", "latency", "pipes", "cost", "lock", "recovery", "select", "await"];

/// The figures of all benches.
#[derive(Default)]
struct All(BTreeMap<String, Figures>);

impl All {
    fn load(directory: &Path) -> All {
        let load = |bench: &str| Some((bench.to_owned(), record::load_from(directory, bench)?));
        All(BENCHES.into_iter().filter_map(load).collect())
    }

    fn records(&self, bench: &str) -> impl Iterator<Item = &Record> {
        self.0.get(bench).into_iter().flat_map(|figures| &figures.records)
    }

    fn find(&self, bench: &str, (workload, route, shape): (&str, &str, &str)) -> Option<&Record> {
        self.records(bench).find(|record| record.id() == (workload, route, shape))
    }

    fn runs(&self) -> impl Iterator<Item = (&str, &Run)> {
        let in_order = BENCHES.iter().filter_map(|&bench| Some((bench, self.0.get(bench)?)));
        in_order.flat_map(|(bench, figures)| figures.runs.values().map(move |run| (bench, run)))
    }
}

fn main() {
    // Nothing is measured here: in criterion's other modes, and under `cargo test`, a page of
    // made-up figures is drawn and looked at, and nothing is written.
    if mode() == Mode::Once {
        tests::the_page_is_whole();
        return;
    }
    let directory = record::directory();
    let all = All::load(&directory);
    if all.0.is_empty() {
        return println!("no figures yet: `cargo bench` makes them");
    }
    let (page, summary) = (page::page(&all), charts::summary(&all));
    let written = std::fs::write(directory.join("index.html"), page)
        .and_then(|()| std::fs::write(directory.join("figures.svg"), &summary));
    written.expect("target is there to write in");
    if std::env::var_os("BENCH_README").is_some_and(|value| value == "1") {
        let figures = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/figures.svg");
        std::fs::write(figures, summary).expect("the project is where it was built");
    }
    verdict::print(&all);
    if let Some(earlier) = std::env::var_os("BENCH_AGAINST") {
        // Cargo runs a bench in the directory of its package; a user names a path from the root of
        // the project.
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        agreement::print(&All::load(&root.join(earlier)), &all);
    }
    println!("\nall figures, with charts: {}", directory.join("index.html").display());
}
