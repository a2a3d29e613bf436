//! Processes that select over shared memory and a socket at once, killed at any time and replaced.
//! Receivers also wait for an event and for permits.
//!
//! Some senders give a claimed place up, and some receivers give a claimed message back. What a
//! killed process had taken out of the socket is lost with it: one message.
//!
//! faults 8, 92.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use multiprocess::shm::lock::Permit;
use multiprocess::shm::{Event, Semaphore};
use multiprocess::{Receiver, Select, Sender, pipe};
use serde::{Deserialize, Serialize};
use testkit::proc::all_asleep;
use testkit::{Directory, Random, seed, until, watchdog_of};

use crate::flavour::{Flavour, Mixed, all_blocks_are_free};
use crate::fork_server::{Child, ForkServer, Task};
use crate::message::{LARGE, Message, Text};
use crate::oracle::{Chronicle, Past};
use crate::roles::{How, Life, record};
use crate::support::{Counter, Leaks, Log, alone, kills};

/// The channels: messages of mixed sizes, messages in blocks, and a socket.
const CHANNELS: usize = 3;
const CAPACITY: usize = 3;

#[derive(Clone, Serialize, Deserialize)]
struct Senders {
    shm: [ipc_shm::Sender<Text>; 2],
    socket: Sender<Text>,
}

#[derive(Clone, Serialize, Deserialize)]
struct Receivers {
    shm: [ipc_shm::Receiver<Text>; 2],
    socket: Receiver<Text>,
    /// An automatic one.
    event: Event,
    permits: Semaphore,
}

/// What names a sender in the messages of one of the channels: each has a sequence of its own.
fn name(number: u64, channel: usize) -> u64 {
    (number * CHANNELS as u64 + channel as u64) | if channel == 1 { LARGE } else { 0 }
}

fn life(number: u64, directory: PathBuf, how: How) -> Life {
    Life { number, directory, how }
}

#[derive(Serialize, Deserialize)]
enum Work {
    Send(Senders, u64, PathBuf),
    Receive(Receivers, Life),
}

impl Task for Work {
    type Work = Self;

    fn work(work: Self) {
        match work {
            Work::Send(tx, number, directory) => send(&tx, number, &directory),
            Work::Receive(rx, life) => receive(&rx, &life),
        }
    }
}

fn send(tx: &Senders, number: u64, directory: &Path) {
    let lives: [Life; CHANNELS] =
        std::array::from_fn(|i| life(name(number, i), directory.to_owned(), How::Recv));
    let sent = lives.each_ref().map(|life| Counter::open(&life.sent()));
    let stop = Counter::open(&lives[0].stop());
    let mut random = Random::new(number);
    let mut next = [0; CHANNELS];
    while stop.get() == 0 {
        if random.below(16) == 0 {
            Mixed::give_up(&tx.shm[random.below(2) as usize]);
        }
        let mut select = Select::new();
        tx.shm.iter().for_each(|tx| _ = select.send(tx));
        select.send(&tx.socket);
        let chosen = match random.below(4) {
            0 => select.select_timeout(Duration::from_micros(random.below(300))).ok(),
            1 => select.try_select().ok(),
            _ => Some(select.select()),
        };
        let Some(chosen) = chosen else { continue };
        let channel = chosen.index();
        let message = Text::new(lives[channel].number, next[channel]);
        let done = match channel {
            2 => chosen.send(&tx.socket, message),
            _ => chosen.send(&tx.shm[channel], message),
        };
        done.expect("the parent keeps a receiver");
        next[channel] += 1;
        sent[channel].set(next[channel]);
    }
}

/// Receives until all channels are disconnected.
fn receive(rx: &Receivers, life: &Life) {
    let (mut log, late) = (Log::append(&life.received()), Counter::open(&life.late()));
    let mut random = Random::new(life.number);
    let mut open = [true; CHANNELS];
    while open.contains(&true) {
        if random.below(16) == 0 {
            // What it gives back comes to others behind what they have.
            late.set(late.get() + 1);
            Mixed::give_back(&rx.shm[random.below(2) as usize]);
        }
        let mut select = Select::new();
        let event = select.wait_for(&rx.event);
        let permit = select.acquire(&rx.permits);
        let mut channels = Vec::new();
        for channel in (0..CHANNELS).filter(|channel| open[*channel]) {
            channels.push(channel);
            match channel {
                2 => select.recv(&rx.socket),
                _ => select.recv(&rx.shm[channel]),
            };
        }
        let chosen = match random.below(4) {
            0 => select.select_timeout(Duration::from_micros(random.below(300))).ok(),
            _ => Some(select.select()),
        };
        let Some(chosen) = chosen else { continue };
        if chosen.index() == event {
            chosen.wait_for(&rx.event).expect("it is not a fork");
            continue;
        }
        if chosen.index() == permit {
            let permit = chosen.acquire(&rx.permits).expect("it is not a fork");
            // Used up, or given back.
            match random.below(2) {
                0 => drop(permit),
                _ => Permit::forget(permit).expect("it is not a fork"),
            }
            continue;
        }
        let channel = channels[chosen.index() - 2];
        let turns = random.below(500);
        // A guard is written down before it is dropped, the others after they have returned.
        let received = match (life.how, channel) {
            (How::Ref(_), 2) => chosen.recv_ref(&rx.socket).map(|lent| {
                log.write(&[record(&*lent, lent.deliveries())]);
            }),
            (How::Ref(_), _) => chosen.recv_ref(&rx.shm[channel]).map(|lent| {
                log.write(&[record(&*lent, lent.deliveries())]);
                (0..turns).for_each(|_| std::hint::spin_loop());
            }),
            (_, 2) => chosen.recv(&rx.socket).map(|message| log.write(&[record(&message, 0)])),
            _ => chosen.recv(&rx.shm[channel]).map(|message| log.write(&[record(&message, 0)])),
        };
        if let Err(error) = received {
            assert!(error.is_disconnected(), "{error}");
            open[channel] = false;
        }
    }
}

