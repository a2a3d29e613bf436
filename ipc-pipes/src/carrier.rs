//! The carrier of datagrams from one side to the other: a socket or a pipe.

use std::sync::Arc;

use ipc_core::__private::SendFailure;
use ipc_core::__private::handle::{self, NotCarried, OsHandle};
use ipc_core::{Deadline, RecvTimeoutError, Unsendable};
use ipc_sys as sys;
use ipc_sys::Borrowed;
use ipc_sys::descriptor::identity;
use ipc_sys::known::Known;
use ipc_sys::socket::ReceivedDatagram;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use crate::packets::Packets;
use crate::shared_counters::{SharedCounters, Side};
use crate::socket::Socket;
use crate::types::Types;

mod key;

use key::Key;

/// The carriers of this process, by what tells them apart.
static KNOWN: Known<Key, Carrier> = Known::new();

pub(crate) enum Carrier {
    Socket(Socket),
    Pipe(Packets),
}

impl Carrier {
    pub(crate) fn fd(&self) -> Borrowed<'_> {
        match self {
            Carrier::Socket(socket) => socket.fd(),
            Carrier::Pipe(packets) => packets.fd(),
        }
    }

    fn is_pipe(&self) -> bool {
        matches!(self, Carrier::Pipe(_))
    }

    /// Returns whether this process was forked from the one that the carrier belongs to.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        match self {
            Carrier::Socket(socket) => socket.forked(),
            Carrier::Pipe(packets) => packets.forked(),
        }
    }

    /// Sends one datagram with its handles, whole or not at all.
    #[inline]
    pub(crate) fn send(
        &self,
        bytes: &[u8],
        handles: &[OsHandle],
        deadline: Deadline,
    ) -> Result<(), SendFailure> {
        match self {
            Carrier::Socket(socket) => socket.send(bytes, handles, deadline),
            Carrier::Pipe(_) if !handles.is_empty() => {
                Err(SendFailure::Unsendable(Unsendable::Handles(NotCarried::BytesOnly)))
            }
            Carrier::Pipe(packets) => packets.send(bytes, deadline),
        }
    }

    /// Receives one datagram with its handles.
    #[inline]
    pub(crate) fn recv(
        &self,
        into: &mut [u8],
        handles: &mut Vec<OsHandle>,
        deadline: Deadline,
    ) -> Result<ReceivedDatagram, RecvTimeoutError> {
        match self {
            Carrier::Socket(socket) => socket.recv(into, handles, deadline),
            Carrier::Pipe(packets) => {
                let len = packets.recv(into, deadline)?;
                Ok(ReceivedDatagram { len, cut: false, lost: false })
            }
        }
    }

    /// Returns the types of the messages of a connection.
    #[inline]
    pub(crate) fn types(&self) -> Option<&Types> {
        match self {
            Carrier::Socket(socket) => socket.types.as_ref(),
            Carrier::Pipe(_) => None,
        }
    }

    /// Returns whether the sending side has no room now.
    pub(crate) fn is_full(&self) -> bool {
        match self {
            Carrier::Socket(socket) => {
                sys::socket::unsent(socket.fd()) >= sys::socket::room(socket.fd())
            }
            Carrier::Pipe(packets) => !sys::pipe::writable(packets.fd()),
        }
    }

    /// Returns whether it holds nothing that was sent and not received, as this side sees it.
    pub(crate) fn is_empty(&self, side: Side) -> bool {
        match (self, side) {
            (Carrier::Socket(socket), Side::Sender) => sys::socket::unsent(socket.fd()) == 0,
            _ => sys::socket::unread(self.fd()) == 0,
        }
    }
}

/// The files of a carrier, by their indices in a message.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Files {
    Socket(u32),
    Pipe { pipe: u32, store: u32 },
}

/// A context of a message that is being encoded: all its values of one carrier share one set of
/// descriptors.
struct Sent {
    carrier: Arc<Carrier>,
    files: Files,
}

/// The same in a message that is being decoded: the carrier that was made from the descriptors.
struct Made {
    files: Files,
    side: Side,
    carrier: Arc<Carrier>,
}

