//! Messages between processes: each exactly once, in order, and to the end.

use std::time::{Duration, Instant};

use multiprocess::{
    DisconnectCause, JoinError, Receiver, RecvError, SendError, Sender, bounded, process::Builder,
    spawn,
};
use testkit::{busy, watchdog};

/// Numbers of sender `s` begin here.
const STEP: u64 = 1 << 32;
const N: u64 = 5000;

fn send((tx, s): (Sender<u64>, u64)) {
    (0..N).for_each(|n| tx.send(s * STEP + n).unwrap());
}

fn receive(rx: Receiver<u64>) -> Vec<u64> {
    rx.into_iter().collect()
}

#[test]
fn one_to_one_in_order_both_ways() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (tx, rx) = bounded(64).unwrap();
    let child = spawn(send, (tx, 0)).unwrap();
    assert!(rx.iter().eq(0..N));
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    child.join().unwrap();
    let (tx, rx) = bounded(3).unwrap();
    let child = spawn(receive, rx).unwrap();
    send((tx, 0));
    assert!(child.join().unwrap().into_iter().eq(0..N));
}

#[test]
fn two_to_two_each_once_and_in_order_per_sender() {
    multiprocess::init();
    let _watchdog = watchdog();
    for capacity in [1, 50] {
        let (tx, rx) = bounded(capacity).unwrap();
        let receivers: Vec<_> = (0..2).map(|_| spawn(receive, rx.clone()).unwrap()).collect();
        let senders: Vec<_> = (0..2).map(|s| spawn(send, (tx.clone(), s)).unwrap()).collect();
        drop((tx, rx));
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        let got: Vec<_> = receivers.into_iter().map(|receiver| receiver.join().unwrap()).collect();
        for one in &got {
            for s in 0..2 {
                assert!(one.iter().filter(|n| **n / STEP == s).is_sorted(), "out of order");
            }
        }
        let mut all = got.concat();
        all.sort_unstable();
        assert!(all.iter().copied().eq((0..N).chain(STEP..STEP + N)), "{} messages", all.len());
    }
}

#[test]
fn large_messages_and_batches_cross() {
    multiprocess::init();
    let _watchdog = watchdog();
    let text = |n: usize| "x".repeat(n * 2_997 % 150_000);
    fn echo((rx, tx): (Receiver<String>, Sender<String>)) -> usize {
        let mut batch = Vec::new();
        let mut all = 0;
        while let Ok(n) = rx.recv_many(&mut batch, 7) {
            all += n;
            tx.send_many(batch.drain(..)).unwrap();
        }
        all
    }
    let (tx, there) = bounded(5).unwrap();
    let (back, rx) = bounded(5).unwrap();
    let child = spawn(echo, (there, back)).unwrap();
    let sender = std::thread::spawn(move || tx.send_many((0..300).map(text)).unwrap());
    assert!(rx.into_iter().eq((0..300).map(text)));
    assert_eq!((sender.join().unwrap(), child.join().unwrap()), (300, 300));
}

#[test]
fn plain_data_crosses_and_can_be_lent() {
    multiprocess::init();
    let _watchdog = watchdog();
    use multiprocess::shm::pod;
    fn sum(rx: pod::Receiver<[u64; 512]>) -> u64 {
        let mut sum = 0;
        while let Ok(lent) = rx.recv_ref() {
            assert!(lent.iter().all(|word| *word == lent[0]));
            assert_eq!(lent.deliveries(), 1);
            sum += lent[0];
        }
        sum
    }
    let (tx, rx) = pod::bounded(4).unwrap();
    let child = spawn(sum, rx).unwrap();
    for n in 0..1000 {
        let mut place = tx.loan().unwrap();
        place.fill(n);
        place.send().unwrap();
    }
    drop(tx);
    assert_eq!(child.join().unwrap(), (0..1000).sum());
}

