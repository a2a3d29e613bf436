//! Who is attached to a segment, and who is dead.
//!
//! Each process that has a segment is one participant of it, however many handles it has: an id,
//! whose *life* byte it holds a lock on ([`lease`](crate::attach::lease)), and a *generation*, that
//! is counted up whenever the id is given to somebody. A word that names its owner by both stays
//! unambiguous when the owner is dead and the id another's: nothing has to be searched or repaired
//! before an id can be used again.
//!
//! # Life of an id
//!
//! ```text
//!  free ──take the life byte──▶ taken ──generation + 1──▶ attached ──leave: used off──▶ ──unmap──▶ free
//!                                 └── killed: the kernel gives the byte back ──┴──────────────────▶ free
//! ```
//!
//! The life byte is exclusive, so whoever has it is alone with the id; that is why a participant
//! may be killed anywhere here and leaves nothing to be done. On its way to another process the
//! byte is held by the descriptor that travels.
//!
//! A participant is dead if and only if its generation has passed, or its byte can be had. Between
//! the two steps of whoever comes after it, it looks alive for a moment more.
//!
//! # Deaths are counted
//!
//! Who is used and has no byte has not left, but died. Whoever finds it so, because he looks or
//! because he comes after it, counts the death and then takes *used* off: so every death is
//! counted, whoever is killed meanwhile, and some are counted twice. Who ends by `exit` with
//! handles left says that it is *ending*: it does not keep a name, and has died once its byte can
//! be had, for threads of it may have been in the middle of something. Who waits for what a dead
//! one may have owed him ([`lock`](crate::lock)) compares the count.

// Looks at entries in the mapping.
#![allow(unsafe_code)]

use crate::sync::{AtomicU64, Ordering};
use std::io;
use std::num::NonZeroU64;
use std::ptr::NonNull;
use std::sync::Arc;

use ipc_sys as sys;

use crate::attach::descriptor::Descriptor;
use crate::attach::lease::{ByteLocks, Leases};
use crate::killpoint::kill_point;
use crate::layout::pid_hint;
use crate::segment::footer::{Entry, life};
use crate::throttle::Throttle;

/// A participant, for good: `{ generation: 32, id: 16 }` in 48 bits, never 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Owner(NonZeroU64);

impl Owner {
    const BITS: u32 = 48;

    pub(crate) fn new(generation: u32, id: u16) -> Option<Owner> {
        NonZeroU64::new(u64::from(generation) << 16 | u64::from(id)).filter(|_| id != 0).map(Owner)
    }

    /// The owner in the low 48 bits of a word; `None` if they name nobody.
    pub(crate) fn from_bits(word: u64) -> Option<Owner> {
        let bits = word & ((1 << Owner::BITS) - 1);
        Owner::new((bits >> 16) as u32, bits as u16)
    }

    /// In 48 bits.
    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0.get()
    }

    #[inline]
    pub(crate) fn generation(self) -> u32 {
        (self.bits() >> 16) as u32
    }

    #[inline]
    pub(crate) fn id(self) -> u16 {
        self.bits() as u16
    }
}

/// How many participants are looked at in one slice of a wait.
const AT_ONCE: usize = 64;

/// A process' part in a segment, and its view of the others'.
pub(crate) struct Participants {
    table: Table,
    me: Owner,
    /// Tells this mapping from every other one that this process has or had.
    mapping: u64,
    fork: sys::fork::ForkCheck,
    descriptor: Arc<Descriptor>,
    /// When all were last looked at.
    looked: Throttle,
}

/// The entries in a mapping.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    first: NonNull<Entry>,
    /// Entries, the unused one of id 0 included.
    len: usize,
}

// SAFETY: all it gives out are references to atomics, which any thread may use as long as the
// mapping is there.
unsafe impl Send for Table {}
// SAFETY: as above; it has no state of its own that changes.
unsafe impl Sync for Table {}

impl Table {
    /// # Safety
    ///
    /// `len` entries lie at `first`, in memory that this process accesses through atomics only, and
    /// that outlives every use of the table.
    pub(crate) unsafe fn new(first: NonNull<Entry>, len: usize) -> Table {
        Table { first, len }
    }

    fn entries(&self) -> &[Entry] {
        // SAFETY: `new`; atomics, for which any bytes are valid, whatever a peer writes.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), self.len) }
    }

