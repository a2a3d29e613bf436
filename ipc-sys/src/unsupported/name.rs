//! Names that processes meet at: there are none.

#![allow(missing_docs, reason = "the contract has the documentation")]

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::time::Duration;

use ipc_core::Deadline;

use super::exit_info::Exit;
use super::unsupported;
use crate::OsHandle;
use crate::types::descriptor::Identity;
use crate::types::name::Kind;

#[derive(Debug)]
pub struct Directory;
#[derive(Debug)]
pub struct NameEntry {
    pub kind: Kind,
    pub identity: Identity,
    pub owner: u32,
}
#[derive(Debug)]
pub struct Lock<'a> {
    pub number: u64,
    directory: std::marker::PhantomData<&'a Directory>,
}
#[derive(Debug)]
pub struct Watch;
pub(crate) fn private(_path: &Path) -> bool {
    false
}
pub(crate) fn make_private(_path: &Path) -> io::Result<()> {
    unsupported()
}
pub(crate) fn directory(_path: &Path) -> io::Result<Directory> {
    unsupported()
}
pub(crate) fn lookup(_directory: &Directory, _name: &OsStr) -> io::Result<Option<NameEntry>> {
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
pub(crate) fn entries(_directory: &Directory) -> io::Result<Vec<String>> {
    unsupported()
}
pub(crate) fn remove(_directory: &Directory, _name: &OsStr) -> io::Result<()> {
    unsupported()
}
pub(crate) fn connect(_entry: &NameEntry, _deadline: Deadline) -> io::Result<OsHandle> {
    unsupported()
}
pub(crate) fn connect_abstract(_name: &[u8], _deadline: Deadline) -> io::Result<OsHandle> {
    unsupported()
}
impl Watch {
    pub fn new(_directory: &Directory) -> io::Result<Watch> {
        unsupported()
    }
    pub fn clear(&self) -> io::Result<bool> {
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
