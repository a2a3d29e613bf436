//! Channels of bytes: how each route takes a message of a known length from its sender, and gives
//! it to its receiver. A route that lends memory writes and reads in place. The others copy as
//! their own users would.

use std::io::IoSliceMut;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};

use interprocess::local_socket::traits::{Listener as _, Stream as _};
use interprocess::local_socket::{GenericNamespaced, ListenerOptions, Stream, ToNsName};
use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvFlags, SendFlags, SocketFlags, SocketType,
};
use rustix::pipe::PipeFlags;

use super::wire::{End, OnLoan, Only, Wire, ends, std_channel, take_only};
use super::{CAPACITY, machine};

/// A channel, for messages of `len` bytes, a multiple of eight.
pub trait Bytes: 'static {
    type Tx: Clone;
    type Rx: Clone;

    fn channel(len: usize, room: usize) -> (Self::Tx, Self::Rx);
    fn sender(tx: Self::Tx, len: usize) -> impl Give;
    fn receiver(rx: Self::Rx, len: usize) -> impl Take;
}

/// Sends one message. It blocks.
pub trait Give {
    fn give(&mut self, content: &impl Content);
}

/// Receives one message. It blocks.
pub trait Take {
    fn take<R>(&mut self, look: impl FnOnce(&[u8]) -> R) -> R;
}

pub trait Content {
    fn write(&self, into: &mut [u8]);

    /// Returns the same as words in a box.
    fn boxed(&self, len: usize) -> Box<[u64]> {
        let mut words = vec![0; len / 8].into_boxed_slice();
        self.write(bytemuck::cast_slice_mut(&mut words));
        words
    }
}

/// Writes a message: each word of it, or only the first one, its number.
#[derive(Clone, Copy)]
pub struct Pen {
    pub id: u64,
    pub touch: bool,
}

impl Content for Pen {
    #[inline]
    fn write(&self, into: &mut [u8]) {
        let end = if self.touch { into.len() } else { 8 };
        for (k, word) in into[..end].chunks_exact_mut(8).enumerate() {
            word.copy_from_slice(&self.id.wrapping_add(k as u64).to_ne_bytes());
        }
    }
    /// Written once.
    fn boxed(&self, len: usize) -> Box<[u64]> {
        if self.touch {
            return (0..len as u64 / 8).map(|k| self.id.wrapping_add(k)).collect();
        }
        let mut words = vec![0; len / 8].into_boxed_slice();
        words[0] = self.id;
        words
    }
}

impl Pen {
    /// The number of a message, if its length is right and, where each word is looked at, the sum
    /// of all.
    #[inline]
    pub fn read(bytes: &[u8], len: usize, touch: bool) -> Option<u64> {
        let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("eight"));
        let id = word(&bytes[..8]);
        if !touch {
            return (bytes.len() == len).then_some(id);
        }
        let sum = bytes.chunks_exact(8).fold(0, |sum: u64, bytes| sum.wrapping_add(word(bytes)));
        let words = len as u64 / 8;
        let right = id.wrapping_mul(words).wrapping_add(words * (words - 1) / 2);
        (bytes.len() == len && sum == right).then_some(id)
    }
}

/// A channel of bytes with messages of `N` words.
pub struct Words<B, const N: usize>(PhantomData<B>);

impl<const N: usize> Content for [u64; N] {
    #[inline]
    fn write(&self, into: &mut [u8]) {
        into.copy_from_slice(bytemuck::cast_slice(self));
    }
}

impl<B: Bytes, const N: usize> Wire for Words<B, N> {
    type Message = [u64; N];
    type Tx = B::Tx;
    type Rx = B::Rx;

    fn channel() -> (B::Tx, B::Rx) {
        B::channel(N * 8, CAPACITY)
    }
    fn sender(tx: B::Tx) -> impl FnMut([u64; N]) {
        let mut give = B::sender(tx, N * 8);
        move |message| give.give(&message)
    }
    fn receiver(rx: B::Rx) -> impl FnMut() -> [u64; N] {
        let mut take = B::receiver(rx, N * 8);
        move || take.take(bytemuck::pod_read_unaligned)
    }
}

/// A channel that moves boxes of words.
struct GiveWords<F>(F, usize);

impl<F: FnMut(Box<[u64]>)> Give for GiveWords<F> {
    fn give(&mut self, content: &impl Content) {
        self.0(content.boxed(self.1));
    }
}

struct TakeWords<F>(F);

