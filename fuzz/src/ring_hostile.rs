//! One process that uses a channel, while a peer writes into its words between any two calls.
//!
//! - Until the peer writes, a queue predicts the result of each call.
//! - From then on each call ends, with any result. Nothing panics, and no byte outside is touched.

use std::collections::VecDeque;
use std::time::Duration;

use ipc_core::__private::handle;
use ipc_shm::{Builder, pod, slice};
use testkit::fuzz::Input;
use testkit::hostile::{Peer, at};

const OPERATIONS: usize = 48;
/// How long a call may wait.
const SHORT: Duration = Duration::from_micros(20);
const LENGTHS: [usize; 8] = [0, 1, 5, 230, 240, 300, 4096, 8000];

/// Uses both ends: how to make a message of a tag and a length, and how to read the tag of one that
/// was received, or is lent.
macro_rules! play {
    ($tx:ident, $rx:ident, $input:ident, $capacity:ident, $make:expr, $tag:expr, $look:expr) => {{
        let (make, tag_of) = ($make, $tag);
        let peer = Scribbler::new(Peer::of(&$tx));
        // What the calls must return, until the peer writes.
        let mut truth = Some(VecDeque::new());
        let mut lent = VecDeque::new();
        let mut tag = 0;
        for _ in 0..OPERATIONS {
            let Some(operation) = $input.next() else { break };
            match operation % 16 {
                0..=3 => {
                    tag = (tag + 1) % 128;
                    let message = make(tag, LENGTHS[$input.below(8)]);
                    let sent = if operation & 0x30 == 0x30 {
                        $tx.send_timeout(message, SHORT).map_err(|error| error.is_timeout())
                    } else {
                        $tx.try_send(message).map_err(|error| error.is_full())
                    };
                    told(&mut truth, lent.len(), $capacity, sent, tag);
                }
                4..=6 => {
                    let got = match operation >> 4 & 3 {
                        0 => $rx
                            .try_recv()
                            .map(|got| vec![tag_of(&got)])
                            .map_err(|error| error.is_empty()),
                        1 => {
                            let got = $rx.recv_timeout(SHORT);
                            got.map(|got| vec![tag_of(&got)]).map_err(|error| error.is_timeout())
                        }
                        2 => {
                            let mut all = Vec::new();
                            let got = $rx.try_recv_many(&mut all, 9);
                            let tags = all.iter().map(|got| tag_of(got)).collect();
                            got.map(|_| tags).map_err(|error| error.is_empty())
                        }
                        _ => {
                            // As `drain` does, which panics over what cannot be read.
                            let (mut all, mut left) = (Vec::new(), $rx.len());
                            while left > 0 {
                                let Ok(got) = $rx.try_recv_many(&mut all, left) else { break };
                                left -= got;
                            }
                            let all: Vec<u8> = all.iter().map(|got| tag_of(got)).collect();
                            if all.is_empty() { Err(true) } else { Ok(all) }
                        }
                    };
                    found(&mut truth, got);
                }
                7 if lent.len() < 3 => {
                    let got = $rx.try_recv_ref();
                    let tags = got
                        .as_ref()
                        .map(|got| vec![($look)(got)])
                        .map_err(|error| error.is_empty());
                    found(&mut truth, tags);
                    lent.extend(got);
                }
                8 => drop(lent.pop_front()),
                9 => {
                    let _ = (
                        $tx.is_full(),
                        $rx.is_empty(),
                        $rx.is_full(),
                        $tx.clone().receiver_count(),
                    );
                    let _ = ($tx.is_disconnected(), $rx.is_disconnected(), $tx.disconnect_cause());
                    let _ = ($rx.clone().sender_count(), $rx.disconnect_cause());
                    assert!(truth.as_ref().is_none_or(|truth| truth.len() == $tx.len()));
                }
                10 => {
                    // An end in transit to a process that dies at once.
                    let (issued, handles) = handle::collect(|| postcard::to_stdvec(&$tx).is_ok());
                    assert!(issued || truth.is_none());
                    drop(handles);
                }
                // The result does not matter any more.
                11 => lent.iter().for_each(|lent| _ = (lent.deliveries(), ($look)(lent))),
                _ => {
                    peer.scribble(&mut $input);
                    truth = None;
                }
            }
        }
        // Dropping the ends of the damaged channel ends too.
        drop(lent);
        if $input.byte() & 1 == 0 { drop(($tx, $rx)) } else { drop(($rx, $tx)) }
    }};
}
/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let flavour = input.byte();
    let capacity = 1 + usize::from(flavour >> 2) % 6;
    let builder = Builder::new(capacity).max_message(8192).participants(4);
    const MEMORY: &str = "there is memory for a channel";
    match flavour & 3 {
        0 => {
            let (tx, rx) = builder.slices::<u8>().expect(MEMORY);
            play!(
                tx,
                rx,
                input,
                capacity,
                bytes,
                |message: &[u8]| tag(message),
                |lent: &slice::Ref<u8>| tag(&lent.to_vec_copied())
            );
        }
        1 => {
            let (tx, rx) = builder.pod::<[u64; 4]>().expect(MEMORY);
            let first = |message: &[u64; 4]| message[0] as u8;
            play!(
                tx,
                rx,
                input,
                capacity,
                |tag, _| [u64::from(tag); 4],
                first,
                |lent: &pod::Ref<_>| first(lent)
            );
        }
        2 => {
            let (tx, rx) = builder.pod::<[u64; 100]>().expect(MEMORY);
            let last = |message: &[u64; 100]| message[99] as u8;
            play!(
                tx,
                rx,
                input,
                capacity,
                |tag, _| [u64::from(tag); 100],
                last,
                |lent: &pod::Ref<_>| last(lent)
            );
        }
        _ => {
            let (tx, rx) = builder.typed::<Vec<u8>>().expect(MEMORY);
            play!(
                tx,
                rx,
                input,
                capacity,
                bytes,
                |message: &[u8]| tag(message),
                |lent: &ipc_shm::Ref<Vec<u8>>| tag(lent)
            );
        }
    }
}

