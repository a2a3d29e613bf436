//! Sequential truths, and threads of one process over a shared-memory channel.

use std::thread;
use std::time::Duration;

use ipc_shm::{Builder, RecvError, RecvTimeoutError, TryRecvError, TrySendError, pod};

#[test]
fn capacity_is_exact() {
    for capacity in [1, 2, 3, 5, 64, 100] {
        let (tx, rx) = ipc_shm::bounded::<u64>(capacity).unwrap();
        assert_eq!(tx.capacity(), Some(capacity));
        for round in 0..3 {
            for i in 0..capacity as u64 {
                assert_eq!(tx.len(), i as usize);
                tx.try_send(i + round).unwrap();
            }
            assert!(tx.is_full());
            assert!(matches!(tx.try_send(9), Err(TrySendError::Full(9))));
            for i in 0..capacity as u64 {
                assert_eq!(rx.try_recv(), Ok(i + round));
            }
            assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
            assert!(rx.is_empty());
        }
    }
}

#[test]
fn typed_messages_of_all_sizes_arrive_in_order() {
    let (tx, rx) = ipc_shm::bounded::<Vec<u8>>(8).unwrap();
    let sizes = [0, 1, 100, 239, 240, 241, 4096, 5000, 100_000, 3 << 20];
    let sender = thread::spawn(move || {
        for round in 0..20u8 {
            for size in sizes {
                tx.send(vec![round; size]).unwrap();
            }
        }
    });
    for round in 0..20u8 {
        for size in sizes {
            assert_eq!(rx.recv().unwrap(), vec![round; size]);
        }
    }
    assert_eq!(rx.recv(), Err(RecvError::Disconnected));
    sender.join().unwrap();
}

#[test]
fn many_threads_lose_and_double_nothing() {
    const N: u64 = 10_000;
    let (tx, rx) = pod::bounded::<[u64; 8]>(7).unwrap();
    let senders: Vec<_> = (0..3)
        .map(|s| {
            let tx = tx.clone();
            thread::spawn(move || (0..N).for_each(|i| tx.send([s * N + i; 8]).unwrap()))
        })
        .collect();
    drop(tx);
    let receivers: Vec<_> = (0..3)
        .map(|_| {
            let rx = rx.clone();
            thread::spawn(move || {
                let (mut sum, mut count) = (0, 0);
                for message in rx {
                    assert!(message.iter().all(|word| *word == message[0]));
                    sum += message[0];
                    count += 1;
                }
                (sum, count)
            })
        })
        .collect();
    drop(rx);
    senders.into_iter().for_each(|s| s.join().unwrap());
    let (sum, count) = receivers
        .into_iter()
        .map(|r| r.join().unwrap())
        .fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1));
    assert_eq!(count, 3 * N, "sum off by {}", sum as i64 - (0..3 * N).sum::<u64>() as i64);
    assert_eq!(sum, (0..3 * N).sum());
}

#[test]
fn batches_keep_order_and_content() {
    let (tx, rx) = pod::bounded::<u64>(100).unwrap();
    let sender = thread::spawn(move || assert_eq!(tx.send_many(0..100_000).unwrap(), 100_000));
    let mut got = Vec::new();
    while rx.recv_many(&mut got, 32).is_ok() {}
    assert!(got.iter().copied().eq(0..100_000));
    sender.join().unwrap();
    let (tx, rx) = ipc_shm::bounded::<String>(10).unwrap();
    let texts = |i: usize| "x".repeat(i * 37 % 1000);
    let sender = thread::spawn(move || tx.send_many((0..5000).map(texts)).unwrap());
    let mut got = Vec::new();
    while rx.recv_many(&mut got, 32).is_ok() {}
    assert!(got.into_iter().eq((0..5000).map(texts)));
    assert_eq!(sender.join().unwrap(), 5000);
}

