//! Names that no other test uses, and what can be seen of a segment from outside.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use ipc_core::__private::handle;
use multiprocess::shm::Segment;
use serde::Serialize;
use serde::de::DeserializeOwned;
use testkit::forbid;

/// A name that is this test's. What is left under it when the test ends goes.
pub(crate) struct Name(pub(crate) String);

impl Name {
    pub(crate) fn new(what: &str) -> Name {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Relaxed); // Relaxed: a number.
        Name(format!("multiprocess-test-{}-{number}-{what}", std::process::id()))
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from("/dev/shm").join(&self.0)
    }

    /// Whether anything is there under this name.
    pub(crate) fn is_there(&self) -> bool {
        self.path().symlink_metadata().is_ok()
    }
}

impl std::ops::Deref for Name {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let path = self.path();
        let _ = std::fs::remove_file(&path).or_else(|_| std::fs::remove_dir(&path));
    }
}

/// What is written at the beginning of a segment.
pub(crate) fn text(segment: &Segment) -> String {
    let mut bytes = [0; 16];
    segment.read(0, &mut bytes).unwrap();
    String::from_utf8_lossy(&bytes).trim_end_matches('\0').to_owned()
}

/// A handle, as it goes to another process: bytes and descriptors.
pub(crate) fn send(value: &impl Serialize) -> (Vec<u8>, Vec<handle::OsHandle>) {
    let (bytes, handles) = handle::collect(|| postcard::to_stdvec(value));
    (bytes.unwrap(), handles)
}

/// What arrives of it.
pub(crate) fn arrive<T: DeserializeOwned>(
    bytes: &[u8],
    handles: Vec<handle::OsHandle>,
) -> Result<T, String> {
    handle::provide(handles, || postcard::from_bytes(bytes)).map_err(handle::cause_text)
}

/// From now on no file system makes files without a name (`O_TMPFILE`) in this thread.
pub(crate) fn forbid_unnamed() {
    let flag = libc::O_TMPFILE & !libc::O_DIRECTORY;
    forbid(libc::SYS_openat, Some((2, flag)), libc::EOPNOTSUPP);
    #[cfg(target_arch = "x86_64")]
    forbid(libc::SYS_open, Some((1, flag)), libc::EOPNOTSUPP);
}
