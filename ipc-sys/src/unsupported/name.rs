//! A system for which nobody has written this yet: everything compiles, and every call answers
//! `Unsupported`.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::Duration;

use ipc_core::Deadline;
use ipc_core::OsHandle;

use super::{Identity, Kind};
use crate::peer::Peer;
use crate::sys::Borrowed;

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "meeting by name is not there on this system yet",
    ))
}

#[derive(Debug)]
pub(crate) struct Directory;
#[derive(Debug)]
pub(crate) struct NameEntry {
    pub(crate) kind: Kind,
    pub(crate) identity: Identity,
    pub(crate) owner: u32,
}
#[derive(Debug)]
pub(crate) struct Lock<'a> {
    pub(crate) number: u64,
    directory: std::marker::PhantomData<&'a Directory>,
}
#[derive(Debug)]
pub(crate) struct Watch;
#[derive(Debug)]
pub(crate) struct Exit;

pub(crate) fn user() -> u32 {
    0
}
pub(crate) fn random() -> io::Result<[u8; 16]> {
    unsupported()
}
pub(crate) fn private(_path: &Path) -> bool {
    false
}
pub(crate) fn make_private(_path: &Path) -> io::Result<()> {
    unsupported()
}
pub(crate) fn directory(_path: &Path) -> io::Result<Directory> {
    unsupported()
}
pub(crate) fn look(_directory: &Directory, _name: &OsStr) -> io::Result<Option<NameEntry>> {
    unsupported()
}
pub(crate) fn is_at(_directory: &Directory, _name: &OsStr, _wanted: Identity) -> bool {
    false
}
pub(crate) fn alive(_entry: &NameEntry) -> io::Result<bool> {
    unsupported()
}
pub(crate) fn try_lock<'a>(
    _directory: &'a Directory,
    _name: &OsStr,
) -> io::Result<Option<Lock<'a>>> {
    unsupported()
}
pub(crate) fn bind(
    _directory: &Directory,
    _name: &OsStr,
    _mode: u32,
) -> io::Result<(OsHandle, Identity)> {
    unsupported()
}
pub(crate) fn bind_abstract(_name: &[u8]) -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) fn listen(_socket: &OsHandle, _backlog: u32) -> io::Result<()> {
    unsupported()
}
pub(crate) fn publish(_directory: &Directory, _from: &OsStr, _to: &OsStr) -> io::Result<()> {
    unsupported()
}
pub(crate) fn exchange(_directory: &Directory, _one: &OsStr, _other: &OsStr) -> io::Result<()> {
    unsupported()
}
pub(crate) fn at_exit(_run: extern "C" fn()) {}
pub(crate) fn entries(_directory: &Directory) -> io::Result<Vec<String>> {
    unsupported()
}
pub(crate) fn remove(_directory: &Directory, _name: &OsStr) -> io::Result<()> {
    unsupported()
}
pub(crate) fn accept(_socket: &OsHandle) -> io::Result<Option<OsHandle>> {
    unsupported()
}
pub(crate) fn connect(_entry: &NameEntry, _deadline: Deadline) -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) fn connect_abstract(_name: &[u8], _deadline: Deadline) -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) fn credentials(_socket: Borrowed<'_>) -> io::Result<Peer> {
    unsupported()
}
pub(crate) fn process(_socket: Borrowed<'_>) -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) fn parent(_pid: u32) -> Option<u32> {
    None
}
impl Watch {
    pub(crate) fn new(_directory: &Directory) -> io::Result<Watch> {
        unsupported()
    }
    pub(crate) fn clear(&self) -> io::Result<bool> {
        unsupported()
    }
}
pub(crate) fn reaped_elsewhere(_error: &io::Error) -> Option<&'static str> {
    None
}
impl Exit {
    pub(crate) fn status_elsewhere(&self) -> Option<std::process::ExitStatus> {
        None
    }
    pub(crate) fn of(_pid: u32) -> io::Result<Option<Exit>> {
        unsupported()
    }
    pub(crate) fn is_over(&self) -> io::Result<bool> {
        unsupported()
    }
}
pub(crate) fn wait(
    _listener: Option<&OsHandle>,
    _watch: Option<&Watch>,
    _exit: Option<&Exit>,
    _timeout: Option<Duration>,
) -> io::Result<()> {
    unsupported()
}
