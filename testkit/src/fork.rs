//! Forks without exec.

/// Forks; the child runs `f` and ends with status 0 if it did not panic. Returns the child's
/// number.
pub fn fork(f: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the child runs on the one thread it has, allocates only (which the C library allows
    // after a fork), and leaves through `_exit`.
    match unsafe { libc::fork() } {
        -1 => panic!("fork: {}", std::io::Error::last_os_error()),
        0 => {
            let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
            // SAFETY: ends the child here, without the parent's destructors.
            unsafe { libc::_exit(if unwound.is_err() { 101 } else { 0 }) }
        }
        child => child,
    }
}

/// Waits for the end of a child, and returns its status.
pub fn reap(child: libc::pid_t) -> i32 {
    let mut status = 0;
    // SAFETY: waits for a child of ours; `status` is valid during the call.
    let waited = unsafe { libc::waitpid(child, &mut status, 0) };
    assert_eq!(waited, child);
    status
}

/// Runs `f` in a fork of this process, and returns its exit status: 0 if it did not panic.
pub fn forked(f: impl FnOnce()) -> i32 {
    reap(fork(f))
}
