//! Both ends for tasks.

use std::task::{Context, Poll};

use ipc_core::__private::poll::{self, PollRecv, PollSend};
use ipc_core::__private::task::Wait;
use ipc_core::error::{RecvError, SendError, SendTimeoutError};

use crate::ends::{Rx, Tx};
use crate::meet::Node;
use crate::shared::Kind;
use crate::sync::Arc;

/// What a task keeps while it waits.
pub struct TaskWait<T> {
    /// For channels with room, and of other routes.
    pub wait: Wait,
    /// For channels without room.
    node: Option<Arc<Node<T>>>,
}

impl<T> Default for TaskWait<T> {
    fn default() -> Self {
        TaskWait { wait: Wait::new(), node: None }
    }
}

impl<T> PollSend<T> for Tx<T> {
    type Waiting = TaskWait<T>;

    fn poll_send(
        &self,
        waiting: &mut TaskWait<T>,
        message: &mut Option<T>,
        context: &Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        let Kind::Meet(meet) = &self.0.shared.kind else {
            return poll::send(self, &mut waiting.wait, message, context);
        };
        let polled = meet.poll_send(&mut waiting.node, message, context.waker(), &self.0);
        polled.map_err(|error| match error {
            SendTimeoutError::Disconnected(back) | SendTimeoutError::Timeout(back) => {
                SendError::Disconnected(back)
            }
            SendTimeoutError::Unsendable(back, cause) => SendError::Unsendable(back, cause),
        })
    }

    fn leave_send(&self, waiting: &mut TaskWait<T>, message: &mut Option<T>) {
        if let (Kind::Meet(meet), Some(node)) = (&self.0.shared.kind, waiting.node.take()) {
            *message = meet.cancel_send(node);
        }
        poll::leave(self, &mut waiting.wait);
    }
}

impl<T> PollRecv<T> for Rx<T> {
    type Waiting = TaskWait<T>;

    #[inline]
    fn poll_recv(
        &self,
        waiting: &mut TaskWait<T>,
        context: &Context<'_>,
    ) -> Poll<Result<T, RecvError>> {
        let Kind::Meet(meet) = &self.0.shared.kind else {
            return poll::recv(self, &mut waiting.wait, context);
        };
        let polled = meet.poll_receive(&mut waiting.node, context.waker(), &self.0);
        polled.map_err(|_| RecvError::Disconnected)
    }

    fn leave_recv(&self, waiting: &mut TaskWait<T>) {
        if let (Kind::Meet(meet), Some(node)) = (&self.0.shared.kind, waiting.node.take()) {
            meet.cancel_receive(&node, &self.0);
        }
        poll::leave(self, &mut waiting.wait);
    }
}
