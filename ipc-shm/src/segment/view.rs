//! Views: segments mapped to be read only.

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;
use std::sync::Arc;

use ipc_core::__private::handle;
use ipc_core::__private::step;
use ipc_sys as sys;
use ipc_sys::lease::Unforked;
use ipc_sys::memory::MmapRaw;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::Segment;
use super::builder::SegmentBuilder;
use super::mapped::{find, not_forked, refused};
use super::path::SegmentPath;
use crate::attach::descriptor::Descriptor;
use crate::copy::bytes_at;
use crate::segment::footer::FooterState;
use crate::value::checked::{Copied, Stored};

/// A read-only handle to a segment. Neither its mapping nor the descriptor that it sends can write.
///
/// A process that only has a view is not attached. A view keeps the memory, but not the name, and
/// no process waits for it. It is cloned and sent as a [`Segment`] is.
///
/// It protects against accidents only. A process that has the rights to the object can open it
/// anew.
#[derive(Clone)]
pub struct View {
    inner: Arc<Inner>,
}

struct Inner {
    mapping: ManuallyDrop<MmapRaw>,
    size: usize,
    fork: sys::fork::ForkCheck,
    descriptor: Descriptor,
    segment_path: SegmentPath,
}

impl View {
    /// Opens the segment of this name to be read only. It may hold a value of any type.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`].
    pub fn open(name: &str) -> io::Result<View> {
        let lookup = SegmentBuilder::new(0).lookup(SegmentPath::Name(name.to_owned()))?;
        Self::map(lookup.open_read_only()?, lookup.segment_path)
    }

    pub(super) fn of(segment: &Segment) -> io::Result<View> {
        let mapped = &segment.mapped;
        mapped.not_forked()?;
        let fd = step(
            mapped.segment_path(),
            "opening it to read",
            sys::descriptor::reopen_read_only(mapped.open_descriptor()?),
        )?;
        Self::map(fd, mapped.segment_path().clone())
    }

    fn map(fd: handle::OsHandle, segment_path: SegmentPath) -> io::Result<View> {
        let open = sys::borrow(&fd);
        let len = step(&segment_path, "looking at it", sys::memory::len(open))?;
        let found = find(open, len).map_err(|error| match error {
            Ok(what) => refused(&segment_path, what),
            Err(error) => io::Error::new(
                error.kind(),
                format!("{segment_path}: reading its description: {error}"),
            ),
        })?;
        let size = match found {
            FooterState::Ours(footer) => footer.size,
            FooterState::Foreign => len,
            FooterState::Unfinished => {
                return Err(refused(&segment_path, "its creator has not finished it, or died"));
            }
        };
        let mapping = step(&segment_path, "mapping it", sys::memory::map_read_only(open, len))?;
        if step(&segment_path, "looking at it", sys::memory::len(open))? != len {
            return Err(refused(&segment_path, "its length changes"));
        }
        let descriptor = step(
            &segment_path,
            "looking at it",
            Unforked::open(|| Ok(fd)).and_then(Descriptor::new),
        )?;
        let inner = Inner {
            mapping: ManuallyDrop::new(mapping),
            size,
            fork: sys::fork::ForkCheck::new(),
            descriptor,
            segment_path,
        };
        Ok(View { inner: Arc::new(inner) })
    }

    /// Returns the number of bytes of user data.
    #[must_use]
    pub fn size(&self) -> usize {
        self.inner.size
    }

    /// Returns where the bytes begin. Valid as long as a clone of this view lives.
    ///
    /// To write there is SIGSEGV. Other processes may write there at any time.
    #[must_use]
    pub fn as_ptr(&self) -> *const u8 {
        self.inner.mapping.as_ptr()
    }

    /// Copies the bytes at `offset` to `to`.
    ///
    /// If a peer writes there meanwhile, the result may be any mixture of old and new bytes.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if they are not all in the segment; `Unsupported` in a process that was
    /// forked since.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> io::Result<()> {
        not_forked(self.inner.fork, &self.inner.segment_path)?;
        let end = offset.checked_add(to.len()).filter(|end| *end <= self.size());
        if end.is_none() {
            let text = format!(
                "{}: {} bytes at {offset} are not in its {}",
                self.inner.segment_path,
                to.len(),
                self.size()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let base = NonNull::new(self.inner.mapping.as_mut_ptr()).expect("a mapping is somewhere");
        copy_out(base, offset, to);
        Ok(())
    }

    /// Returns a copy of a value, which may be torn, as in [`read`](View::read).
    ///
    /// # Errors
    ///
    /// As [`read`](View::read).
    pub fn get<T: Stored>(&self, offset: usize) -> io::Result<T> {
        let mut copied = Copied::new();
        self.read(offset, copied.bytes())?;
        Ok(copied.value())
    }
}

#[allow(unsafe_code)]
fn copy_out(base: NonNull<u8>, offset: usize, to: &mut [u8]) {
    // SAFETY: `read` has checked that so many bytes are in the mapping.
    let from = unsafe { base.add(offset) };
    // SAFETY: as above. The mapping is shared memory, which this process accesses in no other way.
    unsafe { bytes_at::read(from, to) }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if !self.fork.forked() {
            unmap(&mut self.mapping);
        }
    }
}

#[allow(unsafe_code)]
fn unmap(mapping: &mut ManuallyDrop<MmapRaw>) {
    // SAFETY: called once, by the drop above. Each reader holds the view, so none is left.
    unsafe { ManuallyDrop::drop(mapping) }
}

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("View")
            .field("path", &format_args!("{}", self.inner.segment_path))
            .field("size", &self.size())
            .finish()
    }
}

impl Serialize for View {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let failed = |error: io::Error| ser::Error::custom(handle::record_cause(error));
        handle::carried().map_err(|error| ser::Error::custom(handle::record_cause(error)))?;
        let segment_path = &self.inner.segment_path;
        not_forked(self.inner.fork, segment_path).map_err(failed)?;
        let open = self.inner.descriptor.get().ok_or_else(|| {
            failed(io::Error::other(format!(
                "{segment_path}: this program has closed the segment's descriptor"
            )))
        })?;
        let fd = step(segment_path, "opening it again", sys::descriptor::reopen_read_only(open))
            .map_err(failed)?;
        let index =
            handle::attach(fd).map_err(|error| ser::Error::custom(handle::record_cause(error)))?;
        (index, segment_path).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for View {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (index, segment_path) = <(u32, SegmentPath)>::deserialize(deserializer)?;
        let fd = handle::take(index).ok_or_else(|| {
            de::Error::custom(handle::record_cause(format!(
                "{segment_path}: its descriptor did not arrive"
            )))
        })?;
        let arrived =
            super::arrived(&fd, &segment_path, false).and_then(|()| Self::map(fd, segment_path));
        arrived.map_err(|error| de::Error::custom(handle::record_cause(error)))
    }
}
