//! A handle that travels, and what a test can see of a process.

use std::cell::Cell;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use ipc_core::__private::handle;
use serde::de::{Deserialize, Deserializer, Error as _};
use serde::ser::{Error as _, Serialize, Serializer};

/// Any descriptor, as part of arguments and results.
pub(crate) struct Fd(Cell<Option<OwnedFd>>);

impl Fd {
    pub(crate) fn new(fd: impl Into<OwnedFd>) -> Self {
        Fd(Cell::new(Some(fd.into())))
    }

    pub(crate) fn take(&self) -> OwnedFd {
        self.0.take().expect("taken once")
    }

    pub(crate) fn number(&self) -> i32 {
        let fd = self.take();
        let number = fd.as_raw_fd();
        self.0.set(Some(fd));
        number
    }

    pub(crate) fn stream(&self) -> UnixStream {
        self.take().into()
    }
}

impl Serialize for Fd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let index = handle::attach(self.take()).map_err(S::Error::custom)?;
        serializer.serialize_u32(index)
    }
}

impl<'de> Deserialize<'de> for Fd {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let index = u32::deserialize(deserializer)?;
        let fd = handle::take(index).ok_or_else(|| D::Error::custom("no such handle"))?;
        Ok(Fd::new(fd))
    }
}

/// Makes a connection: the end that the test keeps, and the end that it gives away.
pub(crate) fn socket_pair() -> (UnixStream, Fd) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (ours, Fd::new(theirs))
}

/// Sends one byte.
pub(crate) fn write_byte(stream: &mut UnixStream, byte: u8) {
    stream.write_all(&[byte]).unwrap();
}

/// Receives one byte; `None` if all the other ends are closed.
pub(crate) fn read_byte(stream: &mut UnixStream) -> Option<u8> {
    let mut byte = [0];
    match stream.read(&mut byte) {
        Ok(1) => Some(byte[0]),
        _ => None,
    }
}

/// Reports to the test that it runs, and then never ends.
pub(crate) fn report_and_hang(line: Fd) {
    let mut line = line.stream();
    write_byte(&mut line, b'r');
    while read_byte(&mut line).is_some() {}
    loop {
        std::thread::park();
    }
}
