//! A process' part in a channel: its mapping, its lease, and the count of its endpoints.
//!
//! The process attaches as to any object ([`attachments`]). It keeps one descriptor open, to query
//! leases and to allocate blocks ([`commit`](crate::channel::commit)).

use crate::sync::{AtomicU64, Ordering};
use std::io;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use ipc_core::__private::ready::TaskQueue;
use ipc_core::__private::shape::{Mismatch, Shape};
use ipc_core::OsHandle;
use ipc_sys as sys;
use ipc_sys::lease::Unforked;
use ipc_sys::memory::MmapRaw;
use ipc_wait::Barrier;

use crate::attach::attachments::{self, Attachments, reopen};
use crate::attach::lease::{ByteLocks, Leases};
use crate::attach::mapped_file::MappedFile;
use crate::attach::participant_limit;
use crate::channel::bell_socket::{self, Waiting};
use crate::channel::memory::{Memory, Side};
use crate::channel::peer_monitor;
use crate::channel::places::Places;
use crate::channel::recovery::{BlockOf, Recovery};
use crate::channel::ring::{Participant, Ring};
use crate::channel::roles::{Role, Roles, disconnected};
use crate::killpoint::kill_point;
use crate::layout::{Geometry, HEADER, Header, MAX_PARTICIPANTS, PAGE, pid_hint};
use crate::throttle::Throttle;

/// What both programs must agree on, beyond the sizes that the segment itself states.
#[derive(Clone, Copy)]
pub(crate) struct Kind {
    /// The shape of type, codec and layout.
    pub(crate) shape: &'static Shape,
    /// Finds the block in which a message lies.
    pub(crate) block_of: BlockOf,
    /// The least bytes that a slot has for its message, and a block, if there are any.
    pub(crate) least: (usize, usize),
}

impl Kind {
    /// Returns whether such messages fit into the slots and blocks.
    ///
    /// A header may agree with itself and still be wrong.
    fn fits(&self, geometry: &Geometry) -> bool {
        let (slot, block) = self.least;
        geometry.stride >= size_of::<u64>() + slot
            && (geometry.blocks == 0 || geometry.largest >= block)
    }
}

/// A process' part in a channel.
pub(crate) struct Attachment {
    pub(crate) memory: Memory,
    pub(crate) me: u64,
    pub(crate) barrier: Barrier,
    pub(crate) fork: sys::fork::ForkCheck,
    /// This process' word among the `pid_hints`.
    pub(crate) pid_hint: u64,
    pub(crate) kind: Kind,
    roles: Mutex<Roles>,
    /// Held while this process recovers peers, attaches another participant, or detaches. Locks on
    /// bytes separate processes, not the threads of one.
    repairing: Mutex<Participant>,
    /// The number of this attachment in the process.
    tag: u64,
    /// When a thread of this process last looked for dead peers.
    looked: Throttle,
    corrupt: OnceLock<&'static str>,
    /// The tasks of this process that wait, by side.
    tasks: [OnceLock<Arc<TaskQueue>>; 2],
    /// The mapped parts of the data area, unmapped before the lease ends.
    pub(crate) places: Places,
    /// The mapping of everything before the data area. The life lease lives as long as this.
    file: MappedFile,
}

/// The error text if [`Attachment::descriptor`] is no longer the attachment's own.
pub(crate) const CLOSED: &str = "this program has closed the channel's descriptor, by which the kernel knows which processes are alive";

static ATTACHMENTS: Attachments<Attachment> = Attachments::new();

/// How long a new participant waits while other processes recover what a dead one left. A recovery
/// takes microseconds. A process that takes longer was stopped, and then only the order of
/// redelivered messages is lost.
const OTHERS_REPAIR: Duration = Duration::from_millis(100);

/// Locks a mutex, also a poisoned one: here a panic leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of a channel in errors.
const NAME: &str = "shared-memory channel";

/// Adds to an error the step that failed.
fn step<T>(what: &str, result: io::Result<T>) -> io::Result<T> {
    ipc_core::__private::step(NAME, what, result)
}

fn refuse(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{NAME}: {what}"))
}