impl Carrier {
    /// Gives copies of its files to the message that is being encoded, unless it has them already.
    pub(crate) fn serialize<S: Serializer>(
        self: &Arc<Self>,
        counters: Option<&Arc<SharedCounters>>,
        side: Side,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if self.forked() {
            return Err(ser::Error::custom(handle::record_cause(Unsendable::Forked)));
        }
        let sent = |sent: &Sent| Arc::ptr_eq(&sent.carrier, self).then_some(sent.files);
        if let Some(files) = handle::context(sent) {
            return files.serialize(serializer);
        }
        let files = match &**self {
            Carrier::Socket(socket) => socket.attach_copy().map(Files::Socket),
            Carrier::Pipe(packets) => {
                packets.attach_copy().map(|(pipe, store)| Files::Pipe { pipe, store })
            }
        };
        let files = files.map_err(|error| ser::Error::custom(handle::record_cause(error)))?;
        handle::set_context(Sent { carrier: self.clone(), files });
        // It may come back.
        if let Some(key) = self.key(counters, side) {
            KNOWN.lock().insert(key, self);
        }
        files.serialize(serializer)
    }

    /// Returns the carrier of this process with the same files, or else this one, which is known
    /// from now on.
    fn or_known(self, counters: Option<&Arc<SharedCounters>>, side: Side) -> Arc<Carrier> {
        let key = self.key(counters, side);
        let made = Arc::new(self);
        let Some(key) = key else { return made };
        let mut known = KNOWN.lock();
        // Not a carrier whose descriptor the program has closed: its number may be that of another
        // file now.
        let open =
            |carrier: &Arc<Carrier>| identity(carrier.fd()).is_ok_and(|file| file == key.file);
        if let Some(here) = known.get(&key).filter(open) {
            if let (Some(here), Some(made)) = (here.types(), made.types()) {
                here.merge(made);
            }
            return here;
        }
        known.insert(key, &made);
        made
    }

    fn key(&self, counters: Option<&Arc<SharedCounters>>, side: Side) -> Option<Key> {
        match self {
            Carrier::Socket(socket) => Key::of_socket(socket.fd(), counters, socket.types.as_ref()),
            Carrier::Pipe(packets) => Key::of_pipe(packets.fd(), packets.store(), counters?, side),
        }
    }
}

/// The files of a carrier in a message that is being decoded. The carrier is not made yet.
pub(crate) struct ReceivedCarrier(Files);

impl<'de> Deserialize<'de> for ReceivedCarrier {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Files::deserialize(deserializer).map(ReceivedCarrier)
    }
}

impl ReceivedCarrier {
    /// Takes the files out of the message that is being decoded, and makes their carrier. They are
    /// closed if this process has the same files open. `types` are those of a connection.
    pub(crate) fn carrier<E: de::Error>(
        self,
        counters: Option<&Arc<SharedCounters>>,
        side: Side,
        types: Option<Types>,
    ) -> Result<Arc<Carrier>, E> {
        // A socket carries both halves of a connection. A pipe that came for one side does not
        // carry the other.
        let fits = |made: &Made| {
            made.files == self.0
                && (made.side == side || !made.carrier.is_pipe())
                && made.carrier.types().map(Types::key) == types.as_ref().map(Types::key)
        };
        let made = |made: &Made| fits(made).then(|| made.carrier.clone());
        if let Some(carrier) = handle::context(made) {
            return Ok(carrier);
        }
        let refused = |cause: &str| E::custom(handle::record_cause(cause));
        let take = |index| {
            handle::take(index).ok_or_else(|| refused("a file of an end did not come with it"))
        };
        let carrier = match self.0 {
            Files::Socket(index) => {
                let socket = take(index)?;
                if !sys::socket::is_socket(sys::borrow(&socket)) {
                    return Err(refused("the socket of an end is of another kind"));
                }
                Carrier::Socket(match types {
                    Some(types) => Socket::connection(socket, types),
                    None => Socket::new(socket),
                })
            }
            Files::Pipe { pipe, store } => {
                let (pipe, store) = (take(pipe)?, take(store)?);
                let of_kind = sys::pipe::is_pipe(sys::borrow(&pipe), side == Side::Sender);
                match counters {
                    Some(counters) if of_kind && sys::store::is_store(sys::borrow(&store)) => {
                        Carrier::Pipe(Packets::new(pipe, store, counters.clone()))
                    }
                    _ => return Err(refused("the pipe of an end is of another kind")),
                }
            }
        };
        let carrier = carrier.or_known(counters, side);
        handle::set_context(Made { files: self.0, side, carrier: carrier.clone() });
        Ok(carrier)
    }
}
