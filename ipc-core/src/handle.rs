//! The rules by which OS handles travel inside messages.
//!
//! A handle is not data: it cannot be written into a byte stream. So a value that owns a handle
//! gives it to the message that is being encoded. Its `Serialize` implementation calls [`attach`]
//! and writes the index that it returns. The route carries the handles beside the bytes. While the
//! message is decoded, the `Deserialize` implementation calls [`take`] with that index.
//!
//! The code that encodes or decodes a message opens a scope. The innermost scope of the thread
//! applies:
//!
//! | scope | [`attach`] | [`take`] |
//! |---|---|---|
//! | [`collect`]: the route carries handles | the next index | refused |
//! | [`provide`]: the receiving half | refused | the handle, once |
//! | [`refuse`]: the route carries bytes only | refused | refused |
//! | none | refused | refused |
//!
//! A handle that was not taken is closed when its scope ends, so a message that fails to decode
//! leaks nothing.
//!
//! Several values of one message may share a handle. The first one leaves a context in the scope
//! ([`set_context`]), and the others read it ([`context`]). Both the sender and the receiver do so.
//!
//! [`Handle`] owns any file, socket or pipe as a value of a serde type, like an owned handle in a
//! program.

mod cause;
mod not_carried;
mod os;
mod scope;
mod wire;

pub use cause::{cause_text, record_cause};
pub use not_carried::NotCarried;
pub use os::{MAX_HANDLES, OsHandle};
pub(crate) use scope::aside;
pub use scope::{
    attach, attach_copy, carried, collect, context, decline, in_scope, not_collected, provide,
    refuse, refused, set_context, take,
};
pub use wire::Handle;

#[cfg(all(test, unix))]
mod tests;
