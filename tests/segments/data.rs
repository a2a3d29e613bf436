//! Values and arrays, between processes; and handles that lie.

use std::io::ErrorKind::{InvalidData, InvalidInput, StorageFull};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

use multiprocess::shm::{Segment, SeqLock, Shared, SharedSlice};
use multiprocess::spawn;
use serde::Serialize;
use testkit::signals::end_with_the_parent;
use testkit::{held, watchdog};

use crate::support::{Name, arrive, send};

const PROCESSES: usize = 4;
const TIMES: u64 = 20_000;

#[test]
fn what_processes_add_is_all_there() {
    multiprocess::init();
    let _watchdog = watchdog();
    let segment = Segment::anonymous(4096).unwrap();
    let sum = Shared::new_in(&segment, 0u64).unwrap();
    let largest = Shared::new_in(&segment, i32::MIN).unwrap();
    let total = Shared::new_in(&segment, 0.0f64).unwrap();
    let name = Name::new("hits");
    let hits = Shared::create(&name, 0u16).unwrap();
    let add =
        |(sum, largest, total, hits, n): (Shared<u64>, Shared<i32>, Shared<f64>, String, i32)| {
            let hits = Shared::<u16>::open(&hits).unwrap();
            for _ in 0..TIMES {
                sum.fetch_add(3, Relaxed);
                total.fetch_update(AcqRel, Acquire, |total| Some(total + 0.5)).unwrap();
            }
            largest.fetch_max(n, Relaxed);
            hits.fetch_add(1, Relaxed);
        };
    let args = |n| (sum.clone(), largest.clone(), total.clone(), name.0.clone(), n);
    let children: Vec<_> = (0..PROCESSES as i32).map(|n| spawn(add, args(n)).unwrap()).collect();
    for child in children {
        child.join().unwrap();
    }
    let all = PROCESSES as u64 * TIMES;
    assert_eq!((sum.load(Relaxed), total.get()), (3 * all, all as f64 / 2.0));
    assert_eq!((largest.get(), hits.load(Relaxed)), (PROCESSES as i32 - 1, PROCESSES as u16));
}

#[test]
fn a_value_has_std_s_operations() {
    let word = Shared::new(5u32).unwrap();
    assert_eq!(word.swap(6, Relaxed), 5);
    assert_eq!(word.compare_exchange(5, 7, AcqRel, Relaxed), Err(6));
    assert_eq!(word.compare_exchange(6, 7, AcqRel, Relaxed), Ok(6));
    assert_eq!((word.fetch_sub(8, Relaxed), word.load(Relaxed)), (7, u32::MAX), "wraps around");
    assert_eq!((word.fetch_and(0xff, Relaxed), word.fetch_or(0x100, Relaxed)), (u32::MAX, 0xff));
    assert_eq!(
        (word.fetch_xor(1, Relaxed), word.fetch_min(9, Relaxed), word.get()),
        (0x1ff, 0x1fe, 9)
    );
    assert_eq!(word.fetch_update(Relaxed, Relaxed, |_| None), Err(9));
    let float = Shared::new(-0.0f32).unwrap();
    assert_eq!(
        float.compare_exchange(0.0, 1.0, AcqRel, Relaxed).map_err(f32::to_bits),
        Err(1 << 31)
    );
    float.store(f32::NAN, Relaxed);
    assert!(float.compare_exchange(f32::NAN, 2.0, AcqRel, Relaxed).is_ok(), "bit by bit");
    let large = Shared::new([7u8; 1001]).unwrap();
    assert_eq!(large.get(), [7; 1001]);
    large.set([8; 1001]);
    assert_eq!(large.clone().get(), [8; 1001]);
    let nothing = Shared::new(()).unwrap();
    let () = nothing.get();
}

#[test]
fn parts_of_an_array_are_worked_on_by_different_processes() {
    multiprocess::init();
    let _watchdog = watchdog();
    let numbers = SharedSlice::<u32>::new(1003).unwrap();
    let square = |(part, first): (SharedSlice<u32>, u32)| {
        // SAFETY: no other process has this part until this process has ended.
        for (n, number) in (first..).zip(unsafe { part.as_mut_slice() }) {
            *number = n * n;
        }
    };
    let parts = numbers.chunks(251);
    assert_eq!(parts.len(), 4);
    let children: Vec<_> = (0..)
        .step_by(251)
        .zip(parts)
        .map(|(first, part)| spawn(square, (part, first)).unwrap())
        .collect();
    for child in children {
        child.join().unwrap();
    }
    assert!((0..1003).all(|n| numbers.get(n) == Some((n * n) as u32)));
    assert_eq!(numbers.get(1003), None);
    let (front, back) = numbers.split_at(1000);
    assert_eq!((front.len(), back.to_vec()), (1000, vec![1_000_000, 1_002_001, 1_004_004]));
    assert_eq!(back.slice(1..=1).get(0), Some(1_002_001));
    back.element(0).unwrap().fetch_add(5, Relaxed);
    assert_eq!(numbers.get(1000), Some(1_000_005));
    assert!(back.element(3).is_none() && numbers.slice(3..3).is_empty());
    numbers.fill(9);
    let mut some = [0; 500];
    numbers.read(503, &mut some);
    assert_eq!(some, [9; 500]);
    // SAFETY: no other process has it.
    assert!(unsafe { numbers.as_slice() }.iter().all(|n| *n == 9));
    let empty = SharedSlice::<u8>::from_slice(&[]);
    assert!(empty.is_err() || empty.unwrap().is_empty());
}

