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
use std::io;
use std::sync::Mutex;

use serde::de::DeserializeOwned;

use crate::codec::FORMAT;
use crate::process_wide::lock;

mod hash;
mod mismatch;
mod stand_in;
mod text;
mod trace;

pub use mismatch::Mismatch;
pub use stand_in::{end, other, plain_end};
pub use text::{MAX_TEXT, readable};

use hash::Hash;
use text::without_paths;

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
            Shape::new(name, text, Hash::new().bytes(FORMAT.as_bytes()).word(hash))
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

#[cfg(test)]
mod tests;
