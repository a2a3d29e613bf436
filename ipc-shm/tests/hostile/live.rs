//! A peer that writes while others use the channel.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use ipc_core::__private::ready::{Outcome, Ready};
use ipc_core::{RecvTimeoutError, TrySendError, Unreadable, Unsendable};
use ipc_shm::{Builder, Receiver, Sender, pod};
use rustix::fs::{FallocateFlags, fallocate};
use testkit::hostile::{Peer, at, segment_of};
use testkit::{Random, watchdog};

/// No power of two, so that there are positions without a slot.
const CAPACITY: usize = 5;
/// Blocks of a typed channel of this capacity.
const BLOCKS: usize = CAPACITY + 16;
/// How long the peer scribbles in each place.
const WHILE: Duration = Duration::from_millis(700);
const SHORT: Duration = Duration::from_micros(200);

fn channel() -> (Sender<Vec<u8>>, Receiver<Vec<u8>>) {
    Builder::new(CAPACITY).max_message(8192).participants(5).typed().unwrap()
}

/// Stops the peer, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Every call that has a deadline or needs none; what it answers does not matter, that it does so
/// does.
fn send_all_ways(tx: &Sender<Vec<u8>>, n: usize) {
    let message = vec![n as u8; [0, 5, 230, 300, 5000, 8100][n % 6]];
    match n % 4 {
        0 => drop(tx.try_send(message)),
        1 => drop(tx.send_timeout(message, SHORT)),
        2 => drop(tx.send_deadline(message, Instant::now() + SHORT)),
        _ => drop((tx.len(), tx.is_full(), tx.is_empty(), tx.clone().receiver_count())),
    }
    if n % 64 == 1 {
        let _ = (tx.is_disconnected(), tx.disconnect_cause());
    }
}

fn receive_all_ways(rx: &Receiver<Vec<u8>>, n: usize) {
    match n % 7 {
        0 => drop(rx.try_recv()),
        1 => drop(rx.recv_timeout(SHORT)),
        2 => drop(rx.recv_deadline(Instant::now() + SHORT)),
        3 => drop(rx.try_recv_many(&mut Vec::new(), 9)),
        4 => drop(rx.try_recv_ref().map(|lent| (lent.len(), lent.deliveries()))),
        5 => drop(rx.recv_ref_timeout(SHORT).map(|lent| lent.into_inner())),
        // No iterator: it panics over what cannot be read.
        _ => drop((rx.len(), rx.try_recv_many(&mut Vec::new(), 99), rx.clone().sender_count())),
    }
    if n % 64 == 1 {
        let _ = (rx.is_disconnected(), rx.disconnect_cause());
    }
}

/// Uses a channel while a peer writes into these words; 0 is the whole of a place.
fn scribble(seed: u64, places: impl Fn(&Peer) -> Vec<Range<usize>>) {
    let (tx, rx) = channel();
    let peer = Peer::of(&tx);
    let places = places(&peer);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = &stop;
        let stopping = Stop(stop);
        let peer = scope.spawn(|| {
            let mut random = Random::new(seed);
            let mut written = 0u64;
            while !stop.load(Ordering::Relaxed) {
                let place = places[random.index(places.len())].clone();
                let word = place.start + random.index(place.len() / 8) * 8;
                let value = random.scribble(peer.get(word));
                peer.set(word, value);
                written += 1;
            }
            written
        });
        let (tx, rx) = (&tx, &rx);
        let begin = Instant::now();
        let sender = scope.spawn(move || {
            let mut calls = 0;
            while begin.elapsed() < WHILE || calls < 200 {
                // Mostly such as do not wait: there are more of them in the time.
                send_all_ways(tx, if calls % 32 == 0 { calls / 32 } else { calls * 4 });
                calls += 1;
            }
            calls
        });
        let mut calls = 0;
        while begin.elapsed() < WHILE || calls < 200 {
            receive_all_ways(rx, if calls % 32 == 0 { calls / 32 } else { [0, 3, 4][calls % 3] });
            calls += 1;
        }
        let sent = sender.join();
        drop(stopping);
        let written = peer.join().unwrap();
        let sent = sent.unwrap();
        assert!(written > 0, "nothing was tried");
        println!(
            "{sent} calls to send, {calls} to receive, {written} words written, {:?}",
            begin.elapsed()
        );
    });
    // Leaving over the ruins ends too.
    drop(rx);
    drop(tx);
}

