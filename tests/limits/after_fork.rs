//! What a forked child makes and opens itself works as anywhere; only what it inherited answers
//! errors.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use multiprocess::pipe::{self, Duplex, Listener};
use multiprocess::process::{Builder, active_children, current};
use multiprocess::shm::{
    self, Condvar, Event, Mutex, RwLock, Segment, SeqLock, Shared, SharedSlice, pod,
};
use multiprocess::{
    DisconnectCause, JoinError, Receiver, RecvTimeoutError, Sender, bounded, spawn,
};
use testkit::proc::CHANNELS;
use testkit::{fork, forked, held, reap, watchdog, watchdog_of};

/// A name that no other test has.
fn name(what: &str) -> String {
    format!("multiprocess-test-{}-{what}", std::process::id())
}

type Ends = (
    Receiver<String>,
    pod::Receiver<u64>,
    Sender<String>,
    Receiver<u64>,
    Receiver<Sender<u64>>,
    Mutex<u64>,
    Shared<u64>,
);

/// Uses everything that a process can make, with a spawned child at the other end where there are
/// two.
fn uses_everything(name: &str) {
    let (tx, rx) = bounded::<String>(4).unwrap();
    let (pod_tx, pod_rx) = pod::bounded::<u64>(4).unwrap();
    let (texts, from_child) = bounded::<String>(4).unwrap();
    let (pipe_tx, pipe_rx) = pipe::anonymous::<u64>().unwrap();
    let (socket_tx, socket_rx) = pipe::channel::<Sender<u64>>().unwrap();
    let counter = Mutex::new(0u64).unwrap();
    let shared = Shared::new(1u64).unwrap();
    let ends = (rx, pod_rx, texts, pipe_rx, socket_rx, counter.clone(), shared.clone());
    let child = spawn(
        |(rx, pod_rx, texts, pipe_rx, socket_rx, counter, shared): Ends| {
            let sum = pod_rx.recv().unwrap() + pipe_rx.recv().unwrap();
            texts.send(rx.recv().unwrap().to_uppercase()).unwrap();
            socket_rx.recv().unwrap().send(sum).unwrap();
            *counter.lock().unwrap() += 1;
            shared.fetch_add(1, Ordering::Relaxed);
            assert!(rx.recv().unwrap_err().is_disconnected());
            sum
        },
        ends,
    )
    .unwrap();
    let (sums_tx, sums) = bounded::<u64>(1).unwrap();
    tx.send("text".to_owned()).unwrap();
    pod_tx.send(40).unwrap();
    pipe_tx.send(2).unwrap();
    socket_tx.send(sums_tx).unwrap();
    assert_eq!(from_child.recv().unwrap(), "TEXT");
    assert_eq!(sums.recv(), Ok(42));
    *counter.lock().unwrap() += 1;
    drop(tx);
    assert_eq!(child.join().unwrap(), 42);
    assert!(from_child.recv().unwrap_err().is_disconnected());
    assert_eq!((*counter.lock().unwrap(), shared.load(Ordering::Relaxed)), (2, 2));

    let segment = Segment::create(name, 100).unwrap();
    segment.write(0, b"here").unwrap();
    let mut bytes = [0; 4];
    Segment::open(name).unwrap().view().unwrap().read(0, &mut bytes).unwrap();
    assert_eq!((&bytes, segment.attached()), (b"here", Some(1)));
    let (lock, event, condvar) =
        (RwLock::new(1u64).unwrap(), Event::new().unwrap(), Condvar::new().unwrap());
    drop(lock.read().unwrap());
    *lock.write().unwrap() += 1;
    event.set().unwrap();
    event.wait().unwrap();
    condvar.notify_one().unwrap();
    SeqLock::new(1u64).unwrap().writer().unwrap().write(2);
    SharedSlice::<u32>::new(10).unwrap().set(3, 4);
    let (here, there) = pipe::duplex::<u8, u8>().unwrap();
    here.send(1).unwrap();
    assert_eq!(there.recv(), Ok(1));
}

