//! The way in which the children of this process become their functions.

use std::io;

use ipc_sys::spawn as sys;

use super::protocol::Start;
use super::{before_main, child, identity};

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
        None if child::init_was_called_in_main() => return Ok(Start::InMain),
        None if !before_main::has_run() => {
            "multiprocess::init() has not been called on the main thread; call it first in main"
        }
        None if sys::on_main_thread() && !child::init_was_called() => {
            "multiprocess::init() has not been called in this process, so its children would not come to it \
             either; call it first in main"
        }
        None => return Ok(Start::BeforeMain),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, text))
}
