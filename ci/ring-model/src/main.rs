//! `ring-model quick | all | mutations | NAME… | mu:MUTATION…` — see README.md.

mod check;
mod choose;
mod leave;
mod link;
mod ring;
mod socket;
mod wake;

use check::{check, Report};
use ring::{Cfg, Mutation, R, S};

fn base(name: &'static str, roles: &[u8], m: u8, cap: u8, crashes: u8) -> Cfg {
    Cfg {
        name,
        roles: roles.to_vec(),
        late: None,
        m,
        cap,
        kb: 1,
        kr: 1,
        blocks: 0,
        crashes,
        mu: Mutation::None,
        strict_fifo: false,
        guards: false,
        threads: false,
        invited: false,
        quit: 0,
        ack: false,
        inline: false,
        hold: 1,
        forget: false,
        rdv: false,
        timeouts: false,
        late_joins: false,
        merge: false,
        claims: 0,
        crash_roles: S | R,
    }
}

/// The protocol itself: every one of these must hold.
fn configs() -> Vec<Cfg> {
    let b = base;
    let late = |c: Cfg, r: u8| Cfg { late: Some(r), invited: true, ..c };
    let race = |c: Cfg, r: u8| Cfg { late: Some(r), invited: false, ..c };
    let batch = |c: Cfg, kb: u8, kr: u8| Cfg { kb, kr, ..c };
    let blocks = |c: Cfg, n: u8| Cfg { blocks: n, ..c };
    let guards = |c: Cfg| Cfg { guards: true, ..c };
    let refs = |c: Cfg, blocks: u8, hold: u8| Cfg { ack: true, blocks, hold, ..c };
    let inline = |c: Cfg| Cfg { inline: true, ..c };
    let forget = |c: Cfg, quit: u8| Cfg { forget: true, quit, ..c };
    let threads = |c: Cfg| Cfg { threads: true, ..c };
    let quit = |c: Cfg, n: u8| Cfg { quit: n, ..c };
    let rdv = |c: Cfg| Cfg { rdv: true, ..c };
    let timeouts = |c: Cfg| Cfg { rdv: true, timeouts: true, ..c };
    let fifo = |c: Cfg| Cfg { strict_fifo: true, invited: true, ..c };
    let joins = |c: Cfg| Cfg { late_joins: true, ..c };
    let merge = |c: Cfg| Cfg { late_joins: true, merge: true, ..c };
    let only = |c: Cfg, r: u8| Cfg { crash_roles: r, ..c };
    let claims = |c: Cfg| Cfg { claims: 1, ..c };
    vec![
        // the core: claim, sign, publish, recover, disconnect
        b("core-1p1c-cap1", &[S, R], 4, 1, 2),
        b("core-1p1c-cap2", &[S, R], 4, 2, 2),
        b("core-1p1c-cap4", &[S, R], 4, 4, 2),
        b("core-2p1c-cap1", &[S, S, R], 2, 1, 2),
        b("core-2p1c-cap2", &[S, S, R], 2, 2, 2),
        b("core-2p1c-cap4", &[S, S, R], 2, 4, 2),
        b("core-1p2c-cap1", &[S, R, R], 3, 1, 2),
        b("core-1p2c-cap2", &[S, R, R], 3, 2, 2),
        b("core-1p2c-cap4", &[S, R, R], 3, 4, 2),
        // ids reused by a process that attaches later
        race(b("race-1p1c+p-cap1", &[S, R], 2, 1, 2), S),
        race(b("race-1p1c+c-cap2", &[S, R], 3, 2, 2), R),
        race(b("race-2p1c+p-cap2", &[S, S, R], 1, 2, 2), S),
        late(b("reuse-1p1c+p-cap1", &[S, R], 2, 1, 2), S),
        late(b("reuse-1p1c+p-cap2", &[S, R], 3, 2, 2), S),
        late(b("reuse-1p1c+c-cap2", &[S, R], 3, 2, 2), R),
        late(b("reuse-2p1c+p-cap2", &[S, S, R], 1, 2, 2), S),
        late(b("reuse-2p1c+c-cap2", &[S, S, R], 1, 2, 2), R),
        late(b("reuse-1p2c+c-cap2", &[S, R, R], 2, 2, 1), R),
        late(b("reuse-1p2c+p-cap2", &[S, R, R], 2, 2, 1), S),
        late(b("reuse-1p2c+p-cap1", &[S, R, R], 1, 1, 2), S),
        fifo(late(only(b("fifo-1p1c+c-cap2", &[S, R], 4, 2, 1), R), R)),
        fifo(late(only(b("fifo-2p1c+c-cap2", &[S, S, R], 2, 2, 1), R), R)),
        fifo(late(only(batch(b("fifo-1p1c+c-cap4-batch", &[S, R], 5, 4, 1), 3, 3), R), R)),
        // (a) batches
        batch(b("batch-1p1c-cap4", &[S, R], 6, 4, 2), 3, 3),
        batch(b("batch-2p1c-cap2", &[S, S, R], 2, 2, 2), 2, 2),
        batch(b("batch-2p1c-cap4", &[S, S, R], 2, 4, 2), 2, 2),
        batch(b("batch-2p1c-cap4-b3", &[S, S, R], 3, 4, 1), 3, 2),
        batch(b("batch-1p2c-cap2", &[S, R, R], 4, 2, 2), 2, 2),
        batch(b("batch-1p2c-cap4", &[S, R, R], 4, 4, 2), 3, 2),
        batch(b("batch-3p-cap4", &[S, S, S], 2, 4, 1), 2, 2),
        batch(late(b("batch-1p1c+p-cap2", &[S, R], 2, 2, 2), S), 2, 2),
        batch(late(b("batch-1p1c+c-cap4", &[S, R], 4, 4, 2), R), 2, 3),
        // slot guards: self-signed, freed in any order
        guards(batch(b("guards-1p1c-cap2", &[S, R], 4, 2, 2), 2, 2)),
        guards(batch(b("guards-1p2c-cap2", &[S, R, R], 4, 2, 2), 2, 2)),
        guards(batch(b("guards-1p2c-cap4", &[S, R, R], 4, 4, 2), 2, 3)),
        guards(batch(b("guards-2p1c-cap4", &[S, S, R], 2, 4, 1), 1, 3)),
        guards(batch(late(b("guards-1p2c+p-cap4", &[S, R, R], 2, 4, 1), S), 1, 2)),
        // two threads under one id, killed together
        threads(b("threads-1(2p)1c-cap2", &[S, S, R], 2, 2, 2)),
        threads(b("threads-1p1(2c)-cap2", &[R, R, S], 3, 2, 2)),
        threads(b("threads-(1p+1c)1c-cap2", &[S, R, R], 3, 2, 2)),
        threads(late(b("threads-1(2p)1c+p-cap2", &[S, S, R], 1, 2, 1), S)),
        // (b) blocks
        blocks(b("blocks-1p1c-cap1-b1", &[S, R], 3, 1, 2), 1),
        blocks(b("blocks-1p1c-cap2-b2", &[S, R], 3, 2, 2), 2),
        blocks(b("blocks-2p1c-cap1-b1", &[S, S, R], 1, 1, 2), 1),
        blocks(b("blocks-2p1c-cap2-b2", &[S, S, R], 1, 2, 2), 2),
        blocks(b("blocks-1p2c-cap1-b1", &[S, R, R], 2, 1, 2), 1),
        blocks(b("blocks-1p2c-cap2-b2", &[S, R, R], 3, 2, 2), 2),
        batch(blocks(b("blocks-1p2c-cap2-b2-batch", &[S, R, R], 2, 2, 1), 2), 1, 2),
        late(blocks(b("blocks-1p1c+c-cap2-b2", &[S, R], 2, 2, 2), 2), R),
        late(blocks(b("blocks-1p1c+p-cap2-b2", &[S, R], 2, 2, 2), 2), S),
        // block guards that acknowledge when dropped
        refs(b("refs-1p1c-cap1-b1", &[S, R], 3, 1, 2), 1, 1),
        refs(b("refs-1p1c-cap2-b2", &[S, R], 3, 2, 2), 2, 2),
        refs(b("refs-2p1c-cap2-b2", &[S, S, R], 1, 2, 2), 2, 2),
        refs(b("refs-1p2c-cap1-b1", &[S, R, R], 2, 1, 2), 1, 1),
        refs(b("refs-1p2c-cap2-b2", &[S, R, R], 3, 2, 2), 2, 1),
        refs(b("refs-1p2c-cap2-b2-h2", &[S, R, R], 3, 2, 2), 2, 2),
        batch(refs(b("refs-1p2c-cap2-b2-batch", &[S, R, R], 3, 2, 1), 2, 2), 1, 2),
        refs(b("refs-1p3c-cap1-b1", &[S, R, R, R], 1, 1, 2), 1, 1),
        late(refs(b("refs-1p1c+c-cap2-b2", &[S, R], 2, 2, 2), 2, 2), R),
        late(refs(b("refs-1p1c+p-cap2-b2", &[S, R], 2, 2, 2), 2, 2), S),
        threads(refs(b("refs-1p1(2c)-cap2-b2", &[R, R, S], 3, 2, 2), 2, 1)),
        // the same, inline messages moved into blocks
        inline(refs(b("refs-inline-1p1c-cap2-b1", &[S, R], 3, 2, 2), 1, 1)),
        inline(refs(b("refs-inline-1p2c-cap1-b1", &[S, R, R], 2, 1, 2), 1, 1)),
        inline(refs(b("refs-inline-1p2c-cap2-b2", &[S, R, R], 3, 2, 2), 2, 2)),
        inline(refs(b("refs-inline-2p1c-cap2-b1", &[S, S, R], 2, 2, 2), 1, 1)),
        inline(batch(refs(b("refs-inline-1p2c-cap2-b2-batch", &[S, R, R], 3, 2, 1), 2, 2), 2, 2)),
        late(inline(refs(b("refs-inline-1p1c+c-cap2-b1", &[S, R], 3, 2, 2), 1, 1)), R),
        // order over a restarted receiver
        fifo(late(only(refs(b("refs-fifo-1p1c+c-cap2", &[S, R], 4, 2, 1), 2, 2), R), R)),
        fifo(late(only(inline(refs(b("refs-fifo-inline-1p1c+c", &[S, R], 4, 2, 1), 2, 2)), R), R)),
        // leaving, with and without guards that were forgotten
        quit(refs(b("refs-leave-1p2c-cap2-b2", &[S, R, R], 3, 2, 1), 2, 2), 1),
        forget(refs(b("forget-1p1c-cap2-b2", &[S, R], 3, 2, 2), 2, 2), 2),
        forget(refs(b("forget-1p2c-cap2-b2", &[S, R, R], 3, 2, 1), 2, 2), 1),
        forget(inline(refs(b("forget-inline-1p2c-cap2-b1", &[S, R, R], 3, 2, 1), 1, 2)), 1),
        forget(guards(batch(b("forget-guards-1p2c-cap2", &[S, R, R], 3, 2, 1), 2, 2)), 2),
        // rendezvous: a ring of offers
        rdv(b("rdv-1p1c-cap1", &[S, R], 3, 1, 2)),
        rdv(b("rdv-2p1c-cap2", &[S, S, R], 2, 2, 2)),
        timeouts(b("rdv-time-1p1c-cap1", &[S, R], 3, 1, 2)),
        timeouts(b("rdv-time-1p1c-cap2", &[S, R], 3, 2, 2)),
        timeouts(b("rdv-time-2p1c-cap1", &[S, S, R], 2, 1, 2)),
        timeouts(b("rdv-time-2p1c-cap2", &[S, S, R], 2, 2, 2)),
        timeouts(b("rdv-time-1p2c-cap2", &[S, R, R], 3, 2, 2)),
        timeouts(batch(b("rdv-time-2p1c-cap2-r2", &[S, S, R], 2, 2, 2), 1, 2)),
        timeouts(late(b("rdv-time-1p1c+p-cap2", &[S, R], 2, 2, 2), S)),
        timeouts(late(b("rdv-time-1p1c+c-cap2", &[S, R], 2, 2, 2), R)),
        quit(timeouts(b("rdv-leave-1p2c-cap2", &[S, R, R], 3, 2, 1)), 1),
        // (d) receivers that leave on their own
        quit(b("leave-1p1c-cap2", &[S, R], 4, 2, 1), 2),
        quit(b("leave-2p1c-cap2", &[S, S, R], 2, 2, 1), 1),
        quit(b("leave-1p2c-cap2", &[S, R, R], 4, 2, 1), 1),
        quit(blocks(b("leave-2p1c-cap2-b2", &[S, S, R], 2, 2, 1), 2), 1),
        quit(blocks(b("leave-1p2c-cap2-b2", &[S, R, R], 3, 2, 1), 2), 1),
        quit(late(b("leave-1p1c+c-cap2", &[S, R], 3, 2, 1), R), 1),
        // a sender that attaches when no receiver is left: joins, closes, gets `Disconnected`
        joins(quit(race(b("join-2p1c+p-cap1", &[S, S, R], 1, 1, 0), S), 1)),
        joins(quit(race(b("join-crash-2p1c+p-cap1", &[S, S, R], 1, 1, 1), S), 1)),
        joins(quit(race(b("join-2p1c+p-cap2", &[S, S, R], 1, 2, 0), S), 1)),
        joins(quit(blocks(race(b("join-2p1c+p-cap2-b1", &[S, S, R], 1, 2, 0), S), 1), 1)),
        // an endpoint that arrives in process 0, which is attached already
        merge(late(b("merge-2p1c+p-cap1", &[R, S, S], 1, 1, 0), S)),
        merge(late(b("merge-1p1c+p-cap2", &[R, S], 1, 2, 1), S)),
        merge(late(b("merge-1p2c+c-cap1", &[S, R, R], 1, 1, 0), R)),
        merge(quit(late(b("merge-1p2c+c-cap2-leave", &[S, R, R], 2, 2, 0), R), 1)),
        // claims that are kept, and used or given back
        claims(b("claims-1p1c-cap1", &[S, R], 3, 1, 2)),
        claims(b("claims-1p1c-cap2", &[S, R], 3, 2, 2)),
        claims(b("claims-2p1c-cap2", &[S, S, R], 1, 2, 1)),
        claims(b("claims-1p2c-cap2", &[S, R, R], 2, 2, 1)),
        claims(b("claims-1p2c-cap1", &[S, R, R], 2, 1, 1)),
        claims(refs(b("claims-1p1c-cap2-b1", &[S, R], 2, 2, 2), 1, 1)),
        claims(refs(b("claims-2p1c-cap2-b1", &[S, S, R], 1, 2, 1), 1, 1)),
        claims(refs(b("claims-1p2c-cap2-b1", &[S, R, R], 1, 2, 1), 1, 1)),
        // held over the operations of another thread of the process
        claims(threads(b("claims-1(2p)1c-cap2", &[S, S, R], 1, 2, 1))),
        claims(threads(b("claims-1p1(2c)-cap2", &[R, R, S], 2, 2, 1))),
        claims(threads(b("claims-(1p+1c)1c-cap2", &[S, R, R], 2, 2, 1))),
        claims(late(b("claims-1p1c+p-cap2", &[S, R], 1, 2, 1), S)),
        claims(late(b("claims-1p1c+c-cap2", &[S, R], 2, 2, 1), R)),
        claims(quit(b("claims-leave-1p2c-cap2", &[S, R, R], 1, 2, 1), 1)),
        // the large ones
        b("core-2p2c-cap1", &[S, S, R, R], 1, 1, 2),
        b("core-2p2c-cap2", &[S, S, R, R], 1, 2, 2),
        b("core-3p1c-cap2", &[S, S, S, R], 1, 2, 2),
        timeouts(b("rdv-large-2p2c-cap1", &[S, S, R, R], 1, 1, 1)),
        timeouts(b("huge-rdv-2p2c-cap2", &[S, S, R, R], 1, 2, 1)),
        only(batch(b("huge-batch-3p1c-cap2", &[S, S, S, R], 2, 2, 1), 2, 2), S),
    ]
}

