//! Messages as bytes. An encoded value decodes to the same value, in every way to encode and in
//! both forms, and takes exactly as many bytes as announced. Any bytes are decoded or refused, and
//! a decoded value encodes again. Nothing nests deeper than the limit.

use std::collections::BTreeMap;
use std::fmt::Debug;

use ipc_core::__private::codec::{
    CodecError, Form, MAX_DEPTH, decode, decode_carrying, encode, encode_carrying, to_bytes,
};
use ipc_core::Unsendable;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use testkit::fuzz::Input;

const LIMIT: usize = 1 << 20;

/// A value with a field of every kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Message {
    Nothing,
    Number(u64),
    Numbers(i8, i16, i32, i64, i128, u128),
    Text(String),
    Bytes(Vec<u8>),
    Letter(char),
    Perhaps(Option<Box<Message>>),
    Several(Vec<Message>),
    Table(BTreeMap<u16, (bool, f32)>),
    Named { answer: Result<u8, f64>, three: [u32; 3], unit: () },
}

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    match input.byte() % 12 {
        kind @ 0..=4 => {
            let limit = usize::from(input.byte()) << (input.byte() % 8);
            let begin = input.below(64);
            let stale = usize::from(input.byte()) * 8;
            if kind < 3 {
                round_trip(&message(&mut input, 0), limit, begin, stale);
            } else {
                round_trip(&described(&mut input, 0), limit, begin, stale);
            }
        }
        5 => garbage::<Message>(input.0),
        6 => garbage::<Vec<(u16, String)>>(input.0),
        7 => garbage::<(bool, Option<char>, Vec<Vec<u64>>)>(input.0),
        8 => garbage::<BTreeMap<String, f64>>(input.0),
        // Any number of them takes no bytes.
        9 => garbage::<(Vec<()>, Message)>(input.0),
        10 => garbage::<Described>(input.0),
        _ => nested(1 + usize::from(input.byte())),
    }
}

fn number(input: &mut Input<'_>) -> u64 {
    let few = u64::from(input.byte());
    few << input.below(64) ^ u64::from(input.byte())
}

fn text(input: &mut Input<'_>) -> Vec<u8> {
    let len = usize::from(input.byte()) << (input.byte() % 5);
    let first = input.byte();
    (0..len).map(|at| first.wrapping_add(at as u8)).collect()
}

fn message(input: &mut Input<'_>, depth: usize) -> Message {
    match input.byte() % if depth < 4 { 10 } else { 6 } {
        0 => Message::Nothing,
        1 => Message::Number(number(input)),
        2 => {
            let n = number(input);
            Message::Numbers(
                n as i8,
                n as i16,
                n as i32,
                n as i64,
                -i128::from(n),
                u128::from(n) << 64 | 1,
            )
        }
        3 => Message::Text(text(input).into_iter().map(char::from).collect()),
        4 => Message::Bytes(text(input)),
        5 => Message::Letter(char::from_u32(number(input) as u32).unwrap_or('\u{10ffff}')),
        6 => Message::Perhaps((input.byte() & 1 == 1).then(|| Box::new(message(input, depth + 1)))),
        7 => Message::Several((0..input.below(5)).map(|_| message(input, depth + 1)).collect()),
        8 => {
            let entry =
                |input: &mut Input<'_>| (number(input) as u16, (input.byte() & 1 == 1, 1.5));
            Message::Table((0..input.below(9)).map(|_| entry(input)).collect())
        }
        _ => {
            let n = number(input);
            let answer = if n & 1 == 0 { Ok(n as u8) } else { Err(n as f64) };
            Message::Named { answer, three: [n as u32; 3], unit: () }
        }
    }
}

/// A value of the types that need a description.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Described {
    Plain(Message),
    Skipping(Skipping),
    Tagged(Tagged),
    Adjacent(Adjacent),
    Untagged(Untagged),
    Flat(Flat),
    Nested(Option<Option<Box<Described>>>),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Skipping {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    first: Option<u8>,
    second: u16,
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    third: Vec<u16>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Nothing,
    Newtype(Skipping),
    Struct { text: String, letters: Vec<char> },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "what")]
enum Adjacent {
    Nothing,
    Bytes(Vec<u8>),
    Two(bool, Tagged),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
    Numbers(Vec<u16>),
    Adjacent { inner: Adjacent },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    skipping: Skipping,
    #[serde(flatten)]
    rest: BTreeMap<String, Untagged>,
}

fn letters(input: &mut Input<'_>) -> String {
    text(input).into_iter().map(char::from).collect()
}

fn skipping(input: &mut Input<'_>) -> Skipping {
    let second = number(input) as u16;
    let first = (second & 1 == 1).then_some(second as u8);
    Skipping { first, second, third: vec![second; input.below(4)] }
}

fn tagged(input: &mut Input<'_>) -> Tagged {
    match input.byte() % 3 {
        0 => Tagged::Nothing,
        1 => Tagged::Newtype(skipping(input)),
        _ => Tagged::Struct { text: letters(input), letters: letters(input).chars().collect() },
    }
}

fn adjacent(input: &mut Input<'_>) -> Adjacent {
    match input.byte() % 3 {
        0 => Adjacent::Nothing,
        1 => Adjacent::Bytes(text(input)),
        _ => Adjacent::Two(input.byte() & 1 == 1, tagged(input)),
    }
}

