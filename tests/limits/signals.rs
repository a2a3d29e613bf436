//! Interrupted calls: same result, same deadline.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::shm::pod;
use multiprocess::{bounded, spawn};
use testkit::signals::{handled, storm_of};
use testkit::{busy, in_time, storm, watchdog};

// fault 34
#[test]
fn a_storm_of_signals_changes_no_result_and_no_deadline() {
    multiprocess::init();
    let _watchdog = watchdog();
    let run = |()| {
        const WAIT: Duration = Duration::from_millis(200);
        let (tx, rx) = bounded::<u64>(1).unwrap();
        let in_time = |begin: Instant| in_time(begin, WAIT);
        storm(|| {
            let begin = Instant::now();
            assert!(rx.recv_timeout(WAIT).unwrap_err().is_timeout());
            in_time(begin);
            tx.send(1).unwrap();
            let begin = Instant::now();
            assert!(tx.send_timeout(2, WAIT).unwrap_err().is_timeout());
            in_time(begin);
            assert_eq!(rx.recv(), Ok(1));
        });
        assert!(handled() > 100 / u64::from(busy()), "a breeze only");
        // Messages through the storm, ends made and sent in it.
        let sender = thread::spawn(move || {
            for n in 0..300 {
                tx.send(n).unwrap();
                if n % 30 == 0 {
                    thread::sleep(Duration::from_millis(2));
                }
            }
        });
        storm(|| assert!(rx.iter().eq(0..300)));
        sender.join().unwrap();
        storm(|| {
            for _ in 0..50 {
                let (tx, rx) = bounded::<u64>(1).unwrap();
                let (bytes, handles) =
                    ipc_core::__private::handle::collect(|| postcard::to_stdvec(&tx).unwrap());
                drop(tx);
                let tx: multiprocess::Sender<u64> =
                    ipc_core::__private::handle::provide(handles, || {
                        postcard::from_bytes(&bytes).unwrap()
                    });
                tx.send(1).unwrap();
                assert_eq!(rx.recv(), Ok(1));
            }
        });
    };
    spawn(run, ()).unwrap().join().unwrap();
}

static HANDLER_TX: OnceLock<pod::Sender<[u64; 2]>> = OnceLock::new();
static HANDLER_SENT: AtomicU64 = AtomicU64::new(0);

extern "C" fn send_in_handler(_: libc::c_int) {
    let next = HANDLER_SENT.load(Ordering::Relaxed);
    if HANDLER_TX.get().unwrap().try_send([1, next]).is_ok() {
        HANDLER_SENT.store(next + 1, Ordering::Relaxed);
    }
}

// fault 36: with room in the channel, a handler may send by a channel of plain data, wherever it
// interrupts `send`.
#[test]
fn a_handler_that_sends_in_the_middle_of_send_breaks_nothing() {
    multiprocess::init();
    let _watchdog = watchdog();
    let run = |()| {
        const ALL: u64 = 200_000;
        // Never full: neither ever waits.
        let (tx, rx) = pod::bounded::<[u64; 2]>(2 * ALL as usize).unwrap();
        HANDLER_TX.set(tx.clone()).ok().unwrap();
        storm_of(send_in_handler, || (0..ALL).for_each(|n| tx.send([0, n]).unwrap()));
        let sent = HANDLER_SENT.load(Ordering::Relaxed);
        assert!(sent > 20, "too few signals: {sent}");
        let mut next = [0, 0];
        for [sender, n] in rx.try_iter() {
            assert_eq!(n, next[sender as usize], "each once, in order");
            next[sender as usize] += 1;
        }
        assert_eq!(next, [ALL, sent]);
    };
    spawn(run, ()).unwrap().join().unwrap();
}
