//! The kinds of channel under test, with what a child does to their ends.

use std::cell::Cell;
use std::io;
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};
use std::time::Duration;

use ipc_core::__private::ready::{Outcome, Ready, Selectable};
use ipc_core::__private::select::Sleeper;
use ipc_core::Deadline;
use ipc_core::route::Receive;
use ipc_shm::{Builder, RecvError, RecvTimeoutError, SendTimeoutError, TryRecvError};
use ipc_sys::sleep::ThisThread;
use multiprocess::Select;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::message::{Message, Text};

/// A waker that sends a word to the thread that made it.
struct Call(mpsc::Sender<()>);

impl Call {
    fn waker() -> (Waker, mpsc::Receiver<()>) {
        let (call, called) = mpsc::channel();
        (Waker::from(Arc::new(Call(call))), called)
    }
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        // The thread may wait for it no longer.
        let _ = self.0.send(());
    }
}

/// Blocks that a channel has beyond its capacity.
pub(crate) const SPARE: usize = 16;

/// A kind of channel. Its ends are those of the library.
pub(crate) trait Flavour: 'static {
    type M: Message;
    type Tx: Serialize + DeserializeOwned + Clone + 'static;
    type Rx: Serialize + DeserializeOwned + Clone + 'static;

    fn make_for(participants: usize, capacity: usize) -> io::Result<(Self::Tx, Self::Rx)>;
    fn make(capacity: usize) -> io::Result<(Self::Tx, Self::Rx)> {
        Self::make_for(12, capacity)
    }

    /// Without a timeout, waits as long as it takes.
    fn send(
        tx: &Self::Tx,
        m: Self::M,
        timeout: Option<Duration>,
    ) -> Result<(), SendTimeoutError<Self::M>>;
    /// Sends all, or says how many were sent.
    fn send_many(tx: &Self::Tx, messages: Vec<Self::M>) -> Result<usize, usize>;
    /// Sends a loan, if this kind has loans. False: disconnected.
    fn send_loan(tx: &Self::Tx, m: Self::M) -> bool;

    fn recv(rx: &Self::Rx) -> Result<Self::M, RecvError>;
    fn try_recv(rx: &Self::Rx) -> Result<Self::M, TryRecvError>;
    fn recv_timeout(rx: &Self::Rx, timeout: Duration) -> Result<Self::M, RecvTimeoutError>;
    fn recv_many(rx: &Self::Rx, into: &mut Vec<Self::M>, most: usize) -> Result<usize, RecvError>;
    /// As [`recv_many`](Flavour::recv_many), for so long.
    fn recv_many_timeout(
        rx: &Self::Rx,
        into: &mut Vec<Self::M>,
        most: usize,
        timeout: Duration,
    ) -> Result<usize, RecvTimeoutError>;
    /// Calls `f` with a message that is lent, and its delivery count; then acknowledges it.
    fn recv_ref(
        rx: &Self::Rx,
        timeout: Option<Duration>,
        f: impl FnOnce(&Self::M, u64),
    ) -> Result<(), RecvTimeoutError>;
    /// Receives a message with a guard, and forgets the guard.
    fn forget(rx: &Self::Rx);
    /// Selects sending, and sends.
    fn select_send(
        tx: &Self::Tx,
        m: Self::M,
        timeout: Duration,
    ) -> Result<(), SendTimeoutError<Self::M>>;
    /// Selects among both receivers, and receives.
    fn select_recv(rx: [&Self::Rx; 2], timeout: Duration) -> Result<Self::M, RecvTimeoutError>;
    /// As [`select_recv`](Flavour::select_recv), and then as [`recv_ref`](Flavour::recv_ref).
    fn select_recv_ref(
        rx: [&Self::Rx; 2],
        timeout: Duration,
        f: impl FnOnce(&Self::M, u64),
    ) -> Result<(), RecvTimeoutError>;
    /// Claims a place, and gives it up. False: there was none.
    fn give_up(tx: &Self::Tx) -> bool;
    /// Claims a message, and gives it back. False: there was none.
    fn give_back(rx: &Self::Rx) -> bool;
    /// Calls `f` while registered to receive, and then passes on the wake-up that came meanwhile.
    fn pass_on(rx: &Self::Rx, f: impl FnOnce());
    /// Receives a message, and waits on the bell socket for it.
    fn recv_on_socket(rx: &Self::Rx, timeout: Duration) -> Result<Self::M, RecvTimeoutError>;
    /// Calls `f` while so many blocks are taken by loans.
    fn take_blocks(tx: &Self::Tx, n: usize, f: impl FnOnce());
    /// Calls `f` while `n` guards are held, one for each message that `next` made sure is there.
    fn hold(rx: &Self::Rx, n: usize, next: impl FnMut(), f: impl FnOnce());

    /// Messages in the channel.
    fn len(rx: &Self::Rx) -> usize;
    /// Senders and receivers, in all processes.
    fn counts(tx: &Self::Tx) -> (usize, usize);
}

