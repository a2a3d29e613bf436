//! The charts.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::All;
use super::support::record::{Record, Unit};
use super::support::rounds::{Summary, figure, short, time};
use super::support::routes::{By, Family, REFERENCE, route};
use super::svg::{Area, Axis, COLOURS, GRID, INK, MUTED, colour, draw, text};

/// A line in a chart: its value at each of the places, with its spread where there is one.
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) values: Vec<Option<Summary>>,
}

pub(crate) struct Lines<'a> {
    pub(crate) title: &'a str,
    /// Of the places, from left to right; a line is broken before those that begin with a bar.
    pub(crate) places: &'a [&'a str],
    pub(crate) series: Vec<Series>,
    pub(crate) write: fn(f64) -> String,
}

/// Which colour a route has in all charts: those that share one are told apart.
const PAINTS: [&[&str]; COLOURS] = [
    &["std-mpsc", "pod", "pipe"],
    &["thread", "typed", "socket"],
    &["python-queue", "bytes", "duplex", "pipe-by-32"],
    &["python-pipe", "bytes-lent", "ipc-channel", "socket-by-32"],
    &["naive", "interprocess", "socket-erased"],
    &["pod-by-32", "ipc-channel-bytes", "bare-packets"],
    &["bare-socket"],
    &["erased", "bare-pipe", "bare-rights"],
];

pub(crate) fn colour_of(name: &str) -> Option<usize> {
    PAINTS.iter().position(|names| names.contains(&name))
}

fn paint(name: &str) -> RGBColor {
    if name == REFERENCE { MUTED } else { colour(colour_of(name).unwrap_or(0)) }
}

const LINES: (u32, u32) = (430, 300);

/// Draws lines on a logarithmic scale, with a legend. Draws nothing if there are no figures.
pub(crate) fn lines(lines: &Lines<'_>) -> Option<String> {
    let series: Vec<&Series> =
        lines.series.iter().filter(|series| series.values.iter().any(Option::is_some)).collect();
    let all = series.iter().flat_map(|series| series.values.iter().flatten());
    let axis = Axis::around(all.flat_map(|value| [value.low, value.median, value.high]))?;
    let svg = draw(LINES, lines.title, |area| {
        let (left, right, top, bottom) = (58, LINES.0 as i32 - 14, 10, LINES.1 as i32 - 28);
        let last = (lines.places.len() - 1).max(1) as f64;
        let x = |i: usize| left + 14 + ((right - left - 28) as f64 * i as f64 / last) as i32;
        let y = |v: f64| {
            let part = (v.max(1e-12).log10() - axis.range().start)
                / (axis.range().end - axis.range().start);
            bottom - (f64::from(bottom - top) * part) as i32
        };
        for tick in axis.ticks() {
            let at = y(10f64.powf(tick));
            area.draw(&PathElement::new([(left, at), (right, at)], GRID))?;
            text(area, &(lines.write)(10f64.powf(tick)), (left - 6, at), 11.0, MUTED, HPos::Right)?;
        }
        for (i, place) in lines.places.iter().enumerate() {
            let place = place.trim_start_matches('|');
            text(area, place, (x(i), bottom + 15), 11.0, MUTED, HPos::Center)?;
        }
        for series in &series {
            line(area, series, lines.places, x, y)?;
        }
        Ok(())
    });
    let entry = |series: &&Series| {
        let class = if series.name == REFERENCE {
            "muted".to_owned()
        } else {
            format!("c{}", colour_of(&series.name).unwrap_or(0))
        };
        format!("<li><i class=\"b-{class}\"></i>{}</li>", series.name)
    };
    let legend: String = series.iter().map(entry).collect();
    let title = super::svg::escape(lines.title);
    Some(format!(
        "<figure><figcaption>{title}</figcaption>{svg}<ul class=\"legend\">{legend}</ul></figure>"
    ))
}

