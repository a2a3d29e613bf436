//! Selecting: a waiter that sleeps on the wait words of several ends at once, and passes on a
//! wake-up that it does not use.
//!
//! The queues are abstract, as in `wake.rs`: message `v` of an end is published by one (buffered)
//! store and taken by one locked operation. A waiter of one end alone is a plain receiver. Sleeping
//! is `futex_waitv`: it compares and queues one word after another, and a wake-up of one word may
//! come while it is still queued for another, which then takes that one's wake-up, too.

use crate::check::{Model, Next};

/// Ends.
const NE: usize = 2;
const NP: usize = 5;
/// Messages of a sender.
const NM: usize = 2;
/// Senders.
const NS: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    None,
    /// Rule 2: no look between the barrier and sleeping.
    NoSecondLook,
    /// Rule 2: the second look comes before the barrier.
    BarrierLate,
    /// Rule 2: the barrier comes after the first registration, not after all.
    BarrierEarly,
    /// Rule 2: the second look is at the first end only.
    LooksAtOne,
    /// Rule 3: a wake-up that was not used is not passed on.
    NoPass,
    /// Rule 3: a token is taken back whatever `seq` says.
    BlindWithdraw,
    /// Rule 4: it is registered with every end, and sleeps on the word of the first only.
    SleepsOnOne,
    /// Rule 4: a waker that woke no waiter drops all tokens, younger ones too.
    ZeroBlindly,
    /// Slices never end.
    NoSlices,
}

