//! Random kills: senders and receivers die at any moment, several at once, and are started again.
//!
//! faults 1-3, 6-9, 12-16, 99 as far as chance finds them; `points.rs` goes there on purpose.

use std::time::{Duration, Instant};

use ipc_shm::RecvTimeoutError;
use serde::{Deserialize, Serialize};
use testkit::{Directory, Random, seed, watchdog_of};

use crate::flavour::{Bytes, Flavour, Large, Mixed, Small, all_blocks_are_free};
use crate::fork_server::{Child, ForkServer, Task};
use crate::oracle::{Chronicle, Past};
use crate::roles::{How, Life, receive, record, send};
use crate::support::{Counter, Leaks, Log, alone, kills};

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
enum Work<F: Flavour> {
    Send(F::Tx, Life),
    Receive(F::Rx, Life),
}

impl<F: Flavour> Task for Work<F> {
    type Work = Self;

    fn work(work: Self) {
        match work {
            Work::Send(tx, life) => send::<F>((tx, life)),
            Work::Receive(rx, life) => receive::<F>((rx, life)),
        }
    }
}

struct Inhabitant {
    process: Child,
    life: Life,
    sends: bool,
}

/// A channel with everybody on it. Its own ends keep it connected, and are there to start children
/// with.
struct Town<F: Flavour> {
    capacity: usize,
    tx: F::Tx,
    rx: F::Rx,
    scratch: Directory,
    random: Random,
    fork_server: ForkServer<Work<F>>,
    children: Vec<Inhabitant>,
    /// Killed, and not yet buried.
    dead: Vec<Inhabitant>,
    past: Chronicle,
    born: u64,
}

impl<F: Flavour> Town<F> {
    fn new(capacity: usize, seed: u64) -> Self {
        // Some who are killed are not dead yet when others come.
        let (tx, rx) = F::make_for(24, capacity).unwrap();
        let scratch = Directory::new();
        let (random, fork_server) = (Random::new(seed), ForkServer::new());
        let past = Chronicle::default();
        Town {
            capacity,
            tx,
            rx,
            scratch,
            random,
            fork_server,
            children: Vec::new(),
            dead: Vec::new(),
            past,
            born: 0,
        }
    }

    fn life(&mut self) -> Life {
        self.born += 1;
        let how = How::ALL[self.random.below(How::ALL.len() as u64) as usize];
        Life { number: self.born, directory: self.scratch.path().to_owned(), how }
    }

    fn start(&mut self, sends: bool) {
        let life = self.life();
        let work = if sends {
            Work::Send(self.tx.clone(), life.clone())
        } else {
            Work::Receive(self.rx.clone(), life.clone())
        };
        // Some as a program starts them; that takes much longer.
        let process = match self.random.below(16) {
            0 => self.fork_server.spawn(work),
            _ => self.fork_server.fork(work),
        };
        self.children.push(Inhabitant { process, life, sends });
    }

    fn reap(&mut self, child: Inhabitant, killed: bool) {
        assert_eq!(self.fork_server.reap(child.process), killed);
        let past = Past { life: child.life, killed, kept: 0 };
        if child.sends { self.past.senders.push(past) } else { self.past.receivers.push(past) }
    }

    /// Messages that the living have received.
    fn progress(&self) -> u64 {
        let receivers = self.children.iter().filter(|child| !child.sends);
        receivers.map(|child| Log::count(&child.life.received())).sum()
    }

    /// Kills one, or two or three at once, when some messages have gone through; starts others
    /// instead.
    fn strike(&mut self) -> u64 {
        let messages = self.random.below(400);
        let (before, since) = (self.progress(), Instant::now());
        // In messages, not in time; but the moments in which nothing moves are worth a kill, too.
        while self.progress() < before + messages && since.elapsed() < Duration::from_millis(2) {
            std::thread::yield_now();
        }
        let victims = match self.random.below(8) {
            0 => 2,
            1 => 3,
            _ => 1,
        };
        let mut struck = Vec::new();
        for _ in 0..victims {
            let i = self.random.below(self.children.len() as u64) as usize;
            let victim = self.children.swap_remove(i);
            victim.process.kill();
            struck.push(victim);
        }
        for victim in struck {
            let sends = victim.sends;
            // Started before the body is cold, most of the time.
            if self.random.below(4) > 0 {
                self.start(sends);
                self.dead.push(victim);
            } else {
                self.reap(victim, true);
                self.start(sends);
            }
        }
        // Not so many that there is no room for processes.
        if self.dead.len() > 100 {
            self.reap_the_killed();
        }
        victims
    }

