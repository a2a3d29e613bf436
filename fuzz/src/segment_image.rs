//! Any bytes as a segment: it is refused, or safe to use.
//!
//! The segment is an object of any length. It has bytes of the input in place of the descriptions,
//! or the descriptions of a real segment with some words changed, perhaps so that its numbers agree
//! with each other again.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::sync::LazyLock;
use std::time::Duration;

use ipc_core::__private::handle::{self, OsHandle};
use ipc_shm::lock::Mutex;
use ipc_shm::{Builder, Lifetime, Receiver, Segment, SegmentBuilder, SeqLock, Shared};
use testkit::fuzz::Input;
use testkit::hostile::{SEALED, memfd};

const PAGE: usize = 4096;
const SHORT: Duration = Duration::from_micros(20);
/// Offset of the leases, behind any data: `lease.rs`.
const LEASES: i64 = 1 << 60;

/// The bytes of a real segment, and the object that arrives in it.
struct Real {
    bytes: Vec<u8>,
    /// The range of bytes that are worth changing.
    words: (usize, usize),
    id: u64,
    len: usize,
    /// The place of the nine words of its description; the last is a checksum of the others.
    description: usize,
}

fn contents(fd: &OsHandle, most: usize) -> (Vec<u8>, usize) {
    let file = File::from(fd.try_clone().expect("a descriptor is free"));
    let len = file.metadata().expect("it is open").len() as usize;
    let mut bytes = vec![0; len.min(most)];
    file.read_exact_at(&mut bytes, 0).expect("it is as long as it says");
    (bytes, len)
}

/// Makes a channel with some messages, and an end of it that arrives.
static CHANNEL: LazyLock<Real> = LazyLock::new(|| {
    let (tx, rx) =
        Builder::new(5).max_message(8192).participants(9).typed::<Vec<u8>>().expect("memory");
    tx.send(vec![1; 3]).expect("room");
    tx.send(vec![2; 5000]).expect("room");
    let (encoded, handles) = handle::collect(|| postcard::to_stdvec(&rx).expect("it is carried"));
    let (_, id): (u32, u64) = postcard::from_bytes(&encoded).expect("an index and an id");
    // As after the death of the other processes.
    drop((tx, rx));
    let (bytes, len) = contents(&handles[0], 8 * PAGE);
    Real { bytes, words: (0, 3 * PAGE), id, len, description: 0 }
});

/// Makes a segment with a value, a mutex and a sequence lock, that arrives.
static SEGMENT: LazyLock<Real> = LazyLock::new(|| {
    let segment = SegmentBuilder::new(2000)
        .participants(3)
        .lifetime(Lifetime::LastHandle)
        .anonymous()
        .expect("memory");
    Shared::new_in(&segment, 7u64).expect("room");
    Mutex::new_in(&segment, 7u64).expect("room");
    SeqLock::new_in(&segment, [7u32; 3]).expect("room");
    let (encoded, handles) =
        handle::collect(|| postcard::to_stdvec(&segment).expect("it is carried"));
    let ((_, id), _) =
        postcard::take_from_bytes::<(u32, u16)>(&encoded).expect("an index and an id");
    drop(segment);
    let (bytes, len) = contents(&handles[0], 8 * PAGE);
    Real { description: len - 256, words: (0, len), bytes, id: id.into(), len }
});

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let kind = input.byte();
    let real: &Real = if kind & 1 == 0 { &CHANNEL } else { &SEGMENT };
    let mut id = real.id;
    let (bytes, len, changed) = if kind & 2 == 0 {
        let mut bytes = real.bytes.clone();
        let mut changed = false;
        while input.0.len() > 4 && changed_words(kind) {
            let end = change(&mut bytes, real, &mut input);
            changed = true;
            if end {
                break;
            }
        }
        if kind & 4 != 0 {
            sum(&mut bytes[real.description..]);
        }
        (bytes, real.len, changed)
    } else {
        // Any bytes, at the beginning or at the end.
        let len = usize::from(input.byte()) * 64 + usize::from(kind >> 3) * 8;
        let mut bytes = vec![0; len];
        let some = input.0.len().min(len);
        let (from, at) =
            (&input.0[..some], if kind & 1 == 0 { 0 } else { len.saturating_sub(256) });
        let some = some.min(len - at);
        bytes[at..at + some].copy_from_slice(&from[..some]);
        id = u64::from(kind >> 3) % 4 + 1;
        (bytes, len, true)
    };
    let Some(fd) = object(&bytes, len, id) else { return };
    if kind & 1 == 0 {
        let end = postcard::to_stdvec(&(0u32, id)).expect("numbers");
        let arrived = handle::provide(vec![fd], || postcard::from_bytes::<Receiver<Vec<u8>>>(&end));
        assert!(arrived.is_ok() || changed, "{:?}", arrived.map_err(handle::cause_text));
        if let Ok(rx) = arrived {
            receive(&rx, &mut input);
        }
    } else {
        // Its index, its id, and that it has no name.
        let end = postcard::to_stdvec(&(0u32, id as u16, 0u32)).expect("numbers");
        let arrived = handle::provide(vec![fd], || postcard::from_bytes::<Segment>(&end));
        assert!(arrived.is_ok() || changed, "{:?}", arrived.map_err(handle::cause_text));
        if let Ok(segment) = arrived {
            look_at(&segment, &mut input);
        }
    }
}

