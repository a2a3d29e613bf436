//! What goes in and what comes out.

use std::error::Error;
use std::io::{self, Read, Seek, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use ipc_core::{CodecError, SizeLimit};
use multiprocess::process::{Builder, Resource};
use multiprocess::{JoinError, JoinHandle, Unreadable, Unsendable, spawn};
use rustix::event::{PollFd, PollFlags, poll};
use serde::{Deserialize, Serialize};
use testkit::rights::starved;
use testkit::{descriptors, watchdog};

use crate::support::{Fd, read_byte, socket_pair, write_byte};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    id: u64,
    names: Vec<String>,
    price: Option<f64>,
}

fn answer(mut order: Order) -> (Order, usize) {
    order.id += 1;
    let count = order.names.len();
    (order, count)
}

#[test]
fn a_handle_may_go_to_any_thread_whatever_the_result() {
    fn check<T: Send + Sync + 'static>() {}
    check::<JoinHandle<std::rc::Rc<u8>>>();
}

#[test]
fn nothing_goes_in_and_nothing_comes_out() {
    multiprocess::init();
    let _watchdog = watchdog();
    spawn(|()| (), ()).unwrap().join().unwrap();
}

#[test]
fn structs_go_in_and_come_out() {
    multiprocess::init();
    let _watchdog = watchdog();
    let mut order = Order { id: 7, names: vec!["a".into(), String::new()], price: Some(0.5) };
    let (result, count) = spawn(answer, order.clone()).unwrap().join().unwrap();
    order.id = 8;
    assert_eq!((result, count), (order, 2));
}

/// A large result comes as a memory file, for which the parent has no descriptor left.
// faults 61
#[test]
fn a_large_result_arrives_at_the_limit_of_open_files() {
    multiprocess::init();
    let _watchdog = watchdog();
    let parent = |()| {
        let before = descriptors();
        let child = spawn(|()| "x".repeat(200_000), ()).unwrap();
        // It has sent its result before.
        poll(&mut [PollFd::new(&child, PollFlags::IN)], None).unwrap();
        let result = starved(0, || child.join());
        assert!(result.unwrap() == "x".repeat(200_000));
        assert_eq!(descriptors(), before);
    };
    spawn(parent, ()).unwrap().join().unwrap();
}

#[test]
fn twenty_megabytes_go_in_and_come_out() {
    multiprocess::init();
    let _watchdog = watchdog();
    let text: String = (0..5 << 20).map(|i| char::from(b'a' + (i % 23) as u8)).collect();
    let text = text.repeat(4);
    let reversed = spawn(|s: String| s.chars().rev().collect::<String>(), text.clone()).unwrap();
    let back = reversed.join().unwrap();
    assert!(back.chars().rev().eq(text.chars()));
}

#[test]
fn a_closure_and_a_generic_function_run_with_their_own_types() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn name_of<T: Default + Serialize>(_: T) -> (String, T) {
        (std::any::type_name::<T>().to_owned(), T::default())
    }
    assert_eq!(spawn(name_of, 5u8).unwrap().join().unwrap(), ("u8".into(), 0));
    assert_eq!(spawn(name_of, 5i64).unwrap().join().unwrap(), ("i64".into(), 0));
    assert_eq!(spawn(|(a, b): (u32, u32)| a * b, (6, 7)).unwrap().join().unwrap(), 42);
}

#[test]
fn a_file_and_a_socket_travel_as_arguments() {
    multiprocess::init();
    let _watchdog = watchdog();
    let path = std::env::temp_dir().join(format!("multiprocess-{}-file", std::process::id()));
    let mut file =
        std::fs::File::options().create_new(true).read(true).write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let (mut ours, theirs) = socket_pair();
    let write = |(file, line): (Fd, Fd)| {
        let mut file = std::fs::File::from(file.take());
        file.write_all(b"from the child").unwrap();
        write_byte(&mut line.stream(), b'x');
    };
    let child = spawn(write, (Fd::new(file.try_clone().unwrap()), theirs)).unwrap();
    assert_eq!(read_byte(&mut ours), Some(b'x'));
    assert_eq!(read_byte(&mut ours), None, "no process holds the other end any more");
    child.join().unwrap();
    let mut text = String::new();
    file.rewind().unwrap();
    file.read_to_string(&mut text).unwrap();
    assert_eq!(text, "from the child");
}

