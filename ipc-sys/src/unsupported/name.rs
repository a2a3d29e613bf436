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

unsupported! {
    fn private(&Path) -> bool = false;
    fn make_private(&Path) -> io::Result<()>;
    fn directory(&Path) -> io::Result<Directory>;
    fn lookup(&Directory, &OsStr) -> io::Result<Option<NameEntry>>;
    fn is_at(&Directory, &OsStr, Identity) -> bool = false;
    fn alive(&NameEntry) -> io::Result<bool>;
    fn bind(&Directory, &OsStr, u32) -> io::Result<(OsHandle, Identity)>;
    fn bind_abstract(&[u8]) -> io::Result<OsHandle>;
    fn listen(&OsHandle, u32) -> io::Result<()>;
    fn publish(&Directory, &OsStr, &OsStr) -> io::Result<()>;
    fn exchange(&Directory, &OsStr, &OsStr) -> io::Result<()>;
    fn entries(&Directory) -> io::Result<Vec<String>>;
    fn remove(&Directory, &OsStr) -> io::Result<()>;
    fn connect(&NameEntry, Deadline) -> io::Result<OsHandle>;
    fn connect_abstract(&[u8], Deadline) -> io::Result<OsHandle>;
    fn wait(Option<&OsHandle>, Option<&Watch>, Option<&Exit>, Option<Duration>) -> io::Result<()>;
}

pub(crate) fn try_lock<'a>(_: &'a Directory, _: &OsStr) -> io::Result<Option<Lock<'a>>> {
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
