//! Waiting for more channels than a thread can sleep on words for: on the bell socket.
//!
//! The other ends are in other processes, some of which are killed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::{Wake, Waker};
use std::time::Duration;

use ipc_core::__private::ready::{Outcome, Ready, Registration, Source, Ticket};
use ipc_core::__private::select::Sleeper;
use ipc_sys::bell_socket;
use ipc_sys::sleep::{MOST_WORDS, ThisThread};
use multiprocess::process::Builder;
use multiprocess::{JoinHandle, Receiver, Route, Select, Sender, spawn};
use rustix::process::{Pid, Resource, Signal, kill_process};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use serde::de::DeserializeOwned;
use testkit::hostile::{Peer, at};
use testkit::proc::{all_asleep, open_files, thread_names};
use testkit::rights::is_root;
use testkit::{forked, until, watchdog};

use crate::support::{LONG, SHORT, channel};

/// More than a thread can sleep on.
const MANY: usize = MOST_WORDS + 73;

fn start<A: Serialize + DeserializeOwned, R: Serialize + DeserializeOwned>(
    f: fn(A) -> R,
    args: A,
) -> JoinHandle<R> {
    Builder::new().kill_on_drop(true).spawn(f, args).unwrap()
}

/// A waker that reports its calls.
struct Call(mpsc::Sender<usize>, usize);

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        let _ = self.0.send(self.1);
    }
}

/// Wakers with numbers, and their calls.
struct Calls(mpsc::Sender<usize>, mpsc::Receiver<usize>);

impl Calls {
    fn new() -> Calls {
        let (sender, calls) = mpsc::channel();
        Calls(sender, calls)
    }
    fn waker(&self, number: usize) -> Waker {
        Waker::from(Arc::new(Call(self.0.clone(), number)))
    }
    fn next(&self) -> usize {
        self.1.recv_timeout(LONG).expect("a waker is called")
    }
    fn none(&self) {
        assert_eq!(self.1.recv_timeout(SHORT), Err(RecvTimeoutError::Timeout));
    }
}

fn on_socket(one: &Registration<'_>) -> bool {
    matches!(one.source, Source::Waker)
}

/// Registers a task on the bell socket.
fn register<T: Serialize + DeserializeOwned>(rx: &Receiver<T>, waker: &Waker) -> Ticket {
    let one = rx.route().register_task(waker);
    assert!(on_socket(&one), "{one:?}");
    assert!(one.barrier && ThisThread.barrier());
    one.ticket
}

/// Maps the memory of a channel.
fn peer_of(tx: &Sender<u64>, rx: &Receiver<u64>) -> Peer {
    let peer = Peer::of(tx);
    // Mapping it takes an end, which is lost in transit.
    assert!(rx.route().recover_dead());
    peer
}

/// What the word of receivers says about bell sockets.
fn arms(peer: &Peer) -> u64 {
    peer.get(at::RECV_WAIT) >> 54
}

#[test]
fn a_select_with_hundreds_of_channels_is_woken_by_each() {
    multiprocess::init();
    let _watchdog = watchdog();
    /// Sends to the channel that each number names.
    fn send((which, tx): (Receiver<usize>, Vec<Sender<usize>>)) {
        which.into_iter().for_each(|i| tx[i].send(i).unwrap());
    }
    let (tx, rx): (Vec<_>, Vec<_>) = (0..MANY).map(|_| channel::<usize>(Route::Shm)).unzip();
    let peers: Vec<_> = tx.iter().map(Peer::of).collect();
    let (which, told) = channel(Route::Pipe);
    let child = start(send, (told, tx));
    let mut select = Select::new();
    rx.iter().for_each(|rx| _ = select.recv(rx));
    let mut armed = BTreeSet::new();
    for i in (0..MANY).rev().chain(0..MANY) {
        std::thread::scope(|scope| {
            let chosen = scope.spawn(|| {
                let chosen = select.clone().select();
                (chosen.index(), chosen.recv(&rx[i]))
            });
            let all = || peers.iter().filter(|peer| peer.get(at::RECV_WAIT) >> 32 != 0).count();
            until("it is registered with all", || all() == MANY);
            armed.extend((0..MANY).filter(|i| arms(&peers[*i]) != 0));
            which.send(i).unwrap();
            assert_eq!(chosen.join().unwrap(), (i, Ok(i)));
        });
    }
    assert!(!armed.is_empty(), "those beyond {MOST_WORDS} wait on the bell socket");
    drop(which);
    child.join().unwrap();
}

