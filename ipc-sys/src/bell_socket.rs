//! Bell sockets: datagrams that wake a process which waits for very many things.
//!
//! A *bell socket* is a datagram socket with a random name. Other processes find the name in shared
//! memory, and send a datagram to wake the owner. A datagram carries a tag, by which the owner
//! knows what to look at.
//!
//! A process reaches the bell sockets of its own network namespace only. Permissions do not protect
//! a name, so a datagram is a hint, and its tag may be any number.

use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use crate::OsHandle;
use crate::descriptor::{self, Borrowed, Identity};
use crate::lease::Unforked;
use crate::os::bell_socket as os;
use crate::per_process::PerProcess;
use crate::process;

pub use crate::types::bell_socket::Sent;

/// A bell socket.
#[derive(Debug)]
pub struct BellSocket {
    /// No forked child keeps it, so the name is gone as soon as the process is. `None` only while
    /// it is dropped.
    socket: Option<Unforked>,
    identity: Identity,
    name: [u64; 2],
    /// The number of datagrams that its queue holds at least.
    room: usize,
}

impl BellSocket {
    /// Makes a bell socket with a random name. (`socket`, `bind`)
    ///
    /// # Errors
    ///
    /// Fails if the system has no such sockets, forbids them, or has no descriptor left. Also fails
    /// if this thread is in another network namespace than [`namespace`] says.
    pub fn new() -> io::Result<BellSocket> {
        if namespace() == 0 || os::namespace() != Some(namespace()) {
            let text = "the network namespace is not known, or has changed";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        let bytes = process::random()?;
        let socket = Unforked::open(|| os::new(&bytes))?;
        let identity = descriptor::identity(socket.fd())?;
        let half = |at: usize| u64::from_ne_bytes(bytes[at..at + 8].try_into().expect("8 bytes"));
        let name = [half(0), half(8)];
        Ok(BellSocket { socket: Some(socket), identity, name, room: os::room() })
    }

    /// Returns the name, by which [`send`] finds the socket.
    pub fn name(&self) -> [u64; 2] {
        self.name
    }

    /// Returns the descriptor, if it is still the socket's own. A program may close all descriptors
    /// that it does not know. (`fstat`)
    pub fn fd(&self) -> Option<Borrowed<'_>> {
        let fd = self.socket.as_ref()?.fd();
        descriptor::identity(fd).is_ok_and(|identity| identity == self.identity).then_some(fd)
    }

    /// Takes all datagrams out, and adds their tags to `tags`. Returns false if some may be missing
    /// because the queue was full. (`recv`)
    pub fn drain(&self, tags: &mut Vec<u64>) -> bool {
        let Some(fd) = self.fd() else { return false };
        // Bounded, because a peer may send faster than this process receives. What is left keeps
        // the socket readable. A queue is full only when it holds more than `room`.
        for _ in 0..=self.room {
            match os::receive(fd) {
                Some(Some(tag)) => tags.push(tag),
                // Not from this library, but it took a place in the queue.
                Some(None) => {}
                None => return true,
            }
        }
        false
    }
}

impl Drop for BellSocket {
    fn drop(&mut self) {
        if self.fd().is_none() {
            // The number may be that of another file by now, so it must not be closed.
            self.socket.take().into_iter().for_each(Unforked::forget);
        }
    }
}

/// The bell socket of this process.
#[derive(Default)]
struct Own(Option<Arc<BellSocket>>);

static OWN: PerProcess<Mutex<Own>> = PerProcess::new();

/// Returns the bell socket of this process, and makes it if there is none, or if the program has
/// closed its descriptor.
///
/// # Errors
///
/// As [`BellSocket::new`].
pub fn own() -> io::Result<Arc<BellSocket>> {
    OWN.lock().get().cloned()
}

impl Own {
    fn get(&mut self) -> io::Result<&Arc<BellSocket>> {
        self.0.take_if(|own| own.fd().is_none());
        match &mut self.0 {
            Some(own) => Ok(own),
            none => Ok(none.insert(Arc::new(BellSocket::new()?))),
        }
    }
}

/// Returns the identity of the network namespace of this process, or 0 if it cannot be found out.
/// (`stat("/proc/thread-self/ns/net")`)
///
/// It is that of the thread that called this function first.
pub fn namespace() -> u64 {
    static KNOWN: PerProcess<OnceLock<u64>> = PerProcess::new();
    *KNOWN.get().get_or_init(|| os::namespace().unwrap_or(0))
}

