//! Locks that processes find by name.

use multiprocess::shm::lock::PoisonedBy;
use multiprocess::shm::{
    Barrier, BoundedSemaphore, Condvar, Event, Mutex, Once, OnceLock, ReentrantMutex, RwLock,
    Segment, Semaphore,
};
use multiprocess::spawn;
use testkit::watchdog;

use crate::support::in_child;

fn name(what: &str) -> String {
    format!("multiprocess-locks-{}-{what}", std::process::id())
}

#[test]
fn a_named_lock_is_one_in_all_processes_and_goes_with_its_last_handle() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = name("mutex");
    assert_eq!(Mutex::<u64>::open(&name).unwrap_err().kind(), std::io::ErrorKind::NotFound);
    let mutex = Mutex::create(&name, 0u64).unwrap();
    assert_eq!(Mutex::create(&name, 0u64).unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    let children: Vec<_> = (0..4)
        .map(|_| {
            let add = |name: String| {
                let mutex = Mutex::open_or_create(&name, 100u64).unwrap();
                for _ in 0..1000 {
                    *mutex.lock().unwrap() += 1;
                }
            };
            spawn(add, name.clone()).unwrap()
        })
        .collect();
    children.into_iter().for_each(|child| child.join().unwrap());
    assert_eq!(mutex.get().unwrap(), 4000);
    // Of another type it is not.
    assert_eq!(Mutex::<i64>::open(&name).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    assert_eq!(Event::open(&name).unwrap_err().kind(), std::io::ErrorKind::InvalidData);
    drop(mutex);
    assert_eq!(Mutex::<u64>::open(&name).unwrap_err().kind(), std::io::ErrorKind::NotFound);
}

// fault 9
#[test]
fn a_name_that_all_left_by_dying_is_usable_at_once() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = name("orphan");
    fn dies(name: String) {
        let mutex = Mutex::create(&name, [1u64, 1]).unwrap();
        let mut guard = mutex.lock().unwrap();
        guard[0] = 2;
        std::process::abort();
    }
    let child = spawn(dies, name.clone()).unwrap();
    assert!(child.join().is_err());
    let mutex = Mutex::open_or_create(&name, [9u64, 9]).unwrap();
    let guard = mutex.lock().unwrap_err();
    // Its pid only if this process did not get its id.
    assert!(matches!(guard.cause(), Some(PoisonedBy::OwnerDied { .. })));
    assert_eq!(*guard.into_guard().unwrap(), [2, 1]);
}

#[test]
fn every_kind_has_a_name_if_it_is_given_one() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = name("kinds");
    let names: Vec<_> = (0..10).map(|i| format!("{name}-{i}")).collect();
    let slice = Mutex::create_from_slice(&names[0], &[1u8, 2]).unwrap();
    let lock = RwLock::create(&names[1], 5u32).unwrap();
    let reentrant = ReentrantMutex::create(&names[2], 6u32).unwrap();
    let semaphore = Semaphore::create(&names[3], 7).unwrap();
    let bounded = BoundedSemaphore::create(&names[4], 8).unwrap();
    let barrier = Barrier::create(&names[5], 1).unwrap();
    let event = Event::create(&names[6]).unwrap();
    let condvar = Condvar::create(&names[7]).unwrap();
    let once = Once::create(&names[8]).unwrap();
    let cell = OnceLock::<u32>::create(&names[9]).unwrap();
    let use_all = |names: Vec<String>| {
        Mutex::<[u8]>::open(&names[0]).unwrap().lock().unwrap()[1] = 3;
        *RwLock::<u32>::open(&names[1]).unwrap().write().unwrap() = 15;
        ReentrantMutex::<u32>::open(&names[2]).unwrap().lock().unwrap().set(16);
        Semaphore::open(&names[3]).unwrap().release(1).unwrap();
        assert!(BoundedSemaphore::open(&names[4]).unwrap().release(1).is_err());
        assert!(Barrier::open(&names[5]).unwrap().wait().unwrap().is_leader());
        Event::open(&names[6]).unwrap().set().unwrap();
        Condvar::open(&names[7]).unwrap().notify_all().unwrap();
        Once::open(&names[8]).unwrap().call_once(|| ()).unwrap();
        OnceLock::<u32>::open(&names[9]).unwrap().set(19).unwrap().unwrap();
    };
    in_child(use_all, names.clone());
    assert_eq!(slice.to_vec().unwrap(), [1, 3]);
    assert_eq!((lock.get().unwrap(), reentrant.lock().unwrap().get()), (15, 16));
    assert_eq!((semaphore.available_permits(), bounded.available_permits()), (8, 8));
    assert!(event.is_set() && once.is_completed() && cell.get() == Some(&19));
    drop((slice, lock, reentrant, semaphore, bounded, barrier, event, condvar, once, cell));
    assert!(names.iter().all(|name| Segment::open(name).is_err()));
}
