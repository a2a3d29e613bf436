//! The footer: a segment's description and its participants, in its last pages, behind the user's
//! data.
//!
//! ```text
//! offset 0           size    (page)                               len-256      len-128      len
//!        ┌───────────┬───────┬─────────┬─────────┬─ … ┬─ … ───────┬────────────┬────────────┐
//!        │ user data │       │ entry 0 │ entry 1 │    │           │ meta       │ cursor     │
//!        └───────────┴───────┴─────────┴─────────┴─ … ┴─ … ───────┴────────────┴────────────┘
//!                            └── footer: whole pages ───────────────────────────────────────┘
//! ```
//!
//! User data begins at offset 0, so a program that does not know this crate, and maps the object,
//! finds it there. The length of the object determines where the footer is. An object without a
//! footer is *foreign*: just bytes, with unknown users.
//!
//! | word | bits |
//! |---|---|
//! | `entry.life` | 63..32 generation, 1 ending, 0 used; of entry 0, the number of deaths |
//! | `entry.pid_hint` | as in [`layout`](crate::layout): a hint |
//! | `cursor` | the first byte of user data that is not allocated yet |
//!
//! *meta* is the [`Description`]. All words are `u64` in the machine's own byte order. The magic
//! number shows a different one.

use std::io;

use ipc_sys as sys;

use super::path::SegmentPath;
use crate::attach::entries::ENTRY;
use crate::attach::lease::{ByteLocks, Leases};
use crate::layout::{CacheLine, Description, MAX_LEN, MAX_PARTICIPANTS, PAGE};

/// The last 256 bytes of a segment.
#[repr(C)]
pub(crate) struct EndWords {
    description: Description,
    /// Written by each process that allocates user data. Everything else here does not change.
    pub(crate) cursor: CacheLine,
}

/// Bytes of [`EndWords`].
pub(crate) const END_WORDS: usize = 256;
const _: () = {
    assert!(size_of::<EndWords>() == END_WORDS);
    assert!(std::mem::offset_of!(EndWords, cursor) == 128);
};

const MAGIC: u64 = u64::from_le_bytes(*b"MPROCSHM");
/// The number in its place if a machine of the other byte order made the segment.
const OTHER_ORDER: u64 = MAGIC.swap_bytes();
/// The number in its place while a segment that other processes can already see is not finished.
const MAKING: u64 = u64::from_le_bytes(*b"mprocshm");
const VERSION: u64 = 1;
const WORD_SIZE: u64 = 8;

/// When the name of a segment is removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lifetime {
    /// The last process that is attached removes the name when it detaches.
    ///
    /// If the last processes were killed, the name stays until a process opens, replaces or removes
    /// it.
    #[default]
    LastHandle,
    /// The name stays until a process calls `Segment::unlink`, or removes the file.
    Persistent,
}

/// The sizes and places of a segment, checked, in this process' own memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Footer {
    /// Bytes of the whole object.
    pub(crate) len: usize,
    /// Bytes of user data.
    pub(crate) size: usize,
    /// The most processes that can be attached.
    pub(crate) participants: usize,
    pub(crate) lifetime: Lifetime,
    /// The fingerprint of the type that lies at offset 0; 0 if the segment is just bytes.
    pub(crate) fingerprint: u64,
}

/// What the last bytes of an object are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FooterState {
    Ours(Footer),
    /// The process that makes it died before it was finished, or is still making it.
    Unfinished,
    /// Its last bytes are not a footer.
    Foreign,
    /// It is, or was, a segment of this crate, and is refused for this reason.
    Refused(&'static str),
}

impl FooterState {
    /// Reads the end of an object of `len` bytes.
    pub(crate) fn find(open: sys::Borrowed<'_>, len: usize) -> io::Result<FooterState> {
        if len == 0 {
            return Ok(FooterState::Refused("it is empty"));
        }
        if len % PAGE != 0 {
            return Ok(FooterState::Foreign);
        }
        let mut copy = [0; Description::BYTES];
        sys::memory::read_at(open, &mut copy, (len - END_WORDS) as u64)?;
        Ok(Footer::read(len, &copy).unwrap_or_else(FooterState::Refused))
    }
}

