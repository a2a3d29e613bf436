//! The error of ends whose types do not agree.

use std::fmt;

use super::Shape;
use super::text::readable;

/// The types at both ends of a channel or connection that do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch(Box<(String, String)>);

impl Mismatch {
    /// Makes it from this end's type and the other end's description of its type, which may be any
    /// bytes.
    #[must_use]
    pub fn new(here: &Shape, there: &[u8]) -> Mismatch {
        Mismatch(Box::new((here.text().to_owned(), readable(there))))
    }

    /// Returns the type of the end in this process.
    #[must_use]
    pub fn here(&self) -> &str {
        &self.0.0
    }

    /// Returns the type in the other program, as that program describes it. Do not trust it.
    #[must_use]
    pub fn there(&self) -> &str {
        &self.0.1
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (here, there) = &*self.0;
        write!(f, "this end is for messages `{here}`, the other side is for `{there}`")?;
        if here == there {
            f.write_str(
                "; the types differ in a part that is not shown, or the programs in their format",
            )?;
        }
        f.write_str("; use the same type in both programs")
    }
}

impl std::error::Error for Mismatch {}
