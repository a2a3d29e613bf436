//! Names that processes meet by.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use ipc_sys as sys;

/// A place where processes meet.
///
/// A [`Listener`](crate::Listener) is bound to a name, and [`connect`](crate::connect()) looks for
/// it.
///
/// | | written | lives in | seen by | after kill -9 |
/// |---|---|---|---|---|
/// | [`new`](Name::new) | `orders` | a directory that only this user may enter | this user | taken over by the next `bind` |
/// | [`path`](Name::path) | `/run/shop/orders`, `./orders` | the file system | users that the directory admits | taken over by the next `bind` |
/// | [`abstract_name`](Name::abstract_name) | `@orders` | the network namespace (Linux) | every user of the machine | gone |
///
/// A plain name is the choice that needs no thought. Its directory is
/// `$XDG_RUNTIME_DIR/multiprocess`. It is `/tmp/multiprocess-<user>` if that variable is not set,
/// or if its directory is not private to this user. The directory is made with mode 0700 if it is
/// not there, and refused if it belongs to another user. Processes of one user that do not share
/// that variable, such as a login session and a cron job, meet by a path.
///
/// An abstract name is not a file. It never stays behind, but any user may take it first. So both
/// sides check the user of the other before they send anything.
///
/// The table shows how a name is written as text. [`FromStr`] parses that, and every function that
/// takes a name takes such text too ([`ToName`]).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Kind);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Kind {
    Plain(String),
    Path(PathBuf),
    Abstract(String),
}

/// A name, found on this machine.
#[derive(Debug)]
pub(crate) enum Place {
    /// A file name in a directory.
    File(sys::name::Directory, OsString),
    Abstract(Vec<u8>),
}

impl Name {
    /// Bytes of the longest file name: what file systems take, less what a lock beside it is
    /// called.
    const LONGEST: usize = 240;
    /// Bytes of the longest path, as the kernel takes it. A longer one than fits a socket address
    /// (107 bytes) is no trouble: the address is made of the directory's descriptor.
    const LONGEST_PATH: usize = 4095;
    /// Bytes of the longest abstract name: all of it is part of the address.
    const LONGEST_ABSTRACT: usize = 107;

    /// Makes a name that is private to this user.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the name is empty, is longer than 240 bytes, begins with `.` or `@`, or
    /// contains a slash or a control character.
    pub fn new(name: impl Into<String>) -> io::Result<Name> {
        let name = name.into();
        let refuse = |what: &str| Err(invalid(&name, what));
        if name.is_empty() {
            return refuse("a name cannot be empty");
        }
        if name.contains('/') {
            return refuse("a plain name has no slash in it; for a file elsewhere use Name::path");
        }
        if name.starts_with('.') {
            return refuse("a plain name does not begin with a dot");
        }
        if name.starts_with('@') {
            return refuse(
                "a plain name does not begin with @; for an abstract one use Name::abstract_name",
            );
        }
        if name.chars().any(char::is_control) {
            return refuse("a plain name has no control characters in it");
        }
        if name.len() > Self::LONGEST {
            return refuse("a plain name has at most 240 bytes");
        }
        Ok(Name(Kind::Plain(name)))
    }

    /// Makes a name that is a file: a socket at this path. The directory must exist.
    ///
    /// A relative path is looked up from the directory that is current when the name is used.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the path does not end in a file name, the file name is longer than 240
    /// bytes, the path is longer than 4095 bytes, or it contains a NUL.
    pub fn path(path: impl Into<PathBuf>) -> io::Result<Name> {
        let path = path.into();
        let bytes = path.as_os_str().as_encoded_bytes();
        let refuse = |what: &str| Err(invalid(path.display(), what));
        if bytes.contains(&0) {
            return refuse("a path has no NUL in it");
        }
        if bytes.len() > Self::LONGEST_PATH {
            return refuse("a path has at most 4095 bytes");
        }
        let file = match path.components().next_back() {
            Some(Component::Normal(file)) if bytes.ends_with(file.as_encoded_bytes()) => file,
            _ => return refuse("the path does not end in a file name"),
        };
        if file.len() > Self::LONGEST {
            return refuse("the file name of a socket has at most 240 bytes");
        }
        Ok(Name(Kind::Path(path)))
    }