#[test]
fn waiting_for_hundreds_of_channels_uses_hardly_any_processor() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn wait(rx: Vec<Receiver<u64>>) -> Duration {
        let mut select = Select::new();
        rx.iter().for_each(|rx| _ = select.recv(rx));
        let used = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap();
        assert!(select.select_timeout(Duration::from_millis(1500)).is_err());
        let before = used();
        assert!(select.select_timeout(Duration::from_secs(3)).is_err());
        used() - before
    }
    let (tx, rx): (Vec<_>, Vec<_>) = (0..MANY).map(|_| channel(Route::Shm)).unzip();
    let used = spawn(wait, rx).unwrap().join().unwrap();
    drop(tx);
    println!("{used:?} of 3 s");
    // A look at each word every millisecond would take several times as much.
    assert!(used < Duration::from_millis(300), "{used:?}");
}

#[test]
fn a_message_from_another_process_calls_one_waker_once() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (tx, rx): (Vec<_>, Vec<_>) = (0..MANY).map(|_| channel::<usize>(Route::Shm)).unzip();
    let calls = Calls::new();
    let (go, wait) = channel::<()>(Route::Pipe);
    /// Sends twice over each channel.
    fn send((wait, tx): (Receiver<()>, Vec<Sender<usize>>)) {
        wait.recv().unwrap();
        let all = || tx.iter().enumerate();
        all().chain(all()).for_each(|(i, tx)| tx.send(i).unwrap());
    }
    let child = start(send, (wait, tx));
    let mut tickets: Vec<_> =
        rx.iter().enumerate().map(|(i, rx)| Some(register(rx, &calls.waker(i)))).collect();
    calls.none();
    go.send(()).unwrap();
    for _ in 0..MANY {
        let i = calls.next();
        let ticket = tickets[i].take().expect("its waker is called once");
        assert!(rx[i].route().notified(ticket));
        assert_eq!(rx[i].recv(), Ok(i));
        rx[i].route().unregister(ticket, Outcome::Used);
    }
    child.join().unwrap();
    rx.iter().enumerate().for_each(|(i, rx)| assert_eq!(rx.recv(), Ok(i)));
    calls.none();
    assert_eq!(thread_names().iter().filter(|name| *name == "file-waiter").count(), 1);
}

/// The descriptors of this process that are sockets.
fn sockets() -> usize {
    open_files().iter().filter(|(_, target)| target.starts_with("socket:")).count()
}

#[test]
fn a_registration_that_ends_leaves_one_look_in_vain() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u64>(Route::Shm);
    let (calls, peer) = (Calls::new(), peer_of(&tx, &rx));
    let ticket = register(&rx, &calls.waker(0));
    assert_eq!(arms(&peer), 1);
    assert!(!rx.route().notified(ticket));
    rx.route().unregister(ticket, Outcome::Unused);
    tx.send(1).unwrap();
    assert_eq!(arms(&peer), 0);
    assert_eq!(rx.recv(), Ok(1));
    calls.none();
    // After its last number it begins anew, and changes `seq`.
    let seq = || peer.get(at::RECV_WAIT) as u32;
    let before = seq();
    for round in 1..=1024 {
        let ticket = register(&rx, &calls.waker(0));
        assert_eq!(
            (arms(&peer), seq()),
            if round == 1024 { (1, before + 1) } else { (round, before) }
        );
        rx.route().unregister(ticket, Outcome::Unused);
    }
}

#[test]
fn several_waiters_of_one_process_are_one_registration_and_all_are_woken() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u64>(Route::Shm);
    let (calls, peer) = (Calls::new(), peer_of(&tx, &rx));
    let tickets = [0, 1, 2].map(|i| register(&rx, &calls.waker(i)));
    assert_eq!(arms(&peer), 1);
    rx.route().unregister(tickets[1], Outcome::Unused);
    assert!(!rx.route().notified(tickets[0]));
    tx.send(1).unwrap();
    assert_eq!(BTreeSet::from([calls.next(), calls.next()]), BTreeSet::from([0, 2]));
    // One has got the message, and the other has found nothing. It registers anew.
    assert_eq!(rx.recv(), Ok(1));
    register(&rx, &calls.waker(3));
    tx.send(2).unwrap();
    assert_eq!(calls.next(), 3);
    calls.none();
}

