//! The thread that waits for files.

use std::io;
use std::marker::PhantomData;
use std::task::Waker;

use super::unsupported;
use crate::types::sleep::File;

/// A file that the thread waits for.
#[derive(Debug)]
pub struct Armed<'a>(PhantomData<&'a ()>);

/// A waiter, by its number.
#[derive(Debug)]
pub struct Number(());

pub(crate) fn arm_number(_file: File<'_>, _waker: &Waker) -> io::Result<Option<Number>> {
    unsupported()
}

pub(crate) fn disarm(_number: Number) {}

/// A file that the thread waits for, again and again.
#[derive(Debug)]
pub struct Served(());

pub(crate) fn serve(_file: File<'_>, _waker: &Waker) -> io::Result<Served> {
    unsupported()
}

pub(crate) fn arm<'a>(_file: File<'a>, _waker: &Waker) -> io::Result<Armed<'a>> {
    unsupported()
}