/// Makes a message whose every byte is its tag.
fn bytes(tag: u8, len: usize) -> Vec<u8> {
    vec![tag; len.max(1)]
}

/// Returns the tag, if all bytes agree.
fn tag(message: &[u8]) -> u8 {
    let first = message.first().copied().unwrap_or_default();
    if message.iter().all(|byte| *byte == first) { first } else { u8::MAX }
}

/// Checks the result of a call to send.
fn told(
    truth: &mut Option<VecDeque<u8>>,
    lent: usize,
    capacity: usize,
    sent: Result<(), bool>,
    tag: u8,
) {
    let Some(truth) = truth else { return };
    match sent {
        Ok(()) => truth.push_back(tag),
        // A lent message may lie in its slot.
        Err(full) => assert!(full && truth.len() + lent >= capacity, "{truth:?}"),
    }
    assert!(truth.len() <= capacity);
}

/// Checks what was received; an error says whether the channel was empty.
fn found(truth: &mut Option<VecDeque<u8>>, got: Result<Vec<u8>, bool>) {
    let Some(truth) = truth else { return };
    match got {
        Ok(tags) => tags.into_iter().for_each(|tag| assert_eq!(truth.pop_front(), Some(tag))),
        Err(nothing) => assert!(nothing && truth.is_empty(), "{truth:?}"),
    }
}

/// The peer, and the places of the words, read before the peer overwrites them.
struct Scribbler {
    peer: Peer,
    capacity: usize,
    slots: usize,
    stride: usize,
    blocks: usize,
    end: usize,
}

impl Scribbler {
    fn new(peer: Peer) -> Self {
        Scribbler {
            capacity: peer.capacity(),
            slots: peer.slot(0),
            stride: peer.get(at::STRIDE) as usize,
            blocks: peer.block(0),
            end: peer.data() - 8,
            peer,
        }
    }

    /// Writes any word, also those that say how large everything is, which no process reads again.
    fn scribble(&self, input: &mut Input<'_>) {
        let peer = &self.peer;
        let index = input.below(16);
        let place = input.byte();
        let slot = self.slots + index % self.capacity * self.stride;
        let block = self.blocks + index * 64;
        let word = match place % 16 {
            0 => at::TAIL,
            1 => at::HEAD,
            2 => at::RECV_WAIT,
            3 => at::SEND_WAIT,
            4 => at::MEMBERS,
            5 => at::ORPHAN_SEQ,
            6 => at::MAGIC + index * 8,
            7 | 8 => peer.entry(index % 5),
            9 | 10 => slot,
            11 => slot + 8,
            12 => slot + 16 + usize::from(place >> 4) % 4 * 8,
            13 => block + 8 * (usize::from(place >> 4) % 6),
            14 => block,
            // Waiters with bell sockets.
            _ if place >> 4 == 1 => peer.armed() + index * 8,
            _ if place >> 4 == 2 => peer.namespace(index / 4) + index % 4 * 8,
            // The entries of participants.
            _ => peer.entry(5 + index % 5),
        };
        let word = word.min(self.end);
        let old = peer.get(word);
        let how = input.byte();
        let more = u64::from(input.byte());
        let value = match how % 12 {
            0 => 0,
            1 => u64::MAX,
            2 => old ^ 1 << (more % 64),
            3 => old.wrapping_add(1 << 17),
            4 => old.wrapping_sub(1 << 17),
            // The same position, another kind and owner.
            5 => (old >> 17 << 17) | u64::from(how >> 4) << 10 | more & 7,
            6 => more << 17 | u64::from(how >> 4) << 10 | more & 7,
            7 => more,
            8 => 1 << 63 | more,
            9 => more << 56 | more << 40 | more << 17 | more,
            10 => peer.get(at::TAIL),
            _ => old.wrapping_add(more),
        };
        peer.set(word, value);
    }
}