#[test]
fn lent_messages_are_acknowledged_by_drop_and_blocks_come_back() {
    let (tx, rx) = ipc_shm::bounded::<String>(4).unwrap();
    for i in 0..1000 {
        tx.send(format!("{i}")).unwrap();
        tx.send("y".repeat(i)).unwrap();
        let lent = rx.recv_ref().unwrap();
        assert_eq!(*lent, format!("{i}"));
        assert_eq!(lent.deliveries(), 1);
        let large = rx.recv_ref().unwrap();
        drop(lent);
        assert_eq!(large.into_inner().len(), i);
    }
    let (tx, rx) = pod::bounded::<[u64; 8192]>(2).unwrap();
    for i in 0..1000 {
        let mut loan = tx.loan().unwrap();
        loan.fill(i);
        loan.send().unwrap();
        drop(tx.loan().unwrap());
        let lent = rx.recv_ref().unwrap();
        assert!(lent.iter().all(|word| *word == i));
    }
}

#[test]
fn a_forgotten_guard_goes_to_another_receiver_when_its_process_leaves() {
    // One process is one participant: here the message comes back when the last receiver goes.
    let (tx, rx) = ipc_shm::bounded::<u8>(4).unwrap();
    tx.send(1).unwrap();
    std::mem::forget(rx.recv_ref().unwrap());
    assert_eq!(rx.recv_timeout(Duration::from_millis(10)), Err(RecvTimeoutError::Timeout));
    drop(rx);
    assert!(tx.send(2).unwrap_err().is_disconnected());
}

#[test]
fn disconnection_wakes_the_other_side() {
    let (tx, rx) = ipc_shm::bounded::<u8>(1).unwrap();
    let waiting = thread::spawn(move || rx.recv());
    drop(tx);
    assert_eq!(waiting.join().unwrap(), Err(RecvError::Disconnected));
    let (tx, rx) = ipc_shm::bounded::<u8>(1).unwrap();
    tx.send(1).unwrap();
    let waiting = thread::spawn(move || tx.send(2));
    drop(rx);
    assert!(waiting.join().unwrap().unwrap_err().is_disconnected());
}

#[test]
fn what_cannot_be_sent_says_why_and_comes_back() {
    let (tx, _rx) = Builder::new(2).max_message(4096).typed::<Vec<u8>>().unwrap();
    let error = tx.send(vec![7; 5000]).unwrap_err();
    assert!(error.is_unsendable());
    assert!(error.to_string().contains("4096 bytes"), "{error}");
    assert_eq!(error.into_inner(), vec![7; 5000]);
    for capacity in [0, usize::MAX, 1 << 40] {
        assert!(ipc_shm::bounded::<u8>(capacity).is_err());
    }
}

#[test]
fn a_hasty_sender_gets_an_error_at_once_when_no_receiver_is_left() {
    let (tx, rx) = ipc_shm::bounded::<u8>(1).unwrap();
    tx.send(1).unwrap();
    drop(rx);
    assert!(tx.try_send(2).unwrap_err().is_disconnected());
}

#[test]
fn slices_of_all_lengths_arrive_copied_and_in_place() {
    let (tx, rx) = ipc_shm::slice::bounded::<u32>(4).unwrap();
    for len in [0, 1, 59, 60, 61, 1000, 300_000] {
        let slice: Vec<u32> = (0..len).map(|i| i * 3).collect();
        tx.send(slice.clone()).unwrap();
        let mut loan = tx.loan_slice(len as usize).unwrap();
        loan.write(&slice);
        assert_eq!(*loan, slice[..]);
        loan.send().unwrap();
        drop(tx.loan_slice(len as usize).unwrap());
        assert_eq!(rx.recv().unwrap(), slice);
        let lent = rx.recv_ref().unwrap();
        assert_eq!((&*lent, lent.deliveries()), (&slice[..], 1));
        assert_eq!(lent.to_vec_copied(), slice);
    }
    assert!(tx.loan_slice(usize::MAX).unwrap_err().is_unsendable());
    let (tx, rx) = Builder::new(2).max_message(4096).slices::<u8>().unwrap();
    let error = tx.send(vec![1; 4097]).unwrap_err();
    assert!(error.is_unsendable());
    assert_eq!(error.into_inner().len(), 4097);
    assert_eq!(tx.send_many([vec![1], vec![2; 300]]).unwrap(), 2);
    let mut got = Vec::new();
    assert_eq!(rx.recv_many(&mut got, 9), Ok(2));
    assert_eq!(got, [vec![1], vec![2; 300]]);
}
