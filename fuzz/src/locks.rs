//! Processes that use one lock in turns, and are killed between any two steps. Their results are
//! compared with what such a lock promises.
//!
//! The processes run one at a time. So a process that would have to wait would wait for ever; it is
//! killed in its sleep. A process that need not wait must get what it asks for, also from a dead
//! holder, and must get the error that says so.

use ipc_shm::lock::model::{Entered, Peer, with};
use testkit::fuzz::Input;

/// Processes at once.
const MOST: usize = 4;
const OPERATIONS: usize = 100;
const FOR_EVER: u32 = u32::MAX;

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let kind = input.byte();
    let peers = with::<MOST>(u32::from(kind >> 4) % 3 + 1, kind & 0x80 != 0);
    let processes = peers.map(|peer| Process { peer, lives: true, count: 0, entered: None });
    match kind & 15 {
        0..=3 => play(input, Mutex { processes, holder: None, died: None }),
        4..=7 => play(input, RwLock { processes, turn: None, wrote: Known::No }),
        8..=10 => {
            processes[0].peer.permits(u32::from(kind >> 4) % 5);
            let permits = i64::from(kind >> 4) % 5;
            play(input, Semaphore { processes, least: permits, most: permits });
        }
        11 => play(input, Once { processes, complete: Known::No }),
        12 => play(input, Event { processes, set: Known::No, auto: kind & 0x80 != 0 }),
        13 => play(input, Barrier { processes }),
        _ => play(input, Condvar { processes, dead: false, notified: 0 }),
    }
}

struct Process {
    peer: Peer,
    lives: bool,
    /// How many shared holds it has.
    count: u32,
    entered: Option<Entered>,
}

/// Whether a process did something before it died.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Known {
    No,
    Yes,
    Perhaps,
}

trait Lock {
    fn processes(&mut self) -> &mut [Process; MOST];
    /// Runs one operation of a live process.
    fn operate(&mut self, who: usize, operation: u8, more: u8, kill: u32);
    /// The process is dead: it died in this operation, if it was in one.
    fn died(&mut self, who: usize);
    /// Checks the end, when no process is in the middle of an operation.
    fn end(&mut self, survivor: usize);
}

fn play(mut input: Input<'_>, mut lock: impl Lock) {
    for _ in 0..OPERATIONS {
        let Some(operation) = input.next() else { break };
        let (more, kill) = (input.byte(), input.byte());
        let who = usize::from(operation >> 6);
        let process = &mut lock.processes()[who];
        if !process.lives {
            // Another process gets its id.
            process.peer = process.peer.successor();
            process.lives = true;
        } else if operation & 63 == 63 {
            process.peer.die();
            gone(&mut lock, who);
        } else {
            let kill = if kill < 128 { FOR_EVER } else { u32::from(kill - 128) % 32 };
            lock.operate(who, operation & 63, more, kill);
        }
    }
    if let Some(survivor) = lock.processes().iter().position(|process| process.lives) {
        lock.end(survivor);
    }
}

fn gone(lock: &mut impl Lock, who: usize) {
    let process = &mut lock.processes()[who];
    process.lives = false;
    lock.died(who);
    let process = &mut lock.processes()[who];
    process.count = 0;
    process.entered = None;
}

fn passed(reached: &[&str], points: &[&str]) -> bool {
    reached.iter().any(|point| points.contains(point))
}

struct Mutex {
    processes: [Process; MOST],
    holder: Option<Holder>,
    died: Option<u32>,
}

#[derive(Clone, Copy)]
struct Holder {
    who: usize,
    lives: bool,
    updating: bool,
}

impl Mutex {
    fn pid(who: usize) -> u32 {
        who as u32 + 1
    }