/// The protocol with one step left out or turned round: every one of these must fail.
fn mutations() -> Vec<Cfg> {
    use Mutation::*;
    let all = configs();
    let on =
        |name: &str, mu| Cfg { mu, ..all.iter().find(|c| c.name == name).expect(name).clone() };
    vec![
        on("core-2p1c-cap2", NoSignSend),
        on("core-1p2c-cap2", NoSignRecv),
        on("batch-3p-cap4", SignDescending),
        on("batch-2p1c-cap4", PublishDescending),
        on("core-1p1c-cap2", RecoveryDoesNotSign),
        on("reuse-1p1c+p-cap1", OwnerNotCleared),
        on("blocks-2p1c-cap2-b2", VoidBeforeBlockFreed),
        on("blocks-1p1c-cap1-b1", SlotFreedBeforeLent),
        on("refs-inline-1p2c-cap1-b1", SlotFreedBeforeLent),
        on("refs-1p2c-cap1-b1", LentSlotNotFreed),
        on("refs-inline-1p2c-cap2-b2", LentSlotNotFreed),
        on("refs-1p2c-cap1-b1", LostBeforeSlotFreed),
        on("refs-1p2c-cap1-b1", LentSimplyFreed),
        on("refs-1p3c-cap1-b1", LostAdoptedByStore),
        on("refs-1p2c-cap1-b1", DisconnectedIgnoresLent),
        on("refs-1p2c-cap1-b1", DisconnectedScansBlocksFirst),
        on("refs-1p1c-cap1-b1", DiscardIgnoresLost),
        on("refs-1p2c-cap1-b1", ReceiverIgnoresLost),
        on("forget-1p2c-cap2-b2", LeaveKeepsForgotten),
        on("forget-guards-1p2c-cap2", LeaveKeepsForgotten),
        on("forget-1p2c-cap2-b2", ForgottenGivenBackLate),
        on("blocks-1p2c-cap2-b2", BlockFreedBeforeSlot),
        on("core-2p1c-cap2", EntryFreedBeforeMembership),
        on("core-2p1c-cap2", MembershipNotScannedOnRecovery),
        on("race-1p1c+p-cap1", AttachDoesNotBump),
        on("core-1p2c-cap2", VoidReadAsOrphan),
        on("reuse-1p1c+p-cap1", NoLeaseForRecovery),
        on("reuse-2p1c+p-cap2", AttachWithoutRepairLease),
        on("core-1p2c-cap2", DisconnectedIgnoresReaders),
        on("reuse-1p2c+p-cap2", VoidFreedByStore),
        on("core-1p2c-cap2", OrphanSeqOnlyIfFound),
        on("core-1p1c-cap2", ReadyBeforePayload),
        on("leave-2p1c-cap2-b2", NoDrain),
        on("guards-1p2c+p-cap4", GuardSignsDescending),
        on("guards-1p2c+p-cap4", GuardSkipsVoid),
        on("fifo-1p1c+c-cap2", AttachDoesNotRecover),
        on("fifo-1p1c+c-cap2", OrphansOnlyWhenEmpty),
        on("rdv-time-1p2c-cap2", OrphanOfferVoided),
        on("rdv-time-1p2c-cap2", SignerIgnoresWithdrawal),
        on("rdv-time-1p1c-cap1", OfferReadUnsigned),
        on("rdv-time-1p1c-cap1", DeadOfferKept),
        on("rdv-time-1p1c-cap1", OfferWithdrawnByStore),
        on("rdv-time-1p2c-cap2", WithdrawnOrphanByStore),
        on("join-2p1c+p-cap1", JoinDoesNotClose),
        on("merge-2p1c+p-cap1", TransitLeftFirst),
        on("claims-1p1c-cap2", GivesUpAsFree),
        on("claims-1p2c-cap2", GivenBackReady),
        on("claims-1p1c-cap2", GivenBackUntold),
        on("claims-leave-1p2c-cap2", GivenBackToldFirst),
        on("claims-1(2p)1c-cap2", KeptPlaceIsLast),
        on("claims-1p1(2c)-cap2", KeptMessageIsLast),
    ]
}

