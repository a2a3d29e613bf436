//! Processes that use one ring in turns, and are killed between any two steps. A queue predicts the
//! results.
//!
//! - Messages that are received for the first time come in the order in which they were sent.
//! - No message comes that was not sent, and none comes twice, unless a receiver died with it.
//! - In the end a survivor gets every message that was sent and not received, and no process leaves
//!   anything behind.

use std::collections::VecDeque;

use ipc_shm::model::{BOTH, Held, NotYet, Peer, RECEIVER, Registered, Ring, SENDER, Side};
use testkit::fuzz::Input;

/// Processes at once.
const MOST: usize = 4;
/// Longer inputs find nothing that shorter ones cannot.
const OPERATIONS: usize = 200;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Life {
    Alive,
    /// Dead, and perhaps not recovered.
    Dead,
    /// Its id is free.
    Gone,
}

struct Process {
    peer: Peer,
    life: Life,
    roles: u64,
    held: Vec<Held>,
    loans: Vec<(usize, u64)>,
    asleep: Vec<(Side, Registered)>,
}

/// The expected state.
struct World {
    ring: Ring,
    capacity: u64,
    processes: [Process; MOST],
    next: u64,
    /// Sent, and not received yet.
    queued: VecDeque<u64>,
    /// Their receiver died. If it died while it claimed, it may not have got them: then they are
    /// still in line.
    limbo: Vec<u64>,
    /// Whether slots may be void.
    voids: bool,
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let capacity = 1 + input.below(5) as u64;
    let blocks = input.below(5);
    let roles = [(); MOST].map(|()| [BOTH, SENDER, RECEIVER, 0][input.below(4)]);
    let (ring, peers) = Ring::new(capacity, blocks, roles);
    let mut processes = peers.into_iter().zip(roles).map(|(peer, roles)| Process {
        peer,
        life: if roles == 0 { Life::Gone } else { Life::Alive },
        roles,
        held: Vec::new(),
        loans: Vec::new(),
        asleep: Vec::new(),
    });
    let processes = std::array::from_fn(|_| processes.next().expect("as many as peers"));
    let mut world = World {
        ring,
        capacity,
        processes,
        next: 1,
        queued: VecDeque::new(),
        limbo: Vec::new(),
        voids: false,
    };
    for _ in 0..OPERATIONS {
        let Some(operation) = input.next() else { break };
        let who = usize::from(operation >> 6);
        let more = input.byte();
        // Most processes are alive.
        let kill = input.byte();
        let kill = if kill < 128 { u32::MAX } else { u32::from(kill - 128) };
        world.operate(who, operation & 63, more, kill);
        world.check();
    }
    world.end();
}

fn times(reached: &[&str], name: &str) -> usize {
    reached.iter().filter(|point| **point == name).count()
}

fn passed(reached: &[&str], name: &str) -> bool {
    times(reached, name) > 0
}

impl World {
    fn pending(&self) -> bool {
        self.processes.iter().any(|process| process.life == Life::Dead)
    }

    fn living(&self, role: u64) -> Option<usize> {
        self.processes.iter().position(|process| process.life == Life::Alive && process.has(role))
    }

    fn operate(&mut self, who: usize, operation: u8, more: u8, kill: u32) {
        let process = &mut self.processes[who];
        if process.life != Life::Alive {
            return self.attach(who, more, kill);
        }
        match operation % 16 {
            0..=2 if process.has(SENDER) => self.send(who, 1 + u64::from(more % 4), kill),
            3 if process.has(SENDER) => {
                let value = self.next;
                self.next += 1;
                match process.peer.killed_after(kill, || process.peer.loan(value)).0 {
                    Some(Some(block)) => process.loans.push((block, value)),
                    Some(None) => {
                        assert_eq!(self.ring.blocks_free(), 0, "a free block was not found")
                    }
                    None => self.died(who),
                }
            }
            4 => self.send_block(who, kill),
            5..=7 if process.has(RECEIVER) => self.receive(who, 1 + u64::from(more % 4), kill),
            8 if process.has(RECEIVER) => self.borrow(who, kill),
            9 => self.acknowledge(who, more, kill),
            10 => self.recover(who, more, kill),
            11 => {
                process.peer.die();
                self.died(who);
            }
            12 if more % 4 == 0 => {
                // A message that is held then was forgotten.
                match process.peer.killed_after(kill, || process.peer.leave()).0 {
                    Some(()) => self.left(who, Life::Gone),
                    None => self.died(who),
                }
            }
            13 if more % 4 == 0 => self.change_roles(who, more, kill),
            14 => self.doze(who, more, kill),
            _ => {}
        }
    }

