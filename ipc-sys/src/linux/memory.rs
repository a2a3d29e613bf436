//! Linux.

// `fcntl` with `F_OFD_*` is in no safe crate; mapping and the anonymous page need pointers.
#![allow(unsafe_code)]

use std::fmt::Display;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use memmap2::{Advice, MmapOptions, MmapRaw};
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{FallocateFlags, MemfdFlags, Mode, OFlags, SealFlags};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};
use rustix::process::{Pid, PidfdFlags};
use rustix::thread::{MembarrierCommand, futex};

use super::unforked::without_fork;
use crate::layout::who;

/// A borrowed handle.
pub(crate) type Borrowed<'a> = BorrowedFd<'a>;

pub(crate) fn borrow(fd: &OwnedFd) -> Borrowed<'_> {
    fd.as_fd()
}

pub(crate) fn create(name: &str) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let made = match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // Before Linux 6.3.
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags),
        made => made,
    };
    made.map_err(no_descriptor)
}

pub(crate) fn set_len(fd: BorrowedFd<'_>, len: usize) -> io::Result<()> {
    within_limit(len)?;
    Ok(retry_on_intr(|| rustix::fs::ftruncate(fd, len as u64))?)
}

/// How long a file may get (RLIMIT_FSIZE); none if any length will do, or if the question is
/// forbidden, as in some sandboxes. Beyond it the kernel sends a signal that kills: ask first.
pub(crate) fn file_limit() -> Option<u64> {
    limit(libc::RLIMIT_FSIZE)
}

fn limit(resource: libc::__rlimit_resource_t) -> Option<u64> {
    // Not rustix's, which panics where this fails.
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is what the call writes to, and only that.
    let known = unsafe { libc::getrlimit64(resource, &raw mut limit) } == 0;
    (known && limit.rlim_cur != libc::RLIM64_INFINITY).then_some(limit.rlim_cur)
}

/// Says what to do about the error.
fn advise(error: impl Into<io::Error>, advice: impl Display) -> io::Error {
    let error = error.into();
    io::Error::new(error.kind(), format!("{error}: {advice}"))
}

/// Why there is no descriptor.
fn no_descriptor(error: Errno) -> io::Error {
    match error {
        Errno::MFILE => {
            let most =
                limit(libc::RLIMIT_NOFILE).map_or("as many".to_owned(), |most| most.to_string());
            let text = "files open, which is its limit; raise it (RLIMIT_NOFILE, `ulimit -n`)";
            advise(error, format_args!("this process has {most} {text}"))
        }
        Errno::NFILE => {
            advise(error, "the system may open no more files; raise its limit (sysctl fs.file-max)")
        }
        _ => error.into(),
    }
}

/// Why there is no memory for `len` bytes of a file.
fn no_memory(error: Errno, len: usize) -> io::Error {
    match error {
        Errno::NOMEM | Errno::NOSPC => advise(
            error,
            format_args!(
                "there is no memory for {len} bytes, on the machine, in the file system or within the limit of a \
                 control group; a smaller `capacity`, `max_message` or size takes less"
            ),
        ),
        _ => error.into(),
    }
}

/// Why `len` bytes cannot be mapped.
fn not_mapped(error: io::Error, len: usize) -> io::Error {
    if error.raw_os_error() != Some(libc::ENOMEM) {
        return error;
    }
    let number = |path: &str| -> Option<u64> {
        let text = std::fs::read_to_string(path).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    let size =
        number("/proc/self/statm").unwrap_or(0).saturating_mul(rustix::param::page_size() as u64);
    if let Some(limit) =
        limit(libc::RLIMIT_AS).filter(|limit| size.saturating_add(len as u64) > *limit)
    {
        let text = format!(
            "this process has {size} bytes of address space, {len} more are beyond its limit of {limit}; raise it \
             (RLIMIT_AS, `ulimit -v`), or choose a smaller `capacity`, `max_message` or size"
        );
        return advise(error, text);
    }
    let most = number("/proc/sys/vm/max_map_count");
    let maps = std::fs::read("/proc/self/maps")
        .map_or(0, |maps| maps.iter().filter(|b| **b == b'\n').count() as u64);
    if let Some(most) = most.filter(|most| maps + 2 >= *most) {
        let text = format!(
            "this process has {maps} mappings, and {most} is the limit; raise it (sysctl vm.max_map_count), or use \
             fewer channels and segments"
        );
        return advise(error, text);
    }
    advise(error, format_args!("there is no address space or memory to map {len} bytes"))
}

pub(super) fn within_limit(len: usize) -> io::Result<()> {
    let limit = file_limit();
    if limit.is_some_and(|limit| len as u64 > limit) {
        return Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!(
                "a memory file of {len} bytes is longer than files of this process may be; raise the limit \
                 (RLIMIT_FSIZE, `ulimit -f`), or choose a smaller `capacity`, `max_message` or size"
            ),
        ));
    }
    Ok(())
}

