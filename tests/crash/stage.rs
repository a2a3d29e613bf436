//! A channel on which one process after another dies at a named point, and what the survivor then
//! finds.

use std::process::Stdio;
use std::time::Duration;

use ipc_shm::{RecvTimeoutError, SendTimeoutError, Unreadable};
use multiprocess::process::Builder;
use multiprocess::{JoinError, JoinHandle};
use rustix::process::Resource;
use serde::{Deserialize, Serialize};
use testkit::proc::{address_space, all_asleep};
use testkit::{Directory, limit, until};

use crate::flavour::{Flavour, all_blocks_are_free};
use crate::message::Message;
use crate::oracle::{Chronicle, Past};
use crate::roles::{How, Life, record};
use crate::support::{Counter, Log, ticked};

/// What a victim does, unless it dies before.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) enum Script {
    /// Sends so many, one by one.
    Send(u64),
    /// Sends so many in batches of three.
    SendMany(u64),
    /// Sends so many loans, and drops one.
    Loan(u64),
    /// Receives so many, or until nothing comes for a while.
    Receive(How, u64),
    /// Receives so many with guards that it forgets, and leaves.
    Forget(u64),
    /// Selects sending so often, and sends.
    SelectSend(u64),
    /// Selects receiving so often, beside a channel on which nothing comes, or until nothing comes
    /// for a while.
    SelectReceive(How, u64),
    /// Claims a place and gives it up, and then sends, so often.
    GiveUp(u64),
    /// Claims a message and gives it back, so often.
    GiveBack(u64),
    /// Sends while registered to receive, and passes on the wake-up, so often.
    PassOn(u64),
    /// Sleeps for a message that does not come, some times.
    Sleep(u64),
    /// Receives so many and waits on its bell socket, or until nothing comes for a while.
    OnSocket(u64),
    /// Copies its ends and drops the copies.
    Copy,
    /// Drops its receiver first, and sends without a receiver.
    DropReceiver,
    /// Starts a process of its own, with its ends.
    Spawn,
    /// Makes a channel and drops it.
    Create,
    /// Tries so many times to receive what it has no address space for.
    Starve(u64),
}

/// What a victim is given of the channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Sender,
    Receiver,
    Both,
    None,
}

/// How long a process that lives may have to wait for a message.
const BOUND: Duration = Duration::from_secs(5);
/// For deadlines, which do not stand still when this process is stopped.
const PATIENCE: Duration = Duration::from_secs(40);
/// Longer than a slice and a repair: what is not there then does not come.
const QUIET: Duration = Duration::from_millis(15);

type Args<F> = (Option<<F as Flavour>::Tx>, Option<<F as Flavour>::Rx>, Life, Script);

/// What a child does that was given nothing to do.
fn nothing<F: Flavour>(_: (Option<F::Tx>, Option<F::Rx>)) {}

