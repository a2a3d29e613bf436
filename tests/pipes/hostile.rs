//! Peers that write what this crate never would.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};

use ipc_core::__private::shape::{MAX_TEXT, Shape};
use ipc_core::CodecError;
use ipc_pipes::{Duplex, Handle, duplex};
use multiprocess::{RecvError, TryRecvError, Unreadable};
use rustix::fs::{MemfdFlags, SealFlags};
use serde::de::DeserializeOwned;
use testkit::hostile::send_raw;
use testkit::{descriptors, watchdog};

use crate::support::{alone, closed, line};

const MESSAGE: u8 = 0;
const MESSAGES: u8 = 1;
const FIRST: u8 = 3;
const HERE: u8 = 0;
const SEALED: u8 = 1;

fn datagram(kind: u8, place: u8, handles: u8, count: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'm', b'p', kind, place, handles, 0];
    bytes.extend(count.to_le_bytes());
    bytes.extend(body);
    bytes
}

/// What is told of this datagram; and that the next one is not concerned.
fn cause_of(bytes: &[u8], fds: &[OwnedFd]) -> Unreadable {
    let (peer, victim): (Duplex<u8, u8>, Duplex<u8, Vec<u64>>) = {
        let (here, there) = duplex::<u8, u8>().unwrap();
        let there: OwnedFd = there.as_fd().try_clone_to_owned().unwrap();
        (here, adopt(there))
    };
    let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
    send_raw(&peer, bytes, &fds);
    send_raw(&peer, &datagram(MESSAGE, HERE, 0, 1, &[&[1, 0, 0, 0, 7][..], &[0; 8]].concat()), &[]);
    let cause_of = match victim.recv() {
        Err(RecvError::Unreadable(cause)) => cause,
        other => panic!("{bytes:?}: {other:?}"),
    };
    assert_eq!(victim.recv(), Ok(vec![7]), "the next one");
    cause_of
}

/// The files of an end, as they travel.
#[derive(serde::Serialize)]
enum Files<F> {
    Socket(F),
    Pipe { pipe: F, store: F },
    Other(F),
}

/// A type, as it is told to the other side.
fn said<T: DeserializeOwned>() -> (u64, &'static str) {
    let shape = Shape::of::<T>();
    (shape.fingerprint(), shape.text())
}

/// A connection's end over any socket: it travels as its types, whether they were said, and its
/// files.
fn adopt<A: DeserializeOwned, B: DeserializeOwned>(socket: OwnedFd) -> Duplex<A, B> {
    let end = (said::<A>(), said::<B>(), true, Files::Socket(Handle::from(socket)));
    let (bytes, handles) = ipc_core::__private::codec::to_bytes(&end).unwrap();
    ipc_core::__private::codec::decode_carrying(&bytes, handles).unwrap()
}

// fault 79
#[test]
fn garbage_is_an_error_and_the_next_message_arrives() {
    let _watchdog = watchdog();
    // In the compact form, which a last byte of 0 says: a length of 32 bits, or all of them and one
    // of 64.
    let two_63 = [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0x80, 0];
    let malformed: &[&[u8]] = &[
        &[],
        b"mp\0",
        b"GET / HTTP/1.1\r\n\r\n",
        &[0; 8],
        &[0xff; 100],
        &datagram(9, HERE, 0, 1, &[0]),
        &datagram(FIRST, HERE, 0, 1, &[0]),
        &datagram(FIRST, HERE, 0, 1, &[0, 0, 0, 0, 0, 0, 0, 0, 255, b'x']),
        &datagram(MESSAGE, 9, 0, 1, &[0]),
        &datagram(MESSAGE, HERE, 0, 0, &[0]),
        &datagram(MESSAGE, HERE, 0, 2, &[0]),
        &datagram(MESSAGE, HERE, 1, 1, &[0]),
        &datagram(MESSAGE, HERE, 255, 1, &[0]),
        &datagram(MESSAGE, SEALED, 0, 1, &(1u64 << 63).to_le_bytes()),
        &datagram(MESSAGE, SEALED, 0, 1, &[0; 3]),
        &datagram(MESSAGES, HERE, 0, 2, &[1, 0, 0, 0, 0]),
        &vec![b'x'; 150_000],
        &datagram(MESSAGE, HERE, 0, 1, &vec![0; 150_000]),
    ];
    for bytes in malformed {
        let cause = cause_of(bytes, &[]);
        assert!(
            matches!(cause, Unreadable::Malformed(_)),
            "{:?}: {cause}",
            &bytes[..bytes.len().min(20)]
        );
    }
    let undecodable: &[(&[u8], CodecError)] = &[
        (&two_63, CodecError::Truncated),
        (&[2, 0, 0, 0, 1, 0], CodecError::Truncated),
        (&[0, 0, 0, 0, 1, 0], CodecError::Trailing),
        (&[], CodecError::Truncated),
        (&[0, 0, 0, 0, 7], CodecError::Invalid),
    ];
    for (body, cause) in undecodable {
        assert_eq!(
            cause_of(&datagram(MESSAGE, HERE, 0, 1, body), &[]),
            Unreadable::Decode(cause.clone())
        );
    }
}

