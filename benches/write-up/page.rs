//! The page: one file, nothing from elsewhere.

use std::fmt::Write;

use super::All;
use super::charts::{self, Lines, Series, lines, writer};
use super::support::record::{Record, Unit};
use super::support::rounds::{Summary, figure, short, spread, time};
use super::support::routes::{By, Family, REFERENCE, ROUTES, Route};
use super::svg::escape;
use super::verdict::{self, Behind, goodness};

pub(crate) fn page(all: &All) -> String {
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>multiprocess: how fast is each route</title>\n<style>{}{}</style>\n<main>\n\
         <h1>How fast is each route between processes?</h1>\n",
        include_str!("colours.css"),
        include_str!("page.css")
    );
    let sections = [
        in_short(all),
        conditions(all),
        by_size(all),
        heat(all),
        latencies(all),
        by_number(all),
        processor_time(all),
        costs(all),
        locks(all),
        recovery(all),
        selection(all),
        behind(all),
        tables(all),
        left_out(all),
        routes(),
        method(),
    ];
    sections.into_iter().for_each(|section| html.push_str(&section));
    html.push_str("</main>\n</html>\n");
    html
}

fn section(title: &str, text: &str, body: &str) -> String {
    if body.is_empty() {
        return String::new();
    }
    let text = if text.is_empty() { String::new() } else { format!("<p>{text}</p>\n") };
    format!("<section>\n<h2>{title}</h2>\n{text}{body}\n</section>\n")
}

/// The cells of most interest.
fn in_short(all: &All) -> String {
    let asked = [
        ("64B 1-1", "64 bytes, one sender, one receiver"),
        ("64B 4-4", "64 bytes, four and four"),
        ("64KiB-touched 1-1", "64 KiB, every word written and read"),
        ("1MiB-touched 1-1", "1 MiB, every word written and read"),
        ("hot", "round trips, one after the other"),
        ("rested", "round trips after a rest"),
    ];
    let best = verdict::against_crossbeam(all);
    let mut tiles = String::new();
    for (cell, says) in asked {
        if let Some((found, of)) = best.iter().find(|(found, _)| found.cell == cell) {
            let class = if of.low > 1.0 {
                "good"
            } else if of.high < 1.0 {
                "bad"
            } else {
                "even"
            };
            let _ = write!(
                tiles,
                "<div class=\"tile {class}\"><b>{} x</b><span>{says}</span><small>{}</small></div>",
                figure(of.median),
                found.ours
            );
        }
    }
    let text = "The best route across processes, compared with crossbeam-channel between threads in the same rounds. \
                Above 1, the processes are ahead.";
    section(
        "In short",
        text,
        &if tiles.is_empty() { tiles } else { format!("<div class=\"tiles\">{tiles}</div>") },
    )
}

fn conditions(all: &All) -> String {
    let mut body = String::new();
    for (bench, run) in all.runs() {
        let c = &run.conditions;
        let percent = |part: f64| format!("{:.1} %", part * 100.0);
        let outside = if run.outside.is_empty() {
            "not known".to_owned()
        } else {
            let most = run.outside.iter().copied().fold(0.0, f64::max);
            let warn = if most > 0.05 {
                " <strong class=\"bad\">not a quiet machine</strong>"
            } else {
                ""
            };
            format!(
                "{} of all processors, {} in the worst round{warn}",
                percent(Summary::of(&run.outside).median),
                percent(most)
            )
        };
        let cells = [
            bench,
            &c.date,
            &c.machine,
            &c.system,
            &c.compiler,
            &c.commit,
            &c.pin,
            &c.load,
            &outside,
        ];
        let rounds = format!("{}{}", run.rounds, if run.quick { " quick" } else { "" });
        let names = [
            "bench",
            "date",
            "machine",
            "system",
            "compiler",
            "commit",
            "BENCH_PIN",
            "load before",
            "others took",
        ];
        let items: String = names
            .iter()
            .zip(cells)
            .skip(1)
            .map(|(name, cell)| {
                let cell = if *name == "others took" { cell.to_owned() } else { escape(cell) };
                format!("<dt>{name}</dt><dd>{cell}</dd>")
            })
            .collect();
        let open = if body.is_empty() { " open" } else { "" };
        let _ = write!(
            body,
            "<details{open}><summary>{bench}: {}, {rounds} rounds, others took {}</summary><dl>{items}</dl></details>",
            escape(&c.date),
            if run.outside.is_empty() {
                "?".to_owned()
            } else {
                percent(Summary::of(&run.outside).median)
            }
        );
    }
    section("Where and when", "", &body)
}

