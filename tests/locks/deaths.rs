//! Holders that are killed, stopped, or leave.

use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::shm::lock::{BarrierError, PoisonedBy};
use multiprocess::shm::{
    Barrier, Condvar, Event, LazyLock, Mutex, Once, OnceLock, ReentrantMutex, RwLock, Segment,
    Semaphore,
};
use multiprocess::spawn;
use rustix::process::{Pid, Signal, kill_process};
use testkit::proc::asleep_at;
use testkit::{busy, stop, until, watchdog};

use crate::support::{child_with, in_child, kill, sleeper, stay};

/// A slice, and what a machine that is shared adds.
const SOON: Duration = Duration::from_millis(500);

// fault 17
#[test]
fn a_killed_owners_waiter_gets_an_error_and_repairs() {
    multiprocess::init();
    let _watchdog = watchdog();
    let mutex = Mutex::new([1u64, 1]).unwrap();
    let mut took = Vec::new();
    for round in 0..12 {
        let child = child_with(&mutex, |(mutex, here)| {
            let mut guard = mutex.lock().unwrap();
            guard[0] += 1; // Half of it.
            stay(&here)
        });
        let theirs = mutex.clone();
        let (got, is_got) = channel();
        let waiter = sleeper(move || {
            let guard = theirs.lock().unwrap_err();
            got.send(Instant::now()).unwrap();
            let cause = guard.cause();
            let mut guard = guard.into_guard().unwrap();
            assert_eq!(guard[0], guard[1] + 1);
            guard[0] = guard[1];
            theirs.clear_poison();
            cause
        });
        thread::sleep(Duration::from_millis(round * 7));
        let killed = Instant::now();
        let pid = kill(child);
        took.push(is_got.recv().unwrap() - killed);
        assert_eq!(waiter.join().unwrap(), Some(PoisonedBy::OwnerDied { pid }));
    }
    assert_eq!(mutex.get().unwrap(), [1, 1]);
    took.sort();
    println!("told after {:?} (median), {:?} (most)", took[6], took[11]);
    assert!(took[11] < SOON * busy(), "{took:?}");
}

// fault 130: what a dead process had locked is not locked.
#[test]
fn locks_of_other_processes_are_locked_until_those_die() {
    multiprocess::init();
    let _watchdog = watchdog();
    type Locks = (Mutex<u32>, RwLock<u32>, RwLock<u32>);
    let locks = (Mutex::new(0u32).unwrap(), RwLock::new(0u32).unwrap(), RwLock::new(0u32).unwrap());
    let child = child_with(&locks, |((mutex, read, written), here): (Locks, Event)| {
        let _guards = (mutex.lock().unwrap(), read.read().unwrap(), written.write().unwrap());
        stay(&here);
    });
    let (mutex, read, written) = &locks;
    let locked = || {
        [mutex.is_locked(), read.is_locked(), written.is_locked(), written.is_locked_exclusive()]
    };
    assert_eq!(locked(), [true; 4]);
    assert!(!read.is_locked_exclusive());
    kill(child);
    assert_eq!(locked(), [false; 4]);
}

// fault 130: also between processes.
#[test]
fn notifying_says_how_many_waiters_of_other_processes_it_woke() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    let children: Vec<_> = (0..3).map(|_| one_that_waits(&mutex, &condvar)).collect();
    assert_eq!(condvar.notify_one(), Ok(true));
    assert_eq!(condvar.notify_all(), Ok(2));
    for child in children {
        kill(child);
    }
}

// fault 17: poison stays until a process clears it.
#[test]
fn a_killed_owner_is_an_error_to_every_process_until_it_is_cleared() {
    multiprocess::init();
    let _watchdog = watchdog();
    let mutex = Mutex::new(0u32).unwrap();
    let child = child_with(&mutex, |(mutex, here)| {
        let _guard = mutex.lock().unwrap();
        stay(&here)
    });
    assert!(mutex.try_lock().unwrap_err().is_would_block());
    assert!(mutex.lock_timeout(Duration::from_millis(20)).unwrap_err().is_timeout());
    let pid = kill(child);
    assert_eq!(mutex.try_lock().unwrap_err().cause(), Some(PoisonedBy::OwnerDied { pid }));
    assert_eq!(mutex.lock().unwrap_err().cause(), Some(PoisonedBy::OwnerDied { pid }));
    let other =
        in_child(|mutex: Mutex<u32>| format!("{}", mutex.lock().unwrap_err()), mutex.clone());
    assert_eq!(other, format!("poisoned lock: process {pid} died while it held it"));
    mutex.clear_poison();
    drop(mutex.lock().unwrap());
}

