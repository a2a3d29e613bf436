//! The names of all routes that are measured, and what they are: one line each.

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Threads,
    Memory,
    Kernel,
    Python,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// crossbeam-channel between threads.
    Reference,
    Us,
    Others,
}

pub struct Route {
    pub name: &'static str,
    pub family: Family,
    pub by: By,
    pub about: &'static str,
    /// The rivals of its own kind.
    pub rivals: &'static [&'static str],
}

pub const REFERENCE: &str = "crossbeam";

pub const ROUTES: &[Route] = {
    use By::{Others, Reference, Us};
    use Family::{Kernel, Memory, Python, Threads};
    const fn r(
        name: &'static str,
        family: Family,
        by: By,
        about: &'static str,
        rivals: &'static [&'static str],
    ) -> Route {
        Route { name, family, by, about, rivals }
    }
    &[
        r(REFERENCE, Threads, Reference, "crossbeam-channel, bounded, between threads", &[]),
        r("std-mpsc", Threads, Others, "std::sync::mpsc::sync_channel between threads", &[]),
        r("thread", Threads, Us, "multiprocess::thread::bounded", &[REFERENCE, "std-mpsc"]),
        r("pod", Memory, Us, "ipc_shm::pod: plain data", &["naive"]),
        r("pod-by-32", Memory, Us, "the same, send_many and recv_many of 32", &["naive"]),
        r("typed", Memory, Us, "ipc_shm::bounded: any serde type", &["naive"]),
        r("erased", Memory, Us, "multiprocess::bounded: the route chosen at run time", &["naive"]),
        r("bytes", Memory, Us, "ipc_shm::bytes: send and recv, copied", &["naive"]),
        r(
            "bytes-lent",
            Memory,
            Us,
            "ipc_shm::bytes: loan_slice and recv_ref, in place",
            &["naive"],
        ),
        r("naive", Memory, Others, "shared_memory + raw_sync: a ring, one mutex, two events", &[]),
        r("pipe", Kernel, Us, "pipe::anonymous: any serde type, an anonymous pipe", PIPES),
        r("pipe-by-32", Kernel, Us, "the same in batches of 32", PIPES),
        r(
            "socket",
            Kernel,
            Us,
            "pipe::channel, statically typed: any serde type, a pair of sockets",
            SOCKETS,
        ),
        r("socket-by-32", Kernel, Us, "the same in batches of 32", SOCKETS),
        r(
            "socket-erased",
            Kernel,
            Us,
            "multiprocess::pipe::channel: the route chosen at run time",
            SOCKETS,
        ),
        r("duplex", Kernel, Us, "pipe::duplex, split: any serde type", SOCKETS),
        r("ipc-channel", Kernel, Others, "ipc-channel: any serde type", &[]),
        r("ipc-channel-bytes", Kernel, Others, "ipc-channel: its channel of bytes", &[]),
        r(
            "interprocess",
            Kernel,
            Others,
            "interprocess: a local socket, messages of a known length",
            &[],
        ),
        r("bare-socket", Kernel, Others, "send and recv on a SEQPACKET socket", &[]),
        r(
            "bare-rights",
            Kernel,
            Others,
            "send and recvmsg with room for handles, on such a socket",
            &[],
        ),
        r("bare-packets", Kernel, Others, "write and read on a pipe that keeps packets", &[]),
        r("bare-pipe", Kernel, Others, "write and read on a pipe, messages of a known length", &[]),
        r("python-queue", Python, Others, "Python's multiprocessing.Queue", &[]),
        r(
            "python-pipe",
            Python,
            Others,
            "Python's multiprocessing.Pipe: send_bytes and recv_bytes",
            &[],
        ),
    ]
};

const PIPES: &[&str] = &["ipc-channel", "ipc-channel-bytes", "bare-packets", "bare-pipe"];
const SOCKETS: &[&str] =
    &["ipc-channel", "ipc-channel-bytes", "interprocess", "bare-socket", "bare-rights"];

pub fn route(name: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| route.name == name)
}