impl<F: FnMut() -> O, O: AsRef<[u64]>> Take for TakeWords<F> {
    fn take<R>(&mut self, look: impl FnOnce(&[u8]) -> R) -> R {
        look(bytemuck::cast_slice(self.0().as_ref()))
    }
}

/// A channel that moves vectors of bytes.
struct GiveBytes<F>(F, usize);

impl<F: FnMut(Vec<u8>)> Give for GiveBytes<F> {
    fn give(&mut self, content: &impl Content) {
        let mut bytes = vec![0; self.1];
        content.write(&mut bytes);
        self.0(bytes);
    }
}

struct TakeBytes<F>(F);

impl<F: FnMut() -> Vec<u8>> Take for TakeBytes<F> {
    fn take<R>(&mut self, look: impl FnOnce(&[u8]) -> R) -> R {
        look(&self.0())
    }
}

/// A channel that sends from a buffer and receives into a buffer; both are reused.
struct Buffered<F>(F, Vec<u8>);

impl<F> Buffered<F> {
    fn new(len: usize, f: F) -> Self {
        Buffered(f, vec![0; len])
    }
}

impl<F: FnMut(&[u8])> Give for Buffered<F> {
    fn give(&mut self, content: &impl Content) {
        content.write(&mut self.1);
        self.0(&self.1);
    }
}

struct Into<F>(F, Vec<u8>);

impl<F: FnMut(&mut [u8]) -> usize> Take for Into<F> {
    fn take<R>(&mut self, look: impl FnOnce(&[u8]) -> R) -> R {
        let got = self.0(&mut self.1);
        look(&self.1[..got])
    }
}

/// crossbeam-channel between threads: a box is moved.
pub struct Crossbeam;

impl Bytes for Crossbeam {
    type Tx = crossbeam_channel::Sender<Box<[u64]>>;
    type Rx = crossbeam_channel::Receiver<Box<[u64]>>;

    fn channel(_len: usize, room: usize) -> (Self::Tx, Self::Rx) {
        crossbeam_channel::bounded(room)
    }
    fn sender(tx: Self::Tx, len: usize) -> impl Give {
        GiveWords(move |words| tx.send(words).expect("receivers stay"), len)
    }
    fn receiver(rx: Self::Rx, _len: usize) -> impl Take {
        TakeWords(move || rx.recv().expect("senders stay"))
    }
}

/// The standard library's channel between threads.
pub struct Std;

impl Bytes for Std {
    type Tx = std::sync::mpsc::SyncSender<Box<[u64]>>;
    type Rx = Only<Box<[u64]>>;

    fn channel(_len: usize, room: usize) -> (Self::Tx, Self::Rx) {
        std_channel(room)
    }
    fn sender(tx: Self::Tx, len: usize) -> impl Give {
        GiveWords(move |words| tx.send(words).expect("receivers stay"), len)
    }
    fn receiver(rx: Self::Rx, _len: usize) -> impl Take {
        let rx = take_only(&rx);
        TakeWords(move || rx.recv().expect("senders stay"))
    }
}

/// The facade between threads.
pub struct Thread;

impl Bytes for Thread {
    type Tx = multiprocess::Sender<Box<[u64]>>;
    type Rx = multiprocess::Receiver<Box<[u64]>>;

    fn channel(_len: usize, room: usize) -> (Self::Tx, Self::Rx) {
        multiprocess::thread::bounded(room).expect("a channel")
    }
    fn sender(tx: Self::Tx, len: usize) -> impl Give {
        GiveWords(move |words| tx.send(words).expect("receivers stay"), len)
    }
    fn receiver(rx: Self::Rx, _len: usize) -> impl Take {
        TakeWords(move || rx.recv().expect("senders stay"))
    }
}