// fault 18
#[test]
fn an_update_that_is_killed_leaves_the_old_value_and_no_poison() {
    multiprocess::init();
    let _watchdog = watchdog();
    let mutex = Mutex::new([5u64; 40]).unwrap();
    for _ in 0..10 {
        let child = child_with(&(mutex.clone(), Event::new().unwrap()), |((mutex, _), here)| {
            mutex
                .update(|values| {
                    values[..20].fill(6);
                    stay(&here)
                })
                .unwrap()
        });
        kill(child);
        assert_eq!(mutex.get().unwrap(), [5; 40]);
    }
    assert!(!mutex.is_poisoned());
}

// fault 24
#[test]
fn three_thousand_mutexes_of_one_killed_process_all_come_back() {
    multiprocess::init();
    let _watchdog = watchdog();
    const MANY: usize = 3000;
    let segment = Segment::anonymous(MANY * 64).unwrap();
    let mutexes: Vec<_> = (0..MANY).map(|i| Mutex::new_in(&segment, i as u64).unwrap()).collect();
    let offsets: Vec<_> = mutexes.iter().map(Mutex::offset).collect();
    let child = child_with(&(segment.clone(), offsets), |((segment, offsets), here)| {
        let mutexes: Vec<_> =
            offsets.iter().map(|at| Mutex::<u64>::at(&segment, *at).unwrap()).collect();
        let _guards: Vec<_> = mutexes.iter().map(|mutex| mutex.lock().unwrap()).collect();
        stay(&here)
    });
    assert!(
        mutexes.iter().all(|mutex| mutex.try_lock().is_err_and(|error| error.is_would_block()))
    );
    let pid = kill(child);
    for (i, mutex) in mutexes.iter().enumerate() {
        let guard = mutex.lock().unwrap_err();
        assert_eq!(guard.cause(), Some(PoisonedBy::OwnerDied { pid }));
        assert_eq!(*guard.into_guard().unwrap(), i as u64);
    }
}

// fault 27
#[test]
fn a_stopped_owner_is_robbed_of_nothing() {
    multiprocess::init();
    let _watchdog = watchdog();
    let mutex = Mutex::new(0u32).unwrap();
    let child = child_with(&mutex, |(mutex, here)| {
        let _guard = mutex.lock().unwrap();
        stay(&here)
    });
    stop(child.id());
    let began = Instant::now();
    assert!(mutex.lock_timeout(Duration::from_millis(1500)).unwrap_err().is_timeout());
    assert!(began.elapsed() >= Duration::from_millis(1500));
    assert!(mutex.try_lock().unwrap_err().is_would_block());
    // Killed while it is stopped, it is dead.
    child.kill().unwrap();
    assert!(matches!(mutex.lock().unwrap_err().cause(), Some(PoisonedBy::OwnerDied { .. })));
}

// faults 25, 26, 28: a process that is stopped while others wait for the same, or take over, holds
// up only itself.
#[test]
fn a_stopped_waiter_holds_up_no_other() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    let holder = child_with(&mutex, |(mutex, here)| {
        let _guard = mutex.lock().unwrap();
        stay(&here)
    });
    let stopped = child_with(&(mutex.clone(), condvar.clone()), |((mutex, _), here)| {
        here.set().unwrap();
        drop(mutex.lock());
        stay(&here)
    });
    thread::sleep(Duration::from_millis(20));
    let pid = Pid::from_raw(stopped.id() as i32).unwrap();
    stop(stopped.id());
    kill(holder);
    let began = Instant::now();
    assert!(mutex.lock().unwrap_err().cause().is_some());
    mutex.clear_poison();
    assert!(began.elapsed() < SOON * busy());
    kill_process(pid, Signal::CONT).unwrap();
    for _ in 0..100 {
        drop(mutex.lock().unwrap());
    }
    kill(stopped);
}