fn words(from: usize, n: usize) -> Range<usize> {
    from..from + n * 8
}

// fault 74
#[test]
fn scribbled_positions_do_no_harm() {
    let _watchdog = watchdog();
    scribble(74, |_| vec![words(at::TAIL, 1), words(at::HEAD, 1)]);
}

// faults 74, 76
#[test]
fn scribbled_slots_do_no_harm() {
    let _watchdog = watchdog();
    scribble(75, |peer| (0..CAPACITY).map(|i| words(peer.slot(i), 1)).collect());
}

// faults 75, 78
#[test]
fn scribbled_lengths_and_bytes_do_no_harm() {
    let _watchdog = watchdog();
    scribble(76, |peer| {
        (0..CAPACITY)
            .flat_map(|i| [words(peer.slot(i) + 8, 1), words(peer.slot(i) + 8, 30)])
            .collect()
    });
}

// faults 75, 76
#[test]
fn scribbled_blocks_do_no_harm() {
    let _watchdog = watchdog();
    scribble(77, |peer| (0..BLOCKS).map(|i| words(peer.block(i), 6)).collect());
}

// fault 77
#[test]
fn scribbled_bells_do_no_harm() {
    let _watchdog = watchdog();
    scribble(78, |_| vec![words(at::RECV_WAIT, 1), words(at::SEND_WAIT, 1)]);
}

// fault 76
#[test]
fn scribbled_members_do_no_harm() {
    let _watchdog = watchdog();
    scribble(79, |peer| {
        vec![words(at::MEMBERS, 1), words(at::ORPHAN_SEQ, 1), words(peer.entry(0), 6)]
    });
}

// faults 74-77, all at once, the header included: it is never read again.
#[test]
fn scribbling_everywhere_does_no_harm() {
    let _watchdog = watchdog();
    scribble(80, |peer| {
        let mut places =
            vec![words(0, 112), words(at::TAIL, 1), words(at::HEAD, 1), words(at::END, 1)];
        places.push(words(peer.entry(0), 6));
        places.extend((0..CAPACITY).map(|i| words(peer.slot(i), 2)));
        places.extend((0..BLOCKS).map(|i| words(peer.block(i), 6)));
        places
    });
}

// fault 76: each word, each kind of nonsense, one at a time.
#[test]
fn one_wrong_word_does_no_harm() {
    let _watchdog = watchdog();
    let mut random = Random::new(81);
    let offsets = |peer: &Peer| {
        let mut offsets =
            vec![at::TAIL, at::HEAD, at::RECV_WAIT, at::SEND_WAIT, at::MEMBERS, at::ORPHAN_SEQ];
        offsets.extend([peer.entry(0), peer.entry(1), peer.entry(2)]);
        offsets.extend([peer.slot(0), peer.slot(1), peer.slot(2), peer.slot(1) + 8, peer.block(0)]);
        // How much memory the block has, its place, and how many bytes of the file were given out.
        offsets.extend([peer.block_committed(0), peer.block_place(0), peer.block_room(0), at::END]);
        offsets
    };
    let count = offsets(&Peer::of(&channel().0)).len();
    for which in 0..count {
        for case in 0..24 {
            let (tx, rx) = channel();
            tx.send(vec![1; 3]).unwrap();
            tx.send(vec![2; 4000]).unwrap();
            let peer = Peer::of(&tx);
            let word = offsets(&peer)[which];
            let old = peer.get(word);
            let value = match case {
                0 => 0,
                1 => u64::MAX,
                2 => old | 1 << 16,
                3 => old | 63 << 10,
                4 => old | 1023,
                5 => old | 63 << 10 | 1023,
                6 => old | 63 << 10 | 1,
                7 => old ^ 1 << 63,
                8 => old + (1 << 17),
                9 => old.wrapping_sub(1 << 17),
                10 => old + (5 << 17),
                11 => old.wrapping_sub(5 << 17),
                12 => old + (1 << 10),
                _ => random.scribble(old),
            };
            peer.set(word, value);
            for n in 0..8 {
                send_all_ways(&tx, n);
                receive_all_ways(&rx, n);
            }
            let _ = segment_of_maybe(&tx);
            if case % 2 == 0 {
                drop(rx);
                let _ = tx.try_send(vec![]);
            } else {
                drop(tx);
                let _ = rx.try_recv();
            }
        }
    }
}

