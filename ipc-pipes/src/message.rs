//! Messages as datagrams: the one place that writes them, and the one parser.
//!
//! ```text
//! offset 0     2      3       4         5   6       8
//!        ┌─────┬──────┬───────┬─────────┬───┬───────┬──────────────┐
//!        │ mp  │ kind │ place │ handles │ 0 │ count │ body         │
//!        └─────┴──────┴───────┴─────────┴───┴───────┴──────────────┘
//! ```
//!
//! | kind | body |
//! |---|---|
//! | `MESSAGE` | one message of the channel's type, encoded |
//! | `MESSAGES` | `count` of them, each behind its length, a word of 32 bits |
//! | `BYTES` | bytes, as [`Duplex::send_bytes`](crate::Duplex::send_bytes) takes them |
//!
//! | place | |
//! |---|---|
//! | `HERE` | the body is in the datagram |
//! | `SEALED` | the body is in a sealed memory file, the first of the handles; in the datagram is its length, a word of 64 bits |
//! | `STORED` | the body is in the store of the pipe; in the datagram are its length and place there, two such words |
//!
//! All words are little-endian. `handles` says how many handles came with the datagram, the
//! sealed file among them; `count` is 1 but for `MESSAGES`.
//!
//! A body of more than [`HERE_LIMIT`] bytes goes into a sealed memory file. A body that is too long
//! for a packet of a pipe goes into the store of that pipe. So a datagram fits in the carrier's
//! buffer, whatever the size of its message, and the kernel takes it at once or not at all. The
//! receiver reads a sealed file where the sender wrote it.
//!
//! # If a peer lies
//!
//! A datagram that is not as above is removed and reported as `Unreadable`, and the handles that
//! came with it are closed. The length of a datagram comes from the kernel, not from the peer. A
//! memory file is read only if it is sealed, so that no process can change or shorten it meanwhile,
//! and if it is as long as the datagram says. The next datagram is not affected.

use std::cell::Cell;

use ipc_core::__private::SendFailure;
use ipc_core::__private::codec::{self, Form};
use ipc_core::error::SizeLimit;
use ipc_core::{Deadline, RecvTimeoutError, Unreadable, Unsendable};
use ipc_core::{MAX_HANDLES, NotCarried, OsHandle};
use ipc_sys as sys;
use ipc_sys::socket::ReceivedDatagram;
use ipc_sys::store::{NotStored, SealedMapping};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::carrier::Carrier;
use crate::killpoint::kill_point;
use crate::packets::Packets;
use crate::socket::Socket;
use crate::types::Types;

const MAGIC: [u8; 2] = *b"mp";
pub(crate) const HEADER: usize = 8;

/// The longest body in a datagram: half of what a socket's buffer holds, so that there is room for
/// the next one. It is copied twice, which takes less than to make and map a sealed file.
pub(crate) const HERE_LIMIT: usize = 96 * 1024;

/// The longest body.
const LIMIT: usize = (isize::MAX as usize) / 2;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    Messages(u16),
    Bytes,
    /// A message behind the type that its sender takes it for: the first one over a connection.
    First,
}

const HERE: u8 = 0;
const SEALED: u8 = 1;
const STORED: u8 = 2;

/// The largest buffer that a thread keeps.
const KEPT: usize = 4 << 20;

thread_local! {
    /// Two: a message from the store lies in one while its datagram lies in the other.
    static SCRATCH: [Cell<Vec<u8>>; 2] = const { [Cell::new(Vec::new()), Cell::new(Vec::new())] };
}

/// The thread's scratch bytes, given back when dropped. Nested, in a user's `Serialize`, there are
/// fresh ones.
pub(crate) struct Scratch(pub(crate) Vec<u8>);

impl Scratch {
    #[inline]
    pub(crate) fn take() -> Scratch {
        // A thread that is being torn down has none left.
        let bytes = SCRATCH.try_with(|[first, second]| {
            let bytes = first.take();
            if bytes.capacity() > 0 { bytes } else { second.take() }
        });
        Scratch(bytes.unwrap_or_default())
    }
}

