//! The routes as the suite sees them, and the messages that it sends.

use std::fmt::Debug;
use std::marker::PhantomData;
use std::ops::Deref;

use ipc_core::route::Borrow;
use ipc_core::{Receiver, Sender, TryRecvError};
use multiprocess::__private::{AnyRx, AnyTx};
use multiprocess::Any;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A message with a number in it.
pub(crate) trait Message: Clone + PartialEq + Debug + Send + 'static {
    fn new(number: u64) -> Self;
    /// The number; fails if the message is torn.
    fn number(&self) -> u64;
}

impl Message for u64 {
    fn new(number: u64) -> Self {
        number
    }
    fn number(&self) -> u64 {
        *self
    }
}

impl<const N: usize> Message for [u64; N] {
    fn new(number: u64) -> Self {
        [number; N]
    }
    fn number(&self) -> u64 {
        assert!(self.iter().all(|word| *word == self[0]), "a torn message: {self:?}");
        self[0]
    }
}

/// Never fits into a slot of a typed channel, and is of many lengths.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Large {
    number: u64,
    body: Vec<u64>,
}

impl Message for Large {
    fn new(number: u64) -> Self {
        Large { number, body: vec![u64::MAX - number; 40 + (number % 7) as usize * 100] }
    }
    fn number(&self) -> u64 {
        assert_eq!(*self, Large::new(self.number), "a torn message");
        self.number
    }
}

/// Never fits into a datagram.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Huge {
    number: u64,
    body: String,
}

impl Message for Huge {
    fn new(number: u64) -> Self {
        Huge { number, body: format!("{number:08x}").repeat(12_500 + (number % 7) as usize * 100) }
    }
    fn number(&self) -> u64 {
        assert_eq!(*self, Huge::new(self.number), "a torn message");
        self.number
    }
}

/// One way to make a channel.
pub(crate) trait Route: 'static {
    /// So many messages at least fit in any channel that is to have room for them.
    const ROOM: u64 = 200;

    type Message: Message;
    type Inner: ipc_core::Route<
            Self::Message,
            Tx: Send + Sync + 'static,
            Rx: Borrow<Self::Message> + Send + Sync + 'static,
        > + 'static;

    /// A channel with room for so many messages; with room for more, where the kernel bounds it.
    fn bounded(capacity: usize) -> (Tx<Self>, Rx<Self>);

    /// Calls `f` with the next message, while it is lent, and how often it was delivered.
    fn lend<R>(rx: &Rx<Self>, f: impl FnOnce(u64, u64) -> R) -> Result<R, TryRecvError>;
}

pub(crate) type Tx<R> = Sender<<R as Route>::Message, <R as Route>::Inner>;
pub(crate) type Rx<R> = Receiver<<R as Route>::Message, <R as Route>::Inner>;

/// The `n`-th message.
pub(crate) fn msg<R: Route>(n: u64) -> R::Message {
    R::Message::new(n)
}

pub(crate) struct Thread<M>(PhantomData<M>);
pub(crate) struct Shm<M>(PhantomData<M>);
pub(crate) struct Typed<M>(PhantomData<M>);
pub(crate) struct Pod<M>(PhantomData<M>);
pub(crate) struct Pipe<M>(PhantomData<M>);
pub(crate) struct Local<M>(PhantomData<M>);
pub(crate) struct Anonymous<M>(PhantomData<M>);
#[cfg(feature = "ipc-channel")]
pub(crate) struct IpcChannel<M>(PhantomData<M>);

fn lend_any<M: Message + Serialize + DeserializeOwned, R>(
    rx: &Receiver<M, Any>,
    f: impl FnOnce(u64, u64) -> R,
) -> Result<R, TryRecvError> {
    let lent = rx.try_recv_ref()?;
    Ok(f(lent.deref().number(), lent.deliveries()))
}

impl<M: Message + Serialize + DeserializeOwned> Route for Thread<M> {
    type Message = M;
    type Inner = Any;

    fn bounded(capacity: usize) -> (Tx<Self>, Rx<Self>) {
        let (tx, rx) = multiprocess::thread::bounded(capacity).unwrap();
        assert!(matches!((tx.route(), rx.route()), (AnyTx::Thread(_), AnyRx::Thread(_))));
        (tx, rx)
    }
    fn lend<R>(rx: &Rx<Self>, f: impl FnOnce(u64, u64) -> R) -> Result<R, TryRecvError> {
        lend_any(rx, f)
    }
}