#[test]
fn a_result_carries_handles() {
    multiprocess::init();
    let _watchdog = watchdog();
    let make = |()| {
        let (mut ours, theirs) = socket_pair();
        write_byte(&mut ours, b'z');
        (Fd::new(ours), theirs)
    };
    let (first, second) = spawn(make, ()).unwrap().join().unwrap();
    assert_eq!(read_byte(&mut second.stream()), Some(b'z'));
    assert_eq!(read_byte(&mut first.stream()), None);
}

#[test]
fn the_most_handles_that_fit_arrive_in_order() {
    multiprocess::init();
    let _watchdog = watchdog();
    let lines: Vec<_> = (0..ipc_core::MAX_HANDLES).map(|_| socket_pair()).collect();
    let (mut ours, theirs): (Vec<_>, Vec<Fd>) = lines.into_iter().unzip();
    let child = spawn(
        |fds: Vec<Fd>| {
            for (i, fd) in fds.into_iter().enumerate() {
                write_byte(&mut fd.stream(), i as u8);
            }
        },
        theirs,
    )
    .unwrap();
    child.join().unwrap();
    for (i, line) in ours.iter_mut().enumerate() {
        assert_eq!(read_byte(line), Some(i as u8));
        assert_eq!(read_byte(line), None);
    }
}

#[test]
fn a_panic_comes_back_with_its_message() {
    multiprocess::init();
    let _watchdog = watchdog();
    let fixed = spawn(|()| -> u8 { panic!("a fixed text") }, ()).unwrap().join();
    assert!(matches!(fixed, Err(JoinError::Panicked(text)) if text == "a fixed text"));
    let formatted = spawn(|n: u32| -> u8 { panic!("number {n}") }, 5).unwrap().join();
    assert!(matches!(formatted, Err(JoinError::Panicked(text)) if text == "number 5"));
    let other = spawn(|()| -> u8 { std::panic::panic_any(5u8) }, ()).unwrap().join();
    assert!(matches!(other, Err(JoinError::Panicked(text)) if text.contains("without a message")));
}

#[test]
fn an_exit_comes_back_with_its_code() {
    multiprocess::init();
    let _watchdog = watchdog();
    for code in [0, 7, 255] {
        let result = spawn(|code: i32| std::process::exit(code), code).unwrap().join();
        let _: Result<(), _> = match result {
            Err(JoinError::Exited(found)) => {
                assert_eq!(found, code);
                Ok(())
            }
            other => other,
        };
    }
    let aborted = spawn(|()| -> u8 { std::process::abort() }, ()).unwrap().join();
    assert!(matches!(aborted, Err(JoinError::Killed(6))));
}

/// Does not encode, or does not decode, or panics while it does.
#[derive(Debug)]
struct Awkward(u8);

impl Serialize for Awkward {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => Err(serde::ser::Error::custom("awkward to encode")),
            n => serializer.serialize_u8(n),
        }
    }
}

impl<'de> Deserialize<'de> for Awkward {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            1 => Err(serde::de::Error::custom("awkward to decode")),
            2 => panic!("awkward"),
            3 => std::process::exit(9),
            n => Ok(Awkward(n)),
        }
    }
}

