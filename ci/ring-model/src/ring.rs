//! The ring, its block pool, recovery, attach/leave and disconnect; one shared access per step.
//!
//! A program counter names the *next* shared access. Local work is folded into the access before
//! it.

use crate::check::{Model, Next};

pub const MP: usize = 4; // processes (including one that attaches late)
pub const MS: usize = 4; // slots
pub const MB: usize = 2; // blocks
pub const MM: usize = 9; // messages, ids 1..=MM

// slot kinds
pub const FREE: u8 = 0;
pub const WRITING: u8 = 1;
pub const READY: u8 = 2;
pub const READING: u8 = 3;
pub const VOID: u8 = 4;
pub const ORPHAN: u8 = 5;
// block kinds
pub const HELD: u8 = 1; // being written, or received and still read
pub const INFLIGHT: u8 = 2;
pub const LENT: u8 = 3; // being read, not acknowledged
pub const LOST: u8 = 4; // its reader died: to be adopted
                        // roles
pub const S: u8 = 1;
pub const R: u8 = 2;

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Claim {
    pub pos: u8,
    pub closed: u8,
    pub count: u8,
    pub owner: u8,
}

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct State4 {
    pub kind: u8,
    pub pos: u8,
    pub owner: u8,
}

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Slot {
    pub st: State4,
    pub w: [u8; 2],
}

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Block {
    pub kind: u8,
    pub arg: u8, // owner or position
    pub pos: u8, // Lent: position
    pub c: [u8; 2],
}

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Entry {
    pub used: u8, // 0 = free for another participant
    pub roles: u8,
    pub lease: u8,  // life lease: process index + 1 of its holder, kept by the kernel
    pub repair: u8, // repair lease: likewise
}

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Proc {
    pub pc: u8,
    pub id: u8,
    pub role: u8,
    pub sent: u8,
    pub t: Claim,
    pub i: u8,
    pub kk: u8,
    pub voids: u8,
    pub a: u8,
    pub b: u8,
    pub blk: u8, // block + 1
    pub seen: u8,
    pub oseq: u8,
    pub best: u8, // slot + 1
    pub adopted: u8,
    pub drain: u8,
    pub lb: u8,      // block + 1 that the message at hand is lent in
    pub g: [u8; 2],  // guards held: block + 1, oldest first
    pub ga: [u8; 2], // adopted?
    pub wp: u8,      // rendezvous: position + 1 of the offer that waits
    pub gx: u8,      // after the guards are dropped: 0 next item, 1 next receive, 2 leave
    pub last: u8,    // claims: position + 1 where the last claim that needs no signature ended
    pub kept: u8,    // claims: 1: a place is claimed while its block is loaned; 2: loan first
    pub given: u8,   // claims: how many were given back
    // recovery
    pub rd: u8,
    pub rt: Claim,
    pub ri: u8,
    pub rj: u8,
    pub rk: u8,
    pub mm: u8,
    pub mf: u8,
    pub came: u8, // ghost: `CAME_LATE`, `MERGING`
}

/// Joined as a sender when no receiver was left any more.
const CAME_LATE: u8 = 1;
/// Hands its role over to process 0, or has done so.
const MERGING: u8 = 2;

#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct St {
    pub tail: Claim,
    pub head: Claim,
    pub slot: [Slot; MS],
    pub block: [Block; MB],
    pub entry: [Entry; MP + 1],
    pub oseq: u8,
    pub mseq: u8,
    pub mflags: u8, // S: senders gone, R: receivers gone
    pub p: [Proc; MP],
    // ghosts
    pub done: [u8; MM + 1], // completed sends
    pub got: [u8; MM + 1],  // completed receives
    // Per receiver (last row: all) and per sender: the number of the sender's last message.
    pub last: [[u8; MP]; MP + 1],
    pub crashes: u8,
    pub err: u8,
}

macro_rules! pcs { ($($n:ident),* $(,)?) => {
    #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    #[repr(u8)]
    pub enum Pc { $($n),* }
    const PCS: &[Pc] = &[$(Pc::$n),*];
} }
pcs! {
    NotStarted, Crashed, Done,
    // loan
    LoanLoad, LoanCas, LoanC0, LoanC1, LoanSlow,
    // send
    STail, SSlot, SSlow, SSignChk, SSign, SCas, SW0, SW1, SInflight, SPub,
    SWait, SWaitClosed, SWithdraw, SWithdrawO,
    // claims that are kept: a place, or a message, until it is used or given back
    SKept, SGiveUp, RKept, RGiveSign, RGive, RGiveSeq, BKept,
    // receive
    ROseq, OScan, OCas, RHead, RSlot, REmpty, DScan, RSlow, RSignChk, RSignL, RSignC, RCas,
    GSign, RVoid, RW0, RW1, RLoan, RLoanCas, RC0, RC1, RLend, RFree, RAck, GC0, GC1, GDrop,
    // recovery of `rd`, or leaving (rd == id)
    VTake, VTest, VEntry, VRoles, VMem, VScan, VMCas, VClose, VCloseCas, VTail, VTSign, VTClr,
    VHead, VHSignL, VHSignC, VHClr, VLent, VLSlot, VLFree, VLLost, VGSlot, VGOrphan, VLOseq,
    VSlot, VWBlk, VWBlkFree, VVoid, VUnready, VOrphan, VBlk, VBlkFree, VOseq, VFree, VRel,
    // attach
    ATry, ALife, AChk, AUnlease, AStore, ARelease, AMem, AMCas, AClose, ACloseCas,
    // handing the role over to process 0, which is attached already
    MRole, MMem, MMCas,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    None,
    NoSignSend,
    NoSignRecv,
    SignDescending,
    PublishDescending,
    RecoveryDoesNotSign,
    OwnerNotCleared,
    VoidBeforeBlockFreed,
    SlotFreedBeforeLent,
    LentSlotNotFreed,
    LostBeforeSlotFreed,
    LentSimplyFreed,
    LostAdoptedByStore,
    DisconnectedIgnoresLent,
    DisconnectedScansBlocksFirst,
    DiscardIgnoresLost,
    ReceiverIgnoresLost,
    LeaveKeepsForgotten,
    OrphanOfferVoided,
    SignerIgnoresWithdrawal,
    OfferReadUnsigned,
    DeadOfferKept,
    OfferWithdrawnByStore,
    WithdrawnOrphanByStore,
    ForgottenGivenBackLate,
    EntryFreedBeforeMembership,
    AttachDoesNotBump,
    VoidReadAsOrphan,
    NoLeaseForRecovery,
    AttachWithoutRepairLease,
    DisconnectedIgnoresReaders,
    VoidFreedByStore,
    OrphanSeqOnlyIfFound,
    ReadyBeforePayload,
    NoDrain,
    AttachDoesNotRecover,
    OrphansOnlyWhenEmpty,
    MembershipNotScannedOnRecovery,
    BlockFreedBeforeSlot,
    GuardSignsDescending,
    GuardSkipsVoid,
    JoinDoesNotClose,
    TransitLeftFirst,
    GivesUpAsFree,
    GivenBackReady,
    GivenBackUntold,
    GivenBackToldFirst,
    KeptPlaceIsLast,
    KeptMessageIsLast,
}
use Mutation as Mu;

#[derive(Clone, Debug)]
pub struct Cfg {
    pub name: &'static str,
    pub roles: Vec<u8>,   // S or R per process, ids 1..
    pub late: Option<u8>, // role of the process that attaches when an id is free
    pub m: u8,
    pub cap: u8,
    pub kb: u8, // batch of senders
    pub kr: u8, // batch of receivers
    pub blocks: u8,
    pub crashes: u8,
    pub mu: Mutation,
    /// One receiver alive at a time: per-sender FIFO over all receivers.
    pub strict_fifo: bool,
    /// Receivers sign themselves, and give the slots of a batch back from the last to the first.
    pub guards: bool,
    /// Processes 0 and 1 are two threads of one participant.
    pub threads: bool,
    /// The late process was handed its endpoint: until it attaches, that endpoint counts as alive.
    pub invited: bool,
    /// Receivers leave after so many messages (0: only when disconnected).
    pub quit: u8,
    /// Blocks: the message is received when its guard is dropped (else: when `recv` returns).
    pub ack: bool,
    /// Messages are inline; receivers move them into a block, where one is free.
    pub inline: bool,
    /// So many block guards are held at a time.
    pub hold: u8,
    /// A process that leaves forgets the guards it holds.
    pub forget: bool,
    /// Capacity 0: `send` returns when its message is received, or is given it back.
    pub rdv: bool,
    /// Rendezvous: a waiting sender may give up at any time.
    pub timeouts: bool,
    /// A sender may still attach when no receiver is left: it closes the ring, and learns that
    /// with its first message.
    pub late_joins: bool,
    /// The late process' endpoint arrives in process 0: that counts the role too, then the id it
    /// came under leaves.
    pub merge: bool,
    /// What is claimed is kept, and then used or given back; so often by each process. A handle
    /// does not look for signatures where its own last claim is finished.
    pub claims: u8,
    /// Which roles may crash (mask); both by default.
    pub crash_roles: u8,
}

pub const ERRS: &[&str] = &[
    "ok",
    "torn message",
    "message returned twice",
    "message returned that was never sent",
    "payload or state written without owning the slot",
    "payload read without owning the slot",
    "block used without holding it",
    "per-sender order broken",
    "Disconnected while a completed message is not received",
    "Disconnected while the other side is alive",
    "id reused while a word names it",
    "block leaked",
    "slot orphaned without being the dead reader's",
    "RING-I1: an older claim for writing is unsigned",
    "RING-I2: an older claim for reading is unsigned",
    "RING-I3: a word names an id whose entry is free",
    "rendezvous: Ok, but not received",
    "sent by a sender that came after the last receiver had gone",
    "a role that is handed over counts as gone",
];

impl Cfg {
    fn nslots(&self) -> usize {
        self.cap as usize
    }
    fn sl(&self, pos: u8) -> usize {
        (pos % self.cap) as usize
    }
    fn nids(&self) -> usize {
        self.roles.len()
    }
    fn is(&self, m: Mutation) -> bool {
        self.mu == m
    }
    /// Messages are sent in blocks.
    fn boxed(&self) -> bool {
        self.blocks > 0 && !self.inline
    }
}

