use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt::Debug;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::*;

const LIMIT: usize = 1 << 20;

fn too_large(size: usize, limit: usize) -> Unsendable {
    Unsendable::TooLarge { size, limit, set_by: SizeLimit::MaxMessage }
}

/// Encodes with a form of its own, so that the type decides.
fn encoded<T: Serialize + DeserializeOwned>(message: &T) -> Vec<u8> {
    let mut bytes = vec![1, 2, 3];
    let len = encode(message, &mut bytes, LIMIT, &Form::new()).unwrap();
    bytes.truncate(len);
    bytes
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapped(Vec<u8>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Unit,
    Newtype(Wrapped),
    Tuple(u8, Vec<u8>),
    Struct { bytes: Vec<u8>, text: String },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[allow(clippy::type_complexity, reason = "of everything something")]
struct All {
    unsigned: (u8, u16, u32, u64, u128, usize),
    signed: (i8, i16, i32, i64, i128),
    floats: (f32, f64),
    others: (bool, char, String, (), Unit),
    options: (Option<u8>, Option<Vec<u8>>, Option<()>, Option<Option<u8>>),
    kinds: Vec<Kind>,
    bytes: (Vec<u8>, [u8; 3], Wrapped),
    other_bytes: (Box<[u8]>, VecDeque<u8>),
    numbers: (Vec<u16>, Vec<u128>, Vec<i8>, Vec<i64>, Vec<f32>, Vec<f64>, VecDeque<f64>),
    nested: Vec<Vec<u8>>,
    not_numbers: (Vec<bool>, Vec<()>, Vec<char>, Vec<[u16; 2]>),
    map: BTreeMap<String, Vec<u8>>,
    std: (Duration, IpAddr, PathBuf, Result<u8, String>),
}

fn all(n: usize) -> All {
    let bytes: Vec<u8> = (0..n).map(|i| (i * 7) as u8).collect();
    let wrapped = Wrapped(bytes.clone());
    let half = |i: &u8| f64::from(*i) / 2.0;
    All {
        unsigned: (1, 300, 1 << 20, 1 << 40, 1 << 100, n),
        signed: (-1, -300, -9, i64::MIN, -5),
        floats: (1.5, -2.5),
        others: (true, 'ß', "text".repeat(n), (), Unit),
        options: (None, Some(bytes.clone()), Some(()), Some(None)),
        kinds: vec![
            Kind::Unit,
            Kind::Newtype(wrapped.clone()),
            Kind::Tuple(3, bytes.clone()),
            Kind::Struct { bytes: bytes.clone(), text: "t".to_owned() },
        ],
        bytes: (bytes.clone(), [1, 2, 3], wrapped),
        other_bytes: (bytes.clone().into(), bytes.clone().into()),
        numbers: (
            vec![700; n],
            vec![1 << 99; n],
            vec![-1; n],
            vec![i64::MIN; n],
            vec![0.5; n],
            bytes.iter().map(half).collect(),
            bytes.iter().map(half).collect(),
        ),
        nested: vec![bytes.clone(), Vec::new(), bytes.clone()],
        not_numbers: (vec![true; n], vec![(); n], vec!['x'; n], vec![[7, 8]; n]),
        map: [("a".to_owned(), bytes.clone()), ("b".to_owned(), bytes)].into(),
        std: (
            Duration::from_millis(n as u64),
            [127, 0, 0, 1].into(),
            "/tmp/ä".into(),
            Err("no".into()),
        ),
    }
}

/// That a message is itself again, in both forms, whatever the buffer held; and that what is cut
/// off anywhere is none.
fn both_forms<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T) {
    let form = Form::new();
    for room in [0, 16, 700, 1 << 16] {
        let mut bytes = vec![0xaa; room];
        let len = encode(message, &mut bytes, LIMIT, &form).unwrap();
        assert_eq!(bytes[len - 1], COMPACT);
        assert_eq!(decode::<T>(&bytes[..len]).as_ref(), Ok(message));
        let mut behind = vec![0xbb; room.max(4)];
        let (end, _) = encode_behind(message, &mut behind, 4, LIMIT, &form).unwrap();
        assert_eq!((&behind[..4], &behind[4..end]), (&[0xbb; 4][..], &bytes[..len]));
    }
    let (described, _) = to_bytes(message).unwrap();
    assert_eq!(decode::<T>(&described).as_ref(), Ok(message));
    for whole in [encoded(message), described] {
        let (form, body) = whole.split_last().unwrap();
        for end in 0..body.len().min(1500) {
            let cut = [&body[..end], &[*form]].concat();
            assert!(decode::<T>(&cut).is_err(), "cut at {end}");
        }
        let longer = [body, &[0, *form]].concat();
        assert_eq!(decode::<T>(&longer), Err(CodecError::Trailing));
    }
}

#[test]
fn every_kind_of_value_is_itself_again_in_both_forms() {
    for n in [0, 1, 100, 130] {
        both_forms(&all(n));
    }
    both_forms(&vec![7u8; 5000]);
    both_forms(&vec![7.5f64; 5000]);
    both_forms(&Wrapped(vec![7; 127]));
    both_forms(&vec![Some(Wrapped(vec![1, 2])), None]);
    both_forms(&HashMap::from([(1u8, "one".to_owned())]));
    both_forms(&());
}

#[test]
fn what_is_larger_than_the_buffer_is_whole() {
    let (mut bytes, form) = (Vec::new(), Form::new());
    for size in [0, 100, 126, 127, 128, 129, 600, 5000, 100] {
        let message: Vec<u32> = (0..size).map(|i| i * 77).collect();
        let len = encode(&message, &mut bytes, LIMIT, &form).unwrap();
        assert_eq!(decode(&bytes[..len]), Ok(message));
        let message: Vec<(u8, u16)> = (0..size).map(|i| (3, i as u16)).collect();
        let len = encode(&message, &mut bytes, LIMIT, &Form::new()).unwrap();
        assert_eq!(decode(&bytes[..len]), Ok(message));
    }
}

#[test]
fn numbers_are_as_in_memory() {
    assert_eq!(encoded(&0x0102_0304u32), [4, 3, 2, 1, COMPACT]);
    assert_eq!(encoded(&vec![1u16, 2]), [2, 0, 0, 0, 1, 0, 2, 0, COMPACT]);
    assert_eq!(encoded(&"ab".to_owned()), [2, 0, 0, 0, b'a', b'b', COMPACT]);
    assert_eq!(encoded(&[u64::MAX; 8]).len(), 65);
    assert_eq!(encoded(&Some(true)), [1, 1, COMPACT]);
}

#[test]
fn the_limit_is_exact() {
    for mut bytes in [Vec::new(), vec![0; 17], vec![0; 100]] {
        let form = Form::new();
        assert_eq!(encode(&[7u8; 16], &mut bytes, 17, &form), Ok(17));
        assert_eq!(encode(&[7u8; 17], &mut bytes, 17, &Form::new()), Err(too_large(18, 17)));
    }
    for mut bytes in [Vec::new(), vec![0; 16], vec![0; 1000]] {
        let form = Form::new();
        assert_eq!(encode_carrying(&[7u8; 16], &mut bytes, 4, 17, &form).unwrap().0, 21);
        let refused = encode_carrying(&[7u8; 17], &mut bytes, 4, 17, &Form::new());
        assert_eq!(refused.unwrap_err(), too_large(18, 17));
        let refused = encode_carrying(&"x".repeat(13), &mut bytes, 4, 17, &Form::new());
        assert_eq!(refused.unwrap_err(), too_large(18, 17));
    }
    // Of the described form, too.
    let value = json!(["text", 1]);
    let len = encoded(&value).len();
    assert_eq!(encode(&value, &mut Vec::new(), len, &Form::new()), Ok(len));
    assert_eq!(
        encode(&value, &mut Vec::new(), len - 1, &Form::new()),
        Err(too_large(len, len - 1))
    );
    let refused = encode_carrying(&value, &mut vec![0; 4], 4, len - 1, &Form::new());
    assert_eq!(refused.unwrap_err(), too_large(len, len - 1));
}

/// Takes what it is given up to `most` bytes, and remembers in how many pieces.
#[derive(Default)]
struct Pieces {
    bytes: Vec<u8>,
    pieces: usize,
    overwritten: usize,
    most: Option<usize>,
}

impl Sink for Pieces {
    fn write(&mut self, bytes: &[u8]) -> Result<(), Unsendable> {
        if self.most.is_some_and(|most| self.bytes.len() + bytes.len() > most) {
            return Err(Unsendable::OutOfMemory);
        }
        self.pieces += 1;
        self.bytes.write(bytes)
    }

    fn overwrite(&mut self, at: usize, bytes: &[u8]) -> Result<(), Unsendable> {
        self.overwritten += 1;
        self.bytes.overwrite(at, bytes)
    }
}

/// Encodes into a sink what the described form makes of a message; how often it was overwritten.
fn in_pieces<T: Serialize>(message: &T) -> usize {
    let mut whole = Vec::new();
    described(message, &mut whole, usize::MAX).unwrap();
    let (len, set_by) = (whole.len(), SizeLimit::FileSize);
    let mut sink = Pieces::default();
    encode_into(message, &mut sink, len, set_by).unwrap();
    assert!(sink.bytes == whole);
    // A buffer may be full with a few bytes to spare, in front of a large number.
    assert!(len <= 1 << 17 || sink.pieces > 1, "{} pieces of {len} bytes", sink.pieces);
    assert!(len > 100_000 || sink.pieces == 1, "{} pieces of {len} bytes", sink.pieces);
    let refused = encode_into(message, &mut Pieces::default(), len - 1, set_by);
    assert_eq!(refused.unwrap_err(), Unsendable::TooLarge { size: len, limit: len - 1, set_by });
    let mut full = Pieces { most: Some(len - 1), ..Pieces::default() };
    let refused = encode_into(message, &mut full, len, set_by);
    assert_eq!(refused.unwrap_err(), Unsendable::OutOfMemory);
    sink.overwritten
}

#[test]
fn large_messages_go_into_a_sink_piece_by_piece() {
    assert_eq!(in_pieces(&all(100)), 0);
    let numbers: Vec<u128> = (0..70_000).map(|n| n << 70).collect();
    // Its length; and that of the tuple.
    assert_eq!(in_pieces(&(7u8, numbers)), 2);
    let texts: Vec<String> = (0..20_000).map(|n| format!("text {n}")).collect();
    assert_eq!(in_pieces(&texts), 1);
    // Texts larger than the buffer, in front of and behind others.
    let long = "long".repeat(100_000);
    assert!(in_pieces(&(1u8, &long, 2u8, &long, vec![0.5; 3])) > 0);
    for len in (1 << 17) - 40..(1 << 17) + 8 {
        in_pieces(&vec![7u8; len]);
        in_pieces(&(1u8, vec![7u16; len / 2]));
        in_pieces(&"x".repeat(len));
    }
}

#[test]
fn bytes_are_written_as_a_whole_up_to_the_limit() {
    for room in [0, 600, 2000] {
        for (len, fits) in [(994, true), (995, true), (996, false), (5000, false)] {
            let (message, form) = (Wrapped(vec![9; len]), Form::new());
            let expected = || if fits { Ok(len + 5) } else { Err(too_large(len + 5, 1000)) };
            assert_eq!(encode(&message, &mut vec![0; room], 1000, &form), expected());
            let behind = encode_carrying(&message, &mut vec![0; room], 4, 1000, &form);
            assert_eq!(behind.map(|(end, _)| end - 4), expected());
        }
    }
}

// fault 78: garbage to the deserialiser.
#[test]
fn garbage_is_an_error() {
    assert_eq!(decode::<bool>(&[2, COMPACT]), Err(CodecError::Invalid));
    assert_eq!(decode::<Option<u8>>(&[9, 9, COMPACT]), Err(CodecError::Invalid));
    assert_eq!(decode::<u64>(&[0x80, COMPACT]), Err(CodecError::Truncated));
    assert_eq!(decode::<u8>(&[1, 2, COMPACT]), Err(CodecError::Trailing));
    assert_eq!(decode::<String>(&[2, 0, 0, 0, 0xff, 0xff, COMPACT]), Err(CodecError::Invalid));
    assert_eq!(decode::<char>(&[0, 0, 0x11, 0, COMPACT]), Err(CodecError::Invalid));
    // Another number of fields, another name.
    let right = encoded(&Kind::Tuple(1, vec![]));
    assert_eq!(decode::<Kind>(&right), Ok(Kind::Tuple(1, vec![])));
    for (at, byte) in [(1, 1), (1, 3), (2, !right[2]), (3, !right[3])] {
        let mut wrong = right.clone();
        wrong[at] = byte;
        assert_eq!(decode::<Kind>(&wrong), Err(CodecError::Invalid));
    }
    // No such form.
    assert_eq!(decode::<()>(&[]), Err(CodecError::Truncated));
    assert_eq!(decode::<()>(&[2]), Err(CodecError::Invalid));
    assert_eq!(decode::<()>(&[99, DESCRIBED]), Err(CodecError::Invalid));
    // Another type.
    let (text, _) = to_bytes(&"text").unwrap();
    assert!(
        matches!(decode::<u8>(&text), Err(CodecError::Refused(why)) if why.contains("expected u8"))
    );
}

fn claim(len: u64, rest: &[u8]) -> [Vec<u8>; 2] {
    let compact = [&u32::MAX.to_le_bytes()[..], &len.to_le_bytes(), rest, &[COMPACT]].concat();
    let count = u32::try_from(len).unwrap_or(u32::MAX);
    [
        compact,
        [&[described::Tag::SEQUENCE.0], &count.to_le_bytes()[..], rest, &[DESCRIBED]].concat(),
    ]
}

// fault 78: a length of 2^63, and one that is credible but not true.
#[test]
fn a_claimed_length_allocates_nothing() {
    for len in [1 << 63, 1 << 40, 5] {
        let [compact, sequence] = claim(len, &[1, 2, 3, 4]);
        let numbers = [
            &[described::Tag::NUMBERS.0, described::Tag::U8.0],
            &len.to_le_bytes()[..],
            &[1, DESCRIBED],
        ];
        for bytes in [compact, sequence, numbers.concat()] {
            let last = *bytes.last().unwrap();
            let truncated =
                |error: CodecError| assert!(error == CodecError::Truncated || last == DESCRIBED);
            truncated(decode::<Vec<u8>>(&bytes).unwrap_err());
            truncated(decode::<Wrapped>(&bytes).unwrap_err());
            truncated(decode::<Vec<Vec<u8>>>(&bytes).unwrap_err());
            truncated(decode::<VecDeque<u8>>(&bytes).unwrap_err());
            truncated(decode::<BTreeMap<u8, u8>>(&bytes).unwrap_err());
            truncated(decode::<String>(&bytes).unwrap_err());
            truncated(decode::<Vec<f64>>(&bytes).unwrap_err());
        }
    }
    let [compact, _] = claim(3, &[1, 2, 3, 4]);
    assert_eq!(decode::<Vec<u8>>(&compact), Err(CodecError::Trailing));
    let [compact, _] = claim(4, &[1, 2, 3, 4]);
    assert_eq!(decode::<Vec<u8>>(&compact), Ok(vec![1, 2, 3, 4]));
}

// fault 78: values that take no bytes, of which there would be some for years.
#[test]
fn a_claimed_length_of_nothing_is_no_endless_loop() {
    for len in [1 << 63, 1 << 21] {
        for bytes in claim(len, &[]) {
            assert_eq!(decode::<Vec<()>>(&bytes), Err(CodecError::Truncated));
            assert_eq!(decode::<Vec<Unit>>(&bytes), Err(CodecError::Truncated));
        }
        assert_eq!(decode::<BTreeMap<(), ()>>(&claim(len, &[])[0]), Err(CodecError::Truncated));
    }
    assert_eq!(decode::<Vec<()>>(&claim(1 << 20, &[])[0]), Ok(vec![(); 1 << 20]));
}

/// A sequence that lies about how many bytes it has, or does not know.
#[derive(Debug, PartialEq)]
struct Liar(Option<usize>);

impl Serialize for Liar {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        struct Claim(Option<usize>, u8);
        impl Iterator for Claim {
            type Item = &'static u8;
            fn next(&mut self) -> Option<&'static u8> {
                self.1 = self.1.checked_sub(1)?;
                Some(&5)
            }
            fn size_hint(&self) -> (usize, Option<usize>) {
                (self.0.unwrap_or(0), self.0)
            }
        }
        serializer.collect_seq(Claim(self.0, 3))
    }
}