// fault 116
#[test]
fn a_daemon_uses_everything_although_its_ancestor_had_used_it() {
    multiprocess::init();
    let _watchdog = watchdog();
    let program = |name: String| {
        uses_everything(&name);
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        // As daemons do: the parent ends, and so does the child.
        let status = forked(|| {
            // SAFETY: makes a session.
            assert!(unsafe { libc::setsid() } > 0);
            fork(|| {
                uses_everything(&name);
                (&theirs).write_all(b"done").unwrap();
            });
        });
        assert_eq!(status, 0);
        drop(theirs);
        let mut said = String::new();
        ours.read_to_string(&mut said).unwrap();
        assert_eq!(said, "done", "see what the daemon said");
    };
    spawn(program, name("daemon")).unwrap().join().unwrap();
}

// fault 116
#[test]
fn processes_forked_ahead_each_make_their_own_and_inherited_ends_return_errors() {
    multiprocess::init();
    let _watchdog = watchdog();
    let server = |name: String| {
        let (tx, rx) = bounded::<u64>(4).unwrap();
        let mutex = Mutex::new(1u64).unwrap();
        tx.send(7).unwrap();
        let children: Vec<_> = (0..4)
            .map(|n| {
                let name = format!("{name}-{n}");
                let (tx, rx, mutex) = (&tx, &rx, &mutex);
                fork(move || {
                    let inherited = || {
                        assert!(tx.send(1).unwrap_err().is_unsendable());
                        assert!(rx.recv().unwrap_err().is_unreadable());
                        assert!(mutex.lock().is_err());
                    };
                    inherited();
                    uses_everything(&name);
                    inherited();
                    // Another generation.
                    assert_eq!(forked(|| uses_everything(&name)), 0);
                    drop((tx.clone(), mutex.clone()));
                })
            })
            .collect();
        for child in children {
            assert_eq!(reap(child), 0, "see what the fork said");
        }
        assert_eq!((tx.sender_count(), tx.len(), rx.recv()), (Some(1), 1, Ok(7)));
        *mutex.lock().unwrap() += 1;
        drop(tx);
        assert!(rx.recv().unwrap_err().is_disconnected());
    };
    spawn(server, name("ahead")).unwrap().join().unwrap();
}

// faults 90, 116: other threads hold every lock of the library now and then.
#[test]
fn a_fork_in_the_middle_of_what_other_threads_make_can_make_the_same() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(60));
    let program = |name: String| {
        let stop = AtomicBool::new(false);
        let channels = || {
            let (tx, rx) = bounded::<u64>(4).unwrap();
            let copy = tx.clone();
            copy.send(1).unwrap();
            assert_eq!(rx.recv(), Ok(1));
            let _ = rx.recv_timeout(Duration::from_millis(2));
        };
        let segments = || {
            let segment = Segment::create(&format!("{name}-thread"), 4096).unwrap();
            drop(Mutex::new_in(&segment, 1u64).unwrap().lock().unwrap());
        };
        let locks = || {
            thread::spawn(|| drop(RwLock::new(1u64).unwrap().read().unwrap())).join().unwrap();
        };
        let sockets = || {
            let (tx, rx) = pipe::channel::<u64>().unwrap();
            tx.send(1).unwrap();
            assert_eq!(rx.recv(), Ok(1));
        };
        let others: [&(dyn Fn() + Sync); 4] = [&channels, &segments, &locks, &sockets];
        thread::scope(|scope| {
            for other in others {
                let stop = &stop;
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        other();
                    }
                });
            }
            for n in 0..150 {
                let status = forked(|| {
                    let (tx, rx) = bounded::<u64>(4).unwrap();
                    tx.send(n).unwrap();
                    assert_eq!(rx.recv(), Ok(n));
                    drop(Mutex::new(1u64).unwrap().lock().unwrap());
                    // A thread of the child's own needs a number there.
                    thread::spawn(|| drop(RwLock::new(1u64).unwrap().read().unwrap()))
                        .join()
                        .unwrap();
                    drop(Segment::create(&format!("{name}-fork"), 100).unwrap());
                    let (tx, rx) = pipe::channel::<u64>().unwrap();
                    tx.send(n).unwrap();
                    assert_eq!(rx.recv(), Ok(n));
                });
                assert_eq!(status, 0, "see what the fork said");
            }
            stop.store(true, Ordering::Relaxed);
        });
    };
    spawn(program, name("middle")).unwrap().join().unwrap();
}

