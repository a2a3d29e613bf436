//! A call that has been blocked for long notices a death at once, and uses no processor meanwhile.

use std::thread;
use std::time::{Duration, Instant};

use multiprocess::{JoinHandle, Receiver, Sender, bounded, spawn};
use rustix::process::Resource;
use rustix::time::{ClockId, clock_gettime};
use testkit::proc::thread_names;
use testkit::{busy, channel_descriptors, channel_mappings, descriptors, limit, until, watchdog};

/// A sleeper that nothing wakes needs 1 s at most; half of it on average.
const SOON: Duration = Duration::from_millis(500);

/// Says that it is there, and keeps its end until it is killed.
fn hold(tx: Sender<u64>) {
    tx.send(1).unwrap();
    loop {
        thread::park();
    }
}

/// A child that holds the end, and has arrived.
fn holder(tx: Sender<u64>, rx: &Receiver<u64>) -> JoinHandle<()> {
    let child = spawn(hold, tx).unwrap();
    assert_eq!(rx.recv(), Ok(1));
    child
}

/// Blocks in a thread, which tells when it was over.
fn block(rx: Receiver<u64>) -> thread::JoinHandle<Instant> {
    thread::spawn(move || {
        assert!(rx.recv().unwrap_err().is_disconnected());
        Instant::now()
    })
}

/// Kills, and tells how long it took until the blocked one knew.
fn kill_and_time(child: &JoinHandle<()>, blocked: thread::JoinHandle<Instant>) -> Duration {
    assert!(!blocked.is_finished());
    let killed = Instant::now();
    child.kill().unwrap();
    blocked.join().unwrap().duration_since(killed)
}

fn watchers() -> usize {
    thread_names().iter().filter(|name| *name == "channel-watcher").count()
}

#[test]
fn a_death_is_noticed_at_once_also_after_a_long_wait() {
    multiprocess::init();
    let _watchdog = watchdog();
    let waits: Vec<_> = (0..20)
        .map(|_| {
            let (tx, rx) = bounded(1).unwrap();
            (holder(tx, &rx), block(rx))
        })
        .collect();
    thread::sleep(Duration::from_millis(1500));
    let mut took: Vec<_> =
        waits.into_iter().map(|(child, blocked)| kill_and_time(&child, blocked)).collect();
    took.sort();
    println!("noticed after {:?} (median), {:?} (most)", took[10], took[19]);
    assert!(took[19] < SOON * busy(), "{took:?}");
}

#[test]
fn a_blocked_sender_notices_too() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn hold_both((_rx, ready): (Receiver<u64>, Sender<u64>)) {
        hold(ready);
    }
    let (tx, rx) = bounded(1).unwrap();
    let (ready, is_ready) = bounded(1).unwrap();
    let child = spawn(hold_both, (rx, ready)).unwrap();
    assert_eq!(is_ready.recv(), Ok(1));
    tx.send(1).unwrap();
    let blocked = thread::spawn(move || {
        assert!(tx.send(2).unwrap_err().is_disconnected());
        Instant::now()
    });
    thread::sleep(Duration::from_millis(1200));
    let took = kill_and_time(&child, blocked);
    assert!(took < SOON * busy(), "{took:?}");
}

#[test]
fn a_late_process_is_watched_as_well() {
    multiprocess::init();
    let _watchdog = watchdog();
    let waits: Vec<_> = (0..5)
        .map(|_| {
            let (tx, rx) = bounded(1).unwrap();
            let early = holder(tx.clone(), &rx);
            (tx, early, block(rx))
        })
        .collect();
    thread::sleep(Duration::from_millis(1200));
    let late: Vec<_> = waits
        .into_iter()
        .map(|(tx, early, blocked)| {
            // The blocked one takes no message: this one must say otherwise that it has arrived.
            let (here, is_here) = bounded(1).unwrap();
            let keep = |(tx, here): (Sender<u64>, Sender<u64>)| {
                let _keep = tx;
                hold(here);
            };
            let late = spawn(keep, (tx, here)).unwrap();
            assert_eq!(is_here.recv(), Ok(1));
            early.kill().unwrap();
            (late, blocked)
        })
        .collect();
    thread::sleep(Duration::from_millis(300));
    for (late, blocked) in late {
        let took = kill_and_time(&late, blocked);
        assert!(took < SOON * busy(), "{took:?}");
    }
}

