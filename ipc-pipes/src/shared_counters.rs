//! The state of a channel that the kernel does not know: the number of messages in it, and the
//! number of its ends.
//!
//! # Layout
//!
//! ```text
//! offset   word
//! ─────────────────────────────────────
//!      0   senders
//!    128   receivers
//!    256   sent
//!    384   received
//!    512   parked
//!    640   batch
//!    768   packed
//!    896   stored
//!   1024   in_transit
//!   1152   taken
//! ```
//!
//! The words are in a small file in memory that travels with each end. Each word is a count that
//! changes by itself. No other memory depends on a word, so all orderings are relaxed, except where
//! `batch` and the places of the store are handed out (below).
//!
//! | word | |
//! |---|---|
//! | `senders`, `receivers` | ends in all processes; not those on their way |
//! | `sent` | messages that were put into the socket, counted after that |
//! | `received` | messages that were taken out of the socket, counted after that |
//! | `parked` | of those, the messages of a batch that were not asked for yet |
//! | `batch` | how many messages a batch may hold now; 0: none are wanted |
//! | `packed` | batches that were ever made |
//! | `stored` | bytes of the store of a pipe that were ever given out, beside its shelf |
//! | `in_transit` | receivers on their way to another process, or lost on it: while there is one, no batch is made |
//! | `taken` | a bit for each piece of the shelf, the beginning of the store, whose memory is used again: set while a message is there |
//!
//! # What a death leaves behind
//!
//! The kernel knows whether the socket is empty and whether the other side is gone. The counters
//! are never used for that.
//!
//! | a process is killed | it leaves |
//! |---|---|
//! | between the socket and the count | the count of messages one off, until a call asks for it and finds the channel empty |
//! | with an end | the count of ends one too high. So later the last end is known not to have been dropped |
//! | with a message on the shelf | its pieces taken. A message that finds no room there goes elsewhere in the store |
//!
//! # If a peer writes garbage
//!
//! The counts are wrong, batches are made or not made, and large messages of a pipe overlap in its
//! store. They are received as the bytes that some process wrote there, and decode or do not.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use std::{io, thread};

use ipc_core::__private::handle::{self, NotCarried, OsHandle};
use ipc_core::__private::step;
use ipc_sys as sys;
use ipc_sys::Identity;
use ipc_sys::descriptor::identity;
use ipc_sys::known::Known;
use ipc_sys::store::Words;

const SENDERS: usize = 0;
const RECEIVERS: usize = 1;
const SENT: usize = 2;
const RECEIVED: usize = 3;
const PARKED: usize = 4;
const BATCH: usize = 5;
const PACKED: usize = 6;
const STORED: usize = 7;
const IN_TRANSIT: usize = 8;
const TAKEN: usize = 9;

/// Places in the store are so many bytes, or a multiple: memory is given back in whole pages, of
/// any size that systems have.
const PIECE: u64 = 1 << 16;
/// Pieces of the shelf: 4 MiB. More than most messages need, and what a channel may keep.
const SHELF: u64 = 64 * PIECE;

/// Which side of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Sender,
    Receiver,
}

pub(crate) struct SharedCounters {
    words: Words,
    pub(crate) fd: OsHandle,
}

/// The counters of this process, by their files.
static KNOWN: Known<Identity, SharedCounters> = Known::new();

/// A context of a message that is being encoded: the index of the file of its counters.
struct SentCounters(Arc<SharedCounters>, u32);

/// And in one that is being decoded: the counters in the file with an index.
struct ReceivedCounters(u32, Arc<SharedCounters>);

impl SharedCounters {
    /// A new one, of `what`.
    pub(crate) fn new(what: &str) -> io::Result<SharedCounters> {
        let file =
            step(what, "making the file in memory that counts its ends", sys::store::counters())?;
        step(what, "mapping the file that counts its ends", SharedCounters::of(file))
    }

    pub(crate) fn of(fd: OsHandle) -> io::Result<SharedCounters> {
        Ok(SharedCounters { words: Words::map(sys::borrow(&fd))?, fd })
    }

    /// Returns the counters of this process in this file, or else maps them. They are known from
    /// now on.
    fn known_or_of(file: OsHandle) -> io::Result<Arc<SharedCounters>> {
        let Ok(key) = identity(sys::borrow(&file)) else {
            return SharedCounters::of(file).map(Arc::new);
        };
        let mut known = KNOWN.lock();
        let open = |counters: &Arc<SharedCounters>| {
            identity(sys::borrow(&counters.fd)).is_ok_and(|file| file == key)
        };
        if let Some(here) = known.get(&key).filter(open) {
            return Ok(here);
        }
        let counters = Arc::new(SharedCounters::of(file)?);
        known.insert(key, &counters);
        Ok(counters)
    }

