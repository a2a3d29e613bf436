use std::collections::{BTreeMap, VecDeque};
use std::fmt::Debug;

use serde::Deserialize;

use super::*;

#[test]
fn what_is_encoded_decodes_to_the_same() {
    let message = (7u64, "seven".to_owned(), vec![Some(1.5f32), None]);
    let mut bytes = vec![1, 2, 3];
    let len = encode(&message, &mut bytes, 1 << 20).unwrap();
    assert_eq!(decode(&bytes[..len]), Ok(message));
}

#[test]
fn what_is_larger_than_the_buffer_is_whole() {
    let mut bytes = Vec::new();
    for size in [0, 100, 510, 511, 512, 600, 5000, 100] {
        let message: Vec<u32> = (0..size).map(|i| i * 77).collect();
        let len = encode(&message, &mut bytes, 1 << 20).unwrap();
        assert_eq!(decode(&bytes[..len]), Ok(message));
    }
}

const TOO_LARGE: Unsendable = too_large(17, 16);

const fn too_large(size: usize, limit: usize) -> Unsendable {
    Unsendable::TooLarge { size, limit, set_by: SizeLimit::MaxMessage }
}

#[test]
fn the_limit_is_exact() {
    for mut bytes in [Vec::new(), vec![0; 16], vec![0; 100]] {
        assert_eq!(encode(&[7u8; 16], &mut bytes, 16), Ok(16));
        let refused = encode(&[7u8; 17], &mut bytes, 16);
        assert_eq!(refused, Err(TOO_LARGE));
    }
}

#[test]
fn what_is_encoded_behind_something_grows_and_keeps_it() {
    for size in [0, 100, 505, 511, 512, 600, 5000, 100] {
        let mut bytes = b"head".to_vec();
        let message: Vec<u32> = (0..size).map(|i| i * 77).collect();
        let (end, handles) = encode_carrying(&message, &mut bytes, 4, 1 << 20).unwrap();
        assert_eq!((&bytes[..4], handles.len()), (&b"head"[..], 0));
        assert_eq!(decode_carrying(&bytes[4..end], handles), Ok(message));
    }
    for mut bytes in [Vec::new(), vec![0; 16], vec![0; 1000]] {
        assert_eq!(encode_carrying(&[7u8; 16], &mut bytes, 4, 16).unwrap().0, 20);
        let refused = encode_carrying(&[7u8; 17], &mut bytes, 4, 16);
        assert_eq!(refused.unwrap_err(), TOO_LARGE);
        let refused = encode_carrying(&"x".repeat(17), &mut bytes, 4, 16);
        assert_eq!(refused.unwrap_err(), too_large(18, 16));
    }
}

// fault 78: garbage to the deserialiser.
#[test]
fn garbage_is_an_error() {
    assert_eq!(decode::<bool>(&[2]), Err(CodecError::Invalid));
    assert_eq!(decode::<Option<u8>>(&[9, 9]), Err(CodecError::Invalid));
    assert_eq!(decode::<u64>(&[0x80]), Err(CodecError::Truncated));
    assert_eq!(decode::<u8>(&[1, 2]), Err(CodecError::Trailing));
    assert_eq!(decode::<String>(&[2, 0xff, 0xff]), Err(CodecError::Invalid));
    let length_2_63 = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1];
    assert_eq!(decode::<Vec<u64>>(&length_2_63), Err(CodecError::Truncated));
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
struct All {
    unsigned: (u8, u16, u32, u64, u128, usize),
    signed: (i8, i16, i32, i64, i128),
    floats: (f32, f64),
    others: (bool, char, String, (), Unit),
    options: (Option<u8>, Option<Vec<u8>>, Option<()>),
    kinds: Vec<Kind>,
    bytes: (Vec<u8>, [u8; 3], Wrapped),
    other_bytes: (Box<[u8]>, VecDeque<u8>),
    nested: Vec<Vec<u8>>,
    not_bytes: (Vec<i8>, Vec<bool>, Vec<u16>, Vec<()>),
    map: BTreeMap<String, Vec<u8>>,
}

fn all(n: usize) -> All {
    let bytes: Vec<u8> = (0..n).map(|i| (i * 7) as u8).collect();
    let wrapped = Wrapped(bytes.clone());
    All {
        unsigned: (1, 300, 1 << 20, 1 << 40, 1 << 100, n),
        signed: (-1, -300, -9, i64::MIN, -5),
        floats: (1.5, -2.5),
        others: (true, 'ß', "text".repeat(n), (), Unit),
        options: (None, Some(bytes.clone()), Some(())),
        kinds: vec![
            Kind::Unit,
            Kind::Newtype(wrapped.clone()),
            Kind::Tuple(3, bytes.clone()),
            Kind::Struct { bytes: bytes.clone(), text: "t".to_owned() },
        ],
        bytes: (bytes.clone(), [1, 2, 3], wrapped),
        other_bytes: (bytes.clone().into(), bytes.clone().into()),
        nested: vec![bytes.clone(), Vec::new(), bytes.clone()],
        not_bytes: (vec![-1; n], vec![true; n], vec![700; n], vec![(); n]),
        map: [("a".to_owned(), bytes.clone()), ("b".to_owned(), bytes)].into(),
    }
}

