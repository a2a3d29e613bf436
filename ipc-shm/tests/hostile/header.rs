//! What arrives instead of an end: each lie is an error, and leaves no mapping.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use ipc_core::__private::handle;
use ipc_shm::{Builder, Receiver, Sender, pod};
use rustix::fs::{SealFlags, ftruncate};
use testkit::hostile::{Peer, SEALED, at, memfd, reopen, segment_of};
use testkit::proc::Mapping;
use testkit::{Random, watchdog};

/// An end on its way, and no other process attached: what arrives is checked as by another process.
fn in_transit() -> (Vec<u8>, OwnedFd) {
    let (tx, rx) = Builder::new(5).max_message(8192).participants(9).typed::<u64>().unwrap();
    tx.send(7).unwrap();
    let (bytes, mut handles) = handle::collect(|| postcard::to_stdvec(&rx).unwrap());
    drop((tx, rx));
    (bytes, handles.remove(0))
}

fn arrive(bytes: &[u8], fd: OwnedFd) -> Result<Receiver<u64>, String> {
    handle::provide(vec![fd], || postcard::from_bytes(bytes)).map_err(handle::cause_text)
}

fn mappings(fd: &OwnedFd) -> usize {
    let inode = rustix::fs::fstat(fd).unwrap().st_ino;
    let ours = |mapping: &&Mapping| mapping.path.contains("memfd:") && mapping.inode == inode;
    testkit::proc::mappings().iter().filter(ours).count()
}

fn refused(what: &str, bytes: &[u8], fd: OwnedFd) -> String {
    let watch = reopen(&fd);
    let error = arrive(bytes, fd).expect_err(what);
    assert_eq!(mappings(&watch), 0, "{what}");
    error
}

#[test]
fn the_truth_is_accepted() {
    let _watchdog = watchdog();
    let (bytes, fd) = in_transit();
    let watch = reopen(&fd);
    let rx = arrive(&bytes, fd).unwrap();
    assert_eq!(mappings(&watch), 1);
    assert_eq!(rx.capacity(), Some(5));
    assert_eq!(rx.recv(), Ok(7));
    drop(rx);
    assert_eq!(mappings(&watch), 0);
}

// faults 38-44
#[test]
fn each_field_is_believed_only_if_it_is_true() {
    let _watchdog = watchdog();
    let fields = [
        (at::MAGIC, "magic"),
        (at::VERSION, "version"),
        (at::FINGERPRINT, "fingerprint"),
        (at::CAPACITY, "capacity"),
        (at::STRIDE, "stride"),
        (at::PARTICIPANTS, "participants"),
        (at::BLOCKS, "blocks"),
        (at::LARGEST, "largest message"),
        (at::CHECKSUM, "checksum"),
    ];
    let mut random = Random::new(38);
    for (field, name) in fields {
        for case in 0..24 {
            let (bytes, fd) = in_transit();
            let peer = Peer::map(&reopen(&fd));
            let old = peer.get(field);
            let value = match case {
                0 => 0,
                1 => 1,
                2 => u64::MAX,
                3 => old + 1,
                4 => old - 1,
                5 => old.swap_bytes(),
                6 => 1 << 63,
                7 => old << 1,
                _ => random.scribble(old),
            };
            if value == old {
                continue;
            }
            peer.set(field, value);
            drop(peer);
            let error = refused(name, &bytes, fd);
            assert!(error.contains("segment refused"), "{name} {value:#x}: {error}");
        }
    }
}

