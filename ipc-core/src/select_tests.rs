//! The loop, over ends and sleepers of the tests' own.

use std::cell::{Cell, RefCell};
use std::task::Waker;
use std::time::{Duration, Instant};

use super::*;
use crate::ready::{Pace, Tasks, Ticket};

/// An end that writes down what is done to it.
#[derive(Default)]
struct Fake {
    ready: Cell<bool>,
    /// Whether its notifications have moved since the registration.
    notified: Cell<bool>,
    /// Whether a check for dead peers makes it ready.
    dead_peer: Cell<bool>,
    at: Option<Instant>,
    log: RefCell<Vec<&'static str>>,
}

impl Fake {
    fn log(&self) -> Vec<&'static str> {
        self.log.take()
    }
}

impl Pace for Fake {}

impl Ready for Fake {
    fn tasks(&self) -> &'static dyn Tasks {
        unreachable!("no task waits here")
    }

    fn is_ready(&self) -> bool {
        self.ready.get() || self.at.is_some_and(|at| Instant::now() >= at)
    }

    fn register(&self, _waker: &Waker) -> Registration<'_> {
        self.log.borrow_mut().push("register");
        self.notified.set(false);
        Registration { source: Source::Waker, ticket: Ticket(7), barrier: true }
    }

    fn unregister(&self, ticket: Ticket, outcome: Outcome) {
        assert_eq!(ticket, Ticket(7));
        self.log.borrow_mut().push(match outcome {
            Outcome::Used => "used",
            Outcome::Unused => "unused",
        });
    }

    fn notified(&self, _ticket: Ticket) -> bool {
        self.notified.get()
    }

    fn recover_dead(&self) -> bool {
        self.ready.set(self.ready.get() | self.dead_peer.get());
        self.dead_peer.take()
    }

    fn deadline(&self) -> Option<Instant> {
        self.at
    }
}

/// A sleeper whose sleeps do what the test says.
struct Fakes<'a> {
    barriers: Cell<u32>,
    sleeps: Cell<u32>,
    sleep: &'a dyn Fn(u32, Duration) -> bool,
}

impl<'a> Fakes<'a> {
    fn new(sleep: &'a dyn Fn(u32, Duration) -> bool) -> Self {
        Fakes { barriers: Cell::new(0), sleeps: Cell::new(0), sleep }
    }
}

impl Sleeper for Fakes<'_> {
    fn with_waker<R>(&self, with: impl FnOnce(&Waker) -> R) -> R {
        with(Waker::noop())
    }

    fn barrier(&self) -> bool {
        self.barriers.set(self.barriers.get() + 1);
        true
    }

    fn sleep(&self, _sources: &[Source<'_>], timeout: Duration) -> bool {
        self.sleeps.set(self.sleeps.get() + 1);
        assert!(self.sleeps.get() < 1000, "it should be done by now");
        (self.sleep)(self.sleeps.get(), timeout)
    }
}

fn select(ends: &[&Fake], deadline: Deadline, sleeper: &Fakes<'_>) -> Option<usize> {
    let attempt = |i: usize| ends[i].is_ready().then_some(());
    wait(ends.len(), |i| ends[i], deadline, sleeper, attempt, attempt).map(|(i, ())| i)
}

#[test]
fn one_wait_costs_one_barrier_and_leaves_no_registration() {
    let (a, b, c) = (Fake::default(), Fake::default(), Fake::default());
    let wake = |_, _| {
        b.ready.set(true);
        b.notified.set(true);
        true
    };
    let sleeper = Fakes::new(&wake);
    assert_eq!(select(&[&a, &b, &c], Deadline::Never, &sleeper), Some(1));
    assert_eq!((sleeper.barriers.get(), sleeper.sleeps.get()), (1, 1));
    assert_eq!(a.log(), ["register", "unused"]);
    assert_eq!(b.log(), ["register", "used"]);
    assert_eq!(c.log(), ["register", "unused"]);
}

#[test]
fn a_message_that_moves_while_the_ends_are_tried_is_found_without_waiting() {
    let (a, b) = (Fake::default(), Fake::default());
    let asleep = |_, _| -> bool { unreachable!("it does not wait") };
    let mut moved = false;
    let attempt = |i: usize| match i {
        0 => moved.then_some(()),
        _ => {
            moved = true;
            None
        }
    };
    let ends = |i: usize| [&a, &b][i];
    let sleeper = Fakes::new(&asleep);
    let found = wait(2, ends, Deadline::Now, &sleeper, |_| None, attempt);
    assert_eq!(found, Some((0, ())));
}

