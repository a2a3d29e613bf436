//! Programs that are built apart and share the file of their messages, or an older version of it.

use std::time::Duration;

use multiprocess::pipe::{Duplex, Listener};
use multiprocess::shm::{Mutex, SharedSlice};
use multiprocess::{Mismatch, RecvError, Sender, Unreadable, pipe, shm, spawn};
use serde::{Deserialize, Serialize};
use testkit::watchdog;

/// What one program includes.
#[path = "proto.rs"]
#[allow(clippy::duplicate_mod, reason = "as two programs do")]
mod ours;

/// What the other one includes: its types are others to the compiler, and have other paths.
#[path = "proto.rs"]
#[allow(clippy::duplicate_mod, reason = "as two programs do")]
mod theirs;

/// What a program includes that was built of an older version.
mod older {
    use super::{Deserialize, Serialize};

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    pub(super) struct Order {
        pub(super) number: u64,
    }
}

fn name(test: &str) -> String {
    format!("multiprocess-types-{test}-{}", std::process::id())
}

/// In the other program: takes the ends from a connection that it makes by a name.
fn other_program(name: String) {
    use theirs::{Ends, Order, Sample, State, order};
    let line: Duplex<u8, Ends> =
        pipe::connect_timeout(name.as_str(), Duration::from_secs(20)).unwrap();
    line.send(1).unwrap();
    let ends = line.recv().unwrap();
    let orders: Vec<Order> = ends.orders.iter().collect();
    assert_eq!(orders, [order(1), order(2)]);
    ends.back.send(order(3)).unwrap();
    ends.socket.send(order(4)).unwrap();
    let sample = ends.samples.recv().unwrap();
    assert_eq!(sample, Sample { at: 5, value: 0.5 });
    ends.pairs.send(vec![sample; 2]).unwrap();
    ends.line.send(State::Gone(6, 6.0)).unwrap();
    assert_eq!(ends.line.recv().unwrap(), order(7));
    ends.sum.lock().unwrap().at += 1;
    assert_eq!(ends.all.len(), 3);
}

// fault 106
#[test]
fn ends_fit_between_programs_that_share_a_file() {
    multiprocess::init();
    let _watchdog = watchdog();
    use ours::{Ends, Order, Sample, State, order};
    let name = name("ends");
    let listener = Listener::bind(name.as_str()).unwrap();
    let child = spawn(other_program, name).unwrap();
    let line: Duplex<Ends, u8> = listener.accept().unwrap();
    assert_eq!(line.recv(), Ok(1));

    let (to_child, orders) = shm::bounded::<Order>(4).unwrap();
    let (back, from_child) = shm::bounded::<Order>(4).unwrap();
    let (pod, samples) = shm::pod::bounded::<Sample>(4).unwrap();
    let (pairs, slices) = shm::slice::bounded::<Sample>(4).unwrap();
    let (socket, from_socket) = pipe::channel::<Order>().unwrap();
    let (theirs, mine) = pipe::duplex::<State, Order>().unwrap();
    let sum = Mutex::new(Sample { at: 1, value: 0.0 }).unwrap();
    let all = SharedSlice::<Sample>::new(3).unwrap();
    let ends = Ends { orders, back, samples, pairs, socket, line: theirs, sum: sum.clone(), all };
    line.send(ends).unwrap();
    to_child.send_many([order(1), order(2)]).unwrap();
    drop(to_child);
    pod.send(Sample { at: 5, value: 0.5 }).unwrap();
    assert_eq!(from_child.recv(), Ok(order(3)));
    assert_eq!(from_socket.recv(), Ok(order(4)));
    assert_eq!(slices.recv().unwrap().len(), 2);
    assert_eq!(mine.recv(), Ok(State::Gone(6, 6.0)));
    mine.send(order(7)).unwrap();
    child.join().unwrap();
    assert_eq!(sum.lock().unwrap().at, 2);
}

/// Why what was received is not what it was taken for.
fn other_type<T>(received: Result<T, RecvError>) -> Mismatch {
    match received {
        Err(RecvError::Unreadable(cause @ Unreadable::OtherType(_))) => {
            let text = cause.to_string();
            let Unreadable::OtherType(types) = cause else { unreachable!() };
            assert!(text.contains(types.here()) && text.contains(types.there()), "{text}");
            types
        }
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was received"),
    }
}