    fn get(&self, id: u16) -> Option<&Entry> {
        self.entries().get(usize::from(id)).filter(|_| id != 0)
    }

    /// Takes a free id on the open file `lease`, for this process or another. `None` if all are
    /// taken.
    pub(crate) fn issue(&self, lease: sys::Borrowed<'_>) -> io::Result<Option<u16>> {
        for (id, entry) in (1..).zip(&self.entries()[1..]) {
            kill_point!("member.take");
            if ByteLocks(lease).take_life(u64::from(id))? {
                // Acquire: after whoever had the id before.
                if entry.life.load(Ordering::Acquire) & life::USED != 0 {
                    // He died, and nobody has looked since.
                    self.count_death();
                }
                return Ok(Some(id));
            }
        }
        Ok(None)
    }

    /// How many participants were found dead: at least so many, for some are counted twice.
    fn deaths(&self) -> &AtomicU64 {
        &self.entries()[0].life
    }

    fn count_death(&self) {
        kill_point!("member.count");
        // Release: whoever hears of it sees what the dead one did, as he who found it dead;
        // Acquire: of all of them.
        self.deaths().fetch_add(1, Ordering::AcqRel);
        kill_point!("member.counted");
    }

    /// Makes a new owner of an id whose life byte is held by the caller.
    pub(crate) fn enter(&self, id: u16, pid_hint: u64) -> Option<Owner> {
        let entry = self.get(id)?;
        // Acquire: after whoever had the id before; only holders of its byte write a generation.
        let mut generation = life::generation(entry.life.load(Ordering::Acquire)).wrapping_add(1);
        if generation == 0 {
            // After 2^32 participants. An owner of generation 0 is possible, but looks like a mere
            // id.
            generation = 1;
        }
        kill_point!("member.who");
        entry.pid_hint.store(pid_hint, Ordering::Relaxed); // Relaxed: a hint.
        kill_point!("member.enter");
        // Release: whoever finds an owner of this generation finds no older one's words under it.
        entry.life.store(life::word(generation, life::USED), Ordering::Release);
        Owner::new(generation, id)
    }
}

impl Participants {
    pub(crate) fn new(table: Table, me: Owner, descriptor: Arc<Descriptor>) -> Participants {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mapping = NEXT.fetch_add(1, Ordering::Relaxed); // Relaxed: only that each is another one.
        Participants {
            table,
            me,
            mapping,
            fork: sys::fork::ForkCheck::new(),
            descriptor,
            looked: Throttle::new(),
        }
    }

    /// The number of this mapping, which never comes again in this process.
    pub(crate) fn mapping(&self) -> u64 {
        self.mapping
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// This process.
    #[inline]
    pub(crate) fn me(&self) -> Owner {
        self.me
    }

    /// How many participants there can be: their ids are 1 to this.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.table.len - 1
    }

