//! Frames, assembled from the parts that have arrived.

use std::cmp::Ordering;
use std::fmt;
use std::io;
use std::ops::Deref;

use ipc_core::{OsHandle, Unreadable};
use ipc_sys as sys;
use ipc_sys::store::SealedMapping;

use super::header::{HEADER, Head, SEALED, malformed, unreadable};

/// How much is read at once, and by how much the memory for a body may exceed what has arrived.
pub(super) const PIECE: usize = 256 * 1024;

/// How many pieces one [`FrameReader::advance`] reads at most, so that its caller can check the
/// time.
pub(super) const PIECES: usize = 8;

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
pub struct Body(pub(super) Received);

pub(super) enum Received {
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

/// Assembles frames from the parts that have arrived.
#[derive(Debug)]
pub struct FrameReader {
    header: [u8; HEADER],
    /// Bytes of `header` that have come: `0..=HEADER`.
    filled: usize,
    head: Option<Head>,
    pub(super) body: Vec<u8>,
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
        if self.filled == 0 && needs_a_descriptor_more(socket) {
            if let Some(progress) = advance_with_own_table(socket) {
                return progress;
            }
        }
        self.read(socket)
    }

    fn read(&mut self, socket: &OsHandle) -> io::Result<Progress> {
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
            let head = Head::read(&self.header)?;
            self.head = match head.handles.cmp(&self.handles.len()) {
                Ordering::Equal => Some(head),
                Ordering::Greater => return Err(unreadable(Unreadable::HandlesLost)),
                Ordering::Less => return Err(malformed("more handles came than its header says")),
            };
        }
        Ok(count)
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

/// Returns whether the next frame is a memory file and nothing else, and this process is at its
/// limit of open files.
fn needs_a_descriptor_more(socket: &OsHandle) -> bool {
    let mut header = [0; HEADER];
    // The file stays in the socket, with its frame.
    if sys::socket::peek(socket, &mut header).ok() != Some(HEADER) {
        return false;
    }
    let file_only = |head: Head| head.place == SEALED && head.handles == 1;
    Head::read(&header).is_ok_and(file_only) && socket.try_clone().is_err()
}

/// Receives such a frame in a thread that has a table of descriptors of its own, because a file
/// that finds no room in the table is lost. Only the mapping of the file leaves the thread.
///
/// Returns `None` if there can be no such thread: then nothing was received.
#[cold]
fn advance_with_own_table(socket: &OsHandle) -> Option<io::Result<Progress>> {
    let number = sys::descriptor::number(socket);
    let work = move || {
        // SAFETY: the caller keeps the socket open until this thread has ended. The thread uses
        // that descriptor and the one that comes with the frame, and no other.
        #[allow(unsafe_code)]
        let socket = unsafe { sys::descriptor::own_table(number) }.ok()?;
        Some(FrameReader::new().read(&socket))
    };
    std::thread::scope(|scope| {
        // No signal handler of the program runs in a thread that has none of its descriptors.
        let builder = std::thread::Builder::new();
        let thread = sys::process::without_signals(|| builder.spawn_scoped(scope, work)).ok()?;
        thread.join().ok()?
    })
}