// faults 41-43: numbers that agree with each other, and not with the file.
#[test]
fn a_header_that_lies_well_is_refused_or_safe_to_use() {
    let _watchdog = watchdog();
    let mut random = Random::new(41);
    let (mut no, mut yes) = (0, 0);
    for field in [at::CAPACITY, at::STRIDE, at::PARTICIPANTS, at::BLOCKS, at::LARGEST] {
        for case in 0..30 {
            let (bytes, fd) = in_transit();
            let peer = Peer::map(&reopen(&fd));
            let old = peer.get(field);
            let value = match case {
                0 => 0,
                1 => 1,
                2 => u64::MAX,
                3 => old - 1,
                4 => old / 2,
                5 => old * 2,
                6 => 1 << 32,
                7 => 64,
                8 => 4096,
                9 => usize::MAX as u64 / old,
                10..20 => random.number() >> random.below(64),
                _ => random.scribble(old),
            };
            if value == old {
                continue;
            }
            peer.set(field, value);
            peer.sum();
            drop(peer);
            let watch = reopen(&fd);
            match arrive(&bytes, fd) {
                Err(_) => no += 1,
                // Another geometry that fits into the file. The words in it are from another one.
                Ok(rx) => {
                    yes += 1;
                    for _ in 0..20 {
                        let _ = rx.recv_timeout(Duration::from_micros(500));
                        let _ = rx.try_recv_ref().map(|lent| lent.deliveries());
                        let _ = (rx.len(), rx.is_full(), rx.clone().sender_count());
                    }
                }
            }
            assert_eq!(mappings(&watch), 0);
        }
    }
    assert!(no > 50 && yes > 5, "{no} refused, {yes} accepted");
}

/// A receiver of this type that arrives with one number of the header changed, and the sum made
/// right.
fn arrives<T: pod::Plain>(field: usize, value: u64) -> Result<(), String> {
    let (tx, rx) = Builder::new(5).participants(9).pod::<T>().unwrap();
    let (bytes, mut handles) = handle::collect(|| postcard::to_stdvec(&rx).unwrap());
    drop((tx, rx));
    let peer = Peer::map(&reopen(&handles[0]));
    peer.set(field, value);
    peer.sum();
    drop(peer);
    let arrived = handle::provide(vec![handles.remove(0)], || {
        postcard::from_bytes::<pod::Receiver<T>>(&bytes)
    });
    arrived.map(drop).map_err(handle::cause_text)
}

// faults 41, 43: found by the fuzz target `segment_image`.
#[test]
fn slots_and_blocks_in_which_no_message_fits_are_refused() {
    let _watchdog = watchdog();
    assert_eq!(arrives::<[u64; 20]>(at::STRIDE, 192), Ok(()), "the truth");
    let error = arrives::<[u64; 20]>(at::STRIDE, 128).unwrap_err();
    assert!(error.contains("smaller than its messages"), "{error}");
    assert!(arrives::<[u64; 20]>(at::LARGEST, 0).unwrap_err().contains("no bytes"));
    assert_eq!(arrives::<[u64; 600]>(at::LARGEST, 8192), Ok(()), "the truth");
    let error = arrives::<[u64; 600]>(at::LARGEST, 4096).unwrap_err();
    assert!(error.contains("smaller than its messages"), "{error}");
}

// fault 45
#[test]
fn a_file_of_any_length_but_the_right_one_is_refused() {
    let _watchdog = watchdog();
    let (bytes, truth) = in_transit();
    let peer = Peer::map(&reopen(&truth));
    for len in [0, 1, 8, 127, 1023, 4095, peer.data() - 1] {
        // Empty, and with the header of a real one.
        refused("zeros", &bytes, memfd(&[], len, SEALED));
        let header: Vec<u8> =
            (0..128).step_by(8).flat_map(|at| peer.get(at).to_ne_bytes()).collect();
        let fd = memfd(&header[..header.len().min(len)], len, SEALED);
        let error = refused("too short", &bytes, fd);
        let known = ["shorter", "refused", "lease has ended"].iter().any(|why| error.contains(why));
        assert!(known, "{len}: {error}");
    }
}