fn line(
    area: &Area<'_>,
    series: &Series,
    places: &[&str],
    x: impl Fn(usize) -> i32,
    y: impl Fn(f64) -> i32,
) -> Result<(), DrawingAreaErrorKind<std::io::Error>> {
    let paint = paint(&series.name);
    let mut run: Vec<(i32, i32)> = Vec::new();
    let mut runs = Vec::new();
    for (i, value) in series.values.iter().enumerate() {
        if value.is_none() || places[i].starts_with('|') {
            runs.push(std::mem::take(&mut run));
        }
        let Some(value) = value else { continue };
        run.push((x(i), y(value.median)));
        area.draw(&PathElement::new(
            [(x(i), y(value.low)), (x(i), y(value.high))],
            paint.stroke_width(1),
        ))?;
    }
    runs.push(run);
    for run in runs {
        area.draw(&PathElement::new(run.clone(), paint.stroke_width(2)))?;
        for at in run {
            area.draw(&Circle::new(at, 3, paint.filled()))?;
        }
    }
    Ok(())
}

/// Draws a value of each route on a logarithmic scale, with its spread.
pub(crate) struct Dots<'a> {
    pub(crate) title: &'a str,
    pub(crate) rows: Vec<(&'a Record, Summary)>,
    pub(crate) write: fn(f64) -> String,
}

const ROW: i32 = 21;

/// Draws into a part of a chart, from `top` on and between `left` and `right`; returns where it
/// ends.
fn dots(
    area: &Area<'_>,
    chart: &Dots<'_>,
    (left, right, top): (i32, i32, i32),
) -> Result<i32, DrawingAreaErrorKind<std::io::Error>> {
    let values = chart.rows.iter().flat_map(|(_, value)| [value.low, value.high]);
    let Some(axis) = Axis::around(values) else { return Ok(top) };
    let (from, to) = (left + 118, right - 62);
    let x = |v: f64| {
        let part = (v.log10() - axis.range().start) / (axis.range().end - axis.range().start);
        from + (f64::from(to - from) * part) as i32
    };
    text(area, chart.title, (left, top + 8), 14.0, INK, HPos::Left)?;
    let (first, bottom) = (top + 36, top + 36 + ROW * chart.rows.len() as i32);
    for tick in axis.ticks() {
        let at = x(10f64.powf(tick));
        area.draw(&PathElement::new([(at, first - 8), (at, bottom - 6)], GRID))?;
        text(area, &(chart.write)(10f64.powf(tick)), (at, bottom + 4), 10.0, MUTED, HPos::Center)?;
    }
    for (i, (record, value)) in chart.rows.iter().enumerate() {
        let y = first + ROW * i as i32;
        let by = route(&record.route).map(|route| route.by);
        let paint = match by {
            Some(By::Reference) => INK,
            Some(By::Us) => colour(0),
            _ => colour(4),
        };
        text(area, &record.route, (left + 110, y), 12.0, INK, HPos::Right)?;
        area.draw(&PathElement::new([(from, y), (x(value.median), y)], paint.stroke_width(1)))?;
        area.draw(&PathElement::new(
            [(x(value.low), y), (x(value.high), y)],
            paint.stroke_width(4),
        ))?;
        area.draw(&Circle::new((x(value.median), y), 5, paint.filled()))?;
        text(area, &(chart.write)(value.median), (to + 12, y), 12.0, INK, HPos::Left)?;
    }
    Ok(bottom + 20)
}

fn summarized<'a>(
    all: &'a All,
    bench: &str,
    cell: (&str, &str),
    names: &[&str],
) -> Vec<(&'a Record, Summary)> {
    let find = |name: &&str| {
        all.find(bench, (cell.0, name, cell.1)).filter(|record| !record.values.is_empty())
    };
    names.iter().filter_map(find).map(|record| (record, Summary::of(&record.values))).collect()
}

const IN_SUMMARY: [&str; 13] = [
    REFERENCE,
    "pod",
    "pod-by-32",
    "typed",
    "erased",
    "pipe",
    "socket",
    "naive",
    "ipc-channel",
    "interprocess",
    "bare-pipe",
    "bare-socket",
    "python-queue",
];

