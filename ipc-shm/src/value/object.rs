//! Objects at an offset of a segment: the common part of everything that is shared by value.

use std::io;
use std::ptr::NonNull;

use ipc_sys::fork::ForkCheck;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::segment::{OpenMode, Segment, SegmentBuilder};

/// The size, alignment and type of an object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) bytes: usize,
    pub(crate) align: usize,
    /// The fingerprint of type and layout; never 0, which means bytes.
    pub(crate) fingerprint: u64,
    /// Whether an object that is opened may have fewer bytes. Then the caller checks its size.
    pub(crate) any_size: bool,
}

/// Where to make an object.
#[derive(Clone, Copy)]
pub(crate) enum ObjectSlot<'a> {
    /// In a segment of its own, without a name.
    Anonymous,
    /// In a given segment, next to the objects there.
    In(&'a Segment),
    /// In a segment of its own, with this name.
    Named(OpenMode, &'a str),
}

/// An object in a segment. It is cloned and sent as the segment is.
#[derive(Clone, Debug)]
pub(crate) struct Object {
    pub(crate) segment: Segment,
    pub(crate) offset: usize,
}

impl Object {
    /// Makes an object, or opens the one that has the name.
    ///
    /// `fill` initializes a new one before another process sees it.
    pub(crate) fn make(
        slot: ObjectSlot<'_>,
        shape: Shape,
        mut fill: impl FnMut(&Object) -> io::Result<()>,
    ) -> io::Result<Object> {
        let terms = SegmentBuilder::new(shape.bytes.max(1)).fingerprint(shape.fingerprint);
        let mut place = |segment: &Segment| {
            let offset = segment.place(shape.bytes, shape.align)?;
            let object = Object { segment: segment.clone(), offset };
            fill(&object)?;
            Ok(object)
        };
        match slot {
            ObjectSlot::Anonymous => place(&terms.anonymous()?),
            ObjectSlot::In(segment) => place(segment),
            ObjectSlot::Named(open_mode, name) => {
                let terms = if shape.any_size { terms.of_any_size() } else { terms };
                let mut fill = |segment: &Segment| place(segment).map(drop);
                Ok(Object { segment: terms.named(open_mode, name, &mut fill)?, offset: 0 })
            }
        }
    }

    /// Opens the object that has this name.
    pub(crate) fn open(name: &str, shape: Shape) -> io::Result<Object> {
        Self::make(ObjectSlot::Named(OpenMode::Open, name), shape, |_| Ok(()))
    }

    /// Returns the object at a place that the caller has chosen. Any bytes may lie there.
    ///
    /// The place is not checked yet: see [`pointer`](Object::pointer).
    pub(crate) fn at(segment: &Segment, offset: usize) -> Object {
        Object { segment: segment.clone(), offset }
    }

    /// Returns where the object lies. Valid as long as this handle lives.
    ///
    /// # Errors
    ///
    /// As [`Segment::at`]. Also an object that arrived in a message is checked here.
    pub(crate) fn pointer(&self, shape: Shape) -> io::Result<Placed<u8>> {
        let at = self.segment.at(self.offset, shape.bytes, shape.align)?;
        Ok(Placed { at, process: self.segment.process() })
    }

    /// Serializes a handle to a type of this fingerprint, together with `more`.
    pub(crate) fn serialize_with<S: Serializer>(
        &self,
        fingerprint: u64,
        more: impl Serialize,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        (fingerprint, self.offset as u64, more, &self.segment).serialize(serializer)
    }

    /// Deserializes a handle to a type of this fingerprint.
    ///
    /// Its offset is not checked yet: see [`pointer`](Object::pointer).
    pub(crate) fn deserialize_with<'de, D: Deserializer<'de>, M: Deserialize<'de>>(
        fingerprint: u64,
        deserializer: D,
    ) -> Result<(Object, M), D::Error> {
        let (of, offset, more, segment) = <(u64, u64, M, Segment)>::deserialize(deserializer)?;
        if of != fingerprint {
            return Err(refuse("shared data: what arrived is a handle of another type"));
        }
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok((Object { segment, offset }, more))
    }
}

/// A pointer into a segment, for the process that has the mapping.
///
/// In a process that was forked from it, other memory may lie there.
pub(crate) struct Placed<T> {
    at: NonNull<T>,
    process: ForkCheck,
}

impl<T> Placed<T> {
    /// Returns whether this process was forked from the one that has the mapping.
    #[inline(always)]
    pub(crate) fn forked(self) -> bool {
        self.process.forked()
    }

    /// Returns the pointer.
    ///
    /// # Panics
    ///
    /// If this process was forked, without exec, from the one that has the mapping.
    #[inline(always)]
    #[track_caller]
    pub(crate) fn get(self) -> NonNull<T> {
        if self.forked() {
            forked();
        }
        self.at
    }

    /// Returns the pointer, for a caller that vouches for what it does there.
    #[inline(always)]
    pub(crate) fn as_ptr(self) -> *mut T {
        self.at.as_ptr()
    }

    /// Returns another place in the same mapping.
    #[inline]
    pub(crate) fn at<U>(self, at: NonNull<U>) -> Placed<U> {
        Placed { at, process: self.process }
    }

    pub(crate) fn cast<U>(self) -> Placed<U> {
        self.at(self.at.cast())
    }
}

impl<T> Clone for Placed<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Placed<T> {}

#[cold]
#[track_caller]
fn forked() -> ! {
    panic!(
        "shared data: this process was forked, without exec, from the one that had it, and has no part in it; \
         open it or receive it here"
    )
}

/// Turns an error into one of the message, and keeps its cause.
pub(crate) fn refuse<E: de::Error>(what: impl std::fmt::Display) -> E {
    E::custom(ipc_core::__private::handle::record_cause(what))
}
