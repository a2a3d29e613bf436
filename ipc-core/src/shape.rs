//! The shape of a message type, on which two programs must agree before they exchange messages of
//! it.
//!
//! Programs that are built separately have no common name for a type, because the path of a type
//! depends on its crate and module. They must agree on the bytes that travel. For a serde type
//! those depend on its *shape*: which kinds of values its `Deserialize` implementation asks for, in
//! which order. The shape includes serde's names of structs, fields, enums and variants. For plain
//! data it is the size and alignment, and the name of the type without its path.
//!
//! | these agree | these do not |
//! |---|---|
//! | one file that two programs include, at whatever path | a field more or less, or in another place |
//! | another name of a type alias, a generic parameter or a module | another name of a struct, field, enum or variant; `serde(rename)` gives it the old one |
//! | a `Vec` and a `VecDeque`, a `Box<T>` and a `T`: their bytes are the same | integers of different size or sign |
//! | what differs only more than 32 types deep, or behind a place that cannot be traced (below) | messages of the same shape with another [name](name_type) |
//!
//! # How it is found
//!
//! A deserializer that has no input (`shape/trace.rs`) answers each question of the type with a
//! made-up value, and records the question. It runs the type as often as needed to reach each
//! variant of its enums, and each field behind one that refuses its made-up value. Types that
//! contain themselves become cycles in the record. The hash is that of the type unfolded to a depth
//! of 32, so it does not depend on how it was found.
//!
//! If a place refuses every made-up value, or asks for *any* value, the questions up to there are
//! compared. The same holds for a `Deserialize` implementation that panics. The number of questions
//! is bounded, so that no type takes long, and the result is kept for each type.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::Mutex;

use serde::Deserializer;
use serde::de::{Deserialize, DeserializeOwned, Error as _, Visitor};

use crate::codec;
use crate::process_wide::lock;

mod trace;

/// The longest [`text`](Shape::text), in bytes.
pub const MAX_TEXT: usize = 128;

/// The properties of a message type that both ends must have in common.
#[derive(Debug)]
pub struct Shape {
    fingerprint: u64,
    text: String,
}

impl Shape {
    /// Returns the shape of a serde type, and finds it at the first call.
    #[must_use]
    pub fn of<T: DeserializeOwned>() -> &'static Shape {
        kept::<T>("", |name| {
            let (hash, mut text) = trace::<T>();
            if text.starts_with(trace::ANY) {
                text = format!("{} ({text})", without_paths(std::any::type_name::<T>()));
            }
            Shape::new(name, text, Hash::new().bytes(codec::FORMAT.as_bytes()).word(hash))
        })
    }

    /// Returns the shape of plain data, which is copied as it is. `what` precedes its type in the
    /// text.
    #[must_use]
    pub fn plain<T>(what: &'static str) -> &'static Shape {
        kept::<T>(what, |name| {
            let of = without_paths(std::any::type_name::<T>());
            let (size, align) = (size_of::<T>(), align_of::<T>());
            let hash = plain_hash(name.unwrap_or(&of), what, size, align);
            Shape::new(name, format!("{what} {of} of {size} bytes, aligned to {align}"), hash)
        })
    }

    fn new(name: Option<&str>, text: String, hash: Hash) -> Shape {
        match name {
            Some(name) => {
                let hash = hash.bytes(b"name").bytes(name.as_bytes());
                Shape { fingerprint: hash.0, text: readable(format!("{name:?} {text}").as_bytes()) }
            }
            None => Shape { fingerprint: hash.0, text: readable(text.as_bytes()) },
        }
    }

    /// Returns the hash of everything that must agree: shape, name, and the format of messages.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Describes the type for people, in at most [`MAX_TEXT`] bytes.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// Returns the fingerprint of plain data of this type, or of its [name](name_type) if it has one.
#[must_use]
pub fn plain_fingerprint<T>(what: &str) -> u64 {
    let named = name_of(typeid::of::<T>());
    if let Some(name) = named {
        return plain_hash(name, what, size_of::<T>(), align_of::<T>()).0;
    }
    plain_hash(&without_paths(std::any::type_name::<T>()), what, size_of::<T>(), align_of::<T>()).0
}

fn plain_hash(name: &str, what: &str, size: usize, align: usize) -> Hash {
    let hash = Hash::new().bytes(what.as_bytes()).bytes(name.as_bytes());
    hash.word(size as u64).word(align as u64)
}

/// Gives a message type a name, which is compared in addition to the shape.
///
/// Both programs must call this function with the same name before they make or receive the first
/// end of a channel of this type. Use it if types of the same shape mean different things, or if a
/// new version of a type means something else. It never makes types of different shapes agree,
/// because their messages could not be read. For plain data, the name replaces the type's own name
/// in the comparison.
///
/// The name applies to channels of `T` itself, not to types that contain `T`. For those, use
/// `#[serde(rename = "…")]` at the type, which is part of the shape.
///
/// ```
/// # use ipc_core::name_type; // `multiprocess::name_type`
/// #[derive(serde::Serialize, serde::Deserialize)]
/// struct Length(f64);
///
/// name_type::<Length>("Length in meters")?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
///
/// - `AlreadyExists` if the type has another name in this process, or has been used without this
///   one.
/// - `InvalidInput` if the name is empty or longer than 64 bytes.
pub fn name_type<T>(name: &str) -> io::Result<()> {
    let of = std::any::type_name::<T>();
    let refuse = |kind, what: &str| {
        Err(io::Error::new(kind, format!("giving the type {of} the name {name:?}: {what}")))
    };
    if name.is_empty() || name.len() > 64 {
        return refuse(io::ErrorKind::InvalidInput, "a name has 1 to 64 bytes");
    }
    let id = typeid::of::<T>();
    // In this order, as in `kept`.
    let (Some(shapes), Some(mut names)) = (lock(&SHAPES), lock(&NAMES)) else {
        let text = "this process was forked while another thread looked for a name";
        return refuse(io::ErrorKind::Unsupported, text);
    };
    match names.get(&id) {
        Some(known) if *known == name => return Ok(()),
        Some(known) => {
            return refuse(
                io::ErrorKind::AlreadyExists,
                &format!("it has the name {known:?} already"),
            );
        }
        None if shapes.keys().any(|(of, _)| *of == id) => {
            let text = "ends of channels of it were made or received before, without the name";
            return refuse(io::ErrorKind::AlreadyExists, text);
        }
        None => {}
    }
    // Kept for as long as the process lives: there are as many as types that have names.
    names.insert(id, Box::leak(name.to_owned().into_boxed_str()));
    Ok(())
}

type Shapes = BTreeMap<(TypeId, &'static str), &'static Shape>;
static SHAPES: Mutex<Shapes> = Mutex::new(BTreeMap::new());
static NAMES: Mutex<BTreeMap<TypeId, &'static str>> = Mutex::new(BTreeMap::new());

/// Returns the name that was given to a type.
fn name_of(id: TypeId) -> Option<&'static str> {
    lock(&NAMES)?.get(&id).copied()
}

/// Returns the shape that is kept for this type, or else the one that `find` finds for its name.
fn kept<T>(what: &'static str, find: impl FnOnce(Option<&'static str>) -> Shape) -> &'static Shape {
    let key = (typeid::of::<T>(), what);
    if let Some(shape) = lock(&SHAPES).and_then(|shapes| shapes.get(&key).copied()) {
        return shape;
    }
    let name = name_of(key.0);
    // Without the lock, because the type's own code runs here and may make channels itself.
    let found = find(name);
    let Some(mut shapes) = lock(&SHAPES) else { return Box::leak(Box::new(found)) };
    if name_of(key.0) != name {
        // It was named meanwhile; the name applies from the next use on.
        return Box::leak(Box::new(found));
    }
    // Kept for as long as the process lives: there are as many as message types.
    shapes.entry(key).or_insert_with(|| Box::leak(Box::new(found)))
}

