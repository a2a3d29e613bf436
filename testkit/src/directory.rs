//! Directories of a test's own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A new directory that only this user may enter. It is removed when this is dropped, unless the
/// test has failed: then its files can be looked at.
pub struct Directory(PathBuf);

impl Directory {
    /// Makes one among the temporary files. Its path is short enough for names of sockets in it.
    #[allow(clippy::new_without_default, reason = "it makes something in the file system")]
    pub fn new() -> Directory {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: a number.
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("multiprocess-test-{}-{next}", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        Directory(path)
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of a file in it.
    pub fn name(&self, file: &str) -> PathBuf {
        self.0.join(file)
    }

    /// Returns the names of everything that is in it, sorted.
    pub fn entries(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