    fn attach(&mut self, who: usize, more: u8, kill: u32) {
        let process = &mut self.processes[who];
        let roles = [BOTH, SENDER, RECEIVER][usize::from(more) % 3];
        process.peer = process.peer.successor();
        let free = process.life == Life::Gone;
        let (done, reached) = process.peer.killed_after(kill, || process.peer.attach(roles));
        match done {
            // No live process could recover the owner of the id, or none has.
            Some(None) => assert!(!free, "a free id cannot be had"),
            Some(Some(true)) => {
                process.life = Life::Alive;
                process.roles = roles;
            }
            Some(Some(false)) => {
                process.life = Life::Gone;
                let gone = self.ring.senders_gone() || self.ring.receivers_gone();
                assert!(gone, "refused, though no side has left for good");
            }
            None => {
                // The successor never existed, unless it wrote its entry.
                if passed(&reached, "join.members") || !free {
                    process.life = Life::Dead;
                    process.roles = roles;
                }
            }
        }
    }

    fn send(&mut self, who: usize, k: u64, kill: u32) {
        let process = &self.processes[who];
        let values: Vec<u64> = (self.next..self.next + k).collect();
        self.next += k;
        let (done, reached) = process.peer.killed_after(kill, || process.peer.send_all(&values));
        let published = match done {
            Some(Ok(sent)) => {
                assert!((1..=k).contains(&sent));
                sent as usize
            }
            Some(Err(why)) => {
                self.not_sent(why);
                0
            }
            None => {
                self.voids = true;
                self.died(who);
                times(&reached, "send.published")
            }
        };
        if let Some(Ok(sent)) = done {
            let room = self.capacity - self.queued.len() as u64;
            if self.undisturbed() {
                assert_eq!(sent, k.min(room), "not all that there is room for");
            }
            assert!(sent <= room, "more than there is room for");
        }
        self.queued.extend(&values[..published]);
    }

    /// Returns whether every slot is free or queued.
    fn undisturbed(&self) -> bool {
        let held = self.processes.iter().any(|process| !process.held.is_empty());
        !held && !self.voids && self.limbo.is_empty() && !self.pending()
    }

    fn not_sent(&self, why: NotYet) {
        let gone = self.ring.senders_gone() || self.ring.receivers_gone();
        match why {
            NotYet::Closed => assert!(gone, "closed, though both sides are there"),
            NotYet::Busy => {
                let full = self.queued.len() as u64 == self.capacity;
                assert!(full || !self.undisturbed(), "full with {} queued", self.queued.len());
            }
        }
    }

    fn send_block(&mut self, who: usize, kill: u32) {
        let process = &mut self.processes[who];
        let Some((block, value)) = process.loans.pop() else { return };
        if !process.has(SENDER) {
            process.loans.push((block, value));
            return;
        }
        let (done, reached) = process.peer.killed_after(kill, || process.peer.send_block(block));
        match done {
            Some(Ok(())) => self.queued.push_back(value),
            Some(Err(why)) => {
                process.loans.push((block, value));
                self.not_sent(why);
            }
            None => {
                self.voids = true;
                self.died(who);
                if passed(&reached, "send.published") {
                    self.queued.push_back(value);
                }
            }
        }
    }