/// Channels of this project whose messages are `Vec<u8>`.
macro_rules! vectors {
    ($(#[$doc:meta])* $Name:ident, $Tx:ty, $Rx:ty, |$room:pat_param| $make:expr) => {
        $(#[$doc])*
        pub struct $Name;

        impl Bytes for $Name {
            type Tx = $Tx;
            type Rx = $Rx;

            fn channel(_len: usize, $room: usize) -> (Self::Tx, Self::Rx) {
                $make.expect("a channel")
            }
            fn sender(tx: Self::Tx, len: usize) -> impl Give {
                GiveBytes(move |bytes| tx.send(bytes).expect("receivers stay"), len)
            }
            fn receiver(rx: Self::Rx, _len: usize) -> impl Take {
                TakeBytes(move || rx.recv().expect("senders stay"))
            }
        }
    };
}

vectors!(
    /// A serde type through shared memory.
    Typed, ipc_shm::Sender<Vec<u8>>, ipc_shm::Receiver<Vec<u8>>, |room| ipc_shm::bounded(room)
);
vectors!(
    /// The facade through shared memory.
    Erased, multiprocess::Sender<Vec<u8>>, multiprocess::Receiver<Vec<u8>>, |room| multiprocess::bounded(room)
);
vectors!(
    /// Bytes through shared memory, copied in and out.
    Copied, ipc_shm::bytes::Sender, ipc_shm::bytes::Receiver, |room| ipc_shm::bytes::bounded(room)
);
vectors!(
    /// A serde type over a pair of sockets.
    Local, ipc_pipes::Sender<Vec<u8>>, ipc_pipes::Receiver<Vec<u8>>, |_| ipc_pipes::channel()
);
vectors!(
    /// A serde type over an anonymous pipe.
    Anonymous, ipc_pipes::Sender<Vec<u8>>, ipc_pipes::Receiver<Vec<u8>>, |_| ipc_pipes::pipe::channel()
);
vectors!(
    /// A serde type over one connection, whose other direction is idle.
    Duplex, ipc_pipes::Sender<Vec<u8>>, ipc_pipes::Receiver<Vec<u8>>,
    |_| ipc_pipes::duplex::<Vec<u8>, Vec<u8>>().map(|(here, there)| (here.split().0, there.split().1))
);

/// Bytes through shared memory, written and read in place.
pub struct Lent;

struct GiveLoan(ipc_shm::bytes::Sender, usize);

impl Give for GiveLoan {
    fn give(&mut self, content: &impl Content) {
        let mut loan = self.0.loan_slice(self.1).expect("receivers stay");
        content.write(&mut loan);
        loan.send().expect("receivers stay");
    }
}

struct TakeRef(ipc_shm::bytes::Receiver);

impl Take for TakeRef {
    fn take<R>(&mut self, look: impl FnOnce(&[u8]) -> R) -> R {
        look(&self.0.recv_ref().expect("senders stay"))
    }
}

impl Bytes for Lent {
    type Tx = ipc_shm::bytes::Sender;
    type Rx = ipc_shm::bytes::Receiver;

    fn channel(_len: usize, room: usize) -> (Self::Tx, Self::Rx) {
        ipc_shm::bytes::bounded(room).expect("a channel")
    }
    fn sender(tx: Self::Tx, len: usize) -> impl Give {
        GiveLoan(tx, len)
    }
    fn receiver(rx: Self::Rx, _len: usize) -> impl Take {
        TakeRef(rx)
    }
}

/// Servo's ipc-channel, its serde channel with a vector of bytes.
pub struct IpcTyped;

impl Bytes for IpcTyped {
    type Tx = OnLoan;
    type Rx = OnLoan;

    fn channel(_len: usize, _room: usize) -> (OnLoan, OnLoan) {
        let (tx, rx) = ipc::channel::<Vec<u8>>().expect("a channel");
        (OnLoan::of(tx), OnLoan::of(rx))
    }
    fn sender(tx: OnLoan, len: usize) -> impl Give {
        let tx: ipc::IpcSender<Vec<u8>> = tx.fetch();
        GiveBytes(move |bytes| tx.send(bytes).expect("receivers stay"), len)
    }
    fn receiver(rx: OnLoan, _len: usize) -> impl Take {
        let rx: ipc::IpcReceiver<Vec<u8>> = rx.fetch();
        TakeBytes(move || rx.recv().expect("senders stay"))
    }
}

/// Servo's ipc-channel, its channel of bytes.
pub struct IpcBytes;

impl Bytes for IpcBytes {
    type Tx = OnLoan;
    type Rx = OnLoan;

    fn channel(_len: usize, _room: usize) -> (OnLoan, OnLoan) {
        let (tx, rx) = ipc::bytes_channel().expect("a channel");
        (OnLoan::of(tx), OnLoan::of(rx))
    }
    fn sender(tx: OnLoan, len: usize) -> impl Give {
        let tx: IpcBytesSender = tx.fetch();
        Buffered::new(len, move |bytes: &[u8]| tx.send(bytes).expect("receivers stay"))
    }
    fn receiver(rx: OnLoan, _len: usize) -> impl Take {
        let rx: IpcBytesReceiver = rx.fetch();
        TakeBytes(move || rx.recv().expect("senders stay"))
    }
}

/// The crate `interprocess`: a local socket by name, a stream of bytes. All messages have the same
/// length, so nothing has to say where one ends.
pub struct Interprocess;

impl Bytes for Interprocess {
    type Tx = String;
    type Rx = String;

    fn channel(_len: usize, _room: usize) -> (String, String) {
        let name = format!("multiprocess-bench-{}-{}", std::process::id(), machine::now());
        (name.clone(), name)
    }
    fn sender(name: String, len: usize) -> impl Give {
        let mut stream = None;
        Buffered::new(len, move |bytes: &[u8]| {
            let stream = stream.get_or_insert_with(|| {
                let name = name.as_str().to_ns_name::<GenericNamespaced>().expect("a name");
                Stream::connect(name).expect("the receiver listens")
            });
            std::io::Write::write_all(stream, bytes).expect("receivers stay");
        })
    }
    /// Listens from the start. The sender connects with its first message.
    fn receiver(name: String, len: usize) -> impl Take {
        let name = name.to_ns_name::<GenericNamespaced>().expect("a name");
        let listener = ListenerOptions::new().name(name).create_sync().expect("a listener");
        let mut stream = None;
        let recv = move |bytes: &mut [u8]| {
            let stream = stream.get_or_insert_with(|| {
                std::io::BufReader::new(listener.accept().expect("the sender connects"))
            });
            std::io::Read::read_exact(stream, bytes).expect("senders stay");
            bytes.len()
        };
        Into(recv, vec![0; len])
    }
}

macro_rules! bare {
    ($(#[$doc:meta])* $Name:ident, $pair:expr, $send:expr, $recv:expr) => {
        $(#[$doc])*
        pub struct $Name;

        impl Bytes for $Name {
            type Tx = End;
            type Rx = End;

            fn channel(_len: usize, _room: usize) -> (End, End) {
                ends($pair.expect("a pair"))
            }
            fn sender(tx: End, len: usize) -> impl Give {
                Buffered::new(len, move |bytes: &[u8]| $send(tx.0.get().as_fd(), bytes).expect("receivers stay"))
            }
            fn receiver(rx: End, len: usize) -> impl Take {
                Into(move |bytes: &mut [u8]| $recv(rx.0.get().as_fd(), bytes).expect("senders stay"), vec![0; len])
            }
        }
    };
}

type Io<T> = rustix::io::Result<T>;

/// Datagrams are sent as a whole.
fn whole(sent: Io<usize>, bytes: &[u8]) -> Io<()> {
    assert_eq!(sent?, bytes.len(), "a whole datagram");
    Ok(())
}

bare!(
    /// `send` and `recv`, as called from C, on a socket that keeps the boundaries of messages.
    BareSocket,
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None),
    |fd: BorrowedFd<'_>, bytes| whole(rustix::net::send(fd, bytes, SendFlags::NOSIGNAL), bytes),
    |fd: BorrowedFd<'_>, bytes: &mut [u8]| rustix::net::recv(fd, bytes, RecvFlags::empty()).map(|got| got.0)
);
bare!(
    /// As one must call them where handles may come: `send`, and `recvmsg` with room for the most
    /// there can be.
    BareRights,
    rustix::net::socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None),
    |fd: BorrowedFd<'_>, bytes| whole(rustix::net::send(fd, bytes, SendFlags::NOSIGNAL), bytes),
    |fd: BorrowedFd<'_>, bytes: &mut [u8]| {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(253))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let into = &mut [IoSliceMut::new(bytes)];
        rustix::net::recvmsg(fd, into, &mut control, RecvFlags::CMSG_CLOEXEC).map(|got| got.bytes)
    }
);
bare!(
    /// `write` and `read` on a pipe that keeps the boundaries of packets, of at most 4 KiB.
    BarePackets,
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC | PipeFlags::DIRECT),
    |fd: BorrowedFd<'_>, bytes| whole(rustix::io::write(fd, bytes), bytes),
    |fd: BorrowedFd<'_>, bytes: &mut [u8]| rustix::io::read(fd, bytes)
);
bare!(
    /// `write` and `read` on a pipe that keeps none, with one reader, who knows how long all
    /// messages are.
    BarePipe,
    rustix::pipe::pipe_with(PipeFlags::CLOEXEC),
    |fd: BorrowedFd<'_>, mut bytes: &[u8]| -> Io<()> {
        while !bytes.is_empty() {
            bytes = &bytes[rustix::io::write(fd, bytes)?..];
        }
        Ok(())
    },
    |fd: BorrowedFd<'_>, bytes: &mut [u8]| -> Io<usize> {
        let mut got = 0;
        while got < bytes.len() {
            match rustix::io::read(fd, &mut bytes[got..])? {
                0 => break,
                more => got += more,
            }
        }
        Ok(got)
    }
);