impl Attachment {
    /// Creates a channel, with one sender and one receiver in this process.
    pub(crate) fn create(geometry: Geometry, kind: Kind) -> io::Result<Arc<Attachment>> {
        let fd = step(
            "creating its segment",
            Unforked::open(|| sys::memory::create("multiprocess-channel")),
        )?;
        kill_point!("create.fd");
        let open = fd.fd();
        // Everything that is accessed without a check is allocated now: memory that runs out later
        // is SIGBUS.
        let len = geometry.data_offset();
        step("sizing its segment", sys::memory::set_len(open, len))?;
        step("allocating its segment", sys::memory::allocate(open, 0, len))?;
        step("sealing its segment", sys::memory::seal_against_shrinking(open))?;
        let made = attachments::create(NAME, fd, |lease| {
            if !step("taking a lease", ByteLocks(lease.fd()).take_life(1))? {
                // No other process has the segment, so a sandbox forbids the call.
                let text = format!("{NAME}: taking a lease: a lock on a new file is refused");
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
            kill_point!("create.leased");
            let mapping = step("mapping its segment", sys::memory::map(lease.fd(), len))?;
            let memory = view(&mapping, geometry);
            memory.initialise(0);
            let roles = Roles::both();
            // Relaxed: no other process has the segment.
            memory.entries()[1].store(roles.word(), Ordering::Relaxed);
            memory.pid_hints()[1].store(participant_limit::pid_identity(), Ordering::Relaxed);
            memory.addresses()[1].begin(sys::bell_socket::namespace());
            memory.header().describe(&geometry, kind.shape);
            kill_point!("create.done");
            Ok((mapping, move |file| Self::new(memory, 1, kind, roles, file)))
        })?;
        ATTACHMENTS.insert(made.file.identity(), &made);
        Ok(made)
    }

    fn new(memory: Memory, me: u64, kind: Kind, roles: Roles, file: MappedFile) -> Attachment {
        Attachment {
            memory,
            me,
            barrier: Barrier::register(),
            fork: file.process(),
            pid_hint: participant_limit::pid_identity(),
            kind,
            roles: Mutex::new(roles),
            repairing: Mutex::new(Participant::new(me)),
            tag: bell_socket::new_tag(),
            looked: Throttle::new(),
            corrupt: OnceLock::new(),
            tasks: [const { OnceLock::new() }; 2],
            places: Places::new(memory.geometry.data_offset()),
            file,
        }
    }

    /// Creates a participant of role `role` that is not attached to any process yet.
    ///
    /// Returns the descriptor that its life lease is on, and its id.
    ///
    /// Until a process maps the descriptor, the endpoint is in transit: it is alive as long as any
    /// process has the descriptor open.
    pub(crate) fn issue(&self, role: Role) -> io::Result<(OsHandle, u64)> {
        let fd = self.descriptor().ok_or_else(|| io::Error::other(format!("{NAME}: {CLOSED}")))?;
        let lease = reopen(NAME, fd)?;
        let new = ByteLocks(lease.fd());
        let participant = lock(&self.repairing);
        let leases = ByteLocks(fd);
        kill_point!("attach.begin");
        self.wait_for_recovery(&participant, &leases);
        for id in 1..self.memory.entries().len() as u64 {
            let entry = &self.memory.entries()[id as usize];
            // Relaxed: read again under both leases.
            if entry.load(Ordering::Relaxed) != 0 || !leases.try_repair(id) {
                continue;
            }
            kill_point!("attach.repair");
            let won = new.take_life(id).unwrap_or(false);
            kill_point!("attach.life");
            // Acquire: pairs with the Release store of the process that freed the entry.
            if !won || entry.load(Ordering::Acquire) != 0 {
                if won {
                    new.end_life(id);
                }
                leases.end_repair(id);
                continue;
            }
            kill_point!("attach.pid_hint");
            // Relaxed: a hint. A process that sees the entry that `join` stores sees this too.
            self.memory.pid_hints()[id as usize].store(pid_hint::NONE, Ordering::Relaxed);
            // Not known before the participant is attached.
            self.memory.addresses()[id as usize].begin(0);
            let joined = self.memory.membership().join(id, Roles::only(role).word());
            kill_point!("attach.joined");
            leases.end_repair(id);
            kill_point!("attach.issued");
            if joined {
                // No process is notified if a participant dies in transit, so sleepers must check
                // often again. Nor is it known whether it will reach their bell sockets.
                self.memory.wake_sleepers();
                return Ok((lease.send(), id));
            }
            self.recovery(&Participant::new(id)).leave();
            return Err(disconnected());
        }
        Err(participant_limit::all_taken(NAME, self.memory.entries().len() - 1))
    }

    /// Recovers the state of dead peers, and waits while other processes do.
    ///
    /// Their ids then become free, and a participant that takes one must find the orphans before
    /// younger messages.
    fn wait_for_recovery(&self, participant: &Participant, leases: &ByteLocks<'_>) {
        let (recovery, patience) = (self.recovery(participant), Instant::now() + OTHERS_REPAIR);
        recovery.recover_all(leases);
        while recovery.any_dead(leases) && Instant::now() < patience {
            // The recovering process notifies all waiters when it is done.
            let bell = self.memory.bell(Side::Receivers);
            let ticket = bell.register();
            bell.sleep(&ticket, Duration::from_millis(1));
            bell.unregister(&ticket);
            recovery.recover_all(leases);
        }
    }

    /// Attaches this process to a channel, by a descriptor from [`issue`](Attachment::issue).
    pub(crate) fn adopt(
        fd: OsHandle,
        id: u64,
        role: Role,
        kind: Kind,
    ) -> io::Result<Arc<Attachment>> {
        let open = sys::borrow(&fd);
        if !sys::memory::sealed_against_shrinking(open)
            || !step("looking at its segment", sys::memory::mappable(open))?
        {
            return Err(refuse("what arrived is not a sealed segment"));
        }
        let enter = |open: sys::Borrowed<'_>, lease: &Unforked| {
            let (memory, mapping) = Self::enter(open, lease.fd(), id, role, kind)?;
            let roles = Roles::only(role);
            Ok((mapping, move |file| Self::new(memory, id, kind, roles, file)))
        };
        let (attached, unused) = ATTACHMENTS.attach(NAME, fd, enter)?;
        if let Some(fd) = unused {
            let shape = attached.kind.shape;
            if shape.fingerprint() != kind.shape.fingerprint() {
                let mismatch = Mismatch::new(kind.shape, shape.text().as_bytes());
                return Err(refuse(&mismatch.to_string()));
            }
            attached.merge(id, role)?;
            // Nothing names the id any more. The lease is released here, not by closing, because a
            // forked child may have a copy of the descriptor.
            ByteLocks(sys::borrow(&fd)).end_life(id);
            return Ok(attached);
        }
        kill_point!("adopt.pid_hint");
        // Relaxed: a hint. From now on, sleepers can monitor this process.
        attached.memory.pid_hints()[id as usize].store(attached.pid_hint, Ordering::Relaxed);
        attached.memory.addresses()[id as usize].begin(sys::bell_socket::namespace());
        attached.memory.wake_sleepers();
        if role == Role::Receiver {
            // Again, although the process that issued it has done so: another participant may have
            // died while this one was in transit.
            if let Some(fd) = attached.descriptor() {
                attached.wait_for_recovery(&lock(&attached.repairing), &ByteLocks(fd));
            }
        }
        kill_point!("adopt.done");
        Ok(attached)
    }

