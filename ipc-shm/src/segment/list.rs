//! Lists the named segments, and finds those that killed processes left.

use std::io;
use std::time::{Instant, SystemTime};

use super::lookup::NameLookup;
use super::path::SegmentPath;
use ipc_core::__private::step;
use ipc_sys as sys;

use crate::segment::footer::{FooterState, Lifetime};

/// A named segment, as [`Segment::list`](crate::Segment::list) found it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// The segment's name.
    pub name: String,
    /// The number of bytes of user data.
    pub size: usize,
    /// How many processes are attached, including handles on their way.
    pub attached: usize,
    /// When its name is removed.
    pub lifetime: Lifetime,
}

impl SegmentInfo {
    /// Returns whether every process that had it was killed, so its name remains.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.attached == 0 && self.lifetime == Lifetime::LastHandle
    }
}

pub(super) fn list() -> io::Result<Vec<SegmentInfo>> {
    let mut found: Vec<_> = names()?.filter_map(look).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Returns all names in the directory of shared memory, of segments and other files.
fn names() -> io::Result<impl Iterator<Item = String>> {
    let directory = sys::file::directory();
    let entries = step(
        format_args!("segments in {directory:?}"),
        "reading it",
        std::fs::read_dir(directory),
    )?;
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()))
}

/// Removes the abandoned names that begin with `prefix`, and returns them in order.
pub(super) fn remove_abandoned(prefix: &str) -> io::Result<Vec<String>> {
    let mut removed: Vec<_> =
        names()?.filter(|name| name.starts_with(prefix) && remove_if_abandoned(name)).collect();
    removed.sort();
    Ok(removed)
}

/// Removes abandoned names as [`remove_abandoned`] does, without `except`, until `until`.
///
/// It begins at a name that differs from call to call. So names in use do not keep it from those
/// behind them for ever.
pub(super) fn remove_some_abandoned(prefix: &str, except: &str, until: Instant) {
    let Ok(names) = names() else { return };
    let in_time = |_: &String| Instant::now() < until;
    let names: Vec<_> = names
        .take_while(in_time)
        .filter(|name| name.starts_with(prefix) && name != except)
        .collect();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let (before, after) = names.split_at(now.subsec_nanos() as usize % names.len().max(1));
    for name in after.iter().chain(before).take_while(|name| in_time(name)) {
        remove_if_abandoned(name);
    }
}

/// Removes the name of a segment if it is abandoned, and returns whether it did.
///
/// Returns false also for a file that is no segment, was removed meanwhile, or is not this user's
/// to remove.
fn remove_if_abandoned(name: &str) -> bool {
    // Its mode does not matter, since nothing is mapped.
    let lookup = NameLookup::new(SegmentPath::Name(name.to_owned()), 0o666);
    lookup.and_then(|lookup| lookup.remove_if_abandoned()).unwrap_or(false)
}

/// Reads the description of a named segment.
///
/// Returns `None` for a file that is no segment, was removed meanwhile, or is not this user's to
/// read.
fn look(name: String) -> Option<SegmentInfo> {
    // The owner does not matter, since nothing is mapped.
    let lookup = NameLookup::new(SegmentPath::Name(name.clone()), 0o666).ok()?;
    let fd = NameLookup { any_owner: true, ..lookup }.open_read_only().ok()?;
    let open = sys::borrow(&fd);
    let len = sys::memory::len(open).ok()?;
    let Ok(FooterState::Ours(footer)) = FooterState::find(open, len) else { return None };
    Some(SegmentInfo {
        name,
        size: footer.size,
        attached: footer.living(open),
        lifetime: footer.lifetime,
    })
}
