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
//! | `ENCLOSED` | the body is in a sealed memory file, the first of the handles; in the datagram is its length, a word of 64 bits |
//!
//! All words are little-endian. `handles` says how many handles came with the datagram, the enclosure among
//! them; `count` is 1 but for `MESSAGES`.
//!
//! A body of more than [`HERE_LIMIT`] bytes is enclosed: whatever its size, a message takes little room in
//! the socket, so that the kernel takes it at once or not at all, and the receiver reads it where the sender
//! wrote it.
//!
//! # If a peer lies
//!
//! A datagram that is not as above is taken out and told as `Unreadable`; the handles that came with it are
//! closed. Its length is the kernel's, not the peer's word; an enclosure is read only if it is sealed, so that
//! nobody can change or shorten it meanwhile, and as long as the datagram says. The next datagram is not
//! concerned.

use std::cell::Cell;

use ipc_core::codec;
use ipc_core::handle::{MAX_HANDLES, NotCarried, OsHandle};
use ipc_core::{Patience, RecvTimeoutError, Unreadable, Unsendable};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::killpoint::kp;
use crate::socket::{Failed, Socket};
use crate::sys::{self, Arrived, Enclosed, NotEnclosed};

const MAGIC: [u8; 2] = *b"mp";
pub(crate) const HEADER: usize = 8;

/// The longest body in a datagram. Beyond, an enclosure is faster; far below what a socket's buffer holds.
pub(crate) const HERE_LIMIT: usize = 32 * 1024;

/// The longest body.
const LIMIT: usize = (isize::MAX as usize) / 2;

/// What a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Message,
    Messages(u16),
    Bytes,
}

const HERE: u8 = 0;
const ENCLOSED: u8 = 1;

/// The largest buffer that a thread keeps.
const KEPT: usize = 1 << 20;