fn e(n: &mut St, code: u8) {
    if n.err == 0 {
        n.err = code;
    }
}

impl Cfg {
    fn msg(&self, pi: usize, k: u8) -> u8 {
        pi as u8 * self.m + k + 1
    }

    fn clear_locals(p: &mut Proc) {
        *p = Proc {
            pc: p.pc,
            id: p.id,
            role: p.role,
            sent: p.sent,
            seen: p.seen,
            blk: p.blk,
            drain: p.drain,
            g: p.g,
            ga: p.ga,
            wp: p.wp,
            came: p.came,
            last: p.last,
            kept: p.kept,
            given: p.given,
            ..Proc::default()
        };
    }

    /// The last claim of this handle ended there, and is finished. Threads of a process
    /// share a handle.
    fn finished(&self, n: &mut St, pi: usize, end: u8) {
        n.p[pi].last = end + 1;
        if let Some(mate) = self.mate(n, pi).filter(|&mate| n.p[mate].role == n.p[pi].role) {
            n.p[mate].last = end + 1;
        }
    }

    /// It has given a message back, and perhaps receives nothing any more.
    fn gave_back(&self, n: &mut St, pi: usize) {
        if self.quit != 0 {
            self.leave(n, pi)
        } else {
            self.next_recv(n, pi)
        }
    }

    /// The other thread of the same participant.
    fn mate(&self, s: &St, pi: usize) -> Option<usize> {
        let late = self.roles.len();
        if self.threads && pi < 2 {
            Some(1 - pi)
        } else if self.merge && (pi == 0 || pi == late) && s.p[late].came & MERGING != 0 {
            Some(late - pi)
        } else {
            None
        }
    }

    /// The holder of the life lease of `id` is the process that thread `pi` belongs to.
    fn holds(&self, s: &St, pi: usize, id: usize) -> bool {
        let holder = s.entry[id].lease;
        let shared = pi != 0 && self.mate(s, pi) == Some(0) && id == 1 && s.p[pi].id == 1;
        holder == pi as u8 + 1 || shared && holder == 1
    }

    /// Attached under an id of its own: what its endpoint does now.
    fn attached(&self, n: &mut St, pi: usize) {
        // Process 0 is there, and not about to leave.
        let there = {
            let p = &n.p[0];
            !matches!(PCS[p.pc as usize], Pc::Done | Pc::Crashed) && p.rd != p.id
        };
        if self.merge && there {
            Self::clear_locals(&mut n.p[pi]);
            n.p[pi].came |= MERGING;
            if self.is(Mu::TransitLeftFirst) {
                self.leave_transit(n, pi);
            } else {
                n.p[pi].pc = Pc::MRole as u8;
            }
        } else {
            self.at_work(n, pi);
        }
    }

    fn leave_transit(&self, n: &mut St, pi: usize) {
        let p = &mut n.p[pi];
        Self::clear_locals(p);
        p.rd = p.id;
        p.pc = Pc::VRoles as u8;
    }

    fn at_work(&self, n: &mut St, pi: usize) {
        if n.p[pi].role == S {
            self.next_send(n, pi)
        } else {
            self.next_recv(n, pi)
        }
    }

    /// Joined, and closed if a side was gone.
    fn joined(&self, n: &mut St, pi: usize) {
        let transit = n.p[pi].came & MERGING != 0;
        if !transit {
            self.attached(n, pi);
        } else if self.is(Mu::TransitLeftFirst) {
            self.at_work(n, pi);
        } else {
            self.leave_transit(n, pi);
        }
    }

    fn held(p: &Proc) -> u8 {
        (p.g[0] != 0) as u8 + (p.g[1] != 0) as u8
    }

    /// Block `p.lb` is lent to me, its slot is free.
    fn lent(&self, n: &mut St, pi: usize) {
        let p = &mut n.p[pi];
        if !self.ack && p.drain == 0 {
            p.pc = Pc::RAck as u8;
            return;
        }
        if self.claims > 0 && p.drain == 0 && PCS[p.pc as usize] != Pc::BKept {
            p.pc = Pc::BKept as u8;
            return;
        }
        let k = Self::held(p) as usize;
        p.g[k] = p.lb;
        p.ga[k] = p.adopted;
        p.lb = 0;
        if p.drain != 0 || k as u8 + 1 == self.hold {
            self.drop_guards(n, pi, 0);
        } else {
            p.i += 1;
            self.recv_item(n, pi);
        }
    }

    /// Drop the guards held, the last first (the first first where order is checked); then go on as
    /// `gx` says.
    fn drop_guards(&self, n: &mut St, pi: usize, gx: u8) {
        let p = &mut n.p[pi];
        let k = Self::held(p);
        p.a = 0;
        p.b = 0;
        if k == 0 {
            p.gx = 0;
            match gx {
                0 => {
                    p.i += 1;
                    self.recv_item(n, pi)
                }
                1 => self.next_recv(n, pi),
                _ => self.leave(n, pi),
            }
            return;
        }
        p.gx = gx;
        p.a = if self.strict_fifo { p.g[0] } else { p.g[k as usize - 1] };
        p.pc = Pc::GC0 as u8;
    }

    fn leave_holding(&self, n: &mut St, pi: usize) {
        if self.forget {
            n.p[pi].g = [0; 2];
            n.p[pi].ga = [0; 2];
            self.leave(n, pi);
        } else {
            self.drop_guards(n, pi, 2);
        }
    }

    fn next_send(&self, n: &mut St, pi: usize) {
        let p = &mut n.p[pi];
        Self::clear_locals(p);
        p.blk = 0;
        if p.sent >= self.m {
            self.leave(n, pi);
        } else if self.boxed() && self.claims == 0 {
            p.pc = Pc::LoanLoad as u8;
        } else {
            // a claim needs no block yet
            p.kept = 0;
            p.pc = Pc::STail as u8;
        }
    }

    fn next_recv(&self, n: &mut St, pi: usize) {
        let p = &mut n.p[pi];
        Self::clear_locals(p);
        p.pc = if self.is(Mu::OrphansOnlyWhenEmpty) { Pc::RHead } else { Pc::ROseq } as u8;
    }

    fn leave(&self, n: &mut St, pi: usize) {
        let mate = self.mate(n, pi).filter(|&q| n.p[q].pc != Pc::Done as u8);
        if let Some(mate) = mate {
            // the other thread still uses the participant
            if n.p[pi].role != n.p[mate].role {
                // but not this role: drop it alone
                let p = &mut n.p[pi];
                Self::clear_locals(p);
                p.rd = p.id;
                p.best = 1;
                p.pc = Pc::VRoles as u8;
                return;
            }
            n.p[pi] = Proc {
                pc: Pc::Done as u8,
                id: n.p[pi].id,
                role: n.p[pi].role,
                came: n.p[pi].came,
                ..Proc::default()
            };
            return;
        }
        let p = &mut n.p[pi];
        Self::clear_locals(p);
        p.rd = p.id;
        p.pc = if self.forget
            && p.role == R
            && !self.is(Mu::LeaveKeepsForgotten)
            && !self.is(Mu::ForgottenGivenBackLate)
        {
            if self.blocks > 0 {
                Pc::VLent
            } else {
                Pc::VGSlot
            }
        } else {
            Pc::VRoles
        } as u8;
    }

    /// Where a slow path goes on after it has (or has not) recovered a process.
    fn resume(&self, n: &mut St, pi: usize) {
        let p = &mut n.p[pi];
        let (rk_role, blk) = (p.role, p.blk);
        Self::clear_locals(p);
        if p.id == 0 {
            p.pc = Pc::ATry as u8;
        } else if p.wp != 0 {
            p.pc = Pc::SWait as u8;
        } else if p.drain != 0 {
            p.pc = Pc::ROseq as u8;
        } else if rk_role == R {
            p.pc = if self.is(Mu::OrphansOnlyWhenEmpty) { Pc::RHead } else { Pc::ROseq } as u8;
        } else if self.boxed() && blk == 0 && (self.claims == 0 || p.kept == 2) {
            p.pc = Pc::LoanLoad as u8;
        } else {
            p.pc = Pc::STail as u8;
        }
    }

    /// Successors in which `pi` goes to repair an id that looks dead (only a hint, not yet proof).
    /// True if there is one at all, repaired by another process perhaps.
    fn try_recover(&self, s: &St, pi: usize, out: &mut Vec<Next<St>>) -> bool {
        let mut any = false;
        for d in 1..=self.nids() {
            let dead = s.entry[d].used != 0 && s.entry[d].lease == 0;
            any |= dead;
            if dead && s.entry[d].repair == 0 {
                let mut n = *s;
                let p = &mut n.p[pi];
                Self::clear_locals(p);
                p.rd = d as u8;
                p.pc = Pc::VTake as u8;
                out.push(Next { s: n, fault: false, who: pi as u8 });
            }
        }
        any
    }

    fn after_sign_send(p: &mut Proc) {
        p.i = 0;
        p.pc = Pc::SCas as u8;
    }

    fn recv_item(&self, n: &mut St, pi: usize) {
        let p = &mut n.p[pi];
        p.a = 0;
        p.b = 0;
        p.rk = 0;
        p.lb = 0;
        let mine = p.drain == 0 && p.role == R;
        if p.i == p.kk {
            if mine && self.quit != 0 && p.sent + Self::held(p) >= self.quit {
                self.leave_holding(n, pi);
            } else if p.drain != 0 {
                Self::clear_locals(p);
                p.pc = Pc::ROseq as u8;
            } else {
                self.next_recv(n, pi);
            }
        } else if p.voids >> self.item(p) & 1 == 1 {
            p.pc = Pc::RVoid as u8;
        } else if mine && self.guards && self.forget && p.i + 1 == p.kk && p.sent + 1 >= self.quit {
            // forgets its last slot guard
            self.leave(n, pi);
        } else if self.claims > 0 && p.drain == 0 && !self.boxed() {
            p.pc = Pc::RKept as u8;
        } else {
            p.pc = Pc::RW0 as u8;
        }
    }