#[derive(Clone, Debug)]
pub struct Choose {
    pub name: &'static str,
    /// The ends that each waiter waits for, as a mask.
    pub waiters: &'static [u8],
    /// Messages of each sender.
    pub m: u8,
    /// Senders: 1 or 2. The first begins with the first end, the second with the second, and each
    /// goes on with the other one.
    pub senders: u8,
    pub crashes: u8,
    /// Each waiter takes one message and then does something else. Else all go on for ever.
    pub once: bool,
    /// Senders issue a fence of their own. Else waiters issue the barrier for them.
    pub fence: bool,
    pub mu: Mutation,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct P {
    pc: u8,
    /// Sender: what it has sent, and how much of it is not visible yet.
    sent: u8,
    buf: u8,
    /// Of a process that wakes: the end, and the word as it was seen.
    e: u8,
    s: u8,
    tok: u8,
    /// Waiter: the end it is at; the senders that its barrier has passed.
    at: u8,
    k: u8,
    /// The ends that it is registered with, and under which `seq`.
    reg: u8,
    ticket: [u8; NE],
    /// The ends for whose words it is queued, and whether it was woken.
    queued: u8,
    woken: u8,
    /// It was woken, or saw a notification, and has not yet looked at everything or passed it on.
    owes: u8,
    /// The end it has taken a message from, plus one.
    won: u8,
    /// The order in which it looks: from the first end or from the last.
    back: u8,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct W {
    seq: [u8; NE],
    tokens: [u8; NE],
    ready: [u8; NS * NM],
    taken: [u8; NS * NM],
    p: [P; NP],
    crashes: u8,
    slices: u8, // a kill that only a slice's end repairs has happened
    err: u8,
}

const CRASHED: u8 = 0;
const DONE: u8 = 1;
const PSTORE: u8 = 2;
const PFENCE: u8 = 3;
const PLOAD: u8 = 4;
const PCAS: u8 = 5;
const PWAKE: u8 = 6;
const PZERO: u8 = 7;
const CLOOK: u8 = 8; // the first look
const CADD: u8 = 9;
const CBARRIER: u8 = 10;
const CAGAIN: u8 = 11; // the second look
const CWAIT: u8 = 12; // compares and queues
const CASLEEP: u8 = 13;
const CWOKE: u8 = 14; // the look after a sleep
const CUSED: u8 = 15; // registrations that were notified end
const CLEAVE: u8 = 16;
const NAMES: [&str; 17] = [
    "crashed", "done", "store", "fence", "load", "cas", "wake", "zero", "look", "add", "barrier",
    "again", "wait", "asleep", "woke", "used", "leave",
];

impl Choose {
    fn n(&self) -> usize {
        self.senders as usize + self.waiters.len()
    }
    fn is(&self, mu: Mutation) -> bool {
        self.mu == mu
    }
    fn waits_for(&self, i: usize) -> u8 {
        self.waiters[i - self.senders as usize]
    }
    /// The end of message `v`.
    fn end_of(v: usize) -> usize {
        (v / NM + v % NM) % NE
    }
    fn available(n: &W, e: usize) -> Option<usize> {
        (0..NS * NM).find(|&v| n.ready[v] == 1 && n.taken[v] == 0 && Self::end_of(v) == e)
    }
    fn flush_one(n: &mut W, i: usize) {
        let v = i * NM + (n.p[i].sent - n.p[i].buf) as usize;
        n.ready[v] = 1;
        n.p[i].buf -= 1;
    }

    /// The next end that waiter `i` waits for, from `p.at` on, in its order; goes to the end of the
    /// list if there is none.
    fn end_at(&self, n: &W, i: usize) -> Option<usize> {
        let p = &n.p[i];
        let set = self.waits_for(i);
        (p.at as usize..NE)
            .map(|at| if p.back != 0 { NE - 1 - at } else { at })
            .find(|&e| set >> e & 1 == 1)
    }
    /// Behind `e` in the order of waiter `i`.
    fn pass(n: &mut W, i: usize, e: usize) {
        let p = &mut n.p[i];
        p.at = (if p.back != 0 { NE - 1 - e } else { e }) as u8 + 1;
    }
    fn go(n: &mut W, i: usize, pc: u8) {
        n.p[i].pc = pc;
        n.p[i].at = 0;
        n.p[i].k = 0;
    }

    /// One look at one end; then at the next one, or what comes after all of them.
    fn look(&self, n: &mut W, i: usize, then: u8) {
        let only_first = self.is(Mutation::LooksAtOne) && n.p[i].pc == CAGAIN && n.p[i].at > 0;
        match self.end_at(n, i).filter(|_| !only_first) {
            None => Self::go(n, i, then),
            Some(e) => match Self::available(n, e) {
                Some(v) => {
                    n.taken[v] += 1;
                    n.p[i].won = e as u8 + 1;
                    Self::go(n, i, CLEAVE);
                    self.leave_or_end(n, i);
                }
                None => {
                    Self::pass(n, i, e);
                    if self.end_at(n, i).is_none() {
                        n.p[i].owes = 0;
                        Self::go(n, i, then);
                    }
                }
            },
        }
    }

    /// Goes to the next registration to end, or begins anew.
    fn leave_or_end(&self, n: &mut W, i: usize) {
        let p = &mut n.p[i];
        while (p.at as usize) < NE && p.reg >> p.at & 1 == 0 {
            p.at += 1;
        }
        if p.at as usize == NE {
            *p = P { pc: if self.once { DONE } else { CLOOK }, ..P::default() };
        } else {
            p.pc = CLEAVE;
        }
    }

    /// What a process that wakes does next.
    fn woken(&self, n: &mut W, i: usize) {
        n.p[i].e = 0;
        n.p[i].s = 0;
        n.p[i].tok = 0;
        if i >= self.senders as usize {
            return self.leave_or_end(n, i);
        }
        n.p[i].pc = if n.p[i].sent == self.m { DONE } else { PSTORE };
    }
}

impl Model for Choose {
    type S = W;

    fn init(&self) -> W {
        let mut w = W::default();
        for i in 0..self.n() {
            w.p[i].pc = if i < self.senders as usize { PSTORE } else { CLOOK };
        }
        w
    }

    fn err(&self, s: &W) -> Option<&'static str> {
        (s.err != 0).then_some("message taken twice")
    }

    fn is_final(&self, s: &W) -> bool {
        let sent = (0..self.senders as usize)
            .all(|i| matches!(s.p[i].pc, CRASHED | DONE) && s.p[i].buf == 0);
        let for_nobody = |e: usize| {
            (self.senders as usize..self.n())
                .all(|i| matches!(s.p[i].pc, CRASHED | DONE) || self.waits_for(i) >> e & 1 == 0)
        };
        sent && (0..NE).all(|e| Self::available(s, e).is_none() || for_nobody(e))
    }

    fn show(&self, s: &W, who: usize) -> String {
        let pcs: Vec<String> = (0..self.n())
            .map(|i| {
                let p = &s.p[i];
                format!(
                    "{}@{}/r{:02b}q{:02b}w{}",
                    NAMES[p.pc as usize], p.at, p.reg, p.queued, p.woken
                )
            })
            .collect();
        format!(
            "P{who} next {} | seq {:?} tokens {:?} ready {:?} taken {:?} slices {}",
            pcs.join(" "),
            s.seq,
            s.tokens,
            s.ready,
            s.taken,
            s.slices
        )
    }

    fn next(&self, s: &W, out: &mut Vec<Next<W>>) {
        let first = out.len();
        self.successors(s, out);
        out[first..].iter_mut().for_each(|next| self.canonical(&mut next.s));
    }
}

impl Choose {
    /// Makes states equal that differ only in names: the values of `seq` are compared for equality
    /// only, and waiters for the same ends are interchangeable.
    fn canonical(&self, n: &mut W) {
        for e in 0..NE {
            let mut known = [false; 256];
            known[n.seq[e] as usize] = true;
            let holds = |p: &P| matches!(p.pc, PCAS | PWAKE | PZERO) && p.e as usize == e;
            for p in &n.p {
                known[p.ticket[e] as usize] |= p.reg >> e & 1 == 1;
                known[p.s as usize] |= holds(p);
            }
            let rank = |seq: u8| known[..seq as usize].iter().filter(|known| **known).count() as u8;
            // `seq` itself is the largest of them.
            n.seq[e] = rank(n.seq[e]);
            for p in &mut n.p {
                if p.reg >> e & 1 == 1 {
                    p.ticket[e] = rank(p.ticket[e]);
                }
                if holds(p) {
                    p.s = rank(p.s);
                }
            }
        }
        let from = self.senders as usize;
        for (i, set) in self.waiters.iter().enumerate() {
            for j in i + 1..self.waiters.len() {
                if self.waiters[j] == *set && n.p[from + j].key() < n.p[from + i].key() {
                    n.p.swap(from + i, from + j);
                }
            }
        }
    }

