//! What the protocol asks of an operating system. Above this module there is none.
//!
//! | function | what it promises | on Linux |
//! |---|---|---|
//! | `create(name)` | a new anonymous shared object of no size, not executable, closed by exec | `memfd_create` |
//! | `set_len`, `allocate`, `release` | its size; memory for a part of it, or an error; memory given back | `ftruncate`, `fallocate` |
//! | `seal`, `sealed` | its size never changes again; whether that is so | `fcntl(F_ADD_SEALS, F_GET_SEALS)` |
//! | `may_reach(fd, end)` | an error if the object is shorter and may not get so long | `getrlimit` |
//! | `allocate_growing` | as `allocate`; the object gets longer if that is behind its end | `fallocate` |
//! | `seal_against_shrinking`, `sealed_against_shrinking` | it never gets shorter again; whether that is so | `fcntl(F_ADD_SEALS, F_GET_SEALS)` |
//! | `reopen(fd)` | another open file of the same object, whose locks conflict with the first one's | `open("/proc/self/fd/N")` |
//! | `identity`, `len` | what tells it from other objects; its size | `fstat` |
//! | `read_at(fd, bytes, offset)` | all these bytes of it, copied | `pread` |
//! | `map(fd, len)` | the object in memory, shared; not inherited by a forked child, not in a core dump | `mmap`, `madvise(MADV_DONTFORK)`, `madvise(MADV_DONTDUMP)` |
//! | `map_at(fd, offset, len)` | as `map`, a part of it, which may reach beyond its end | |
//! | `try_lock(fd, byte)` | takes an exclusive lock, or false; it lives as long as the open file or a mapping made from it, also if the holder is killed | `fcntl(F_OFD_SETLK)` |
//! | `unlock`, `locked` | gives it back; whether another open file holds it | `F_OFD_SETLK`, `F_OFD_GETLK` |
//! | `wait(word, seq, timeout)` | sleeps while the word's low half is `seq`, or less long | `FUTEX_WAIT`, shared |
//! | `wake(word, n)` | wakes at most n, and says how many | `FUTEX_WAKE`, shared |
//! | `register_barrier()` | from now on `barrier()` in any process is a full barrier in this one's threads; false if the system cannot | `membarrier(REGISTER_GLOBAL_EXPEDITED)` |
//! | `barrier()` | a full barrier in all running threads of registered processes; false if the system cannot | `membarrier(GLOBAL_EXPEDITED)` |
//! | `Unforked` | an open file that no forked child keeps, whatever locks are on it | `pthread_atfork`, `close` |
//! | `pid_identity()` | this process' number and namespace, as in [`layout`](crate::layout) | `getpid`, `stat("/proc/self/ns/pid")` |
//! | `can_run(pid)` | whether a thread of the process, other than this one, runs or is ready to; false if that cannot be told | `/proc/PID/task/*/stat` |
//! | `pidfd_open(pid)` | a descriptor that is readable when the process is dead and its mappings are gone | `pidfd_open` |
//! | `line()`, `say`, `heard`, `hang_up` | two ends of a line; a word for the other end, false if it is gone; words taken out, false if the other end is gone; the end of it for both | `socketpair`, `send`, `recv`, `shutdown` |
//! | `poll(fds, sleep)` | which are readable; sleeps until one is | `poll` |
//! | `without_signals(work)` | no signal handler runs here meanwhile, nor ever in a thread that is started meanwhile | `pthread_sigmask` |
//! | `number(fd)`, `own_table(number)` | from now on this thread has descriptors of its own, and of those there were only this one | `close_range(CLOSE_RANGE_UNSHARE)` |
//! | `cpus()`, `cpu()` | processors that are online; the one this thread runs on, for a moment at least | `sysconf`, `getcpu` |
//! | `map_read_only(fd, len)` | as `map`, to be read only | `mmap(PROT_READ)` |
//! | `populate(mapping)`, `pin(mapping)` | its pages are mapped, or an error; and stay in memory | `madvise(MADV_POPULATE_WRITE)`, `mlock` |
//!
//! Of files, and their names:
//!
//! | function | what it promises | on Linux |
//! |---|---|---|
//! | `directory()` | where the names of shared memory are | `/dev/shm` |
//! | `stat_file(fd)`, `stat_path(path)` | what it is and whose; a symbolic link is not followed | `fstat`, `fstatat` |
//! | `open_file(path, write)` | an open file; a symbolic link is not followed, nothing else blocks | `open(O_NOFOLLOW)` |
//! | `create_unnamed(directory)` | a new file that goes with its last descriptor, private; none if the file system cannot | `open(O_TMPFILE)` |
//! | `name_file(fd, path)` | gives it a name, false if there is one | `linkat` |
//! | `create_named(path)` | a new private file, none if there is one | `open(O_EXCL)` |
//! | `write_at(fd, bytes, offset)` | all these bytes to it, which may get longer | `pwrite` |
//! | `set_mode(fd, mode)` | exactly that, whatever the umask | `fchmod` |
//! | `remove(path)` | the name goes | `unlink` |
//! | `at_exit(run)` | runs it when the program ends in order | `atexit` |
//! | `user()` | whose files this process makes | `geteuid` |
//! | `reopen_read_only(fd)` | as `reopen`, to be read only | `open("/proc/self/fd/N", O_RDONLY)` |
//! | `create_huge(name)`, `granule(fd)` | as `create`, of huge pages; the size of its pages | `memfd_create(MFD_HUGETLB)`, `fstatfs` |
//!
//! Interrupted calls are taken up again, but for `wait`, whose caller looks around anyway.

#[cfg_attr(
    all(target_os = "linux", target_pointer_width = "64"),
    path = "../../../ipc-sys/src/linux/memory.rs"
)]
#[cfg_attr(
    not(all(target_os = "linux", target_pointer_width = "64")),
    path = "../../../ipc-sys/src/unsupported/memory.rs"
)]
mod os;

pub(crate) use ipc_sys::fork::ForkCheck;
pub(crate) use os::*;

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[path = "../../../ipc-sys/src/linux/unforked.rs"]
mod unforked;
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub(crate) use unforked::Unforked;

#[cfg(not(loom))]
#[cfg_attr(
    all(target_os = "linux", target_pointer_width = "64"),
    path = "../../../ipc-sys/src/linux/file.rs"
)]
#[cfg_attr(
    not(all(target_os = "linux", target_pointer_width = "64")),
    path = "../../../ipc-sys/src/unsupported/file.rs"
)]
mod files;

#[cfg(not(loom))]
pub(crate) use files::*;

/// What a file is, and whose.
#[cfg(not(loom))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileStat {
    pub(crate) regular: bool,
    pub(crate) owner: u32,
    /// With the bits above the rights.
    pub(crate) mode: u32,
    /// Whether it has more than one name.
    pub(crate) second_name: bool,
    pub(crate) identity: Identity,
    pub(crate) len: usize,
}

#[cfg(loom)]
#[path = "../model_futex.rs"]
mod bed;
#[cfg(loom)]
pub(crate) use bed::Bed;
