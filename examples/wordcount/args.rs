//! The options.

use std::env;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread;

use lexopt::prelude::*;
use multiprocess::Route;

pub(crate) const HELP: &str = "\
Counts the words of text files with several processes, then with one thread, and compares.

Usage: wordcount [OPTIONS] [PATH]...

A PATH is a file or a directory. Files that are not text are left out, and what is in
directories named target or .git. Without a PATH: this project, or the current directory,
over and over until there are 400 MB of text.

Options:
      --workers N    how many workers [as many as there are processors]
      --route ROUTE  shm: workers are processes, the text goes through shared memory [default]
                     thread: workers are threads of this process
      --times N      count each file N times [once; without a PATH as often as is enough]
      --kill         kill a worker process (SIGKILL) in the middle of its work, and start
                     another in its place; the counts must be right all the same
  -h, --help         this text";

/// A channel through shared memory has places for at least 127 processes by default.
const MOST_PROCESSES: usize = 119;

/// The parsed options.
pub(crate) enum Command {
    Help,
    Count(Options),
}

pub(crate) struct Options {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) workers: usize,
    pub(crate) route: Route,
    pub(crate) kill: bool,
    /// How many times each file is counted. `None`: until there is enough text.
    pub(crate) times: Option<u64>,
}

/// Reads the command line.
pub(crate) fn parse() -> Result<Command, lexopt::Error> {
    let (mut paths, mut workers, mut route, mut kill) = (Vec::new(), None, Route::Shm, false);
    let mut times = None;
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("workers") => workers = Some(parser.value()?.parse()?),
            Long("route") => route = parser.value()?.parse()?,
            Long("kill") => kill = true,
            Long("times") => times = Some(parser.value()?.parse::<NonZero<u64>>()?.get()),
            Value(path) => paths.push(path.into()),
            _ => return Err(arg.unexpected()),
        }
    }
    let workers = workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from));
    if workers == 0 {
        return Err("--workers must be at least 1".into());
    }
    if route != Route::Thread && workers > MOST_PROCESSES {
        return Err(
            format!("--workers must be at most {MOST_PROCESSES}, unless they are threads").into()
        );
    }
    if kill && route == Route::Thread {
        return Err(
            "--kill needs --route shm: a thread cannot be killed without its process".into()
        );
    }
    if paths.is_empty() {
        // Cargo names the directory of the examples, which is in that of the project.
        let examples = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let project = examples.as_deref().and_then(Path::parent);
        paths.push(project.unwrap_or(Path::new(".")).to_owned());
    } else {
        times = times.or(Some(1));
    }
    Ok(Command::Count(Options { paths, workers, route, kill, times }))
}
