//! A deserializer without input, which records the questions of a type.
//!
//! The result is a graph. It has a *node* for each compound that was asked for, identified by the
//! type of its visitor. The *places* of a compound are the fields of a struct, the variants of an
//! enum, the elements of a tuple, or the one kind of element of a sequence. An *edge* leads from
//! each place to its content.
//!
//! A place is *settled* when its content has been seen completely, whether a value of it could be
//! made or not. One pass runs the type once. A struct begins with its first field that is not
//! settled, since a field that refuses its made-up value ends the pass. An enum takes its next
//! variant that is not settled. An enum that contains itself is made of a variant that could be
//! made before.
//!
//! If passes have settled nothing for a while, the elements of a tuple behind one that cannot be
//! made are given up. If that settles nothing either, the search is over.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::handle;

mod graph;
mod text;
mod tracer;

pub(super) use graph::ANY;

use graph::Graph;
use tracer::Tracer;

/// How many passes may settle nothing.
const MOST_IDLE: usize = 64;

thread_local! {
    static ACTIVE: Cell<bool> = const { Cell::new(false) };
}

#[inline]
pub(super) fn active() -> bool {
    ACTIVE.get()
}

/// Runs a type as often as needed. `once` runs it once.
pub(super) fn run(once: &mut dyn FnMut(Tracer<'_>) -> bool) -> (u64, String) {
    struct Active(bool);
    impl Drop for Active {
        fn drop(&mut self) {
            ACTIVE.set(self.0);
        }
    }

    let _active = Active(ACTIVE.replace(true));
    let graph = Graph::default();
    handle::aside(|| {
        let mut idle = 0;
        loop {
            let before = graph.settled.get();
            let tracer = Tracer::new(&graph);
            // A panic of the type is as good as an error: its questions so far are recorded.
            let made = catch_unwind(AssertUnwindSafe(|| once(tracer)));
            graph.close();
            if graph.is_complete() || made.is_err() || graph.exhausted() {
                break;
            }
            idle = if graph.settled.get() == before { idle + 1 } else { 0 };
            if idle > 0 && graph.resigned.get() {
                break;
            }
            // Each enum has had a turn with each of its variants.
            graph.resigned.set(idle > graph.pending().min(MOST_IDLE));
        }
    });
    (graph.hash(), text::of(&graph))
}
