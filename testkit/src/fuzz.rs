//! The input of a fuzz target, and the committed corpus in an ordinary test.
//!
//! What each target does with an input is in `fuzz/src`: some of it needs what the libraries have
//! in tests and for fuzzing only, so those files are compiled where that is.

use std::path::{Path, PathBuf};

use crate::Random;

/// What is left of an input, taken byte by byte.
pub struct Input<'a>(pub &'a [u8]);

impl Iterator for Input<'_> {
    type Item = u8;

    /// The next byte, if there is one: what a loop over operations ends with.
    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }
}

impl Input<'_> {
    /// Returns the next byte, or 0.
    pub fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// Returns a number below `n`, which is 256 at most.
    pub fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }
}

/// Runs a target over its corpus, over each input's beginnings, and over inputs made of nothing but
/// numbers.
pub fn corpus(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut inputs: Vec<PathBuf> = std::fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.expect("a folder can be read").path())
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "no corpus in {}", folder.display());
    for path in inputs {
        // Said if it fails.
        println!("{}", path.display());
        let data = std::fs::read(&path).expect("a file can be read");
        run(&data);
        (0..data.len().min(64)).for_each(|len| run(&data[..len]));
    }
    let mut random = Random::new(1);
    for round in 0..200 {
        let data: Vec<u8> = (0..3 * round).map(|_| random.below(256) as u8).collect();
        println!("random {round}");
        run(&data);
    }
}
