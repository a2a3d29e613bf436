//! What this process has made of files that it has open.
//!
//! An object that arrives in a message brings descriptors of its own. A process may have the same
//! files open already, because the object arrived before or was sent away from here. Then it keeps
//! one set of descriptors, and closes those that arrived. So an object that is received a thousand
//! times takes as many descriptors, and mappings, as one.
//!
//! A file is found by its [`Identity`](crate::Identity), which the kernel gives to no other file
//! while the file is open here. A process that was forked begins without known files
//! ([`PerProcess`]).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use crate::per_process::PerProcess;

/// The values of this process that were made of files, by their keys.
pub struct Known<K: 'static, V: 'static>(PerProcess<Mutex<Table<K, V>>>);

#[allow(clippy::new_without_default, reason = "for statics only")]
impl<K: Eq + Hash + Send, V: Send + Sync> Known<K, V> {
    /// Makes a static without values.
    pub const fn new() -> Self {
        Known(PerProcess::new())
    }

    /// Locks the values. A panic leaves nothing half done there.
    pub fn lock(&'static self) -> MutexGuard<'static, Table<K, V>> {
        self.0.lock()
    }

    /// Removes and returns all values. Returns none if a thread has them locked.
    pub fn take_all(&'static self) -> Vec<Arc<V>> {
        let Ok(mut table) = self.0.get().try_lock() else { return Vec::new() };
        table.values.drain().filter_map(|(_, value)| value.upgrade()).collect()
    }
}

/// Values that live as long as they are used, by their keys.
pub struct Table<K, V> {
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
    /// Returns the value with this key, if it is still used.
    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        self.values.get(key)?.upgrade()
    }

    /// Adds a value, in place of any other one with this key.
    pub fn insert(&mut self, key: K, value: &Arc<V>) {
        if self.values.len() >= self.full {
            self.values.retain(|_, value| value.strong_count() > 0);
            self.full = 2 * self.values.len() + 16;
        }
        self.values.insert(key, Arc::downgrade(value));
    }

    /// Removes a value after its last use, unless there is another one with this key by now.
    pub fn remove(&mut self, key: &K) {
        if self.values.get(key).is_some_and(|value| value.strong_count() == 0) {
            self.values.remove(key);
        }
    }
}
