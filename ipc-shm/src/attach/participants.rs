//! The participants of a segment: which are attached, and which are dead.
//!
//! Each process that has a segment is one participant of it, however many handles it has. A
//! participant is an id and a *generation*. The process holds a lock on the id's *life* byte
//! ([`lease`](crate::attach::lease)). The generation is incremented each time the id is given to a
//! participant. A word that names its owner by both stays unambiguous when the owner is dead and
//! another participant has the id. So nothing has to be searched or recovered before an id is used
//! again ([`entries`](super::entries)).
//!
//! A participant is dead if and only if its generation has passed, or its life byte can be locked.
//! While the next participant with the same id is between its two steps, a dead one looks alive for
//! a moment more.
//!
//! # Deaths are counted
//!
//! A participant that is marked *used* and has no lock on its life byte has not detached, but died.
//! A process that finds it, because it looks or because it takes the id, counts the death and then
//! clears *used*. So every death is counted, whichever process is killed meanwhile, and some are
//! counted twice. A process that ends by `exit` with handles left marks itself *ending*. It does
//! not keep a name. It counts as dead once its byte can be locked, because its threads may have
//! been in the middle of an operation. A process that waits for what a dead participant may have
//! owed it ([`lock`](crate::lock)) compares the count.

use crate::sync::{AtomicU64, Ordering};
use std::sync::Arc;

use ipc_sys as sys;

use crate::attach::descriptor::Descriptor;
use crate::attach::entries::{Entry, Owner, Table, life};
use crate::attach::lease::{ByteLocks, Leases};
use crate::attach::participant_limit::pid_identity;
use crate::killpoint::kill_point;
use crate::layout::pid_hint;
use crate::throttle::Throttle;

/// The number of participants that one slice of a wait checks.
const AT_ONCE: usize = 64;

/// A process' part in a segment, and its view of the others'.
pub(crate) struct Participants {
    table: Table,
    me: Owner,
    /// Distinguishes this mapping from every other one that this process has or had.
    mapping: u64,
    fork: sys::fork::ForkCheck,
    descriptor: Arc<Descriptor>,
    /// When this process last checked all participants.
    looked: Throttle,
}

impl Participants {
    pub(crate) fn new(table: Table, me: Owner, descriptor: Arc<Descriptor>) -> Participants {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mapping = NEXT.fetch_add(1, Ordering::Relaxed); // Relaxed: only unique.
        Participants {
            table,
            me,
            mapping,
            fork: sys::fork::ForkCheck::new(),
            descriptor,
            looked: Throttle::new(),
        }
    }

    /// Returns the number of this mapping, which never occurs again in this process.
    pub(crate) fn mapping(&self) -> u64 {
        self.mapping
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Returns the owner that this process is.
    #[inline]
    pub(crate) fn me(&self) -> Owner {
        self.me
    }

    /// Returns the maximum number of participants.
    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.table.capacity()
    }

