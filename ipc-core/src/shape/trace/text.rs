//! The description of a traced type.

use super::super::text::{MAX_TEXT, without_paths};
use super::graph::{Edge, Graph, Kind, Leaf};

/// Describes a traced type for people. The text may be longer than [`MAX_TEXT`].
pub(super) fn of(graph: &Graph) -> String {
    let mut text = String::new();
    write(graph, &mut text, graph.root.get(), 0);
    text
}

/// Writes the content of a place, unless the text is long enough.
fn write(graph: &Graph, text: &mut String, edge: Option<Edge>, depth: usize) {
    if text.len() > MAX_TEXT {
        return;
    }
    let node = match edge {
        None => return text.push('_'),
        Some(Edge::Leaf(leaf)) => return text.push_str(leaf.name()),
        Some(Edge::Node(node)) => node,
    };
    let nodes = graph.nodes.borrow();
    let node = &nodes[node];
    text.push_str(&without_paths(node.name));
    let named = !node.name.is_empty();
    let (open, close) = match node.kind {
        Kind::UnitStruct => return,
        Kind::Struct | Kind::Enum if depth > 1 && named => return,
        Kind::Option => ("Option<", ">"),
        Kind::Seq => ("[", "]"),
        Kind::Map => ("map {", "}"),
        Kind::Newtype | Kind::Tuple | Kind::TupleStruct | Kind::TupleVariant => ("(", ")"),
        Kind::Struct | Kind::StructVariant => (" {", "}"),
        Kind::Enum => (" [", "]"),
    };
    if depth > 4 {
        return text.push_str("..");
    }
    let first = node.edges.first().copied().flatten();
    if node.kind == Kind::Tuple && node.len > 3 && node.edges.iter().all(|edge| *edge == first) {
        text.push('[');
        write(graph, text, first, depth + 1);
        return text.push_str(&format!("; {}]", node.len));
    }
    text.push_str(open);
    for (place, edge) in node.edges.iter().enumerate() {
        if text.len() > MAX_TEXT {
            return;
        }
        if place > 0 {
            text.push_str(match node.kind {
                Kind::Enum => " | ",
                Kind::Map => ": ",
                _ => ", ",
            });
        }
        let name = node.names.get(place).copied().unwrap_or_default();
        text.push_str(name);
        match (node.kind, edge) {
            (Kind::Enum, Some(Edge::Leaf(Leaf::Unit))) => continue,
            (Kind::Enum, Some(Edge::Node(child)))
                if matches!(nodes[*child].kind, Kind::TupleVariant | Kind::StructVariant) => {}
            (Kind::Enum, edge) => {
                text.push('(');
                write(graph, text, *edge, depth + 1);
                text.push(')');
                continue;
            }
            _ if !name.is_empty() => text.push_str(": "),
            _ => {}
        }
        write(graph, text, *edge, depth + 1);
    }
    if node.len > node.edges.len() {
        text.push_str(", ..");
    }
    text.push_str(close);
}
