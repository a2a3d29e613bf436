//! The two ends of every channel in shared memory.
//!
//! The parameter `C` selects how its messages lie there.

use std::fmt;
use std::marker::PhantomData;

use ipc_core::__private::shape;
use ipc_core::error::DisconnectCause;
use ipc_core::route::End;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::channel::attachment::Kind;
use crate::channel::endpoint::Endpoint;
use crate::channel::memory::Slot;
use crate::channel::roles::Role;

/// A marker of how messages of type `T` lie in shared memory, such as [`Typed`](crate::Typed).
#[allow(private_interfaces)] // Sealed: only this crate implements or calls it.
pub trait Codec<T> {
    /// Returns what two programs must agree on.
    #[doc(hidden)]
    fn kind() -> Kind;

    /// Returns the block that a slot names, if its message lies in one.
    #[doc(hidden)]
    fn block_of(slot: Slot<'_>) -> Option<u64>;

    /// Stands in for an end while the shape of the type that contains it is determined.
    #[doc(hidden)]
    fn trace<'de, D: Deserializer<'de>>(what: &'static str, deserializer: D) -> D::Error;
}

/// The sending end of a channel in shared memory.
pub struct Tx<T, C> {
    pub(crate) end: Endpoint,
    _messages: PhantomData<fn(T) -> C>,
}

/// The receiving end of a channel in shared memory.
pub struct Rx<T, C> {
    pub(crate) end: Endpoint,
    _messages: PhantomData<fn(C) -> T>,
}

macro_rules! end {
    ($End:ident, $role:expr, $what:literal) => {
        impl<T, C> $End<T, C> {
            pub(crate) fn new(end: Endpoint) -> Self {
                $End { end, _messages: PhantomData }
            }
        }

        impl<T, C> Clone for $End<T, C> {
            fn clone(&self) -> Self {
                $End::new(self.end.clone())
            }
        }

        impl<T, C> fmt::Debug for $End<T, C> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.end.fmt(f)
            }
        }

        impl<T, C> End for $End<T, C> {
            fn len(&self) -> usize {
                self.end.len()
            }
            fn capacity(&self) -> Option<usize> {
                Some(self.end.capacity())
            }
            fn same_channel(&self, other: &Self) -> bool {
                self.end.same_channel(&other.end)
            }
            fn is_disconnected(&self) -> bool {
                self.end.is_disconnected()
            }
            fn disconnect_cause(&self) -> Option<DisconnectCause> {
                self.end.disconnect_cause()
            }
            fn sender_count(&self) -> Option<usize> {
                Some(self.end.count(Role::Sender))
            }
            fn receiver_count(&self) -> Option<usize> {
                Some(self.end.count(Role::Receiver))
            }
        }

        impl<T, C> Serialize for $End<T, C> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                self.end.serialize(serializer)
            }
        }

        impl<'de, T, C: Codec<T>> Deserialize<'de> for $End<T, C> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if shape::tracing() {
                    return Err(C::trace($what, deserializer));
                }
                Endpoint::deserialize(deserializer, $role, C::kind()).map($End::new)
            }
        }
    };
}

end!(Tx, Role::Sender, "shm::Sender");
end!(Rx, Role::Receiver, "shm::Receiver");
