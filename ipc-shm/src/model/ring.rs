//! The memory of a ring, the leases of its processes, and what holds between operations.

// The caller of `Memory::parts` must ensure that the boxes outlive the view.
#![allow(unsafe_code)]

use std::ptr::NonNull;
use std::sync::Arc;

#[cfg(loom)]
use ipc_wait::model_futex::ModelFutex;
#[cfg(loom)]
use ipc_wait::model_sockets::ModelSockets;

use crate::channel::{self, memory::Memory};
use crate::layout::{Address, Armed, Bells, BlockMeta, CacheLine, Description, Geometry, Header};
use crate::layout::{Hints, Seqs};
use crate::layout::{block, count, entry, kind, members, owner, pos, slot};
use crate::sync::AtomicU64;
use crate::sync::Ordering::{Acquire, Relaxed};
use crate::sync::models::UnsafeCell;

/// The words of a message: a word and its copy. In a torn or stale message the two differ.
pub(super) const WORDS: usize = 2;

pub(super) struct Parts {
    header: Box<Header>,
    pub(super) entries: Box<[AtomicU64]>,
    pid_hints: Box<[AtomicU64]>,
    bells: Box<Bells>,
    addresses: Box<[Address]>,
    blocks: Box<[BlockMeta]>,
    slots: Box<[AtomicU64]>,
    pub(super) data: Box<[AtomicU64]>,
    /// The payloads as the processor sees them: plain memory. loom finds unordered accesses.
    pub(super) slot_bytes: Box<[UnsafeCell<()>]>,
    pub(super) block_bytes: Box<[UnsafeCell<()>]>,
    pub(super) geometry: Geometry,
    /// The holder of each id's lease: 0 or an id.
    pub(super) life: Box<[AtomicU64]>,
    pub(super) repair: Box<[AtomicU64]>,
}

/// A ring, and the kernel that knows which processes are alive.
#[derive(Clone)]
pub struct Ring(pub(super) Arc<Parts>);

fn words(n: usize) -> Box<[AtomicU64]> {
    (0..n).map(|_| AtomicU64::new(0)).collect()
}

fn part<T>(part: &[T]) -> NonNull<T> {
    NonNull::from(part).cast()
}