    /// Records that a process got this message, which must have been available.
    fn got(&mut self, value: u64) {
        if let Some(at) = self.limbo.iter().position(|other| *other == value) {
            self.limbo.remove(at);
        } else {
            assert_eq!(self.queued.pop_front(), Some(value), "out of order");
        }
    }

    /// Records that a receiver found nothing.
    fn nothing(&mut self) {
        if !self.pending() {
            assert_eq!((self.queued.len(), self.limbo.len()), (0, 0), "there is something");
            self.voids = false;
        }
    }

    /// A receiver died as it was about to receive this much: it may have claimed it or not.
    fn may_have_claimed(&mut self, k: usize, reached: &[&str]) {
        if passed(reached, "receive.claimed") {
            let k = k.min(self.queued.len());
            self.limbo.extend(self.queued.drain(..k));
        }
    }

    fn receive(&mut self, who: usize, k: u64, kill: u32) {
        let process = &self.processes[who];
        let mut values = Vec::new();
        let (done, reached) =
            process.peer.killed_after(kill, || process.peer.receive_into(k, &mut values));
        match done {
            Some(Ok(())) => {
                assert!((1..=k).contains(&(values.len() as u64)));
                values.into_iter().for_each(|value| self.got(value));
            }
            Some(Err(_)) => self.nothing(),
            None => {
                // Of what was read, all but perhaps the last is received: that one if its place is
                // free.
                let last = reached.iter().rev().find(|point| {
                    matches!(
                        **point,
                        "receive.read" | "receive.freed" | "block.free" | "block.freed"
                    )
                });
                let received = match last {
                    Some(&("receive.read" | "block.free")) => values.len() - 1,
                    _ => values.len(),
                };
                values[..received].iter().for_each(|value| self.got(*value));
                self.may_have_claimed(k as usize - received.min(k as usize), &reached);
                self.died(who);
            }
        }
    }

    fn borrow(&mut self, who: usize, kill: u32) {
        let process = &mut self.processes[who];
        let (done, reached) = process.peer.killed_after(kill, || process.peer.borrow());
        match done {
            Some(Ok(held)) => {
                let value = held.value;
                process.held.push(held);
                self.got(value);
            }
            Some(Err(_)) => self.nothing(),
            None => {
                self.may_have_claimed(1, &reached);
                self.died(who);
            }
        }
    }

    fn acknowledge(&mut self, who: usize, more: u8, kill: u32) {
        let process = &mut self.processes[who];
        if process.held.is_empty() {
            return;
        }
        let held = process.held.swap_remove(usize::from(more) % process.held.len());
        let value = held.value;
        let (done, reached) = process.peer.killed_after(kill, || process.peer.acknowledge(held));
        if done.is_none() {
            if !passed(&reached, "block.freed") && !passed(&reached, "guard.freed_slot") {
                self.limbo.push(value);
            }
            self.died(who);
        }
    }

    fn recover(&mut self, who: usize, more: u8, kill: u32) {
        let peer = &self.processes[who].peer;
        let only = usize::from(more) % (2 * MOST);
        if only >= MOST {
            match peer.killed_after(kill, || peer.recover_all()).0 {
                Some(_) => self.all_repaired(),
                None => self.died(who),
            }
        } else if only != who {
            match peer.killed_after(kill, || peer.recover(only as u64 + 1)).0 {
                Some(true) => self.processes[only].life = Life::Gone,
                Some(false) => {}
                None => self.died(who),
            }
        }
    }

    fn all_repaired(&mut self) {
        if !self.pending() {
            return;
        }
        for process in self.processes.iter_mut().filter(|process| process.life == Life::Dead) {
            process.life = Life::Gone;
        }
        assert_eq!(self.ring.senders_gone(), self.living(SENDER).is_none());
        assert_eq!(self.ring.receivers_gone(), self.living(RECEIVER).is_none());
    }

