//! Barriers: there are none.

pub(crate) fn register() -> bool {
    false
}

pub(crate) fn issue() -> bool {
    false
}
