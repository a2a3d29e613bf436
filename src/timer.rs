//! Channels that deliver the time: `after`, `at`, `tick`, `never`.

use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use ipc_core::__private::poll::{self, PollRecv};
use ipc_core::__private::ready::{
    Claim, ClaimRecv, Outcome, Pace, Ready, Registration, Selectable, Source, Tasks, Ticket,
};
use ipc_core::__private::task::Wait;
use ipc_core::Deadline;
use ipc_core::error::{DisconnectCause, RecvError, RecvTimeoutError, SendTimeoutError};
use ipc_core::route::{End, Receive, Transmit};
use ipc_sys::tasks::ThisProcess;

use crate::Receiver;

/// The route of [`after`], [`at`], [`tick`] and [`never`](never()): its channels have no sender.
#[derive(Clone, Copy, Debug)]
pub struct Timer;

/// Returns a receiver that delivers one message, `duration` from now: the time at which it was due.
///
/// After that it delivers nothing, and is never disconnected. Nothing runs in the background.
/// Clones share the message. The receiver cannot travel to another process.
///
/// ```
/// use std::time::Duration;
///
/// use multiprocess::{after, select};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (_tx, rx) = multiprocess::bounded::<u8>(1)?;
/// let late = after(Duration::from_millis(10));
/// let got = select! {
///     recv(rx) -> message => message.ok(),
///     recv(late) -> _ => None,
/// };
/// assert_eq!(got, None);
/// # Ok(()) }
/// ```
#[must_use]
pub fn after(duration: Duration) -> Receiver<Instant, Timer> {
    // A time that the clock cannot represent never comes.
    make(Instant::now().checked_add(duration), None)
}

/// Returns a receiver that delivers one message at this time. Otherwise as [`after`].
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let due = Instant::now() + Duration::from_millis(5);
/// assert_eq!(multiprocess::at(due).recv(), Ok(due));
/// assert!(Instant::now() >= due);
/// ```
#[must_use]
pub fn at(when: Instant) -> Receiver<Instant, Timer> {
    make(Some(when), None)
}

/// Returns a receiver that delivers a message every `duration`: the time at which it was due.
///
/// The channel holds one message. While it was not received, no further one becomes due. If it was
/// received late, the next one is due `duration` after that. A receiver that waits in
/// [`recv`](Receiver::recv) gets messages that were due exactly `duration` apart.
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let began = Instant::now();
/// let ticks = multiprocess::tick(Duration::from_millis(5));
/// assert_eq!(ticks.iter().take(3).count(), 3);
/// assert!(began.elapsed() >= Duration::from_millis(15));
/// ```
#[must_use]
pub fn tick(duration: Duration) -> Receiver<Instant, Timer> {
    make(Instant::now().checked_add(duration), Some(duration))
}

/// Returns a receiver that never delivers a message and is never disconnected.
///
/// It stands for a timer that is left out. Its capacity is 0.
///
/// ```
/// use std::time::Duration;
///
/// use multiprocess::{after, never, select};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (tx, rx) = multiprocess::bounded::<u8>(1)?;
/// tx.send(1)?;
/// let limit: Option<Duration> = None;
/// let late = limit.map(after).unwrap_or(never());
/// select! {
///     recv(rx) -> message => assert_eq!(message, Ok(1)),
///     recv(late) -> _ => unreachable!(),
/// }
/// # Ok(()) }
/// ```
#[must_use]
pub fn never<T>() -> Receiver<T, Timer> {
    Receiver::new(TimerRx { timer: None, message: |_| unreachable!("it is never due") })
}

fn make(due: Option<Instant>, period: Option<Duration>) -> Receiver<Instant, Timer> {
    let timer = due.map(|due| Arc::new(Shared { due: Mutex::new(Some(due)), period }));
    Receiver::new(TimerRx { timer, message: |due| due })
}

/// What the clones of a timer share.
struct Shared {
    /// When the next message is due, if one is to come.
    due: Mutex<Option<Instant>>,
    period: Option<Duration>,
}

impl Shared {
    fn due(&self) -> MutexGuard<'_, Option<Instant>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the message, if it is due by `by`. The next one is due a period later, counted from
    /// now if this one is late.
    fn take(&self, by: Instant) -> Option<Instant> {
        let mut due = self.due();
        let was = due.filter(|due| *due <= by)?;
        let from = was.max(Instant::now());
        *due = self.period.and_then(|period| from.checked_add(period));
        Some(was)
    }
}

/// The receiving end of a timer.
pub struct TimerRx<T> {
    /// `None` if no message is ever due.
    timer: Option<Arc<Shared>>,
    message: fn(Instant) -> T,
}

impl<T> TimerRx<T> {
    fn due(&self) -> Option<Instant> {
        *self.timer.as_ref()?.due()
    }
}

impl<T> Clone for TimerRx<T> {
    fn clone(&self) -> Self {
        TimerRx { timer: self.timer.clone(), message: self.message }
    }
}