pub(crate) fn allocate(fd: BorrowedFd<'_>, offset: usize, len: usize) -> io::Result<()> {
    let flags = FallocateFlags::KEEP_SIZE;
    retry_on_intr(|| rustix::fs::fallocate(fd, flags, offset as u64, len as u64))
        .map_err(|error| no_memory(error, len))
}

pub(crate) fn release(fd: BorrowedFd<'_>, offset: usize, len: usize) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(retry_on_intr(|| rustix::fs::fallocate(fd, flags, offset as u64, len as u64))?)
}

/// Whether the file may get so long, if it is not: it is sealed against getting shorter.
pub(crate) fn may_reach(fd: BorrowedFd<'_>, end: usize) -> io::Result<()> {
    if end > len(fd)? { within_limit(end) } else { Ok(()) }
}

/// Allocates memory for a part of the file, which gets longer if the part is behind its end.
pub(crate) fn allocate_growing(fd: BorrowedFd<'_>, offset: usize, bytes: usize) -> io::Result<()> {
    may_reach(fd, offset.saturating_add(bytes))?;
    let flags = FallocateFlags::empty();
    retry_on_intr(|| rustix::fs::fallocate(fd, flags, offset as u64, bytes as u64))
        .map_err(|error| no_memory(error, bytes))
}

const KEEPS: SealFlags = SealFlags::SHRINK.union(SealFlags::SEAL);

pub(crate) fn seal_against_shrinking(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(fd, KEEPS)?)
}

pub(crate) fn sealed_against_shrinking(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(KEEPS))
}

const SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

pub(crate) fn seal(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::fcntl_add_seals(fd, SEALS)?)
}

pub(crate) fn sealed(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(SEALS))
}

pub(crate) fn reopen(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
    let flags = OFlags::RDWR | OFlags::CLOEXEC;
    retry_on_intr(|| rustix::fs::open(path.as_str(), flags, Mode::empty())).map_err(no_descriptor)
}

/// Device and inode.
pub(crate) type Identity = (u64, u64);

pub(crate) fn identity(fd: BorrowedFd<'_>) -> io::Result<Identity> {
    let stat = rustix::fs::fstat(fd)?;
    Ok((stat.st_dev, stat.st_ino))
}

pub(crate) fn len(fd: BorrowedFd<'_>) -> io::Result<usize> {
    Ok(usize::try_from(rustix::fs::fstat(fd)?.st_size).unwrap_or(0))
}

pub(crate) fn read_at(fd: BorrowedFd<'_>, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match retry_on_intr(|| rustix::io::pread(fd, &mut bytes[done..], offset + done as u64))? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => done += n,
        }
    }
    Ok(())
}

pub(crate) fn map(fd: BorrowedFd<'_>, len: usize) -> io::Result<MmapRaw> {
    map_at(fd, 0, len)
}

pub(crate) fn map_at(fd: BorrowedFd<'_>, offset: u64, len: usize) -> io::Result<MmapRaw> {
    // A child that is forked before the advice would keep the mapping, and the leases with it.
    without_fork(|| {
        let mapping = MmapOptions::new().offset(offset).len(len).map_raw(fd.as_raw_fd());
        own(mapping.map_err(|error| not_mapped(error, len))?)
    })
}

pub(crate) fn map_read_only(fd: BorrowedFd<'_>, len: usize) -> io::Result<MmapRaw> {
    without_fork(|| {
        let mapping = MmapOptions::new().len(len).map_raw_read_only(fd.as_raw_fd());
        own(mapping.map_err(|error| not_mapped(error, len))?)
    })
}

/// Keeps a mapping out of forked children and out of core dumps. A dump would read every page of
/// it, so it would allocate memory for the holes of a file that other processes keep, and hold this
/// process' leases meanwhile.
fn own(mapping: MmapRaw) -> io::Result<MmapRaw> {
    mapping.advise(Advice::DontFork)?;
    mapping.advise(Advice::DontDump)?;
    Ok(mapping)
}

