//! Selecting over channels whose other ends are in other processes, some of which are killed.

use std::collections::{BTreeMap, VecDeque};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use multiprocess::pipe::{Duplex, Handle, Listener, connect};
use multiprocess::process::Builder;
use multiprocess::{
    DisconnectCause, JoinError, JoinHandle, Receiver, RecvError, Route, Select, SendError, Sender,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use testkit::proc::{all_asleep, asleep, this_thread};
use testkit::{until, watchdog};

use crate::support::{LONG, SHORT, channel};

/// The routes between processes.
const ROUTES: [Route; 2] = [Route::Shm, Route::Pipe];

/// Its sender, its number, and something that fills a slot or a block.
type Message = (u64, u64, String);

/// Messages of sizes that travel in slots, in blocks, in datagrams and in files.
fn message(sender: u64, number: u64) -> Message {
    let size = [0, 30, 700, 9_000, 120_000][((sender + number) % 5) as usize];
    (sender, number, "x".repeat(size))
}

/// Returns the message's sender and number. Fails if it is torn.
fn seen(message: &Message) -> (u64, u64) {
    assert!(*message == self::message(message.0, message.1), "a torn message of {}", message.0);
    (message.0, message.1)
}

pub(crate) fn start<A: Serialize + DeserializeOwned, R: Serialize + DeserializeOwned>(
    f: fn(A) -> R,
    args: A,
) -> JoinHandle<R> {
    Builder::new().kill_on_drop(true).spawn(f, args).unwrap()
}

/// Waits until it is killed.
pub(crate) fn for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

/// Keeps an end until it is killed.
fn keep<T>(_end: T) {
    for_ever()
}

pub(crate) fn kill<R>(child: JoinHandle<R>)
where
    R: Serialize + DeserializeOwned + std::fmt::Debug,
{
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(9))));
}

/// Runs `wait` in a thread, and `meanwhile` once that thread sleeps.
pub(crate) fn while_asleep<R: Send>(
    wait: impl FnOnce() -> R + Send,
    meanwhile: impl FnOnce(),
) -> R {
    std::thread::scope(|scope| {
        let (said, thread) = std::sync::mpsc::channel();
        let waiter = scope.spawn(move || {
            said.send(this_thread()).unwrap();
            wait()
        });
        let thread = thread.recv().unwrap();
        until("it sleeps", || asleep(std::process::id(), thread));
        meanwhile();
        waiter.join().unwrap()
    })
}

/// Runs a test with two routes, equal ones and different ones.
fn each_pair(test: impl Fn(Route, Route)) {
    for a in ROUTES {
        for b in ROUTES {
            test(a, b);
        }
    }
}

#[test]
fn two_processes_that_select_exchange_messages_over_two_routes() {
    multiprocess::init();
    let _watchdog = watchdog();
    type Ends = ([Receiver<Message>; 2], [Sender<Message>; 2]);
    const N: u64 = 150;
    /// Sends each message back over the other route.
    fn relay((from, to): Ends) {
        let mut waiting: [VecDeque<Message>; 2] = Default::default();
        let mut open = [true; 2];
        while open.contains(&true) || waiting.iter().any(|queue| !queue.is_empty()) {
            let mut select = Select::new();
            let mut what = Vec::new();
            for i in 0..2 {
                if open[i] && waiting[i].len() < 3 {
                    select.recv(&from[i]);
                    what.push((false, i));
                }
                if !waiting[i].is_empty() {
                    select.send(&to[i]);
                    what.push((true, i));
                }
            }
            let chosen = select.select();
            match what[chosen.index()] {
                (true, i) => {
                    chosen.send(&to[i], waiting[i].pop_front().unwrap()).unwrap();
                }
                (false, i) => match chosen.recv(&from[i]) {
                    Ok(message) => waiting[1 - i].push_back(message),
                    Err(error) => {
                        assert_eq!(error, RecvError::Disconnected);
                        open[i] = false;
                    }
                },
            }
        }
    }
    each_pair(|a, b| {
        let ((tx_a, from_a), (tx_b, from_b)) = (channel(a), channel(b));
        let ((to_a, rx_a), (to_b, rx_b)) = (channel(a), channel(b));
        let child = start(relay, ([from_a, from_b], [to_a, to_b]));
        let (mut tx, rx) = ([Some(tx_a), Some(tx_b)], [rx_a, rx_b]);
        let (mut sent, mut got) = ([0; 2], [0; 2]);
        while got != [N; 2] {
            let ends = tx.clone();
            let mut select = Select::new();
            let mut what = Vec::new();
            for i in 0..2 {
                if let Some(tx) = &ends[i] {
                    select.send(tx);
                    what.push((true, i));
                }
                // It is disconnected when all has come.
                if got[i] < N {
                    select.recv(&rx[i]);
                    what.push((false, i));
                }
            }
            let chosen = select.select();
            match what[chosen.index()] {
                (true, i) => {
                    let tx_i = ends[i].as_ref().unwrap();
                    chosen.send(tx_i, message(i as u64, sent[i])).unwrap();
                    sent[i] += 1;
                    if sent[i] == N {
                        tx[i] = None;
                    }
                }
                (false, i) => {
                    let message = chosen.recv(&rx[i]).unwrap();
                    assert_eq!(seen(&message), (1 - i as u64, got[i]), "in order");
                    got[i] += 1;
                }
            }
        }
        child.join().unwrap();
        for rx in &rx {
            let mut select = Select::new();
            select.recv(rx);
            assert_eq!(select.select().recv(rx), Err(RecvError::Disconnected));
        }
    });
}

