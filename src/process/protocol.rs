//! The messages between parent and child, in this order.
//!
//! ```text
//! child ── HELLO ──▶ parent            the child has called `init`
//! child ◀── CALL, ARGUMENTS ── parent  the function, and its arguments with their handles
//! child ── READY ──▶ parent            decoded: `spawn` returns; or REFUSED and the reason
//! child ── RETURNED | PANICKED | UNSENDABLE ──▶ parent     the end
//! ```
//!
//! # If one of them dies
//!
//! The parent polls the child's pidfd whenever it waits. So a dead child is an error of `spawn`, or
//! a result of `join`. A child whose parent dies before READY exits with [`EXIT_ORPHANED`]. Later,
//! the child runs to the end of its function, and its result is lost.

use ipc_pipes::__private::frame::MAX_BODY;

pub(super) const HELLO: u32 = 1;
/// The body is a [`Call`](super::call::Call).
pub(super) const CALL: u32 = 2;
/// The body is the encoded `A`.
pub(super) const ARGUMENTS: u32 = 3;
pub(super) const READY: u32 = 4;
/// The body is a [`Refusal`](super::causes::Refusal).
pub(super) const REFUSED: u32 = 5;
/// The body is the encoded `R`.
pub(super) const RETURNED: u32 = 6;
/// The body is the panic's message.
pub(super) const PANICKED: u32 = 7;
/// The body is a [`NotSent`](super::causes::NotSent): why the result could not be sent.
pub(super) const UNSENDABLE: u32 = 8;

/// The most bytes of arguments or a result, encoded.
pub(super) const MAX_MESSAGE: usize =
    if MAX_BODY > isize::MAX as u64 { isize::MAX as usize } else { MAX_BODY as usize };

/// The variable that marks a child. Its value is [`ipc_sys::spawn::marker`] of the socket, and a
/// [`Start`].
pub(super) const VARIABLE: &str = "MULTIPROCESS_CHILD";

/// Where a child turns into its function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// In `init`, which its `main` calls.
    InMain,
    /// Before its `main`.
    BeforeMain,
}

impl Start {
    /// Returns the value of the variable for a child.
    pub(super) fn variable(self, marker: &str) -> String {
        let start = match self {
            Start::InMain => "main",
            Start::BeforeMain => "before-main",
        };
        format!("{marker} {start}")
    }

    /// Splits the value of the variable into the marker and this.
    pub(super) fn of_variable(value: &str) -> Option<(&str, Self)> {
        match value.rsplit_once(' ')? {
            (marker, "main") => Some((marker, Start::InMain)),
            (marker, "before-main") => Some((marker, Start::BeforeMain)),
            _ => None,
        }
    }
}

/// The exit status of a child that panicked: what a panic in `main` gives.
pub(super) const EXIT_PANICKED: i32 = 101;
/// The exit status of a child that could not start its function, or not send its result.
pub(super) const EXIT_REFUSED: i32 = 112;
/// The exit status of a child whose parent died before the function could start.
pub(super) const EXIT_ORPHANED: i32 = 113;
