//! Limits, signals and forks: what a process does to itself must not harm its channels silently.
//!
//! Each test does it in a child of its own.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ipc_core::NotCarried;
use ipc_pipes::{Duplex, duplex};
use multiprocess::pipe::{self, Handle};
use multiprocess::{
    Receiver, RecvError, SendError, Sender, TryRecvError, Unreadable, Unsendable, spawn,
};
use testkit::proc::{open_files, path_of};
use testkit::rights::starved;
use testkit::signals::handled;
use testkit::{busy, descriptors, forked, in_time, storm, watchdog};

use crate::support::{alone, closed, line};

type Make<T> = fn() -> std::io::Result<(Sender<T>, Receiver<T>)>;

// fault 35
#[test]
fn a_closed_peer_is_an_answer_and_no_signal() {
    multiprocess::init();
    let _watchdog = watchdog();
    let c_host = |()| {
        // SAFETY: sets the default, as a program in C would find it.
        unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
        for make in [pipe::channel as Make<String>, pipe::anonymous] {
            let (tx, rx) = make().unwrap();
            tx.send("x".into()).unwrap();
            drop(rx);
            assert!(tx.send("x".into()).unwrap_err().is_disconnected());
            assert!(tx.try_send("x".repeat(100_000)).unwrap_err().is_disconnected());
            assert!(
                tx.send_timeout(String::new(), Duration::from_secs(1))
                    .unwrap_err()
                    .is_disconnected()
            );
            assert!(tx.send_many(["x".to_owned(), "y".to_owned()]).unwrap_err().is_disconnected());
        }
        let (here, there) = duplex::<u8, u8>().unwrap();
        drop(there);
        assert!(here.send(1).unwrap_err().is_disconnected());
        assert!(here.send_bytes(b"x").unwrap_err().is_disconnected());
        // A signal that was meant for another receiver is still there.
        let mut action: libc::sigset_t = unsafe_empty();
        // SAFETY: reads what is pending into a set.
        unsafe { libc::sigpending(&mut action) };
        // SAFETY: the set was written just now.
        assert_eq!(unsafe { libc::sigismember(&action, libc::SIGPIPE) }, 0);
    };
    spawn(c_host, ()).unwrap().join().unwrap();
}

fn unsafe_empty() -> libc::sigset_t {
    // SAFETY: all of it is valid as zeros.
    unsafe { std::mem::zeroed() }
}

// fault 34
#[test]
fn a_storm_of_signals_changes_no_result_and_no_deadline() {
    multiprocess::init();
    let _watchdog = watchdog();
    let run = |()| {
        const WAIT: Duration = Duration::from_millis(150);
        let in_time = |begin: Instant| in_time(begin, WAIT);
        for make in [pipe::channel as Make<(u64, String)>, pipe::anonymous] {
            let (tx, rx) = make().unwrap();
            let message = |n: u64| (n, "x".repeat(if n % 7 == 0 { 120_000 } else { 5 }));
            storm(|| {
                let begin = Instant::now();
                assert!(rx.recv_timeout(WAIT).unwrap_err().is_timeout());
                in_time(begin);
                let mut n = 0;
                while tx.try_send(message(n)).is_ok() {
                    n += 1;
                }
                let begin = Instant::now();
                assert!(tx.send_timeout(message(n), WAIT).unwrap_err().is_timeout());
                in_time(begin);
                (0..n).for_each(|n| assert_eq!(rx.recv(), Ok(message(n))));
            });
            assert!(handled() > 100 / u64::from(busy()), "a breeze only");
            // Blocked on both sides, in turn.
            let sender = thread::spawn(move || {
                storm(|| {
                    for n in 0..2000 {
                        tx.send(message(n)).unwrap();
                        if n % 200 == 0 {
                            thread::sleep(Duration::from_millis(2));
                        }
                    }
                });
            });
            storm(|| {
                for n in 0..2000 {
                    assert_eq!(rx.recv(), Ok(message(n)));
                    if n % 300 == 0 {
                        thread::sleep(Duration::from_millis(2));
                    }
                }
                assert_eq!(rx.recv(), Err(RecvError::Disconnected));
            });
            sender.join().unwrap();
        }
    };
    spawn(run, ()).unwrap().join().unwrap();
}

// fault 61
#[test]
fn what_cannot_be_made_without_descriptors_says_which_step_and_leaves_none() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn make(_: ()) {
        let before = descriptors();
        let fails = |text: &str, take: usize, make: &dyn Fn() -> std::io::Error| {
            for spare in 0..take {
                let error = starved(spare, make);
                assert!(error.to_string().starts_with(text), "{spare}: {error}");
                assert_eq!(descriptors(), before, "{text} with {spare}");
            }
        };
        fails("socket channel: making ", 3, &|| pipe::channel::<u8>().unwrap_err());
        fails("pipe channel: ", 5, &|| pipe::anonymous::<u8>().unwrap_err());
        fails("duplex connection: making a pair of sockets", 2, &|| {
            duplex::<u8, u8>().unwrap_err()
        });
    }
    spawn(make, ()).unwrap().join().unwrap();
}

