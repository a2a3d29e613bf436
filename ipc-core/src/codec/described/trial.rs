//! What a decoder in a trial finds out about a type.

use std::any::TypeId;
use std::cell::{Cell, RefCell};

use super::super::cause::{Cause, Result};

/// A trial: whether a type, when it is decoded, asks for exactly what was encoded, in the same
/// order.
///
/// A type need not do so, because serde's questions may be hints. But only then the compact form is
/// possible.
///
/// The type's code runs on values of a real message, and is stopped before it has the last one. So
/// no value of the type is made. Values inside it may be made, and are dropped.
#[derive(Default)]
pub(in super::super) struct Trial<'de> {
    /// It asked for something else.
    differs: Cell<bool>,
    /// It was stopped at the end.
    ended: Cell<bool>,
    /// The described values that visitors received: values that are valid for a type of the user's.
    samples: RefCell<Vec<(TypeId, &'de [u8])>>,
}

impl<'de> Trial<'de> {
    /// Returns whether the type asks for what was encoded, if the trial came to the end. `complete`
    /// says that the type has decoded all bytes.
    pub(super) fn verdict(&self, complete: bool) -> Option<bool> {
        let ended = self.ended.get() || complete;
        if self.differs.get() { Some(false) } else { ended.then_some(true) }
    }

    /// Records a described value that a visitor receives.
    pub(super) fn sample(&self, visitor: TypeId, bytes: &'de [u8]) {
        self.samples.borrow_mut().push((visitor, bytes));
    }

    pub(in super::super) fn into_samples(self) -> Vec<(TypeId, &'de [u8])> {
        self.samples.into_inner()
    }

    /// Stops the type's code: it asked for something else.
    pub(super) fn differ<T>(&self) -> Result<T> {
        self.differs.set(true);
        Err(Cause::Known.into())
    }

    /// Stops the type's code if nothing is left to be read.
    pub(super) fn end_of(&self, bytes: &[u8]) -> Result<()> {
        if bytes.is_empty() {
            self.ended.set(true);
            return Err(Cause::Known.into());
        }
        Ok(())
    }
}