/// Sends a datagram with this tag to the bell socket of this name. Never blocks. (`sendto`)
///
/// It works in every thread, also in one with a table of descriptors of its own.
pub fn send(to: [u64; 2], tag: u64) -> Sent {
    let mut name = [0; 16];
    name[..8].copy_from_slice(&to[0].to_ne_bytes());
    name[8..].copy_from_slice(&to[1].to_ne_bytes());
    let once = || -> Sent {
        let socket: io::Result<OsHandle> = os::socket();
        socket.map_or(Sent::Failed, |socket| os::send(descriptor::borrow(&socket), &name, tag))
    };
    if descriptor::has_own_table() {
        // The numbers of the program's descriptors mean nothing here.
        return once();
    }
    let mut own = OWN.lock();
    // With the lock, nothing closes the socket meanwhile.
    let sent = match own.get().ok().and_then(|own| own.fd()) {
        Some(own) => os::send(own, &name, tag),
        None => return Sent::Failed,
    };
    match sent {
        // The queue of the receiver is full, or this socket may send no more because others have
        // not received its datagrams yet. A new socket distinguishes the two.
        Sent::Pending => once(),
        sent => sent,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    fn tags(socket: &BellSocket) -> (Vec<u64>, bool) {
        let mut tags = Vec::new();
        let all = socket.drain(&mut tags);
        (tags, all)
    }

    #[test]
    fn a_datagram_carries_its_tag() {
        let socket = BellSocket::new().unwrap();
        assert_eq!(tags(&socket), (vec![], true));
        assert_eq!(send(socket.name(), 7), Sent::Delivered);
        assert_eq!(send(socket.name(), u64::MAX), Sent::Delivered);
        assert_eq!(tags(&socket), (vec![7, u64::MAX], true));
        assert_eq!(tags(&socket), (vec![], true));
    }

    #[test]
    fn a_name_without_a_socket_is_refused() {
        let socket = BellSocket::new().unwrap();
        let name = socket.name();
        drop(socket);
        assert_eq!(send(name, 0), Sent::Refused);
        assert_eq!(send([0; 2], 0), Sent::Refused);
    }

    #[test]
    fn a_full_queue_is_a_wake_up_already_and_says_so() {
        let socket = BellSocket::new().unwrap();
        let mut sent = 0;
        while send(socket.name(), sent) == Sent::Delivered {
            sent += 1;
        }
        assert!(sent > 0);
        assert_eq!(send(socket.name(), 0), Sent::Pending);
        let mut seen = Vec::new();
        let mut all = true;
        loop {
            let before = seen.len();
            all &= socket.drain(&mut seen);
            if seen.len() == before {
                break;
            }
        }
        assert_eq!(seen, (0..sent).collect::<Vec<_>>());
        assert!(!all, "more were sent than arrived");
        assert_eq!(send(socket.name(), 0), Sent::Delivered);
    }

    /// Many stopped processes hold so many datagrams of this one that its socket may send no more.
    #[test]
    fn full_queues_of_others_keep_no_datagram_back() {
        let full: Vec<_> = (0..100).map(|_| BellSocket::new().unwrap()).collect();
        let fill = |socket: &BellSocket| while send(socket.name(), 0) == Sent::Delivered {};
        full.iter().for_each(fill);
        let socket = BellSocket::new().unwrap();
        assert_eq!(send(socket.name(), 1), Sent::Delivered);
        assert_eq!(tags(&socket), (vec![1], true));
    }

    #[test]
    fn a_socket_whose_descriptor_was_closed_is_replaced() {
        use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
        let socket = BellSocket::new().unwrap();
        let number = socket.fd().unwrap().as_raw_fd();
        // SAFETY: as a program does that closes what it does not know. The socket's owner looks
        // before it uses the number.
        #[allow(unsafe_code)]
        drop(unsafe { OwnedFd::from_raw_fd(number) });
        assert!(socket.fd().is_none());
        assert_eq!(send(socket.name(), 1), Sent::Refused);
        assert_eq!(tags(&socket), (vec![], false));
        let mut own = Own(Some(Arc::new(socket)));
        let name = own.0.as_ref().unwrap().name();
        assert_ne!(own.get().unwrap().name(), name);
    }
}
