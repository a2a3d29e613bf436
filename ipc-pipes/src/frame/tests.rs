use std::io::{self, IoSlice, Read, Write};
use std::os::unix::net::UnixStream;

use ipc_core::__private::codec::Sink;
use ipc_core::{MAX_HANDLES, OsHandle, Unreadable};
use ipc_sys as sys;

use super::header::{MAGIC, SEALED};
use super::reader::{PIECE, Received};
use super::*;

/// A stream to write anything to, and the socket that reads it.
fn stream() -> (UnixStream, OsHandle) {
    let (writer, reader) = UnixStream::pair().unwrap();
    (writer, reader.into())
}

fn header(magic: u32, handles: u32, reserved: u32, length: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [magic, 9, handles, reserved] {
        bytes.extend(word.to_le_bytes());
    }
    bytes.extend(length.to_le_bytes());
    bytes
}

fn never() -> io::Result<()> {
    panic!("the socket takes all of this at once")
}

#[test]
fn frames_arrive_whole_in_order_and_then_the_end() {
    let (writer, reader) = stream();
    let writer = OsHandle::from(writer);
    let (mut line, inside) = UnixStream::pair().unwrap();
    send_frame(&writer, 1, b"one", &[inside.into()], &mut never).unwrap();
    send_frame(&writer, 2, b"", &[], &mut never).unwrap();
    drop(writer);
    let mut frames = FrameReader::new();
    let Ok(Progress::Frame(first)) = frames.advance(&reader) else {
        panic!("the first frame");
    };
    assert_eq!((first.kind, &*first.body, first.handles.len()), (1, &b"one"[..], 1));
    drop(first);
    assert_eq!(line.read(&mut [0]).unwrap(), 0, "its handle is closed with it");
    let Ok(Progress::Frame(second)) = frames.advance(&reader) else {
        panic!("the second frame");
    };
    assert_eq!((second.kind, second.body.len(), second.handles.len()), (2, 0, 0));
    assert!(matches!(frames.advance(&reader), Ok(Progress::Closed)));
}

#[test]
fn a_frame_that_comes_byte_by_byte_is_put_together() {
    let (mut writer, reader) = stream();
    let mut bytes = header(MAGIC, 0, 0, 5);
    bytes.extend(b"hello");
    let mut frames = FrameReader::new();
    for byte in &bytes[..bytes.len() - 1] {
        writer.write_all(&[*byte]).unwrap();
        assert!(matches!(frames.advance(&reader), Ok(Progress::Drained)));
    }
    writer.write_all(b"o").unwrap();
    assert!(
        matches!(frames.advance(&reader), Ok(Progress::Frame(frame)) if *frame.body == *b"hello")
    );
}

#[test]
fn half_a_frame_and_the_end_is_the_end() {
    for bytes in [&header(MAGIC, 0, 0, 5)[..3], &header(MAGIC, 0, 0, 5)] {
        let (mut writer, reader) = stream();
        writer.write_all(bytes).unwrap();
        drop(writer);
        let mut frames = FrameReader::new();
        assert!(matches!(frames.advance(&reader), Ok(Progress::Closed)));
    }
}

