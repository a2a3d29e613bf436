//! Iterators over the messages of a receiver.

use std::fmt;
use std::iter::FusedIterator;
use std::vec;

use crate::channel::Receiver;
use crate::error::{RecvError, TryRecvError, Unreadable};
use crate::route::Route;

/// Panics, because an iterator has no other way to report a message that cannot be read. If it
/// ended instead, the loop over it would look as if every message had been received.
#[cold]
#[inline(never)]
#[track_caller]
fn unreadable(cause: &Unreadable) -> ! {
    panic!(
        "an iterator received what it cannot return: {cause}; `recv` and `try_recv` return this as an error"
    )
}

/// An iterator that receives until the channel is disconnected and empty.
///
/// [`Receiver::iter`] returns it. It blocks while the channel is empty. It panics if a message
/// cannot be read. After it has ended or panicked, it returns `None`.
#[must_use = "an iterator receives nothing until it is used"]
pub struct Iter<'a, T, R: Route<T>> {
    receiver: &'a Receiver<T, R>,
    ended: bool,
}

/// An iterator that receives the messages that are there; see [`Receiver::try_iter`].
///
/// It never waits for a message. It panics if a message cannot be read.
///
/// After it has returned `None`, it continues if more messages have arrived, as that of
/// crossbeam-channel does. So it is not a [`FusedIterator`].
#[must_use = "an iterator receives nothing until it is used"]
pub struct TryIter<'a, T, R: Route<T>> {
    pub(crate) receiver: &'a Receiver<T, R>,
}

/// An iterator that owns a receiver, and receives until disconnected and empty.
///
/// It blocks while the channel is empty. It panics if a message cannot be read, as
/// [`Receiver::iter`] does. After it has ended or panicked, it returns `None`.
#[must_use = "an iterator receives nothing until it is used"]
pub struct IntoIter<T, R: Route<T>> {
    receiver: Receiver<T, R>,
    ended: bool,
}

/// An iterator that receives what is there, in batches; see [`Receiver::drain`].
///
/// It never waits for a message. It panics if a message cannot be read.
#[must_use = "an iterator receives nothing until it is used"]
pub struct Drain<'a, T, R: Route<T>> {
    receiver: &'a Receiver<T, R>,
    batch: vec::IntoIter<T>,
    left: usize,
}

impl<T, R: Route<T>> Receiver<T, R> {
    /// Returns an iterator that receives until the channel is disconnected and empty.
    ///
    /// The iterator blocks while the channel is empty.
    ///
    /// # Panics
    ///
    /// The iterator panics if a message cannot be read. If it ended instead, the loop over it would
    /// look as if every message had been received. [`recv`](Receiver::recv) returns that error as
    /// [`Unreadable`], so use `recv` if peers are not trusted.
    pub fn iter(&self) -> Iter<'_, T, R> {
        Iter::new(self)
    }

    /// Returns an iterator over the messages that are there.
    ///
    /// The iterator never waits for a message. It receives each one as
    /// [`try_recv`](Receiver::try_recv) does. So it ends before a message whose sender is stopped
    /// in the middle of sending it.
    ///
    /// # Panics
    ///
    /// The iterator panics if a message cannot be read, as that of [`iter`](Receiver::iter) does.
    pub fn try_iter(&self) -> TryIter<'_, T, R> {
        TryIter { receiver: self }
    }

    /// Returns an iterator over the messages that are there now, which receives in batches.
    ///
    /// The iterator never waits for a message. It receives as many messages as
    /// [`len`](Receiver::len) counts. They are fewer if other receivers take some, or if a sender
    /// is stopped in the middle of sending one ([`try_recv`](Receiver::try_recv)). Messages that
    /// are in a batch when the iterator is dropped are dropped with it.
    ///
    /// # Panics
    ///
    /// The iterator panics if a message cannot be read, as that of [`iter`](Receiver::iter) does.
    pub fn drain(&self) -> Drain<'_, T, R> {
        Drain::new(self)
    }
}