/// Traces a type, and returns its hash and its description.
fn trace<T: DeserializeOwned>() -> (u64, String) {
    trace::run(&mut |tracer| T::deserialize(tracer).is_ok())
}

/// Returns whether this thread is tracing the shape of a type. Ends of channels and similar types
/// do not exist without a message; they then return [`end`] or [`plain_end`].
#[must_use]
#[inline]
pub fn tracing() -> bool {
    trace::active()
}

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

/// The types at both ends of a channel or connection that do not agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch(Box<(String, String)>);

impl Mismatch {
    /// Makes it from this end's type and the other end's description of its type, which may be any
    /// bytes.
    #[must_use]
    pub fn new(here: &Shape, there: &[u8]) -> Mismatch {
        Mismatch(Box::new((here.text.clone(), readable(there))))
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

/// Converts any bytes into printable text of at most [`MAX_TEXT`] bytes. What a peer has written
/// may be garbage.
#[must_use]
pub fn readable(bytes: &[u8]) -> String {
    let long = bytes.len() > MAX_TEXT;
    let bytes = &bytes[..bytes.len().min(MAX_TEXT)];
    let mut text = String::new();
    for c in String::from_utf8_lossy(bytes).chars() {
        let c = if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        // A replacement may be longer than what it stands for.
        if text.len() + c.len_utf8() > MAX_TEXT {
            return cut(text);
        }
        text.push(c);
    }
    if long { cut(text) } else { text }
}

/// Makes room for a mark that something is missing.
fn cut(mut text: String) -> String {
    const MORE: char = '…';
    while text.len() + MORE.len_utf8() > MAX_TEXT || text.ends_with(char::REPLACEMENT_CHARACTER) {
        text.pop();
    }
    text.push(MORE);
    text
}

/// Returns the name of a type without its paths: `Vec<Order>` for `alloc::vec::Vec<shop::Order>`.
pub(crate) fn without_paths(name: &str) -> String {
    let mut short = String::with_capacity(name.len());
    let mut begin = 0;
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("::") {
            short.truncate(begin);
            rest = after;
            continue;
        }
        short.push(c);
        if !c.is_alphanumeric() && c != '_' {
            begin = short.len();
        }
        rest = &rest[c.len_utf8()..];
    }
    short
}

/// A 64-bit FNV-1a hash.
///
/// <https://datatracker.ietf.org/doc/html/draft-eastlake-fnv>
#[derive(Clone, Copy)]
pub(crate) struct Hash(pub(crate) u64);

impl Hash {
    pub(crate) const fn new() -> Self {
        Hash(0xcbf2_9ce4_8422_2325)
    }

    /// Bytes, and where they end.
    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.word(bytes.len() as u64)
    }

    pub(crate) fn word(mut self, word: u64) -> Self {
        for byte in word.to_le_bytes() {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self
    }
}

#[cfg(test)]
mod tests;
