//! Interrupted calls: same result, same deadline.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::{bounded, spawn};

use crate::harness::watchdog;

static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn handler(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// Runs `f` on a thread that gets a signal every 100 µs, which interrupts whatever it waits in.
fn storm<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    // SAFETY: all of it is valid as zeros; the handler only adds to an atomic. No SA_RESTART.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as extern "C" fn(libc::c_int) as usize;
    // SAFETY: `action` is valid during the call, and the handler for ever.
    assert_eq!(unsafe { libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()) }, 0);
    let stop = AtomicBool::new(false);
    let target = AtomicU64::new(0);
    thread::scope(|scope| {
        let victim = scope.spawn(|| {
            // SAFETY: no preconditions.
            target.store(unsafe { libc::pthread_self() } as u64, Ordering::Release);
            let result = f();
            stop.store(true, Ordering::Release);
            // Alive until no signal can be on its way any more.
            while target.load(Ordering::Acquire) != 0 {
                thread::yield_now();
            }
            result
        });
        while target.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        while !stop.load(Ordering::Acquire) {
            // SAFETY: the thread lives until `target` is 0.
            unsafe { libc::pthread_kill(target.load(Ordering::Relaxed) as libc::pthread_t, libc::SIGUSR1) };
            thread::sleep(Duration::from_micros(50));
        }
        target.store(0, Ordering::Release);
        victim.join().unwrap()
    })
}

// faults 34
#[test]
fn a_storm_of_signals_changes_no_result_and_no_deadline() {
    multiprocess::init();
    let _watchdog = watchdog();
    let run = |()| {
        const WAIT: Duration = Duration::from_millis(200);
        let (tx, rx) = bounded::<u64>(1).unwrap();
        let in_time = |begin: Instant| {
            let took = begin.elapsed();
            assert!(took >= WAIT && took < WAIT + Duration::from_secs(2), "{took:?}");
        };
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
        assert!(HANDLED.load(Ordering::Relaxed) > 100, "a breeze only");
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
                let (bytes, handles) = ipc_core::handle::collect(|| postcard::to_stdvec(&tx).unwrap());
                drop(tx);
                let tx: multiprocess::Sender<u64> =
                    ipc_core::handle::provide(handles, || postcard::from_bytes(&bytes).unwrap());
                tx.send(1).unwrap();
                assert_eq!(rx.recv(), Ok(1));
            }
        });
    };
    spawn(run, ()).unwrap().join().unwrap();
}