    /// Takes over the participant `id`, whose life lease arrived on `open`, and maps the segment.
    fn enter(
        open: sys::Borrowed<'_>,
        lease: sys::Borrowed<'_>,
        id: u64,
        role: Role,
        kind: Kind,
    ) -> io::Result<(Memory, MmapRaw)> {
        let len = step("looking at its segment", sys::memory::len(open))?;
        if len < PAGE {
            return Err(refuse("its segment is shorter than a header"));
        }
        if id == 0 || id > MAX_PARTICIPANTS as u64 {
            return Err(refuse("its participant is not there"));
        }
        let leases = ByteLocks(lease);
        if !leases.alive(id) {
            return Err(refuse("its lease has ended"));
        }
        // While the lease moves, no process recovers this id, although it looks dead for a moment.
        // A peer that holds the repair lease has mistaken this id for another one. Then the lease
        // stays where it is.
        let moves = leases.try_repair(id);
        if moves {
            kill_point!("adopt.repair");
            let moved = leases.move_life(id, &ByteLocks(open));
            kill_point!("adopt.moved");
            leases.end_repair(id);
            if !step("moving its lease", moved)? {
                return Err(refuse("its lease is another's"));
            }
        }
        let from = if moves { lease } else { open };
        let mut header = [0; HEADER];
        step("reading its header", sys::memory::read_at(from, &mut header, 0))?;
        let geometry = step("attaching", Header::check(&header, len, kind.shape))?;
        if !kind.fits(&geometry) {
            return Err(refuse("its slots or blocks are smaller than its messages"));
        }
        let mapping = step("mapping its segment", sys::memory::map(from, geometry.data_offset()))?;
        kill_point!("adopt.mapped");
        let memory = view(&mapping, geometry);
        // Acquire: pairs with the Release store of the issuing process, in `Membership::join`.
        let issued = |entry: &AtomicU64| entry.load(Ordering::Acquire) == Roles::only(role).word();
        if !memory.entries().get(id as usize).is_some_and(issued) {
            return Err(refuse("its participant is not there"));
        }
        Ok((memory, mapping))
    }

    /// Merges an endpoint that arrived in a process that is already attached.
    ///
    /// The endpoint's own participant gives its role to this one.
    fn merge(&self, id: u64, role: Role) -> io::Result<()> {
        if id == self.me || id == 0 || id as usize >= self.memory.entries().len() {
            return Err(refuse("no such participant"));
        }
        kill_point!("merge.add");
        self.add(role)?;
        kill_point!("merge.added");
        let _alone = lock(&self.repairing);
        self.recovery(&Participant::new(id)).leave();
        kill_point!("merge.left");
        Ok(())
    }

