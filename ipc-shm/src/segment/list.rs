//! What segments there are.

use std::io;

use super::builder::SegmentBuilder;
use super::mapped::find;
use super::origin::Origin;
use ipc_core::route::step;

use crate::sys;
use crate::trailer::{Found, Lifetime};

/// A named segment, as [`Segment::list`](super::Segment::list) found it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentInfo {
    /// Its name.
    pub name: String,
    /// Bytes of user data.
    pub size: usize,
    /// How many processes are attached, handles on their way included.
    pub attached: usize,
    /// When its name goes.
    pub lifetime: Lifetime,
}

impl SegmentInfo {
    /// Whether all who had it were killed, so that nobody has removed its name.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.attached == 0 && self.lifetime == Lifetime::LastHandle
    }
}

pub(super) fn list() -> io::Result<Vec<SegmentInfo>> {
    let directory = sys::directory();
    let entries =
        step(format_args!("segments in {directory:?}"), "reading it", std::fs::read_dir(directory))?;
    let mut found: Vec<_> =
        entries.filter_map(|entry| look(entry.ok()?.file_name().into_string().ok()?)).collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// `None` of what is no segment, has gone meanwhile, or is not ours to read.
fn look(name: String) -> Option<SegmentInfo> {
    // Whose it is does not matter: nothing is mapped.
    let terms = SegmentBuilder::new(0).any_owner(true).mode(0o666);
    let sought = terms.sought(Origin::Name(name.clone())).ok()?;
    let fd = sought.open_read_only().ok()?;
    let open = sys::borrow(&fd);
    let len = sys::len(open).ok()?;
    let Ok(Found::Ours(trailer)) = find(open, len) else { return None };
    Some(SegmentInfo { name, size: trailer.size, attached: trailer.living(open), lifetime: trailer.lifetime })
}
