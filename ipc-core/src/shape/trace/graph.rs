//! The record of a type's questions, as a graph, and its hash.

use std::any::TypeId;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;

use super::super::hash::Hash;
use super::super::text::without_paths;

/// How many questions a type may ask in all passes: some milliseconds of work.
const MOST_STEPS: usize = 50_000;
/// How deep the type is unfolded for its hash.
const ROUNDS: usize = 32;

/// The content of a place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    /// Something that has no parts.
    Leaf(Leaf),
    Node(usize),
}

macro_rules! leaves {
    ($($Leaf:ident $name:expr,)*) => {
        /// A type without parts.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub(super) enum Leaf {
            $($Leaf,)*
        }

        impl Leaf {
            pub(super) fn name(self) -> &'static str {
                match self {
                    $(Leaf::$Leaf => $name,)*
                }
            }
        }
    };
}

/// The beginning of the text of a type that is only known when a value is there.
pub(in super::super) const ANY: &str = "any value";

leaves! {
    Bool "bool",
    I8 "i8",
    I16 "i16",
    I32 "i32",
    I64 "i64",
    I128 "i128",
    U8 "u8",
    U16 "u16",
    U32 "u32",
    U64 "u64",
    U128 "u128",
    F32 "f32",
    F64 "f64",
    Char "char",
    String "string",
    Bytes "bytes",
    Unit "()",
    Identifier "identifier",
    Any ANY,
    Ignored "anything",
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Option,
    Seq,
    Map,
    Tuple,
    UnitStruct,
    Newtype,
    TupleStruct,
    Struct,
    Enum,
    /// The content of a variant.
    TupleVariant,
    StructVariant,
}

pub(super) struct Node {
    pub(super) kind: Kind,
    pub(super) name: &'static str,
    /// Of fields or variants; empty if they have none.
    pub(super) names: &'static [&'static str],
    /// The length that the type gave, which may be more than there are edges.
    pub(super) len: usize,
    pub(super) edges: Vec<Option<Edge>>,
    pub(super) settled: Vec<bool>,
    /// The number of places that are not settled.
    pub(super) pending: usize,
    /// The first place of which a value could be made.
    pub(super) good: Option<usize>,
    /// Of an enum: the variant that has its turn.
    pub(super) turn: usize,
    /// It is being visited. A question for it now means that it contains itself.
    pub(super) open: bool,
    /// A struct whose visitor takes fields in order only.
    pub(super) in_order: bool,
}

#[derive(Default)]
pub(super) struct Graph {
    pub(super) root: Cell<Option<Edge>>,
    pub(super) nodes: RefCell<Vec<Node>>,
    pub(super) known: RefCell<HashMap<(TypeId, u8), usize>>,
    pub(super) steps: Cell<usize>,
    /// Places that were settled, ever.
    pub(super) settled: Cell<usize>,
    /// Whether places that cannot be reached are given up in this pass.
    pub(super) resigned: Cell<bool>,
}

impl Graph {
    pub(super) fn exhausted(&self) -> bool {
        self.steps.get() >= MOST_STEPS
    }

    /// Returns whether every place that can be reached is settled.
    pub(super) fn is_complete(&self) -> bool {
        match self.root.get() {
            Some(Edge::Node(root)) => self.nodes.borrow()[root].pending == 0,
            _ => true,
        }
    }

    /// Ends a pass, which may have stopped anywhere.
    pub(super) fn close(&self) {
        for node in &mut *self.nodes.borrow_mut() {
            node.open = false;
        }
    }

    /// Returns the number of places that are not settled.
    pub(super) fn pending(&self) -> usize {
        self.nodes.borrow().iter().map(|node| node.pending).sum()
    }

    pub(super) fn with<R>(&self, node: usize, f: impl FnOnce(&mut Node) -> R) -> R {
        f(&mut self.nodes.borrow_mut()[node])
    }

    /// Records the content of a place.
    pub(super) fn link(&self, parent: Option<(usize, usize)>, edge: Edge) {
        match parent {
            Some((node, place)) => self.with(node, |node| {
                // The first one is kept: a later pass sees the same.
                node.edges[place].get_or_insert(edge);
            }),
            None => self.root.set(self.root.get().or(Some(edge))),
        }
    }

    /// Records that a place was visited. It is settled if its content is.
    pub(super) fn visited(&self, node: usize, place: usize, made: bool) {
        let edge = self.with(node, |node| node.edges[place]);
        let complete = match edge {
            Some(Edge::Node(child)) => self.with(child, |child| child.pending == 0 || child.open),
            Some(Edge::Leaf(_)) | None => true,
        };
        if complete {
            self.settle(node, place);
        }
        if made {
            self.with(node, |node| node.good = node.good.or(Some(place)));
        }
    }

    pub(super) fn settle(&self, node: usize, place: usize) {
        let new = self.with(node, |node| {
            let new = !std::mem::replace(&mut node.settled[place], true);
            node.pending -= usize::from(new);
            new
        });
        self.settled.set(self.settled.get() + usize::from(new));
    }

    pub(super) fn hash(&self) -> u64 {
        let nodes = self.nodes.borrow();
        let own: Vec<u64> = nodes.iter().map(Node::label).collect();
        let mut hashes = own.clone();
        let of = |hashes: &[u64], edge: Option<Edge>| match edge {
            None => 0,
            Some(Edge::Leaf(leaf)) => leaf as u64 + 1,
            Some(Edge::Node(node)) => hashes[node],
        };
        for _ in 0..ROUNDS {
            let next = nodes.iter().zip(&own).map(|(node, own)| {
                node.edges.iter().fold(*own, |hash, edge| mix(hash, of(&hashes, *edge)))
            });
            hashes = next.collect();
        }
        Hash::new().word(of(&hashes, self.root.get())).0
    }
}

fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Node {
    /// Returns the hash of the node without its content.
    fn label(&self) -> u64 {
        let hash = Hash::new().word(self.kind as u64).word(self.len as u64);
        let hash = hash.bytes(without_paths(self.name).as_bytes());
        self.names.iter().fold(hash, |hash, name| hash.bytes(name.as_bytes())).0
    }

    /// Returns the next variant that is not settled, or if all are, one that can be made.
    pub(super) fn next_turn(&mut self) -> Option<usize> {
        let len = self.settled.len();
        let next =
            (self.turn..self.turn + len).map(|turn| turn % len).find(|turn| !self.settled[*turn]);
        self.turn = next.map_or(0, |turn| turn + 1);
        next.or(self.good)
    }

    /// Returns the first place that is not settled.
    pub(super) fn first(&self) -> Option<usize> {
        self.settled.iter().position(|settled| !settled)
    }
}