    fn lock(&mut self, who: usize, how: u8, kill: u32) {
        let peer = &self.processes[who].peer;
        let (done, reached) = peer.killed_after(kill, || match how {
            0 => peer.try_lock(),
            1 => {
                peer.lock();
                true
            }
            _ => {
                peer.lock_to_update();
                true
            }
        });
        let updating = how > 1;
        let before = self.holder;
        let free = before.is_none_or(|holder| !holder.lives);
        match done {
            Some(got) => {
                assert_eq!(got, free, "it is free if no living process has it");
                if got {
                    // After taking over from one that did more than update, it holds like others.
                    let updating = updating && before.is_none_or(|dead| dead.updating);
                    if let Some(dead) = before.filter(|dead| !dead.updating) {
                        self.died = Some(Self::pid(dead.who));
                    }
                    self.holder = Some(Holder { who, lives: true, updating });
                    assert_eq!(self.processes[who].peer.died(), self.died);
                }
            }
            None => {
                assert!(kill != FOR_EVER || !free, "it need not wait");
                match before {
                    None if passed(&reached, &["lock.claimed"]) => {
                        self.holder = Some(Holder { who, lives: true, updating });
                    }
                    Some(dead) if !dead.lives && passed(&reached, &["lock.taken_over"]) => {
                        self.holder =
                            Some(Holder { who, lives: true, updating: updating && dead.updating });
                        if passed(&reached, &["lock.marked"]) {
                            self.died = Some(Self::pid(dead.who));
                        }
                    }
                    _ => {}
                }
                gone(self, who);
            }
        }
    }
}

impl Lock for Mutex {
    fn processes(&mut self) -> &mut [Process; MOST] {
        &mut self.processes
    }

    fn operate(&mut self, who: usize, operation: u8, _more: u8, kill: u32) {
        let ours = self.holder.is_some_and(|holder| holder.who == who && holder.lives);
        if !ours {
            return self.lock(who, operation % 3, kill);
        }
        if operation % 4 == 0 {
            // The holder gets an error that says so.
            assert!(!self.processes[who].peer.try_lock());
            return;
        }
        let peer = &self.processes[who].peer;
        assert_eq!(peer.died(), self.died);
        let (done, reached) = peer.killed_after(kill, || peer.unlock());
        if done.is_some() || passed(&reached, &["unlock.freed", "unlock.swapped"]) {
            self.holder = None;
        }
        if done.is_none() {
            gone(self, who);
        }
    }

    fn died(&mut self, who: usize) {
        if let Some(holder) = self.holder.as_mut().filter(|holder| holder.who == who) {
            holder.lives = false;
        }
    }

    fn end(&mut self, survivor: usize) {
        if let Some(holder) = self.holder.filter(|holder| holder.lives) {
            self.processes[holder.who].peer.unlock();
            self.holder = None;
        }
        self.lock(survivor, 1, FOR_EVER);
    }
}

struct RwLock {
    processes: [Process; MOST],
    /// The owner of the turn, whether it lives, and the mode.
    turn: Option<(usize, bool, Turn)>,
    /// Whether a writer died.
    wrote: Known,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Turn {
    Upgradable,
    Active,
    /// The one, the other, or none: the process died meanwhile.
    Some,
}

impl RwLock {
    /// Returns whether others read.
    fn read_by_others(&self, who: usize) -> bool {
        self.processes.iter().enumerate().any(|(other, process)| other != who && process.count > 0)
    }

    fn turn_of(&self, who: usize) -> Option<Turn> {
        self.turn.filter(|(holder, lives, _)| *holder == who && *lives).map(|(_, _, turn)| turn)
    }

    /// Checks what the lock reports to the new holder about its predecessor.
    fn check_poison(&self, who: usize) {
        let poisoned = self.processes[who].peer.wrote().is_some();
        match self.wrote {
            Known::Yes => assert!(poisoned, "a death was not reported"),
            Known::No => assert!(!poisoned, "a death was reported that was none"),
            Known::Perhaps => {}
        }
    }
}

impl Lock for RwLock {
    fn processes(&mut self) -> &mut [Process; MOST] {
        &mut self.processes
    }

