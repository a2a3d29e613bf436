//! In a sandbox: calls that are forbidden.

use std::time::Duration;

use multiprocess::process::Builder;
use multiprocess::shm::Mutex;
use multiprocess::{Receiver, Sender, bounded, pipe, spawn};
use testkit::{forbid, inside, watchdog};

// fault 65
#[test]
fn without_memory_files_making_a_channel_is_an_error() {
    multiprocess::init();
    let _watchdog = watchdog();
    let attempt = |(tx, rx): (Sender<u64>, Receiver<u64>)| {
        forbid(libc::SYS_memfd_create, None, libc::EPERM);
        for error in [
            bounded::<u64>(1).unwrap_err().to_string(),
            Mutex::new(1u8).unwrap_err().to_string(),
            pipe::channel::<u64>().unwrap_err().to_string(),
        ] {
            assert!(error.contains("not permitted"), "{error}");
        }
        // Those that are there go on.
        tx.send(3).unwrap();
        assert_eq!(rx.recv(), Ok(3));
    };
    spawn(attempt, bounded(2).unwrap()).unwrap().join().unwrap();
}

// fault 65: without barriers in other processes, without word of who dies, without limits.
#[test]
fn without_these_calls_there_is_another_way() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn echo((tx, rx): (Sender<u64>, Receiver<u64>)) {
        for call in [libc::SYS_membarrier, libc::SYS_pidfd_open, libc::SYS_prlimit64] {
            forbid(call, None, libc::EPERM);
        }
        let (own, there) = bounded(1).unwrap();
        for n in &rx {
            own.send(n).unwrap();
            tx.send(there.recv().unwrap()).unwrap();
        }
        // It was told that its peer had gone: by looking.
        assert!(spawn(|()| (), ()).unwrap_err().to_string().contains("pidfd_open"));
    }
    let (tx, there) = bounded(1).unwrap();
    let (back, rx) = bounded(1).unwrap();
    let child = Builder::new().kill_on_drop(true).spawn(echo, (back, there)).unwrap();
    for n in 0..200 {
        tx.send(n).unwrap();
        assert_eq!(rx.recv(), Ok(n));
        if n % 50 == 0 {
            // Both asleep.
            assert!(rx.recv_timeout(Duration::from_millis(20)).unwrap_err().is_timeout());
        }
    }
    drop(tx);
    child.join().unwrap();
    assert!(rx.recv().unwrap_err().is_disconnected());
}

// fault 65: where memory files must say that they are no programs.
#[test]
fn memory_files_that_must_not_be_executable_are_not() {
    let _watchdog = watchdog();
    multiprocess::init();
    if !inside("--pid --mount-proc") {
        return;
    }
    // In a namespace of its own; whether its superuser may is the kernel's business.
    if let Err(error) = std::fs::write("/proc/sys/vm/memfd_noexec", "2") {
        println!("vm.memfd_noexec cannot be set here ({error}): NOT TESTED");
        return;
    }
    let (tx, rx) = bounded(2).unwrap();
    tx.send(vec![1; 5000]).unwrap();
    assert_eq!(rx.recv(), Ok(vec![1; 5000]));
    drop(Mutex::new(1u8).unwrap());
    let (tx, rx) = pipe::channel().unwrap();
    tx.send(vec![1; 500_000]).unwrap();
    assert_eq!(rx.recv(), Ok(vec![1; 500_000]));
}
