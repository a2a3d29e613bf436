//! The child's side: from [`init`] to the end of the function.

use std::io;
use std::process::exit;
use std::sync::atomic::{AtomicBool, Ordering};

use ipc_core::OsHandle;
use ipc_sys::spawn as sys;

use super::call::Call;
use super::causes::Refusal;
use super::current;
use super::identity::{self, Child};
use super::link::{Gone, Link};
use super::protocol::{self, Start};

/// [`init`] was called. Relaxed: it guards no other memory.
static CALLED: AtomicBool = AtomicBool::new(false);
/// [`init`] was called on the thread that runs `main`. Relaxed: it guards no other memory.
static IN_MAIN: AtomicBool = AtomicBool::new(false);

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

/// Returns whether [`init`] was called in this process.
pub(super) fn init_was_called() -> bool {
    CALLED.load(Ordering::Relaxed)
}

/// Returns whether [`init`] was called on the thread that runs `main`.
pub(super) fn init_was_called_in_main() -> bool {
    IN_MAIN.load(Ordering::Relaxed)
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
        Ok(mut decoded) => match prepare(&mut decoded, call.handles, link.parent()) {
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
