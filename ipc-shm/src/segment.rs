//! Segments: memory that processes share.

mod builder;
pub(crate) mod footer;
mod handle;
mod list;
mod lookup;
mod mapped;
mod name_lock;
mod names;
mod open;
mod path;
#[cfg(all(test, target_os = "linux"))]
mod tests;
mod view;

pub(crate) use self::builder::OpenMode;
pub use self::builder::SegmentBuilder;
pub use self::handle::Segment;
pub use self::list::SegmentInfo;
pub use self::view::View;