#[test]
fn lies_in_the_header_are_refused_without_memory_for_them() {
    let lies = [
        header(MAGIC, 0, 0, 1 << 63),
        header(MAGIC, 0, 0, u64::MAX),
        header(MAGIC, 0, 0, MAX_BODY + 1),
        header(MAGIC, 1, 0, 0),
        header(MAGIC, u32::MAX, 0, 0),
        header(MAGIC, 0, 1, 0),
        header(!MAGIC, 0, 0, 0),
    ];
    for lie in lies {
        let (mut writer, reader) = stream();
        writer.write_all(&lie).unwrap();
        let error = FrameReader::new().advance(&reader).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
    let (mut writer, reader) = stream();
    writer.write_all(&header(MAGIC, 0, 0, MAX_BODY)).unwrap();
    writer.write_all(b"little comes").unwrap();
    let mut frames = FrameReader::new();
    assert!(matches!(frames.advance(&reader), Ok(Progress::Drained)));
    assert!(frames.body.capacity() <= 2 * PIECE);
}

#[test]
fn handles_that_were_not_announced_are_refused_and_closed() {
    // With a header that says otherwise, and in the middle of a body.
    let attempts = [(header(MAGIC, 0, 0, 1), vec![]), (vec![], header(MAGIC, 0, 0, 9))];
    for (with, before) in attempts {
        let (mut writer, reader) = stream();
        writer.write_all(&before).unwrap();
        let (mut line, inside) = UnixStream::pair().unwrap();
        let bytes = if with.is_empty() { b"x".to_vec() } else { with };
        let fds = [inside.into()];
        sys::socket::send_part(&writer.into(), &[IoSlice::new(&bytes)], &fds).unwrap();
        drop(fds);
        let error = FrameReader::new().advance(&reader).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert_eq!(line.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn the_most_handles_travel_and_one_more_does_not() {
    let (writer, reader) = stream();
    let writer = OsHandle::from(writer);
    let make = || OsHandle::from(UnixStream::pair().unwrap().0);
    let mut handles: Vec<OsHandle> = (0..MAX_HANDLES).map(|_| make()).collect();
    send_frame(&writer, 1, b"x", &handles, &mut never).unwrap();
    let mut frames = FrameReader::new();
    assert!(
        matches!(frames.advance(&reader), Ok(Progress::Frame(frame)) if frame.handles.len() == MAX_HANDLES)
    );
    handles.push(make());
    let error = send_frame(&writer, 1, b"x", &handles, &mut never).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(matches!(frames.advance(&reader), Ok(Progress::Drained)));
}

#[test]
fn a_body_larger_than_the_socket_goes_through_in_turns() {
    let (writer, reader) = stream();
    let writer = OsHandle::from(writer);
    let body: Vec<u8> = (0..5_000_000u32).map(|i| i as u8).collect();
    let mut frames = FrameReader::new();
    let mut turns = 0;
    let mut last = None;
    let mut drain = || {
        turns += 1;
        if let Progress::Frame(frame) = frames.advance(&reader)? {
            last = Some(frame);
        }
        Ok(())
    };
    send_frame(&writer, 3, &body, &[], &mut drain).unwrap();
    while last.is_none() {
        if let Ok(Progress::Frame(frame)) = frames.advance(&reader) {
            last = Some(frame);
        }
    }
    assert!(last.is_some_and(|frame| *frame.body == *body));
}

/// A large body, written piece by piece, with a length that was not known at first.
fn payload(body: &[u8]) -> Payload {
    let mut payload = Payload::new();
    payload.write(&[0; 8]).unwrap();
    for piece in body[8..].chunks(50_000) {
        payload.write(piece).unwrap();
    }
    payload.overwrite(0, &body[..8]).unwrap();
    payload
}

fn large() -> Vec<u8> {
    (0..5_000_000u32).map(|i| (i / 7) as u8 | 1).collect()
}

#[test]
fn a_large_payload_goes_at_once_beside_other_handles() {
    let (writer, reader) = stream();
    let writer = OsHandle::from(writer);
    let body = large();
    let (mut line, inside) = UnixStream::pair().unwrap();
    send_payload(&writer, 7, payload(&body), vec![inside.into()], &mut never).unwrap();
    send_payload(&writer, 8, payload(&body[..96 * 1024]), Vec::new(), &mut never).unwrap();
    let mut frames = FrameReader::new();
    let Ok(Progress::Frame(frame)) = frames.advance(&reader) else {
        panic!("a frame");
    };
    assert_eq!((frame.kind, frame.handles.len()), (7, 1));
    assert!(*frame.body == *body && matches!(frame.body.0, Received::Sealed(_)));
    drop(frame.handles);
    assert_eq!(line.read(&mut [0]).unwrap(), 0, "its handle is closed with it");
    let Ok(Progress::Frame(frame)) = frames.advance(&reader) else {
        panic!("a frame");
    };
    assert!(*frame.body == body[..96 * 1024] && matches!(frame.body.0, Received::Here(_)));
}

#[test]
fn a_large_payload_goes_through_the_socket_if_it_has_no_handle_to_spare() {
    let (writer, reader) = stream();
    let writer = OsHandle::from(writer);
    let body = large();
    let handles: Vec<OsHandle> =
        (0..MAX_HANDLES).map(|_| UnixStream::pair().unwrap().0.into()).collect();
    let mut frames = FrameReader::new();
    let mut last = None;
    let mut drain = || {
        if let Progress::Frame(frame) = frames.advance(&reader)? {
            last = Some(frame);
        }
        Ok(())
    };
    send_payload(&writer, 7, payload(&body), handles, &mut drain).unwrap();
    while last.is_none() {
        if let Ok(Progress::Frame(frame)) = frames.advance(&reader) {
            last = Some(frame);
        }
    }
    let frame = last.unwrap();
    assert!(*frame.body == *body && frame.handles.len() == MAX_HANDLES);
}

#[test]
fn files_that_are_not_sealed_or_of_another_length_are_refused_and_closed() {
    let sealed = || sys::store::seal_to_memfd(b"twelve bytes").unwrap();
    let open = || {
        let file = sys::store::message_memfd().unwrap();
        sys::store::put(sys::borrow(&file), 0, b"twelve bytes").unwrap();
        file
    };
    let lies: [(Vec<OsHandle>, u32, u64); 6] = [
        (vec![sealed()], SEALED, 11),
        (vec![sealed()], SEALED, 13),
        (vec![sealed()], SEALED + 1, 12),
        (vec![open()], SEALED, 12),
        (vec![UnixStream::pair().unwrap().0.into()], SEALED, 12),
        (vec![], SEALED, 12),
    ];
    for (handles, place, length) in lies {
        let (writer, reader) = stream();
        let bytes = header(MAGIC, handles.len() as u32, place, length);
        sys::socket::send_part(&writer.into(), &[IoSlice::new(&bytes)], &handles).unwrap();
        let error = FrameReader::new().advance(&reader).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        assert!(matches!(error.downcast(), Ok(Unreadable::Malformed(_))));
    }
    let (writer, reader) = stream();
    let bytes = header(MAGIC, 1, SEALED, 12);
    sys::socket::send_part(&writer.into(), &[IoSlice::new(&bytes)], &[sealed()]).unwrap();
    let answer = FrameReader::new().advance(&reader);
    assert!(matches!(answer, Ok(Progress::Frame(frame)) if *frame.body == *b"twelve bytes"));
}