    fn operate(&mut self, who: usize, operation: u8, _more: u8, kill: u32) {
        let mine = self.turn_of(who);
        let taken = self.turn.filter(|(_, lives, _)| *lives);
        let (process, others) = (&self.processes[who], self.read_by_others(who));
        let (peer, reads) = (&process.peer, process.count > 0);
        let run = |work: fn(&Peer)| peer.killed_after(kill, || work(peer)).0.is_some();
        let (done, free) = match (operation % 8, mine) {
            (0..=1, None) => {
                // A process that reads already gets in at any time.
                let free = taken.is_none_or(|(_, _, turn)| turn == Turn::Upgradable);
                let done = run(Peer::read);
                self.processes[who].count += u32::from(done);
                (done, free)
            }
            (2, None) if reads => {
                let done = run(Peer::unlock_read);
                self.processes[who].count -= u32::from(done);
                (done, true)
            }
            (3 | 4, None) if !reads => {
                let done = run(Peer::write);
                if done {
                    self.turn = Some((who, true, Turn::Active));
                }
                (done, taken.is_none() && !others)
            }
            (5, None) if !reads => {
                let free = taken.is_none() && !others;
                match peer.killed_after(kill, || peer.try_write()).0 {
                    Some(got) => {
                        assert_eq!(got, free, "it is free if no living process has it");
                        if got {
                            self.turn = Some((who, true, Turn::Active));
                        }
                        (true, true)
                    }
                    None => (false, true),
                }
            }
            (6 | 7, None) if !reads => {
                let done = run(Peer::upgradable);
                if done {
                    self.turn = Some((who, true, Turn::Upgradable));
                }
                (done, taken.is_none())
            }
            (0..=2, Some(Turn::Upgradable)) => {
                let done = run(Peer::upgrade);
                if done {
                    self.turn = Some((who, true, Turn::Active));
                }
                (done, !others)
            }
            (3, Some(Turn::Active)) => {
                let done = run(Peer::downgrade);
                if done {
                    self.turn = None;
                    self.processes[who].count += 1;
                }
                (done, true)
            }
            (4.., Some(_)) => {
                let done = run(Peer::leave);
                if done {
                    self.turn = None;
                }
                (done, true)
            }
            _ => return,
        };
        if done {
            // Nothing is taken from a live process, and from a dead one only what it had.
            assert!(free, "it is not to be had");
            if self.turn_of(who).is_some() || self.processes[who].count > 0 {
                self.check_poison(who);
            }
        } else {
            assert!(kill != FOR_EVER || !free, "it need not wait");
            if mine == Some(Turn::Active) {
                self.turn = Some((who, true, Turn::Some));
            } else if !matches!(operation % 8, 0..=2 if mine.is_none()) {
                // The holder that it found may be forgotten, or not.
                if matches!(self.turn, Some((_, false, Turn::Active | Turn::Some))) {
                    self.wrote = known(self.wrote);
                }
                if taken.is_none() || mine.is_some() {
                    self.turn = Some((who, true, Turn::Some));
                }
            } else if matches!(self.turn, Some((_, false, Turn::Active | Turn::Some))) {
                self.wrote = known(self.wrote);
            }
            gone(self, who);
        }
    }

    fn died(&mut self, who: usize) {
        if let Some((_, lives, turn)) = self.turn.as_mut().filter(|(holder, ..)| *holder == who) {
            if *lives {
                match turn {
                    Turn::Active => self.wrote = Known::Yes,
                    Turn::Some => self.wrote = known(self.wrote),
                    Turn::Upgradable => {}
                }
            }
            *lives = false;
        }
    }

    fn end(&mut self, survivor: usize) {
        for who in 0..MOST {
            let turn = self.turn_of(who);
            let process = &mut self.processes[who];
            if turn.is_some() {
                process.peer.leave();
                self.turn = None;
            }
            (0..process.count).for_each(|_| process.peer.unlock_read());
            process.count = 0;
        }
        self.operate(survivor, 3, 0, FOR_EVER);
    }
}

/// An operation that was perhaps done once more.
fn known(before: Known) -> Known {
    if before == Known::Yes { Known::Yes } else { Known::Perhaps }
}

struct Semaphore {
    processes: [Process; MOST],
    /// The number of permits, including held ones.
    least: i64,
    most: i64,
}

impl Semaphore {
    fn held(&self) -> i64 {
        self.processes.iter().map(|process| i64::from(process.count)).sum()
    }
}

impl Lock for Semaphore {
    fn processes(&mut self) -> &mut [Process; MOST] {
        &mut self.processes
    }