struct Inhabitant {
    process: Child,
    /// Of a sender: its number.
    life: Life,
    sends: bool,
}

/// The channels with everybody on them. Its own ends keep them connected.
struct Town {
    tx: Senders,
    rx: Receivers,
    scratch: Directory,
    random: Random,
    fork_server: ForkServer<Work>,
    children: Vec<Inhabitant>,
    /// Killed, and not yet reaped.
    dead: Vec<Inhabitant>,
    past: Chronicle,
    born: u64,
}

impl Town {
    fn new(seed: u64) -> Town {
        let [(a, from_a), (b, from_b)] = [(); 2].map(|()| Mixed::make_for(24, CAPACITY).unwrap());
        let (socket, from_socket) = pipe::channel().unwrap();
        Town {
            tx: Senders { shm: [a, b], socket },
            rx: Receivers {
                shm: [from_a, from_b],
                socket: from_socket,
                event: Event::auto().unwrap(),
                permits: Semaphore::new(0).unwrap(),
            },
            scratch: Directory::new(),
            random: Random::new(seed),
            fork_server: ForkServer::new(),
            children: Vec::new(),
            dead: Vec::new(),
            past: Chronicle { taken_out: 1, ..Chronicle::default() },
            born: 0,
        }
    }

    fn life(&mut self, how: How) -> Life {
        self.born += 1;
        life(self.born, self.scratch.path().to_owned(), how)
    }

    fn start(&mut self, sends: bool) {
        let how = if self.random.below(2) == 0 { How::Recv } else { How::Ref(0) };
        let life = self.life(how);
        let work = if sends {
            Work::Send(self.tx.clone(), life.number, life.directory.clone())
        } else {
            Work::Receive(self.rx.clone(), life.clone())
        };
        let process = match self.random.below(32) {
            0 => self.fork_server.spawn(work),
            _ => self.fork_server.fork(work),
        };
        self.children.push(Inhabitant { process, life, sends });
    }

    fn reap(&mut self, child: Inhabitant, killed: bool) {
        assert_eq!(self.fork_server.reap(child.process), killed);
        if !child.sends {
            return self.past.receivers.push(Past { life: child.life, killed, kept: 0 });
        }
        for channel in 0..CHANNELS {
            let number = name(child.life.number, channel);
            let life = Life { number, ..child.life.clone() };
            self.past.senders.push(Past { life, killed, kept: 0 });
        }
    }

    fn reap_the_killed(&mut self) {
        for dead in std::mem::take(&mut self.dead) {
            self.reap(dead, true);
        }
    }

    /// Messages that the living have received.
    fn progress(&self) -> u64 {
        let receivers = self.children.iter().filter(|child| !child.sends);
        receivers.map(|child| Log::count(&child.life.received())).sum()
    }

    /// Kills one, two or three at once, when some messages have gone through, and starts others.
    fn strike(&mut self) -> u64 {
        let messages = self.random.below(200);
        let (before, since) = (self.progress(), Instant::now());
        while self.progress() < before + messages && since.elapsed() < Duration::from_millis(2) {
            std::thread::yield_now();
        }
        self.rx.event.set().unwrap();
        self.rx.permits.release(1).unwrap();
        let victims = [1, 1, 1, 1, 2, 3][self.random.below(6) as usize];
        let mut struck = Vec::new();
        for _ in 0..victims {
            let i = self.random.below(self.children.len() as u64) as usize;
            let victim = self.children.swap_remove(i);
            victim.process.kill();
            struck.push(victim);
        }
        for victim in struck {
            self.start(victim.sends);
            self.dead.push(victim);
        }
        if self.dead.len() > 50 {
            self.reap_the_killed();
            let before = self.progress();
            until("messages go through", || self.progress() > before);
        }
        victims
    }

