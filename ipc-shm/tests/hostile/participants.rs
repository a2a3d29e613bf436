//! Participants: taken, dead, and without a holder.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use ipc_core::__private::handle::{self, OsHandle};
use ipc_shm::{Builder, Receiver, Sender};
use testkit::hostile::{Peer, segment_of, word};
use testkit::watchdog;

fn issue(tx: &Sender<u64>) -> Result<OsHandle, String> {
    let (encoded, mut handles) = handle::collect(|| postcard::to_stdvec(tx));
    encoded.map(|_| handles.remove(0)).map_err(handle::cause_text)
}

fn works(tx: &Sender<u64>, rx: &Receiver<u64>) {
    tx.send(3).unwrap();
    assert_eq!(rx.recv(), Ok(3));
    assert!(rx.recv_timeout(Duration::from_millis(5)).unwrap_err().is_timeout());
}

// fault 66
#[test]
fn full_of_living_processes_is_an_error_and_full_of_dead_ones_is_not() {
    let _watchdog = watchdog();
    for most in [1, 2, 5, 127, 1023] {
        let (tx, rx) = Builder::new(2).participants(most).typed().unwrap();
        for _ in 0..if most > 1000 { 1 } else { 3 } {
            let alive: Vec<_> = (1..most).map(|_| issue(&tx).unwrap()).collect();
            let error = issue(&tx).unwrap_err();
            assert!(error.contains(&format!("all {most} participants are taken")), "{error}");
            assert_eq!(tx.sender_count(), Some(most));
            works(&tx, &rx);
            drop(alive);
        }
        if most > 1 {
            drop(issue(&tx).unwrap());
        }
        works(&tx, &rx);
    }
}

/// Takes a byte of the segment for this open file, as a lease is taken.
fn lock(fd: &OwnedFd, byte: i64) -> bool {
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte,
        l_len: 1,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open and `lock` valid during the call; locks have no effect on
    // memory.
    unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, std::ptr::from_mut(&mut lock)) == 0 }
}

// fault 82
#[test]
fn a_peer_that_holds_every_lease_makes_no_call_hang() {
    let _watchdog = watchdog();
    const LEASES: i64 = 1 << 60;
    let (tx, rx) = ipc_shm::bounded::<u64>(2).unwrap();
    let dead = issue(&tx).unwrap();
    let fd = segment_of(&tx);
    drop(dead);
    let taken = (2..2 * 1024).filter(|byte| lock(&fd, LEASES + byte)).count();
    assert_eq!(taken, 2 * 1023 - 1, "all but our own life");
    let begin = Instant::now();
    let error = issue(&tx).unwrap_err();
    assert!(error.contains("participants are taken"), "{error}");
    works(&tx, &rx);
    assert!(begin.elapsed() < Duration::from_secs(5));
    // The peer goes, and all is well.
    drop(fd);
    issue(&tx).unwrap();
    works(&tx, &rx);
}

// fault 66: entries without a holder, as a peer can write them.
#[test]
fn entries_without_a_lease_are_those_of_dead_processes() {
    let _watchdog = watchdog();
    let (tx, rx) = Builder::new(2).participants(7).typed().unwrap();
    let peer = Peer::of(&tx);
    (2..=7).for_each(|id| peer.set(peer.entry(id), u64::MAX));
    issue(&tx).unwrap();
    (2..=7).for_each(|id| peer.set(peer.entry(id), word::entry(1, 0)));
    works(&tx, &rx);
    drop(tx);
    assert!(rx.recv().unwrap_err().is_disconnected());
}

// fault 58: a channel that came twice is still there when one of the two goes.
#[test]
fn one_of_two_attachments_by_the_same_process_may_go() {
    let _watchdog = watchdog();
    let (tx, rx) = ipc_shm::bounded::<u64>(2).unwrap();
    let again = || -> Sender<u64> {
        let (bytes, handles) = handle::collect(|| postcard::to_stdvec(&tx).unwrap());
        handle::provide(handles, || postcard::from_bytes(&bytes).unwrap())
    };
    for _ in 0..200 {
        let (first, second) = (again(), again());
        assert!(first.same_channel(&tx) && first.same_channel(&second));
        assert_eq!(rx.sender_count(), Some(3));
        drop(first);
        second.send(3).unwrap();
        assert_eq!(rx.recv(), Ok(3));
    }
    works(&tx, &rx);
    let last = again();
    drop(tx);
    works(&last, &rx);
    drop(last);
    assert!(rx.recv().unwrap_err().is_disconnected());
}
