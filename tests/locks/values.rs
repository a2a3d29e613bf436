//! Values of which not all bytes are valid: textbook programs, and bytes that are none.

use std::num::NonZero;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::thread;
use std::time::Duration;

use bytemuck::{CheckedBitPattern, NoUninit};
use multiprocess::shm::lock::{LockError, PoisonedBy, Refused};
use multiprocess::shm::{
    Condvar, Event, Mutex, OnceLock, ReentrantMutex, RwLock, Segment, SeqLock, Shared, SharedSlice,
};
use multiprocess::spawn;
use testkit::watchdog;

use crate::support::{child_with, in_child, kill, stay};

/// As bytemuck's derives make it.
#[derive(Clone, Copy, Debug, PartialEq)]
#[repr(u8)]
enum Light {
    Red = 1,
    Green = 2,
}

// SAFETY: one byte, which is always initialised.
unsafe impl NoUninit for Light {}
// SAFETY: as large as a `u8`; 1 and 2 are its values.
unsafe impl CheckedBitPattern for Light {
    type Bits = u8;
    fn is_valid_bit_pattern(bits: &u8) -> bool {
        matches!(bits, 1 | 2)
    }
}

fn is_corrupt<R>(answer: Result<R, LockError<impl Sized>>) -> bool {
    matches!(answer.err(), Some(LockError::Refused(Refused::Corrupt(_))))
}

/// Writes a byte at every place where the value of a lock can lie: all but the first words, which
/// are the lock's own.
fn scribble(segment: &Segment, from: usize, byte: u8) {
    segment.write(from, &vec![byte; segment.size() - from]).unwrap();
}

// fault 130: the example of `std::sync::Condvar`.
#[test]
fn a_condition_with_a_truth_value_between_processes() {
    multiprocess::init();
    let _watchdog = watchdog();
    let pair = (Mutex::new(false).unwrap(), Condvar::new().unwrap());
    let child = spawn(
        |(lock, cvar): (Mutex<bool>, Condvar)| {
            let mut started = lock.lock().unwrap();
            *started = true;
            cvar.notify_one().unwrap();
        },
        pair.clone(),
    )
    .unwrap();
    let (lock, cvar) = &pair;
    let mut started = lock.lock().unwrap();
    while !*started {
        started = cvar.wait(started).unwrap();
    }
    drop(started);
    child.join().unwrap();
    assert!(*cvar.wait_while(lock.lock().unwrap(), |started| !*started).unwrap());
    assert!(
        lock.get().unwrap() && lock.update(|started| std::mem::replace(started, false)).unwrap()
    );
    lock.set(true).unwrap();
    assert!(lock.get().unwrap());
}

// fault 130
#[test]
fn truth_values_characters_and_enums_between_processes() {
    multiprocess::init();
    let _watchdog = watchdog();
    type All = (
        (OnceLock<bool>, RwLock<char>, ReentrantMutex<bool>, Mutex<Light>),
        (Mutex<[bool]>, RwLock<NonZero<u32>>),
        (Shared<bool>, SharedSlice<bool>, SeqLock<char>),
    );
    let segment = Segment::anonymous(256 << 10).unwrap();
    let all: All = (
        (
            OnceLock::new_in(&segment).unwrap(),
            RwLock::new_in(&segment, 'a').unwrap(),
            ReentrantMutex::new_in(&segment, false).unwrap(),
            Mutex::new_in(&segment, Light::Red).unwrap(),
        ),
        (
            Mutex::from_slice_in(&segment, &[false; 9]).unwrap(),
            RwLock::new_in(&segment, NonZero::<u32>::MIN).unwrap(),
        ),
        (
            Shared::new_in(&segment, false).unwrap(),
            SharedSlice::new_in(&segment, 9).unwrap(),
            SeqLock::new_in(&segment, 'a').unwrap(),
        ),
    );
    in_child(
        |((once, letter, reentrant, light), (flags, number), (flag, slice, shown)): All| {
            assert_eq!(once.set(true), Ok(Ok(())));
            letter.set('ß').unwrap();
            reentrant.lock().unwrap().set(true);
            assert_eq!(
                light.update(|light| std::mem::replace(light, Light::Green)).unwrap(),
                Light::Red
            );
            flags.lock().unwrap()[8] = true;
            *number.write().unwrap() = NonZero::<u32>::MAX;
            assert!(!flag.swap(true, Release));
            slice.set(8, true);
            shown.writer().unwrap().write('ß');
        },
        all.clone(),
    );
    let ((once, letter, reentrant, light), (flags, number), (flag, slice, shown)) = all;
    assert_eq!(
        (once.get(), once.copied(), once.set(false)),
        (Some(&true), Some(true), Ok(Err(false)))
    );
    assert_eq!((letter.get().unwrap(), *letter.upgradable_read().unwrap()), ('ß', 'ß'));
    assert!(reentrant.lock().unwrap().get());
    assert_eq!(*light.lock().unwrap(), Light::Green);
    let last = [false, false, false, false, false, false, false, false, true];
    assert_eq!((flags.to_vec().unwrap(), &*flags.lock().unwrap()), (last.to_vec(), &last[..]));
    assert_eq!(*number.read().unwrap(), NonZero::<u32>::MAX);
    assert!(flag.load(Acquire) && flag.get());
    assert_eq!(flag.compare_exchange(false, true, Relaxed, Relaxed), Err(true));
    assert_eq!(flag.fetch_update(Relaxed, Relaxed, |flag| Some(!flag)), Ok(true));
    assert!(!flag.get());
    assert_eq!((slice.to_vec(), slice.get(8)), (last.to_vec(), Some(true)));
    assert_eq!(shown.read(), 'ß');
}

