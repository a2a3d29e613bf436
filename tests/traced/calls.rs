//! Each system call of an operation fails in turn, with each of several errors: the operation
//! succeeds all the same or says what failed, leaves nothing behind, and succeeds the next time.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ipc_core::__private::handle::{self, OsHandle};
use libc::{c_int, c_long};
use multiprocess::pipe::{self, Handle, Listener};
use multiprocess::shm::{Mutex, Segment};
use multiprocess::{Sender, bounded, spawn};
use serde::{Deserialize, Serialize};
use testkit::descriptors;
use testkit::proc::{children_of_this_thread, mappings};

use crate::steps::{self, watchdog};
use crate::tracer::{Stand, trace};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Act {
    Channel,
    Attach,
    Sockets,
    Pipes,
    Lock,
    Create,
    Open,
    AttachToSegment,
    Bind,
    Connect,
    Spawn,
}

/// What an operation needs and nothing may disturb.
#[derive(Serialize, Deserialize)]
struct Props {
    name: String,
    directory: PathBuf,
    /// Ends, or segments, on their way: one for each time.
    travelling: [(Vec<u8>, Vec<Handle>); 2],
}

/// Gives up what was made.
type Kept = Box<dyn FnOnce()>;

fn keep<T: 'static>(made: std::io::Result<T>) -> Result<Kept, String> {
    made.map(|made| Box::new(|| drop(made)) as Kept).map_err(|error| error.to_string())
}

fn arrive<T: serde::de::DeserializeOwned + 'static>(
    (bytes, handles): Travelling,
) -> Result<Kept, String> {
    let arrived = handle::provide(handles, || postcard::from_bytes::<T>(&bytes));
    arrived.map(|arrived| Box::new(|| drop(arrived)) as Kept).map_err(handle::cause_text)
}

type Travelling = (Vec<u8>, Vec<OsHandle>);

fn perform(act: Act, props: &Props, travelling: Travelling) -> Result<Kept, String> {
    match act {
        Act::Channel => keep(bounded::<u64>(2)),
        Act::Attach => arrive::<Sender<u64>>(travelling),
        Act::Sockets => keep(pipe::channel::<u64>()),
        Act::Pipes => keep(pipe::anonymous::<u64>()),
        Act::Lock => keep(Mutex::new(1u64)),
        Act::Create => keep(Segment::create(&props.name, 100)),
        Act::Open => keep(Segment::open(&props.name)),
        Act::AttachToSegment => arrive::<Segment>(travelling),
        Act::Bind => keep(Listener::bind(props.directory.join("bound"))),
        Act::Connect => keep(pipe::connect::<u64, u64>(props.directory.join("listener"))),
        Act::Spawn => match spawn(|()| (), ()) {
            Ok(child) => Ok(Box::new(|| child.join().unwrap())),
            Err(error) => Err(error.to_string()),
        },
    }
}

/// Descriptors, mappings that are no program's, names, and children of this process.
fn holdings(props: &Props) -> (usize, usize, Vec<String>, String) {
    let names = |directory: &Path| -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    };
    let mut all = names(&props.directory);
    all.extend(names(Path::new("/dev/shm")).into_iter().filter(|name| name.contains(&props.name)));
    (
        descriptors(),
        mappings()
            .iter()
            .filter(|one| one.path.contains("multiprocess") && one.rights == "rw-s")
            .count(),
        all,
        children_of_this_thread(),
    )
}

/// What the child says: whether it was done, and what was held before, after, and after the second
/// time.
type Outcome = (Result<(), String>, [(usize, usize, Vec<String>, String); 3], Result<(), String>);

fn act(((act, mut props), stand): ((Act, Props), Stand)) -> Outcome {
    // Memory that the allocator keeps: for what is small it asks the system no more.
    // SAFETY: numbers.
    unsafe { libc::mallopt(libc::M_TRIM_THRESHOLD, c_int::MAX) };
    drop((0..4000).map(|_| vec![1u8; 512]).collect::<Vec<_>>());
    let [first, again] = props.travelling.each_mut().map(|(bytes, handles)| -> Travelling {
        (std::mem::take(bytes), handles.drain(..).map(OsHandle::from).collect())
    });
    let taken = first.1.len();
    let marks = stand.wait();
    let mut before = holdings(&props);
    before.0 -= taken;
    marks.mark();
    let done = catch_unwind(AssertUnwindSafe(|| perform(act, &props, first)));
    marks.mark();
    let done = done.unwrap_or_else(|_| Err("PANIC".to_owned())).map(|kept| kept());
    let mut after = holdings(&props);
    // Only who has locked it may remove the empty file that binders lock: it goes with the next
    // one, as that of a binder that was killed does.
    after.2.retain(|name| !name.ends_with(".lock"));
    let second = perform(act, &props, again).map(|kept| kept());
    let mut last = holdings(&props);
    last.0 += taken;
    (done, [before, after, last], second)
}

