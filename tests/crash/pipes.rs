//! kill -9 of processes that send and receive over sockets and pipes: at each named point of
//! ipc-pipes, and at any time.
//!
//! What holds on these routes: what was sent is there, whole and in order. What a process had taken
//! out of the kernel's hands is gone with it: the one message it was receiving, or those of the one
//! `recv_many`.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use multiprocess::pipe::{self, Handle};
use multiprocess::{DisconnectCause, Receiver, Sender};
use serde::{Deserialize, Serialize};
use testkit::{Random, seed, watchdog_of};

use crate::fork_server::{self, Child, ForkServer, Task};
use crate::support::{alone, kills};

type Message = (u64, String);
type Make = fn() -> std::io::Result<(Sender<Message>, Receiver<Message>)>;

const CARRIERS: [(&str, Make); 2] = [("socket", pipe::channel), ("pipe", pipe::anonymous)];

/// Messages that a victim sends or receives if it is not killed before.
const N: u64 = 120;
/// As many at once, in a victim that does so.
const BATCH: usize = 8;

/// Of sizes that travel in each way there is.
fn message(n: u64) -> Message {
    let size = [10, 6_000, 200, 120_000][n as usize % 4];
    (n, format!("{n:06}").repeat(size / 6))
}

/// The number; fails if the message is torn.
fn number(message: &Message) -> u64 {
    assert!(*message == self::message(message.0), "a torn message: {}", message.0);
    message.0
}

fn log_of(log: Handle) -> UnixStream {
    OwnedFd::from(log).into()
}

/// What a victim does.
#[derive(Serialize, Deserialize)]
enum Part {
    Send(Sender<Message>),
    /// Batches of messages that fit at once.
    SendSmall(Sender<Message>),
    Receive(Receiver<Message>),
}

struct Victim;

impl Task for Victim {
    type Work = (Part, Handle, bool);

    fn work((part, log, many): Self::Work) {
        let log = log_of(log);
        match part {
            Part::Send(tx) => send(tx, log, many),
            Part::SendSmall(tx) => send_small(tx, log),
            Part::Receive(rx) => receive(rx, log, many),
        }
    }
}

fn send(tx: Sender<Message>, mut log: UnixStream, many: bool) {
    let mut n = 0;
    while n < N {
        let count = if many { BATCH as u64 } else { 1 };
        if many {
            tx.send_many((n..n + count).map(message)).unwrap();
        } else {
            tx.send(message(n)).unwrap();
        }
        n += count;
        log.write_all(&vec![1; count as usize]).unwrap();
    }
}

fn send_small(tx: Sender<Message>, mut log: UnixStream) {
    for n in (0..N).step_by(BATCH) {
        tx.send_many((n..n + BATCH as u64).map(|n| (n, String::new()))).unwrap();
        log.write_all(&[1; BATCH]).unwrap();
    }
}

fn receive(rx: Receiver<Message>, mut log: UnixStream, many: bool) {
    let mut some = Vec::new();
    let mut left = N;
    while left > 0 {
        some.clear();
        let received = match many {
            true => rx.recv_many(&mut some, BATCH).map(|_| ()),
            false => rx.recv().map(|message| some.push(message)),
        };
        if received.is_err() {
            return;
        }
        left = left.saturating_sub(some.len() as u64);
        let numbers: Vec<u8> =
            some.iter().flat_map(|message| number(message).to_le_bytes()).collect();
        log.write_all(&numbers).unwrap();
    }
}

/// When a victim dies.
#[derive(Clone, Copy)]
enum Death<'a> {
    /// When it comes to this point so often; or not.
    #[cfg(killpoints)]
    At(&'a str, u64),
    /// After so long.
    After(Duration, &'a ForkServer<Victim>),
}

impl Death<'_> {
    fn is_due(self, since: Instant) -> bool {
        match self {
            #[cfg(killpoints)]
            Death::At(..) => false,
            Death::After(time, _) => since.elapsed() >= time,
        }
    }
}

fn start(part: Part, many: bool, death: Death<'_>) -> Started {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let work = (part, OwnedFd::from(theirs).into(), many);
    let victim = match death {
        #[cfg(killpoints)]
        Death::At(point, hit) => {
            let builder = multiprocess::process::Builder::new().kill_on_drop(true);
            let victim =
                builder.env("KILLPOINT", format!("{point}:{hit}")).spawn(Victim::work, work);
            Child::Spawned(victim.unwrap())
        }
        Death::After(_, server) => server.fork(work),
    };
    Started { victim, log: ours }
}

