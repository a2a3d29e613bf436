//! Claimed operations: those that `Select` has chosen, and that are not completed yet.
//!
//! A claimed message was taken out of the carrier. If this process dies before it completes the
//! operation, the message is lost with it, as one that `recv` is about to return. The kernel
//! reserves no room for a message, so nothing is claimed to send one.

use std::task::{Context, Poll, Waker};

use ipc_core::__private::poll::{self, PollRecv, PollSend};
use ipc_core::__private::ready::{
    Claim, ClaimBorrow, ClaimRecv, ClaimSend, Outcome, Pace, Ready, Registration, Selectable,
    Source, Tasks, Ticket,
};
use ipc_core::__private::task::Wait;
use ipc_core::route::Transmit;
use ipc_core::{
    Deadline, RecvError, RecvTimeoutError, SendError, SendTimeoutError, Unreadable, Unsendable,
};
use ipc_sys as sys;
use ipc_sys::tasks::ThisProcess;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::batch::Packed;
use crate::channel::{Ref, Rx, Tx};
use crate::message::{self, Kind, Scratch, TakenOut};
use crate::shared_end::{Parked, SharedEnd};

/// Takes a message out of the carrier, if there is one.
fn claim_message(shared: &SharedEnd) -> Option<Claim> {
    if shared.carrier.forked() {
        return Some(Claim::Unreadable(Box::new(Unreadable::Forked)));
    }
    if let Err(RecvTimeoutError::Unreadable(cause)) = shared.unread.check() {
        return Some(Claim::Unreadable(Box::new(cause)));
    }
    loop {
        if let Some(message) = shared.any_parked().then(|| shared.unpark()).flatten() {
            return Some(Claim::Message(Box::new(message)));
        }
        let mut buffer = Scratch::take();
        let received = match message::recv(&shared.carrier, &mut buffer.0, Deadline::Now) {
            Ok(received) => received,
            // Another receiver of this process has parked something.
            Err(_) if shared.any_parked() => continue,
            Err(RecvTimeoutError::Timeout) => return None,
            Err(RecvTimeoutError::Unreadable(cause)) => {
                if let Some(counters) = &shared.counters {
                    counters.received(1);
                }
                return Some(Claim::Unreadable(Box::new(cause)));
            }
            Err(_) => return Some(Claim::Disconnected),
        };
        let Kind::Messages(count) = received.kind else {
            if let Some(counters) = &shared.counters {
                counters.received(1);
            }
            let message = Parked::Received(TakenOut { received, buffer });
            return Some(Claim::Message(Box::new(message)));
        };
        match Packed::new(count, received.body(&buffer.0)) {
            Ok(messages) => {
                if let Some(counters) = &shared.counters {
                    counters.received(usize::from(count));
                }
                shared.park(messages);
            }
            Err(cause) => return Some(Claim::Unreadable(Box::new(cause))),
        }
    }
}

/// Implements what both ends have in common. `$writable`: whether it waits for room to write.
macro_rules! end {
    ($End:ident, $writable:literal, $ready:expr) => {
        impl<T> Pace for $End<T> {}

        impl<T> Ready for $End<T> {
            fn is_ready(&self) -> bool {
                let shared = &*self.shared;
                shared.carrier.forked() || $ready(shared)
            }

            fn register(&self, _waker: &Waker) -> Registration<'_> {
                // The kernel wakes every thread that waits for a file, so there is nothing to
                // pass on.
                let source = Source::File { fd: self.shared.carrier.fd(), writable: $writable };
                Registration { source, ticket: Ticket(0), barrier: false }
            }

            fn unregister(&self, _ticket: Ticket, _outcome: Outcome) {}

            fn notified(&self, _ticket: Ticket) -> bool {
                false
            }

            fn tasks(&self) -> &'static dyn Tasks {
                &ThisProcess
            }

            fn file(&self) -> Option<Source<'_>> {
                Some(Source::File { fd: self.shared.carrier.fd(), writable: $writable })
            }
        }
    };
}

end!(Tx, true, |shared: &SharedEnd| {
    !shared.carrier.is_full() || sys::socket::gone(shared.carrier.fd())
});
end!(Rx, false, |shared: &SharedEnd| {
    shared.any_parked()
        || shared.unread.any()
        || sys::socket::ready(shared.carrier.fd(), sys::socket::Interest::Receive, Deadline::Now)
});

impl<T> Selectable for Tx<T> {
    fn claim(&self) -> Option<Claim> {
        if self.shared.carrier.forked() {
            return Some(Claim::Unsendable(Box::new(Unsendable::Forked)));
        }
        self.is_ready().then_some(Claim::Ready)
    }

    fn give_back(&self, _claim: Claim) {}
}

impl<T> Selectable for Rx<T> {
    fn claim(&self) -> Option<Claim> {
        claim_message(&self.shared)
    }

    fn give_back(&self, claim: Claim) {
        match claim {
            Claim::Message(message) => {
                if let Ok(message) = message.downcast::<Parked>() {
                    self.shared.park_first(*message);
                }
            }
            Claim::Unreadable(cause) => self.shared.unread.keep(*cause),
            _ => {}
        }
    }
}

impl<T: Serialize + DeserializeOwned> ClaimSend<T> for Tx<T> {
    /// Waits if another sender was faster.
    fn send_claimed(&self, claim: Claim, message: T) -> Result<(), SendTimeoutError<T>> {
        match claim {
            Claim::Unsendable(cause) => Err(SendTimeoutError::Unsendable(message, *cause)),
            _ => self.send(message, Deadline::Never),
        }
    }

    fn send_now(&self, message: T) -> Result<(), SendTimeoutError<T>> {
        self.send(message, Deadline::Now)
    }
}

impl<T: Serialize + DeserializeOwned> ClaimRecv<T> for Rx<T> {
    fn recv_claimed(&self, claim: Claim) -> Result<T, RecvTimeoutError> {
        match claim {
            Claim::Message(message) => match message.downcast::<Parked>() {
                Ok(message) => message.decode().map_err(RecvTimeoutError::Unreadable),
                Err(_) => unreachable!("the claims of this end are parked messages"),
            },
            Claim::Unreadable(cause) => Err(RecvTimeoutError::Unreadable(*cause)),
            _ => Err(RecvTimeoutError::Disconnected),
        }
    }
}

impl<T: Serialize + DeserializeOwned> ClaimBorrow<T> for Rx<T> {
    fn recv_ref_claimed(&self, claim: Claim) -> Result<Ref<'_, T>, RecvTimeoutError> {
        Ok(Ref::new(self.recv_claimed(claim)?))
    }
}

impl<T: Serialize + DeserializeOwned> PollSend<T> for Tx<T> {
    type Waiting = Wait;

    fn poll_send(
        &self,
        wait: &mut Wait,
        message: &mut Option<T>,
        context: &Context<'_>,
    ) -> Poll<Result<(), SendError<T>>> {
        poll::send(self, wait, message, context)
    }

    fn leave_send(&self, wait: &mut Wait, _message: &mut Option<T>) {
        poll::leave(self, wait);
    }
}

impl<T: Serialize + DeserializeOwned> PollRecv<T> for Rx<T> {
    type Waiting = Wait;

    #[inline]
    fn poll_recv(&self, wait: &mut Wait, context: &Context<'_>) -> Poll<Result<T, RecvError>> {
        poll::recv(self, wait, context)
    }

    fn leave_recv(&self, wait: &mut Wait) {
        poll::leave(self, wait);
    }
}
