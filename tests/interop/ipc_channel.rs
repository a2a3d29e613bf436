//! Channels of the crate `ipc-channel` behind our ends: what moves over, what travels, what is
//! refused.
#![cfg(target_os = "linux")]

use std::time::{Duration, Instant};

use ipc_channel::ipc::{IpcReceiver, IpcSender};
use ipc_core::NotCarried;
use ipc_pipes::ipc_channel::{
    Receiver, Sender, channel, into_ipc_receiver, into_ipc_sender, receiver, sender,
};
use multiprocess::process::Builder;
use multiprocess::{JoinHandle, Unreadable, Unsendable, bounded, pipe};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use testkit::{descriptors, watchdog};

fn child<A, R>(f: fn(A) -> R, args: A) -> JoinHandle<R>
where
    A: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
{
    Builder::new().kill_on_drop(true).spawn(f, args).unwrap()
}

#[test]
fn either_end_of_a_channel_moves_over_and_back() {
    let _watchdog = watchdog();
    let (tx, rx) = ipc_channel::ipc::channel::<(u64, String)>().unwrap();
    let (a, b) = ((1, "one".to_owned()), (2, "two".repeat(100_000)));
    let ours: Sender<_> = sender(tx.clone());
    ours.send(a.clone()).unwrap();
    tx.send((3, String::new())).unwrap();
    assert_eq!(rx.recv().unwrap(), a);
    let rx: Receiver<_> = receiver(rx);
    assert_eq!(rx.recv().unwrap().0, 3);
    // A message that goes in pieces waits for its receiver.
    let theirs: IpcSender<_> = into_ipc_sender(ours);
    let big = b.clone();
    let sending = std::thread::spawn(move || theirs.send(big).unwrap());
    assert_eq!(rx.recv().unwrap(), b);
    sending.join().unwrap();

    let clone = rx.clone();
    let rx = into_ipc_receiver(rx).unwrap_err();
    drop(clone);
    let rx: IpcReceiver<_> = into_ipc_receiver(rx).unwrap();
    tx.send(a.clone()).unwrap();
    let rx: Receiver<_> = receiver(rx);
    assert_eq!(rx.len(), 1, "counted, and so kept");
    let rx = into_ipc_receiver(rx).unwrap_err();
    assert_eq!(rx.recv().unwrap(), a);
    drop(tx);
    assert!(into_ipc_receiver(rx).unwrap().recv().is_err());
}

/// Gets a sender in a message of our route and answers on it.
fn answer(inbox: multiprocess::Receiver<(u64, Sender<u64>)>) {
    for (number, to) in inbox {
        to.send(number * 2).unwrap();
    }
}

#[test]
fn a_sender_travels_in_messages_that_carry_handles_and_works_there() {
    multiprocess::init();
    let _watchdog = watchdog();
    // In a child, where no other test opens anything meanwhile.
    let ask = |()| {
        let (inbox, outbox) = pipe::channel().unwrap();
        let child = child(answer, outbox);
        let (tx, rx) = channel::<u64>().unwrap();
        let warm_up = descriptors();
        for n in 0..20 {
            inbox.send((n, tx.clone())).unwrap();
            assert_eq!(rx.recv(), Ok(n * 2));
        }
        assert!(descriptors() <= warm_up + 3, "{} from {warm_up}", descriptors());
        drop(tx);
        drop(inbox);
        child.join().unwrap();
        assert!(rx.recv().unwrap_err().is_disconnected(), "the child's are gone, too");
    };
    child(ask, ()).join().unwrap();
}

#[test]
fn a_sender_in_the_arguments_of_a_process_works_there() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (tx, rx) = channel::<String>().unwrap();
    let child = child(|tx: Sender<String>| tx.send("hello".into()).unwrap(), tx);
    assert_eq!(rx.recv().unwrap(), "hello");
    child.join().unwrap();
    assert!(rx.recv().unwrap_err().is_disconnected());
}

#[test]
fn where_only_bytes_go_ends_are_refused() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u64>().unwrap();
    let (by_bytes, _keep) = bounded::<Sender<u64>>(1).unwrap();
    let refused = by_bytes.send(tx.clone()).unwrap_err();
    assert!(matches!(
        refused,
        multiprocess::SendError::Unsendable(_, Unsendable::Handles(NotCarried::BytesOnly))
    ));
    let (handles, _keep) = pipe::channel::<Receiver<u64>>().unwrap();
    let refused = handles.send(rx).unwrap_err();
    assert!(refused.is_unsendable());
    // It came back whole.
    let rx = refused.into_inner();
    tx.send(7).unwrap();
    assert_eq!(rx.recv(), Ok(7));
}

