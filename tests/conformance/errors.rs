//! The answers that are not messages: their words, their questions, their conversions.

use std::error::Error;

use ipc_core::CodecError;
use ipc_core::NotCarried;
use multiprocess::{
    DisconnectCause, RecvError, RecvTimeoutError, SendError, SendManyError, SendTimeoutError,
    SizeLimit, TryRecvError, TrySendError, Unreadable, Unsendable,
};

const LARGE: Unsendable =
    Unsendable::TooLarge { size: 12, limit: 9, set_by: SizeLimit::MaxMessage };
const DECODE: Unreadable = Unreadable::Decode(CodecError::Invalid);

/// Has no `Debug`, and need not.
#[derive(PartialEq)]
struct Mute(u8);

#[test]
fn the_texts_describe_what_happened() {
    let large = LARGE.to_string();
    assert!(
        large.contains("12 bytes") && large.contains("9 bytes") && large.contains("max_message"),
        "{large}"
    );
    let said: [(&dyn Error, &str); 12] = [
        (&SendError::Disconnected(1), "sending on a disconnected channel"),
        (&SendError::Unsendable(1, LARGE), &large),
        (&TrySendError::Full(1), "sending on a full channel"),
        (&TrySendError::Disconnected(1), "sending on a disconnected channel"),
        (&TrySendError::Unsendable(1, LARGE), &large),
        (&SendTimeoutError::Timeout(1), "timed out waiting on send operation"),
        (&SendTimeoutError::Disconnected(1), "sending on a disconnected channel"),
        (&RecvError::Disconnected, "receiving on an empty and disconnected channel"),
        (&TryRecvError::Empty, "receiving on an empty channel"),
        (&TryRecvError::Disconnected, "receiving on an empty and disconnected channel"),
        (&RecvTimeoutError::Timeout, "timed out waiting on receive operation"),
        (&RecvTimeoutError::Disconnected, "channel is empty and disconnected"),
    ];
    for (error, text) in said {
        assert_eq!(error.to_string(), text);
    }
    for error in [
        RecvError::Unreadable(DECODE).to_string(),
        TryRecvError::Unreadable(DECODE).to_string(),
        RecvTimeoutError::Unreadable(DECODE).to_string(),
    ] {
        assert_eq!(error, "the message does not decode: a value has no meaning in its type");
    }
}

#[test]
fn every_cause_has_words_of_its_own() {
    let mut texts = vec![
        Unsendable::Encode(CodecError::TooDeep).to_string(),
        Unsendable::Encode(CodecError::Refused("own".into())).to_string(),
        LARGE.to_string(),
        Unsendable::Handles(NotCarried::BytesOnly).to_string(),
        Unsendable::Handles(NotCarried::TooMany).to_string(),
        Unsendable::OutOfMemory.to_string(),
        Unsendable::Forked.to_string(),
        Unsendable::Corrupt("x").to_string(),
        Unreadable::Decode(CodecError::Truncated).to_string(),
        Unreadable::Decode(CodecError::Trailing).to_string(),
        Unreadable::Decode(CodecError::Invalid).to_string(),
        DisconnectCause::Dropped.to_string(),
        DisconnectCause::Died.to_string(),
    ];
    for text in &texts {
        assert!(
            !text.is_empty() && !text.ends_with('.') && !text.starts_with(char::is_uppercase),
            "{text}"
        );
    }
    let all = texts.len();
    texts.sort();
    texts.dedup();
    assert_eq!(texts.len(), all);
}

#[test]
fn they_show_no_message() {
    assert_eq!(format!("{:?}", SendError::Disconnected(Mute(1))), "Disconnected(..)");
    assert_eq!(format!("{:?}", TrySendError::Full(Mute(1))), "Full(..)");
    assert_eq!(format!("{:?}", TrySendError::Disconnected(Mute(1))), "Disconnected(..)");
    assert_eq!(format!("{:?}", SendTimeoutError::Timeout(Mute(1))), "Timeout(..)");
    assert_eq!(format!("{:?}", SendTimeoutError::Disconnected(Mute(1))), "Disconnected(..)");
    assert_eq!(
        format!("{:?}", SendError::Unsendable(Mute(1), Unsendable::Forked)),
        "Unsendable(.., Forked)"
    );
    assert_eq!(format!("{:?}", RecvTimeoutError::Timeout), "Timeout");
    let many = SendManyError { sent: 3, unsent: vec![Mute(1), Mute(2)], unsendable: None };
    assert_eq!(format!("{many:?}"), "SendManyError { sent: 3, unsent: 2, unsendable: None }");
    assert_eq!(many.to_string(), "sending on a disconnected channel, after 3 messages");
}

