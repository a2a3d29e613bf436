//! [`JoinHandle`]: the parent's handle of a child.

use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::process::{ChildStderr, ChildStdin, ChildStdout};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ipc_core::__private::codec;
use ipc_core::{Unreadable, Unsendable};
use ipc_pipes::__private::frame::{Body, Frame};
use ipc_sys::fork::ForkCheck;
use ipc_sys::spawn::{End, Signal, Status, Streams};
use serde::de::DeserializeOwned;

use super::JoinError;
use super::active;
use super::causes::NotSent;
use super::join_wait::{JoinWait, Progress};
use super::protocol;
use super::running::{Event, Running};

/// Owns a child process that [`spawn`](super::spawn) started: waits for its result, or kills it.
///
/// Dropping the handle detaches the child, as with threads: the child continues, and its result is
/// lost. The next `spawn` of this process reaps it. Until then, a detached child that has ended
/// stays in the process table. With [`Builder::kill_on_drop`](super::Builder::kill_on_drop),
/// dropping the handle kills the child and blocks until it is gone.
///
/// # When a process dies
///
/// However the child ends, [`join`](Self::join) returns at once, even if another process holds the
/// child's output or socket open. If the parent dies, the child continues, and its result is lost.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use multiprocess::JoinError;
///
/// multiprocess::init();
/// let child = multiprocess::spawn(|()| -> u8 { std::process::exit(7) }, ())?;
/// assert!(matches!(child.join(), Err(JoinError::Exited(7))));
/// # Ok(())
/// # }
/// ```
pub struct JoinHandle<R> {
    child: Box<Child>,
    /// While a task waits for it.
    waits: Option<Box<JoinWait>>,
    result: PhantomData<fn() -> R>,
}

impl<R> Drop for JoinHandle<R> {
    fn drop(&mut self) {
        if let Some(mut waits) = self.waits.take() {
            waits.leave(&self.child.end);
        }
    }
}

struct Child {
    /// The process whose child it is.
    parent: ForkCheck,
    id: u32,
    state: Mutex<State>,
    name: Option<String>,
    kill_on_drop: bool,
    streams: Streams,
    /// Lives as long as the handle, also after the child was reaped.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code, reason = "there it is no descriptor"))]
    end: End,
}

struct State {
    running: Running,
    /// The last frame of the child, or why it cannot be read.
    last: Option<Result<Frame, JoinError>>,
    /// How the child ended, after it has been reaped.
    ended: Option<Result<Status, io::Error>>,
}

impl State {
    /// Waits for the end until `deadline`, and returns whether the child has ended. Meanwhile it
    /// takes the result from the socket, which would otherwise fill up and delay the child.
    fn wait(&mut self, deadline: Option<Instant>) -> bool {
        while self.ended.is_none() {
            match self.running.next(deadline) {
                Ok(Event::TimedOut) => return false,
                Ok(Event::Ended) => match self.running.reap(deadline) {
                    Ok(None) => return false,
                    Ok(Some(status)) => self.ended = Some(Ok(status)),
                    Err(error) => self.ended = Some(Err(error)),
                },
                Ok(Event::Frame(frame)) => {
                    self.last = Some(Ok(frame));
                    self.running.close_socket();
                }
                // A broken frame closes the socket; the next round finds the end.
                Err(error) if self.last.is_none() => {
                    self.last = Some(Err(match error.downcast() {
                        Ok(cause) => JoinError::Unreadable(cause),
                        Err(error) => JoinError::Unknown(error),
                    }));
                    self.running.close_socket();
                }
                Err(error) => self.ended = Some(Err(error)),
            }
        }
        true
    }
}

impl<R> JoinHandle<R> {
    pub(super) fn new(
        running: Running,
        name: Option<String>,
        kill_on_drop: bool,
        streams: Streams,
    ) -> Self {
        let (parent, id) = (running.parent(), running.id());
        let end = running.end().expect("a child that has just been started is not reaped");
        active::add(id, name.clone(), &end);
        let state = Mutex::new(State { running, last: None, ended: None });
        JoinHandle {
            child: Box::new(Child { parent, id, state, name, kill_on_drop, streams, end }),
            waits: None,
            result: PhantomData,
        }
    }

