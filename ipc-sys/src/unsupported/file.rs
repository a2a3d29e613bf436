//! Files of shared memory by their names: there are none.

use std::io;
use std::path::Path;

use crate::OsHandle;
use crate::types::descriptor::Borrowed;
use crate::types::file::FileStat;

unsupported! {
    fn directory() -> &'static Path = Path::new("");
    fn stat_file(Borrowed<'_>) -> io::Result<FileStat>;
    fn stat_path(&Path) -> io::Result<FileStat>;
    fn open_file(&Path, bool) -> io::Result<OsHandle>;
    fn create_unnamed(&Path) -> io::Result<Option<OsHandle>>;
    fn name_file(Borrowed<'_>, &Path) -> io::Result<bool>;
    fn create_named(&Path) -> io::Result<Option<OsHandle>>;
    fn set_mode(Borrowed<'_>, u32) -> io::Result<()>;
    fn remove(&Path) -> io::Result<()>;
}
