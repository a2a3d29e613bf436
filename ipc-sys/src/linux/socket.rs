//! Linux.

// `ioctl` with SIOCOUTQ, `recvmsg` and memory that others write need pointers.
#![allow(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use ipc_core::MAX_HANDLES;
use ipc_core::{Deadline, Unreadable};
use memmap2::{Advice, Mmap, MmapOptions, MmapRaw};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{FallocateFlags, FileType, MemfdFlags, OFlags, SealFlags};
use rustix::io::{Errno, ReadWriteFlags, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
    sockopt,
};

use rustix::pipe::PipeFlags;

use super::{Interest, NotReceived, NotSent, NotStored, PACKET, ReceivedDatagram};

/// A borrowed handle.
pub(crate) type Borrowed<'a> = BorrowedFd<'a>;

pub(crate) fn borrow(fd: &OwnedFd) -> Borrowed<'_> {
    fd.as_fd()
}

pub(crate) fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::net::socketpair(
        AddressFamily::UNIX,
        SocketType::SEQPACKET,
        SocketFlags::CLOEXEC,
        None,
    )?)
}

pub(crate) fn is_socket(fd: BorrowedFd<'_>) -> bool {
    sockopt::socket_domain(fd) == Ok(AddressFamily::UNIX)
        && sockopt::socket_type(fd) == Ok(SocketType::SEQPACKET)
}

pub(crate) fn send(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    handles: &[OwnedFd],
    wait: bool,
) -> Result<(), NotSent> {
    let flags = if wait { SendFlags::NOSIGNAL } else { SendFlags::NOSIGNAL | SendFlags::DONTWAIT };
    let sent = if handles.is_empty() {
        retry_on_intr(|| rustix::net::send(socket, bytes, flags))
    } else {
        send_with_handles(socket, bytes, handles, flags)
    };
    sent.map(drop).map_err(not_sent)
}

#[cold]
fn send_with_handles(
    socket: BorrowedFd<'_>,
    bytes: &[u8],
    handles: &[OwnedFd],
    flags: SendFlags,
) -> Result<usize, Errno> {
    let fds: Vec<BorrowedFd<'_>> = handles.iter().map(AsFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_HANDLES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Errno::INVAL);
    }
    retry_on_intr(|| rustix::net::sendmsg(socket, &[IoSlice::new(bytes)], &mut control, flags))
}

#[cold]
fn not_sent(error: Errno) -> NotSent {
    match error {
        Errno::AGAIN => NotSent::Full,
        Errno::TOOMANYREFS => NotSent::TooManyInFlight,
        Errno::MSGSIZE => NotSent::TooLarge,
        Errno::NOBUFS | Errno::NOMEM => NotSent::OutOfMemory,
        // Closed (EPIPE), closed with something unread (ECONNRESET), never connected (ENOTCONN).
        _ => NotSent::Gone,
    }
}

/// Words of room for the handles of a message.
// SAFETY: of a length there is nothing to promise.
const CONTROL: usize =
    unsafe { libc::CMSG_SPACE((MAX_HANDLES * size_of::<libc::c_int>()) as u32) } as usize / 8 + 1;

pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    into: &mut [u8],
    handles: &mut Vec<OwnedFd>,
    wait: bool,
) -> Result<ReceivedDatagram, NotReceived> {
    // Uninitialised: whoever gets no handles pays nothing for the space.
    let mut space = MaybeUninit::<[u64; CONTROL]>::uninit();
    let flags = libc::MSG_CMSG_CLOEXEC | if wait { 0 } else { libc::MSG_DONTWAIT };
    loop {
        let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
        // SAFETY: zeros are a message header that leads nowhere.
        let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
        message.msg_iov = &raw mut part;
        message.msg_iovlen = 1;
        message.msg_control = space.as_mut_ptr().cast();
        message.msg_controllen = size_of_val(&space) as _;
        // Not rustix's, which asks for the sender's name as well: a tenth of a microsecond. SAFETY:
        // the header leads to `into` and `space`, as long as it says, which are ours and outlive
        // the call.
        let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, flags) };
        let Ok(len) = usize::try_from(got) else {
            match Errno::from_io_error(&io::Error::last_os_error()) {
                // Told once, if the other end was closed with something unread; what is here is
                // still here.
                Some(Errno::INTR | Errno::CONNRESET) => continue,
                Some(Errno::AGAIN) => return Err(NotReceived::Empty),
                Some(Errno::NOMEM | Errno::NOBUFS) => return Err(NotReceived::OutOfMemory),
                _ => return Err(NotReceived::Gone),
            }
        };
        if message.msg_controllen > 0 {
            take_handles(&message, handles);
        }
        // An empty datagram looks like the end, which is empty too; there are none of ours.
        if len == 0 && ended(socket) {
            return Err(NotReceived::Gone);
        }
        return Ok(ReceivedDatagram {
            len,
            cut: message.msg_flags & libc::MSG_TRUNC != 0,
            lost: message.msg_flags & libc::MSG_CTRUNC != 0,
        });
    }
}

/// The handles in a message that the kernel has filled in.
#[cold]
fn take_handles(message: &libc::msghdr, handles: &mut Vec<OwnedFd>) {
    // SAFETY: the kernel has written the header, and so much of the room as it says.
    let mut next = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !next.is_null() {
        // SAFETY: as above; the room is aligned for it, and the kernel's to write no more.
        let head = unsafe { &*next };
        if (head.cmsg_level, head.cmsg_type) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: as above: behind the header lies what it is about.
            let data = unsafe { libc::CMSG_DATA(next) };
            let len = head.cmsg_len as usize - (data as usize - next as usize);
            for at in (0..len).step_by(size_of::<libc::c_int>()) {
                // SAFETY: within what the header says.
                let fd = unsafe { data.add(at) }.cast::<libc::c_int>();
                // SAFETY: a descriptor lies there.
                let fd = unsafe { fd.read_unaligned() };
                // SAFETY: the kernel has opened it for this message, and nobody else knows of it.
                handles.push(unsafe { OwnedFd::from_raw_fd(fd) });
            }
        }
        // SAFETY: as above.
        next = unsafe { libc::CMSG_NXTHDR(message, next) };
    }
}

#[cold]
fn ended(socket: BorrowedFd<'_>) -> bool {
    gone(socket) && unread(socket) == 0
}

pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK | PipeFlags::DIRECT;
    let (reader, writer) = rustix::pipe::pipe_with(flags)?;
    // If the user's pipes have used up what they may, this one stays as it is.
    let _ = rustix::pipe::fcntl_setpipe_size(&writer, PACKETS * PACKET);
    Ok((reader, writer))
}

/// How many packets a pipe holds: a quarter of what any process may ask for.
const PACKETS: usize = 64;

pub(crate) fn is_pipe(fd: BorrowedFd<'_>, writes: bool) -> bool {
    let Ok(stat) = rustix::fs::fstat(fd) else { return false };
    let Ok(flags) = rustix::fs::fcntl_getfl(fd) else { return false };
    let expected = if writes { OFlags::WRONLY | OFlags::DIRECT } else { OFlags::RDONLY };
    FileType::from_raw_mode(stat.st_mode) == FileType::Fifo
        && flags.intersection(OFlags::ACCMODE | expected | OFlags::NONBLOCK)
            == expected | OFlags::NONBLOCK
}

/// Since Linux 6.18.
const NO_SIGNAL: ReadWriteFlags = ReadWriteFlags::from_bits_retain(0x100);

