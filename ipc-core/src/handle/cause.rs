//! The reasons of the owners of handles, which formats discard.

use std::cell::{Cell, RefCell};
use std::fmt;

thread_local! {
    /// The reason of a handle's owner why the last message of this thread could not be encoded or
    /// decoded.
    static CAUSE: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Whether there is such a reason. Checked for each message.
    static CAUSED: Cell<bool> = const { Cell::new(false) };
}

/// Begins a new message, and forgets the reason of the last one.
#[inline]
pub(super) fn forget() {
    if CAUSED.replace(false) {
        CAUSE.set(None);
    }
}

/// Sets the recorded reason aside, and puts it back when the returned value is dropped.
pub(super) fn set_aside() -> SetAside {
    SetAside { cause: CAUSE.take(), caused: CAUSED.get() }
}

/// The reason that was recorded before [`set_aside`].
pub(super) struct SetAside {
    cause: Option<String>,
    caused: bool,
}

impl Drop for SetAside {
    fn drop(&mut self) {
        CAUSE.set(self.cause.take());
        CAUSED.set(self.caused);
    }
}

/// Records why a handle's owner refuses to be encoded or decoded, and returns that as text.
///
/// Formats discard the text of an error. The code that opened the scope reads the recorded one with
/// [`cause_text`].
pub fn record_cause(cause: impl fmt::Display) -> String {
    let text = cause.to_string();
    CAUSE.set(Some(text.clone()));
    CAUSED.set(true);
    text
}

/// Returns why a message could not be encoded or decoded in the scope that has just ended.
///
/// That is the text of [`record_cause`], or the format's own error if nothing was recorded.
pub fn cause_text(error: impl fmt::Display) -> String {
    CAUSE.take().unwrap_or_else(|| error.to_string())
}
