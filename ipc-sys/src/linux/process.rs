//! Processes, their threads and their signals.

// Signal masks, `sysconf` and `atexit` are in no safe crate.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::{Errno, retry_on_intr};
use rustix::process::{Pid, PidfdFlags, Signal};

pub(crate) fn pid_namespace() -> Option<u64> {
    Some(rustix::fs::stat("/proc/self/ns/pid").ok()?.st_ino)
}

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

pub(crate) fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

pub(crate) fn at_exit(run: extern "C" fn()) {
    // SAFETY: a function of this program, that takes nothing and unwinds nowhere. If there is no
    // room for one more, names are left as if this process had been killed.
    unsafe { libc::atexit(run) };
}

pub(crate) fn kill_this_process() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
    // The signal is delivered before the call returns, or as soon as this thread is scheduled.
    loop {
        std::hint::spin_loop();
    }
}

pub(crate) fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program, in brackets, may hold anything, brackets too.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_ascii_whitespace().nth(1)?.parse().ok()
}

pub(crate) fn random() -> io::Result<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut filled = 0;
    while filled < bytes.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        filled += retry_on_intr(|| rustix::rand::getrandom(&mut bytes[filled..], flags))?;
    }
    Ok(bytes)
}