    /// Makes a name that is not a file, in the network namespace of this process (Linux).
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the name is empty, is longer than 107 bytes, or contains a NUL.
    pub fn abstract_name(name: impl Into<String>) -> io::Result<Name> {
        let name = name.into();
        let refuse = |what: &str| Err(invalid(&name, what));
        if name.is_empty() {
            return refuse("an abstract name cannot be empty");
        }
        if name.contains('\0') {
            return refuse("an abstract name has no NUL in it");
        }
        if name.len() > Self::LONGEST_ABSTRACT {
            return refuse("an abstract name has at most 107 bytes");
        }
        Ok(Name(Kind::Abstract(name)))
    }

    /// Makes an abstract name that no other process has or can guess.
    ///
    /// Pass it to the peer. Other users can see the name in a list that the kernel gives to every
    /// user. So the two sides check each other's user all the same.
    ///
    /// # Errors
    ///
    /// An error of the system if it has no random numbers.
    pub fn random() -> io::Result<Name> {
        let random = u128::from_ne_bytes(sys::process::random()?);
        Ok(Name(Kind::Abstract(format!("multiprocess-{random:032x}"))))
    }

    /// Returns whether only processes of this user can ever reach it.
    pub(crate) fn is_private(&self) -> bool {
        matches!(self.0, Kind::Plain(_))
    }

    /// The path of a plain name.
    #[cfg(feature = "ipc-channel")]
    pub(crate) fn file(&self) -> io::Result<PathBuf> {
        match &self.0 {
            Kind::Plain(name) => {
                Ok(private_directory(std::env::var_os("XDG_RUNTIME_DIR")).join(name))
            }
            _ => Err(invalid(self, "it is not a plain name")),
        }
    }

    /// Returns the name of a file beside it, or `None` for an abstract name.
    pub(crate) fn beside(&self, file: String) -> Option<Name> {
        match &self.0 {
            Kind::Plain(_) => Name::new(file).ok(),
            Kind::Path(path) => Name::path(path.with_file_name(file)).ok(),
            Kind::Abstract(_) => None,
        }
    }

    /// Finds the place, and makes the directory of a plain name if it is not there.
    pub(crate) fn place(&self) -> io::Result<Place> {
        match &self.0 {
            Kind::Plain(name) => {
                let path = private_directory(std::env::var_os("XDG_RUNTIME_DIR"));
                let directory =
                    sys::name::make_private(&path).and_then(|()| sys::name::directory(&path));
                let directory = directory.map_err(|error| {
                    io::Error::new(
                        error.kind(),
                        format!("its directory {}: {error}", path.display()),
                    )
                })?;
                Ok(Place::File(directory, name.into()))
            }
            Kind::Path(path) => {
                let parent = match path.parent() {
                    Some(parent) if !parent.as_os_str().is_empty() => parent,
                    _ => Path::new("."),
                };
                let directory = sys::name::directory(parent).map_err(|error| {
                    io::Error::new(
                        error.kind(),
                        format!("its directory {}: {error}", parent.display()),
                    )
                })?;
                Ok(Place::File(directory, path.file_name().unwrap_or(OsStr::new("")).into()))
            }
            Kind::Abstract(name) => Ok(Place::Abstract(name.clone().into_bytes())),
        }
    }
}

/// Where plain names are.
fn private_directory(runtime: Option<OsString>) -> PathBuf {
    match runtime.map(PathBuf::from) {
        Some(runtime) if runtime.is_absolute() && sys::name::private(&runtime) => {
            runtime.join("multiprocess")
        }
        _ => PathBuf::from(format!("/tmp/multiprocess-{}", sys::process::user())),
    }
}

