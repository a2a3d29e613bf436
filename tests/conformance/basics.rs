//! What a channel holds, and what it answers at once.

use ipc_core::{TryRecvError, TrySendError};

use crate::conformance::routes::{Message, Route, Rx, Tx, msg};

pub(crate) fn smoke<R: Route>() {
    let (tx, rx) = R::bounded(1);
    tx.send(msg::<R>(7)).unwrap();
    assert_eq!(rx.recv().unwrap(), msg::<R>(7));
    tx.try_send(msg::<R>(8)).unwrap();
    assert_eq!(rx.try_recv().unwrap(), msg::<R>(8));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

pub(crate) fn capacity_is_exact<R: Route>() {
    for capacity in (1..=10).chain([1000]) {
        let (tx, rx) = R::bounded(capacity);
        assert_eq!(tx.capacity(), Some(capacity));
        assert_eq!(rx.capacity(), Some(capacity));
        for n in 0..capacity as u64 {
            tx.try_send(msg::<R>(n)).unwrap();
        }
        assert!(tx.try_send(msg::<R>(99)).unwrap_err().is_full());
        assert_eq!(rx.try_recv().unwrap().number(), 0);
        tx.try_send(msg::<R>(capacity as u64)).unwrap();
        assert!(tx.try_send(msg::<R>(99)).unwrap_err().is_full());
        for n in 1..=capacity as u64 {
            assert_eq!(rx.try_recv().unwrap().number(), n);
        }
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    }
}

pub(crate) fn len_tracks_what_is_inside<R: Route>() {
    const CAPACITY: usize = 5;
    let (tx, rx) = R::bounded(CAPACITY);
    let holds = |n: usize| {
        assert_eq!((tx.len(), rx.len()), (n, n));
        assert_eq!((tx.is_empty(), rx.is_empty()), (n == 0, n == 0));
        assert_eq!((tx.is_full(), rx.is_full()), (n == CAPACITY, n == CAPACITY));
    };
    // More than two laps, so that full and empty happen at every slot.
    for round in 0..7 {
        for n in 0..CAPACITY {
            holds(n);
            tx.send(msg::<R>(n as u64)).unwrap();
        }
        let take = CAPACITY - round % 2;
        for n in 0..take {
            holds(CAPACITY - n);
            rx.recv().unwrap();
        }
        for n in (0..CAPACITY - take).rev() {
            rx.recv().unwrap();
            holds(n);
        }
    }
}

pub(crate) fn a_full_channel_gives_the_message_back<R: Route>() {
    let (tx, rx) = R::bounded(2);
    tx.send(msg::<R>(0)).unwrap();
    tx.send(msg::<R>(1)).unwrap();
    assert_eq!(tx.try_send(msg::<R>(2)), Err(TrySendError::Full(msg::<R>(2))));
    assert_eq!(rx.recv().unwrap().number(), 0);
    assert_eq!(tx.try_send(msg::<R>(3)), Ok(()));
    assert_eq!(tx.try_send(msg::<R>(4)).unwrap_err().into_inner().number(), 4);
    assert_eq!(rx.try_iter().map(|m| m.number()).collect::<Vec<_>>(), [1, 3]);
}

pub(crate) fn an_empty_channel_is_reported_as_empty<R: Route>() {
    let (tx, rx) = R::bounded(3);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    tx.send(msg::<R>(1)).unwrap();
    assert_eq!(rx.try_recv(), Ok(msg::<R>(1)));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    drop(tx);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Disconnected));
}

pub(crate) fn laps_do_not_matter<R: Route>() {
    for capacity in [1, 2, 3, 7, 8] {
        let (tx, rx) = R::bounded(capacity);
        let mut sent = 0;
        for got in 0..1000 {
            while tx.try_send(msg::<R>(sent)).is_ok() {
                sent += 1;
            }
            assert_eq!(sent - got, capacity as u64);
            assert_eq!(rx.recv().unwrap().number(), got);
        }
    }
}

pub(crate) fn same_channel_means_that<R: Route>() {
    let (tx, rx) = R::bounded(1);
    let (other_tx, other_rx) = R::bounded(1);
    assert!(tx.same_channel(&tx) && tx.same_channel(&tx.clone()));
    assert!(rx.same_channel(&rx) && rx.same_channel(&rx.clone()));
    assert!(!tx.same_channel(&other_tx) && !other_tx.same_channel(&tx));
    assert!(!rx.same_channel(&other_rx) && !other_rx.same_channel(&rx));
}

pub(crate) fn counts_follow_clones_and_drops<R: Route>() {
    let (tx, rx) = R::bounded(1);
    let counts = |tx: &Tx<R>, rx: &Rx<R>| {
        assert_eq!(
            (tx.sender_count(), tx.receiver_count()),
            (rx.sender_count(), rx.receiver_count())
        );
        (tx.sender_count().unwrap(), tx.receiver_count().unwrap())
    };
    assert_eq!(counts(&tx, &rx), (1, 1));
    let more: Vec<_> = (0..5).map(|_| tx.clone()).collect();
    let one = rx.clone();
    assert_eq!(counts(&tx, &rx), (6, 2));
    drop(more);
    assert_eq!(counts(&tx, &rx), (1, 2));
    drop(rx);
    assert_eq!(counts(&tx, &one), (1, 1));
    drop(tx);
    assert_eq!((one.sender_count(), one.receiver_count()), (Some(0), Some(1)));
}

pub(crate) fn ends_print_what_they_are<R: Route>() {
    let (tx, rx) = R::bounded(1);
    assert_eq!(format!("{tx:?}"), "Sender { .. }");
    assert_eq!(format!("{rx:?}"), "Receiver { .. }");
    assert_eq!(format!("{:?}", rx.iter()), "Iter { .. }");
    assert_eq!(format!("{:?}", rx.try_iter()), "TryIter { .. }");
    assert_eq!(format!("{:?}", rx.drain()), "Drain { .. }");
    assert_eq!(format!("{:?}", rx.into_iter()), "IntoIter { .. }");
}

pub(crate) fn ends_go_to_other_threads<R: Route>() {
    fn check<T: Send + Sync + 'static>(_: &T) {}
    let (tx, rx) = R::bounded(1);
    check(&tx);
    check(&rx);
    // By move and by reference.
    std::thread::spawn(move || tx.send(msg::<R>(1)).unwrap()).join().unwrap();
    let got = std::thread::scope(|scope| scope.spawn(|| rx.recv()).join().unwrap());
    assert_eq!(got.unwrap().number(), 1);
}
