//! Functions that travel, and pools written by hand with them.

use std::collections::BTreeSet;
use std::time::Duration;

use ipc_core::__private::codec;
use multiprocess::process::Func;
use multiprocess::{
    Receiver, SendTimeoutError, Sender, TryRecvError, TrySendError, bounded, func, pipe, spawn,
};
use testkit::watchdog;

type Job = (Func<u64, u64>, u64);

fn square(n: u64) -> u64 {
    n * n
}

fn double(n: u64) -> u64 {
    2 * n
}

fn text_len(text: String) -> u64 {
    text.len() as u64
}

fn add<const N: u64>(n: u64) -> u64 {
    n + N
}

fn worker((jobs, results): (Receiver<Job>, Sender<(u64, u64)>)) {
    for (function, argument) in jobs {
        results.send((argument, function.call(argument))).unwrap();
    }
}

type Ends = (Sender<Job>, Receiver<(u64, u64)>);

/// Channels with this much room, and workers at their other ends.
fn pool(workers: usize, capacity: usize) -> (Ends, Vec<multiprocess::JoinHandle<()>>) {
    let (jobs, for_workers) = bounded(capacity).unwrap();
    let (from_workers, results) = bounded(capacity).unwrap();
    let worker = || spawn(worker, (for_workers.clone(), from_workers.clone())).unwrap();
    let workers = std::iter::repeat_with(worker).take(workers).collect();
    ((jobs, results), workers)
}

// fault 127
#[test]
fn functions_go_to_workers_and_run_there() {
    multiprocess::init();
    let _watchdog = watchdog();
    let ((jobs, results), workers) = pool(2, 8);
    let functions: [Func<u64, u64>; 5] =
        [func!(square), func!(double), func!(|n: u64| n + 1), func!(add::<7>), func!(add::<8>)];
    for function in functions {
        jobs.send((function, 9)).unwrap();
    }
    drop(jobs);
    let mut all: Vec<_> = results.iter().map(|(_, result)| result).collect();
    all.sort_unstable();
    assert_eq!(all, [10, 16, 17, 18, 81]);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    // And back, in a result; over sockets; as the function of a process.
    let back = spawn(|()| func!(square), ()).unwrap().join().unwrap();
    assert_eq!((back.call(3), back.name()), (9, "process::func::square"));
    let (tx, rx) = pipe::channel().unwrap();
    tx.send(back).unwrap();
    let again: Func<u64, u64> = rx.recv().unwrap();
    assert_eq!(format!("{again:?}"), "Func(process::func::square)");
    assert_eq!(spawn(again.get(), 4).unwrap().join().unwrap(), 16);
}

fn encode<T: serde::Serialize>(value: &T) -> Vec<u8> {
    codec::to_bytes(value).unwrap().0
}

/// A function, as it travels.
#[derive(serde::Serialize, serde::Deserialize)]
struct Place {
    offset: u64,
    name: u64,
    program: u64,
}

/// What arrives as these three numbers.
fn arrives<A, R>((offset, name, program): (u64, u64, u64)) -> Result<Func<A, R>, String> {
    codec::decode::<Func<A, R>>(&encode(&Place { offset, name, program }))
        .map_err(|error| error.to_string())
}