// fault 105: of arguments.
#[test]
fn arguments_that_do_not_travel_are_an_error_of_spawn() {
    multiprocess::init();
    let _watchdog = watchdog();
    let expected = [
        "the arguments do not encode: awkward to encode",
        "the arguments do not decode: awkward to decode",
        "panicked: awkward",
        "ended (exit status 9) before it had decoded its arguments",
    ];
    for (kind, expected) in expected.into_iter().enumerate() {
        let error = spawn(|_: Awkward| (), Awkward(kind as u8)).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    // Each cause with its type.
    let error = spawn(|_: Awkward| (), Awkward(0)).unwrap_err();
    let refused = |text: &str| CodecError::Refused(text.into());
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    assert_eq!(cause, Some(&Unsendable::Encode(refused("awkward to encode"))));
    let error = spawn(|_: Awkward| (), Awkward(1)).unwrap_err();
    let cause = error.source().and_then(|cause| cause.downcast_ref());
    assert_eq!(cause, Some(&Unreadable::Decode(refused("awkward to decode"))));
    let nowhere = Builder::new().current_dir("/no/such/directory").spawn(|()| (), ());
    let error = nowhere.unwrap_err();
    let cause = error.source().and_then(|cause| cause.downcast_ref::<io::Error>());
    assert_eq!(cause.map(io::Error::kind), Some(io::ErrorKind::NotFound), "{error}");
}

// fault 105: of results.
#[test]
fn a_result_that_does_not_travel_is_an_error() {
    multiprocess::init();
    let _watchdog = watchdog();
    let result = |kind: u8| spawn(Awkward, kind).unwrap().join();
    let Err(JoinError::Unsendable(Unsendable::Encode(cause))) = result(0) else { panic!("sent") };
    assert_eq!(cause, CodecError::Refused("awkward to encode".into()));
    let Err(JoinError::Unreadable(Unreadable::Decode(cause))) = result(1) else { panic!("read") };
    assert_eq!(cause, CodecError::Refused("awkward to decode".into()));
    let text = result(0).unwrap_err().to_string();
    assert_eq!(text, "the result of the child process does not encode: awkward to encode");
    let text = result(1).unwrap_err().to_string();
    assert_eq!(text, "the result of the child process does not decode: awkward to decode");
    assert!(matches!(result(4), Ok(Awkward(4))));
}

// fault 105: of messages, in whichever process they are refused.
#[test]
fn a_message_that_does_not_travel_is_an_error_in_each_process() {
    multiprocess::init();
    let _watchdog = watchdog();
    let child = |rx: multiprocess::Receiver<Awkward>| rx.recv().unwrap_err().to_string();
    for (tx, rx) in [multiprocess::shm::bounded(4).unwrap(), multiprocess::pipe::channel().unwrap()]
    {
        let refused = tx.send(Awkward(0)).unwrap_err().to_string();
        assert_eq!(refused, "the message does not encode: awkward to encode");
        tx.send(Awkward(1)).unwrap();
        let unreadable = spawn(child, rx).unwrap().join().unwrap();
        assert_eq!(unreadable, "the message does not decode: awkward to decode");
    }
}

#[test]
fn a_large_result_is_taken_by_looking_whether_it_is_there() {
    multiprocess::init();
    let _watchdog = watchdog();
    let make = |n: usize| vec![7u8; n];
    let child = spawn(make, 4 << 20).unwrap();
    while !child.is_finished() {
        std::thread::yield_now();
    }
    assert_eq!(child.join().unwrap().len(), 4 << 20);

    let mut child = spawn(make, 4 << 20).unwrap();
    let bytes = loop {
        match child.try_join() {
            Ok(result) => break result.unwrap(),
            Err(back) => child = back,
        }
    };
    assert_eq!(bytes.len(), 4 << 20);

    let mut child: JoinHandle<Vec<u8>> = spawn(make, 4 << 20).unwrap();
    let bytes = loop {
        match child.join_timeout(Duration::from_millis(1)) {
            Ok(result) => break result.unwrap(),
            Err(back) => child = back,
        }
    };
    assert_eq!(bytes.len(), 4 << 20);
}

/// Bytes that tell their places apart.
fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 8) ^ (i >> 16)) as u8).collect()
}

