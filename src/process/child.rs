//! The child's side: from [`init`] to the end of the function.

use std::any::Any;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipc_core::__private::codec;
use ipc_core::{CodecError, OsHandle, SizeLimit};
use ipc_pipes::__private::frame::{
    Frame, FrameReader, Payload, Progress, send_frame, send_payload,
};
use ipc_sys::spawn::{self as sys, Interest};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::before_main;
use super::causes::{NotSent, Refusal};
use super::current;
use super::identity::{self, Child};
use super::protocol::{self, Call, Start};

/// [`init`] was called. Relaxed: it guards no other memory.
static CALLED: AtomicBool = AtomicBool::new(false);
/// [`init`] was called on the thread that runs `main`. Relaxed: it guards no other memory.
static IN_MAIN: AtomicBool = AtomicBool::new(false);

/// How often a waiting child checks whether its parent is still the same.
const GLANCE: Duration = Duration::from_secs(1);

/// Turns a spawned child into its function. In every other process, returns at once.
///
/// Call it first in `main`: everything before it happens again in each child. In a child that
/// [`spawn`](crate::spawn) started, it does not return. It receives the function and its arguments
/// from the parent, runs the function, sends the result back and exits. In every other process it
/// costs next to nothing, and a second call does nothing.
///
/// A child finds the socket to its parent by the environment variable `MULTIPROCESS_CHILD`. It
/// removes the variable before `main`, so programs that it starts or executes are not children.
///
/// Two kinds of children print an error to stderr and exit with status 112. One must not obey its
/// parent, because its executable gives it more rights (set-user-ID, file capabilities). The other
/// one cannot, because its socket was closed. A child never runs `main` a second time.
///
/// # In tests
///
/// The `main` of a test is that of libtest, so a child of a test does not run it. It turns into its
/// function before `main`, prints nothing of its own, and needs no `init`. The same holds if the
/// program called `init` on another thread than the main one, or spawns without `init` from another
/// thread.
///
/// Such a child never runs the code in `main` or at the beginning of a test, and some constructors
/// have not run before its function. Its main thread has no name. This works with `cargo test` and
/// `cargo nextest`.
///
/// # When a process dies
///
/// A child whose parent dies before the function could start exits silently, with status 113.
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
    CALLED.store(true, Ordering::Relaxed);
    if sys::on_main_thread() {
        IN_MAIN.store(true, Ordering::Relaxed);
    }
    if let Some(socket) = identity::child().and_then(Child::take_socket) {
        become_child(socket);
    }
}

/// Runs in every process before its `main`.
pub(super) fn before_main() {
    if let Some(child) = identity::child().filter(|child| child.start() == Start::BeforeMain) {
        sys::as_before_main();
        if let Some(socket) = child.take_socket() {
            become_child(socket);
        }
    }
}