    /// Which slot of its batch a receiver is at.
    fn item(&self, p: &Proc) -> u8 {
        if self.guards && p.adopted == 0 {
            p.kk - 1 - p.i
        } else {
            p.i
        }
    }

    /// The receive of message `v` at this position has happened.
    fn returned(&self, n: &mut St, pi: usize, v: u8, w: u8) {
        if v != w {
            return e(n, 1);
        }
        if v == 0 || v as usize > MM {
            return e(n, 3);
        }
        if n.got[v as usize] != 0 {
            return e(n, 2);
        }
        n.got[v as usize] = 1;
        let from = ((v - 1) / self.m) as usize;
        let k = (v - 1) % self.m + 1;
        if n.p[pi].drain != 0 {
            return;
        }
        if self.quit != 0 {
            n.p[pi].sent += 1;
        }
        if n.p[pi].adopted == 0 && !self.guards && self.hold < 2 {
            if n.last[pi][from] >= k {
                return e(n, 7);
            }
            n.last[pi][from] = k;
        }
        if self.strict_fifo {
            if n.last[MP][from] >= k {
                return e(n, 7);
            }
            n.last[MP][from] = k;
        }
    }

    fn in_transit(&self, s: &St) -> bool {
        let l = &s.p[self.roles.len() % MP];
        self.invited && self.late.is_some() && l.id == 0
    }

    fn crash(&self, s: &St, pi: usize) -> St {
        let mut n = *s;
        for q in [Some(pi), self.mate(s, pi)].into_iter().flatten() {
            let p = n.p[q];
            n.p[q] = Proc { pc: Pc::Crashed as u8, id: p.id, role: p.role, ..Proc::default() };
            for d in 1..=self.nids() {
                if n.entry[d].lease == q as u8 + 1 {
                    n.entry[d].lease = 0;
                }
                if n.entry[d].repair == q as u8 + 1 {
                    n.entry[d].repair = 0;
                }
            }
        }
        n.crashes += 1;
        n
    }

    fn end_of_slots(&self, p: &mut Proc) {
        p.ri = 0;
        p.rj = 0;
        p.rt = Claim::default();
        p.pc = if self.blocks > 0 {
            Pc::VBlk
        } else if p.rd == p.id {
            Pc::VFree
        } else {
            Pc::VOseq
        } as u8;
    }

    fn after_head(&self, p: &mut Proc) {
        p.ri = 0;
        p.rt = Claim::default();
        p.pc = if self.blocks > 0 && (p.rd != p.id || self.is(Mu::ForgottenGivenBackLate)) {
            Pc::VLent
        } else {
            Pc::VSlot
        } as u8;
    }

    fn lent_done(&self, p: &mut Proc) {
        p.ri += 1;
        p.rt = Claim::default();
        p.pc = Pc::VLent as u8;
        if p.ri < self.blocks {
            return;
        }
        p.ri = 0;
        p.pc = Pc::VSlot as u8;
        if p.rd == p.id {
            if self.guards {
                p.pc = Pc::VGSlot as u8;
            } else {
                self.given_back(p);
            }
        }
    }

    /// Leaving, before anything else: what was forgotten is given back.
    fn given_back(&self, p: &mut Proc) {
        p.ri = 0;
        let late = self.is(Mu::ForgottenGivenBackLate);
        p.pc = match (p.mm != 0, late) {
            (true, _) => Pc::VLOseq,
            (_, true) => Pc::VSlot,
            _ => Pc::VRoles,
        } as u8;
    }

    fn slot_done(&self, p: &mut Proc) {
        p.ri += 1;
        p.rj = 0;
        p.a = 0;
        p.rt = Claim::default();
        p.pc = Pc::VSlot as u8;
        if p.ri as usize == self.nslots() {
            self.end_of_slots(p);
        }
    }

    fn drain_or(&self, n: &mut St, pi: usize, next: Pc) {
        // receivers gone: what is queued is discarded, so that its blocks come back
        let gone = n.p[pi].mf & R != 0;
        let p = &mut n.p[pi];
        p.rt = Claim::default();
        p.ri = 0;
        p.rj = 0;
        if gone && p.id != 0 && self.blocks > 0 && !self.is(Mu::NoDrain) {
            let (rd, mf) = (p.rd, p.mf);
            let seen = p.seen;
            Self::clear_locals(p);
            p.rd = rd;
            p.mf = mf;
            p.seen = seen;
            p.drain = 1;
            p.blk = rd; // remembered over the drain
            p.pc = Pc::ROseq as u8;
        } else {
            p.pc = next as u8;
        }
    }

    fn drained(&self, p: &mut Proc) {
        let rd = p.blk;
        Self::clear_locals(p);
        p.drain = 0;
        p.blk = 0;
        p.rd = rd;
        // leaving: drain comes before the cleaning; recovering: after it
        p.pc = if p.rd == p.id { Pc::VTail } else { Pc::VFree } as u8;
    }

    fn after_membership(&self, n: &mut St, pi: usize) {
        if n.p[pi].best == 1 {
            let p = n.p[pi];
            let mate = self.mate(n, pi).expect("a role is dropped alone");
            if n.p[mate].pc != Pc::Done as u8 {
                n.p[pi] = Proc {
                    pc: Pc::Done as u8,
                    id: p.id,
                    role: p.role,
                    came: p.came,
                    ..Proc::default()
                };
                return;
            }
            n.p[pi].best = 0;
        }
        let p = &mut n.p[pi];
        p.mm = 0;
        p.rj = 0;
        if p.rd == p.id {
            self.drain_or(n, pi, Pc::VTail);
        } else {
            p.rt = Claim::default();
            p.pc = Pc::VTail as u8;
        }
    }
}

impl Model for Cfg {
    type S = St;

    fn init(&self) -> St {
        let mut s = St::default();
        for i in 0..self.nslots() {
            s.slot[i].st = State4 { kind: FREE, pos: i as u8, owner: 0 };
        }
        for (i, &r) in self.roles.iter().enumerate() {
            s.entry[i + 1] = Entry { used: 1, roles: r, lease: i as u8 + 1, repair: 0 };
            s.p[i].id = i as u8 + 1;
            s.p[i].role = r;
        }
        if self.threads {
            s.entry[1].roles |= s.entry[2].roles;
            s.entry[2] = Entry::default();
            s.p[1].id = 1;
        }
        let mut n = s;
        for (i, &r) in self.roles.iter().enumerate() {
            if r == S {
                self.next_send(&mut n, i);
            } else {
                self.next_recv(&mut n, i);
            }
        }
        if let Some(r) = self.late {
            let i = self.roles.len();
            n.p[i].role = r;
            n.p[i].pc = Pc::ATry as u8;
        }
        n
    }

    fn err(&self, s: &St) -> Option<&'static str> {
        if s.err != 0 {
            return Some(ERRS[s.err as usize]);
        }
        for x in &s.slot[..self.nslots()] {
            let st = x.st;
            // RING-I1, RING-I2: claimed and unsigned are only positions of the last claim
            if st.kind == FREE && st.pos < s.tail.pos && st.pos + s.tail.count < s.tail.pos {
                return Some(ERRS[13]);
            }
            if matches!(st.kind, READY | VOID)
                && st.pos < s.head.pos
                && st.pos + s.head.count < s.head.pos
            {
                return Some(ERRS[14]);
            }
            // RING-I3: who is named has an entry
            if (matches!(st.kind, WRITING | READING) || self.rdv && st.kind == READY)
                && s.entry[st.owner as usize].used == 0
            {
                return Some(ERRS[15]);
            }
        }
        for o in [s.tail.owner, s.head.owner] {
            if o != 0 && s.entry[o as usize].used == 0 {
                return Some(ERRS[15]);
            }
        }
        for x in &s.block[..self.blocks as usize] {
            if matches!(x.kind, HELD | LENT) && s.entry[x.arg as usize].used == 0 {
                return Some(ERRS[15]);
            }
        }
        let np = self.roles.len() + self.late.is_some() as usize;
        let over = |i: usize| {
            matches!(PCS[s.p[i].pc as usize], Pc::Done | Pc::Crashed)
                || s.p[i].id == 0 && s.p[i].pc == Pc::ATry as u8
        };
        if (0..np).all(over) {
            let clean = (1..=self.nids()).all(|d| s.entry[d].used == 0);
            let late_drains = (0..np).any(|i| s.p[i].id == 0);
            if clean && !late_drains && (0..self.blocks as usize).any(|b| s.block[b].kind != FREE) {
                return Some(ERRS[11]);
            }
        }
        None
    }

    fn is_final(&self, s: &St) -> bool {
        let np = self.roles.len() + self.late.is_some() as usize;
        !self.in_transit(s)
            && (0..np).all(|i| matches!(PCS[s.p[i].pc as usize], Pc::Done | Pc::Crashed | Pc::ATry))
    }

    fn show(&self, s: &St, who: usize) -> String {
        let kinds = ["Free", "Writing", "Ready", "Reading", "Void", "Orphan"];
        let sl: Vec<String> = (0..self.nslots())
            .map(|i| {
                let x = s.slot[i];
                format!(
                    "{}({},o{})[{} {}]",
                    kinds[x.st.kind as usize], x.st.pos, x.st.owner, x.w[0], x.w[1]
                )
            })
            .collect();
        let bl: Vec<String> = (0..self.blocks as usize)
            .map(|i| {
                format!(
                    "{}:{}[{} {}]",
                    ["F", "H", "I", "L", "O"][s.block[i].kind as usize],
                    s.block[i].arg,
                    s.block[i].c[0],
                    s.block[i].c[1]
                )
            })
            .collect();
        let pcs: Vec<String> = (0..MP).map(|i| format!("{:?}", PCS[s.p[i].pc as usize])).collect();
        let en: Vec<String> = (1..=self.nids())
            .map(|i| format!("{}/{}/{}", s.entry[i].used, s.entry[i].roles, s.entry[i].lease))
            .collect();
        format!(
            "P{who} next {} | tail {}x{} o{} c{} | head {}x{} o{} | {} | {} | entries {} oseq {} members {}/{}",
            pcs.join(" "),
            s.tail.pos,
            s.tail.count,
            s.tail.owner,
            s.tail.closed,
            s.head.pos,
            s.head.count,
            s.head.owner,
            sl.join(" "),
            bl.join(" "),
            en.join(" "),
            s.oseq,
            s.mseq,
            s.mflags
        )
    }

    fn next(&self, s: &St, out: &mut Vec<Next<St>>) {
        let np = self.roles.len() + self.late.is_some() as usize;
        for pi in 0..np {
            let pc = PCS[s.p[pi].pc as usize];
            if matches!(pc, Pc::NotStarted | Pc::Crashed | Pc::Done) {
                continue;
            }
            self.step(s, pi, pc, out);
            let outside = s.p[pi].id == 0 && (pc == Pc::ATry || self.invited);
            if s.crashes < self.crashes && !outside && self.crash_roles & s.p[pi].role != 0 {
                out.push(Next { s: self.crash(s, pi), fault: true, who: pi as u8 });
            }
        }
    }
}

