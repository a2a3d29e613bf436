//! Channels between process namespaces, in which many are process 1.

use std::time::Duration;

use multiprocess::process::Builder;
use multiprocess::shm::Mutex;
use multiprocess::{JoinHandle, Receiver, Sender, bounded};
use testkit::{inside, watchdog};

type Args = (Sender<u32>, Receiver<u32>, Mutex<u64>);

/// Says who it is, then echoes; `u32::MAX` is: lock.
fn echo((tx, rx, mutex): Args) {
    tx.send(std::process::id()).unwrap();
    for number in &rx {
        let _guard = (number == u32::MAX).then(|| mutex.lock().unwrap());
        tx.send(number).unwrap();
        while _guard.is_some() {
            std::thread::park();
        }
    }
}

/// Starts it as the first process of a namespace.
fn first_of_its_own(args: Args) -> JoinHandle<()> {
    std::thread::spawn(move || {
        // SAFETY: a number; it is for what this thread starts from now on, and it ends here.
        assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWPID) }, 0);
        Builder::new().kill_on_drop(true).spawn(echo, args).unwrap()
    })
    .join()
    .unwrap()
}

// fault 60
#[test]
fn two_processes_of_one_number_are_two() {
    let _watchdog = watchdog();
    multiprocess::init();
    if !inside("--pid --mount-proc") {
        return;
    }
    let mutex = Mutex::new(0u64).unwrap();
    let people = [(); 2].map(|()| {
        let (tx, rx) = bounded::<u32>(4).unwrap();
        let (back, echoed) = bounded::<u32>(4).unwrap();
        (first_of_its_own((back, rx, mutex.clone())), tx, echoed)
    });
    for (_, tx, echoed) in &people {
        assert_eq!(echoed.recv(), Ok(1), "it is process 1, where it is");
        tx.send(7).unwrap();
        assert_eq!(echoed.recv(), Ok(7));
    }
    let [(one, to_one, from_one), (other, to_other, from_other)] = people;
    to_one.send(u32::MAX).unwrap();
    assert_eq!(from_one.recv(), Ok(u32::MAX));
    assert!(mutex.try_lock().unwrap_err().is_would_block());
    // No process is dead, though here process 1 is another one, which is alive, and each knows the
    // other as 1.
    assert!(from_one.recv_timeout(Duration::from_millis(60)).unwrap_err().is_timeout());
    one.kill().unwrap();
    assert!(from_one.recv().unwrap_err().is_disconnected());
    assert!(mutex.lock().unwrap_err().cause().is_some(), "its owner is dead");
    assert!(
        from_other.recv_timeout(Duration::from_millis(60)).unwrap_err().is_timeout(),
        "this one is not"
    );
    to_other.send(8).unwrap();
    assert_eq!(from_other.recv(), Ok(8));
    drop(to_other);
    other.join().unwrap();
    assert!(from_other.recv().unwrap_err().is_disconnected());
    one.join().unwrap_err();
}
