//! Stand-ins for values that do not exist without a message, while the shape of a type is traced.

use std::fmt;

use serde::Deserializer;
use serde::de::{Deserialize, Error as _, Visitor};

/// Stands for the end of a channel while its shape is traced: its kind, and the shape of its
/// messages.
pub fn end<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    what: &'static str,
    deserializer: D,
) -> D::Error {
    struct Messages<T>(std::marker::PhantomData<fn() -> T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Messages<T> {
        type Value = ();

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the messages of a channel")
        }

        fn visit_newtype_struct<D: Deserializer<'de>>(
            self,
            deserializer: D,
        ) -> Result<(), D::Error> {
            T::deserialize(deserializer).map(drop)
        }
    }

    let visitor = Messages::<T>(std::marker::PhantomData);
    let _ = deserializer.deserialize_newtype_struct(what, visitor);
    D::Error::custom("there is no channel")
}

/// Stands for a value that has no message type, as [`end`] does.
pub fn other<'de, D: Deserializer<'de>>(what: &'static str, deserializer: D) -> D::Error {
    let _ = deserializer.deserialize_unit_struct(what, serde::de::IgnoredAny);
    D::Error::custom("there is no handle")
}

/// Stands for the end of a channel of plain data, as [`end`] does.
pub fn plain_end<'de, T, D: Deserializer<'de>>(what: &'static str, deserializer: D) -> D::Error {
    struct Plain<T>(std::marker::PhantomData<fn() -> T>);

    impl<'de, T> Deserialize<'de> for Plain<T> {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let visitor = Plain(std::marker::PhantomData);
            deserializer.deserialize_tuple_struct(
                std::any::type_name::<T>(),
                size_of::<T>(),
                visitor,
            )
        }
    }

    impl<'de, T> Visitor<'de> for Plain<T> {
        type Value = Self;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("plain data")
        }

        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, _: A) -> Result<Self, A::Error> {
            Ok(self)
        }
    }

    end::<Plain<T>, D>(what, deserializer)
}