thread_local! {
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The thread's scratch bytes, given back when dropped. Nested, in a user's `Serialize`, there are fresh ones.
pub(crate) struct Scratch(pub(crate) Vec<u8>);

impl Scratch {
    #[inline]
    pub(crate) fn take() -> Scratch {
        // A thread that is being torn down has none left.
        Scratch(SCRATCH.try_with(Cell::take).unwrap_or_default())
    }
}

impl Drop for Scratch {
    #[inline]
    fn drop(&mut self) {
        if self.0.len() <= KEPT {
            let bytes = std::mem::take(&mut self.0);
            // As above.
            let _ = SCRATCH.try_with(|scratch| scratch.set(bytes));
        }
    }
}

fn header(kind: Kind, place: u8, handles: usize) -> [u8; HEADER] {
    let (kind, count) = match kind {
        Kind::Message => (0, 1),
        Kind::Messages(count) => (1, count),
        Kind::Bytes => (2, 1),
    };
    let [low, high] = u16::to_le_bytes(count);
    [MAGIC[0], MAGIC[1], kind, place, handles as u8, 0, low, high]
}

/// Encodes one message behind the room for a header; returns its end, and its handles.
pub(crate) fn encode<T: Serialize>(
    message: &T,
    bytes: &mut Vec<u8>,
) -> Result<(usize, Vec<OsHandle>), Failed> {
    codec::encode_carrying(message, bytes, HEADER, LIMIT).map_err(Failed::Unsendable)
}

/// Sends a body: `datagram`, behind the room for its header.
pub(crate) fn send(
    socket: &Socket,
    kind: Kind,
    datagram: &mut [u8],
    mut handles: Vec<OsHandle>,
    patience: Patience,
) -> Result<(), Failed> {
    if datagram.len() - HEADER <= HERE_LIMIT {
        datagram[..HEADER].copy_from_slice(&header(kind, HERE, handles.len()));
        match socket.send(datagram, &handles, patience) {
            // A socket from elsewhere, with a small buffer.
            Err(Failed::Unsendable(Unsendable::TooLarge { .. })) => {}
            done => return done,
        }
    }
    if handles.len() == MAX_HANDLES {
        return Err(Failed::Unsendable(Unsendable::Handles(NotCarried::TooMany)));
    }
    if socket.forked() {
        return Err(Failed::Unsendable(Unsendable::Forked));
    }
    let body = &datagram[HEADER..];
    kp!("message.enclose");
    let enclosure = sys::enclose(body).map_err(|error| {
        Failed::Unsendable(match error {
            NotEnclosed::OutOfHandles => Unsendable::Handles(NotCarried::Exhausted),
            NotEnclosed::OutOfMemory => Unsendable::OutOfMemory,
            NotEnclosed::TooLarge(limit) => Unsendable::TooLarge { limit },
        })
    })?;
    kp!("message.enclosed");
    handles.insert(0, enclosure);
    let mut small = [0; HEADER + 8];
    small[..HEADER].copy_from_slice(&header(kind, ENCLOSED, handles.len()));
    small[HEADER..].copy_from_slice(&(body.len() as u64).to_le_bytes());
    socket.send(&small, &handles, patience)
}

/// Encodes and sends one message.
#[inline]
pub(crate) fn send_one<T: Serialize>(socket: &Socket, message: &T, patience: Patience) -> Result<(), Failed> {
    let mut scratch = Scratch::take();
    let bytes = &mut scratch.0;
    let (end, handles) = encode(message, bytes)?;
    send(socket, Kind::Message, &mut bytes[..end], handles, patience)
}

/// A datagram that was received and checked.
pub(crate) struct Letter {
    pub(crate) kind: Kind,
    place: Place,
    pub(crate) handles: Vec<OsHandle>,
}

enum Place {
    /// In the buffer it was received in, up to here.
    Here(usize),
    Enclosed(Enclosed),
}

impl Letter {
    /// The body, of which what is not enclosed lies in `buffer`.
    #[inline]
    pub(crate) fn body<'a>(&'a self, buffer: &'a [u8]) -> &'a [u8] {
        match &self.place {
            Place::Here(end) => &buffer[HEADER..*end],
            Place::Enclosed(enclosed) => enclosed.bytes(),
        }
    }
}

/// Receives a datagram.
#[inline]
pub(crate) fn recv(
    socket: &Socket,
    buffer: &mut Vec<u8>,
    patience: Patience,
) -> Result<Letter, RecvTimeoutError> {
    if buffer.len() < HEADER + HERE_LIMIT {
        buffer.resize(HEADER + HERE_LIMIT, 0);
    }
    let mut handles = Vec::new();
    let arrived = socket.recv(buffer, &mut handles, patience)?;
    open(buffer, arrived, handles).map_err(RecvTimeoutError::Unreadable)
}

/// Checks a datagram. What does not become part of the letter is closed.
#[inline]
fn open(buffer: &[u8], arrived: Arrived, mut handles: Vec<OsHandle>) -> Result<Letter, Unreadable> {
    let malformed = |what| Err(Unreadable::Malformed(what));
    if arrived.lost {
        return Err(Unreadable::HandlesLost);
    }
    if arrived.cut {
        return malformed("it is longer than any datagram of this crate");
    }
    let Some((head, body)) = buffer[..arrived.len].split_first_chunk::<HEADER>() else {
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
        _ => return malformed("it is of an unknown kind"),
    };
    if usize::from(head[4]) != handles.len() {
        return malformed("other handles came than its header says");
    }
    let place = match head[3] {
        HERE => Place::Here(arrived.len),
        ENCLOSED => {
            let Ok(len) = <[u8; 8]>::try_from(body) else {
                return malformed("the length of its enclosure is not one");
            };
            if handles.is_empty() {
                return malformed("its enclosure is missing");
            }
            let enclosure = handles.remove(0);
            match sys::disclose(sys::borrow(&enclosure), u64::from_le_bytes(len)) {
                Ok(enclosed) => Place::Enclosed(enclosed),
                Err(what) => return malformed(what),
            }
        }
        _ => return malformed("its body is in an unknown place"),
    };
    Ok(Letter { kind, place, handles })
}

/// Decodes the one message of a letter.
#[inline]
pub(crate) fn decode<T: DeserializeOwned>(letter: Letter, buffer: &[u8]) -> Result<T, Unreadable> {
    if letter.kind != Kind::Message {
        return Err(Unreadable::Malformed("it is not a message, but bytes or a batch"));
    }
    let Letter { place, handles, .. } = letter;
    let body = match &place {
        Place::Here(end) => &buffer[HEADER..*end],
        Place::Enclosed(enclosed) => enclosed.bytes(),
    };
    codec::decode_carrying(body, handles).map_err(Unreadable::Decode)
}

/// Receives and decodes one message.
#[inline]
pub(crate) fn recv_one<T: DeserializeOwned>(
    socket: &Socket,
    patience: Patience,
) -> Result<T, RecvTimeoutError> {
    let mut scratch = Scratch::take();
    let letter = recv(socket, &mut scratch.0, patience)?;
    decode(letter, &scratch.0).map_err(RecvTimeoutError::Unreadable)
}