/// Returns how children of this process become their functions.
///
/// # Errors
///
/// `InvalidInput` if they would not.
pub(super) fn start_of_children() -> io::Result<Start> {
    let text = match identity::child() {
        Some(child) if child.has_started() => return Ok(child.start()),
        Some(_) => {
            "this process was itself spawned and has not come through multiprocess::init(), so it must not \
             spawn; call init() first in main"
        }
        None if IN_MAIN.load(Ordering::Relaxed) => return Ok(Start::InMain),
        None if !before_main::has_run() => {
            "multiprocess::init() has not been called on the main thread; call it first in main"
        }
        None if sys::on_main_thread() && !CALLED.load(Ordering::Relaxed) => {
            "multiprocess::init() has not been called in this process, so its children would not come to it \
             either; call it first in main"
        }
        None => return Ok(Start::BeforeMain),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}

/// The connection of a child to its parent.
pub(super) struct Link {
    socket: OsHandle,
    reader: FrameReader,
    parent: u32,
}

/// The error that the parent is dead, or has closed its end of the socket.
struct Gone;

impl Link {
    fn new(socket: OsHandle) -> Self {
        Link { socket, reader: FrameReader::new(), parent: sys::parent_id() }
    }

    /// Sleeps until the socket is ready. The parent's death makes the socket ready, unless a
    /// process that the parent forked holds it open as well. So this also checks the number of the
    /// parent.
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

    /// Sends a frame. If the system refuses, there is no way left to report it to the parent, so
    /// this prints the error to stderr and exits. A part of a frame is worth nothing without the
    /// rest.
    fn send(&mut self, kind: u32, body: &[u8]) -> Result<(), Gone> {
        let (socket, parent) = (&self.socket, self.parent);
        let mut wait = || Link::wait(socket, parent, Interest::Write);
        Link::sent(send_frame(socket, kind, body, &[], &mut wait))
    }

    /// As [`send`](Self::send).
    fn send_payload(
        &mut self,
        kind: u32,
        payload: Payload,
        handles: Vec<OsHandle>,
    ) -> Result<(), Gone> {
        let (socket, parent) = (&self.socket, self.parent);
        let mut wait = || Link::wait(socket, parent, Interest::Write);
        Link::sent(send_payload(socket, kind, payload, handles, &mut wait))
    }

    fn sent(sent: io::Result<()>) -> Result<(), Gone> {
        match sent {
            Ok(()) => Ok(()),
            Err(error) if is_gone(&error) => Err(Gone),
            Err(error) => {
                eprintln!("multiprocess: a child cannot send to its parent: {error}");
                exit(protocol::EXIT_REFUSED)
            }
        }
    }

    /// Receives the next frame, which must be of this kind.
    fn expect(&mut self, kind: u32) -> Result<Result<Frame, String>, Gone> {
        loop {
            match self.reader.advance(&self.socket) {
                Ok(Progress::Frame(frame)) if frame.kind == kind => return Ok(Ok(frame)),
                Ok(Progress::Frame(frame)) => {
                    let text =
                        format!("a message of kind {} where {kind} was expected", frame.kind);
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

    /// Sends the parent the reason why the function does not start, and exits.
    fn refuse(&mut self, why: &Refusal) -> ! {
        match self.send(protocol::REFUSED, &encoded(why)) {
            Ok(()) => exit(protocol::EXIT_REFUSED),
            Err(Gone) => exit(protocol::EXIT_ORPHANED),
        }
    }
}

/// Encodes a message of the protocol itself.
fn encoded(message: &impl Serialize) -> Vec<u8> {
    // The only possible error is a lack of memory.
    postcard::to_stdvec(message).unwrap_or_default()
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

fn become_child(socket: OsHandle) -> ! {
    let mut link = Link::new(socket);
    if link.send(protocol::HELLO, &[]).is_err() {
        exit(protocol::EXIT_ORPHANED);
    }
    let call = match link.expect(protocol::CALL) {
        Err(Gone) => exit(protocol::EXIT_ORPHANED),
        Ok(Err(why)) => link.refuse(&Refusal::Other(why)),
        Ok(Ok(frame)) => frame,
    };
    let why = match postcard::from_bytes::<Call>(&call.body) {
        Ok(mut decoded) => match prepare(&mut decoded, call.handles, link.parent) {
            Ok(()) => decoded.entry.run(&mut link),
            Err(error) => Refusal::Other(format!("preparing the process: {error}")),
        },
        Err(error) => Refusal::Other(format!("which function to run does not decode: {error}")),
    };
    link.refuse(&why)
}

/// Applies the options of the parent's [`Builder`](super::Builder) that can wait until `init`.
fn prepare(call: &mut Call, handles: Vec<OsHandle>, parent: u32) -> io::Result<()> {
    if call.end_with_parent {
        let handle = handles.into_iter().next();
        let parent = handle.ok_or_else(|| io::Error::other("a handle is missing"))?;
        sys::end_with(parent, protocol::EXIT_ORPHANED)?;
    }
    // After that thread was started: threads that are started from here on have the name as well.
    current::become_child(call.name.take(), parent);
    Ok(())
}

/// Decodes the arguments, runs `f`, sends its result and exits. Returns only if `f` cannot start,
/// with the reason.
pub(super) fn execute<A, R>(f: fn(A) -> R, link: &mut Link) -> Refusal
where
    A: DeserializeOwned,
    R: Serialize,
{
    let frame = match link.expect(protocol::ARGUMENTS) {
        Err(Gone) => exit(protocol::EXIT_ORPHANED),
        Ok(Err(why)) => return Refusal::Other(why),
        Ok(Ok(frame)) => frame,
    };
    let decode = || codec::decode_carrying::<A>(&frame.body, frame.handles);
    let args = match catch_unwind(AssertUnwindSafe(decode)) {
        Ok(Ok(args)) => args,
        Ok(Err(error)) => return Refusal::Arguments(error.into()),
        Err(payload) => {
            let text = format!("decoding the arguments panicked: {}", message(payload));
            return Refusal::Other(text);
        }
    };
    drop(frame.body);
    if link.send(protocol::READY, &[]).is_err() {
        exit(protocol::EXIT_ORPHANED);
    }

    let result = match catch_unwind(AssertUnwindSafe(|| f(args))) {
        Ok(result) => result,
        Err(payload) => {
            finish(protocol::EXIT_PANICKED, || {
                link.send(protocol::PANICKED, message(payload).as_bytes())
            });
        }
    };
    let mut payload = Payload::new();
    let encode =
        || codec::encode_into(&result, &mut payload, protocol::MAX_MESSAGE, SizeLimit::Spawn);
    let encoded_result = match catch_unwind(AssertUnwindSafe(encode)) {
        Ok(encoded) => encoded.map_err(NotSent::from),
        Err(payload) => Err(NotSent::Encode(CodecError::Refused(message(payload).into()).into())),
    };
    // Releases what the result owned in order, instead of by death.
    let _ = catch_unwind(AssertUnwindSafe(|| drop(result)));
    match encoded_result {
        Ok(handles) => finish(0, || link.send_payload(protocol::RETURNED, payload, handles)),
        Err(cause) => {
            drop(payload);
            finish(protocol::EXIT_PANICKED, || link.send(protocol::UNSENDABLE, &encoded(&cause)))
        }
    }
}

/// Sends the last frame and exits. A parent that is gone or has closed its end gets nothing.
fn finish(status: i32, send: impl FnOnce() -> Result<(), Gone>) -> ! {
    // Flushed first: a parent that has the result can read the output as well.
    let _ = io::stdout().flush();
    let _ = send();
    exit(status)
}

/// Returns the message of a panic.
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
