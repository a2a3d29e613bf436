//! The check whether both ends of a channel or connection are for the same messages.
//!
//! An end that travels carries its type, which is checked where it arrives. If a connection was
//! made by a name, neither side knows what the other expects. So the first message of an end is
//! preceded by its type. The receiving end compares that type with its own. If they differ, it
//! refuses everything that arrives from then on.
//!
//! | bytes before the message | |
//! |---|---|
//! | 8 | the fingerprint, little-endian |
//! | 1 | the length of the text |
//! | 0 to 128 | the text: [`Shape::text`] |

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use ipc_core::__private::handle;
use ipc_core::__private::shape::{Mismatch, Shape};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The types of the messages that are sent and received over a connection.
pub(crate) struct Types {
    pub(crate) sent: &'static Shape,
    pub(crate) received: &'static Shape,
    /// The other end does not know what is sent.
    unknown: AtomicBool,
    /// The other end sends something else.
    wrong: OnceLock<Mismatch>,
}

impl Types {
    /// Makes the types of a connection. `known` says whether its other end is known to be for the
    /// same messages.
    pub(crate) fn new(sent: &'static Shape, received: &'static Shape, known: bool) -> Types {
        Types { sent, received, unknown: AtomicBool::new(!known), wrong: OnceLock::new() }
    }

    /// Returns what distinguishes it from others of the same connection.
    pub(crate) fn key(&self) -> (u64, u64) {
        (self.sent.fingerprint(), self.received.fingerprint())
    }

    /// Takes over what `other`, of the same connection, knows.
    pub(crate) fn merge(&self, other: &Types) {
        if other.known() {
            self.set_type_sent();
        }
    }

    pub(crate) fn known(&self) -> bool {
        // Relaxed: if two threads both send a first message, both send the type.
        !self.unknown.load(Ordering::Relaxed)
    }

    /// Records that the first message was sent.
    pub(crate) fn set_type_sent(&self) {
        self.unknown.store(false, Ordering::Relaxed); // Relaxed: as above.
    }

    /// Writes the type of the messages that are sent, before the first message.
    pub(crate) fn write_type(&self, bytes: &mut Vec<u8>) {
        let text = self.sent.text().as_bytes();
        bytes.extend_from_slice(&self.sent.fingerprint().to_le_bytes());
        bytes.push(text.len() as u8);
        bytes.extend_from_slice(text);
    }

    /// Compares the type before a first message, and returns where the message begins, or `None` if
    /// it is cut off.
    pub(crate) fn check_type(&self, body: &[u8]) -> Option<usize> {
        let (fingerprint, rest) = body.split_first_chunk()?;
        let (len, rest) = rest.split_first()?;
        let text = rest.get(..usize::from(*len))?;
        if u64::from_le_bytes(*fingerprint) != self.received.fingerprint() {
            let _ = self.wrong.set(Mismatch::new(self.received, text));
        }
        Some(9 + text.len())
    }

    /// Returns why nothing can be received.
    pub(crate) fn wrong(&self) -> Option<&Mismatch> {
        self.wrong.get()
    }
}

/// A type, as it travels with an end.
pub(crate) struct SentType(pub(crate) &'static Shape);

impl Serialize for SentType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.0.fingerprint(), self.0.text()).serialize(serializer)
    }
}

/// A type that came with an end.
pub(crate) struct ReceivedType {
    fingerprint: u64,
    text: String,
}

impl<'de> Deserialize<'de> for ReceivedType {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (fingerprint, text) = <(u64, String)>::deserialize(deserializer)?;
        Ok(ReceivedType { fingerprint, text })
    }
}

impl ReceivedType {
    /// Checks that it is the type that this process expects.
    pub(crate) fn check<E: de::Error>(&self, shape: &Shape, what: &str) -> Result<(), E> {
        if self.fingerprint == shape.fingerprint() {
            return Ok(());
        }
        let types = Mismatch::new(shape, self.text.as_bytes());
        Err(E::custom(handle::record_cause(format_args!("{what}: {types}"))))
    }
}
