//! Death at each named point of the locks' sources, at the first, second and third time that it is
//! reached, and what the survivor finds.
//!
//! faults 6, 7, 12-14, 17, 18.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Mutex as StdMutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use multiprocess::process::Builder;
use multiprocess::shm::Mutex;
use serde::{Deserialize, Serialize};
use testkit::proc::states;
use testkit::{stop, until, watchdog_of};

use crate::kit::{CELLS, Kit};
use crate::support::{child_with, kill, stay};

/// What a victim does, and the survivor at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Scene {
    Mutex,
    Update,
    ReadWrite,
    Reentrant,
    Semaphore,
    /// Permits that are made, and used up.
    Permits,
    Condition,
    /// More threads that wait than there are places, some of which belong to dead processes.
    ManyDeadWaiters,
    Events,
    Barrier,
    Once,
    Names,
    /// Alone, after a process died with each lock.
    AfterTheDead,
    /// The same, after a dead reader, and notifying before waiting.
    NotifyTheDead,
}

impl Scene {
    /// Which points belong to it.
    fn points(self) -> &'static [&'static str] {
        match self {
            Scene::Mutex => &["lock.", "unlock.", "park."],
            Scene::Update => &["update.", "unlock."],
            Scene::ReadWrite => &["read.", "turn.", "write."],
            Scene::Reentrant => &["reentrant."],
            Scene::Semaphore => &["semaphore."],
            Scene::Permits => &["semaphore.add", "semaphore.give"],
            Scene::ManyDeadWaiters => &[
                "condvar.free",
                "condvar.notified_overflow",
                "condvar.notify_overflow",
                "condvar.overflow",
            ],
            Scene::Condition => &["condvar.", "park."],
            Scene::Events => &["event."],
            Scene::Barrier => &["barrier."],
            Scene::Once => &["once."],
            Scene::Names => &["lock.place", "lock.tag"],
            Scene::AfterTheDead => {
                &["lock.", "turn.", "semaphore.", "condvar.", "once.", "barrier."]
            }
            Scene::NotifyTheDead => &["write.", "condvar."],
        }
    }

    fn reaches(self, point: &str) -> bool {
        self.points().iter().any(|prefix| point.starts_with(prefix))
    }

    /// The victim.
    fn play(self, kit: &Kit) {
        for round in 0..200 {
            match self {
                Scene::Mutex => {
                    kit.lock_mutex();
                    let _ = kit.mutex.try_lock().map(drop);
                    if round % 20 == 0 {
                        // Long enough for the survivor to sleep.
                        let guard = kit.mutex.lock();
                        std::thread::sleep(Duration::from_millis(1));
                        drop(guard);
                    }
                }
                Scene::Update => kit.update(),
                Scene::ReadWrite => {
                    kit.read();
                    kit.write();
                    kit.write_as_task();
                    kit.upgrade();
                    if round % 20 == 0 {
                        let guard = kit.lock.read();
                        std::thread::sleep(Duration::from_millis(1));
                        drop(guard);
                        let guard = kit.lock.write();
                        std::thread::sleep(Duration::from_millis(1));
                        drop(guard);
                    }
                }
                Scene::Reentrant => kit.reenter(),
                Scene::Semaphore => {
                    let one = kit.semaphore.acquire().unwrap();
                    let other = kit.semaphore.try_acquire().unwrap();
                    if round % 20 == 0 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    drop((one, other));
                }
                Scene::Permits => kit.renew_permit(),
                Scene::ManyDeadWaiters => {
                    if round == 0 {
                        std::thread::scope(|scope| {
                            for _ in 0..70 {
                                scope.spawn(|| kit.consume(Some(Duration::from_millis(60))));
                            }
                            std::thread::sleep(Duration::from_millis(30));
                            kit.more.notify_all().unwrap();
                        });
                    }
                }
                Scene::Condition => {
                    if round % 4 == 0 {
                        kit.produce(1);
                    } else {
                        kit.consume(Some(Duration::from_millis(2)));
                    }
                    if round % 20 == 0 {
                        kit.more.notify_all().unwrap();
                    }
                }
                Scene::Events => {
                    if round % 4 == 0 {
                        kit.auto.wait_timeout(Duration::from_millis(2)).unwrap();
                    }
                    kit.auto.set().unwrap();
                    kit.manual.set().unwrap();
                    kit.manual.clear().unwrap();
                }
                Scene::Barrier => {
                    if round % 20 == 0 {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                    drop(kit.barrier.clone());
                    if !kit.meet() || round == 100 {
                        kit.barrier.abort().unwrap();
                        kit.barrier.reset().unwrap();
                    }
                }
                Scene::Once => {
                    if round < CELLS {
                        kit.initialise_slowly(round);
                        multiprocess::shm::Once::new().unwrap().call_once(|| ()).unwrap();
                    }
                }
                Scene::Names => {
                    if round < 20 {
                        drop(Mutex::open_or_create(&name(), [7u64; 2]).unwrap());
                    }
                }
                Scene::AfterTheDead => {
                    if round == 0 {
                        kit.lock_mutex();
                        kit.write();
                        kit.read();
                        kit.use_permit();
                        let permits = [(); 2].map(|()| kit.semaphore.acquire().unwrap());
                        drop(permits);
                        kit.consume(Some(Duration::from_millis(30)));
                        kit.initialise(0);
                        kit.barrier.wait_timeout(Duration::from_millis(20)).unwrap_err();
                        kit.barrier.reset().unwrap();
                    }
                }
                Scene::NotifyTheDead => {
                    if round == 0 {
                        kit.more.notify_one().unwrap();
                        kit.consume(Some(Duration::from_millis(30)));
                        kit.write();
                    }
                }
            }
        }
    }

    /// The survivor, as long as the victim lives.
    fn accompany(self, kit: &Kit, over: &AtomicBool) {
        let mut round = 0;
        while !over.load(Relaxed) {
            match self {
                Scene::Mutex => kit.lock_mutex(),
                Scene::Update => kit.update(),
                Scene::ReadWrite => {
                    kit.write();
                    kit.read();
                }
                Scene::Reentrant => kit.reenter(),
                Scene::Semaphore => {
                    let permits = [(); 2]
                        .map(|()| kit.semaphore.acquire_timeout(Duration::from_millis(3)).unwrap());
                    drop(permits);
                }
                Scene::Condition => {
                    // In turn: now the victim waits and is notified, now the survivor.
                    if round % 40 < 20 {
                        kit.produce(1);
                        std::thread::sleep(Duration::from_micros(300));
                    } else {
                        kit.consume(Some(Duration::from_millis(1)));
                    }
                }
                Scene::Events => {
                    kit.auto.set().unwrap();
                    kit.auto.wait_timeout(Duration::from_micros(500)).unwrap();
                    kit.manual.wait_timeout(Duration::from_micros(100)).unwrap();
                }
                Scene::Barrier => {
                    if !kit.meet() {
                        kit.barrier.reset().unwrap();
                    }
                }
                Scene::Once => kit.initialise_slowly(round % CELLS),
                Scene::Permits => kit.use_permit(),
                Scene::ManyDeadWaiters
                | Scene::Names
                | Scene::AfterTheDead
                | Scene::NotifyTheDead => {
                    std::thread::yield_now();
                }
            }
            round += 1;
        }
    }
}