/// What is searched on every change: a minute, one of each kind.
const QUICK: &[&str] = &[
    "core-1p1c-cap1",
    "core-1p1c-cap2",
    "core-1p1c-cap4",
    "core-2p1c-cap2",
    "core-1p2c-cap2",
    "race-1p1c+p-cap1",
    "reuse-1p1c+p-cap1",
    "fifo-1p1c+c-cap2",
    "batch-1p1c-cap4",
    "guards-1p1c-cap2",
    "threads-1p1(2c)-cap2",
    "threads-(1p+1c)1c-cap2",
    "blocks-1p1c-cap1-b1",
    "refs-1p1c-cap2-b2",
    "refs-inline-1p1c-cap2-b1",
    "forget-1p1c-cap2-b2",
    "rdv-time-1p1c-cap1",
    "leave-1p1c-cap2",
    "join-2p1c+p-cap1",
    "merge-1p1c+p-cap2",
    "merge-2p1c+p-cap1",
    "merge-1p2c+c-cap1",
    "claims-1p1c-cap1",
    "claims-1p1c-cap2",
    "claims-1p1c-cap2-b1",
    "choose-2s-x1",
    "choose-1s-1a-1b",
    "socket-2p1f1s",
    "socket-1p1s",
    "socket-ever-2p1s",
];

