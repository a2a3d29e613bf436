//! Monitoring of peers: a thread of this process that the kernel notifies when a peer's process
//! ends.
//!
//! The notification is a hint, and makes waiting cheap: a waiter that is notified of every death
//! need not wake up to check. The lease still decides ([`recovery`](crate::channel::recovery)). A
//! waiter that cannot be notified checks often.
//!
//! ```text
//!   sleeper                                this module                     monitor thread
//!   registers (a token, or seq has moved)
//!   asks `monitors_deaths`: all of them?   asks for those not open: false  opens a pidfd for each
//!   sleeps a short slice, asks again       open now, the lease held: true
//!   sleeps for long                                                        readable: wake_all
//!   recovers its dead peers, notifies all
//! ```
//!
//! - The system reuses pids. A lease that is held after the pidfd was opened was held when it was
//!   opened, so the pidfd is the one of its holder. A pidfd that is readable at once is of no use.
//! - If a peer dies between the answer and the sleep, the monitor notifies the registration, which
//!   was made before.
//! - If a dead process' lease lives on for a moment, the notified waiter does not recover it. The
//!   waiter asks again, gets no pidfd for it, and checks often.
//! - A process that attaches notifies the sleepers ([`Memory::wake_sleepers`]), so they ask again.
//!
//! The thread has a table of descriptors of its own. So its pidfds do not count against the
//! program's limit, and a program that closes all descriptors it does not know leaves them open.
//! The thread is woken through a line whose other end is the one descriptor in the program's table.
//! If that one is closed, the thread ends, and notifies all waiters. The thread cannot query
//! leases, because it has none of the program's descriptors. Nor can it hold an attachment, whose
//! drop needs them. It has views of the mappings, which [`forget`] takes from it before they end.
//!
//! The thread starts when a waiter has waited for long. It ends when no attachment has a living
//! peer monitored.

use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::sync::Mutex;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::{Duration, Instant};

use ipc_core::OsHandle;
use ipc_sys as sys;
use ipc_sys::per_process::PerProcess;

use crate::attach::lease::Leases;
use crate::channel::memory::Memory;
use crate::layout::pid_hint;

/// How long after a failed start the next one is tried. Where threads or descriptors have run out,
/// a waiter does not try again with each slice.
const RETRY: Duration = Duration::from_secs(1);

#[derive(Default)]
struct State {
    monitor: Option<Monitor>,
    /// The number of threads started.
    started: u64,
    not_before: Option<Instant>,
    /// The system lacks what the thread needs.
    unable: bool,
}

static STATE: PerProcess<Mutex<State>> = PerProcess::new();

/// A running monitor thread, as the other threads see it.
struct Monitor {
    number: u64,
    /// Belongs to the program's table: the thread must not drop it.
    line: ManuallyDrop<OsHandle>,
    identity: sys::Identity,
    /// The monitored processes, by their `pid_hint` words.
    peers: HashMap<u64, Peer>,
}

/// A monitored process.
#[derive(Default)]
struct Peer {
    /// Whether the thread has its pidfd.
    open: bool,
    parts: Vec<Part>,
}

/// A peer's part in a channel that this process is attached to.
struct Part {
    /// Valid until `forget`.
    memory: Memory,
    id: u64,
    /// Its lease was held when the pidfd was open.
    sure: bool,
}

/// Returns whether both are views of the same mapping.
fn same(one: &Memory, other: &Memory) -> bool {
    std::ptr::eq(one.header(), other.header())
}

/// Returns whether `id` is still the part of the process whose `pid_hint` word is `word`.
fn still(memory: &Memory, id: u64, word: u64) -> bool {
    memory.membership().pid_hint(id) == Some(word)
}

impl Monitor {
    /// Returns the line, if it is still the monitor's own: see `Attachment::descriptor`.
    fn line(&self) -> Option<sys::Borrowed<'_>> {
        let line = sys::borrow(&self.line);
        sys::descriptor::identity(line)
            .is_ok_and(|identity| identity == self.identity)
            .then_some(line)
    }

    /// Wakes the thread to read `peers`. Returns false if it cannot be reached.
    fn say(&self) -> bool {
        self.line().is_some_and(sys::wake_pair::wake)
    }

    /// Ends the thread.
    fn stop(mut self) {
        let Some(line) = self.line() else { return };
        // Shut down, not only closed: a forked child may have the line too.
        sys::wake_pair::shut_down(line);
        close(&mut self.line);
    }
}

