//! Selections whose channels lead to other processes.

use std::time::Duration;

use multiprocess::process::Builder;
use multiprocess::{
    JoinError, Receiver, Route, Select, Sender, after, select, select_biased, spawn, tick,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use testkit::watchdog;

use super::{LONG, SHORT};

const ROUTES: [Route; 2] = [Route::Shm, Route::Pipe];

fn channel<T: Serialize + DeserializeOwned>(route: Route) -> (Sender<T>, Receiver<T>) {
    match route {
        Route::Shm => multiprocess::bounded(4).unwrap(),
        route => route.channel().unwrap(),
    }
}

#[test]
fn a_parent_selects_among_the_results_of_its_children() {
    multiprocess::init();
    let _watchdog = watchdog();
    const EACH: usize = 300;
    fn count(tx: Sender<usize>) {
        (0..EACH).for_each(|n| tx.send(n).unwrap());
    }
    for routes in [[Route::Shm; 3], [Route::Pipe; 3], [Route::Shm, Route::Pipe, Route::Shm]] {
        let (children, receivers): (Vec<_>, Vec<_>) = routes
            .into_iter()
            .map(|route| {
                let (tx, rx) = channel(route);
                (spawn(count, tx).unwrap(), rx)
            })
            .unzip();
        let mut select = Select::new();
        receivers.iter().for_each(|rx| _ = select.recv(rx));
        let mut next = [0; 3];
        for _ in 0..3 * (EACH + 1) {
            let operation = select.select();
            let index = operation.index();
            match operation.recv(&receivers[index]) {
                Ok(number) => {
                    assert_eq!(number, next[index]);
                    next[index] += 1;
                }
                // The child has ended.
                Err(error) => {
                    assert!(matches!(error, multiprocess::RecvError::Disconnected));
                    select.remove(index);
                }
            }
        }
        assert_eq!(next, [EACH; 3]);
        children.into_iter().for_each(|child| child.join().unwrap());
    }
}

#[test]
fn two_processes_that_select_answer_each_other() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn play((ball, to, over): (Receiver<u32>, Sender<u32>, Receiver<()>)) -> u32 {
        let mut hits = 0;
        loop {
            select! {
                recv(ball) -> hit => {
                    hits += 1;
                    to.send(hit.unwrap() + 1).unwrap();
                }
                recv(over) -> message => {
                    assert!(message.is_err());
                    return hits;
                }
            }
        }
    }
    for (there, back, end) in
        [(Route::Shm, Route::Shm, Route::Shm), (Route::Pipe, Route::Pipe, Route::Pipe)]
            .into_iter()
            .chain([(Route::Shm, Route::Pipe, Route::Shm), (Route::Pipe, Route::Shm, Route::Pipe)])
    {
        let (to, ball) = channel(there);
        let (from, answers) = channel(back);
        let (over, is_over) = channel(end);
        let child = spawn(play, (ball, from, is_over)).unwrap();
        let mut hit = 0;
        while hit < 1000 {
            select! {
                send(to, hit) -> sent => sent.unwrap(),
                recv(after(LONG)) -> _ => panic!("there is room for one"),
            }
            hit = select! {
                recv(answers) -> answer => answer.unwrap() + 1,
                recv(after(LONG)) -> _ => panic!("the child does not answer"),
            };
        }
        drop(over);
        assert_eq!(child.join().unwrap(), 500);
    }
}

#[test]
fn each_message_is_received_by_one_of_several_processes() {
    multiprocess::init();
    let _watchdog = watchdog();
    const EACH: u64 = 500;
    fn receive(receivers: Vec<Receiver<u64>>) -> Vec<u64> {
        let mut select = Select::new();
        receivers.iter().for_each(|rx| _ = select.recv(rx));
        let (mut got, mut open) = (Vec::new(), receivers.len());
        while open > 0 {
            let operation = select.select();
            let index = operation.index();
            match operation.recv(&receivers[index]) {
                Ok(number) => got.push(number),
                Err(_) => {
                    select.remove(index);
                    open -= 1;
                }
            }
        }
        got
    }
    for route in ROUTES {
        let (tx, rx) = channel(route);
        let (other, from_other) = channel(route);
        let children: Vec<_> =
            (0..3).map(|_| spawn(receive, vec![rx.clone(), from_other.clone()]).unwrap()).collect();
        drop((rx, from_other));
        for n in 0..EACH {
            select! {
                send(tx, n) -> sent => sent.unwrap(),
                send(other, n) -> sent => sent.unwrap(),
            }
        }
        drop((tx, other));
        let mut all: Vec<_> =
            children.into_iter().flat_map(|child| child.join().unwrap()).collect();
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..EACH), "{} messages", all.len());
    }
}

#[test]
fn processes_that_send_in_selections_are_merged() {
    multiprocess::init();
    let _watchdog = watchdog();
    const EACH: u64 = 400;
    fn send((tx, other, first): (Sender<u64>, Sender<u64>, u64)) {
        for n in first..first + EACH {
            select! {
                send(tx, n) -> sent => sent.unwrap(),
                send(other, n) -> sent => sent.unwrap(),
            }
        }
    }
    for route in ROUTES {
        let (tx, rx) = channel(route);
        let (other, from_other) = channel(route);
        let children: Vec<_> = (0..2)
            .map(|child| spawn(send, (tx.clone(), other.clone(), child * EACH)).unwrap())
            .collect();
        drop((tx, other));
        let (mut all, mut open) = (Vec::new(), [true; 2]);
        let mut select = Select::new();
        let (first, second) = (select.recv(&rx), select.recv(&from_other));
        while open.contains(&true) {
            let operation = select.select();
            let index = operation.index();
            match operation.recv(if index == first { &rx } else { &from_other }) {
                Ok(number) => all.push(number),
                Err(_) => {
                    open[usize::from(index == second)] = false;
                    select.remove(index);
                }
            }
        }
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..2 * EACH), "{} messages", all.len());
        children.into_iter().for_each(|child| child.join().unwrap());
    }
}