/// A wake-up that was not used goes to another process.
#[test]
fn a_waiter_that_leaves_passes_its_wake_up_on() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn receive(rx: Receiver<u64>) -> u64 {
        rx.recv().unwrap()
    }
    let (tx, rx) = channel::<u64>(Route::Shm);
    let (calls, peer) = (Calls::new(), peer_of(&tx, &rx));
    let ticket = {
        let child = start(receive, rx.clone());
        until("the child sleeps", || all_asleep(child.id()) && peer.get(at::RECV_WAIT) >> 32 != 0);
        let ticket = register(&rx, &calls.waker(0));
        // The child's token is dropped: as a waker does that found no sleeper.
        peer.set(at::RECV_WAIT, peer.get(at::RECV_WAIT) & (u64::MAX << 54 | u64::from(u32::MAX)));
        tx.send(1).unwrap();
        assert_eq!(calls.next(), 0);
        // Its slice is over, or the wake-up comes.
        rx.route().unregister(ticket, Outcome::Unused);
        assert_eq!(child.join().unwrap(), 1);
        ticket
    };
    assert!(rx.route().notified(ticket));
}

// fault 92
#[test]
fn a_killed_process_uses_up_no_wake_up() {
    multiprocess::init();
    let _watchdog = watchdog();
    /// Registers, and waits to be killed.
    fn wait((rx, ready): (Receiver<u64>, Sender<()>)) {
        let calls = Calls::new();
        // The parent's other children may be in transit.
        until("it is registered", || {
            let one = rx.route().register_task(&calls.waker(0));
            let done = on_socket(&one);
            if !done {
                rx.route().unregister(one.ticket, Outcome::Unused);
            }
            done
        });
        ready.send(()).unwrap();
        loop {
            std::thread::park();
        }
    }
    for round in 0..10 {
        let (tx, rx) = channel::<u64>(Route::Shm);
        let (ready, is_ready) = channel(Route::Pipe);
        let children: Vec<_> = (0..3).map(|_| start(wait, (rx.clone(), ready.clone()))).collect();
        (0..3).for_each(|_| is_ready.recv().unwrap());
        let calls = Calls::new();
        register(&rx, &calls.waker(0));
        for child in children {
            child.kill().unwrap();
            child.join().unwrap_err();
        }
        // Nothing has noticed the deaths: whichever of the four is called first, the datagrams of
        // dead processes are refused.
        tx.send(round).unwrap();
        assert_eq!(calls.next(), 0);
        assert_eq!(rx.recv(), Ok(round));
    }
}

// fault 92
#[test]
fn a_death_calls_every_waker() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn keep((_tx, ready): (Sender<u64>, Sender<()>)) {
        ready.send(()).unwrap();
        loop {
            std::thread::park();
        }
    }
    let (tx, rx) = channel::<u64>(Route::Shm);
    let (ready, is_ready) = channel(Route::Pipe);
    let child = start(keep, (tx, ready));
    is_ready.recv().unwrap();
    let calls = Calls::new();
    let ticket = register(&rx, &calls.waker(0));
    until("deaths are monitored", || rx.route().monitors_deaths());
    child.kill().unwrap();
    assert_eq!(calls.next(), 0);
    rx.route().unregister(ticket, Outcome::Used);
    until("it is recovered", || rx.route().recover_dead() || rx.is_disconnected());
    assert!(rx.recv().is_err());
}

/// A process that is stopped has a full queue, and looks at everything afterwards.
#[test]
fn a_full_queue_loses_no_wake_up() {
    multiprocess::init();
    let _watchdog = watchdog();
    const CHANNELS: usize = 60;
    fn count((rx, ready): (Vec<Receiver<u64>>, Sender<usize>)) {
        let calls = Calls::new();
        let tickets: Vec<_> =
            rx.iter().enumerate().map(|(i, rx)| register(rx, &calls.waker(i))).collect();
        ready.send(0).unwrap();
        let called: BTreeSet<usize> = (0..rx.len()).map(|_| calls.next()).collect();
        rx.iter().zip(tickets).for_each(|(rx, ticket)| {
            assert_eq!(rx.recv(), Ok(7));
            rx.route().unregister(ticket, Outcome::Used);
        });
        ready.send(called.len()).unwrap();
    }
    let (tx, rx): (Vec<_>, Vec<_>) = (0..CHANNELS).map(|_| channel(Route::Shm)).unzip();
    let (ready, is_ready) = channel(Route::Pipe);
    let child = start(count, (rx, ready));
    assert_eq!(is_ready.recv(), Ok(0));
    let pid = Pid::from_raw(child.id() as i32).unwrap();
    kill_process(pid, Signal::STOP).unwrap();
    until("it is stopped", || testkit::proc::state(child.id()) == Some('T'));
    tx.iter().for_each(|tx| tx.send(7).unwrap());
    kill_process(pid, Signal::CONT).unwrap();
    assert_eq!(is_ready.recv(), Ok(CHANNELS), "each once");
    child.join().unwrap();
}