    /// Waits until all children sleep.
    fn all_asleep(&self) {
        for child in &self.children {
            let process = match &child.process {
                Child::Forked(pid) => *pid,
                Child::Spawned(child) => child.id(),
            };
            until("all receivers sleep", || all_asleep(process));
        }
    }

    /// Once all senders have ended: what is sent to receivers that sleep wakes one of them.
    fn wake_each(&mut self) {
        let mut next = [0; CHANNELS];
        self.born += 1;
        let lives: [Life; CHANNELS] = std::array::from_fn(|i| {
            life(name(self.born, i), self.scratch.path().to_owned(), How::Recv)
        });
        for round in 0..50 {
            let channel = round % (CHANNELS + 2);
            self.all_asleep();
            if channel == CHANNELS {
                self.rx.event.set().unwrap();
                until("one of them takes the event", || !self.rx.event.is_set());
                continue;
            }
            if channel == CHANNELS + 1 {
                self.rx.permits.release(1).unwrap();
                until("one of them uses the permit up", || {
                    self.all_asleep();
                    self.rx.permits.available_permits() == 0
                });
                continue;
            }
            let before = self.progress();
            let message = Text::new(lives[channel].number, next[channel]);
            match channel {
                2 => self.tx.socket.send(message).unwrap(),
                _ => self.tx.shm[channel].send(message).unwrap(),
            }
            next[channel] += 1;
            Counter::open(&lives[channel].sent()).set(next[channel]);
            until("one of them receives", || self.progress() > before);
        }
        let past = lives.into_iter().map(|life| Past { life, killed: false, kept: 0 });
        self.past.senders.extend(past);
    }

    /// Ends everybody, takes what is left, and checks that everything is free.
    fn end(mut self) -> (Chronicle, Directory) {
        Counter::open(&self.life(How::Recv).stop()).set(1);
        let (senders, receivers): (Vec<_>, Vec<_>) =
            self.children.drain(..).partition(|child| child.sends);
        self.children = receivers;
        for child in senders {
            self.reap(child, false);
        }
        self.wake_each();
        for child in std::mem::take(&mut self.children) {
            child.process.kill();
            self.dead.push(child);
        }
        self.reap_the_killed();
        self.drain();
        self.permits_are_right();
        for (tx, rx) in self.tx.shm.iter().zip(&self.rx.shm) {
            all_blocks_are_free::<Mixed>(tx, rx, CAPACITY);
        }
        // Two more live to see the end.
        self.start(false);
        self.start(false);
        let Town { tx, rx, scratch, fork_server, children, mut past, .. } = self;
        drop(tx);
        for child in children {
            assert!(!fork_server.reap(child.process), "disconnected");
            past.receivers.push(Past { life: child.life, killed: false, kept: 0 });
        }
        drop(rx);
        (past, scratch)
    }

    /// No process holds a permit any more: so many are there as are released.
    fn permits_are_right(&self) {
        let permits = &self.rx.permits;
        while let Some(permit) = permits.try_acquire().unwrap() {
            Permit::forget(permit).unwrap();
        }
        permits.release(3).unwrap();
        let all: Vec<_> = std::iter::from_fn(|| permits.try_acquire().unwrap()).collect();
        assert_eq!(all.len(), 3);
        all.into_iter().for_each(|permit| Permit::forget(permit).unwrap());
    }

    /// Receives all that is there, with what killed processes had claimed.
    fn drain(&mut self) {
        let life = self.life(How::Recv);
        let mut log = Log::append(&life.received());
        let mut select = Select::new();
        self.rx.shm.iter().for_each(|rx| _ = select.recv(rx));
        select.recv(&self.rx.socket);
        // Longer than a busy machine keeps this process from looking at what dead ones left.
        while let Ok(chosen) = select.select_timeout(Duration::from_secs(1)) {
            let message = match chosen.index() {
                2 => chosen.recv(&self.rx.socket),
                i => chosen.recv(&self.rx.shm[i]),
            };
            log.write(&[record(&message.unwrap(), 0)]);
        }
        drop(select);
        self.past.receivers.push(Past { life, killed: false, kept: 0 });
    }
}

#[test]
fn mixed_routes_killed_at_any_time() {
    multiprocess::init();
    let _alone = alone();
    let kills = kills();
    let _watchdog = watchdog_of(Duration::from_secs(60 + kills / 4));
    let began = Instant::now();
    // The first wait for a socket beside something else starts the thread that waits for sockets.
    let mut town = Town::new(0);
    town.drain();
    drop(town);
    let before = Leaks::count();
    let seed = seed();
    let mut town = Town::new(seed);
    for sends in [true, true, true, false, false, false] {
        town.start(sends);
    }
    let mut killed = 0;
    while killed < kills {
        killed += town.strike();
    }
    let (past, scratch) = town.end();
    let verdict = past.judge();
    println!("{killed} kills in {:?}, seed {seed}: {verdict:?}", began.elapsed());
    drop(scratch);
    before.none_since();
}
