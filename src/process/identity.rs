//! The kind of this process: an ordinary program, or a child that `spawn` started.
//!
//! The parent gives the child a socket, and an environment variable with the socket's number. The
//! child checks them once, before `main` ([`before_main`](super::before_main)). Then it removes the
//! variable, so that no program that it starts or executes is taken for a child.
//!
//! | variable | socket | this process |
//! |---|---|---|
//! | absent | – | is an ordinary program |
//! | present | there | is a child |
//! | present | there, but must not be obeyed | exits: it must not run `main` in the child's place |
//! | present, of the parent | gone | exits, for the same reason |
//! | present, of another process | gone | is an ordinary program: the variable was inherited by accident |

use std::process::exit;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use ipc_core::OsHandle;
use ipc_sys::spawn::{self as sys, Inherited};

use super::protocol::{self, Start};

static CHILD: OnceLock<Option<Child>> = OnceLock::new();

/// A process that `spawn` started.
#[derive(Debug)]
pub(super) struct Child {
    start: Start,
    /// The socket to the parent; `None` after the child has started its function.
    socket: Mutex<Option<OsHandle>>,
}

/// Returns this process as a child, or `None` if it is an ordinary program.
///
/// Ends the process if it is a child that must not become its function.
pub(super) fn child() -> Option<&'static Child> {
    CHILD.get_or_init(recognise).as_ref()
}

fn recognise() -> Option<Child> {
    let value = std::env::var_os(protocol::VARIABLE)?;
    if !sys::in_executable() {
        // A shared library with a copy of this crate; the executable has its own, which is meant.
        return None;
    }
    let inherited = match value.to_str().and_then(Start::of_variable) {
        Some((marker, start)) => {
            // SAFETY: the parent set this variable for this process alone. `child` calls this
            // function once: `CHILD` keeps the result, also in a forked child.
            #[allow(unsafe_code)]
            let inherited = unsafe { sys::inherited(marker) };
            inherited.map(|inherited| (inherited, start))
        }
        None => Ok((Inherited::Nothing, Start::InMain)),
    };
    sys::forget(protocol::VARIABLE);
    match inherited {
        Ok((Inherited::Nothing, _)) => None,
        Ok((Inherited::Socket(socket), start)) => {
            Some(Child { start, socket: Mutex::new(Some(socket)) })
        }
        Ok((Inherited::Refused(why), _)) => refuse(why),
        Err(error) => refuse(&format!("it cannot take over the socket to its parent: {error}")),
    }
}

/// Ends a child that cannot start its function, and cannot report that to its parent.
fn refuse(why: &str) -> ! {
    eprintln!("multiprocess: this process was started by spawn, but {why}; it exits");
    exit(protocol::EXIT_REFUSED)
}

impl Child {
    /// Returns how this child turns into its function; its own children do the same.
    pub(super) fn start(&self) -> Start {
        self.start
    }

    /// Returns whether the child has started its function.
    pub(super) fn has_started(&self) -> bool {
        self.socket().is_none()
    }

    /// Takes the socket to the parent, once. Ends the process if the socket has been closed
    /// meanwhile.
    pub(super) fn take_socket(&self) -> Option<OsHandle> {
        let socket = self.socket().take()?;
        if !sys::is_socket(&socket) {
            // Not ours to close any more.
            std::mem::forget(socket);
            refuse(
                "the socket to its parent was closed before multiprocess::init(); call init() before \
                 anything that closes descriptors",
            );
        }
        Some(socket)
    }

    fn socket(&self) -> MutexGuard<'_, Option<OsHandle>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
