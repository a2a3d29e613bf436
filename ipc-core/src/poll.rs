//! Operations of tasks, as attempts that register the task if they cannot be done now.

use std::task::{Context, Poll};

use crate::error::{RecvError, RecvTimeoutError, SendError, SendTimeoutError};
use crate::ready::{ClaimRecv, ClaimSend, Outcome, Ready};
use crate::route::Receive;
use crate::task::Wait;

/// A sending end for tasks.
pub trait PollSend<T>: ClaimSend<T> {
    /// What a task keeps while it waits.
    type Waiting: Default;

    /// Sends the message if that is possible now, or registers the task.
    ///
    /// # Errors
    ///
    /// As [`Sender::send`](crate::Sender::send).
    fn poll_send(
        &self,
        waiting: &mut Self::Waiting,
        message: &mut Option<T>,
        context: &Context<'_>,
    ) -> Poll<Result<(), SendError<T>>>;

    /// Ends the wait of a task. The message is put back, unless it was sent.
    fn leave_send(&self, waiting: &mut Self::Waiting, message: &mut Option<T>);
}

/// A receiving end for tasks.
pub trait PollRecv<T>: ClaimRecv<T> {
    /// What a task keeps while it waits.
    type Waiting: Default;

    /// Receives a message if there is one now, or registers the task.
    ///
    /// # Errors
    ///
    /// As [`Receiver::recv`](crate::Receiver::recv).
    fn poll_recv(
        &self,
        waiting: &mut Self::Waiting,
        context: &Context<'_>,
    ) -> Poll<Result<T, RecvError>>;

    /// Ends the wait of a task.
    fn leave_recv(&self, waiting: &mut Self::Waiting);
}

/// [`PollSend::poll_send`], by attempts.
#[inline]
pub fn send<T, E: ClaimSend<T>>(
    end: &E,
    wait: &mut Wait,
    message: &mut Option<T>,
    context: &Context<'_>,
) -> Poll<Result<(), SendError<T>>> {
    wait.poll(end, context, || match sent(end.send_now(message.take()?)) {
        Ok(done) => Some(done),
        Err(back) => {
            *message = Some(back);
            None
        }
    })
}

/// Returns the message if it could not be sent now.
///
/// # Errors
///
/// The message.
pub fn sent<T>(result: Result<(), SendTimeoutError<T>>) -> Result<Result<(), SendError<T>>, T> {
    match result {
        Ok(()) => Ok(Ok(())),
        Err(SendTimeoutError::Timeout(back)) => Err(back),
        Err(SendTimeoutError::Disconnected(back)) => Ok(Err(SendError::Disconnected(back))),
        Err(SendTimeoutError::Unsendable(back, cause)) => {
            Ok(Err(SendError::Unsendable(back, cause)))
        }
    }
}

/// [`PollRecv::poll_recv`], by attempts.
#[inline]
pub fn recv<T, E: Receive<T> + ClaimRecv<T>>(
    end: &E,
    wait: &mut Wait,
    context: &Context<'_>,
) -> Poll<Result<T, RecvError>> {
    wait.poll(end, context, || match end.recv_now() {
        Some(message) => Some(Ok(message)),
        None => received(end.recv_claimed(end.claim()?)),
    })
}

/// Returns nothing for a claim that was void.
pub fn received<T>(result: Result<T, RecvTimeoutError>) -> Option<Result<T, RecvError>> {
    match result {
        Ok(message) => Some(Ok(message)),
        Err(RecvTimeoutError::Timeout) => None,
        Err(RecvTimeoutError::Disconnected) => Some(Err(RecvError::Disconnected)),
        Err(RecvTimeoutError::Unreadable(cause)) => Some(Err(RecvError::Unreadable(cause))),
    }
}

/// Ends a wait by attempts.
pub fn leave<E: Ready>(end: &E, wait: &mut Wait) {
    wait.leave(end, Outcome::Unused);
}