impl Footer {
    /// Reads the footer of an object of `len` bytes. Returns `None` if it is foreign.
    ///
    /// # Errors
    ///
    /// `InvalidData` if it is unfinished or refused.
    pub(crate) fn of(
        open: sys::Borrowed<'_>,
        len: usize,
        segment_path: &SegmentPath,
    ) -> io::Result<Option<Footer>> {
        let found = FooterState::find(open, len);
        match segment_path.step("reading its description", found)? {
            FooterState::Ours(footer) => Ok(Some(footer)),
            FooterState::Foreign => Ok(None),
            FooterState::Unfinished => {
                Err(segment_path.refuse("its creator has not finished it, or died"))
            }
            FooterState::Refused(what) => Err(segment_path.refuse(what)),
        }
    }

    /// Returns the footer of a new segment.
    ///
    /// The length of its object is a multiple of `granule`, a power of two and at least a page.
    pub(crate) fn new(
        size: usize,
        participants: usize,
        lifetime: Lifetime,
        fingerprint: u64,
        granule: usize,
    ) -> Result<Footer, &'static str> {
        if size == 0 {
            return Err("a size of 0");
        }
        if participants == 0 || participants > MAX_PARTICIPANTS {
            return Err("participants are 0 or more than 1023");
        }
        if size > MAX_LEN {
            return Err("larger than any address space");
        }
        debug_assert!(granule.is_power_of_two() && granule % PAGE == 0);
        let len =
            (size.next_multiple_of(PAGE) + footer_len(participants)).next_multiple_of(granule);
        Ok(Footer { len, size, participants, lifetime, fingerprint })
    }

    /// Returns the offset at which the entries begin.
    pub(crate) fn entries_offset(&self) -> usize {
        self.len - footer_len(self.participants)
    }

    /// Entries, the unused one of id 0 included.
    pub(crate) fn entries(&self) -> usize {
        self.participants + 1
    }

    /// Returns how many participants are alive, including those on their way.
    ///
    /// The kernel says so through any open file.
    pub(crate) fn living(&self, open: sys::Borrowed<'_>) -> usize {
        (1..self.entries() as u64).filter(|id| ByteLocks(open).alive(*id)).count()
    }

    /// Writes the description of a new segment.
    pub(crate) fn write(&self, end_words: &EndWords) {
        let lifetime = match self.lifetime {
            Lifetime::LastHandle => 0,
            Lifetime::Persistent => 1,
        };
        let sizes = [self.len, self.size, self.participants].map(|size| size as u64);
        let [len, size, participants] = sizes;
        let words = [WORD_SIZE, len, size, participants, lifetime, self.fingerprint];
        end_words.description.write(MAGIC, VERSION, words);
    }

    /// Returns the last words of an unfinished object, and their offset.
    ///
    /// The object ends with them. So an object that was empty gets its length and its mark at once.
    pub(crate) fn unfinished(&self) -> ([u8; END_WORDS], usize) {
        let mut end_words = [0; END_WORDS];
        end_words[..8].copy_from_slice(&MAKING.to_ne_bytes());
        (end_words, self.len - END_WORDS)
    }

    /// Checks a copy of the description of an object of `len` bytes.
    fn read(len: usize, copy: &[u8; Description::BYTES]) -> Result<FooterState, &'static str> {
        match Description::magic(copy) {
            MAGIC => {}
            MAKING => return Ok(FooterState::Unfinished),
            OTHER_ORDER => return Err("made on a machine of the other byte order"),
            _ => return Ok(FooterState::Foreign),
        }
        let words = Description::check(copy, VERSION)?;
        let [word_size, said, size, participants, lifetime, fingerprint] = words;
        if word_size != WORD_SIZE {
            return Err("made on a machine of another word size");
        }
        let small = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        let lifetime = match lifetime {
            0 => Lifetime::LastHandle,
            1 => Lifetime::Persistent,
            _ => return Err("its description is damaged (lifetime)"),
        };
        let made = Footer::new(small(size), small(participants), lifetime, fingerprint, PAGE)
            .map_err(|_| "its description is damaged (size or participants)")?;
        if small(said) != len || made.len > len || len > MAX_LEN {
            return Err("it is not as long as it says");
        }
        // With huge pages, the object is longer than it had to be.
        Ok(FooterState::Ours(Footer { len, ..made }))
    }
}

/// Bytes of a footer.
fn footer_len(participants: usize) -> usize {
    ((participants + 1) * ENTRY + END_WORDS).next_multiple_of(PAGE)
}
