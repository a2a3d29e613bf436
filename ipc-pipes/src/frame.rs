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
//! such file, or may send no further handle, the body goes through the socket. A process that is at
//! its limit of open files receives such a body all the same, in a thread with a table of
//! descriptors of its own, unless further handles come with it.
//!
//! # If the peer dies or lies
//!
//! An incomplete frame is never returned. Memory for a body grows with the bytes that have arrived,
//! not with the length in the header. A memory file is read only if it is sealed, so that no
//! process can change or shorten it, and if it is as long as the header says. Handles that do not
//! match the header are closed.

mod header;
mod payload;
mod reader;
mod send;

pub use self::header::MAX_BODY;
pub use self::payload::Payload;
pub use self::reader::{Body, Frame, FrameReader, Progress};
pub use self::send::{send_frame, send_payload};

#[cfg(all(test, target_os = "linux"))]
mod tests;