#[test]
fn what_is_out_of_range_is_refused_as_of_a_slice() {
    let array = SharedSlice::from_slice(&[1u16, 2, 3]).unwrap();
    let panics: [&dyn Fn(); 8] = [
        &|| array.set(3, 0),
        &|| array.write(2, &[0, 0]),
        &|| array.write(usize::MAX, &[0, 0]),
        &|| array.read(4, &mut []),
        &|| drop(array.split_at(4)),
        &|| drop(array.slice(2..=3)),
        #[allow(clippy::reversed_empty_ranges)]
        &|| drop(array.slice(2..1)),
        &|| drop(array.chunks(0)),
    ];
    for (n, panic) in panics.iter().enumerate() {
        assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panic)).is_err(), "{n}");
    }
    assert_eq!(array.to_vec(), [1, 2, 3]);
}

#[test]
fn several_things_lie_in_one_segment() {
    let segment = Segment::anonymous(1000).unwrap();
    let byte = Shared::new_in(&segment, 1u8).unwrap();
    let word = Shared::new_in(&segment, u64::MAX).unwrap();
    let array = SharedSlice::<u32>::new_in(&segment, 50).unwrap();
    let lock = SeqLock::new_in(&segment, [5u16; 3]).unwrap();
    array.fill(u32::MAX);
    lock.writer().unwrap().write([6; 3]);
    assert_eq!((byte.get(), word.get(), lock.read()), (1, u64::MAX, [6; 3]));
    assert_eq!(array.to_vec(), [u32::MAX; 50]);
    assert_eq!(word.as_ptr() as usize % 8, 0);
    for thing in [&byte.segment(), &array.segment(), &lock.segment()] {
        assert!(thing.same_segment(&segment));
    }
    let error = SharedSlice::<u8>::new_in(&segment, 900).unwrap_err();
    assert!(
        error.kind() == StorageFull && error.to_string().contains("no room for 900 bytes"),
        "{error}"
    );
    // Laid out by hand.
    assert_eq!(Shared::<u8>::at(&segment, 0).unwrap().get(), 1);
    for (offset, len) in [
        (1000, 1),
        (997, 1),
        (2, 1),
        (0, 251),
        (usize::MAX - 3, 1),
        (0, usize::MAX),
        (4, usize::MAX / 4),
    ] {
        assert_eq!(SharedSlice::<u32>::at(&segment, offset, len).unwrap_err().kind(), InvalidInput);
    }
}

#[test]
fn a_reading_is_one_value_however_quickly_it_is_written() {
    multiprocess::init();
    let _watchdog = watchdog();
    let lock = SeqLock::new([0u64; 8]).unwrap();
    let stop = Shared::new(0u8).unwrap();
    let read = |(lock, stop): (SeqLock<[u64; 8]>, Shared<u8>)| {
        end_with_the_parent();
        let (mut last, mut changes) = (0, 0u64);
        while stop.load(Relaxed) == 0 {
            let value = lock.read();
            assert!(value.iter().all(|n| *n == value[0]), "torn: {value:?}");
            assert!(value[0] >= last, "back in time");
            changes += u64::from(value[0] != last);
            last = value[0];
        }
        changes
    };
    let children = [(); 2].map(|()| spawn(read, (lock.clone(), stop.clone())).unwrap());
    let mut writer = lock.writer().unwrap();
    for n in 1..2_000_000 {
        writer.write([n; 8]);
    }
    stop.store(1, Relaxed);
    for child in children {
        assert!(child.join().unwrap() > 0);
    }
    assert_eq!(lock.read(), [1_999_999; 8]);
    assert_eq!(writer.lock().try_read(), Some([1_999_999; 8]));
}

