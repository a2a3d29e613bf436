//! Files that this process has open already.
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
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use ipc_sys as sys;
use ipc_sys::per_process::PerProcess;
use ipc_sys::{Borrowed, Identity};

/// Returns the numbers of a file, or `None` if the system does not report them.
pub(crate) fn identity(fd: Borrowed<'_>) -> Option<Identity> {
    sys::descriptor::identity(fd).ok()
}

/// The values of this process that were made of files, by their keys.
pub(crate) struct Known<K: 'static, V: 'static>(PerProcess<Mutex<Table<K, V>>>);

impl<K: Eq + Hash + Send, V: Send + Sync> Known<K, V> {
    /// Makes a static without values.
    pub(crate) const fn new() -> Self {
        Known(PerProcess::new())
    }

    /// Locks the values. A panic leaves nothing half done there.
    pub(crate) fn lock(&'static self) -> MutexGuard<'static, Table<K, V>> {
        self.0.lock()
    }
}

/// Values that live as long as they are used, by their keys.
pub(crate) struct Table<K, V> {
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
    pub(crate) fn get(&self, key: &K) -> Option<Arc<V>> {
        self.values.get(key)?.upgrade()
    }

    pub(crate) fn insert(&mut self, key: K, value: &Arc<V>) {
        if self.values.len() >= self.full {
            self.values.retain(|_, value| value.strong_count() > 0);
            self.full = 2 * self.values.len() + 16;
        }
        self.values.insert(key, Arc::downgrade(value));
    }
}
