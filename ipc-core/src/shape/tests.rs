use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU8;
use std::rc::Rc;

use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};

use super::*;
use crate::handle;

/// Types that two programs have, each at its own path.
macro_rules! shared {
    ($($module:ident)*) => {
        $(#[allow(dead_code, reason = "types without values")]
        mod $module {
            use super::*;

            #[derive(Deserialize)]
            pub(super) struct Order {
                id: u64,
                lines: Vec<Line>,
                state: State,
                next: Option<Box<Order>>,
            }

            #[derive(Deserialize)]
            pub(super) struct Line(pub(super) String, pub(super) NonZeroU8, [f64; 3], PhantomData<Line>);

            #[derive(Deserialize)]
            pub(super) enum State {
                Open,
                Paid { by: String, at: (u32, i128) },
                Sent(BTreeMap<char, Tree>, Unit),
                #[serde(alias = "Lost")]
                Gone(Tree),
            }

            #[derive(Deserialize)]
            pub(super) struct Unit;

            #[derive(Deserialize)]
            pub(super) enum Tree {
                Fork(Box<Tree>, Box<Tree>),
                Many(HashMap<String, Tree>),
                Leaf(bool),
            }
        })*
    };
}

shared!(here there);

fn print<T: DeserializeOwned>() -> u64 {
    // Not from what is kept.
    let first = trace::<T>();
    assert_eq!(first, trace::<T>());
    println!("{:016x} {}", first.0, first.1);
    first.0
}

#[test]
fn one_file_in_two_programs_is_one_type() {
    assert_eq!(print::<here::Order>(), print::<there::Order>());
    assert_eq!(print::<here::Tree>(), print::<there::Tree>());
    assert_eq!(print::<Vec<(u8, here::State)>>(), print::<VecDeque<(u8, Box<there::State>)>>());
    assert_eq!(Shape::of::<here::Order>().fingerprint(), Shape::of::<there::Order>().fingerprint());
    assert_eq!(
        Shape::of::<here::Order>().text(),
        "Order {id: u64, lines: [Line(string, u8, (f64, f64, f64), PhantomData)], \
         state: State [Open | Paid {by: string, at: (u32, i12…"
    );
    // One that is there twice, and two that are equal.
    assert_eq!(print::<(here::Tree, here::Tree)>(), print::<(here::Tree, there::Tree)>());
}

/// Variants of one struct, each different in one place.
macro_rules! differ {
    ($({ $($item:item)* })*) => {
        [$({
            #[allow(dead_code, unused_imports, reason = "types without values")]
            mod inner {
                use super::*;
                $($item)*
            }
            print::<inner::Message>()
        }),*]
    };
}