    /// Returns whether this process was forked from the one that attached.
    ///
    /// Such a process is no participant, and has no mapping.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.fork.forked()
    }

    /// Returns the generation of the last participant that was given this id.
    ///
    /// Returns 0 if there was none, or if there is no such id.
    pub(crate) fn generation(&self, id: u16) -> u32 {
        // Acquire: `enter`.
        self.table.get(id).map_or(0, |entry| life::generation(entry.life.load(Ordering::Acquire)))
    }

    /// Returns whether `owner` lives. Costs about two system calls.
    ///
    /// Returns false only if its id was given to another participant since, or if the kernel says
    /// that no open file holds its life byte. In doubt, returns true: no living participant is ever
    /// taken for dead.
    pub(crate) fn alive(&self, owner: Owner) -> bool {
        if owner == self.me {
            return true;
        }
        if self.table.get(owner.id()).is_none() {
            // A made-up id: there never was such a participant, and never will be.
            return false;
        }
        if self.generation(owner.id()) != owner.generation() {
            return false;
        }
        // Without its descriptor this process cannot ask the kernel.
        self.descriptor.get().is_none_or(|fd| ByteLocks(fd).alive(u64::from(owner.id())))
    }

    /// Returns whether another participant is attached or in transit, and not ending.
    ///
    /// In doubt, returns true. The caller holds the name's lock ([`names`](crate::segment)).
    /// Meanwhile a participant can only arrive by a handle of one that is there.
    pub(crate) fn others(&self, open: sys::Borrowed<'_>) -> bool {
        let staying = |life: u64| life & life::USED != 0 && life & life::ENDING == 0;
        let here = |entry: &Entry| staying(entry.life.load(Ordering::Acquire)); // Acquire: `enter`.
        let mut entries = (1..).zip(&self.table.entries()[1..]);
        entries.any(|(id, entry)| {
            id != self.me.id() && here(entry) && ByteLocks(open).alive(id.into())
        })
    }

    /// Returns the pid of a participant, for messages to people.
    ///
    /// Returns `None` if the participant has not published it, or if another one has the id by now.
    pub(crate) fn pid(&self, owner: Owner) -> Option<u32> {
        let entry = self.table.get(owner.id())?;
        let word = entry.pid_hint.load(Ordering::Relaxed); // Relaxed: a hint.
        let pid = pid_hint::known_to(pid_identity(), word);
        // A new owner stores its `pid_hint` before its generation. So if the generation is the
        // same, the pid most likely is the same owner's.
        pid.filter(|_| self.generation(owner.id()) == owner.generation())
    }

    /// Returns how many deaths the processes have counted so far.
    ///
    /// The number only grows, by more than one for some deaths.
    pub(crate) fn deaths(&self) -> u64 {
        self.table.deaths().load(Ordering::Acquire) // Acquire: `count_death`.
    }

    /// Checks some participants, others at each turn, and returns the deaths counted.
    ///
    /// Costs a system call for each participant checked.
    pub(crate) fn look_for_deaths(&self, turn: usize) -> u64 {
        // Without its descriptor this process cannot ask the kernel.
        let Some(fd) = self.descriptor.get() else { return self.deaths() };
        let used = || {
            let entries = (1..).zip(&self.table.entries()[1..]);
            // Acquire: `enter`.
            let lives = entries.map(|(id, entry)| (id, entry, entry.life.load(Ordering::Acquire)));
            lives.filter(|(id, _, life)| *id != self.me.id() && life & life::USED != 0)
        };
        // Divides the participants that exist, so that unused ids cost no time.
        let parts = used().count().div_ceil(AT_ONCE).max(1);
        for (id, entry, life) in used().skip(turn % parts * AT_ONCE).take(AT_ONCE) {
            if ByteLocks(fd).alive(id.into()) {
                continue;
            }
            // In this order: if this process is killed in between, the death is counted again.
            self.table.count_death();
            // Relaxed: the count carries the edge, and the next participant with the id acquires
            // what this owner released. If it fails, the participant has detached after all, or
            // another one has the id.
            let _ = entry.life.compare_exchange(
                life,
                life & !life::USED,
                Ordering::Relaxed,
                Ordering::Relaxed,
            );
            kill_point!("participant.freed");
        }
        self.deaths()
    }

    /// Checks all participants, at most about once a millisecond, and returns the deaths counted.
    pub(crate) fn look_for_deaths_throttled(&self) -> u64 {
        if self.looked.due() {
            for turn in 0..self.capacity().div_ceil(AT_ONCE) {
                self.look_for_deaths(turn);
            }
        }
        self.deaths()
    }

    /// Does the first step of detaching. Unmapping is the second.
    pub(crate) fn leave(&self) {
        self.depart(0);
    }

    /// Marks this process as ending.
    ///
    /// Its threads may be in the middle of an operation until it has ended, and then have died.
    pub(crate) fn end(&self) {
        self.depart(life::USED | life::ENDING);
    }

    fn depart(&self, flags: u64) {
        let Some(entry) = self.table.get(self.me.id()) else { return };
        kill_point!("participant.leave");
        // Release: flags that other processes read. The generation stays, and has passed when the
        // id is given out anew.
        entry.life.store(life::word(self.me.generation(), flags), Ordering::Release);
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use ipc_core::__private::handle;

    use super::*;
    use crate::Segment;

    /// Returns a participant on its way to another process, alive as long as the handles are.
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
    fn a_dead_owner_differs_from_the_next_one_with_its_id() {
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
    fn each_death_is_counted_by_a_look_or_by_a_successor() {
        let segment = Segment::anonymous(100).unwrap();
        let participants = segment.participants().unwrap();
        let (first, handles) = in_transit(&segment);
        assert_eq!(participants.look_for_deaths(0), 0);
        drop(handles);
        assert_eq!(participants.deaths(), 0);
        assert_eq!([0, 1].map(|turn| participants.look_for_deaths(turn)), [1, 1]);
        // A participant that takes the id after a counted death does not count it again.
        let (second, handles) = in_transit(&segment);
        assert_eq!((second.id(), participants.deaths()), (first.id(), 1));
        drop(handles);
        let (third, _handles) = in_transit(&segment);
        assert_eq!((third.id(), participants.deaths()), (first.id(), 2));
        assert_eq!(participants.look_for_deaths(0), 2);
    }

    #[test]
    fn leaving_is_no_death_and_ending_is_one() {
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
    fn an_impossible_owner_is_dead() {
        let segment = Segment::anonymous(100).unwrap();
        let participants = segment.participants().unwrap();
        for id in [participants.capacity() as u16 + 1, u16::MAX] {
            let owner = Owner::new(1, id).unwrap();
            assert!(!participants.alive(owner));
            assert_eq!((participants.generation(id), participants.pid(owner)), (0, None));
        }
    }
}