    /// Locks the state. Fails in a process that was forked from the child's parent, because there
    /// the lock may be held for ever.
    fn state(&self) -> io::Result<MutexGuard<'_, State>> {
        if self.child.parent.forked() {
            let text = "this process was forked from the parent of the child process; only the parent can wait for it \
                 or signal it";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        Ok(self.child.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns whether the child has ended, so that [`join`](Self::join) would not block. Never
    /// blocks.
    ///
    /// If a large result travels through the socket (see [the module](super)), the child cannot end
    /// before the result is taken. Each call takes a part of it.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state().map_or(true, |mut state| state.wait(Some(Instant::now())))
    }

    /// Kills the child at once (SIGKILL).
    ///
    /// After that [`join`](Self::join) returns [`JoinError::Killed`], or the result if the child
    /// had sent it. Never blocks, and does nothing to a child that has ended. The signal never goes
    /// to another process, even if one has been given the same number since.
    ///
    /// # Errors
    ///
    /// An error of the system if the child runs under another user now. `Unsupported` in a process
    /// that was forked from the child's parent.
    #[doc(alias("SIGKILL", "pidfd_send_signal"))]
    pub fn kill(&self) -> io::Result<()> {
        self.state()?.running.signal(Signal::Kill)
    }

    /// Asks the child to end (SIGTERM). The child may handle or ignore the signal.
    ///
    /// Otherwise like [`kill`](Self::kill). Never blocks.
    ///
    /// # Errors
    ///
    /// As [`kill`](Self::kill).
    #[doc(alias = "SIGTERM")]
    pub fn terminate(&self) -> io::Result<()> {
        self.state()?.running.signal(Signal::Terminate)
    }

    /// Returns the number of the child's process. After the child was joined, another process may
    /// get the same number.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id
    }

    /// Returns the name that [`Builder::name`](super::Builder::name) gave to the child.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.child.name.as_deref()
    }

    /// Takes the writing end of the child's stdin, once.
    ///
    /// There is one if [`Builder::stdin`](super::Builder::stdin) was given `Stdio::piped()`. It
    /// stays open while it is in the handle. After it was dropped, the child reads to the end.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.streams.stdin.take()
    }

    /// Takes the reading end of the child's stdout, once.
    ///
    /// There is one if [`Builder::stdout`](super::Builder::stdout) was given `Stdio::piped()`. Read
    /// it, or a child that prints much blocks.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.streams.stdout.take()
    }

    /// Takes the reading end of the child's stderr, like [`take_stdout`](Self::take_stdout).
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.streams.stderr.take()
    }
}

impl<R: DeserializeOwned> JoinHandle<R> {
    /// Waits for the child to end, and returns the result of its function.
    ///
    /// Blocks until the process is gone, even if the result came before.
    ///
    /// # Errors
    ///
    /// A [`JoinError`] that says how the child ended, if it gave no result.
    pub fn join(self) -> Result<R, JoinError> {
        self.join_until(None).unwrap_or_else(|_| {
            let error = io::Error::other("waiting without a deadline came to its deadline");
            Err(JoinError::Unknown(error))
        })
    }

    /// Waits for the child to end, and blocks for at most `timeout`.
    ///
    /// # Errors
    ///
    /// The outer error returns the handle: the child still runs or is stopped, and can be waited
    /// for again or killed. The inner result is that of [`join`](Self::join).
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use std::time::Duration;
    /// multiprocess::init();
    /// let child = multiprocess::spawn(|()| loop { std::thread::park() }, ())?;
    /// match child.join_timeout(Duration::from_millis(10)) {
    ///     Ok(result) => result?,
    ///     Err(child) => child.kill()?,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_timeout(self, timeout: Duration) -> Result<Result<R, JoinError>, Self> {
        // A time that the clock cannot represent is no limit.
        self.join_until(Instant::now().checked_add(timeout))
    }

    /// Returns the result of the child's function if the child has ended. Never blocks.
    ///
    /// # Errors
    ///
    /// As [`join_timeout`](Self::join_timeout). To check many children and keep their handles, use
    /// [`is_finished`](Self::is_finished).
    pub fn try_join(self) -> Result<Result<R, JoinError>, Self> {
        self.join_until(Some(Instant::now()))
    }

    fn join_until(self, deadline: Option<Instant>) -> Result<Result<R, JoinError>, Self> {
        self.result(deadline).map_err(|_| self)
    }

    /// Returns the result if the child has ended. Never blocks.
    fn attempt(&self) -> Result<Result<R, JoinError>, Progress> {
        self.result(Some(Instant::now()))
    }

    fn result(&self, deadline: Option<Instant>) -> Result<Result<R, JoinError>, Progress> {
        let mut state = match self.state() {
            Ok(state) => state,
            Err(error) => return Ok(Err(JoinError::Unknown(error))),
        };
        if !state.wait(deadline) {
            let (ended, read) = state.running.progress();
            return Err(Progress { ended, read });
        }
        let (last, ended) = (state.last.take(), state.ended.take());
        drop(state);
        Ok(outcome(last, ended))
    }
}

