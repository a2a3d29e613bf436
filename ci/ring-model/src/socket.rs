//! Bell sockets: waiters that a datagram wakes, beside waiters that sleep in the futex of the same
//! word.
//!
//! The wait word is {seq, arms, tokens}. `arms` counts registrations by socket since no bit was
//! set; it begins anew at 1 after `MOST`. A waiter by socket has a bit of its own. A waker that
//! clears the bit owes it a datagram. The queue is abstract, as in `wake.rs`: message `v` is
//! published by one (buffered) store and taken by one locked operation.

use crate::check::{Model, Next};

const NP: usize = 5;
const NM: usize = 4;
/// The largest count of registrations. In the crate it is 1023.
const MOST: u8 = 2;
/// So many registrations are counted. Slices without end make more.
const MANY: u8 = 40;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    None,
    /// A waker that woke no sleeper of the futex drops the registrations by socket, too (rule 4).
    SurplusDropsSockets,
    /// A waker that woke no sleeper of the futex does not go on to the sockets.
    FutexOnly,
    /// `arms` is cleared without a step of `seq`.
    ClearKeepsSeq,
    /// `arms` is cleared whatever happened since the bits were looked at.
    ClearBlindly,
    /// `arms` is never cleared.
    NeverClears,
    /// The bits are looked at before the word.
    BitsFirst,
    /// A registration adds to `arms` before it sets its bit.
    ArmsFirst,
    /// A registration changes `arms` only if it is 0.
    ArmsAsFlag,
    /// `arms` begins anew without a step of `seq`.
    WrapKeepsSeq,
    /// A bit is looked at and then cleared, in two steps.
    ClaimInTwoSteps,
    /// The datagram is sent before the bit is cleared.
    SendsFirst,
    /// After a datagram that was refused, the waker does not go on.
    RefusedIsDone,
    /// No second look between registering and sleeping.
    NoSecondLook,
    /// A wake-up that was not used is not passed on.
    NoPass,
    /// Slices never end.
    NoSlices,
}

