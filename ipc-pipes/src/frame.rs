//! Frames with handles over a stream socket: how `spawn` talks to its children.
//!
//! For what is longer than a datagram can be and has one reader at a time, who must look at other
//! things meanwhile; everything else is better off with a [`channel`](crate::channel()) or a
//! [`Duplex`](crate::Duplex).
//!
//! ```text
//! offset 0       4      8         12         16       24
//!        ┌───────┬──────┬─────────┬──────────┬────────┬──────────────┐
//!        │ magic │ kind │ handles │ 0        │ length │ body         │
//!        └───────┴──────┴─────────┴──────────┴────────┴──────────────┘
//! ```
//!
//! All words are little-endian; `handles` says how many OS handles travel with the header, `length`
//! how many bytes the body has. Nothing here blocks but through the `wait` that the caller hands
//! in, so that the caller decides what else to look at meanwhile.
//!
//! # If the peer dies or lies
//!
//! A frame that is not complete is never seen. Memory for a body grows with the bytes that have
//! come, not with the length that was claimed; handles that do not fit what the header says are
//! closed.

use std::io::{self, IoSlice};

use ipc_core::{MAX_HANDLES, OsHandle};

use crate::sys;

const MAGIC: u32 = u32::from_le_bytes(*b"mpf1");
const HEADER: usize = 24;

/// The longest body; a longer one is refused before anything is allocated for it.
pub const MAX_BODY: u64 = 1 << 40;

/// How much is read at once, and by how much the memory for a body may run ahead of what has come.
const PIECE: usize = 256 * 1024;

/// How many pieces one [`FrameReader::advance`] reads at most, so that its caller can look at the
/// clock.
const PIECES: usize = 8;

/// One message as it came: what it is, its bytes, and the handles that came with it.
#[derive(Debug)]
pub struct Frame {
    /// What its sender said that it is.
    pub kind: u32,
    /// Its bytes.
    pub body: Vec<u8>,
    /// Its handles.
    pub handles: Vec<OsHandle>,
}

/// How far [`FrameReader::advance`] came.
#[derive(Debug)]
pub enum Progress {
    /// A whole frame.
    Frame(Frame),
    /// Some bytes, and there may be more at once.
    Some,
    /// All that was there; wait until the socket is readable.
    Drained,
    /// The other end is closed. What came of an unfinished frame is worth nothing.
    Closed,
}

/// Sends one frame whole, calling `wait` whenever the socket takes no more for the moment.
///
/// # Errors
///
/// What the socket or `wait` answered; the frame may then have been sent in part, and the socket is
/// of no further use. `InvalidInput` before anything was sent if the body is longer than
/// [`MAX_BODY`].
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
    let mut header = [0; HEADER];
    header[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    header[4..8].copy_from_slice(&kind.to_le_bytes());
    header[8..12].copy_from_slice(&(handles.len() as u32).to_le_bytes());
    header[16..24].copy_from_slice(&(body.len() as u64).to_le_bytes());

    let mut sent = 0;
    while sent < HEADER + body.len() {
        let rest = [
            IoSlice::new(&header[sent.min(HEADER)..]),
            IoSlice::new(&body[sent.saturating_sub(HEADER)..]),
        ];
        // The handles travel with the first byte, so they go once.
        let with = if sent == 0 { handles } else { &[] };
        match sys::send_part(socket, &rest, with) {
            Ok(count) => sent += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait()?,
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What the header said, once it is complete and checked.
#[derive(Clone, Copy, Debug)]
struct Head {
    kind: u32,
    length: u64,
}

/// Puts frames together from whatever part of them has come.
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
    /// At the beginning of a frame.
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

    /// Reads what is there, up to the end of one frame or a few pieces; never blocks.
    ///
    /// # Errors
    ///
    /// `InvalidData` if this is no frame of ours, claims too much, or came with other handles than
    /// it says; `OutOfMemory` if there is no memory for it; what the socket answered. After an
    /// error the stream is out of step and must not be read on.
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
            if let Some(head) = self.head {
                if self.body.len() as u64 == head.length {
                    let whole = std::mem::take(self);
                    return Ok(Progress::Frame(Frame {
                        kind: head.kind,
                        body: whole.body,
                        handles: whole.handles,
                    }));
                }
            }
        }
        Ok(Progress::Some)
    }

    fn read_header(&mut self, socket: &OsHandle) -> io::Result<usize> {
        let count = sys::receive_part(socket, &mut self.header[self.filled..], &mut self.handles)?;
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
        if word(0) != MAGIC || word(12) != 0 {
            return Err(invalid("these bytes are no frame of this crate".into()));
        }
        if length > MAX_BODY || usize::try_from(length).is_err() {
            return Err(invalid(format!("a body of {length} bytes is refused")));
        }
        if word(8) as usize != self.handles.len() {
            let text = format!(
                "{} of {} handles arrived; is the limit on open files reached?",
                self.handles.len(),
                word(8)
            );
            return Err(invalid(text));
        }
        Ok(Head { kind: word(4), length })
    }

    fn read_body(&mut self, socket: &OsHandle, head: Head) -> io::Result<usize> {
        let have = self.body.len();
        let missing = usize::try_from(head.length - have as u64).unwrap_or(usize::MAX);
        let piece = missing.min(PIECE);
        if self.body.try_reserve(piece).is_err() {
            let text = format!("no memory for a body of {} bytes", head.length);
            return Err(io::Error::new(io::ErrorKind::OutOfMemory, text));
        }
        self.body.resize(have + piece, 0);
        let mut unexpected = Vec::new();
        let received = sys::receive_part(socket, &mut self.body[have..], &mut unexpected);
        self.body.truncate(have + received.as_ref().map_or(0, |count| *count));
        if !unexpected.is_empty() {
            return Err(invalid("handles arrived in the middle of a body".into()));
        }
        received
    }
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(all(test, target_os = "linux"))]
#[path = "frame_tests.rs"]
mod tests;
