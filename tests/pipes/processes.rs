//! Channels between processes that die, stop, or are interrupted.

use std::time::{Duration, Instant};

use ipc_pipes::duplex;
use multiprocess::{
    DisconnectCause, JoinHandle, Receiver, RecvTimeoutError, SendTimeoutError, Sender, pipe,
    process, spawn,
};
use rustix::process::Signal;
use testkit::signals::signal;
use testkit::{busy, stop, watchdog};

/// Starts a child that is killed if the test fails.
fn start<A: serde::Serialize + serde::de::DeserializeOwned>(f: fn(A), args: A) -> JoinHandle<()> {
    process::Builder::new().kill_on_drop(true).spawn(f, args).unwrap()
}

fn for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

#[test]
fn large_and_small_messages_cross_whole_and_in_order() {
    multiprocess::init();
    let _watchdog = watchdog();
    const SIZES: [usize; 9] =
        [0, 1, 200, 4096, 40_000, 96 * 1024 - 20, 96 * 1024, 1 << 20, 5_000_000];
    type Numbered = (usize, String);
    fn child((tx, rx): (Sender<Numbered>, Receiver<Numbered>)) {
        for message in rx {
            tx.send(message).unwrap();
        }
    }
    let ((tx, theirs), (back, rx)) = (pipe::channel().unwrap(), pipe::channel().unwrap());
    let child = spawn(child, (back, theirs)).unwrap();
    let sender = std::thread::spawn(move || {
        for (i, size) in SIZES.into_iter().chain(SIZES).enumerate() {
            tx.send((i, "ab".repeat(size / 2 + i % 2))).unwrap();
        }
    });
    for (i, size) in SIZES.into_iter().chain(SIZES).enumerate() {
        assert!(rx.recv() == Ok((i, "ab".repeat(size / 2 + i % 2))), "message {i}");
    }
    assert!(rx.recv().unwrap_err().is_disconnected());
    sender.join().unwrap();
    child.join().unwrap();
}

// Also where places in the pipe's store are used again while other messages are read, and more are
// under way than it keeps memory for.
#[test]
fn large_messages_of_several_senders_cross_a_pipe_whole_and_once() {
    multiprocess::init();
    let _watchdog = watchdog();
    type Filled = (u64, String);
    const EACH: u64 = 300;
    fn filled(id: u64) -> Filled {
        (id, ["a", "b", "c", "d", "e"][id as usize % 5].repeat(5000 + id as usize * 7919 % 600_000))
    }
    fn send((tx, first): (Sender<Filled>, u64)) {
        (first..first + EACH).for_each(|id| tx.send(filled(id)).unwrap());
    }
    fn receive(rx: Receiver<Filled>) -> Vec<u64> {
        let whole = |message: Filled| {
            assert!(message == filled(message.0), "message {}", message.0);
            message.0
        };
        rx.into_iter().map(whole).collect()
    }
    let (tx, rx) = pipe::anonymous().unwrap();
    let senders = [0, 1, 2].map(|i| spawn(send, (tx.clone(), i * EACH)).unwrap());
    let receivers = [0, 1].map(|_| spawn(receive, rx.clone()).unwrap());
    drop((tx, rx));
    senders.into_iter().for_each(|child| child.join().unwrap());
    let mut ids = receivers.map(|child| child.join().unwrap()).concat();
    ids.sort_unstable();
    assert!(ids.into_iter().eq(0..3 * EACH));
}

#[test]
fn a_death_is_reported_at_once_with_its_cause() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn hold((tx, _rx): (Sender<u8>, Receiver<u8>)) {
        tx.send(1).unwrap();
        for_ever()
    }
    let ((tx, rx), (tx2, rx2)) = (pipe::channel().unwrap(), pipe::channel().unwrap());
    let child = start(hold, (tx, rx2));
    assert_eq!(rx.recv(), Ok(1));
    assert_eq!((rx.sender_count(), tx2.receiver_count()), (Some(1), Some(1)));
    let waiting = std::thread::spawn(move || {
        assert!(rx.recv().unwrap_err().is_disconnected());
        (Instant::now(), rx)
    });
    std::thread::sleep(Duration::from_millis(20));
    let killed = Instant::now();
    child.kill().unwrap();
    let (returned, rx) = waiting.join().unwrap();
    assert!(returned - killed < Duration::from_secs(1));
    assert!(tx2.send(1).unwrap_err().is_disconnected());
    assert_eq!(rx.disconnect_cause(), Some(DisconnectCause::Died));
    assert_eq!(tx2.disconnect_cause(), Some(DisconnectCause::Died));
    assert_eq!((rx.sender_count(), tx2.receiver_count()), (Some(0), Some(0)));
}

