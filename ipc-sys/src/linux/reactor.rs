//! The thread that waits for files: one epoll instance for each process.
//!
//! A file is disarmed by its first event (`EPOLLONESHOT`), so a file that stays ready costs one
//! wake-up for each waiter, and no loop.

// A descriptor by its number.
#![allow(unsafe_code)]

use std::collections::HashMap;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::thread;

use rustix::event::epoll;
use rustix::io::{Errno, retry_on_intr};

use crate::per_process::PerProcess;
use crate::types::sleep::File;

static STATE: PerProcess<Mutex<State>> = PerProcess::new();

#[derive(Default)]
struct State {
    /// The instance, as soon as the thread runs.
    epoll: Option<Arc<OwnedFd>>,
    next: u64,
    /// The waiters of each file. The files are open: their waiters borrow them.
    waiters: HashMap<RawFd, Vec<Waiter>>,
}

struct Waiter {
    number: u64,
    /// The waker is called each time, not once.
    again: bool,
    writable: bool,
    waker: Waker,
    /// It was woken, and leaves soon.
    woken: bool,
}

impl Waiter {
    fn event(&self) -> epoll::EventFlags {
        if self.writable { epoll::EventFlags::OUT } else { epoll::EventFlags::IN }
    }
}

fn state() -> MutexGuard<'static, State> {
    STATE.get().lock().unwrap_or_else(PoisonError::into_inner)
}

/// A file that the thread waits for.
#[derive(Debug)]
pub struct Armed<'a> {
    /// `None` if the file is always ready.
    number: Option<Number>,
    _file: PhantomData<(BorrowedFd<'a>, *const ())>,
}

/// A waiter, by its number.
#[derive(Debug)]
pub struct Number {
    fd: RawFd,
    number: u64,
}

/// A file that the thread waits for, again and again.
#[derive(Debug)]
pub struct Served(Option<Number>);

pub(crate) fn arm<'a>(file: File<'a>, waker: &Waker) -> io::Result<Armed<'a>> {
    let number = arm_number(file, waker)?;
    if number.is_none() {
        waker.wake_by_ref();
    }
    Ok(Armed { number, _file: PhantomData })
}

pub(crate) fn serve(file: File<'_>, waker: &Waker) -> io::Result<Served> {
    Ok(Served(add(file, waker, true)?))
}

pub(crate) fn arm_number(file: File<'_>, waker: &Waker) -> io::Result<Option<Number>> {
    add(file, waker, false)
}

/// Adds a waiter. Its waker is called once, or each time that the file is ready.
fn add(file: File<'_>, waker: &Waker, again: bool) -> io::Result<Option<Number>> {
    let mut state = state();
    let epoll = state.epoll()?;
    state.next += 1;
    let (fd, number) = (file.fd.as_raw_fd(), state.next);
    let waiters = state.waiters.entry(fd).or_default();
    let known = !waiters.is_empty();
    let (writable, waker) = (file.writable, waker.clone());
    waiters.push(Waiter { number, again, writable, waker, woken: false });
    let wait = |known| set(&epoll, file.fd, waiters, known);
    let waits = match wait(known) {
        // Closed by another thread meanwhile and opened anew, or the other way round.
        Err(Errno::EXIST) => wait(true),
        Err(Errno::NOENT) => wait(false),
        waits => waits,
    };
    match waits {
        Ok(()) => Ok(Some(Number { fd, number })),
        // A file that is always ready.
        Err(Errno::PERM) => {
            state.leave(&Number { fd, number });
            Ok(None)
        }
        Err(error) => {
            state.leave(&Number { fd, number });
            Err(error.into())
        }
    }
}