/// Waits for the child to end, as [`join`](JoinHandle::join) does, and returns the result of its
/// function.
///
/// Dropping the handle before that detaches the child. To keep the handle, await `&mut child`, for
/// example together with a time limit.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// multiprocess::init();
/// let child = multiprocess::spawn(|n: u64| n * n, 12)?;
/// let squared = futures_executor::block_on(child)?;
/// assert_eq!(squared, 144);
/// # Ok(()) }
/// ```
///
/// # Panics
///
/// If it is polled after it was ready.
impl<R: DeserializeOwned> Future for JoinHandle<R> {
    type Output = Result<R, JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut waits = self.waits.take().unwrap_or_else(|| Box::new(JoinWait::new()));
        let polled = match self.attempt() {
            Ok(result) => {
                waits.leave(&self.child.end);
                Poll::Ready(result)
            }
            Err(progress) => {
                waits.poll(&self.child.end, &progress, context, || self.attempt().ok())
            }
        };
        if polled.is_pending() {
            self.waits = Some(waits);
        }
        polled
    }
}

/// Makes the result from the last frame and the end of the process. A result that has come is a
/// result, however the process ended after it.
fn outcome<R: DeserializeOwned>(
    last: Option<Result<Frame, JoinError>>,
    ended: Option<io::Result<Status>>,
) -> Result<R, JoinError> {
    let text = |body: Body| String::from_utf8_lossy(&body).into_owned();
    match last {
        Some(Ok(frame)) => match frame.kind {
            protocol::RETURNED => codec::decode_carrying(&frame.body, frame.handles)
                .map_err(|error| JoinError::Unreadable(Unreadable::Decode(error))),
            protocol::PANICKED => Err(JoinError::Panicked(text(frame.body))),
            protocol::UNSENDABLE => Err(match postcard::from_bytes::<NotSent>(&frame.body) {
                Ok(cause) => JoinError::Unsendable(Unsendable::from(cause)),
                Err(_) => malformed("why there is no result does not decode"),
            }),
            _ => Err(malformed("it is of an unknown kind")),
        },
        Some(Err(error)) => Err(error),
        None => Err(match ended {
            Some(Ok(Status::Exited(code))) => JoinError::Exited(code),
            Some(Ok(Status::Killed(signal))) => JoinError::Killed(signal),
            Some(Err(error)) => JoinError::Unknown(error),
            None => JoinError::Unknown(io::Error::other("it was not waited for")),
        }),
    }
}

fn malformed(what: &'static str) -> JoinError {
    JoinError::Unreadable(Unreadable::Malformed(what))
}

impl Drop for Child {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        if self.kill_on_drop {
            state.running.kill_and_reap();
        }
    }
}

/// The pidfd of the child: a descriptor that becomes and stays readable when the child ends.
///
/// It is for `poll`, `epoll` and event loops that wait for descriptors: wait until it is readable,
/// then call [`try_join`](JoinHandle::try_join). It is never readable before the child has ended,
/// although the child may have sent its result before. A stopped child has not ended. Nothing can
/// be read from the descriptor.
///
/// A child that can make no memory file for a large result cannot end before a call of
/// [`is_finished`](JoinHandle::is_finished) or [`join`](JoinHandle::join) takes the result.
///
/// On Linux only.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use std::os::fd::AsFd;
///
/// multiprocess::init();
/// let child = multiprocess::spawn(|()| 7, ())?;
/// # use rustix::event::{PollFd, PollFlags, poll};
/// poll(&mut [PollFd::from_borrowed_fd(child.as_fd(), PollFlags::IN)], None)?;
/// assert_eq!(child.try_join().expect("it has ended")?, 7);
/// # Ok(())
/// # }
/// ```
#[cfg(target_os = "linux")]
impl<R> std::os::fd::AsFd for JoinHandle<R> {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.child.end.as_fd()
    }
}

impl<R> fmt::Debug for JoinHandle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("name", &self.child.name)
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
