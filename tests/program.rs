//! Programs: what children do in `main` before they come to `init`, and what they leave to others.
//!
//! Children of a `#[test]` never run `main`. So this file has a `main` of its own: it runs each
//! test in a process of its own, whose first thread is the test's, as the `main` of a program would
//! be.
#![cfg_attr(not(target_os = "linux"), allow(unused))]

#[cfg(target_os = "linux")]
#[path = "program/descriptors.rs"]
mod descriptors;
#[cfg(target_os = "linux")]
#[path = "program/rights.rs"]
mod rights;
#[path = "program/runner.rs"]
mod runner;
#[cfg(target_os = "linux")]
#[path = "program/start.rs"]
mod start;
#[cfg(target_os = "linux")]
#[path = "process/support.rs"]
#[allow(dead_code, reason = "the tests of processes use more of it")]
mod support;

fn main() {
    #[cfg(target_os = "linux")]
    runner::run(&[start::TESTS, descriptors::TESTS, rights::TESTS]);
}
