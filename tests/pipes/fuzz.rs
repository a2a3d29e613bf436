//! The fuzz targets over their corpus: what was found once is not found again. Those that need what
//! only unit tests and hostile peers see are in `ipc-shm` (`src/fuzz.rs`, `tests/hostile`).
#![allow(unreachable_pub, reason = "the targets are a crate of their own as well")]

use testkit::fuzz::{Input, corpus};
use testkit::watchdog;

#[path = "../../fuzz/src/codec.rs"]
mod codec;
#[path = "../../fuzz/src/frame.rs"]
mod frame;
#[path = "../../fuzz/src/names.rs"]
mod names;

#[test]
fn the_corpus_of_encoded_messages_finds_nothing() {
    let _watchdog = watchdog();
    corpus("codec", codec::run);
}

#[test]
fn the_corpus_of_frames_finds_nothing() {
    let _watchdog = watchdog();
    corpus("frame", frame::run);
}

#[test]
fn the_corpus_of_names_finds_nothing() {
    let _watchdog = watchdog();
    corpus("names", names::run);
}

#[test]
fn an_input_ends() {
    let mut input = Input(&[1, 2]);
    assert_eq!((input.next(), input.below(256), input.next(), input.byte()), (Some(1), 2, None, 0));
}