pub(crate) fn write_packet(pipe: BorrowedFd<'_>, bytes: &[u8]) -> Result<(), NotSent> {
    /// Relaxed: it guards no other memory.
    static TOO_OLD: AtomicBool = AtomicBool::new(false);
    debug_assert!(bytes.len() <= PACKET, "a packet is written whole or not at all");
    let mut written = Err(Errno::OPNOTSUPP);
    if !TOO_OLD.load(Ordering::Relaxed) {
        let bytes = [IoSlice::new(bytes)];
        // At no offset: a pipe has none.
        written = retry_on_intr(|| rustix::io::pwritev2(pipe, &bytes, u64::MAX, NO_SIGNAL));
    }
    if matches!(written, Err(Errno::OPNOTSUPP | Errno::NOSYS)) {
        TOO_OLD.store(true, Ordering::Relaxed);
        written = without_sigpipe(|| retry_on_intr(|| rustix::io::write(pipe, bytes)));
    }
    match written {
        Ok(_) => Ok(()),
        Err(Errno::AGAIN) => Err(NotSent::Full),
        Err(Errno::NOMEM | Errno::NOBUFS) => Err(NotSent::OutOfMemory),
        Err(_) => Err(NotSent::Gone),
    }
}

/// Calls `write` so that a closed pipe is an error and no signal.
#[cold]
fn without_sigpipe(write: impl FnOnce() -> Result<usize, Errno>) -> Result<usize, Errno> {
    let mut set = MaybeUninit::uninit();
    let (mut before, mut pending) = (MaybeUninit::uninit(), MaybeUninit::uninit());
    // SAFETY: writes a set there, and always succeeds.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: the set was made just now; SIGPIPE is a signal.
    unsafe { libc::sigaddset(set.as_mut_ptr(), libc::SIGPIPE) };
    // SAFETY: `pending` has room for a set; it is written in any case.
    unsafe { libc::sigpending(pending.as_mut_ptr()) };
    // SAFETY: it was written just now.
    let was_pending = unsafe { libc::sigismember(pending.as_ptr(), libc::SIGPIPE) } == 1;
    // SAFETY: `set` was made above, `before` has room for a set.
    let blocked =
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, set.as_ptr(), before.as_mut_ptr()) } == 0;
    let written = write();
    if written == Err(Errno::PIPE) && !was_pending {
        let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // The signal of this very call: it is pending for this thread, and is taken before it is
        // unblocked. SAFETY: `set` was made above; no information is asked for.
        unsafe { libc::sigtimedwait(set.as_ptr(), std::ptr::null_mut(), &at_once) };
    }
    if blocked {
        // SAFETY: `before` was written by the call that succeeded.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before.as_ptr(), std::ptr::null_mut()) };
    }
    written
}

pub(crate) fn read_packet(pipe: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize, NotReceived> {
    match retry_on_intr(|| rustix::io::read(pipe, &mut *into)) {
        Ok(0) => Err(NotReceived::Gone),
        Ok(len) => Ok(len),
        Err(Errno::AGAIN) => Err(NotReceived::Empty),
        Err(Errno::NOMEM) => Err(NotReceived::OutOfMemory),
        Err(_) => Err(NotReceived::Gone),
    }
}

const STORE_SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::SEAL);

pub(crate) fn store() -> io::Result<OwnedFd> {
    let fd = memory_file("multiprocess-store")?;
    rustix::fs::fcntl_add_seals(&fd, STORE_SEALS)?;
    Ok(fd)
}

pub(crate) fn is_store(fd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(STORE_SEALS))
}

/// How long a file may get (RLIMIT_FSIZE); none if any length will do, or if the question is
/// forbidden, as in some sandboxes. Beyond it the kernel sends a signal that kills: ask first.
fn file_limit() -> Option<u64> {
    // Not rustix's, which panics where this fails.
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is what the call writes to, and only that.
    let known = unsafe { libc::getrlimit64(libc::RLIMIT_FSIZE, &raw mut limit) } == 0;
    (known && limit.rlim_cur != libc::RLIM64_INFINITY).then_some(limit.rlim_cur)
}

