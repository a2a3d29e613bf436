//! Objects that stay in a segment: values, slices, and values under a sequence lock.

#[cfg(not(loom))]
pub(crate) mod checked;
#[cfg(not(loom))]
pub(crate) mod object;
pub(crate) mod seq;
#[cfg(not(loom))]
pub(crate) mod seqlock;
#[cfg(not(loom))]
pub(crate) mod shared;
#[cfg(not(loom))]
pub(crate) mod shared_slice;
#[cfg(not(loom))]
pub(crate) mod word;
