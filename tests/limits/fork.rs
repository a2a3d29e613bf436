//! A fork without exec: the ends that the child inherited answer an error, and the parent's go on.

use std::time::Duration;

use ipc_core::__private::handle;
use multiprocess::shm::pod;
use multiprocess::{
    Receiver, RecvError, RecvTimeoutError, SendError, Sender, TryRecvError, TrySendError,
    Unreadable, Unsendable, bounded, spawn,
};
use testkit::signals::signal;
use testkit::{fork, forked, watchdog};

fn every_call_is_refused(tx: &Sender<u64>, rx: &Receiver<u64>) {
    const SHORT: Duration = Duration::from_millis(1);
    assert_eq!(tx.send(1), Err(SendError::Unsendable(1, Unsendable::Forked)));
    assert_eq!(tx.try_send(1), Err(TrySendError::Unsendable(1, Unsendable::Forked)));
    assert!(tx.send_timeout(1, SHORT).unwrap_err().is_unsendable());
    assert_eq!(tx.send_many([1, 2]).unwrap_err().unsendable, Some(Unsendable::Forked));
    assert_eq!(rx.recv(), Err(RecvError::Unreadable(Unreadable::Forked)));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Unreadable(Unreadable::Forked)));
    assert_eq!(rx.recv_timeout(SHORT), Err(RecvTimeoutError::Unreadable(Unreadable::Forked)));
    assert!(rx.recv_many(&mut Vec::new(), 3).unwrap_err().is_unreadable());
    assert!(rx.try_recv_many(&mut Vec::new(), 3).unwrap_err().is_unreadable());
    assert!(rx.recv_ref().unwrap_err().is_unreadable());
    assert!(rx.try_recv_ref().unwrap_err().is_unreadable());
    assert!(rx.recv_ref_timeout(SHORT).unwrap_err().is_unreadable());
    assert_eq!((rx.iter().count(), rx.try_iter().count(), rx.drain().count()), (0, 0, 0));
    // Questions have answers, if empty ones.
    assert_eq!((tx.len(), rx.len(), tx.capacity()), (0, 0, Some(4)));
    assert_eq!((tx.sender_count(), rx.receiver_count()), (Some(0), Some(0)));
    assert!(!tx.is_disconnected() && !rx.is_disconnected());
    assert_eq!((tx.disconnect_cause(), rx.disconnect_cause()), (None, None));
    assert!(tx.same_channel(&tx.clone()));
    let _ = format!("{tx:?} {:?}", tx.route());
    let (encoded, handles) = handle::collect(|| postcard::to_stdvec(tx));
    assert!(encoded.is_err() && handles.is_empty());
    let copy = (tx.clone(), rx.clone());
    assert!(copy.0.send(1).unwrap_err().is_unsendable());
    drop(copy);
}

// fault 89
#[test]
fn an_inherited_end_returns_errors_and_the_parent_continues() {
    multiprocess::init();
    let _watchdog = watchdog();
    let fork = |()| {
        let (tx, rx) = bounded::<u64>(4).unwrap();
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        let (pod_tx, pod_rx) = pod::bounded::<[u64; 200]>(4).unwrap();
        pod_tx.send([3; 200]).unwrap();
        let guard = std::cell::Cell::new(Some(rx.recv_ref().unwrap()));
        let pod_guard = std::cell::Cell::new(Some(pod_rx.recv_ref().unwrap()));
        let loan = std::cell::Cell::new(Some(pod_tx.loan().unwrap()));
        let status = forked(|| {
            every_call_is_refused(&tx, &rx);
            assert!(pod_tx.send([1; 200]).unwrap_err().is_unsendable());
            assert!(pod_tx.loan().is_err());
            assert!(pod_rx.recv().unwrap_err().is_unreadable());
            // Guards dropped here acknowledge nothing, and free nothing.
            drop((guard.take(), pod_guard.take(), loan.take()));
        });
        assert_eq!(**guard.take().as_ref().unwrap(), 1);
        assert_eq!(pod_guard.take().unwrap()[199], 3);
        let mut loan = loan.take().unwrap();
        loan.fill(4);
        loan.send().unwrap();
        assert_eq!((rx.recv(), pod_rx.recv()), (Ok(2), Ok([4; 200])));
        assert_eq!((rx.len(), pod_rx.len()), (0, 0));
        status
    };
    assert_eq!(spawn(fork, ()).unwrap().join().unwrap(), 0, "see what the fork said");
}