#[test]
fn ping_pong() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (ping, pinged) = bounded::<u64>(1).unwrap();
    let (pong, ponged) = bounded::<u64>(1).unwrap();
    let echo =
        |(rx, tx): (Receiver<u64>, Sender<u64>)| rx.iter().for_each(|n| tx.send(n + 1).unwrap());
    let child = spawn(echo, (pinged, pong)).unwrap();
    for n in 0..2000 {
        ping.send(n).unwrap();
        assert_eq!(ponged.recv_timeout(Duration::from_secs(20)), Ok(n + 1));
    }
    drop(ping);
    child.join().unwrap();
    assert_eq!(ponged.recv(), Err(RecvError::Disconnected));
    assert_eq!(ponged.disconnect_cause(), Some(DisconnectCause::Dropped));
}

// fault 84
#[test]
fn a_sender_that_exits_leaves_its_messages_and_a_reason() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn send_and_exit(tx: Sender<u64>) {
        (0..10).for_each(|n| tx.send(n).unwrap());
        std::process::exit(7);
    }
    let (tx, rx) = bounded(10).unwrap();
    let child = spawn(send_and_exit, tx).unwrap();
    assert!(matches!(child.join(), Err(JoinError::Exited(7))));
    assert!(rx.iter().eq(0..10));
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    assert_eq!(rx.disconnect_cause(), Some(DisconnectCause::Died));
}

// fault 20: a panic, an abort and kill -9 are all the same to the other side.
#[test]
fn a_blocked_receiver_gets_an_error_however_the_sender_ends() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn end((tx, ready, how): (Sender<u64>, Sender<()>, u8)) {
        tx.send(1).unwrap();
        ready.send(()).unwrap();
        match how {
            0 => drop(tx),
            1 => std::panic::resume_unwind(Box::new("end")),
            2 => std::process::abort(),
            _ => loop {
                std::thread::park();
            },
        }
    }
    for how in 0..4 {
        let (tx, rx) = bounded(10).unwrap();
        let (ready, is_ready) = bounded(1).unwrap();
        let child = Builder::new().kill_on_drop(true).spawn(end, (tx, ready, how)).unwrap();
        is_ready.recv().unwrap();
        if how == 3 {
            child.kill().unwrap();
        }
        let begin = Instant::now();
        assert_eq!(rx.recv(), Ok(1));
        assert_eq!(rx.recv(), Err(RecvError::Disconnected));
        assert!(begin.elapsed() < Duration::from_secs(5) * busy(), "{how}: {:?}", begin.elapsed());
        drop(child);
    }
}

// fault 83
#[test]
fn a_blocked_sender_gets_an_error_when_the_receiver_exits() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn receive_three(rx: Receiver<String>) {
        let got: Vec<_> = (0..3).map(|_| rx.recv().unwrap()).collect();
        assert_eq!(got, ["0", "1", "2"]);
        std::process::exit(0);
    }
    let (tx, rx) = bounded(2).unwrap();
    let child = spawn(receive_three, rx).unwrap();
    let mut sent = 0;
    let error = loop {
        match tx.send(sent.to_string()) {
            Ok(()) => sent += 1,
            Err(error) => break error,
        }
    };
    assert!((3..=5).contains(&sent), "three received, two queued: {sent}");
    assert_eq!(error, SendError::Disconnected(sent.to_string()));
    assert_eq!(tx.disconnect_cause(), Some(DisconnectCause::Died));
    assert!(matches!(child.join(), Err(JoinError::Exited(0))));
}

// fault 87: what is forgotten is given back when its process ends.
#[test]
fn a_forgotten_guard_is_reclaimed_at_exit() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn forget((rx, tx): (Receiver<u64>, Sender<u64>)) {
        let lent = rx.recv_ref().unwrap();
        assert_eq!(lent.deliveries(), 1);
        std::mem::forget(lent);
        // The endpoints as well: only death can give them back.
        std::mem::forget((rx, tx));
    }
    let (tx, rx) = bounded(4).unwrap();
    tx.send(41).unwrap();
    spawn(forget, (rx.clone(), tx.clone())).unwrap().join().unwrap();
    let lent = rx.recv_ref().unwrap();
    assert_eq!((*lent, lent.deliveries()), (41, 2));
    drop((lent, tx));
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    assert_eq!((rx.sender_count(), rx.receiver_count()), (Some(0), Some(1)));
}
