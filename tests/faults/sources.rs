//! The numbers in the sources: `// fault 7` or `// faults 1-3, 8: what of it`, above a test or a
//! model, or `//!` for all tests of a file; `# fault 7` in a script.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where a number stands.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// From the top of the project.
    pub(crate) file: String,
    /// None: all of the file.
    pub(crate) test: Option<String>,
}

pub(crate) fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All files in which numbers may stand.
fn files() -> Vec<PathBuf> {
    fn below(directory: &Path, into: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.is_dir() {
                if path.file_name().is_some_and(|name| name != "target" && name != "corpus") {
                    below(&path, into);
                }
            } else if path.extension().is_some_and(|end| end == "rs" || end == "sh") {
                into.push(path);
            }
        }
    }
    let mut files = Vec::new();
    for directory in ["src", "tests", "ipc-core", "ipc-sys", "ipc-shm", "ipc-pipes", "fuzz", "ci"] {
        below(&top().join(directory), &mut files);
    }
    // Their numbers are none of a test.
    let own = ["tests/faults/catalogue.rs", "tests/faults/sources.rs"].map(|file| top().join(file));
    files.retain(|file| !own.contains(file));
    files.sort();
    files
}

/// The numbers that a comment begins with: `fault 7` or `faults 1-3, 8`, then its end, or words.
fn numbers(comment: &str) -> Option<Vec<u32>> {
    let list = comment.strip_prefix("fault ").or_else(|| comment.strip_prefix("faults "))?;
    let end = list.find(|c: char| !(c.is_ascii_digit() || "-, ".contains(c))).unwrap_or(list.len());
    let (list, words) = list.split_at(end);
    let goes_on = words.strip_prefix("to ").or_else(|| words.strip_prefix("and "));
    if goes_on.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        return None;
    }
    let mut numbers = Vec::new();
    for item in list.trim_end_matches([' ', ',']).split(", ") {
        match item.split_once('-') {
            Some((first, last)) => numbers.extend(first.parse::<u32>().ok()?..=last.parse().ok()?),
            None => numbers.push(item.parse().ok()?),
        }
    }
    Some(numbers)
}

/// Whether a line speaks of a fault by its number.
fn speaks(line: &str) -> bool {
    let comment = line.contains("//") || line.trim_start().starts_with('#');
    comment
        && ["fault ", "faults "].iter().any(|word| {
            line.split(word).skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
}

/// The name of a function that begins on this line.
fn function(line: &str) -> Option<&str> {
    let rest = line.trim_start();
    let rest = rest.strip_prefix("pub(crate) ").or(rest.strip_prefix("pub ")).unwrap_or(rest);
    let name = rest.strip_prefix("fn ")?;
    Some(name.split(['(', '<']).next().unwrap_or(name))
}

/// All numbers, and where they stand.
///
/// # Panics
///
/// If a number stands where it means nothing, so that no reader relies on it.
pub(crate) fn places() -> BTreeMap<u32, Vec<Place>> {
    let mut places: BTreeMap<u32, Vec<Place>> = BTreeMap::new();
    for path in files() {
        let file = path.strip_prefix(top()).unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (i, line) in lines.iter().enumerate() {
            if !speaks(line) {
                continue;
            }
            let place = || format!("{file}:{}: {line}", i + 1);
            let line = line.trim_start();
            let whole_file = line.strip_prefix("//! ").or_else(|| line.strip_prefix("# "));
            let comment = whole_file.or_else(|| line.strip_prefix("// "));
            let Some(numbers) = comment.and_then(numbers) else {
                panic!(
                    "{}: not `// fault 7` or `// faults 1-3, 8: …` at the beginning of a line",
                    place()
                );
            };
            let test = whole_file.is_none().then(|| {
                // Nothing but comments and attributes in between.
                let next = lines[i + 1..].iter().map(|line| line.trim_start());
                let mut next =
                    next.skip_while(|line| line.starts_with("//") || line.starts_with("#["));
                let name = next.next().and_then(function);
                name.unwrap_or_else(|| panic!("{}: no test follows", place())).to_owned()
            });
            for number in numbers {
                places
                    .entry(number)
                    .or_default()
                    .push(Place { file: file.clone(), test: test.clone() });
            }
        }
    }
    for places in places.values_mut() {
        places.sort();
        places.dedup();
    }
    places
}

#[test]
fn comments_are_read_as_they_are_meant() {
    assert_eq!(numbers("fault 7"), Some(vec![7]));
    assert_eq!(numbers("faults 1-3, 8: at random"), Some(vec![1, 2, 3, 8]));
    assert_eq!(numbers("fault 84, and when."), Some(vec![84]));
    assert_eq!(numbers("faults 6, 7 as far as chance finds them"), Some(vec![6, 7]));
    assert_eq!(numbers("faults 1 to 3"), None);
    assert_eq!(numbers("faults 1, 2 and 3"), None);
    assert_eq!(numbers("faults 1,3"), None);
    assert!(speaks("// see faults 3") && !speaks("let faults = 3; // no fault"));
    assert_eq!(function("    pub(crate) fn held<T>(x: T) {"), Some("held"));
    assert_eq!(function("let f = 3;"), None);
}
