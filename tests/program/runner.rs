//! Runs tests as programs, with as much of libtest's command line as cargo and cargo-nextest use.

use std::process::{Command, exit};

/// A test: its name, and what it does in the place of `main`.
pub(crate) type Test = (&'static str, fn());

/// The test that this process is. Its children are started with the same environment.
const PROGRAM: &str = "MULTIPROCESS_TEST_PROGRAM";

/// A list of tests from functions.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) const TESTS: &[crate::runner::Test] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),*];
    };
}
pub(crate) use tests;

/// The process that this very test starts anew, as a shell would.
pub(crate) fn this_program() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

pub(crate) fn run(parts: &[&[Test]]) {
    let all: Vec<Test> = parts.concat();
    let all = all.iter().map(|(name, test)| (name.split_once("::").unwrap().1, test));
    if let Ok(program) = std::env::var(PROGRAM) {
        let (_, test) =
            all.clone().find(|(name, _)| *name == program).expect("there is such a test");
        return test();
    }
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |option: &str| arguments.iter().any(|argument| argument == option);
    let mut filters: Vec<&String> = Vec::new();
    let mut skip = false;
    for argument in &arguments {
        let is_option = argument.starts_with('-');
        if !is_option && !skip {
            filters.push(argument);
        }
        skip =
            ["--format", "--test-threads", "--color", "-Z", "--skip"].contains(&argument.as_str());
    }
    let wanted = |name: &str| {
        let fits = |filter: &&String| {
            if has("--exact") { name == **filter } else { name.contains(filter.as_str()) }
        };
        !has("--ignored") && (filters.is_empty() || filters.iter().any(fits))
    };
    let chosen: Vec<&str> = all.map(|(name, _)| name).filter(|name| wanted(name)).collect();
    if has("--list") {
        chosen.iter().for_each(|name| println!("{name}: test"));
        return;
    }
    println!("\nrunning {} tests", chosen.len());
    let mut failed = 0;
    for name in &chosen {
        let output = this_program().env(PROGRAM, name).output().unwrap();
        let ok = output.status.success();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        let text =
            String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        if !ok || has("--nocapture") || text.contains("NOT TESTED") {
            print!("{text}");
        }
        failed += u32::from(!ok);
    }
    let result = if failed == 0 { "ok" } else { "FAILED" };
    println!("\ntest result: {result}. {} passed; {failed} failed\n", chosen.len() as u32 - failed);
    if failed > 0 {
        exit(101);
    }
}