    fn operate(&mut self, who: usize, operation: u8, more: u8, kill: u32) {
        let held = self.held();
        let (surely, perhaps) = (self.least > held, self.most > held);
        let process = &mut self.processes[who];
        let peer = &process.peer;
        let done = match operation % 8 {
            0..=1 => {
                let done = peer.killed_after(kill, || peer.take()).0.is_some();
                assert!(done || kill != FOR_EVER || !surely, "there is a permit");
                assert!(!done || perhaps, "there is no permit");
                process.count += u32::from(done);
                if done && !surely {
                    self.least = held + 1;
                }
                done
            }
            2..=3 => match peer.killed_after(kill, || peer.try_take()).0 {
                Some(got) => {
                    assert!(if got { perhaps } else { !surely }, "{} to {}", self.least, self.most);
                    process.count += u32::from(got);
                    if got {
                        self.least = self.least.max(held + 1)
                    } else {
                        self.most = self.most.min(held)
                    }
                    true
                }
                None => false,
            },
            4..=5 if process.count > 0 => {
                // The permit was given back, or its owner died: it is available again.
                process.count -= 1;
                peer.killed_after(kill, || peer.give()).0.is_some()
            }
            6 if process.count > 0 => {
                process.count -= 1;
                let done = peer.killed_after(kill, || peer.forget()).0.is_some();
                self.least -= 1;
                self.most -= i64::from(done);
                done
            }
            7 => {
                let n = 1 + more % 3;
                // More than there may be is refused.
                if self.most + i64::from(n) > 9 {
                    return;
                }
                let done = peer.killed_after(kill, || peer.add(n.into())).0.is_some();
                self.most += i64::from(n);
                self.least += if done { i64::from(n) } else { 0 };
                done
            }
            _ => return,
        };
        if !done {
            gone(self, who);
        }
    }

    fn died(&mut self, _who: usize) {}

    fn end(&mut self, survivor: usize) {
        let mut taken = 0;
        while self.processes[survivor].peer.try_take() {
            taken += 1;
        }
        let all = taken + self.held();
        assert!(
            (self.least..=self.most).contains(&all),
            "{all}, not {} to {}",
            self.least,
            self.most
        );
        assert_eq!(self.processes[survivor].peer.left(), 0);
    }
}

struct Once {
    processes: [Process; MOST],
    complete: Known,
}

impl Lock for Once {
    fn processes(&mut self) -> &mut [Process; MOST] {
        &mut self.processes
    }

    fn operate(&mut self, who: usize, _operation: u8, _more: u8, kill: u32) {
        let peer = &self.processes[who].peer;
        let mut ran = false;
        let (done, _) = peer.killed_after(kill, || peer.call_once(|| ran = true));
        match done {
            Some(ours) => {
                assert_eq!(ours, ran);
                match self.complete {
                    Known::Yes => assert!(!ours, "twice"),
                    Known::No => assert!(ours, "by no one that is known"),
                    Known::Perhaps => {}
                }
                self.complete = Known::Yes;
            }
            None => {
                assert!(kill != FOR_EVER, "no living process is at it");
                if ran {
                    self.complete = known(self.complete);
                }
                gone(self, who);
            }
        }
    }

    fn died(&mut self, _who: usize) {}

    fn end(&mut self, survivor: usize) {
        self.operate(survivor, 0, 0, FOR_EVER);
        self.operate(survivor, 0, 0, FOR_EVER);
    }
}

struct Event {
    processes: [Process; MOST],
    set: Known,
    auto: bool,
}

impl Lock for Event {
    fn processes(&mut self) -> &mut [Process; MOST] {
        &mut self.processes
    }

    fn operate(&mut self, who: usize, operation: u8, _more: u8, kill: u32) {
        let peer = &self.processes[who].peer;
        let run = |work: fn(&Peer)| peer.killed_after(kill, || work(peer)).0.is_some();
        let (done, after) = match operation % 4 {
            0 => (run(Peer::set), Known::Yes),
            1 => (run(Peer::clear), Known::No),
            2 => {
                let done = run(Peer::wait_for_event);
                assert!(!done || self.set != Known::No, "it is not set");
                assert!(done || kill != FOR_EVER || self.set != Known::Yes, "it is set");
                (
                    done,
                    if self.auto {
                        Known::No
                    } else if done {
                        Known::Yes
                    } else {
                        self.set
                    },
                )
            }
            _ => {
                match self.set {
                    Known::Yes => assert!(peer.is_set()),
                    Known::No => assert!(!peer.is_set()),
                    Known::Perhaps => {}
                }
                return;
            }
        };
        self.set = if done || self.set == after { after } else { Known::Perhaps };
        if !done {
            gone(self, who);
        }
    }

