//! The files of channels that this process has open already.
//!
//! An end that arrives brings descriptors of its own: of a socket or a pipe, of the store of a
//! pipe, of the shared counters. A process may have the same socket or pipe open already, because
//! another end arrived before or was sent away from here. Then it keeps one set of descriptors for
//! all of its ends, and closes those that arrived. So an end that is received a thousand times
//! takes as many descriptors as one. Each end still counts as one in the shared counters.
//!
//! A file is found by its numbers, which the kernel gives to no other file while the file is open
//! here. A process that was forked begins without known files ([`PerProcess`]).

use std::collections::HashMap;
use std::hash::Hash;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ipc_core::OsHandle;
use ipc_sys as sys;
use ipc_sys::per_process::PerProcess;
use ipc_sys::{Borrowed, Identity};

use crate::carrier::Carrier;
use crate::shared_counters::{SharedCounters, Side};
use crate::types::Types;

fn identity(fd: Borrowed<'_>) -> Option<Identity> {
    sys::descriptor::identity(fd).ok()
}

#[derive(Default)]
struct Known {
    carriers: Table<Key, Carrier>,
    counters: Table<Identity, SharedCounters>,
}

static KNOWN: PerProcess<Mutex<Known>> = PerProcess::new();

/// A panic leaves nothing half done here.
fn known() -> MutexGuard<'static, Known> {
    KNOWN.get().lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which carrier.
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Key {
    file: Identity,
    store: Option<Identity>,
    counters: Option<Identity>,
    /// For a pipe, whose two ends are one file.
    side: Option<Side>,
    /// For a connection, which checks what arrives.
    types: Option<(u64, u64)>,
}

impl Key {
    pub(crate) fn of_socket(
        socket: Borrowed<'_>,
        counters: Option<&Arc<SharedCounters>>,
        types: Option<&Types>,
    ) -> Option<Key> {
        let file = identity(socket)?;
        Some(Key {
            file,
            store: None,
            counters: Self::counters(counters)?,
            side: None,
            types: types.map(Types::key),
        })
    }

    pub(crate) fn of_pipe(
        pipe: Borrowed<'_>,
        store: Borrowed<'_>,
        counters: &Arc<SharedCounters>,
        side: Side,
    ) -> Option<Key> {
        let (file, store) = (identity(pipe)?, Some(identity(store)?));
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
        counters.map_or(Some(None), |counters| identity(sys::borrow(&counters.fd)).map(Some))
    }
}

/// Values that live as long as they are used, by their keys.
struct Table<K, V> {
    values: HashMap<K, Weak<V>>,
    /// How many there are when those that have gone are removed next.
    full: usize,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Table { values: HashMap::new(), full: 16 }
    }
}

impl<K: Eq + Hash, V> Table<K, V> {
    fn get(&self, key: &K) -> Option<Arc<V>> {
        self.values.get(key)?.upgrade()
    }

    fn insert(&mut self, key: K, value: &Arc<V>) {
        if self.values.len() >= self.full {
            self.values.retain(|_, value| value.strong_count() > 0);
            self.full = 2 * self.values.len() + 16;
        }
        self.values.insert(key, Arc::downgrade(value));
    }
}

/// Returns the carrier with this key, or else `made`, which is known from now on.
pub(crate) fn carrier(key: Option<Key>, made: Carrier) -> Arc<Carrier> {
    let made = Arc::new(made);
    let Some(key) = key else { return made };
    let mut known = known();
    // Not a carrier whose descriptor the program has closed: its number may be that of another file
    // now.
    let open = |carrier: &Arc<Carrier>| identity(carrier.fd()) == Some(key.file);
    if let Some(here) = known.carriers.get(&key).filter(open) {
        if let (Some(here), Some(made)) = (here.types(), made.types()) {
            here.merge(made);
        }
        return here;
    }
    known.carriers.insert(key, &made);
    made
}

/// Makes this carrier known to ends that arrive later.
pub(crate) fn remember(key: Option<Key>, carrier: &Arc<Carrier>) {
    if let Some(key) = key {
        known().carriers.insert(key, carrier);
    }
}

/// Returns the shared counters in this file.
pub(crate) fn counters(file: OsHandle) -> io::Result<Arc<SharedCounters>> {
    let Some(key) = identity(sys::borrow(&file)) else {
        return SharedCounters::of(file).map(Arc::new);
    };
    let mut known = known();
    let open = |counters: &Arc<SharedCounters>| identity(sys::borrow(&counters.fd)) == Some(key);
    if let Some(here) = known.counters.get(&key).filter(open) {
        return Ok(here);
    }
    let counters = Arc::new(SharedCounters::of(file)?);
    known.counters.insert(key, &counters);
    Ok(counters)
}

/// Makes these counters known to ends that arrive later.
pub(crate) fn remember_counters(counters: &Arc<SharedCounters>) {
    if let Some(key) = identity(sys::borrow(&counters.fd)) {
        known().counters.insert(key, counters);
    }
}