impl Drop for Scratch {
    #[inline]
    fn drop(&mut self) {
        if self.0.capacity() <= KEPT {
            let bytes = std::mem::take(&mut self.0);
            // As above.
            let _ = SCRATCH.try_with(|[first, second]| {
                let other = first.replace(bytes);
                if other.capacity() > 0 {
                    second.set(other);
                }
            });
        }
    }
}

fn header(kind: Kind, place: u8, handles: usize) -> [u8; HEADER] {
    let (kind, count) = match kind {
        Kind::Message => (0, 1),
        Kind::Messages(count) => (1, count),
        Kind::Bytes => (2, 1),
        Kind::First => (3, 1),
    };
    let [low, high] = u16::to_le_bytes(count);
    [MAGIC[0], MAGIC[1], kind, place, handles as u8, 0, low, high]
}

/// Encodes one message behind the room for a header; returns its end, and its handles.
pub(crate) fn encode<T: Serialize + DeserializeOwned>(
    message: &T,
    bytes: &mut Vec<u8>,
    form: &Form,
) -> Result<(usize, Vec<OsHandle>), SendFailure> {
    codec::encode_carrying(message, bytes, HEADER, LIMIT, form).map_err(SendFailure::Unsendable)
}

/// The longest body in a datagram of this carrier.
#[inline]
pub(crate) fn here_limit(carrier: &Carrier) -> usize {
    match carrier {
        Carrier::Socket(_) => HERE_LIMIT,
        Carrier::Pipe(_) => sys::pipe::PACKET - HEADER,
    }
}

/// Sends a body: `datagram`, behind the room for its header.
#[inline]
pub(crate) fn send(
    carrier: &Carrier,
    kind: Kind,
    datagram: &mut [u8],
    handles: Vec<OsHandle>,
    deadline: Deadline,
) -> Result<(), SendFailure> {
    if datagram.len() - HEADER <= here_limit(carrier) {
        datagram[..HEADER].copy_from_slice(&header(kind, HERE, handles.len()));
        match carrier.send(datagram, &handles, deadline) {
            // A socket from elsewhere, with a small buffer.
            Err(SendFailure::Unsendable(Unsendable::TooLarge { .. })) => {}
            done => return done,
        }
    }
    if carrier.forked() {
        return Err(SendFailure::Unsendable(Unsendable::Forked));
    }
    // Before all the work.
    if deadline == Deadline::Now && carrier.is_full() && !sys::socket::gone(carrier.fd()) {
        return Err(SendFailure::Timeout);
    }
    match carrier {
        Carrier::Socket(socket) => {
            send_sealed(socket, kind, &datagram[HEADER..], handles, deadline)
        }
        Carrier::Pipe(packets) if handles.is_empty() => {
            send_stored(packets, kind, &datagram[HEADER..], deadline)
        }
        Carrier::Pipe(_) => {
            Err(SendFailure::Unsendable(Unsendable::Handles(NotCarried::BytesOnly)))
        }
    }
}

fn not_stored(error: NotStored, size: usize) -> SendFailure {
    SendFailure::Unsendable(match error {
        NotStored::OutOfHandles => Unsendable::Handles(NotCarried::Exhausted),
        NotStored::OutOfMemory => Unsendable::OutOfMemory,
        NotStored::TooLarge(limit) => {
            Unsendable::TooLarge { size, limit, set_by: SizeLimit::FileSize }
        }
    })
}

fn send_sealed(
    socket: &Socket,
    kind: Kind,
    body: &[u8],
    mut handles: Vec<OsHandle>,
    deadline: Deadline,
) -> Result<(), SendFailure> {
    if handles.len() == MAX_HANDLES {
        return Err(SendFailure::Unsendable(Unsendable::Handles(NotCarried::TooMany)));
    }
    kill_point!("message.seal");
    let memfd = sys::store::seal_to_memfd(body).map_err(|error| not_stored(error, body.len()))?;
    kill_point!("message.sealed");
    handles.insert(0, memfd);
    let mut small = [0; HEADER + 8];
    small[..HEADER].copy_from_slice(&header(kind, SEALED, handles.len()));
    small[HEADER..].copy_from_slice(&(body.len() as u64).to_le_bytes());
    socket.send(&small, &handles, deadline)
}