fn changed_words(kind: u8) -> bool {
    kind & 8 == 0
}

/// Changes one word. Returns whether it was the last change.
fn change(bytes: &mut [u8], real: &Real, input: &mut Input<'_>) -> bool {
    let how = input.byte();
    let any = usize::from(input.byte()) << 8 | usize::from(input.byte());
    let at = if how & 16 == 0 {
        real.description + any % 16 * 8
    } else {
        real.words.0 + any * 8 % (real.words.1 - real.words.0)
    };
    let Some(word) = bytes.get_mut(at..at + 8) else { return true };
    let old = u64::from_ne_bytes(word.try_into().expect("eight bytes"));
    let more = u64::from(input.byte());
    let value = match how & 15 {
        0 => more,
        1 => u64::MAX - more,
        2 => old ^ 1 << (more % 64),
        3 => 1 << (more % 64),
        4 => old.wrapping_add(more),
        5 => old.wrapping_sub(more),
        6 => more << 12,
        7 => more << 17 | more >> 2,
        8 => old.swap_bytes(),
        9 => more << 32 | more,
        10 => old << (more % 64),
        11 => old >> (more % 64),
        _ => (0..8).fold(more, |value, _| value << 8 | u64::from(input.byte())),
    };
    word.copy_from_slice(&value.to_ne_bytes());
    how & 128 != 0
}

/// The checksum of the eight words before it, as a peer that lies well would: `layout.rs`,
/// `footer.rs`.
fn sum(description: &mut [u8]) {
    let Some((words, rest)) = description.split_at_mut_checked(64) else { return };
    if let Some(to) = rest.get_mut(..8) {
        to.copy_from_slice(&testkit::checksum(words.iter().copied()).to_ne_bytes());
    }
}

/// A sealed object with these bytes first, of which we hold the life lease of `id`.
fn object(bytes: &[u8], len: usize, id: u64) -> Option<OsHandle> {
    let fd = memfd(bytes, len, SEALED);
    let mut lock = libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: LEASES + 2 * id as i64,
        l_len: 1,
        l_pid: 0,
    };
    // SAFETY: the descriptor is open and `lock` valid during the call; locks have no effect on
    // memory.
    let taken =
        unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_OFD_SETLK, std::ptr::from_mut(&mut lock)) };
    (taken == 0).then_some(fd)
}

fn receive(rx: &Receiver<Vec<u8>>, input: &mut Input<'_>) {
    let mut kept = Vec::new();
    for round in 0..6 {
        match input.byte() % 8 {
            0 => drop(rx.recv_timeout(SHORT)),
            1 => drop(rx.try_recv_ref().map(|lent| (lent.deliveries(), lent.len()))),
            2 => kept.extend(rx.try_recv_ref()),
            3 => drop(rx.try_recv_many(&mut Vec::new(), 9)),
            4 => drop((
                rx.len(),
                rx.is_full(),
                rx.capacity(),
                rx.is_disconnected(),
                rx.disconnect_cause(),
            )),
            5 => drop((
                rx.clone().sender_count(),
                rx.receiver_count(),
                rx.try_recv_many(&mut Vec::new(), 99),
            )),
            6 => drop(handle::collect(|| postcard::to_stdvec(rx).is_ok())),
            _ => drop(rx.try_recv()),
        }
        if round == 3 {
            kept.clear();
        }
    }
}

fn look_at(segment: &Segment, input: &mut Input<'_>) {
    let size = segment.size();
    let mut all = vec![0; size];
    segment.read(0, &mut all).expect("all of it is there");
    assert!(segment.read(1, &mut all).is_err() && segment.write(size, &[1]).is_err());
    for _ in 0..6 {
        let offset = usize::from(input.byte()) * 8;
        match input.byte() % 8 {
            0 => drop(Shared::<u64>::at(segment, offset).map(|value| value.fetch_add(1, ORDER))),
            1 => drop(Mutex::<u64>::at(segment, offset).map(|mutex| {
                let _ = mutex.try_lock().map(|mut guard| *guard = guard.wrapping_add(1));
                let _ = mutex.lock_timeout(SHORT).map(|guard| *guard);
                (mutex.is_poisoned(), mutex.clear_poison())
            })),
            2 => drop(SeqLock::new_in(segment, [1u32; 3]).map(|lock| lock.try_read())),
            3 => drop(Shared::new_in(segment, 1u32).map(|value| value.get())),
            4 => drop((segment.attached(), segment.name().is_some(), segment.view().is_ok())),
            5 => drop(Mutex::new_in(segment, 5u64).map(|mutex| mutex.try_lock().is_ok())),
            6 => drop(handle::collect(|| postcard::to_stdvec(segment).is_ok())),
            _ => segment.write(offset.min(size - 1), &[input.byte()]).expect("it is within"),
        }
    }
}

const ORDER: std::sync::atomic::Ordering = std::sync::atomic::Ordering::AcqRel;
