//! Names that processes meet at. Needs `/proc`, through which a descriptor stands for a path of any
//! length.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::time::Duration;

use ipc_core::{Deadline, OsHandle};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, RenameFlags, Stat, inotify,
};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};

use super::descriptor::above_stdio;
use super::exit_info::Exit;
use super::process::user;
use crate::types::descriptor::Identity;
use crate::types::name::Kind;

fn kind(stat: &Stat) -> Kind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Socket => Kind::Socket,
        FileType::RegularFile => Kind::Other("file"),
        FileType::Directory => Kind::Other("directory"),
        FileType::Symlink => Kind::Other("symbolic link"),
        FileType::Fifo => Kind::Other("named pipe"),
        _ => Kind::Other("device"),
    }
}

fn identity(stat: &Stat) -> Identity {
    (stat.st_dev, stat.st_ino)
}

pub(crate) fn private(path: &Path) -> bool {
    rustix::fs::lstat(path).is_ok_and(|stat| {
        FileType::from_raw_mode(stat.st_mode) == FileType::Directory
            && stat.st_uid == user()
            && stat.st_mode & 0o077 == 0
    })
}

pub(crate) fn make_private(path: &Path) -> io::Result<()> {
    // Less than 0700 is all that the umask can make of it, and then it is of no use, but private.
    match rustix::fs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    if private(path) {
        return Ok(());
    }
    let text =
        "it is not a directory that only this user may enter; remove it, or make it mode 0700";
    Err(io::Error::new(io::ErrorKind::PermissionDenied, text))
}

/// A directory to look names up in.
#[derive(Debug)]
pub struct Directory(OwnedFd);

impl Directory {
    fn address(&self, name: &OsStr) -> io::Result<SocketAddrUnix> {
        let mut path = std::ffi::OsString::from(through(&self.0));
        path.push("/");
        path.push(name);
        Ok(SocketAddrUnix::new(path.as_os_str())?)
    }
}

/// Returns a path that leads to the open object of the descriptor.
fn through(fd: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// Explains the error of a call whose path is [`through`] an open descriptor. What is open exists,
/// whatever its name is by now, so `NotFound` means that the path does not work.
fn explain(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound => {
            io::Error::new(io::ErrorKind::Unsupported, "/proc is not mounted")
        }
        _ => error,
    }
}

pub(crate) fn directory(path: &Path) -> io::Result<Directory> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(Directory(retry_on_intr(|| rustix::fs::open(path, flags, Mode::empty()))?))
}

/// The file at a name. The descriptor keeps its inode from being used again.
#[derive(Debug)]
pub struct NameEntry {
    fd: OwnedFd,
    /// What it is.
    pub kind: Kind,
    /// Its identity, which no other file has.
    pub identity: Identity,
    /// The user that owns it.
    pub owner: u32,
    mode: Mode,
}

pub(crate) fn lookup(directory: &Directory, name: &OsStr) -> io::Result<Option<NameEntry>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match retry_on_intr(|| rustix::fs::openat(&directory.0, name, flags, Mode::empty())) {
        Ok(fd) => fd,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let stat = rustix::fs::fstat(&fd)?;
    Ok(Some(NameEntry {
        fd,
        kind: kind(&stat),
        identity: identity(&stat),
        owner: stat.st_uid,
        mode: Mode::from_raw_mode(stat.st_mode),
    }))
}

pub(crate) fn is_at(directory: &Directory, name: &OsStr, wanted: Identity) -> bool {
    let stat = rustix::fs::statat(&directory.0, name, AtFlags::SYMLINK_NOFOLLOW);
    stat.is_ok_and(|stat| identity(&stat) == wanted)
}

pub(crate) fn alive(entry: &NameEntry) -> io::Result<bool> {
    // The kernel refuses a connection with a socket of another type after it has looked up the
    // socket of this name, and before that socket is notified.
    let probe = socket(SocketType::DGRAM)?;
    let address = SocketAddrUnix::new(through(&entry.fd))?;
    match retry_on_intr(|| rustix::net::connect(&probe, &address)) {
        Ok(()) | Err(Errno::PROTOTYPE) => Ok(true),
        Err(Errno::CONNREFUSED) => Ok(false),
        Err(error) => Err(explain(error.into())),
    }
}

