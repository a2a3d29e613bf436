//! Python's `multiprocessing`, by a script of its own: `python.py`. Its processes check what
//! arrives themselves.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use super::job::{Job, Timed};
use super::machine::{self, Place, Side, Spent};
use super::trips::histogram;

/// The interpreter itself, if there is one: a wrapper would be started each time.
pub fn interpreter() -> Option<&'static str> {
    static FOUND: OnceLock<Option<String>> = OnceLock::new();
    let find = || {
        let program = "import multiprocessing, sys; print(sys.executable)";
        let output = Command::new("python3").args(["-c", program]).output().ok()?;
        let path = String::from_utf8(output.stdout).ok()?.trim().to_owned();
        (output.status.success() && !path.is_empty()).then_some(path)
    };
    FOUND.get_or_init(find).as_deref()
}

pub struct Python {
    child: Child,
    tasks: ChildStdin,
    answers: BufReader<ChildStdout>,
    trips: bool,
}

/// `multiprocessing.Queue` or `multiprocessing.Pipe`.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Queue,
    Pipe,
}

impl Python {
    /// Messages of so many bytes one way.
    pub fn stream(kind: Kind, bytes: usize, touch: bool, place: Place) -> Box<dyn Job> {
        Python::start(kind, "stream", bytes, touch, Duration::ZERO, place)
    }

    /// Round trips of eight bytes.
    pub fn trips(kind: Kind, rest: Duration, place: Place) -> Box<dyn Job> {
        Python::start(kind, "trips", 8, true, rest, place)
    }

    fn start(
        kind: Kind,
        what: &str,
        len: usize,
        touch: bool,
        rest: Duration,
        place: Place,
    ) -> Box<dyn Job> {
        let cpu = |side| machine::cpu(place, side).map_or("-1".to_owned(), |cpu| cpu.to_string());
        let mut child = Command::new(interpreter().expect("there is one"))
            .args(["-c", include_str!("python.py"), &format!("{kind:?}").to_lowercase(), what])
            .args([len.to_string(), u8::from(touch).to_string(), rest.as_nanos().to_string()])
            .args([cpu(Side::First), cpu(Side::Second)])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let tasks = child.stdin.take().expect("a pipe");
        let answers = BufReader::new(child.stdout.take().expect("a pipe"));
        Box::new(Python { child, tasks, answers, trips: what == "trips" })
    }
}

impl Job for Python {
    fn prove(&mut self, most: u64) {
        self.time(most.min(100));
    }

    fn time(&mut self, count: u64) -> Timed {
        writeln!(self.tasks, "{count}").expect("it reads");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        let numbers: Vec<u64> =
            line.split_whitespace().map(|n| n.parse().expect("numbers")).collect();
        assert_eq!(numbers.len() as u64, if self.trips { count } else { 1 }, "answers of python3");
        let trips = self.trips.then(|| {
            let mut times = histogram();
            numbers.iter().for_each(|&nanos| times.record(nanos).expect("resizes"));
            times
        });
        let nanos = numbers.iter().sum::<u64>() as f64;
        Timed { nanos, spent: Spent::default(), trips }
    }

    fn finish(mut self: Box<Self>) {
        drop(self.tasks);
        assert!(self.child.wait().expect("a child").success(), "python3 ends well");
    }
}
