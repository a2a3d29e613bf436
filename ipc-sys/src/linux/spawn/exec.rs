//! What a child is started from, and what it does not inherit.
//!
//! This file opts in to `unsafe` for `close_range`, which rustix lacks, and for descriptors by
//! their numbers.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use rustix::fs::{CWD, Mode, OFlags, RawDir, Stat, StatVfsMountFlags};
use rustix::io::{Errno, FdFlags};
use rustix::pipe::PipeFlags;

/// Leads to the running file itself, even if its name was taken by another one since.
const EXECUTABLE: &str = "/proc/self/exe";

/// The first descriptor that is not a standard stream.
const FIRST: RawFd = 3;

pub(crate) fn command() -> Command {
    let mut command = Command::new(EXECUTABLE);
    if let Some(name) = std::env::args_os().next() {
        command.arg0(name);
    }
    command
}

/// Something to read that is empty.
pub(super) fn empty_input() -> io::Result<Stdio> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    if let Ok(null) = rustix::fs::open("/dev/null", flags, Mode::empty()) {
        return Ok(null.into());
    }
    // In a sandbox without devices: a pipe that nothing writes into.
    let (reader, _) = rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?;
    Ok(reader.into())
}

/// Marks every descriptor but the standard streams as close-on-exec. Async-signal-safe; for a
/// process with one thread, between `fork` and `exec`.
pub(super) fn close_on_exec() -> Result<(), Errno> {
    let first = FIRST as libc::c_uint;
    // SAFETY: changes a flag of this process' descriptors, and touches no memory.
    let done = unsafe {
        libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    if done == 0 {
        return Ok(());
    }
    // Before Linux 5.11, or forbidden. One by one; setting a flag changes no entry of the
    // directory.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(CWD, c"/proc/self/fd", flags, Mode::empty())?;
    let mut space = [MaybeUninit::<u8>::uninit(); 2048];
    let mut entries = RawDir::new(&directory, &mut space);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = std::str::from_utf8(entry.file_name().to_bytes());
        let number = name.ok().and_then(|name| name.parse::<RawFd>().ok());
        if let Some(number) = number.filter(|number| *number >= FIRST) {
            // SAFETY: it is open, as the directory says, and this process has one thread.
            let fd = unsafe { BorrowedFd::borrow_raw(number) };
            rustix::io::fcntl_setfd(fd, FdFlags::CLOEXEC)?;
        }
    }
    Ok(())
}

pub(crate) fn check_executable() -> io::Result<()> {
    use rustix::process::{getegid, geteuid, getgid, getuid};
    let unsupported = |what: &str| {
        let text = format!(
            "{what}, so a child would run with more rights than its parent and could not trust it; programs \
             that gain rights when they are started cannot spawn"
        );
        Err(io::Error::new(io::ErrorKind::Unsupported, text))
    };
    if getuid() != geteuid() || getgid() != getegid() {
        return unsupported(
            "this process has one user or group and acts as another (set-user-ID?)",
        );
    }
    // What cannot be seen is left to the child, which looks at what it has been given.
    let Ok(file) = rustix::fs::stat(EXECUTABLE) else { return Ok(()) };
    let Ok(mount) = rustix::fs::statvfs(EXECUTABLE) else { return Ok(()) };
    if mount.f_flag.contains(StatVfsMountFlags::NOSUID) {
        return Ok(());
    }
    let (set_user, set_group) = set_ids(&file);
    let changes = set_user && file.st_uid != getuid().as_raw()
        || set_group && file.st_gid != getgid().as_raw();
    if changes && !rustix::thread::no_new_privs().unwrap_or(false) {
        return unsupported("the executable is set-user-ID or set-group-ID");
    }
    let mut capabilities = [0u8; 64];
    let has = rustix::fs::getxattr(EXECUTABLE, "security.capability", &mut capabilities[..]);
    // The superuser's programs have all capabilities anyway.
    if !getuid().is_root() && has.is_ok_and(|len| len > 0) {
        return unsupported("the executable has file capabilities");
    }
    Ok(())
}

/// Whether starting the file sets the user, and the group. Without the right to execute, the
/// group's bit means another thing.
fn set_ids(file: &Stat) -> (bool, bool) {
    let mode = Mode::from_raw_mode(file.st_mode);
    (mode.contains(Mode::SUID), mode.contains(Mode::SGID | Mode::XGRP))
}