/// The chart in the README: throughput and round trips, with the conditions under them; a file of
/// its own.
pub(crate) fn summary(all: &All) -> String {
    let sorted = |mut rows: Vec<(_, Summary)>, less: bool| {
        rows.sort_by(|a, b| {
            if less { a.1.median.total_cmp(&b.1.median) } else { b.1.median.total_cmp(&a.1.median) }
        });
        rows
    };
    let rates = Dots {
        title: "64 bytes one way: messages per second",
        rows: sorted(summarized(all, "throughput", ("64B", "1-1"), &IN_SUMMARY), false),
        write: short,
    };
    let trips = Dots {
        title: "8 bytes there and back: median",
        rows: sorted(summarized(all, "latency", ("hot", ""), &IN_SUMMARY), true),
        write: time,
    };
    let height = 134 + ROW * rates.rows.len().max(trips.rows.len()) as i32;
    let size = (860, height as u32);
    let svg = draw(size, "Throughput and round trips of each route", |area| {
        let legend = [
            (INK, "between threads, the reference"),
            (colour(0), "ours, between processes"),
            (colour(4), "others, between processes"),
        ];
        for (i, (paint, name)) in legend.into_iter().enumerate() {
            let at = (20 + 230 * i as i32, 16);
            area.draw(&Circle::new(at, 5, paint.filled()))?;
            text(area, name, (at.0 + 12, at.1), 12.0, INK, HPos::Left)?;
        }
        dots(area, &rates, (10, 430, 40))?;
        dots(area, &trips, (440, 860, 40))?;
        let run = all.0.get("throughput").and_then(|figures| figures.runs.values().last());
        if let Some(run) = run {
            let c = &run.conditions;
            let conditions = [
                format!(
                    "{}; {}; {}; commit {}; {}",
                    c.machine,
                    c.system,
                    short_compiler(&c.compiler),
                    c.commit,
                    c.date
                ),
                format!(
                    "two pinned cores; median of {} rounds, bars: its spread; logarithmic scales",
                    run.rounds
                ),
            ];
            for (i, line) in conditions.iter().enumerate() {
                text(area, line, (20, height - 24 + 15 * i as i32), 10.5, MUTED, HPos::Left)?;
            }
        }
        Ok(())
    });
    let style = format!("<style>{}</style>", include_str!("colours.css"));
    svg.replacen(
        ">\n",
        &format!(">\n{style}\n<rect width=\"100%\" height=\"100%\" class=\"paper\"/>\n"),
        1,
    )
}

fn short_compiler(version: &str) -> &str {
    version.split(" (").next().unwrap_or(version)
}

/// Draws bars of processor time, program and kernel, for the routes of a family.
pub(crate) fn processor_time(all: &All, title: &str, families: &[Family]) -> Option<String> {
    let of = |record: &&Record| {
        route(&record.route).is_some_and(|route| families.contains(&route.family))
    };
    let records = all
        .records("throughput")
        .filter(|r| (r.workload.as_str(), r.shape.as_str()) == ("64B", "1-1"));
    let rows: Vec<(&str, f64, f64)> = records
        .filter(of)
        .filter_map(|r| r.spent.map(|(user, kernel)| (r.route.as_str(), user, kernel)))
        .collect();
    let most = rows.iter().map(|row| row.1 + row.2).fold(0.0, f64::max);
    if most == 0.0 {
        return None;
    }
    let size = (430, (ROW * rows.len() as i32 + 16) as u32);
    let svg = draw(size, title, |area| {
        let (from, to) = (128, 350);
        let x = |v: f64| from + (f64::from(to - from) * v / most) as i32;
        for (i, &(name, user, kernel)) in rows.iter().enumerate() {
            let y = 14 + ROW * i as i32;
            text(area, name, (120, y), 12.0, INK, HPos::Right)?;
            area.draw(&Rectangle::new([(from, y - 6), (x(user), y + 6)], colour(0).filled()))?;
            area.draw(&Rectangle::new(
                [(x(user) + 1, y - 6), (x(user + kernel) + 1, y + 6)],
                colour(1).filled(),
            ))?;
            text(area, &time(user + kernel), (x(user + kernel) + 8, y), 12.0, INK, HPos::Left)?;
        }
        Ok(())
    });
    let legend = "<ul class=\"legend\"><li><i class=\"b-c0\"></i>in the program</li>\
                  <li><i class=\"b-c1\"></i>in the kernel</li></ul>";
    Some(format!(
        "<figure><figcaption>{}</figcaption>{svg}{legend}</figure>",
        super::svg::escape(title)
    ))
}

/// Formats the values of a unit.
pub(crate) fn writer(unit: Unit) -> fn(f64) -> String {
    match unit {
        Unit::PerSecond => short,
        Unit::Trip | Unit::Step => time,
        Unit::Percent => |value| figure(value) + " %",
        Unit::KiB => |value| figure(value) + " KiB",
        Unit::Descriptors => |value| format!("{value:.0}"),
        Unit::Millis => |value| figure(value) + " ms",
    }
}
