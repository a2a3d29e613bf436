//! The limit on how many processes may be attached to a channel or a segment at once.

use std::fmt;
use std::io;

use ipc_core::__private::handle::{self, NotCarried};
use ipc_sys as sys;
use ipc_wait::cached_number::CachedNumber;
use serde::ser;

use crate::layout::{MAX_PARTICIPANTS, pid_hint};
use crate::sync::Ordering;
use crate::sync::unmodelled::AtomicU64;

/// Returns this process' number and namespace as a word of the layout.
pub(crate) fn pid_identity() -> u64 {
    static KNOWN: AtomicU64 = AtomicU64::new(pid_hint::NONE);
    let pid = std::process::id();
    let known = KNOWN.load(Ordering::Relaxed); // Relaxed: a word that says all by itself.
    if pid_hint::pid(known) == pid {
        return known;
    }
    // The known word is of the process that forked this one, or there is none yet.
    let Some(namespace) = sys::process::pid_namespace() else { return pid_hint::NONE };
    let word = pid_hint::word(pid, namespace);
    KNOWN.store(word, Ordering::Relaxed); // Relaxed: as above.
    word
}

/// The default on small machines. A participant takes 16 bytes of memory.
const LEAST: usize = 127;

/// Returns the default number of participants of an object.
///
/// It is enough for a worker on each processor of this machine, and as many processes besides.
pub(crate) fn by_default() -> usize {
    static DEFAULT: CachedNumber = CachedNumber::new();
    DEFAULT.get(|| for_processors(sys::process::cpus()) as u64) as usize
}

const fn for_processors(processors: usize) -> usize {
    let wanted = if processors > MAX_PARTICIPANTS { MAX_PARTICIPANTS } else { 2 * processors };
    let most = wanted.next_power_of_two() - 1;
    if most < LEAST {
        LEAST
    } else if most > MAX_PARTICIPANTS {
        MAX_PARTICIPANTS
    } else {
        most
    }
}

/// The error if all participants of an object are alive.
#[derive(Debug)]
struct AllTaken {
    object: String,
    most: usize,
}

impl fmt::Display for AllTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AllTaken { object, most } = self;
        write!(f, "{object}: {}", NotCarried::Participants { most: *most })
    }
}

impl std::error::Error for AllTaken {}

/// Returns the error if no participant is free.
///
/// A process gets it that wants to attach to `object`, or to send it.
pub(crate) fn all_taken(object: impl fmt::Display, most: usize) -> io::Error {
    io::Error::new(io::ErrorKind::QuotaExceeded, AllTaken { object: object.to_string(), most })
}

/// Turns the error of creating a handle into one of the message.
///
/// The message is the one that should carry the handle to another process.
pub(crate) fn not_issued<E: ser::Error>(error: io::Error) -> E {
    if let Some(AllTaken { most, .. }) = error.get_ref().and_then(|cause| cause.downcast_ref()) {
        handle::decline(NotCarried::Participants { most: *most });
    }
    E::custom(handle::record_cause(error))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use ipc_core::__private::handle;

    use super::{by_default, for_processors};
    use crate::{Builder, SegmentBuilder};

    #[test]
    fn the_default_follows_the_machine() {
        let processors = [1, 2, 63, 64, 65, 128, 256, 512, 4096, usize::MAX];
        assert_eq!(
            processors.map(for_processors),
            [127, 127, 127, 127, 255, 255, 511, 1023, 1023, 1023]
        );
        assert!(by_default() > std::thread::available_parallelism().unwrap().get());
    }

    // fault 124: of a machine larger than this one.
    #[test]
    fn a_worker_for_each_of_512_processors_is_no_more_than_the_default() {
        let most = for_processors(512);
        let (tx, _rx) = Builder::new(1).participants(most).typed::<u64>().unwrap();
        let segment = SegmentBuilder::new(1).participants(most).anonymous().unwrap();
        // An end on its way takes the participant of a worker that is attached. Two more may be on
        // their way to the worker that starts.
        fn issue(object: &impl serde::Serialize) -> Vec<handle::OsHandle> {
            let (encoded, handles) = handle::collect(|| postcard::to_stdvec(object));
            encoded.map_err(handle::cause_text).unwrap();
            handles
        }
        drop((0..514).map(|_| issue(&tx)).collect::<Vec<_>>());
        drop((0..514).map(|_| issue(&segment)).collect::<Vec<_>>());
    }
}