fn print(c: &Cfg, r: &Report, show: bool) {
    let verdict = match &r.verdict {
        Ok(()) => "ok".to_string(),
        Err(e) => e.clone(),
    };
    println!(
        "{:<28} roles {:<8} m {} cap {} batch {}/{} blocks {} crashes {}  states {:>10}  steps {:>11}  {:>7.1}s  {}",
        c.name,
        c.roles.iter().map(|&r| if r == S { 'P' } else { 'C' }).collect::<String>()
            + match c.late {
                None => "",
                Some(S) => "+p",
                _ => "+c",
            },
        c.m,
        c.cap,
        c.kb,
        c.kr,
        c.blocks,
        c.crashes,
        r.states,
        r.edges,
        r.secs,
        verdict
    );
    if show {
        for l in &r.trace {
            println!("    {l}");
        }
    }
}

fn print_wake(c: &wake::Wake, r: &Report, show: bool) {
    println!(
        "{:<28} {}P{}C m {} crashes {} fence {:?}  states {:>10}  steps {:>11}  {:>7.1}s  {}",
        c.name,
        c.senders,
        c.receivers,
        c.m,
        c.crashes,
        c.fence,
        r.states,
        r.edges,
        r.secs,
        r.verdict.as_ref().err().map_or("ok", |e| e.as_str())
    );
    if show {
        for l in &r.trace {
            println!("    {l}");
        }
    }
}