/// One in each run of the tests: the victims' parent says which.
fn name() -> String {
    let run = std::env::var("LOCKS_RUN").unwrap_or_else(|_| std::process::id().to_string());
    format!("multiprocess-locks-points-{run}")
}

/// Leaves each lock in the hands of a dead process, or of a reader.
fn leave_dead_holders(kit: &Kit, reading: bool) {
    let holds = if reading {
        child_with(kit, |(kit, here)| {
            let _guard = kit.lock.read().unwrap();
            stay(&here)
        })
    } else {
        child_with(kit, |(kit, here)| {
            let _guards = (kit.mutex.lock().unwrap(), kit.lock.write().unwrap());
            let _permits = [(); 2].map(|()| kit.semaphore.acquire().unwrap());
            let _ = kit.cells[0].get_or_init(|| stay(&here));
        })
    };
    let waits = [(); 2].map(|()| {
        let child = child_with(kit, |(kit, here)| {
            let guard = kit.goods.lock().unwrap();
            here.set().unwrap();
            let _ = kit.more.wait(guard);
            stay(&here)
        });
        // It has the mutex until it waits.
        drop(kit.goods.lock().unwrap());
        child
    });
    kill(holds);
    // One is notified, and killed before it knows; the other only waits.
    stop(waits[0].id());
    kit.more.notify_one().unwrap();
    // In this order: as long as the first one lives, its notification is its own.
    waits.into_iter().rev().for_each(|child| {
        kill(child);
    });
}

/// Leaves each place of the condition to a dead process.
fn many_dead_waiters(kit: &Kit) {
    let child = child_with(kit, |(kit, here)| {
        for _ in 0..64 {
            let kit = kit.clone();
            std::thread::spawn(move || drop(kit.more.wait(kit.goods.lock().unwrap())));
        }
        let asleep = || states(std::process::id()).iter().filter(|state| **state == 'S').count();
        until("all sleep", || asleep() >= 64);
        stay(&here)
    });
    kill(child);
}

