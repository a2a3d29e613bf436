//! Futures, streams and sinks, on every route, and with the two sides in two processes.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_executor::{LocalPool, block_on};
use futures_util::future::Either;
use futures_util::task::LocalSpawnExt;
use futures_util::{FutureExt, SinkExt, StreamExt, future};
use multiprocess::process::Builder;
use multiprocess::{JoinError, Receiver, RecvError, Route, SendError, Sender, after};
use testkit::watchdog;

use crate::support::{ROUTES, SHORT, channel};

/// Counts the calls of a waker.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl Calls {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// Polls once.
fn poll<F: Future + ?Sized>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// Fills the channel, and returns how many messages that took.
fn fill(tx: &Sender<u64>) -> u64 {
    (0..).find(|n| tx.try_send(*n).is_err()).unwrap()
}

#[test]
fn a_message_that_is_there_is_received_at_the_first_poll() {
    for route in ROUTES {
        let (tx, rx) = channel(route);
        tx.send("a".to_owned()).unwrap();
        assert_eq!(rx.recv_async().now_or_never(), Some(Ok("a".to_owned())), "{route:?}");
        assert!(rx.recv_async().now_or_never().is_none(), "{route:?}");
        assert_eq!(tx.send_async("b".to_owned()).now_or_never(), Some(Ok(())), "{route:?}");
        assert_eq!(rx.recv(), Ok("b".to_owned()), "{route:?}");
    }
}

#[test]
fn a_task_is_woken_by_a_message() {
    let _watchdog = watchdog();
    for route in ROUTES {
        let (tx, rx) = channel(route);
        std::thread::scope(|scope| {
            let received = scope.spawn(|| block_on(rx.recv_async()));
            while !received.is_finished() && tx.receiver_count() == Some(0) {
                std::thread::yield_now();
            }
            tx.send(7u64).unwrap();
            assert_eq!(received.join().unwrap(), Ok(7), "{route:?}");
        });
    }
}

#[test]
fn a_task_is_woken_by_room() {
    let _watchdog = watchdog();
    for route in ROUTES {
        let (tx, rx) = channel(route);
        let full = fill(&tx);
        std::thread::scope(|scope| {
            let sent = scope.spawn(|| block_on(tx.send_async(full)));
            for n in 0..=full {
                assert_eq!(rx.recv(), Ok(n), "{route:?}");
            }
            assert_eq!(sent.join().unwrap(), Ok(()), "{route:?}");
        });
    }
}

#[test]
fn the_end_of_the_other_side_wakes_tasks() {
    let _watchdog = watchdog();
    for route in ROUTES {
        let (tx, rx) = channel::<u64>(route);
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(calls.clone());
        {
            let mut receiving = pin!(rx.recv_async());
            assert!(poll(receiving.as_mut(), &waker).is_pending());
            drop(tx);
            testkit::until("the task is woken", || calls.count() > 0);
            let received = poll(receiving, &waker);
            assert_eq!(received, Poll::Ready(Err(RecvError::Disconnected)), "{route:?}");
        }
        let (tx, rx) = channel(route);
        let full = fill(&tx);
        std::thread::scope(|scope| {
            let sent = scope.spawn(|| block_on(tx.send_async(full)));
            drop(rx);
            assert_eq!(sent.join().unwrap(), Err(SendError::Disconnected(full)), "{route:?}");
        });
    }
}

/// Cancelled at each poll, a future takes nothing and loses nothing.
#[test]
fn a_future_that_is_dropped_takes_nothing() {
    let _watchdog = watchdog();
    for route in ROUTES {
        let (tx, rx) = channel(route);
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(calls.clone());
        for n in 0..200u64 {
            // A task is also woken when it is time to look for dead peers.
            let before = calls.count();
            let mut receiving = Box::pin(rx.recv_async());
            assert!(poll(receiving.as_mut(), &waker).is_pending(), "{route:?}");
            tx.send(n).unwrap();
            if n % 2 == 0 {
                // Woken, and dropped.
                testkit::until("the task is woken", || calls.count() > before);
            }
            drop(receiving);
            assert_eq!(block_on(rx.recv_async()), Ok(n), "{route:?}");
        }
    }
}

