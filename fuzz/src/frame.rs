//! Frames over a stream socket, cut into pieces, with garbage, and with handles at wrong places. A
//! reader finds the same frames as a reader that has all bytes at once, and nothing after the first
//! invalid one.
//!
//! Also datagrams of any content in a channel: each is a message or an error, and does not affect
//! those after it, unless it says that the other end sends another type.

use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use ipc_core::__private::shape::Shape;
use ipc_core::{OsHandle, TryRecvError, Unreadable};
use ipc_pipes::__private::frame::{FrameReader, Progress, send_frame};
use ipc_pipes::{Duplex, Handle};
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use testkit::fuzz::Input;
use testkit::hostile::send_raw;

const HEADER: usize = 24;
/// The longest body: `frame.rs`.
const MAX_BODY: u64 = 1 << 40;

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    match input.byte() {
        0..128 => stream(input),
        _ => datagrams(input),
    }
}

/// Bytes in their order, each with the handles that arrive with it.
#[derive(Default)]
struct Truth {
    bytes: Vec<u8>,
    handles: Vec<(usize, usize)>,
    /// Where the next frame begins.
    at: usize,
}

/// What a reader with all bytes finds next.
#[derive(Debug, PartialEq)]
enum Next<'a> {
    Frame(u32, &'a [u8], usize),
    /// The frame is incomplete.
    More,
    Lie,
}

impl Truth {
    fn handles(&self, from: usize, to: usize) -> usize {
        self.handles.iter().filter(|(at, _)| (from..to).contains(at)).map(|(_, n)| n).sum()
    }

    fn next(&self) -> (Next<'_>, usize) {
        let rest = &self.bytes[self.at..];
        let Some((header, body)) = rest.split_first_chunk::<HEADER>() else {
            return (Next::More, 0);
        };
        let word =
            |at: usize| u32::from_le_bytes(header[at..at + 4].try_into().expect("four bytes"));
        let length = u64::from_le_bytes(header[16..].try_into().expect("eight bytes"));
        let handles = self.handles(self.at, self.at + HEADER);
        let true_header = &header[..4] == b"mpf1" && word(12) == 0 && length <= MAX_BODY;
        if !true_header || word(8) as usize != handles {
            return (Next::Lie, 0);
        }
        let begin = self.at + HEADER;
        let there = body.len().min(usize::try_from(length).unwrap_or(usize::MAX));
        if self.handles(begin, begin + there) > 0 {
            return (Next::Lie, 0);
        }
        if (there as u64) < length {
            return (Next::More, 0);
        }
        (Next::Frame(word(4), &body[..there], handles), HEADER + there)
    }
}

fn stream(mut input: Input<'_>) {
    let (mut writer, reader) = UnixStream::pair().expect("a pair of sockets");
    writer.set_nonblocking(true).expect("it is a socket");
    let (reader, sender) =
        (OsHandle::from(reader), OsHandle::from(writer.try_clone().expect("a descriptor")));
    let mut truth = Truth::default();
    let mut frames = FrameReader::new();
    for _ in 0..24 {
        let Some(operation) = input.next() else { break };
        let piece = usize::from(operation >> 2).min(input.0.len());
        let (bytes, rest) = input.0.split_at(piece);
        match operation & 3 {
            // Unchanged.
            0 => {
                input.0 = rest;
                writer.write_all(bytes).expect("the socket takes so much");
                truth.bytes.extend(bytes);
            }
            // A header that is nearly valid.
            1 => {
                let mut header = [0; HEADER];
                header[..4].copy_from_slice(b"mpf1");
                header[16] = operation >> 4;
                let at = input.below(HEADER);
                header[at] ^= input.byte();
                writer.write_all(&header).expect("the socket takes so much");
                truth.bytes.extend(header);
            }
            // A valid frame.
            2 => {
                input.0 = rest;
                let handles: Vec<OsHandle> = (0..operation >> 6).map(|_| handle()).collect();
                let sent = send_frame(&sender, u32::from(operation), bytes, &handles, &mut || {
                    panic!("the socket takes so much")
                });
                sent.expect("the other end is there");
                note(&mut truth, handles.len());
                truth.bytes.extend(b"mpf1");
                truth.bytes.extend(
                    [u32::from(operation), handles.len() as u32, 0].map(u32::to_le_bytes).concat(),
                );
                truth.bytes.extend((bytes.len() as u64).to_le_bytes());
                truth.bytes.extend(bytes);
            }
            // Bytes with handles that no header mentions.
            _ if piece > 0 => {
                input.0 = rest;
                send_copies(&sender, bytes, 1 + usize::from(operation >> 6));
                note(&mut truth, 1 + usize::from(operation >> 6));
                truth.bytes.extend(bytes);
            }
            _ => {}
        }
        if operation & 0x20 == 0 && !read(&mut frames, &reader, &mut truth) {
            return;
        }
    }
    if !read(&mut frames, &reader, &mut truth) {
        return;
    }
    drop((writer, sender));
    assert!(matches!(frames.advance(&reader), Ok(Progress::Closed)));
}

