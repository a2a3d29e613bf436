//! Channels, each as its own users would use it: a closure that sends, a closure that receives.

use std::marker::PhantomData;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use ipc_channel::ipc::{self, IpcOneShotServer, IpcReceiver, IpcSender};
use ipc_pipes::Handle;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::CAPACITY;
use super::message::Message;

/// A channel, and how its ends send and receive one message. Both block.
pub trait Wire: 'static {
    type Message: Message;
    /// The ends in the form in which they travel to the peers.
    type Tx: Clone;
    type Rx: Clone;

    fn channel() -> (Self::Tx, Self::Rx);
    fn sender(tx: Self::Tx) -> impl FnMut(Self::Message);
    fn receiver(rx: Self::Rx) -> impl FnMut() -> Self::Message;

    /// Both directions: the ends of one side, and of the other.
    fn both() -> (Ends<Self>, Ends<Self>)
    where
        Self: Sized,
    {
        let ((requests, at_peer), (answers, here)) = (Self::channel(), Self::channel());
        ((requests, here), (answers, at_peer))
    }
}

/// The two ends of one side, for both directions.
pub type Ends<W> = (<W as Wire>::Tx, <W as Wire>::Rx);

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

/// The standard library's channel between threads, with the same bound.
pub struct Std<M>(PhantomData<M>);

/// Its receiver belongs to one thread, which takes it out.
pub type Only<M> = Arc<Mutex<Option<mpsc::Receiver<M>>>>;

pub fn std_channel<M>(capacity: usize) -> (mpsc::SyncSender<M>, Only<M>) {
    let (tx, rx) = mpsc::sync_channel(capacity);
    (tx, Arc::new(Mutex::new(Some(rx))))
}

pub fn take_only<M>(rx: &Only<M>) -> mpsc::Receiver<M> {
    rx.lock().expect("no thread panics").take().expect("one receiver")
}

impl<M: Message> Wire for Std<M> {
    type Message = M;
    type Tx = mpsc::SyncSender<M>;
    type Rx = Only<M>;

    fn channel() -> (Self::Tx, Self::Rx) {
        std_channel(CAPACITY)
    }
    fn sender(tx: Self::Tx) -> impl FnMut(M) {
        move |message| tx.send(message).expect("receivers stay")
    }
    fn receiver(rx: Self::Rx) -> impl FnMut() -> M {
        let rx = take_only(&rx);
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
    /// The facade, whose type does not name the route.
    Erased, multiprocess::Sender<M>, multiprocess::Receiver<M>, multiprocess::bounded, Serialize + DeserializeOwned
);

ours!(
    /// The facade between threads.
    Thread, multiprocess::Sender<M>, multiprocess::Receiver<M>, multiprocess::thread::bounded, Serialize + DeserializeOwned
);

/// Channels that have no capacity to choose.
macro_rules! unbounded {
    ($(#[$doc:meta])* $Wire:ident, $Tx:ty, $Rx:ty, $make:expr) => {
        $(#[$doc])*
        pub struct $Wire<M>(PhantomData<M>);

        impl<M: Message + Serialize + DeserializeOwned> Wire for $Wire<M> {
            type Message = M;
            type Tx = $Tx;
            type Rx = $Rx;

            fn channel() -> (Self::Tx, Self::Rx) {
                $make().expect("a channel")
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

unbounded!(
    /// Any serde type over a pair of sockets.
    Local, ipc_pipes::Sender<M>, ipc_pipes::Receiver<M>, ipc_pipes::channel
);
unbounded!(
    /// Any serde type over an anonymous pipe.
    Anonymous, ipc_pipes::Sender<M>, ipc_pipes::Receiver<M>, ipc_pipes::pipe::channel
);
unbounded!(
    /// The facade over a pair of sockets.
    ErasedPipe, multiprocess::Sender<M>, multiprocess::Receiver<M>, multiprocess::pipe::channel
);

/// Any serde type, both directions over one connection, of which this uses the one that is asked
/// for.
pub struct Duplex<M>(PhantomData<M>);

impl<M: Message + Serialize + DeserializeOwned> Wire for Duplex<M> {
    type Message = M;
    type Tx = ipc_pipes::Sender<M>;
    type Rx = ipc_pipes::Receiver<M>;

    fn channel() -> (Self::Tx, Self::Rx) {
        let ((tx, _), (_, rx)) = Self::both();
        (tx, rx)
    }
    fn both() -> (Ends<Self>, Ends<Self>) {
        let (here, there) = ipc_pipes::duplex::<M, M>().expect("a connection");
        (here.split(), there.split())
    }
    fn sender(tx: Self::Tx) -> impl FnMut(M) {
        Local::sender(tx)
    }
    fn receiver(rx: Self::Rx) -> impl FnMut() -> M {
        Local::receiver(rx)
    }
}

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

/// An end of an ipc-channel that one child fetches: those travel over ipc-channels only, so what
/// goes into the child's arguments is the name of a one-shot server.
#[derive(Clone, Serialize, Deserialize)]
pub struct OnLoan(String);

impl OnLoan {
    pub fn of<E: Serialize + DeserializeOwned + Send + 'static>(end: E) -> OnLoan {
        let (server, name) = IpcOneShotServer::<IpcSender<E>>::new().expect("a one-shot server");
        thread::spawn(move || {
            let (_, to_child) = server.accept().expect("the child connects");
            to_child.send(end).expect("the child waits");
        });
        OnLoan(name)
    }

    pub fn fetch<E: Serialize + DeserializeOwned>(self) -> E {
        let (for_parent, from_parent) = ipc::channel::<E>().expect("a channel");
        IpcSender::connect(self.0)
            .and_then(|tx| tx.send(for_parent).map_err(std::io::Error::other))
            .expect("a parent");
        from_parent.recv().expect("the parent answers")
    }
}

/// A descriptor on its way to a child.
#[derive(Serialize, Deserialize)]
pub struct End(pub Handle);

impl Clone for End {
    fn clone(&self) -> Self {
        End(self.0.get().try_clone().expect("a descriptor").into())
    }
}

pub fn ends((rx, tx): (OwnedFd, OwnedFd)) -> (End, End) {
    (End(tx.into()), End(rx.into()))
}