// fault 87
#[test]
fn what_is_forgotten_comes_back_at_the_end_of_the_process() {
    multiprocess::init();
    let _watchdog = watchdog();
    let mutex = Mutex::new(0u32).unwrap();
    let lock = RwLock::new(0u32).unwrap();
    let semaphore = Semaphore::new(1).unwrap();
    spawn(
        |(mutex, lock, semaphore): (Mutex<u32>, RwLock<u32>, Semaphore)| {
            std::mem::forget(mutex.lock().unwrap());
            std::mem::forget(lock.read().unwrap());
            std::mem::forget(semaphore.acquire().unwrap());
        },
        (mutex.clone(), lock.clone(), semaphore.clone()),
    )
    .unwrap()
    .join()
    .unwrap();
    assert!(matches!(mutex.lock().unwrap_err().cause(), Some(PoisonedBy::OwnerDied { .. })));
    drop(lock.write().unwrap());
    drop(semaphore.acquire().unwrap());
}

#[test]
fn a_killed_holder_of_a_reentrant_mutex_is_an_error() {
    multiprocess::init();
    let _watchdog = watchdog();
    let mutex = ReentrantMutex::new(0u32).unwrap();
    let child = child_with(&mutex, |(mutex, here)| {
        let _guards = [(); 5].map(|()| mutex.lock().unwrap());
        stay(&here)
    });
    let pid = kill(child);
    let guard = mutex.lock().unwrap_err();
    assert_eq!(guard.cause(), Some(PoisonedBy::OwnerDied { pid }));
    drop(guard);
    let theirs = mutex.clone();
    thread::spawn(move || assert!(theirs.try_lock().unwrap_err().cause().is_some()))
        .join()
        .unwrap();
}

#[test]
fn a_killed_reader_is_subtracted() {
    multiprocess::init();
    let _watchdog = watchdog();
    let lock = RwLock::new(0u32).unwrap();
    let children: Vec<_> = (0..3)
        .map(|_| {
            child_with(&lock, |(lock, here)| {
                let _guards = [(); 3].map(|()| lock.read().unwrap());
                stay(&here)
            })
        })
        .collect();
    let theirs = lock.clone();
    let writer = sleeper(move || {
        *theirs.write().unwrap() = 1;
        Instant::now()
    });
    assert!(!writer.is_finished());
    let killed = Instant::now();
    children.into_iter().for_each(|child| {
        kill(child);
    });
    assert!(writer.join().unwrap() - killed < SOON * busy());
    assert!(!lock.is_poisoned());
    assert_eq!(*lock.try_read().unwrap(), 1);
}

#[test]
fn a_killed_writer_is_an_error_to_readers_and_one_that_waited_is_not() {
    multiprocess::init();
    let _watchdog = watchdog();
    let lock = RwLock::new(0u32).unwrap();
    let child = child_with(&lock, |(lock, here)| {
        let _guard = lock.write().unwrap();
        stay(&here)
    });
    let theirs = lock.clone();
    let reader = sleeper(move || theirs.read().unwrap_err().cause());
    let pid = kill(child);
    assert_eq!(reader.join().unwrap(), Some(PoisonedBy::OwnerDied { pid }));
    assert_eq!(lock.try_write().unwrap_err().cause(), Some(PoisonedBy::OwnerDied { pid }));
    lock.clear_poison();
    // One that waits for readers, and one that may upgrade.
    let reading = lock.read().unwrap();
    let waiting = child_with(&lock, |(lock, here)| {
        here.set().unwrap();
        let _guard = lock.write();
        stay(&here)
    });
    // From when on it keeps new readers out.
    let theirs = lock.clone();
    thread::spawn(move || until("it is locked", || theirs.try_read().is_err())).join().unwrap();
    kill(waiting);
    let theirs = lock.clone();
    thread::spawn(move || drop(theirs.read().unwrap())).join().unwrap();
    drop(reading);
    let upgradable = child_with(&lock, |(lock, here)| {
        let _guard = lock.upgradable_read().unwrap();
        stay(&here)
    });
    assert!(lock.try_write().unwrap_err().is_would_block());
    kill(upgradable);
    drop(lock.write().unwrap());
}

/// A child that waits for the condition, with the mutex unlocked.
fn one_that_waits(mutex: &Mutex<u32>, condvar: &Condvar) -> multiprocess::JoinHandle<()> {
    let child = child_with(&(mutex.clone(), condvar.clone()), |((mutex, condvar), here)| {
        let guard = mutex.lock().unwrap();
        here.set().unwrap();
        drop(condvar.wait(guard));
        stay(&here)
    });
    // It has the mutex until it waits.
    drop(mutex.lock().unwrap());
    child
}