#[test]
fn bytes_of_each_size_go_in_and_come_out_beside_handles() {
    multiprocess::init();
    let _watchdog = watchdog();
    let echo = |(bytes, fd): (Vec<u8>, Fd)| (bytes, fd);
    for len in [0, 1, 90_000, 96 << 10, (96 << 10) + 1, 128 << 10, 300_000, 5 << 20] {
        let (mut ours, theirs) = socket_pair();
        let child = spawn(echo, (bytes(len), theirs)).unwrap();
        let (back, fd) = child.join().unwrap();
        assert!(back == bytes(len), "{len} bytes");
        write_byte(&mut fd.stream(), b'x');
        assert_eq!(read_byte(&mut ours), Some(b'x'));
        assert_eq!(read_byte(&mut ours), None, "no process holds the other end any more");
    }
}

#[test]
fn a_large_message_with_the_most_handles_arrives() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs): (Vec<_>, Vec<Fd>) =
        (0..ipc_core::MAX_HANDLES).map(|_| socket_pair()).unzip();
    let back = spawn(|all: (Vec<u8>, Vec<Fd>)| all, (bytes(3 << 20), theirs)).unwrap();
    let (large, fds) = back.join().unwrap();
    assert!(large == bytes(3 << 20));
    for (fd, line) in fds.into_iter().zip(&mut ours) {
        write_byte(&mut fd.stream(), b'x');
        assert_eq!(read_byte(line), Some(b'x'));
    }
}

#[test]
fn a_child_with_a_large_result_ends_although_no_process_waits_for_it() {
    multiprocess::init();
    let _watchdog = watchdog();
    let child = spawn(bytes, 5 << 20).unwrap();
    poll(&mut [PollFd::from_borrowed_fd(child.as_fd(), PollFlags::IN)], None).unwrap();
    assert!(child.try_join().expect("it has ended").unwrap() == bytes(5 << 20));
}

#[test]
fn a_child_that_may_write_no_large_file_returns_a_large_result() {
    multiprocess::init();
    let _watchdog = watchdog();
    for limit in [0, 1 << 20] {
        let limited = Builder::new().rlimit(Resource::FileSize, limit, limit);
        let child = limited.spawn(bytes, 5 << 20).unwrap();
        assert!(child.join().unwrap() == bytes(5 << 20));
    }
}

/// As many zeros as no process takes, in no memory.
struct Endless(memmap2::MmapMut);

impl Endless {
    fn new() -> Self {
        let len = (1 << 40) + 1;
        Endless(memmap2::MmapOptions::new().len(len).no_reserve_swap().map_anon().unwrap())
    }
}

impl Serialize for Endless {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Endless {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(serde::de::Error::custom("it was sent"))
    }
}

#[test]
fn what_is_larger_than_a_process_takes_or_returns_says_how_large_it_may_be() {
    multiprocess::init();
    let _watchdog = watchdog();
    // A tag and a length stand before the bytes, and the form behind them.
    let (size, limit) = ((1usize << 40) + 1 + 10, 1usize << 40);
    let expected = Unsendable::TooLarge { size, limit, set_by: SizeLimit::Spawn };
    let error = spawn(|_: Endless| (), Endless::new()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    assert_eq!(error.source().and_then(|cause| cause.downcast_ref()), Some(&expected));
    assert_eq!(
        error.to_string(),
        "spawning a process: the arguments are too large: 1099511627787 bytes, encoded, and a process \
         takes and returns at most 1099511627776 bytes; send it in parts over a channel, or share it in \
         a `Segment`"
    );
    match spawn(|()| Endless::new(), ()).unwrap().join() {
        Err(JoinError::Unsendable(cause)) => assert_eq!(cause, expected),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was sent"),
    }
}