/// An empty file, locked: gone when this is dropped, and free when this process dies.
#[derive(Debug)]
pub struct Lock<'a> {
    directory: &'a Directory,
    name: &'a OsStr,
    file: OwnedFd,
    /// The number of the file in its directory.
    pub number: u64,
}

pub(crate) fn try_lock<'a>(
    directory: &'a Directory,
    name: &'a OsStr,
) -> io::Result<Option<Lock<'a>>> {
    let flags =
        OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let mode = Mode::RUSR | Mode::WUSR;
    let file = retry_on_intr(|| rustix::fs::openat(&directory.0, name, flags, mode))?;
    let stat = rustix::fs::fstat(&file)?;
    let ours = kind(&stat) == Kind::Other("file") && stat.st_uid == user() && stat.st_size == 0;
    if !ours {
        let text = "the lock file is not an empty file of this user; remove it";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match retry_on_intr(|| rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => {}
        Err(Errno::WOULDBLOCK) => return Ok(None),
        Err(error) => return Err(error.into()),
    }
    // Its last holder has removed the file. A lock on a file without a name excludes no process.
    match rustix::fs::statat(&directory.0, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(named) if identity(&named) == identity(&stat) => {
            Ok(Some(Lock { directory, name, file, number: stat.st_ino }))
        }
        Ok(_) | Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // While it is still locked: the next holder of the lock sees that the file has no name.
        let _ = remove(self.directory, self.name);
        let _ = &self.file;
    }
}

fn socket(kind: SocketType) -> io::Result<OwnedFd> {
    let fd = rustix::net::socket_with(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?;
    Ok(above_stdio(fd)?)
}

/// A socket whose calls do not wait.
fn listener() -> io::Result<OwnedFd> {
    let socket = socket(SocketType::SEQPACKET)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    Ok(socket)
}

pub(crate) fn bind(
    directory: &Directory,
    name: &OsStr,
    mode: u32,
) -> io::Result<(OsHandle, Identity)> {
    let mode = Mode::from_bits_truncate(mode);
    let socket = listener()?;
    // Until it listens no process can connect, whatever mode the umask makes of it.
    rustix::net::bind(&socket, &directory.address(name)?).map_err(|error| {
        // If the directory itself was removed, the path through its descriptor still works.
        match rustix::fs::stat(through(&directory.0)) {
            Err(Errno::NOENT) => explain(error.into()),
            _ => error.into(),
        }
    })?;
    match set_mode(directory, name, mode) {
        Ok(identity) => Ok((socket, identity)),
        Err(error) => {
            let _ = remove(directory, name);
            Err(error)
        }
    }
}

fn set_mode(directory: &Directory, name: &OsStr, mode: Mode) -> io::Result<Identity> {
    match lookup(directory, name)? {
        Some(entry) if entry.kind == Kind::Socket => {
            if entry.mode != mode {
                rustix::fs::chmodat(CWD, through(&entry.fd), mode, AtFlags::empty())?;
            }
            Ok(entry.identity)
        }
        _ => Err(io::Error::new(io::ErrorKind::NotFound, "the new socket was taken away")),
    }
}

pub(crate) fn bind_abstract(name: &[u8]) -> io::Result<OsHandle> {
    let socket = listener()?;
    rustix::net::bind(&socket, &SocketAddrUnix::new_abstract_name(name)?)?;
    Ok(socket)
}

pub(crate) fn listen(socket: &OsHandle, backlog: u32) -> io::Result<()> {
    Ok(rustix::net::listen(socket, i32::try_from(backlog).unwrap_or(i32::MAX))?)
}

pub(crate) fn publish(directory: &Directory, from: &OsStr, to: &OsStr) -> io::Result<()> {
    match rustix::fs::renameat_with(&directory.0, from, &directory.0, to, RenameFlags::NOREPLACE) {
        // A file system that cannot.
        Err(Errno::INVAL | Errno::NOSYS) => {
            rustix::fs::linkat(&directory.0, from, &directory.0, to, AtFlags::empty())?;
            remove(directory, from)
        }
        renamed => Ok(renamed?),
    }
}

pub(crate) fn exchange(directory: &Directory, one: &OsStr, other: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::renameat_with(&directory.0, one, &directory.0, other, RenameFlags::EXCHANGE)?)
}

pub(crate) fn entries(directory: &Directory) -> io::Result<Vec<String>> {
    let entries = std::fs::read_dir(through(&directory.0)).map_err(explain)?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect())
}

