//! Bell sockets for models.

use crate::sync::models::{Condvar, Mutex};

/// The bell sockets of the participants.
pub struct ModelSockets {
    state: Mutex<Vec<Socket>>,
    called: Condvar,
}

#[derive(Clone, Default)]
struct Socket {
    /// A datagram waits in the queue.
    called: bool,
    /// The owner has ended.
    gone: bool,
}

impl ModelSockets {
    /// Makes sockets for so many participants.
    pub fn new(participants: usize) -> ModelSockets {
        let state = Mutex::new(vec![Socket::default(); participants]);
        ModelSockets { state, called: Condvar::new() }
    }

    /// Sends a datagram. Returns false if it is refused.
    pub fn call(&self, id: usize) -> bool {
        let mut state = self.state.lock().expect("no panic while it is held");
        let delivered = !state[id].gone;
        state[id].called |= delivered;
        drop(state);
        self.called.notify_all();
        delivered
    }

    /// Sleeps until there is a datagram, and takes it out.
    ///
    /// The sleep has no timeout, so a lost wake-up is a deadlock that loom reports.
    pub fn wait(&self, id: usize) {
        let mut state = self.state.lock().expect("no panic while it is held");
        while !state[id].called {
            state = self.called.wait(state).expect("no panic while it is held");
        }
        state[id].called = false;
    }

    /// Begins a participant's process, whose socket has another name than the one before.
    pub fn begin(&self, id: usize) {
        self.state.lock().expect("no panic while it is held")[id] = Socket::default();
    }

    /// Ends a participant's process.
    pub fn end(&self, id: usize) {
        self.state.lock().expect("no panic while it is held")[id].gone = true;
    }
}
