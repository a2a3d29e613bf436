//! The table of faults in the documentation is that of the tests.
//!
//! Write it anew with `FAULTS=write cargo test --test faults`.

#[path = "faults/catalogue.rs"]
mod catalogue;
#[path = "faults/sources.rs"]
mod sources;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use catalogue::{PARTS, REMARKS};
use sources::{Place, places, top};

const INTRODUCTION: &str = "\
# Faults

What can go wrong, what must come of it, and the tests that make it happen. Made from comments in the tests by
`tests/faults.rs`, which fails when this page is not up to date (`FAULTS=write cargo test --test faults` writes it
anew).
";

/// A link to where a number stands.
fn link(place: &Place) -> String {
    let name = match &place.test {
        Some(test) => test.clone(),
        None => place.file.clone(),
    };
    format!("[{name}](../{})", place.file)
}

fn table(places: &BTreeMap<u32, Vec<Place>>) -> String {
    let remarks: BTreeMap<u32, &str> = REMARKS.iter().copied().collect();
    let all = || PARTS.iter().flat_map(|part| part.faults);
    let tested = all().filter(|(number, ..)| places.contains_key(number)).count();
    let mut text = INTRODUCTION.to_owned();
    let (count, rest) = (all().count(), all().count() - tested);
    writeln!(text, "\nOf {count} faults, {tested} are tested; for {rest} the table says why not.").unwrap();
    for part in PARTS {
        writeln!(
            text,
            "\n## {}\n\n| | fault | what must come of it | tests |\n|--:|---|---|---|",
            part.title
        )
        .unwrap();
        for (number, fault, outcome) in part.faults {
            let links: Vec<_> = places.get(number).into_iter().flatten().map(link).collect();
            let mut tests = links.join(", ");
            if let Some(remark) = remarks.get(number) {
                if !tests.is_empty() {
                    tests.push_str(". ");
                }
                tests.push_str(remark);
            }
            writeln!(text, "| {number} | {fault} | {outcome} | {tests} |").unwrap();
        }
    }
    text
}

#[test]
fn each_fault_has_a_test_or_a_reason_and_the_documentation_says_which() {
    let numbers: Vec<_> = PARTS.iter().flat_map(|part| part.faults).map(|(number, ..)| *number).collect();
    assert!(numbers.iter().copied().eq(1..=102), "{numbers:?}");
    let places = places();
    let open: Vec<_> = numbers
        .iter()
        .filter(|number| !places.contains_key(number) && !REMARKS.iter().any(|(with, _)| with == *number))
        .collect();
    assert!(open.is_empty(), "neither a test nor a reason: {open:?}");
    let unknown: Vec<_> = places.iter().filter(|(number, _)| !numbers.contains(number)).collect();
    assert!(unknown.is_empty(), "no such faults: {unknown:?}");

    let page = top().join("docs/faults.md");
    let text = table(&places);
    if std::env::var("FAULTS").is_ok_and(|what| what == "write") {
        fs::write(&page, &text).unwrap();
    }
    let there = fs::read_to_string(&page).unwrap_or_default();
    let stale = text.lines().zip(there.lines()).find(|(new, old)| new != old);
    assert!(
        text == there,
        "docs/faults.md is not up to date: `FAULTS=write cargo test --test faults` writes it anew\n{stale:#?}"
    );
}