    /// Gives a copy of its file to the message that is being encoded, unless it has one already;
    /// returns its index.
    pub(crate) fn attach_to_message(self: &Arc<Self>) -> Result<u32, NotCarried> {
        let sent = |sent: &SentCounters| Arc::ptr_eq(&sent.0, self).then_some(sent.1);
        if let Some(index) = handle::context(sent) {
            return Ok(index);
        }
        let index = handle::attach_copy(&self.fd)?;
        handle::set_context(SentCounters(self.clone(), index));
        // They may come back.
        if let Ok(key) = identity(sys::borrow(&self.fd)) {
            KNOWN.lock().insert(key, self);
        }
        Ok(index)
    }

    /// Returns the shared counters whose file has this index in the message that is being decoded.
    pub(crate) fn take_from_message(index: u32) -> io::Result<Arc<SharedCounters>> {
        let arrived = |arrived: &ReceivedCounters| (arrived.0 == index).then(|| arrived.1.clone());
        if let Some(counters) = handle::context(arrived) {
            return Ok(counters);
        }
        let missing = || {
            io::Error::new(
                io::ErrorKind::InvalidData,
                "the counters of an end did not come with it",
            )
        };
        let counters = Self::known_or_of(handle::take(index).ok_or_else(missing)?)?;
        handle::set_context(ReceivedCounters(index, counters.clone()));
        Ok(counters)
    }

    fn ends(&self, side: Side) -> &AtomicU64 {
        self.words.get(match side {
            Side::Sender => SENDERS,
            Side::Receiver => RECEIVERS,
        })
    }

    /// Counts an end more.
    pub(crate) fn enter(&self, side: Side) {
        // SeqCst: with `pack`. A sender that makes a batch sees a receiver that comes, or
        // `batches_under_way` sees its batch.
        self.ends(side).fetch_add(1, SeqCst);
    }

    /// A receiver is on its way: it will want what others have parked.
    pub(crate) fn add_in_transit(&self) {
        self.words.get(IN_TRANSIT).fetch_add(1, SeqCst); // SeqCst: as in `enter`.
    }

    /// It has arrived, and is counted as an end; or it stays where it is.
    pub(crate) fn arrive(&self) {
        // Release: with `wanted`, which sees the end if it does not see it coming.
        self.words.get(IN_TRANSIT).fetch_sub(1, Release);
    }

    /// Counts an end less.
    pub(crate) fn leave(&self, side: Side) {
        self.ends(side).fetch_sub(1, Relaxed);
    }

    pub(crate) fn count(&self, side: Side) -> usize {
        usize::try_from(self.ends(side).load(Relaxed)).unwrap_or(usize::MAX)
    }

    #[inline]
    pub(crate) fn sent(&self, n: usize) {
        self.words.get(SENT).fetch_add(n as u64, Relaxed);
    }

    #[inline]
    pub(crate) fn received(&self, n: usize) {
        self.words.get(RECEIVED).fetch_add(n as u64, Relaxed);
    }

    pub(crate) fn park(&self, n: usize) {
        self.words.get(PARKED).fetch_add(n as u64, Relaxed);
    }

    pub(crate) fn unpark(&self, n: usize) {
        self.words.get(PARKED).fetch_sub(n as u64, Relaxed);
    }

    /// Returns the number of messages in the channel. `empty` asks the kernel whether the socket is
    /// empty.
    pub(crate) fn len(&self, empty: impl Fn() -> bool) -> usize {
        let (sent, received) = (self.words.get(SENT), self.words.get(RECEIVED));
        let load = || (sent.load(Relaxed), received.load(Relaxed));
        let mut seen = load();
        let queued = if !empty() {
            // Not more than what was counted, but something is there.
            usize::try_from(seen.0.wrapping_sub(seen.1) as i64).unwrap_or(0).max(1)
        } else {
            // Counted after this load, or never if the process died: then nothing changes any more.
            for _ in 0..3 {
                if seen.0 == seen.1 {
                    break;
                }
                thread::yield_now();
                let now = load();
                if now == seen && empty() {
                    let _ = received.compare_exchange(now.1, now.0, Relaxed, Relaxed);
                    break;
                }
                seen = now;
            }
            0
        };
        let parked = usize::try_from(self.words.get(PARKED).load(Relaxed) as i64).unwrap_or(0);
        queued.saturating_add(parked)
    }

    /// Tells senders that a receiver takes up to `n` messages at a time.
    pub(crate) fn want(&self, n: usize) {
        let batch = self.words.get(BATCH);
        // The line stays shared while nothing changes.
        if batch.load(Relaxed) != n as u64 {
            batch.store(n as u64, SeqCst); // SeqCst: as in `enter`.
        }
    }