impl Cfg {
    fn step(&self, s: &St, pi: usize, pc: Pc, out: &mut Vec<Next<St>>) {
        let mut n = *s;
        let me = n.p[pi].id;
        let cap = self.cap;
        macro_rules! p {
            () => {
                n.p[pi]
            };
        }
        macro_rules! go {
            ($x:ident) => {
                n.p[pi].pc = Pc::$x as u8
            };
        }
        let own_w = |x: &State4, pos: u8, me: u8| {
            x.pos == pos && (x.kind == FREE || x.kind == WRITING && x.owner == me)
        };
        let own_r = |x: &State4, pos: u8, me: u8| {
            x.pos == pos && (x.kind == READY || x.kind == READING && x.owner == me)
        };
        match pc {
            Pc::NotStarted | Pc::Crashed | Pc::Done => unreachable!(),

            // ---- loan a block
            Pc::LoanLoad => {
                if n.block[p!().i as usize].kind == FREE {
                    go!(LoanCas);
                } else {
                    p!().i += 1;
                    if p!().i == self.blocks {
                        p!().i = 0;
                        go!(LoanSlow);
                    }
                }
            }
            Pc::LoanCas => {
                let i = p!().i as usize;
                if n.block[i].kind == FREE {
                    n.block[i].kind = HELD;
                    n.block[i].arg = me;
                    p!().blk = i as u8 + 1;
                    p!().i = 0;
                    go!(LoanC0);
                } else {
                    p!().i = 0;
                    go!(LoanLoad);
                }
            }
            Pc::LoanC0 | Pc::LoanC1 => {
                let b = p!().blk as usize - 1;
                if n.block[b].kind != HELD || n.block[b].arg != me {
                    e(&mut n, 6);
                }
                let v = self.msg(pi, p!().sent);
                n.block[b].c[(pc == Pc::LoanC1) as usize] = v;
                if pc == Pc::LoanC0 {
                    go!(LoanC1)
                } else if p!().kept == 1 {
                    go!(SW0)
                } else {
                    go!(STail)
                }
            }
            // all blocks are in use: it waits for one without the place
            Pc::LoanSlow if p!().kept == 1 => go!(SGiveUp),
            Pc::LoanSlow | Pc::SSlow | Pc::RSlow => {
                self.try_recover(s, pi, out);
                // a pool that stays exhausted because the receivers are gone: see `tail`
                if pc == Pc::LoanSlow && n.tail.closed != 0 {
                    p!().sent = self.m;
                    self.leave(&mut n, pi);
                } else if Self::held(&n.p[pi]) > 0 {
                    self.drop_guards(&mut n, pi, 1);
                } else {
                    self.resume(&mut n, pi);
                }
            }

            // ---- send
            Pc::STail => {
                p!().t = n.tail;
                if n.tail.closed != 0 {
                    // Disconnected
                    if self.live(&n, R) {
                        e(&mut n, 9);
                    }
                    p!().sent = self.m;
                    self.leave(&mut n, pi);
                } else {
                    p!().i = 0;
                    go!(SSlot);
                }
            }
            Pc::SSlot => {
                let pos = p!().t.pos + p!().i;
                let st = n.slot[self.sl(pos)].st;
                if st.kind == FREE && st.pos == pos {
                    p!().i += 1;
                    let want = if self.boxed() { 1 } else { self.kb.min(self.m - p!().sent) };
                    if p!().i == want {
                        p!().kk = want;
                        p!().i = 0;
                        let own = self.claims > 0 && p!().last == p!().t.pos + 1;
                        if p!().t.count > 0 && !self.is(Mu::NoSignSend) && !own {
                            go!(SSignChk)
                        } else {
                            go!(SCas)
                        }
                    }
                } else if p!().i > 0 {
                    p!().kk = p!().i;
                    p!().i = 0;
                    if p!().t.count > 0 && !self.is(Mu::NoSignSend) {
                        go!(SSignChk)
                    } else {
                        go!(SCas)
                    }
                } else {
                    p!().t = Claim::default();
                    go!(SSlow);
                }
            }
            Pc::SSignChk => {
                let t = p!().t;
                let st = n.slot[self.sl(t.pos - 1)].st;
                p!().i = 0;
                if st.kind == FREE && st.pos == t.pos - 1 {
                    go!(SSign)
                } else {
                    go!(SCas)
                }
            }
            Pc::SSign => {
                let t = p!().t;
                let i = if self.is(Mu::SignDescending) { t.count - 1 - p!().i } else { p!().i };
                let j = t.pos - t.count + i;
                let x = &mut n.slot[self.sl(j)].st;
                if x.kind == FREE && x.pos == j {
                    *x = State4 { kind: WRITING, pos: j, owner: t.owner };
                }
                p!().i += 1;
                if p!().i == t.count {
                    Self::after_sign_send(&mut n.p[pi]);
                }
            }
            Pc::SCas => {
                if n.tail == p!().t {
                    if p!().came & CAME_LATE != 0 {
                        e(&mut n, 17);
                    }
                    n.tail =
                        Claim { pos: n.tail.pos + p!().kk, closed: 0, count: p!().kk, owner: me };
                    p!().i = 0;
                    if self.is(Mu::PublishDescending) {
                        p!().i = p!().kk - 1;
                    }
                    if self.is(Mu::ReadyBeforePayload) {
                        go!(SPub)
                    } else if self.claims > 0 && p!().kept == 0 {
                        if self.is(Mu::KeptPlaceIsLast) {
                            let end = n.tail.pos;
                            self.finished(&mut n, pi, end);
                        }
                        go!(SKept)
                    } else {
                        go!(SW0)
                    }
                } else {
                    p!().t = Claim::default();
                    p!().i = 0;
                    p!().kk = 0;
                    go!(STail);
                }
            }
            // ---- a place is claimed, and kept for any time
            Pc::SKept => {
                if p!().given < self.claims {
                    let mut x = n;
                    x.p[pi].given += 1;
                    x.p[pi].pc = Pc::SGiveUp as u8;
                    // no process may rely on that
                    out.push(Next { s: x, fault: true, who: pi as u8 });
                }
                if self.boxed() {
                    p!().kept = 1;
                    go!(LoanLoad)
                } else {
                    go!(SW0)
                }
            }
            Pc::SGiveUp => {
                let pos = p!().t.pos;
                let sl = self.sl(pos);
                if !own_w(&n.slot[sl].st, pos, me) {
                    e(&mut n, 4);
                }
                n.slot[sl].st = if self.is(Mu::GivesUpAsFree) {
                    State4 { kind: FREE, pos: pos + cap, owner: 0 }
                } else {
                    State4 { kind: VOID, pos, owner: 0 }
                };
                if p!().kept == 1 {
                    Self::clear_locals(&mut n.p[pi]);
                    p!().kept = 2;
                    go!(LoanLoad)
                } else {
                    self.next_send(&mut n, pi);
                }
            }
            Pc::SW0 | Pc::SW1 => {
                let pos = p!().t.pos + p!().i;
                let sl = self.sl(pos);
                if !own_w(&n.slot[sl].st, pos, me) && !self.is(Mu::ReadyBeforePayload) {
                    e(&mut n, 4);
                }
                let v = if self.boxed() { p!().blk } else { self.msg(pi, p!().sent + p!().i) };
                n.slot[sl].w[(pc == Pc::SW1) as usize] = v;
                if pc == Pc::SW0 && !self.boxed() {
                    go!(SW1);
                } else if self.boxed() {
                    go!(SInflight);
                } else if self.is(Mu::ReadyBeforePayload) {
                    self.sent_one(&mut n, pi);
                } else {
                    go!(SPub);
                }
            }
            Pc::SInflight => {
                let pos = p!().t.pos + p!().i;
                let b = p!().blk as usize - 1;
                if n.block[b].kind != HELD || n.block[b].arg != me {
                    e(&mut n, 6);
                }
                n.block[b].kind = INFLIGHT;
                n.block[b].arg = pos;
                go!(SPub);
            }
            Pc::SPub => {
                let pos = p!().t.pos + p!().i;
                let sl = self.sl(pos);
                if !own_w(&n.slot[sl].st, pos, me) {
                    e(&mut n, 4);
                }
                n.slot[sl].st = State4 { kind: READY, pos, owner: if self.rdv { me } else { 0 } };
                if self.rdv {
                    p!().wp = pos + 1;
                    Self::clear_locals(&mut n.p[pi]);
                    go!(SWait);
                } else if self.is(Mu::ReadyBeforePayload) {
                    go!(SW0);
                } else {
                    let v = self.msg(pi, p!().sent + p!().i);
                    n.done[v as usize] = 1;
                    self.sent_one(&mut n, pi);
                }
            }

            // ---- rendezvous: the offer at wp - 1 waits
            Pc::SWait => {
                let pos = p!().wp - 1;
                let st = n.slot[self.sl(pos)].st;
                if st.pos != pos {
                    let v = self.msg(pi, p!().sent) as usize;
                    if n.got[v] != 1 {
                        e(&mut n, 16);
                    }
                    n.done[v] = 1;
                    p!().sent += 1;
                    p!().wp = 0;
                    self.next_send(&mut n, pi);
                } else {
                    self.try_recover(s, pi, out);
                    if self.timeouts {
                        let mut x = n;
                        x.p[pi].pc = Pc::SWithdraw as u8;
                        // no process may rely on a timeout
                        out.push(Next { s: x, fault: true, who: pi as u8 });
                    }
                    go!(SWaitClosed);
                }
            }
            Pc::SWaitClosed => {
                if n.tail.closed != 0 {
                    go!(SWithdraw)
                } else {
                    go!(SWait)
                }
            }
            Pc::SWithdraw | Pc::SWithdrawO => {
                let pos = p!().wp - 1;
                let sl = self.sl(pos);
                let x = &mut n.slot[sl].st;
                let from = if pc == Pc::SWithdraw { READY } else { ORPHAN };
                let blind = if pc == Pc::SWithdraw {
                    self.is(Mu::OfferWithdrawnByStore)
                } else {
                    self.is(Mu::WithdrawnOrphanByStore) && x.pos == pos && x.kind != FREE
                };
                if x.kind == from && x.pos == pos || blind {
                    *x = if pc == Pc::SWithdraw || self.is(Mu::OrphanOfferVoided) {
                        State4 { kind: VOID, pos, owner: 0 }
                    } else {
                        State4 { kind: FREE, pos: pos + cap, owner: 0 }
                    };
                    // the message is given back: no process may receive it any more
                    let v = self.msg(pi, p!().sent) as usize;
                    if n.got[v] != 0 {
                        e(&mut n, 2);
                    }
                    n.got[v] = 2;
                    p!().sent += 1;
                    p!().wp = 0;
                    self.next_send(&mut n, pi);
                } else if pc == Pc::SWithdraw {
                    go!(SWithdrawO);
                } else {
                    go!(SWait);
                }
            }

            // ---- receive: orphans first
            Pc::ROseq => {
                if n.oseq != p!().seen {
                    p!().oseq = n.oseq;
                    p!().i = 0;
                    p!().best = 0;
                    go!(OScan);
                } else if self.is(Mu::OrphansOnlyWhenEmpty) {
                    go!(RSlow);
                } else {
                    go!(RHead);
                }
            }
            Pc::OScan => {
                let i = p!().i;
                let blind = self.is(Mu::ReceiverIgnoresLost)
                    || self.is(Mu::DiscardIgnoresLost) && p!().drain != 0;
                let (found, pos) = if i < cap {
                    let st = n.slot[i as usize].st;
                    (st.kind == ORPHAN, st.pos)
                } else {
                    let b = n.block[(i - cap) as usize];
                    (b.kind == LOST && !blind, b.arg)
                };
                if found && (p!().best == 0 || pos < p!().t.pos) {
                    p!().best = i + 1;
                    p!().t.pos = pos;
                }
                p!().i += 1;
                if p!().i == cap + self.blocks {
                    p!().i = 0;
                    if p!().best == 0 {
                        p!().seen = p!().oseq;
                        p!().oseq = 0;
                        if self.is(Mu::OrphansOnlyWhenEmpty) {
                            go!(RSlow)
                        } else {
                            go!(RHead)
                        }
                    } else {
                        go!(OCas);
                    }
                }
            }
            Pc::OCas => {
                let pos = p!().t.pos;
                if p!().best > cap {
                    let b = p!().best - 1 - cap;
                    let x = &mut n.block[b as usize];
                    if x.kind == LOST && x.arg == pos || self.is(Mu::LostAdoptedByStore) {
                        x.kind = LENT;
                        x.arg = me;
                        x.pos = pos;
                        p!().adopted = 1;
                        p!().kk = 1;
                        p!().best = 0;
                        p!().oseq = 0;
                        p!().lb = b + 1;
                        self.lent(&mut n, pi);
                    } else {
                        p!().t = Claim::default();
                        p!().best = 0;
                        p!().oseq = 0;
                        go!(ROseq);
                    }
                    out.push(Next { s: n, fault: false, who: pi as u8 });
                    return;
                }
                let x = &mut n.slot[p!().best as usize - 1].st;
                if x.kind == ORPHAN && x.pos == pos {
                    *x = State4 { kind: READING, pos, owner: me };
                    p!().adopted = 1;
                    p!().kk = 1;
                    p!().best = 0;
                    p!().oseq = 0;
                    self.recv_item(&mut n, pi);
                } else {
                    p!().t = Claim::default();
                    p!().best = 0;
                    p!().oseq = 0;
                    go!(ROseq);
                }
            }
            Pc::RHead => {
                p!().t = n.head;
                p!().i = 0;
                go!(RSlot);
            }
            Pc::RSlot => {
                let pos = p!().t.pos + p!().i;
                let st = n.slot[self.sl(pos)].st;
                let ok = st.pos == pos && (st.kind == READY || st.kind == VOID);
                if ok {
                    if st.kind == VOID {
                        p!().voids |= 1 << p!().i;
                    }
                    p!().i += 1;
                }
                if !ok && p!().i == 0 {
                    if p!().drain != 0 {
                        self.drained(&mut n.p[pi]);
                    } else {
                        go!(REmpty);
                    }
                } else if !ok || p!().i == self.kr {
                    p!().kk = p!().i;
                    p!().i = 0;
                    let own = self.claims > 0 && p!().last == p!().t.pos + 1;
                    if p!().t.count > 0 && !self.is(Mu::NoSignRecv) && !own {
                        go!(RSignChk)
                    } else {
                        go!(RCas)
                    }
                }
            }
            Pc::REmpty => {
                let pos = p!().t.pos;
                p!().t = Claim::default();
                p!().i = 0;
                if n.tail.closed != 0 && n.tail.pos == pos {
                    if self.is(Mu::DisconnectedIgnoresReaders) {
                        self.disconnected_recv(&mut n, pi);
                    } else {
                        go!(DScan);
                    }
                } else if self.is(Mu::OrphansOnlyWhenEmpty) {
                    go!(ROseq);
                } else {
                    go!(RSlow);
                }
            }
            Pc::DScan => {
                let mut i = p!().i;
                if self.is(Mu::DisconnectedScansBlocksFirst) {
                    i = (i + cap) % (cap + self.blocks);
                }
                let past = if i < cap {
                    n.slot[i as usize].st.kind == FREE
                } else {
                    let b = n.block[(i - cap) as usize];
                    // what is lent to me cannot come to me again
                    !(b.kind == LOST || b.kind == LENT && b.arg != me)
                        || self.is(Mu::DisconnectedIgnoresLent)
                };
                if past {
                    p!().i += 1;
                    if p!().i == cap + self.blocks {
                        self.disconnected_recv(&mut n, pi);
                    }
                } else {
                    p!().i = 0;
                    if self.is(Mu::OrphansOnlyWhenEmpty) {
                        go!(ROseq)
                    } else {
                        go!(RSlow)
                    }
                }
            }
            Pc::RSignChk => {
                let t = p!().t;
                let st = n.slot[self.sl(t.pos - 1)].st;
                p!().i = 0;
                if st.pos == t.pos - 1 && (st.kind == READY || st.kind == VOID) {
                    go!(RSignL)
                } else {
                    go!(RCas)
                }
            }
            Pc::RSignL => {
                let t = p!().t;
                let j = t.pos - t.count + p!().i;
                let st = n.slot[self.sl(j)].st;
                if st.pos == j && (st.kind == READY || st.kind == VOID) {
                    p!().rk = st.kind;
                    go!(RSignC);
                } else {
                    p!().i += 1;
                    if p!().i == t.count {
                        p!().i = 0;
                        go!(RCas);
                    }
                }
            }
            Pc::RSignC => {
                let t = p!().t;
                let j = t.pos - t.count + p!().i;
                let k = p!().rk;
                self.sign_read(&mut n, j, k, t.owner);
                p!().rk = 0;
                p!().i += !self.withdrawn(&n, j) as u8;
                if p!().i == t.count {
                    p!().i = 0;
                    go!(RCas);
                } else {
                    go!(RSignL);
                }
            }
            Pc::RCas => {
                if n.head == p!().t {
                    n.head =
                        Claim { pos: n.head.pos + p!().kk, closed: 0, count: p!().kk, owner: me };
                    p!().i = 0;
                    if self.is(Mu::KeptMessageIsLast) {
                        let end = n.head.pos;
                        self.finished(&mut n, pi, end);
                        self.recv_item(&mut n, pi);
                    } else if self.guards || self.rdv && !self.is(Mu::OfferReadUnsigned) {
                        p!().i = if self.is(Mu::GuardSignsDescending) { p!().kk - 1 } else { 0 };
                        go!(GSign);
                    } else {
                        self.recv_item(&mut n, pi);
                    }
                } else {
                    let (rd, mf) = (p!().rd, p!().mf);
                    Self::clear_locals(&mut n.p[pi]);
                    p!().rd = rd;
                    p!().mf = mf;
                    go!(RHead);
                }
            }
            Pc::GSign => {
                let j = p!().t.pos + p!().i;
                let void = p!().voids >> p!().i & 1 == 1;
                if !(void && self.is(Mu::GuardSkipsVoid)) {
                    self.sign_read(&mut n, j, if void { VOID } else { READY }, me);
                }
                if self.rdv && !void {
                    // the CAS failed, and not because another process signed for me: withdrawn
                    let st = n.slot[self.sl(j)].st;
                    if !(st.kind == READING && st.pos == j && st.owner == me) {
                        p!().voids |= 1 << p!().i;
                    }
                }
                let down = self.is(Mu::GuardSignsDescending);
                if if down { p!().i == 0 } else { p!().i + 1 == p!().kk } {
                    p!().i = 0;
                    self.recv_item(&mut n, pi);
                } else if down {
                    p!().i -= 1;
                } else {
                    p!().i += 1;
                }
            }
            Pc::RVoid => {
                let pos = p!().t.pos + self.item(&p!());
                let sl = self.sl(pos);
                let x = &mut n.slot[sl].st;
                if x.kind == VOID && x.pos == pos || self.is(Mu::VoidFreedByStore) {
                    *x = State4 { kind: FREE, pos: pos + cap, owner: 0 };
                }
                p!().i += 1;
                self.recv_item(&mut n, pi);
            }
            // ---- a message is claimed, and kept for any time
            Pc::RKept | Pc::BKept => {
                if p!().given < self.claims {
                    let mut x = n;
                    x.p[pi].given += 1;
                    x.p[pi].pc = if self.is(Mu::GivenBackToldFirst) {
                        Pc::RGiveSeq
                    } else if self.boxed() {
                        Pc::RGive
                    } else {
                        Pc::RGiveSign
                    } as u8;
                    // no process may rely on that
                    out.push(Next { s: x, fault: true, who: pi as u8 });
                }
                if pc == Pc::RKept {
                    go!(RW0)
                } else {
                    self.lent(&mut n, pi);
                }
            }
            Pc::RGiveSign => {
                let pos = p!().t.pos;
                self.sign_read(&mut n, pos, READY, me);
                go!(RGive);
            }
            Pc::RGive => {
                let pos = p!().t.pos;
                if self.boxed() {
                    let b = &mut n.block[p!().lb as usize - 1];
                    let ok = b.kind == LENT && b.arg == me && b.pos == pos;
                    *b = Block { kind: LOST, arg: pos, pos: 0, c: b.c };
                    if !ok {
                        e(&mut n, 6);
                    }
                } else {
                    let sl = self.sl(pos);
                    if !own_r(&n.slot[sl].st, pos, me) {
                        e(&mut n, 5);
                    }
                    let kind = if self.is(Mu::GivenBackReady) { READY } else { ORPHAN };
                    n.slot[sl].st = State4 { kind, pos, owner: 0 };
                }
                if self.is(Mu::GivenBackUntold) || self.is(Mu::GivenBackToldFirst) {
                    self.gave_back(&mut n, pi);
                } else {
                    go!(RGiveSeq)
                }
            }
            Pc::RGiveSeq => {
                n.oseq += 1;
                if self.is(Mu::GivenBackToldFirst) {
                    go!(RGive)
                } else {
                    self.gave_back(&mut n, pi);
                }
            }
            Pc::RW0 | Pc::RW1 => {
                let pos = p!().t.pos + self.item(&p!());
                let sl = self.sl(pos);
                if !own_r(&n.slot[sl].st, pos, me) {
                    e(&mut n, 5);
                }
                let w = n.slot[sl].w[(pc == Pc::RW1) as usize];
                if pc == Pc::RW0 {
                    p!().a = w
                } else {
                    p!().b = w
                }
                if pc == Pc::RW0 && !self.boxed() {
                    go!(RW1);
                } else if self.boxed() && !self.is(Mu::SlotFreedBeforeLent) {
                    p!().lb = w;
                    go!(RLend);
                } else if self.inline && p!().drain == 0 {
                    go!(RLoan);
                } else {
                    p!().lb = if self.boxed() { w } else { 0 };
                    go!(RFree);
                }
            }
            // an inline message moves into a block, if one is free
            Pc::RLoan => {
                if n.block[p!().rj as usize].kind == FREE {
                    go!(RLoanCas);
                } else {
                    p!().rj += 1;
                    if p!().rj == self.blocks {
                        p!().rj = 0;
                        go!(RFree);
                    }
                }
            }
            Pc::RLoanCas => {
                let i = p!().rj;
                p!().rj = 0;
                let b = &mut n.block[i as usize];
                if b.kind == FREE {
                    b.kind = HELD;
                    b.arg = me;
                    p!().lb = i + 1;
                    go!(RC0);
                } else {
                    go!(RLoan);
                }
            }
            Pc::RC0 | Pc::RC1 => {
                let b = p!().lb as usize - 1;
                if n.block[b].kind != HELD || n.block[b].arg != me {
                    e(&mut n, 6);
                }
                if pc == Pc::RC0 {
                    n.block[b].c[0] = p!().a;
                    go!(RC1)
                } else {
                    n.block[b].c[1] = p!().b;
                    if self.is(Mu::SlotFreedBeforeLent) {
                        go!(RFree)
                    } else {
                        go!(RLend)
                    }
                }
            }
            Pc::RLend => {
                let pos = p!().t.pos + self.item(&p!());
                let b = p!().lb as usize - 1;
                let x = &mut n.block[b];
                let ok = if self.inline {
                    x.kind == HELD && x.arg == me
                } else {
                    x.kind == INFLIGHT && x.arg == pos
                };
                x.kind = LENT;
                x.arg = me;
                x.pos = pos;
                if self.is(Mu::BlockFreedBeforeSlot) {
                    x.kind = FREE;
                    x.arg = 0;
                    x.pos = 0;
                }
                if !ok {
                    e(&mut n, 6);
                }
                if self.is(Mu::SlotFreedBeforeLent) {
                    self.lent(&mut n, pi);
                } else {
                    go!(RFree)
                }
            }
            Pc::RFree => {
                let pos = p!().t.pos + self.item(&p!());
                let sl = self.sl(pos);
                if !own_r(&n.slot[sl].st, pos, me) {
                    e(&mut n, 5);
                }
                n.slot[sl].st = State4 { kind: FREE, pos: pos + cap, owner: 0 };
                if self.claims > 0 && p!().drain == 0 {
                    self.finished(&mut n, pi, pos + 1);
                }
                if p!().lb == 0 {
                    let (v, w) = (p!().a, p!().b);
                    self.returned(&mut n, pi, v, w);
                    p!().i += 1;
                    self.recv_item(&mut n, pi);
                } else if self.is(Mu::SlotFreedBeforeLent) {
                    go!(RLend);
                } else if self.is(Mu::BlockFreedBeforeSlot) {
                    let c = n.block[p!().lb as usize - 1].c;
                    self.returned(&mut n, pi, c[0], c[1]);
                    p!().i += 1;
                    self.recv_item(&mut n, pi);
                } else {
                    self.lent(&mut n, pi);
                }
            }
            // a guard that has received its message from the start
            Pc::RAck => {
                let b = p!().lb as usize - 1;
                let x = &mut n.block[b];
                let (ok, c) = (x.kind == LENT && x.arg == me, x.c);
                x.kind = HELD;
                x.pos = 0;
                if !ok {
                    e(&mut n, 6);
                }
                self.returned(&mut n, pi, c[0], c[1]);
                p!().a = p!().lb;
                go!(GC0);
            }
            // a guard reads its block after the slot went back
            Pc::GC0 | Pc::GC1 => {
                let x = n.block[p!().a as usize - 1];
                let kind = if p!().lb != 0 { HELD } else { LENT };
                if x.kind != kind || x.arg != me {
                    e(&mut n, 6);
                }
                if pc == Pc::GC0 {
                    p!().b = x.c[0];
                    go!(GC1)
                } else {
                    if p!().b != x.c[1] {
                        e(&mut n, 1);
                    }
                    go!(GDrop)
                }
            }
            Pc::GDrop => {
                let b = p!().a as usize - 1;
                let kind = if p!().lb != 0 { HELD } else { LENT };
                if n.block[b].kind != kind || n.block[b].arg != me {
                    e(&mut n, 6);
                }
                n.block[b].kind = FREE;
                n.block[b].arg = 0;
                n.block[b].pos = 0;
                if p!().lb != 0 {
                    p!().i += 1;
                    self.recv_item(&mut n, pi);
                } else {
                    // the message is received
                    let k = if p!().g[0] == p!().a { 0 } else { 1 };
                    let (v, op) = (p!().b, p!().adopted);
                    p!().adopted = p!().ga[k];
                    self.returned(&mut n, pi, v, v);
                    p!().adopted = op;
                    if k == 0 {
                        p!().g[0] = p!().g[1];
                        p!().ga[0] = p!().ga[1];
                    }
                    p!().g[1] = 0;
                    p!().ga[1] = 0;
                    let gx = p!().gx;
                    self.drop_guards(&mut n, pi, gx);
                }
            }

            // ---- recovery, and leaving
            Pc::VTake => {
                let x = &mut n.entry[p!().rd as usize];
                if self.is(Mu::NoLeaseForRecovery) {
                    go!(VTest);
                } else if x.repair == 0 {
                    x.repair = pi as u8 + 1;
                    go!(VTest);
                } else {
                    self.resume(&mut n, pi);
                }
            }
            Pc::VTest => {
                if n.entry[p!().rd as usize].lease != 0 {
                    go!(VRel)
                } else {
                    go!(VEntry)
                }
            }
            Pc::VEntry => {
                if n.entry[p!().rd as usize].used == 0 {
                    go!(VRel)
                } else {
                    go!(VRoles)
                }
            }
            Pc::VRoles => {
                let gone = if p!().best == 1 { p!().role } else { S | R };
                n.entry[p!().rd as usize].roles &= !gone;
                if self.is(Mu::EntryFreedBeforeMembership) {
                    n.entry[p!().rd as usize].used = 0;
                }
                if self.is(Mu::MembershipNotScannedOnRecovery) && p!().rd != me {
                    self.after_membership(&mut n, pi);
                } else {
                    go!(VMem);
                }
            }
            Pc::VMem => {
                p!().mm = n.mseq;
                p!().rk = n.mflags;
                p!().mf = 0;
                p!().rj = 1;
                go!(VScan);
            }
            Pc::VScan => {
                p!().mf |= n.entry[p!().rj as usize].roles;
                p!().rj += 1;
                if p!().rj as usize > self.nids() {
                    p!().rj = 0;
                    if self.in_transit(s) {
                        p!().mf |= self.late.unwrap_or(0);
                    }
                    let gone = (S | R) & !p!().mf;
                    let new = p!().rk | gone;
                    p!().mf = new;
                    if new != p!().rk {
                        go!(VMCas);
                    } else if new != 0 {
                        p!().rk = 0;
                        p!().mm = 0;
                        go!(VClose);
                    } else {
                        p!().rk = 0;
                        self.after_membership(&mut n, pi);
                    }
                }
            }
            Pc::VMCas => {
                if n.mseq == p!().mm && n.mflags == p!().rk {
                    n.mflags = p!().mf;
                    p!().rk = 0;
                    p!().mm = 0;
                    go!(VClose);
                } else {
                    p!().rk = 0;
                    p!().mm = 0;
                    p!().mf = 0;
                    go!(VMem);
                }
            }
            Pc::VClose => {
                p!().rt = n.tail;
                if n.tail.closed != 0 {
                    self.after_membership(&mut n, pi);
                } else {
                    go!(VCloseCas);
                }
            }
            Pc::VCloseCas => {
                if n.tail == p!().rt {
                    n.tail.closed = 1;
                    self.after_membership(&mut n, pi);
                } else {
                    p!().rt = Claim::default();
                    go!(VClose);
                }
            }
            Pc::VTail => {
                p!().rt = n.tail;
                p!().ri = 0;
                if n.tail.owner == p!().rd {
                    if n.tail.count > 0 && !self.is(Mu::RecoveryDoesNotSign) {
                        go!(VTSign)
                    } else {
                        go!(VTClr)
                    }
                } else {
                    p!().rt = Claim::default();
                    go!(VHead);
                }
            }
            Pc::VTSign => {
                let t = p!().rt;
                let j = t.pos - t.count + p!().ri;
                let x = &mut n.slot[self.sl(j)].st;
                if x.kind == FREE && x.pos == j {
                    *x = State4 { kind: WRITING, pos: j, owner: t.owner };
                }
                p!().ri += 1;
                if p!().ri == t.count {
                    p!().ri = 0;
                    go!(VTClr);
                }
            }
            Pc::VTClr => {
                if self.is(Mu::OwnerNotCleared) {
                    go!(VHead);
                } else if n.tail == p!().rt {
                    n.tail.owner = 0;
                    n.tail.count = 0;
                    go!(VHead);
                } else {
                    go!(VTail);
                }
                p!().rt = Claim::default();
            }
            Pc::VHead => {
                p!().rt = n.head;
                p!().ri = 0;
                if n.head.owner == p!().rd {
                    if n.head.count > 0 && !self.is(Mu::RecoveryDoesNotSign) {
                        go!(VHSignL)
                    } else {
                        go!(VHClr)
                    }
                } else {
                    p!().rt = Claim::default();
                    self.after_head(&mut n.p[pi]);
                }
            }
            Pc::VHSignL => {
                let t = p!().rt;
                let j = t.pos - t.count + p!().ri;
                let st = n.slot[self.sl(j)].st;
                if st.pos == j && (st.kind == READY || st.kind == VOID) {
                    p!().rk = st.kind;
                    go!(VHSignC);
                } else {
                    p!().ri += 1;
                    if p!().ri == t.count {
                        p!().ri = 0;
                        go!(VHClr);
                    }
                }
            }
            Pc::VHSignC => {
                let t = p!().rt;
                let j = t.pos - t.count + p!().ri;
                let k = p!().rk;
                self.sign_read(&mut n, j, k, t.owner);
                p!().rk = 0;
                p!().ri += !self.withdrawn(&n, j) as u8;
                if p!().ri == t.count {
                    p!().ri = 0;
                    go!(VHClr);
                } else {
                    go!(VHSignL);
                }
            }
            Pc::VHClr => {
                let same = n.head == p!().rt;
                p!().rt = Claim::default();
                if self.is(Mu::OwnerNotCleared) {
                    self.after_head(&mut n.p[pi]);
                } else if same {
                    n.head.owner = 0;
                    n.head.count = 0;
                    self.after_head(&mut n.p[pi]);
                } else {
                    go!(VHead);
                }
            }
            // what the dead process (or I, leaving) was reading in blocks
            Pc::VLent => {
                let b = n.block[p!().ri as usize];
                if b.kind == LENT && b.arg == p!().rd {
                    p!().rt.pos = b.pos;
                    if self.is(Mu::LostBeforeSlotFreed)
                        || self.is(Mu::LentSlotNotFreed)
                        || p!().rd == me
                    {
                        go!(VLLost)
                    } else {
                        go!(VLSlot)
                    }
                } else {
                    self.lent_done(&mut n.p[pi]);
                }
            }
            Pc::VLSlot => {
                let pos = p!().rt.pos;
                let st = n.slot[self.sl(pos)].st;
                if st.kind == READING && st.pos == pos && st.owner == p!().rd {
                    go!(VLFree)
                } else if self.is(Mu::LostBeforeSlotFreed) {
                    self.lent_done(&mut n.p[pi]);
                } else {
                    go!(VLLost)
                }
            }
            Pc::VLFree => {
                let pos = p!().rt.pos;
                let sl = self.sl(pos);
                let x = &mut n.slot[sl].st;
                let ok = x.kind == READING && x.pos == pos && x.owner == p!().rd;
                *x = State4 { kind: FREE, pos: pos + cap, owner: 0 };
                if !ok {
                    e(&mut n, 4);
                }
                if self.is(Mu::LostBeforeSlotFreed) {
                    self.lent_done(&mut n.p[pi]);
                } else {
                    go!(VLLost)
                }
            }
            Pc::VLLost => {
                let pos = p!().rt.pos;
                let b = &mut n.block[p!().ri as usize];
                let ok = b.kind == LENT && b.arg == p!().rd && b.pos == pos;
                b.kind = LOST;
                b.arg = pos;
                b.pos = 0;
                if self.is(Mu::LentSimplyFreed) {
                    b.kind = FREE;
                    b.arg = 0;
                }
                if !ok {
                    e(&mut n, 6);
                }
                p!().mm = 1; // found something
                if self.is(Mu::LostBeforeSlotFreed) {
                    go!(VLSlot)
                } else {
                    self.lent_done(&mut n.p[pi]);
                }
            }
            // leaving: slot guards that were forgotten
            Pc::VGSlot => {
                let st = n.slot[p!().ri as usize].st;
                if st.kind == READING && st.owner == me {
                    go!(VGOrphan)
                } else {
                    p!().ri += 1;
                    if p!().ri == cap {
                        self.given_back(&mut n.p[pi]);
                    }
                }
            }
            Pc::VGOrphan => {
                let x = &mut n.slot[p!().ri as usize].st;
                x.kind = ORPHAN;
                x.owner = 0;
                p!().mm = 1;
                p!().ri += 1;
                go!(VGSlot);
                if p!().ri == cap {
                    self.given_back(&mut n.p[pi]);
                }
            }
            Pc::VLOseq => {
                n.oseq += 1;
                p!().mm = 0;
                if self.is(Mu::ForgottenGivenBackLate) {
                    go!(VSlot)
                } else {
                    go!(VRoles)
                }
            }
            Pc::VSlot => {
                let st = n.slot[p!().ri as usize].st;
                if st.kind == WRITING && st.owner == p!().rd {
                    p!().rt.pos = st.pos;
                    if self.boxed() && !self.is(Mu::VoidBeforeBlockFreed) {
                        go!(VWBlk)
                    } else {
                        go!(VVoid)
                    }
                } else if st.kind == READING && st.owner == p!().rd {
                    p!().rt.pos = st.pos;
                    go!(VOrphan)
                } else if self.rdv
                    && st.kind == READY
                    && st.owner == p!().rd
                    && !self.is(Mu::DeadOfferKept)
                {
                    p!().rt.pos = st.pos;
                    go!(VUnready)
                } else {
                    self.slot_done(&mut n.p[pi]);
                }
            }
            // an offer whose sender died: no process may wait for it
            Pc::VUnready => {
                let pos = p!().rt.pos;
                let x = &mut n.slot[p!().ri as usize].st;
                if x.kind == READY && x.pos == pos {
                    x.kind = VOID;
                    x.owner = 0;
                }
                self.slot_done(&mut n.p[pi]);
            }
            Pc::VWBlk => {
                let b = n.block[p!().rj as usize];
                if b.kind == INFLIGHT && b.arg == p!().rt.pos {
                    go!(VWBlkFree);
                } else {
                    p!().rj += 1;
                    if p!().rj == self.blocks {
                        p!().rj = 0;
                        if self.is(Mu::VoidBeforeBlockFreed) {
                            self.slot_done(&mut n.p[pi])
                        } else {
                            go!(VVoid)
                        }
                    }
                }
            }
            Pc::VWBlkFree => {
                let b = &mut n.block[p!().rj as usize];
                let ok = b.kind == INFLIGHT && b.arg == p!().rt.pos;
                b.kind = FREE;
                b.arg = 0;
                if !ok {
                    e(&mut n, 6);
                }
                p!().rj = 0;
                if self.is(Mu::VoidBeforeBlockFreed) {
                    self.slot_done(&mut n.p[pi])
                } else {
                    go!(VVoid)
                }
            }
            Pc::VVoid => {
                let pos = p!().rt.pos;
                let x = &mut n.slot[p!().ri as usize].st;
                let ok = *x == State4 { kind: WRITING, pos, owner: p!().rd };
                *x = State4 { kind: VOID, pos, owner: 0 };
                if !ok {
                    e(&mut n, 4);
                }
                if self.is(Mu::VoidBeforeBlockFreed) && self.blocks > 0 {
                    p!().rj = 0;
                    go!(VWBlk);
                } else {
                    self.slot_done(&mut n.p[pi]);
                }
            }
            Pc::VOrphan => {
                let pos = p!().rt.pos;
                let x = &mut n.slot[p!().ri as usize].st;
                let ok = *x == State4 { kind: READING, pos, owner: p!().rd };
                *x = State4 { kind: ORPHAN, pos, owner: 0 };
                if !ok {
                    e(&mut n, 12);
                }
                p!().mm = 1; // found something (only a mutation asks)
                self.slot_done(&mut n.p[pi]);
            }
            Pc::VBlk => {
                let b = n.block[p!().ri as usize];
                if b.kind == HELD && b.arg == p!().rd {
                    go!(VBlkFree);
                } else {
                    p!().ri += 1;
                    if p!().ri == self.blocks {
                        p!().ri = 0;
                        if p!().rd == me {
                            go!(VFree)
                        } else {
                            go!(VOseq)
                        }
                    }
                }
            }
            Pc::VBlkFree => {
                let b = &mut n.block[p!().ri as usize];
                let ok = b.kind == HELD && b.arg == p!().rd;
                b.kind = FREE;
                b.arg = 0;
                if !ok {
                    e(&mut n, 6);
                }
                p!().ri += 1;
                go!(VBlk);
                if p!().ri == self.blocks {
                    p!().ri = 0;
                    if p!().rd == me {
                        go!(VFree)
                    } else {
                        go!(VOseq)
                    }
                }
            }
            Pc::VOseq => {
                if !(self.is(Mu::OrphanSeqOnlyIfFound) && p!().mm == 0) {
                    n.oseq += 1;
                }
                p!().mm = 0;
                self.drain_or(&mut n, pi, Pc::VFree);
            }
            Pc::VFree => {
                n.entry[p!().rd as usize].used = 0;
                go!(VRel);
            }
            Pc::VRel => {
                let rd = p!().rd as usize;
                if p!().rd == me && self.holds(s, pi, rd) {
                    n.entry[rd].lease = 0;
                }
                if n.entry[rd].repair == pi as u8 + 1 {
                    n.entry[rd].repair = 0;
                }
                let left = p!().rd == me && me != 0;
                if left && p!().came & MERGING != 0 && rd != 1 {
                    // the id of the transit; from here on a thread of process 0
                    p!().id = 1;
                    p!().mf = 0;
                    if self.is(Mu::TransitLeftFirst) {
                        Self::clear_locals(&mut n.p[pi]);
                        go!(MRole);
                    } else {
                        self.at_work(&mut n, pi);
                    }
                } else if left {
                    n.p[pi] = Proc {
                        pc: Pc::Done as u8,
                        id: me,
                        role: n.p[pi].role,
                        came: n.p[pi].came,
                        ..Proc::default()
                    };
                } else {
                    self.resume(&mut n, pi);
                }
            }

            // ---- attach
            Pc::ATry => {
                // one receiver alive at a time
                let over = |q: usize| {
                    s.p[q].role != R || matches!(PCS[s.p[q].pc as usize], Pc::Crashed | Pc::Done)
                };
                if self.strict_fifo && !(0..self.roles.len()).all(over) {
                    return;
                }
                // recover every dead entry first (makes redelivery come before newer messages)
                if !self.is(Mu::AttachDoesNotRecover) {
                    if self.try_recover(s, pi, out) {
                        return;
                    }
                } else {
                    self.try_recover(s, pi, out);
                }
                // the repair lease of a free id, against recoverers (waits, where there is none)
                for d in 1..=self.nids() {
                    let free = n.entry[d].repair == 0 || self.is(Mu::AttachWithoutRepairLease);
                    if free && n.entry[d].lease == 0 && n.entry[d].used == 0 {
                        if !self.is(Mu::AttachWithoutRepairLease) {
                            n.entry[d].repair = pi as u8 + 1;
                        }
                        p!().rd = d as u8;
                        go!(ALife);
                        break;
                    }
                }
                if n.p[pi].pc == Pc::ATry as u8 {
                    return;
                }
            }
            Pc::ALife => {
                let x = &mut n.entry[p!().rd as usize];
                if x.lease == 0 {
                    x.lease = pi as u8 + 1;
                    go!(AChk);
                } else {
                    x.repair = 0;
                    p!().rd = 0;
                    go!(ATry);
                }
            }
            Pc::AChk => {
                if n.entry[p!().rd as usize].used == 0 {
                    go!(AStore)
                } else {
                    go!(AUnlease)
                }
            }
            Pc::AUnlease => {
                n.entry[p!().rd as usize].lease = 0;
                n.entry[p!().rd as usize].repair = 0;
                p!().rd = 0;
                go!(ATry);
            }
            Pc::AStore => {
                let d = p!().rd;
                let named = n.tail.owner == d
                    || n.head.owner == d
                    || (0..self.nslots()).any(|i| {
                        matches!(n.slot[i].st.kind, WRITING | READING | READY)
                            && n.slot[i].st.owner == d
                    })
                    || (0..self.blocks as usize)
                        .any(|i| matches!(n.block[i].kind, HELD | LENT) && n.block[i].arg == d);
                if named {
                    e(&mut n, 10);
                }
                let role = p!().role;
                let x = &mut n.entry[d as usize];
                x.used = 1;
                x.roles = role;
                p!().id = d;
                go!(ARelease);
            }
            Pc::ARelease => {
                if n.entry[me as usize].repair == pi as u8 + 1 {
                    n.entry[me as usize].repair = 0;
                }
                p!().rd = 0;
                if self.is(Mu::AttachDoesNotBump) {
                    self.at_work(&mut n, pi);
                } else {
                    go!(AMem);
                }
            }
            Pc::AMem => {
                p!().mm = n.mseq;
                p!().mf = n.mflags;
                let refused = if p!().role == S && self.late_joins {
                    n.mflags & S
                } else if p!().role == S {
                    n.mflags
                } else {
                    n.mflags & R
                };
                if refused != 0 {
                    // closed for good: Disconnected (a receiver may still come to what is queued)
                    p!().sent = self.m;
                    self.leave(&mut n, pi);
                } else {
                    go!(AMCas);
                }
            }
            Pc::AMCas => {
                if n.mseq == p!().mm && n.mflags == p!().mf {
                    n.mseq += 1;
                    if p!().role == S && p!().mf & R != 0 {
                        p!().came |= CAME_LATE;
                    }
                    if p!().mf != 0 && !self.is(Mu::JoinDoesNotClose) {
                        go!(AClose)
                    } else {
                        self.joined(&mut n, pi)
                    }
                } else {
                    p!().mm = 0;
                    p!().mf = 0;
                    go!(AMem);
                }
            }
            Pc::AClose => {
                p!().rt = n.tail;
                if n.tail.closed != 0 {
                    self.joined(&mut n, pi);
                } else {
                    go!(ACloseCas);
                }
            }
            Pc::ACloseCas => {
                if n.tail == p!().rt {
                    n.tail.closed = 1;
                    self.joined(&mut n, pi);
                } else {
                    p!().rt = Claim::default();
                    go!(AClose);
                }
            }

            // ---- the endpoint arrived in process 0
            Pc::MRole => {
                let role = p!().role;
                n.entry[1].roles |= role;
                go!(MMem);
            }
            Pc::MMem => {
                p!().mm = n.mseq;
                p!().mf = n.mflags;
                if n.mflags & p!().role != 0 {
                    e(&mut n, 18);
                }
                go!(MMCas);
            }
            Pc::MMCas => {
                if n.mseq == p!().mm && n.mflags == p!().mf {
                    n.mseq += 1;
                    if p!().mf != 0 {
                        go!(AClose)
                    } else {
                        self.joined(&mut n, pi)
                    }
                } else {
                    p!().mm = 0;
                    p!().mf = 0;
                    go!(MMem);
                }
            }
        }
        out.push(Next { s: n, fault: false, who: pi as u8 });
    }