// faults 45, 51
#[test]
fn what_is_no_segment_is_refused() {
    let _watchdog = watchdog();
    let (bytes, truth) = in_transit();
    let unsealed = memfd(&[], 1 << 20, SealFlags::empty());
    let half = memfd(&[], 1 << 20, SealFlags::GROW | SealFlags::SEAL);
    let (reader, writer) = std::io::pipe().unwrap();
    let path = format!("/proc/self/fd/{}", truth.as_raw_fd());
    let read_only = std::fs::File::open(path).unwrap();
    let others: [(&str, OwnedFd); 8] = [
        ("not sealed", unsealed),
        ("may shrink", half),
        ("a pipe", reader.into()),
        ("a pipe", writer.into()),
        ("a directory", std::fs::File::open("/").unwrap().into()),
        ("a device", std::fs::File::open("/dev/zero").unwrap().into()),
        ("a file", std::fs::File::open("/proc/self/exe").unwrap().into()),
        ("read-only", read_only.into()),
    ];
    for (what, fd) in others {
        let error = arrive(&bytes, fd).expect_err(what);
        assert!(error.contains("not a sealed segment"), "{what}: {error}");
    }
    assert!(arrive(&bytes, truth).is_ok(), "none of them did any harm");
}

#[test]
fn an_end_says_which_participant_and_is_not_believed() {
    let _watchdog = watchdog();
    for id in [0, 1, 3, 9, 10, 1023, 1024, u64::MAX] {
        let (bytes, fd) = in_transit();
        let (index, truth): (u32, u64) = postcard::from_bytes(&bytes).unwrap();
        assert_ne!(id, truth);
        let lie = postcard::to_stdvec(&(index, id)).unwrap();
        let error = refused("a participant", &lie, fd);
        let refused = ["participant is not there", "lease has ended", "lease is another's"];
        assert!(refused.iter().any(|text| error.contains(text)), "{id}: {error}");
    }
    // Another role than it was issued with.
    let (bytes, fd) = in_transit();
    let taken = handle::provide(vec![fd], || postcard::from_bytes::<Sender<u64>>(&bytes));
    assert!(taken.is_err());
    // Another handle than came, or one too many times.
    let (bytes, fd) = in_transit();
    let (_, id): (u32, u64) = postcard::from_bytes(&bytes).unwrap();
    let lie = postcard::to_stdvec(&(1u32, id)).unwrap();
    assert!(arrive(&lie, fd).unwrap_err().contains("did not arrive"));
    let (bytes, fd) = in_transit();
    let twice = [bytes.clone(), bytes].concat();
    type Two = (Receiver<u64>, Receiver<u64>);
    assert!(handle::provide(vec![fd], || postcard::from_bytes::<Two>(&twice)).is_err());
    // Without a lease: its issuer has closed it, and another process opened the segment.
    let (bytes, fd) = in_transit();
    let other = reopen(&fd);
    drop(fd);
    let error = refused("no lease", &bytes, other);
    assert!(error.contains("lease") || error.contains("participant"), "{error}");
}

// faults 46, 48
#[test]
fn a_live_segment_never_shrinks_and_may_grow() {
    let _watchdog = watchdog();
    let (tx, rx) = ipc_shm::bounded::<Vec<u8>>(4).unwrap();
    let fd = segment_of(&tx);
    let len = || rustix::fs::fstat(&fd).unwrap().st_size as u64;
    // It grows with what is sent, and when a peer makes it longer, which does no harm.
    for size in [1, 5000, 300_000, 3 << 20] {
        tx.send(vec![size as u8; size]).unwrap();
        for shorter in [0, 1, 4096, len() - 1] {
            assert!(ftruncate(&fd, shorter).is_err(), "{shorter}");
        }
        ftruncate(&fd, len() + 5000).unwrap();
        assert_eq!(rx.recv(), Ok(vec![size as u8; size]));
    }
    ftruncate(&fd, 1 << 50).unwrap();
    tx.send(vec![7; 9 << 20]).unwrap();
    assert_eq!(rx.recv(), Ok(vec![7; 9 << 20]));
}
