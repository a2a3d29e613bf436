//! Text files, and their text in chunks.

use std::fs::{self, File};
use std::io::{self, Read};
use std::mem;
use std::path::{Path, PathBuf};
use std::slice;

/// The most bytes of a chunk: with what is written around it, it fills 512 KiB of shared memory.
const MOST: usize = 511 << 10;
/// The fewest bytes of a chunk, except of the last one.
const LEAST: usize = 16 << 10;
/// Chunks for each worker, so that all workers finish at about the same time.
const FOR_EACH: usize = 8;

/// The least amount of text if no path was named: so much that the start of the workers does not
/// matter.
const ENOUGH: u64 = 400_000_000;

/// How many bytes decide whether a file is text.
const HEAD: usize = 8 << 10;

/// The text files under some paths.
#[derive(Default)]
pub(crate) struct Files {
    pub(crate) paths: Vec<PathBuf>,
    /// The length of all text; each file is added as often as it is counted.
    pub(crate) bytes: u64,
    /// How many times each file is counted.
    pub(crate) times: u64,
}

impl Files {
    /// Finds all text files under `paths`, and reads each of them once, so that no run is measured
    /// with a slower disk than the next.
    ///
    /// Reports on stderr which files cannot be read, and skips them.
    pub(crate) fn find(paths: &[PathBuf]) -> io::Result<Files> {
        let mut files = Files { times: 1, ..Files::default() };
        for path in paths {
            let about = fs::metadata(path).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })?;
            files.walk(path, about.is_dir());
        }
        Ok(files)
    }

    /// Sets how many times the files are counted; without a number, until there is enough text.
    pub(crate) fn repeat(&mut self, times: Option<u64>) {
        self.times = times.unwrap_or_else(|| ENOUGH.div_ceil(self.bytes.max(1)));
        self.bytes = self.bytes.saturating_mul(self.times);
    }

    fn walk(&mut self, path: &Path, is_dir: bool) {
        let looked = if is_dir { self.walk_dir(path) } else { self.look_at(path) };
        if let Err(error) = looked {
            eprintln!("wordcount: {} is left out: {error}", path.display());
        }
    }

    fn walk_dir(&mut self, dir: &Path) -> io::Result<()> {
        let mut entries = fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (name, kind) = (entry.file_name(), entry.file_type()?);
            // Links are not followed: their target is elsewhere, or counted already.
            if kind.is_file() || (kind.is_dir() && name != "target" && name != ".git") {
                self.walk(&entry.path(), kind.is_dir());
            }
        }
        Ok(())
    }

    fn look_at(&mut self, path: &Path) -> io::Result<()> {
        let mut file = File::open(path)?;
        let mut head = Vec::with_capacity(HEAD);
        let mut bytes = file.by_ref().take(HEAD as u64).read_to_end(&mut head)? as u64;
        if is_text(&head) {
            bytes += io::copy(&mut file, &mut io::sink())?;
            self.bytes += bytes;
            self.paths.push(path.to_owned());
        }
        Ok(())
    }

    /// Returns the text of all files in chunks of whole words, for this many workers.
    pub(crate) fn chunks(&self, workers: usize) -> Chunks<'_> {
        let share = usize::try_from(self.bytes).unwrap_or(usize::MAX) / (FOR_EACH * workers);
        Chunks {
            files: self,
            paths: self.paths.iter(),
            times: self.times,
            size: share.clamp(LEAST, MOST),
            file: None,
            bytes: Vec::new(),
        }
    }
}

/// Returns whether a file that begins like this is text: UTF-8 as far as it goes, without a NUL.
fn is_text(head: &[u8]) -> bool {
    let utf8 = match std::str::from_utf8(head) {
        Ok(_) => true,
        // The last character continues behind these bytes.
        Err(error) => error.error_len().is_none() && head.len() == HEAD,
    };
    utf8 && !head.contains(&0)
}

/// The text of some files in chunks of about the same size, each of whole words.
pub(crate) struct Chunks<'a> {
    files: &'a Files,
    /// The remaining files of this pass, and the remaining passes with this one.
    paths: slice::Iter<'a, PathBuf>,
    times: u64,
    size: usize,
    file: Option<(&'a Path, File)>,
    bytes: Vec<u8>,
}

impl Iterator for Chunks<'_> {
    type Item = io::Result<String>;

    fn next(&mut self) -> Option<io::Result<String>> {
        loop {
            match self.fill() {
                Ok(true) => {}
                Ok(false) if self.bytes.is_empty() => return None,
                Ok(false) => return Some(Ok(text(mem::take(&mut self.bytes)))),
                Err(error) => return Some(Err(error)),
            }
            if let Some(last) = self.bytes.iter().rposition(is_break) {
                let rest = self.bytes.split_off(last + 1);
                return Some(Ok(text(mem::replace(&mut self.bytes, rest))));
            }
        }
    }
}

impl Chunks<'_> {
    /// Reads until there is enough for a chunk (for one more, if all of it is one word) or there
    /// are no more files. Returns whether there may be more.
    fn fill(&mut self) -> io::Result<bool> {
        let whole = (self.bytes.len() / self.size + 1) * self.size;
        self.bytes.reserve_exact(whole - self.bytes.len());
        while self.bytes.len() < whole {
            let (path, file) = match &mut self.file {
                Some(open) => open,
                None => {
                    let Some(path) = self.next_path() else { return Ok(false) };
                    let file = File::open(path).map_err(|error| with_path(path, &error))?;
                    self.file.insert((path, file))
                }
            };
            let room = (whole - self.bytes.len()) as u64;
            let read = file
                .take(room)
                .read_to_end(&mut self.bytes)
                .map_err(|error| with_path(path, &error))?;
            if (read as u64) < room {
                self.file = None;
                self.bytes.push(b'\n'); // No word continues in the next file.
            }
        }
        Ok(true)
    }
}

impl<'a> Chunks<'a> {
    /// Returns the next file; after the last one the first, if there is another pass.
    fn next_path(&mut self) -> Option<&'a Path> {
        if self.paths.len() == 0 && self.times > 1 {
            self.times -= 1;
            self.paths = self.files.paths.iter();
        }
        self.paths.next().map(PathBuf::as_path)
    }
}

/// Returns whether this byte is a whole character outside words: a cut behind it cuts neither.
fn is_break(byte: &u8) -> bool {
    byte.is_ascii() && !byte.is_ascii_alphanumeric()
}

/// Cuts a text in two, in the middle if there is a gap between words.
pub(crate) fn halves(text: &str) -> (&str, &str) {
    let before = &text.as_bytes()[..text.len() / 2];
    text.split_at(before.iter().rposition(is_break).map_or(0, |last| last + 1))
}

fn with_path(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("reading {}: {error}", path.display()))
}

/// Returns bytes as text. A byte that is not UTF-8 counts as a character outside words.
fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}
