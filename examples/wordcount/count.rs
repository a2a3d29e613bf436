//! Counts words.
//!
//! A word is a maximal run of alphanumeric characters, in lower case.

use std::hash::BuildHasher;
use std::mem;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Serialize};

/// Counts in the form in which they travel: small, and encoded without a step for each word.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// The words, each with a line break behind it.
    words: String,
    /// The count of each word, in the same order.
    seen: Vec<u64>,
}

impl Counts {
    /// Returns every word once, with its count.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.words.lines().zip(self.seen.iter().copied())
    }
}

/// Counts words.
#[derive(Default)]
pub(crate) struct Counter {
    /// The words, each with a line break behind it.
    words: String,
    table: HashTable<Entry>,
    hasher: DefaultHashBuilder,
    /// A word in lower case, while it is made.
    lower: String,
}

/// A word, as its place among the words, and its count.
struct Entry {
    begin: u32,
    end: u32,
    seen: u64,
}

impl Entry {
    fn word<'a>(&self, words: &'a str) -> &'a str {
        &words[self.begin as usize..self.end as usize]
    }
}

impl Counter {
    /// Counts the words of `text`.
    pub(crate) fn count(&mut self, text: &str) {
        let bytes = text.as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            let begin = at;
            while at < bytes.len() && CLASS[bytes[at] as usize] == PLAIN {
                at += 1;
            }
            match bytes.get(at).map_or(BREAK, |byte| CLASS[*byte as usize]) {
                BREAK => {
                    if begin < at {
                        self.add(&text[begin..at], 1);
                    }
                    at += 1;
                }
                _ => at = self.count_other(text, begin),
            }
        }
    }

    /// Counts the word that begins at `begin`, with any letters, and returns where it ends.
    fn count_other(&mut self, text: &str, begin: usize) -> usize {
        let mut lower = mem::take(&mut self.lower);
        lower.clear();
        let mut end = text.len();
        for (i, c) in text[begin..].char_indices() {
            if c.is_ascii_alphanumeric() {
                lower.push(c.to_ascii_lowercase());
            } else if c.is_alphanumeric() {
                lower.extend(c.to_lowercase());
            } else {
                end = begin + i + c.len_utf8();
                break;
            }
        }
        if !lower.is_empty() {
            self.add(&lower, 1);
        }
        self.lower = lower;
        end
    }

    /// Adds all of `counts`.
    pub(crate) fn merge(&mut self, counts: &Counts) {
        for (word, seen) in counts.iter() {
            self.add(word, seen);
        }
    }

    fn add(&mut self, word: &str, seen: u64) {
        let Counter { words, table, hasher, .. } = self;
        let hash = hasher.hash_one(word);
        if let Some(entry) = table.find_mut(hash, |entry| entry.word(words) == word) {
            entry.seen += seen;
            return;
        }
        let begin = words.len() as u32;
        words.push_str(word);
        let end = u32::try_from(words.len()).expect("no more than 4 GB of different words");
        words.push('\n');
        table.insert_unique(hash, Entry { begin, end, seen }, |entry| {
            hasher.hash_one(entry.word(words))
        });
    }

    /// Takes the counts so far, and begins anew.
    pub(crate) fn take(&mut self) -> Counts {
        let mut entries: Vec<Entry> = self.table.drain().collect();
        entries.sort_unstable_by_key(|entry| entry.begin);
        let seen = entries.iter().map(|entry| entry.seen).collect();
        // The next words will be about as many.
        let next = String::with_capacity(self.words.len());
        Counts { words: mem::replace(&mut self.words, next), seen }
    }

    /// Returns the number of different words.
    pub(crate) fn different(&self) -> usize {
        self.table.len()
    }

    /// Returns the number of words.
    pub(crate) fn total(&self) -> u64 {
        self.table.iter().map(|entry| entry.seen).sum()
    }

    /// Returns all words, the most frequent first; words of one count in alphabetical order.
    pub(crate) fn sorted(&self) -> Vec<(&str, u64)> {
        let mut all: Vec<_> =
            self.table.iter().map(|entry| (entry.word(&self.words), entry.seen)).collect();
        all.sort_unstable_by(|(a, seen_a), (b, seen_b)| seen_b.cmp(seen_a).then(a.cmp(b)));
        all
    }
}

/// Part of a word that needs no change: a digit, or a small letter.
const PLAIN: u8 = 0;
/// Not part of a word.
const BREAK: u8 = 1;
/// A capital, or part of a character that is not ASCII.
const OTHER: u8 = 2;

/// The class of each byte of a text.
static CLASS: [u8; 256] = {
    let mut class = [BREAK; 256];
    let mut byte = 0;
    while byte < 256 {
        class[byte] = match byte as u8 {
            b'0'..=b'9' | b'a'..=b'z' => PLAIN,
            b'A'..=b'Z' | 0x80..=0xff => OTHER,
            _ => BREAK,
        };
        byte += 1;
    }
    class
};
