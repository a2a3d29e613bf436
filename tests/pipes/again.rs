//! Ends that a process receives again and again.

use multiprocess::pipe::{self, Duplex};
use multiprocess::process::Builder;
use multiprocess::{Receiver, Sender, bounded};
use rustix::process::Resource;
use testkit::{descriptors, limit, watchdog};

use crate::support::alone;

type Make = fn() -> std::io::Result<(Sender<u64>, Receiver<u64>)>;

/// More than a process may have descriptors here.
const COPIES: usize = 2000;
const DESCRIPTORS: u64 = 256;

fn limit_descriptors() {
    limit(Resource::Nofile, Some(DESCRIPTORS));
}

/// Receives copies of a sender, uses and drops some, says so, and keeps the rest until it is told
/// to go.
fn collect(
    (copies, mut first, counts_tx, go): (
        Receiver<Sender<u64>>,
        Sender<u64>,
        Sender<usize>,
        Receiver<bool>,
    ),
) {
    limit_descriptors();
    let before = descriptors();
    let mut all = Vec::new();
    for (n, copy) in copies.iter().enumerate() {
        copy.send(n as u64).unwrap();
        all.push(copy);
    }
    assert_eq!(all.len(), COPIES);
    assert!(all.iter().all(|copy| copy.same_channel(&first)));
    assert_eq!(first.sender_count(), Some(COPIES + 2));
    // One set of descriptors, be it that of the first one.
    counts_tx.send(descriptors() - before).unwrap();
    while go.recv().unwrap() {
        let len = all.len() / 2;
        all.truncate(len);
        // Not only clones keep the descriptors: whichever is left does.
        first = all[len - 1].clone();
        counts_tx.send(first.sender_count().unwrap()).unwrap();
    }
    drop((all, first));
}

fn received_again(make: Make) {
    for killed in [false, true] {
        let (tx, rx) = make().unwrap();
        let (copies, to_child) = pipe::channel().unwrap();
        let (counts_tx, counts_rx) = bounded(1).unwrap();
        let (go, wait) = bounded(1).unwrap();
        let args = (to_child, tx.clone(), counts_tx, wait);
        let child = Builder::new().kill_on_drop(true).spawn(collect, args).unwrap();
        let receive = std::thread::spawn(move || {
            assert!(rx.iter().take(COPIES).eq(0..COPIES as u64));
            rx
        });
        for _ in 0..COPIES {
            copies.send(tx.clone()).unwrap();
        }
        drop(copies);
        let more = counts_rx.recv().unwrap();
        assert!(more <= 1, "{more} descriptors more");
        let rx = receive.join().unwrap();
        assert_eq!(rx.sender_count(), Some(COPIES + 2));
        go.send(true).unwrap();
        assert_eq!(
            (counts_rx.recv(), rx.sender_count()),
            (Ok(COPIES / 2 + 2), Some(COPIES / 2 + 2))
        );
        if killed {
            child.kill().unwrap();
            assert!(child.join().is_err());
            drop(tx);
            assert!(rx.recv().unwrap_err().is_disconnected());
            assert_eq!(rx.disconnect_cause(), Some(multiprocess::DisconnectCause::Died));
        } else {
            go.send(false).unwrap();
            child.join().unwrap();
            assert_eq!(rx.sender_count(), Some(1));
            drop(tx);
            assert!(rx.recv().unwrap_err().is_disconnected());
            assert_eq!(rx.disconnect_cause(), Some(multiprocess::DisconnectCause::Dropped));
        }
        assert_eq!(rx.sender_count(), Some(0));
    }
}

// fault 125
#[test]
fn a_sender_of_a_socket_that_is_received_again_takes_no_descriptors() {
    multiprocess::init();
    let _watchdog = watchdog();
    received_again(pipe::channel);
}

// fault 125
#[test]
fn a_sender_of_a_pipe_that_is_received_again_takes_no_descriptors() {
    multiprocess::init();
    let _watchdog = watchdog();
    received_again(pipe::anonymous);
}

// fault 125: receivers and connections, and ends that come back to the process that made them.
#[test]
fn what_comes_back_takes_no_descriptors() {
    multiprocess::init();
    let _watchdog = watchdog();
    alone(|()| {
        limit_descriptors();
        for make in [pipe::channel as Make, pipe::anonymous] {
            let (tx, rx) = make().unwrap();
            let (there, back) = pipe::channel::<(Sender<u64>, Receiver<u64>)>().unwrap();
            let before = descriptors();
            let mut all = Vec::new();
            for _ in 0..COPIES {
                there.send((tx.clone(), rx.clone())).unwrap();
                all.push(back.recv().unwrap());
            }
            assert_eq!(descriptors(), before);
            assert_eq!(
                (tx.sender_count(), rx.receiver_count()),
                (Some(COPIES + 1), Some(COPIES + 1))
            );
            all[7].0.send(7).unwrap();
            assert_eq!(all[COPIES - 1].1.recv(), Ok(7));
            drop((tx, rx));
            assert_eq!(descriptors(), before, "the others keep them");
            all[8].0.send(8).unwrap();
            assert_eq!(all[0].1.recv(), Ok(8));
            drop((there, back));
            let open = descriptors();
            drop(all);
            assert!(descriptors() < open);
            // Nothing is known any more: another channel has its own.
            let (tx, rx) = make().unwrap();
            tx.send(1).unwrap();
            assert_eq!(rx.recv(), Ok(1));
        }
        let (here, there) = pipe::duplex::<u64, u64>().unwrap();
        let (carry, carried) = pipe::channel::<Duplex<u64, u64>>().unwrap();
        carry.send(there).unwrap();
        let mut kept = vec![carried.recv().unwrap()];
        let before = descriptors();
        for _ in 0..COPIES {
            let last = kept.pop().unwrap();
            // What is sent goes when it has been sent; one that is open by then is shared.
            let other = (carry.send(last), carried.recv().unwrap());
            other.0.unwrap();
            kept.push(other.1);
        }
        assert_eq!(descriptors(), before);
        here.send(5).unwrap();
        assert_eq!(kept[0].recv(), Ok(5));
    });
}

// fault 125: also within one message, which had no room for so many.
#[test]
fn many_copies_in_one_message_take_the_descriptors_of_one() {
    multiprocess::init();
    let _watchdog = watchdog();
    alone(|()| {
        for make in [pipe::channel as Make, pipe::anonymous] {
            let (tx, rx) = make().unwrap();
            let (there, back) = pipe::channel::<(Vec<Sender<u64>>, Receiver<u64>)>().unwrap();
            there.send((vec![tx.clone(); COPIES], rx.clone())).unwrap();
            drop((tx, rx));
            let before = descriptors();
            let (senders, receiver) = back.recv().unwrap();
            // A pipe with its store, or a socket, of each side, and the counters.
            assert!(descriptors() - before <= 5);
            assert_eq!(
                (senders.len(), receiver.sender_count(), receiver.receiver_count()),
                (COPIES, Some(COPIES), Some(1))
            );
            senders[COPIES - 1].send(3).unwrap();
            assert_eq!(receiver.recv(), Ok(3));
            drop(senders);
            assert!(receiver.recv().unwrap_err().is_disconnected());
        }
    });
}
