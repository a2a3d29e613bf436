//! The run of a function in a child: its arguments, its result, and its end.

use std::any::Any;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;

use ipc_core::__private::codec;
use ipc_core::{CodecError, SizeLimit};
use ipc_pipes::__private::frame::Payload;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::causes::{NotSent, Refusal};
use super::link::{Gone, Link, encoded};
use super::protocol;

/// Decodes the arguments, runs `f`, sends its result and exits. Returns only if `f` cannot start,
/// with the reason.
pub(super) fn execute<A, R>(f: fn(A) -> R, link: &mut Link) -> Refusal
where
    A: DeserializeOwned,
    R: Serialize,
{
    let frame = match link.expect(protocol::ARGUMENTS) {
        Err(Gone) => exit(protocol::EXIT_ORPHANED),
        Ok(Err(why)) => return Refusal::Other(why),
        Ok(Ok(frame)) => frame,
    };
    let decode = || codec::decode_carrying::<A>(&frame.body, frame.handles);
    let args = match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(args)) => args,
        Ok(Err(error)) => return Refusal::Arguments(error.into()),
        Err(payload) => {
            let text = format!("decoding the arguments panicked: {}", message(payload));
            return Refusal::Other(text);
        }
    };
    drop(frame.body);
    if link.send(protocol::READY, &[]).is_err() {
        exit(protocol::EXIT_ORPHANED);
    }

    let result = match catch_unwind(AssertUnwindSafe(|| f(args))) {
        Ok(result) => result,
        Err(payload) => {
            finish(protocol::EXIT_PANICKED, || {
                link.send(protocol::PANICKED, message(payload).as_bytes())
            });
        }
    };
    let mut payload = Payload::new();
    let encode =
        || codec::encode_into(&result, &mut payload, protocol::MAX_MESSAGE, SizeLimit::Spawn);
    let encoded_result = match catch_unwind(AssertUnwindSafe(encode)) {
        Ok(encoded) => encoded.map_err(NotSent::from),
        Err(payload) => Err(NotSent::Encode(CodecError::Refused(message(payload).into()).into())),
    };
    // Releases what the result owned in order, instead of by death.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(result)));
    match encoded_result {
        Ok(handles) => finish(0, || link.send_payload(protocol::RETURNED, payload, handles)),
        Err(cause) => {
            drop(payload);
            finish(protocol::EXIT_PANICKED, || link.send(protocol::UNSENDABLE, &encoded(&cause)))
        }
    }
}

/// Sends the last frame and exits. A parent that is gone or has closed its end gets nothing.
fn finish(status: i32, send: impl FnOnce() -> Result<(), Gone>) -> ! {
    // Flushed first: a parent that has the result can read the output as well.
    let _ = io::stdout().flush();
    let _ = send();
    exit(status)
}

/// Returns the message of a panic.
fn message(payload: Box<dyn Any + Send>) -> String {
    let text = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "(a panic without a message)".to_owned(),
    };
    // Dropping a payload may panic in turn, and the process is about to end.
    std::mem::forget(payload);
    text
}