// faults 79, 106
#[test]
fn a_type_that_a_peer_says_is_printed_and_not_believed() {
    let _watchdog = watchdog();
    for text in [&b"Order {id: u64}"[..], &[0xff; 255], b"\x1b[2J\0\n", b""] {
        let (peer, victim): (Duplex<u8, u8>, Duplex<u8, Vec<u64>>) = {
            let (here, there) = duplex::<u8, u8>().unwrap();
            let there: OwnedFd = there.as_fd().try_clone_to_owned().unwrap();
            (here, adopt(there))
        };
        let said = [&7u64.to_le_bytes()[..], &[text.len() as u8], text, &[1, 7]].concat();
        send_raw(&peer, &datagram(FIRST, HERE, 0, 1, &said), &[]);
        send_raw(&peer, &datagram(MESSAGE, HERE, 0, 1, &[1, 7]), &[]);
        // All that follows is of the other type, too, until the end.
        for _ in 0..2 {
            let Err(RecvError::Unreadable(Unreadable::OtherType(types))) = victim.recv() else {
                panic!()
            };
            assert_eq!(types.here(), "[u64]");
            assert!(types.there().len() <= MAX_TEXT && !types.there().contains(char::is_control));
        }
        drop(peer);
        assert_eq!(victim.recv(), Err(RecvError::Disconnected));
    }
}

// fault 79
#[test]
fn lengths_in_a_batch_are_checked() {
    let _watchdog = watchdog();
    let item = |len: u32, body: &[u8]| [&len.to_le_bytes(), body].concat();
    let lies: &[(u16, Vec<u8>)] = &[
        (2, item(u32::MAX, &[0])),
        (2, [item(1, &[0]), item(1, &[])].concat()),
        (2, [item(1, &[0]), item(1, &[0]), vec![0]].concat()),
        (3, [item(1, &[0]), item(1, &[0])].concat()),
        (u16::MAX, vec![0; 100]),
        (1, vec![]),
    ];
    for (count, body) in lies {
        let (tx, rx) = ipc_pipes::channel::<Vec<u64>>().unwrap();
        send_raw(tx.route(), &datagram(MESSAGES, HERE, 0, *count, body), &[]);
        tx.send(vec![7]).unwrap();
        assert!(
            matches!(rx.recv(), Err(RecvError::Unreadable(Unreadable::Malformed(_)))),
            "{count} {body:?}"
        );
        assert_eq!(rx.recv(), Ok(vec![7]));
        assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
    }
    // One of a batch that does not decode is told when the others were given.
    let (tx, rx) = ipc_pipes::channel::<Vec<u64>>().unwrap();
    let one = |number: u64| [&1u32.to_le_bytes()[..], &number.to_le_bytes(), &[0]].concat();
    let body = [item(13, &one(5)), item(1, &[9]), item(13, &one(6))].concat();
    send_raw(tx.route(), &datagram(MESSAGES, HERE, 0, 3, &body), &[]);
    let mut got = Vec::new();
    assert_eq!(rx.recv_many(&mut got, 10), Ok(2));
    assert_eq!(got, [vec![5], vec![6]]);
    assert!(matches!(
        rx.recv_many(&mut got, 10),
        Err(RecvError::Unreadable(Unreadable::Decode(_)))
    ));
}

fn memory_file(bytes: &[u8], seals: SealFlags) -> OwnedFd {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let mut file = File::from(rustix::fs::memfd_create("test", flags).unwrap());
    file.write_all(bytes).unwrap();
    rustix::fs::fcntl_add_seals(&file, seals).unwrap();
    file.into()
}

// fault 80
#[test]
fn a_memory_file_that_could_change_is_not_read() {
    multiprocess::init();
    let _watchdog = watchdog();
    alone(|()| {
        let all = SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW;
        let sealed =
            |len: u64, handles: u8| datagram(MESSAGE, SEALED, handles, 1, &len.to_le_bytes());
        let before = descriptors();
        for seals in [
            SealFlags::empty(),
            SealFlags::SHRINK | SealFlags::GROW,
            SealFlags::FUTURE_WRITE | SealFlags::SHRINK | SealFlags::GROW,
            SealFlags::WRITE | SealFlags::GROW,
            SealFlags::WRITE | SealFlags::SHRINK,
        ] {
            let cause = cause_of(&sealed(2, 1), &[memory_file(&[1, 5], seals)]);
            assert!(
                matches!(cause, Unreadable::Malformed(what) if what.contains("sealed")),
                "{cause}"
            );
        }
        for len in [0, 1, 3, 4096, u64::MAX, 1 << 63] {
            let cause = cause_of(&sealed(len, 1), &[memory_file(&[1, 5], all)]);
            assert!(matches!(cause, Unreadable::Malformed(_)), "{len}: {cause}");
        }
        // What is no memory file at all.
        let (ear, mouth) = line();
        for fd in [
            File::open("/dev/zero").unwrap().into(),
            File::open("/proc/self/exe").unwrap().into(),
            mouth,
        ] {
            assert!(matches!(cause_of(&sealed(2, 1), &[fd]), Unreadable::Malformed(_)));
        }
        drop(ear);
        // And one that is as it should be, with bytes that are no message.
        assert!(matches!(
            cause_of(&sealed(2, 1), &[memory_file(&[9, 5], all)]),
            Unreadable::Decode(_)
        ));
        assert_eq!(descriptors(), before);
    });
}

