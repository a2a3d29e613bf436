//! `after`, `at`, `tick` and `never`, alone and beside channels.

use std::thread;
use std::time::{Duration, Instant};

use testkit::watchdog;

use super::{Select, Timer, after, at, channel, never, select, select_biased, tick};
use crate::drop_in::{LONG, SHORT};

#[test]
fn after_delivers_the_time_at_which_it_was_due_once() {
    let _watchdog = watchdog();
    let began = Instant::now();
    let timer = after(SHORT);
    let latest = Instant::now() + SHORT;
    let due = timer.recv().unwrap();
    assert!(began + SHORT <= due && due <= latest, "it is due {SHORT:?} after the call");
    assert!(due <= Instant::now());
    assert!(timer.try_recv().unwrap_err().is_empty());
    assert!(timer.recv_timeout(SHORT).unwrap_err().is_timeout());
    assert!(!timer.is_full() && timer.try_iter().next().is_none());
}

#[test]
fn at_delivers_that_time_also_if_it_has_passed() {
    let _watchdog = watchdog();
    let now = Instant::now();
    for due in [now, now + SHORT, now + 3 * SHORT] {
        let timer = at(due);
        assert_eq!(timer.recv(), Ok(due));
        assert!(Instant::now() >= due);
    }
    assert_eq!(at(now).try_recv(), Ok(now));
}

#[test]
fn a_timer_holds_one_message_and_says_whether_it_is_there() {
    let _watchdog = watchdog();
    for timer in [after(SHORT), at(Instant::now() + SHORT), tick(SHORT)] {
        assert_eq!(timer.capacity(), Some(1));
        testkit::until("the timer is due", || !timer.is_empty());
        assert_eq!((timer.len(), timer.is_empty(), timer.is_full()), (1, false, true));
        assert!(timer.try_recv().is_ok());
    }
    let timer = after(LONG);
    assert_eq!((timer.len(), timer.is_empty(), timer.is_full()), (0, true, false));
    assert!(timer.try_recv().unwrap_err().is_empty());
}

#[test]
fn a_time_limit_before_the_timer_is_due_is_kept() {
    let _watchdog = watchdog();
    for timer in [after(LONG), at(Instant::now() + LONG), tick(LONG)] {
        let began = Instant::now();
        assert!(timer.recv_timeout(SHORT).unwrap_err().is_timeout());
        assert!(began.elapsed() >= SHORT);
        let deadline = Instant::now() + SHORT;
        assert!(timer.recv_deadline(deadline).unwrap_err().is_timeout());
        assert!(Instant::now() >= deadline);
    }
    for timer in [after(SHORT), at(Instant::now() + SHORT), tick(SHORT)] {
        assert!(timer.recv_timeout(LONG).is_ok());
        assert!(
            timer.recv_deadline(Instant::now() + SHORT / 2).is_err() || timer.capacity() == Some(1)
        );
    }
}

