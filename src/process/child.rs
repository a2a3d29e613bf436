//! The child's side: from [`init`] to the end of the function.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::OsString;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ipc_core::codec;
use ipc_core::handle::OsHandle;
use ipc_pipes::frame::{Frame, FrameReader, Progress, send_frame};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::current;
use super::protocol::{self, Call};
use super::sys::{self, Inherited, Interest};

/// This process has come through [`init`] and may spawn. Relaxed: it guards no other memory.
static PASSED: AtomicBool = AtomicBool::new(false);
/// [`init`] was called on the thread that runs `main`. Relaxed: it guards no other memory.
static IN_MAIN: AtomicBool = AtomicBool::new(false);
/// The test that called [`init`] last.
static LAST_TEST: Mutex<Option<String>> = Mutex::new(None);

thread_local! {
    /// The test that called [`init`] on this thread.
    static TEST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// How long a child waits before it looks whether its parent is still the same.
const GLANCE: Duration = Duration::from_secs(1);

/// Turns a spawned child into its function; in every other process returns at once.
///
/// Call it first thing in `main`, and first thing in every `#[test]` function that spawns: whatever comes
/// before it happens in each child again. In a child that [`spawn`](crate::spawn) started, it does not
/// return: it takes the function and its arguments from the parent, runs it, sends the result back and
/// exits. Everywhere else it costs next to nothing; a second call does nothing.
///
/// A child finds its parent's socket on its standard input, and an environment variable
/// `MULTIPROCESS_CHILD` that says which socket it is and who made it; a process that merely inherited the variable is not
/// taken for a child. A program that runs with more rights than its user (set-user-ID) never turns into a
/// child.
///
/// # In tests
///
/// Called on a thread that is not the main thread but has a name, it takes that for the name of a test,
/// as libtest gives it, and children are started with `NAME --exact --nocapture`, so that they come to
/// the same line. Works with `cargo test` and `cargo nextest`, which captures nothing of what a child
/// prints. On the main thread, children get the arguments of this process.
///
/// # When a process dies
///
/// A child whose parent dies before the function could start exits without a word, with status 113.
///
/// # Examples
///
/// ```
/// fn main() -> Result<(), Box<dyn std::error::Error>> {
///     multiprocess::init();
///     let child = multiprocess::spawn(|n: u32| n + 1, 41)?;
///     assert_eq!(child.join()?, 42);
///     Ok(())
/// }
/// ```
pub fn init() {
    remember_caller();
    if PASSED.load(Ordering::Relaxed) {
        return;
    }
    let inherited = match std::env::var_os(protocol::VARIABLE) {
        Some(marker) => sys::inherited(&marker),
        None => Ok(Inherited::Nothing),
    };
    match inherited {
        Ok(Inherited::Nothing) => PASSED.store(true, Ordering::Relaxed),
        Ok(Inherited::Socket(socket)) => {
            PASSED.store(true, Ordering::Relaxed);
            become_child(socket)
        }
        // It does not pass, so that it cannot spawn either: its own children would end up here again.
        Ok(Inherited::Untrusted | Inherited::Lost) => {}
        Err(error) => {
            eprintln!("multiprocess::init: cannot take over the socket to the parent: {error}");
            exit(protocol::EXIT_REFUSED)
        }
    }
}

fn remember_caller() {
    if sys::on_main_thread() {
        IN_MAIN.store(true, Ordering::Relaxed);
    } else if let Some(name) = std::thread::current().name() {
        TEST.set(Some(name.to_owned()));
        *LAST_TEST.lock().unwrap_or_else(PoisonError::into_inner) = Some(name.to_owned());
    }
}

/// Whether this process may spawn.
pub(super) fn check_passed() -> io::Result<()> {
    if PASSED.load(Ordering::Relaxed) {
        return Ok(());
    }
    let text = if std::env::var_os(protocol::VARIABLE).is_some() {
        "this process was itself spawned and has not come through multiprocess::init(), so it must not \
         spawn; call init() first in main or in the test function, before anything else, and leave \
         its stdin alone until then"
    } else {
        "multiprocess::init() has not been called in this process, so its children would not come to it \
         either; call it first in main or in the test function"
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// The arguments with which a child comes to the same call of [`init`].
pub(super) fn child_arguments() -> Vec<OsString> {
    let test = || {
        let last = || LAST_TEST.lock().unwrap_or_else(PoisonError::into_inner).clone();
        TEST.with_borrow(Clone::clone).or_else(last)
    };
    // Any test that called `init` will do: the child does not get beyond that call.
    match test().filter(|_| !IN_MAIN.load(Ordering::Relaxed)) {
        Some(name) => [&name, "--exact", "--nocapture", "--quiet", "--test-threads=1", "--include-ignored"]
            .map(OsString::from)
            .into(),
        None => std::env::args_os().skip(1).collect(),
    }
}

/// The way from a child to its parent.
pub(super) struct Link {
    socket: OsHandle,
    reader: FrameReader,
    parent: u32,
}

/// The parent is dead, or does not want to hear from this child any more.
struct Gone;

impl Link {
    fn new(socket: OsHandle) -> Self {
        Link { socket, reader: FrameReader::new(), parent: sys::parent_id() }
    }

    /// Sleeps until the socket is ready. The socket tells of the parent's death, unless a process that
    /// the parent forked holds it open as well: hence the glance at who the parent is.
    fn wait(socket: &OsHandle, parent: u32, interest: Interest) -> io::Result<()> {
        loop {
            if sys::wait(None, Some((socket, interest)), Some(GLANCE))?.socket {
                return Ok(());
            }
            if sys::parent_id() != parent {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
        }
    }

    /// Sends a frame. If the system refuses to, there is no way left to tell the parent: says so on
    /// stderr, and exits. What went out of a frame is worth nothing without the rest.
    fn send(&mut self, kind: u32, body: &[u8], handles: &[OsHandle]) -> Result<(), Gone> {
        let (socket, parent) = (&self.socket, self.parent);
        let mut wait = || Link::wait(socket, parent, Interest::Write);
        match send_frame(socket, kind, body, handles, &mut wait) {
            Ok(()) => Ok(()),
            Err(error) if is_gone(&error) => Err(Gone),
            Err(error) => {
                eprintln!("multiprocess: a child cannot send to its parent: {error}");
                exit(protocol::EXIT_REFUSED)
            }
        }
    }

    /// The next frame, which must be of this kind.
    fn expect(&mut self, kind: u32) -> Result<Result<Frame, String>, Gone> {
        loop {
            match self.reader.advance(&self.socket) {
                Ok(Progress::Frame(frame)) if frame.kind == kind => return Ok(Ok(frame)),
                Ok(Progress::Frame(frame)) => {
                    let text = format!("a message of kind {} where {kind} was expected", frame.kind);
                    return Ok(Err(text));
                }
                Ok(Progress::Some) => {}
                Ok(Progress::Drained) => {
                    Link::wait(&self.socket, self.parent, Interest::Read).map_err(|_| Gone)?;
                }
                Ok(Progress::Closed) => return Err(Gone),
                Err(error) if is_gone(&error) => return Err(Gone),
                Err(error) => return Ok(Err(format!("receiving from the parent: {error}"))),
            }
        }
    }

    /// Tells the parent why there will be no function, and exits.
    fn refuse(&mut self, why: &str) -> ! {
        match self.send(protocol::REFUSED, why.as_bytes(), &[]) {
            Ok(()) => exit(protocol::EXIT_REFUSED),
            Err(Gone) => exit(protocol::EXIT_ORPHANED),
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn become_child(socket: OsHandle) -> ! {
    let mut link = Link::new(socket);
    if link.send(protocol::HELLO, &[], &[]).is_err() {
        exit(protocol::EXIT_ORPHANED);
    }
    let call = match link.expect(protocol::CALL) {
        Err(Gone) => exit(protocol::EXIT_ORPHANED),
        Ok(Err(why)) => link.refuse(&why),
        Ok(Ok(frame)) => frame,
    };
    let why = match postcard::from_bytes::<Call>(&call.body) {
        Ok(mut decoded) => match prepare(&mut decoded, call.handles, link.parent) {
            Ok(()) => decoded.entry.run(&mut link),
            Err(error) => format!("preparing the process: {error}"),
        },
        Err(error) => format!("which function to run does not decode: {error}"),
    };
    link.refuse(&why)
}

/// Makes this process what the parent's [`Builder`](super::Builder) says, as far as that can wait for `init`.
fn prepare(call: &mut Call, handles: Vec<OsHandle>, parent: u32) -> io::Result<()> {
    let mut handles = handles.into_iter();
    let mut next = || handles.next().ok_or_else(|| io::Error::other("a handle is missing"));
    if call.stdin {
        sys::set_stdin(&next()?)?;
    }
    if call.end_with_parent {
        sys::end_with(next()?)?;
    }
    // After that thread was started: the threads that are started from here on have the name as well.
    current::become_child(call.name.take(), parent);
    Ok(())
}

/// Decodes the arguments, runs `f`, sends its result and exits. Returns only to say why `f` cannot start.
pub(super) fn execute<A, R>(f: fn(A) -> R, link: &mut Link) -> String
where
    A: DeserializeOwned,
    R: Serialize,
{
    let frame = match link.expect(protocol::ARGUMENTS) {
        Err(Gone) => exit(protocol::EXIT_ORPHANED),
        Ok(Err(why)) => return why,
        Ok(Ok(frame)) => frame,
    };
    let decode = || codec::decode_carrying::<A>(&frame.body, frame.handles);
    let args = match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(args)) => args,
        Ok(Err(error)) => return format!("the arguments do not decode: {error}"),
        Err(payload) => return format!("decoding the arguments panicked: {}", message(payload)),
    };
    drop(frame.body);
    if link.send(protocol::READY, &[], &[]).is_err() {
        exit(protocol::EXIT_ORPHANED);
    }

    let result = match catch_unwind(AssertUnwindSafe(|| f(args))) {
        Ok(result) => result,
        Err(payload) => finish(link, protocol::PANICKED, message(payload).as_bytes(), &[]),
    };
    let (kind, body, handles) = match catch_unwind(AssertUnwindSafe(|| codec::to_bytes(&result))) {
        Ok(Ok((body, handles))) => (protocol::RETURNED, body, handles),
        Ok(Err(cause)) => (protocol::UNSENDABLE, protocol::not_encoded(cause).into_bytes(), Vec::new()),
        Err(payload) => (protocol::UNSENDABLE, message(payload).into_bytes(), Vec::new()),
    };
    // What the result owned is released in order, not by death.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(result)));
    finish(link, kind, &body, &handles)
}

/// Sends the last frame and exits. A parent that is gone or does not care is not told.
fn finish(link: &mut Link, kind: u32, body: &[u8], handles: &[OsHandle]) -> ! {
    // Who sees the result sees the output as well.
    let _ = io::stdout().flush();
    let _ = link.send(kind, body, handles);
    exit(if kind == protocol::RETURNED { 0 } else { protocol::EXIT_PANICKED })
}

/// What a panic said.
fn message(payload: Box<dyn Any + Send>) -> String {
    let text = match (payload.downcast_ref::<&str>(), payload.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "(a panic without a message)".to_owned(),
    };
    // Dropping a payload may panic in turn, and the process is about to end.
    std::mem::forget(payload);
    text
}