    fn successors(&self, s: &W, out: &mut Vec<Next<W>>) {
        for i in 0..self.n() {
            let me = s.p[i];
            let who = i as u8;
            if me.buf > 0 {
                // the store buffer drains by itself, a killed process' one too
                let mut n = *s;
                Self::flush_one(&mut n, i);
                out.push(Next { s: n, fault: false, who });
            }
            if matches!(me.pc, CRASHED | DONE) {
                continue;
            }
            self.step(s, i, out);
            if s.crashes < self.crashes {
                let mut n = *s;
                n.crashes += 1;
                let wakes = matches!(me.pc, PFENCE | PLOAD | PCAS | PWAKE);
                if wakes || me.owes != 0 || me.woken != 0 {
                    n.slices = 1;
                }
                n.p[i] = P { pc: CRASHED, buf: me.buf, sent: me.sent, ..P::default() };
                out.push(Next { s: n, fault: true, who });
            }
        }
    }
}

impl P {
    fn key(&self) -> impl Ord {
        let P { pc, sent, buf, e, s, tok, at, k, reg, ticket, queued, woken, owes, won, back } =
            *self;
        ((pc, sent, buf, e, s, tok, at, k), (reg, ticket, queued, woken, owes, won, back))
    }
}

impl Choose {
    fn step(&self, s: &W, i: usize, out: &mut Vec<Next<W>>) {
        let me = s.p[i];
        let who = i as u8;
        let e = me.e as usize;
        let mut n = *s;
        macro_rules! p {
            () => {
                n.p[i]
            };
        }
        match me.pc {
            PSTORE => {
                p!().e = Self::end_of(i * NM + me.sent as usize) as u8;
                p!().sent += 1;
                p!().buf += 1;
                p!().pc = if self.fence { PFENCE } else { PLOAD };
            }
            PFENCE => {
                if me.buf != 0 {
                    return;
                }
                p!().pc = PLOAD;
            }
            PLOAD => {
                p!().s = n.seq[e];
                p!().tok = n.tokens[e];
                if n.tokens[e] > 0 {
                    p!().pc = PCAS;
                } else {
                    self.woken(&mut n, i);
                }
            }
            PCAS => {
                if me.buf != 0 {
                    return; // a locked operation drains the buffer
                }
                if n.seq[e] == me.s && n.tokens[e] == me.tok {
                    n.seq[e] += 1;
                    n.tokens[e] -= 1;
                    p!().s = n.seq[e];
                    p!().tok = n.tokens[e];
                    p!().pc = PWAKE;
                } else {
                    p!().pc = PLOAD;
                }
            }
            PWAKE => {
                let mut any = false;
                for q in self.senders as usize..self.n() {
                    if s.p[q].queued >> e & 1 == 1 {
                        any = true;
                        let mut w = n;
                        self.woken(&mut w, i);
                        w.p[q].queued &= !(1 << e);
                        w.p[q].woken = 1;
                        w.p[q].owes = 1;
                        out.push(Next { s: w, fault: false, who });
                    }
                }
                if any {
                    return;
                }
                p!().pc = PZERO;
            }
            PZERO => {
                // no waiter slept: each token older than our `seq` is surplus (its owner died, or
                // will see the new `seq` and register again)
                let same = n.seq[e] == me.s && n.tokens[e] == me.tok;
                if same || self.is(Mutation::ZeroBlindly) {
                    n.tokens[e] = 0;
                }
                self.woken(&mut n, i);
            }
            CLOOK => {
                if me.at == 0 && me.back == 0 && self.waits_for(i).count_ones() > 1 {
                    // it begins with any end
                    let mut other = *s;
                    other.p[i].back = 1;
                    self.look(&mut other, i, CADD);
                    out.push(Next { s: other, fault: false, who });
                }
                self.look(&mut n, i, CADD);
            }
            CADD => match self.end_at(&n, i) {
                Some(e) => {
                    if me.reg >> e & 1 == 0 {
                        n.tokens[e] += 1;
                        p!().reg |= 1 << e;
                        p!().ticket[e] = n.seq[e];
                    }
                    Self::pass(&mut n, i, e);
                    let at = p!().at;
                    let all = self.end_at(&n, i).is_none();
                    let early = self.is(Mutation::BarrierEarly);
                    let barrier = !self.fence && !self.is(Mutation::BarrierLate);
                    if barrier && early && me.at == 0 || barrier && !early && all {
                        Self::go(&mut n, i, CBARRIER);
                        p!().at = at;
                    } else if all {
                        Self::go(&mut n, i, CAGAIN);
                        if self.is(Mutation::NoSecondLook) {
                            p!().pc = CWAIT;
                        }
                    }
                }
                None => unreachable!("it goes on after the last"),
            },
            CBARRIER => {
                // sender k passes a full barrier at some moment between call and return
                let k = me.k as usize;
                while n.p[k].buf > 0 {
                    Self::flush_one(&mut n, k);
                }
                p!().k += 1;
                if p!().k == self.senders {
                    let at = p!().at;
                    if self.is(Mutation::BarrierLate) {
                        Self::go(&mut n, i, CWAIT);
                    } else if self.end_at(&n, i).is_some() {
                        // BarrierEarly: the others register now
                        Self::go(&mut n, i, CADD);
                        p!().at = at;
                    } else if self.is(Mutation::NoSecondLook) {
                        Self::go(&mut n, i, CWAIT);
                    } else {
                        Self::go(&mut n, i, CAGAIN);
                    }
                }
            }
            CAGAIN => {
                let then =
                    if self.is(Mutation::BarrierLate) && !self.fence { CBARRIER } else { CWAIT };
                self.look(&mut n, i, then);
                if p!().pc == CBARRIER {
                    // all are registered
                    p!().at = NE as u8;
                }
            }
            CWAIT => match self.end_at(&n, i) {
                Some(e) if self.is(Mutation::SleepsOnOne) && me.at != 0 => {
                    Self::pass(&mut n, i, e);
                }
                Some(e) if n.seq[e] == me.ticket[e] => {
                    p!().queued |= 1 << e;
                    Self::pass(&mut n, i, e);
                }
                // one has changed: it does not sleep
                Some(_) => {
                    p!().queued = 0;
                    p!().woken = 0;
                    p!().owes = 1;
                    Self::go(&mut n, i, CWOKE);
                }
                None => Self::go(&mut n, i, CASLEEP),
            },
            CASLEEP => {
                // a slice ends: only where a kill made it necessary
                if me.woken == 0 && (s.slices == 0 || self.is(Mutation::NoSlices)) {
                    return;
                }
                // leaving the queues and returning is one step: wakes may come until then
                p!().queued = 0;
                p!().woken = 0;
                Self::go(&mut n, i, CWOKE);
            }
            CWOKE => self.look(&mut n, i, CUSED),
            CUSED => match self.end_at(&n, i) {
                Some(e) => {
                    if me.reg >> e & 1 == 1 && n.seq[e] != me.ticket[e] {
                        p!().reg &= !(1 << e);
                        p!().ticket[e] = 0;
                    }
                    Self::pass(&mut n, i, e);
                }
                None => {
                    let all = self.waits_for(i);
                    // registered with all: no look before it sleeps again
                    let then = if me.reg == all { CWAIT } else { CADD };
                    Self::go(&mut n, i, then);
                }
            },
            CLEAVE => {
                let e = me.at as usize;
                p!().reg &= !(1 << e);
                p!().ticket[e] = 0;
                p!().at += 1;
                let notified = n.seq[e] != me.ticket[e];
                if (!notified || self.is(Mutation::BlindWithdraw)) && n.tokens[e] > 0 {
                    n.tokens[e] -= 1;
                }
                let used = me.won == e as u8 + 1;
                if notified && !used && !self.is(Mutation::NoPass) {
                    p!().e = e as u8;
                    p!().pc = PLOAD;
                } else {
                    self.leave_or_end(&mut n, i);
                }
            }
            _ => unreachable!(),
        }
        if n.taken.iter().any(|&t| t > 1) {
            n.err = 1;
        }
        out.push(Next { s: n, fault: false, who });
    }
}

const A: u8 = 1;
const B: u8 = 2;
const BOTH: u8 = A | B;

fn base(name: &'static str, waiters: &'static [u8], m: u8, crashes: u8) -> Choose {
    Choose { name, waiters, m, senders: 2, crashes, once: true, fence: false, mu: Mutation::None }
}

pub fn configs() -> Vec<Choose> {
    let b = base;
    let fence = |c: Choose| Choose { fence: true, ..c };
    let ever = |c: Choose| Choose { once: false, ..c };
    vec![
        ever(b("choose-ever-1s", &[BOTH], 2, 0)),
        ever(b("choose-ever-1s-1b-x1", &[BOTH, B], 1, 1)),
        ever(b("choose-ever-2s", &[BOTH, BOTH], 1, 0)),
        ever(fence(b("choose-ever-2s-fence", &[BOTH, BOTH], 1, 0))),
        ever(b("choose-ever-2s-x1", &[BOTH, BOTH], 1, 1)),
        b("choose-2s", &[BOTH, BOTH], 1, 0),
        b("choose-2s-x1", &[BOTH, BOTH], 1, 1),
        b("choose-1s-1a-m2", &[BOTH, A], 2, 0),
        b("choose-1s-1a-1b", &[BOTH, A, B], 1, 0),
        fence(b("choose-1s-1a-1b-fence", &[BOTH, A, B], 1, 0)),
        b("choose-1s-1a-1b-x1", &[BOTH, A, B], 1, 1),
    ]
}

pub fn mutations() -> Vec<Choose> {
    use Mutation::*;
    let on = |waiters, m, crashes, mu| Choose { mu, ..base("choose", waiters, m, crashes) };
    vec![
        on(&[BOTH], 2, 0, NoSecondLook),
        on(&[BOTH], 2, 0, BarrierLate),
        Choose { once: false, ..on(&[BOTH], 2, 0, BarrierEarly) },
        on(&[BOTH], 2, 0, LooksAtOne),
        on(&[BOTH, A, B], 1, 0, NoPass),
        on(&[BOTH, A, B], 1, 0, BlindWithdraw),
        Choose { once: false, ..on(&[BOTH], 2, 0, SleepsOnOne) },
        on(&[BOTH, B], 2, 0, ZeroBlindly),
        on(&[BOTH, BOTH], 1, 1, NoSlices),
    ]
}
