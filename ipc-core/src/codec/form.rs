//! Which form the messages of a type are encoded in.
//!
//! A type needs the described form if it asks, when it is read, for anything else than what was
//! written. Two things show that, and neither needs a receiver:
//!
//! 1. A *trial*: a real message is read with care ([`Trial`]). It shows what a type's two
//!    implementations make of fields that only one of them knows, and which values the type takes
//!    for valid.
//! 2. A *probe*: the type is read from made-up values ([`probe`]). It shows the variants that no
//!    message had yet.
//!
//! Only if both say so the compact form is used. If they cannot tell, because the type refuses the
//! values, or holds handles, which there are not, the message is described, and the next one is
//! looked at again, [`MOST_TRIALS`] times. If they say that it needs the described form, the
//! message is read back from it, and refused if that fails: then the type does not read what it
//! writes in any form.
//!
//! What is written in the compact form is checked a last time, at no cost: a field that is skipped,
//! or a sequence whose length is not known, is seen by the serializer, and the type changes its
//! form for good.

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

/// Remembers which form the messages of one type are encoded in.
///
/// Each endpoint that sends has one. What was found out is also kept for the whole process, so that
/// a type is examined once, and not for each endpoint. Examining it calls its `Deserialize` in the
/// process that sends: on a message that is about to be sent, up to its last value, and on made-up
/// values. What that makes is dropped.
pub struct Form(AtomicU8);

/// What a [`Form`] holds.
const UNKNOWN: u8 = 0;
const COMPACT: u8 = 1;
const DESCRIBED: u8 = 2;

/// How many messages of a type are looked at before it is described for good.
const MOST_TRIALS: u8 = 8;

/// What is known of a type.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    /// So many trials have shown nothing.
    Trials(u8),
    Compact,
    Described,
}

static KNOWN: Mutex<BTreeMap<TypeId, Known>> = Mutex::new(BTreeMap::new());

/// `None` in a process that was forked while another thread had it: each endpoint finds out anew.
fn known() -> Option<MutexGuard<'static, BTreeMap<TypeId, Known>>> {
    lock(&KNOWN)
}

impl Default for Form {
    fn default() -> Self {
        Form::new()
    }
}

impl Form {
    /// Of a type of which nothing is known yet.
    #[must_use]
    pub const fn new() -> Form {
        Form(AtomicU8::new(UNKNOWN))
    }

    /// Whether messages are encoded in the compact form.
    #[inline(always)]
    pub(super) fn is_compact(&self) -> bool {
        self.0.load(Ordering::Relaxed) == COMPACT // Relaxed: it guards no other memory.
    }

    /// Whether nothing is known yet.
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

    /// Finds out whether this message may have the compact form.
    ///
    /// # Errors
    ///
    /// Why it can have neither.
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
        // Another thread may have found out more meanwhile: that a field is skipped.
        if *kept != Known::Described {
            *kept = now;
        }
        Ok(self.set(*kept))
    }

    /// The type was seen to need the described form.
    #[cold]
    #[inline(never)]
    pub(super) fn describe<T>(&self) {
        if let Some(mut known) = known() {
            known.insert(typeid::of::<T>(), Known::Described);
        }
        self.set(Known::Described);
    }
}

/// Whether the compact form will do for messages of this type; `None` if they do not show it.
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
        // What panics here panics where the message is received too, or it does not like made-up
        // values.
        catch_unwind(AssertUnwindSafe(read)).ok().flatten()
    })
}

/// Reads a message from the described form, as its receiver will.
fn read_back<T: Serialize + DeserializeOwned>(message: &T) -> Result<(), CodecError> {
    let read = || {
        let mut bytes = Vec::new();
        // Why it does not encode is said when it is encoded to be sent.
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
