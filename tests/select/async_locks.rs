//! Locks, events and semaphores in asynchronous programs, between processes.

use std::pin::pin;
use std::task::{Context, Waker};
use std::time::Duration;

use futures_executor::block_on;
use futures_util::future::{Either, join, select};
use multiprocess::after;
use multiprocess::shm::lock::{LockError, Permit};
use multiprocess::shm::{Event, Mutex, RwLock, Semaphore};
use multiprocess::{Receiver, Route, Sender};
use testkit::watchdog;

use crate::processes::{for_ever, kill, start};
use crate::support::{SHORT, channel};

const TURNS: u64 = 300;

/// Adds to both counters as a task, as often as each turn says.
fn add((mutex, lock): (Mutex<u64>, RwLock<u64>)) {
    block_on(async {
        for _ in 0..TURNS {
            *mutex.lock_async().await.unwrap() += 1;
            *lock.write_async().await.unwrap() += 1;
            assert!(*lock.read_async().await.unwrap() > 0);
        }
    });
}

#[test]
fn tasks_of_several_processes_take_turns() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mutex, lock) = (Mutex::new(0).unwrap(), RwLock::new(0).unwrap());
    let children: Vec<_> = (0..2).map(|_| start(add, (mutex.clone(), lock.clone()))).collect();
    add((mutex.clone(), lock.clone()));
    children.into_iter().for_each(|child| child.join().unwrap());
    assert_eq!((*mutex.lock().unwrap(), *lock.read().unwrap()), (3 * TURNS, 3 * TURNS));
}

/// Locks both, reports that, and keeps them until the other side of `stop` is gone.
fn hold((mutex, lock, held, stop): (Mutex<u64>, RwLock<u64>, Sender<()>, Receiver<()>)) {
    let (_one, _two) = (mutex.lock().unwrap(), lock.read().unwrap());
    held.send(()).unwrap();
    let _ = stop.recv();
}

#[test]
fn a_task_waits_until_another_process_unlocks() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mutex, lock) = (Mutex::new(0).unwrap(), RwLock::new(0).unwrap());
    let ((held, is_held), (stop, stopped)) = (channel(Route::Shm), channel(Route::Shm));
    let holder = start(hold, (mutex.clone(), lock.clone(), held, stopped));
    is_held.recv().unwrap();
    block_on(async {
        {
            let both = pin!(join(mutex.lock_async(), lock.write_async()));
            let late = after(SHORT);
            let first = select(both, late.recv_async()).await;
            assert!(matches!(first, Either::Right(_)), "they are held");
        }
        // Nothing stays of the futures that were dropped: readers are admitted.
        assert_eq!(*lock.read_async().await.unwrap(), 0);
        let both = join(mutex.lock_async(), lock.write_async());
        let release = async {
            after(SHORT).recv_async().await.unwrap();
            drop(stop);
        };
        let ((one, two), ()) = join(both, release).await;
        assert_eq!((*one.unwrap(), *two.unwrap()), (0, 0));
    });
    holder.join().unwrap();
}

fn die_with((mutex, lock, held): (Mutex<u64>, RwLock<u64>, Sender<()>)) {
    let (mut one, mut two) = (mutex.lock().unwrap(), lock.write().unwrap());
    (*one, *two) = (1, 1);
    held.send(()).unwrap();
    for_ever();
}

#[test]
fn a_task_takes_a_lock_over_from_a_process_that_was_killed() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mutex, lock) = (Mutex::new(0).unwrap(), RwLock::new(0).unwrap());
    let (held, is_held) = channel(Route::Shm);
    let holder = start(die_with, (mutex.clone(), lock.clone(), held));
    is_held.recv().unwrap();
    block_on(async {
        let both = join(mutex.lock_async(), lock.read_async());
        let death = async {
            after(SHORT).recv_async().await.unwrap();
            kill(holder);
        };
        let ((one, two), ()) = join(both, death).await;
        assert!(matches!(one, Err(LockError::Poisoned(_))));
        assert!(matches!(two, Err(LockError::Poisoned(_))));
    });
}

fn set_and_add((event, permits, told): (Event, Semaphore, Receiver<()>)) {
    for () in told {
        event.set().unwrap();
        permits.release(1).unwrap();
    }
}

#[test]
fn a_task_waits_for_an_event_and_a_permit() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (event, permits) = (Event::auto().unwrap(), Semaphore::new(0).unwrap());
    let (tell, told) = channel(Route::Shm);
    let child = start(set_and_add, (event.clone(), permits.clone(), told));
    block_on(async {
        for _ in 0..50 {
            let both = join(event.wait_async(), permits.acquire_async());
            let set = async {
                after(Duration::from_millis(1)).recv_async().await.unwrap();
                tell.send_async(()).await.unwrap();
            };
            let ((set, permit), ()) = join(both, set).await;
            set.unwrap();
            Permit::forget(permit.unwrap()).unwrap();
        }
        // Dropped, they have taken nothing.
        let mut dropped = Box::pin(join(event.wait_async(), permits.acquire_async()));
        assert!(dropped.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        tell.send_async(()).await.unwrap();
        Permit::forget(permits.acquire_async().await.unwrap()).unwrap();
        drop(dropped);
        event.wait_async().await.unwrap();
    });
    drop(tell);
    child.join().unwrap();
}