// fault 61
#[test]
fn a_sender_without_descriptors_keeps_its_messages() {
    multiprocess::init();
    let _watchdog = watchdog();
    let starve = |()| {
        let (tx, rx) = pipe::channel::<(String, Option<Handle>)>().unwrap();
        let before = descriptors();
        starved(0, || {
            for patience in [None, Some(Duration::ZERO)] {
                let send = |message| match patience {
                    None => tx
                        .send(message)
                        .map_err(|error| (error.is_unsendable(), error.into_inner())),
                    Some(_) => tx
                        .try_send(message)
                        .map_err(|error| (error.is_unsendable(), error.into_inner())),
                };
                let (unsendable, (text, _)) = send(("x".repeat(100_000), None)).unwrap_err();
                assert!(unsendable && text.len() == 100_000);
                send(("small".into(), None)).unwrap();
                assert_eq!(rx.recv().unwrap().0, "small");
            }
            let large = tx.send(("x".repeat(100_000), None)).unwrap_err();
            assert!(matches!(
                large,
                SendError::Unsendable(_, Unsendable::Handles(NotCarried::Exhausted))
            ));
            assert!(pipe::channel::<u8>().is_err() && pipe::anonymous::<u8>().is_err());
            assert!(duplex::<u8, u8>().is_err());
            // A pipe needs none for a large message.
        });
        let (mut ear, mouth) = line();
        let mouth = Handle::from(mouth);
        let kept = starved(0, || tx.send((String::new(), Some(mouth))).unwrap_err());
        assert!(matches!(
            kept,
            SendError::Unsendable(_, Unsendable::Handles(NotCarried::Exhausted))
        ));
        assert!(!closed(&mut ear));
        tx.send(kept.into_inner()).unwrap();
        drop(rx.recv().unwrap());
        assert!(closed(&mut ear));
        drop(ear);
        let (ptx, prx) = pipe::anonymous::<String>().unwrap();
        starved(0, || {
            ptx.send("x".repeat(100_000)).unwrap();
            assert_eq!(prx.recv().unwrap().len(), 100_000);
        });
        drop((ptx, prx));
        assert_eq!(descriptors(), before);
    };
    spawn(starve, ()).unwrap().join().unwrap();
}

// faults 61, 80
#[test]
fn a_receiver_without_descriptors_gets_an_error_and_closes_what_came() {
    multiprocess::init();
    let _watchdog = watchdog();
    let starve = |()| {
        let (tx, rx) = pipe::channel::<(String, Vec<Handle>)>().unwrap();
        let before = descriptors();
        for (text, handles) in [(100_000, 0), (10, 1), (10, 3), (100_000, 2)] {
            let (mut ear, mouth) = line();
            let mouths: Vec<Handle> =
                (0..handles).map(|_| mouth.try_clone().unwrap().into()).collect();
            tx.send(("x".repeat(text), mouths)).unwrap();
            tx.send(("next".into(), Vec::new())).unwrap();
            drop(mouth);
            // One is left, so that some of several arrive.
            let spare = if handles + usize::from(text > 1000) > 1 { 1 } else { 0 };
            starved(spare, || {
                assert_eq!(rx.recv().unwrap_err(), RecvError::Unreadable(Unreadable::HandlesLost));
            });
            assert!(closed(&mut ear));
            assert_eq!(rx.recv().unwrap().0, "next");
            assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
            assert_eq!(rx.len(), 0);
            drop(ear);
            assert_eq!(descriptors(), before);
        }
    };
    spawn(starve, ()).unwrap().join().unwrap();
}

fn every_call_is_refused(tx: &Sender<u64>, rx: &Receiver<u64>, both: &Duplex<u64, u64>) {
    assert_eq!(tx.send(1), Err(SendError::Unsendable(1, Unsendable::Forked)));
    assert!(tx.try_send(1).unwrap_err().is_unsendable());
    assert!(tx.send_timeout(1, Duration::ZERO).unwrap_err().is_unsendable());
    assert_eq!(tx.send_many([1, 2]).unwrap_err().unsendable, Some(Unsendable::Forked));
    assert_eq!(rx.recv(), Err(RecvError::Unreadable(Unreadable::Forked)));
    assert_eq!(rx.try_recv(), Err(TryRecvError::Unreadable(Unreadable::Forked)));
    assert!(rx.recv_timeout(Duration::ZERO).unwrap_err().is_unreadable());
    assert!(rx.recv_many(&mut Vec::new(), 3).unwrap_err().is_unreadable());
    assert!(rx.recv_ref().unwrap_err().is_unreadable());
    assert_eq!((rx.iter().count(), rx.try_iter().count(), rx.drain().count()), (0, 0, 0));
    assert_eq!((tx.len(), rx.len(), tx.capacity(), tx.is_full()), (0, 0, None, false));
    assert_eq!((tx.sender_count(), rx.receiver_count()), (Some(0), Some(0)));
    assert!(!tx.is_disconnected() && !rx.is_disconnected());
    assert_eq!((tx.disconnect_cause(), rx.disconnect_cause()), (None, None));
    let copy = (tx.clone(), rx.clone());
    assert!(copy.0.send(1).unwrap_err().is_unsendable());
    assert!(ipc_core::__private::codec::to_bytes(tx).is_err());
    assert!(ipc_core::__private::codec::to_bytes(rx).is_err());
    assert!(ipc_core::__private::codec::to_bytes(both).is_err());
    assert_eq!(both.send(1), Err(SendError::Unsendable(1, Unsendable::Forked)));
    assert_eq!(both.recv(), Err(RecvError::Unreadable(Unreadable::Forked)));
    assert!(both.send_bytes(b"x").unwrap_err().is_unsendable());
    assert!(both.recv_bytes().unwrap_err().is_unreadable());
    assert!(!both.poll(Duration::ZERO) && !both.is_disconnected());
}

