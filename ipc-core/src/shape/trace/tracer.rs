//! The deserializer, which answers with made-up values.

use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::graph::{Edge, Graph, Kind, Leaf, Node};

/// How deep compounds may be nested: the stack is bounded.
const MOST_DEPTH: usize = 100;
/// How many elements of a tuple are examined one by one.
const MOST_ELEMENTS: usize = 256;

/// Ends a pass, or a part of it.
#[derive(Debug)]
pub(in super::super) struct Stop;

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the type refused a made-up value")
    }
}

impl std::error::Error for Stop {}

impl serde::de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Stop
    }
}

type Result<T> = std::result::Result<T, Stop>;

/// The deserializer.
#[derive(Clone, Copy)]
pub(in super::super) struct Tracer<'a> {
    graph: &'a Graph,
    /// The node and place that is asked for.
    parent: Option<(usize, usize)>,
    depth: usize,
}

impl<'a> Tracer<'a> {
    /// Asks for the type itself, in one pass.
    pub(super) fn new(graph: &'a Graph) -> Self {
        Tracer { graph, parent: None, depth: 0 }
    }

    fn step(&self) -> Result<()> {
        self.graph.steps.set(self.graph.steps.get() + 1);
        if self.graph.exhausted() { Err(Stop) } else { Ok(()) }
    }

    fn leaf(&self, leaf: Leaf) -> Result<()> {
        self.graph.link(self.parent, Edge::Leaf(leaf));
        self.step()
    }

    /// Returns the compound of a visitor, known or new. An error if it contains itself.
    fn open<V>(
        &self,
        kind: Kind,
        name: &'static str,
        names: &'static [&'static str],
        len: usize,
    ) -> Result<Visit<'a>> {
        let key = (typeid::of::<V>(), kind as u8);
        let mut nodes = self.graph.nodes.borrow_mut();
        let node = *self.graph.known.borrow_mut().entry(key).or_insert_with(|| {
            let places = len.min(MOST_ELEMENTS.max(names.len()));
            nodes.push(Node {
                kind,
                name,
                names,
                len,
                edges: vec![None; places],
                settled: vec![false; places],
                pending: places,
                good: None,
                turn: 0,
                open: false,
                in_order: false,
            });
            nodes.len() - 1
        });
        drop(nodes);
        self.graph.link(self.parent, Edge::Node(node));
        self.step()?;
        let (again, possible) = self.graph.with(node, |node| {
            let again = std::mem::replace(&mut node.open, true);
            (again, !again || kind == Kind::Enum && node.good.is_some())
        });
        if !possible || self.depth >= MOST_DEPTH {
            self.graph.with(node, |node| node.open = again);
            return Err(Stop);
        }
        Ok(Visit { graph: self.graph, node, depth: self.depth + 1, again })
    }
}

/// A compound that is being visited.
struct Visit<'a> {
    graph: &'a Graph,
    node: usize,
    depth: usize,
    /// It contains itself, and is made of a variant that can be made.
    again: bool,
}

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.graph.with(self.node, |node| node.open = self.again);
    }
}

impl<'a> Visit<'a> {
    fn with<R>(&self, f: impl FnOnce(&mut Node) -> R) -> R {
        self.graph.with(self.node, f)
    }

    fn at(&self, place: usize) -> Tracer<'a> {
        Tracer { graph: self.graph, parent: Some((self.node, place)), depth: self.depth }
    }

    /// Runs the content of a place.
    fn seed<'de, S: DeserializeSeed<'de>>(&self, place: usize, seed: S) -> Result<S::Value> {
        let value = seed.deserialize(self.at(place));
        self.graph.visited(self.node, place, value.is_ok());
        value
    }

    /// Passes all places in order to a visitor of a sequence.
    fn in_order<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value> {
        let (places, len) = self.with(|node| (node.edges.len(), node.len));
        let mut elements = Elements { visit: self, next: 0, places, len, hopeless: false };
        let value = visitor.visit_seq(&mut elements);
        let (asked, hopeless) = (elements.next, elements.hopeless);
        if value.is_ok() || hopeless && self.graph.resigned.get() || asked == 0 {
            // A place that was not asked for now never is.
            (asked..places).for_each(|place| self.graph.settle(self.node, place));
        }
        value
    }

    /// Passes fields by their names, from the first one that is not settled.
    fn fields<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value> {
        let (first, in_order) = self.with(|node| (node.first().unwrap_or(0), node.in_order));
        if in_order {
            return self.in_order(visitor);
        }
        let mut fields = Fields { visit: self, next: first, asked: false };
        let value = visitor.visit_map(&mut fields);
        if !fields.asked && value.is_err() {
            // The visitor does not know fields by name. The next pass goes in order.
            self.with(|node| node.in_order = true);
            self.graph.settled.set(self.graph.settled.get() + 1);
        }
        value
    }
}

struct Elements<'a, 'v> {
    visit: &'v Visit<'a>,
    next: usize,
    places: usize,
    len: usize,
    /// The last element asked for fails, and a further pass would change nothing.
    hopeless: bool,
}

impl<'de> SeqAccess<'de> for &mut Elements<'_, '_> {
    type Error = Stop;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.next >= self.places {
            // There would be more, but they are not examined.
            return if self.len > self.places { Err(Stop) } else { Ok(None) };
        }
        let place = self.next;
        self.next += 1;
        let settled = self.visit.with(|node| node.settled[place]);
        let value = self.visit.seed(place, seed);
        self.hopeless = settled && value.is_err();
        value.map(Some)
    }
}

struct Fields<'a, 'v> {
    visit: &'v Visit<'a>,
    next: usize,
    asked: bool,
}