fn invalid(name: impl fmt::Display, what: &str) -> io::Error {
    // Control characters are shown as what they are.
    let name = name.to_string();
    io::Error::new(io::ErrorKind::InvalidInput, format!("the name {name:?}: {what}"))
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Plain(name) => f.write_str(name),
            Kind::Path(path) if path.as_os_str().as_encoded_bytes().contains(&b'/') => {
                path.display().fmt(f)
            }
            Kind::Path(path) => write!(f, "./{}", path.display()),
            Kind::Abstract(name) => write!(f, "@{name}"),
        }
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl FromStr for Name {
    type Err = io::Error;

    /// `@` makes it abstract, a slash a path, and anything else a plain name.
    fn from_str(text: &str) -> io::Result<Name> {
        match text.strip_prefix('@') {
            Some(name) => Name::abstract_name(name),
            None if text.contains('/') => Name::path(text),
            None => Name::new(text),
        }
    }
}

/// A place to meet: a [`Name`], text as in the table of [`Name`], or a path.
pub trait ToName {
    /// Returns the name.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if it cannot be a name.
    fn to_name(&self) -> io::Result<Name>;
}

impl ToName for Name {
    fn to_name(&self) -> io::Result<Name> {
        Ok(self.clone())
    }
}

impl ToName for str {
    fn to_name(&self) -> io::Result<Name> {
        self.parse()
    }
}

impl ToName for String {
    fn to_name(&self) -> io::Result<Name> {
        self.parse()
    }
}

impl ToName for Path {
    fn to_name(&self) -> io::Result<Name> {
        Name::path(self)
    }
}

impl ToName for PathBuf {
    fn to_name(&self) -> io::Result<Name> {
        Name::path(self)
    }
}

impl<N: ToName + ?Sized> ToName for &N {
    fn to_name(&self) -> io::Result<Name> {
        (**self).to_name()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // fault 52: names that are none are refused before anything is touched.
    #[test]
    fn what_is_no_name_is_refused_and_the_longest_is_not() {
        for wrong in [
            "",
            ".",
            "..",
            ".hidden",
            "../x",
            "/abs",
            "a/b",
            "a\0b",
            "a\nb",
            "@a",
            &"x".repeat(241),
        ] {
            let error = Name::new(wrong).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{wrong:?}: {error}");
        }
        assert!(Name::new("x".repeat(240)).is_ok());
        let long = format!("/{}", "x/".repeat(2048));
        for wrong in
            ["", "/", "a/", "a/.", "a/..", "..", "a\0b", &"x".repeat(241), &format!("{long}x")]
        {
            let error = Name::path(wrong).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{wrong:?}: {error}");
        }
        assert!(Name::path(format!("a/../{}", "x".repeat(240))).is_ok());
        assert!(Name::path(&long[..4095]).is_err(), "ends in a slash");
        assert!(Name::path(&long[..4094]).is_ok());
        for wrong in ["", "a\0b", &"x".repeat(108)] {
            assert_eq!(
                Name::abstract_name(wrong).unwrap_err().kind(),
                io::ErrorKind::InvalidInput,
                "{wrong:?}"
            );
        }
        assert!(Name::abstract_name("x".repeat(107)).is_ok());
    }

    #[test]
    fn a_name_reads_as_it_is_written() {
        for name in [
            Name::new("orders").unwrap(),
            Name::path("/run/orders").unwrap(),
            Name::path("orders").unwrap(),
            Name::path("@orders").unwrap(),
            Name::abstract_name("orders").unwrap(),
            Name::abstract_name("a/b").unwrap(),
        ] {
            let read: Name = name.to_string().parse().unwrap();
            assert_eq!(read.to_string(), name.to_string());
            assert_eq!(std::mem::discriminant(&read.0), std::mem::discriminant(&name.0), "{name}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_runtime_directory_that_others_may_enter_is_not_used() {
        let fallback = PathBuf::from(format!("/tmp/multiprocess-{}", sys::process::user()));
        assert_eq!(private_directory(None), fallback);
        assert_eq!(private_directory(Some("relative".into())), fallback);
        assert_eq!(private_directory(Some("/no/such/directory".into())), fallback);
        assert_eq!(private_directory(Some("/tmp".into())), fallback);
    }
}
