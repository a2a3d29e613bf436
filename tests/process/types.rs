//! Messages of any serde type, from process to process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Debug;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use multiprocess::{Receiver, Sender, pipe, shm, spawn};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use testkit::watchdog;

type Ends<T> = (Sender<T>, Receiver<T>);

fn routes<T: Serialize + DeserializeOwned>() -> [Ends<T>; 3] {
    [shm::bounded(8).unwrap(), pipe::channel().unwrap(), pipe::anonymous().unwrap()]
}

/// The text of what was received, as long as there is something.
fn receive<T: Serialize + DeserializeOwned + Debug>(rx: Receiver<T>) -> Vec<String> {
    rx.into_iter().map(|message| format!("{message:?}")).collect()
}

fn identity<T>(message: T) -> T {
    message
}

/// That all of these arrive in another process, on every route, and as arguments and results.
fn arrive<T: Serialize + DeserializeOwned + Debug + Clone + 'static>(messages: &[T]) {
    let texts: Vec<String> = messages.iter().map(|message| format!("{message:?}")).collect();
    for (tx, rx) in routes::<T>() {
        let child = spawn(receive::<T>, rx).unwrap();
        messages.iter().for_each(|message| tx.send(message.clone()).unwrap());
        drop(tx);
        assert_eq!(child.join().unwrap(), texts);
    }
    let returned = spawn(identity::<Vec<T>>, messages.to_vec()).unwrap().join().unwrap();
    assert_eq!(format!("{returned:?}"), format!("{messages:?}"));
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Skips {
    id: u8,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    numbers: Vec<u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Nothing,
    Skips(Skips),
    Struct { x: f64 },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", content = "what")]
enum Adjacent {
    Nothing,
    Text(String),
    Struct { x: f64 },
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
    Skips(Skips),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Flat {
    more: u8,
    #[serde(flatten)]
    skips: Skips,
    #[serde(flatten)]
    rest: BTreeMap<String, Value>,
}

/// As `Skips`, for messages of which the first ones skip nothing. A process remembers what a type
/// needs, so this is a type of its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SkipsLate {
    id: u8,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    name: Option<String>,
}

/// Plain, until the last message.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Late {
    Plain(u64),
    Value(Value),
}

fn skips(id: u8) -> Skips {
    let name = (id % 2 == 1).then(|| "name".to_owned());
    Skips { id, name, numbers: (0..u32::from(id) / 2).collect() }
}

// fault 104
#[test]
fn types_that_need_a_description_arrive_in_another_process() {
    multiprocess::init();
    let _watchdog = watchdog();
    arrive(&[0, 1, 2, 3, 4].map(skips));
    arrive(&[4, 3, 2, 1, 0].map(skips));
    let late = |name: Option<&str>| SkipsLate { id: 7, name: name.map(str::to_owned) };
    arrive(&[late(Some("a")), late(Some("b")), late(None), late(Some("c")), late(None)]);
    arrive(&[
        Tagged::Nothing,
        Tagged::Skips(skips(1)),
        Tagged::Struct { x: 0.5 },
        Tagged::Skips(skips(4)),
        Tagged::Nothing,
    ]);
    let text = || Adjacent::Text("t".into());
    arrive(&[Adjacent::Nothing, text(), Adjacent::Struct { x: 1.5 }, text(), Adjacent::Nothing]);
    let word = || Untagged::Text("w".into());
    arrive(&[
        Untagged::Number(1),
        word(),
        Untagged::Skips(skips(1)),
        Untagged::Skips(skips(2)),
        word(),
    ]);
    arrive(&[
        json!(null),
        json!(1),
        json!("x"),
        json!([1, null, {"a": 0.5}]),
        json!({"b": [true]}),
    ]);
    let rest = BTreeMap::from([("x".to_owned(), json!([1])), ("y".to_owned(), json!(null))]);
    let flat = |id| Flat { more: id, skips: skips(id), rest: rest.clone() };
    arrive(&[0, 1, 2, 3, 4].map(flat));
    arrive(&[
        Late::Plain(1),
        Late::Plain(2),
        Late::Plain(3),
        Late::Plain(4),
        Late::Value(json!([1])),
    ]);
    arrive(&[Some(Some(1)), Some(None), None, Some(Some(2)), None::<Option<u8>>]);
}

