//! What the documentation says of this repository: the table of faults is that of the tests, and
//! the first command of the README is one that builds few crates.
//!
//! Write it anew with `FAULTS=write cargo test --test faults`.

#[path = "faults/catalogue.rs"]
mod catalogue;
#[path = "faults/first_command.rs"]
mod first_command;
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
    writeln!(text, "\nOf {count} faults, {tested} are tested; for {rest} the table says why not.")
        .unwrap();
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
    let numbers: Vec<_> =
        PARTS.iter().flat_map(|part| part.faults).map(|(number, ..)| *number).collect();
    assert!(numbers.iter().copied().eq(1..=131), "{numbers:?}");
    let places = places();
    let open: Vec<_> = numbers
        .iter()
        .filter(|number| {
            !places.contains_key(number) && !REMARKS.iter().any(|(with, _)| with == *number)
        })
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

/// Links of the form [`name`](../file.rs), which mean a test.
fn tests_named_in(text: &str) -> Vec<(String, String)> {
    let links = text.split("[`").skip(1).filter_map(|rest| {
        let (name, rest) = rest.split_once("`](../")?;
        let (file, _) = rest.split_once(')')?;
        Some((name.to_owned(), file.to_owned()))
    });
    links.filter(|(_, file)| file.ends_with(".rs")).collect()
}

#[test]
fn tests_that_the_threat_model_names_are_there() {
    let text = fs::read_to_string(top().join("docs/threat-model.md")).unwrap();
    let named = tests_named_in(&text);
    assert!(named.len() > 10, "{named:?}");
    for (name, file) in named {
        let source = fs::read_to_string(top().join(&file)).unwrap_or_default();
        assert!(source.contains(&format!("fn {name}()")), "there is no test {name} in {file}");
    }
}