#[test]
fn a_child_that_ends_well_has_dropped_its_ends() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn hold(tx: Sender<u8>) {
        tx.send(1).unwrap();
    }
    let (tx, rx) = pipe::channel().unwrap();
    let child = spawn(hold, tx).unwrap();
    assert_eq!(rx.recv(), Ok(1));
    assert!(rx.recv().unwrap_err().is_disconnected());
    assert_eq!(rx.disconnect_cause(), Some(DisconnectCause::Dropped));
    child.join().unwrap();
}

#[test]
fn what_a_dead_process_had_sent_is_there() {
    multiprocess::init();
    let _watchdog = watchdog();
    /// Small ones, and such as travel in a file of their own: all of them fit.
    fn text(n: usize) -> String {
        n.to_string().repeat(if n % 2 == 0 { 10 } else { 100_000 + n })
    }
    fn fill((tx, done): (Sender<String>, Sender<u8>)) {
        for n in 0..20 {
            tx.send(text(n)).unwrap();
        }
        done.send(1).unwrap();
        for_ever()
    }
    let ((tx, rx), (done, is_done)) = (pipe::channel().unwrap(), pipe::channel().unwrap());
    let child = start(fill, (tx, done));
    is_done.recv().unwrap();
    child.kill().unwrap();
    assert!(is_done.recv().unwrap_err().is_disconnected(), "it is dead");
    for n in 0..20 {
        assert!(rx.recv() == Ok(text(n)), "message {n}");
    }
    assert!(rx.recv().unwrap_err().is_disconnected());
}

// fault 25
#[test]
fn deadlines_hold_against_a_stopped_peer() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn echo((rx, tx): (Receiver<String>, Sender<String>)) {
        for message in rx {
            tx.send(message).unwrap();
        }
    }
    let ((tx, theirs), (back, rx)) = (pipe::channel().unwrap(), pipe::channel().unwrap());
    let child = start(echo, (theirs, back));
    tx.send("ready".into()).unwrap();
    rx.recv().unwrap();
    // What it was in the middle of, it may have finished.
    stop(child.id());
    let mut sent = 0;
    loop {
        let begin = Instant::now();
        match tx.send_timeout("x".repeat(1000 + sent % 2 * 150_000), Duration::from_millis(30)) {
            Ok(()) => sent += 1,
            Err(SendTimeoutError::Timeout(message)) => {
                let took = begin.elapsed();
                assert!(
                    took >= Duration::from_millis(30) && took < Duration::from_secs(3) * busy(),
                    "{took:?}"
                );
                assert_eq!(message.len(), 1000 + sent % 2 * 150_000);
                break;
            }
            Err(error) => panic!("{error}"),
        }
    }
    assert!(sent > 5);
    assert!(tx.try_send(String::new()).unwrap_err().is_full());
    let begin = Instant::now();
    assert!(rx.recv_timeout(Duration::from_millis(30)) == Err(RecvTimeoutError::Timeout));
    assert!(begin.elapsed() >= Duration::from_millis(30));
    assert!(!rx.is_disconnected(), "a stopped process is alive");
    signal(child.id(), Signal::CONT);
    for n in 0..sent {
        assert_eq!(rx.recv().map(|message| message.len()), Ok(1000 + n % 2 * 150_000));
    }
    drop(tx);
    assert!(rx.recv().unwrap_err().is_disconnected());
    child.join().unwrap();
}

// fault 26
#[test]
fn receivers_in_several_processes_take_each_message_once() {
    multiprocess::init();
    let _watchdog = watchdog();
    const N: u64 = 6000;
    fn take((rx, tx): (Receiver<u64>, Sender<Vec<u64>>)) {
        let mut got = Vec::new();
        let mut some = Vec::new();
        // Half of them in batches.
        while let Ok(message) = rx.recv() {
            got.push(message);
            if rx.try_recv_many(&mut some, 5).is_ok() {
                got.append(&mut some);
            }
        }
        tx.send(got).unwrap();
    }
    let ((tx, rx), (results, all)) = (pipe::channel().unwrap(), pipe::channel().unwrap());
    let children: Vec<_> = (0..3).map(|_| start(take, (rx.clone(), results.clone()))).collect();
    drop((rx, results));
    for n in (0..N).step_by(100) {
        tx.send_many(n..n + 50).unwrap();
        (n + 50..n + 100).for_each(|n| tx.send(n).unwrap());
    }
    drop(tx);
    let all: Vec<Vec<u64>> = all.into_iter().collect();
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|one| one.is_sorted()));
    let mut all = all.concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..N));
    children.into_iter().for_each(|child| child.join().unwrap());
}

