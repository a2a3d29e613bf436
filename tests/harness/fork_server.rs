//! Children that are forked, not executed: many hundreds a second, where `spawn` starts a hundred.
//!
//! They come from a process of their own, the fork server, which has one thread that counts. It
//! makes and attaches to nothing that a fork could not continue with. Each child attaches by itself
//! to what its work names, and may be killed meanwhile.

use std::cell::RefCell;
use std::io::{Read, Write};
use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use multiprocess::pipe::{Duplex, Handle, Listener, connect};
use multiprocess::process::Builder;
use multiprocess::{JoinError, JoinHandle};
use rustix::process::{
    Pid, Signal, WaitOptions, kill_process, nice, set_parent_process_death_signal, waitpid,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the children of a fork server do.
pub(crate) trait Task: 'static {
    type Work: Serialize + DeserializeOwned + 'static;
    fn work(work: Self::Work);
}

/// What the fork server is to do: fork, or reap the process of this number.
type Order = [u8; 4];
const FORK: Order = [0; 4];

pub(crate) struct ForkServer<T: Task> {
    /// Where the children come for their work, being no process that could inherit it.
    work: Listener,
    orders: RefCell<UnixStream>,
    _process: JoinHandle<()>,
    task: PhantomData<fn(T)>,
}

/// A process at work.
pub(crate) enum Child {
    Forked(u32),
    Spawned(JoinHandle<()>),
}

impl<T: Task> ForkServer<T> {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        // Relaxed: a number.
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("@fork-server-{}-{number}", std::process::id());
        let work = Listener::bind(&name).unwrap();
        let (mut orders, theirs) = UnixStream::pair().unwrap();
        let builder = Builder::new().kill_on_drop(true).stdout(Stdio::null());
        let process = builder.spawn(serve::<T>, (name, OwnedFd::from(theirs).into())).unwrap();
        orders.write_all(&FORK).unwrap();
        ForkServer { work, orders: RefCell::new(orders), _process: process, task: PhantomData }
    }

    /// Gives work to a fork of the server, which may have begun it on return. One more fork waits
    /// for the next work.
    pub(crate) fn fork(&self, work: T::Work) -> Child {
        self.orders.borrow_mut().write_all(&FORK).unwrap();
        let to: Duplex<T::Work, ()> = self.work.accept().unwrap();
        to.send(work).unwrap_or_else(|error| panic!("{error}"));
        Child::Forked(to.peer().unwrap().pid)
    }

    /// A process like a user's.
    pub(crate) fn spawn(&self, work: T::Work) -> Child {
        let builder = Builder::new().kill_on_drop(true).stdout(Stdio::null());
        Child::Spawned(builder.spawn(T::work, work).unwrap())
    }

    /// Waits for its end, which may have been long ago: true if it was killed, false if it ended
    /// well. Panics if it failed.
    pub(crate) fn reap(&self, child: Child) -> bool {
        match child {
            Child::Forked(pid) => {
                let mut orders = self.orders.borrow_mut();
                orders.write_all(&pid.to_ne_bytes()).unwrap();
                let mut ended = [0; 4];
                orders.read_exact(&mut ended).expect("the fork server lives");
                let status = ExitStatus::from_raw(i32::from_ne_bytes(ended));
                assert!(
                    status.success() || status.signal() == Some(9),
                    "a child ended with {status}"
                );
                !status.success()
            }
            Child::Spawned(child) => is_killed(child),
        }
    }
}

/// As [`ForkServer::reap`], for a process that does not come from there.
pub(crate) fn is_killed(child: JoinHandle<()>) -> bool {
    match child.join() {
        Ok(()) => false,
        Err(JoinError::Killed(9)) => true,
        Err(error) => panic!("{error}"),
    }
}

impl Child {
    pub(crate) fn kill(&self) {
        match self {
            // It is the same process until it is buried.
            Child::Forked(pid) => kill_process(pid_of(*pid), Signal::KILL).unwrap(),
            Child::Spawned(child) => child.kill().unwrap(),
        }
    }

    #[allow(dead_code, reason = "not every test binary asks")]
    pub(crate) fn is_finished(&self) -> bool {
        match self {
            Child::Forked(pid) => testkit::proc::state(*pid).expect("it is not waited for") == 'Z',
            Child::Spawned(child) => child.is_finished(),
        }
    }
}

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(pid as i32).unwrap()
}

/// The fork server.
fn serve<T: Task>((name, orders): (String, Handle)) {
    let mut orders = UnixStream::from(OwnedFd::from(orders));
    let mut order = FORK;
    while orders.read_exact(&mut order).is_ok() {
        if order == FORK {
            fork::<T>(&name);
            continue;
        }
        let status = waitpid(Some(pid_of(u32::from_ne_bytes(order))), WaitOptions::empty());
        let (_, status) = status.unwrap().unwrap();
        orders.write_all(&status.as_raw().to_ne_bytes()).unwrap();
    }
}

fn fork<T: Task>(name: &str) {
    testkit::fork(|| {
        // No child is left behind.
        set_parent_process_death_signal(Some(Signal::KILL)).unwrap();
        // Behind the processes that kill and that fork: they decide how many are killed.
        let _ = nice(5);
        let from: std::io::Result<Duplex<(), T::Work>> = connect(name);
        // None at all: the fork server ends.
        if let Some(Ok(work)) = from.ok().map(|from| from.recv()) {
            T::work(work);
        }
    });
}
