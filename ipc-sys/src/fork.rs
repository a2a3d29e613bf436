//! The check whether this process was forked from the one that made an object.
//!
//! An object that belongs to one process keeps a [`ForkCheck`] from when it was made, and calls
//! [`forked`](ForkCheck::forked) before each operation. That is one load, with no system call, so
//! it is cheap enough for each message.
//!
//! | item | what it promises | on Linux |
//! |---|---|---|
//! | [`ForkCheck::new`] | identifies this process | a page with `MADV_WIPEONFORK` |
//! | [`ForkCheck::forked`] | whether this process descends by `fork` from the identified one | a load |

pub use crate::os::fork::ForkCheck;

const _: fn() -> ForkCheck = ForkCheck::new;
const _: fn(ForkCheck) -> bool = ForkCheck::forked;
