//! The words that several values are packed into.

/// The mask of the owner, which has 10 bits. 0 stands for no owner.
pub(crate) const OWNER: u64 = (1 << 10) - 1;
/// The largest number of participants that a segment can have.
pub(crate) const MAX_PARTICIPANTS: usize = OWNER as usize;
const FIELD: u32 = 10;
const FIELD_MASK: u64 = (1 << 6) - 1;
/// The flag in `tail` after which no claim succeeds any more.
pub(crate) const CLOSED: u64 = 1 << 16;
const POS: u32 = 17;
/// The mask of a position. Positions count modulo 2^47.
pub(crate) const POS_MASK: u64 = (1 << 47) - 1;
/// The largest batch that the count of a claim can express.
pub(crate) const MAX_BATCH: usize = FIELD_MASK as usize;

/// Packs `tail` or `head`: `{ pos, closed, count, owner }` of the last claim.
#[inline]
pub(crate) const fn claim(pos: u64, count: u64, owner: u64) -> u64 {
    (pos << POS) | (count << FIELD) | owner
}

/// Returns the position in a packed word.
#[inline]
pub(crate) const fn pos(word: u64) -> u64 {
    word >> POS
}

/// Returns the count of a claim.
#[inline]
pub(crate) const fn count(word: u64) -> u64 {
    (word >> FIELD) & FIELD_MASK
}

/// Returns the owner in a packed word.
#[inline]
pub(crate) const fn owner(word: u64) -> u64 {
    word & OWNER
}

/// Returns the kind in the state of a slot or block.
#[inline]
pub(crate) const fn kind(word: u64) -> u64 {
    (word >> FIELD) & FIELD_MASK
}

/// The state of a slot: `{ pos, kind, owner }`.
pub(crate) mod slot {
    use super::{FIELD, POS};

    pub(crate) const FREE: u64 = 0;
    pub(crate) const WRITING: u64 = 1;
    pub(crate) const READY: u64 = 2;
    pub(crate) const READING: u64 = 3;
    pub(crate) const VOID: u64 = 4;
    pub(crate) const ORPHAN: u64 = 5;

    /// The slot may be claimed for writing as `pos`.
    ///
    /// Or it is claimed but unsigned, which only a slot of the last claim can be.
    #[inline]
    pub(crate) const fn free(pos: u64) -> u64 {
        (pos << POS) | (FREE << FIELD)
    }
    /// The slot is claimed for writing by `owner`, and signed.
    #[inline]
    pub(crate) const fn writing(pos: u64, owner: u64) -> u64 {
        (pos << POS) | (WRITING << FIELD) | owner
    }
    /// The slot holds message `pos`.
    ///
    /// It may be claimed for reading but unsigned, which only a slot of the last claim can be.
    #[inline]
    pub(crate) const fn ready(pos: u64) -> u64 {
        (pos << POS) | (READY << FIELD)
    }
    /// The slot is claimed for reading by `owner`, and signed.
    #[inline]
    pub(crate) const fn reading(pos: u64, owner: u64) -> u64 {
        (pos << POS) | (READING << FIELD) | owner
    }
    /// The slot holds no message, because its writer died or gave up.
    #[inline]
    pub(crate) const fn void(pos: u64) -> u64 {
        (pos << POS) | (VOID << FIELD)
    }
    /// The slot holds message `pos`, whose reader died.
    #[inline]
    pub(crate) const fn orphan(pos: u64) -> u64 {
        (pos << POS) | (ORPHAN << FIELD)
    }
}

/// The state of a block: `{ pos, kind, owner }`.
pub(crate) mod block {
    use super::{FIELD, POS};

    pub(crate) const HELD: u64 = 1;
    pub(crate) const IN_FLIGHT: u64 = 2;
    pub(crate) const LENT: u64 = 3;
    pub(crate) const LOST: u64 = 4;

    /// Any process may claim the block.
    pub(crate) const FREE: u64 = 0;
    /// `owner` fills the block, or has acknowledged its message and still reads it.
    #[inline]
    pub(crate) const fn held(owner: u64) -> u64 {
        (HELD << FIELD) | owner
    }
    /// The block holds message `pos`, whose slot is not past it.
    #[inline]
    pub(crate) const fn in_flight(pos: u64) -> u64 {
        (pos << POS) | (IN_FLIGHT << FIELD)
    }
    /// The block holds message `pos`, which `owner` reads and has not acknowledged.
    #[inline]
    pub(crate) const fn lent(pos: u64, owner: u64) -> u64 {
        (pos << POS) | (LENT << FIELD) | owner
    }
    /// The block holds message `pos`, whose reader died.
    #[inline]
    pub(crate) const fn lost(pos: u64) -> u64 {
        (pos << POS) | (LOST << FIELD)
    }
}

/// The word `members`: flags below a count of attachments.
pub(crate) mod members {
    pub(crate) const SENDERS_GONE: u64 = 1;
    pub(crate) const RECEIVERS_GONE: u64 = 2;
    pub(crate) const SENDERS_DIED: u64 = 4;
    pub(crate) const RECEIVERS_DIED: u64 = 8;
    pub(crate) const GONE: u64 = SENDERS_GONE | RECEIVERS_GONE;
    pub(crate) const SEQ: u64 = 16;
}

/// An entry, which counts the endpoints of a participant.
pub(crate) mod entry {
    pub(crate) const USED: u64 = 1 << 63;
    const COUNT: u64 = (1 << 24) - 1;
    /// The largest number of endpoints of one role in one process.
    pub(crate) const MAX_ENDPOINTS: usize = COUNT as usize;

    pub(crate) const fn used(senders: usize, receivers: usize) -> u64 {
        USED | (receivers as u64 & COUNT) << 24 | (senders as u64 & COUNT)
    }
    pub(crate) const fn senders(word: u64) -> usize {
        (word & COUNT) as usize
    }
    pub(crate) const fn receivers(word: u64) -> usize {
        ((word >> 24) & COUNT) as usize
    }
}

/// The process of a participant, for peers that let the kernel notify them of its death.
///
/// No decision depends on it, because a process number has a meaning in one namespace only, and is
/// used again.
pub(crate) mod pid_hint {
    /// The participant is not attached yet, or its process does not know its own number.
    pub(crate) const NONE: u64 = 0;

    pub(crate) const fn word(pid: u32, namespace: u64) -> u64 {
        (pid as u64) << 32 | namespace & 0xffff_ffff
    }
    pub(crate) const fn pid(word: u64) -> u32 {
        (word >> 32) as u32
    }
    pub(crate) const fn namespace(word: u64) -> u32 {
        word as u32
    }
    /// Returns the pid of a participant, if it is known and names the same process for `me`.
    ///
    /// In another namespace the number names another process.
    pub(crate) fn known_to(me: u64, word: u64) -> Option<u32> {
        (word != NONE && namespace(word) == namespace(me)).then_some(pid(word))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::pid_hint;

    #[test]
    fn who_is_told_apart_by_number_and_namespace() {
        let word = pid_hint::word(u32::MAX - 1, 0x1_f000_0002);
        assert_eq!((pid_hint::pid(word), pid_hint::namespace(word)), (u32::MAX - 1, 0xf000_0002));
        assert_ne!(pid_hint::word(1, 0), pid_hint::NONE);
    }
}
