//! Many quick senders against a slow one.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use multiprocess::process::Builder;
use multiprocess::{Sender, bounded};
use testkit::watchdog;

/// Sends as fast as it can until no receiver is left.
fn flood(tx: Sender<Vec<u8>>) {
    while tx.send(vec![1]).is_ok() {}
}

// fault 73
#[test]
fn a_large_message_gets_through_among_many_small_ones() {
    multiprocess::init();
    let _watchdog = watchdog();
    const LARGE: usize = 64 << 10;
    /// So many small ones may overtake one large one, of a sender that is one of four and has more
    /// to do.
    const BOUND: u64 = 20_000;
    let (tx, rx) = bounded::<Vec<u8>>(4).unwrap();
    let flooding: Vec<_> = (0..3)
        .map(|_| Builder::new().kill_on_drop(true).spawn(flood, tx.clone()).unwrap())
        .collect();
    let small = AtomicU64::new(0);
    let most = thread::scope(|scope| {
        let receiving = scope.spawn(|| {
            let mut large = 0;
            while large < 200 {
                match rx.recv().unwrap().len() {
                    1 => drop(small.fetch_add(1, Relaxed)),
                    LARGE => large += 1,
                    other => panic!("{other} bytes"),
                }
            }
        });
        while small.load(Relaxed) < 1000 {
            thread::yield_now();
        }
        let send = |_| {
            let before = small.load(Relaxed);
            tx.send(vec![2; LARGE]).unwrap();
            small.load(Relaxed) - before
        };
        let most = (0..200).map(send).max().unwrap();
        receiving.join().unwrap();
        most
    });
    println!("at most {most} small messages overtook one large one");
    assert!(most < BOUND, "{most} small messages overtook one large one");
    drop((tx, rx));
    flooding.into_iter().for_each(|child| child.join().unwrap());
}