/// The victim's function.
fn play<F: Flavour>((mut tx, mut rx, life, script): Args<F>) {
    let sent = Counter::open(&life.sent());
    let mut log = Log::append(&life.received());
    let n = life.number;
    let (go, stop) = (Counter::open(&life.go()), Counter::open(&life.stop()));
    let parent = rustix::process::getppid();
    while go.get() == 0 {
        // A test that ended by its watchdog leaves no process behind.
        assert_eq!(rustix::process::getppid(), parent, "the parent has ended");
        std::thread::yield_now();
    }
    Counter::open(&life.ready()).set(1);
    match script {
        Script::Send(count) => {
            for seq in 0..count {
                match F::send(tx.as_ref().unwrap(), F::M::new(n, seq), Some(PATIENCE)) {
                    Ok(()) => sent.set(seq + 1),
                    Err(SendTimeoutError::Disconnected(_)) => break,
                    Err(error) => panic!("{error}"),
                }
            }
        }
        Script::SendMany(count) => {
            for seq in (0..count).step_by(3) {
                let batch = (seq..seq + 3).map(|seq| F::M::new(n, seq)).collect();
                F::send_many(tx.as_ref().unwrap(), batch).expect("room");
                sent.set(seq + 3);
            }
        }
        Script::Loan(count) => {
            for seq in 0..count {
                assert!(F::send_loan(tx.as_ref().unwrap(), F::M::new(n, seq)));
                sent.set(seq + 1);
            }
        }
        Script::Receive(how, count) => {
            let rx = rx.as_ref().unwrap();
            let mut many = Vec::new();
            for _ in 0..count {
                let received = match how {
                    How::Many(most) => F::recv_many_timeout(rx, &mut many, most, QUIET).map(|_| {
                        let records: Vec<_> = many.drain(..).map(|m| record(&m, 0)).collect();
                        log.write(&records);
                    }),
                    How::Ref(_) => F::recv_ref(rx, Some(QUIET), |m, deliveries| {
                        log.write(&[record(m, deliveries)]);
                    }),
                    _ => F::recv_timeout(rx, QUIET).map(|m| log.write(&[record(&m, 0)])),
                };
                if received.is_err() {
                    break;
                }
            }
        }
        Script::Forget(count) => {
            for _ in 0..count {
                F::forget(rx.as_ref().unwrap());
            }
        }
        Script::SelectSend(count) => {
            for seq in 0..count {
                let m = F::M::new(n, seq);
                match F::select_send(tx.as_ref().unwrap(), m, PATIENCE) {
                    Ok(()) => sent.set(seq + 1),
                    Err(error) => panic!("{error}"),
                }
            }
        }
        Script::SelectReceive(how, count) => {
            let (_quiet, idle) = F::make(1).unwrap();
            let rx = [rx.as_ref().unwrap(), &idle];
            for _ in 0..count {
                let received = match how {
                    How::Ref(_) => F::select_recv_ref(rx, QUIET, |m, deliveries| {
                        log.write(&[record(m, deliveries)]);
                    }),
                    _ => F::select_recv(rx, QUIET).map(|m| log.write(&[record(&m, 0)])),
                };
                if received.is_err() {
                    break;
                }
            }
        }
        Script::GiveUp(count) => {
            for seq in 0..count {
                assert!(F::give_up(tx.as_ref().unwrap()), "there is room");
                F::send(tx.as_ref().unwrap(), F::M::new(n, seq), Some(PATIENCE)).unwrap();
                sent.set(seq + 1);
            }
        }
        Script::GiveBack(count) => {
            (0..count).for_each(|_| _ = F::give_back(rx.as_ref().unwrap()));
        }
        Script::PassOn(count) => {
            for seq in 0..count {
                let tx = tx.as_ref().unwrap();
                F::pass_on(rx.as_ref().unwrap(), || {
                    F::send(tx, F::M::new(n, seq), Some(PATIENCE)).unwrap();
                    sent.set(seq + 1);
                });
            }
        }
        Script::Sleep(times) => {
            for _ in 0..times {
                if stop.get() != 0 {
                    break;
                }
                match F::recv_timeout(rx.as_ref().unwrap(), QUIET) {
                    Ok(m) => log.write(&[record(&m, 0)]),
                    Err(_) => continue,
                }
            }
        }
        Script::OnSocket(count) => {
            for _ in 0..count {
                match F::recv_on_socket(rx.as_ref().unwrap(), QUIET) {
                    Ok(m) => log.write(&[record(&m, 0)]),
                    Err(_) => break,
                }
            }
        }
        Script::Copy => {
            for _ in 0..3 {
                drop((tx.clone(), rx.clone()));
                drop((tx.clone(), rx.clone()));
            }
        }
        Script::DropReceiver => {
            drop(rx.take());
            let result = F::send(tx.as_ref().unwrap(), F::M::new(n, 0), Some(PATIENCE));
            sent.set(u64::from(result.is_ok()));
            drop(tx.take());
        }
        Script::Spawn => {
            for _ in 0..3 {
                let child = Builder::new().env_remove("KILLPOINT").stdout(Stdio::null());
                // The grandchild does not inherit the point; it ends at once.
                let child = child.spawn(nothing::<F>, (tx.clone(), rx.clone())).unwrap();
                child.join().unwrap();
            }
        }
        Script::Create => {
            for _ in 0..3 {
                drop(F::make(4).unwrap());
            }
        }
        Script::Starve(times) => {
            // Less than a message that is huge.
            let old = limit(Resource::As, Some(address_space() + (1 << 20)));
            for _ in 0..times {
                let received = F::recv_ref(rx.as_ref().unwrap(), Some(PATIENCE), |_, _| ());
                assert_eq!(received, Err(RecvTimeoutError::Unreadable(Unreadable::OutOfMemory)));
            }
            limit(Resource::As, old);
        }
    }
}