#[test]
fn an_end_that_is_lost_on_its_way_is_noticed() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (tx, rx) = bounded::<u64>(1).unwrap();
    let child = holder(tx.clone(), &rx);
    let blocked = block(rx);
    thread::sleep(Duration::from_millis(300));
    // The end of this one wakes no sleeper; sleepers must look.
    let (_, handles) = ipc_core::__private::handle::collect(|| postcard::to_stdvec(&tx).unwrap());
    drop(tx);
    child.kill().unwrap();
    thread::sleep(Duration::from_millis(200));
    assert!(!blocked.is_finished());
    let lost = Instant::now();
    drop(handles);
    let took = blocked.join().unwrap().duration_since(lost);
    assert!(took < SOON * busy(), "{took:?}");
}

#[test]
fn the_watcher_goes_with_the_channels() {
    multiprocess::init();
    let _watchdog = watchdog();
    let wait = |(rx, other): (Receiver<u64>, Receiver<u64>)| {
        // Room for tables that grow once.
        let before = descriptors();
        for _ in 0..3 {
            assert!(rx.recv_timeout(Duration::from_millis(150)).unwrap_err().is_timeout());
            assert!(other.recv_timeout(Duration::from_millis(150)).unwrap_err().is_timeout());
        }
        assert_eq!((watchers(), descriptors() - before), (1, 1), "one line to the thread");
        drop(rx);
        assert!(other.recv_timeout(Duration::from_millis(150)).unwrap_err().is_timeout());
        assert_eq!(watchers(), 1);
        drop(other);
        until("the watcher goes", || watchers() == 0);
        assert_eq!((descriptors() + 2, channel_descriptors(), channel_mappings()), (before, 0, 0));
    };
    let ((tx, rx), (tx2, rx2)) = (bounded(1).unwrap(), bounded(1).unwrap());
    spawn(wait, (rx, rx2)).unwrap().join().unwrap();
    drop((tx, tx2));
}

#[test]
fn waiting_uses_hardly_any_processor() {
    multiprocess::init();
    let _watchdog = watchdog();
    let wait = |rx: Receiver<u64>| {
        let used = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap();
        let before = used();
        assert!(rx.recv_timeout(Duration::from_secs(3)).unwrap_err().is_timeout());
        used() - before
    };
    let (tx, rx) = bounded(1).unwrap();
    let used = spawn(wait, rx).unwrap().join().unwrap();
    drop(tx);
    println!("{used:?} of 3 s");
    assert!(used < Duration::from_millis(30), "{used:?}");
}

#[test]
fn without_descriptors_a_wait_ends_all_the_same() {
    multiprocess::init();
    let _watchdog = watchdog();
    let wait = |()| {
        let (tx, rx) = bounded(1).unwrap();
        let child = holder(tx, &rx);
        let old = limit(Resource::Nofile, Some(3));
        let blocked = block(rx);
        thread::sleep(Duration::from_millis(1200));
        let took = kill_and_time(&child, blocked);
        limit(Resource::Nofile, old);
        assert_eq!(watchers(), 0, "there was no descriptor for it");
        took
    };
    let took = spawn(wait, ()).unwrap().join().unwrap();
    assert!(took < SOON * busy(), "{took:?}");
}

#[test]
fn a_program_that_closes_everything_ends_its_waits() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn wait((rx, back): (Receiver<u64>, Sender<u64>)) {
        let blocked = thread::spawn(move || {
            let error = rx.recv().unwrap_err();
            assert!(error.to_string().contains("closed the channel's descriptor"), "{error}");
        });
        thread::sleep(Duration::from_millis(300));
        assert_eq!(watchers(), 1);
        let closed = Instant::now();
        // SAFETY: the child's own descriptors; their owners must live with that, which is what is
        // tested.
        assert_eq!(unsafe { libc::close_range(3, !0, 0) }, 0);
        blocked.join().unwrap();
        back.send(closed.elapsed().as_millis() as u64).unwrap();
        until("the watcher goes", || watchers() == 0);
        back.send(0).unwrap();
        std::process::exit(0);
    }
    let ((tx, rx), (back, took)) = (bounded(1).unwrap(), bounded(2).unwrap());
    let child = spawn(wait, (rx, back)).unwrap();
    let took = (took.recv().unwrap(), took.recv());
    assert!(took.0 < (SOON * busy()).as_millis() as u64 && took.1 == Ok(0), "{took:?}");
    drop((child, tx));
}
