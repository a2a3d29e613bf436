//! The parent's side of one child: its process, and the socket to it.

use std::io;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use ipc_core::OsHandle;
use ipc_pipes::__private::frame::{
    Frame, FrameReader, Payload, Progress, send_frame, send_payload,
};
use ipc_sys::fork::ForkCheck;
use ipc_sys::per_process::PerProcess;
use ipc_sys::spawn::{self as sys, Activity, End, Interest, Process, Reap, Signal, Status};

/// Children without a handle, until they are reaped.
static DETACHED: PerProcess<Mutex<Vec<Process>>> = PerProcess::new();

/// How long to wait for a killed child before it is left to [`reap_detached`].
const KILL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a child that ended may take to be reaped by another part of the program.
const ELSEWHERE_TIMEOUT: Duration = Duration::from_secs(5);

/// The number of the signal that kills.
const SIGKILL: i32 = 9;

/// The result of [`Running::next`].
#[derive(Debug)]
pub(super) enum Event {
    Frame(Frame),
    /// The child has ended, and the socket has been read to the end.
    Ended,
    TimedOut,
}

/// A child that has been started and not been reaped.
#[derive(Debug)]
pub(super) struct Running {
    process: Option<Process>,
    id: u32,
    /// `None` after everything was read.
    socket: Option<OsHandle>,
    reader: FrameReader,
    /// The pidfd was readable.
    ended: bool,
    /// The process that spawned the child.
    parent: ForkCheck,
    /// It received SIGKILL before it had ended.
    killed: bool,
    /// Something was read since the last call of [`progress`](Running::progress).
    read: bool,
}

impl Running {
    pub(super) fn new(process: Process, socket: OsHandle) -> Self {
        Running {
            id: process.id(),
            process: Some(process),
            socket: Some(socket),
            reader: FrameReader::new(),
            ended: false,
            parent: ForkCheck::new(),
            killed: false,
            read: false,
        }
    }

    /// Returns whether the process has ended, and whether something was read since the last call.
    pub(super) fn progress(&mut self) -> (bool, bool) {
        (self.ended, std::mem::take(&mut self.read))
    }

