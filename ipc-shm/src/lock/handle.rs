//! The public locks as handles: how they are made, opened, found and sent.

use std::io;

use super::location::{LockKind, LockLocation};
use crate::value::object::ObjectSlot;

/// A public lock, as the handle of a location in a segment.
pub(crate) trait Handle: Sized {
    /// Returns what makes up this kind of lock.
    fn kind() -> LockKind;

    /// Returns the handle of a lock that was made or found there.
    fn of(location: LockLocation) -> io::Result<Self>;

    /// Makes a lock for so many items, or opens the one that has the name.
    ///
    /// `fill` writes the initial contents of a new lock's words, where they are not 0.
    fn make_filled(
        slot: ObjectSlot<'_>,
        len: usize,
        fill: impl Fn(&LockLocation) -> io::Result<()>,
    ) -> io::Result<Self> {
        Self::of(LockLocation::make(slot, Self::kind(), len, fill)?)
    }
}

/// The methods and traits that every lock has as a [`Handle`].
macro_rules! handle {
    ([$($generics:tt)*] $Lock:ty) => {
        impl<$($generics)*> $Lock {
            /// Opens the object with this name.
            ///
            /// # Errors
            ///
            /// As [`Segment::open`], and `InvalidData` if the object is of another kind or type.
            pub fn open(name: &str) -> io::Result<Self> {
                Self::of(LockLocation::open(name, Self::kind())?)
            }

            /// Returns the object that was made in a segment at this [offset](Self::offset).
            ///
            /// # Errors
            ///
            /// `InvalidInput` if no object can lie there, `InvalidData` if the object there is of
            /// another kind or type.
            pub fn at(segment: &Segment, offset: usize) -> io::Result<Self> {
                Self::of(LockLocation::at(segment, offset, Self::kind())?)
            }

            /// Returns the offset of the object in its segment.
            #[must_use]
            pub fn offset(&self) -> usize {
                self.location.offset()
            }

            /// Returns the segment of the object.
            #[must_use]
            pub fn segment(&self) -> &Segment {
                self.location.segment()
            }
        }

        handle!(@sent [$($generics)*] $Lock);
    };
    (@sent [$($generics:tt)*] $Lock:ty) => {
        impl<$($generics)*> serde::Serialize for $Lock {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.location.serialize(serializer)
            }
        }

        impl<'de, $($generics)*> serde::Deserialize<'de> for $Lock {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let location = LockLocation::deserialize(deserializer, Self::kind())?;
                Self::of(location).map_err(serde::de::Error::custom)
            }
        }
    };
}

/// The constructors by name, which are the same for all locks.
///
/// The macro takes the arguments of `new`, and how to pass them on.
macro_rules! create_by_name {
    ($($arg:ident: $Arg:ty)? $(=> $pass:expr)?) => {
        /// Makes the object as [`new`](Self::new), in a segment of its own with this name.
        ///
        /// The name is removed with the last handle.
        ///
        /// # Errors
        ///
        /// As [`new`](Self::new) and [`Segment::create`].
        pub fn create(name: &str $(, $arg: $Arg)?) -> io::Result<Self> {
            Self::make(ObjectSlot::Named(OpenMode::Create, name) $(, $pass)?)
        }

        /// Opens the object with this name, or makes it as [`create`](Self::create) if there is
        /// none.
        ///
        /// If several processes call this at once, one of them makes the object.
        ///
        /// # Errors
        ///
        /// As [`create`](Self::create) and [`open`](Self::open), except for `AlreadyExists` and
        /// `NotFound`.
        pub fn open_or_create(name: &str $(, $arg: $Arg)?) -> io::Result<Self> {
            Self::make(ObjectSlot::Named(OpenMode::OpenOrCreate, name) $(, $pass)?)
        }
    };
}

/// How to make a lock over a value or a slice, and how to copy what it holds.
///
/// The macro takes the type, what to call it, and the method that `get` waits as.
macro_rules! over_values {
    ($Lock:ident, $noun:literal, $wait:literal, $size:literal) => {
        impl<T: Checked + Send + Sync> $Lock<T> {
            #[doc = concat!("Makes a ", $noun, " in an anonymous segment of its own.")]
            ///
            /// To put many into one segment, use [`new_in`](Self::new_in).
            ///
            /// # Errors
            ///
            /// As [`Segment::anonymous`].
            pub fn new(value: T) -> io::Result<$Lock<T>> {
                Self::make(ObjectSlot::Anonymous, &value)
            }

            #[doc = concat!("Makes a ", $noun, " in a segment, next to the objects there.")]
            ///
            #[doc = $size]
            ///
            /// # Errors
            ///
            /// `StorageFull` if the segment has no room, `Unsupported` if another program made the
            /// segment.
            pub fn new_in(segment: &Segment, value: T) -> io::Result<$Lock<T>> {
                Self::make(ObjectSlot::In(segment), &value)
            }

            create_by_name!(value: T => &value);

            #[doc = concat!("Returns a copy of the value. Waits as [`", $wait, "`](Self::", $wait, ").")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", $wait, "`](Self::", $wait, "), but without a guard: the lock is not held then.")]
            pub fn get(&self) -> LockResult<T, ()> {
                self.copied()
            }
        }

        impl<T: Checked + Send + Sync> $Lock<[T]> {
            #[doc = concat!("Makes a ", $noun, " over a slice, in an anonymous segment of its own.")]
            ///
            /// # Errors
            ///
            /// As [`Segment::anonymous`].
            pub fn from_slice(values: &[T]) -> io::Result<$Lock<[T]>> {
                Self::make(ObjectSlot::Anonymous, values)
            }

            #[doc = concat!("Makes a ", $noun, " over a slice, in a segment.")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", stringify!($Lock), "::new_in`].")]
            pub fn from_slice_in(segment: &Segment, values: &[T]) -> io::Result<$Lock<[T]>> {
                Self::make(ObjectSlot::In(segment), values)
            }

            #[doc = concat!("Makes a ", $noun, " over a slice, in a segment of its own with this name.")]
            ///
            /// # Errors
            ///
            /// As [`Segment::create`].
            pub fn create_from_slice(name: &str, values: &[T]) -> io::Result<$Lock<[T]>> {
                Self::make(ObjectSlot::Named(OpenMode::Create, name), values)
            }

            #[doc = concat!("Returns a copy of the values. Waits as [`", $wait, "`](Self::", $wait, ").")]
            ///
            /// # Errors
            ///
            #[doc = concat!("As [`", $wait, "`](Self::", $wait, "), but without a guard: the lock is not held then.")]
            pub fn to_vec(&self) -> LockResult<Vec<T>, ()> {
                self.copied().map(Vec::from)
            }
        }
    };
}
pub(crate) use {create_by_name, handle, over_values};