/// In the other program, which should have turned its types round.
fn not_mirrored(name: String) -> (String, String) {
    let line: Duplex<u64, String> =
        pipe::connect_timeout(name.as_str(), Duration::from_secs(20)).unwrap();
    line.send(7).unwrap();
    line.send(8).unwrap();
    let types = other_type(line.recv());
    // What follows is refused as well, however it would decode.
    other_type(line.recv());
    (types.here().to_owned(), types.there().to_owned())
}

// fault 106
#[test]
fn a_connection_that_is_not_mirrored_is_noticed_on_both_sides() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = name("mirror");
    let listener = Listener::bind(name.as_str()).unwrap();
    let child = spawn(not_mirrored, name).unwrap();
    let line: Duplex<u64, String> = listener.accept().unwrap();
    line.send(1).unwrap();
    line.send(2).unwrap();
    let types = other_type(line.recv());
    other_type(line.recv());
    assert_eq!((types.here(), types.there()), ("string", "u64"));
    let (here, there) = child.join().unwrap();
    assert_eq!((&*here, &*there), ("string", "u64"));
}

/// In a program of an older version: hands its end on before the first message.
fn older_program(name: String) -> String {
    let line: Duplex<older::Order, older::Order> =
        pipe::connect_timeout(name.as_str(), Duration::from_secs(20)).unwrap();
    let other = spawn(
        |line: Duplex<older::Order, older::Order>| {
            line.send(older::Order { number: 1 }).unwrap();
            other_type(line.recv()).to_string()
        },
        line,
    );
    other.unwrap().join().unwrap()
}

// fault 106
#[test]
fn an_older_version_of_a_type_is_named() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = name("older");
    let listener = Listener::bind(name.as_str()).unwrap();
    let child = spawn(older_program, name).unwrap();
    let line: Duplex<ours::Order, ours::Order> = listener.accept().unwrap();
    line.send(ours::order(1)).unwrap();
    let there = other_type(line.recv());
    assert!(there.here().starts_with("Order {id: u64, lines: [(string, State"), "{there}");
    assert_eq!(there.there(), "Order {number: u64}");
    let here = child.join().unwrap();
    assert!(here.contains("Order {number: u64}") && here.contains("Order {id: u64"), "{here}");
}

/// Orders here, and something else where it arrives.
#[derive(Serialize)]
#[serde(untagged)]
enum Disguised {
    Orders(Sender<ours::Order>),
    #[serde(skip)]
    Arrived(#[allow(dead_code, reason = "what is arrived is dropped")] Sender<older::Order>),
}

impl<'de> Deserialize<'de> for Disguised {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Sender::deserialize(deserializer).map(Disguised::Arrived)
    }
}

// fault 106
#[test]
fn an_end_of_another_type_is_refused_with_both_types() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (shm, _rx) = shm::bounded(1).unwrap();
    let (pipe, _rx) = pipe::channel().unwrap();
    for end in [shm, pipe] {
        let error = spawn(|_: Disguised| (), Disguised::Orders(end)).unwrap_err().to_string();
        assert!(
            error.contains("`Order {number: u64}`") && error.contains("`Order {id: u64"),
            "{error}"
        );
    }
}

/// The same bytes, with another meaning.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Length")]
struct Feet(f64);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename = "Length")]
struct Meters(f64);

fn in_feet(name: String) -> String {
    multiprocess::name_type::<Feet>("feet").unwrap();
    let line: Duplex<u8, Feet> =
        pipe::connect_timeout(name.as_str(), Duration::from_secs(20)).unwrap();
    line.send(1).unwrap();
    other_type(line.recv()).to_string()
}

// fault 106
#[test]
fn a_name_makes_types_of_one_shape_differ() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = name("names");
    let listener = Listener::bind(name.as_str()).unwrap();
    let child = spawn(in_feet, name).unwrap();
    multiprocess::name_type::<Meters>("meters").unwrap();
    let line: Duplex<Meters, u8> = listener.accept().unwrap();
    assert_eq!(line.recv(), Ok(1));
    line.send(Meters(1.0)).unwrap();
    let text = child.join().unwrap();
    assert!(
        text.contains("\"feet\" Length(f64)") && text.contains("\"meters\" Length(f64)"),
        "{text}"
    );
}