#[test]
fn a_notification_of_a_killed_process_is_passed_on() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    for _ in 0..5 {
        let child = one_that_waits(&mutex, &condvar);
        stop(child.id());
        let theirs = (mutex.clone(), condvar.clone());
        let waiter = sleeper(move || {
            drop(theirs.1.wait(theirs.0.lock().unwrap()).unwrap());
            Instant::now()
        });
        // The older one's, which cannot take it any more.
        condvar.notify_one().unwrap();
        thread::sleep(Duration::from_millis(60));
        assert!(!waiter.is_finished());
        let killed = Instant::now();
        kill(child);
        assert!(waiter.join().unwrap() - killed < SOON * busy());
        // Nothing is left of it.
        let (guard, result) =
            condvar.wait_timeout(mutex.lock().unwrap(), Duration::from_millis(20)).unwrap();
        assert!(result.timed_out());
        drop(guard);
    }
}

/// More than have places of their own: the others are a crowd.
#[test]
fn one_that_is_killed_before_it_notifies_wakes_all_that_wait_once() {
    multiprocess::init();
    let _watchdog = watchdog();
    const ALL: u32 = 70;
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    let child = child_with(&condvar, |(_condvar, here)| stay(&here));
    let waiting: Vec<_> = (0..ALL)
        .map(|_| {
            let theirs = (mutex.clone(), condvar.clone());
            thread::spawn(move || {
                let mut guard = theirs.0.lock().unwrap();
                *guard += 1;
                drop(theirs.1.wait(guard).unwrap());
            })
        })
        .collect();
    // Each has the mutex until it waits.
    until("all are through", || *mutex.lock().unwrap() == ALL);
    kill(child);
    waiting.into_iter().for_each(|waiter| waiter.join().unwrap());
    let (guard, result) =
        condvar.wait_timeout(mutex.lock().unwrap(), Duration::from_millis(30)).unwrap();
    assert!(result.timed_out(), "that death is told already");
    drop(guard);
}

#[test]
fn a_process_killed_with_the_mutex_is_an_error_to_one_that_waits() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    let waiter = one_that_waits_here(&mutex, &condvar);
    let child = child_with(&(mutex.clone(), condvar.clone()), |((mutex, _condvar), here)| {
        let _guard = mutex.lock().unwrap();
        stay(&here)
    });
    let pid = kill(child);
    assert_eq!(waiter.join().unwrap(), Some(PoisonedBy::OwnerDied { pid }));
}

/// A thread that waits for the condition; why it was told that the mutex is poisoned.
fn one_that_waits_here(
    mutex: &Mutex<u32>,
    condvar: &Condvar,
) -> thread::JoinHandle<Option<PoisonedBy>> {
    let theirs = (mutex.clone(), condvar.clone());
    let (send, has_it) = channel();
    let waiter = thread::spawn(move || {
        let guard = theirs.0.lock().unwrap();
        send.send(()).unwrap();
        theirs.1.wait(guard).err().and_then(|error| error.cause())
    });
    has_it.recv().unwrap();
    // It has the mutex until it waits.
    drop(mutex.lock().unwrap());
    waiter
}

/// Ends in order while one waits, without having dropped its handle: it counts as a death; with it
/// dropped, it does not.
#[test]
fn a_process_that_ends_without_dropping_its_handle_wakes_the_waiters() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    thread::scope(|scope| {
        let guard = mutex.lock().unwrap();
        scope.spawn(|| spawn(drop::<Condvar>, condvar.clone()).unwrap().join().unwrap());
        let (_guard, result) = condvar.wait_timeout(guard, Duration::from_millis(300)).unwrap();
        assert!(result.timed_out(), "woken by one that has left");
    });
    let waiter = one_that_waits_here(&mutex, &condvar);
    spawn(std::mem::forget::<Condvar>, condvar.clone()).unwrap().join().unwrap();
    assert_eq!(waiter.join().unwrap(), None);
    // Of a named one, the name goes when the program ends; its threads may go on for a moment more.
    let name = format!("multiprocess-locks-{}-ends", std::process::id());
    let condvar = Condvar::create(&name).unwrap();
    let waiter = one_that_waits_here(&mutex, &condvar);
    spawn(|name: String| std::mem::forget(Condvar::open(&name).unwrap()), name)
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(waiter.join().unwrap(), None);
}