/// One run: whether the victim died.
fn kill_at(scene: Scene, point: &str, hit: u32) -> bool {
    let kit = Kit::new();
    match scene {
        Scene::AfterTheDead | Scene::NotifyTheDead => {
            leave_dead_holders(&kit, scene == Scene::NotifyTheDead)
        }
        Scene::ManyDeadWaiters => many_dead_waiters(&kit),
        _ => {}
    }
    let victim = Builder::new()
        .env("KILLPOINT", format!("{point}:{hit}"))
        .env("LOCKS_RUN", std::process::id().to_string())
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn(|(scene, kit): (Scene, Kit)| scene.play(&kit), (scene, kit.clone()));
    let victim = match victim {
        Ok(victim) => victim,
        Err(error) => {
            // A handle of the barrier is counted when it arrives.
            assert!(error.to_string().contains("killed by signal 9"), "{error}");
            kit.check();
            return true;
        }
    };
    let over = AtomicBool::new(false);
    let died = std::thread::scope(|scope| {
        scope.spawn(|| scene.accompany(&kit, &over));
        let joined = victim.join();
        over.store(true, Relaxed);
        // A process that waits for a partner that ended waits for this; also if that one was
        // killed, and the wait is the next one, after the barrier had been broken by that and made
        // whole again.
        if scene == Scene::Barrier {
            kit.barrier.abort().unwrap();
        }
        match joined {
            Ok(()) => false,
            Err(multiprocess::JoinError::Killed(9)) => true,
            Err(error) => panic!("{scene:?}, {point}:{hit}: {error}"),
        }
    });
    if scene == Scene::Permits {
        // Killed between making one and using it up, it has left one more.
        kit.forget_surplus();
    }
    kit.check();
    died
}

/// All points in the locks' sources.
fn named() -> BTreeSet<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("ipc-shm/src/lock");
    let mut named = BTreeSet::new();
    for directory in [sources.clone(), sources.join("raw")] {
        for file in fs::read_dir(directory).unwrap().flatten() {
            let Ok(text) = fs::read_to_string(file.path()) else { continue };
            for rest in text.split("kill_point!(\"").skip(1) {
                named.insert(rest.split('"').next().unwrap().to_owned());
            }
        }
    }
    assert!(named.len() > 60, "the sources are elsewhere");
    named
}

/// Where a process died, in which scene.
static DIED: StdMutex<BTreeMap<String, Scene>> = StdMutex::new(BTreeMap::new());

fn play(scene: Scene) {
    let _watchdog = watchdog_of(Duration::from_secs(100));
    let began = Instant::now();
    let (mut runs, mut deaths) = (0, 0);
    for point in named() {
        if !scene.reaches(&point) {
            continue;
        }
        for hit in 1..=3 {
            // Where two race, a point is not reached each time.
            let races = !matches!(scene, Scene::AfterTheDead | Scene::NotifyTheDead | Scene::Names);
            let tries = if hit == 1 && races { 4 } else { 1 };
            let died = (0..tries).any(|_| {
                runs += 1;
                kill_at(scene, &point, hit)
            });
            if !died {
                break;
            }
            deaths += 1;
            DIED.lock().unwrap().insert(point.clone(), scene);
        }
    }
    println!("{scene:?}: {runs} runs, {deaths} deaths in {:?}", began.elapsed());
    assert!(deaths > 0);
}

#[test]
fn killed_at_every_point() {
    multiprocess::init();
    let scenes = [
        Scene::Mutex,
        Scene::Update,
        Scene::ReadWrite,
        Scene::Reentrant,
        Scene::Semaphore,
        Scene::Permits,
        Scene::Condition,
        Scene::ManyDeadWaiters,
        Scene::Events,
        Scene::Barrier,
        Scene::Once,
        Scene::Names,
        Scene::AfterTheDead,
        Scene::NotifyTheDead,
    ];
    scenes.iter().copied().for_each(play);
    let died = DIED.lock().unwrap();
    let mut missing: Vec<_> =
        named().into_iter().filter(|point| !died.contains_key(point)).collect();
    // On a busy machine a point that takes two may need more tries.
    missing.retain(|point| {
        let mut here = scenes.iter().filter(|scene| scene.reaches(point));
        !here.any(|scene| (0..5).any(|_| kill_at(*scene, point, 1)))
    });
    assert!(missing.is_empty(), "no scene reached {missing:?}");
}