    fn died(&mut self, _who: usize) {}

    fn end(&mut self, survivor: usize) {
        for operation in [0, 3, 2, 3, 1, 3] {
            self.operate(survivor, operation, 0, FOR_EVER);
        }
    }
}

/// A barrier, at which in turns only a party of one can pass: it ends, and is broken or whole.
struct Barrier {
    processes: [Process; MOST],
}

impl Lock for Barrier {
    fn processes(&mut self) -> &mut [Process; MOST] {
        &mut self.processes
    }

    fn operate(&mut self, who: usize, operation: u8, _more: u8, kill: u32) {
        let process = &mut self.processes[who];
        let peer = &process.peer;
        let done = if process.count == 0 {
            process.count = 1;
            peer.killed_after(kill, || peer.join_barrier()).0.is_some()
        } else if operation & 1 == 0 {
            peer.killed_after(kill, || peer.wait_at_barrier()).0.is_some()
        } else {
            return;
        };
        if !done {
            gone(self, who);
        }
    }

    fn died(&mut self, _who: usize) {}

    fn end(&mut self, survivor: usize) {
        self.operate(survivor, 0, 0, FOR_EVER);
    }
}

struct Condvar {
    processes: [Process; MOST],
    /// Whether a process died: then a notification may be lost with it.
    dead: bool,
    /// Notifications with which no waiter has returned.
    notified: usize,
}

impl Condvar {
    fn waiting(&self) -> usize {
        self.processes.iter().filter(|process| process.entered.is_some()).count()
    }
}

impl Lock for Condvar {
    fn processes(&mut self) -> &mut [Process; MOST] {
        &mut self.processes
    }

    fn operate(&mut self, who: usize, operation: u8, _more: u8, kill: u32) {
        let waiting = self.waiting();
        let process = &mut self.processes[who];
        let entered = process.entered.take();
        let peer = &process.peer;
        let done = match (operation % 6, entered) {
            (0..=1, None) => {
                let (entered, _) = peer.killed_after(kill, || peer.enter());
                let done = entered.is_some();
                process.entered = entered;
                done
            }
            (0..=1, Some(entered)) => {
                let done = peer.killed_after(kill, || peer.wait_as(entered)).0.is_some();
                // As many return as were notified; which ones, if a process died, is open.
                let all = self.notified >= waiting;
                assert!(done || kill != FOR_EVER || !all || self.dead, "it was notified");
                assert!(!done || self.notified > 0 || self.dead, "by no one that is known");
                self.notified = self.notified.saturating_sub(usize::from(done));
                done
            }
            (2, Some(entered)) => {
                let done = peer.killed_after(kill, || peer.give_up(entered)).0.is_some();
                // Its notification goes to another waiter, if there is one.
                self.notified = self.notified.min(waiting - 1);
                done
            }
            (3..=4, entered) => {
                process.entered = entered;
                self.notified = (self.notified + 1).min(waiting);
                peer.killed_after(kill, || peer.notify_one()).0.is_some()
            }
            (5, entered) => {
                process.entered = entered;
                self.notified = waiting;
                peer.killed_after(kill, || peer.notify_all()).0.is_some()
            }
            (_, entered) => {
                process.entered = entered;
                return;
            }
        };
        if !done {
            gone(self, who);
        }
    }

    fn died(&mut self, _who: usize) {
        self.dead = true;
    }

    fn end(&mut self, survivor: usize) {
        // Whatever dead processes have left, every waiter returns after this.
        self.operate(survivor, 5, 0, FOR_EVER);
        self.dead = false;
        self.notified = self.waiting();
        for who in 0..MOST {
            if self.processes[who].entered.is_some() {
                self.operate(who, 0, 0, FOR_EVER);
                assert!(self.processes[who].lives, "it was notified");
            }
        }
    }
}