    fn reap_the_killed(&mut self) {
        for dead in std::mem::take(&mut self.dead) {
            self.reap(dead, true);
        }
    }

    /// Ends everybody, takes what is left, and looks whether all is free.
    fn end(mut self) -> (Chronicle, Directory) {
        Counter::open(&self.life().stop()).set(1);
        let (senders, receivers): (Vec<_>, Vec<_>) =
            self.children.drain(..).partition(|child| child.sends);
        for child in senders {
            self.reap(child, false);
        }
        for child in &receivers {
            child.process.kill();
        }
        self.dead.extend(receivers);
        self.reap_the_killed();
        self.drain();
        all_blocks_are_free::<F>(&self.tx, &self.rx, self.capacity);
        // Two more of each live to see the end.
        self.start(false);
        self.start(false);
        let Town { tx, rx, scratch, fork_server, children, mut past, .. } = self;
        drop(tx);
        for child in children {
            assert!(!fork_server.reap(child.process), "disconnected");
            past.receivers.push(Past { life: child.life, killed: false, kept: 0 });
        }
        assert!(F::recv(&rx).is_err(), "no sender is left");
        drop(rx);
        (past, scratch)
    }

    /// Receives all that is there, what dead receivers had taken included.
    fn drain(&mut self) {
        let mut life = self.life();
        life.how = How::Recv;
        let mut log = Log::append(&life.received());
        let ended = loop {
            // Longer than a busy machine keeps us from looking at what dead processes left.
            match F::recv_timeout(&self.rx, Duration::from_secs(1)) {
                Ok(message) => log.write(&[record(&message, 0)]),
                Err(ended) => break ended,
            }
        };
        assert_eq!(ended, RecvTimeoutError::Timeout, "what came is no message");
        self.past.receivers.push(Past { life, killed: false, kept: 0 });
    }
}

fn kill_and_judge<F: Flavour>(capacity: usize) {
    let _alone = alone();
    let kills = kills();
    // A kill, with the messages between it and the next, takes some milliseconds; on a busy machine
    // more.
    let _watchdog = watchdog_of(Duration::from_secs(60 + kills / 4));
    let began = Instant::now();
    let before = Leaks::count();
    let seed = seed();
    let mut town = Town::<F>::new(capacity, seed);
    for sends in [true, true, false, false, false] {
        town.start(sends);
    }
    let (mut killed, mut changes) = (0, 0);
    while killed < kills {
        killed += town.strike();
        // 2 to 4 of each.
        if killed / 100 > changes {
            changes = killed / 100;
            town.start(changes % 2 == 0);
            let extra = town.children.len() > 7;
            if extra {
                let child = town.children.remove(0);
                child.process.kill();
                let sends = child.sends;
                town.reap(child, true);
                let left = town.children.iter().filter(|child| child.sends == sends).count();
                if left < 2 {
                    town.start(sends);
                }
            }
        }
    }
    let (past, scratch) = town.end();
    let verdict = past.judge();
    println!(
        "capacity {capacity}: {killed} kills in {:?}, seed {seed}: {verdict:?}",
        began.elapsed()
    );
    drop(scratch);
    before.none_since();
}

#[test]
fn random_kills_mixed_sizes_capacity_1() {
    multiprocess::init();
    kill_and_judge::<Mixed>(1);
}

#[test]
fn random_kills_mixed_sizes_capacity_3() {
    multiprocess::init();
    kill_and_judge::<Mixed>(3);
}

#[test]
fn random_kills_mixed_sizes_capacity_64() {
    multiprocess::init();
    kill_and_judge::<Mixed>(64);
}

#[test]
fn random_kills_plain_data_in_slots() {
    multiprocess::init();
    kill_and_judge::<Small>(3);
}

#[test]
fn random_kills_plain_data_in_blocks() {
    multiprocess::init();
    kill_and_judge::<Large>(3);
}

#[test]
fn random_kills_bytes_of_any_length() {
    multiprocess::init();
    kill_and_judge::<Bytes>(3);
}
