//! What is encoded decodes to the same, in every way to encode, and takes exactly as much as it says; any bytes
//! are decoded or refused, and what they mean is encoded again in no more bytes than they were.

use std::collections::BTreeMap;
use std::fmt::Debug;

use ipc_core::codec::{decode, decode_carrying, encode, encode_carrying};
use ipc_core::{SizeLimit, Unsendable};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::input::Input;

const LIMIT: usize = 1 << 20;

/// Of everything something.
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
    match input.byte() % 8 {
        0..=2 => {
            let limit = usize::from(input.byte()) << (input.byte() % 8);
            let begin = input.below(64);
            let stale = usize::from(input.byte()) * 8;
            round_trip(&message(&mut input, 0), limit, begin, stale);
        }
        3 => garbage::<Message>(input.0),
        4 => garbage::<Vec<(u16, String)>>(input.0),
        5 => garbage::<(bool, Option<char>, Vec<Vec<u64>>)>(input.0),
        6 => garbage::<BTreeMap<String, f64>>(input.0),
        // As many as one likes take no bytes.
        _ => garbage::<(Vec<()>, Message)>(input.0),
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
            Message::Numbers(n as i8, n as i16, n as i32, n as i64, -i128::from(n), u128::from(n) << 64 | 1)
        }
        3 => Message::Text(text(input).into_iter().map(char::from).collect()),
        4 => Message::Bytes(text(input)),
        5 => Message::Letter(char::from_u32(number(input) as u32).unwrap_or('\u{10ffff}')),
        6 => Message::Perhaps((input.byte() & 1 == 1).then(|| Box::new(message(input, depth + 1)))),
        7 => Message::Several((0..input.below(5)).map(|_| message(input, depth + 1)).collect()),
        8 => {
            let entry = |input: &mut Input<'_>| (number(input) as u16, (input.byte() & 1 == 1, 1.5));
            Message::Table((0..input.below(9)).map(|_| entry(input)).collect())
        }
        _ => {
            let n = number(input);
            let answer = if n & 1 == 0 { Ok(n as u8) } else { Err(n as f64) };
            Message::Named { answer, three: [n as u32; 3], unit: () }
        }
    }
}

fn too_large(size: usize, limit: usize) -> Unsendable {
    Unsendable::TooLarge { size, limit, set_by: SizeLimit::MaxMessage }
}

fn round_trip(message: &Message, limit: usize, begin: usize, stale: usize) {
    let mut bytes = vec![0xaa; stale];
    let len = encode(message, &mut bytes, LIMIT).expect("it is not so large");
    let encoded = bytes[..len].to_vec();
    assert_eq!(decode::<Message>(&encoded).as_ref(), Ok(message));
    assert_eq!(postcard::to_stdvec(message).as_deref(), Ok(&*encoded), "another format");
    // Neither less nor more.
    for short in [len.wrapping_sub(1), len / 2] {
        if let Some(short) = encoded.get(..short).filter(|short| short.len() < len) {
            assert!(decode::<Message>(short).is_err());
        }
    }
    let longer = [&*encoded, &[0]].concat();
    assert!(decode::<Message>(&longer).is_err());

    // The limit is exact, whatever the buffer held.
    for limit in [limit, len, len.saturating_sub(1)] {
        let mut bytes = vec![0x55; stale];
        match encode(message, &mut bytes, limit) {
            Ok(n) => assert!(n == len && len <= limit && bytes[..n] == encoded),
            Err(error) => assert!(error == too_large(len, limit) && len > limit),
        }
        let mut bytes: Vec<u8> = (0..begin.max(stale)).map(|at| at as u8).collect();
        match encode_carrying(message, &mut bytes, begin, limit) {
            Ok((end, handles)) => {
                assert!(len <= limit && handles.is_empty() && bytes[begin..end] == encoded);
                assert!(bytes[..begin].iter().enumerate().all(|(at, byte)| *byte == at as u8));
                assert_eq!(decode_carrying::<Message>(&bytes[begin..end], handles).as_ref(), Ok(message));
            }
            Err(error) => assert!(error == too_large(len, limit) && len > limit),
        }
    }
}

fn garbage<T: Serialize + DeserializeOwned + Debug>(bytes: &[u8]) {
    let Ok(message) = decode::<T>(bytes) else { return };
    let mut again = Vec::new();
    let len = encode(&message, &mut again, LIMIT).expect("it came in fewer bytes");
    assert!(len <= bytes.len(), "{} bytes became {len}", bytes.len());
    let twice = decode::<T>(&again[..len]).expect("it was encoded just now");
    // Text, since one number is not equal to itself.
    assert_eq!(format!("{message:?}"), format!("{twice:?}"));
}