// fault 116: the child is a participant of its own in what its parent has mapped.
#[test]
fn a_fork_attaches_anew_to_what_its_parent_has() {
    multiprocess::init();
    let _watchdog = watchdog();
    let program = |name: String| {
        let listener = Listener::bind(&name).unwrap();
        let segment = Segment::create(&name, 100).unwrap();
        let mutex = Mutex::new_in(&segment, 5u64);
        let (tx, rx) = bounded::<u64>(4).unwrap();
        let (mut ours, mut theirs) = UnixStream::pair().unwrap();
        let child = fork(|| {
            let opened = Segment::open(&name).unwrap();
            assert_eq!(opened.attached(), Some(2));
            assert!(segment.write(0, b"no").is_err() && segment.read(0, &mut [0]).is_err());
            assert!(Shared::<u8>::at(&segment, 0).is_err());
            opened.write(0, b"child").unwrap();
            let parent: Duplex<(), Sender<u64>> = pipe::connect(&name).unwrap();
            let received = parent.recv().unwrap();
            assert_eq!((received.sender_count(), received.same_channel(&tx)), (Some(2), false));
            received.send(3).unwrap();
            assert!(tx.send(4).unwrap_err().is_unsendable());
            theirs.write_all(b"x").unwrap();
            loop {
                thread::park();
            }
        });
        let connection = listener.accept::<Sender<u64>, ()>().unwrap();
        connection.send(tx.clone()).unwrap();
        ours.read_exact(&mut [0]).unwrap();
        assert_eq!((rx.recv(), tx.sender_count(), segment.attached()), (Ok(3), Some(2), Some(2)));
        let mut bytes = [0; 5];
        segment.read(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"child");
        drop((tx, connection, mutex));
        // SAFETY: a child of ours that has not been waited for.
        assert_eq!(unsafe { libc::kill(child, libc::SIGKILL) }, 0);
        assert_eq!(reap(child), libc::SIGKILL);
        assert!(rx.recv().unwrap_err().is_disconnected());
        assert_eq!(segment.attached(), Some(1));
        drop(segment);
        assert!(Segment::open(&name).is_err(), "the name has gone with the last handle");
    };
    spawn(program, name("anew")).unwrap().join().unwrap();
}

// fault 116
#[test]
fn the_children_of_a_process_are_not_those_of_its_fork() {
    multiprocess::init();
    let _watchdog = watchdog();
    let program = |()| {
        let (stop, stopped) = bounded::<()>(1).unwrap();
        let wait = |stopped: Receiver<()>| assert!(stopped.recv().is_err());
        let child = Builder::new().kill_on_drop(true).spawn(wait, stopped).unwrap();
        let id = child.id();
        // Detached, and ended some time.
        drop(spawn(|()| (), ()).unwrap());
        let child = std::cell::Cell::new(Some(child));
        assert!(active_children().iter().any(|active| active.id() == id));
        let parent = current().parent_id();
        let status = forked(|| {
            assert_eq!(active_children(), []);
            let this = current();
            assert!(!this.is_child() && this.parent_id() != parent, "{this:?}");
            let inherited = child.take().unwrap();
            assert!(
                inherited.is_finished()
                    && inherited.kill().is_err()
                    && inherited.terminate().is_err()
            );
            assert!(matches!(inherited.join(), Err(JoinError::Unknown(_))));
            // Reaps what is detached.
            assert_eq!(spawn(|n: u32| n + 1, 1).unwrap().join().unwrap(), 2);
        });
        assert_eq!(status, 0, "see what the fork said");
        let status = forked(|| drop(child.take()));
        assert_eq!(status, 0);
        let child = child.take().unwrap();
        assert!(!child.is_finished(), "the forks have not killed it");
        drop(stop);
        child.join().unwrap();
        spawn(|()| (), ()).unwrap().join().unwrap();
    };
    spawn(program, ()).unwrap().join().unwrap();
}

// fault 116: as pre-forking servers do.
#[test]
fn forks_accept_connections_of_a_listener_that_they_inherited() {
    multiprocess::init();
    let _watchdog = watchdog();
    let server = |name: String| {
        let listener = Listener::bind(&name).unwrap();
        let children: Vec<_> = (0..3)
            .map(|_| {
                fork(|| {
                    let connection: Duplex<u32, u32> = listener.accept().unwrap();
                    connection.send(connection.recv().unwrap() + 1).unwrap();
                })
            })
            .collect();
        for n in 0..3 {
            let connection: Duplex<u32, u32> = pipe::connect(&name).unwrap();
            connection.send(n).unwrap();
            assert_eq!(connection.recv(), Ok(n + 1));
        }
        for child in children {
            assert_eq!(reap(child), 0, "see what the fork said");
        }
    };
    spawn(server, name("accept")).unwrap().join().unwrap();
}