#[test]
fn a_process_killed_and_replaced_before_any_check_is_an_error() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mutex, condvar, woken) =
        (Mutex::new(0u32).unwrap(), Condvar::new().unwrap(), Event::new().unwrap());
    let child = child_with(&condvar, |(_condvar, here)| stay(&here));
    let all = (mutex.clone(), condvar.clone(), woken.clone());
    let waiter = child_with(&all, |((mutex, condvar, woken), here)| {
        let guard = mutex.lock().unwrap();
        here.set().unwrap();
        drop(condvar.wait(guard).unwrap());
        woken.set().unwrap();
        stay(&here)
    });
    // It has the mutex until it waits.
    drop(mutex.lock().unwrap());
    stop(waiter.id());
    kill(child);
    let heir = child_with(&condvar, |(_condvar, here)| stay(&here));
    kill_process(Pid::from_raw(waiter.id() as i32).unwrap(), Signal::CONT).unwrap();
    assert!(woken.wait_timeout(Duration::from_secs(20)).unwrap(), "it sleeps");
    kill(heir);
    kill(waiter);
}

// fault 13
#[test]
fn a_notification_of_one_that_is_killed_before_it_has_the_mutex_is_passed_on() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mutex, condvar) = (Mutex::new(0u32).unwrap(), Condvar::new().unwrap());
    let child = one_that_waits(&mutex, &condvar);
    let theirs = (mutex.clone(), condvar.clone());
    let waiter = sleeper(move || drop(theirs.1.wait(theirs.0.lock().unwrap()).unwrap()));
    let guard = mutex.lock().unwrap();
    let before = std::iter::repeat_with(|| asleep_at(child.id())).flatten().next().unwrap();
    // The older one's, which wakes up and waits for the mutex.
    condvar.notify_one().unwrap();
    let elsewhere = |(thread, [call, at]): (&_, &[String; 2])| {
        before.get(thread).is_some_and(|[same, old]| call == same && at != old)
    };
    until("it sleeps elsewhere", || {
        asleep_at(child.id()).is_some_and(|now| now.iter().any(elsewhere))
    });
    kill(child);
    drop(guard);
    waiter.join().unwrap();
}

#[test]
fn the_permits_of_dead_processes_come_back() {
    multiprocess::init();
    let _watchdog = watchdog();
    let semaphore = Semaphore::new(4).unwrap();
    for _ in 0..5 {
        let child = child_with(&semaphore, |(semaphore, here)| {
            let _permits = [(); 3].map(|()| semaphore.acquire().unwrap());
            stay(&here)
        });
        let ours = semaphore.acquire().unwrap();
        assert!(semaphore.try_acquire().unwrap().is_none());
        let waiters = [(); 2].map(|()| {
            let theirs = semaphore.clone();
            sleeper(move || {
                let _permit = theirs.acquire().unwrap();
                Instant::now()
            })
        });
        let killed = Instant::now();
        kill(child);
        for waiter in waiters {
            assert!(waiter.join().unwrap() - killed < SOON * busy());
        }
        assert_eq!(semaphore.available_permits(), 3);
        drop(ours);
        assert_eq!(semaphore.available_permits(), 4);
    }
}

#[test]
fn a_killed_party_breaks_the_barrier_also_before_it_came() {
    multiprocess::init();
    let _watchdog = watchdog();
    let barrier = Barrier::new(3).unwrap();
    let waits: fn((Barrier, Event)) = |(barrier, here)| {
        here.set().unwrap();
        let _ = barrier.wait();
        stay(&here)
    };
    let works: fn((Barrier, Event)) = |(_barrier, here)| stay(&here);
    for f in [waits, works] {
        let child = child_with(&barrier, f);
        let theirs = barrier.clone();
        let waiter = sleeper(move || (theirs.wait(), Instant::now()));
        thread::sleep(Duration::from_millis(20));
        assert!(!waiter.is_finished());
        let killed = Instant::now();
        kill(child);
        let (result, told) = waiter.join().unwrap();
        assert_eq!(result, Err(BarrierError::Broken));
        assert!(told - killed < SOON * busy());
        barrier.reset().unwrap();
        assert!(!barrier.is_broken() && barrier.waiting() == 0);
    }
    // One that has left is not missed.
    in_child(drop, barrier.clone());
    let waiters = [(); 2].map(|()| {
        let theirs = barrier.clone();
        sleeper(move || theirs.wait())
    });
    thread::sleep(Duration::from_millis(100));
    barrier.wait().unwrap();
    waiters.into_iter().for_each(|waiter| assert!(waiter.join().unwrap().is_ok()));
}