#[test]
fn work_that_was_queued_before_its_workers_is_shared() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn work((jobs, done, go): (Receiver<u64>, Sender<u32>, Receiver<()>)) {
        done.send(0).unwrap();
        let _ = go.recv();
        done.send(jobs.iter().take(50).count() as u32).unwrap();
    }
    let ((jobs, queue), (done, counts)) = (pipe::channel().unwrap(), pipe::channel().unwrap());
    let (go, gone) = pipe::channel::<()>().unwrap();
    jobs.send_many(0..100).unwrap();
    let workers: Vec<_> =
        (0..2).map(|_| start(work, (queue.clone(), done.clone(), gone.clone()))).collect();
    assert_eq!((counts.recv(), counts.recv()), (Ok(0), Ok(0)), "both wait");
    drop((go, queue));
    assert_eq!((counts.recv(), counts.recv()), (Ok(50), Ok(50)));
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

#[test]
fn a_receiver_with_batches_under_way_stays() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn sum(rx: Receiver<u64>) -> u64 {
        rx.into_iter().sum()
    }
    let (tx, rx) = pipe::channel().unwrap();
    let mut got = Vec::new();
    // Says that it takes batches.
    assert!(rx.try_recv_many(&mut got, 50).unwrap_err().is_empty());
    tx.send_many(0..100).unwrap();
    assert_eq!(rx.recv(), Ok(0));
    assert_eq!(rx.len(), 99);
    let refused = spawn(sum, rx.clone()).unwrap_err();
    assert!(refused.to_string().contains("batches"), "{refused}");
    assert!(rx.iter().take(99).eq(1..100), "nothing is lost");
    let child = spawn(sum, rx).unwrap();
    tx.send_many(0..100).unwrap();
    drop(tx);
    assert_eq!(child.join().unwrap(), 4950);
}

#[test]
fn both_ends_of_a_connection_talk() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn child(there: ipc_pipes::Duplex<String, u32>) {
        let mut sum = 0;
        while let Ok(n) = there.recv() {
            sum += n;
            if n == 0 {
                break;
            }
        }
        there.send(format!("{sum}")).unwrap();
        assert_eq!(there.recv_bytes().unwrap(), b"bytes");
        let mut small = [0; 4];
        let long = there.recv_bytes_into(&mut small).unwrap_err();
        assert_eq!(long, ipc_pipes::RecvBytesError::TooLong(b"bytes again".to_vec()));
        assert_eq!(there.recv_bytes_into(&mut small), Ok(3));
        assert_eq!(&small[..3], b"end");
        there.send_bytes(&[7; 100_000]).unwrap();
    }
    let (here, there) = duplex::<u32, String>().unwrap();
    assert!(!here.poll(Duration::from_millis(1)));
    let child = start(child, there);
    [1, 2, 3, 0].into_iter().for_each(|n| here.send(n).unwrap());
    assert!(here.poll(Duration::MAX));
    assert_eq!(here.recv_timeout(Duration::from_secs(20)).unwrap(), "6");
    here.send_bytes(b"bytes").unwrap();
    here.send_bytes(b"bytes again").unwrap();
    here.send_bytes(b"end").unwrap();
    assert_eq!(here.recv_bytes().unwrap(), vec![7; 100_000]);
    child.join().unwrap();
    assert!(here.poll(Duration::MAX) && here.is_disconnected());
    assert!(here.try_recv().unwrap_err().is_disconnected());
    assert!(here.send(1).unwrap_err().is_disconnected());
}

#[test]
fn halves_of_a_connection_end_one_by_one() {
    let _watchdog = watchdog();
    let (here, there) = duplex::<u32, u32>().unwrap();
    let (tx, rx) = here.split();
    tx.send(1).unwrap();
    drop(tx);
    assert_eq!(there.recv(), Ok(1));
    assert!(there.recv().unwrap_err().is_disconnected());
    there.send(2).unwrap();
    assert_eq!(rx.recv(), Ok(2));
    drop(rx);
    assert!(there.send(3).unwrap_err().is_disconnected());
}