/// Each block can be had: so many messages are lent, and so many more are sent.
pub(crate) fn all_blocks_are_free<F: Flavour>(tx: &F::Tx, rx: &F::Rx, capacity: usize) {
    let next = Cell::new(0);
    let send = || {
        let seq = (next.get()..).find(|seq| F::M::takes_block(0, *seq)).unwrap();
        next.set(seq + 1);
        F::send(tx, F::M::new(0, seq), Some(Duration::ZERO)).expect("a block is free");
    };
    F::hold(rx, SPARE, send, || (0..capacity).for_each(|_| send()));
    while F::try_recv(rx).is_ok() {}
    assert_eq!(F::len(rx), 0);
}

macro_rules! flavour {
    (
        $(#[$doc:meta])* $Name:ident, $M:ty, $Tx:ty, $Rx:ty, $make:ident::<$E:ty>, $lent:ident => $seen:expr, $loan:expr,
        $take:expr
    ) => {
        $(#[$doc])*
        pub(crate) struct $Name;

        impl Flavour for $Name {
            type M = $M;
            type Tx = $Tx;
            type Rx = $Rx;

            fn make_for(participants: usize, capacity: usize) -> io::Result<(Self::Tx, Self::Rx)> {
                // No more address space than needed: a limit on it is no reason to fail.
                Builder::new(capacity).max_message(1 << 22).participants(participants).$make::<$E>()
            }
            fn send(tx: &Self::Tx, m: $M, timeout: Option<Duration>) -> Result<(), SendTimeoutError<$M>> {
                tx.send_timeout(m, timeout.unwrap_or(Duration::MAX))
            }
            fn send_many(tx: &Self::Tx, messages: Vec<$M>) -> Result<usize, usize> {
                tx.send_many(messages).map_err(|error| error.sent)
            }
            fn send_loan(tx: &Self::Tx, m: $M) -> bool {
                $loan(tx, m)
            }
            fn recv(rx: &Self::Rx) -> Result<$M, RecvError> {
                rx.recv()
            }
            fn try_recv(rx: &Self::Rx) -> Result<$M, TryRecvError> {
                rx.try_recv()
            }
            fn recv_timeout(rx: &Self::Rx, timeout: Duration) -> Result<$M, RecvTimeoutError> {
                rx.recv_timeout(timeout)
            }
            fn recv_many(rx: &Self::Rx, into: &mut Vec<$M>, most: usize) -> Result<usize, RecvError> {
                rx.recv_many(into, most)
            }
            fn recv_many_timeout(
                rx: &Self::Rx,
                into: &mut Vec<$M>,
                most: usize,
                timeout: Duration,
            ) -> Result<usize, RecvTimeoutError> {
                rx.route().recv_many(into, most, Deadline::after(timeout))
            }
            fn recv_ref(
                rx: &Self::Rx,
                timeout: Option<Duration>,
                f: impl FnOnce(&$M, u64),
            ) -> Result<(), RecvTimeoutError> {
                let $lent = rx.recv_ref_timeout(timeout.unwrap_or(Duration::MAX))?;
                f($seen, $lent.deliveries());
                Ok(())
            }
            fn forget(rx: &Self::Rx) {
                std::mem::forget(rx.recv_ref().unwrap());
            }
            fn select_send(tx: &Self::Tx, m: $M, timeout: Duration) -> Result<(), SendTimeoutError<$M>> {
                let mut select = Select::new();
                select.send(tx);
                match select.select_timeout(timeout) {
                    Ok(chosen) => chosen.send(tx, m).map_err(SendTimeoutError::from),
                    Err(_) => Err(SendTimeoutError::Timeout(m)),
                }
            }
            fn select_recv(rx: [&Self::Rx; 2], timeout: Duration) -> Result<$M, RecvTimeoutError> {
                let mut select = Select::new();
                rx.iter().for_each(|rx| _ = select.recv(rx));
                let chosen = select.select_timeout(timeout).map_err(|_| RecvTimeoutError::Timeout)?;
                let rx = rx[chosen.index()];
                Ok(chosen.recv(rx)?)
            }
            fn select_recv_ref(
                rx: [&Self::Rx; 2],
                timeout: Duration,
                f: impl FnOnce(&$M, u64),
            ) -> Result<(), RecvTimeoutError> {
                let mut select = Select::new();
                rx.iter().for_each(|rx| _ = select.recv(rx));
                let chosen = select.select_timeout(timeout).map_err(|_| RecvTimeoutError::Timeout)?;
                let rx = rx[chosen.index()];
                let $lent = chosen.recv_ref(rx)?;
                f($seen, $lent.deliveries());
                Ok(())
            }
            fn give_up(tx: &Self::Tx) -> bool {
                tx.route().claim().map(|claim| tx.route().give_back(claim)).is_some()
            }
            fn give_back(rx: &Self::Rx) -> bool {
                rx.route().claim().map(|claim| rx.route().give_back(claim)).is_some()
            }
            fn pass_on(rx: &Self::Rx, f: impl FnOnce()) {
                let ticket = rx.route().register(Waker::noop()).ticket;
                f();
                rx.route().unregister(ticket, Outcome::Unused);
            }
            fn recv_on_socket(
                rx: &Self::Rx,
                timeout: Duration,
            ) -> Result<Self::M, RecvTimeoutError> {
                let end = rx.route();
                let received = || match rx.recv_timeout(Duration::ZERO) {
                    Err(RecvTimeoutError::Timeout) => None,
                    received => Some(received),
                };
                loop {
                    let (waker, called) = Call::waker();
                    let ticket = end.register_task(&waker).ticket;
                    assert!(ThisThread.barrier());
                    if let Some(received) = received() {
                        end.unregister(ticket, Outcome::Unused);
                        return received;
                    }
                    if called.recv_timeout(timeout).is_ok() {
                        end.unregister(ticket, Outcome::Used);
                        continue;
                    }
                    end.recover_dead();
                    end.unregister(ticket, Outcome::Unused);
                    return received().unwrap_or(Err(RecvTimeoutError::Timeout));
                }
            }
            fn take_blocks(tx: &Self::Tx, n: usize, f: impl FnOnce()) {
                $take(tx, n, f)
            }
            fn hold(rx: &Self::Rx, n: usize, mut next: impl FnMut(), f: impl FnOnce()) {
                let mut guards = Vec::new();
                for _ in 0..n {
                    next();
                    guards.push(rx.recv_ref().unwrap());
                }
                f();
            }
            fn len(rx: &Self::Rx) -> usize {
                rx.len()
            }
            fn counts(tx: &Self::Tx) -> (usize, usize) {
                (tx.sender_count().unwrap(), tx.receiver_count().unwrap())
            }
        }
    };
}

flavour!(
    /// Any serde type: messages in slots and in blocks, mixed.
    Mixed,
    Text,
    ipc_shm::Sender<Text>,
    ipc_shm::Receiver<Text>,
    typed::<Text>,
    lent => &lent,
    |tx: &ipc_shm::Sender<Text>, m| tx.send(m).is_ok(),
    |_, _, _| panic!("typed channels have no loans")
);

/// Sends plain data by a loan.
fn loaned<const N: usize>(tx: &ipc_shm::pod::Sender<[u64; N]>, m: [u64; N]) -> bool
where
    [u64; N]: ipc_shm::pod::Plain,
{
    let Ok(mut loan) = tx.loan() else { return false };
    *loan = m;
    loan.send().is_ok()
}

/// Takes blocks by loans meanwhile.
fn lend<const N: usize>(tx: &ipc_shm::pod::Sender<[u64; N]>, n: usize, f: impl FnOnce())
where
    [u64; N]: ipc_shm::pod::Plain,
{
    let loans: Vec<_> = (0..n).map(|_| tx.loan().unwrap()).collect();
    f();
    drop(loans);
}

flavour!(
    /// Plain data in slots.
    Small,
    [u64; 6],
    ipc_shm::pod::Sender<[u64; 6]>,
    ipc_shm::pod::Receiver<[u64; 6]>,
    pod::<[u64; 6]>,
    lent => &lent,
    loaned,
    lend
);

flavour!(
    /// Plain data in blocks.
    Large,
    [u64; 200],
    ipc_shm::pod::Sender<[u64; 200]>,
    ipc_shm::pod::Receiver<[u64; 200]>,
    pod::<[u64; 200]>,
    lent => &lent,
    loaned,
    lend
);

/// Sends bytes by a loan.
fn loaned_bytes(tx: &ipc_shm::bytes::Sender, m: Vec<u8>) -> bool {
    let Ok(mut loan) = tx.loan_slice(m.len()) else { return false };
    loan.write(&m);
    loan.send().is_ok()
}

flavour!(
    /// Bytes: messages of any length, always in blocks when lent.
    Bytes,
    Vec<u8>,
    ipc_shm::bytes::Sender,
    ipc_shm::bytes::Receiver,
    slices::<u8>,
    lent => &lent.to_vec_copied(),
    loaned_bytes,
    |_, _, _| panic!("no scene takes blocks of these")
);