#[test]
fn our_ends_travel_in_its_messages_as_its_own_do() {
    let _watchdog = watchdog();
    #[derive(Serialize, Deserialize)]
    struct Mixed {
        theirs: IpcSender<u64>,
        ours: Sender<u64>,
        receiver: Receiver<u64>,
    }
    let (theirs, from_theirs) = ipc_channel::ipc::channel().unwrap();
    let (ours, from_ours) = channel::<u64>().unwrap();
    let (to_receiver, receiver) = channel::<u64>().unwrap();
    to_receiver.send(3).unwrap();
    let mixed = Mixed { theirs, ours, receiver };
    // Over our route, and over its own.
    let (by_ours, at_ours) = channel::<Mixed>().unwrap();
    by_ours.send(mixed).unwrap();
    let mixed = at_ours.recv().unwrap();
    let (by_theirs, at_theirs) = ipc_channel::ipc::channel::<Mixed>().unwrap();
    by_theirs.send(mixed).unwrap();
    let mixed = at_theirs.recv().unwrap();
    mixed.theirs.send(1).unwrap();
    assert_eq!(from_theirs.recv().unwrap(), 1);
    mixed.ours.send(2).unwrap();
    assert_eq!(from_ours.recv(), Ok(2));
    assert_eq!(mixed.receiver.recv(), Ok(3));
    to_receiver.send(4).unwrap();
    assert_eq!(mixed.receiver.recv(), Ok(4));
}

/// Encodes, or does not; never decodes.
#[derive(Debug, PartialEq)]
struct Picky(u8);

impl Serialize for Picky {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            0 => Err(serde::ser::Error::custom("not this one")),
            1 => panic!("nor this one"),
            n => serializer.serialize_u8(n),
        }
    }
}

impl<'de> Deserialize<'de> for Picky {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            3 => Err(serde::de::Error::custom("this I do not read")),
            n => Ok(Picky(n)),
        }
    }
}

// fault 105
#[test]
fn what_does_not_encode_comes_back_and_its_ends_go_nowhere_else() {
    let _watchdog = watchdog();
    type Message = (Option<IpcSender<u64>>, Picky);
    let (tx, rx) = channel::<Message>().unwrap();
    let (inner, at_inner) = ipc_channel::ipc::channel::<u64>().unwrap();
    let error = tx.send((Some(inner), Picky(0))).unwrap_err();
    assert!(error.is_unsendable() && error.to_string().ends_with(": not this one"), "{error}");
    let (inner, picky) = error.into_inner();
    assert_eq!(picky, Picky(0));
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        tx.send((inner.clone(), Picky(1)))
    }));
    assert!(unwound.is_err(), "the message's own panic");
    tx.send((None, Picky(2))).unwrap();
    assert_eq!(rx.recv().unwrap().1, Picky(2));
    // The last sender is this one: no copy has gone along with another message.
    drop(inner);
    assert!(at_inner.recv().is_err());

    tx.send((None, Picky(3))).unwrap();
    assert!(matches!(
        rx.recv().unwrap_err(),
        multiprocess::RecvError::Unreadable(Unreadable::Decode(_))
    ));
    tx.send((None, Picky(4))).unwrap();
    assert_eq!(rx.recv().unwrap().1, Picky(4));
}

#[test]
fn more_handles_than_it_sends_are_refused() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<Vec<IpcSender<u64>>>().unwrap();
    let (inner, at_inner) = ipc_channel::ipc::channel::<u64>().unwrap();
    let error = tx.send(vec![inner.clone(); 65]).unwrap_err();
    assert!(matches!(
        error,
        multiprocess::SendError::Unsendable(_, Unsendable::Handles(NotCarried::TooMany))
    ));
    assert_eq!(error.into_inner().len(), 65);
    tx.send(vec![inner; 60]).unwrap();
    for (n, inner) in rx.recv().unwrap().iter().enumerate() {
        inner.send(n as u64).unwrap();
        assert_eq!(at_inner.recv().unwrap(), n as u64);
    }
}

/// Sends a message that goes in pieces, of which the second is never received.
fn send_large(tx: Sender<Vec<u8>>) {
    let _ = tx.send(vec![7; 4 << 20]);
}

#[test]
fn a_sender_killed_in_the_middle_of_a_large_message_has_sent_nothing() {
    multiprocess::init();
    let _watchdog = watchdog();
    let (tx, rx) = channel::<Vec<u8>>().unwrap();
    let child = child(send_large, tx.clone());
    // The first piece is there; the rest waits for room.
    while tx.is_empty() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    assert!(child.join().is_err());
    assert!(rx.try_recv().unwrap_err().is_empty(), "not the torn one, and not the end");
    tx.send(vec![1]).unwrap();
    assert_eq!(rx.recv().unwrap(), [1]);
    let began = Instant::now();
    assert!(rx.recv_timeout(Duration::from_millis(50)).unwrap_err().is_timeout());
    assert!(began.elapsed() >= Duration::from_millis(50));
    drop(tx);
    assert!(rx.recv().unwrap_err().is_disconnected());
}

#[test]
fn a_wait_in_a_clone_does_not_keep_others_from_looking() {
    let _watchdog = watchdog();
    let (tx, rx) = channel::<u64>().unwrap();
    let waiting = {
        let rx = rx.clone();
        std::thread::spawn(move || rx.recv())
    };
    // Not a synchronization: if it ends early, the test shows less.
    std::thread::sleep(Duration::from_millis(20));
    let began = Instant::now();
    assert!(rx.try_recv().unwrap_err().is_empty());
    assert!(rx.is_empty());
    assert!(rx.recv_timeout(Duration::from_millis(20)).unwrap_err().is_timeout());
    assert!(began.elapsed() < Duration::from_secs(5));
    tx.send(1).unwrap();
    assert_eq!(waiting.join().unwrap(), Ok(1));
    tx.send(2).unwrap();
    assert_eq!(rx.recv(), Ok(2));
}