/// Asks for a further participant; in ruins it may be refused.
fn segment_of_maybe(tx: &Sender<Vec<u8>>) -> bool {
    ipc_core::__private::handle::collect(|| postcard::to_stdvec(tx).is_ok()).0
}

// fault 74: a receiver of a stream watches how far the sender has come, which may go backwards.
#[test]
fn a_tail_that_goes_backwards_does_no_harm() {
    let _watchdog = watchdog();
    let (tx, rx) = pod::bounded::<u64>(64).unwrap();
    let peer = Peer::of(&tx);
    let (flip, stop) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                if flip.load(Ordering::Acquire) {
                    let tail = peer.get(at::TAIL);
                    (1..6).for_each(|n| peer.set(at::TAIL, tail - (n << 17)));
                    peer.set(at::TAIL, tail);
                    flip.store(false, Ordering::Release);
                }
            }
        });
        for _ in 0..400 {
            (0..6).for_each(|n| tx.send(n).unwrap());
            (0..6).for_each(|n| assert_eq!(rx.recv(), Ok(n)));
            peer.set(at::SENDERS_CPU, 0);
            flip.store(true, Ordering::Release);
            while flip.load(Ordering::Acquire) {
                let _ = rx.recv_timeout(Duration::from_nanos(1));
            }
        }
    });
}

// fault 77
#[test]
fn deadlines_are_met_whatever_the_bells_say() {
    let _watchdog = watchdog();
    const WAIT: Duration = Duration::from_millis(50);
    let (tx, rx) = channel();
    let peer = Peer::of(&tx);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            let mut random = Random::new(77);
            while !stop.load(Ordering::Relaxed) {
                for bell in [at::RECV_WAIT, at::SEND_WAIT] {
                    let value = random.scribble(peer.get(bell));
                    peer.set(bell, value);
                }
            }
        });
        let in_time = |timed_out: bool, begin: Instant| {
            assert!(timed_out);
            let took = begin.elapsed();
            assert!(took >= WAIT && took < WAIT + Duration::from_secs(3), "{took:?}");
        };
        let begin = Instant::now();
        in_time(rx.recv_timeout(WAIT).unwrap_err().is_timeout(), begin);
        (0..CAPACITY).for_each(|_| tx.send(vec![]).unwrap());
        let begin = Instant::now();
        in_time(tx.send_timeout(vec![1], WAIT).unwrap_err().is_timeout(), begin);
        // And messages go through, if late at worst.
        for n in 0..200u32 {
            assert!(rx.recv().is_ok());
            tx.send(n.to_ne_bytes().to_vec()).unwrap();
        }
    });
}

