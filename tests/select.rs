//! Waiting for one of several operations.

#[path = "select/choose.rs"]
mod choose;
#[path = "select/grammar.rs"]
mod grammar;
#[path = "select/support.rs"]
mod support;
#[path = "select/threads.rs"]
mod threads;
