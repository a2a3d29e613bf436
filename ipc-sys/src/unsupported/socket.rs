//! Local sockets: there are none.

use std::io::{self, IoSlice};

use ipc_core::Deadline;

use crate::OsHandle;
use crate::types::descriptor::Borrowed;
use crate::types::socket::{Credentials, Interest, NotReceived, NotSent, ReceivedDatagram};

unsupported! {
    fn pair() -> io::Result<(OsHandle, OsHandle)>;
    fn is_socket(Borrowed<'_>) -> bool = false;
    // Not reached without a socket, and there is none.
    fn send(Borrowed<'_>, &[u8], &[OsHandle], bool) -> Result<(), NotSent> = Err(NotSent::Gone);
    fn receive(
        Borrowed<'_>,
        &mut [u8],
        &mut Vec<OsHandle>,
        bool,
    ) -> Result<ReceivedDatagram, NotReceived> = Err(NotReceived::Gone);
    fn send_part(&OsHandle, &[IoSlice<'_>], &[OsHandle]) -> io::Result<usize>;
    fn too_many_in_flight(&io::Error) -> bool = false;
    fn receive_part(&OsHandle, &mut [u8], &mut Vec<OsHandle>) -> io::Result<usize>;
    fn peek(&OsHandle, &mut [u8]) -> io::Result<usize>;
    fn gone(Borrowed<'_>) -> bool = true;
    fn ready(Borrowed<'_>, Interest, Deadline) -> bool = true;
    fn unread(Borrowed<'_>) -> usize = 0;
    fn unsent(Borrowed<'_>) -> usize = 0;
    fn room(Borrowed<'_>) -> usize = 0;
    fn end_of_sending(Borrowed<'_>) -> () = ();
    fn end_of_receiving(Borrowed<'_>) -> () = ();
    fn accept(&OsHandle) -> io::Result<Option<OsHandle>>;
    fn credentials(Borrowed<'_>) -> io::Result<Credentials>;
    fn peer_pidfd(Borrowed<'_>) -> io::Result<OsHandle>;
}
