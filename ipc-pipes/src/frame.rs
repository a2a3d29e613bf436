//! Frames with handles over a stream socket, for the connection between `spawn` and its children.
//!
//! They are for messages that are longer than a datagram can be, between one sender and one reader
//! that waits for other events as well. For everything else, use a [`channel`](crate::channel()) or
//! a [`Duplex`](crate::Duplex).
//!
//! ```text
//! offset 0       4      8         12      16       24
//!        ┌───────┬──────┬─────────┬───────┬────────┬──────────────┐
//!        │ magic │ kind │ handles │ place │ length │ body         │
//!        └───────┴──────┴─────────┴───────┴────────┴──────────────┘
//! ```
//!
//! All words are little-endian. `handles` is the number of OS handles that travel with the header,
//! and `length` the number of bytes of the body. Nothing here blocks except in the `wait` of the
//! caller, which decides for which other events it waits.
//!
//! | place | the body is |
//! |---|---|
//! | 0 | behind the header |
//! | 1 | in a sealed memory file, the first of the handles; nothing is behind the header |
//!
//! A body of more than 96 KiB is encoded into a memory file ([`Payload`]) and read in place. So it
//! is copied once on each side, and never waits for room in the socket. If this process can make no
//! such file, or may send no further handle, the body goes through the socket.
//!
//! # If the peer dies or lies
//!
//! An incomplete frame is never returned. Memory for a body grows with the bytes that have arrived,
//! not with the length in the header. A memory file is read only if it is sealed, so that no
//! process can change or shorten it, and if it is as long as the header says. Handles that do not
//! match the header are closed.

use std::cmp::Ordering;
use std::fmt;
use std::io::{self, IoSlice};
use std::ops::Deref;

use ipc_core::__private::codec::Sink;
use ipc_core::{MAX_HANDLES, OsHandle, Unreadable, Unsendable};
use ipc_sys as sys;
use ipc_sys::store::SealedMapping;

use crate::message::HERE_LIMIT;

const MAGIC: u32 = u32::from_le_bytes(*b"mpf1");
const HEADER: usize = 24;

const HERE: u32 = 0;
const SEALED: u32 = 1;

/// The longest body; a longer one is refused before anything is allocated for it.
pub const MAX_BODY: u64 = 1 << 40;

/// How much is read at once, and by how much the memory for a body may exceed what has arrived.
const PIECE: usize = 256 * 1024;

/// How many pieces one [`FrameReader::advance`] reads at most, so that its caller can check the
/// time.
const PIECES: usize = 8;

/// A received message: its kind, its bytes, and its handles.
#[derive(Debug)]
pub struct Frame {
    /// The kind that the sender gave to it.
    pub kind: u32,
    /// Its bytes.
    pub body: Body,
    /// Its handles.
    pub handles: Vec<OsHandle>,
}

/// The bytes of a received frame.
pub struct Body(Received);

enum Received {
    Here(Vec<u8>),
    Sealed(SealedMapping),
}

impl Deref for Body {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Received::Here(bytes) => bytes,
            Received::Sealed(file) => file.bytes(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("len", &self.len()).finish()
    }
}

/// A body to be sent, while it is written: `codec::encode_into`
/// writes a message into it.
///
/// It moves to a memory file as soon as it has more than 96 KiB.
pub struct Payload(Written);

enum Written {
    Here {
        bytes: Vec<u8>,
        /// Whether the bytes may move to a file: no attempt has failed yet.
        may_move: bool,
    },
    File {
        file: OsHandle,
        len: usize,
    },
}

impl Default for Payload {
    fn default() -> Self {
        Payload::new()
    }
}

impl Payload {
    /// Makes an empty body.
    #[must_use]
    pub const fn new() -> Self {
        Payload(Written::Here { bytes: Vec::new(), may_move: true })
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Unsendable> {
        if let Written::Here { bytes: have, may_move } = &mut self.0 {
            if have.len() + bytes.len() <= HERE_LIMIT || !*may_move {
                return have.write(bytes);
            }
            match file_of(have) {
                Some(file) => self.0 = Written::File { file, len: have.len() },
                None => {
                    *may_move = false;
                    return have.write(bytes);
                }
            }
        }
        if let Written::File { file, len } = &mut self.0 {
            if sys::store::put(sys::borrow(file), *len as u64, bytes).is_ok() {
                *len += bytes.len();
                return Ok(());
            }
            // The file may grow no more; memory of this process' own may.
            let mut have = taken_back(file, *len)?;
            have.write(bytes)?;
            self.0 = Written::Here { bytes: have, may_move: false };
        }
        Ok(())
    }
}

impl Sink for Payload {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Unsendable> {
        self.add(bytes)
    }

