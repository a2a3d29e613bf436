//! Handles of the operating system.

/// A handle of the operating system, owned: closed when dropped.
#[cfg(unix)]
pub type OsHandle = std::os::fd::OwnedFd;
/// A handle of the operating system, owned: closed when dropped.
#[cfg(windows)]
pub type OsHandle = std::os::windows::io::OwnedHandle;
/// A handle of the operating system; this system has none that travel.
#[cfg(not(any(unix, windows)))]
pub type OsHandle = std::convert::Infallible;

/// The most handles that one message may carry: the kernel's own limit (`SCM_MAX_FD`).
pub const MAX_HANDLES: usize = 253;
