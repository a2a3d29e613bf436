//! The design that comes to mind first, from `shared_memory` and `raw_sync`: a ring of slots in
//! shared memory behind one mutex, and two events, for "no longer empty" and "no longer full". One
//! sender, one receiver: its events remember one signal only, so of several who sleep one would be
//! forgotten.

use std::cell::Cell;
use std::rc::Rc;

use raw_sync::Timeout;
use raw_sync::events::{Event, EventImpl, EventInit, EventState};
use raw_sync::locks::{LockImpl, LockInit, Mutex};
use serde::{Deserialize, Serialize};
use shared_memory::{Shmem, ShmemConf};

use super::bytes::{Bytes, Content, Give, Take};

pub struct Naive;

/// An end in transit: the name of the memory.
#[derive(Clone, Serialize, Deserialize)]
pub struct Named {
    os_id: String,
    room: usize,
    /// Where it was made; the name goes with it, when both sides have opened it.
    #[serde(skip)]
    _made: Option<Rc<Queue>>,
}

/// Where things lie: the mutex, the two events, the two counts, and the slots. There is room for
/// each.
const EVENTS: [usize; 2] = [256, 512];
const COUNTS: usize = 768;
const SLOTS: usize = 1024;

pub struct Queue {
    // Before the memory that they lie in.
    lock: Box<dyn LockImpl>,
    events: [Box<dyn EventImpl>; 2],
    memory: Shmem,
    len: usize,
    room: usize,
}

const EMPTY: usize = 0;
const FULL: usize = 1;

impl Queue {
    pub fn create(len: usize, room: usize) -> Queue {
        let memory = ShmemConf::new().size(SLOTS + len * room).create().expect("shared memory");
        Queue::over(memory, len, room, true)
    }

    fn open(end: &Named, len: usize) -> Queue {
        let memory = ShmemConf::new().os_id(&end.os_id).open().expect("shared memory");
        Queue::over(memory, len, end.room, false)
    }

    fn over(memory: Shmem, len: usize, room: usize, first: bool) -> Queue {
        let at = |offset: usize| memory.as_ptr().wrapping_add(offset);
        let event = |offset: usize| {
            let made = if first {
                // SAFETY: there is room for it in memory that is kept beside it, and no other
                // process has it yet.
                unsafe { Event::new(at(offset), true) }
            } else {
                // SAFETY: as above; the first one has made it.
                unsafe { Event::from_existing(at(offset)) }
            };
            made.expect("an event").0
        };
        let lock = if first {
            // SAFETY: there is room for it in memory that is kept beside it, and no other
            // process has it yet.
            unsafe { Mutex::new(at(0), at(COUNTS)) }
        } else {
            // SAFETY: as above; the first one has made it.
            unsafe { Mutex::from_existing(at(0), at(COUNTS)) }
        };
        Queue { lock: lock.expect("a mutex").0, events: EVENTS.map(event), memory, len, room }
    }

    /// Runs `f` with the two counts and a slot, of the message to be sent or received, when it is
    /// not so full, or empty, that it must wait.
    fn when<R>(&self, must_wait: usize, mine: usize, f: impl FnOnce(*mut u8) -> R) -> R {
        let f = Cell::new(Some(f));
        loop {
            {
                let guard = self.lock.lock().expect("no process dies");
                let counts: *mut u8 = *guard;
                // SAFETY: two words lie there, at a multiple of eight, and change only under the
                // lock.
                let counts = unsafe { &mut *counts.cast::<[u64; 2]>() };
                let [sent, received] = *counts;
                let queued = (sent - received) as usize;
                let waits = if must_wait == FULL { queued == self.room } else { queued == 0 };
                if !waits {
                    let slot = counts[mine] as usize % self.room;
                    let slot = self.memory.as_ptr().wrapping_add(SLOTS + slot * self.len);
                    let result = f.take().map(|f| f(slot)).expect("once");
                    counts[mine] += 1;
                    drop(guard);
                    self.events[1 - must_wait].set(EventState::Signaled).expect("it is there");
                    return result;
                }
            }
            self.events[must_wait].wait(Timeout::Infinite).expect("it is set");
        }
    }
}

struct Sending(Queue, Vec<u8>);

impl Give for Sending {
    fn give(&mut self, content: &impl Content) {
        content.write(&mut self.1);
        // SAFETY: the slot is in the memory, has room for so many bytes, and is ours under the
        // lock.
        self.0.when(FULL, 0, |slot| unsafe {
            slot.copy_from_nonoverlapping(self.1.as_ptr(), self.1.len())
        });
    }
}

struct Receiving(Queue, Vec<u8>);

impl Take for Receiving {
    fn take<R>(&mut self, look: impl FnOnce(&[u8]) -> R) -> R {
        let bytes = &mut self.1;
        // SAFETY: the slot is in the memory, has so many bytes, and is ours under the lock.
        self.0.when(EMPTY, 1, |slot| unsafe {
            slot.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len())
        });
        look(bytes)
    }
}

impl Bytes for Naive {
    type Tx = Named;
    type Rx = Named;

    fn channel(len: usize, room: usize) -> (Named, Named) {
        let queue = Queue::create(len, room);
        let os_id = queue.memory.get_os_id().to_owned();
        let end = Named { os_id, room, _made: Some(Rc::new(queue)) };
        (end.clone(), end)
    }
    fn sender(tx: Named, len: usize) -> impl Give {
        Sending(Queue::open(&tx, len), vec![0; len])
    }
    fn receiver(rx: Named, len: usize) -> impl Take {
        Receiving(Queue::open(&rx, len), vec![0; len])
    }
}