    fn sent_one(&self, n: &mut St, pi: usize) {
        let p = &mut n.p[pi];
        if self.is(Mu::ReadyBeforePayload) {
            let v = self.msg(pi, p.sent + p.i);
            n.done[v as usize] = 1;
        }
        let p = &mut n.p[pi];
        let last = if self.is(Mu::PublishDescending) { p.i == 0 } else { p.i + 1 == p.kk };
        if last {
            p.sent += p.kk;
            // only a claim that was not kept is stored as the last one
            if self.claims > 0 && p.kept == 2 {
                let end = p.t.pos + p.kk;
                self.finished(n, pi, end);
            }
            self.next_send(n, pi);
        } else {
            if self.is(Mu::PublishDescending) {
                p.i -= 1;
            } else {
                p.i += 1;
            }
            p.pc = if self.is(Mu::ReadyBeforePayload) { Pc::SPub } else { Pc::SW0 } as u8;
        }
    }

    /// A signer's CAS at `j` met a withdrawal: it must look again.
    fn withdrawn(&self, n: &St, j: u8) -> bool {
        let st = n.slot[self.sl(j)].st;
        self.rdv && st.kind == VOID && st.pos == j && !self.is(Mu::SignerIgnoresWithdrawal)
    }

    fn sign_read(&self, n: &mut St, j: u8, kind: u8, owner: u8) {
        let x = &mut n.slot[self.sl(j)].st;
        if x.kind == kind && x.pos == j {
            *x = if kind == READY || self.is(Mu::VoidReadAsOrphan) {
                State4 { kind: READING, pos: j, owner }
            } else {
                State4 { kind: FREE, pos: j + self.cap, owner: 0 }
            };
        }
    }