#[test]
fn selectors_and_receivers_of_several_processes_share_what_two_senders_send() {
    multiprocess::init();
    let _watchdog = watchdog();
    const EACH: u64 = 600;
    fn send((number, tx): (u64, [Sender<Message>; 3])) {
        for next in 0..EACH {
            let mut select = Select::new();
            tx.iter().for_each(|tx| _ = select.send(tx));
            let chosen = select.select();
            let tx = &tx[chosen.index()];
            chosen.send(tx, message(number, next)).unwrap();
        }
    }
    type Seen = Vec<(u64, u64)>;
    fn select_all(mut rx: Vec<Receiver<Message>>) -> Seen {
        let mut all = Vec::new();
        while !rx.is_empty() {
            let mut select = Select::new();
            rx.iter().for_each(|rx| _ = select.recv(rx));
            let chosen = select.select();
            drop(select);
            let index = chosen.index();
            match chosen.recv(&rx[index]) {
                Ok(message) => all.push(seen(&message)),
                Err(_) => _ = rx.remove(index),
            }
        }
        all
    }
    fn receive(rx: Receiver<Message>) -> Seen {
        rx.into_iter().map(|message| seen(&message)).collect()
    }
    let (tx, rx): (Vec<_>, Vec<_>) =
        [Route::Shm, Route::Pipe, Route::Shm].map(channel::<Message>).into_iter().unzip();
    let tx: [Sender<Message>; 3] = tx.try_into().unwrap();
    let senders = [0, 1].map(|number| start(send, (number, tx.clone())));
    let selectors = [0, 1, 2].map(|_| start(select_all, rx.clone()));
    let receivers = [0, 1].map(|i: usize| start(receive, rx[i].clone()));
    drop((tx, rx));
    senders.into_iter().for_each(|child| child.join().unwrap());
    let mut all: Seen = selectors.map(|child| child.join().unwrap()).concat();
    all.extend(receivers.map(|child| child.join().unwrap()).concat());
    all.sort_unstable();
    let expected = (0..2).flat_map(|sender| (0..EACH).map(move |number| (sender, number)));
    assert!(all.into_iter().eq(expected), "each once");
}

// fault 92
#[test]
fn a_channel_whose_senders_are_killed_is_chosen_as_disconnected_in_each_process() {
    multiprocess::init();
    let _watchdog = watchdog();
    /// Selects until the first is disconnected.
    fn select(rx: [Receiver<Message>; 2]) {
        let mut select = Select::new();
        let dead = select.recv(&rx[0]);
        select.recv(&rx[1]);
        let chosen = select.select();
        assert_eq!(chosen.index(), dead);
        assert_eq!(chosen.recv(&rx[0]), Err(RecvError::Disconnected));
        assert_eq!(rx[0].disconnect_cause(), Some(DisconnectCause::Died));
        let mut rest = Select::new();
        rest.recv(&rx[1]);
        assert!(rest.try_select().is_err(), "the other one lives");
    }
    each_pair(|a, b| {
        let ((tx_a, rx_a), (tx_b, rx_b)) = (channel(a), channel(b));
        let (victim, other) = (start(keep, tx_a), start(keep, tx_b));
        let rx = [rx_a, rx_b];
        let selector = start(select, rx.clone());
        until("the process sleeps", || all_asleep(selector.id()));
        while_asleep(|| select(rx), || kill(victim));
        selector.join().unwrap();
        kill(other);
    });
}

