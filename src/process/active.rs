//! The list of the running children of this process.

use std::sync::Mutex;

use ipc_sys::per_process::PerProcess;
use ipc_sys::spawn::{End, WeakEnd};

/// The children that this process has started and that are not known to have ended.
static CHILDREN: PerProcess<Mutex<Vec<(ActiveChild, WeakEnd)>>> = PerProcess::new();

/// A running child of this process; see [`active_children`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveChild {
    id: u32,
    name: Option<String>,
}

impl ActiveChild {
    /// Returns the number of the child's process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Returns the name that [`Builder::name`](super::Builder::name) gave to the child.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// Returns the children of this process that have not ended.
///
/// Like Python's `active_children`. Never blocks. The list holds the children that
/// [`spawn`](super::spawn) and [`Builder`](super::Builder) started, the oldest first, also those
/// whose handle was dropped. A stopped child has not ended. A child may end before this function
/// returns. In a forked process, the children of its parent are not listed.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use multiprocess::process::{Builder, active_children};
///
/// multiprocess::init();
/// fn park(_: ()) {
///     loop {
///         std::thread::park();
///     }
/// }
/// let child = Builder::new().name("worker").spawn(park, ())?;
/// assert!(active_children()
///     .iter()
///     .any(|active| active.id() == child.id() && active.name() == Some("worker")));
/// child.kill()?;
/// let id = child.id();
/// assert!(child.join().is_err());
/// assert!(active_children().iter().all(|active| active.id() != id));
/// # Ok(())
/// # }
/// ```
#[must_use]
pub fn active_children() -> Vec<ActiveChild> {
    let mut children = CHILDREN.lock();
    children.retain(|(_, end)| end.is_pending());
    children.iter().map(|(child, _)| child.clone()).collect()
}

/// Adds a child that has been started.
pub(super) fn add(id: u32, name: Option<String>, end: &End) {
    let mut children = CHILDREN.lock();
    children.retain(|(_, end)| end.is_pending());
    children.push((ActiveChild { id, name }, end.downgrade()));
}