    fn change_roles(&mut self, who: usize, more: u8, kill: u32) {
        let process = &mut self.processes[who];
        let (peer, roles) = (&process.peer, process.roles);
        let done = if roles == BOTH {
            let left = if more & 4 == 0 { SENDER } else { RECEIVER };
            let done = peer.killed_after(kill, || peer.leave_role(left)).0;
            process.roles = left;
            if left == SENDER {
                // The message that it held was forgotten.
                self.limbo.extend(process.held.drain(..).map(|held| held.value));
            }
            done
        } else {
            let done = peer.killed_after(kill, || peer.join(BOTH)).0;
            match done {
                Some(true) => process.roles = BOTH,
                Some(false) => {
                    let done = peer.killed_after(u32::MAX, || peer.leave_role(roles)).0;
                    assert!(
                        done.is_some() && (self.ring.senders_gone() || self.ring.receivers_gone())
                    );
                }
                None => {}
            }
            done.map(|_| ())
        };
        if done.is_none() {
            self.died(who);
        }
    }

    /// Sleepers leave tokens, which others take.
    fn doze(&mut self, who: usize, more: u8, kill: u32) {
        let process = &mut self.processes[who];
        let side = if more & 1 == 0 { Side::Receivers } else { Side::Senders };
        let done = match more >> 1 & 3 {
            0 => {
                let done = process.peer.killed_after(kill, || process.peer.register(side)).0;
                done.map(|registered| process.asleep.push((side, registered)))
            }
            1 => {
                let Some((side, registered)) = process.asleep.pop() else { return };
                process.peer.killed_after(kill, || process.peer.unregister(side, registered)).0
            }
            2 => process.peer.killed_after(kill, || process.peer.ring(side, 1)).0,
            _ => process.peer.killed_after(kill, || process.peer.wake_all(side)).0,
        };
        if done.is_none() {
            self.died(who);
        }
    }

    fn died(&mut self, who: usize) {
        self.left(who, Life::Dead);
    }

    fn left(&mut self, who: usize, life: Life) {
        let process = &mut self.processes[who];
        process.life = life;
        process.loans.clear();
        process.asleep.clear();
        self.limbo.extend(process.held.drain(..).map(|held| held.value));
    }

    /// Checks what must hold after each operation.
    fn check(&mut self) {
        self.ring.check();
        if self.ring.receivers_gone() {
            assert!(self.living(RECEIVER).is_none(), "a living receiver is taken for gone");
            // No process will ever get it.
            self.queued.clear();
            self.limbo.clear();
            self.voids = true;
        }
        if self.ring.senders_gone() {
            assert!(self.living(SENDER).is_none(), "a living sender is taken for gone");
        }
    }

    /// All remaining processes leave, after every message was received.
    fn end(mut self) {
        let Some(survivor) = self.living(SENDER).or(self.living(RECEIVER)) else { return };
        self.processes[survivor].peer.recover_all();
        self.all_repaired();
        self.check();
        for process in &mut self.processes {
            process.held.drain(..).for_each(|held| process.peer.acknowledge(held));
            process.loans.drain(..).for_each(|(block, _)| process.peer.free_block(block));
        }
        if let Some(receiver) = self.living(RECEIVER) {
            while let Ok(value) = self.processes[receiver].peer.receive() {
                self.got(value);
            }
            self.nothing();
            if let Some(sender) = self.living(SENDER) {
                // The whole ring is free, and can be used.
                let values: Vec<u64> = (0..self.capacity).map(|n| self.next + n).collect();
                assert_eq!(self.processes[sender].peer.send_all(&values), Ok(self.capacity));
                assert_eq!(self.processes[sender].peer.send(0), Err(NotYet::Busy));
                let mut got = Vec::new();
                while self.processes[receiver].peer.receive_into(63, &mut got).is_ok() {}
                assert_eq!(got, values);
            }
        }
        for process in self.processes.iter().filter(|process| process.life == Life::Alive) {
            process.peer.leave();
        }
        self.ring.check_empty();
    }
}

impl Process {
    fn has(&self, role: u64) -> bool {
        self.roles & !(1 << 63) & role != 0
    }
}
