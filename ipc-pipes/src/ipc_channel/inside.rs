//! Whether `ipc-channel` or this crate encodes the message at hand.

use std::cell::Cell;

use ipc_core::__private::handle;

thread_local! {
    /// Whether `ipc-channel` encodes or decodes a message on this thread for an end of this module.
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// Encodes or decodes a message of `ipc-channel`. Returns also whether an end of another route was
/// refused.
pub(super) fn inside<R>(f: impl FnOnce() -> R) -> (R, bool) {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            INSIDE.set(self.0);
        }
    }
    let _restore = Restore(INSIDE.replace(true));
    handle::refuse(|| {
        let result = f();
        (result, handle::refused())
    })
}

/// Returns whether an end that is encoded or decoded now is part of a message of `ipc-channel`.
/// That is a message of this module, or one of the program's own, which opens no scope.
pub(super) fn is_inside() -> bool {
    INSIDE.get() || !handle::in_scope()
}
