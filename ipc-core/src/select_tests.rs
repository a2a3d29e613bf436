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
    /// Whether an attempt costs a system call.
    is_file: bool,
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

    fn file(&self) -> Option<Source<'_>> {
        self.is_file.then_some(Source::Waker)
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
    polls: Cell<u32>,
    /// What the so many-th poll finds.
    poll: &'a dyn Fn(u32) -> bool,
}

impl<'a> Fakes<'a> {
    fn new(sleep: &'a dyn Fn(u32, Duration) -> bool) -> Self {
        let polls = Cell::new(0);
        Fakes { barriers: Cell::new(0), sleeps: Cell::new(0), sleep, polls, poll: &|_| false }
    }
}

impl Sleeper for Fakes<'_> {
    fn with_waker<R>(&self, with: impl FnOnce(&Waker) -> R) -> R {
        with(Waker::noop())
    }

    fn poll(&self, _files: &[Source<'_>]) -> bool {
        self.polls.set(self.polls.get() + 1);
        (self.poll)(self.polls.get())
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
    let now = |i: usize| attempt(i).into();
    wait(ends.len(), |i| ends[i], deadline, sleeper, now, attempt).map(|(i, ())| i)
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
    let found = wait(2, ends, Deadline::Now, &sleeper, |_| Quick::Unknown, attempt);
    assert_eq!(found, Some((0, ())));
}

#[test]
fn an_end_that_the_short_path_misses_keeps_its_turn() {
    let (a, b) = (Fake::default(), Fake::default());
    let asleep = |_, _| -> bool { unreachable!("it does not wait") };
    let sleeper = Fakes::new(&asleep);
    let now = |i: usize| if i == 1 { Quick::Done(()) } else { Quick::Unknown };
    let found = wait(2, |i| [&a, &b][i], Deadline::Never, &sleeper, now, |_| Some(()));
    assert_eq!(found, Some((0, ())));
}

#[test]
fn an_end_that_is_not_ready_is_not_tried_completely_before_another_that_is() {
    let (a, b) = (Fake::default(), Fake::default());
    let asleep = |_, _| -> bool { unreachable!("it does not wait") };
    let sleeper = Fakes::new(&asleep);
    let now = |i: usize| if i == 1 { Quick::Done(()) } else { Quick::NotNow };
    let complete = |_| -> Option<()> { panic!("it is not needed") };
    let found = wait(2, |i| [&a, &b][i], Deadline::Never, &sleeper, now, complete);
    assert_eq!(found, Some((1, ())));
}

#[test]
fn files_are_tried_only_if_a_poll_of_all_finds_one_ready() {
    let (word, near, far) = (Fake::default(), file(), file());
    let ends = [&word, &near, &far];
    let poll = |poll| {
        near.ready.set(poll == 7);
        poll == 7
    };
    let mut sleeper = Fakes::new(&|_, _| panic!("it must not sleep"));
    sleeper.poll = &poll;
    let tries = [const { Cell::new(0) }; 3];
    let attempt = |i: usize| {
        tries[i].set(tries[i].get() + 1);
        ends[i].is_ready().then_some(())
    };
    let now = |i: usize| attempt(i).into();
    let found = wait(3, |i| ends[i], Deadline::Never, &sleeper, now, attempt);
    assert_eq!((found, sleeper.polls.get()), (Some((1, ())), 7));
    assert_eq!(tries.map(Cell::into_inner), [8, 2, 1]);
}

fn file() -> Fake {
    Fake { is_file: true, ..Fake::default() }
}

#[test]
fn for_files_alone_the_system_is_asked_once() {
    let (near, far) = (file(), file());
    let wake = |_, _| {
        far.ready.set(true);
        true
    };
    let sleeper = Fakes::new(&wake);
    assert_eq!(select(&[&near, &far], Deadline::Never, &sleeper), Some(1));
    assert_eq!((sleeper.polls.get(), sleeper.sleeps.get()), (0, 1));
}

#[test]
fn all_ends_learn_how_a_wait_ended_and_none_spins_beside_a_peer_on_its_processor() {
    /// An end on which a wait ends after so many pauses.
    #[derive(Default)]
    struct Spinner {
        spins: u32,
        here: bool,
        pauses: Cell<u32>,
        ended: Cell<Option<Ended>>,
    }
    impl Pace for Spinner {
        fn spins(&self) -> u32 {
            self.spins
        }
        fn shares_processor(&self) -> bool {
            self.here
        }
        fn pause(&self) {
            self.pauses.set(self.pauses.get() + 1);
        }
        fn waited(&self, ended: Ended) {
            self.ended.set(Some(ended));
        }
    }
    impl Ready for Spinner {
        fn tasks(&self) -> &'static dyn Tasks {
            unreachable!("no task waits here")
        }

        fn is_ready(&self) -> bool {
            false
        }
        fn register(&self, _waker: &Waker) -> Registration<'_> {
            unreachable!("it is ready before")
        }
        fn unregister(&self, _ticket: Ticket, _outcome: Outcome) {}
        fn notified(&self, _ticket: Ticket) -> bool {
            false
        }
    }
    let sleeper = Fakes::new(&|_, _| panic!("it must not sleep"));
    for here in [false, true] {
        let few = Spinner { spins: 3, here, ..Spinner::default() };
        let many = Spinner { spins: 9, ..Spinner::default() };
        let ends = [&few, &many];
        let mut tries = 0;
        let attempt = |_| {
            tries += 1;
            (tries == 12).then_some(())
        };
        let now = |_| Quick::Unknown;
        assert!(wait(2, |i| ends[i], Deadline::Never, &sleeper, now, attempt).is_some());
        assert_eq!((few.pauses.get(), many.pauses.get()), (0, if here { 0 } else { 5 }));
        let ended = ends.map(|end| end.ended.get().unwrap());
        assert_eq!(ended[0], ended[1]);
        assert_eq!(matches!(ended[0], Ended::Yielding(_)), here);
    }
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
    let now = |i| attempt(i).into();
    let done = wait(1, |_| &late, Deadline::Never, &sleeper, now, attempt);
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
    for count in [1, 2, 3, 7, 16, 100] {
        const EACH: u32 = 4_000;
        let mut first = vec![0u32; count];
        // How often the first end comes before the second.
        let mut before = 0;
        for _ in 0..EACH * count as u32 {
            let round = Round::fair(count);
            let mut order: Vec<usize> = (0..count).map(|place| round.at(place)).collect();
            first[order[0]] += 1;
            before += u32::from(order.iter().find(|end| **end < 2) == Some(&0));
            order.sort_unstable();
            assert_eq!(order, (0..count).collect::<Vec<_>>());
        }
        // Eight standard deviations.
        assert!(first.iter().all(|seen| seen.abs_diff(EACH) < 8 * 64), "{first:?}");
        let all = EACH * count as u32;
        assert!(count == 1 || before.abs_diff(all / 2) < 4 * all.isqrt(), "{before} of {all}");
    }
    let in_order: Vec<usize> = (0..9).map(|place| Round::in_order(9).at(place)).collect();
    assert_eq!(in_order, (0..9).collect::<Vec<_>>());
}