fn send_stored(
    packets: &Packets,
    kind: Kind,
    body: &[u8],
    deadline: Deadline,
) -> Result<(), SendFailure> {
    let len = body.len() as u64;
    let place = packets.put(body).map_err(|error| not_stored(error, body.len()))?;
    let mut small = [0; HEADER + 16];
    small[..HEADER].copy_from_slice(&header(kind, STORED, 0));
    small[HEADER..HEADER + 8].copy_from_slice(&len.to_le_bytes());
    small[HEADER + 8..].copy_from_slice(&place.to_le_bytes());
    packets.send(&small, deadline).inspect_err(|_| packets.free(place, len))
}

/// Encodes and sends one message.
#[inline]
pub(crate) fn send_one<T: Serialize + DeserializeOwned>(
    carrier: &Carrier,
    message: &T,
    deadline: Deadline,
    form: &Form,
) -> Result<(), SendFailure> {
    let mut scratch = Scratch::take();
    let bytes = &mut scratch.0;
    if let Some(types) = carrier.types().filter(|types| !types.known()) {
        return send_first(carrier, types, message, bytes, deadline, form);
    }
    let (end, handles) = encode(message, bytes, form)?;
    send(carrier, Kind::Message, &mut bytes[..end], handles, deadline)
}

/// As [`send_one`], with what the message is.
#[cold]
fn send_first<T: Serialize + DeserializeOwned>(
    carrier: &Carrier,
    types: &Types,
    message: &T,
    bytes: &mut Vec<u8>,
    deadline: Deadline,
    form: &Form,
) -> Result<(), SendFailure> {
    bytes.clear();
    bytes.resize(HEADER, 0);
    types.write_type(bytes);
    let begin = bytes.len();
    let encoded = codec::encode_carrying(message, bytes, begin, LIMIT, form);
    let (end, handles) = encoded.map_err(SendFailure::Unsendable)?;
    send(carrier, Kind::First, &mut bytes[..end], handles, deadline)?;
    types.set_type_sent();
    Ok(())
}

/// A datagram that was received and checked.
pub(crate) struct ReceivedMessage {
    pub(crate) kind: Kind,
    place: Place,
    /// What stands before the message.
    skip: usize,
    pub(crate) handles: Vec<OsHandle>,
}

enum Place {
    /// In the buffer it was received in, up to here.
    Here(usize),
    Sealed(SealedMapping),
    Stored(Scratch),
}

impl Place {
    #[inline]
    fn body<'a>(&'a self, buffer: &'a [u8]) -> &'a [u8] {
        match self {
            Place::Here(end) => &buffer[HEADER..*end],
            Place::Sealed(mapping) => mapping.bytes(),
            Place::Stored(bytes) => &bytes.0,
        }
    }
}

impl ReceivedMessage {
    /// The body, of which what is not in a sealed file lies in `buffer`.
    #[inline]
    pub(crate) fn body<'a>(&'a self, buffer: &'a [u8]) -> &'a [u8] {
        &self.place.body(buffer)[self.skip..]
    }
}

/// Receives a datagram.
#[inline]
pub(crate) fn recv(
    carrier: &Carrier,
    buffer: &mut Vec<u8>,
    deadline: Deadline,
) -> Result<ReceivedMessage, RecvTimeoutError> {
    if buffer.len() < HEADER + HERE_LIMIT {
        buffer.resize(HEADER + HERE_LIMIT, 0);
    }
    let mut handles = Vec::new();
    let datagram = carrier.recv(buffer, &mut handles, deadline)?;
    open(carrier, buffer, datagram, handles).map_err(RecvTimeoutError::Unreadable)
}