    /// Counts one more endpoint of this process.
    pub(crate) fn add(&self, role: Role) -> io::Result<()> {
        lock(&self.roles).add(role, self.memory.membership(), self.me)
    }

    /// Counts one endpoint less. The last one of a role notifies the peers.
    ///
    /// The drop of the attachment detaches the process.
    pub(crate) fn remove(&self, role: Role) {
        let mut roles = lock(&self.roles);
        if !roles.remove(role, self.memory.membership(), self.me) {
            let participant = lock(&self.repairing);
            self.recovery(&participant).leave_role(roles.word(), role == Role::Receiver);
        }
    }

    /// Returns what recovers the participants, as `me`, which is this process.
    fn recovery<'a>(&'a self, me: &'a Participant) -> Recovery<'a> {
        Recovery::of(&self.memory, me, self.kind.block_of)
    }

    /// Returns the descriptor, if it is still the attachment's own.
    pub(crate) fn descriptor(&self) -> Option<sys::Borrowed<'_>> {
        self.file.descriptor().get()
    }

    /// Recovers the state of every peer that is dead, and checks whether a peer has scribbled.
    /// Returns whether anything changed.
    pub(crate) fn recover_dead(&self) -> bool {
        self.looked.begin();
        self.look()
    }

    fn look(&self) -> bool {
        if let Err(what) = Ring::of(&self.memory).check() {
            // The first finding stays.
            return self.corrupt.set(what).is_ok();
        }
        let Some(fd) = self.descriptor() else {
            // Without it dead peers look alive, and a process that waits for them would wait for
            // ever.
            return self.corrupt.set(CLOSED).is_ok();
        };
        // If another thread is recovering, it will wake this one.
        match self.repairing.try_lock() {
            Ok(participant) => self.recovery(&participant).recover_all(&ByteLocks(fd)),
            Err(_) => false,
        }
    }

    /// Returns whether sleepers of this process are notified of every other participant's death.
    pub(crate) fn monitors_deaths(&self) -> bool {
        self.descriptor().is_some_and(|fd| {
            peer_monitor::monitors_deaths(&self.memory, self.me, self.pid_hint, &ByteLocks(fd))
        })
    }

    /// Does the same as [`recover_dead`](Attachment::recover_dead), at most once a millisecond.
    pub(crate) fn recover_dead_throttled(&self) -> bool {
        self.looked.due() && self.look()
    }

    /// Returns the tasks of this process that wait as `side`.
    pub(crate) fn task_queue(&self, side: Side) -> &TaskQueue {
        self.tasks[side as usize].get_or_init(TaskQueue::new)
    }

    /// Returns the process number of a participant, as far as it is known here.
    pub(crate) fn pid(&self, id: u64) -> Option<u32> {
        // Relaxed: a hint.
        let word = self.memory.pid_hints().get(id as usize)?.load(Ordering::Relaxed);
        pid_hint::known_to(self.pid_hint, word)
    }

    /// Returns what a peer was found to have scribbled.
    pub(crate) fn corrupt(&self) -> Option<&'static str> {
        self.corrupt.get().copied()
    }

    /// Records that a peer has scribbled.
    pub(crate) fn found_corrupt(&self, what: &'static str) {
        // The first finding stays.
        let _ = self.corrupt.set(what);
    }

    /// Returns the attachment, as it waits on the bell socket of this process.
    pub(crate) fn waiting(&self) -> Waiting<'_> {
        Waiting { memory: &self.memory, me: self.me, tag: self.tag }
    }

    /// Returns whether this process was forked from the one that attached.
    #[inline]
    pub(crate) fn forked(&self) -> bool {
        self.fork.forked()
    }
}

impl Drop for Attachment {
    fn drop(&mut self) {
        if self.forked() {
            // The mappings are not this process' (MADV_DONTFORK), nor is the membership.
            self.places.forget();
            return;
        }
        // The monitor and the reactor use this mapping.
        peer_monitor::forget(&self.memory);
        self.waiting().forget();
        self.recovery(&Participant::new(self.me)).leave();
        kill_point!("leave.unmap");
        self.places.unmap();
        self.file.unmap();
        kill_point!("leave.unmapped");
        ATTACHMENTS.remove(self.file.identity());
    }
}

/// Returns a view of a mapping that is as long as the geometry says.
#[allow(unsafe_code)]
fn view(mapping: &MmapRaw, geometry: Geometry) -> Memory {
    assert!(mapping.len() >= geometry.data_offset());
    let base = NonNull::new(mapping.as_mut_ptr()).expect("a mapping is somewhere");
    // SAFETY: so many bytes are mapped there, checked above, until the attachment's drop. Every
    // endpoint keeps its attachment alive as long as it uses the view. All access is through
    // atomics.
    unsafe { Memory::mapped(base, geometry) }
}