fn value(record: Option<&Record>) -> Option<Summary> {
    record.filter(|record| !record.values.is_empty()).map(|record| Summary::of(&record.values))
}

fn members(families: &[Family]) -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(move |route| route.by == By::Reference || families.contains(&route.family))
}

const GROUPS: [(&str, &[Family]); 3] = [
    ("shared memory", &[Family::Memory]),
    ("sockets and pipes", &[Family::Kernel]),
    ("threads, and Python", &[Family::Threads, Family::Python]),
];

fn figures(charts: impl Iterator<Item = Option<String>>) -> String {
    let charts: String = charts.flatten().collect();
    if charts.is_empty() { charts } else { format!("<div class=\"charts\">{charts}</div>") }
}

fn by_size(all: &All) -> String {
    let places = ["8 B", "64 B", "1 KiB", "64 KiB", "1 MiB"];
    let kinds = [
        ("moved", ["8B", "64B", "1KiB", "64KiB", "1MiB"]),
        ("every word touched", ["8B", "64B", "1KiB-touched", "64KiB-touched", "1MiB-touched"]),
    ];
    let charts = GROUPS.iter().flat_map(|(group, families)| {
        kinds.iter().map(move |(kind, workloads)| {
            // Those that are there in small sizes only are in other charts.
            let series = members(families).filter_map(|route| {
                let values: Vec<_> =
                    workloads.map(|w| value(all.find("throughput", (w, route.name, "1-1")))).into();
                (values.iter().flatten().count() > 2)
                    .then(|| Series { name: route.name.to_owned(), values })
            });
            let title = format!("{group}, {kind}: messages per second");
            lines(&Lines { title: &title, places: &places, series: series.collect(), write: short })
        })
    });
    let text = "One sender and one receiver, on two cores. <em>Moved</em>: both sides access only the number of a \
                message, and the route moves the rest; between threads, and where memory is lent, no byte is copied. \
                <em>Touched</em>: the sender writes every word, and the receiver reads every word. The grey line is \
                crossbeam-channel between threads. Vertical strokes are the spread.";
    section("Throughput by size", text, &figures(charts))
}

fn latencies(all: &All) -> String {
    let places = ["p10", "p50", "p90", "p99", "p99.9", "p99.99", "|max"];
    let parts = [0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0];
    let kinds = [
        ("hot", "hot"),
        ("rested", "after 1 ms of rest"),
        ("hot-one-core", "hot, both on one core"),
    ];
    let charts = kinds.iter().flat_map(|(workload, kind)| {
        GROUPS.iter().map(move |(group, families)| {
            let series = members(families).map(|route| {
                let record = all.find("latency", (workload, route.name, ""));
                let at = |part: f64| {
                    let (_, nanos) = record?.quantiles.iter().find(|(p, _)| *p == part)?;
                    Some(Summary { median: *nanos, low: *nanos, high: *nanos })
                };
                Series { name: route.name.to_owned(), values: parts.map(at).into() }
            });
            let title = format!("{group}, {kind}: round trip");
            lines(&Lines { title: &title, places: &places, series: series.collect(), write: time })
        })
    });
    let text = "Eight bytes there and back: the distribution of all round trips of all rounds. A percentile is shown \
                if at least one round trip in the sample took longer.";
    section("Latency", text, &figures(charts))
}

fn by_number(all: &All) -> String {
    let shapes = ["1-1", "2-2", "4-4", "4-1"];
    let places = ["1 to 1", "2 to 2", "4 to 4", "|4 to 1"];
    let charts = GROUPS.iter().map(|(group, families)| {
        let series = members(families).filter_map(|route| {
            let values: Vec<_> =
                shapes.map(|s| value(all.find("throughput", ("64B", route.name, s)))).into();
            (values.iter().flatten().count() > 1)
                .then(|| Series { name: route.name.to_owned(), values })
        });
        let title = format!("{group}: messages of 64 bytes per second, all together");
        lines(&Lines { title: &title, places: &places, series: series.collect(), write: short })
    });
    let text = "All senders share one core, and all receivers another: the cost of more peers without more processors.";
    section("Cost by number of processes", text, &figures(charts))
}