impl<'de> Deserialize<'de> for Liar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<u8>::deserialize(deserializer).map(|bytes| Liar(Some(bytes.len())))
    }
}

#[test]
fn a_sequence_of_unknown_length_arrives_and_so_does_a_wrong_one() {
    // What the compact form would write must not be believed, not even by a form that is known.
    let form = Form::new();
    assert_eq!(encode(&Liar(Some(3)), &mut Vec::new(), 1000, &form), Ok(8));
    assert!(form.is_compact());
    for claim in [None, Some(4), Some(2), Some(1 << 40)] {
        let mut bytes = Vec::new();
        let len = encode(&Liar(claim), &mut bytes, 1000, &Form::new()).unwrap();
        assert_eq!(decode(&bytes[..len]), Ok(Liar(Some(3))));
        let (end, _) = encode_carrying(&Liar(claim), &mut bytes, 4, 1000, &Form::new()).unwrap();
        assert_eq!(decode(&bytes[4..end]), Ok(Liar(Some(3))));
    }
}

/// That these arrive, one after the other through one form, and in the described form each.
fn arrive<T: Serialize + DeserializeOwned + PartialEq + Debug>(messages: &[T]) -> u8 {
    let form = Form::new();
    let mut last = DESCRIBED;
    for message in messages {
        for _ in 0..2 {
            let mut bytes = Vec::new();
            let len = encode(message, &mut bytes, LIMIT, &form).unwrap();
            assert_eq!(decode::<T>(&bytes[..len]).as_ref(), Ok(message));
            last = bytes[len - 1];
        }
        let (bytes, _) = to_bytes(message).unwrap();
        assert_eq!(decode::<T>(&bytes).as_ref(), Ok(message));
    }
    last
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Skips {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    name: Option<String>,
    count: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    rest: Option<u8>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SkipsLate {
    #[serde(skip_serializing_if = "Option::is_none", default)]
    name: Option<String>,
    count: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Nothing,
    Struct { x: u32, address: IpAddr },
    Newtype(Skips),
    Large { number: u128 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "what")]
enum Adjacent {
    Nothing,
    Text(String),
    Two(u8, u16),
    Struct { x: f64 },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
    Several(Vec<u8>),
    Struct { address: IpAddr, plain: Kind },
    Perhaps(Option<Option<char>>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: u8,
    #[serde(flatten)]
    skips: Skips,
    #[serde(flatten)]
    more: BTreeMap<String, serde_json::Value>,
}

fn skips(name: Option<&str>, rest: Option<u8>) -> Skips {
    Skips { name: name.map(str::to_owned), count: 7, rest }
}

// fault 104: types that only a form that describes itself can carry.
#[test]
fn types_that_need_a_description_arrive() {
    let address = IpAddr::from([127, 0, 0, 1]);
    // In either order: if the first message skips nothing, the type is taken for a plain one until
    // a later message skips a field. It is another type, since what a type needs is remembered.
    let late = |name: Option<&str>| SkipsLate { name: name.map(str::to_owned), count: 7 };
    assert_eq!(arrive(&[late(Some("a")), late(Some("b"))]), COMPACT);
    assert_eq!(arrive(&[late(Some("a")), late(None)]), DESCRIBED);
    assert_eq!(arrive(&[late(Some("a")), late(None)]), DESCRIBED);
    arrive(&[skips(None, None), skips(Some("a"), Some(1)), skips(None, Some(2))]);
    arrive(&[skips(Some("a"), Some(1)), skips(None, Some(2)), skips(Some("b"), None)]);
    let described = [
        arrive(&[
            Tagged::Nothing,
            Tagged::Struct { x: 1, address },
            Tagged::Newtype(skips(None, Some(1))),
        ]),
        arrive(&[
            Adjacent::Nothing,
            Adjacent::Text("t".into()),
            Adjacent::Two(1, 2),
            Adjacent::Struct { x: 0.5 },
        ]),
        arrive(&[
            Untagged::Number(7),
            Untagged::Text("t".into()),
            Untagged::Several(vec![1, 2]),
            Untagged::Struct { address, plain: Kind::Tuple(1, vec![2]) },
        ]),
        arrive(&[Flat { id: 1, skips: skips(Some("n"), None), more: BTreeMap::new() }]),
        arrive(&[json!(null), json!({"a": 1, "b": [1, -2, 0.5, "x", true, null]})]),
        // Not only at the top.
        arrive(&[(1u8, vec![Some(json!(1)), None], "end".to_owned())]),
    ];
    assert_eq!(described, [DESCRIBED; 6]);
    let more = BTreeMap::from([("x".to_owned(), json!({"y": [1]}))]);
    arrive(&[Flat { id: 1, skips: skips(None, Some(2)), more }]);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Late {
    First(u8),
    Second(Option<Box<Late>>),
    Third { list: Vec<Deep> },
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Deep {
    Plain(u8),
    Not(Tagged),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Holes {
    A,
    #[serde(skip)]
    #[allow(dead_code, reason = "it makes a hole")]
    B,
    C(u8),
    D(u8),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct OneSided {
    #[serde(skip_serializing, default)]
    read: u8,
    #[serde(skip_deserializing)]
    written: u16,
    both: u8,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Expression {
    Sum(Box<Expression>, Box<Expression>),
    All(Vec<Expression>),
    Named(BTreeMap<String, Expression>),
    Maybe(Option<Box<Expression>>),
    Number(std::num::NonZeroU8),
    Shape(Shape),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Point,
    Circle(f32),
    Of(Box<Expression>),
}

// fault 104: what the first message does not show.
#[test]
fn what_later_messages_hold_arrives() {
    let deep = Deep::Not(Tagged::Nothing);
    let late = [
        Late::First(1),
        Late::Second(Some(Box::new(Late::Third { list: vec![Deep::Plain(1), deep] }))),
    ];
    assert_eq!(arrive(&late), DESCRIBED);
    // Variants that only one side counts.
    arrive(&[Holes::A, Holes::C(1), Holes::D(2)]);
    arrive(&[Holes::D(1), Holes::C(2), Holes::A]);
    // Fields that only one side knows, of the same size.
    assert_eq!(arrive(&[OneSided { read: 0, written: 0, both: 3 }]), DESCRIBED);
    // A type that nests in itself, all of whose variants are plain.
    let number = |n| Expression::Number(std::num::NonZeroU8::new(n).unwrap());
    let sum = Expression::Sum(Box::new(number(3)), Box::new(Expression::Shape(Shape::Circle(0.5))));
    let of = Expression::Shape(Shape::Of(Box::new(Expression::All(vec![]))));
    let messages = [
        Expression::Shape(Shape::Point),
        Expression::Maybe(Some(Box::new(Expression::Maybe(None)))),
        Expression::All(vec![number(1), sum]),
        Expression::Named(BTreeMap::from([("of".to_owned(), of)])),
    ];
    assert_eq!(arrive(&messages), COMPACT);
}

/// Takes only what it has checked, as a date or a URL does.
#[derive(Debug, PartialEq)]
struct Checked(String);

impl Serialize for Checked {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Checked {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Check;
        impl serde::de::Visitor<'_> for Check {
            type Value = Checked;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a URL")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Checked, E> {
                match text.starts_with("https:") {
                    true => Ok(Checked(text.to_owned())),
                    false => Err(E::custom("not a URL")),
                }
            }
        }
        deserializer.deserialize_str(Check)
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Request {
    Ping,
    Get { url: Checked, tries: Option<u8> },
}

#[test]
fn types_that_check_what_they_read_get_the_compact_form_when_they_show_a_value() {
    let get = || Request::Get { url: Checked("https://example.org".into()), tries: None };
    assert_eq!(arrive(&[Request::Ping, Request::Ping]), DESCRIBED);
    assert_eq!(arrive(&[get(), Request::Ping]), COMPACT);
}

#[test]
fn a_type_that_shows_nothing_is_described_for_good() {
    /// Reads nothing but what it has written once.
    #[derive(Debug, PartialEq, Serialize)]
    struct Secret(u8, u8);
    impl<'de> Deserialize<'de> for Secret {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            match <(u8, u8)>::deserialize(deserializer)? {
                (77, n) if n != 77 => Ok(Secret(77, n)),
                _ => panic!("not a secret"),
            }
        }
    }
    let form = Form::new();
    for n in 0..2 * 8 {
        let mut bytes = Vec::new();
        let len = encode(&Secret(77, n), &mut bytes, LIMIT, &form).unwrap();
        assert_eq!(bytes[len - 1], DESCRIBED);
        assert_eq!(decode(&bytes[..len]), Ok(Secret(77, n)));
    }
    assert_eq!(form.find_out(&Secret(77, 0)), Ok(false));
}

// fault 104: what does not travel is refused, with the reason.
#[cfg(unix)]
#[test]
fn a_path_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let path = PathBuf::from(std::ffi::OsString::from_vec(vec![b'a', 0xff]));
    let refused = encode(&path, &mut Vec::new(), LIMIT, &Form::new()).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the message does not encode: path contains invalid UTF-8 characters"
    );
    assert_eq!(to_bytes(&(1, path)).unwrap_err(), refused);
}

// fault 104: nor a type that cannot read what it writes: serde has no numbers of 128 bits in tagged
// enums.
#[test]
fn a_type_that_no_form_can_carry_is_refused() {
    let form = Form::new();
    for _ in 0..20 {
        let refused =
            encode(&Tagged::Large { number: 7 }, &mut Vec::new(), LIMIT, &form).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "the message does not encode: its type does not read what it has written: u128 is not supported"
        );
    }
    assert!(encode(&Tagged::Nothing, &mut Vec::new(), LIMIT, &form).is_ok());
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    next: Option<Box<List>>,
}

impl List {
    fn of(len: usize) -> List {
        (1..len).fold(List::default(), |list, _| List { next: Some(Box::new(list)) })
    }

    fn len(&self) -> usize {
        let mut next = &self.next;
        let mut len = 1;
        while let Some(list) = next {
            (len, next) = (len + 1, &list.next);
        }
        len
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

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
struct Onion(Option<Box<Onion>>);

fn onion(skins: usize) -> Onion {
    (0..skins).fold(Onion(None), |inner, _| Onion(Some(Box::new(inner))))
}

// fault 111: deeper than the limit, from a sender that means no harm and from one that does.
#[test]
fn values_nest_up_to_the_limit_and_no_deeper() {
    let form = Form::new();
    for (len, fits) in [(1, true), (MAX_DEPTH, true), (MAX_DEPTH + 1, false), (200_000, false)] {
        let list = List::of(len);
        let mut bytes = Vec::new();
        let encoded = encode(&list, &mut bytes, LIMIT, &form);
        let described = to_bytes(&list);
        if fits {
            assert_eq!(decode::<List>(&bytes[..encoded.unwrap()]).unwrap().len(), len);
            assert_eq!(decode::<List>(&described.unwrap().0).unwrap().len(), len);
        } else {
            let expected = Unsendable::Encode(CodecError::TooDeep);
            assert!(expected.to_string().contains("128 levels"), "{expected}");
            assert_eq!(encoded, Err(expected.clone()));
            assert_eq!(described.unwrap_err(), expected);
        }
        let hostile = [&vec![1; len - 1][..], &[0, COMPACT]].concat();
        assert_eq!(
            decode::<List>(&hostile).map(|list| list.len()),
            if fits { Ok(len) } else { Err(CodecError::TooDeep) }
        );
    }
    // Options in options, without a struct between them: two are a level.
    for (len, fits) in [(2 * MAX_DEPTH, true), (2 * MAX_DEPTH + 1, false), (200_000, false)] {
        let hostile = [&vec![1; len][..], &[0, COMPACT]].concat();
        assert_eq!(decode::<Onion>(&hostile).is_ok(), fits);
    }
    assert_eq!(arrive(&[onion(1), onion(2 * MAX_DEPTH)]), COMPACT);
    let too_deep = onion(2 * MAX_DEPTH + 1);
    let expected = Unsendable::Encode(CodecError::TooDeep);
    assert_eq!(encode(&too_deep, &mut Vec::new(), LIMIT, &Form::new()), Err(expected.clone()));
    assert_eq!(to_bytes(&too_deep).unwrap_err(), expected);
    use described::Tag;
    for (inner, end) in
        [(&[Tag::SOME.0][..], Tag::NONE.0), (&[Tag::SEQUENCE.0, 1, 0, 0, 0], Tag::UNIT.0)]
    {
        let hostile = [&inner.repeat(200_000)[..], &[end, DESCRIBED]].concat();
        assert_eq!(decode::<serde_json::Value>(&hostile), Err(CodecError::TooDeep));
        assert_eq!(decode::<Untagged>(&hostile), Err(CodecError::TooDeep));
        assert!(matches!(
            decode::<List>(&hostile),
            Err(CodecError::TooDeep | CodecError::Refused(_))
        ));
        assert!(matches!(
            decode::<Onion>(&hostile),
            Err(CodecError::TooDeep | CodecError::Refused(_))
        ));
        // What is not of the type at all is skipped, but not deeper.
        let field = [&[Tag::STRUCT.0, 1, 0, 0, 0, 1, b'x'][..], &hostile].concat();
        assert_eq!(decode::<Skips>(&field), Err(CodecError::TooDeep));
    }
}

#[test]
fn values_that_arrive_are_described_as_they_are() {
    assert_eq!(arrive(&[Some(Some(1u8)), Some(None), None]), COMPACT);
    assert_eq!(arrive(&[Some(()), None]), COMPACT);
    // A map with numbers as keys, where JSON would have texts.
    arrive(&[(json!(1), HashMap::from([(7u8, 'x')]))]);
}

#[cfg(unix)]
#[test]
fn a_handle_that_is_handed_over_is_encoded_once() {
    use std::cell::Cell;
    use std::os::fd::OwnedFd;

    /// Gives its handle away when it is encoded, and not a copy.
    struct Given(Cell<Option<OwnedFd>>);
    impl Serialize for Given {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let handle = self.0.take().expect("it is encoded once");
            handle::attach(handle).map_err(serde::ser::Error::custom)?.serialize(serializer)
        }
    }
    impl<'de> Deserialize<'de> for Given {
        fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let handle = handle::take(u32::deserialize(deserializer)?);
            handle
                .map(|handle| Given(Cell::new(Some(handle))))
                .ok_or_else(|| serde::de::Error::custom("none"))
        }
    }
    let (mut bytes, form) = (Vec::new(), Form::new());
    for _ in 0..3 {
        let given = Given(Cell::new(Some(std::fs::File::open("/dev/null").unwrap().into())));
        let (end, handles) = encode_carrying(&given, &mut bytes, 0, LIMIT, &form).unwrap();
        assert!(
            decode_carrying::<Given>(&bytes[..end], handles)
                .is_ok_and(|given| given.0.take().is_some())
        );
    }
}
