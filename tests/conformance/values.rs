//! Messages of any serde type, on the routes that take them; and what becomes of values and memory.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use multiprocess::{Receiver, RecvError, Sender, TryRecvError, Unreadable, Unsendable};
use serde::de::{DeserializeOwned, Deserializer};
use serde::ser::{Error as _, Serializer};
use serde::{Deserialize, Serialize};
use testkit::watchdog;

const ROUTES: [multiprocess::Route; 2] = [multiprocess::Route::Thread, multiprocess::Route::Shm];

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f64),
    Polygon { corners: Vec<(i32, i32)>, name: Option<String> },
    Group(Box<[Shape]>),
}

fn round_trip<T: Serialize + DeserializeOwned + Clone + PartialEq + std::fmt::Debug>(
    messages: &[T],
) {
    let there = |tx: Sender<T>, rx: Receiver<T>| {
        for message in messages {
            tx.send(message.clone()).unwrap();
            assert_eq!(rx.recv().unwrap(), *message);
            tx.send(message.clone()).unwrap();
            let lent = rx.recv_ref().unwrap();
            assert_eq!(*lent, *message);
            assert_eq!(format!("{lent:?}"), format!("{message:?}"));
            assert_eq!(lent.into_inner(), *message);
        }
        assert_eq!(tx.send_many(messages.to_vec()).unwrap(), messages.len());
        assert_eq!(rx.drain().collect::<Vec<_>>(), messages);
    };
    for route in ROUTES {
        let (tx, rx) = route.bounded(messages.len()).unwrap();
        there(tx, rx);
    }
    let (tx, rx) = ipc_shm::bounded(messages.len()).unwrap();
    for message in messages {
        tx.send(message.clone()).unwrap();
    }
    drop(tx);
    assert!(rx.into_iter().eq(messages.iter().cloned()));
}

#[test]
fn serde_types_arrive_as_they_were() {
    let _watchdog = watchdog();
    round_trip(&[
        String::new(),
        "hello".into(),
        "ü".repeat(119),
        "ü".repeat(120),
        "x".repeat(100_000),
    ]);
    round_trip(&[
        vec![],
        vec![0u8; 239],
        vec![1; 240],
        vec![2; 241],
        vec![3; 4096],
        vec![4; 1 << 20],
    ]);
    round_trip(&[None, Some((1u8, 'x', -5i128)), Some((255, '\u{10ffff}', i128::MIN))]);
    let polygon = Shape::Polygon { corners: vec![(1, -1); 100], name: Some("round".into()) };
    round_trip(&[
        Shape::Point,
        Shape::Circle(-0.5),
        polygon.clone(),
        Shape::Group([polygon].into()),
    ]);
    round_trip(&[BTreeMap::from([
        ("a".to_owned(), vec![1.5f32, f32::MIN]),
        ("b".to_owned(), vec![]),
    ])]);
    round_trip(&[Ok::<u64, String>(1), Err("no".to_owned())]);
}

// fault 68
#[test]
fn messages_of_no_size_are_messages() {
    let _watchdog = watchdog();
    round_trip(&[(), (), ()]);
    let (tx, rx) = ipc_shm::pod::bounded::<[u64; 0]>(2).unwrap();
    tx.send([]).unwrap();
    tx.send([]).unwrap();
    assert!(tx.try_send([]).unwrap_err().is_full());
    assert_eq!((rx.recv(), rx.recv()), (Ok([]), Ok([])));
    tx.loan().unwrap().send().unwrap();
    assert_eq!(*rx.recv_ref().unwrap(), [0u64; 0]);
    assert_eq!(rx.try_recv(), Err(TryRecvError::Empty));
}

// fault 69
#[test]
fn the_largest_message_fits_and_one_byte_more_does_not() {
    let _watchdog = watchdog();
    // Four bytes of an encoded `Vec<u8>` say how long it is, and one how it is encoded.
    let (tx, rx) = ipc_shm::Builder::new(2).max_message(8192).typed::<Vec<u8>>().unwrap();
    let (tx, rx) = multiprocess::shm::erase((tx, rx));
    for _ in 0..3 {
        tx.send(vec![7; 8187]).unwrap();
        assert_eq!(rx.recv().unwrap(), vec![7; 8187]);
        let refused = tx.send(vec![8; 8188]).unwrap_err();
        assert!(matches!(
            refused,
            multiprocess::SendError::Unsendable(
                _,
                Unsendable::TooLarge { size: 8193, limit: 8192, .. }
            )
        ));
        assert_eq!(refused.into_inner(), vec![8; 8188]);
        assert!(tx.try_send(vec![8; 1 << 24]).unwrap_err().is_unsendable());
        assert!(tx.send_timeout(vec![8; 8188], Duration::ZERO).unwrap_err().is_unsendable());
    }
    assert!(rx.is_empty());
    // A batch stops at what cannot be sent: before it all sent, it and what follows given back.
    let mut rest = [1usize, 300, 9000, 1, 2].into_iter().map(|len| vec![9u8; len]);
    let (tx, rx) = ipc_shm::Builder::new(8).max_message(8192).typed::<Vec<u8>>().unwrap();
    let error = tx.send_many(rest.by_ref()).unwrap_err();
    assert_eq!(error.sent, 2);
    assert!(matches!(error.unsendable, Some(Unsendable::TooLarge { size: 9005, limit: 8192, .. })));
    assert_eq!(
        error.into_inner().iter().map(Vec::len).chain(rest.map(|m| m.len())).collect::<Vec<_>>(),
        [9000, 1, 2]
    );
    assert_eq!(rx.try_iter().map(|m| m.len()).collect::<Vec<_>>(), [1, 300]);
}

