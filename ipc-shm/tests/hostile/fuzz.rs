//! The fuzz targets with hostile peers, over their corpus: see `fuzz/` of the repository.

#![allow(unreachable_pub, reason = "the targets are a crate of their own as well")]

use testkit::fuzz::corpus;
use testkit::watchdog;

#[path = "../../../fuzz/src/ring_hostile.rs"]
mod ring_hostile;
#[path = "../../../fuzz/src/segment_image.rs"]
mod segment_image;

#[test]
fn the_corpus_of_scribbled_channels_finds_nothing() {
    let _watchdog = watchdog();
    corpus("ring_hostile", ring_hostile::run);
}

#[test]
fn the_corpus_of_segment_images_finds_nothing() {
    let _watchdog = watchdog();
    corpus("segment_image", segment_image::run);
}
