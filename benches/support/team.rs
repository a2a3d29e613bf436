//! Peers that wait for tasks: threads, or processes of this executable.
//!
//! A peer is started once, reports that it is ready, and then answers task after task, so no figure
//! includes its start. Tasks and answers travel over channels of the facade, apart from the
//! measured ones. No peer polls them during a measurement: it sleeps until an answer comes.

use std::time::Duration;

use multiprocess::{Receiver, Route, Sender};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::machine::{self, Place, Side, Spent, SpentBy};

/// A task for a peer. The bench decides which fields matter.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Task {
    pub first: u64,
    pub count: u64,
    /// Check every byte that arrives.
    pub prove: bool,
    /// Sleep this long before each message.
    pub rest: Duration,
}

/// A peer's answer.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answer {
    /// On the clock that all processes share.
    pub begin: u64,
    pub end: u64,
    pub count: u64,
    pub sum: u64,
    pub disordered: u64,
    pub damaged: u64,
    /// Processor time.
    pub spent: Spent,
    /// Nanoseconds, and how many round trips took that long.
    pub trips: Vec<(u64, u64)>,
}

/// A peer's side of the tasks.
#[derive(Serialize, Deserialize)]
pub struct Post {
    member: usize,
    cpu: Option<usize>,
    thread: bool,
    tasks: Receiver<Task>,
    answers: Sender<(usize, Answer)>,
}

impl Post {
    /// Moves to the peer's processor.
    pub fn take_place(&self) {
        if let Some(cpu) = self.cpu {
            machine::pin_to(cpu);
        }
    }

    /// Reports that the peer is ready, and works until there are no more tasks.
    pub fn serve(self, mut work: impl FnMut(Task) -> Answer) {
        self.answers.send((self.member, Answer::default())).expect("the asking side waits");
        let by = if self.thread { SpentBy::Thread } else { SpentBy::Process };
        for task in &self.tasks {
            let before = machine::spent(by);
            let mut answer = work(task);
            answer.spent = machine::spent(by).since(before);
            self.answers.send((self.member, answer)).expect("the asking side waits");
        }
    }
}

enum Member {
    Process(multiprocess::JoinHandle<()>),
    Thread(std::thread::JoinHandle<()>),
}

/// The peers of one row, in the order in which they get their tasks.
pub struct Team {
    route: Route,
    place: Place,
    tasks: Vec<Sender<Task>>,
    answers: Receiver<(usize, Answer)>,
    for_answers: Sender<(usize, Answer)>,
    members: Vec<Member>,
}

/// Longer than any task takes: a peer that died leaves the others waiting.
const PATIENCE: Duration = Duration::from_secs(120);

impl Team {
    /// `Route::Shm` for a team of processes, `Route::Thread` for one of threads.
    pub fn new(route: Route, place: Place) -> Team {
        let (for_answers, answers) = route.bounded(64).expect("a channel for answers");
        Team { route, place, tasks: Vec::new(), answers, for_answers, members: Vec::new() }
    }

    fn post(&mut self, side: Side) -> Post {
        let (for_peer, tasks) = self.route.bounded(4).expect("a channel for tasks");
        self.tasks.push(for_peer);
        Post {
            member: self.members.len(),
            cpu: machine::cpu(self.place, side),
            thread: self.route == Route::Thread,
            tasks,
            answers: self.for_answers.clone(),
        }
    }

    /// Starts a process. The ends stay here until it is ready: some travel as names.
    pub fn process<E: Clone + Serialize + DeserializeOwned>(
        &mut self,
        side: Side,
        f: fn((E, Post)),
        ends: E,
    ) {
        let post = self.post(side);
        let child =
            multiprocess::process::Builder::new().kill_on_drop(true).spawn(f, (ends.clone(), post));
        self.members.push(Member::Process(child.expect("a child")));
        self.answer();
    }

    /// Starts a thread.
    pub fn thread<E: Send + 'static>(&mut self, side: Side, f: fn((E, Post)), ends: E) {
        let post = self.post(side);
        self.members.push(Member::Thread(std::thread::spawn(move || f((ends, post)))));
        self.answer();
    }

    fn answer(&self) -> (usize, Answer) {
        self.answers.recv_timeout(PATIENCE).expect("all peers live and answer")
    }

    /// Gives each member its task, in order, and waits for all answers.
    pub fn work(&self, tasks: impl IntoIterator<Item = Task>) -> Vec<Answer> {
        let mut answers = vec![Answer::default(); self.members.len()];
        for (member, task) in self.tasks.iter().zip(tasks) {
            member.send(task).expect("peers wait for tasks");
        }
        for _ in 0..answers.len() {
            let (member, answer) = self.answer();
            answers[member] = answer;
        }
        answers
    }

    /// Ends the members, and checks how they ended.
    pub fn finish(self) {
        drop(self.tasks);
        for member in self.members {
            match member {
                Member::Process(child) => child.join().expect("a child that ends well"),
                Member::Thread(thread) => thread.join().expect("a thread that ends well"),
            }
        }
    }
}
