//! What tells the carriers of a process apart.

use std::sync::Arc;

use ipc_sys as sys;
use ipc_sys::descriptor::identity;
use ipc_sys::{Borrowed, Identity};

use crate::shared_counters::{SharedCounters, Side};
use crate::types::Types;

/// What tells one carrier from another one: its files, and what its ends check.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// The socket, or the pipe.
    pub(super) file: Identity,
    store: Option<Identity>,
    counters: Option<Identity>,
    /// For a pipe, whose two ends are one file.
    side: Option<Side>,
    /// For a connection, which checks what arrives.
    types: Option<(u64, u64)>,
}

impl Key {
    pub(super) fn of_socket(
        socket: Borrowed<'_>,
        counters: Option<&Arc<SharedCounters>>,
        types: Option<&Types>,
    ) -> Option<Key> {
        let file = identity(socket).ok()?;
        Some(Key {
            file,
            store: None,
            counters: Self::counters(counters)?,
            side: None,
            types: types.map(Types::key),
        })
    }

    pub(super) fn of_pipe(
        pipe: Borrowed<'_>,
        store: Borrowed<'_>,
        counters: &Arc<SharedCounters>,
        side: Side,
    ) -> Option<Key> {
        let (file, store) = (identity(pipe).ok()?, Some(identity(store).ok()?));
        Some(Key {
            file,
            store,
            counters: Self::counters(Some(counters))?,
            side: Some(side),
            types: None,
        })
    }

    /// `None` inside if there are no counters, outside if their file is not known.
    fn counters(counters: Option<&Arc<SharedCounters>>) -> Option<Option<Identity>> {
        counters.map_or(Some(None), |counters| identity(sys::borrow(&counters.fd)).ok().map(Some))
    }
}
