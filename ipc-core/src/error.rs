//! The errors of a channel.
//!
//! Their names and shapes are those of crossbeam-channel, and the errors of sending return the
//! message. Between processes, each side has one error more: [`Unsendable`] and [`Unreadable`].
//!
//! The errors of the calls are not `#[non_exhaustive]`: programs match them exhaustively, as they
//! match those of crossbeam-channel, and no further variants will come. The reasons inside them can
//! get further variants: [`Unsendable`], [`Unreadable`], [`DisconnectCause`], [`SizeLimit`],
//! [`NotCarried`] and [`CodecError`].

mod cause;
mod recv;
mod send;

pub use crate::codec::CodecError;
pub use crate::handle::NotCarried;
pub use crate::shape::Mismatch;
pub use cause::{DisconnectCause, SizeLimit, Unreadable, Unsendable};
pub use recv::{RecvError, RecvTimeoutError, TryRecvError};
pub use send::{SendError, SendManyError, SendTimeoutError, TrySendError};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send_failure::SendFailure;

    #[test]
    fn results_stay_small() {
        assert_eq!(size_of::<Result<u64, RecvTimeoutError>>(), 24);
        assert_eq!(size_of::<Result<(), SendFailure>>(), 32);
        assert_eq!(size_of::<Option<Result<(), SendFailure>>>(), 32);
    }
}