fn note(truth: &mut Truth, handles: usize) {
    truth.handles.push((truth.bytes.len(), handles));
}

/// Reads what has arrived. Returns false after an invalid frame.
fn read(frames: &mut FrameReader, socket: &OsHandle, truth: &mut Truth) -> bool {
    loop {
        let (next, len) = truth.next();
        match frames.advance(socket) {
            Ok(Progress::Frame(frame)) => {
                assert_eq!(next, Next::Frame(frame.kind, &frame.body, frame.handles.len()));
                truth.at += len;
            }
            Ok(Progress::Some) => {}
            Ok(Progress::Drained) => {
                assert_eq!(next, Next::More);
                return true;
            }
            Ok(Progress::Closed) => panic!("the other end is there"),
            Err(error) => {
                assert_eq!(next, Next::Lie, "{error}");
                return false;
            }
        }
    }
}

fn handle() -> OsHandle {
    std::io::stderr().as_fd().try_clone_to_owned().expect("a descriptor is free")
}

/// Sends bytes in one piece, with this many handles.
fn send_copies(socket: &OsHandle, bytes: &[u8], handles: usize) {
    let stderr = std::io::stderr();
    send_raw(socket, bytes, &vec![stderr.as_fd(); handles]);
}

/// Returns the files of an end, as they travel.
#[derive(serde::Serialize)]
enum Files {
    Socket(Handle),
}

/// A connection's end over this socket: it travels as its types, whether they were said, and its
/// files.
fn end_of(socket: OwnedFd) -> Duplex<u8, Vec<u16>> {
    let types = [Shape::of::<u8>(), Shape::of::<Vec<u16>>()];
    let [sends, receives] = types.map(|shape| (shape.fingerprint(), shape.text()));
    let end = (sends, receives, true, Files::Socket(Handle::from(socket)));
    let (bytes, handles) = ipc_core::__private::codec::to_bytes(&end).expect("it is carried");
    ipc_core::__private::codec::decode_carrying(&bytes, handles).expect("it is an end")
}

fn datagrams(mut input: Input<'_>) {
    let (here, there) = rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        None,
    )
    .expect("a pair of sockets");
    let end = end_of(there);
    let mut other_type = false;
    for _ in 0..8 {
        let Some(how) = input.next() else { break };
        let piece = usize::from(how >> 2).min(input.0.len());
        let (body, rest) = input.0.split_at(piece);
        input.0 = rest;
        let mut datagram = Vec::new();
        if how & 1 == 0 {
            // Nearly valid: the magic, a kind, a place, the numbers of handles and messages.
            datagram.extend(b"mp");
            datagram.extend([
                input.byte() % 4,
                input.byte() % 4,
                input.byte() % 4,
                0,
                input.byte() % 4,
                0,
            ]);
        }
        datagram.extend(body);
        if datagram.is_empty() {
            continue; // It would be the end of the stream.
        }
        send_copies(&here, &datagram, if how & 2 == 0 { 0 } else { input.below(4) });
        // A batch is several messages.
        loop {
            match end.try_recv() {
                Ok(message) => assert!(message.len() <= datagram.len()),
                Err(error) => {
                    other_type |= is_other_type(&error);
                    break;
                }
            }
        }
    }
    // One that is true: an empty list.
    send_copies(&here, &[b'm', b'p', 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], 0);
    let last = loop {
        match end.try_recv() {
            Err(error) if error.is_unreadable() => other_type |= is_other_type(&error),
            answer => break answer,
        }
    };
    let expected = if other_type { Err(TryRecvError::Empty) } else { Ok(Vec::new()) };
    assert_eq!(last, expected, "the one after those");
}

/// Returns whether the other end has said that it sends another type. Then nothing that comes after
/// that is received.
fn is_other_type(error: &TryRecvError) -> bool {
    matches!(error, TryRecvError::Unreadable(Unreadable::OtherType(_)))
}