/// A participant in another network namespace cannot reach a bell socket. Waiters learn that when
/// it attaches, and use the futex.
#[test]
fn a_peer_in_another_network_namespace_is_waited_for_with_the_futex() {
    multiprocess::init();
    let _watchdog = watchdog();
    if !is_root() {
        return;
    }
    /// Receives the end in a namespace of its own, reports that, and sends when a message comes.
    fn foreign((ends, go, ready): (Receiver<Sender<u64>>, Receiver<()>, Sender<()>)) {
        // SAFETY: a number only. The thread has no memory or files in the namespace.
        let apart = unsafe { libc::unshare(libc::CLONE_NEWNET) };
        assert_eq!(apart, 0, "{}", std::io::Error::last_os_error());
        let tx = ends.recv().unwrap();
        ready.send(()).unwrap();
        go.recv().unwrap();
        tx.send(5).unwrap();
        drop(tx);
        ready.send(()).unwrap();
        go.recv().unwrap_err();
    }
    let (tx, rx) = channel::<u64>(Route::Shm);
    let (ends, from) = channel(Route::Pipe);
    let (go, told) = channel(Route::Pipe);
    let (ready, is_ready) = channel(Route::Pipe);
    let child = start(foreign, (from, told, ready));
    let calls = Calls::new();
    let ticket = register(&rx, &calls.waker(0));
    ends.send(tx.clone()).unwrap();
    // In transit already: no process knows where it arrives.
    assert_eq!(calls.next(), 0);
    rx.route().unregister(ticket, Outcome::Used);
    is_ready.recv().unwrap();
    let one = rx.route().register_task(&calls.waker(1));
    assert!(!on_socket(&one), "{one:?}");
    rx.route().unregister(one.ticket, Outcome::Used);
    let waiting = std::thread::spawn({
        let rx = rx.clone();
        move || rx.recv()
    });
    go.send(()).unwrap();
    assert_eq!(waiting.join().unwrap(), Ok(5));
    is_ready.recv().unwrap();
    // It has left.
    let ticket = register(&rx, &calls.waker(2));
    tx.send(6).unwrap();
    assert_eq!(calls.next(), 2);
    rx.route().unregister(ticket, Outcome::Used);
    calls.none();
    drop(go);
    child.join().unwrap();
}

/// The same, where the numbers in memory say so.
#[test]
fn entries_of_another_namespace_or_unable_to_send_are_respected() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn keep((_tx, stop): (Sender<u64>, Receiver<()>)) {
        stop.recv().unwrap_err();
    }
    let (tx, rx) = channel::<u64>(Route::Shm);
    let (stop, stopped) = channel::<()>(Route::Pipe);
    let child = start(keep, (tx.clone(), stopped));
    let (calls, peer) = (Calls::new(), peer_of(&tx, &rx));
    let ticket = register(&rx, &calls.waker(0));
    rx.route().unregister(ticket, Outcome::Unused);
    for word in [peer.namespace(2), peer.unreachable()] {
        let before = peer.get(word);
        for value in [1, u64::MAX] {
            peer.set(word, value);
            let one = rx.route().register_task(&calls.waker(1));
            assert!(!on_socket(&one), "{one:?}");
            rx.route().unregister(one.ticket, Outcome::Unused);
        }
        peer.set(word, before);
        let ticket = register(&rx, &calls.waker(0));
        // While it is registered: it says so, and registers anew.
        assert!(!rx.route().notified(ticket));
        assert!(!rx.route().recover_dead());
        peer.set(word, u64::MAX);
        // As when an interval is over.
        assert!(rx.route().recover_dead());
        assert!(rx.route().notified(ticket));
        peer.set(word, before);
        rx.route().unregister(ticket, Outcome::Unused);
        assert_eq!(calls.next(), 0);
    }
    drop(stop);
    child.join().unwrap();
}