#[test]
fn each_part_of_a_shape_counts() {
    let all = differ! {
        { #[derive(Deserialize)] pub(super) struct Message { a: u32, b: Option<Inner> }
          #[derive(Deserialize)] enum Inner { A, B(u8) } }
        { #[derive(Deserialize)] pub(super) struct Massage { a: u32, b: Option<Inner> }
          #[derive(Deserialize)] enum Inner { A, B(u8) }
          pub(super) type Message = Massage; }
        { #[derive(Deserialize)] pub(super) struct Message { a: i32, b: Option<Inner> }
          #[derive(Deserialize)] enum Inner { A, B(u8) } }
        { #[derive(Deserialize)] pub(super) struct Message { a: u32, c: Option<Inner> }
          #[derive(Deserialize)] enum Inner { A, B(u8) } }
        { #[derive(Deserialize)] pub(super) struct Message { b: Option<Inner>, a: u32 }
          #[derive(Deserialize)] enum Inner { A, B(u8) } }
        { #[derive(Deserialize)] pub(super) struct Message { a: u32, b: Inner }
          #[derive(Deserialize)] enum Inner { A, B(u8) } }
        { #[derive(Deserialize)] pub(super) struct Message { a: u32, b: Option<Inner> }
          #[derive(Deserialize)] enum Inner { A, B(u16) } }
        { #[derive(Deserialize)] pub(super) struct Message { a: u32, b: Option<Inner> }
          #[derive(Deserialize)] enum Inner { A, B { a: u8 } } }
        { #[derive(Deserialize)] pub(super) struct Message { a: u32, b: Option<Inner> }
          #[derive(Deserialize)] enum Inner { B(u8), A } }
        { #[derive(Deserialize)] pub(super) struct Message { a: u32, b: Option<Inner> }
          #[derive(Deserialize)] enum Inner { A, B(u8), C } }
        { #[derive(Deserialize)] pub(super) struct Message(u32, Option<Inner>);
          #[derive(Deserialize)] enum Inner { A, B(u8) } }
        { #[derive(Deserialize)] pub(super) struct Message { a: u32, b: Option<Inner> }
          #[derive(Deserialize)] #[serde(rename = "Inner/2")] enum Inner { A, B(u8) } }
    };
    for (i, one) in all.iter().enumerate() {
        assert!(!all[..i].contains(one), "{i}");
    }
    for (one, other) in [
        (print::<[u8; 3]>(), print::<[u8; 4]>()),
        (print::<Vec<u8>>(), print::<Vec<i8>>()),
        (print::<BTreeMap<u8, u16>>(), print::<BTreeMap<u16, u8>>()),
        (print::<Result<u8, u16>>(), print::<Result<u16, u8>>()),
        (print::<String>(), print::<Vec<char>>()),
    ] {
        assert_ne!(one, other);
    }
}

/// serde implements arrays of up to 32 elements only.
impl<'de> Deserialize<'de> for Big<'static> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Elements;
        impl<'de> Visitor<'de> for Elements {
            type Value = Big<'static>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a million numbers")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<Self::Value, A::Error> {
                while seq.next_element::<u64>()?.is_some() {}
                Ok(Big(PhantomData))
            }
        }
        deserializer.deserialize_tuple(1 << 40, Elements)
    }
}

struct Big<'a>(PhantomData<&'a ()>);

/// A number that is never one.
struct Picky;

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u32::deserialize(deserializer)?;
        Err(D::Error::custom("never"))
    }
}

struct Panics;

impl<'de> Deserialize<'de> for Panics {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        assert_ne!(u64::deserialize(deserializer)?, 1, "a type that panics");
        Ok(Panics)
    }
}

/// It asks for itself, without a name in between.
struct Endless;

impl<'de> Deserialize<'de> for Endless {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Endless>::deserialize(deserializer).map(|_| Endless)
    }
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "types without values")]
struct Behind<A, B> {
    before: u8,
    nasty: A,
    behind: B,
    last: Vec<A>,
}

#[derive(Deserialize)]
#[serde(tag = "kind")]
#[allow(dead_code, reason = "types without values")]
enum Tagged {
    A { a: u8 },
}

#[test]
fn what_lies_behind_a_type_that_refuses_counts() {
    fn counts<A: DeserializeOwned>() {
        assert_eq!(print::<Behind<A, u8>>(), print::<Behind<A, Box<u8>>>());
        assert_ne!(print::<Behind<A, u8>>(), print::<Behind<A, i8>>());
        assert_ne!(print::<Behind<A, Picky>>(), print::<Behind<A, String>>());
    }
    counts::<Picky>();
    counts::<Big<'static>>();
    counts::<Endless>();
    counts::<Tagged>();
    counts::<handle::Handle>();
    counts::<std::net::IpAddr>();
    counts::<Result<Picky, Endless>>();
    counts::<Option<Picky>>();
}

#[test]
fn no_type_panics_or_goes_on_for_ever() {
    assert_eq!(print::<Panics>(), print::<u64>());
    print::<Behind<Panics, Panics>>();
    print::<Endless>();
    print::<Big<'static>>();
}

/// Enums of many variants that contain each other.
macro_rules! tangle {
    ($($name:ident)*) => {
        $(tangle!(@ $name A A B C D);)*
    };
    (@ $name:ident $($other:ident)*) => {
        #[derive(Deserialize)]
        #[allow(dead_code, reason = "types without values")]
        enum $name {
            Zero,
            One(Box<A>, Vec<B>, Option<Box<C>>),
            Two { a: Box<D>, b: Box<B>, c: Box<C> },
            Three(Box<D>),
            Four(Rced),
            Five(BTreeMap<String, A>, BTreeMap<u8, B>),
            Six((Box<A>, Box<B>, Box<C>, Box<D>)),
        }
    };
}

#[derive(Deserialize)]
#[allow(dead_code, reason = "types without values")]
struct Rced(Box<A>, u8);

tangle!(A B C D);

#[test]
fn types_that_contain_each_other_take_few_steps() {
    assert_eq!(print::<A>(), print::<B>().wrapping_add(print::<A>()).wrapping_sub(print::<B>()));
    // Each names itself.
    assert_ne!(print::<A>(), print::<B>());
}

#[test]
fn kept_shapes_name_both_types() {
    let (order, text) = (Shape::of::<here::Order>(), Shape::of::<String>());
    assert!(std::ptr::eq(order, Shape::of::<here::Order>()));
    let mismatch = Mismatch::new(order, text.text().as_bytes()).to_string();
    assert!(mismatch.contains("Order {id: u64") && mismatch.contains("string"), "{mismatch}");
    let plain = Shape::plain::<[f32; 4]>("plain data");
    assert_eq!(plain.text(), "plain data [f32; 4] of 16 bytes, aligned to 4");
    assert_ne!(plain.fingerprint(), Shape::plain::<[u32; 4]>("plain data").fingerprint());
    assert_ne!(plain.fingerprint(), Shape::plain::<[f32; 4]>("slices of").fingerprint());
    assert_eq!(plain_fingerprint::<here::Unit>("x"), plain_fingerprint::<there::Unit>("x"));
    assert_eq!(Shape::of::<Tagged>().text(), "Tagged (any value)");
}

#[test]
fn names_make_equal_shapes_differ_and_never_the_other_way_round() {
    #[derive(Deserialize)]
    struct Meters(#[allow(dead_code)] f64);
    #[derive(Deserialize)]
    #[serde(rename = "Meters")]
    struct Feet(#[allow(dead_code)] f64);
    #[derive(Deserialize)]
    #[serde(rename = "Meters")]
    struct Short(#[allow(dead_code)] f32);
    name_type::<Feet>("feet").unwrap();
    name_type::<Feet>("feet").unwrap();
    name_type::<Short>("feet").unwrap();
    let (meters, feet, short) = (Shape::of::<Meters>(), Shape::of::<Feet>(), Shape::of::<Short>());
    assert_ne!(meters.fingerprint(), feet.fingerprint());
    assert_ne!(short.fingerprint(), feet.fingerprint());
    assert_eq!(feet.text(), "\"feet\" Meters(f64)");
    for (error, part) in [
        (name_type::<Feet>("yards").unwrap_err(), "\"feet\""),
        (name_type::<Meters>("meters").unwrap_err(), "before"),
    ] {
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(error.to_string().contains(part), "{error}");
    }
    assert!(name_type::<Rc<u8>>("").is_err() && name_type::<Rc<u8>>(&"x".repeat(65)).is_err());
}

#[test]
fn texts_of_peers_are_cut_and_cleaned() {
    assert_eq!(readable(b"Order {id: u64}"), "Order {id: u64}");
    assert_eq!(readable(b"a\x1b[31m\xff\0"), "a\u{fffd}[31m\u{fffd}\u{fffd}");
    for bytes in [vec![0xff; 500], "ä".repeat(200).into_bytes(), vec![b'x'; 129], vec![0; 128]] {
        let text = readable(&bytes);
        assert!(text.len() <= MAX_TEXT && text.ends_with('…'), "{text}");
    }
    assert_eq!(readable(&[b'x'; 128]).len(), 128);
    assert_eq!(without_paths("alloc::vec::Vec<(a::B, [c::d::E<'_>; 3])>"), "Vec<(B, [E<'_>; 3])>");
}

#[test]
fn nothing_is_left_of_a_search() {
    let ((), handles) = handle::collect(|| {
        handle::record_cause("what was said before");
        print::<Behind<handle::Handle, u8>>();
        assert_eq!(handle::carried(), Ok(()));
        assert!(!tracing());
    });
    assert!(handles.is_empty());
    assert_eq!(handle::cause_text("nothing"), "what was said before");
}