/// A process that has its ends and waits to begin.
pub(crate) struct Actor {
    /// None if it died before.
    process: Option<JoinHandle<()>>,
    life: Life,
    kept: u64,
}

/// A channel, and the survivor's ends of it.
pub(crate) struct Stage<F: Flavour> {
    capacity: usize,
    pub(crate) tx: Option<F::Tx>,
    pub(crate) rx: Option<F::Rx>,
    scratch: Directory,
    past: Chronicle,
    born: u64,
    /// [`LARGE`](crate::message::LARGE), [`HUGE`](crate::message::HUGE) or 0: what messages are
    /// sent.
    pub(crate) size: u64,
}

impl<F: Flavour> Stage<F> {
    pub(crate) fn new(capacity: usize) -> Self {
        let (tx, rx) = F::make(capacity).unwrap();
        let past = Chronicle::default();
        Stage {
            capacity,
            tx: Some(tx),
            rx: Some(rx),
            scratch: Directory::new(),
            past,
            born: 0,
            size: 0,
        }
    }

    pub(crate) fn life(&mut self, how: How) -> Life {
        self.born += 1;
        Life { number: self.born | self.size, directory: self.scratch.path().to_owned(), how }
    }

    /// Sends so many messages, in the survivor's name.
    pub(crate) fn fill(&mut self, count: u64) {
        let life = self.life(How::Recv);
        let sent = Counter::open(&life.sent());
        for seq in 0..count {
            let tx = self.tx.as_ref().expect("a sender is here");
            let sent_now = F::send(tx, F::M::new(life.number, seq), Some(PATIENCE));
            let len = self.rx.as_ref().map(F::len);
            assert!(
                sent_now.is_ok(),
                "dead processes hold this one up, with {len:?} messages there"
            );
            sent.set(seq + 1);
        }
        self.past.senders.push(Past { life, killed: false, kept: 0 });
    }

    /// Starts a process that waits for [`perform`](Stage::perform); `point` says where it is to
    /// die.
    ///
    /// All are started before the first performs: a process that is started recovers first.
    pub(crate) fn cast(&mut self, ends: Ends, script: Script, point: Option<(&str, u64)>) -> Actor {
        let how = match script {
            Script::Receive(how, _) | Script::SelectReceive(how, _) => how,
            Script::Sleep(_) => How::Timeout,
            Script::OnSocket(_) => How::OnSocket,
            _ => How::Ref(0),
        };
        let life = self.life(how);
        let tx = self.tx.clone().filter(|_| matches!(ends, Ends::Sender | Ends::Both));
        let rx = self.rx.clone().filter(|_| matches!(ends, Ends::Receiver | Ends::Both));
        let mut child = Builder::new().stdout(Stdio::null()).kill_on_drop(true);
        if let Some((name, hit)) = point {
            child = child.env("KILLPOINT", format!("{name}:{hit}"));
        }
        let process = match child.spawn(play::<F>, (tx, rx, life.clone(), script)) {
            Ok(child) => Some(child),
            // It died while it took its arguments.
            Err(error) if point.is_some() && error.to_string().contains("killed by signal 9") => {
                None
            }
            Err(error) => panic!("{script:?} at {point:?}: {error}"),
        };
        let kept = match script {
            Script::Forget(kept) => kept,
            _ => 0,
        };
        Actor { process, life, kept }
    }

    /// Lets it begin.
    pub(crate) fn begin(actor: &Actor) {
        Counter::open(&actor.life.go()).set(1);
    }