// fault 40
#[test]
fn what_is_of_another_type_is_refused() {
    let _watchdog = watchdog();
    let name = Name::new("type");
    let kept = Shared::create(&name, 7u64).unwrap();
    let errors = [
        Shared::<i64>::open(&name).unwrap_err(),
        Shared::<[u32; 2]>::open(&name).unwrap_err(),
        SharedSlice::<u64>::open(&name).unwrap_err(),
        SeqLock::<u64>::open_or_create(&name, 0).unwrap_err(),
        Segment::open(&name).unwrap_err(),
    ];
    for error in errors {
        assert!(
            error.kind() == InvalidData && error.to_string().contains("refused: it holds"),
            "{error}"
        );
    }
    // From another process, whose leaving must not take the name with it; nor that of all the
    // others.
    let (bytes, handles) = send(&kept);
    drop(kept);
    assert!(Shared::<i64>::open(&name).is_err());
    drop(handles);
    assert!(Shared::<i64>::open(&name).is_err());
    assert_eq!(Shared::<u64>::open(&name).unwrap().get(), 7);
    assert!(!name.is_there());
    drop(bytes);
    let bytes = Segment::create(&name, 8).unwrap();
    assert_eq!(Shared::<u64>::open(&name).unwrap_err().kind(), InvalidData);
    drop(bytes);
    // In a message.
    let (bytes, handles) = send(&Shared::new(7u64).unwrap());
    let error = arrive::<Shared<i64>>(&bytes, handles).unwrap_err();
    assert!(error.contains("another type"), "{error}");
}

/// A handle whose numbers are others than it was made with.
fn lie<M: Serialize + serde::de::DeserializeOwned>(
    value: &impl Serialize,
    change: impl Fn(&mut u64, &mut M),
) -> (Vec<u8>, Vec<ipc_core::OsHandle>) {
    let (bytes, handles) = send(value);
    let (mut head, rest) = postcard::take_from_bytes::<(u64, u64, M)>(&bytes).unwrap();
    change(&mut head.1, &mut head.2);
    let mut lie = postcard::to_stdvec(&head).unwrap();
    lie.extend_from_slice(rest);
    (lie, handles)
}

// faults 42, 43, 76
#[test]
fn a_handle_that_lies_about_its_place_is_refused() {
    let _watchdog = watchdog();
    let name = Name::new("lies");
    for offset in [1, 4093, 4096, 4100, 8192, u64::MAX, u64::MAX - 3, 1 << 63] {
        let segment = Segment::create(&name, 4096).unwrap();
        let (bytes, handles) =
            lie::<()>(&Shared::new_in(&segment, 1u32).unwrap(), |at, ()| *at = offset);
        drop(segment);
        assert!(
            arrive::<Shared<u32>>(&bytes, handles).unwrap_err().contains("are not in its 4096")
        );
        assert_eq!(held(&name), (0, 0));
    }
    for (offset, len) in
        [(0, 1025), (4092, 2), (0, u64::MAX), (4, u64::MAX / 4), (0, 1 << 62), (8192, 0), (2, 1)]
    {
        let segment = Segment::create(&name, 4096).unwrap();
        let array = SharedSlice::<u32>::new_in(&segment, 10).unwrap();
        let (bytes, handles) = lie::<u64>(&array, |at, n| (*at, *n) = (offset, len));
        drop((segment, array));
        assert!(arrive::<SharedSlice<u32>>(&bytes, handles).is_err(), "{offset} {len}");
    }
    let segment = Segment::create(&name, 4096).unwrap();
    let lock = SeqLock::new_in(&segment, 1u32).unwrap();
    let (bytes, handles) = lie::<()>(&lock, |at, ()| *at = 4096 - 64);
    assert!(arrive::<SeqLock<u32>>(&bytes, handles).is_err());
    // The truth is believed.
    let (bytes, handles) = lie::<()>(&lock, |_, ()| ());
    assert_eq!(arrive::<SeqLock<u32>>(&bytes, handles).unwrap().read(), 1);
}

// faults 74, 77: a process that can write there can make it useless, and nothing worse.
#[test]
fn a_scribbled_sequence_gives_some_value_and_never_a_hang() {
    let _watchdog = watchdog();
    let segment = Segment::anonymous(4096).unwrap();
    let lock = SeqLock::new_in(&segment, 1u64).unwrap();
    let [seq, owner] = [0, 8].map(|at| Shared::<u64>::at(&segment, at).unwrap());
    for scribble in [u64::MAX, u64::MAX - 1, 1 << 63, 12345] {
        seq.store(scribble, Relaxed);
        let _ = lock.try_read();
        let mut writer = lock.writer().unwrap();
        writer.write(scribble);
        assert_eq!(lock.read(), scribble);
        drop(writer);
        owner.store(scribble, Relaxed);
        assert!(lock.writer().is_ok(), "no owner is {scribble}");
        owner.store(0, Relaxed);
    }
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut n = 0u64;
            while !stop.load(Relaxed) {
                n += 3;
                seq.store(n, Relaxed);
            }
        });
        for _ in 0..1000 {
            let _ = lock.try_read();
        }
        stop.store(true, Relaxed);
    });
}