// fault 104: what cannot travel says why, before it is sent.
#[test]
fn a_path_that_is_no_text_is_refused_before_it_is_sent() {
    multiprocess::init();
    let _watchdog = watchdog();
    let path = || PathBuf::from(OsString::from_vec(vec![b'a', 0xff]));
    let why = "path contains invalid UTF-8 characters";
    for (tx, rx) in routes::<PathBuf>() {
        let refused = tx.send(path()).unwrap_err();
        assert!(refused.is_unsendable() && refused.to_string().ends_with(why), "{refused}");
        assert!(rx.is_empty());
    }
    let refused = spawn(|_: PathBuf| (), path()).unwrap_err().to_string();
    assert!(
        refused.contains("the arguments do not encode: ") && refused.ends_with(why),
        "{refused}"
    );
    let make = |bytes: Vec<u8>| PathBuf::from(OsString::from_vec(bytes));
    let refused = spawn(make, vec![b'a', 0xff]).unwrap().join().unwrap_err().to_string();
    assert!(refused.ends_with(&format!("does not encode: {why}")), "{refused}");
}

/// Refuses to be read, if it is odd.
#[derive(Debug, Serialize)]
struct Even(u8);

impl<'de> Deserialize<'de> for Even {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            n if n % 2 == 1 => Err(serde::de::Error::custom("an odd one")),
            n => Ok(Even(n)),
        }
    }
}

// fault 104: a loop over a receiver does not end as if all had arrived.
#[test]
fn an_iterator_does_not_end_silently_on_what_cannot_be_read() {
    multiprocess::init();
    let _watchdog = watchdog();
    for how in 0..4 {
        for (tx, rx) in routes::<Even>() {
            let child = match how {
                0 => spawn(|rx: Receiver<Even>| rx.into_iter().count(), rx),
                1 => spawn(|rx: Receiver<Even>| (&rx).into_iter().count(), rx),
                2 => spawn(|rx: Receiver<Even>| until(&rx, |rx| rx.try_iter().count()), rx),
                _ => spawn(|rx: Receiver<Even>| until(&rx, |rx| rx.drain().count()), rx),
            }
            .unwrap();
            for n in [0, 2, 3] {
                tx.send(Even(n)).unwrap();
            }
            // The child may have ended when it received the last one.
            let _ = tx.send(Even(4));
            match child.join() {
                Err(multiprocess::JoinError::Panicked(text)) => {
                    assert!(text.contains("the message does not decode: an odd one"), "{text}");
                }
                other => panic!("{how}: {other:?}"),
            }
        }
    }
}

/// Receives until something is received that cannot be.
fn until(rx: &Receiver<Even>, receive: impl Fn(&Receiver<Even>) -> usize) -> usize {
    let mut received = 0;
    while received < 4 {
        received += receive(rx);
        std::thread::yield_now();
    }
    received
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    next: Option<Box<List>>,
}

impl List {
    fn of(len: usize) -> List {
        (1..len).fold(List::default(), |list, _| List { next: Some(Box::new(list)) })
    }
}

impl Drop for List {
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut list) = next {
            next = list.next.take();
        }
    }
}

// fault 111: deeper than any stack.
#[test]
fn what_is_nested_too_deep_is_refused_on_both_sides() {
    multiprocess::init();
    let _watchdog = watchdog();
    for (tx, rx) in routes::<List>() {
        tx.send(List::of(128)).unwrap();
        assert!(rx.recv().is_ok());
        for len in [129, 200_000] {
            let refused = tx.send(List::of(len)).unwrap_err();
            assert!(refused.to_string().contains("deeper than 128 levels"), "{refused}");
        }
        assert!(rx.is_empty());
    }
    let refused = spawn(|_: List| (), List::of(200_000)).unwrap_err();
    assert!(refused.to_string().contains("deeper than 128 levels"), "{refused}");
    let refused = spawn(List::of, 200_000).unwrap().join().unwrap_err();
    assert!(refused.to_string().contains("deeper than 128 levels"), "{refused}");
    assert!(spawn(identity::<List>, List::of(128)).unwrap().join().is_ok());
}

// fault 111: from a peer that does not keep to the limit.
#[test]
fn a_hostile_list_overflows_no_stack() {
    multiprocess::init();
    let _watchdog = watchdog();
    let server =
        |socket: pipe::Duplex<u8, List>| (0..2).map(|_| socket.recv().is_ok()).collect::<Vec<_>>();
    let (here, there) = pipe::duplex::<List, u8>().unwrap();
    let child = spawn(server, there).unwrap();
    // A message as the crate would send it, if it nested so deep: a byte for each level, an end,
    // and the form.
    let header = [b'm', b'p', 0, 0, 0, 0, 1, 0];
    let hostile = [&header[..], &[1; 90_000], &[0, 0]].concat();
    let sent = rustix::net::send(&here, &hostile, rustix::net::SendFlags::empty());
    assert_eq!(sent, Ok(hostile.len()));
    here.send(List::of(3)).unwrap();
    assert_eq!(child.join().unwrap(), [false, true]);
}