pub(crate) fn populate(mapping: &MmapRaw) -> io::Result<()> {
    match mapping.advise(Advice::PopulateWrite) {
        // Before Linux 5.14; the memory is allocated, only the page faults are to come.
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
        done => done,
    }
}

pub(crate) fn pin(mapping: &MmapRaw) -> io::Result<()> {
    mapping.lock()
}

fn byte_lock(kind: libc::c_int, byte: u64) -> libc::flock {
    libc::flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: byte as libc::off_t,
        l_len: 1,
        l_pid: 0,
    }
}

fn lock_call(fd: BorrowedFd<'_>, command: libc::c_int, lock: &mut libc::flock) -> io::Result<()> {
    loop {
        // SAFETY: the descriptor is open while it is borrowed, and `lock` is a valid `flock` that
        // the kernel reads, and for F_OFD_GETLK writes, during the call only. Locks have no effect
        // on memory.
        let result = unsafe { libc::fcntl(fd.as_raw_fd(), command, std::ptr::from_mut(lock)) };
        if result != -1 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

pub(crate) fn try_lock(fd: BorrowedFd<'_>, byte: u64) -> io::Result<bool> {
    match lock_call(fd, libc::F_OFD_SETLK, &mut byte_lock(libc::F_WRLCK, byte)) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn unlock(fd: BorrowedFd<'_>, byte: u64) -> io::Result<()> {
    lock_call(fd, libc::F_OFD_SETLK, &mut byte_lock(libc::F_UNLCK, byte))
}

pub(crate) fn locked(fd: BorrowedFd<'_>, byte: u64) -> io::Result<bool> {
    let mut lock = byte_lock(libc::F_WRLCK, byte);
    lock_call(fd, libc::F_OFD_GETLK, &mut lock)?;
    Ok(i32::from(lock.l_type) != libc::F_UNLCK)
}

/// The futex: the low half of the word.
fn low_half(word: &AtomicU64) -> &AtomicU32 {
    let low = std::ptr::from_ref(word).cast::<AtomicU32>();
    let low = if cfg!(target_endian = "big") { low.wrapping_add(1) } else { low };
    // SAFETY: the pointer stays within the eight bytes of `word`, is aligned for four, and lives as
    // long; nobody but the kernel, which only compares it, accesses the half through this
    // reference.
    unsafe { &*low }
}

// Shared: the sleeper and the waker are different processes. With FUTEX_PRIVATE_FLAG neither would
// ever find the other.
const SHARED: futex::Flags = futex::Flags::empty();

pub(crate) fn wait(word: &AtomicU64, seq: u32, timeout: Duration) {
    let timeout = rustix::fs::Timespec {
        tv_sec: timeout.as_secs() as _,
        tv_nsec: timeout.subsec_nanos().into(),
    };
    // Woken, changed before (EAGAIN), a signal, the timeout: the caller looks at the word again.
    let _ = futex::wait(low_half(word), SHARED, seq, Some(&timeout));
}

pub(crate) fn wake(word: &AtomicU64, n: u32) -> usize {
    futex::wake(low_half(word), SHARED, n.min(i32::MAX as u32)).unwrap_or(0)
}

pub(crate) fn register_barrier() -> bool {
    // Each time: the kernel keeps the answer, and a forked child is another process.
    rustix::thread::membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
}

pub(crate) fn barrier() -> bool {
    rustix::thread::membarrier(MembarrierCommand::GlobalExpedited).is_ok()
}

pub(crate) fn pid_identity() -> u64 {
    static KNOWN: AtomicU64 = AtomicU64::new(who::NOBODY);
    let pid = rustix::process::getpid().as_raw_pid().unsigned_abs();
    let known = KNOWN.load(Ordering::Relaxed); // Relaxed: a word that says all by itself.
    if who::pid(known) == pid {
        return known;
    }
    // Of a process that has forked since, or nobody's yet.
    let Ok(stat) = rustix::fs::stat("/proc/self/ns/pid") else { return who::NOBODY };
    let word = who::word(pid, stat.st_ino);
    KNOWN.store(word, Ordering::Relaxed);
    word
}

#[cfg(not(loom))]
pub(crate) fn can_run(pid: u32) -> bool {
    /// Threads that are asked for. One with more can.
    const MOST: usize = 256;
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return false };
    let me = rustix::thread::gettid().as_raw_pid().to_string();
    let ready = |task: std::fs::DirEntry| {
        // One that has just ended has none.
        let stat = std::fs::read(task.path().join("stat")).unwrap_or_default();
        // The name before it may have any bytes.
        let state = stat.iter().rposition(|byte| *byte == b')').and_then(|end| stat.get(end + 2));
        // A wait for a page ends by itself.
        matches!(state, Some(b'R' | b'D'))
    };
    let mut others =
        tasks.flatten().filter(|task| task.file_name().as_encoded_bytes() != me.as_bytes());
    others.by_ref().take(MOST).any(ready) || others.next().is_some()
}

pub(crate) fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

// A socket, not an eventfd: it can be told from any other file by its identity.
pub(crate) fn line() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    Ok(rustix::net::socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?)
}

pub(crate) fn say(line: BorrowedFd<'_>) -> bool {
    // If there is no room, enough words are on their way.
    matches!(
        retry_on_intr(|| rustix::net::send(line, &[1], SendFlags::NOSIGNAL)),
        Ok(_) | Err(Errno::AGAIN)
    )
}

pub(crate) fn heard(line: BorrowedFd<'_>) -> bool {
    let mut words = [0u8; 64];
    let got = retry_on_intr(|| rustix::net::recv(line, &mut words, RecvFlags::empty()));
    got.map_or_else(|error| error == Errno::AGAIN, |(read, _)| read > 0)
}

pub(crate) fn hang_up(line: BorrowedFd<'_>) {
    // Fails if it is down already.
    let _ = rustix::net::shutdown(line, Shutdown::Both);
}

pub(crate) fn poll(fds: &[BorrowedFd<'_>], sleep: bool) -> io::Result<Vec<bool>> {
    let mut polled: Vec<_> =
        fds.iter().map(|fd| PollFd::from_borrowed_fd(*fd, PollFlags::IN)).collect();
    let at_once = rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 };
    let timeout = if sleep { None } else { Some(&at_once) };
    retry_on_intr(|| rustix::event::poll(&mut polled, timeout))?;
    Ok(polled.iter().map(|fd| !fd.revents().is_empty()).collect())
}

pub(crate) fn without_signals<T>(work: impl FnOnce() -> T) -> T {
    let mut all = std::mem::MaybeUninit::uninit();
    // SAFETY: writes a set there, and always succeeds.
    unsafe { libc::sigfillset(all.as_mut_ptr()) };
    let mut old = std::mem::MaybeUninit::uninit();
    // SAFETY: `all` was filled, `old` has room for a set.
    let blocked =
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), old.as_mut_ptr()) } == 0;
    // `work` starts a thread, which does not unwind.
    let done = work();
    if blocked {
        // SAFETY: `old` was written by the call that succeeded.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, old.as_ptr(), std::ptr::null_mut()) };
    }
    done
}