// fault 89
#[test]
fn the_parent_is_not_touched_by_what_a_fork_drops() {
    multiprocess::init();
    let _watchdog = watchdog();
    let fork = |()| {
        let (tx, rx) = bounded::<u64>(4).unwrap();
        tx.send(1).unwrap();
        tx.send(2).unwrap();
        let ends = std::cell::RefCell::new(Some((tx, rx)));
        let status = forked(|| {
            let (tx, rx) = ends.take().unwrap();
            every_call_is_refused(&tx, &rx);
            drop(tx);
            drop(rx);
        });
        assert_eq!(status, 0);
        let (tx, rx) = ends.take().unwrap();
        assert_eq!((tx.sender_count(), tx.receiver_count(), tx.len()), (Some(1), Some(1), 2));
        assert_eq!((rx.recv(), rx.recv()), (Ok(1), Ok(2)));
        tx.send(3).unwrap();
        assert_eq!(rx.recv(), Ok(3));
        drop(tx);
        assert!(rx.recv().unwrap_err().is_disconnected());
    };
    spawn(fork, ()).unwrap().join().unwrap();
}

// faults 21, 89: a fork keeps no process alive.
#[test]
fn a_fork_does_not_outlive_its_parent_in_the_channel() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn fork_and_die((tx, fork_tx): (Sender<u64>, Sender<u32>)) {
        // It is killed below.
        let child = fork(|| {
            loop {
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        fork_tx.send(child as u32).unwrap();
        tx.send(1).unwrap();
        std::process::abort();
    }
    let (tx, rx) = bounded(4).unwrap();
    let (fork_tx, fork_rx) = bounded(1).unwrap();
    let child = spawn(fork_and_die, (tx, fork_tx)).unwrap();
    let fork = fork_rx.recv().unwrap();
    assert_eq!(rx.recv(), Ok(1));
    assert!(rx.recv_timeout(Duration::from_secs(10)).unwrap_err().is_disconnected());
    signal(fork, rustix::process::Signal::KILL);
    drop(child);
}

// fault 90
#[test]
fn a_fork_in_the_middle_of_a_stream_disturbs_nothing() {
    multiprocess::init();
    let _watchdog = watchdog();
    let fork = |()| {
        const N: u64 = 50_000;
        let (tx, rx) = bounded::<u64>(4).unwrap();
        let (tx2, rx2) = (tx.clone(), rx.clone());
        let sender = std::thread::spawn(move || (0..N).for_each(|n| tx.send(n).unwrap()));
        let receiver = std::thread::spawn(move || rx.iter().take(N as usize).eq(0..N));
        let mut forks = 0;
        while !sender.is_finished() && forks < 40 {
            assert_eq!(forked(|| every_call_is_refused(&tx2, &rx2)), 0);
            forks += 1;
        }
        sender.join().unwrap();
        drop(tx2);
        (receiver.join().unwrap(), forks > 0)
    };
    assert_eq!(spawn(fork, ()).unwrap().join().unwrap(), (true, true));
}

// fault 116
#[test]
fn a_channel_made_in_a_fork_works() {
    multiprocess::init();
    let _watchdog = watchdog();
    let fork = |()| {
        let (tx, rx) = bounded::<u64>(4).unwrap();
        let status = forked(|| {
            let (tx, rx) = bounded::<u64>(4).unwrap();
            tx.send(1).unwrap();
            assert_eq!(rx.recv(), Ok(1));
            drop(tx);
            assert!(rx.recv().unwrap_err().is_disconnected());
        });
        tx.send(3).unwrap();
        assert_eq!(rx.recv(), Ok(3));
        status
    };
    assert_eq!(spawn(fork, ()).unwrap().join().unwrap(), 0);
}