fn untagged(input: &mut Input<'_>) -> Untagged {
    match input.byte() % 4 {
        0 => Untagged::Number(number(input)),
        1 => Untagged::Text(letters(input)),
        2 => Untagged::Numbers(vec![number(input) as u16; input.below(9)]),
        _ => Untagged::Adjacent { inner: adjacent(input) },
    }
}

fn described(input: &mut Input<'_>, depth: usize) -> Described {
    match input.byte() % if depth < 4 { 7 } else { 6 } {
        0 => Described::Plain(message(input, 3)),
        1 => Described::Skipping(skipping(input)),
        2 => Described::Tagged(tagged(input)),
        3 => Described::Adjacent(adjacent(input)),
        4 => Described::Untagged(untagged(input)),
        5 => {
            // Names of their own: what is flattened shares one map.
            let mut rest = BTreeMap::new();
            for _ in 0..input.below(4) {
                rest.insert(format!("_{}", letters(input)), untagged(input));
            }
            Described::Flat(Flat { id: input.byte(), skipping: skipping(input), rest })
        }
        _ => match input.byte() % 3 {
            0 => Described::Nested(None),
            1 => Described::Nested(Some(None)),
            _ => Described::Nested(Some(Some(Box::new(described(input, depth + 1))))),
        },
    }
}

/// A list, of one value per level.
#[derive(Debug, Serialize, Deserialize)]
struct List(u8, Option<Box<List>>);

/// Any depth: the value arrives, or is refused on either side, in either form.
fn nested(depth: usize) {
    let list = (1..depth).fold(List(0, None), |list, _| List(0, Some(Box::new(list))));
    let fits = depth <= MAX_DEPTH;
    let mut bytes = Vec::new();
    let refused = Unsendable::Encode(CodecError::TooDeep);
    match encode(&list, &mut bytes, LIMIT, &Form::new()) {
        Ok(len) => assert!(fits && decode::<List>(&bytes[..len]).is_ok()),
        Err(error) => assert!(!fits && error == refused),
    }
    match to_bytes(&list) {
        Ok((bytes, _)) => assert!(fits && decode::<List>(&bytes).is_ok()),
        Err(error) => assert!(!fits && error == refused),
    }
    let hostile = [&[0, 1].repeat(depth - 1)[..], &[0, 0, COMPACT]].concat();
    assert_eq!(decode::<List>(&hostile).is_ok(), fits);
}

/// Returns the last byte of a message: its form.
const COMPACT: u8 = 0;
const DESCRIBED: u8 = 1;

fn round_trip<T>(message: &T, limit: usize, begin: usize, stale: usize)
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let form = Form::new();
    let mut bytes = vec![0xaa; stale];
    let len = encode(message, &mut bytes, LIMIT, &form).expect("it is not so large");
    let encoded = bytes[..len].to_vec();
    assert_eq!(decode::<T>(&encoded).as_ref(), Ok(message));
    let (described, _) = to_bytes(message).expect("it is not so large");
    assert_eq!(decode::<T>(&described).as_ref(), Ok(message));
    // Exactly this many bytes.
    let (last, body) = encoded.split_last().expect("its form");
    for short in [body.len().saturating_sub(1), body.len() / 2] {
        if short < body.len() {
            assert!(decode::<T>(&[&body[..short], &[*last]].concat()).is_err());
        }
    }
    assert!(decode::<T>(&[body, &[0, *last]].concat()).is_err());

    // The limit is exact, whatever the buffer held.
    let too_large = |error: Unsendable, most: usize| {
        assert!(
            matches!(error, Unsendable::TooLarge { size, limit, .. } if size == len && limit == most && len > most)
        );
    };
    for limit in [limit, len, len.saturating_sub(1)] {
        let mut bytes = vec![0x55; stale];
        match encode(message, &mut bytes, limit, &form) {
            Ok(n) => assert!(n == len && len <= limit && bytes[..n] == encoded),
            Err(error) => too_large(error, limit),
        }
        let mut bytes: Vec<u8> = (0..begin.max(stale)).map(|at| at as u8).collect();
        match encode_carrying(message, &mut bytes, begin, limit, &form) {
            Ok((end, handles)) => {
                assert!(len <= limit && handles.is_empty() && bytes[begin..end] == encoded);
                assert!(bytes[..begin].iter().enumerate().all(|(at, byte)| *byte == at as u8));
                assert_eq!(decode_carrying::<T>(&bytes[begin..end], handles).as_ref(), Ok(message));
            }
            Err(error) => too_large(error, limit),
        }
    }
}

/// Decodes foreign bytes, in either form.
fn garbage<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    for form in [COMPACT, DESCRIBED] {
        let bytes = [bytes, &[form]].concat();
        let Ok(message) = decode::<T>(&bytes) else { continue };
        let mut again = Vec::new();
        let len = encode(&message, &mut again, LIMIT, &Form::new()).expect("it came in few bytes");
        assert!(form == DESCRIBED || again[len - 1] == DESCRIBED || len <= bytes.len());
        let twice = decode::<T>(&again[..len]).expect("it was encoded just now");
        // Text, since one number is not equal to itself.
        assert_eq!(format!("{message:?}"), format!("{twice:?}"));
    }
}
