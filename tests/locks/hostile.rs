//! Words that a peer has scribbled: errors, and never a wait beyond the deadline.

use std::io::ErrorKind::InvalidData;
use std::time::{Duration, Instant};

use multiprocess::shm::lock::{LockError, LockTimeoutError, Refused, TryLockError};
use multiprocess::shm::{
    Barrier, Condvar, Event, Mutex, Once, OnceLock, ReentrantMutex, RwLock, Segment, Semaphore,
};
use testkit::{Random, busy, watchdog};

/// Writes a word of a lock's own; the first two are its head.
fn scribble(segment: &Segment, offset: usize, word: usize, value: u64) {
    segment.write(offset + 8 * (2 + word), &value.to_ne_bytes()).unwrap();
}

const SHORT: Duration = Duration::from_millis(5);

/// Owners that there cannot be, owners that may be, flags without an owner.
fn garbage() -> Vec<u64> {
    let mut words =
        vec![1, 2, 4, 7, 8, u64::MAX, 1 << 63, 0xffff << 16, 65 << 16, (1 << 32) | (65 << 16)];
    let mut random = Random::new(76);
    for _ in 0..200 {
        let word = random.number();
        words.extend([word, word & 0xffff_ffff]);
    }
    words
}

// faults 76, 77
#[test]
fn a_scribbled_mutex_is_an_error_or_is_taken_but_never_hangs() {
    let _watchdog = watchdog();
    let segment = Segment::anonymous(64 << 10).unwrap();
    let mutex = Mutex::new_in(&segment, [1u64; 4]).unwrap();
    let mut corrupt = 0;
    for word in garbage() {
        for (at, word) in [(0, word), (1, word), (2, word)] {
            scribble(&segment, mutex.offset(), at, word);
        }
        let began = Instant::now();
        match mutex.lock_timeout(SHORT) {
            Ok(guard) => assert!(guard.len() == 4),
            Err(LockTimeoutError::Poisoned(_) | LockTimeoutError::Timeout) => {}
            Err(LockTimeoutError::Refused(Refused::Corrupt(_))) => corrupt += 1,
            Err(other) => panic!("{other:?} of {word:#x}"),
        }
        assert!(began.elapsed() < Duration::from_secs(1) * busy());
        match mutex.try_lock() {
            Ok(_) | Err(TryLockError::Poisoned(_) | TryLockError::WouldBlock) => {}
            Err(TryLockError::Refused(why)) => assert!(matches!(why, Refused::Corrupt(_))),
        }
        mutex.clear_poison();
    }
    assert!(corrupt > 50, "{corrupt}");
    scribble(&segment, mutex.offset(), 0, u64::MAX);
    assert!(matches!(mutex.lock(), Err(LockError::Refused(Refused::Corrupt(_)))));
    // Scribbled while it is held: giving it back says so, and changes nothing.
    scribble(&segment, mutex.offset(), 0, 0);
    let guard = mutex.lock().unwrap();
    scribble(&segment, mutex.offset(), 0, 0x0001_0000_0002_0000);
    assert_eq!(multiprocess::shm::lock::MutexGuard::unlock(guard), Err(Refused::NotOwner));
}

