//! The locks that ours are compared with, each behind the same face; those between processes lie in
//! a segment.

// As `support`: public within the bench.
#![allow(unreachable_pub)]

use std::sync::Arc;

use multiprocess::shm::{Mutex, RwLock, SharedSlice};
use raw_sync::locks::{LockImpl, LockInit};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A mutex over a number.
pub trait Counter {
    /// Adds one, under the lock.
    fn add(&self);
    /// Reads it, under the lock, or as a reader.
    fn get(&self) -> u64;
}

/// A mutex that several processes use.
pub trait Shared: Counter + Sized {
    /// The form in which it travels.
    type Ends: Clone + Serialize + DeserializeOwned;
    fn ends() -> Self::Ends;
    /// Makes it, in new memory.
    fn attach(ends: &Self::Ends, first: bool) -> Self;
}

impl Shared for Mutex<u64> {
    type Ends = Self;
    fn ends() -> Self {
        Mutex::new(0).expect("a mutex")
    }
    fn attach(ends: &Self, _first: bool) -> Self {
        ends.clone()
    }
}

impl Shared for RwLock<u64> {
    type Ends = Self;
    fn ends() -> Self {
        RwLock::new(0).expect("a lock")
    }
    fn attach(ends: &Self, _first: bool) -> Self {
        ends.clone()
    }
}

impl Shared for RawSync {
    type Ends = Room;
    fn ends() -> Room {
        Room::new()
    }
    fn attach(room: &Room, first: bool) -> RawSync {
        RawSync::new(room, first)
    }
}

impl Shared for Robust {
    type Ends = Room;
    fn ends() -> Room {
        Room::new()
    }
    fn attach(room: &Room, first: bool) -> Robust {
        Robust::new(room, first)
    }
}

impl Counter for Mutex<u64> {
    fn add(&self) {
        *self.lock().expect("no process dies") += 1;
    }
    fn get(&self) -> u64 {
        *self.lock().expect("no process dies")
    }
}

impl Counter for RwLock<u64> {
    fn add(&self) {
        *self.write().expect("no process dies") += 1;
    }
    fn get(&self) -> u64 {
        *self.read().expect("no process dies")
    }
}

impl Counter for Arc<std::sync::Mutex<u64>> {
    fn add(&self) {
        *self.lock().expect("no thread panics") += 1;
    }
    fn get(&self) -> u64 {
        *self.lock().expect("no thread panics")
    }
}

impl Counter for Arc<parking_lot::Mutex<u64>> {
    fn add(&self) {
        *self.lock() += 1;
    }
    fn get(&self) -> u64 {
        *self.lock()
    }
}

/// The memory of a rival: what it needs, and the number behind it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Room(SharedSlice<u64>);

const NUMBER: usize = 16;

impl Room {
    pub fn new() -> Room {
        Room(SharedSlice::new(NUMBER + 1).expect("a segment"))
    }

    pub fn memory(&self) -> *mut u8 {
        self.0.as_ptr().cast()
    }

    fn number(&self) -> *mut u8 {
        self.0.as_ptr().wrapping_add(NUMBER).cast()
    }
}

/// `raw_sync`'s mutex: pthread's, shared between processes.
pub struct RawSync {
    lock: Box<dyn LockImpl>,
    _room: Room,
}

impl RawSync {
    pub fn new(room: &Room, first: bool) -> RawSync {
        let made = if first {
            // SAFETY: both lie in the room, which is kept, and no other process has it yet.
            unsafe { raw_sync::locks::Mutex::new(room.memory(), room.number()) }
        } else {
            // SAFETY: both lie in the room, which is kept; the first one has made it.
            unsafe { raw_sync::locks::Mutex::from_existing(room.memory(), room.number()) }
        };
        RawSync { lock: made.expect("a mutex").0, _room: room.clone() }
    }

    fn with<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        let guard = self.lock.lock().expect("no process dies");
        let number: *mut u8 = *guard;
        // SAFETY: the number in the room, as long as the lock is held.
        f(unsafe { &mut *number.cast::<u64>() })
    }
}

impl Counter for RawSync {
    fn add(&self) {
        self.with(|number| *number += 1);
    }
    fn get(&self) -> u64 {
        self.with(|number| *number)
    }
}

/// A robust pthread mutex, shared between processes.
pub struct Robust(Room);

impl Robust {
    pub fn new(room: &Room, first: bool) -> Robust {
        let robust = Robust(room.clone());
        if first {
            // SAFETY: zeroed attributes are about to be initialised.
            let mut attr: libc::pthread_mutexattr_t = unsafe { std::mem::zeroed() };
            // SAFETY: as above.
            unsafe { libc::pthread_mutexattr_init(&mut attr) };
            // SAFETY: initialised.
            unsafe { libc::pthread_mutexattr_setpshared(&mut attr, libc::PTHREAD_PROCESS_SHARED) };
            // SAFETY: as above.
            unsafe { libc::pthread_mutexattr_setrobust(&mut attr, libc::PTHREAD_MUTEX_ROBUST) };
            // SAFETY: there is room for it, and no other process has it yet.
            assert_eq!(unsafe { libc::pthread_mutex_init(robust.mutex(), &attr) }, 0);
        }
        robust
    }

    fn mutex(&self) -> *mut libc::pthread_mutex_t {
        self.0.memory().cast()
    }

    fn with<R>(&self, f: impl FnOnce(&mut u64) -> R) -> R {
        // SAFETY: it was initialised by the first.
        assert_eq!(unsafe { libc::pthread_mutex_lock(self.mutex()) }, 0);
        // SAFETY: the number in the room, as long as the lock is held.
        let result = f(unsafe { &mut *self.0.number().cast::<u64>() });
        // SAFETY: held.
        assert_eq!(unsafe { libc::pthread_mutex_unlock(self.mutex()) }, 0);
        result
    }
}

impl Counter for Robust {
    fn add(&self) {
        self.with(|number| *number += 1);
    }
    fn get(&self) -> u64 {
        self.with(|number| *number)
    }
}