/// The wake-up of a future that is dropped goes to another one, or to a thread.
#[test]
fn the_wake_up_of_a_future_that_is_dropped_goes_to_another_waiter() {
    let _watchdog = watchdog();
    for route in ROUTES {
        let (tx, rx) = channel(route);
        let calls = Arc::new(Calls::default());
        let waker = Waker::from(calls.clone());
        for n in 0..50u64 {
            let before = calls.count();
            let mut dropped: Vec<_> = (0..3).map(|_| Box::pin(rx.recv_async())).collect();
            for future in &mut dropped {
                assert!(poll(future.as_mut(), &waker).is_pending());
            }
            std::thread::scope(|scope| {
                let waits = rx.clone();
                let waits = scope.spawn(move || match n % 2 {
                    0 => waits.recv(),
                    _ => block_on(waits.recv_async()),
                });
                tx.send(n).unwrap();
                while calls.count() == before && !waits.is_finished() {
                    std::thread::yield_now();
                }
                drop(dropped);
                assert_eq!(waits.join().unwrap(), Ok(n), "{route:?}");
            });
        }
    }
}

#[test]
fn a_cancelled_send_returns_its_message() {
    for route in ROUTES {
        let (tx, rx) = channel(route);
        let full = fill(&tx);
        let mut sending = tx.send_async(full);
        assert!(poll(Pin::new(&mut sending), Waker::noop()).is_pending(), "{route:?}");
        assert_eq!(sending.into_message(), Some(full));
        drop(tx);
        assert_eq!(rx.iter().count() as u64, full, "{route:?}");
    }
}

#[test]
fn many_tasks_of_one_thread_share_the_messages() {
    const TASKS: usize = 40;
    const EACH: u64 = 50;
    let _watchdog = watchdog();
    for route in ROUTES {
        let (tx, rx) = channel(route);
        let mut pool = LocalPool::new();
        let received = Arc::new(AtomicUsize::new(0));
        for _ in 0..TASKS {
            let (rx, received) = (rx.clone(), received.clone());
            let task = async move {
                while let Ok(n) = rx.recv_async().await {
                    received.fetch_add(usize::try_from(n).unwrap(), Ordering::Relaxed);
                }
            };
            pool.spawner().spawn_local(task).unwrap();
            let tx = tx.clone();
            let task = async move {
                for _ in 0..EACH {
                    tx.send_async(1u64).await.unwrap();
                }
            };
            pool.spawner().spawn_local(task).unwrap();
        }
        drop((tx, rx));
        pool.run();
        assert_eq!(received.load(Ordering::Relaxed) as u64, TASKS as u64 * EACH, "{route:?}");
    }
}

#[test]
fn streams_and_sinks() {
    let _watchdog = watchdog();
    for route in ROUTES {
        let (tx, rx) = channel(route);
        let all: Vec<u64> = block_on(async {
            let mut sink = tx.into_sink();
            let send = async {
                for n in 0..100 {
                    sink.send(n).await.unwrap();
                }
                sink.close().await.unwrap();
                drop(sink);
            };
            let receive = rx.stream().map(Result::unwrap).collect();
            future::join(send, receive).await.1
        });
        assert_eq!(all, (0..100).collect::<Vec<_>>(), "{route:?}");
        assert!(block_on(rx.into_stream().next()).is_none(), "{route:?}");
    }
}

