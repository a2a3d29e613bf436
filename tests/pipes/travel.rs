//! Handles and ends in messages.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use ipc_core::{MAX_HANDLES, NotCarried};
use ipc_pipes::{Duplex, Handle, duplex};
use multiprocess::{Receiver, Sender, TryRecvError, Unsendable, bounded, pipe, spawn};
use serde::{Deserialize, Serialize};
use testkit::{descriptors, watchdog};

use crate::support::{alone, closed, line};

#[test]
fn files_and_sockets_travel() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn child(jobs: Receiver<(String, Handle, Handle)>) {
        for (text, file, socket) in jobs {
            File::from(OwnedFd::from(file)).write_all(text.as_bytes()).unwrap();
            UnixStream::from(OwnedFd::from(socket)).write_all(b"done").unwrap();
        }
    }
    let (tx, rx) = pipe::channel().unwrap();
    let child = spawn(child, rx).unwrap();
    let mut file = tempfile();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    tx.send(("hello".into(), file.try_clone().unwrap().into(), theirs.into())).unwrap();
    let mut text = String::new();
    ours.read_to_string(&mut text).unwrap();
    assert_eq!(text, "done", "and then the end: no copy is left anywhere");
    file.rewind().unwrap();
    let mut text = String::new();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello");
    drop(tx);
    child.join().unwrap();
}

/// A file with no name.
fn tempfile() -> File {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    File::from(rustix::fs::memfd_create("test", flags).unwrap())
}

#[derive(Serialize, Deserialize)]
struct Ends {
    pipe: (Sender<u32>, Receiver<u32>),
    shm: (Sender<u32>, Receiver<u32>),
    duplex: Duplex<u32, u32>,
    halves: (ipc_pipes::Sender<u32>, ipc_pipes::Receiver<u32>),
    local: (ipc_pipes::Sender<u32>, ipc_pipes::Receiver<u32>),
    pods: (ipc_shm::pod::Sender<u32>, ipc_shm::pod::Receiver<u32>),
}

#[test]
fn ends_of_every_route_travel() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn child(ends: Receiver<Ends>) {
        let ends = ends.recv().unwrap();
        ends.pipe.0.send(ends.pipe.1.recv().unwrap() + 1).unwrap();
        ends.shm.0.send(ends.shm.1.recv().unwrap() + 1).unwrap();
        ends.duplex.send(ends.duplex.recv().unwrap() + 1).unwrap();
        ends.halves.0.send(ends.halves.1.recv().unwrap() + 1).unwrap();
        ends.local.0.send(ends.local.1.recv().unwrap() + 1).unwrap();
        ends.pods.0.send(ends.pods.1.recv().unwrap() + 1).unwrap();
    }
    let (tx, rx) = pipe::channel().unwrap();
    let child = spawn(child, rx).unwrap();
    let ((p, pipe_there), (pipe_back, pipe_rx)) =
        (pipe::channel().unwrap(), pipe::channel().unwrap());
    let ((s, shm_there), (shm_back, shm_rx)) = (bounded(1).unwrap(), bounded(1).unwrap());
    let (d, duplex_there) = duplex().unwrap();
    let (h, halves_there) = duplex().unwrap();
    let ((l, local_there), (local_back, local_rx)) =
        (ipc_pipes::channel().unwrap(), ipc_pipes::channel().unwrap());
    let ((o, pods_there), (pods_back, pods_rx)) =
        (ipc_shm::pod::bounded(1).unwrap(), ipc_shm::pod::bounded(1).unwrap());
    let ends = Ends {
        pipe: (pipe_back, pipe_there),
        shm: (shm_back, shm_there),
        duplex: duplex_there,
        halves: halves_there.split(),
        local: (local_back, local_there),
        pods: (pods_back, pods_there),
    };
    tx.send(ends).unwrap();
    p.send(10).unwrap();
    s.send(20).unwrap();
    d.send(30).unwrap();
    h.send(40).unwrap();
    l.send(50).unwrap();
    o.send(60).unwrap();
    assert_eq!((pipe_rx.recv(), shm_rx.recv(), d.recv()), (Ok(11), Ok(21), Ok(31)));
    assert_eq!((h.recv(), local_rx.recv(), pods_rx.recv()), (Ok(41), Ok(51), Ok(61)));
    child.join().unwrap();
    assert!(pipe_rx.recv().unwrap_err().is_disconnected());
    assert!(h.recv().unwrap_err().is_disconnected());
}

