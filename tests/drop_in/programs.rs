//! Programs as one writes them in Go or with crossbeam-channel.

use std::thread;
use std::time::Duration;

use testkit::watchdog;

use super::{Receiver, Select, Sender, after, channel, never, select, select_biased, tick};
use crate::drop_in::{LONG, SHORT};

#[test]
fn prime_sieve() {
    let _watchdog = watchdog();
    /// Passes on what `prime` does not divide, until `quit` is disconnected.
    fn filter(from: Receiver<u32>, to: Sender<u32>, prime: u32, quit: Receiver<()>) {
        loop {
            let number = select! {
                recv(from) -> number => match number {
                    Ok(number) => number,
                    Err(_) => return,
                },
                recv(quit) -> _ => return,
            };
            if number % prime != 0 {
                select! {
                    send(to, number) -> sent => if sent.is_err() { return },
                    recv(quit) -> _ => return,
                }
            }
        }
    }
    let (quit, quitting) = channel::<()>(1);
    thread::scope(|scope| {
        let (tx, mut numbers) = channel(1);
        scope.spawn(move || (2..).try_for_each(|n| tx.send(n)));
        let mut primes = Vec::new();
        for _ in 0..20 {
            let prime = numbers.recv().unwrap();
            primes.push(prime);
            let (to, next) = channel(1);
            let (from, quit) = (std::mem::replace(&mut numbers, next), quitting.clone());
            scope.spawn(move || filter(from, to, prime, quit));
        }
        assert_eq!(primes[..8], [2, 3, 5, 7, 11, 13, 17, 19]);
        assert_eq!(primes[19], 71);
        drop((quit, numbers));
    });
}

#[test]
fn ping_pong() {
    let _watchdog = watchdog();
    fn play(name: u32, ball: Receiver<u32>, to: Sender<u32>, over: Receiver<()>) -> u32 {
        let mut hits = 0;
        loop {
            select! {
                recv(ball) -> hit => {
                    let Ok(hit) = hit else { return hits };
                    assert_eq!(hit % 2, name);
                    hits += 1;
                    if to.send(hit + 1).is_err() {
                        return hits;
                    }
                }
                recv(over) -> _ => return hits,
            }
        }
    }
    let (serve, ping) = channel(1);
    let (back, pong) = channel(1);
    let (over, is_over) = channel::<()>(1);
    thread::scope(|scope| {
        let to_other = serve.clone();
        let clock = is_over.clone();
        let players = [
            scope.spawn(move || play(0, ping, back, is_over)),
            scope.spawn(move || play(1, pong, to_other, clock)),
        ];
        serve.send(0).unwrap();
        drop(serve);
        after(SHORT).recv().unwrap();
        drop(over);
        let hits = players.map(|player| player.join().unwrap());
        assert!(hits[0] > 0 && hits[0].abs_diff(hits[1]) <= 1, "{hits:?}");
    });
}

#[test]
fn fan_in() {
    let _watchdog = watchdog();
    const EACH: u32 = 300;
    let all: Vec<(Sender<u32>, Receiver<u32>)> = (0..6).map(|_| channel(2)).collect();
    let (senders, receivers): (Vec<_>, Vec<_>) = all.into_iter().unzip();
    let (merged, numbers) = channel::<(usize, u32)>(4);
    thread::scope(|scope| {
        for tx in senders {
            scope.spawn(move || (0..EACH).for_each(|n| tx.send(n).unwrap()));
        }
        scope.spawn(move || {
            let mut select = Select::new();
            receivers.iter().for_each(|rx| _ = select.recv(rx));
            for _ in 0..receivers.len() + receivers.len() * EACH as usize {
                let operation = select.select();
                let index = operation.index();
                match operation.recv(&receivers[index]) {
                    Ok(number) => merged.send((index, number)).unwrap(),
                    Err(_) => select.remove(index),
                }
            }
        });
        let mut next = [0; 6];
        for (index, number) in numbers {
            assert_eq!(number, next[index]);
            next[index] += 1;
        }
        assert_eq!(next, [EACH; 6]);
    });
}

#[test]
fn a_generator_that_can_be_stopped() {
    let _watchdog = watchdog();
    let (numbers, fibonacci) = channel::<u64>(1);
    let (quit, quitting) = channel::<()>(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            let (mut this, mut next) = (0, 1);
            loop {
                select! {
                    send(numbers, this) -> sent => if sent.is_err() { return },
                    recv(quitting) -> _ => return,
                }
                (this, next) = (next, u64::wrapping_add(this, next));
            }
        });
        let first: Vec<_> = fibonacci.iter().take(11).collect();
        assert_eq!(first, [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55]);
        quit.send(()).unwrap();
        // There is room to send each time, which does not hide that it is to stop.
        assert!(fibonacci.iter().count() < 1000);
    });
}