#[test]
fn a_process_that_is_killed_makes_its_channels_ready() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn wait((tx, rx, here): (Sender<u32>, Receiver<u32>, Sender<()>)) {
        here.send(()).unwrap();
        // Nothing arrives: the parent has the only sender, and does not use it.
        _ = rx.recv();
        drop(tx);
    }
    for route in ROUTES {
        let (tx, rx) = channel::<u32>(route);
        let (to, from) = channel::<u32>(route);
        let (here, is_here) = channel(route);
        let child = spawn(wait, (tx, from, here)).unwrap();
        is_here.recv().unwrap();
        let mut select = Select::new();
        let receiving = select.recv(&rx);
        assert!(select.select_timeout(SHORT).is_err());
        child.kill().unwrap();
        let operation = select.select();
        assert_eq!(operation.index(), receiving);
        assert!(operation.recv(&rx).is_err());
        assert_eq!(rx.disconnect_cause(), Some(multiprocess::DisconnectCause::Died));
        // What fits is sent as long as the death is not noticed.
        while select! {
            send(to, 7) -> sent => sent.is_ok(),
            default(LONG) => panic!("the only receiver is dead"),
        } {}
        assert!(matches!(child.join(), Err(JoinError::Killed(9))));
    }
}

#[test]
fn the_end_of_a_child_a_timer_and_messages_are_awaited_together() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn work((tx, leave): (Sender<u32>, Receiver<()>)) -> u32 {
        tx.send(1).unwrap();
        leave.recv().unwrap();
        7
    }
    for route in ROUTES {
        let (tx, rx) = channel(route);
        let (leave, leaving) = channel(route);
        // Another process has a sender, so the end of the child does not disconnect the channel.
        let other = tx.clone();
        let child = spawn(work, (tx, leaving)).unwrap();
        let ticks = tick(SHORT);
        let mut select = Select::new();
        let (message, pulse, end) = (select.recv(&rx), select.recv(&ticks), select.join(&child));
        let (mut messages, mut pulses) = (0, 0);
        loop {
            let operation = select.select();
            match operation.index() {
                index if index == message => messages += operation.recv(&rx).unwrap(),
                index if index == pulse => {
                    operation.recv(&ticks).unwrap();
                    pulses += 1;
                    if pulses == 3 {
                        leave.send(()).unwrap();
                    }
                }
                index => {
                    assert_eq!(index, end);
                    operation.complete();
                    break;
                }
            }
        }
        assert!(messages == 1 && pulses >= 3, "{messages} messages, {pulses} pulses");
        assert_eq!(child.try_join().expect("it has ended").unwrap(), 7);
        drop(other);
    }
}

#[test]
fn a_sieve_whose_filters_are_processes() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn filter((from, to, prime): (Receiver<u32>, Sender<u32>, u32)) {
        for number in from {
            if number % prime != 0 && to.send(number).is_err() {
                return;
            }
        }
    }
    for route in ROUTES {
        let (tx, mut numbers) = channel(route);
        let mut primes = Vec::new();
        let mut children = Vec::new();
        let (mut next, limit) = (2, after(LONG));
        while primes.len() < 5 {
            // The first process of the chain is this one, and so is the last.
            select_biased! {
                recv(numbers) -> prime => {
                    let prime = prime.unwrap();
                    primes.push(prime);
                    let (to, after_it) = channel(route);
                    let from = std::mem::replace(&mut numbers, after_it);
                    let child = Builder::new().kill_on_drop(true).spawn(filter, (from, to, prime));
                    children.push(child.unwrap());
                }
                send(tx, next) -> sent => {
                    sent.unwrap();
                    next += 1;
                }
                recv(limit) -> _ => panic!("{primes:?} in {LONG:?}"),
            }
        }
        assert_eq!(primes, [2, 3, 5, 7, 11]);
        drop((tx, numbers));
        children.into_iter().for_each(|child| child.join().unwrap());
    }
}

#[test]
fn a_silent_child_is_waited_for_no_longer_than_allowed() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn answer((rx, tx): (Receiver<u32>, Sender<u32>)) {
        for number in rx {
            // Odd ones have no answer.
            if number % 2 == 0 {
                tx.send(number * 10).unwrap();
            }
        }
    }
    for route in ROUTES {
        let (questions, asked) = channel(route);
        let (answers, answered) = channel(route);
        let child = spawn(answer, (asked, answers)).unwrap();
        let ask = |question, patience: Duration| {
            questions.send(question).unwrap();
            select! {
                recv(answered) -> answer => answer.ok(),
                default(patience) => None,
            }
        };
        assert_eq!([ask(2, LONG), ask(3, SHORT), ask(4, LONG)], [Some(20), None, Some(40)]);
        drop(questions);
        child.join().unwrap();
    }
}
