//! The processes inside each lock: the oracle of the locks.

use std::sync::{Arc, Mutex};

/// What those may do who are inside together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// No other one is.
    Alone,
    /// Others are who look, too.
    Looking,
    /// So many are, at most.
    Among(usize),
}

/// The living who are inside. Not part of what is modelled: to look at it is no step.
#[derive(Clone, Default)]
pub(crate) struct Room(Arc<Mutex<Vec<(u64, How)>>>);

impl Room {
    /// Goes in, as `who`, and comes out when this is dropped: also when he is killed, before
    /// anybody can know.
    pub(crate) fn enter(&self, who: u64, how: How) -> Inside {
        let mut inside = self.0.lock().expect("no thread panics here twice");
        let allowed = match how {
            How::Alone => inside.is_empty(),
            How::Looking => inside.iter().all(|(_, other)| *other == How::Looking),
            How::Among(most) => inside.len() < most,
        };
        assert!(allowed, "{who} {how:?} among {inside:?}");
        inside.push((who, how));
        Inside { room: self.clone(), who }
    }
}

pub(crate) struct Inside {
    room: Room,
    who: u64,
}

impl Drop for Inside {
    fn drop(&mut self) {
        // Poisoned: the story has failed, and is told elsewhere.
        if let Ok(mut inside) = self.room.0.lock() {
            inside.retain(|(who, _)| *who != self.who);
        }
    }
}