// fault 116: what it touches is an error or a panic, and never other memory that lies there by now.
#[test]
fn shared_data_that_was_inherited_panics_and_is_not_what_lies_there_now() {
    multiprocess::init();
    let _watchdog = watchdog();
    let program = |()| {
        let inherited = (
            Shared::new(1u64).unwrap(),
            SharedSlice::<u64>::new(512).unwrap(),
            SeqLock::new(1u64).unwrap(),
            Segment::anonymous(4096).unwrap(),
        );
        let status = forked(|| {
            std::panic::set_hook(Box::new(|_| ()));
            // Of the same sizes: they lie where the inherited ones lay.
            let own = (
                Shared::new(2u64).unwrap(),
                SharedSlice::<u64>::new(512).unwrap(),
                SeqLock::new(2u64).unwrap(),
                shm::Segment::anonymous(4096).unwrap(),
            );
            let panics =
                |f: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err();
            let (shared, slice, lock, segment) = &inherited;
            let all = panics(&|| shared.set(3))
                && panics(&|| _ = shared.fetch_add(3, Ordering::Relaxed))
                && panics(&|| slice.fill(3))
                && panics(&|| _ = slice.get(0))
                && panics(&|| _ = lock.read())
                && lock.writer().is_err()
                && segment.write(0, &[3]).is_err()
                && segment.view().is_err();
            let mut byte = [0];
            own.3.read(0, &mut byte).unwrap();
            assert!(
                all && own.0.get() == 2
                    && own.1.get(0) == Some(0)
                    && own.2.read() == 2
                    && byte == [0]
            );
        });
        assert_eq!(status, 0);
        assert_eq!((inherited.0.get(), inherited.1.get(0), inherited.2.read()), (1, Some(0), 1));
    };
    spawn(program, ()).unwrap().join().unwrap();
}

/// Descriptors and mappings of this process with shared memory in them.
fn shared_memory_here() -> usize {
    // What has a name was made without one, and is shown so.
    let count = |what| held(what).0 + held(what).1;
    count(CHANNELS) + count("/dev/shm/")
}

// faults 21, 116: what a lease or a lock can be on is not in a fork, at whatever moment it is made.
#[test]
fn a_fork_has_no_descriptor_and_no_mapping_of_shared_memory() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(60));
    let program = |name: String| {
        let (tx, _rx) = bounded::<u64>(4).unwrap();
        let segment = Segment::create(&name, 100).unwrap();
        let on_its_way =
            ipc_core::__private::handle::collect(|| postcard::to_stdvec(&(&tx, &segment)).unwrap());
        assert_eq!(on_its_way.1.len(), 2);
        let here = shared_memory_here();
        assert!(here >= 6, "{here}");
        assert_eq!(forked(|| assert_eq!(shared_memory_here(), 0)), 0);
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let (tx, _rx) = bounded::<u64>(4).unwrap();
                        let segment = Segment::create(&format!("{name}-thread"), 100);
                        let ends = (&tx, segment.as_ref().ok());
                        drop(ipc_core::__private::handle::collect(|| {
                            postcard::to_stdvec(&ends).unwrap()
                        }));
                    }
                });
            }
            for _ in 0..100 {
                assert_eq!(
                    forked(|| assert_eq!(shared_memory_here(), 0)),
                    0,
                    "see what the fork said"
                );
            }
            stop.store(true, Ordering::Relaxed);
        });
        drop(on_its_way);
    };
    spawn(program, name("none")).unwrap().join().unwrap();
}