#[test]
fn ends_go_with_the_arguments_of_spawn() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn child((rx, back, both): (Receiver<u32>, Sender<u32>, Duplex<u32, u32>)) -> Receiver<u32> {
        both.send(both.recv().unwrap()).unwrap();
        back.send(rx.recv().unwrap()).unwrap();
        rx
    }
    let ((tx, rx), (back, answers)) = (pipe::channel().unwrap(), pipe::channel().unwrap());
    let (here, there) = duplex().unwrap();
    let child = spawn(child, (rx, back, there)).unwrap();
    here.send(1).unwrap();
    tx.send(2).unwrap();
    assert_eq!((here.recv(), answers.recv()), (Ok(1), Ok(2)));
    let rx = child.join().unwrap();
    tx.send(3).unwrap();
    assert_eq!(rx.recv(), Ok(3), "and come back in the result");
}

// fault 80
#[test]
fn the_most_handles_travel_and_one_more_does_not() {
    multiprocess::init();
    let _watchdog = watchdog();
    alone(|()| {
        let (tx, rx) = pipe::channel::<(Vec<Handle>, String)>().unwrap();
        let handles =
            |n| (0..n).map(|_| File::open("/dev/null").unwrap().into()).collect::<Vec<Handle>>();
        let before = descriptors();
        // With a large message the sealed file is one of them.
        for (most, text) in [(MAX_HANDLES, 10), (MAX_HANDLES - 1, 1 << 20)] {
            tx.send((handles(most), "x".repeat(text))).unwrap();
            let (back, there) = rx.recv().unwrap();
            assert_eq!((back.len(), there.len()), (most, text));
            drop(back);
            let refused = tx.send((handles(most + 1), "x".repeat(text))).unwrap_err();
            assert!(matches!(
                &refused,
                multiprocess::SendError::Unsendable(_, Unsendable::Handles(NotCarried::TooMany))
            ));
            assert_eq!(refused.into_inner().0.len(), most + 1, "it came back whole");
        }
        assert_eq!(rx.try_recv().unwrap_err(), TryRecvError::Empty);
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn shared_memory_carries_no_end_of_a_pipe() {
    let _watchdog = watchdog();
    let (tx, rx) = bounded::<(u8, Option<Sender<u8>>, Option<Duplex<u8, u8>>)>(2).unwrap();
    let (end, other) = pipe::channel().unwrap();
    let refused = tx.send((1, Some(end), None)).unwrap_err();
    let multiprocess::SendError::Unsendable((1, Some(end), None), cause) = refused else {
        panic!()
    };
    assert_eq!(cause, Unsendable::Handles(NotCarried::BytesOnly));
    end.send(1).unwrap();
    assert_eq!(other.recv(), Ok(1), "nothing is lost");
    let refused = tx.try_send((2, None, Some(duplex().unwrap().0))).unwrap_err();
    assert!(refused.is_unsendable());
    assert!(rx.is_empty());
}

#[test]
fn a_message_that_is_not_read_releases_what_it_carries() {
    multiprocess::init();
    let _watchdog = watchdog();
    alone(|()| {
        let before = descriptors();
        let (mut ear, mouth) = line();
        let (tx, rx) = pipe::channel::<(Handle, String)>().unwrap();
        tx.send((mouth.into(), String::new())).unwrap();
        let (mut ear2, mouth) = line();
        tx.send((mouth.into(), "x".repeat(100_000))).unwrap();
        assert!(!closed(&mut ear) && !closed(&mut ear2), "on their way they are open");
        drop((tx, rx));
        assert!(closed(&mut ear) && closed(&mut ear2));
        drop((ear, ear2));
        assert_eq!(descriptors(), before);
    });
}

#[test]
fn an_end_in_transit_counts_as_alive() {
    let _watchdog = watchdog();
    let (tx, rx) = pipe::channel::<u8>().unwrap();
    let (carry, carried) = pipe::channel().unwrap();
    carry.send(tx).unwrap();
    assert!(!rx.is_disconnected());
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    let tx = carried.recv().unwrap();
    tx.send(1).unwrap();
    drop(tx);
    assert_eq!(rx.recv(), Ok(1));
    assert!(rx.recv().unwrap_err().is_disconnected());
}

/// A sender of its own kind.
#[derive(Serialize, Deserialize)]
struct Itself(Option<Sender<Itself>>);

/// A receiver of its own kind.
#[derive(Serialize, Deserialize)]
struct Back(Option<Receiver<Back>>, Option<Sender<Back>>);

// fault 91
#[test]
fn an_end_travels_through_itself() {
    multiprocess::init();
    let _watchdog = watchdog();
    alone(|()| {
        let before = descriptors();
        let (tx, rx) = pipe::channel().unwrap();
        tx.send(Itself(Some(tx.clone()))).unwrap();
        let Itself(Some(same)) = rx.recv().unwrap() else { panic!("an end") };
        same.send(Itself(None)).unwrap();
        assert!(rx.recv().unwrap().0.is_none());
        drop((tx, same));
        assert!(rx.recv().is_err_and(|error| error.is_disconnected()));
        drop(rx);
        // A sender that lies in its own channel keeps it open for as long as a receiver could take
        // it out.
        let (tx, rx) = pipe::channel().unwrap();
        tx.send(Itself(Some(tx.clone()))).unwrap();
        drop(tx);
        let Itself(end) = rx.recv().unwrap();
        assert!(!rx.is_disconnected());
        drop(end);
        assert!(rx.is_disconnected());
        drop(rx);
        assert_eq!(descriptors(), before);
    });
}

// fault 91
#[test]
fn cycles_of_ends_are_collected() {
    multiprocess::init();
    let _watchdog = watchdog();
    alone(|()| {
        let before = descriptors();
        for round in 0..50 {
            let (tx, rx) = pipe::channel().unwrap();
            let (tx2, rx2) = pipe::channel().unwrap();
            // Each one's receiver lies in the other, and a handle tells when all of it is gone.
            tx.send(Back(Some(rx2), Some(tx2.clone()))).unwrap();
            tx2.send(Back(Some(rx), Some(tx.clone()))).unwrap();
            let (mut ear, mouth) = line();
            let (carry, carried) = pipe::channel::<(Handle, Sender<Back>)>().unwrap();
            carry.send((mouth.into(), tx.clone())).unwrap();
            drop((carry, carried, tx, tx2));
            assert!(closed(&mut ear), "round {round}");
        }
        assert_eq!(descriptors(), before);
    });
    // No process can ask for what only lies in itself; the kernel collects it when it next needs
    // to.
}

#[test]
fn ten_thousand_ends_leave_nothing_behind() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn child((ends, counts): (Receiver<Sender<u64>>, Sender<usize>)) {
        counts.send(descriptors()).unwrap();
        for (i, end) in ends.iter().enumerate() {
            end.send(i as u64).unwrap();
        }
        counts.send(descriptors()).unwrap();
    }
    let (ends, for_child) = pipe::channel().unwrap();
    let (counts, from_child) = pipe::channel().unwrap();
    let child = spawn(child, (for_child, counts)).unwrap();
    let parent = |(ends, from_child): (Sender<Sender<u64>>, Receiver<usize>)| {
        let there = from_child.recv().unwrap();
        let before = descriptors();
        for i in 0..10_000 {
            let (tx, rx) = pipe::channel().unwrap();
            ends.send(tx).unwrap();
            assert_eq!(rx.recv(), Ok(i));
        }
        assert_eq!(descriptors(), before);
        drop(ends);
        assert_eq!(from_child.recv(), Ok(there));
    };
    spawn(parent, (ends, from_child)).unwrap().join().unwrap();
    child.join().unwrap();
}

/// Batches are for a receiver that is alone: one that is on its way would not find what another has
/// parked.
#[test]
fn a_receiver_on_its_way_gets_what_the_one_before_it_did_not_ask_for() {
    let _watchdog = watchdog();
    type Ends = (ipc_pipes::Sender<u64>, ipc_pipes::Receiver<u64>);
    for (tx, rx) in
        [ipc_pipes::channel().unwrap(), ipc_pipes::pipe::channel().unwrap()] as [Ends; 2]
    {
        let (ends, arriving) = ipc_pipes::channel().unwrap();
        ends.send(rx.clone()).unwrap();
        let mut received = Vec::new();
        // It takes batches, and says so.
        assert!(rx.try_recv_many(&mut received, 32).is_err());
        tx.send_many(0..10).unwrap();
        assert_eq!(rx.recv_many(&mut received, 1), Ok(1));
        drop(rx);
        drop(tx);
        received.extend(arriving.recv().unwrap());
        assert_eq!(received, Vec::from_iter(0..10));
    }
}