#[test]
fn a_task_waits_for_several_things() {
    let _watchdog = watchdog();
    for route in ROUTES {
        let (tx, rx) = channel(route);
        let (_other, quiet) = channel::<u64>(Route::Shm);
        let late = after(SHORT);
        block_on(async {
            let both = future::select(quiet.recv_async(), rx.recv_async());
            let first = future::select(both, late.recv_async()).await;
            assert!(matches!(first, Either::Right(_)), "{route:?}: nothing was sent");
            drop(first);
            tx.send(1u64).unwrap();
            let first = future::select(quiet.recv_async(), rx.recv_async()).await;
            assert!(matches!(first, Either::Right((Ok(1), _))), "{route:?}");
        });
    }
}

#[test]
fn a_lent_message_is_awaited() {
    let (tx, rx) = channel(Route::Shm);
    block_on(async {
        let send = tx.send_async("x".repeat(5_000));
        let (lent, sent) = future::join(rx.recv_ref_async(), send).await;
        assert_eq!((lent.unwrap().len(), sent), (5_000, Ok(())));
    });
}

fn echo((from, to): (Receiver<u64>, Sender<u64>)) {
    block_on(async {
        while let Ok(n) = from.recv_async().await {
            to.send_async(n + 1).await.unwrap();
        }
    });
}

#[test]
fn tasks_of_two_processes_exchange_messages() {
    let _watchdog = watchdog();
    for route in [Route::Shm, Route::Pipe] {
        let ((to, from_here), (to_here, from)) = (channel(route), channel(route));
        let child = multiprocess::spawn(echo, (from_here, to_here)).unwrap();
        block_on(async {
            for n in 0..200 {
                to.send_async(n).await.unwrap();
                assert_eq!(from.recv_async().await, Ok(n + 1), "{route:?}");
                if n % 50 == 0 {
                    // Both sides sleep.
                    after(Duration::from_millis(5)).recv_async().await.unwrap();
                }
            }
            drop(to);
            child.await.unwrap();
        });
    }
}

fn keep(_ends: (Option<Receiver<u64>>, Option<Sender<u64>>)) {
    loop {
        std::thread::park();
    }
}

#[test]
fn a_task_is_woken_by_the_death_of_the_other_side() {
    let _watchdog = watchdog();
    for route in [Route::Shm, Route::Pipe] {
        for pause in [0, 60] {
            let (tx, rx) = channel(route);
            let child = Builder::new().kill_on_drop(true).spawn(keep, (None, Some(tx))).unwrap();
            let received = block_on(async {
                let kill = async {
                    after(Duration::from_millis(pause)).recv_async().await.unwrap();
                    child.kill().unwrap();
                };
                future::join(rx.recv_async(), kill).await.0
            });
            assert_eq!(received, Err(RecvError::Disconnected), "{route:?}");

            let (tx, rx) = channel(route);
            let full = fill(&tx);
            let child = Builder::new().kill_on_drop(true).spawn(keep, (Some(rx), None)).unwrap();
            let sent = block_on(async {
                let kill = async {
                    after(Duration::from_millis(pause)).recv_async().await.unwrap();
                    child.kill().unwrap();
                };
                future::join(tx.send_async(full), kill).await.0
            });
            assert_eq!(sent, Err(SendError::Disconnected(full)), "{route:?}");
        }
    }
}

#[test]
fn the_end_of_a_child_is_awaited() {
    let _watchdog = watchdog();
    block_on(async {
        let child = multiprocess::spawn(|n: u64| n * n, 12).unwrap();
        assert_eq!(child.await.unwrap(), 144);

        let mut child = Builder::new().kill_on_drop(true).spawn(keep, (None, None)).unwrap();
        let late = after(SHORT);
        let by_time = future::select(&mut child, late.recv_async()).await;
        assert!(matches!(by_time, Either::Right(_)));
        child.kill().unwrap();
        assert!(matches!(child.await, Err(JoinError::Killed(9))));

        let large = multiprocess::spawn(|len| "x".repeat(len), 3_000_000).unwrap();
        assert_eq!(large.await.unwrap().len(), 3_000_000);
    });
}