impl State {
    fn number(&mut self, number: u64) -> Option<&mut Monitor> {
        self.monitor.as_mut().filter(|monitor| monitor.number == number)
    }

    /// Returns the running thread, or starts one.
    fn running(&mut self) -> Option<&mut Monitor> {
        if self.monitor.is_none() {
            if self.unable || self.not_before.is_some_and(|time| Instant::now() < time) {
                return None;
            }
            self.monitor = self.start();
            self.not_before = self.monitor.is_none().then(|| Instant::now() + RETRY);
        }
        self.monitor.as_mut()
    }

    fn start(&mut self) -> Option<Monitor> {
        let (line, theirs) = sys::wake_pair::new().ok()?;
        let identity = sys::descriptor::identity(sys::borrow(&line)).ok()?;
        self.started += 1;
        let (number, fd) = (self.started, sys::descriptor::number(&theirs));
        let (ready, is_ready) = sync_channel(1);
        let run = move || {
            // Until then the descriptor numbers are the program's, so nothing here may close them.
            // SAFETY: `theirs` is open until this thread has reported. Of descriptors this thread
            // uses that one, and those that it opens from now on: `run` gets no other.
            #[allow(unsafe_code)]
            let line = unsafe { sys::descriptor::own_table(fd) }
                .and_then(|line| sys::process::pidfd_open(std::process::id()).map(|_| line));
            // The other end waits.
            let _ = ready.send(line.is_ok());
            if let Ok(line) = line {
                run(number, &line);
            }
        };
        // No signal handler of the program runs in a thread that has none of its descriptors.
        let builder =
            thread::Builder::new().name("channel-watcher".to_owned()).stack_size(128 << 10);
        sys::process::without_signals(|| builder.spawn(run)).ok()?;
        // Until the thread reports, it uses the program's table.
        if !is_ready.recv().unwrap_or(false) {
            self.unable = true;
            return None;
        }
        drop(theirs);
        Some(Monitor { number, line: ManuallyDrop::new(line), identity, peers: HashMap::new() })
    }
}

/// Returns whether the death of every participant other than `me` is monitored from now on.
///
/// If not, those that can be monitored will be soon. `own` is the `pid_hint` word of this process.
///
/// The caller is registered as a waiter.
pub(crate) fn monitors_deaths(memory: &Memory, me: u64, own: u64, leases: &impl Leases) -> bool {
    if own == pid_hint::NONE {
        return false;
    }
    let mut all = true;
    let mut wanted = Vec::new();
    for id in 1..memory.entries().len() as u64 {
        match memory.membership().pid_hint(id).filter(|word| id != me && *word != own) {
            None => {}
            Some(word) if pid_hint::known_to(own, word).is_some() => wanted.push((id, word)),
            Some(_) => all = false,
        }
    }
    let mut state = STATE.lock();
    // The participants that have detached meanwhile.
    let dropped = state.drop_parts(memory, |id, word| !wanted.contains(&(id, word)));
    if wanted.is_empty() {
        state.settle(dropped);
        return all;
    }
    let Some(monitor) = state.running() else { return false };
    let mut news = dropped;
    for (id, word) in wanted {
        let peer = monitor.peers.entry(word).or_insert_with(|| {
            news = true;
            Peer::default()
        });
        let is_it = |part: &Part| same(&part.memory, memory) && part.id == id;
        let index = peer.parts.iter().position(is_it).unwrap_or_else(|| {
            peer.parts.push(Part { memory: *memory, id, sure: false });
            peer.parts.len() - 1
        });
        let part = &mut peer.parts[index];
        // In this order: a participant whose lease is held now held it when the pidfd was opened.
        part.sure = part.sure || peer.open && leases.alive(id) && still(memory, id, word);
        all &= part.sure;
    }
    if news && !monitor.say() {
        state.abandon();
        return false;
    }
    all
}

