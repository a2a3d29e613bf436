//! Programs as they are written for crossbeam-channel, with our import: same outcome.
//!
//! fault 93.
//!
//! The one difference: making a channel can fail here, so it answers an `io::Result`.
//!
//! What crossbeam-channel documents of selection and timers stands in files of its own, which are
//! compiled once for crossbeam-channel and once for each route. `on_crossbeam`, `on_shm` and the
//! like name the files and what they import. `children` states the same for two processes, and
//! `differences` what is deliberately different here.

#[cfg(target_os = "linux")]
mod children;
mod differences;
mod on_crossbeam;
mod on_pipe;
mod on_shm;
mod on_thread;

use std::collections::HashMap;
use std::iter::FusedIterator;
use std::thread;
use std::time::Duration;

use testkit::watchdog;

/// Longer than anything that should happen.
const LONG: Duration = Duration::from_secs(20);
/// For what should not happen.
const SHORT: Duration = Duration::from_millis(20);

/// Each program once for each crate. Only the import differs.
macro_rules! programs {
    ($($name:ident { $($import:item)* })*) => { $(mod $name {
        use super::*;
        $($import)*

        #[test]
        fn ping_pong() {
            let _watchdog = watchdog();
            let (ping_tx, ping_rx) = bounded(1);
            let (pong_tx, pong_rx) = bounded(1);
            let echo = thread::spawn(move || {
                for n in ping_rx {
                    pong_tx.send(n * 2u64).unwrap();
                }
            });
            let mut sum = 0;
            for n in 0..1000u64 {
                ping_tx.send(n).unwrap();
                sum += pong_rx.recv().unwrap();
            }
            drop(ping_tx);
            echo.join().unwrap();
            assert!(pong_rx.recv().is_err());
            assert_eq!(sum, 999 * 1000);
        }

        #[test]
        fn worker_pool() {
            let _watchdog = watchdog();
            let (jobs, queue) = bounded::<u64>(8);
            let (results, answers) = bounded::<(u64, bool)>(8);
            let is_prime = |n: u64| n > 1 && (2..).take_while(|d| d * d <= n).all(|d| n % d != 0);
            let workers: Vec<_> = (0..4)
                .map(|_| {
                    let (queue, results): (Receiver<_>, Sender<_>) = (queue.clone(), results.clone());
                    thread::spawn(move || {
                        for job in &queue {
                            results.send((job, is_prime(job))).unwrap();
                        }
                    })
                })
                .collect();
            drop((queue, results));
            let feeder = thread::spawn(move || (0..2000).for_each(|n| jobs.send(n).unwrap()));
            let found: HashMap<_, _> = answers.iter().collect();
            feeder.join().unwrap();
            workers.into_iter().for_each(|worker| worker.join().unwrap());
            assert_eq!(found.len(), 2000);
            assert_eq!(found.values().filter(|prime| **prime).count(), 303);
        }

        #[test]
        fn pipeline() {
            let _watchdog = watchdog();
            let (lines, words_in) = bounded::<String>(3);
            let (words_out, counts_in) = bounded::<String>(5);
            thread::scope(|s| {
                s.spawn(move || {
                    for n in 0..200 {
                        lines.send(format!("the {n}. line of the text")).unwrap();
                    }
                });
                s.spawn(move || {
                    for line in words_in.iter() {
                        for word in line.split(' ') {
                            words_out.send(word.to_owned()).unwrap();
                        }
                    }
                });
                let mut counts = HashMap::new();
                while let Ok(word) = counts_in.recv() {
                    *counts.entry(word).or_insert(0) += 1;
                }
                assert_eq!((counts["the"], counts["text"], counts["7."]), (400, 200, 1));
            });
        }

        #[test]
        fn fan_in() {
            let _watchdog = watchdog();
            let (tx, rx) = bounded(4);
            let senders: Vec<_> = (0..5u32)
                .map(|id| {
                    let tx = tx.clone();
                    thread::spawn(move || {
                        let mut refused = 0;
                        for n in 0..100u32 {
                            // Some patient, some not.
                            let mut message = (id, n);
                            while let Err(error) = tx.try_send(message) {
                                assert!(error.is_full());
                                refused += 1;
                                message = error.into_inner();
                                if tx.send_timeout(message, Duration::from_millis(1)).is_ok() {
                                    break;
                                }
                            }
                        }
                        refused
                    })
                })
                .collect();
            drop(tx);
            let mut next = [0; 5];
            loop {
                match rx.recv_timeout(Duration::from_secs(10)) {
                    Ok((id, n)) => {
                        assert_eq!(next[id as usize], n);
                        next[id as usize] += 1;
                    }
                    Err(error) => {
                        assert!(error.is_disconnected());
                        break;
                    }
                }
            }
            senders.into_iter().for_each(|sender| assert!(sender.join().unwrap() >= 0));
            assert_eq!(next, [100; 5]);
            assert!(rx.try_iter().next().is_none());
        }

        // fault 130
        #[test]
        fn named_iterators() {
            fn fused<I: FusedIterator>(iter: I) -> I {
                iter
            }
            struct Waiting<'a> {
                there: TryIter<'a, u64>,
                rest: Iter<'a, u64>,
            }
            let _watchdog = watchdog();
            let (tx, rx) = bounded(4);
            (0..3).for_each(|n| tx.send(n).unwrap());
            let mut waiting = Waiting { there: rx.try_iter(), rest: fused(rx.iter()) };
            assert_eq!((waiting.there.next(), waiting.rest.next()), (Some(0), Some(1)));
            drop(tx);
            let mut all: IntoIter<u64> = fused(rx.into_iter());
            assert_eq!((all.next(), all.next(), all.next()), (Some(2), None, None));
        }
    })* };
}

programs! {
    crossbeam {
        use crossbeam_channel::{IntoIter, Iter, Receiver, Sender, TryIter, bounded};
    }
    ours {
        use multiprocess::{IntoIter, Iter, Receiver, Sender, TryIter};
        fn bounded<T: serde::Serialize + serde::de::DeserializeOwned>(n: usize) -> (Sender<T>, Receiver<T>) {
            multiprocess::bounded(n).unwrap()
        }
    }
    ours_between_threads {
        use multiprocess::{IntoIter, Iter, Receiver, Sender, TryIter};
        fn bounded<T: serde::Serialize + serde::de::DeserializeOwned>(n: usize) -> (Sender<T>, Receiver<T>) {
            multiprocess::thread::bounded(n).unwrap()
        }
    }
}

/// A message that decodes if it is odd.
#[derive(serde::Serialize)]
struct Odd(u64);

impl<'de> serde::Deserialize<'de> for Odd {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        if number % 2 == 1 { Ok(Odd(number)) } else { Err(serde::de::Error::custom("it is even")) }
    }
}

// fault 130
#[test]
fn an_iterator_says_that_a_message_is_unreadable_and_stays_ended() {
    let _watchdog = watchdog();
    let (tx, rx) = multiprocess::bounded(4).unwrap();
    (1..=4).for_each(|n| tx.send(Odd(n)).unwrap());
    let mut iter = rx.iter();
    assert_eq!(iter.next().unwrap().0, 1);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| iter.next())).err();
    let text = panic.and_then(|panic| panic.downcast::<String>().ok()).expect("2 does not decode");
    assert!(text.contains("it is even"), "{text}");
    assert!(iter.next().is_none() && iter.next().is_none(), "3 is not the iterator's");
    assert_eq!(rx.iter().next().unwrap().0, 3, "a new one goes on");
}