/// Counts the values there are.
#[derive(Serialize, Deserialize)]
struct Counted {
    #[serde(skip)]
    _live: Live,
}

struct Live;
static LIVE: AtomicUsize = AtomicUsize::new(0);

fn counted() -> Counted {
    Counted { _live: Default::default() }
}

impl Default for Live {
    fn default() -> Self {
        LIVE.fetch_add(1, Ordering::SeqCst);
        Live
    }
}
impl Drop for Live {
    fn drop(&mut self) {
        LIVE.fetch_sub(1, Ordering::SeqCst);
    }
}

#[test]
fn every_value_is_dropped_once() {
    let _watchdog = watchdog();
    for route in ROUTES {
        let (tx, rx) = route.bounded(10).unwrap();
        for _ in 0..10 {
            tx.send(counted()).unwrap();
        }
        assert!(tx.try_send(counted()).is_err());
        drop(rx.recv().unwrap());
        drop(rx.recv_ref().unwrap());
        let kept = rx.recv().unwrap();
        assert!(rx.drain().next().is_some());
        drop(rx);
        // Undelivered ones go with the receiver, or with the channel.
        drop(tx);
        assert_eq!(LIVE.load(Ordering::SeqCst), 1, "{route}");
        drop(kept);
        assert_eq!(LIVE.load(Ordering::SeqCst), 0, "{route}");
    }
}

#[test]
fn queued_messages_are_gone_with_the_last_receiver() {
    let _watchdog = watchdog();
    for len in [1, 5000] {
        let (tx, rx) = multiprocess::shm::bounded(3).unwrap();
        for _ in 0..3 {
            tx.send(vec![1u8; len]).unwrap();
        }
        drop(rx);
        assert!(tx.is_empty() && !tx.is_full());
    }
}

#[test]
fn undelivered_messages_leave_no_block_behind() {
    let _watchdog = watchdog();
    let (tx, rx) = multiprocess::shm::bounded::<Vec<u8>>(8).unwrap();
    // As many as there are, and again: each block must have come back, however its message went.
    for round in 0..20 {
        for _ in 0..8 {
            tx.try_send(vec![1; 5000]).unwrap();
        }
        assert!(tx.try_send(vec![1; 5000]).unwrap_err().is_full());
        match round % 3 {
            0 => assert_eq!(rx.drain().count(), 8),
            1 => (0..8).for_each(|_| drop(rx.recv_ref().unwrap())),
            _ => (0..8).for_each(|_| drop(rx.recv().unwrap())),
        }
    }
}

/// Does to the encoder, or to the decoder, what its number says.
#[derive(Debug, PartialEq)]
struct Failing(u8, Vec<u8>);

impl Failing {
    const PLAIN: u8 = 0;
    const NO_ENCODE: u8 = 1;
    const PANIC_ENCODE: u8 = 2;
    const NO_DECODE: u8 = 3;
    const PANIC_DECODE: u8 = 4;
}

impl Serialize for Failing {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Failing::NO_ENCODE => Err(S::Error::custom("no")),
            Failing::PANIC_ENCODE => std::panic::resume_unwind(Box::new(())),
            _ => (self.0, &self.1).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Failing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (what, bytes) = Deserialize::deserialize(deserializer)?;
        match what {
            Failing::NO_DECODE => Err(serde::de::Error::custom("no")),
            Failing::PANIC_DECODE => std::panic::resume_unwind(Box::new(())),
            _ => Ok(Failing(what, bytes)),
        }
    }
}

