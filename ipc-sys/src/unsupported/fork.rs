//! Forks on a system without an implementation: there are none.

#![allow(missing_docs, reason = "the contract has the documentation")]

#[derive(Clone, Copy, Debug)]
pub struct ForkCheck;

#[allow(clippy::new_without_default, reason = "it is this process, not a value to start from")]
impl ForkCheck {
    pub fn new() -> Self {
        ForkCheck
    }

    #[inline]
    pub fn forked(self) -> bool {
        false
    }
}
