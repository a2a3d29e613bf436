//! Streams of messages one way: what a sender and a receiver of each row do.

use std::hint::black_box;
use std::marker::PhantomData;

use super::CAPACITY;
use super::bytes::{Bytes, Give, Pen, Take};
use super::message::Message;
use super::wire::Wire;

/// A receiver's check of the messages.
#[derive(Default)]
pub struct Seen {
    pub count: u64,
    /// The sum of the numbers.
    pub sum: u64,
    /// Messages that were not the next one in order.
    pub disordered: u64,
    /// Messages with wrong content.
    pub damaged: u64,
    next: u64,
}

impl Seen {
    #[inline(always)]
    fn number(&mut self, id: u64) {
        self.count += 1;
        self.sum = self.sum.wrapping_add(id);
        self.disordered += u64::from(id != self.next);
        self.next = id.wrapping_add(1);
    }
}

/// The messages that a peer must send or receive.
#[derive(Clone, Copy)]
pub struct Share {
    pub count: u64,
    /// The number of the first message: of a receiver, if there is one sender and one receiver.
    pub first: u64,
    /// Whether to check every byte, or only the number.
    pub prove: bool,
}

impl Share {
    fn ids(self) -> std::ops::Range<u64> {
        self.first..self.first + self.count
    }
}

pub trait Flow: 'static {
    type Tx: Clone;
    type Rx: Clone;

    fn channel() -> (Self::Tx, Self::Rx);
    fn source(tx: Self::Tx) -> impl FnMut(Share);
    fn sink(rx: Self::Rx) -> impl FnMut(Share) -> Seen;
}

/// Message by message.
pub struct Single<W>(PhantomData<W>);

impl<W: Wire> Flow for Single<W> {
    type Tx = W::Tx;
    type Rx = W::Rx;

    fn channel() -> (W::Tx, W::Rx) {
        W::channel()
    }
    fn source(tx: W::Tx) -> impl FnMut(Share) {
        let mut send = W::sender(tx);
        move |share| share.ids().for_each(|id| send(W::Message::new(id)))
    }
    fn sink(rx: W::Rx) -> impl FnMut(Share) -> Seen {
        let mut recv = W::receiver(rx);
        move |share| {
            let mut seen = Seen { next: share.first, ..Seen::default() };
            for _ in 0..share.count {
                // All of it is received, whatever of it is looked at.
                let message = black_box(recv());
                seen.number(message.id());
                if share.prove {
                    seen.damaged += u64::from(!message.intact());
                }
            }
            seen
        }
    }
}

/// The size of a batch.
const BATCH: usize = 32;

/// Plain data in batches of 32.
pub struct Batches<M>(PhantomData<M>);

impl<M: Message + ipc_shm::pod::Plain> Flow for Batches<M> {
    type Tx = ipc_shm::pod::Sender<M>;
    type Rx = ipc_shm::pod::Receiver<M>;

    fn channel() -> (Self::Tx, Self::Rx) {
        ipc_shm::pod::bounded(CAPACITY).expect("a channel")
    }
    fn source(tx: Self::Tx) -> impl FnMut(Share) {
        move |share| {
            let mut ids = share.ids();
            while !ids.is_empty() {
                tx.send_many(ids.by_ref().take(BATCH).map(M::new)).expect("receivers stay");
            }
        }
    }
    fn sink(rx: Self::Rx) -> impl FnMut(Share) -> Seen {
        let mut batch = Vec::with_capacity(BATCH);
        move |share| {
            let mut seen = Seen { next: share.first, ..Seen::default() };
            while seen.count < share.count {
                batch.clear();
                rx.recv_many(&mut batch, BATCH.min((share.count - seen.count) as usize))
                    .expect("senders stay");
                for message in black_box(&batch) {
                    seen.number(message.id());
                    if share.prove {
                        seen.damaged += u64::from(!message.intact());
                    }
                }
            }
            seen
        }
    }
}

/// Messages of any serde type over sockets or pipes, in batches of 32.
pub struct Packs<W>(PhantomData<W>);

impl<W, M> Flow for Packs<W>
where
    M: Message + serde::Serialize + serde::de::DeserializeOwned,
    W: Wire<Message = M, Tx = ipc_pipes::Sender<M>, Rx = ipc_pipes::Receiver<M>>,
{
    type Tx = W::Tx;
    type Rx = W::Rx;

    fn channel() -> (W::Tx, W::Rx) {
        W::channel()
    }
    fn source(tx: W::Tx) -> impl FnMut(Share) {
        move |share| {
            let mut ids = share.ids();
            while !ids.is_empty() {
                tx.send_many(ids.by_ref().take(BATCH).map(M::new)).expect("receivers stay");
            }
        }
    }
    fn sink(rx: W::Rx) -> impl FnMut(Share) -> Seen {
        let mut batch = Vec::with_capacity(BATCH);
        move |share| {
            let mut seen = Seen { next: share.first, ..Seen::default() };
            while seen.count < share.count {
                batch.clear();
                rx.recv_many(&mut batch, BATCH.min((share.count - seen.count) as usize))
                    .expect("senders stay");
                for message in black_box(&batch) {
                    seen.number(message.id());
                    if share.prove {
                        seen.damaged += u64::from(!message.intact());
                    }
                }
            }
            seen
        }
    }
}

/// Messages of so many bytes. If they are touched, every word is written by the sender and read by
/// the receiver; else both look at the number only.
pub struct Bulk<B, const LEN: usize, const TOUCH: bool>(PhantomData<B>);

/// The capacity of channels: less for large messages.
const fn room(len: usize) -> usize {
    if len > 1024 { super::FEW } else { CAPACITY }
}

impl<B: Bytes, const LEN: usize, const TOUCH: bool> Flow for Bulk<B, LEN, TOUCH> {
    type Tx = B::Tx;
    type Rx = B::Rx;

    fn channel() -> (Self::Tx, Self::Rx) {
        B::channel(LEN, room(LEN))
    }
    fn source(tx: Self::Tx) -> impl FnMut(Share) {
        let mut give = B::sender(tx, LEN);
        move |share| share.ids().for_each(|id| give.give(&Pen { id, touch: TOUCH || share.prove }))
    }
    fn sink(rx: Self::Rx) -> impl FnMut(Share) -> Seen {
        let mut take = B::receiver(rx, LEN);
        move |share| {
            let mut seen = Seen { next: share.first, ..Seen::default() };
            for _ in 0..share.count {
                match take.take(|bytes| Pen::read(bytes, LEN, TOUCH || share.prove)) {
                    Some(id) => seen.number(id),
                    None => {
                        seen.damaged += 1;
                        seen.count += 1;
                    }
                }
            }
            seen
        }
    }
}
