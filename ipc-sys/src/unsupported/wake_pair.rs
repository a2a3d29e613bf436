//! Wake pairs: there are none.

use std::io;

use crate::OsHandle;
use crate::types::descriptor::Borrowed;

unsupported! {
    fn new() -> io::Result<(OsHandle, OsHandle)>;
    fn wake(Borrowed<'_>) -> bool = false;
    fn drain(Borrowed<'_>) -> bool = false;
    fn shut_down(Borrowed<'_>) -> () = ();
    fn readable(&[Borrowed<'_>], bool) -> io::Result<Vec<bool>>;
}
