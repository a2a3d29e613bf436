//! Dropped in each order, here and there: the last one takes everything along, no other does.

use std::any::Any;
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use multiprocess::shm::{Mutex, Segment, Shared};
use multiprocess::{bounded, spawn};
use testkit::{channel_descriptors, channel_mappings, watchdog};

type Thing = Box<dyn Any + Send>;

/// Every order of so many things.
fn orders(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let insert = |order: &Vec<usize>, at: usize| {
        let mut order = order.clone();
        order.insert(at, n - 1);
        order
    };
    orders(n - 1)
        .iter()
        .flat_map(|order| (0..n).map(|at| insert(order, at)).collect::<Vec<_>>())
        .collect()
}

/// Drops in another thread, and waits until it is done.
struct Elsewhere(mpsc::Sender<Thing>, mpsc::Receiver<()>);

impl Elsewhere {
    fn new() -> Elsewhere {
        let (give, things) = mpsc::channel::<Thing>();
        let (done, is_done) = mpsc::channel();
        thread::spawn(move || {
            for thing in things {
                drop(thing);
                done.send(()).unwrap();
            }
        });
        Elsewhere(give, is_done)
    }

    fn drop(&self, thing: Thing) {
        self.0.send(thing).unwrap();
        self.1.recv().unwrap();
    }
}

/// Makes things, drops them in each order, each here or there, and looks after each.
fn in_each_order(make: impl Fn() -> Vec<Thing>, left: impl Fn(usize)) {
    let elsewhere = Elsewhere::new();
    let count = make().len();
    for order in orders(count) {
        for places in 0..1u32 << count {
            let mut things: Vec<_> = make().into_iter().map(Some).collect();
            for (done, at) in order.iter().enumerate() {
                let thing = things[*at].take().unwrap();
                if places >> at & 1 == 1 {
                    elsewhere.drop(thing)
                } else {
                    drop(thing)
                }
                left(count - done - 1);
            }
        }
    }
}

// fault 88
#[test]
fn ends_in_each_order_and_thread() {
    multiprocess::init();
    let _watchdog = watchdog();
    let count = |()| {
        let before = (channel_descriptors(), channel_mappings());
        let make = || -> Vec<Thing> {
            let (tx, rx) = bounded(4).unwrap();
            tx.send(vec![1u8; 10]).unwrap();
            tx.send(vec![2; 1000]).unwrap();
            vec![Box::new(tx.clone()), Box::new(tx), Box::new(rx.clone()), Box::new(rx)]
        };
        let left = |things| {
            // A mapping of the ring, and one of what was used of the blocks.
            let one = usize::from(things > 0);
            assert_eq!(
                (channel_descriptors(), channel_mappings()),
                (before.0 + one, before.1 + 2 * one)
            );
        };
        in_each_order(make, left);
    };
    spawn(count, ()).unwrap().join().unwrap();
}

// fault 88: a guard lives no longer than its receiver; of all others, in any order.
#[test]
fn a_guard_among_ends_in_each_order() {
    multiprocess::init();
    let _watchdog = watchdog();
    let count = |()| {
        for order in orders(4) {
            let (tx, rx) = bounded(4).unwrap();
            for n in 0..2u8 {
                tx.send(vec![n; 1000]).unwrap();
            }
            let lender = rx.clone();
            let mut guard = Some(lender.recv_ref().unwrap());
            let mut things: [Option<Thing>; 3] =
                [Some(Box::new(tx.clone())), Some(Box::new(tx)), Some(Box::new(rx))];
            for at in order {
                match things.get_mut(at) {
                    Some(thing) => drop(thing.take()),
                    None => assert_eq!(guard.take().unwrap().len(), 1000),
                }
            }
            assert_eq!(lender.recv(), Ok(vec![1; 1000]));
            assert!(lender.recv().unwrap_err().is_disconnected());
            drop(guard);
            drop(lender);
            assert_eq!((channel_descriptors(), channel_mappings()), (0, 0));
        }
    };
    spawn(count, ()).unwrap().join().unwrap();
}

// fault 88: with a name.
#[test]
fn what_lies_in_a_segment_in_each_order_and_thread() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = format!("multiprocess-test-{}-drops", std::process::id());
    let path = std::path::Path::new("/dev/shm").join(&name);
    let make = || -> Vec<Thing> {
        let segment = Segment::create(&name, 1000).unwrap();
        let mutex = Mutex::new_in(&segment, 1u64).unwrap();
        let number = Shared::new_in(&segment, 1u64).unwrap();
        vec![Box::new(segment.clone()), Box::new(segment), Box::new(mutex), Box::new(number)]
    };
    in_each_order(make, |left| {
        assert_eq!(path.exists(), left > 0, "the last one takes the name along")
    });
}

// fault 88
#[test]
fn all_at_once_from_a_thread_each() {
    multiprocess::init();
    let _watchdog = watchdog();
    let count = |()| {
        for _ in 0..200 {
            let (tx, rx) = bounded(4).unwrap();
            tx.send(vec![2; 1000]).unwrap();
            let things: Vec<Thing> =
                vec![Box::new(tx.clone()), Box::new(tx), Box::new(rx.clone()), Box::new(rx)];
            let start = Arc::new(Barrier::new(things.len()));
            let threads: Vec<_> = things
                .into_iter()
                .map(|thing| {
                    let start = start.clone();
                    thread::spawn(move || {
                        start.wait();
                        drop(thing);
                    })
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().unwrap());
            assert_eq!((channel_descriptors(), channel_mappings()), (0, 0));
        }
    };
    spawn(count, ()).unwrap().join().unwrap();
}