// faults 89, 90
#[test]
fn an_inherited_end_returns_errors_and_the_parent_continues() {
    multiprocess::init();
    let _watchdog = watchdog();
    let fork = |()| {
        for make in [pipe::channel as Make<u64>, pipe::anonymous] {
            let (tx, rx) = make().unwrap();
            let (here, there) = duplex::<u64, u64>().unwrap();
            tx.send(1).unwrap();
            here.send(2).unwrap();
            let ends = std::cell::Cell::new(Some((tx, rx, there)));
            let status = forked(|| {
                let (tx, rx, there) = ends.take().unwrap();
                every_call_is_refused(&tx, &rx, &there);
                drop((tx, rx, there));
            });
            assert_eq!(status, 0, "see what the fork said");
            let (tx, rx, there) = ends.take().unwrap();
            assert_eq!(
                (tx.len(), rx.len(), tx.sender_count(), tx.receiver_count()),
                (1, 1, Some(1), Some(1))
            );
            assert_eq!((rx.recv(), there.recv()), (Ok(1), Ok(2)));
            tx.send(3).unwrap();
            assert_eq!(rx.recv(), Ok(3));
            drop(tx);
            assert_eq!(rx.recv(), Err(RecvError::Disconnected));
        }
    };
    spawn(fork, ()).unwrap().join().unwrap();
}

// A handle that is not ours to close, in a message that is not received: also without a process'
// death.
#[test]
fn queued_handles_go_with_a_killed_receiver() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn slow((rx, ready): (Receiver<(u32, Handle)>, Sender<u32>)) {
        while let Ok((n, _handle)) = rx.recv() {
            ready.send(n).unwrap();
            if n == 3 {
                loop {
                    thread::park();
                }
            }
        }
    }
    let ((tx, rx), (ready, said)) = (pipe::channel().unwrap(), pipe::channel().unwrap());
    let child =
        multiprocess::process::Builder::new().kill_on_drop(true).spawn(slow, (rx, ready)).unwrap();
    let (mut ear, mouth) = line();
    for n in 0..20 {
        tx.send((n, Handle::from(mouth.try_clone().unwrap()))).unwrap();
    }
    drop(mouth);
    assert!(said.iter().take(4).eq(0..4));
    assert!(!closed(&mut ear));
    child.kill().unwrap();
    assert!(matches!(child.join(), Err(multiprocess::JoinError::Killed(9))));
    assert!(said.recv().unwrap_err().is_disconnected());
    let again = tx.send((99, File::open("/dev/null").unwrap().into())).unwrap_err();
    assert!(again.is_disconnected());
    assert!(closed(&mut ear), "its handles are open somewhere");
}

/// Maps the memory of a message that this process is writing, so that it cannot be sealed; `None`
/// if it is sealed already.
fn hold_a_message() -> Option<memmap2::MmapRaw> {
    let files = open_files();
    let of_a_message = |(_, file): &&(i32, String)| file.starts_with("/memfd:multiprocess-message");
    let path = path_of(files.iter().find(of_a_message)?.0);
    let file = std::fs::File::options().read(true).write(true).open(path).ok()?;
    memmap2::MmapOptions::new().len(4096).map_raw(&file).ok()
}

// What the kernel has hold of for a moment, or any process of this user, cannot be sealed.
#[test]
fn a_large_message_is_sent_though_its_memory_is_held_elsewhere() {
    multiprocess::init();
    let _watchdog = watchdog();
    alone(|()| {
        let (tx, rx) = pipe::channel::<Vec<u8>>().unwrap();
        static SENDING: AtomicU64 = AtomicU64::new(0);
        static HELD: AtomicU64 = AtomicU64::new(0);
        // One message after the other, each until this process ends.
        thread::spawn(|| {
            let mut held = Vec::new();
            loop {
                if SENDING.load(Ordering::Relaxed) > HELD.load(Ordering::Relaxed)
                    && let Some(memory) = hold_a_message()
                {
                    held.push(memory);
                    HELD.store(SENDING.load(Ordering::Relaxed), Ordering::Relaxed);
                }
            }
        });
        while HELD.load(Ordering::Relaxed) < 3 {
            SENDING.store(HELD.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
            tx.send(vec![7; 4 << 20]).unwrap();
            assert!(rx.recv().unwrap().len() == 4 << 20);
        }
    });
}