    fn disconnected_recv(&self, n: &mut St, pi: usize) {
        let id = n.p[pi].id;
        let mine = |v: usize| {
            n.block.iter().any(|b| b.kind == LENT && b.arg == id && b.c[0] as usize == v)
        };
        if (1..=MM).any(|v| n.done[v] != 0 && n.got[v] == 0 && !mine(v)) {
            e(n, 8);
        }
        if self.live(n, S) {
            e(n, 9);
        }
        self.leave_holding(n, pi);
    }

    /// A live, attached process has this role.
    fn live(&self, n: &St, role: u8) -> bool {
        (0..np_of(self)).any(|q| {
            let id = n.p[q].id as usize;
            n.p[q].role == role
                && id != 0
                && n.entry[id].roles & role != 0
                && self.holds(n, q, id)
                && !matches!(PCS[n.p[q].pc as usize], Pc::Done | Pc::Crashed)
                && !attaching(n.p[q].pc)
        })
    }
}

fn np_of(c: &Cfg) -> usize {
    c.roles.len() + c.late.is_some() as usize
}

/// Its entry names the role, but its attach has not returned yet.
fn attaching(pc: u8) -> bool {
    matches!(
        PCS[pc as usize],
        Pc::ARelease | Pc::AMem | Pc::AMCas | Pc::AClose | Pc::ACloseCas | Pc::VRoles
    )
}