    /// Returns the process that spawned the child, which is not one that was forked from it.
    pub(super) fn parent(&self) -> ForkCheck {
        self.parent
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Returns the pidfd of a child that has not been reaped.
    pub(super) fn end(&self) -> Option<End> {
        self.process.as_ref().map(Process::end)
    }

    /// Returns what the child is doing, or nothing after it has been reaped.
    pub(super) fn activity(&self) -> Activity {
        self.process.as_ref().map(Process::activity).unwrap_or_default()
    }

    /// Waits for the next frame or the child's end, at most until `deadline`.
    ///
    /// Only the pidfd decides whether the child has ended, because other processes may hold the
    /// socket open. After the end, the socket is read as far as possible without waiting.
    pub(super) fn next(&mut self, deadline: Option<Instant>) -> io::Result<Event> {
        let mut timeout = Some(Duration::ZERO);
        loop {
            let socket = self.socket.as_ref().map(|socket| (socket, Interest::Read));
            if !self.ended {
                self.ended = sys::wait(self.process.as_ref(), socket, timeout)?.ended;
            }
            match self.read() {
                Ok(Some(Progress::Frame(frame))) => return Ok(Event::Frame(frame)),
                Ok(Some(Progress::Some)) => {
                    self.read = true;
                    timeout = Some(Duration::ZERO);
                }
                Ok(None | Some(Progress::Drained | Progress::Closed)) if self.ended => {
                    return Ok(Event::Ended);
                }
                Ok(_) => timeout = left(deadline),
                Err(error) => return Err(error),
            }
            if !self.ended && left(deadline) == Some(Duration::ZERO) {
                return Ok(Event::TimedOut);
            }
        }
    }

    /// Reads without waiting; `None` if there is nothing to read from.
    fn read(&mut self) -> io::Result<Option<Progress>> {
        let Some(socket) = &self.socket else {
            return Ok(None);
        };
        let progress = match self.reader.advance(socket) {
            // The child died before it had read everything from this process.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(Progress::Closed),
            other => other,
        };
        if matches!(progress, Ok(Progress::Closed) | Err(_)) {
            self.socket = None;
        }
        progress.map(Some)
    }

    /// Closes the socket: later frames of the child are not needed.
    pub(super) fn close_socket(&mut self) {
        self.socket = None;
    }

    /// Sends a frame, as long as the child takes some of it within `timeout`, and lives.
    pub(super) fn send(
        &mut self,
        kind: u32,
        body: &[u8],
        handles: &[OsHandle],
        timeout: Duration,
    ) -> io::Result<()> {
        self.send_by(timeout, |socket, wait| send_frame(socket, kind, body, handles, wait))
    }

    /// Sends a body that was already written as it is to be sent; see [`send`](Self::send).
    pub(super) fn send_payload(
        &mut self,
        kind: u32,
        payload: Payload,
        handles: Vec<OsHandle>,
        timeout: Duration,
    ) -> io::Result<()> {
        self.send_by(timeout, |socket, wait| send_payload(socket, kind, payload, handles, wait))
    }

    fn send_by(
        &mut self,
        timeout: Duration,
        send: impl FnOnce(&OsHandle, &mut dyn FnMut() -> io::Result<()>) -> io::Result<()>,
    ) -> io::Result<()> {
        let (Some(socket), process) = (&self.socket, self.process.as_ref()) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        let mut wait = || {
            let deadline = Instant::now().checked_add(timeout);
            loop {
                let timeout = left(deadline);
                let ready = sys::wait(process, Some((socket, Interest::Write)), timeout)?;
                if ready.ended {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                if ready.socket {
                    return Ok(());
                }
                if timeout == Some(Duration::ZERO) {
                    return Err(io::ErrorKind::TimedOut.into());
                }
            }
        };
        send(socket, &mut wait).map_err(|error| match error.kind() {
            // The same, if the child died before it had read everything from this process.
            io::ErrorKind::ConnectionReset => io::ErrorKind::BrokenPipe.into(),
            _ => error,
        })
    }

    pub(super) fn signal(&mut self, signal: Signal) -> io::Result<()> {
        let Some(process) = &self.process else {
            return Ok(());
        };
        let ended = self.ended || sys::wait(Some(process), None, Some(Duration::ZERO))?.ended;
        process.signal(signal)?;
        self.killed |= matches!(signal, Signal::Kill) && !ended;
        Ok(())
    }

    /// Reaps the child after [`Event::Ended`], and returns how it ended. Returns `None` at the
    /// deadline: a debugger that traces the child is notified of its end first, and only then can
    /// the parent reap it.
    ///
    /// If another part of the program reaps the child, the status is the one that the system keeps,
    /// or the signal by which the child was killed here.
    pub(super) fn reap(&mut self, deadline: Option<Instant>) -> io::Result<Option<Status>> {
        let Some(process) = &self.process else {
            return Err(io::Error::other("it was reaped before"));
        };
        let began = Instant::now();
        let end = loop {
            match process.try_reap() {
                Ok(Reap::Ended(status)) => break Ok(Some(status)),
                Ok(Reap::Lost(_)) if self.killed => break Ok(Some(Status::Killed(SIGKILL))),
                Ok(Reap::Lost(why)) => break Err(io::Error::other(why)),
                Ok(Reap::Elsewhere) if began.elapsed() > ELSEWHERE_TIMEOUT => {
                    let text =
                        "it is not a child of this process, and its parent has not reaped it";
                    break Err(io::Error::other(text));
                }
                Ok(Reap::NotYet | Reap::Elsewhere) if left(deadline) == Some(Duration::ZERO) => {
                    return Ok(None);
                }
                Ok(Reap::NotYet | Reap::Elsewhere) => std::thread::sleep(Duration::from_millis(1)),
                Err(error) => break Err(io::Error::new(error.kind(), format!("waitid: {error}"))),
            }
        };
        self.process = None;
        end
    }

    /// Kills the child and reaps it. Waits for a short time only: a process that is blocked in the
    /// kernel dies when it returns from there, and is then reaped like a detached one.
    pub(super) fn kill_and_reap(&mut self) {
        self.close_socket();
        if self.parent.forked() {
            return;
        }
        let _ = self.signal(Signal::Kill);
        let deadline = Instant::now().checked_add(KILL_TIMEOUT);
        if let Ok(Event::Ended) = self.next(deadline) {
            let _ = self.reap(deadline);
        }
    }
}

/// Leaves a child that has not been reaped to [`reap_detached`].
impl Drop for Running {
    fn drop(&mut self) {
        if let Some(process) = self.process.take().filter(|_| !self.parent.forked()) {
            if let Ok(Reap::NotYet) = process.try_reap() {
                DETACHED.lock().push(process);
            }
        }
    }
}

/// Reaps the detached children that have ended.
pub(super) fn reap_detached() {
    DETACHED.lock().retain(|process| matches!(process.try_reap(), Ok(Reap::NotYet)));
}

/// Returns the time that is left until `deadline`, or `None` without a deadline.
fn left(deadline: Option<Instant>) -> Option<Duration> {
    deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()))
}

#[cfg(all(test, target_os = "linux"))]
#[path = "running_tests.rs"]
mod tests;
