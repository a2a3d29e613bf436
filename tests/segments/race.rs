//! Many processes at one name at once, some of which are killed: there is never more than one
//! segment.

use std::io::ErrorKind::{AlreadyExists, NotFound};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Duration;

use multiprocess::shm::{Segment, Shared, SharedSlice};
use multiprocess::{JoinHandle, spawn};
use testkit::signals::end_with_the_parent;
use testkit::{Random, seed, until, watchdog_of};

use crate::support::{Name, forbid_unnamed};

const RACERS: usize = 16;

/// What all racers see.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
struct Board {
    /// The number of the segment that each has, 0 if none.
    has: SharedSlice<u64>,
    /// How often each was killed: counted by the test, before it is started again.
    deaths: SharedSlice<u64>,
    /// Numbers that were given to segments.
    numbers: Shared<u64>,
    rounds: Shared<u64>,
    stop: Shared<u8>,
    /// Whether names are removed under their users.
    unlink: Shared<u8>,
}

impl Board {
    fn new() -> Board {
        let segment = Segment::anonymous(8192).unwrap();
        Board {
            has: SharedSlice::new_in(&segment, RACERS).unwrap(),
            deaths: SharedSlice::new_in(&segment, RACERS).unwrap(),
            numbers: Shared::new_in(&segment, 0).unwrap(),
            rounds: Shared::new_in(&segment, 0).unwrap(),
            stop: Shared::new_in(&segment, 0).unwrap(),
            unlink: Shared::new_in(&segment, 0).unwrap(),
        }
    }

    /// Checks that no living process has another segment than `mine`, at this moment.
    fn look(&self, mine: u64) {
        for other in 0..RACERS {
            let (has, deaths) =
                (self.has.element(other).unwrap(), self.deaths.element(other).unwrap());
            let before = deaths.load(Acquire);
            let seen = has.load(Acquire);
            if seen == 0 || seen == mine {
                continue;
            }
            // He had it when he said so, and says so no more before he lets it go. Unless he was
            // killed.
            until("a process has another segment, or was killed", || {
                has.load(Acquire) != seen || deaths.load(Acquire) != before
            });
            assert_ne!(
                deaths.load(Acquire),
                before,
                "racer {other} had segment {seen}, and I have {mine}"
            );
        }
    }
}

/// Opens it or makes it, looks that everybody who has one has the same, lets it go, and so on.
fn run((name, me, board): (String, usize, Board)) {
    end_with_the_parent();
    if me % 4 == 0 {
        // Some make it under its name.
        forbid_unnamed();
    }
    let mut random = Random::new(me as u64 * 77 + u64::from(std::process::id()));
    let has = board.has.element(me).unwrap();
    let unlink = board.unlink.get() == 1;
    while board.stop.load(Relaxed) == 0 {
        if random.below(5) == 0 {
            Segment::remove_abandoned(&name).unwrap();
        }
        let (result, expected) = match random.below(4) {
            0 => (Segment::create(&name, 64), Some(AlreadyExists)),
            1 => (Segment::open(&name), Some(NotFound)),
            _ => (Segment::open_or_create(&name, 64), None),
        };
        let segment = match result {
            Ok(segment) => segment,
            Err(error) if Some(error.kind()) == expected => continue,
            Err(error) => panic!("{error}"),
        };
        // A segment says its number to each process that has it; the first one gives it.
        let word = Shared::<u64>::at(&segment, 0).unwrap();
        let new = board.numbers.fetch_add(1, Relaxed) + 1;
        let number =
            word.compare_exchange(0, new, AcqRel, Acquire).map_or_else(|number| number, |_| new);
        if unlink {
            match random.below(3) {
                0 => match Segment::unlink(&name) {
                    Err(error) if error.kind() != NotFound => panic!("{error}"),
                    _ => {}
                },
                _ => assert_eq!(word.load(Relaxed), number),
            }
        } else {
            has.store(number, Release);
            board.look(number);
            has.store(0, Release);
        }
        drop(segment);
        board.rounds.fetch_add(1, Relaxed);
    }
}

fn race(what: &str, unlink: bool, kills: u64) {
    let _watchdog = watchdog_of(Duration::from_secs(50));
    let name = Name::new(what);
    let board = Board::new();
    board.unlink.set(unlink.into());
    let start = |me| spawn(run, (name.0.clone(), me, board.clone())).unwrap();
    let mut racers: Vec<JoinHandle<()>> = (0..RACERS).map(start).collect();
    let mut random = Random::new(seed());
    for _ in 0..kills {
        let rounds = board.rounds.load(Relaxed) + random.below(60);
        until("they go on", || board.rounds.load(Relaxed) >= rounds);
        let victim = random.index(RACERS);
        racers[victim].kill().unwrap();
        // Not before it is dead: what it has said stands until then.
        until("it is dead", || racers[victim].is_finished());
        board.deaths.element(victim).unwrap().fetch_add(1, Release);
        board.has.element(victim).unwrap().store(0, Release);
        let killed = std::mem::replace(&mut racers[victim], start(victim));
        assert!(killed.join().unwrap_err().to_string().contains("signal 9"));
    }
    let rounds = board.rounds.load(Relaxed) + 200;
    until("they go on", || board.rounds.load(Relaxed) >= rounds);
    board.stop.set(1);
    for racer in racers {
        racer.join().unwrap();
    }
    println!("{} rounds, {kills} kills", board.rounds.get());
    assert!(!name.is_there(), "the last one has let it go in order");
    assert!(Segment::list().unwrap().iter().all(|info| info.name != *name.0));
}

// faults 4, 5, 8, 57, 126
#[test]
fn there_is_never_more_than_one_of_a_name_while_processes_are_killed() {
    multiprocess::init();
    race("race", false, 100);
}

// faults 56, 57: with names removed under their users, there may be; each is whole.
#[test]
fn removing_a_name_while_others_come_and_are_killed_does_no_harm() {
    multiprocess::init();
    race("race-unlink", true, 60);
}