// fault 80
#[test]
fn handles_of_the_wrong_number_or_kind_are_closed() {
    multiprocess::init();
    let _watchdog = watchdog();
    alone(|()| {
        let before = descriptors();
        for says in [0, 1, 3, 253] {
            let (mut ear, mouth) = line();
            let fds = [mouth, File::open("/dev/null").unwrap().into()];
            let cause = cause_of(&datagram(MESSAGE, HERE, says, 1, &[0]), &fds);
            assert!(matches!(cause, Unreadable::Malformed(_)), "{says}: {cause}");
            drop(fds);
            assert!(closed(&mut ear));
        }
        // A message that takes fewer than came: the others are closed.
        let (tx, rx) = ipc_pipes::channel::<Vec<u8>>().unwrap();
        let (mut ear, mouth) = line();
        send_raw(tx.route(), &datagram(MESSAGE, HERE, 1, 1, &[1, 0, 0, 0, 5, 0]), &[mouth.as_fd()]);
        drop(mouth);
        assert_eq!(rx.recv(), Ok(vec![5]));
        assert!(closed(&mut ear));
        drop((tx, rx, ear));
        // Ends of channels, made of what they are not; an end of one kind taken for another;
        // indices of handles that did not come, or come twice.
        let (tx, rx) = ipc_pipes::channel::<Vec<ipc_pipes::Sender<u8>>>().unwrap();
        let null = || OwnedFd::from(File::open("/dev/null").unwrap());
        // Each with its type, the index of its counters, and those of its files.
        type End = ((u64, &'static str), Option<u32>, Files<u32>);
        let end = |counters, files| -> End { (said::<u8>(), counters, files) };
        let message = |ends: Vec<End>| ipc_core::__private::codec::to_bytes(&ends).unwrap().0;
        let bodies = [
            message(vec![end(None, Files::Socket(0))]),
            message(vec![end(Some(1), Files::Socket(1))]),
            message(vec![end(Some(1), Files::Socket(0))]),
            message(vec![end(Some(1), Files::Pipe { pipe: 0, store: 0 })]),
            message(vec![end(Some(1), Files::Other(0))]),
            message(vec![end(None, Files::Socket(0)), end(None, Files::Socket(0))]),
            message(vec![end(Some(9), Files::Socket(9))]),
        ];
        for body in &bodies {
            let (mut ear, mouth) = line();
            let fds = [mouth, null()];
            let borrowed = [fds[0].as_fd(), fds[1].as_fd()];
            send_raw(tx.route(), &datagram(MESSAGE, HERE, 2, 1, body), &borrowed);
            drop(fds);
            assert!(
                matches!(rx.recv(), Err(RecvError::Unreadable(Unreadable::Decode(_)))),
                "{body:?}"
            );
            assert!(closed(&mut ear));
        }
        drop((tx, rx));
        assert_eq!(descriptors(), before);
    });
}

// The counters are memory that peers share. Whatever a peer writes there, no other peer is harmed.
#[test]
fn counters_of_garbage_only_count_wrong() {
    let _watchdog = watchdog();
    for garbage in [0u64, u64::MAX, 1 << 63, 7] {
        let (tx, rx) = ipc_pipes::channel::<u64>().unwrap();
        // The file of the counters travels as a handle; a peer that has it writes what it likes.
        let (_, handles) = ipc_core::__private::codec::to_bytes(&tx).unwrap();
        let counters = File::from(handles.into_iter().next().unwrap());
        let scribble = || {
            use std::os::unix::fs::FileExt;
            counters.write_all_at(&garbage.to_le_bytes().repeat(128), 0).unwrap();
        };
        for n in 0..50 {
            scribble();
            tx.send(n).unwrap();
            scribble();
            let _ =
                (tx.len(), rx.len(), tx.sender_count(), rx.receiver_count(), rx.drain().count());
            scribble();
            assert_eq!(tx.send_many(0..100), Ok(100));
            scribble();
            let mut got = Vec::new();
            while got.len() < 100 {
                rx.recv_many(&mut got, 7).unwrap();
                scribble();
            }
            assert!(got.into_iter().eq(0..100));
        }
        drop(tx);
        assert_eq!(rx.recv(), Err(RecvError::Disconnected));
        assert!(rx.disconnect_cause().is_some());
    }
}
