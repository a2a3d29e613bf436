//! The builder of channels.

use std::io;

use ipc_core::{Receiver, Route, Sender};

use crate::attach::participant_limit;
use crate::channel::attachment::Attachment;
use crate::channel::endpoint::Endpoint;
use crate::channel::ends::{Codec, Rx, Tx};
use crate::channel::roles::Role;
use crate::layout::{Geometry, LINE, MAX_PARTICIPANTS};

/// Creates channels in shared memory.
///
/// A channel is one anonymous segment. The kernel frees it when the last process that uses it
/// detaches or ends, for whatever reason. Its memory is what its slots need, and a page or two.
///
/// Messages above the inline size take memory, address space and room in the file when they are
/// sent, about as much as they have bytes. Later messages reuse what is free again. So a channel
/// reaches limits on any of these by what it carries, not by what it could carry.
///
/// ```
/// let (tx, rx) = ipc_shm::Builder::new(64).max_message(1 << 20).typed::<String>()?;
/// tx.send("hello".to_owned())?;
/// assert_eq!(rx.recv()?, "hello");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Builder {
    capacity: usize,
    inline: usize,
    max_message: Option<usize>,
    participants: usize,
}

/// The default of [`Builder::inline`].
const INLINE: usize = 240;
/// The most bytes of messages that a channel holds by default.
const SPACE: usize = 1 << 34;
const LEAST_MESSAGE: usize = 1 << 20;
const MOST_MESSAGE: usize = 1 << 30;
/// The number of blocks beyond the capacity, for messages that are being written or are lent.
const SPARE_BLOCKS: usize = 16;

impl Builder {
    /// Starts a channel with room for exactly `capacity` messages.
    pub fn new(capacity: usize) -> Builder {
        Builder {
            capacity,
            inline: INLINE,
            max_message: None,
            participants: participant_limit::by_default(),
        }
    }

    /// Sets how large an encoded message may be to lie in the ring itself.
    ///
    /// Larger messages take a block, and about twice the time. The default is 240 bytes. The size
    /// is rounded up to fill cache lines. It does not apply to plain data, whose size is known.
    pub fn inline(mut self, bytes: usize) -> Builder {
        self.inline = bytes;
        self
    }

    /// Sets the size of the largest encoded message, in bytes, which is at least 1.
    ///
    /// A message that is larger, even by a single byte, is
    /// [`Unsendable::TooLarge`](ipc_core::Unsendable::TooLarge), whether it would lie in a slot or
    /// a block. The setting does not apply to plain data, whose size is known.
    ///
    /// The default is 16 GiB divided by a few more than `capacity`, but at least 1 MiB and at most
    /// 1 GiB. It is a limit only, and costs nothing.
    pub fn max_message(mut self, bytes: usize) -> Builder {
        self.max_message = Some(bytes);
        self
    }

    /// Sets how many processes can be attached at once, at most 1023.
    ///
    /// Ends on their way to another process are included. The default is two for each processor of
    /// this machine, and not fewer than 127.
    ///
    /// When all are taken, an end cannot be sent. The errors of `spawn` and `send` then name this
    /// method.
    pub fn participants(mut self, most: usize) -> Builder {
        self.participants = most;
        self
    }

    /// Returns stride, blocks and largest message of a channel whose messages have any length.
    pub(crate) fn any_length(&self) -> (Option<usize>, usize, usize) {
        let stride =
            self.inline.checked_add(16).and_then(|bytes| bytes.checked_next_multiple_of(LINE));
        let blocks = self.capacity.saturating_add(SPARE_BLOCKS);
        let largest =
            self.max_message.unwrap_or_else(|| (SPACE / blocks).clamp(LEAST_MESSAGE, MOST_MESSAGE));
        (stride, blocks, largest)
    }

    /// Returns the same of a channel whose messages all have `size` bytes, `inline` or in blocks.
    pub(crate) fn one_length(&self, size: usize, inline: bool) -> (Option<usize>, usize, usize) {
        let (payload, blocks) = if inline {
            (size, SPARE_BLOCKS)
        } else {
            (8, self.capacity.saturating_add(SPARE_BLOCKS))
        };
        ((payload + 8).checked_next_multiple_of(LINE), blocks, size.max(1))
    }

    /// Creates a channel with slots of `stride` bytes (`None` if that is too large), and `blocks`
    /// places for messages of `largest` bytes.
    pub(crate) fn make<T, C>(
        &self,
        stride: Option<usize>,
        blocks: usize,
        largest: usize,
    ) -> io::Result<(Sender<T, C>, Receiver<T, C>)>
    where
        C: Codec<T> + Route<T, Tx = Tx<T, C>, Rx = Rx<T, C>>,
    {
        let invalid = |what: &str| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("shared-memory channel: {what}"))
        };
        if self.participants > MAX_PARTICIPANTS {
            return Err(invalid("at most 1023 participants"));
        }
        if self.capacity == 0 {
            return Err(invalid("capacity 0 (rendezvous) is there on the thread route only"));
        }
        let Some(stride) = stride else {
            return Err(invalid("messages cannot be so large"));
        };
        let geometry =
            Geometry::new(self.capacity as u64, stride, self.participants, blocks, largest)
                .map_err(invalid)?;
        let attachment = Attachment::create(geometry, C::kind())?;
        let tx = Endpoint::counted(attachment.clone(), Role::Sender);
        let rx = Endpoint::counted(attachment, Role::Receiver);
        Ok((Sender::new(Tx::new(tx)), Receiver::new(Rx::new(rx))))
    }
}
