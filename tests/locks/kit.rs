//! One of each lock in one segment, and work on them that shows whether they keep their promises.

#![cfg_attr(not(killpoints), allow(dead_code, reason = "some of it is for the named points only"))]

use std::time::Duration;

use multiprocess::shm::lock::{BarrierError, LockError, LockResult, Permit, RwLockWriteGuard};
use multiprocess::shm::{
    Barrier, Condvar, Event, Mutex, OnceLock, ReentrantMutex, RwLock, Segment, Semaphore, Shared,
};
use serde::{Deserialize, Serialize};

/// The owner that is inside, and two words that are equal when none is.
type Room = [u64; 3];

/// Enters a room as its only one, and leaves it. `broken` if the last one may have died inside.
fn stay_in(room: &mut Room, broken: bool) {
    if broken {
        *room = [0, room[1], room[1]];
    }
    assert_eq!((room[0], room[1]), (0, room[2]), "another owner is inside");
    room[0] = u64::from(std::process::id());
    room[1] = room[1].wrapping_add(1);
    std::hint::black_box(&mut *room);
    room[2] = room[2].wrapping_add(1);
    room[0] = 0;
}

/// Permits of the semaphore.
pub(crate) const PERMITS: u32 = 2;
pub(crate) const CELLS: usize = 40;

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Kit {
    pub(crate) mutex: Mutex<Room>,
    /// Only ever updated: never poisoned, never unequal.
    pub(crate) pair: Mutex<[u64; 2]>,
    pub(crate) lock: RwLock<Room>,
    pub(crate) reentrant: ReentrantMutex<[u64; 2]>,
    pub(crate) semaphore: Semaphore,
    /// Goods that were produced, and wait to be consumed.
    pub(crate) goods: Mutex<u64>,
    pub(crate) more: Condvar,
    pub(crate) auto: Event,
    pub(crate) manual: Event,
    pub(crate) barrier: Barrier,
    pub(crate) cells: Vec<OnceLock<[u64; 2]>>,
    /// Each worker's operations.
    pub(crate) done: Vec<Shared<u64>>,
}

impl Kit {
    pub(crate) fn new() -> Kit {
        let segment = Segment::anonymous(64 << 10).unwrap();
        let cells = (0..CELLS).map(|_| OnceLock::new_in(&segment).unwrap()).collect();
        Kit {
            mutex: Mutex::new_in(&segment, [0; 3]).unwrap(),
            pair: Mutex::new_in(&segment, [0; 2]).unwrap(),
            lock: RwLock::new_in(&segment, [0; 3]).unwrap(),
            reentrant: ReentrantMutex::new_in(&segment, [0; 2]).unwrap(),
            semaphore: Semaphore::new_in(&segment, PERMITS).unwrap(),
            goods: Mutex::new_in(&segment, 0).unwrap(),
            more: Condvar::new_in(&segment).unwrap(),
            auto: Event::auto_in(&segment).unwrap(),
            manual: Event::new_in(&segment).unwrap(),
            barrier: Barrier::new_in(&segment, 2).unwrap(),
            done: (0..8).map(|_| Shared::new_in(&segment, 0).unwrap()).collect(),
            cells,
        }
    }