// fault 92
#[test]
fn a_channel_whose_receivers_are_killed_is_chosen_as_disconnected_in_each_process() {
    multiprocess::init();
    let _watchdog = watchdog();
    /// Selects until the first is disconnected: both are full.
    fn select(tx: [Sender<Message>; 2]) {
        let mut select = Select::new();
        let dead = select.send(&tx[0]);
        select.send(&tx[1]);
        let chosen = select.select();
        assert_eq!(chosen.index(), dead);
        assert_eq!(chosen.send(&tx[0], message(1, 1)), Err(SendError::Disconnected(message(1, 1))));
        assert_eq!(tx[0].disconnect_cause(), Some(DisconnectCause::Died));
    }
    each_pair(|a, b| {
        let ((tx_a, rx_a), (tx_b, rx_b)) = (channel(a), channel(b));
        while tx_a.try_send(message(0, 2)).is_ok() {}
        while tx_b.try_send(message(0, 2)).is_ok() {}
        let (victim, other) = (start(keep, rx_a), start(keep, rx_b));
        let tx = [tx_a, tx_b];
        let selector = start(select, tx.clone());
        until("the process sleeps", || all_asleep(selector.id()));
        while_asleep(|| select(tx), || kill(victim));
        selector.join().unwrap();
        kill(other);
    });
}

#[test]
fn a_living_channel_is_chosen_beside_dead_ones_that_were_removed() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn send_when_told((tx, go): (Sender<u32>, Receiver<u32>)) {
        tx.send(go.recv().unwrap()).unwrap();
    }
    each_pair(|a, b| {
        let ((dead, rx_a), (tx_b, rx_b)) = (channel::<u32>(a), channel::<u32>(b));
        let (go, told) = channel(a);
        kill(start(keep, dead));
        let child = start(send_when_told, (tx_b, told));
        let mut select = Select::new();
        let first = select.recv(&rx_a);
        let second = select.recv(&rx_b);
        let chosen = select.select();
        assert_eq!(chosen.index(), first);
        assert!(chosen.recv(&rx_a).is_err());
        select.remove(first);
        assert!(select.select_timeout(SHORT).is_err());
        go.send(7).unwrap();
        let chosen = select.select();
        assert_eq!((chosen.index(), chosen.recv(&rx_b)), (second, Ok(7)));
        child.join().unwrap();
    });
}

type Choose<E> = (E, Sender<()>);

/// Chooses to receive, says so, and never completes it.
fn choose_recv((rx, chosen): Choose<Receiver<Message>>) {
    let mut select = Select::new();
    select.recv(&rx);
    let _operation = select.select();
    chosen.send(()).unwrap();
    for_ever()
}

/// Chooses to send, says so, and never completes it.
fn choose_send((tx, chosen): Choose<Sender<Message>>) {
    let mut select = Select::new();
    select.send(&tx);
    let _operation = select.select();
    chosen.send(()).unwrap();
    for_ever()
}

/// Starts a process that chooses, and returns once it has chosen.
fn chooser<E: Serialize + DeserializeOwned>(f: fn(Choose<E>), end: E) -> JoinHandle<()> {
    let (tx, chosen) = channel(Route::Pipe);
    let child = start(f, (end, tx));
    chosen.recv().unwrap();
    child
}

// fault 92
#[test]
fn a_message_that_a_killed_process_had_chosen_goes_to_another_receiver() {
    multiprocess::init();
    let _watchdog = watchdog();
    // In a slot, and in a block.
    for number in [1, 3] {
        for other in ROUTES {
            let ((tx, rx), (_other, rx_other)) = (channel(Route::Shm), channel::<Message>(other));
            tx.send(message(0, number)).unwrap();
            let victim = chooser(choose_recv, rx.clone());
            assert!(rx.try_recv().unwrap_err().is_empty(), "it was chosen there");
            while_asleep(
                || {
                    let mut select = Select::new();
                    let first = select.recv(&rx);
                    select.recv(&rx_other);
                    let chosen = select.select();
                    assert_eq!(chosen.index(), first);
                    let lent = chosen.recv_ref(&rx).unwrap();
                    assert_eq!(seen(&lent), (0, number));
                    assert_eq!(lent.deliveries(), 2);
                },
                || kill(victim),
            );
            assert!(rx.try_recv().unwrap_err().is_empty());
            for next in 0..9 {
                tx.send(message(2, next)).unwrap();
                assert_eq!(seen(&rx.recv().unwrap()), (2, next));
            }
        }
    }
}

// fault 92
#[test]
fn a_message_that_several_killed_processes_had_chosen_counts_each_of_them() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (tx, rx) = channel(Route::Shm);
    tx.send(message(0, 3)).unwrap();
    for _ in 0..3 {
        kill(chooser(choose_recv, rx.clone()));
    }
    let lent = rx.recv_ref().unwrap();
    assert_eq!((seen(&lent), lent.deliveries()), ((0, 3), 4));
}

