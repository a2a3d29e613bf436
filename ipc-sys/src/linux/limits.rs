//! The limits of this process and of the system, and errors that name the limit that was reached.

// `getrlimit64`: rustix's function panics where the call fails.
#![allow(unsafe_code)]

use std::fmt::Display;
use std::io;

use rustix::io::Errno;

/// Returns the longest length that this process may give to a file (RLIMIT_FSIZE), or `None` if
/// there is no limit, or if the call is forbidden, as in some sandboxes. Beyond the limit the
/// kernel sends a signal that kills, so check first.
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

/// Adds to an error what to do about it.
fn advise(error: impl Into<io::Error>, advice: impl Display) -> io::Error {
    let error = error.into();
    io::Error::new(error.kind(), format!("{error}: {advice}"))
}

/// Makes the error for a missing descriptor.
pub(super) fn no_descriptor(error: Errno) -> io::Error {
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

/// Makes the error for missing memory for `len` bytes of a file.
pub(super) fn no_memory(error: Errno, len: usize) -> io::Error {
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

/// Makes the error for `len` bytes that cannot be mapped.
pub(super) fn not_mapped(error: io::Error, len: usize) -> io::Error {
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