#[test]
fn many_channels_are_awaited_at_once() {
    const CHANNELS: usize = 400;
    let _watchdog = watchdog();
    let (all, ends): (Vec<_>, Vec<_>) = (0..CHANNELS)
        .map(|n| channel::<usize>(ROUTES[if n % 8 == 0 { 1 } else { n % 2 * 2 }]))
        .unzip();
    std::thread::scope(|scope| {
        let received = scope.spawn(|| {
            block_on(future::join_all(ends.iter().map(|rx: &Receiver<usize>| rx.recv_async())))
        });
        for (n, tx) in all.iter().enumerate().rev() {
            tx.send(n).unwrap();
        }
        let received = received.join().unwrap();
        assert!(received.into_iter().enumerate().all(|(n, got)| got == Ok(n)));
    });
}

/// Makes a channel without room.
fn meeting() -> (Sender<u64>, Receiver<u64>) {
    multiprocess::thread::bounded(0).unwrap()
}

#[test]
fn tasks_of_one_thread_meet() {
    let _watchdog = watchdog();
    let (tx, rx) = meeting();
    let (sum, ()) = block_on(future::join(
        async move {
            let mut sum = 0;
            while let Ok(n) = rx.recv_async().await {
                sum += n;
            }
            sum
        },
        async move {
            for n in 0..1000u64 {
                tx.send_async(n).await.unwrap();
            }
        },
    ));
    assert_eq!(sum, 999 * 1000 / 2);
}

#[test]
fn a_task_meets_a_thread_and_a_selection() {
    let _watchdog = watchdog();
    let (tx, rx) = meeting();
    let (to_here, from_there) = (tx.clone(), rx.clone());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for n in 0..200u64 {
                if n % 2 == 0 {
                    to_here.send(n).unwrap();
                } else {
                    multiprocess::select! { send(to_here, n) -> sent => sent.unwrap() }
                }
            }
        });
        block_on(async {
            for n in 0..200 {
                assert_eq!(rx.recv_async().await, Ok(n));
            }
        });
        scope.spawn(move || {
            for n in 0..200u64 {
                if n % 2 == 0 {
                    assert_eq!(from_there.recv(), Ok(n));
                } else {
                    multiprocess::select! { recv(from_there) -> got => assert_eq!(got, Ok(n)) }
                }
            }
        });
        block_on(async {
            for n in 0..200 {
                tx.send_async(n).await.unwrap();
            }
        });
    });
}

#[test]
fn what_a_cancelled_task_was_given_goes_to_another_one() {
    let (tx, rx) = meeting();
    let mut cancelled = Box::pin(rx.recv_async());
    assert!(poll(cancelled.as_mut(), Waker::noop()).is_pending());
    assert_eq!(tx.try_send(1), Ok(()), "a receiver waits");
    let mut next = Box::pin(rx.recv_async());
    assert!(poll(next.as_mut(), Waker::noop()).is_pending());
    drop(cancelled);
    assert_eq!(poll(next.as_mut(), Waker::noop()), Poll::Ready(Ok(1)));

    let mut cancelled = Box::pin(rx.recv_async());
    assert!(poll(cancelled.as_mut(), Waker::noop()).is_pending());
    assert_eq!(tx.try_send(2), Ok(()));
    drop(cancelled);
    assert_eq!(rx.try_recv(), Ok(2));

    let mut cancelled = tx.send_async(3);
    assert!(poll(Pin::new(&mut cancelled), Waker::noop()).is_pending());
    assert_eq!(cancelled.into_message(), Some(3));
    assert!(rx.try_recv().is_err());

    let mut gone = Box::pin(rx.recv_async());
    assert!(poll(gone.as_mut(), Waker::noop()).is_pending());
    drop(gone);
    assert!(tx.try_send(4).is_err(), "no receiver waits any more");
    drop(tx);
    assert_eq!(rx.recv_async().now_or_never(), Some(Err(RecvError::Disconnected)));
}
