//! A page of made-up figures, looked at.

use super::support::machine::Conditions;
use super::support::record::{Figures, Record, Run, Unit};
use super::support::rounds::Summary;
use super::support::routes::ROUTES;
use super::{All, BENCHES, agreement, charts, page, verdict};

fn record(workload: &str, route: &str, shape: &str, unit: Unit, ratio: f64) -> Record {
    let mut record =
        Record::of(workload, route, unit, vec![1e6 * ratio, 1.1e6 * ratio, 0.9e6 * ratio]);
    record.shape = shape.to_owned();
    record.reference = "crossbeam".to_owned();
    if route != "crossbeam" {
        record.ratios = vec![ratio, ratio * 1.01, ratio * 0.99];
    }
    record.quantiles = vec![(0.5, 1000.0), (0.99, 2000.0), (1.0, 9000.0)];
    record.spent = Some((100.0, 50.0));
    record
}

/// `pod` is twice as good as crossbeam in throughput and needs three times as long for a round
/// trip; `pipe` is behind `bare-pipe`; all others are half as good.
fn made_up() -> All {
    let ratio = |route: &str| match route {
        "pod" => 2.0,
        "pipe" => 0.1,
        "crossbeam" => 1.0,
        _ => 0.5,
    };
    let run = Run {
        conditions: Conditions {
            machine: "a <machine> & more".to_owned(),
            ..Conditions::default()
        },
        outside: vec![0.01, 0.2],
        rounds: 3,
        quick: false,
    };
    let mut all = All::default();
    for bench in BENCHES {
        let mut records = Vec::new();
        for route in ROUTES {
            let name = route.name;
            match bench {
                "throughput" => {
                    records.push(record("8B", name, "1-1", Unit::PerSecond, ratio(name)));
                    records.push(record("64B", name, "1-1", Unit::PerSecond, ratio(name)));
                    records.push(record("64B", name, "4-4", Unit::PerSecond, ratio(name)));
                }
                "latency" => records.push(record("hot", name, "", Unit::Trip, 3.0)),
                "cost" => records.push(record("make", name, "", Unit::Step, 3.0)),
                _ => {}
            }
        }
        if bench == "lock" {
            records.push(record("two", "mutex", "", Unit::Step, 0.5));
        }
        if bench == "recovery" {
            records.push(record("again", "shm", "", Unit::Millis, 0.5));
        }
        if bench == "select" {
            records.push(record("select-2", "shm", "", Unit::Step, 0.5));
        }
        let omitted = vec![("some <cells>".to_owned(), "a reason".to_owned())];
        let runs = [("a run".to_owned(), run.clone())].into();
        all.0.insert(bench.to_owned(), Figures { runs, records, omitted });
    }
    all
}

/// Benches run in the order of their names.
fn it_comes_last() {
    let manifest = include_str!("../Cargo.toml");
    let names = manifest.split("[[bench]]\nname = \"").skip(1).map(|rest| rest.split('"').next());
    let mut names: Vec<&str> = names.flatten().collect();
    names.sort_unstable();
    assert_eq!(names.pop(), Some("write-up"));
    let mut known = BENCHES;
    known.sort_unstable();
    assert_eq!(names, known, "the page knows every bench");
}

pub(crate) fn the_page_is_whole() {
    it_comes_last();
    let all = made_up();
    let page = page::page(&all);
    for route in ROUTES {
        assert!(
            page.contains(&format!("<th>{}</th>", route.name)),
            "{} is in the tables",
            route.name
        );
    }
    for sign in [
        "a &lt;machine&gt; &amp; more",
        "some &lt;cells&gt;",
        "a reason",
        "not a quiet machine",
        "p99",
        "<h2>Locks</h2>",
        "<h2>After a kill</h2>",
        "<h2>Several channels at once</h2>",
    ] {
        assert!(page.contains(sign), "{sign} is in the page");
    }
    let names = page.replace("http://www.w3.org/2000/svg", "");
    for foreign in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!names.contains(foreign), "nothing comes from elsewhere: {foreign}");
    }
    assert!(page.matches("<svg").count() >= 8, "charts");
    balanced(&page);

    for route in ROUTES.iter().filter(|route| route.name != "crossbeam") {
        assert!(charts::colour_of(route.name).is_some(), "{} has a colour", route.name);
    }

    let summary = charts::summary(&all);
    balanced(&summary);
    for drawing in [&page, &summary] {
        assert!(!drawing.contains("\"#0"), "each colour is one of the page's");
    }

    spreads_are_as_sure_as_they_say();
    runs_agree_where_their_spreads_meet();

    let behind = verdict::behind_rivals(&all);
    let found = |ours: &str, rival: &str| {
        behind.iter().any(|b| (b.ours.as_str(), b.rival.as_str()) == (ours, rival))
    };
    assert!(
        found("pipe", "bare-pipe") && !found("pod", "naive") && !found("typed", "naive"),
        "{behind:?}"
    );
    let cells: Vec<_> =
        verdict::crossbeam_ahead(&all).into_iter().map(|behind| behind.cell).collect();
    assert_eq!(cells, ["hot", "make"], "pod is ahead in throughput");
}

fn spreads_are_as_sure_as_they_say() {
    let spread = |n: u32| {
        let values: Vec<f64> = (0..n).map(f64::from).collect();
        let Summary { low, high, .. } = Summary::of(&values);
        (low, high)
    };
    assert_eq!((spread(1), spread(2), spread(7)), ((0.0, 0.0), (0.0, 1.0), (0.0, 6.0)));
    // As tables of the sign test have them, for one side at one of a hundred.
    assert_eq!(
        (spread(10), spread(11), spread(20), spread(50)),
        ((0.0, 9.0), (1.0, 9.0), (4.0, 15.0), (16.0, 33.0))
    );
}

fn runs_agree_where_their_spreads_meet() {
    let (earlier, mut later) = (made_up(), made_up());
    let times = |figures: &mut Figures, times: f64| {
        let pod = figures
            .records
            .iter_mut()
            .find(|record| record.id() == ("8B", "pod", "1-1"))
            .expect("it is there");
        pod.values.iter_mut().for_each(|value| *value *= times);
    };
    let of: fn(&Record) -> &[f64] = |record| &record.values;
    times(later.0.get_mut("throughput").expect("a bench"), 1.1);
    assert!(agreement::compare(&earlier, &later, of).iter().all(|cell| cell.agree));
    times(later.0.get_mut("throughput").expect("a bench"), 1.5);
    let compared = agreement::compare(&earlier, &later, of);
    let not: Vec<_> = compared.iter().filter(|cell| !cell.agree).map(|cell| &*cell.cell).collect();
    assert_eq!(not, ["throughput 8B/pod 1-1"]);
    assert!(compared.len() > 3 * ROUTES.len());
}

/// Each element that is opened is closed, in order.
fn balanced(markup: &str) {
    let mut open: Vec<&str> = Vec::new();
    for part in markup.split('<').skip(1) {
        let tag = part.split('>').next().expect("one part");
        let name = tag.trim_start_matches('/').split([' ', '\n', '/']).next().expect("one part");
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "closes what is open");
        } else if !tag.ends_with('/') && !tag.starts_with('!') && !["meta", "br"].contains(&name) {
            open.push(name);
        }
    }
    assert!(open.is_empty(), "{open:?} stay open");
}