/// The number of a descriptor, for `own_table`.
#[derive(Clone, Copy)]
pub(crate) struct Number(RawFd);

pub(crate) fn number(fd: &OwnedFd) -> Number {
    Number(fd.as_raw_fd())
}

/// A copy of the table up to `keep` is made, and emptied, without the rest ever being in it.
pub(crate) fn own_table(keep: Number) -> io::Result<OwnedFd> {
    const UNSHARE: libc::c_uint = 1 << 1;
    let number = keep.0.unsigned_abs();
    let close = |from: libc::c_uint, to: libc::c_uint, flags: libc::c_uint| {
        // SAFETY: closes descriptors in a table that is this thread's own, by the first call's
        // flag, which fails otherwise; nothing that this thread uses is in it but `keep`.
        match unsafe { libc::syscall(libc::SYS_close_range, from, to, flags) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    close(number + 1, libc::c_uint::MAX, UNSHARE)?;
    if number > 0 {
        close(0, number - 1, 0)?;
    }
    // SAFETY: open in this thread's table, in which nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(keep.0) })
}

pub(crate) fn cpus() -> usize {
    // Not this thread's affinity: peers may run where it may not.
    // SAFETY: asks for a number.
    let online = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) };
    usize::try_from(online).unwrap_or(1).max(1)
}

/// The processor that this thread runs on, for a moment at least.
pub(crate) fn cpu() -> usize {
    rustix::thread::sched_getcpu()
}

/// Whether the open file is read-write and an object that `map` can share.
pub(crate) fn mappable(fd: BorrowedFd<'_>) -> io::Result<bool> {
    let flags = rustix::fs::fcntl_getfl(fd)?;
    Ok(flags.contains(OFlags::RDWR))
}
