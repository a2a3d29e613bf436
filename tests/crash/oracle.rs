//! What may and may not have happened, from what the children wrote down.
//!
//! - Sent: a sender counts what its `send` has returned for. What it was at when it was killed may
//!   have been sent or not: one batch at most.
//! - Received: a receiver writes each message down once the call has returned, or, with a guard,
//!   before it drops it. A killed one may have taken one more batch without a record; with guards,
//!   none.
//! - Twice: only what a killed receiver had written down last, of a guard that it had not dropped.
//! - Order: within one receiver each sender's messages come in order, but for those that a killed
//!   receiver had claimed: one batch at most for each one killed.

use std::collections::HashMap;

use crate::roles::{Life, SENT_AT_ONCE};
use crate::support::{Counter, Log, Record};

/// Everybody who lived.
#[derive(Default)]
pub(crate) struct Chronicle {
    pub(crate) senders: Vec<Past>,
    pub(crate) receivers: Vec<Past>,
    /// What a killed receiver may have taken out of a socket.
    pub(crate) taken_out: u64,
}

/// A life that is over.
pub(crate) struct Past {
    pub(crate) life: Life,
    pub(crate) killed: bool,
    /// Messages that it kept, without writing them down, until it ended.
    pub(crate) kept: u64,
}

/// Numbers to show.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) lost: u64,
    pub(crate) redelivered: u64,
    pub(crate) out_of_order: u64,
}

/// One delivery.
struct Delivery {
    record: Record,
    by_guard: bool,
    /// The last thing that a receiver wrote before it was killed.
    last_words: bool,
    receiver: u64,
}

impl Chronicle {
    /// Judges; panics with what must not be.
    pub(crate) fn judge(&self) -> Verdict {
        let mut verdict = Verdict::default();
        let mut deliveries: HashMap<(u64, u64), Vec<Delivery>> = HashMap::new();
        let (mut may_be_lost, mut may_be_late) = (0, 0);
        for past in &self.receivers {
            let log = Log::read(&past.life.received());
            let by_guard = past.life.how.batch() == 0;
            may_be_late += past.kept + Counter::open(&past.life.late()).get();
            if past.killed {
                may_be_lost += past.life.how.batch().max(self.taken_out);
                may_be_late += past.life.how.batch().max(1);
            }
            let mut newest: HashMap<u64, u64> = HashMap::new();
            for (i, record) in log.iter().enumerate() {
                assert_eq!(record.intact, 1, "torn: {record:?}");
                assert_eq!(record.deliveries == 0, !by_guard);
                let newest = newest.entry(record.sender).or_insert(record.seq);
                if record.seq < *newest {
                    verdict.out_of_order += 1;
                }
                *newest = record.seq.max(*newest);
                let last_words = past.killed && i + 1 == log.len();
                let receiver = past.life.number;
                deliveries.entry((record.sender, record.seq)).or_default().push(Delivery {
                    record: *record,
                    by_guard,
                    last_words,
                    receiver,
                });
            }
        }
        assert!(
            verdict.out_of_order <= may_be_late,
            "{} of at most {may_be_late}",
            verdict.out_of_order
        );

        for ((sender, seq), deliveries) in &deliveries {
            let what = || -> Vec<_> {
                deliveries
                    .iter()
                    .map(|d| (d.receiver, d.by_guard, d.last_words, d.record))
                    .collect()
            };
            verdict.redelivered += deliveries.len() as u64 - 1;
            let not_last = deliveries.iter().filter(|d| !(d.by_guard && d.last_words)).count();
            assert!(not_last <= 1, "{sender}:{seq} received twice: {:?}", what());
            let first = deliveries.iter().filter(|d| d.record.deliveries == 1).count();
            assert!(first <= 1, "{sender}:{seq} delivered first twice: {:?}", what());
        }

        let mut known = 0;
        for past in &self.senders {
            let number = past.life.number;
            let sent = Counter::open(&past.life.sent()).get();
            let missing =
                (0..sent).filter(|seq| !deliveries.contains_key(&(number, *seq))).count() as u64;
            let beyond = if past.killed { SENT_AT_ONCE } else { 0 };
            let extra = (sent..sent + beyond)
                .filter(|seq| deliveries.contains_key(&(number, *seq)))
                .count();
            verdict.sent += sent;
            verdict.lost += missing;
            known += sent - missing + extra as u64;
        }
        verdict.received = deliveries.len() as u64;
        assert_eq!(known, verdict.received, "messages were received that were never sent");
        assert!(verdict.lost <= may_be_lost, "lost {} of at most {may_be_lost}", verdict.lost);
        verdict
    }
}