    /// Returns how many messages a batch may hold. 0 or 1 means that no batch is to be made.
    /// Batches are made for one receiver only, so that a message that another receiver could take
    /// is never tied to one that is taken.
    pub(crate) fn wanted(&self) -> usize {
        let batch = self.words.get(BATCH).load(SeqCst); // SeqCst: as in `enter`.
        // Before the ends: one that has arrived meanwhile is among them.
        let in_transit = self.words.get(IN_TRANSIT).load(SeqCst);
        let receivers = self.ends(Side::Receiver).load(SeqCst);
        if receivers == 1 && in_transit == 0 { usize::try_from(batch).unwrap_or(0) } else { 0 }
    }

    /// Counts a batch before it is sent.
    pub(crate) fn pack(&self) {
        self.words.get(PACKED).fetch_add(1, SeqCst); // SeqCst: as in `enter`.
    }

    /// Returns a place for `len` bytes in the store: on the shelf, or else one that was never given
    /// out before.
    pub(crate) fn place(&self, len: usize) -> u64 {
        let pieces = (len as u64).div_ceil(PIECE);
        self.shelve(pieces).unwrap_or_else(|| {
            SHELF.saturating_add(
                self.words.get(STORED).fetch_add(pieces.saturating_mul(PIECE), Relaxed),
            )
        })
    }

    /// Takes the first free pieces of the shelf, whose memory is the likeliest to be there and in
    /// caches.
    fn shelve(&self, pieces: u64) -> Option<u64> {
        let taken = self.words.get(TAKEN);
        let mut seen = taken.load(Relaxed);
        loop {
            let first = (0..64).find(|at| run(*at, pieces).is_some_and(|run| seen & run == 0))?;
            // Acquire: with `unshelve`. The earlier reader has read what was there.
            match taken.compare_exchange_weak(seen, seen | run(first, pieces)?, Acquire, Relaxed) {
                Ok(_) => return Some(first * PIECE),
                Err(now) => seen = now,
            }
        }
    }

    /// Frees a place on the shelf. Returns false if it is not on the shelf.
    pub(crate) fn unshelve(&self, place: u64, len: u64) -> bool {
        // A place that a broken peer made up is none, if it is not as ours are.
        let run = (place % PIECE == 0).then(|| run(place / PIECE, len.div_ceil(PIECE))).flatten();
        if let Some(run) = run {
            self.words.get(TAKEN).fetch_and(!run, Release); // Release: with `shelve`.
        }
        run.is_some()
    }

    /// Returns whether there ever was a batch.
    #[inline]
    pub(crate) fn any_packed(&self) -> bool {
        self.words.get(PACKED).load(Relaxed) != 0
    }
}

/// The bits of so many pieces from `first` on, if the shelf has them.
fn run(first: u64, pieces: u64) -> Option<u64> {
    let fits = first < 64 && (1..=64 - first).contains(&pieces);
    fits.then(|| (u64::MAX >> (64 - pieces)) << first)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    const LEN: usize = PIECE as usize;

    #[test]
    fn no_two_places_overlap_and_those_of_the_shelf_are_used_again() {
        let counters = SharedCounters::new("test").unwrap();
        assert_eq!(
            [1, LEN, LEN + 1, 1].map(|len| counters.place(len)),
            [0, PIECE, 2 * PIECE, 4 * PIECE]
        );
        // A hole of two pieces, and one of one.
        assert!(counters.unshelve(2 * PIECE, PIECE + 1) && counters.unshelve(0, 1));
        assert_eq!(counters.place(2 * LEN), 2 * PIECE);
        assert_eq!(counters.place(2 * LEN), 5 * PIECE);
        assert_eq!(counters.place(1), 0);
        // The rest of the shelf is too short for this one.
        assert_eq!([58 * LEN, 1].map(|len| counters.place(len)), [SHELF, 7 * PIECE]);
        assert_eq!(counters.place(1), 8 * PIECE);
        assert!(!counters.unshelve(SHELF, 58 * PIECE));
        assert_eq!(counters.place(57 * LEN), SHELF + 58 * PIECE);
    }

    #[test]
    fn the_shelf_can_be_full() {
        let counters = SharedCounters::new("test").unwrap();
        assert_eq!([64 * LEN, 1].map(|len| counters.place(len)), [0, SHELF]);
        assert!(counters.unshelve(0, SHELF));
        assert_eq!([64 * LEN + 1, 64 * LEN].map(|len| counters.place(len)), [SHELF + PIECE, 0]);
    }

    #[test]
    fn what_a_peer_made_up_is_no_place_on_the_shelf() {
        let counters = SharedCounters::new("test").unwrap();
        assert_eq!(counters.place(64 * LEN), 0);
        let made_up =
            [(0, 0), (1, PIECE), (PIECE, SHELF), (0, u64::MAX), (u64::MAX, 1), (SHELF, 1)];
        assert!(made_up.iter().all(|(place, len)| !counters.unshelve(*place, *len)));
        assert_eq!(counters.place(1), SHELF);
    }
}