#[test]
fn an_end_that_the_short_path_misses_keeps_its_turn() {
    let (a, b) = (Fake::default(), Fake::default());
    let asleep = |_, _| -> bool { unreachable!("it does not wait") };
    let sleeper = Fakes::new(&asleep);
    let now = |i: usize| (i == 1).then_some(());
    let found = wait(2, |i| [&a, &b][i], Deadline::Never, &sleeper, now, |_| Some(()));
    assert_eq!(found, Some((0, ())));
}

#[test]
fn an_end_that_is_ready_after_registering_is_seen_without_sleeping() {
    struct Late(Fake);
    impl Pace for Late {}
    impl Ready for Late {
        fn tasks(&self) -> &'static dyn Tasks {
            unreachable!("no task waits here")
        }

        fn is_ready(&self) -> bool {
            self.0.is_ready()
        }
        fn register(&self, waker: &Waker) -> Registration<'_> {
            self.0.ready.set(true);
            self.0.register(waker)
        }
        fn unregister(&self, ticket: Ticket, outcome: Outcome) {
            self.0.unregister(ticket, outcome);
        }
        fn notified(&self, ticket: Ticket) -> bool {
            self.0.notified(ticket)
        }
    }
    let late = Late(Fake::default());
    let sleeper = Fakes::new(&|_, _| panic!("it must not sleep"));
    let attempt = |_| late.is_ready().then_some(());
    let done = wait(1, |_| &late, Deadline::Never, &sleeper, attempt, attempt);
    assert_eq!(done, Some((0, ())));
    assert_eq!(late.0.log(), ["register", "used"]);
}

#[test]
fn only_an_end_that_was_notified_registers_again() {
    let (a, b) = (Fake::default(), Fake::default());
    // Another waiter took what the first notification was about.
    let wake = |sleep, _| {
        b.notified.set(true);
        b.ready.set(sleep == 2);
        true
    };
    let sleeper = Fakes::new(&wake);
    assert_eq!(select(&[&a, &b], Deadline::Never, &sleeper), Some(1));
    assert_eq!(a.log(), ["register", "unused"]);
    assert_eq!(b.log(), ["register", "used", "register", "used"]);
    assert_eq!(sleeper.barriers.get(), 2);
}

#[test]
fn a_dead_peer_of_any_end_is_recovered_after_a_slice() {
    let (a, b) = (Fake::default(), Fake::default());
    b.dead_peer.set(true);
    let sleeper = Fakes::new(&|_, _| false);
    assert_eq!(select(&[&a, &b], Deadline::Never, &sleeper), Some(1));
    assert_eq!(sleeper.sleeps.get(), 1);
}

#[test]
fn at_the_deadline_every_registration_ends_unused() {
    let mut limit = Duration::from_millis(5);
    loop {
        let (a, b) = (Fake::default(), Fake::default());
        let sleep = |_, timeout| {
            assert!(timeout <= limit);
            std::thread::sleep(timeout);
            false
        };
        let sleeper = Fakes::new(&sleep);
        assert_eq!(select(&[&a, &b], Deadline::after(limit), &sleeper), None);
        let (a, b) = (a.log(), b.log());
        assert_eq!(a, b);
        if !a.is_empty() {
            assert_eq!(a, ["register", "unused"]);
            return;
        }
        // On a busy machine the time may be over before the first sleep.
        limit *= 2;
    }
}

#[test]
fn a_sleep_ends_when_an_end_becomes_ready_by_itself() {
    let never = Fake::default();
    let timer = Fake { at: Some(Instant::now() + Duration::from_millis(3)), ..Fake::default() };
    let sleeper = Fakes::new(&|_, timeout| {
        assert!(timeout <= Duration::from_millis(3));
        std::thread::sleep(timeout);
        false
    });
    assert_eq!(select(&[&never, &timer], Deadline::Never, &sleeper), Some(1));
}

#[test]
fn random_order_gives_each_end_the_same_share() {
    for count in [2, 3, 7, 16] {
        let mut first = [[0u32; 16]; 2];
        const EACH: u32 = 4_000;
        for _ in 0..EACH * count as u32 {
            let mut order: Vec<usize> = (0..count).collect();
            shuffle(&mut order);
            let few = Few::fair(count);
            let few: Vec<usize> = (0..count).map(|place| few.at(place)).collect();
            for (mut order, first) in [order, few].into_iter().zip(&mut first) {
                first[order[0]] += 1;
                order.sort_unstable();
                assert_eq!(order, (0..count).collect::<Vec<_>>());
            }
        }
        // Eight standard deviations.
        let fair = |seen: &u32| seen.abs_diff(EACH) < 8 * 64;
        assert!(first.iter().all(|first| first[..count].iter().all(fair)), "{first:?}");
    }
    assert_eq!(
        (0..16).map(|place| Few::biased().at(place)).collect::<Vec<_>>(),
        (0..16).collect::<Vec<_>>()
    );
}
