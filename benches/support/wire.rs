//! Channels, each as its own users would use it: a closure that sends, a closure that receives.

use std::marker::PhantomData;
use std::thread;

use ipc_channel::ipc::{self, IpcOneShotServer, IpcReceiver, IpcSender};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::CAPACITY;
use super::message::Message;

/// A channel, and what its ends do with one message. Both block.
pub trait Wire: 'static {
    type Message: Message;
    /// The ends as they go to the peers.
    type Tx: Clone;
    type Rx: Clone;

    fn channel() -> (Self::Tx, Self::Rx);
    fn sender(tx: Self::Tx) -> impl FnMut(Self::Message);
    fn receiver(rx: Self::Rx) -> impl FnMut() -> Self::Message;
}

/// crossbeam-channel between threads: the reference.
pub struct Crossbeam<M>(PhantomData<M>);

impl<M: Message> Wire for Crossbeam<M> {
    type Message = M;
    type Tx = crossbeam_channel::Sender<M>;
    type Rx = crossbeam_channel::Receiver<M>;

    fn channel() -> (Self::Tx, Self::Rx) {
        crossbeam_channel::bounded(CAPACITY)
    }
    fn sender(tx: Self::Tx) -> impl FnMut(M) {
        move |message| tx.send(message).expect("receivers stay")
    }
    fn receiver(rx: Self::Rx) -> impl FnMut() -> M {
        move || rx.recv().expect("senders stay")
    }
}

macro_rules! ours {
    ($(#[$doc:meta])* $Wire:ident, $Tx:ty, $Rx:ty, $make:expr, $($bound:tt)+) => {
        $(#[$doc])*
        pub struct $Wire<M>(PhantomData<M>);

        impl<M: Message + $($bound)+> Wire for $Wire<M> {
            type Message = M;
            type Tx = $Tx;
            type Rx = $Rx;

            fn channel() -> (Self::Tx, Self::Rx) {
                $make(CAPACITY).expect("a channel")
            }
            fn sender(tx: Self::Tx) -> impl FnMut(M) {
                move |message| {
                    if let Err(error) = tx.send(message) {
                        panic!("{error}")
                    }
                }
            }
            fn receiver(rx: Self::Rx) -> impl FnMut() -> M {
                move || rx.recv().expect("senders stay")
            }
        }
    };
}

ours!(
    /// Plain data through shared memory.
    Pod, ipc_shm::pod::Sender<M>, ipc_shm::pod::Receiver<M>, ipc_shm::pod::bounded, ipc_shm::pod::Plain
);
ours!(
    /// Any serde type through shared memory, statically typed.
    Typed, ipc_shm::Sender<M>, ipc_shm::Receiver<M>, ipc_shm::bounded, Serialize + DeserializeOwned
);
ours!(
    /// The facade, whose ends do not tell the route.
    Erased, multiprocess::Sender<M>, multiprocess::Receiver<M>, multiprocess::bounded, Serialize + DeserializeOwned
);

/// Servo's ipc-channel between processes. It has no bound; the socket's buffer bounds it.
pub struct IpcChannel<M>(PhantomData<M>);

impl<M: Message + Serialize + DeserializeOwned> Wire for IpcChannel<M> {
    type Message = M;
    type Tx = OnLoan;
    type Rx = OnLoan;

    fn channel() -> (OnLoan, OnLoan) {
        let (tx, rx): (IpcSender<M>, IpcReceiver<M>) = ipc::channel().expect("a channel");
        (OnLoan::of(tx), OnLoan::of(rx))
    }
    fn sender(tx: OnLoan) -> impl FnMut(M) {
        let tx: IpcSender<M> = tx.fetch();
        move |message| tx.send(message).expect("receivers stay")
    }
    fn receiver(rx: OnLoan) -> impl FnMut() -> M {
        let rx: IpcReceiver<M> = rx.fetch();
        move || rx.recv().expect("senders stay")
    }
}

/// An end of an ipc-channel that one child fetches: those travel over ipc-channels only, so what goes into
/// the child's arguments is the name of a one-shot server.
#[derive(Clone, Serialize, Deserialize)]
pub struct OnLoan(String);

impl OnLoan {
    fn of<E: Serialize + DeserializeOwned + Send + 'static>(end: E) -> OnLoan {
        let (server, name) = IpcOneShotServer::<IpcSender<E>>::new().expect("a one-shot server");
        thread::spawn(move || {
            let (_, to_child) = server.accept().expect("the child connects");
            to_child.send(end).expect("the child waits");
        });
        OnLoan(name)
    }

    fn fetch<E: Serialize + DeserializeOwned>(self) -> E {
        let (for_parent, from_parent) = ipc::channel::<E>().expect("a channel");
        IpcSender::connect(self.0)
            .and_then(|tx| tx.send(for_parent).map_err(std::io::Error::other))
            .expect("a parent");
        from_parent.recv().expect("the parent answers")
    }
}