impl<'de> MapAccess<'de> for &mut Fields<'_, '_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        self.asked = true;
        let Some(name) = self.visit.with(|node| node.names.get(self.next).copied()) else {
            return Ok(None);
        };
        self.next += 1;
        let key = seed.deserialize(IntoDeserializer::<Stop>::into_deserializer(name));
        if key.is_err() {
            self.visit.graph.settle(self.visit.node, self.next - 1);
        }
        key.map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.visit.seed(self.next - 1, seed)
    }
}

/// One element, or one key with its value, if that is of use.
struct Items<'a, 'v> {
    visit: &'v Visit<'a>,
    left: usize,
}

impl<'a, 'v> Items<'a, 'v> {
    fn new(visit: &'v Visit<'a>) -> Self {
        let wanted = visit.with(|node| node.pending > 0 || node.good.is_some());
        Items { visit, left: usize::from(wanted) }
    }
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = Stop;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.visit.seed(0, seed).map(Some)
    }
}

impl<'de> MapAccess<'de> for Items<'_, '_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        let key = seed.deserialize(self.visit.at(0));
        self.visit.graph.visited(self.visit.node, 0, false);
        if key.is_err() && self.visit.with(|node| node.settled[0]) {
            // There is no key to reach the value with.
            self.visit.graph.settle(self.visit.node, 1);
        }
        key.map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value> {
        self.visit.seed(1, seed)
    }
}

/// One variant.
struct Variant<'a, 'v> {
    visit: &'v Visit<'a>,
    place: usize,
}

impl<'de> EnumAccess<'de> for Variant<'_, '_> {
    type Error = Stop;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self)> {
        let index = IntoDeserializer::<Stop>::into_deserializer(self.place as u32);
        match seed.deserialize(index) {
            Ok(variant) => Ok((variant, self)),
            Err(stop) => {
                // An alias, or a variant that cannot be read.
                self.visit.graph.settle(self.visit.node, self.place);
                Err(stop)
            }
        }
    }
}

impl Variant<'_, '_> {
    /// The content of the variant, as a compound of its own.
    fn content<'de, V: Visitor<'de>>(
        self,
        kind: Kind,
        names: &'static [&'static str],
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        let opened = self.visit.at(self.place).open::<V>(kind, "", names, len);
        let value = opened.and_then(|content| match kind {
            Kind::StructVariant => content.fields(visitor),
            _ => content.in_order(visitor),
        });
        self.visit.graph.visited(self.visit.node, self.place, value.is_ok());
        value
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, '_> {
    type Error = Stop;

    fn unit_variant(self) -> Result<()> {
        let value = self.visit.at(self.place).leaf(Leaf::Unit);
        self.visit.graph.visited(self.visit.node, self.place, value.is_ok());
        value
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value> {
        self.visit.seed(self.place, seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.content(Kind::TupleVariant, &[], len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.content(Kind::StructVariant, fields, fields.len(), visitor)
    }
}

/// Leaves, with the value that is made up. Not zero: some numbers must not be.
macro_rules! made_up {
    ($($method:ident $Leaf:ident $visit:ident($value:expr);)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
            self.leaf(Leaf::$Leaf)?;
            visitor.$visit($value)
        })*
    };
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Stop;

    made_up! {
        deserialize_bool Bool visit_bool(false);
        deserialize_i8 I8 visit_i8(1);
        deserialize_i16 I16 visit_i16(1);
        deserialize_i32 I32 visit_i32(1);
        deserialize_i64 I64 visit_i64(1);
        deserialize_i128 I128 visit_i128(1);
        deserialize_u8 U8 visit_u8(1);
        deserialize_u16 U16 visit_u16(1);
        deserialize_u32 U32 visit_u32(1);
        deserialize_u64 U64 visit_u64(1);
        deserialize_u128 U128 visit_u128(1);
        deserialize_f32 F32 visit_f32(1.0);
        deserialize_f64 F64 visit_f64(1.0);
        deserialize_char Char visit_char('a');
        deserialize_str String visit_str("");
        deserialize_string String visit_str("");
        deserialize_bytes Bytes visit_bytes(&[]);
        deserialize_byte_buf Bytes visit_bytes(&[]);
        deserialize_identifier Identifier visit_str("");
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.leaf(Leaf::Unit)?;
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        self.leaf(Leaf::Ignored)?;
        visitor.visit_unit()
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value> {
        self.leaf(Leaf::Any)?;
        Err(Stop)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let visit = self.open::<V>(Kind::Option, "", &[], 1)?;
        if visit.with(|node| node.pending == 0) {
            return visitor.visit_none();
        }
        let value = visitor.visit_some(visit.at(0));
        visit.graph.visited(visit.node, 0, value.is_ok());
        value
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        let _visit = self.open::<V>(Kind::UnitStruct, name, &[], 0)?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value> {
        let visit = self.open::<V>(Kind::Newtype, name, &[], 1)?;
        let value = visitor.visit_newtype_struct(visit.at(0));
        visit.graph.visited(visit.node, 0, value.is_ok());
        value
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let visit = self.open::<V>(Kind::Seq, "", &[], 1)?;
        visitor.visit_seq(Items::new(&visit))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value> {
        self.open::<V>(Kind::Tuple, "", &[], len)?.in_order(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value> {
        self.open::<V>(Kind::TupleStruct, name, &[], len)?.in_order(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let visit = self.open::<V>(Kind::Map, "", &[], 2)?;
        visitor.visit_map(Items::new(&visit))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        self.open::<V>(Kind::Struct, name, fields, fields.len())?.fields(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value> {
        let visit = self.open::<V>(Kind::Enum, name, variants, variants.len().max(1))?;
        let place =
            visit.with(|node| if visit.again { node.good } else { node.next_turn() }.unwrap_or(0));
        visitor.visit_enum(Variant { visit: &visit, place })
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}