pub(crate) fn put(store: BorrowedFd<'_>, offset: u64, bytes: &[u8]) -> Result<(), NotStored> {
    let limit = file_limit();
    if let Some(limit) = limit.filter(|limit| bytes.len() as u64 > *limit) {
        return Err(NotStored::TooLarge(usize::try_from(limit).unwrap_or(usize::MAX)));
    }
    let end = offset.checked_add(bytes.len() as u64).filter(|end| i64::try_from(*end).is_ok());
    if end.is_none_or(|end| limit.is_some_and(|limit| end > limit)) {
        return Err(NotStored::OutOfMemory);
    }
    let (mut rest, mut at) = (bytes, offset);
    while !rest.is_empty() {
        match retry_on_intr(|| rustix::io::pwrite(store, rest, at)) {
            Ok(written) if written > 0 => {
                rest = &rest[written..];
                at += written as u64;
            }
            _ => {
                // On the shelf, too: there is little memory.
                free(store, offset, bytes.len() as u64);
                return Err(NotStored::OutOfMemory);
            }
        }
    }
    Ok(())
}

pub(crate) fn get(
    store: BorrowedFd<'_>,
    offset: u64,
    len: u64,
    bytes: &mut Vec<u8>,
) -> Result<(), Unreadable> {
    let lie = || Unreadable::Malformed("its bytes are not where it says");
    let stat = rustix::fs::fstat(store).map_err(|_| lie())?;
    // What the file does not hold is not there, whatever its length.
    let held = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512);
    let file = u64::try_from(stat.st_size).unwrap_or(0);
    if len > held || offset.checked_add(len).is_none_or(|end| end > file) {
        return Err(lie());
    }
    let len = usize::try_from(len).map_err(|_| lie())?;
    bytes.clear();
    bytes.try_reserve_exact(len).map_err(|_| Unreadable::OutOfMemory)?;
    while bytes.len() < len {
        let at = offset + bytes.len() as u64;
        match rustix::io::pread(store, rustix::buffer::spare_capacity(bytes), at) {
            Err(Errno::INTR) => {}
            Err(_) | Ok(0) => return Err(lie()),
            Ok(_) => {}
        }
    }
    // There may have been more room, and something behind it.
    bytes.truncate(len);
    Ok(())
}

pub(crate) fn free(store: BorrowedFd<'_>, offset: u64, len: u64) {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    // If it fails, the memory goes with the channel.
    let _ = retry_on_intr(|| rustix::fs::fallocate(store, flags, offset, len));
}

pub(crate) fn writable(fd: BorrowedFd<'_>) -> bool {
    ready(fd, Interest::Send, Deadline::Now)
}

pub(crate) fn send_part(
    socket: &OwnedFd,
    bytes: &[IoSlice<'_>],
    handles: &[OwnedFd],
) -> io::Result<usize> {
    let fds: Vec<BorrowedFd<'_>> = handles.iter().map(|handle| handle.as_fd()).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_HANDLES))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        return Err(Errno::INVAL.into());
    }
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    Ok(retry_on_intr(|| rustix::net::sendmsg(socket, bytes, &mut control, flags))?)
}

pub(crate) fn too_many_in_flight(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::TOOMANYREFS)
}

pub(crate) fn receive_part(
    socket: &OwnedFd,
    into: &mut [u8],
    handles: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_HANDLES))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
    let received = retry_on_intr(|| {
        rustix::net::recvmsg(socket, &mut [IoSliceMut::new(into)], &mut control, flags)
    })?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            handles.extend(fds);
        }
    }
    if received.flags.contains(ReturnFlags::CTRUNC) || handles.len() > MAX_HANDLES {
        handles.clear();
        return Err(io::Error::new(io::ErrorKind::InvalidData, Unreadable::HandlesLost));
    }
    Ok(received.bytes)
}

pub(crate) fn gone(socket: BorrowedFd<'_>) -> bool {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    let mut fds = [PollFd::from_borrowed_fd(socket, PollFlags::RDHUP)];
    let polled = retry_on_intr(|| rustix::event::poll(&mut fds, Some(&at_once)));
    polled.is_ok() && !fds[0].revents().is_empty()
}

