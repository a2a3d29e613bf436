//! Membership: which sides of a channel have participants.
//!
//! A side is gone for good when its last participant has left or died. Then no process joins it any
//! more, and the ring is closed: no claim to send succeeds.

use crate::killpoint::kill_point;
use crate::layout::{CLOSED, entry, members};
use crate::sync::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use crate::sync::{AtomicU64, fence};

/// A view of the words that say which participants there are.
#[derive(Clone, Copy)]
pub(crate) struct Membership<'a> {
    /// The sides that are gone, and a count of attachments: [`members`].
    pub(crate) word: &'a AtomicU64,
    pub(crate) entries: &'a [AtomicU64],
    pub(crate) pid_hints: &'a [AtomicU64],
    /// The ring's last claim to send, which has the flag that closes it.
    pub(crate) tail: &'a AtomicU64,
}

impl Membership<'_> {
    /// Returns the `pid_hint` word of a participant, or `None` if there is no such participant.
    #[cfg_attr(loom, allow(dead_code, reason = "a model does not monitor its peers"))]
    pub(crate) fn pid_hint(self, id: u64) -> Option<u64> {
        // Acquire: after `join`, the word is this participant's or 0.
        let used = self.entries[id as usize].load(Acquire) & entry::USED != 0;
        used.then(|| self.pid_hints[id as usize].load(Relaxed)) // Relaxed: a hint.
    }

    /// Publishes how many endpoints the participant `me` has, none of which is the first of a role.
    #[cfg_attr(loom, allow(dead_code, reason = "a model counts no endpoints"))]
    pub(crate) fn publish(self, me: u64, roles: u64) {
        // Release: a count that others read.
        self.entries[me as usize].store(roles, Release);
    }

    /// Joins under the id `me` with `roles`. This process holds its entry and leases.
    ///
    /// Returns false if the side of that role is gone for good. The caller then leaves again.
    pub(crate) fn join(self, me: u64, roles: u64) -> bool {
        let Some(entry) = self.entries.get(me as usize) else { return false };
        kill_point!("join.entry");
        // Release: before the CAS below. A scan that began earlier sees the CAS and starts over.
        entry.store(roles, Release);
        kill_point!("join.members");
        let mut m = self.word.load(Acquire);
        loop {
            let mine = match (entry::senders(roles) > 0, entry::receivers(roles) > 0) {
                (true, false) => members::SENDERS_GONE,
                (false, true) => members::RECEIVERS_GONE,
                _ => members::GONE,
            };
            if m & mine != 0 {
                return false;
            }
            match self.word.compare_exchange(m, m.wrapping_add(members::SEQ), AcqRel, Acquire) {
                Ok(_) => break,
                Err(now) => m = now,
            }
        }
        kill_point!("join.joined");
        if m & members::GONE != 0 {
            // A sender may join after the receivers are gone. Its first send returns
            // `Disconnected`.
            self.close();
        }
        true
    }

    /// Marks each side that has no participant left as gone for good: step 2. Returns the flags.
    pub(crate) fn settle(self, died: bool) -> u64 {
        // SeqCst: if two participants leave at once, at least one sees the other's roles cleared.
        fence(SeqCst);
        loop {
            // Acquire: the scan below sees every participant that attached before.
            let m = self.word.load(Acquire);
            let (mut senders, mut receivers) = (false, false);
            for entry in &self.entries[1..] {
                let e = entry.load(Acquire);
                if e & entry::USED != 0 {
                    senders |= entry::senders(e) > 0;
                    receivers |= entry::receivers(e) > 0;
                }
            }
            let mut flags = m;
            if !senders && m & members::SENDERS_GONE == 0 {
                flags |= members::SENDERS_GONE | if died { members::SENDERS_DIED } else { 0 };
            }
            if !receivers && m & members::RECEIVERS_GONE == 0 {
                flags |= members::RECEIVERS_GONE | if died { members::RECEIVERS_DIED } else { 0 };
            }
            kill_point!("membership.cas");
            // AcqRel: if `members` has not changed, no participant attached during the scan.
            if flags != m && self.word.compare_exchange(m, flags, AcqRel, Relaxed).is_err() {
                continue;
            }
            if flags & members::GONE != 0 {
                self.close();
            }
            return flags;
        }
    }

    /// Sets CLOSED in `tail`. Repeats the CAS until it is set.
    fn close(self) {
        let mut t = self.tail.load(Acquire);
        while t & CLOSED == 0 {
            kill_point!("membership.close");
            // AcqRel: RING-E3.
            match self.tail.compare_exchange(t, t | CLOSED, AcqRel, Acquire) {
                Ok(_) => return,
                Err(now) => t = now,
            }
        }
    }
}
