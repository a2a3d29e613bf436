//! Any text as a name. It is refused before anything is touched, or it is found again under the
//! name that is shown for it.

use std::ffi::OsStr;
use std::io::ErrorKind::{InvalidInput, NotFound};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use ipc_pipes::Name;
use ipc_shm::Segment;

/// Runs one input.
pub fn run(data: &[u8]) {
    let Some((kind, bytes)) = data.split_first() else { return };
    if kind & 1 == 0 {
        path(bytes);
        if let Ok(text) = std::str::from_utf8(bytes) {
            meeting(text);
        }
    } else if let Ok(text) = std::str::from_utf8(bytes) {
        segment(text);
    }
}

/// Returns whether this can be the name of a file in a directory, on every system.
fn printable(text: &str) -> bool {
    !text.is_empty() && !text.chars().any(|letter| letter == '/' || letter.is_control())
}

fn meeting(text: &str) {
    let plain = printable(text) && !text.starts_with(['.', '@']) && text.len() <= 240;
    let hidden = !text.is_empty() && !text.contains('\0') && text.len() <= 107;
    same(Name::new(text), plain, text);
    let name = same(Name::abstract_name(text), hidden, text);
    assert!(name.is_none_or(|name| name.to_string() == format!("@{text}")));
    // As text, each kind is shown as it is written.
    let whole = text.parse::<Name>();
    match (text.strip_prefix('@'), &whole) {
        (Some(rest), Ok(name)) => assert_eq!(*name, Name::abstract_name(rest).expect("the same")),
        (None, Ok(name)) if text.contains('/') => {
            assert_eq!(*name, Name::path(text).expect("the same"))
        }
        (None, Ok(name)) => assert_eq!(*name, Name::new(text).expect("the same")),
        (_, Err(error)) => assert_eq!(error.kind(), InvalidInput),
    }
    if let Ok(name) = whole {
        assert_eq!(name.to_string(), text);
        assert_eq!(name.to_string().parse::<Name>().expect("a name is a name"), name);
    }
}

/// Returns whether it is a name. It is always shown as text.
fn same(name: std::io::Result<Name>, valid: bool, text: &str) -> Option<Name> {
    match name {
        Ok(name) => {
            assert!(valid, "{text:?} is a name");
            let _ = format!("{name} {name:?}");
            Some(name)
        }
        Err(error) => {
            assert!(!valid && error.kind() == InvalidInput, "{text:?}: {error}");
            assert!(!error.to_string().contains(char::is_control), "{error:?}");
            None
        }
    }
}

fn path(bytes: &[u8]) {
    let file = bytes.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    let name = !file.is_empty() && file != b"." && file != b".." && file.len() <= 240;
    let valid = name && !bytes.contains(&0) && bytes.len() <= 4095;
    match Name::path(OsStr::from_bytes(bytes)) {
        Ok(name) => {
            assert!(valid, "{bytes:?} is a path");
            let shown = name.to_string();
            if let Some(text) =
                std::str::from_utf8(bytes).ok().filter(|text| !text.starts_with('@'))
            {
                let again: Name = shown.parse().expect("a path is a name");
                let whole = if text.contains('/') { text.to_owned() } else { format!("./{text}") };
                assert_eq!(again, Name::path(whole).expect("it was one"));
            }
        }
        Err(error) => assert!(!valid && error.kind() == InvalidInput, "{bytes:?}: {error}"),
    }
}

/// Names that only this process uses.
static OURS: LazyLock<String> = LazyLock::new(|| format!("fuzz-names-{}-", std::process::id()));

fn segment(text: &str) {
    let valid = printable(text)
        && !text.contains('\\')
        && ![".", ".."].contains(&text)
        && text.len() <= 255;
    if !valid {
        for error in [
            Segment::create(text, 1).map(drop).expect_err("it is no name"),
            Segment::open(text).map(drop).expect_err("it is no name"),
            Segment::unlink(text).expect_err("it is no name"),
        ] {
            assert_eq!(error.kind(), InvalidInput, "{text:?}: {error}");
            assert!(!error.to_string().contains(char::is_control), "{error:?}");
        }
        return;
    }
    // Objects under other names do not belong to this process.
    let name = format!("{}{text}", *OURS);
    if name.len() > 255 {
        assert_eq!(Segment::create(&name, 1).map(drop).expect_err("too long").kind(), InvalidInput);
        return;
    }
    let place: PathBuf = Path::new("/dev/shm").join(&name);
    let segment = Segment::create(&name, 1).expect("no segment has such a name");
    assert!(place.exists() && segment.name() == Some(&*name));
    assert!(Segment::open(&name).expect("it is there").same_segment(&segment));
    drop(segment);
    assert!(!place.exists(), "it goes with the last");
    assert_eq!(Segment::open(&name).map(drop).expect_err("it has gone").kind(), NotFound);
}