/// That both encoders write what postcard alone writes, and that it is read again.
fn as_postcard<T: Serialize + DeserializeOwned + PartialEq + Debug>(message: &T) {
    let theirs = postcard::to_stdvec(message).unwrap();
    for room in [0, 16, 700, 1 << 16] {
        let mut bytes = vec![0; room];
        let len = encode(message, &mut bytes, 1 << 20).unwrap();
        assert_eq!(bytes[..len], theirs);
        let mut bytes = vec![0; room];
        let (end, _) = encode_carrying(message, &mut bytes, 4, 1 << 20).unwrap();
        assert_eq!(bytes[4..end], theirs);
    }
    assert_eq!(decode::<T>(&theirs).as_ref(), Ok(message));
    // And that what is cut off anywhere is no message.
    for end in 0..theirs.len().min(2000) {
        decode::<T>(&theirs[..end]).unwrap_err();
    }
}

#[test]
fn the_format_is_postcards() {
    for n in [0, 1, 100, 130] {
        as_postcard(&all(n));
    }
    as_postcard(&vec![7u8; 5000]);
    as_postcard(&Wrapped(vec![7; 127]));
    as_postcard(&vec![Some(Wrapped(vec![1, 2])), None]);
}

#[test]
fn bytes_are_written_as_a_whole_up_to_the_limit() {
    for room in [0, 600, 2000] {
        for (len, fits) in [(997, true), (998, true), (999, false), (5000, false)] {
            let message = Wrapped(vec![9; len]);
            let too_large = || Err(too_large(len + 2, 1000));
            let mut bytes = vec![0; room];
            let encoded = encode(&message, &mut bytes, 1000);
            assert_eq!(encoded, if fits { Ok(len + 2) } else { too_large() });
            let mut bytes = vec![0; room];
            let encoded = encode_carrying(&message, &mut bytes, 4, 1000).map(|(end, _)| end);
            assert_eq!(encoded, if fits { Ok(len + 6) } else { too_large() });
        }
    }
}

/// A sequence that lies about how many bytes it has, or does not know.
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

#[test]
fn a_sequence_of_unknown_length_is_refused_and_so_is_a_wrong_one() {
    for claim in [None, Some(4), Some(1 << 40)] {
        let refused = encode(&Liar(claim), &mut Vec::new(), 1000);
        let too_large = claim == Some(1 << 40);
        match refused {
            // As it claims.
            Err(Unsendable::TooLarge { size, limit: 1000, .. }) if too_large => assert!(size > 1 << 40),
            refused => assert_eq!(refused, Err(Unsendable::Encode(CodecError::Unsupported))),
        }
        assert!(encode_carrying(&Liar(claim), &mut Vec::new(), 0, 1000).is_err());
    }
    assert_eq!(encode(&Liar(Some(3)), &mut Vec::new(), 1000), Ok(4));
}

// fault 78: a length of 2^63, and one that is credible but not true.
#[test]
fn a_claimed_length_allocates_nothing() {
    let claim = |len: u64, rest: &[u8]| [postcard::to_stdvec(&len).unwrap(), rest.to_vec()].concat();
    for len in [1 << 63, 1 << 40, 5] {
        let bytes = claim(len, &[1, 2, 3, 4]);
        assert_eq!(decode::<Vec<u8>>(&bytes), Err(CodecError::Truncated));
        assert_eq!(decode::<Wrapped>(&bytes), Err(CodecError::Truncated));
        assert_eq!(decode::<Vec<Vec<u8>>>(&bytes), Err(CodecError::Truncated));
        assert_eq!(decode::<VecDeque<u8>>(&bytes), Err(CodecError::Truncated));
        assert_eq!(decode::<BTreeMap<u8, u8>>(&bytes), Err(CodecError::Truncated));
    }
    assert_eq!(decode::<Vec<u8>>(&claim(3, &[1, 2, 3, 4])), Err(CodecError::Trailing));
}

// fault 78: values that take no bytes, of which there would be some for years.
#[test]
fn a_claimed_length_of_nothing_is_no_endless_loop() {
    let claim = |len: u64| postcard::to_stdvec(&len).unwrap();
    assert_eq!(decode::<Vec<()>>(&claim(1 << 63)), Err(CodecError::Truncated));
    assert_eq!(decode::<Vec<Unit>>(&claim(1 << 21)), Err(CodecError::Truncated));
    assert_eq!(decode::<BTreeMap<(), ()>>(&claim(u64::MAX)), Err(CodecError::Truncated));
    assert_eq!(decode::<Vec<()>>(&claim(1 << 20)), Ok(vec![(); 1 << 20]));
}