// fault 92
#[test]
fn all_that_a_killed_process_had_chosen_is_given_back() {
    multiprocess::init();
    let _watchdog = watchdog();
    type Ends = (Receiver<Message>, Sender<Message>);
    /// Chooses two messages and a place, through one handle each.
    fn choose_more(((rx, tx), chosen): Choose<Ends>) {
        let (mut first, mut second, mut place) = (Select::new(), Select::new(), Select::new());
        first.recv(&rx);
        second.recv(&rx);
        place.send(&tx);
        let _operations = [first.select(), second.select(), place.select()];
        // Behind the place.
        tx.send(message(1, 1)).unwrap();
        chosen.send(()).unwrap();
        for_ever()
    }
    // In slots, and in blocks.
    for first in [0, 3] {
        let (tx, rx) = channel(Route::Shm);
        tx.send(message(0, first)).unwrap();
        tx.send(message(5, first)).unwrap();
        let victim = chooser(choose_more, (rx.clone(), tx.clone()));
        assert!(rx.try_recv().unwrap_err().is_empty());
        kill(victim);
        let all: Vec<_> = (0..3).map(|_| seen(&rx.recv().unwrap())).collect();
        assert_eq!(all, [(0, first), (5, first), (1, 1)]);
        assert!(rx.try_recv().unwrap_err().is_empty());
        for number in 0..9 {
            tx.send(message(2, number)).unwrap();
            assert_eq!(seen(&rx.recv().unwrap()), (2, number));
        }
    }
}

// fault 92
#[test]
fn a_place_that_a_killed_process_had_chosen_is_skipped() {
    multiprocess::init();
    let _watchdog = watchdog();
    for other in ROUTES {
        let ((tx, rx), (_other, rx_other)) = (channel(Route::Shm), channel::<Message>(other));
        for round in 0..3 {
            let victim = chooser(choose_send, tx.clone());
            for number in 0..3 {
                tx.send(message(round, number)).unwrap();
            }
            assert!(tx.try_send(message(9, 9)).unwrap_err().is_full(), "its place is one of four");
            let receive = || {
                let mut select = Select::new();
                let first = select.recv(&rx);
                select.recv(&rx_other);
                let chosen = select.select();
                assert_eq!(chosen.index(), first);
                chosen.recv(&rx).unwrap()
            };
            assert_eq!(seen(&while_asleep(receive, || kill(victim))), (round, 0));
            assert_eq!(seen(&receive()), (round, 1));
            assert_eq!(seen(&receive()), (round, 2));
            assert!(rx.try_recv().unwrap_err().is_empty());
        }
    }
}

// fault 92
#[test]
fn a_sender_that_waits_behind_a_killed_process_that_had_chosen_a_place_goes_on() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (tx, rx) = channel(Route::Shm);
    let victims = [0; 4].map(|_| chooser(choose_send, tx.clone()));
    let send = || {
        let mut select = Select::new();
        select.send(&tx);
        select.select().send(&tx, message(0, 3)).unwrap();
    };
    let receive = || seen(&rx.recv().unwrap());
    std::thread::scope(|scope| {
        let receiver = scope.spawn(receive);
        while_asleep(send, || victims.into_iter().for_each(kill));
        assert_eq!(receiver.join().unwrap(), (0, 3));
    });
}

// fault 92
#[test]
fn what_a_killed_process_had_chosen_of_a_socket_is_all_that_is_lost() {
    multiprocess::init();
    let _watchdog = watchdog();
    for number in 1..4 {
        let (tx, rx) = channel(Route::Pipe);
        (0..3).for_each(|next| tx.send(message(number, next)).unwrap());
        kill(chooser(choose_recv, rx.clone()));
        kill(chooser(choose_send, tx.clone()));
        let mut select = Select::new();
        select.recv(&rx);
        for next in 1..3 {
            assert_eq!(seen(&select.select().recv(&rx).unwrap()), (number, next));
        }
        assert!(select.try_select().is_err(), "nothing was sent");
    }
}

// fault 92
#[test]
fn the_last_receiver_that_is_killed_with_a_chosen_message_takes_it_along() {
    multiprocess::init();
    let _watchdog = watchdog();
    for route in ROUTES {
        let (tx, rx) = channel(route);
        tx.send(message(0, 3)).unwrap();
        let victim = chooser(choose_recv, rx);
        while tx.try_send(message(0, 2)).is_ok() {}
        let send = || {
            let mut select = Select::new();
            select.send(&tx);
            select.select().send(&tx, message(0, 2))
        };
        assert!(while_asleep(send, || kill(victim)).unwrap_err().is_disconnected());
    }
}