pub(crate) fn remove(directory: &Directory, name: &OsStr) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(&directory.0, name, AtFlags::empty())?)
}

pub(crate) fn connect(entry: &NameEntry, deadline: Deadline) -> io::Result<OsHandle> {
    connect_to(&SocketAddrUnix::new(through(&entry.fd))?, deadline).map_err(explain)
}

pub(crate) fn connect_abstract(name: &[u8], deadline: Deadline) -> io::Result<OsHandle> {
    connect_to(&SocketAddrUnix::new_abstract_name(name)?, deadline)
}

/// Waits for a place in the queue of the listener, if it is full, until `deadline` has passed.
fn connect_to(address: &SocketAddrUnix, deadline: Deadline) -> io::Result<OsHandle> {
    let socket = socket(SocketType::SEQPACKET)?;
    loop {
        if let Deadline::At(_) | Deadline::Now = deadline {
            // 0 would mean for ever, and the first attempt must be possible in any case.
            let left = deadline.left(Duration::from_secs(3600)).unwrap_or_default();
            set_socket_timeout(&socket, Timeout::Send, Some(left.max(Duration::from_millis(1))))?;
        }
        match rustix::net::connect(&socket, address) {
            Ok(()) => break,
            // The queue is full; the socket is as it was before. Signals may come faster than any
            // wait ends.
            Err(Errno::INTR | Errno::AGAIN) if deadline.left(Duration::MAX).is_some() => {}
            Err(Errno::INTR | Errno::AGAIN) => {
                let text = "its queue of connections stayed full";
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
            Err(Errno::PROTOTYPE) => {
                let text = "what listens there is a socket of another type (not SOCK_SEQPACKET)";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            Err(error) => return Err(error.into()),
        }
    }
    if deadline != Deadline::Never {
        set_socket_timeout(&socket, Timeout::Send, None)?;
    }
    Ok(socket)
}

/// Wakes up when a name appears in a directory.
#[derive(Debug)]
pub struct Watch(OwnedFd);

impl Watch {
    /// Watches a directory.
    pub fn new(directory: &Directory) -> io::Result<Watch> {
        let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
        let events = inotify::WatchFlags::CREATE
            | inotify::WatchFlags::MOVED_TO
            | inotify::WatchFlags::ONLYDIR;
        inotify::add_watch(&fd, through(&directory.0), events)?;
        Ok(Watch(fd))
    }

    /// Discards the events so far; false if there were none.
    pub fn clear(&self) -> io::Result<bool> {
        let mut events = [0; 4096];
        let mut seen = false;
        loop {
            match rustix::io::read(&self.0, &mut events) {
                Ok(_) => seen = true,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(seen),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

pub(crate) fn wait(
    listener: Option<&OsHandle>,
    watch: Option<&Watch>,
    exit: Option<&Exit>,
    timeout: Option<Duration>,
) -> io::Result<()> {
    let watched = [
        listener.map(AsFd::as_fd),
        watch.map(|watch| watch.0.as_fd()),
        exit.map(|exit| exit.0.as_fd()),
    ];
    let mut fds: Vec<_> = watched
        .into_iter()
        .flatten()
        .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN))
        .collect();
    // A time that is too long for the kernel's type is no limit in practice.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    match rustix::event::poll(&mut fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    // fault 57: the file is gone with each holder, so who waits has another one than who comes.
    #[test]
    fn one_at_a_time_has_the_lock_though_its_file_comes_and_goes() {
        let path = std::env::temp_dir().join(format!("names-{}", std::process::id()));
        make_private(&path).unwrap();
        let place = directory(&path).unwrap();
        let inside = AtomicBool::new(false);
        let taken = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    while taken.load(Ordering::Relaxed) < 600 {
                        let Some(lock) = try_lock(&place, OsStr::new(".lock")).unwrap() else {
                            continue;
                        };
                        assert!(!inside.swap(true, Ordering::SeqCst), "two have it");
                        taken.fetch_add(1, Ordering::Relaxed);
                        std::thread::yield_now();
                        inside.store(false, Ordering::SeqCst);
                        drop(lock);
                    }
                });
            }
        });
        assert!(lookup(&place, OsStr::new(".lock")).unwrap().is_none());
        std::fs::remove_dir(&path).unwrap();
    }
}