/// Drops all that the thread knows of a channel, before its mapping ends.
pub(crate) fn forget(memory: &Memory) {
    let mut state = STATE.lock();
    let dropped = state.drop_parts(memory, |_, _| true);
    state.settle(dropped);
}

impl State {
    /// Drops the parts in this channel that are `gone`. Returns true if there was one.
    fn drop_parts(&mut self, memory: &Memory, gone: impl Fn(u64, u64) -> bool) -> bool {
        let Some(monitor) = &mut self.monitor else { return false };
        let mut any = false;
        monitor.peers.retain(|word, peer| {
            peer.parts.retain(|part| {
                let goes = same(&part.memory, memory) && gone(part.id, *word);
                any |= goes;
                !goes
            });
            !peer.parts.is_empty()
        });
        any
    }

    /// Ends the thread if it has nothing to do. Otherwise wakes it if there is `news`.
    fn settle(&mut self, news: bool) {
        let Some(monitor) = &self.monitor else { return };
        if monitor.peers.is_empty() {
            self.monitor.take().into_iter().for_each(Monitor::stop);
        } else if news && !monitor.say() {
            self.abandon();
        }
    }

    /// Gives the thread up, because its line is closed.
    ///
    /// Nothing is monitored any more, and all waiters must check for themselves. The line is not
    /// dropped: by now its number belongs to another file, or to another table than this thread's.
    fn abandon(&mut self) {
        let Some(monitor) = self.monitor.take() else { return };
        for part in monitor.peers.values().flat_map(|peer| &peer.parts) {
            part.memory.ring_after_death();
        }
    }
}

/// The monitor thread's main loop.
fn run(number: u64, line: &OsHandle) {
    // In this thread's table: opened and dropped only here.
    let mut pidfds: HashMap<u64, OsHandle> = HashMap::new();
    loop {
        // The threads that wait for this one to start hold the lock.
        match STATE.lock().number(number) {
            Some(monitor) => renew(monitor, &mut pidfds),
            None => return,
        }
        let words: Vec<u64> = pidfds.keys().copied().collect();
        let fds: Vec<_> = std::iter::once(line)
            .chain(words.iter().map(|word| &pidfds[word]))
            .map(sys::borrow)
            .collect();
        let readable = sys::wake_pair::readable(&fds, true).unwrap_or_default();
        if readable.first().is_none_or(|said| *said && !sys::wake_pair::drain(sys::borrow(line))) {
            let mut state = STATE.lock();
            if state.number(number).is_some() {
                state.abandon();
            }
            return;
        }
        for (word, _) in words.iter().zip(&readable[1..]).filter(|(_, readable)| **readable) {
            pidfds.remove(word);
            let mut state = STATE.lock();
            // If its pidfd is requested anew, it may be another process.
            let dead = state.number(number).and_then(|monitor| monitor.peers.remove(word));
            for part in dead.iter().flat_map(|peer| &peer.parts) {
                if still(&part.memory, part.id, *word) {
                    part.memory.ring_after_death();
                }
            }
        }
    }
}

/// Opens and closes pidfds as `peers` requires.
fn renew(monitor: &mut Monitor, pidfds: &mut HashMap<u64, OsHandle>) {
    pidfds.retain(|word, _| monitor.peers.contains_key(word));
    monitor.peers.retain(|word, peer| {
        if !peer.open {
            // The process has ended, or there is no descriptor left. The next call of
            // `monitors_deaths` returns that it is not monitored.
            let Ok(pidfd) = sys::process::pidfd_open(pid_hint::pid(*word)) else { return false };
            if !matches!(
                sys::wake_pair::readable(&[sys::borrow(&pidfd)], false).as_deref(),
                Ok([false])
            ) {
                return false;
            }
            peer.open = true;
            pidfds.insert(*word, pidfd);
        }
        true
    });
}

/// Closes the line.
#[allow(unsafe_code)]
fn close(line: &mut ManuallyDrop<OsHandle>) {
    // SAFETY: called once, by `Monitor::stop`, which consumes the monitor that owns the line.
    unsafe { ManuallyDrop::drop(line) }
}