// faults 76, 77
#[test]
fn other_scribbled_locks_keep_their_deadlines() {
    let _watchdog = watchdog();
    let segment = Segment::anonymous(256 << 10).unwrap();
    let lock = RwLock::new_in(&segment, 0u64).unwrap();
    let semaphore = Semaphore::new_in(&segment, 1).unwrap();
    let barrier = Barrier::new_in(&segment, 2).unwrap();
    let event = Event::auto_in(&segment).unwrap();
    let condvar = Condvar::new_in(&segment).unwrap();
    let mutex = Mutex::new(0u8).unwrap();
    let once = Once::new_in(&segment).unwrap();
    for word in garbage() {
        let began = Instant::now();
        for at in [0, 1, 2, 6, 7, 14, 15, 30] {
            scribble(&segment, lock.offset(), at, word);
            scribble(&segment, semaphore.offset(), at, word.rotate_left(at as u32));
            scribble(&segment, barrier.offset(), at, word.rotate_left(at as u32));
            scribble(&segment, condvar.offset(), at, word.rotate_left(at as u32));
        }
        scribble(&segment, event.offset(), 0, word);
        drop(lock.read_timeout(SHORT));
        drop(lock.write_timeout(SHORT));
        drop(lock.try_upgradable_read());
        lock.clear_poison();
        let _ = semaphore.acquire_timeout(SHORT).map(drop);
        let _ = semaphore.release(1);
        let _ = barrier.wait_timeout(SHORT);
        let _ = barrier.reset();
        let _ = (event.wait_timeout(SHORT), event.set());
        let _ = (condvar.notify_one(), condvar.notify_all());
        drop(condvar.wait_timeout(mutex.lock().unwrap(), SHORT));
        assert!(began.elapsed() < Duration::from_secs(2) * busy(), "{word:#x}");
        if !(word >> 16) as u16 == u16::MAX {
            scribble(&segment, once.offset(), 0, word);
            let _ = once.is_completed();
        }
    }
    scribble(&segment, once.offset(), 0, u64::MAX);
    assert!(once.call_once(|| ()).is_err());
}

// fault 76
#[test]
fn one_value_that_is_said_to_be_none_or_several_is_refused() {
    let segment = Segment::anonymous(64 << 10).unwrap();
    let say = |offset: usize, len: u64| segment.write(offset + 8, &len.to_ne_bytes()).unwrap();
    let mutex = Mutex::new_in(&segment, 7u64).unwrap().offset();
    let lock = RwLock::new_in(&segment, 7u64).unwrap().offset();
    let reentrant = ReentrantMutex::new_in(&segment, 7u64).unwrap().offset();
    let cell = OnceLock::<u64>::new_in(&segment).unwrap();
    cell.set(7).unwrap().unwrap();
    let cell = cell.offset();
    for len in [0, 2, u64::MAX, 1] {
        [mutex, lock, reentrant, cell].into_iter().for_each(|offset| say(offset, len));
        let found = [
            Mutex::<u64>::at(&segment, mutex).map(|mutex| *mutex.lock().unwrap()),
            RwLock::<u64>::at(&segment, lock).map(|lock| *lock.read().unwrap()),
            ReentrantMutex::<u64>::at(&segment, reentrant).map(|mutex| mutex.lock().unwrap().get()),
            OnceLock::<u64>::at(&segment, cell).map(|cell| *cell.get().unwrap()),
        ];
        for found in found {
            match found {
                Ok(value) => assert_eq!((len, value), (1, 7)),
                Err(error) => assert!(len != 1 && error.kind() == InvalidData, "{len}: {error}"),
            }
        }
    }
}

// fault 74
#[test]
fn words_that_change_all_the_time_break_no_rule() {
    let _watchdog = watchdog();
    let segment = Segment::anonymous(64 << 10).unwrap();
    let mutex = Mutex::new_in(&segment, [0u64; 8]).unwrap();
    let semaphore = Semaphore::new_in(&segment, 1).unwrap();
    let condvar = Condvar::new_in(&segment).unwrap();
    let over = std::sync::atomic::AtomicBool::new(false);
    use std::sync::atomic::Ordering::Relaxed;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let words = garbage();
            for word in words.iter().cycle() {
                if over.load(Relaxed) {
                    break;
                }
                for at in 0..3 {
                    scribble(&segment, mutex.offset(), at, *word);
                }
                scribble(&segment, semaphore.offset(), 0, *word);
                for at in [0, 6, 7, 70, 71] {
                    scribble(&segment, condvar.offset(), at, *word);
                }
            }
        });
        let until = Instant::now() + Duration::from_secs(1);
        while Instant::now() < until {
            let _ = mutex.lock_timeout(SHORT).map(|guard| drop(guard.to_vec()));
            let _ = mutex.lock_timeout(SHORT).map(drop);
            let _ = semaphore.acquire_timeout(SHORT).map(drop);
            let _ = condvar.notify_one();
        }
        over.store(true, Relaxed);
    });
}