#[test]
fn an_answer_within_a_time_or_none() {
    let _watchdog = watchdog();
    let (questions, asked) = channel::<u32>(4);
    let (answers, answered) = channel::<u32>(4);
    thread::scope(|scope| {
        scope.spawn(move || {
            for question in asked {
                // Odd ones have no answer.
                if question % 2 == 0 {
                    answers.send(question * 10).unwrap();
                }
            }
        });
        let ask = |question: u32, patience: Duration| {
            questions.send(question).unwrap();
            select! {
                recv(answered) -> answer => answer.ok(),
                recv(after(patience)) -> _ => None,
            }
        };
        assert_eq!([ask(2, LONG), ask(3, SHORT), ask(4, LONG)], [Some(20), None, Some(40)]);
        drop(questions);
    });
}

#[test]
fn default_in_a_loop_does_other_work_meanwhile() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u64>(2);
    let (begin, begun) = channel::<()>(1);
    thread::scope(|scope| {
        scope.spawn(move || {
            begun.recv().unwrap();
            (0..50).for_each(|n| tx.send(n).unwrap());
        });
        let (mut sum, mut idle) = (0, 0u64);
        loop {
            select! {
                recv(rx) -> number => match number {
                    Ok(number) => sum += number,
                    Err(_) => break,
                },
                default => {
                    idle += 1;
                    if idle == 3 {
                        begin.send(()).unwrap();
                    }
                    thread::yield_now();
                }
            }
        }
        assert_eq!(sum, 49 * 25);
        assert!(idle >= 3);
    });
}

#[test]
fn a_chain_of_a_hundred_links() {
    let _watchdog = watchdog();
    const LINKS: u32 = 100;
    thread::scope(|scope| {
        let (first, mut from) = channel::<u32>(1);
        let (stop, stopped) = channel::<()>(1);
        for _ in 0..LINKS {
            let (to, next) = channel(1);
            let (previous, stopped) = (std::mem::replace(&mut from, next), stopped.clone());
            scope.spawn(move || {
                loop {
                    select! {
                        recv(previous) -> number => match number {
                            Ok(number) => to.send(number + 1).unwrap(),
                            Err(_) => return,
                        },
                        recv(stopped) -> _ => return,
                    }
                }
            });
        }
        for n in 0..5 {
            first.send(n).unwrap();
            assert_eq!(from.recv(), Ok(n + LINKS));
        }
        // The end of the first goes through all of them.
        drop(first);
        assert!(from.recv().is_err());
        drop(stop);
    });
}

#[test]
fn workers_with_results_errors_and_a_time_limit() {
    let _watchdog = watchdog();
    let (jobs, queue) = channel::<u32>(4);
    let (results, done) = channel::<u32>(4);
    let (failures, failed) = channel::<String>(4);
    thread::scope(|scope| {
        for _ in 0..3 {
            let (queue, results, failures) = (queue.clone(), results.clone(), failures.clone());
            scope.spawn(move || {
                for job in queue {
                    match job % 10 {
                        0 => failures.send(format!("job {job} failed")).unwrap(),
                        _ => results.send(job).unwrap(),
                    }
                }
            });
        }
        drop((queue, results, failures));
        let (mut next, mut sum, mut errors) = (1, 0, 0);
        let limit = after(LONG);
        while (sum, errors) != (5050 - 550, 10) {
            // Jobs are given out only while there are some.
            let mut select = Select::new();
            let (result, failure, late) =
                (select.recv(&done), select.recv(&failed), select.recv(&limit));
            if next <= 100 {
                select.send(&jobs);
            }
            let operation = select.select();
            match operation.index() {
                index if index == result => sum += operation.recv(&done).unwrap(),
                index if index == failure => {
                    assert!(operation.recv(&failed).unwrap().ends_with("0 failed"));
                    errors += 1;
                }
                index if index == late => panic!("the workers hang"),
                _ => {
                    operation.send(&jobs, next).unwrap();
                    next += 1;
                }
            }
        }
        drop(jobs);
    });
}

#[test]
fn urgent_messages_go_first() {
    let _watchdog = watchdog();
    let (urgent, from_urgent) = channel::<u32>(4);
    let (usual, from_usual) = channel::<u32>(4);
    (0..3).for_each(|n| usual.send(n).unwrap());
    (10..13).for_each(|n| urgent.send(n).unwrap());
    let mut got = Vec::new();
    for _ in 0..6 {
        select_biased! {
            recv(from_urgent) -> number => got.push(number.unwrap()),
            recv(from_usual) -> number => got.push(number.unwrap()),
            default => unreachable!(),
        }
    }
    assert_eq!(got, [10, 11, 12, 0, 1, 2]);
}

#[test]
fn a_loop_with_a_pulse() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u64>(1);
    let (pulse, end) = (tick(SHORT / 2), after(LONG));
    thread::scope(|scope| {
        scope.spawn(move || while tx.send(1).is_ok() {});
        let (mut messages, mut pulses) = (0u64, 0);
        while messages == 0 || pulses < 3 {
            select! {
                recv(rx) -> number => messages += number.unwrap(),
                recv(pulse) -> due => {
                    due.unwrap();
                    pulses += 1;
                }
                recv(never::<()>()) -> _ => unreachable!(),
                recv(end) -> _ => panic!("{messages} messages, {pulses} pulses"),
            }
        }
        drop(rx);
    });
}