// fault 130: what a peer writes that is no value is never lent.
#[test]
fn bytes_that_are_no_value_are_refused_and_repaired() {
    let _watchdog = watchdog();
    let segment = Segment::anonymous(128).unwrap();
    let mutex = Mutex::new_in(&segment, true).unwrap();
    scribble(&segment, mutex.offset() + 40, 2);
    assert!(
        is_corrupt(mutex.lock()) && is_corrupt(mutex.get()) && is_corrupt(mutex.update(|_| ()))
    );
    assert!(mutex.try_lock().is_err() && mutex.lock_timeout(Duration::from_millis(1)).is_err());
    assert!(!mutex.is_locked() && !mutex.is_poisoned(), "it is given back");
    let text = mutex.lock().unwrap_err().to_string();
    assert!(text.contains("no value of its type") && text.contains("set a value"), "{text}");
    mutex.set(true).unwrap();
    assert!(*mutex.lock().unwrap());

    let segment = Segment::anonymous(128).unwrap();
    let flags = Mutex::from_slice_in(&segment, &[true; 3]).unwrap();
    scribble(&segment, flags.offset() + 40 + 2, 2);
    assert!(is_corrupt(flags.lock()) && is_corrupt(flags.to_vec()));

    let segment = Segment::anonymous(16 << 10).unwrap();
    let lock = RwLock::new_in(&segment, 'a').unwrap();
    let mut places = (lock.offset() + 64..segment.size()).step_by(8);
    let at = places.find(|at| {
        let mut word = [0; 4];
        segment.read(*at, &mut word).unwrap();
        word == u32::from('a').to_ne_bytes()
    });
    segment.write(at.unwrap(), &0xd800u32.to_ne_bytes()).unwrap();
    assert!(is_corrupt(lock.read()) && is_corrupt(lock.write()) && is_corrupt(lock.get()));
    assert!(is_corrupt(lock.upgradable_read()) && lock.try_read().is_err());
    assert!(!lock.is_locked(), "each was given back");
    lock.set('b').unwrap();
    assert_eq!(*lock.read().unwrap(), 'b');

    let segment = Segment::anonymous(128).unwrap();
    let once = OnceLock::new_in(&segment).unwrap();
    once.set(Light::Red).unwrap().unwrap();
    scribble(&segment, once.offset() + 24, 3);
    assert_eq!((once.get(), once.copied()), (None, None));
    assert!(matches!(once.get_or_init(|| Light::Green), Err(Refused::Corrupt(_))));
    assert!(matches!(once.wait(), Err(Refused::Corrupt(_))));

    // What copies reads any bytes as some value.
    let segment = Segment::anonymous(4096).unwrap();
    let (flag, letter) =
        (Shared::<bool>::at(&segment, 0).unwrap(), Shared::<char>::at(&segment, 4).unwrap());
    scribble(&segment, 0, 0xfe);
    assert!(flag.get() && flag.load(Relaxed));
    assert_eq!(letter.get(), char::REPLACEMENT_CHARACTER);
    assert_eq!(flag.compare_exchange(false, true, Relaxed, Relaxed), Err(true));
    assert_eq!(flag.compare_exchange(true, false, Relaxed, Relaxed), Ok(true));
    assert!(!flag.get());
    assert_eq!(SharedSlice::<bool>::at(&segment, 0, 3).unwrap().to_vec(), [false, true, true]);
    assert!(segment.view().unwrap().get::<bool>(1).unwrap());
}

// fault 130: also of a dead process.
#[test]
fn a_truth_value_that_a_dead_process_spoilt_can_be_repaired() {
    multiprocess::init();
    let _watchdog = watchdog();
    let segment = Segment::anonymous(128).unwrap();
    let mutex = Mutex::new_in(&segment, false).unwrap();
    let child = child_with(&mutex, |(mutex, here): (Mutex<bool>, Event)| {
        let mut guard = mutex.lock().unwrap();
        *guard = true;
        stay(&here);
    });
    let pid = kill(child);
    let guard = mutex.lock().unwrap_err();
    assert_eq!(guard.cause(), Some(PoisonedBy::OwnerDied { pid }));
    assert!(*guard.into_guard().unwrap(), "what it had written");
    scribble(&segment, mutex.offset() + 40, 2);
    assert!(is_corrupt(mutex.lock()), "poisoned, and no value");
    assert_eq!(mutex.set(true).unwrap_err().cause(), Some(PoisonedBy::OwnerDied { pid }));
    mutex.clear_poison();
    mutex.set(false).unwrap();
    assert!(!*mutex.lock().unwrap());
}

// fault 130: a peer that writes all the time, while others lock.
#[test]
fn a_truth_value_that_changes_all_the_time_is_a_value_or_is_refused() {
    let _watchdog = watchdog();
    let segment = Segment::anonymous(128).unwrap();
    let mutex = Mutex::new_in(&segment, false).unwrap();
    let done = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                for byte in 0..4 {
                    scribble(&segment, mutex.offset() + 40, byte);
                }
            }
        });
        let mut found = [0; 3];
        while found[1] < 100 || found[2] < 100 {
            // It copies.
            match mutex.get() {
                Ok(flag) => found[usize::from(flag)] += 1,
                Err(error) => {
                    assert!(is_corrupt::<()>(Err(error)));
                    found[2] += 1;
                }
            }
        }
        done.store(true, Relaxed);
    });
}
