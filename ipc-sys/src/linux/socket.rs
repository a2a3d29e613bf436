//! Local sockets.

// `ioctl` with SIOCOUTQ, and `recvmsg`, need pointers. `getsockopt` for credentials: the types of
// the safe crates cannot hold the process number 0, which the kernel answers for a process that
// this one cannot see.
#![allow(unsafe_code)]

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Instant;

use ipc_core::{Deadline, MAX_HANDLES, Unreadable};
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
    SendAncillaryBuffer, SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType,
    sockopt,
};

use super::descriptor::above_stdio;
use crate::types::socket::{Credentials, Interest, NotReceived, NotSent, ReceivedDatagram};

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
    // Uninitialised: a message without handles pays nothing for the space.
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
                // The kernel reports once that the other end was closed with something unread. The
                // datagrams here can still be received.
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
                // SAFETY: the kernel has opened it for this message, and nothing else knows of it.
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

pub(crate) fn peek(socket: &OwnedFd, into: &mut [u8]) -> io::Result<usize> {
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
    let (_, len) = retry_on_intr(|| rustix::net::recv(socket, &mut *into, flags))?;
    Ok(len)
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
            // A time that is too long for the kernel's type is no limit in practice.
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

pub(crate) fn end_of_sending(socket: BorrowedFd<'_>) {
    // Fails if the other end is gone.
    let _ = rustix::net::shutdown(socket, Shutdown::Write);
}

pub(crate) fn end_of_receiving(socket: BorrowedFd<'_>) {
    // As above.
    let _ = rustix::net::shutdown(socket, Shutdown::Read);
}

pub(crate) fn accept(socket: &OwnedFd) -> io::Result<Option<OwnedFd>> {
    match retry_on_intr(|| rustix::net::accept_with(socket, SocketFlags::CLOEXEC)) {
        Ok(fd) => Ok(Some(above_stdio(fd)?)),
        Err(Errno::AGAIN) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// One plain value that the kernel keeps for a socket.
///
/// # Safety
///
/// Any bytes must be a valid `T`, and the kernel must write no more than a `T` for `option`.
unsafe fn socket_option<T: Copy>(socket: BorrowedFd<'_>, option: libc::c_int) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut len = size_of::<T>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and `value` has room for `len` bytes.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            value.as_mut_ptr().cast(),
            &mut len,
        )
    };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was all zeros before the kernel wrote to it, and any bytes are a `T`, says the
    // caller.
    Ok(unsafe { value.assume_init() })
}

pub(crate) fn credentials(socket: BorrowedFd<'_>) -> io::Result<Credentials> {
    // SAFETY: three integers, which is what the kernel writes for SO_PEERCRED.
    let raw: libc::ucred = unsafe { socket_option(socket, libc::SO_PEERCRED) }?;
    Ok(Credentials { pid: raw.pid as u32, uid: raw.uid, gid: raw.gid })
}

/// Linux 6.5; the same number on each architecture that Rust has std for, but on SPARC.
const SO_PEERPIDFD: libc::c_int =
    if cfg!(any(target_arch = "sparc", target_arch = "sparc64")) { 0x56 } else { 77 };

pub(crate) fn peer_pidfd(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    // SAFETY: an integer, which is what the kernel writes for SO_PEERPIDFD.
    let fd: libc::c_int = match unsafe { socket_option(socket, SO_PEERPIDFD) } {
        Ok(fd) => fd,
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
            let text = "SO_PEERPIDFD needs Linux 6.5";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        Err(error) => return Err(error),
    };
    // SAFETY: the kernel has just opened this descriptor, for us; close-on-exec as all pidfds.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