struct Started {
    victim: Child,
    log: UnixStream,
}

impl Started {
    /// Whether it was killed, and what it wrote.
    fn end(self, death: Death<'_>) -> (bool, Vec<u8>) {
        let killed = match (self.victim, death) {
            (Child::Spawned(child), _) => fork_server::is_killed(child),
            #[cfg(killpoints)]
            (Child::Forked(_), Death::At(..)) => unreachable!("it was not forked"),
            (child, Death::After(_, server)) => server.reap(child),
        };
        let mut log = Vec::new();
        let mut stream = self.log;
        stream.read_to_end(&mut log).unwrap();
        (killed, log)
    }
}

/// Everything is as if the dead processes had never been there, but for what they sent.
fn as_new(tx: &Sender<Message>, rx: &Receiver<Message>) {
    assert!(rx.try_recv().unwrap_err().is_empty());
    assert_eq!((tx.len(), rx.len(), tx.is_empty(), rx.is_empty()), (0, 0, true, true));
    for n in 0..4 {
        tx.send(message(n)).unwrap();
    }
    assert_eq!((tx.len(), rx.len()), (4, 4), "dead processes are in no count");
    assert!(rx.try_iter().map(|message| number(&message)).eq(0..4));
}

/// A victim that sends; whether it was killed.
fn kill_a_sender(make: Make, many: bool, death: Death<'_>) -> bool {
    let (tx, rx) = make().unwrap();
    let started = start(Part::Send(tx.clone()), many, death);
    let mut got = Vec::new();
    let begin = Instant::now();
    loop {
        if death.is_due(begin) {
            started.victim.kill();
        }
        let ended = started.victim.is_finished();
        match rx.recv_timeout(Duration::from_micros(300)) {
            Ok(message) => got.push(number(&message)),
            Err(error) => assert!(error.is_timeout(), "{error}"),
        }
        if ended && rx.is_empty() {
            break;
        }
    }
    let (killed, log) = started.end(death);
    let (sent, got_count) = (log.len() as u64, got.len() as u64);
    assert!(got.into_iter().eq(0..got_count), "each once, in order");
    let doubt = if many { BATCH as u64 } else { 1 };
    assert!(
        got_count >= sent && got_count <= sent + doubt,
        "{sent} were sent, {got_count} arrived"
    );
    as_new(&tx, &rx);
    killed
}

/// A victim that receives, with another receiver left; whether it was killed.
fn kill_a_receiver(make: Make, many: bool, death: Death<'_>) -> bool {
    let (tx, rx) = make().unwrap();
    let started = start(Part::Receive(rx.clone()), many, death);
    let begin = Instant::now();
    let mut sent = 0;
    loop {
        if death.is_due(begin) {
            started.victim.kill();
        }
        if sent < N {
            match tx.send_timeout(message(sent), Duration::from_micros(300)) {
                Ok(()) => sent += 1,
                Err(error) => assert!(error.is_timeout()),
            }
        } else {
            std::thread::yield_now();
        }
        if started.victim.is_finished() {
            break;
        }
    }
    let (killed, log) = started.end(death);
    let mut got = BTreeSet::new();
    let theirs = log.chunks_exact(8).map(|bytes| u64::from_le_bytes(bytes.try_into().unwrap()));
    let ours: Vec<u64> = rx.try_iter().map(|message| number(&message)).collect();
    assert!(ours.is_sorted());
    for n in theirs.chain(ours) {
        assert!(n < sent && got.insert(n), "message {n} twice, or never sent");
    }
    // Of one that is killed at any time, also what it had received and not told of yet.
    let doubt = if many { BATCH as u64 } else { 1 };
    let lost = sent - got.len() as u64;
    assert!(lost <= if killed { doubt } else { 0 }, "{lost} of {sent} are lost");
    as_new(&tx, &rx);
    killed
}

/// The last receiver, which takes batches; whether it was killed.
fn kill_the_last_receiver(make: Make, death: Death<'_>) -> bool {
    let (tx, rx) = make().unwrap();
    let started = start(Part::Receive(rx), true, death);
    let begin = Instant::now();
    let mut n = 0;
    let gone = loop {
        if death.is_due(begin) {
            started.victim.kill();
        }
        // It stops after some, and may leave a batch begun.
        match tx.send_many((n..n + BATCH as u64).map(|n| message(4 * n))) {
            Ok(sent) => n += sent as u64,
            Err(error) => break error,
        }
    };
    assert!(gone.is_disconnected());
    let (killed, _) = started.end(death);
    let cause = tx.disconnect_cause().unwrap();
    // At any time: also when it had dropped its end already, and was about to exit.
    let late = killed && matches!(death, Death::After(..)) && cause == DisconnectCause::Dropped;
    assert!(late || cause == if killed { DisconnectCause::Died } else { DisconnectCause::Dropped });
    killed
}

