//! What lies under a name may be anything: it is refused, or safe to use.

use std::fs::File;
use std::io::ErrorKind::InvalidData;
use std::os::unix::fs::{FileExt, PermissionsExt};

use ipc_core::OsHandle;
use multiprocess::shm::{Lifetime, Segment, SegmentBuilder, SeqLock, Shared};
use rustix::fs::{SealFlags, ftruncate};
use testkit::hostile::{SEALED, memfd, reopen};
use testkit::{Random, checksum, held, watchdog};

use crate::support::{Name, arrive, send};

/// The bytes of a segment with 100 bytes of data and 3 participants.
fn image(name: &Name) -> Vec<u8> {
    let segment = SegmentBuilder::new(100)
        .participants(3)
        .lifetime(Lifetime::Persistent)
        .create(name)
        .unwrap();
    segment.write(0, b"data").unwrap();
    let lock = SeqLock::new_in(&segment, 5u32).err();
    assert!(lock.is_some(), "no room");
    drop(segment);
    std::fs::read(name.path()).unwrap()
}

fn put(name: &Name, bytes: &[u8]) {
    let _ = std::fs::remove_file(name.path());
    std::fs::write(name.path(), bytes).unwrap();
    std::fs::set_permissions(name.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Opens it, and does what can be done. Whether it was accepted.
fn try_it(name: &Name) -> Result<Segment, String> {
    let segment = Segment::open(name).map_err(|error| {
        assert_eq!(error.kind(), InvalidData, "{error}");
        error.to_string()
    })?;
    let size = segment.size();
    let mut all = vec![0; size];
    segment.read(0, &mut all).unwrap();
    segment.write(size - 1, &[1]).unwrap();
    assert!(segment.write(size, &[1]).is_err());
    let _ = Shared::new_in(&segment, 1u32).map(|value| value.get());
    let _ = segment.attached();
    let _ = segment.view().unwrap();
    let (bytes, handles) = ipc_core::__private::handle::collect(|| postcard::to_stdvec(&segment));
    if let Ok(bytes) = bytes {
        arrive::<Segment>(&bytes, handles).unwrap();
    }
    Ok(segment)
}

/// The last 256 bytes: nine words of description, then the allocation cursor.
const FOOTER: usize = 8192 - 256;

// faults 38-44
#[test]
fn each_field_is_believed_only_if_it_is_true() {
    let _watchdog = watchdog();
    let name = Name::new("fields");
    let truth = image(&name);
    assert_eq!(truth.len(), 8192);
    let fields = [
        "magic",
        "version",
        "word size",
        "length",
        "size",
        "participants",
        "lifetime",
        "fingerprint",
        "checksum",
    ];
    let mut random = Random::new(38);
    for (n, field) in fields.into_iter().enumerate() {
        let at = FOOTER + n * 8;
        let old = u64::from_ne_bytes(truth[at..at + 8].try_into().unwrap());
        for case in 0..20 {
            let value = match case {
                0 => 0,
                1 => 1,
                2 => u64::MAX,
                3 => old.wrapping_add(1),
                4 => old.wrapping_sub(1),
                5 => old.swap_bytes(),
                6 => 1 << 63,
                7 => old << 1,
                _ => random.number() >> random.below(64),
            };
            if value == old {
                continue;
            }
            let mut bytes = truth.clone();
            bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
            put(&name, &bytes);
            match try_it(&name) {
                // What ends with another number is not ours, and is bytes, all of them.
                Ok(segment) => {
                    assert!(field == "magic" && segment.attached().is_none(), "{field} {value:#x}");
                    assert_eq!(segment.size(), 8192);
                }
                Err(error) => assert!(error.contains("refused"), "{field} {value:#x}: {error}"),
            }
            assert_eq!(held(&name), (0, 0));
        }
    }
    // The other byte order is said to be so.
    let mut bytes = truth.clone();
    bytes[FOOTER..FOOTER + 8].reverse();
    put(&name, &bytes);
    assert!(try_it(&name).unwrap_err().contains("other byte order"));
    put(&name, &truth);
    assert_eq!(try_it(&name).unwrap().attached(), Some(1));
}

// faults 41-43: numbers that agree with each other, and not with the file.
#[test]
fn a_description_that_lies_well_is_refused_or_safe_to_use() {
    let _watchdog = watchdog();
    let name = Name::new("lies-well");
    let truth = image(&name);
    let mut random = Random::new(41);
    let (mut no, mut yes) = (0, 0);
    for field in [3, 4, 5, 6, 7] {
        for case in 0..40 {
            let at = FOOTER + field * 8;
            let old = u64::from_ne_bytes(truth[at..at + 8].try_into().unwrap());
            let value = match case {
                0 => 0,
                1 => 1,
                2 => u64::MAX,
                3 => old.wrapping_add(1),
                4 => 4096,
                5 => 4097,
                6 => 8192,
                7 => 1023,
                8 => usize::MAX as u64 - 4095,
                9 => 1 << 46,
                _ => random.number() >> random.below(64),
            };
            let mut bytes = truth.clone();
            bytes[at..at + 8].copy_from_slice(&value.to_ne_bytes());
            let sum = checksum(bytes[FOOTER..FOOTER + 64].iter().copied());
            bytes[FOOTER + 64..FOOTER + 72].copy_from_slice(&sum.to_ne_bytes());
            put(&name, &bytes);
            match try_it(&name) {
                Ok(_) => yes += 1,
                Err(_) => no += 1,
            }
            assert_eq!(held(&name), (0, 0));
        }
    }
    assert!(no > 50 && yes > 5, "{no} refused, {yes} accepted");
}

// fault 50
#[test]
fn every_flipped_bit_is_refused_or_safe_to_use() {
    let _watchdog = watchdog();
    let name = Name::new("bits");
    let truth = image(&name);
    put(&name, &truth);
    for bit in 4096 * 8..8192 * 8 {
        // All of the description and the entries, and some of what is between.
        let at = bit / 8;
        if !(4096..4096 + 64).contains(&at) && at < FOOTER && bit % 97 != 0 {
            continue;
        }
        let file = File::options().write(true).open(name.path()).unwrap();
        file.write_all_at(&truth[4096..], 4096).unwrap();
        file.write_all_at(&[truth[at] ^ 1 << (bit % 8)], at as u64).unwrap();
        drop(file);
        let opened = try_it(&name);
        if (FOOTER + 8..FOOTER + 72).contains(&at) {
            assert!(opened.is_err(), "bit {bit}");
        }
        drop(opened);
        // An image of one that goes with its last handle may have gone.
        if !name.is_there() {
            put(&name, &truth);
        }
    }
    assert_eq!(held(&name), (0, 0));
}

// fault 45
#[test]
fn a_file_of_any_length_is_refused_or_all_of_it_bytes() {
    let _watchdog = watchdog();
    let name = Name::new("lengths");
    let truth = image(&name);
    for len in [0, 1, 7, 255, 256, 4095, 4096, 4097, 8191, 8193, 12288] {
        let mut bytes = truth.clone();
        bytes.resize(len, 0);
        put(&name, &bytes);
        match try_it(&name) {
            Ok(segment) => assert_eq!((segment.size(), segment.attached()), (len, None)),
            Err(_) => assert_eq!(len, 0),
        }
    }
    // The description is at the end, and says another length.
    for len in [4096, 12288, 1 << 20] {
        let mut bytes = truth.clone();
        bytes.resize(len, 0);
        bytes[len - 256..].copy_from_slice(&truth[FOOTER..]);
        put(&name, &bytes);
        assert!(try_it(&name).unwrap_err().contains("not as long as it says"), "{len}");
    }
    put(&name, &truth);
}

// faults 45, 46, 51: in a message.
#[test]
fn what_arrives_and_is_no_segment_is_refused() {
    let _watchdog = watchdog();
    let (bytes, handles) = send(&Segment::anonymous(100).unwrap());
    let (reader, writer) = std::io::pipe().unwrap();
    let name = Name::new("arrives");
    let image = image(&name);
    let others: [(&str, OsHandle); 9] = [
        ("not sealed", memfd(&image, image.len(), SealFlags::empty())),
        ("may grow", memfd(&image, image.len(), SealFlags::SHRINK | SealFlags::SEAL)),
        ("empty", memfd(&[], 0, SEALED)),
        ("a pipe", reader.into()),
        ("a pipe", writer.into()),
        ("a directory", File::open("/").unwrap().into()),
        ("a device", File::options().read(true).write(true).open("/dev/zero").unwrap().into()),
        ("to be read only", File::open(name.path()).unwrap().into()),
        ("not sealed", File::options().read(true).write(true).open(name.path()).unwrap().into()),
    ];
    for (what, fd) in others {
        let error = arrive::<Segment>(&bytes, vec![fd]).expect_err(what);
        assert!(error.contains("refused"), "{what}: {error}");
    }
    // Sealed, but without an owner: the participant that it is said to be is taken, or is not.
    let (index, id, _): (u32, u16, ()) = postcard::take_from_bytes(&bytes).unwrap().0;
    assert_eq!((index, id), (0, 2));
    for lie in [4u16, 1023, u16::MAX] {
        let mut bytes = postcard::to_stdvec(&(index, lie)).unwrap();
        bytes.extend_from_slice(&postcard::to_stdvec(&0u32).unwrap());
        let error =
            arrive::<Segment>(&bytes, vec![memfd(&image, image.len(), SEALED)]).unwrap_err();
        assert!(error.contains("participant is not there"), "{lie}: {error}");
    }
    // Its lease is another's: of one that is alive.
    let alive = Segment::anonymous(100).unwrap();
    let (_, theirs) = send(&alive);
    let reopened = reopen(&theirs[0]);
    drop(alive);
    let error = arrive::<Segment>(&bytes, vec![reopened]).unwrap_err();
    assert!(error.contains("participant is not there"), "{error}");
    // No descriptor came.
    assert!(arrive::<Segment>(&bytes, vec![]).unwrap_err().contains("did not arrive"));
    assert!(arrive::<Segment>(&bytes, handles).is_ok(), "none of them did any harm");
    Segment::unlink(&name).unwrap();
}

// faults 46, 48
#[test]
fn the_size_of_an_anonymous_one_stands() {
    let _watchdog = watchdog();
    let segment = Segment::anonymous(100).unwrap();
    let (_, handles) = send(&segment);
    for len in [0, 4096, 8191, 1 << 20] {
        assert!(ftruncate(&handles[0], len).is_err(), "{len}");
    }
    segment.write(99, b"x").unwrap();
}

// faults 46, 47: a named one's does not, and what is touched then is no business of a process that
// opens it later.
#[test]
fn one_that_was_cut_off_is_refused_to_newcomers() {
    let _watchdog = watchdog();
    let name = Name::new("cut");
    let _ = image(&name);
    File::options().write(true).open(name.path()).unwrap().set_len(4096).unwrap();
    assert_eq!(try_it(&name).unwrap().attached(), None, "bytes that are left");
    // A hole where the description was: zeros, which say nothing.
    let _ = std::fs::remove_file(name.path());
    let mut truth = image(&name);
    truth[4096..].fill(0);
    put(&name, &truth);
    assert_eq!(try_it(&name).unwrap().attached(), None);
}
