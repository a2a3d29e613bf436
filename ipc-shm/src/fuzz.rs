//! The fuzz targets that need items visible only to tests, run over their corpus.
//!
//! See `fuzz/` of the repository.

#![allow(unreachable_pub, reason = "the targets are a crate of their own as well")]

use testkit::fuzz::corpus;

#[path = "../../fuzz/src/locks.rs"]
mod locks;
#[path = "../../fuzz/src/ring_model.rs"]
mod ring_model;

#[test]
fn the_locks_corpus_finds_nothing() {
    corpus("locks", locks::run);
}

#[test]
fn the_rings_corpus_finds_nothing() {
    corpus("ring_model", ring_model::run);
}
