//! The errors of messages, as far as `ipc-channel` reports them.

use ipc_core::CodecError;

/// The text for a type that `ipc-channel` cannot encode.
pub(super) const NOT_POSTCARD: &str =
    "`ipc-channel` encodes in the postcard format, which cannot hold the type";

/// Returns the reason why a message does not encode or decode, as far as `ipc-channel` reports it.
pub(super) fn codec_error(error: &(dyn std::error::Error + 'static)) -> CodecError {
    let cause = error.source().and_then(|source| source.downcast_ref::<postcard::Error>());
    match cause {
        Some(postcard::Error::DeserializeUnexpectedEnd) => CodecError::Truncated,
        Some(postcard::Error::SerdeDeCustom | postcard::Error::SerdeSerCustom) => {
            CodecError::Refused(
                "its type refused, with a text that `ipc-channel` does not keep".into(),
            )
        }
        Some(postcard::Error::WontImplement) => CodecError::Refused(NOT_POSTCARD.into()),
        _ => CodecError::Invalid,
    }
}
