//! Attaching: the steps that are the same for every object in shared memory.
//!
//! A process attaches to an object once, however many handles of it arrive. A table in the process
//! finds the attachment again by the identity of the object's file. Three open files take part:
//!
//! | open file | what it is for | how long |
//! |---|---|---|
//! | the one that arrives | holds the life lease on its way | until this process has the lease |
//! | the lease's | the life lease lies on it, and the process maps the memory from it | until the memory is mapped: the mapping keeps the lease ([`lease`](crate::attach::lease)) |
//! | the descriptor | queries leases, allocates, opens the file again | as long as the attachment |

use std::fmt;
use std::io;
use std::sync::Arc;

use ipc_core::__private::step;
use ipc_core::OsHandle;
use ipc_sys as sys;
use ipc_sys::known::Known;
use ipc_sys::lease::Unforked;
use ipc_sys::memory::MmapRaw;

use crate::attach::mapped_file::MappedFile;
use crate::killpoint::kill_point;

/// The attachments of this process to objects of one kind.
pub(crate) struct Attachments<T: 'static>(Known<sys::Identity, T>);

impl<T: Send + Sync> Attachments<T> {
    pub(crate) const fn new() -> Attachments<T> {
        Attachments(Known::new())
    }

    /// Attaches this process to the object of an open file, unless it is attached already.
    ///
    /// `enter` gets the open file and the one for the life lease. It takes the lease, maps the
    /// object, and returns the mapping and what makes the attachment of it.
    ///
    /// Returns the attachment, and the open file if the process was attached already.
    pub(crate) fn attach<M: FnOnce(MappedFile) -> T>(
        &'static self,
        name: impl fmt::Display,
        fd: OsHandle,
        enter: impl FnOnce(sys::Borrowed<'_>, &Unforked) -> io::Result<(MmapRaw, M)>,
    ) -> io::Result<(Arc<T>, Option<OsHandle>)> {
        let open = sys::borrow(&fd);
        let identity = step(&name, "looking at it", sys::descriptor::identity(open))?;
        // Held until the end: two handles of one object that arrive at once make one attachment.
        let mut attachments = self.0.lock();
        if let Some(here) = attachments.get(&identity) {
            return Ok((here, Some(fd)));
        }
        let lease = reopen(&name, open)?;
        let (mapping, make) = enter(open, &lease)?;
        drop(fd);
        let own = reopen(&name, lease.fd())?;
        kill_point!("adopt.own");
        let attachment = Arc::new(make(MappedFile::new(&name, mapping, own)?));
        attachments.insert(identity, &attachment);
        drop(lease); // The mapping keeps it.
        Ok((attachment, None))
    }

    /// Lets later handles of the object in this process find its attachment.
    pub(crate) fn insert(&'static self, identity: sys::Identity, attachment: &Arc<T>) {
        self.0.lock().insert(identity, attachment);
    }

    /// Forgets the attachment to an object after its last user, unless there is another one by now.
    pub(crate) fn remove(&'static self, identity: sys::Identity) {
        self.0.lock().remove(&identity);
    }

    /// Removes and returns all attachments, when the program ends.
    ///
    /// Returns none if a thread is in the middle of attaching.
    pub(crate) fn take_all(&'static self) -> Vec<Arc<T>> {
        self.0.take_all()
    }
}

/// Makes this process the first participant of a new object, which its open file leads to.
///
/// `enter` does the same as for [`attach`](Attachments::attach).
pub(crate) fn create<T, M: FnOnce(MappedFile) -> T>(
    name: impl fmt::Display,
    fd: Unforked,
    enter: impl FnOnce(&Unforked) -> io::Result<(MmapRaw, M)>,
) -> io::Result<Arc<T>> {
    let lease = reopen(&name, fd.fd())?;
    let (mapping, make) = enter(&lease)?;
    drop(lease); // The mapping keeps it.
    Ok(Arc::new(make(MappedFile::new(name, mapping, fd)?)))
}

/// Opens a file again. The new open file has no lease, and no forked child keeps it.
pub(crate) fn reopen(name: impl fmt::Display, fd: sys::Borrowed<'_>) -> io::Result<Unforked> {
    let again = Unforked::open(|| sys::descriptor::reopen(fd));
    step(name, "opening it again (is /proc mounted?)", again)
}