// fault 77: as above, and waiters with bell sockets.
#[test]
fn messages_arrive_whatever_the_bell_sockets_say() {
    let _watchdog = watchdog();
    struct Call(mpsc::Sender<()>);
    impl Wake for Call {
        fn wake(self: Arc<Self>) {
            let _ = self.0.send(());
        }
    }
    let (tx, rx) = channel();
    let peer = Peer::of(&tx);
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            let mut random = Random::new(77);
            while !stop.load(Ordering::Relaxed) {
                let id = random.below(6) as usize;
                let word = match random.below(4) {
                    0 => peer.armed() + 8 * random.below(32) as usize,
                    1 => at::RECV_WAIT,
                    // The namespace, the name and the tag.
                    _ => peer.namespace(id) + 8 * random.below(4) as usize,
                };
                let value = random.scribble(peer.get(word));
                peer.set(word, value);
                if random.below(200) == 0 {
                    peer.set(peer.unreachable(), random.below(2));
                }
            }
        });
        scope.spawn(|| {
            for n in 0..300u32 {
                tx.send(n.to_ne_bytes().to_vec()).unwrap();
            }
        });
        for n in 0..300u32 {
            let received = loop {
                let (call, called) = mpsc::channel();
                let waker = Waker::from(Arc::new(Call(call)));
                let ticket = rx.route().register_task(&waker).ticket;
                if let Ok(received) = rx.try_recv() {
                    rx.route().unregister(ticket, Outcome::Unused);
                    break received;
                }
                // An interval.
                let notified = called.recv_timeout(Duration::from_millis(2)).is_ok();
                if !notified {
                    rx.route().recover_dead();
                }
                rx.route().unregister(ticket, Outcome::Unused);
            };
            assert_eq!(received, n.to_ne_bytes());
        }
    });
}

// fault 77: a token of a waiter that is not there, and none of one that is.
#[test]
fn a_waiter_whose_token_was_taken_is_served_in_a_slice() {
    let _watchdog = watchdog();
    let (tx, rx) = channel();
    let peer = Peer::of(&tx);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| rx.recv());
        while peer.get(at::RECV_WAIT) >> 32 == 0 {
            thread::yield_now();
        }
        peer.set(at::RECV_WAIT, peer.get(at::RECV_WAIT) & u64::from(u32::MAX));
        tx.send(vec![3]).unwrap();
        assert_eq!(waiting.join().unwrap(), Ok(vec![3]));
    });
    for word in [1000 << 32, 1000 << 54, u64::MAX] {
        peer.set(at::RECV_WAIT, word);
        tx.send(vec![4]).unwrap();
        assert_eq!(peer.get(at::RECV_WAIT) >> 32, 0, "what is without a waiter goes at once");
        assert_eq!(rx.recv(), Ok(vec![4]));
    }
}

// fault 78
#[test]
fn garbage_is_unreadable_or_some_message() {
    let _watchdog = watchdog();
    type Rich = (bool, Option<char>, Vec<Vec<String>>, Result<u8, i64>);
    let (tx, rx) = Builder::new(2).max_message(8192).typed::<Rich>().unwrap();
    let peer = Peer::of(&tx);
    let message: Rich = (true, Some('x'), vec![vec!["text".into(); 5]; 3], Err(-7));
    let mut random = Random::new(79);
    let (mut unreadable, mut read) = (0, 0);
    for n in 0..20_000 {
        tx.try_send(message.clone()).unwrap();
        let slot = peer.slot(n % 2);
        // Behind the state: the length, then the bytes.
        let word = slot + 8 + 8 * random.index(6);
        let value = random.scribble(peer.get(word));
        peer.set(word, value);
        match rx.try_recv() {
            Ok(_) => read += 1,
            Err(error) => {
                assert!(error.is_unreadable());
                unreadable += 1;
            }
        }
    }
    assert!(unreadable > 1000 && read > 100, "{unreadable} unreadable, {read} read");
    tx.send(message.clone()).unwrap();
    assert_eq!(rx.recv(), Ok(message));
}

// fault 78: in a block. A length of 2^63 costs no memory.
#[test]
fn a_block_of_any_length_is_no_longer_than_a_block() {
    let _watchdog = watchdog();
    let (tx, rx) = channel();
    let peer = Peer::of(&tx);
    for len in [0, 1, 8192, 8193, 1 << 40, 1 << 63, u64::MAX] {
        tx.try_send(vec![7; 5000]).unwrap();
        (0..BLOCKS).for_each(|i| peer.set(peer.block_len(i), len));
        match rx.try_recv() {
            Ok(message) => assert!(message.len() <= 8192),
            Err(error) => assert!(error.is_unreadable()),
        }
    }
    tx.send(vec![7; 5000]).unwrap();
    assert_eq!(rx.recv(), Ok(vec![7; 5000]));
}