// fault 89
#[test]
fn a_forked_child_keeps_no_bell_socket_and_makes_its_own() {
    multiprocess::init();
    let _watchdog = watchdog();
    spawn(
        |()| {
            let (tx, rx) = multiprocess::bounded::<u64>(1).unwrap();
            let calls = Calls::new();
            let ticket = register(&rx, &calls.waker(0));
            let own = bell_socket::own().unwrap();
            let (name, sockets) = (own.name(), sockets());
            let status = forked(|| {
                assert!(own.fd().is_none() && self::sockets() < sockets, "it is closed here");
                let (tx, rx) = multiprocess::bounded::<u64>(1).unwrap();
                let calls = Calls::new();
                register(&rx, &calls.waker(7));
                assert_ne!(bell_socket::own().unwrap().name(), name);
                tx.send(1).unwrap();
                assert_eq!(calls.next(), 7);
            });
            assert_eq!(status, 0);
            tx.send(1).unwrap();
            assert_eq!(calls.next(), 0);
            rx.route().unregister(ticket, Outcome::Used);
        },
        (),
    )
    .unwrap()
    .join()
    .unwrap();
}

#[test]
fn a_socket_that_the_program_closes_is_replaced() {
    multiprocess::init();
    let _watchdog = watchdog();
    let close = |()| {
        let (tx, rx) = multiprocess::bounded::<u64>(1).unwrap();
        let calls = Calls::new();
        let ticket = register(&rx, &calls.waker(0));
        let own = std::os::fd::AsRawFd::as_raw_fd(&bell_socket::own().unwrap().fd().unwrap());
        // SAFETY: the child's own descriptor. Its owner must live with that, which is what is
        // tested.
        assert_eq!(unsafe { libc::close(own) }, 0);
        // When an interval is over, that is noticed.
        assert!(!rx.route().notified(ticket) && rx.route().recover_dead());
        assert!(rx.route().notified(ticket));
        rx.route().unregister(ticket, Outcome::Used);
        assert_eq!(calls.next(), 0);
        register(&rx, &calls.waker(1));
        tx.send(1).unwrap();
        assert_eq!(calls.next(), 1);
    };
    spawn(close, ()).unwrap().join().unwrap();
}

#[test]
fn without_descriptors_or_permission_waiters_use_the_futex() {
    multiprocess::init();
    let _watchdog = watchdog();
    let starved = |()| {
        let (_tx, rx) = multiprocess::bounded::<u64>(1).unwrap();
        let old = testkit::limit(Resource::Nofile, Some(3));
        let one = rx.route().register_task(Waker::noop());
        assert!(!on_socket(&one), "{one:?}");
        testkit::limit(Resource::Nofile, old);
    };
    spawn(starved, ()).unwrap().join().unwrap();
    let forbidden = |()| {
        let (_tx, rx) = multiprocess::bounded::<u64>(1).unwrap();
        testkit::forbid(libc::SYS_socket, None, libc::EPERM);
        let one = rx.route().register_task(Waker::noop());
        assert!(!on_socket(&one), "{one:?}");
    };
    spawn(forbidden, ()).unwrap().join().unwrap();
}

/// A sender that may not send datagrams says so, and is waited for with the futex from then on.
#[test]
fn a_sender_that_may_not_send_datagrams_is_noticed() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn send((tx, go, done): (Sender<u64>, Receiver<()>, Sender<()>)) {
        testkit::forbid(libc::SYS_sendto, None, libc::EPERM);
        go.recv().unwrap();
        tx.send(1).unwrap();
        done.send(()).unwrap();
    }
    let (tx, rx) = channel::<u64>(Route::Shm);
    let ((go, told), (done, is_done)) = (channel(Route::Shm), channel(Route::Shm));
    let child = start(send, (tx, told, done));
    let calls = Calls::new();
    let ticket = register(&rx, &calls.waker(0));
    go.send(()).unwrap();
    is_done.recv().unwrap();
    // When an interval is over, the waiter looks.
    rx.route().recover_dead();
    assert!(rx.route().notified(ticket));
    rx.route().unregister(ticket, Outcome::Used);
    assert_eq!(rx.recv(), Ok(1));
    child.join().unwrap();
    let one = rx.route().register_task(&calls.waker(1));
    assert!(!on_socket(&one), "{one:?}");
    rx.route().unregister(one.ticket, Outcome::Unused);
}