impl<'a, T, R: Route<T>> IntoIterator for &'a Receiver<T, R> {
    type Item = T;
    type IntoIter = Iter<'a, T, R>;

    fn into_iter(self) -> Iter<'a, T, R> {
        self.iter()
    }
}

impl<T, R: Route<T>> IntoIterator for Receiver<T, R> {
    type Item = T;
    type IntoIter = IntoIter<T, R>;

    fn into_iter(self) -> IntoIter<T, R> {
        IntoIter::new(self)
    }
}

impl<'a, T, R: Route<T>> Iter<'a, T, R> {
    pub(crate) fn new(receiver: &'a Receiver<T, R>) -> Self {
        Iter { receiver, ended: false }
    }
}

impl<T, R: Route<T>> IntoIter<T, R> {
    pub(crate) fn new(receiver: Receiver<T, R>) -> Self {
        IntoIter { receiver, ended: false }
    }
}

impl<'a, T, R: Route<T>> Drain<'a, T, R> {
    pub(crate) fn new(receiver: &'a Receiver<T, R>) -> Self {
        // Messages that arrive during this drain are left to the next one: a fast sender must not
        // keep this one from ending.
        Drain { receiver, batch: Vec::new().into_iter(), left: receiver.len() }
    }
}

/// Returns the next message, or `None` for good after the first time that there is none.
#[inline]
#[track_caller]
fn next<T, R: Route<T>>(receiver: &Receiver<T, R>, ended: &mut bool) -> Option<T> {
    if *ended {
        return None;
    }
    match receiver.recv() {
        Ok(message) => Some(message),
        Err(RecvError::Disconnected | RecvError::Unreadable(Unreadable::Forked)) => {
            *ended = true;
            None
        }
        Err(RecvError::Unreadable(cause)) => {
            *ended = true;
            unreadable(&cause)
        }
    }
}

impl<T, R: Route<T>> FusedIterator for Iter<'_, T, R> {}
impl<T, R: Route<T>> FusedIterator for IntoIter<T, R> {}
impl<T, R: Route<T>> FusedIterator for Drain<'_, T, R> {}

impl<T, R: Route<T>> Iterator for Iter<'_, T, R> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        next(self.receiver, &mut self.ended)
    }
}

impl<T, R: Route<T>> Iterator for TryIter<'_, T, R> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match self.receiver.try_recv() {
            Ok(message) => Some(message),
            Err(
                TryRecvError::Empty
                | TryRecvError::Disconnected
                | TryRecvError::Unreadable(Unreadable::Forked),
            ) => None,
            Err(TryRecvError::Unreadable(cause)) => unreadable(&cause),
        }
    }
}

impl<T, R: Route<T>> Iterator for IntoIter<T, R> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        next(&self.receiver, &mut self.ended)
    }
}

impl<T, R: Route<T>> Iterator for Drain<'_, T, R> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        if let Some(message) = self.batch.next() {
            return Some(message);
        }
        if self.left == 0 {
            return None;
        }
        let mut batch = Vec::new();
        let received = match self.receiver.try_recv_many(&mut batch, self.left) {
            Ok(received) => received,
            Err(
                TryRecvError::Empty
                | TryRecvError::Disconnected
                | TryRecvError::Unreadable(Unreadable::Forked),
            ) => 0,
            Err(TryRecvError::Unreadable(cause)) => unreadable(&cause),
        };
        self.left = if received == 0 { 0 } else { self.left - received };
        self.batch = batch.into_iter();
        self.batch.next()
    }
}

impl<T, R: Route<T>> fmt::Debug for Iter<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Iter { .. }")
    }
}

impl<T, R: Route<T>> fmt::Debug for TryIter<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("TryIter { .. }")
    }
}

impl<T, R: Route<T>> fmt::Debug for IntoIter<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("IntoIter { .. }")
    }
}

impl<T, R: Route<T>> fmt::Debug for Drain<'_, T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("Drain { .. }")
    }
}