impl<T> fmt::Debug for TimerRx<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerRx").finish_non_exhaustive()
    }
}

impl<T> End for TimerRx<T> {
    fn len(&self) -> usize {
        usize::from(self.is_ready())
    }
    fn capacity(&self) -> Option<usize> {
        Some(usize::from(self.timer.is_some()))
    }
    fn same_channel(&self, other: &Self) -> bool {
        match (&self.timer, &other.timer) {
            (Some(this), Some(other)) => Arc::ptr_eq(this, other),
            (None, None) => true,
            _ => false,
        }
    }
    fn is_disconnected(&self) -> bool {
        false
    }
    fn disconnect_cause(&self) -> Option<DisconnectCause> {
        None
    }
    fn sender_count(&self) -> Option<usize> {
        None
    }
    fn receiver_count(&self) -> Option<usize> {
        self.timer.as_ref().map(Arc::strong_count)
    }
}

impl<T> Receive<T> for TimerRx<T> {
    fn recv(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        /// How long to sleep if nothing is due.
        const LONG: Duration = Duration::from_secs(24 * 60 * 60);
        loop {
            let due = self.due();
            if let (Some(due), Some(timer)) = (due, &self.timer) {
                // A tick that this call waits for is taken first: others get later ones.
                let in_time = match deadline {
                    Deadline::Now => false,
                    Deadline::At(deadline) => due <= deadline,
                    Deadline::Never => true,
                };
                let ahead = timer.period.is_some() && in_time;
                let by = if ahead { due } else { Instant::now() };
                if let Some(due) = timer.take(by) {
                    std::thread::sleep(due.saturating_duration_since(Instant::now()));
                    return Ok((self.message)(due));
                }
                if ahead {
                    continue; // Another receiver took it.
                }
            }
            let left = due.map_or(LONG, |due| due.saturating_duration_since(Instant::now()));
            match deadline.left(left) {
                Some(slice) => std::thread::sleep(slice),
                None => return Err(RecvTimeoutError::Timeout),
            }
        }
    }
}

impl<T> Pace for TimerRx<T> {}

impl<T> Ready for TimerRx<T> {
    fn is_ready(&self) -> bool {
        self.due().is_some_and(|due| due <= Instant::now())
    }

    fn register(&self, _waker: &Waker) -> Registration<'_> {
        Registration { source: Source::Time, ticket: Ticket(0), barrier: false }
    }

    fn unregister(&self, _ticket: Ticket, _outcome: Outcome) {}

    fn notified(&self, _ticket: Ticket) -> bool {
        false
    }

    fn deadline(&self) -> Option<Instant> {
        self.due()
    }

    fn tasks(&self) -> &'static dyn Tasks {
        &ThisProcess
    }
}

impl<T> Selectable for TimerRx<T> {
    fn claim(&self) -> Option<Claim> {
        self.timer.as_ref()?.take(Instant::now()).map(Claim::Time)
    }

    fn give_back(&self, claim: Claim) {
        if let (Claim::Time(due), Some(timer)) = (claim, &self.timer) {
            *timer.due() = Some(due);
        }
    }
}

impl<T> ClaimRecv<T> for TimerRx<T> {
    fn recv_claimed(&self, claim: Claim) -> Result<T, RecvTimeoutError> {
        match claim {
            Claim::Time(due) => Ok((self.message)(due)),
            _ => unreachable!("the claims of a timer are times"),
        }
    }
}

impl<T> PollRecv<T> for TimerRx<T> {
    type Waiting = Wait;

    #[inline]
    fn poll_recv(&self, wait: &mut Wait, context: &Context<'_>) -> Poll<Result<T, RecvError>> {
        poll::recv(self, wait, context)
    }

    fn leave_recv(&self, wait: &mut Wait) {
        poll::leave(self, wait);
    }
}

/// The sending end of a timer: there is none.
pub struct TimerTx<T>(Infallible, PhantomData<fn(T)>);

impl<T> Clone for TimerTx<T> {
    fn clone(&self) -> Self {
        match self.0 {}
    }
}

impl<T> End for TimerTx<T> {
    fn len(&self) -> usize {
        match self.0 {}
    }
    fn capacity(&self) -> Option<usize> {
        match self.0 {}
    }
    fn same_channel(&self, _other: &Self) -> bool {
        match self.0 {}
    }
    fn is_disconnected(&self) -> bool {
        match self.0 {}
    }
    fn disconnect_cause(&self) -> Option<DisconnectCause> {
        match self.0 {}
    }
    fn sender_count(&self) -> Option<usize> {
        match self.0 {}
    }
    fn receiver_count(&self) -> Option<usize> {
        match self.0 {}
    }
}

impl<T> Transmit<T> for TimerTx<T> {
    fn send(&self, _message: T, _deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
        match self.0 {}
    }
}

impl<T> ipc_core::Route<T> for Timer {
    type Tx = TimerTx<T>;
    type Rx = TimerRx<T>;
}