impl<M: Message + Serialize + DeserializeOwned> Route for Shm<M> {
    type Message = M;
    type Inner = Any;

    fn bounded(capacity: usize) -> (Tx<Self>, Rx<Self>) {
        let (tx, rx) = multiprocess::shm::bounded(capacity).unwrap();
        assert!(matches!((tx.route(), rx.route()), (AnyTx::Shm(_), AnyRx::Shm(_))));
        (tx, rx)
    }
    fn lend<R>(rx: &Rx<Self>, f: impl FnOnce(u64, u64) -> R) -> Result<R, TryRecvError> {
        lend_any(rx, f)
    }
}

impl<M: Message + Serialize + DeserializeOwned> Route for Typed<M> {
    type Message = M;
    type Inner = ipc_shm::Typed;

    fn bounded(capacity: usize) -> (Tx<Self>, Rx<Self>) {
        ipc_shm::bounded(capacity).unwrap()
    }
    fn lend<R>(rx: &Rx<Self>, f: impl FnOnce(u64, u64) -> R) -> Result<R, TryRecvError> {
        let lent = rx.try_recv_ref()?;
        Ok(f(lent.number(), lent.deliveries()))
    }
}

impl<M: Message + ipc_shm::pod::Plain> Route for Pod<M> {
    type Message = M;
    type Inner = ipc_shm::pod::Pod;

    fn bounded(capacity: usize) -> (Tx<Self>, Rx<Self>) {
        ipc_shm::pod::bounded(capacity).unwrap()
    }
    fn lend<R>(rx: &Rx<Self>, f: impl FnOnce(u64, u64) -> R) -> Result<R, TryRecvError> {
        let lent = rx.try_recv_ref()?;
        Ok(f(lent.number(), lent.deliveries()))
    }
}

impl<M: Message + Serialize + DeserializeOwned> Route for Pipe<M> {
    type Message = M;
    type Inner = Any;

    fn bounded(_: usize) -> (Tx<Self>, Rx<Self>) {
        let (tx, rx) = multiprocess::pipe::channel().unwrap();
        assert!(matches!((tx.route(), rx.route()), (AnyTx::Pipe(_), AnyRx::Pipe(_))));
        (tx, rx)
    }
    fn lend<R>(rx: &Rx<Self>, f: impl FnOnce(u64, u64) -> R) -> Result<R, TryRecvError> {
        lend_any(rx, f)
    }
}

impl<M: Message + Serialize + DeserializeOwned> Route for Local<M> {
    type Message = M;
    type Inner = ipc_pipes::Local;

    fn bounded(_: usize) -> (Tx<Self>, Rx<Self>) {
        ipc_pipes::channel().unwrap()
    }
    fn lend<R>(rx: &Rx<Self>, f: impl FnOnce(u64, u64) -> R) -> Result<R, TryRecvError> {
        let lent = rx.try_recv_ref()?;
        Ok(f(lent.number(), lent.deliveries()))
    }
}

impl<M: Message + Serialize + DeserializeOwned> Route for Anonymous<M> {
    const ROOM: u64 = 60;

    type Message = M;
    type Inner = ipc_pipes::Local;

    fn bounded(_: usize) -> (Tx<Self>, Rx<Self>) {
        ipc_pipes::pipe::channel().unwrap()
    }
    fn lend<R>(rx: &Rx<Self>, f: impl FnOnce(u64, u64) -> R) -> Result<R, TryRecvError> {
        let lent = rx.try_recv_ref()?;
        Ok(f(lent.number(), lent.deliveries()))
    }
}

#[cfg(feature = "ipc-channel")]
impl<M: Message + Serialize + DeserializeOwned> Route for IpcChannel<M> {
    type Message = M;
    type Inner = ipc_pipes::ipc_channel::Adapter;

    fn bounded(_: usize) -> (Tx<Self>, Rx<Self>) {
        ipc_pipes::ipc_channel::channel().unwrap()
    }
    fn lend<R>(rx: &Rx<Self>, f: impl FnOnce(u64, u64) -> R) -> Result<R, TryRecvError> {
        let lent = rx.try_recv_ref()?;
        Ok(f(lent.number(), lent.deliveries()))
    }
}
