//! The thread that waits for files.

use std::io;
use std::marker::PhantomData;
use std::task::Waker;

use super::unsupported;
use crate::types::sleep::File;

/// A file that the thread waits for.
#[derive(Debug)]
pub struct Armed<'a>(PhantomData<&'a ()>);

pub(crate) fn arm<'a>(_file: File<'a>, _waker: &Waker) -> io::Result<Armed<'a>> {
    unsupported()
}
