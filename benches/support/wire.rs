//! Channels, each as its own users would use it: a closure that sends, a closure that receives.

use std::io::IoSliceMut;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::thread;

use ipc_channel::ipc::{self, IpcOneShotServer, IpcReceiver, IpcSender};
use ipc_pipes::Handle;
use rustix::net::{AddressFamily, RecvAncillaryBuffer, RecvFlags, SendFlags, SocketFlags, SocketType};
use rustix::pipe::PipeFlags;
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

/// A descriptor on its way to a child.
#[derive(Serialize, Deserialize)]
pub struct End(Handle);

impl Clone for End {
    fn clone(&self) -> Self {
        End(self.0.get().try_clone().expect("a descriptor").into())
    }
}

fn ends((rx, tx): (OwnedFd, OwnedFd)) -> (End, End) {
    (End(tx.into()), End(rx.into()))
}

/// The bytes of a message of words.
fn bytes_of<const N: usize>(words: &[u64; N], into: &mut [u8]) {
    for (word, bytes) in words.iter().zip(into.chunks_exact_mut(8)) {
        bytes.copy_from_slice(&word.to_ne_bytes());
    }
}

fn words_of<const N: usize>(bytes: &[u8]) -> [u64; N] {
    std::array::from_fn(|k| u64::from_ne_bytes(bytes[k * 8..k * 8 + 8].try_into().expect("eight")))
}

macro_rules! bare {
    ($(#[$doc:meta])* $Wire:ident, $pair:expr, $send:expr, $recv:expr) => {
        $(#[$doc])*
        pub struct $Wire<const N: usize>;

        impl<const N: usize> Wire for $Wire<N> {
            type Message = [u64; N];
            type Tx = End;
            type Rx = End;

            fn channel() -> (End, End) {
                ends($pair.expect("a pair"))
            }
            fn sender(tx: End) -> impl FnMut([u64; N]) {
                let mut bytes = vec![0; N * 8];
                move |message| {
                    bytes_of(&message, &mut bytes);
                    $send(tx.0.get(), &bytes).expect("receivers stay");
                }
            }
            fn receiver(rx: End) -> impl FnMut() -> [u64; N] {
                let mut bytes = vec![0; N * 8];
                move || {
                    $recv(rx.0.get(), &mut bytes).expect("senders stay");
                    words_of(&bytes)
                }
            }
        }
    };
}

bare!(
    /// `send` and `recv`, as C would call them.
    BareSocket,
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None),
    |fd, bytes: &[u8]| rustix::net::send(fd, bytes, SendFlags::NOSIGNAL),
    |fd, bytes: &mut Vec<u8>| rustix::net::recv(fd, &mut bytes[..], RecvFlags::empty()).map(|got| got.0)
);
bare!(
    /// As one must call them where handles may come: `send`, and `recvmsg` with room for the most there can be.
    BareRights,
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None),
    |fd, bytes: &[u8]| rustix::net::send(fd, bytes, SendFlags::NOSIGNAL),
    |fd, bytes: &mut Vec<u8>| {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let into = &mut [IoSliceMut::new(bytes)];
        rustix::net::recvmsg(fd, into, &mut control, RecvFlags::CMSG_CLOEXEC).map(|got| got.bytes)
    }
);
bare!(
    /// `write` and `read` on a pipe that keeps the boundaries of packets.
    BarePackets,
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::DIRECT),
    rustix::io::write,
    |fd, bytes: &mut Vec<u8>| rustix::io::read(fd, &mut bytes[..])
);
bare!(
    /// `write` and `read` on a pipe that keeps none, with one reader, who knows how long all messages are.
    BarePipe,
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC),
    rustix::io::write,
    |fd, bytes: &mut Vec<u8>| rustix::io::read(fd, &mut bytes[..])
);
