//! Views: segments mapped to be read only.

use std::fmt;
use std::io;
use std::ptr::NonNull;
use std::sync::Arc;

use ipc_core::__private::handle;
use ipc_sys as sys;
use ipc_sys::lease::Unforked;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser};

use super::footer::Footer;
use super::handle::arrived;
use super::lookup::{MODE, NameLookup};
use super::mapped::Mapped;
use super::path::SegmentPath;
use crate::attach::mapped_file::MappedFile;
use crate::copy::bytes_at;
use crate::value::checked::{Copied, Stored};

/// A read-only handle to a segment. Neither its mapping nor the descriptor that it sends can write.
///
/// A process that only has a view is not attached. A view keeps the memory, but not the name, and
/// no process waits for it. It is cloned and sent as a [`Segment`](crate::Segment) is.
///
/// It protects against accidents only. A process that has the rights to the object can open it
/// anew.
#[derive(Clone)]
pub struct View {
    inner: Arc<Inner>,
}

struct Inner {
    file: MappedFile,
    size: usize,
    segment_path: SegmentPath,
}

impl View {
    /// Opens the segment of this name to be read only. It may hold a value of any type.
    ///
    /// # Errors
    ///
    /// As [`Segment::open`](crate::Segment::open).
    pub fn open(name: &str) -> io::Result<View> {
        let lookup = NameLookup::new(SegmentPath::Name(name.to_owned()), MODE)?;
        Self::map(lookup.open_read_only()?, lookup.segment_path)
    }

    pub(super) fn of(mapped: &Mapped) -> io::Result<View> {
        mapped.not_forked()?;
        let fd = sys::descriptor::reopen_read_only(mapped.open_descriptor()?);
        let path = mapped.segment_path();
        Self::map(path.step("opening it to read", fd)?, path.clone())
    }

    fn map(fd: handle::OsHandle, segment_path: SegmentPath) -> io::Result<View> {
        let open = sys::borrow(&fd);
        let len = segment_path.step("looking at it", sys::memory::len(open))?;
        let size = Footer::of(open, len, &segment_path)?.map_or(len, |footer| footer.size);
        let mapping = segment_path.step("mapping it", sys::memory::map_read_only(open, len))?;
        if segment_path.step("looking at it", sys::memory::len(open))? != len {
            return Err(segment_path.refuse("its length changes"));
        }
        let fd = segment_path.step("looking at it", Unforked::open(|| Ok(fd)))?;
        let file = MappedFile::new(&segment_path, mapping, fd)?;
        Ok(View { inner: Arc::new(Inner { file, size, segment_path }) })
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
        self.inner.file.mapping().as_ptr()
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
        self.inner.segment_path.not_forked(self.inner.file.process())?;
        let end = offset.checked_add(to.len()).filter(|end| *end <= self.size());
        if end.is_none() {
            let text = format!("{} bytes at {offset} are not in its {}", to.len(), self.size());
            return Err(self.inner.segment_path.error(io::ErrorKind::InvalidInput, &text));
        }
        copy_out(self.inner.file.base(), offset, to);
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
        segment_path.not_forked(self.inner.file.process()).map_err(failed)?;
        let open = segment_path.open(self.inner.file.descriptor()).map_err(failed)?;
        let fd = segment_path
            .step("opening it again", sys::descriptor::reopen_read_only(open))
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
        let view = arrived(&fd, &segment_path, false).and_then(|()| Self::map(fd, segment_path));
        view.map_err(|error| de::Error::custom(handle::record_cause(error)))
    }
}
