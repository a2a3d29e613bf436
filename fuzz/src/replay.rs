//! The committed corpus, in an ordinary test.

use std::path::{Path, PathBuf};

use super::input::Input;

/// Runs a target over its corpus, over each input's beginnings, and over inputs made of nothing but
/// numbers.
pub fn corpus(target: &str, run: fn(&[u8])) {
    // The root of the workspace, or of a crate in it.
    let root =
        ["", ".."].map(|up| Path::new(env!("CARGO_MANIFEST_DIR")).join(up).join("fuzz/corpus"));
    let root = root.iter().find(|root| root.exists()).expect("the targets are in this repository");
    let folder = root.join(target);
    let mut inputs: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder can be read").path())
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "no corpus in {}", folder.display());
    for path in inputs {
        // Printed if it fails.
        println!("{}", path.display());
        let data = std::fs::read(&path).expect("a file can be read");
        run(&data);
        (0..data.len().min(64)).for_each(|len| run(&data[..len]));
    }
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    for round in 0..200 {
        let data: Vec<u8> = std::iter::repeat_with(|| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random as u8
        })
        .take(3 * round)
        .collect();
        println!("random {round}");
        run(&data);
    }
}

#[test]
fn an_input_ends() {
    let mut input = Input(&[1, 2]);
    assert_eq!((input.next(), input.below(256), input.next(), input.byte()), (Some(1), 2, None, 0));
}