fn processor_time(all: &All) -> String {
    let charts = [
        charts::processor_time(
            all,
            "threads and shared memory",
            &[Family::Threads, Family::Memory],
        ),
        charts::processor_time(all, "sockets and pipes", &[Family::Kernel]),
    ];
    let text = "The processor time of all peers for one message of 64 bytes in a full stream, including waiting and \
                spinning. The kernel estimates how much of it is the program's and how much its own.";
    section("Processor time for a message", text, &figures(charts.into_iter()))
}

/// Columns of the heat table: bench, workload, shape, heading.
fn columns(all: &All) -> Vec<(&'static str, String, String)> {
    let mut columns: Vec<(&'static str, String, String)> = Vec::new();
    for bench in ["throughput", "latency", "cost"] {
        for record in all
            .records(bench)
            .filter(|record| record.reference == REFERENCE && !record.ratios.is_empty())
        {
            let column = (bench, record.workload.clone(), record.shape.clone());
            if !columns.contains(&column) {
                columns.push(column);
            }
        }
    }
    columns
}

fn heat(all: &All) -> String {
    let columns = columns(all);
    if columns.is_empty() {
        return String::new();
    }
    let mut head = "<tr><th>route</th>".to_owned();
    for (_, workload, shape) in &columns {
        let _ = write!(head, "<th>{}<br>{shape}</th>", workload.replace('-', "<br>"));
    }
    let mut rows = String::new();
    for route in ROUTES.iter().filter(|route| route.by != By::Reference) {
        let class = if route.by == By::Us { "us" } else { "others" };
        let mut cells = String::new();
        let mut any = false;
        for (bench, workload, shape) in &columns {
            let record = all.find(bench, (workload, route.name, shape));
            let Some((record, of)) = record.and_then(|r| Some((r, goodness(r, &r.ratios)?))) else {
                cells.push_str("<td class=\"none\">–</td>");
                continue;
            };
            any = true;
            let _ = write!(
                cells,
                "<td class=\"h{}\" title=\"{} {} {}: {}; {} times crossbeam ({} to {})\">{}</td>",
                heat_of(of.median),
                route.name,
                workload,
                shape,
                spread(&record.values, writer(record.unit)),
                figure(of.median),
                figure(of.low),
                figure(of.high),
                brief(of.median)
            );
        }
        if any {
            let _ = write!(rows, "<tr class=\"{class}\"><th>{}</th>{cells}</tr>", route.name);
        }
    }
    let text = "The speed relative to crossbeam-channel between threads, in the same rounds: of messages per second, or of \
                the inverse of the time for a round trip or a step. Above 1, the route is ahead. Routes of this project \
                are in bold. Hover over a cell for its figures and their spread; the tables below have all of them.";
    section(
        "Ratio to crossbeam, every cell",
        text,
        &format!(
            "<div class=\"wide\"><table class=\"heat\"><thead>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        ),
    )
}

/// Formats a number with two significant digits, short enough for a cell.
fn brief(value: f64) -> String {
    match value {
        v if v >= 9.95 => format!("{v:.0}"),
        v if v >= 0.995 => format!("{v:.1}"),
        v if v >= 0.0995 => format!("{v:.2}").trim_start_matches('0').to_owned(),
        v if v >= 0.001 => format!("{v:.3}").trim_start_matches('0').to_owned(),
        _ => "&lt;.001".to_owned(),
    }
}

fn heat_of(value: f64) -> u8 {
    [0.01, 0.1, 0.5, 0.9, 1.1, 2.0].iter().filter(|&&bound| value >= bound).count() as u8
}

fn costs(all: &All) -> String {
    let columns: [(&str, &str); 7] = [
        ("make", "made and dropped"),
        ("hand-over", "process started, first message here"),
        ("wait-recv", "processor while it waits in recv"),
        ("wait-send", "… in send"),
        ("memory", "memory when made"),
        ("filled", "… with 64 messages in it"),
        ("descriptors", "descriptors"),
    ];
    let head: String = columns.iter().map(|(_, name)| format!("<th>{name}</th>")).collect();
    let mut rows = String::new();
    for route in ROUTES {
        let cell = |(workload, _): (&str, &str)| {
            let record = all.find("cost", (workload, route.name, ""));
            record.map_or("–".to_owned(), |r| writer(r.unit)(Summary::of(&r.values).median))
        };
        let cells = columns.map(cell);
        if cells.iter().any(|cell| cell != "–") {
            let cells: String = cells.iter().map(|cell| format!("<td>{cell}</td>")).collect();
            let _ = write!(rows, "<tr><th>{}</th>{cells}</tr>", route.name);
        }
    }
    if rows.is_empty() {
        return rows;
    }
    let text = "The time is for a channel with 64 slots. The memory is for a channel with 1024 slots of 64 bytes: the \
                growth of the resident pages of the process that creates it, without the kernel's memory for sockets and \
                pipes. Waiting is in percent of one processor.";
    section(
        "What a channel costs",
        text,
        &format!(
            "<div class=\"wide\"><table><thead><tr><th>route</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        ),
    )
}

fn locks(all: &All) -> String {
    let titles = [
        ("alone", "uncontended: locked, one added, unlocked"),
        ("two", "contended: two without a pause"),
        ("two-read", "contended: two that only look"),
        ("event", "events: there and back"),
    ];
    let text = "The time for one operation, between processes unless a row says threads.";
    section("Locks", text, &workloads(all, "lock", &titles))
}

/// Writes the section about deaths.
fn recovery(all: &All) -> String {
    let titles = [
        ("recv", "a receiver notices that its last sender is dead"),
        ("send", "a sender that waits for room notices that its last receiver is dead"),
        ("again", "a message is delivered again after its receiver was killed"),
        ("mutex", "a waiter gets the mutex"),
        ("rwlock", "a writer gets the lock that a reader held"),
        ("semaphore", "a waiter gets the permit"),
    ];
    let text = "The time from kill -9 of a process until its waiters go on.";
    section("After a kill", text, &workloads(all, "recovery", &titles))
}

/// Writes the section about waiting for several channels.
fn selection(all: &All) -> String {
    let titles = [
        ("select-2", "a message from one of two channels, whose sender does not pause"),
        ("select-8", "a message from one of eight channels, whose sender does not pause"),
        ("select-trip", "there and back over two channels"),
        ("select-rested", "there and back over two channels, a millisecond after the last time"),
    ];
    let text = "The time for one message, or for one round trip. Rows with <code>recv</code> in \
                their names receive from one channel only.";
    section("Several channels at once", text, &workloads(all, "select", &titles))
}

/// Writes the figures of these workloads of a bench, each under its title.
fn workloads(all: &All, bench: &str, titles: &[(&str, &str)]) -> String {
    let records = |workload| all.records(bench).filter(move |record| record.workload == workload);
    titles.iter().map(|&(workload, title)| table(title, records(workload))).collect()
}

/// Writes the figures of one workload.
fn table<'a>(title: &str, records: impl Iterator<Item = &'a Record>) -> String {
    let mut rows = String::new();
    for record in records.filter(|record| !record.values.is_empty()) {
        let ratio = if record.ratios.is_empty() {
            String::new()
        } else {
            format!("{} {}", spread(&record.ratios, figure), record.reference)
        };
        let spent = record.spent.map_or(String::new(), |(user, kernel)| {
            format!(
                "{}, {:.0} % in the kernel",
                time(user + kernel),
                100.0 * kernel / (user + kernel)
            )
        });
        let quantiles: String = record
            .quantiles
            .iter()
            .filter(|(part, _)| [0.99, 0.999, 1.0].contains(part))
            .map(|(part, nanos)| {
                let name =
                    if *part == 1.0 { "max".to_owned() } else { format!("p{}", part * 100.0) };
                format!("{name} {} ", time(*nanos))
            })
            .collect();
        let bytes = if record.unit == Unit::PerSecond && record.bytes >= 1024 {
            format!(" = {}B/s", short(Summary::of(&record.values).median * record.bytes as f64))
        } else {
            String::new()
        };
        let _ = write!(
            rows,
            "<tr><th>{}</th><td>{}{bytes}</td><td>{ratio}</td><td>{spent}</td><td>{quantiles}</td></tr>",
            record.route,
            spread(&record.values, writer(record.unit)),
        );
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "<details><summary>{}</summary><div class=\"wide\"><table><thead><tr><th>route</th><th>median (spread)</th>\
         <th>times what is named</th><th>processor time</th><th></th></tr></thead><tbody>{rows}</tbody></table></div></details>",
        escape(title)
    )
}

fn tables(all: &All) -> String {
    let mut body = String::new();
    for bench in ["throughput", "latency", "pipes", "cost"] {
        let mut done: Vec<(&str, &str)> = Vec::new();
        for record in all
            .records(bench)
            .filter(|record| matches!(record.unit, Unit::PerSecond | Unit::Trip | Unit::Step))
        {
            let cell = (record.workload.as_str(), record.shape.as_str());
            if done.contains(&cell) {
                continue;
            }
            done.push(cell);
            let title = format!("{bench}: {} {}", cell.0, cell.1);
            let same = |other: &&Record| (other.workload.as_str(), other.shape.as_str()) == cell;
            body.push_str(&table(&title, all.records(bench).filter(same)));
        }
    }
    section("All figures", "", &body)
}

fn behind(all: &All) -> String {
    let list = |title: &str, found: &[Behind]| {
        let rows: String = found
            .iter()
            .map(|Behind { cell, ours, rival, times }| {
                format!(
                    "<tr><th>{cell}</th><td>{ours}</td><td>{rival}</td><td>{}</td></tr>",
                    figure(*times)
                )
            })
            .collect();
        if rows.is_empty() {
            return format!("<p>{title}: nowhere.</p>");
        }
        format!(
            "<h3>{title}</h3><div class=\"wide\"><table><thead><tr><th>cell</th><th>ours</th><th>rival</th>\
             <th>times as good</th></tr></thead><tbody>{rows}</tbody></table></div>"
        )
    };
    if all.0.is_empty() {
        return String::new();
    }
    let body =
        list("A rival of its own kind is ahead of a route of ours", &verdict::behind_rivals(all))
            + &list(
                "Crossbeam between threads is ahead of our best route across processes",
                &verdict::crossbeam_ahead(all),
            );
    section(
        "Where we are behind",
        "A row is behind by more than the noise if the spreads of the ratios do not meet. The guide <code>docs/which-route.md</code> says why.",
        &body,
    )
}

fn left_out(all: &All) -> String {
    let all = all.0.values().flat_map(|figures| &figures.omitted);
    let items: String = all
        .map(|(cells, why)| format!("<li><b>{}</b>: {}</li>", escape(cells), escape(why)))
        .collect();
    section(
        "What is left out, and why",
        "",
        &if items.is_empty() { items } else { format!("<ul>{items}</ul>") },
    )
}

fn routes() -> String {
    let items: String = ROUTES
        .iter()
        .map(|route| format!("<dt>{}</dt><dd>{}</dd>", route.name, escape(route.about)))
        .collect();
    section("The routes", "", &format!("<dl>{items}</dl>"))
}

fn method() -> String {
    let items = [
        "Each peer of a route between processes is a process of its own. The peers of crossbeam, std and <code>thread</code> are threads.",
        "Calls block, as in ordinary programs. Where a route lets one choose, there is room for 1024 messages, or for 16 messages above 1 KiB.",
        "Before a measurement, every byte of some messages is checked. During it, the count, the order and the sum of the messages' numbers are checked.",
        "Rivals are measured in turn, round by round, each right after the reference. So both figures of a ratio come from the same fraction of a second. The figure of a round is the median of its pieces. The page shows the median of the rounds and its spread: 98 times of 100, the spread contains the median of infinitely many rounds. (With seven rounds, it goes from the lowest to the highest.) Two runs on a quiet machine agree if their spreads meet, or if their medians differ by less than 5 %, by which a machine’s clocks change. <code>BENCH_AGAINST=directory cargo bench --bench write-up</code> checks this against an earlier <code>target/ipc-report</code>.",
        "Peers are pinned: senders and callers to one core, receivers and responders to another; in rows “one core”, all to the same. Each peer reads the clock itself, and all processes share one clock.",
        "The share of other programs during a round is the busy time of the system, less that of the benches’ own processes.",
        "Criterion measures each row once more, separately, and keeps its statistics and baselines under <code>target/criterion</code>.",
    ];
    let items: String = items.iter().map(|item| format!("<li>{item}</li>")).collect();
    section("How it was measured", "", &format!("<ul>{items}</ul>"))
}
