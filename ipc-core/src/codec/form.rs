//! The form in which the messages of a type are encoded.
//!
//! A type needs the described form if, when it is decoded, it asks for anything else than what was
//! encoded. Two things show that, and neither needs a receiver:
//!
//! 1. A *trial*: a real message is decoded with checks ([`Trial`]). It shows what a type's two
//!    implementations do with fields that only one of them knows, and which values are valid for
//!    the type.
//! 2. A *probe*: the type is decoded from made-up values ([`probe`]). It shows the variants that no
//!    message had yet.
//!
//! The compact form is used only if both allow it. They may not be able to decide, because the type
//! refuses the values, or holds handles, which made-up values have not. Then the message is
//! described, and the next one is examined again, [`MOST_TRIALS`] times. If they decide for the
//! described form, the message is decoded from it at once. If that fails, the type cannot decode
//! what it encodes in any form, and the message is refused.
//!
//! A message in the compact form is checked a last time, at no cost. The serializer notices a field
//! that is skipped, or a sequence of unknown length, and then the type changes its form for good.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, MutexGuard};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::described::{self, Trial};
use super::error::CodecError;
use super::probe::probe;
use crate::handle;
use crate::process_wide::lock;

/// The form in which the messages of one type are encoded.
///
/// Each endpoint that sends has one. The result is also kept for the whole process, so that a type
/// is examined once, and not for each endpoint. Examining it calls its `Deserialize` in the process
/// that sends: on a message that is about to be sent, up to its last value, and on made-up values.
/// The values that this makes are dropped.
pub struct Form(AtomicU8);

/// The states of a [`Form`].
const UNKNOWN: u8 = 0;
const COMPACT: u8 = 1;
const DESCRIBED: u8 = 2;

/// How many messages of a type are examined before it is described for good.
const MOST_TRIALS: u8 = 8;

/// The knowledge about a type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// This many trials have shown nothing.
    Trials(u8),
    Compact,
    Described,
}

static KNOWN: Mutex<BTreeMap<TypeId, Known>> = Mutex::new(BTreeMap::new());

/// Locks the table. Returns `None` in a process that was forked while another thread had it locked:
/// then each endpoint examines its type again.
fn known() -> Option<MutexGuard<'static, BTreeMap<TypeId, Known>>> {
    lock(&KNOWN)
}

impl Default for Form {
    fn default() -> Self {
        Form::new()
    }
}

impl Form {
    /// Makes the form of a type that was not examined yet.
    #[must_use]
    pub const fn new() -> Form {
        Form(AtomicU8::new(UNKNOWN))
    }

    /// Returns whether messages are encoded in the compact form.
    #[inline(always)]
    pub(super) fn is_compact(&self) -> bool {
        self.0.load(Ordering::Relaxed) == COMPACT // Relaxed: it guards no other memory.
    }

    /// Returns whether the type was not examined yet.
    #[inline]
    pub(super) fn is_unknown(&self) -> bool {
        self.0.load(Ordering::Relaxed) == UNKNOWN // Relaxed: as above.
    }

    fn set(&self, known: Known) -> bool {
        let form = match known {
            Known::Trials(_) => UNKNOWN,
            Known::Compact => COMPACT,
            Known::Described => DESCRIBED,
        };
        self.0.store(form, Ordering::Relaxed); // Relaxed: as above.
        form == COMPACT
    }

    /// Decides whether this message may have the compact form.
    ///
    /// # Errors
    ///
    /// The reason why it can have neither form.
    #[inline]
    pub(super) fn find_out<T: Serialize + DeserializeOwned>(
        &self,
        message: &T,
    ) -> Result<bool, CodecError> {
        if self.is_unknown() { self.examine(message) } else { Ok(false) }
    }

    #[cold]
    #[inline(never)]
    fn examine<T: Serialize + DeserializeOwned>(&self, message: &T) -> Result<bool, CodecError> {
        let this = typeid::of::<T>();
        let before = known().and_then(|known| known.get(&this).copied());
        let before = before.unwrap_or(Known::Trials(0));
        let Known::Trials(trials) = before else { return Ok(self.set(before)) };
        let now = match examine(message) {
            Some(true) => Known::Compact,
            Some(false) => {
                read_back(message)?;
                Known::Described
            }
            None if trials + 1 >= MOST_TRIALS => Known::Described,
            None => Known::Trials(trials + 1),
        };
        let Some(mut known) = known() else { return Ok(self.set(now)) };
        let kept = known.entry(this).or_insert(now);
        // Another thread may have learnt meanwhile that a field is skipped.
        if *kept != Known::Described {
            *kept = now;
        }
        Ok(self.set(*kept))
    }

    /// Records that the type needs the described form.
    #[cold]
    #[inline(never)]
    pub(super) fn describe<T>(&self) {
        if let Some(mut known) = known() {
            known.insert(typeid::of::<T>(), Known::Described);
        }
        self.set(Known::Described);
    }
}

/// Returns whether messages of this type can have the compact form, or `None` if this message does
/// not show it.
fn examine<T: Serialize + DeserializeOwned>(message: &T) -> Option<bool> {
    handle::refuse(|| {
        let mut bytes = Vec::new();
        described::encode(message, &mut bytes, usize::MAX, false).ok()?;
        let read = || {
            let trial = Trial::default();
            match trial.run::<T>(&bytes)? {
                true => probe::<T>(&trial.into_samples()),
                false => Some(false),
            }
        };
        // Code that panics here also panics where the message is received, or it does not accept
        // made-up values.
        catch_unwind(AssertUnwindSafe(read)).ok().flatten()
    })
}

/// Decodes a message from the described form, as its receiver will.
fn read_back<T: Serialize + DeserializeOwned>(message: &T) -> Result<(), CodecError> {
    let read = || {
        let mut bytes = Vec::new();
        // The encoding for sending reports why it does not encode.
        described::encode(message, &mut bytes, usize::MAX, true).ok()?;
        described::decode::<T>(&bytes).err()
    };
    let error = handle::refuse(|| catch_unwind(AssertUnwindSafe(read))).ok().flatten();
    error.map_or(Ok(()), |error| {
        Err(CodecError::Refused(
            format!("its type does not read what it has written: {error}").into(),
        ))
    })
}
