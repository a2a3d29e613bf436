//! Both ends as members of a selection.

use std::task::Waker;

use ipc_core::__private::ready::{
    Claim, ClaimRecv, ClaimSend, Outcome, Pace, Ready, Registration, Selectable, TaskQueue, Tasks,
    Ticket,
};
use ipc_core::__private::wait::{Doorbell, Ended};
use ipc_core::Deadline;
use ipc_core::error::{RecvTimeoutError, SendTimeoutError};
use ipc_core::route::{Receive, Transmit};
use ipc_sys::tasks::ThisProcess;

use crate::array::NotYet;
use crate::ends::{Rx, Tx};
use crate::handle::Handle;
use crate::shared::{Kind, Side};

impl<T> Handle<T> {
    fn enter(&self, side: Side) -> Registration<'_> {
        // The token first: a call that sees this thread in the list rings its bell.
        let (ticket, barrier) = self.announce();
        if let Kind::Meet(meet) = &self.shared.kind {
            if meet.enter(side == Side::Senders) {
                self.shared.ring(side.other(), 1);
            }
        }
        let source = self.bell().source(&ticket);
        Registration { source, ticket: ticket.into(), barrier }
    }

    fn leave(&self, side: Side, ticket: Ticket, outcome: Outcome) {
        if let Kind::Meet(meet) = &self.shared.kind {
            meet.leave(side == Side::Senders);
        }
        self.bell().leave(&ticket.into(), outcome, self.shared.barrier);
    }
}

/// What both ends do alike.
macro_rules! end {
    ($End:ident, $side:expr) => {
        impl<T> Pace for $End<T> {
            fn spins(&self) -> u32 {
                Doorbell::spins(&self.0)
            }

            fn shares_processor(&self) -> bool {
                self.0.shares_processor()
            }

            fn pause(&self) {
                Doorbell::pause(&self.0);
            }

            fn waited(&self, ended: Ended) {
                Doorbell::waited(&self.0, ended);
            }
        }

        impl<T> Ready for $End<T> {
            fn is_ready(&self) -> bool {
                self.can_continue()
            }

            fn register(&self, _waker: &Waker) -> Registration<'_> {
                self.0.enter($side)
            }

            fn unregister(&self, ticket: Ticket, outcome: Outcome) {
                self.0.leave($side, ticket, outcome);
            }

            fn notified(&self, ticket: Ticket) -> bool {
                self.0.bell().notified(&ticket.into())
            }

            fn settle(&self) -> bool {
                self.0.settle(|| self.in_the_way())
            }

            fn tasks(&self) -> &'static dyn Tasks {
                &ThisProcess
            }

            fn task_queue(&self) -> Option<&TaskQueue> {
                Some(self.0.shared.task_queue($side))
            }
        }
    };
}

end!(Tx, Side::Senders);
end!(Rx, Side::Receivers);

impl<T> Tx<T> {
    fn can_continue(&self) -> bool {
        match &self.0.shared.kind {
            Kind::Array(array) => array.is_writable(),
            Kind::List(_) => true,
            Kind::Meet(meet) => meet.is_writable(),
        }
    }
}

impl<T> Rx<T> {
    fn can_continue(&self) -> bool {
        match &self.0.shared.kind {
            Kind::Array(array) => array.is_readable() || self.0.shared.is_gone(Side::Senders),
            Kind::List(list) => list.is_readable() || self.0.shared.is_gone(Side::Senders),
            Kind::Meet(meet) => meet.is_readable(),
        }
    }
}

impl<T> Selectable for Tx<T> {
    fn claim(&self) -> Option<Claim> {
        match self.claim_now() {
            // Of an unbounded channel, where sending never waits.
            Ok(_) if matches!(self.0.shared.kind, Kind::List(_)) => Some(Claim::Ready),
            Ok(place) => place.map(|(place, more)| Claim::Place(place, more)),
            Err(NotYet::Closed) => Some(Claim::Disconnected),
            Err(NotYet::Busy) => None,
        }
    }

    fn give_back(&self, claim: Claim) {
        if let Claim::Place(place, _) = claim {
            self.undo(place);
        }
    }
}

impl<T> ClaimSend<T> for Tx<T> {
    fn send_claimed(&self, claim: Claim, message: T) -> Result<(), SendTimeoutError<T>> {
        match claim {
            Claim::Place(place, _) => match self.complete(place, message) {
                // The receiver was a selection too, and gave its claim back: another one is met.
                Err(SendTimeoutError::Timeout(message)) => self.send(message, Deadline::Never),
                sent => sent,
            },
            Claim::Disconnected => Err(SendTimeoutError::Disconnected(message)),
            Claim::Unsendable(cause) => Err(SendTimeoutError::Unsendable(message, *cause)),
            _ => self.send(message, Deadline::Now),
        }
    }

    fn send_now(&self, message: T) -> Result<(), SendTimeoutError<T>> {
        if let Kind::Meet(_) = &self.0.shared.kind {
            // It may wait for a selection. Tasks meet in another way.
            return Err(SendTimeoutError::Timeout(message));
        }
        match self.claim() {
            Some(claim) => self.send_claimed(claim, message),
            None => Err(SendTimeoutError::Timeout(message)),
        }
    }
}

impl<T> Selectable for Rx<T> {
    fn claim(&self) -> Option<Claim> {
        let claim = || match self.claim_now() {
            Ok(place) => place.map(|(place, more)| Claim::Place(place, more)),
            Err(NotYet::Closed) => Some(Claim::Disconnected),
            Err(NotYet::Busy) => None,
        };
        claim().or_else(|| {
            // As in `attempt`.
            let gone = self.0.shared.is_gone(Side::Senders);
            gone.then(|| claim().unwrap_or(Claim::Disconnected))
        })
    }

    fn give_back(&self, claim: Claim) {
        if let Claim::Place(place, more) = claim {
            self.undo(place, more);
        }
    }
}

impl<T> ClaimRecv<T> for Rx<T> {
    fn recv_claimed(&self, claim: Claim) -> Result<T, RecvTimeoutError> {
        match claim {
            Claim::Place(place, more) => match self.complete(place, more) {
                Some(message) => Ok(message),
                // The sender was a selection too, and gave its claim back: another one is met.
                None => self.recv(Deadline::Never),
            },
            Claim::Disconnected => Err(RecvTimeoutError::Disconnected),
            Claim::Unreadable(cause) => Err(RecvTimeoutError::Unreadable(*cause)),
            _ => self.recv(Deadline::Now),
        }
    }
}