// fault 37
#[test]
fn code_of_the_message_type_cannot_harm_the_channel() {
    let _watchdog = watchdog();
    for len in [1, 3000] {
        let (tx, rx) = multiprocess::shm::bounded(4).unwrap();
        let failing = |what| Failing(what, vec![1; len]);
        // Far more often than there are slots and blocks.
        for _ in 0..40 {
            assert!(tx.send(failing(Failing::NO_ENCODE)).unwrap_err().is_unsendable());
            assert!(
                catch_unwind(AssertUnwindSafe(|| tx.send(failing(Failing::PANIC_ENCODE)))).is_err()
            );
            assert!(rx.is_empty());
            tx.try_send(failing(Failing::NO_DECODE)).unwrap();
            assert!(matches!(rx.try_recv(), Err(TryRecvError::Unreadable(Unreadable::Decode(_)))));
            tx.try_send(failing(Failing::NO_DECODE)).unwrap();
            assert!(matches!(
                rx.try_recv_ref(),
                Err(TryRecvError::Unreadable(Unreadable::Decode(_)))
            ));
            tx.try_send(failing(Failing::PANIC_DECODE)).unwrap();
            assert!(catch_unwind(AssertUnwindSafe(|| rx.try_recv())).is_err());
            tx.try_send(failing(Failing::PANIC_DECODE)).unwrap();
            assert!(catch_unwind(AssertUnwindSafe(|| rx.try_recv_ref().is_ok())).is_err());
            tx.try_send(failing(Failing::PLAIN)).unwrap();
            assert_eq!(rx.try_recv(), Ok(failing(Failing::PLAIN)));
        }
    }
}

// fault 37
#[test]
fn a_batch_with_a_failing_message_keeps_the_others() {
    let _watchdog = watchdog();
    for len in [1, 3000] {
        let (tx, rx) = multiprocess::shm::bounded(4).unwrap();
        let failing = |what| Failing(what, vec![1; len]);
        for _ in 0..40 {
            let mut got = Vec::new();
            tx.send_many([
                failing(Failing::NO_DECODE),
                failing(Failing::PLAIN),
                failing(Failing::PLAIN),
            ])
            .unwrap();
            assert_eq!(rx.recv_many(&mut got, 3), Ok(2));
            assert_eq!(got, [failing(Failing::PLAIN), failing(Failing::PLAIN)]);
            // What could not be read is told with the next call.
            assert!(matches!(
                rx.recv_many(&mut got, 3),
                Err(RecvError::Unreadable(Unreadable::Decode(_)))
            ));
            tx.send_many([
                failing(Failing::PANIC_DECODE),
                failing(Failing::PLAIN),
                failing(Failing::PLAIN),
            ])
            .unwrap();
            assert!(catch_unwind(AssertUnwindSafe(|| rx.recv_many(&mut got, 3))).is_err());
            // What was behind it may be gone with it, as with any batch; its memory may not.
            while rx.try_recv().is_ok() {}
        }
        for _ in 0..4 {
            tx.try_send(failing(Failing::PLAIN)).unwrap();
        }
    }
}

/// Three is not sent, and four is not received.
#[derive(Debug)]
struct Picky(u8);

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            3 => Err(S::Error::custom("three is not to be sent")),
            n => serializer.serialize_u8(n),
        }
    }
}

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            4 => Err(serde::de::Error::custom(format_args!("{} is not to be read", "four"))),
            n => Ok(Picky(n)),
        }
    }
}

// fault 105
#[test]
fn what_a_type_says_when_it_refuses_is_in_the_error() {
    let _watchdog = watchdog();
    // Wherever in the message it is.
    type Message = (u8, Option<Vec<Picky>>, String);
    let message = |n| -> Message { (0, Some(vec![Picky(1), Picky(n)]), "and more".into()) };
    let (written, read) = ("three is not to be sent", "four is not to be read");
    let unsendable = format!("the message does not encode: {written}");
    let unreadable = format!("the message does not decode: {read}");
    let channels: [(Sender<Message>, Receiver<Message>); 2] =
        [multiprocess::shm::bounded(4).unwrap(), multiprocess::pipe::channel().unwrap()];
    for (tx, rx) in channels {
        assert_eq!(tx.send(message(3)).unwrap_err().to_string(), unsendable);
        assert_eq!(tx.try_send(message(3)).unwrap_err().to_string(), unsendable);
        assert_eq!(
            tx.send_timeout(message(3), Duration::ZERO).unwrap_err().to_string(),
            unsendable
        );
        let many = tx.send_many([message(1), message(3)]).unwrap_err();
        assert_eq!(many.unsendable.unwrap().to_string(), unsendable);
        assert!(rx.recv().is_ok());
        (0..4).for_each(|_| tx.send(message(4)).unwrap());
        assert_eq!(rx.recv().unwrap_err().to_string(), unreadable);
        assert_eq!(rx.try_recv().unwrap_err().to_string(), unreadable);
        assert_eq!(rx.recv_timeout(Duration::from_secs(60)).unwrap_err().to_string(), unreadable);
        assert_eq!(rx.recv_ref().unwrap_err().to_string(), unreadable);
        tx.send_many([message(4), message(4)]).unwrap();
        assert_eq!(rx.recv_many(&mut Vec::new(), 2).unwrap_err().to_string(), unreadable);
    }
    let (one, other) = multiprocess::pipe::duplex::<Message, Message>().unwrap();
    assert_eq!(one.send(message(3)).unwrap_err().to_string(), unsendable);
    one.send(message(4)).unwrap();
    assert_eq!(other.recv().unwrap_err().to_string(), unreadable);
}
