//! [`current`]: the name of this process, and its parent.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;

use ipc_sys::spawn as sys;

/// The name and the parent that a child received at its start. Never set in other processes.
static CHILD: OnceLock<Current> = OnceLock::new();

/// Returns the name, the number and the parent of this process.
///
/// Never blocks.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use multiprocess::process::{self, Builder};
///
/// fn introduce(_: ()) -> (String, u32) {
///     let this = process::current();
///     assert!(this.is_child());
///     (this.name().to_owned(), this.parent_id())
/// }
///
/// multiprocess::init();
/// let child = Builder::new().name("reader").spawn(introduce, ())?;
/// assert_eq!(child.join()?, ("reader".to_owned(), process::current().id()));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn current() -> Current {
    let id = std::process::id();
    match CHILD.get() {
        // A process that was forked from a child is not a child.
        Some(child) if child.id == id => child.clone(),
        _ => Current { name: program_name(), id, parent_id: sys::parent_id(), is_child: false },
    }
}

/// The name, the number and the parent of a process, returned by [`current`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Current {
    name: String,
    id: u32,
    parent_id: u32,
    is_child: bool,
}

impl Current {
    /// Returns the name that [`Builder::name`](super::Builder::name) gave to this child, or the
    /// program's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the number of this process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the number of the parent.
    ///
    /// In a child, that is the process that spawned it, even after that process has ended. Another
    /// process may have the number then.
    #[must_use]
    pub fn parent_id(&self) -> u32 {
        self.parent_id
    }

    /// Returns whether [`spawn`](super::spawn) or a [`Builder`](super::Builder) started this
    /// process.
    #[must_use]
    pub fn is_child(&self) -> bool {
        self.is_child
    }
}

/// Formats the process as panics name it: `process "reader" (1234)`.
impl fmt::Display for Current {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {:?} ({})", self.name, self.id)
    }
}

/// In a child: takes the given name or the program's, also for the system's tools, and makes panics
/// print which process it is.
pub(super) fn become_child(name: Option<String>, parent_id: u32) {
    let name = name.unwrap_or_else(program_name);
    sys::name_process(&name);
    let child = Current { name, id: std::process::id(), parent_id, is_child: true };
    let label = format!("{child}:\n");
    if CHILD.set(child).is_ok() {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // In one write, so that processes that panic at once do not mix. Not `eprint`, which
            // may panic.
            let _ = io::stderr().write_all(label.as_bytes());
            before(panic);
        }));
    }
}

/// The file name by which the program was started: a child is started by the same one.
fn program_name() -> String {
    let file_name = |path: &Path| Some(path.file_name()?.to_string_lossy().into_owned());
    let started_as = std::env::args_os().next();
    started_as
        .and_then(|path| file_name(path.as_ref()))
        .or_else(|| file_name(&std::env::current_exe().ok()?))
        .unwrap_or_else(|| "unnamed".to_owned())
}