// faults 59, 116: a program that closes all it does not know.
#[test]
fn a_fork_keeps_the_file_that_took_the_number_of_a_closed_descriptor() {
    multiprocess::init();
    let _watchdog = watchdog();
    let program = |()| {
        let _channel = bounded::<u64>(4).unwrap();
        let _segment = Segment::anonymous(100).unwrap();
        let (file, _other_end) = UnixStream::pair().unwrap();
        let links = std::fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
        let ours = links.filter(|link| {
            let file = std::fs::read_link(link).unwrap_or_default();
            let file = file.to_string_lossy();
            file.starts_with("/memfd:multiprocess") || file.starts_with("/dev/shm/")
        });
        let number = |link: PathBuf| link.file_name()?.to_str()?.parse::<i32>().ok();
        let numbers: Vec<_> = ours.filter_map(number).collect();
        assert!(numbers.len() >= 2, "{numbers:?}");
        for number in &numbers {
            // SAFETY: closes a descriptor of this process that the library expects to lose.
            assert_eq!(unsafe { libc::dup2(file.as_raw_fd(), *number) }, *number);
        }
        let status = forked(|| {
            for number in &numbers {
                let link = std::fs::read_link(format!("/proc/self/fd/{number}")).unwrap();
                assert!(link.to_string_lossy().starts_with("socket:"), "{link:?}");
            }
        });
        assert_eq!(status, 0, "see what the fork said");
    };
    spawn(program, ()).unwrap().join().unwrap();
}

// faults 21, 116
#[test]
fn an_end_that_never_arrives_is_gone_although_a_fork_lives() {
    multiprocess::init();
    let _watchdog = watchdog();
    let program = |()| {
        let (tx, rx) = bounded::<u64>(4).unwrap();
        let (_, handles) =
            ipc_core::__private::handle::collect(|| postcard::to_stdvec(&tx).unwrap());
        let child = fork(|| {
            loop {
                thread::park();
            }
        });
        drop(tx);
        assert_eq!(
            rx.recv_timeout(Duration::from_millis(20)),
            Err(RecvTimeoutError::Timeout),
            "it may arrive"
        );
        drop(handles);
        assert_eq!(rx.recv_timeout(Duration::from_secs(20)), Err(RecvTimeoutError::Disconnected));
        // SAFETY: a child of ours that has not been waited for.
        assert_eq!(unsafe { libc::kill(child, libc::SIGKILL) }, 0);
        reap(child);
    };
    spawn(program, ()).unwrap().join().unwrap();
}

// faults 21, 116: forked between the arrival of a message and its decoding, when no code knows what
// is in it.
#[test]
fn a_fork_with_a_copy_of_what_arrived_keeps_no_lease() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn attach_and_wait((bytes, handles, ready): (Vec<u8>, Vec<pipe::Handle>, Sender<u32>)) {
        let handles: Vec<_> = handles.into_iter().map(pipe::Handle::into_inner).collect();
        let child = fork(|| {
            loop {
                thread::park();
            }
        });
        type Arriving = (Sender<u64>, Mutex<u64>);
        let arrived: Arriving =
            ipc_core::__private::handle::provide(handles, || postcard::from_bytes(&bytes))
                .expect("it is there");
        let guard = arrived.1.lock().unwrap();
        ready.send(child as u32).unwrap();
        std::mem::forget(guard);
        loop {
            thread::park();
        }
    }
    let (tx, rx) = bounded::<u64>(4).unwrap();
    let mutex = Mutex::new(1u64).unwrap();
    let (bytes, handles) =
        ipc_core::__private::handle::collect(|| postcard::to_stdvec(&(&tx, &mutex)).unwrap());
    let (ready, is_ready) = bounded(1).unwrap();
    let handles = handles.into_iter().map(pipe::Handle::new).collect();
    let child =
        Builder::new().kill_on_drop(true).spawn(attach_and_wait, (bytes, handles, ready)).unwrap();
    let fork = is_ready.recv().unwrap();
    drop(tx);
    assert_eq!((rx.sender_count(), mutex.try_lock().is_err()), (Some(1), true));
    child.kill().unwrap();
    assert!(child.join().is_err());
    assert_eq!(rx.recv_timeout(Duration::from_secs(20)), Err(RecvTimeoutError::Disconnected));
    assert_eq!(rx.disconnect_cause(), Some(DisconnectCause::Died));
    assert!(
        mutex.lock().is_err_and(|error| error.to_string().contains("died")),
        "its owner has died"
    );
    // SAFETY: a process that lives until then, so its number is its own.
    assert_eq!(unsafe { libc::kill(fork as i32, libc::SIGKILL) }, 0);
}