fn print_choose(c: &choose::Choose, r: &Report, show: bool) {
    let waiters: Vec<_> = c.waiters.iter().map(|set| ["", "A", "B", "AB"][*set as usize]).collect();
    println!(
        "{:<28} {}P {} m {} crashes {} fence {}  states {:>10}  steps {:>11}  {:>7.1}s  {}",
        c.name,
        c.senders,
        waiters.join("+"),
        c.m,
        c.crashes,
        c.fence,
        r.states,
        r.edges,
        r.secs,
        r.verdict.as_ref().err().map_or("ok", |e| e.as_str())
    );
    if show {
        for l in &r.trace {
            println!("    {l}");
        }
    }
}

fn print_socket(c: &socket::Socket, r: &Report, show: bool) {
    println!(
        "{:<28} {}P {} by futex {} by socket m {} crashes {} fence {}  states {:>10}  steps {:>11}  {:>7.1}s  {}",
        c.name,
        c.senders,
        c.futex,
        c.socket,
        c.m,
        c.crashes,
        c.fence,
        r.states,
        r.edges,
        r.secs,
        r.verdict.as_ref().err().map_or("ok", |e| e.as_str())
    );
    if show {
        for l in &r.trace {
            println!("    {l}");
        }
    }
}

fn print_link(c: &link::Link, r: &Report, show: bool) {
    println!(
        "{:<28} roles {:?}{} m {} rings {} crashes {}  states {:>10}  steps {:>11}  {:>7.1}s  {}",
        c.name,
        c.roles,
        if c.late { " last one late" } else { "" },
        c.m,
        c.rings,
        c.crashes,
        r.states,
        r.edges,
        r.secs,
        r.verdict.as_ref().err().map_or("ok", |e| e.as_str())
    );
    if show {
        for l in &r.trace {
            println!("    {l}");
        }
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let limit: usize =
        std::env::var("LIMIT").ok().and_then(|v| v.parse().ok()).unwrap_or(60_000_000);
    let mut failed = false;
    let mut args = args;
    if let Some(i) = args.iter().position(|a| a == "quick") {
        args.splice(i..=i, QUICK.iter().map(|name| name.to_string()));
    }
    for a in &args {
        if a == "mutations" {
            for c in mutations() {
                let r = check(&c, limit);
                println!("{:?}:", c.mu);
                print(&c, &r, std::env::var("TRACE").is_ok());
                failed |= !r.caught();
            }
            let r = check(&leave::Leave { fence: false }, limit);
            println!("LeaveWithoutFence: states {} {:?}", r.states, r.verdict);
            failed |= !r.caught();
            for c in link::mutations() {
                let r = check(&c, limit);
                println!("{:?}:", c.mu);
                print_link(&c, &r, std::env::var("TRACE").is_ok());
                failed |= !r.caught();
            }
            for c in choose::mutations() {
                let r = check(&c, limit);
                println!("{:?}:", c.mu);
                print_choose(&c, &r, std::env::var("TRACE").is_ok());
                failed |= !r.caught();
            }
            for c in socket::mutations() {
                let r = check(&c, limit);
                println!("{:?}:", c.mu);
                print_socket(&c, &r, std::env::var("TRACE").is_ok());
                failed |= !r.caught();
            }
            for c in wake::mutations() {
                let r = check(&c, limit);
                println!("{:?} {:?}:", c.mu, c.fence);
                print_wake(&c, &r, std::env::var("TRACE").is_ok());
                failed |= !r.caught();
            }
            continue;
        }
        if a == "wake" || a == "all" {
            let r = check(&leave::Leave { fence: true }, limit);
            println!("leave-2-fence: states {} {:?}", r.states, r.verdict);
            failed |= r.verdict.is_err();
            for c in wake::configs() {
                let r = check(&c, limit);
                failed |= r.verdict.is_err();
                print_wake(&c, &r, std::env::var("TRACE").is_ok());
            }
        }
        let named = |n: &str| {
            a == "all" && !n.starts_with("huge")
                || n == a
                || a.ends_with('*') && n.starts_with(&a[..a.len() - 1])
        };
        for c in choose::configs().iter().filter(|c| named(c.name)) {
            let r = check(c, limit);
            failed |= r.verdict.is_err();
            print_choose(c, &r, std::env::var("TRACE").is_ok());
        }
        for c in socket::configs().iter().filter(|c| named(c.name)) {
            let r = check(c, limit);
            failed |= r.verdict.is_err();
            print_socket(c, &r, std::env::var("TRACE").is_ok());
        }
        for c in link::configs().iter().filter(|c| named(c.name)) {
            let r = check(c, limit);
            failed |= r.verdict.is_err();
            print_link(c, &r, std::env::var("TRACE").is_ok());
        }
        if let Some(m) = a.strip_prefix("mu:") {
            for c in choose::mutations().iter().filter(|c| format!("{:?}", c.mu) == m) {
                let r = check(c, limit);
                println!("{:?}:", c.mu);
                print_choose(c, &r, std::env::var("TRACE").is_ok());
                failed |= !r.caught();
            }
            for c in socket::mutations().iter().filter(|c| format!("{:?}", c.mu) == m) {
                let r = check(c, limit);
                println!("{:?}:", c.mu);
                print_socket(c, &r, std::env::var("TRACE").is_ok());
                failed |= !r.caught();
            }
            for c in link::mutations().iter().filter(|c| format!("{:?}", c.mu) == m) {
                let r = check(c, limit);
                println!("{:?}:", c.mu);
                print_link(c, &r, std::env::var("TRACE").is_ok());
                failed |= !r.caught();
            }
            for c in mutations().iter().filter(|c| format!("{:?}", c.mu) == m) {
                let r = check(c, limit);
                println!("{:?}:", c.mu);
                print(c, &r, std::env::var("TRACE").is_ok());
                failed |= !r.caught();
            }
        }
        let pick = |c: &&Cfg| {
            a == "all" && !c.name.starts_with("huge")
                || c.name == a
                || a.ends_with('*') && c.name.starts_with(&a[..a.len() - 1])
        };
        for c in configs().iter().filter(pick) {
            let r = check(c, limit);
            failed |= r.verdict.is_err();
            print(c, &r, std::env::var("TRACE").is_ok());
        }
    }
    std::process::exit(failed as i32);
}
