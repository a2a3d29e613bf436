//! The first command of the README: it builds few crates, and the checks run exactly this command.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The first line of the first block of commands in the README, without its comment.
fn first_command() -> String {
    let readme = std::fs::read_to_string(top().join("README.md")).unwrap();
    let block = readme.split("```sh\n").nth(1).unwrap();
    let line = block.lines().next().unwrap();
    line.split(" #").next().unwrap().trim().to_owned()
}

/// What cargo says of a package that a command in the root of the project means, over these edges:
/// the depth and the name of each crate. Features are those of all such packages.
fn tree(package: &str, edges: &str) -> Vec<(usize, String)> {
    let output = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["tree", "--offline", "--locked", "--edges", edges, "--no-dedupe"])
        .args(["--prefix", "depth", "--format", "\t{p}"])
        .current_dir(top())
        .output()
        .unwrap();
    let tree = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = tree.lines().filter_map(|line| line.split_once('\t'));
    let crates = lines.map(|(depth, name)| (depth.parse().unwrap(), name.replace(" (*)", "")));
    let package: Vec<(usize, String)> = crates
        .skip_while(|(depth, name)| !(*depth == 0 && name.starts_with(package)))
        .enumerate()
        .take_while(|(i, (depth, _))| *i == 0 || *depth > 0)
        .map(|(_, line)| line)
        .collect();
    assert!(!package.is_empty(), "the package is among what a command in the root means");
    package
}

/// The crates that cargo builds for the examples when it is started in the root of the project.
fn crates_of_the_examples() -> BTreeSet<String> {
    // Of the library, cargo shows the dependencies of its tests here, which are not built.
    let mut within_library = false;
    let examples = tree("multiprocess-examples v", "normal,build,dev").into_iter();
    let examples = examples.filter(|(depth, name)| {
        if *depth <= 1 {
            within_library = name.starts_with("multiprocess v");
        }
        !within_library
    });
    examples.chain(tree("multiprocess v", "normal,build")).map(|(_, name)| name).collect()
}

// fault 131
#[test]
fn the_first_command_builds_few_crates() {
    let crates = crates_of_the_examples();
    for known in ["multiprocess v", "ipc-shm v", "serde v", "indicatif v"] {
        assert!(crates.iter().any(|name| name.starts_with(known)), "{known} is one of {crates:#?}");
    }
    assert!(crates.len() <= 40, "{} crates: {crates:#?}", crates.len());
}

// fault 131
#[test]
fn the_first_command_kills_a_worker_and_is_run_by_the_checks() {
    let command = first_command();
    assert_eq!(command, "cargo run --release --example wordcount -- --kill");
    let checks = std::fs::read_to_string(top().join("ci/examples.sh")).unwrap();
    assert!(checks.lines().any(|line| line.contains(&command)), "ci/examples.sh runs it");
}