    /// Waits for its end. Whether it was killed.
    pub(crate) fn ended(&mut self, actor: Actor) -> bool {
        let killed = match actor.process.map(JoinHandle::join) {
            Some(Ok(())) => false,
            None | Some(Err(JoinError::Killed(9))) => true,
            Some(Err(error)) => panic!("{error}"),
        };
        self.past.senders.push(Past { life: actor.life.clone(), killed, kept: 0 });
        self.past.receivers.push(Past { life: actor.life, killed, kept: actor.kept });
        killed
    }

    /// Lets it begin, and waits for its end. Whether it was killed.
    pub(crate) fn perform(&mut self, actor: Actor) -> bool {
        Self::begin(&actor);
        self.ended(actor)
    }

    /// A receiver that sleeps until told to stop, once it sleeps.
    pub(crate) fn sleeper(&mut self) -> Actor {
        let sleeper = self.cast(Ends::Receiver, Script::Sleep(u64::MAX), None);
        Counter::open(&sleeper.life.stop()).set(0);
        Self::begin(&sleeper);
        until("it begins", || Counter::open(&sleeper.life.ready()).get() == 1);
        let process = sleeper.process.as_ref().expect("it lives").id();
        until("it sleeps", || all_asleep(process));
        sleeper
    }

    /// Tells a sleeper to stop.
    pub(crate) fn wake(&mut self, sleeper: Actor) {
        Counter::open(&sleeper.life.stop()).set(1);
        assert!(!self.ended(sleeper));
    }

    /// Receives until nothing more comes.
    pub(crate) fn drain(&mut self) {
        let life = self.life(How::Ref(0));
        let mut log = Log::append(&life.received());
        let rx = self.rx.as_ref().expect("a receiver is here");
        let take = |m: &F::M, deliveries| log.write(&[record(m, deliveries)]);
        let mut take = take;
        let ended = loop {
            if let Err(ended) = F::recv_ref(rx, Some(QUIET), &mut take) {
                break ended;
            }
        };
        assert_eq!(ended, RecvTimeoutError::Timeout, "what came is no message");
        self.past.receivers.push(Past { life, killed: false, kept: 0 });
    }

    /// What the survivor finds: the channel goes on, nothing is lost or doubled, nothing is held.
    pub(crate) fn survive(&mut self) {
        let began = ticked();
        self.drain();
        // What dead receivers had taken comes again once they are known to be dead, and a process
        // that a victim started may need a moment to see that it is alone.
        while F::counts(self.tx.as_ref().expect("a sender is here")) != (1, 1) {
            assert!(
                ticked() - began < BOUND,
                "dead processes are still there after {:?}",
                ticked() - began
            );
            self.drain();
        }
        self.drain();
        self.fill(self.capacity as u64);
        self.drain();
        assert!(ticked() - began < BOUND, "held up for {:?}", ticked() - began);
        all_blocks_are_free::<F>(
            self.tx.as_ref().unwrap(),
            self.rx.as_ref().unwrap(),
            self.capacity,
        );
        self.past.judge();
        self.past = Chronicle::default();
    }

    /// The survivor's sender leaves: its receiver gets all that was sent, and knows.
    pub(crate) fn last_sender_left(mut self) {
        drop(self.tx.take());
        let began = ticked();
        let life = self.life(How::Ref(0));
        let mut log = Log::append(&life.received());
        let rx = self.rx.take().expect("a receiver is here");
        let ended = loop {
            match F::recv_ref(&rx, Some(PATIENCE), |m, deliveries| {
                log.write(&[record(m, deliveries)])
            }) {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert!(matches!(ended, RecvTimeoutError::Disconnected), "{ended}");
        assert!(ticked() - began < BOUND);
        self.past.receivers.push(Past { life, killed: false, kept: 0 });
        self.past.judge();
    }

    /// No receiver is left: the survivor's sender knows.
    pub(crate) fn last_receiver_left(mut self) {
        drop(self.rx.take());
        let began = ticked();
        let tx = self.tx.take().expect("a sender is here");
        loop {
            match F::send(&tx, F::M::new(0, 0), Some(PATIENCE)) {
                Ok(()) => assert!(ticked() - began < BOUND, "sent without a receiver"),
                Err(SendTimeoutError::Disconnected(_)) => break,
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(F::counts(&tx).1, 0);
    }
}
