//! Segments: memory that processes share.

mod descriptor;
mod mapped;
mod origin;
#[cfg(all(test, target_os = "linux"))]
mod tests;

use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64};

use ipc_core::handle;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

pub(crate) use self::descriptor::Descriptor;
use self::mapped::{CURSOR, Mapped, not_forked};
use self::origin::Origin;
use crate::layout::PAGE;
use crate::member::Members;
use crate::step::step;
use crate::sys;
use crate::trailer::{Lifetime, Trailer};

/// How many processes can be attached to a segment at once, if nothing else is asked for.
const PARTICIPANTS: usize = 64;

/// Memory that processes share: a handle, cloned and sent freely.
#[derive(Clone)]
pub struct Segment {
    mapped: Arc<Mapped>,
}

impl Segment {
    /// Makes a segment of `size` bytes, all zero, that has no name: it goes when the last process that uses it
    /// has gone, however it goes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the size is 0 or larger than any memory; whatever the system answers, with the step
    /// that failed.
    pub fn anonymous(size: usize) -> io::Result<Segment> {
        Self::make_anonymous(size, PARTICIPANTS)
    }

    fn make_anonymous(size: usize, participants: usize) -> io::Result<Segment> {
        let origin = Origin::Anonymous;
        not_forked(&origin)?;
        let trailer = Trailer::new(size, participants, Lifetime::LastHandle, 0, PAGE)
            .map_err(|what| io::Error::new(io::ErrorKind::InvalidInput, format!("{origin}: {what}")))?;
        let fd = step(&origin, "creating it", sys::create("multiprocess-segment"))?;
        let open = sys::borrow(&fd);
        step(&origin, "sizing it", sys::set_len(open, trailer.len))?;
        step(&origin, "allocating it", sys::allocate(open, 0, trailer.len))?;
        step(&origin, "sealing it", sys::seal(open))?;
        let mapped = Mapped::create(fd, trailer, origin, |_| Ok(()))?.known();
        Ok(Segment { mapped })
    }

    /// Bytes of user data.
    #[must_use]
    pub fn size(&self) -> usize {
        self.mapped.size()
    }

    /// Who is attached.
    ///
    /// # Errors
    ///
    /// `Unsupported` of a foreign segment: nobody knows.
    pub(crate) fn members(&self) -> io::Result<&Members> {
        self.mapped.members().ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::Unsupported,
                format!(
                    "{}: it was not made by this library, so nobody knows who is attached: \
                     no locks in it, and nothing can be placed",
                    self.mapped.origin
                ),
            )
        })
    }

    /// Whether both are the same memory.
    #[must_use]
    pub fn same_segment(&self, other: &Segment) -> bool {
        self.mapped.identity() == other.mapped.identity()
    }

    /// Gives out `bytes` of user data, zero if nobody wrote there by an offset of his own, aligned so, never to be given out
    /// again; returns their offset.
    ///
    /// # Errors
    ///
    /// `StorageFull` if there is no room; `InvalidInput` if `align` is no power of two or more than a page;
    /// `Unsupported` of a foreign segment.
    pub(crate) fn place(&self, bytes: usize, align: usize) -> io::Result<usize> {
        self.members()?;
        let Some(cursor) = self.mapped.cursor() else { unreachable!("it has members") };
        if !align.is_power_of_two() || align > PAGE {
            return Err(self.error(io::ErrorKind::InvalidInput, "cannot place data with such an alignment"));
        }
        if self.mapped.forked() {
            return Err(self.error(io::ErrorKind::Unsupported, "this process was forked without exec"));
        }
        let mut at = cursor.load(CURSOR);
        loop {
            // Whatever a peer wrote there: checked on this copy.
            let start = usize::try_from(at).ok().and_then(|at| at.checked_next_multiple_of(align));
            let end = start.and_then(|start| start.checked_add(bytes));
            let (Some(start), Some(end)) = (start, end.filter(|end| *end <= self.size())) else {
                let text = format!("no room for {bytes} bytes more in its {}", self.size());
                return Err(self.error(io::ErrorKind::StorageFull, &text));
            };
            match cursor.compare_exchange(at, end as u64, CURSOR, CURSOR) {
                Ok(_) => return Ok(start),
                Err(now) => at = now,
            }
        }
    }

    fn error(&self, kind: io::ErrorKind, what: &str) -> io::Error {
        io::Error::new(kind, format!("{}: {what}", self.mapped.origin))
    }

    fn outside(&self, offset: usize, bytes: usize, align: usize) -> io::Error {
        let size = self.size();
        let what = format!("{bytes} bytes at {offset}, aligned to {align}, are not in its {size}");
        self.error(io::ErrorKind::InvalidInput, &what)
    }

    /// Where `bytes` bytes at `offset` lie, as long as a handle of the segment does.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if they are not in the segment, or not aligned so.
    pub(crate) fn at(&self, offset: usize, bytes: usize, align: usize) -> io::Result<NonNull<u8>> {
        self.mapped.at(offset, bytes, align).ok_or_else(|| self.outside(offset, bytes, align))
    }

    /// `n` words of 64 bits at `offset`.
    ///
    /// # Errors
    ///
    /// As [`at`](Segment::at).
    pub(crate) fn words64(&self, offset: usize, n: usize) -> io::Result<&[AtomicU64]> {
        self.mapped.words64(offset, n).ok_or_else(|| self.outside(offset, n.saturating_mul(8), 8))
    }

    /// `n` words of 32 bits at `offset`.
    ///
    /// # Errors
    ///
    /// As [`at`](Segment::at).
    pub(crate) fn words32(&self, offset: usize, n: usize) -> io::Result<&[AtomicU32]> {
        self.mapped.words32(offset, n).ok_or_else(|| self.outside(offset, n.saturating_mul(4), 4))
    }
}

impl fmt::Debug for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Segment")
            .field("origin", &format_args!("{}", self.mapped.origin))
            .field("size", &self.size())
            .finish()
    }
}

impl Serialize for Segment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        // Asked first: taking an id for a message that cannot carry it would be for nothing.
        handle::carried().map_err(|error| ser::Error::custom(handle::because(error)))?;
        not_forked(&self.mapped.origin).map_err(|error| ser::Error::custom(handle::because(error)))?;
        let (lease, id) = self.mapped.issue().map_err(|error| ser::Error::custom(handle::because(error)))?;
        let index = handle::attach(lease).map_err(|error| ser::Error::custom(handle::because(error)))?;
        (index, id, &self.mapped.origin).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Segment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (index, id, origin) = <(u32, u16, Origin)>::deserialize(deserializer)?;
        let fd = handle::take(index).ok_or_else(|| {
            de::Error::custom(handle::because(format!("{origin}: its descriptor did not arrive")))
        })?;
        let mapped = arrive(fd, id, origin).map_err(|error| de::Error::custom(handle::because(error)))?;
        Ok(Segment { mapped })
    }
}

/// What came in a message: nothing of it is believed.
fn arrive(fd: handle::OsHandle, id: u16, origin: Origin) -> io::Result<Arc<Mapped>> {
    let open = sys::borrow(&fd);
    let sealed = sys::sealed(open);
    if !step(&origin, "looking at it", sys::mappable(open))? || (origin == Origin::Anonymous && !sealed) {
        let text =
            format!("{origin}: segment refused: what arrived is not a sealed object to read and write");
        return Err(io::Error::new(io::ErrorKind::InvalidData, text));
    }
    Mapped::attach(fd, (id != 0).then_some(id), origin)
}