#[cfg(killpoints)]
const POINTS: &[(&str, &[&str])] = &[
    ("socket", &["socket.send", "socket.sent", "socket.recv", "socket.received"]),
    ("socket", &["message.seal", "message.sealed"]),
    ("pipe", &["packets.send", "packets.sent", "packets.recv", "packets.received"]),
    ("pipe", &["packets.put", "packets.stored", "packets.got"]),
    ("socket", &["channel.count_sent", "channel.count_received", "channel.count_batch"]),
    ("pipe", &["channel.count_sent", "channel.count_received", "channel.count_batch"]),
];

// faults 1, 2, 5
#[cfg(killpoints)]
#[test]
fn killed_at_each_point_of_sockets_and_pipes() {
    multiprocess::init();
    let _alone = alone();
    let _watchdog = watchdog_of(Duration::from_secs(60));
    let mut died = BTreeSet::new();
    for (carrier, points) in POINTS {
        let (_, make) = CARRIERS.into_iter().find(|(name, _)| name == carrier).unwrap();
        for point in *points {
            for hit in [1, 2, 7] {
                for many in [false, true] {
                    for kill in [kill_a_sender, kill_a_receiver] {
                        if kill(make, many, Death::At(point, hit)) {
                            died.insert(*point);
                        }
                    }
                }
            }
        }
    }
    // A batch is made for one receiver only: its sender is killed with that one left.
    for (_, make) in CARRIERS {
        for hit in [1, 3] {
            let (tx, rx) = make().unwrap();
            let mut some = Vec::new();
            assert!(rx.try_recv_many(&mut some, BATCH).unwrap_err().is_empty());
            let death = Death::At("channel.count_batch", hit);
            let (killed, log) = start(Part::SendSmall(tx.clone()), true, death).end(death);
            assert!(killed, "batches were made");
            died.insert("channel.count_batch");
            while rx.try_recv_many(&mut some, BATCH).is_ok() {}
            assert_eq!(some.len(), log.len() + BATCH);
            assert!(some.iter().map(|message| message.0).eq(0..some.len() as u64));
            as_new(&tx, &rx);
        }
    }
    let named: BTreeSet<&str> = POINTS.iter().flat_map(|(_, points)| *points).copied().collect();
    assert_eq!(died, named, "a process died at each");
    let mut in_sources = BTreeSet::new();
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/ipc-pipes/src");
    for file in std::fs::read_dir(sources).unwrap().flatten() {
        let Ok(text) = std::fs::read_to_string(file.path()) else { continue };
        in_sources.extend(
            text.split("kill_point!(\"")
                .skip(1)
                .map(|rest| rest.split('"').next().unwrap().to_owned()),
        );
    }
    // Meeting by name has its own (tests/meet/points.rs).
    in_sources.retain(|point| !["connect.", "listener."].iter().any(|own| point.starts_with(own)));
    assert!(in_sources.iter().map(String::as_str).eq(named), "{in_sources:?}");
}

// fault 8
#[test]
fn killed_at_any_time_over_sockets_and_pipes() {
    multiprocess::init();
    let _alone = alone();
    let kills = kills();
    let _watchdog = watchdog_of(Duration::from_secs(30 + kills / 4));
    let seed = seed();
    let (mut random, server) = (Random::new(seed), ForkServer::new());
    let (began, mut round, mut killed) = (Instant::now(), 0, 0);
    while killed < kills {
        for (_, make) in CARRIERS {
            let after = |random: &mut Random| {
                Death::After(Duration::from_micros(random.below(2_500)), &server)
            };
            killed += u64::from(kill_a_sender(make, round % 2 == 0, after(&mut random)));
            killed += u64::from(kill_a_receiver(make, round % 2 == 0, after(&mut random)));
            killed += u64::from(kill_the_last_receiver(make, after(&mut random)));
        }
        round += 1;
    }
    println!("{killed} kills in {:?}, seed {seed}", began.elapsed());
}
