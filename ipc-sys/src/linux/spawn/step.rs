//! One step of a child between `fork` and `exec`, and the list of them.

use std::ffi::CString;
use std::fmt;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use rustix::io::{Errno, FdFlags};
use rustix::process::{Gid, PidfdFlags, Rlimit, Uid};

use super::super::descriptor::above_stdio;
use super::exec::close_on_exec;
use super::signals::{default_signals, ignore, set_mask, signals};
use crate::types::spawn::{Resource, SetUp};

/// One step of a child on its way to `exec`. [`take`](Self::take) makes async-signal-safe calls
/// only.
#[derive(Debug)]
pub(super) enum Step {
    /// Opens the pidfd. Before any limit on descriptors is set.
    OpenPidfd,
    DefaultSignals,
    NewGroup,
    IgnoreInterrupt,
    Nice(i32),
    Limit(Resource, Rlimit),
    Groups(Vec<Gid>),
    Gid(Gid),
    Uid(Uid),
    /// As the user that the child runs as: the directory must be open to it.
    Directory(CString),
    /// Besides the socket and the standard streams.
    InheritOnly(Vec<OwnedFd>),
    UnblockSignals,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::OpenPidfd => write!(f, "pidfd_open"),
            Step::DefaultSignals => write!(f, "setting signals to their defaults"),
            Step::NewGroup => write!(f, "making a process group"),
            Step::IgnoreInterrupt => write!(f, "ignoring SIGINT"),
            Step::Nice(increment) => write!(f, "adding {increment} to the nice value"),
            Step::Limit(resource, Rlimit { current, maximum }) => {
                let text =
                    |limit: &Option<u64>| limit.map_or("unlimited".to_owned(), |n| n.to_string());
                let (soft, hard) = (text(current), text(maximum));
                write!(f, "setting the limit of {resource:?} to {soft} (soft) and {hard} (hard)")
            }
            Step::Groups(groups) if groups.is_empty() => {
                write!(f, "giving up supplementary groups")
            }
            Step::Groups(_) => write!(f, "setting supplementary groups"),
            Step::Gid(gid) => write!(f, "setting the group ID {}", gid.as_raw()),
            Step::Uid(uid) => write!(f, "setting the user ID {}", uid.as_raw()),
            Step::Directory(path) => write!(f, "changing to the directory {path:?}"),
            Step::InheritOnly(_) => {
                write!(
                    f,
                    "marking descriptors as close-on-exec (Linux 5.11 or later, or /proc, is needed)"
                )
            }
            Step::UnblockSignals => write!(f, "unblocking signals"),
        }
    }
}

impl Step {
    /// The list for `set_up`. Steps that need rights come before those that give them up.
    pub(super) fn list(set_up: SetUp) -> io::Result<Vec<Step>> {
        let mut steps = vec![Step::OpenPidfd];
        steps.push(Step::DefaultSignals);
        if set_up.new_group {
            steps.push(Step::NewGroup);
        }
        if set_up.ignore_interrupt {
            steps.push(Step::IgnoreInterrupt);
        }
        if set_up.nice != 0 {
            steps.push(Step::Nice(set_up.nice));
        }
        for (resource, current, maximum) in set_up.limits {
            steps.push(Step::Limit(resource, Rlimit { current, maximum }));
        }
        // A child that gives up the superuser's rights gives up its groups, as with `std::process`.
        let give_up = (set_up.uid.is_some() && rustix::process::geteuid().is_root()).then(Vec::new);
        if let Some(groups) = set_up.groups.or(give_up) {
            let groups = groups.into_iter().map(|group| Ok(Gid::from_raw(valid(group)?)));
            steps.push(Step::Groups(groups.collect::<io::Result<_>>()?));
        }
        if let Some(gid) = set_up.gid {
            steps.push(Step::Gid(Gid::from_raw(valid(gid)?)));
        }
        if let Some(uid) = set_up.uid {
            steps.push(Step::Uid(Uid::from_raw(valid(uid)?)));
        }
        if let Some(path) = set_up.directory {
            let path = CString::new(path.into_os_string().into_vec()).map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "the directory's path contains a zero byte",
                )
            })?;
            steps.push(Step::Directory(path));
        }
        steps.push(Step::InheritOnly(set_up.inherited));
        steps.push(Step::UnblockSignals);
        Ok(steps)
    }

    /// In the child. Async-signal-safe: no allocation, no lock, no panic.
    pub(super) fn take(
        &self,
        socket: BorrowedFd<'_>,
        pidfd: &mut Option<OwnedFd>,
    ) -> Result<(), Errno> {
        match self {
            Step::OpenPidfd => {
                let own = rustix::process::getpid();
                *pidfd = Some(above_stdio(rustix::process::pidfd_open(own, PidfdFlags::empty())?)?);
            }
            Step::DefaultSignals => default_signals(),
            Step::NewGroup => rustix::process::setpgid(None, None)?,
            Step::IgnoreInterrupt => ignore(libc::SIGINT),
            Step::Nice(increment) => {
                rustix::process::nice(*increment)?;
            }
            Step::Limit(resource, limit) => {
                rustix::process::setrlimit(of_system(*resource), *limit)?
            }
            // Of this thread, but there is no other one in a process that has just been forked.
            Step::Groups(groups) => rustix::thread::set_thread_groups(groups)?,
            Step::Gid(gid) => rustix::thread::set_thread_res_gid(*gid, *gid, *gid)?,
            Step::Uid(uid) => rustix::thread::set_thread_res_uid(*uid, *uid, *uid)?,
            Step::Directory(path) => rustix::process::chdir(path.as_c_str())?,
            Step::InheritOnly(inherited) => {
                close_on_exec()?;
                for fd in inherited {
                    rustix::io::fcntl_setfd(fd, FdFlags::empty())?;
                }
                rustix::io::fcntl_setfd(socket, FdFlags::empty())?;
            }
            Step::UnblockSignals => set_mask(&signals(false)),
        }
        Ok(())
    }
}

/// A user's or group's number; the highest one means none to the system.
fn valid(id: u32) -> io::Result<u32> {
    let text = "4294967295 is not the number of a user or group";
    (id != u32::MAX).then_some(id).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, text))
}

fn of_system(resource: Resource) -> rustix::process::Resource {
    use rustix::process::Resource as Of;
    match resource {
        Resource::AddressSpace => Of::As,
        Resource::CoreSize => Of::Core,
        Resource::CpuTime => Of::Cpu,
        Resource::DataSize => Of::Data,
        Resource::FileSize => Of::Fsize,
        Resource::LockedMemory => Of::Memlock,
        Resource::OpenFiles => Of::Nofile,
        Resource::Processes => Of::Nproc,
        Resource::StackSize => Of::Stack,
    }
}