/// Checks a datagram. Handles that do not become part of the message are closed.
#[inline]
fn open(
    carrier: &Carrier,
    buffer: &[u8],
    datagram: ReceivedDatagram,
    mut handles: Vec<OsHandle>,
) -> Result<ReceivedMessage, Unreadable> {
    let malformed = |what| Err(Unreadable::Malformed(what));
    if datagram.lost {
        return Err(Unreadable::HandlesLost);
    }
    if datagram.cut {
        return malformed("it is longer than any datagram of this crate");
    }
    let Some((head, body)) = buffer[..datagram.len].split_first_chunk::<HEADER>() else {
        return malformed("it is shorter than a header");
    };
    if head[..2] != MAGIC || head[5] != 0 {
        return malformed("its header is none of this crate");
    }
    let count = u16::from_le_bytes([head[6], head[7]]);
    let kind = match (head[2], count) {
        (0, 1) => Kind::Message,
        (1, 1..) => Kind::Messages(count),
        (2, 1) => Kind::Bytes,
        (3, 1) => Kind::First,
        _ => return malformed("it is of an unknown kind"),
    };
    if usize::from(head[4]) != handles.len() {
        return malformed("other handles came than its header says");
    }
    let place = match (head[3], carrier) {
        (HERE, _) => Place::Here(datagram.len),
        (STORED, Carrier::Pipe(packets)) => {
            let Some((len, place)) = body.split_first_chunk() else {
                return malformed("the length of its body is missing");
            };
            let Ok(place) = <[u8; 8]>::try_from(place) else {
                return malformed("the place of its body is not one");
            };
            let mut bytes = Scratch::take();
            packets.get(u64::from_le_bytes(place), u64::from_le_bytes(*len), &mut bytes.0)?;
            Place::Stored(bytes)
        }
        (SEALED, Carrier::Socket(_)) => {
            let Ok(len) = <[u8; 8]>::try_from(body) else {
                return malformed("the length of its sealed file is not one");
            };
            if handles.is_empty() {
                return malformed("its sealed file is missing");
            }
            let memfd = handles.remove(0);
            Place::Sealed(sys::store::map_sealed(sys::borrow(&memfd), u64::from_le_bytes(len))?)
        }
        _ => return malformed("its body is in an unknown place"),
    };
    let mut received = ReceivedMessage { kind, place, skip: 0, handles };
    if let Some(types) = carrier.types() {
        if kind == Kind::First {
            match types.check_type(received.body(buffer)) {
                Some(skip) => received.skip = skip,
                None => return malformed("the type of its messages is cut off"),
            }
        }
        if let Some(mismatch) = types.wrong() {
            return Err(Unreadable::OtherType(mismatch.clone()));
        }
    } else if kind == Kind::First {
        return malformed("it says a type where none is to be said");
    }
    Ok(received)
}

/// Decodes the only message of a datagram.
#[inline]
pub(crate) fn decode<T: DeserializeOwned>(
    received: ReceivedMessage,
    buffer: &[u8],
) -> Result<T, Unreadable> {
    if !matches!(received.kind, Kind::Message | Kind::First) {
        return Err(Unreadable::Malformed("it is not a message, but bytes or a batch"));
    }
    let ReceivedMessage { place, skip, handles, .. } = received;
    codec::decode_carrying(&place.body(buffer)[skip..], handles).map_err(Unreadable::Decode)
}

/// A message that was received, with the buffer in which it may lie.
pub(crate) struct TakenOut {
    pub(crate) received: ReceivedMessage,
    pub(crate) buffer: Scratch,
}

impl TakenOut {
    pub(crate) fn decode<T: DeserializeOwned>(self) -> Result<T, Unreadable> {
        decode(self.received, &self.buffer.0)
    }
}

/// Receives and decodes one message.
#[inline]
pub(crate) fn recv_one<T: DeserializeOwned>(
    carrier: &Carrier,
    deadline: Deadline,
) -> Result<T, RecvTimeoutError> {
    let mut scratch = Scratch::take();
    let received = recv(carrier, &mut scratch.0, deadline)?;
    decode(received, &scratch.0).map_err(RecvTimeoutError::Unreadable)
}
