//! Frames, sent whole.

use std::io::{self, IoSlice};

use ipc_core::{MAX_HANDLES, OsHandle};
use ipc_sys as sys;

use super::header::{HEADER, HERE, MAX_BODY, SEALED, header};
use super::payload::{Payload, Written, taken_back};

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
