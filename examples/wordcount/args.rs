//! The options.

use std::env;
use std::path::PathBuf;
use std::thread;

use lexopt::prelude::*;
use multiprocess::Route;

pub(crate) const HELP: &str = "\
Counts the words of text files with several processes, then with one thread, and compares.

Usage: wordcount [OPTIONS] [PATH]...

A PATH is a file or a directory. Files that are not text are left out, and what is in
directories named target or .git. Without a PATH: this project, or the current directory.

Options:
      --workers N    how many workers [as many as there are processors]
      --route ROUTE  shm: workers are processes, the text goes through shared memory [default]
                     thread: workers are threads of this process
      --kill         kill a worker process (SIGKILL) in the middle of its work;
                     the counts must be right all the same
  -h, --help         this text";

/// A channel through shared memory has places for 127 processes, if nothing else is asked for.
const MOST_PROCESSES: usize = 120;

/// What is to be done.
pub(crate) enum Command {
    Help,
    Count(Options),
}

pub(crate) struct Options {
    pub(crate) paths: Vec<PathBuf>,
    pub(crate) workers: usize,
    pub(crate) route: Route,
    pub(crate) kill: bool,
}

/// Reads the command line.
pub(crate) fn parse() -> Result<Command, lexopt::Error> {
    let (mut paths, mut workers, mut route, mut kill) = (Vec::new(), None, Route::Shm, false);
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(Command::Help),
            Long("workers") => workers = Some(parser.value()?.parse()?),
            Long("route") => route = parser.value()?.parse()?,
            Long("kill") => kill = true,
            Value(path) => paths.push(path.into()),
            _ => return Err(arg.unexpected()),
        }
    }
    let least = if kill { 2 } else { 1 };
    let workers =
        workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, usize::from).max(least));
    if workers == 0 {
        return Err("--workers must be at least 1".into());
    }
    if route != Route::Thread && workers > MOST_PROCESSES {
        return Err(format!("--workers must be at most {MOST_PROCESSES}, unless they are threads").into());
    }
    if kill && workers < 2 {
        return Err("--kill needs --workers 2 or more: who would go on with the work?".into());
    }
    if kill && route == Route::Thread {
        return Err("--kill needs --route shm: a thread cannot be killed without its process".into());
    }
    if paths.is_empty() {
        paths.push(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| ".".into()).into());
    }
    Ok(Command::Count(Options { paths, workers, route, kill }))
}
