//! A listener in another process, and a witness of which process has a name.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use multiprocess::pipe::{Duplex, Listener};
use multiprocess::process::Builder;
use multiprocess::{JoinHandle, Sender, bounded};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::process::{Pid, PidfdFlags};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Binds, says so, and accepts for ever; each connection gets what it sends back, doubled.
fn doubling((name, ready): (PathBuf, Sender<()>)) {
    let listener = Listener::bind(name).unwrap();
    ready.send(()).unwrap();
    for connection in listener.incoming::<u64, u64>() {
        let connection = connection.unwrap();
        thread::spawn(move || {
            while let Ok(number) = connection.recv() {
                if connection.send(number * 2).is_err() {
                    break;
                }
            }
        });
    }
}

/// Another process that listens at this name, already.
pub(crate) fn listener_at(name: PathBuf) -> JoinHandle<()> {
    let (ready, is_ready) = bounded(1).unwrap();
    let child = dying(doubling, (name, ready));
    is_ready.recv().unwrap();
    child
}

/// Another process, which does not outlive a test that fails.
pub(crate) fn dying<A, R>(f: fn(A) -> R, args: A) -> JoinHandle<R>
where
    A: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
{
    Builder::new().kill_on_drop(true).spawn(f, args).unwrap()
}

/// Whether a connection leads to a process that doubles.
pub(crate) fn doubles(connection: &Duplex<u64, u64>) -> bool {
    connection.send(21).is_ok() && connection.recv_timeout(Duration::from_secs(10)) == Ok(42)
}

/// The kind of an error that must be one.
#[track_caller]
pub(crate) fn kind<T>(result: io::Result<T>) -> io::ErrorKind {
    match result {
        Ok(_) => panic!("it should have failed"),
        Err(error) => {
            eprintln!("{error}"); // What users read; shown when the test fails.
            error.kind()
        }
    }
}

/// The user without rights, usually called nobody.
pub(crate) const NOBODY: u32 = 65534;

pub(crate) fn give_up_all_rights() {
    // SAFETY: no preconditions; called in a child of its own, and all of its threads change.
    assert_eq!(unsafe { libc::setgroups(0, std::ptr::null()) }, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setresgid(NOBODY, NOBODY, NOBODY) }, 0);
    // SAFETY: as above.
    assert_eq!(unsafe { libc::setresuid(NOBODY, NOBODY, NOBODY) }, 0);
}

/// Two words that processes share, to tell whether two of them are somewhere at once.
pub(crate) struct Witness {
    words: &'static [AtomicU64; 2],
}

impl Witness {
    pub(crate) fn create(path: &Path) {
        fs::write(path, [0; 16]).unwrap();
    }

    pub(crate) fn open(path: &Path) -> Witness {
        let file = fs::File::options().read(true).write(true).open(path).unwrap();
        // SAFETY: a mapping at a place of the kernel's choice overlaps nothing; the file is open.
        let map = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                16,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                std::os::fd::AsRawFd::as_raw_fd(&file),
                0,
            )
        };
        assert_ne!(map, libc::MAP_FAILED);
        // SAFETY: the file has 16 bytes and keeps them; never unmapped, aligned as a page, all
        // access is atomic.
        Witness { words: unsafe { &*map.cast::<[AtomicU64; 2]>() } }
    }

    /// This process is there now. A process that was there before must be dead.
    pub(crate) fn enter(&self) {
        let before = self.words[0].swap(u64::from(std::process::id()), Ordering::SeqCst);
        if before != 0 && !ends_soon(before as u32) {
            self.words[1].fetch_add(1, Ordering::SeqCst);
        }
    }

    /// No other process may have come meanwhile.
    pub(crate) fn leave(&self) {
        let me = u64::from(std::process::id());
        if self.words[0].compare_exchange(me, 0, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            self.words[1].fetch_add(1, Ordering::SeqCst);
        }
    }

    /// How often two were there.
    pub(crate) fn violations(&self) -> u64 {
        self.words[1].load(Ordering::SeqCst)
    }
}

/// Whether a process that is being killed ends.
fn ends_soon(pid: u32) -> bool {
    let Some(pid) = Pid::from_raw(pid as i32) else { return true };
    let Ok(pidfd) = rustix::process::pidfd_open(pid, PidfdFlags::empty()) else { return true };
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    let soon = Timespec { tv_sec: 5, tv_nsec: 0 };
    matches!(rustix::event::poll(&mut fds, Some(&soon)), Ok(1))
}
