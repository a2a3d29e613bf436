//! What both forms have in common: their version, their limits, and the byte that tells them apart.

/// The format of messages and its version, of both forms: ends that write another one are refused.
pub const FORMAT: &str = "compact 2, described 2";

/// How deep values may be nested, in both directions: structs, tuples, sequences, maps and variants
/// of enums in one another, as in serde_json. An option or a newtype around one of them is not a
/// level of its own.
pub const MAX_DEPTH: usize = 128;

/// How many values that take no bytes, such as `()`, a sequence may have. A hostile length would
/// keep the receiver counting for years.
pub(super) const MOST_EMPTY: usize = 1 << 20;

/// The last byte of a message in the compact form.
pub(super) const COMPACT: u8 = 0;
/// The last byte of a message in the described form.
pub(super) const DESCRIBED: u8 = 1;