#[test]
fn the_end_of_a_child_is_chosen_beside_channels() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn answer(rx: Receiver<u32>) -> u32 {
        rx.recv().unwrap()
    }
    for route in ROUTES {
        // It ends by itself, or is killed.
        for killed in [false, true] {
            let (tx, from) = channel(Route::Pipe);
            let (_never, rx) = channel::<u32>(route);
            let child = start(answer, from);
            let child = &child;
            while_asleep(
                || {
                    let mut select = Select::new();
                    select.recv(&rx);
                    let ended = select.join(child);
                    let chosen = select.select();
                    assert_eq!(chosen.index(), ended);
                    chosen.complete();
                },
                || match killed {
                    true => child.kill().unwrap(),
                    false => tx.send(5).unwrap(),
                },
            );
            assert!(child.is_finished());
        }
    }
}

#[test]
fn the_result_of_a_child_is_there_when_its_end_was_chosen() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn answer(rx: Receiver<u32>) -> u32 {
        rx.recv().unwrap() + 1
    }
    let pairs = [1, 2, 3].map(|n| {
        let (tx, rx) = channel::<u32>(Route::Pipe);
        (n, tx, start(answer, rx))
    });
    let mut children = BTreeMap::new();
    for (n, tx, child) in pairs {
        tx.send(n).unwrap();
        children.insert(n, child);
    }
    while !children.is_empty() {
        let mut select = Select::new();
        let numbers: Vec<u32> = children.keys().copied().collect();
        children.values().for_each(|child| _ = select.join(child));
        let chosen = select.select();
        let n = numbers[chosen.index()];
        chosen.complete();
        drop(select);
        let child = children.remove(&n).unwrap();
        assert_eq!(child.try_join().expect("it has ended").unwrap(), n + 1);
    }
}

#[test]
fn a_client_of_a_listener_is_chosen_beside_channels() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn client(name: String) -> u32 {
        let to: Duplex<u32, u32> = connect(name.as_str()).unwrap();
        to.send(3).unwrap();
        to.recv().unwrap()
    }
    for route in ROUTES {
        let name = format!("@select-{}-{route:?}", std::process::id());
        let listener = Listener::bind(name.as_str()).unwrap();
        let (_never, rx) = channel::<u32>(route);
        let mut child = None;
        while_asleep(
            || {
                let mut select = Select::new();
                select.recv(&rx);
                let arrived = select.accept(&listener);
                let chosen = select.select();
                assert_eq!(chosen.index(), arrived);
                chosen.complete();
            },
            || child = Some(start(client, name)),
        );
        let to: Duplex<u32, u32> = listener.accept_timeout(LONG).unwrap();
        to.send(to.recv().unwrap() + 1).unwrap();
        assert_eq!(child.unwrap().join().unwrap(), 4);
    }
}

#[test]
fn a_socket_of_another_process_is_chosen_beside_channels() {
    multiprocess::init();
    let _watchdog = watchdog();
    /// Reads or writes when it is told to, and ends when it is told again.
    fn other_end((socket, go): (Handle, Receiver<bool>)) {
        let mut socket = UnixStream::from(OwnedFd::from(socket));
        for read in go {
            if read {
                let mut some = vec![0; 1 << 20];
                let _ = socket.read(&mut some).unwrap();
            } else {
                socket.write_all(b"x").unwrap();
            }
        }
    }
    for route in ROUTES {
        let (mut near, far) = UnixStream::pair().unwrap();
        let ((go, told), (_never, rx)) = (channel(Route::Pipe), channel::<u32>(route));
        let child = start(other_end, (OwnedFd::from(far).into(), told));
        let choose = |near: &UnixStream, writable: bool| {
            let mut select = Select::new();
            select.recv(&rx);
            let socket = if writable { select.writable(near) } else { select.readable(near) };
            let chosen = select.select();
            assert_eq!(chosen.index(), socket);
            chosen.complete();
        };
        while_asleep(|| choose(&near, false), || go.send(false).unwrap());
        near.read_exact(&mut [0]).unwrap();
        near.set_nonblocking(true).unwrap();
        while near.write(&[0; 4096]).is_ok() {}
        // A socket has room once a good part of what it held was read.
        while_asleep(|| choose(&near, true), || (0..9).for_each(|_| go.send(true).unwrap()));
        assert!(near.write(&[0]).is_ok());
        // Its end is something to read, too.
        while_asleep(|| choose(&near, false), || kill(child));
    }
}