pub(crate) fn ready(socket: BorrowedFd<'_>, interest: Interest, deadline: Deadline) -> bool {
    let events = match interest {
        Interest::Receive => PollFlags::IN,
        Interest::Send => PollFlags::OUT,
        Interest::End => PollFlags::RDHUP,
    };
    loop {
        let timeout = match deadline {
            Deadline::Now => Some(Timespec { tv_sec: 0, tv_nsec: 0 }),
            // A time too long for the kernel's type is for ever, as far as anyone can tell.
            Deadline::At(deadline) => {
                Timespec::try_from(deadline.saturating_duration_since(Instant::now())).ok()
            }
            Deadline::Never => None,
        };
        let mut fds = [PollFd::from_borrowed_fd(socket, events)];
        match rustix::event::poll(&mut fds, timeout.as_ref()) {
            Ok(ready) => return ready > 0,
            Err(Errno::INTR) => {}
            // No memory for the call: the caller tries again.
            Err(_) => return true,
        }
    }
}

pub(crate) fn unread(socket: BorrowedFd<'_>) -> usize {
    rustix::io::ioctl_fionread(socket)
        .map_or(0, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
}

pub(crate) fn unsent(socket: BorrowedFd<'_>) -> usize {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open while it is borrowed; TIOCOUTQ, which is SIOCOUTQ, writes one
    // int there.
    let done =
        unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, std::ptr::from_mut(&mut bytes)) };
    if done == 0 { usize::try_from(bytes).unwrap_or(0) } else { 0 }
}

pub(crate) fn room(socket: BorrowedFd<'_>) -> usize {
    sockopt::socket_send_buffer_size(socket).unwrap_or(usize::MAX)
}

const SEALS: SealFlags = SealFlags::WRITE.union(SealFlags::SHRINK).union(SealFlags::GROW);

fn memory_file(name: &str) -> Result<OwnedFd, Errno> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    match rustix::fs::memfd_create(name, flags | MemfdFlags::NOEXEC_SEAL) {
        // Before Linux 6.3.
        Err(Errno::INVAL) => rustix::fs::memfd_create(name, flags),
        made => made,
    }
}

/// Files that are tried, one after the other, where the kernel refuses to seal.
const FILES: usize = 8;

pub(crate) fn seal_to_memfd(bytes: &[u8]) -> Result<OwnedFd, NotStored> {
    let limit = file_limit();
    if limit.is_some_and(|limit| bytes.len() as u64 > limit) {
        return Err(NotStored::TooLarge(limit.map_or(0, |limit| limit as usize)));
    }
    let failed = |error| match error {
        Errno::MFILE | Errno::NFILE => NotStored::OutOfHandles,
        _ => NotStored::OutOfMemory,
    };
    let mut tried = 1;
    loop {
        let fd = memory_file("multiprocess-message").map_err(failed)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            match retry_on_intr(|| rustix::io::write(&fd, rest)).map_err(failed)? {
                0 => return Err(NotStored::OutOfMemory),
                written => rest = &rest[written..],
            }
        }
        match rustix::fs::fcntl_add_seals(&fd, SEALS) {
            Ok(()) => return Ok(fd),
            // It has waited 0.1 s for somebody to let go of a page: the kernel, which moves it or
            // writes it out. Of another file it need not have one.
            Err(Errno::BUSY) if tried < FILES => tried += 1,
            Err(error) => return Err(failed(error)),
        }
    }
}

pub(crate) fn message_memfd() -> io::Result<OwnedFd> {
    Ok(memory_file("multiprocess-message")?)
}

pub(crate) fn seal(memfd: BorrowedFd<'_>) -> bool {
    rustix::fs::fcntl_add_seals(memfd, SEALS).is_ok()
}

/// The bytes of a sealed memory file, mapped.
pub(crate) struct SealedMapping(Mmap);

