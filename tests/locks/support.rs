//! Children that hold locks, and clocks.

use std::collections::HashMap;
use std::ffi::OsString;
use std::thread;
use std::time::{Duration, Instant};

use multiprocess::shm::Event;
use multiprocess::{JoinHandle, spawn};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Waits for something that happens soon.
pub(crate) fn until(what: impl Fn() -> bool) {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not come");
        thread::yield_now();
    }
}

/// Whether a thread of a process sleeps.
pub(crate) fn asleep(pid: u32, thread: u32) -> bool {
    let stat =
        std::fs::read_to_string(format!("/proc/{pid}/task/{thread}/stat")).unwrap_or_default();
    stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('S'))
}

/// In which system call, and at which address, each thread of a process sleeps; `None` if one runs.
pub(crate) fn asleep_at(pid: u32) -> Option<HashMap<OsString, [String; 2]>> {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    tasks
        .map(|task| {
            let line = std::fs::read_to_string(task.path().join("syscall")).ok()?;
            // A thread that runs says so, in one word.
            let mut words = line.split(' ').map(str::to_owned);
            Some((task.file_name(), [words.next()?, words.next()?]))
        })
        .collect()
}

/// Runs `f` in a thread, and waits until it sleeps.
pub(crate) fn sleeper<R: Send + 'static>(
    f: impl FnOnce() -> R + Send + 'static,
) -> thread::JoinHandle<R> {
    let (send, id) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        send.send(rustix::thread::gettid().as_raw_nonzero().get() as u32).unwrap();
        f()
    });
    let id = id.recv().unwrap();
    // It may sleep for another reason for a moment: what is tested holds all the same.
    until(|| asleep(std::process::id(), id) || thread.is_finished());
    thread
}

/// A child that does `f` with `lock`, then says so and stays as it is until it is killed.
pub(crate) fn child_with<L: Clone + Serialize + DeserializeOwned>(
    lock: &L,
    f: fn((L, Event)),
) -> JoinHandle<()> {
    let here = Event::new().unwrap();
    let child = multiprocess::process::Builder::new()
        .kill_on_drop(true)
        .spawn(f, (lock.clone(), here.clone()))
        .unwrap();
    assert!(here.wait_timeout(Duration::from_secs(20)).unwrap(), "the child did not come");
    child
}

/// Says that the child is where it should be, and stays there.
pub(crate) fn stay(here: &Event) -> ! {
    here.set().unwrap();
    loop {
        thread::park();
    }
}

/// Kills, and waits until the process has gone.
pub(crate) fn kill(child: JoinHandle<()>) -> u32 {
    let pid = child.id();
    child.kill().unwrap();
    assert!(child.join().is_err());
    pid
}

/// Runs `f` in a child, which must end well.
pub(crate) fn in_child<A: Serialize + DeserializeOwned, R: Serialize + DeserializeOwned>(
    f: fn(A) -> R,
    args: A,
) -> R {
    spawn(f, args).unwrap().join().unwrap()
}