#[test]
fn they_give_the_message_back() {
    assert!(SendError::Disconnected(Mute(1)).into_inner() == Mute(1));
    assert!(SendError::Unsendable(Mute(2), LARGE).into_inner() == Mute(2));
    assert!(TrySendError::Full(Mute(3)).into_inner() == Mute(3));
    assert!(TrySendError::Disconnected(Mute(4)).into_inner() == Mute(4));
    assert!(TrySendError::Unsendable(Mute(5), LARGE).into_inner() == Mute(5));
    assert!(SendTimeoutError::Timeout(Mute(6)).into_inner() == Mute(6));
    assert!(SendTimeoutError::Disconnected(Mute(7)).into_inner() == Mute(7));
    assert!(SendTimeoutError::Unsendable(Mute(8), LARGE).into_inner() == Mute(8));
    let many = SendManyError { sent: 1, unsent: vec![Mute(1), Mute(2)], unsendable: Some(LARGE) };
    assert!(!many.is_disconnected());
    assert!(many.into_inner() == [Mute(1), Mute(2)]);
}

#[test]
fn they_answer_what_they_are_asked() {
    let asked = |e: &SendError<u8>| (e.is_disconnected(), e.is_unsendable());
    assert_eq!(asked(&SendError::Disconnected(1)), (true, false));
    assert_eq!(asked(&SendError::Unsendable(1, LARGE)), (false, true));
    let asked = |e: &TrySendError<u8>| (e.is_full(), e.is_disconnected(), e.is_unsendable());
    assert_eq!(asked(&TrySendError::Full(1)), (true, false, false));
    assert_eq!(asked(&TrySendError::Disconnected(1)), (false, true, false));
    assert_eq!(asked(&TrySendError::Unsendable(1, LARGE)), (false, false, true));
    let asked = |e: &SendTimeoutError<u8>| (e.is_timeout(), e.is_disconnected(), e.is_unsendable());
    assert_eq!(asked(&SendTimeoutError::Timeout(1)), (true, false, false));
    assert_eq!(asked(&SendTimeoutError::Disconnected(1)), (false, true, false));
    assert_eq!(asked(&SendTimeoutError::Unsendable(1, LARGE)), (false, false, true));
    let asked = |e: RecvError| (e.is_disconnected(), e.is_unreadable());
    assert_eq!(asked(RecvError::Disconnected), (true, false));
    assert_eq!(asked(RecvError::Unreadable(DECODE)), (false, true));
    let asked = |e: TryRecvError| (e.is_empty(), e.is_disconnected(), e.is_unreadable());
    assert_eq!(asked(TryRecvError::Empty), (true, false, false));
    assert_eq!(asked(TryRecvError::Disconnected), (false, true, false));
    assert_eq!(asked(TryRecvError::Unreadable(DECODE)), (false, false, true));
    let asked = |e: RecvTimeoutError| (e.is_timeout(), e.is_disconnected(), e.is_unreadable());
    assert_eq!(asked(RecvTimeoutError::Timeout), (true, false, false));
    assert_eq!(asked(RecvTimeoutError::Disconnected), (false, true, false));
    assert_eq!(asked(RecvTimeoutError::Unreadable(DECODE)), (false, false, true));
}

#[test]
fn the_plain_ones_turn_into_the_others() {
    assert_eq!(TrySendError::from(SendError::Disconnected(1)), TrySendError::Disconnected(1));
    assert_eq!(
        TrySendError::from(SendError::Unsendable(1, LARGE)),
        TrySendError::Unsendable(1, LARGE)
    );
    assert_eq!(
        SendTimeoutError::from(SendError::Disconnected(1)),
        SendTimeoutError::Disconnected(1)
    );
    assert_eq!(
        SendTimeoutError::from(SendError::Unsendable(1, LARGE)),
        SendTimeoutError::Unsendable(1, LARGE)
    );
    assert_eq!(TryRecvError::from(RecvError::Disconnected), TryRecvError::Disconnected);
    assert_eq!(TryRecvError::from(RecvError::Unreadable(DECODE)), TryRecvError::Unreadable(DECODE));
    assert_eq!(RecvTimeoutError::from(RecvError::Disconnected), RecvTimeoutError::Disconnected);
    assert_eq!(
        RecvTimeoutError::from(RecvError::Unreadable(DECODE)),
        RecvTimeoutError::Unreadable(DECODE)
    );
    // In a function that uses `?`.
    fn sends() -> Result<(), Box<dyn Error>> {
        Err(SendError::Disconnected("a message that lives for ever"))?
    }
    assert!(sends().unwrap_err().is::<SendError<&str>>());
}