impl SealedMapping {
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

pub(crate) fn map_sealed(fd: BorrowedFd<'_>, len: u64) -> Result<SealedMapping, Unreadable> {
    // Only memory files have seals, and what has these never changes again, whoever else holds it.
    if !rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(SEALS)) {
        return Err(Unreadable::Malformed("its bytes are in a file that is not sealed"));
    }
    let malformed = Unreadable::Malformed;
    let stat = rustix::fs::fstat(fd).map_err(|_| malformed("its bytes are in no file"))?;
    let too_long = |_| malformed("it is longer than the address space");
    let len = usize::try_from(len).map_err(too_long)?;
    if len == 0 || u64::try_from(stat.st_size).ok() != Some(len as u64) {
        return Err(malformed("its bytes are in a file of another length"));
    }
    // SAFETY: nobody can change the file's bytes or its length, now or later: it is sealed against
    // that, and the seals cannot be taken off. The kernel seals only what nobody can write any
    // more.
    let mapping = unsafe { MmapOptions::new().len(len).populate().map(fd.as_raw_fd()) };
    // A file of that length and kind can be mapped, unless limits forbid it.
    let mapping = mapping.map_err(|_| Unreadable::OutOfMemory)?;
    // If it fails, a core dump holds the message as it holds the rest of this process' memory.
    let _ = mapping.advise(Advice::DontDump);
    Ok(SealedMapping(mapping))
}

pub(crate) fn end_of_sending(socket: BorrowedFd<'_>) {
    // Fails if the other end is gone.
    let _ = rustix::net::shutdown(socket, Shutdown::Write);
}

pub(crate) fn end_of_receiving(socket: BorrowedFd<'_>) {
    // As above.
    let _ = rustix::net::shutdown(socket, Shutdown::Read);
}

/// Device and inode.
pub(crate) type Identity = (u64, u64);

pub(crate) fn identity(fd: BorrowedFd<'_>) -> Option<Identity> {
    let stat = rustix::fs::fstat(fd).ok()?;
    Some((stat.st_dev, stat.st_ino))
}

const TALLY_SEALS: SealFlags = SealFlags::SHRINK.union(SealFlags::GROW).union(SealFlags::SEAL);

pub(crate) fn counters() -> io::Result<OwnedFd> {
    let fd = memory_file("multiprocess-counters")?;
    retry_on_intr(|| rustix::fs::ftruncate(&fd, TALLY_LEN as u64))?;
    // Or touching it could be a SIGBUS, if there is no memory.
    let all = FallocateFlags::empty();
    retry_on_intr(|| rustix::fs::fallocate(&fd, all, 0, TALLY_LEN as u64))?;
    rustix::fs::fcntl_add_seals(&fd, TALLY_SEALS)?;
    Ok(fd)
}

/// Words that all processes of a channel share.
pub(crate) struct Words(MmapRaw);

/// A word has two lines of the cache to itself.
const STRIDE: usize = 128;
const TALLY_LEN: usize = STRIDE * super::WORDS;

impl Words {
    pub(crate) fn map(fd: BorrowedFd<'_>) -> io::Result<Words> {
        let sealed = rustix::fs::fcntl_get_seals(fd).is_ok_and(|seals| seals.contains(TALLY_SEALS));
        if !sealed || rustix::fs::fstat(fd)?.st_size != TALLY_LEN as _ {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the file does not hold the counters of a channel",
            ));
        }
        let mapping = MmapOptions::new().len(TALLY_LEN).map_raw(fd.as_raw_fd())?;
        // The processes that survive this one keep the file: a dump must not touch it.
        mapping.advise(Advice::DontDump)?;
        Ok(Words(mapping))
    }

    #[inline]
    pub(crate) fn get(&self, index: usize) -> &AtomicU64 {
        assert!(index < super::WORDS);
        let word = self.0.as_mut_ptr().wrapping_add(index * STRIDE).cast::<AtomicU64>();
        // SAFETY: within the mapping, by the check above: the file is `TALLY_LEN` long, and sealed
        // to stay so. It begins with a page, so the word is aligned. It lives as long as `self`,
        // and this process only accesses it as an atomic; what a peer writes there is a number like
        // any other.
        unsafe { &*word }
    }
}

/// Kills this process.
#[cfg(killpoints)]
pub(crate) fn die() -> ! {
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    // The signal is delivered before the call returns, or as soon as this thread is scheduled.
    loop {
        std::hint::spin_loop();
    }
}