#[test]
fn a_killed_initialiser_is_followed_by_the_next() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (once, cell) = (Once::new().unwrap(), OnceLock::<u64>::new().unwrap());
    let child = child_with(&once, |(once, here)| once.call_once(|| stay(&here)).unwrap());
    let other = child_with(&cell, |(cell, here)| {
        let _ = cell.get_or_init(|| stay(&here));
    });
    let (theirs, their_cell) = (once.clone(), cell.clone());
    let waiter = sleeper(move || {
        let mut ran = false;
        theirs.call_once(|| ran = true).unwrap();
        (ran, Instant::now())
    });
    let cell_waiter = sleeper(move || *their_cell.get_or_init(|| 7).unwrap());
    assert!(!waiter.is_finished() && !cell_waiter.is_finished());
    let killed = Instant::now();
    kill(child);
    kill(other);
    let (ran, when) = waiter.join().unwrap();
    assert!(ran && when - killed < SOON * busy());
    assert_eq!((cell_waiter.join().unwrap(), cell.copied()), (7, Some(7)));
}

// fault 130
#[test]
fn a_party_that_is_killed_in_its_action_breaks_the_barrier() {
    multiprocess::init();
    let _watchdog = watchdog();
    let barrier = Barrier::new(2).unwrap();
    let theirs = barrier.clone();
    let waiter = sleeper(move || theirs.wait());
    until("one waits", || barrier.waiting() == 1);
    let child = child_with(&barrier, |(barrier, here): (Barrier, Event)| {
        let _ = barrier.wait_then(|| stay(&here));
    });
    let theirs = barrier.clone();
    let early = sleeper(move || theirs.wait());
    assert!(!waiter.is_finished() && !early.is_finished(), "the action runs: no party passes");
    kill(child);
    assert_eq!(waiter.join().unwrap(), Err(BarrierError::Broken));
    assert_eq!(early.join().unwrap(), Err(BarrierError::Broken));
}

// fault 130
#[test]
fn a_lazy_value_is_made_by_the_next_process_if_the_first_is_killed() {
    multiprocess::init();
    let _watchdog = watchdog();
    let lazy = LazyLock::new(|| 7u64).unwrap();
    let child = child_with(lazy.once(), |(once, here): (OnceLock<u64>, Event)| {
        // A function that never ends: it says where it is by what lies beside it.
        static HERE: std::sync::OnceLock<Event> = std::sync::OnceLock::new();
        HERE.set(here).unwrap();
        let _ = LazyLock::force(&LazyLock::over(once, || stay(HERE.get().unwrap())));
    });
    assert_eq!(LazyLock::get(&lazy), None);
    let theirs = lazy.clone();
    let waiter = sleeper(move || *LazyLock::force(&theirs).unwrap());
    assert!(!waiter.is_finished());
    kill(child);
    assert_eq!(waiter.join().unwrap(), 7);
    let other = in_child(
        |once: OnceLock<u64>| {
            *LazyLock::force(&LazyLock::over(once, || unreachable!("it is there"))).unwrap()
        },
        lazy.once().clone(),
    );
    assert_eq!((other, LazyLock::get(&lazy)), (7, Some(&7)));
}

#[test]
fn an_event_that_woke_a_killed_process_wakes_another() {
    multiprocess::init();
    let _watchdog = watchdog();
    let event = Event::auto().unwrap();
    let child = child_with(&event, |(event, here)| {
        here.set().unwrap();
        event.wait().unwrap();
        stay(&here)
    });
    thread::sleep(Duration::from_millis(20));
    stop(child.id());
    let theirs = event.clone();
    let waiter = sleeper(move || theirs.wait().unwrap());
    // Whichever is woken: the stopped one does not take it.
    event.set().unwrap();
    let began = Instant::now();
    waiter.join().unwrap();
    assert!(began.elapsed() < SOON * busy());
    kill(child);
    assert!(!event.is_set());
}
