//! Children that hold locks, and clocks.

use std::thread;
use std::time::Duration;

use multiprocess::shm::Event;
use multiprocess::{JoinHandle, spawn};
use serde::Serialize;
use serde::de::DeserializeOwned;
use testkit::proc::{asleep, this_thread};
use testkit::until;

/// Runs `f` in a thread, and waits until it sleeps.
pub(crate) fn sleeper<R: Send + 'static>(
    f: impl FnOnce() -> R + Send + 'static,
) -> thread::JoinHandle<R> {
    let (send, id) = std::sync::mpsc::channel();
    let thread = thread::spawn(move || {
        send.send(this_thread()).unwrap();
        f()
    });
    let id = id.recv().unwrap();
    // It may sleep for another reason for a moment: what is tested holds all the same.
    until("it sleeps", || asleep(std::process::id(), id) || thread.is_finished());
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