pub(crate) fn disarm(number: Number) {
    let mut state = state();
    if let (true, Some(epoll)) = (state.leave(&number), state.epoll.clone()) {
        // SAFETY: its last waiter has just left the list, and waiters borrow the file. A waiter
        // that was leaked leaves never. So at worst another file has the number, and then the call
        // fails, or makes its waiters look again when their time is over.
        let fd = unsafe { BorrowedFd::borrow_raw(number.fd) };
        // It fails for a file that was closed meanwhile.
        let _ = epoll::delete(&epoll, fd);
    }
}

/// Makes the thread wait for what the waiters of a file need.
fn set(
    epoll: &OwnedFd,
    fd: BorrowedFd<'_>,
    waiters: &[Waiter],
    known: bool,
) -> rustix::io::Result<()> {
    let wanted = waiters.iter().filter(|waiter| !waiter.woken).map(Waiter::event);
    let events = wanted.fold(epoll::EventFlags::ONESHOT, |all, event| all | event);
    let data = epoll::EventData::new_u64(fd.as_raw_fd() as u64);
    if known { epoll::modify(epoll, fd, data, events) } else { epoll::add(epoll, fd, data, events) }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(disarm);
    }
}

impl Drop for Armed<'_> {
    fn drop(&mut self) {
        self.number.take().into_iter().for_each(disarm);
    }
}

impl State {
    /// Removes a waiter. Returns whether it was the last one of its file.
    fn leave(&mut self, number: &Number) -> bool {
        let Some(waiters) = self.waiters.get_mut(&number.fd) else { return false };
        waiters.retain(|waiter| waiter.number != number.number);
        let last = waiters.is_empty();
        if last {
            self.waiters.remove(&number.fd);
        }
        last
    }

    /// Returns the instance, and starts its thread if there is none.
    fn epoll(&mut self) -> io::Result<Arc<OwnedFd>> {
        if let Some(epoll) = &self.epoll {
            return Ok(epoll.clone());
        }
        let epoll = Arc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        let waits = epoll.clone();
        let builder = thread::Builder::new().name("file-waiter".to_owned()).stack_size(128 << 10);
        // The signal handlers of the program run in threads of the program.
        crate::process::without_signals(|| builder.spawn(move || run(&waits)))?;
        self.epoll = Some(epoll.clone());
        Ok(epoll)
    }
}

fn run(epoll: &OwnedFd) {
    let mut events = Vec::with_capacity(64);
    loop {
        events.clear();
        let mut wait = || epoll::wait(epoll, rustix::buffer::spare_capacity(&mut events), None);
        if retry_on_intr(&mut wait).is_err() {
            // No memory for the call: it is tried again.
            thread::yield_now();
        }
        for event in &events {
            notify(epoll, event.data.u64() as RawFd, event.flags);
        }
    }
}

/// Calls the wakers of a file, for which the kernel waits no more, and makes it wait for what the
/// others need.
fn notify(epoll: &OwnedFd, fd: RawFd, flags: epoll::EventFlags) {
    let ended = flags.intersects(epoll::EventFlags::ERR | epoll::EventFlags::HUP);
    let mut ready = Vec::new();
    let mut state = state();
    // The event may be of a file that was closed meanwhile. Then its number has no waiter, or the
    // waiter of another file, which looks again in vain.
    let Some(waiters) = state.waiters.get_mut(&fd) else { return };
    for waiter in waiters.iter_mut().filter(|waiter| !waiter.woken) {
        if ended || flags.intersects(waiter.event()) {
            waiter.woken = !waiter.again;
            ready.push(waiter.waker.clone());
        }
    }
    if waiters.iter().any(|waiter| !waiter.woken) {
        // SAFETY: open. A waiter stands in the list as long as it borrows the file, and leaves it
        // under the lock, which is held here. For a waiter that was leaked, see `disarm`.
        let fd = unsafe { BorrowedFd::borrow_raw(fd) };
        // An error means that the file is of another kind than before: its waiters look again when
        // their time is over.
        let _ = set(epoll, fd, waiters, true);
    }
    drop(state);
    // Without the lock: a waker runs code of its owner.
    ready.into_iter().for_each(Waker::wake);
}