#[test]
fn clones_of_a_timer_share_its_message() {
    let _watchdog = watchdog();
    let timer = after(SHORT);
    let clones: Vec<_> = (0..4).map(|_| timer.clone()).collect();
    assert!(clones.iter().all(|clone| clone.same_channel(&timer)));
    assert!(!after(SHORT).same_channel(&timer));
    let got: usize = thread::scope(|scope| {
        let receive = |clone: Timer| usize::from(clone.recv_timeout(10 * SHORT).is_ok());
        let threads: Vec<_> =
            clones.into_iter().map(|clone| scope.spawn(move || receive(clone))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(got, 1);
    assert!(timer.try_recv().is_err());
}

#[test]
fn ticks_come_once_each_period_and_do_not_pile_up() {
    let _watchdog = watchdog();
    let began = Instant::now();
    let ticker = tick(SHORT);
    let times: Vec<_> = ticker.iter().take(4).collect();
    assert!(times[0] >= began + SHORT);
    assert!(times.windows(2).all(|pair| pair[1] >= pair[0] + SHORT), "{times:?}");
    assert!(began.elapsed() >= 4 * SHORT);
    // For five periods none is received: one is kept.
    thread::sleep(5 * SHORT);
    let late = Instant::now();
    assert_eq!(ticker.len(), 1);
    assert!(ticker.recv().unwrap() <= late);
    // The next is due a whole period after that was received.
    assert!(ticker.recv().unwrap() >= late + SHORT);
}

#[test]
fn a_receiver_that_waits_gets_ticks_exactly_a_period_apart() {
    let _watchdog = watchdog();
    let ticker = tick(SHORT);
    let times: Vec<_> = ticker.iter().take(20).collect();
    // A busy machine may delay some.
    let exact = times.windows(2).filter(|pair| pair[1] == pair[0] + SHORT).count();
    assert!(exact > 0, "each tick is later than the one before demands");
}

#[test]
fn several_receivers_of_one_ticker_get_different_ticks() {
    let _watchdog = watchdog();
    let ticker = tick(SHORT);
    let mut times: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..3)
            .map(|_| scope.spawn(|| ticker.clone().iter().take(3).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    times.sort_unstable();
    assert!(times.windows(2).all(|pair| pair[1] >= pair[0] + SHORT), "{times:?}");
}

#[test]
fn never_delivers_nothing() {
    let _watchdog = watchdog();
    let nothing = never::<u32>();
    assert!(nothing.try_recv().unwrap_err().is_empty());
    let began = Instant::now();
    assert!(nothing.recv_timeout(SHORT).unwrap_err().is_timeout());
    assert!(nothing.recv_deadline(Instant::now() + SHORT).unwrap_err().is_timeout());
    assert!(began.elapsed() >= 2 * SHORT);
    assert_eq!((nothing.len(), nothing.capacity()), (0, Some(0)));
    assert!(nothing.is_empty() && nothing.is_full());
    assert!(nothing.clone().same_channel(&nothing) && nothing.same_channel(&never()));
    let mut select = Select::new();
    select.recv(&nothing);
    assert!(select.try_ready().is_err());
    assert!(select.select_timeout(SHORT).is_err());
}

#[test]
fn a_duration_beyond_the_clock_never_ends() {
    let _watchdog = watchdog();
    for timer in [after(Duration::MAX), tick(Duration::MAX)] {
        assert!(timer.try_recv().unwrap_err().is_empty());
        assert!(timer.recv_timeout(SHORT).unwrap_err().is_timeout());
        assert!(timer.is_empty());
    }
}

#[test]
fn an_optional_time_limit_is_a_timer_or_never() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(1);
    for limit in [None, Some(LONG)] {
        let timeout = limit.map(after).unwrap_or(never());
        tx.send(1).unwrap();
        select! {
            recv(rx) -> got => assert_eq!(got, Ok(1)),
            recv(timeout) -> _ => unreachable!(),
        }
    }
    let limit: Option<Duration> = std::hint::black_box(Some(SHORT));
    let timeout = limit.map(after).unwrap_or(never());
    select! {
        recv(rx) -> _ => unreachable!(),
        recv(timeout) -> due => assert!(due.unwrap() <= Instant::now()),
    }
}

#[test]
fn a_timer_in_a_select_is_received_or_reported_when_it_is_due() {
    let _watchdog = watchdog();
    let (_tx, rx) = channel::<u32>(1);
    let began = Instant::now();
    let (timer, ticker) = (after(SHORT), tick(3 * SHORT));
    let mut select = Select::new_biased();
    let numbers = [select.recv(&rx), select.recv(&timer), select.recv(&ticker)];
    assert!(select.try_select().is_err() || began.elapsed() >= SHORT);
    assert_eq!(select.ready(), numbers[1]);
    assert!(began.elapsed() >= SHORT);
    let operation = select.select();
    assert_eq!(operation.index(), numbers[1]);
    assert!(operation.recv(&timer).unwrap() >= began + SHORT);
    for turn in 1..=3 {
        let operation = select.select();
        assert_eq!(operation.index(), numbers[2]);
        assert!(operation.recv(&ticker).unwrap() >= began + turn * 3 * SHORT);
    }
    assert!(select.try_select().is_err(), "the timer was received, and the next tick is to come");
    assert!(select.select_timeout(Duration::ZERO).is_err());
}

#[test]
fn of_several_timers_the_one_that_is_due_first_is_chosen() {
    let _watchdog = watchdog();
    let (_tx, rx) = channel::<u32>(1);
    let began = Instant::now();
    let first = select! {
        recv(rx) -> _ => 0,
        recv(after(LONG)) -> _ => 1,
        recv(at(began + SHORT)) -> due => {
            assert_eq!(due, Ok(began + SHORT));
            2
        }
        recv(never::<u8>()) -> _ => 3,
        recv(tick(LONG)) -> _ => 4,
        default(LONG) => 5,
    };
    assert_eq!(first, 2);
}

#[test]
fn the_clones_of_a_timer_in_several_selects_deliver_once() {
    let _watchdog = watchdog();
    for _ in 0..5 {
        let timer = after(SHORT / 2);
        let (stop, stopped) = channel::<()>(4);
        let got: usize = thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|_| {
                    let (timer, stopped) = (timer.clone(), stopped.clone());
                    let stop = stop.clone();
                    scope.spawn(move || {
                        select! {
                            recv(timer) -> _ => {
                                // For each of the other two.
                                stop.send(()).unwrap();
                                stop.send(()).unwrap();
                                1
                            }
                            recv(stopped) -> got => {
                                got.unwrap();
                                0
                            }
                        }
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(got, 1);
    }
}

#[test]
fn a_timer_that_is_due_does_not_hide_a_channel_nor_a_channel_a_timer() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u32>(1);
    let mut chosen = [0; 2];
    for _ in 0..1000 {
        tx.send(1).unwrap();
        select! {
            recv(rx) -> _ => chosen[0] += 1,
            recv(after(Duration::ZERO)) -> _ => {
                chosen[1] += 1;
                assert_eq!(rx.recv(), Ok(1));
            }
        }
    }
    // A share is 500 on average, with a standard deviation of 16.
    assert!(chosen.iter().all(|share| *share > 300), "{chosen:?}");
    let ticker = tick(Duration::ZERO);
    for _ in 0..10 {
        select_biased! {
            recv(rx) -> _ => unreachable!(),
            recv(ticker) -> due => assert!(due.is_ok()),
        }
    }
}