impl Ring {
    /// Makes a ring with these blocks.
    ///
    /// The ids from 1 on have these roles. The role of an id that is still free is 0.
    pub(super) fn with_roles(capacity: u64, blocks: usize, roles: &[u64]) -> Ring {
        let entries = roles.len() + 1;
        let word = || AtomicU64::new(0);
        let line = || CacheLine(AtomicU64::new(0));
        let geometry = Geometry {
            capacity,
            mask: capacity.next_power_of_two() - 1,
            stride: 8 * (1 + WORDS),
            entries,
            blocks,
            largest: 8 * WORDS,
            block_size: 8 * WORDS,
        };
        let header = Header {
            description: Description::new(),
            tail: line(),
            head: line(),
            recv_wait: line(),
            send_wait: line(),
            seqs: Seqs { members: word(), orphan_seq: word(), end: word() },
            hints: Hints { senders_cpu: word(), receivers_cpu: word() },
            text: std::array::from_fn(|_| word()),
            #[cfg(loom)]
            futexes: [ModelFutex::new(), ModelFutex::new()],
        };
        let meta = |_| BlockMeta {
            state: word(),
            len: word(),
            deliveries: word(),
            committed: word(),
            place: word(),
            room: word(),
        };
        let armed = || Armed(std::array::from_fn(|_| word()));
        let bells = Bells {
            armed: [armed(), armed()],
            unreachable: line(),
            #[cfg(loom)]
            model: ModelSockets::new(entries),
        };
        #[allow(
            clippy::arc_with_non_send_sync,
            reason = "processes take turns, or the scheduler watches"
        )]
        let ring = Ring(Arc::new(Parts {
            header: Box::new(header),
            entries: words(entries),
            pid_hints: words(entries),
            bells: Box::new(bells),
            addresses: (0..entries).map(|_| Address::unknown()).collect(),
            blocks: (0..blocks).map(meta).collect(),
            slots: words(capacity as usize * (1 + WORDS)),
            data: words(blocks * WORDS),
            slot_bytes: (0..capacity).map(|_| UnsafeCell::new(())).collect(),
            block_bytes: (0..blocks).map(|_| UnsafeCell::new(())).collect(),
            geometry,
            life: words(entries),
            repair: words(entries),
        }));
        ring.memory().initialise(0);
        for (i, roles) in roles.iter().enumerate() {
            if *roles != 0 {
                // Relaxed: no other thread exists yet.
                ring.0.entries[i + 1].store(*roles, Relaxed);
                ring.0.life[i + 1].store(i as u64 + 1, Relaxed);
            }
        }
        ring
    }

    pub(super) fn memory(&self) -> Memory {
        let p = &*self.0;
        // SAFETY: the boxes are as long as `geometry` says. They live as long as `self` or a clone
        // of it, which every user of the view has.
        unsafe {
            Memory::parts(
                NonNull::from(&*p.header),
                part(&p.entries),
                (part(&p.pid_hints), NonNull::from(&*p.bells), part(&p.addresses)),
                part(&p.blocks),
                part(&p.slots),
                p.geometry,
            )
        }
    }

    /// Checks the ring after all threads were joined.
    ///
    /// Every dead process was recovered, unless no process is left that could recover it. No claim
    /// is left open, and no word names an id whose entry is free (RING-I1, RING-I2, RING-I3).
    pub fn check(&self) {
        let memory = self.memory();
        let used =
            |id: u64| id == 0 || memory.entries()[id as usize].load(Acquire) & entry::USED != 0;
        let (tail, head) = (memory.tail().load(Acquire), memory.head().load(Acquire));
        assert!(used(owner(tail)) && used(owner(head)), "RING-I3: tail or head names a free id");
        for index in 0..self.0.geometry.capacity as usize {
            let state = memory.slot_at(index).state.load(Acquire);
            assert!(used(owner(state)), "RING-I3: a slot names a free id");
            let p = pos(state);
            let g = &self.0.geometry;
            if kind(state) == slot::FREE && g.distance(p, pos(tail)).wrapping_sub(1) < g.capacity {
                assert!(
                    g.distance(p, pos(tail)) <= count(tail),
                    "RING-I1: a claim to send is unsigned"
                );
            }
            if matches!(kind(state), slot::READY | slot::VOID)
                && g.distance(p, pos(head)).wrapping_sub(1) < g.capacity
            {
                assert!(
                    g.distance(p, pos(head)) <= count(head),
                    "RING-I2: a claim to receive is unsigned"
                );
            }
        }
        for found in memory.blocks() {
            assert!(used(owner(found.state.load(Acquire))), "RING-I3: a block names a free id");
        }
    }

    /// Checks that nothing is left after all processes have detached.
    pub fn check_empty(&self) {
        self.check();
        let memory = self.memory();
        assert!(memory.entries().iter().all(|entry| entry.load(Acquire) == 0), "an entry is left");
        assert_eq!(self.blocks_free(), memory.blocks().len(), "a block is leaked");
    }

    pub fn blocks_free(&self) -> usize {
        let free = |b: &&BlockMeta| b.state.load(Acquire) == block::FREE;
        self.memory().blocks().iter().filter(free).count()
    }

    pub fn closed(&self) -> bool {
        channel::ring::Ring::of(&self.memory()).closed()
    }

    pub fn senders_gone(&self) -> bool {
        self.memory().members().load(Acquire) & members::SENDERS_GONE != 0
    }

    pub fn receivers_gone(&self) -> bool {
        self.memory().members().load(Acquire) & members::RECEIVERS_GONE != 0
    }
}