// fault 127
#[test]
fn nothing_is_called_that_is_no_function_of_this_signature() {
    multiprocess::init();
    let _watchdog = watchdog();
    let known = [func!(square), func!(double)];
    let other: Func<String, u64> = func!(text_len);
    let place = |bytes: &[u8]| {
        let place: Place = codec::decode(bytes).unwrap();
        (place.offset, place.name, place.program)
    };
    let (offset, name, program) = place(&encode(&known[0]));
    assert_eq!(arrives::<u64, u64>((offset, name, program)).unwrap().call(5), 25);
    // A function of another signature, whatever name is said.
    let (of_other, name_of_other, _) = place(&encode(&other));
    for name in [name, name_of_other] {
        let error = arrives::<u64, u64>((of_other, name, program)).unwrap_err();
        assert!(error.contains("text_len") && error.contains("other types"), "{error}");
    }
    assert_eq!(
        arrives::<String, u64>((of_other, name_of_other, program)).unwrap().call("four".into()),
        4
    );
    assert!(arrives::<u64, i64>((offset, name, program)).unwrap_err().contains("other types"));
    // Another program, and another build of this one.
    let error = arrives::<u64, u64>((offset, name, program ^ 1)).unwrap_err();
    assert!(error.contains("another program"), "{error}");
    let error = arrives::<u64, u64>((offset, name ^ 1, program)).unwrap_err();
    assert!(error.contains("another build"), "{error}");
    // Any place: all of the executable, and what is none of it.
    let mut found = BTreeSet::new();
    let ends = [0, 1, u64::MAX, u64::MAX - 7, 1 << 47, offset.wrapping_neg()];
    let mut step = 0u64;
    let anywhere = std::iter::repeat_with(|| {
        step += 1;
        step * 8 * 31
    });
    let everywhere = anywhere.take_while(|place| *place < 64 << 20);
    let near = (offset.saturating_sub(1 << 16)..offset + (1 << 16)).chain(ends).chain(everywhere);
    for place in near {
        match arrives::<u64, u64>((place, name, program)) {
            Ok(function) => {
                assert_eq!(function.name(), known[0].name());
                found.insert(place);
            }
            Err(error) => assert!(!error.is_empty()),
        }
    }
    assert!(found.contains(&offset) && found.len() < 10, "{found:?}");
    // And all bytes changed.
    let bytes = encode(&known[1]);
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << bit;
            if let Ok(function) = codec::decode::<Func<u64, u64>>(&bytes) {
                assert_eq!(function.name(), known[1].name());
            }
        }
    }
}

const JOBS: u64 = 5000;

fn sum_of_squares() -> u64 {
    (0..JOBS).map(|n| n * n).sum()
}

// fault 128
#[test]
fn a_pool_by_hand_whose_results_are_received_meanwhile_finishes() {
    multiprocess::init();
    let _watchdog = watchdog();
    // A thread receives while this one sends.
    let ((jobs, results), workers) = pool(2, 16);
    let sum = std::thread::scope(|scope| {
        let sum = scope.spawn(move || results.iter().map(|(_, result)| result).sum::<u64>());
        for n in 0..JOBS {
            jobs.send((func!(square), n)).unwrap();
        }
        drop(jobs);
        sum.join().unwrap()
    });
    assert_eq!(sum, sum_of_squares());
    workers.into_iter().for_each(|worker| worker.join().unwrap());
    // One thread: where there is no room to send, a result is due.
    let ((jobs, results), workers) = pool(2, 16);
    let (mut next, mut sum, mut received) = (0, 0, 0);
    while received < JOBS {
        let full = next == JOBS
            || matches!(jobs.try_send((func!(square), next)), Err(TrySendError::Full(_)));
        next += u64::from(!full);
        let result = if full { Some(results.recv().unwrap()) } else { results.try_recv().ok() };
        if let Some((_, result)) = result {
            (sum, received) = (sum + result, received + 1);
        }
    }
    drop(jobs);
    assert_eq!((sum, results.recv().is_err()), (sum_of_squares(), true));
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

// fault 128
#[test]
fn a_pool_by_hand_that_sends_all_first_waits_for_itself() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (workers, capacity) = (2, 4);
    let ((jobs, results), handles) = pool(workers, capacity);
    // What both channels hold, and one that each worker holds.
    let most = (2 * capacity + workers) as u64;
    for n in 0..most {
        jobs.send((func!(square), n)).unwrap();
    }
    // Never will there be room: the workers wait for room for their results.
    let refused = jobs.send_timeout((func!(square), most), Duration::from_millis(200));
    assert!(matches!(refused, Err(SendTimeoutError::Timeout(_))));
    // A result that is received lets it go on.
    let first = results.recv().unwrap();
    jobs.send((func!(square), most)).unwrap();
    drop(jobs);
    let rest: BTreeSet<_> = results.iter().chain([first]).collect();
    assert!(rest.into_iter().eq((0..=most).map(|n| (n, n * n))));
    assert_eq!(results.try_recv(), Err(TryRecvError::Disconnected));
    handles.into_iter().for_each(|worker| worker.join().unwrap());
}