    pub(crate) fn lock_mutex(&self) {
        match self.mutex.lock() {
            Ok(mut guard) => stay_in(&mut guard, false),
            Err(LockError::Poisoned(poisoned)) => {
                let mut guard = poisoned.into_inner();
                stay_in(&mut guard, true);
                self.mutex.clear_poison();
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn update(&self) {
        self.pair
            .update(|[one, other]| {
                assert_eq!(one, other, "half of an update");
                *one += 1;
                *other += 1;
            })
            .unwrap();
    }

    pub(crate) fn read(&self) {
        match self.lock.read() {
            Ok(room) => assert_eq!((room[0], room[1]), (0, room[2]), "a writer is inside"),
            Err(LockError::Poisoned(_)) => {}
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn write(&self) {
        self.write_with(self.lock.write());
    }

    pub(crate) fn write_as_task(&self) {
        self.write_with(futures_executor::block_on(self.lock.write_async()));
    }

    fn write_with(&self, locked: LockResult<RwLockWriteGuard<'_, Room>>) {
        match locked {
            Ok(mut guard) => stay_in(&mut guard, false),
            Err(LockError::Poisoned(poisoned)) => {
                let mut guard = poisoned.into_inner();
                stay_in(&mut guard, true);
                self.lock.clear_poison();
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn upgrade(&self) {
        let Ok(reader) = self.lock.upgradable_read() else { return self.write() };
        let before = reader[1];
        match reader.upgrade() {
            Ok(mut writer) => {
                assert_eq!(writer[1], before, "another process wrote in between");
                stay_in(&mut writer, false);
                let reader = RwLockWriteGuard::downgrade(writer).unwrap();
                assert_eq!(reader[1], before + 1);
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn reenter(&self) {
        let (outer, broken) = match self.reentrant.lock() {
            Ok(guard) => (guard, false),
            Err(LockError::Poisoned(poisoned)) => (poisoned.into_inner(), true),
            Err(error) => panic!("{error}"),
        };
        if broken {
            outer.set([outer.get()[0]; 2]);
            self.reentrant.clear_poison();
        }
        let inner = self.reentrant.lock().unwrap();
        let [one, other] = inner.get();
        assert_eq!(one, other, "another owner is inside");
        outer.set([one + 1, other]);
        inner.set([one + 1, other + 1]);
    }

    pub(crate) fn use_permit(&self) {
        drop(self.semaphore.acquire().unwrap());
    }

    /// Makes a permit, and uses one up.
    pub(crate) fn renew_permit(&self) {
        self.semaphore.release(1).unwrap();
        Permit::forget(self.semaphore.acquire().unwrap()).unwrap();
    }

    /// Of those that [`renew_permit`](Kit::renew_permit) did not use up.
    pub(crate) fn forget_surplus(&self) {
        let permits: Vec<_> = (0..PERMITS).map(|_| self.semaphore.acquire().unwrap()).collect();
        if let Some(surplus) = self.semaphore.try_acquire().unwrap() {
            Permit::forget(surplus).unwrap();
        }
        drop(permits);
    }

    /// Makes `n`, each with a notification.
    pub(crate) fn produce(&self, n: u64) {
        for _ in 0..n {
            self.with_goods(|goods| *goods += 1);
            self.more.notify_one().unwrap();
        }
    }

    fn with_goods<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        // One word: whole, whichever process died.
        let mut guard = self.goods.lock().or_else(LockError::into_guard).unwrap();
        f(&mut guard)
    }

    /// Takes one of the goods; with `patience`, if one comes until then.
    pub(crate) fn consume(&self, patience: Option<Duration>) -> bool {
        let mut guard = self.goods.lock().or_else(LockError::into_guard).unwrap();
        while *guard == 0 {
            let over;
            (guard, over) = match patience {
                None => (self.more.wait(guard).or_else(LockError::into_guard).unwrap(), false),
                Some(patience) => {
                    let (guard, result) = self
                        .more
                        .wait_timeout(guard, patience)
                        .or_else(LockError::into_guard)
                        .unwrap();
                    (guard, result.timed_out())
                }
            };
            if over {
                return false;
            }
        }
        *guard -= 1;
        true
    }

    /// Goes through the barrier with another; false if it was broken.
    pub(crate) fn meet(&self) -> bool {
        match self.barrier.wait() {
            Ok(_) => true,
            Err(BarrierError::Broken) => false,
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn initialise_slowly(&self, cell: usize) {
        let slowly = || {
            std::thread::sleep(Duration::from_micros(200));
            [cell as u64; 2]
        };
        assert_eq!(self.cells[cell].get_or_init(slowly), Ok(&[cell as u64; 2]));
    }

    pub(crate) fn initialise(&self, cell: usize) {
        let value = self.cells[cell].get_or_init(|| [cell as u64; 2]).unwrap();
        assert_eq!(*value, [cell as u64; 2], "not all of it");
    }

    /// When no other process is at it: everything is as it must be, and works.
    pub(crate) fn check(&self) {
        for _ in 0..2 {
            self.lock_mutex();
            self.update();
            self.write();
            self.read();
            self.upgrade();
            self.reenter();
        }
        assert!(!self.mutex.is_poisoned() && !self.pair.is_poisoned() && !self.lock.is_poisoned());
        let permits: Vec<_> = (0..PERMITS)
            .map(|_| {
                self.semaphore
                    .acquire_timeout(Duration::from_secs(5))
                    .unwrap()
                    .expect("a permit is lost")
            })
            .collect();
        assert!(self.semaphore.try_acquire().unwrap().is_none(), "there is a permit more");
        drop(permits);
        assert_eq!(self.semaphore.available_permits(), PERMITS);
        for cell in 0..CELLS {
            self.initialise(cell);
        }
        while self.consume(Some(Duration::ZERO)) {}
        self.produce(3);
        for _ in 0..3 {
            assert!(self.consume(Some(Duration::from_secs(5))));
        }
        self.auto.set().unwrap();
        self.auto.wait().unwrap();
        self.manual.set().unwrap();
        self.manual.wait().unwrap();
        self.manual.clear().unwrap();
    }
}