    /// Whether this process was forked from the one that attached: it is no participant, and has no
    /// mapping.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.fork.forked()
    }

    /// Of the last participant that was given this id; 0 if there was none, or is no such id.
    pub(crate) fn generation(&self, id: u16) -> u32 {
        // Acquire: `enter`.
        self.table.get(id).map_or(0, |entry| life::generation(entry.life.load(Ordering::Acquire)))
    }

    /// Whether `owner` lives. False only if its id was given to another since, or the kernel says
    /// that nobody holds its life byte. In doubt, true: nobody alive is ever taken for dead. About
    /// two syscalls.
    pub(crate) fn alive(&self, owner: Owner) -> bool {
        if owner == self.me {
            return true;
        }
        if self.table.get(owner.id()).is_none() {
            // Made up: nobody ever was or will be.
            return false;
        }
        if self.generation(owner.id()) != owner.generation() {
            return false;
        }
        // Without our descriptor nothing can be asked.
        self.descriptor.get().is_none_or(|fd| ByteLocks(fd).alive(u64::from(owner.id())))
    }

    /// Whether anybody else is attached, or on its way, and not about to end. In doubt, yes. Asked
    /// under the name's lock ([`names`](crate::segment)), while nobody can come but by a handle of
    /// somebody who is there.
    pub(crate) fn others(&self, open: sys::Borrowed<'_>) -> bool {
        let staying = |life: u64| life & life::USED != 0 && life & life::ENDING == 0;
        let here = |entry: &Entry| staying(entry.life.load(Ordering::Acquire)); // Acquire: `enter`.
        let mut entries = (1..).zip(&self.table.entries()[1..]);
        entries.any(|(id, entry)| {
            id != self.me.id() && here(entry) && ByteLocks(open).alive(id.into())
        })
    }

    /// The pid of a participant, for messages to people; `None` if it has not said, or is another's
    /// by now.
    pub(crate) fn pid(&self, owner: Owner) -> Option<u32> {
        let entry = self.table.get(owner.id())?;
        let word = entry.pid_hint.load(Ordering::Relaxed); // Relaxed: a hint.
        // In another namespace the number is another process'.
        let known = word != pid_hint::NONE
            && pid_hint::namespace(word)
                == pid_hint::namespace(crate::attach::participant_limit::pid_identity());
        // After a new owner's `pid_hint` comes its generation: the same generation, the same
        // owner's, most likely.
        (known && self.generation(owner.id()) == owner.generation()).then_some(pid_hint::pid(word))
    }

    /// How many participants have died, as far as anybody has looked. It only grows, by more than
    /// one for some.
    pub(crate) fn deaths(&self) -> u64 {
        self.table.deaths().load(Ordering::Acquire) // Acquire: `count_death`.
    }

    /// The same, after a look at some, others at each turn. A syscall for each that is there.
    pub(crate) fn look_for_deaths(&self, turn: usize) -> u64 {
        // Without our descriptor nothing can be asked.
        let Some(fd) = self.descriptor.get() else { return self.deaths() };
        let used = || {
            let entries = (1..).zip(&self.table.entries()[1..]);
            // Acquire: `enter`.
            let lives = entries.map(|(id, entry)| (id, entry, entry.life.load(Ordering::Acquire)));
            lives.filter(|(id, _, life)| *id != self.me.id() && life & life::USED != 0)
        };
        // Of those that are there, so that the number of those that can be costs no time.
        let parts = used().count().div_ceil(AT_ONCE).max(1);
        for (id, entry, life) in used().skip(turn % parts * AT_ONCE).take(AT_ONCE) {
            if ByteLocks(fd).alive(id.into()) {
                continue;
            }
            // In this order: who is killed in between has it counted again.
            self.table.count_death();
            // Relaxed: the count says all, and whoever has the id next acquires what its owner
            // released. If it fails, it has left after all, or the id is another's.
            let _ = entry.life.compare_exchange(
                life,
                life & !life::USED,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            kill_point!("member.buried");
        }
        self.deaths()
    }

    /// The same, after a look at all, at most about once a millisecond.
    pub(crate) fn look_for_deaths_throttled(&self) -> u64 {
        if self.looked.due() {
            for turn in 0..self.capacity().div_ceil(AT_ONCE) {
                self.look_for_deaths(turn);
            }
        }
        self.deaths()
    }

    /// The first step of leaving; unmapping is the second.
    pub(crate) fn leave(&self) {
        self.depart(0);
    }

    /// Says that this process ends: its threads may be in the middle of something until it has, and
    /// then have died.
    pub(crate) fn end(&self) {
        self.depart(life::USED | life::ENDING);
    }

    fn depart(&self, flags: u64) {
        let Some(entry) = self.table.get(self.me.id()) else { return };
        kill_point!("member.leave");
        // Release: flags that others read. The generation stays: it is past when it is given out
        // anew.
        entry.life.store(life::word(self.me.generation(), flags), Ordering::Release);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use ipc_core::__private::handle;

    use super::*;
    use crate::Segment;

    /// A participant on its way to another process: alive as long as the handles are.
    fn in_transit(segment: &Segment) -> (Owner, Vec<handle::OsHandle>) {
        let (bytes, handles) = handle::collect(|| postcard::to_stdvec(segment).unwrap());
        let (_, id): (u32, u16) = postcard::take_from_bytes(&bytes).unwrap().0;
        let participants = segment.participants().unwrap();
        (Owner::new(participants.generation(id), id).unwrap(), handles)
    }

    #[test]
    fn an_owner_is_48_bits_and_never_zero() {
        for (generation, id) in [(0, 1), (1, 1023), (u32::MAX, u16::MAX)] {
            let owner = Owner::new(generation, id).unwrap();
            assert_eq!((owner.generation(), owner.id()), (generation, id));
            assert!(owner.bits() != 0 && owner.bits() < 1 << 48);
            assert_eq!(Owner::from_bits(owner.bits() | 0xabcd << 48), Some(owner));
        }
        assert_eq!(Owner::new(7, 0), None);
        assert_eq!(Owner::from_bits(0), None);
    }

    #[test]
    fn the_dead_are_told_from_whoever_gets_their_id_next() {
        let segment = Segment::anonymous(100).unwrap();
        let participants = segment.participants().unwrap();
        assert!(participants.alive(participants.me()));
        assert_eq!(participants.pid(participants.me()), Some(std::process::id()));
        let (first, handles) = in_transit(&segment);
        assert!(participants.alive(first) && first.id() != participants.me().id());
        drop(handles);
        assert!(!participants.alive(first));
        let (second, _handles) = in_transit(&segment);
        assert_eq!(second.id(), first.id());
        assert!(participants.alive(second) && !participants.alive(first));
        assert_eq!(participants.pid(second), None, "on its way");
    }

    #[test]
    fn each_death_is_counted_by_whoever_looks_or_comes_after() {
        let segment = Segment::anonymous(100).unwrap();
        let participants = segment.participants().unwrap();
        let (first, handles) = in_transit(&segment);
        assert_eq!(participants.look_for_deaths(0), 0);
        drop(handles);
        assert_eq!(participants.deaths(), 0);
        assert_eq!([0, 1].map(|turn| participants.look_for_deaths(turn)), [1, 1]);
        // Who comes after one that was looked at does not count it again.
        let (second, handles) = in_transit(&segment);
        assert_eq!((second.id(), participants.deaths()), (first.id(), 1));
        drop(handles);
        let (third, _handles) = in_transit(&segment);
        assert_eq!((third.id(), participants.deaths()), (first.id(), 2));
        assert_eq!(participants.look_for_deaths(0), 2);
    }

    #[test]
    fn who_leaves_has_not_died_and_who_ends_has() {
        let segment = Segment::anonymous(100).unwrap();
        let participants = segment.participants().unwrap();
        let other = |owner| {
            Participants::new(*participants.table(), owner, Arc::clone(&participants.descriptor))
        };
        let others = || participants.others(participants.descriptor.get().unwrap());
        let (owner, handles) = in_transit(&segment);
        assert!(others());
        other(owner).leave();
        assert!(!others());
        drop(handles);
        assert_eq!(participants.look_for_deaths(0), 0);
        let (owner, handles) = in_transit(&segment);
        other(owner).end();
        assert!(!others(), "it is about to end");
        assert_eq!(participants.look_for_deaths(0), 0, "it is not yet dead");
        drop(handles);
        assert_eq!(participants.look_for_deaths(0), 1);
    }

    #[test]
    fn of_many_some_are_looked_at_each_time() {
        let segment = crate::SegmentBuilder::new(100).participants(1023).anonymous().unwrap();
        let participants = segment.participants().unwrap();
        let mut all: Vec<_> = (0..2 * AT_ONCE).map(|_| in_transit(&segment)).collect();
        let (last, handles) = all.pop().unwrap();
        // This process is the first one, and not among them.
        assert_eq!(usize::from(last.id()), 2 * AT_ONCE + 1);
        drop(handles);
        assert_eq!([2, 4, 5, 6].map(|turn| participants.look_for_deaths(turn)), [0, 0, 1, 1]);
        // Each of these looks at all of them.
        let (_, handles) = all.pop().unwrap();
        drop(handles);
        while participants.look_for_deaths_throttled() == 1 {
            std::thread::yield_now();
        }
    }

    // fault 76
    #[test]
    fn who_cannot_be_is_dead() {
        let segment = Segment::anonymous(100).unwrap();
        let participants = segment.participants().unwrap();
        for id in [participants.capacity() as u16 + 1, u16::MAX] {
            let owner = Owner::new(1, id).unwrap();
            assert!(!participants.alive(owner));
            assert_eq!((participants.generation(id), participants.pid(owner)), (0, None));
        }
    }
}