// fault 76: a slot that names a block that is not its message's.
#[test]
fn a_slot_with_a_foreign_block_is_corrupt() {
    let _watchdog = watchdog();
    for block in [0u64, 1, 20, 21, 1 << 40, (1 << 63) - 1] {
        let (tx, rx) = channel();
        let peer = Peer::of(&tx);
        tx.send(vec![1]).unwrap();
        peer.set(peer.slot(0) + 8, 1 << 63 | block);
        let error = rx.recv_timeout(Duration::from_secs(5)).unwrap_err();
        assert!(matches!(error, RecvTimeoutError::Unreadable(Unreadable::Corrupt(_))), "{error}");
        tx.send(vec![2]).unwrap();
        assert_eq!(rx.recv(), Ok(vec![2]));
    }
    let (tx, rx) = pod::bounded::<[u64; 200]>(4).unwrap();
    let peer = Peer::of(&tx);
    tx.send([1; 200]).unwrap();
    peer.set(peer.slot(0) + 8, 5);
    assert!(rx.recv().unwrap_err().is_unreadable());
}

// fault 47
#[test]
fn a_hole_in_the_middle_is_an_error_and_does_not_hang() {
    let _watchdog = watchdog();
    for queued in [0, 1, 8] {
        let (tx, rx) = Builder::new(8).max_message(8192).typed::<Vec<u8>>().unwrap();
        (0..queued).for_each(|_| tx.send(vec![1]).unwrap());
        if queued > 1 {
            // Some way into a lap.
            (0..3).for_each(|_| drop(rx.recv().unwrap()));
        }
        let fd = segment_of(&tx);
        let data = Peer::map(&fd).data() as u64;
        fallocate(&fd, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, 0, data).unwrap();
        // Without deadlines: both sides come to an end.
        let sender = thread::spawn(move || {
            loop {
                if let Err(error) = tx.send(vec![2; 100]) {
                    break (error.to_string(), error);
                }
            }
        });
        let receiver = thread::spawn(move || {
            loop {
                if let Err(error) = rx.recv() {
                    break error.to_string();
                }
            }
        });
        let (said, error) = sender.join().unwrap();
        let corrupt = matches!(error, ipc_core::SendError::Unsendable(_, Unsendable::Corrupt(_)));
        assert!(corrupt || error.is_disconnected(), "{queued}: {said}");
        assert!(receiver.join().unwrap().contains("c"));
    }
}

// faults 76, 110: a message that lies nowhere, beyond the end of the file, or where others lie.
#[test]
fn a_place_that_a_peer_made_up_is_corrupt_or_bytes_and_never_a_signal() {
    let _watchdog = watchdog();
    let (mut corrupt, mut read) = (0, 0);
    for place in [
        1,
        7,
        4095,
        4096,
        8192,
        1 << 18,
        1 << 20,
        1 << 45,
        1 << 56,
        1 << 63,
        u64::MAX,
        u64::MAX - 4095,
    ] {
        let (tx, rx) = channel();
        let peer = Peer::of(&tx);
        tx.send(vec![1; 5000]).unwrap();
        tx.send(vec![3; 5000]).unwrap();
        peer.set(peer.block_place(0), place);
        match rx.recv_timeout(Duration::from_secs(5)) {
            Ok(_) | Err(RecvTimeoutError::Unreadable(Unreadable::Decode(_))) => read += 1,
            Err(RecvTimeoutError::Unreadable(Unreadable::Corrupt(_))) => corrupt += 1,
            Err(error) => panic!("{place:#x}: {error}"),
        }
        // The next owner of the block: it may get another place, if it is none, or write behind the
        // end of the file.
        for room in [0, 1, 4096, 8192, 1 << 30, u64::MAX] {
            peer.set(peer.block_place(0), place);
            peer.set(peer.block_room(0), room);
            match tx.try_send(vec![2; 8000]) {
                Ok(()) => _ = rx.try_recv(),
                Err(error) => {
                    assert!(matches!(error, TrySendError::Unsendable(..)), "{place:#x}: {error}")
                }
            }
        }
    }
    assert!(corrupt > 6 && read > 0, "{corrupt} corrupt, {read} read");
}