    fn overwrite(&mut self, at: usize, bytes: &[u8]) -> Result<(), Unsendable> {
        match &mut self.0 {
            Written::Here { bytes: have, .. } => have.overwrite(at, bytes),
            Written::File { file, .. } => sys::store::put(sys::borrow(file), at as u64, bytes)
                .map_err(|_| Unsendable::OutOfMemory),
        }
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let len = match &self.0 {
            Written::Here { bytes, .. } => bytes.len(),
            Written::File { len, .. } => *len,
        };
        f.debug_struct("Payload").field("len", &len).finish()
    }
}

/// Makes a file with these bytes, to which more can be added. Returns `None` if this process can
/// make none.
fn file_of(bytes: &[u8]) -> Option<OsHandle> {
    let file = sys::store::message_memfd().ok()?;
    sys::store::put(sys::borrow(&file), 0, bytes).ok()?;
    Some(file)
}

/// Returns the bytes of such a file.
fn taken_back(file: &OsHandle, len: usize) -> Result<Vec<u8>, Unsendable> {
    let mut bytes = Vec::new();
    match sys::store::get(sys::borrow(file), 0, len as u64, &mut bytes) {
        Ok(()) => Ok(bytes),
        Err(_) => Err(Unsendable::OutOfMemory),
    }
}

/// The result of [`FrameReader::advance`].
#[derive(Debug)]
pub enum Progress {
    /// A whole frame.
    Frame(Frame),
    /// Some bytes, and there may be more at once.
    Some,
    /// Everything that was there: wait until the socket is readable.
    Drained,
    /// The other end is closed. The part of an unfinished frame is worthless.
    Closed,
}

/// Sends one whole frame, with its body behind the header. Calls `wait` whenever the socket has no
/// room.
///
/// # Errors
///
/// - An error of the socket or of `wait`. The frame may then have been sent in part, and the socket
///   cannot be used any more.
/// - `InvalidInput`, before anything was sent, if the body is longer than [`MAX_BODY`].
pub fn send_frame(
    socket: &OsHandle,
    kind: u32,
    body: &[u8],
    handles: &[OsHandle],
    wait: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<()> {
    if body.len() as u64 > MAX_BODY || handles.len() > MAX_HANDLES {
        let text = format!(
            "{} bytes and {} handles are more than one message holds",
            body.len(),
            handles.len()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    send_whole(socket, header(kind, HERE, handles.len(), body.len()), body, handles, wait)
}

/// Sends one whole frame, as [`send_frame`] does, but a large body as a memory file.
///
/// # Errors
///
/// As [`send_frame`], and `OutOfMemory`, before anything was sent, if the body can go neither way.
pub fn send_payload(
    socket: &OsHandle,
    kind: u32,
    payload: Payload,
    mut handles: Vec<OsHandle>,
    wait: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<()> {
    let (file, len) = match payload.0 {
        Written::Here { bytes, .. } => return send_frame(socket, kind, &bytes, &handles, wait),
        Written::File { file, len } => (file, len),
    };
    let file = if handles.len() < MAX_HANDLES && sys::store::seal_message(sys::borrow(&file)) {
        handles.insert(0, file);
        let header = header(kind, SEALED, handles.len(), len);
        match send_whole(socket, header, &[], &handles, wait) {
            // Nothing was sent: too many handles of this user's processes are on their way.
            Err(error) if sys::socket::too_many_in_flight(&error) => handles.remove(0),
            sent => return sent,
        }
    } else {
        file
    };
    let bytes = taken_back(&file, len)
        .map_err(|cause| io::Error::new(io::ErrorKind::OutOfMemory, cause))?;
    drop(file);
    send_frame(socket, kind, &bytes, &handles, wait)
}

fn header(kind: u32, place: u32, handles: usize, len: usize) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    header[4..8].copy_from_slice(&kind.to_le_bytes());
    header[8..12].copy_from_slice(&(handles as u32).to_le_bytes());
    header[12..16].copy_from_slice(&place.to_le_bytes());
    header[16..24].copy_from_slice(&(len as u64).to_le_bytes());
    header
}

fn send_whole(
    socket: &OsHandle,
    header: [u8; HEADER],
    body: &[u8],
    handles: &[OsHandle],
    wait: &mut dyn FnMut() -> io::Result<()>,
) -> io::Result<()> {
    let mut sent = 0;
    while sent < HEADER + body.len() {
        let rest = [
            IoSlice::new(&header[sent.min(HEADER)..]),
            IoSlice::new(&body[sent.saturating_sub(HEADER)..]),
        ];
        // The handles travel with the first byte, so they go once.
        let with = if sent == 0 { handles } else { &[] };
        match sys::socket::send_part(socket, &rest, with) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait()?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The contents of the header, after it is complete and checked.
#[derive(Clone, Copy, Debug)]
struct Head {
    kind: u32,
    place: u32,
    length: u64,
}

/// Assembles frames from the parts that have arrived.
#[derive(Debug)]
pub struct FrameReader {
    header: [u8; HEADER],
    /// Bytes of `header` that have come: `0..=HEADER`.
    filled: usize,
    head: Option<Head>,
    body: Vec<u8>,
    handles: Vec<OsHandle>,
}

impl Default for FrameReader {
    fn default() -> Self {
        FrameReader::new()
    }
}

impl FrameReader {
    /// Makes a reader at the beginning of a frame.
    #[must_use]
    pub fn new() -> Self {
        FrameReader {
            header: [0; HEADER],
            filled: 0,
            head: None,
            body: Vec::new(),
            handles: Vec::new(),
        }
    }

    /// Reads what is there, up to the end of one frame or a few pieces. Never blocks.
    ///
    /// # Errors
    ///
    /// After an error the stream is out of step and must not be read further.
    ///
    /// - `InvalidData` with an [`Unreadable`] if this is not a frame of this crate, its length is
    ///   too large, or the handles do not match it.
    /// - `OutOfMemory` with an [`Unreadable`] if there is no memory for it.
    /// - Others: an error of the socket.
    pub fn advance(&mut self, socket: &OsHandle) -> io::Result<Progress> {
        for _ in 0..PIECES {
            let step = match self.head {
                None => self.read_header(socket),
                Some(head) => self.read_body(socket, head),
            };
            match step {
                Ok(0) => return Ok(Progress::Closed),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(Progress::Drained);
                }
                Err(error) => return Err(error),
            }
            let Some(head) = self.head else { continue };
            if head.place == SEALED {
                return self.open(head).map(Progress::Frame);
            }
            if self.body.len() as u64 == head.length {
                let whole = std::mem::take(self);
                return Ok(Progress::Frame(Frame {
                    kind: head.kind,
                    body: Body(Received::Here(whole.body)),
                    handles: whole.handles,
                }));
            }
        }
        Ok(Progress::Some)
    }

    /// Returns the frame whose body is in the first of the handles.
    fn open(&mut self, head: Head) -> io::Result<Frame> {
        let mut whole = std::mem::take(self);
        if whole.handles.is_empty() {
            return Err(malformed("the file with its body is missing"));
        }
        let file = whole.handles.remove(0);
        let mapping =
            sys::store::map_sealed(sys::borrow(&file), head.length).map_err(unreadable)?;
        let body = Body(Received::Sealed(mapping));
        Ok(Frame { kind: head.kind, body, handles: whole.handles })
    }

    fn read_header(&mut self, socket: &OsHandle) -> io::Result<usize> {
        let count =
            sys::socket::receive_part(socket, &mut self.header[self.filled..], &mut self.handles)?;
        self.filled += count;
        if self.filled == HEADER {
            self.head = Some(self.check_header()?);
        }
        Ok(count)
    }

    fn check_header(&self) -> io::Result<Head> {
        let word = |at: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&self.header[at..at + 4]);
            u32::from_le_bytes(bytes)
        };
        let length = u64::from(word(16)) | u64::from(word(20)) << 32;
        if word(0) != MAGIC || !matches!(word(12), HERE | SEALED) {
            return Err(malformed("these bytes are no frame of this crate"));
        }
        if length > MAX_BODY || usize::try_from(length).is_err() {
            return Err(malformed("its body is longer than any of this crate (1 TiB)"));
        }
        match (word(8) as usize).cmp(&self.handles.len()) {
            Ordering::Equal => Ok(Head { kind: word(4), place: word(12), length }),
            Ordering::Greater => Err(unreadable(Unreadable::HandlesLost)),
            Ordering::Less => Err(malformed("more handles came than its header says")),
        }
    }

    fn read_body(&mut self, socket: &OsHandle, head: Head) -> io::Result<usize> {
        let have = self.body.len();
        let missing = usize::try_from(head.length - have as u64).unwrap_or(usize::MAX);
        let piece = missing.min(PIECE);
        if self.body.try_reserve(piece).is_err() {
            return Err(unreadable(Unreadable::OutOfMemory));
        }
        self.body.resize(have + piece, 0);
        let mut unexpected = Vec::new();
        let received = sys::socket::receive_part(socket, &mut self.body[have..], &mut unexpected);
        self.body.truncate(have + received.as_ref().map_or(0, |count| *count));
        if !unexpected.is_empty() {
            return Err(malformed("handles arrived in the middle of its body"));
        }
        received
    }
}

fn unreadable(cause: Unreadable) -> io::Error {
    let kind = match cause {
        Unreadable::OutOfMemory => io::ErrorKind::OutOfMemory,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, cause)
}

fn malformed(what: &'static str) -> io::Error {
    unreadable(Unreadable::Malformed(what))
}

#[cfg(all(test, target_os = "linux"))]
#[path = "frame_tests.rs"]
mod tests;