/// All but those that the kernel does not let fail: it closes and unmaps, and says who one is, all
/// the same. And memory that the allocator asks for is the allocator's.
fn may_fail(call: c_long) -> bool {
    const NOT: [c_long; 13] = [
        libc::SYS_close,
        libc::SYS_munmap,
        libc::SYS_getpid,
        libc::SYS_gettid,
        libc::SYS_getppid,
        libc::SYS_getuid,
        libc::SYS_geteuid,
        libc::SYS_getgid,
        libc::SYS_getegid,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_brk,
        libc::SYS_mprotect,
    ];
    !NOT.contains(&call)
}

/// Accepts one that has connected, whatever became of it.
fn queue_is_empty(listener: &Listener) -> bool {
    let accepted = listener.accept_timeout::<u64, u64>(Duration::ZERO);
    accepted.is_err_and(|error| error.kind() == std::io::ErrorKind::TimedOut)
}

fn fail_each(what: Act) {
    let _watchdog = watchdog();
    static NUMBER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("multiprocess-test-{}-{number}-call", std::process::id());
    let directory = std::env::temp_dir().join(&name);
    std::fs::create_dir(&directory).unwrap();
    std::fs::set_permissions(&directory, std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .unwrap();
    let listener =
        (what == Act::Connect).then(|| Listener::bind(directory.join("listener")).unwrap());
    let segment = (what == Act::Open).then(|| Segment::create(&name, 100).unwrap());
    let (tx, _rx) = bounded::<u64>(2).unwrap();
    let unnamed = Segment::anonymous(100).unwrap();
    let travelling = || {
        let (bytes, handles) = match what {
            Act::Attach => handle::collect(|| postcard::to_stdvec(&tx).unwrap()),
            Act::AttachToSegment => handle::collect(|| postcard::to_stdvec(&unnamed).unwrap()),
            _ => (Vec::new(), Vec::new()),
        };
        (bytes, handles.into_iter().map(Handle::from).collect())
    };
    let began = Instant::now();
    let (mut calls, mut errors) = (BTreeSet::new(), BTreeSet::new());
    let mut tried = 0;
    const ERRORS: [c_int; 3] = [libc::ENOMEM, libc::EACCES, libc::EINTR];
    for turn in 0..if steps::all() { ERRORS.len() } else { 1 } {
        for n in 0.. {
            let error = ERRORS[(n as usize + turn) % ERRORS.len()];
            let travelling = [(); 2].map(|()| travelling());
            let props = Props { name: name.clone(), directory: directory.clone(), travelling };
            let Some(traced) = trace(act, (what, props)) else { return };
            let failed = traced.fail_call(n, error, may_fail);
            let (done, [before, after, last], second) = traced.release();
            // A client waits while too many wait to be accepted.
            while listener.as_ref().is_some_and(|listener| !queue_is_empty(listener)) {}
            let Some(call) = failed else {
                assert_eq!(done, Ok(()), "{what:?}, when nothing fails");
                break;
            };
            tried += 1;
            calls.insert(call);
            let case = format!("{what:?}: call {n}, number {call}, fails with {error}: {done:?}");
            if let Err(text) = &done {
                assert!(!text.contains("PANIC"), "{case}");
                errors.insert(text.clone());
            }
            assert_eq!(after, before, "{case}: something is left");
            assert_eq!(second, Ok(()), "{case}: the next time");
            assert_eq!(last, before, "{case}: something is left the next time");
        }
    }
    println!("{what:?}: {tried} failures of {} calls in {:?}:", calls.len(), began.elapsed());
    errors.iter().for_each(|error| println!("    {error}"));
    assert!(!errors.is_empty(), "no failure is one");
    drop((listener, segment));
    assert!(!Path::new("/dev/shm").join(&name).exists());
    std::fs::remove_dir_all(&directory).unwrap();
}

// fault 102
#[test]
fn each_call_of_making_a_channel_may_fail() {
    multiprocess::init();
    fail_each(Act::Channel);
}

// fault 102
#[test]
fn each_call_of_attaching_may_fail() {
    multiprocess::init();
    fail_each(Act::Attach);
}

// fault 102
#[test]
fn each_call_of_making_sockets_and_pipes_may_fail() {
    multiprocess::init();
    fail_each(Act::Sockets);
    fail_each(Act::Pipes);
}

// fault 102
#[test]
fn each_call_of_making_a_lock_may_fail() {
    multiprocess::init();
    fail_each(Act::Lock);
}

// fault 102
#[test]
fn each_call_of_making_and_opening_a_named_segment_may_fail() {
    multiprocess::init();
    fail_each(Act::Create);
    fail_each(Act::Open);
    fail_each(Act::AttachToSegment);
}

// fault 102
#[test]
fn each_call_of_binding_and_connecting_may_fail() {
    multiprocess::init();
    fail_each(Act::Bind);
    fail_each(Act::Connect);
}

// fault 102
#[test]
fn each_call_of_spawning_may_fail() {
    multiprocess::init();
    fail_each(Act::Spawn);
}