#[derive(Clone, Debug)]
pub struct Socket {
    pub name: &'static str,
    pub senders: u8,
    /// Waiters that sleep in the futex.
    pub futex: u8,
    /// Waiters that sleep on their bell socket.
    pub socket: u8,
    /// Messages of each sender.
    pub m: u8,
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
    /// Of a process that wakes: the word as it was seen.
    s: u8,
    tok: u8,
    arms: u8,
    /// Of a process that wakes: the waiter that it looks at, and how many it has looked at.
    at: u8,
    seen: u8,
    /// Waiter: the senders that its barrier has passed.
    k: u8,
    reg: u8,
    ticket: u8,
    /// Waiter: woken in the futex, or it saw that its bit is clear, and has not looked since.
    owes: u8,
    /// Waiter by socket: its bit, and whether a datagram waits in its queue.
    bit: u8,
    datagram: u8,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct W {
    seq: u8,
    tokens: u8,
    arms: u8,
    ready: [u8; NM],
    taken: [u8; NM],
    p: [P; NP],
    /// Registrations, and complete looks at the bits that found none.
    adds: u8,
    vain: u8,
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
const QLOAD: u8 = 8;
const QSCAN: u8 = 9;
const QCLAIM: u8 = 10; // ClaimInTwoSteps, SendsFirst
const QSEND: u8 = 11;
const QCLEAR: u8 = 12;
const CLOOK: u8 = 13; // the first look, and the one after a sleep
const CADD: u8 = 14; // a token; or the bit
const CARMS: u8 = 15;
const CBARRIER: u8 = 16;
const CAGAIN: u8 = 17; // the second look
const CWAIT: u8 = 18;
const CASLEEP: u8 = 19;
const CLEAVE: u8 = 20;
const NAMES: [&str; 21] = [
    "crashed", "done", "store", "fence", "load", "cas", "wake", "zero", "load2", "scan", "claim",
    "send", "clear", "look", "add", "arms", "barrier", "again", "wait", "asleep", "leave",
];

impl Socket {
    fn n(&self) -> usize {
        (self.senders + self.futex + self.socket) as usize
    }
    fn is(&self, mu: Mutation) -> bool {
        self.mu == mu
    }
    fn waiters(&self) -> std::ops::Range<usize> {
        self.senders as usize..self.n()
    }
    fn by_socket(&self, i: usize) -> bool {
        i >= (self.senders + self.futex) as usize
    }
    fn available(n: &W) -> Option<usize> {
        (0..NM).find(|&v| n.ready[v] == 1 && n.taken[v] == 0)
    }
    fn flush_one(&self, n: &mut W, i: usize) {
        let v = i * self.m as usize + (n.p[i].sent - n.p[i].buf) as usize;
        n.ready[v] = 1;
        n.p[i].buf -= 1;
    }
    /// What a process that wakes does when it is done.
    fn rang(&self, n: &mut W, i: usize) {
        let p = &mut n.p[i];
        (p.s, p.tok, p.arms, p.at, p.seen) = (0, 0, 0, 0, 0);
        if i >= self.senders as usize {
            *p = P { pc: if self.once { DONE } else { CLOOK }, ..P::default() };
        } else {
            p.pc = if p.sent == self.m { DONE } else { PSTORE };
        }
    }
    /// Takes a message, if there is one.
    fn take(&self, n: &mut W, i: usize) -> bool {
        let Some(v) = Self::available(n) else { return false };
        n.taken[v] += 1;
        n.p[i].pc = CLEAVE;
        true
    }
    /// Goes to the first of the waiters by socket, whichever it is, and to all others after it.
    fn scans(&self, n: &W, i: usize, out: &mut Vec<Next<W>>) {
        for first in 0..self.socket {
            let mut n = *n;
            n.p[i].at = first;
            n.p[i].seen = 0;
            n.p[i].pc = QSCAN;
            out.push(Next { s: n, fault: false, who: i as u8 });
        }
    }
    /// Adds a registration by socket to the word.
    fn add_arms(&self, n: &mut W) {
        n.adds = MANY.min(n.adds + 1);
        if self.is(Mutation::ArmsAsFlag) {
            n.arms = 1;
        } else if n.arms < MOST {
            n.arms += 1;
        } else {
            n.arms = 1;
            n.seq += u8::from(!self.is(Mutation::WrapKeepsSeq));
        }
    }
    /// After a look at one bit that was clear: the next one, or the end of the scan.
    fn next_bit(&self, n: &mut W, i: usize) {
        let p = &mut n.p[i];
        p.at = (p.at + 1) % self.socket;
        p.seen += 1;
        p.pc = if p.seen == self.socket { QCLEAR } else { QSCAN };
    }
    /// Values of `seq` are compared for equality only.
    fn canonical(&self, n: &mut W) {
        let mut known = [false; 256];
        known[n.seq as usize] = true;
        let holds = |p: &P| matches!(p.pc, PCAS | PWAKE | PZERO | QSCAN | QCLAIM | QSEND | QCLEAR);
        for p in &n.p {
            known[p.ticket as usize] |= p.reg == 1;
            known[p.s as usize] |= holds(p);
        }
        let rank = |seq: u8| known[..seq as usize].iter().filter(|known| **known).count() as u8;
        n.seq = rank(n.seq);
        for p in &mut n.p {
            p.ticket = if p.reg == 1 { rank(p.ticket) } else { 0 };
            p.s = if holds(p) { rank(p.s) } else { 0 };
        }
    }
}

impl Model for Socket {
    type S = W;

    fn init(&self) -> W {
        let mut w = W::default();
        for i in 0..self.n() {
            w.p[i].pc = if i < self.senders as usize { PSTORE } else { CLOOK };
        }
        w
    }

    fn err(&self, s: &W) -> Option<&'static str> {
        match s.err {
            0 => None,
            1 => Some("message taken twice"),
            _ => Some("fast path degraded: the bits are looked at in vain again and again"),
        }
    }

    fn is_final(&self, s: &W) -> bool {
        let over = |i: usize| matches!(s.p[i].pc, CRASHED | DONE);
        (0..self.senders as usize).all(|i| over(i) && s.p[i].buf == 0)
            && Self::available(s).is_none()
            || self.waiters().all(over)
    }

    fn show(&self, s: &W, who: usize) -> String {
        let pcs: Vec<String> = (0..self.n())
            .map(|i| {
                let p = &s.p[i];
                format!("{}/b{}d{}o{}", NAMES[p.pc as usize], p.bit, p.datagram, p.owes)
            })
            .collect();
        format!(
            "P{who} next {} | seq {} tokens {} arms {} ready {:?} taken {:?} slices {}",
            pcs.join(" "),
            s.seq,
            s.tokens,
            s.arms,
            s.ready,
            s.taken,
            s.slices
        )
    }

    fn next(&self, s: &W, out: &mut Vec<Next<W>>) {
        let first = out.len();
        for i in 0..self.n() {
            let me = s.p[i];
            let who = i as u8;
            if me.buf > 0 {
                // the store buffer drains by itself, a killed process' one too
                let mut n = *s;
                self.flush_one(&mut n, i);
                out.push(Next { s: n, fault: false, who });
            }
            if matches!(me.pc, CRASHED | DONE) {
                continue;
            }
            self.step(s, i, out);
            if s.crashes < self.crashes {
                let mut n = *s;
                n.crashes += 1;
                let notified = self.by_socket(i) && me.reg == 1 && me.bit == 0;
                if (PFENCE..=QCLEAR).contains(&me.pc) || me.owes != 0 || notified {
                    n.slices = 1;
                }
                let P { buf, sent, bit, .. } = me;
                n.p[i] = P { pc: CRASHED, buf, sent, bit, ..P::default() };
                out.push(Next { s: n, fault: true, who });
            }
        }
        out[first..].iter_mut().for_each(|next| self.canonical(&mut next.s));
    }
}

impl Socket {
    fn step(&self, s: &W, i: usize, out: &mut Vec<Next<W>>) {
        use Mutation::*;
        let me = s.p[i];
        let who = i as u8;
        let mut n = *s;
        let bits = (self.senders + self.futex) as usize;
        let it = bits + me.at as usize;
        macro_rules! p {
            () => {
                n.p[i]
            };
        }
        match me.pc {
            PSTORE => {
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
                p!().s = n.seq;
                p!().tok = n.tokens;
                if n.tokens > 0 {
                    p!().pc = PCAS;
                } else if n.arms > 0 {
                    p!().pc = QLOAD;
                } else {
                    self.rang(&mut n, i);
                }
            }
            PCAS => {
                if me.buf != 0 {
                    return; // a locked operation drains the buffer
                }
                if n.seq == me.s && n.tokens == me.tok {
                    n.seq += 1;
                    n.tokens -= 1;
                    p!().s = n.seq;
                    p!().tok = n.tokens;
                    p!().pc = PWAKE;
                } else {
                    p!().pc = PLOAD;
                }
            }
            PWAKE => {
                let mut any = false;
                for q in self.waiters().filter(|&q| !self.by_socket(q)) {
                    if s.p[q].pc == CASLEEP {
                        any = true;
                        let mut w = n;
                        w.p[q].reg = 0;
                        w.p[q].owes = 1;
                        w.p[q].pc = CLOOK;
                        self.rang(&mut w, i);
                        out.push(Next { s: w, fault: false, who });
                    }
                }
                if any {
                    return;
                }
                p!().pc = PZERO;
            }
            PZERO => {
                if n.seq == me.s && n.tokens == me.tok {
                    n.tokens = 0;
                    if self.is(SurplusDropsSockets) {
                        n.arms = 0;
                    }
                }
                if self.is(FutexOnly) {
                    self.rang(&mut n, i);
                } else {
                    p!().pc = QLOAD;
                }
            }
            QLOAD => {
                if me.buf != 0 {
                    return; // what comes next are locked operations, if there is a bit at all
                }
                p!().tok = 0;
                p!().s = n.seq;
                p!().arms = n.arms;
                if n.arms == 0 {
                    self.rang(&mut n, i);
                } else {
                    return self.scans(&n, i, out);
                }
            }
            QSCAN => {
                if n.p[it].bit == 0 {
                    self.next_bit(&mut n, i);
                } else if self.is(ClaimInTwoSteps) {
                    p!().pc = QCLAIM;
                } else if self.is(SendsFirst) {
                    p!().pc = QSEND;
                } else {
                    n.p[it].bit = 0;
                    p!().pc = QSEND;
                }
            }
            QCLAIM => {
                n.p[it].bit = 0;
                if self.is(SendsFirst) {
                    self.rang(&mut n, i);
                } else {
                    p!().pc = QSEND;
                }
            }
            QSEND => {
                let refused = n.p[it].pc == CRASHED;
                if !refused {
                    n.p[it].datagram = 1;
                }
                if refused && !self.is(RefusedIsDone) {
                    self.next_bit(&mut n, i);
                } else if self.is(SendsFirst) {
                    p!().pc = QCLAIM;
                } else {
                    self.rang(&mut n, i);
                }
            }
            QCLEAR => {
                let same = n.seq == me.s && n.arms == me.arms;
                if self.is(BitsFirst) && me.tok == 0 {
                    // the word, after the bits
                    p!().s = n.seq;
                    p!().arms = n.arms;
                    p!().tok = 1;
                    out.push(Next { s: n, fault: false, who });
                    return;
                }
                if !self.is(NeverClears) && (same || self.is(ClearBlindly)) {
                    n.arms = 0;
                    n.seq += u8::from(!self.is(ClearKeepsSeq));
                }
                n.vain = n.vain.saturating_add(1);
                let counted = n.adds < MANY;
                if counted
                    && u16::from(n.vain) > u16::from(n.adds) * u16::from(self.senders + self.socket)
                {
                    n.err = 2;
                }
                self.rang(&mut n, i);
            }
            CLOOK => {
                p!().owes = 0;
                if !self.take(&mut n, i) {
                    p!().pc = if me.reg == 1 { CWAIT } else { CADD };
                }
            }
            CADD if self.by_socket(i) => {
                p!().reg = 1;
                if self.is(ArmsFirst) {
                    self.add_arms(&mut n);
                } else {
                    p!().bit = 1;
                }
                p!().pc = CARMS;
            }
            CADD => {
                n.tokens += 1;
                n.adds = MANY.min(n.adds + 1);
                p!().reg = 1;
                p!().ticket = n.seq;
                p!().pc = if self.fence { CAGAIN } else { CBARRIER };
                if self.is(NoSecondLook) && p!().pc == CAGAIN {
                    p!().pc = CWAIT;
                }
            }
            CARMS => {
                if self.is(ArmsFirst) {
                    p!().bit = 1;
                } else {
                    self.add_arms(&mut n);
                }
                p!().pc = if self.fence { CAGAIN } else { CBARRIER };
                if self.is(NoSecondLook) && p!().pc == CAGAIN {
                    p!().pc = CWAIT;
                }
            }
            CBARRIER => {
                // sender k passes a full barrier at some moment between call and return
                let k = me.k as usize;
                while n.p[k].buf > 0 {
                    self.flush_one(&mut n, k);
                }
                p!().k += 1;
                if p!().k == self.senders {
                    p!().k = 0;
                    p!().pc = if self.is(NoSecondLook) { CWAIT } else { CAGAIN };
                }
            }
            CAGAIN => {
                if !self.take(&mut n, i) {
                    p!().pc = CWAIT;
                }
            }
            CWAIT if self.by_socket(i) => p!().pc = CASLEEP,
            CWAIT => {
                if n.seq == me.ticket {
                    p!().pc = CASLEEP;
                } else {
                    p!().reg = 0;
                    p!().pc = CLOOK;
                }
            }
            CASLEEP => {
                let slice = s.slices != 0 && !self.is(NoSlices);
                if self.by_socket(i) {
                    if me.datagram == 0 && !slice {
                        return;
                    }
                    p!().datagram = 0;
                    if me.bit == 0 {
                        p!().reg = 0;
                        p!().owes = 1;
                    }
                    p!().pc = CLOOK;
                } else {
                    if !slice {
                        return;
                    }
                    if n.seq == me.ticket && n.tokens > 0 {
                        n.tokens -= 1;
                    }
                    p!().reg = 0;
                    p!().pc = CLOOK;
                }
            }
            CLEAVE => {
                // A waker counts threads that it really woke, so a thread owes nothing.
                let notified =
                    me.reg == 1 && if self.by_socket(i) { me.bit == 0 } else { n.seq != me.ticket };
                if me.reg == 1 && !notified && !self.by_socket(i) && n.tokens > 0 {
                    n.tokens -= 1;
                }
                p!() = P { pc: CLEAVE, ..P::default() };
                if notified && self.by_socket(i) && !self.is(NoPass) {
                    p!().pc = PLOAD;
                } else {
                    self.rang(&mut n, i);
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

fn base(name: &'static str, [senders, futex, socket]: [u8; 3], m: u8, crashes: u8) -> Socket {
    let (once, fence, mu) = (true, false, Mutation::None);
    Socket { name, senders, futex, socket, m, crashes, once, fence, mu }
}

pub fn configs() -> Vec<Socket> {
    let b = base;
    let fence = |c: Socket| Socket { fence: true, ..c };
    let ever = |c: Socket| Socket { once: false, ..c };
    vec![
        b("socket-1p1s", [1, 0, 1], 3, 0),
        ever(b("socket-ever-1p1s", [1, 0, 1], 3, 0)),
        b("socket-2p1f1s", [2, 1, 1], 1, 0),
        fence(b("socket-2p1f1s-fence", [2, 1, 1], 1, 0)),
        b("socket-2p2s", [2, 0, 2], 1, 0),
        b("socket-2p1f1s-x1", [2, 1, 1], 2, 1),
        b("socket-2p2s-x1", [2, 0, 2], 2, 1),
        b("socket-1p1f2s-x1", [1, 1, 2], 3, 1),
        b("socket-1p3s-x1", [1, 0, 3], 2, 1),
        b("socket-1p2s-x2", [1, 0, 2], 3, 2),
        ever(b("socket-ever-2p1s", [2, 0, 1], 2, 0)),
        ever(b("socket-ever-2p2s", [2, 0, 2], 1, 0)),
        ever(b("socket-ever-2p1f1s-x1", [2, 1, 1], 1, 1)),
        ever(b("socket-ever-2p2s-x1", [2, 0, 2], 1, 1)),
        ever(b("socket-ever-1p2s-x1", [1, 0, 2], 3, 1)),
    ]
}

pub fn mutations() -> Vec<Socket> {
    use Mutation::*;
    let on = |of, m, crashes, mu| Socket { mu, ..base("socket", of, m, crashes) };
    let ever = |c: Socket| Socket { once: false, ..c };
    vec![
        on([2, 1, 1], 1, 0, SurplusDropsSockets),
        on([2, 1, 1], 1, 0, FutexOnly),
        ever(on([2, 0, 2], 2, 0, ClearKeepsSeq)),
        ever(on([2, 0, 2], 1, 0, ClearBlindly)),
        ever(on([1, 0, 1], 3, 0, NeverClears)),
        ever(on([2, 0, 1], 2, 0, BitsFirst)),
        ever(on([2, 0, 1], 2, 0, ArmsFirst)),
        ever(on([2, 0, 2], 1, 0, ArmsAsFlag)),
        ever(on([2, 0, 2], 2, 0, WrapKeepsSeq)),
        on([2, 0, 2], 1, 0, ClaimInTwoSteps),
        on([2, 0, 2], 1, 0, SendsFirst),
        on([1, 0, 3], 2, 1, RefusedIsDone),
        on([1, 0, 1], 1, 0, NoSecondLook),
        on([2, 0, 2], 1, 0, NoPass),
        on([1, 0, 2], 2, 1, NoSlices),
    ]
}
