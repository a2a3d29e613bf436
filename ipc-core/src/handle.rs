//! The rules by which OS handles travel inside messages.
//!
//! A handle is not data: it cannot be written into a byte stream. So a value that owns a handle
//! gives it to the message that is being encoded. Its `Serialize` implementation calls [`attach`]
//! and writes the index that it returns. The route carries the handles beside the bytes. While the
//! message is decoded, the `Deserialize` implementation calls [`take`] with that index.
//!
//! The code that encodes or decodes a message opens a scope. The innermost scope of the thread
//! applies:
//!
//! | scope | [`attach`] | [`take`] |
//! |---|---|---|
//! | [`collect`]: the route carries handles | the next index | refused |
//! | [`provide`]: the receiving half | refused | the handle, once |
//! | [`refuse`]: the route carries bytes only | refused | refused |
//! | none | refused | refused |
//!
//! A handle that was not taken is closed when its scope ends, so a message that fails to decode
//! leaks nothing.
//!
//! Several values of one message may share a handle. The first one leaves a context in the scope
//! ([`set_context`]), and the others read it ([`context`]). Both the sender and the receiver do so.
//!
//! [`Handle`] owns any file, socket or pipe as a value of a serde type, like an owned handle in a
//! program.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt;

mod wire;

pub use wire::Handle;

/// A handle of the operating system, owned: closed when dropped.
#[cfg(unix)]
pub type OsHandle = std::os::fd::OwnedFd;
/// A handle of the operating system, owned: closed when dropped.
#[cfg(windows)]
pub type OsHandle = std::os::windows::io::OwnedHandle;
/// A handle of the operating system; this system has none that travel.
#[cfg(not(any(unix, windows)))]
pub type OsHandle = std::convert::Infallible;

/// The most handles that one message may carry: the kernel's own limit (`SCM_MAX_FD`).
pub const MAX_HANDLES: usize = 253;

enum Kind {
    /// The handles that were attached, and why one was not.
    Collect(Vec<OsHandle>, Option<NotCarried>),
    Provide(Vec<Option<OsHandle>>),
}

struct Scope {
    kind: Kind,
    /// The contexts that values of this message leave for each other.
    contexts: Vec<Box<dyn Any>>,
}

/// The innermost scope. Most messages hold no handle, so their scope is a word, and not on the
/// stack.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Innermost {
    /// The last one on the stack, if there is one.
    Stacked,
    /// An empty [`collect`]. It moves to the stack when a handle is attached.
    Empty,
    /// [`refuse`], whatever scopes lie below.
    Refusing,
    /// The same, and something was refused.
    Refused,
}

thread_local! {
    static INNERMOST: Cell<Innermost> = const { Cell::new(Innermost::Stacked) };
    static SCOPES: RefCell<Vec<Scope>> = const { RefCell::new(Vec::new()) };
    /// The reason of a handle's owner why the last message of this thread could not be encoded or
    /// decoded.
    static CAUSE: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Whether there is such a reason. Checked for each message.
    static CAUSED: Cell<bool> = const { Cell::new(false) };
}

/// Restores the previous scope, also when the code inside unwinds.
struct Restore(Innermost);

impl Restore {
    #[inline]
    fn after(now: Innermost) -> Self {
        Restore(INNERMOST.replace(now))
    }
}

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        INNERMOST.set(self.0);
    }
}

/// Ends its scope also when the code inside unwinds.
struct Entered {
    // Put back after the scope has ended.
    _restore: Restore,
}

impl Entered {
    fn provide(handles: Vec<OsHandle>) -> Self {
        forget();
        push(Kind::Provide(handles.into_iter().map(Some).collect()));
        Entered { _restore: Restore::after(Innermost::Stacked) }
    }

    #[inline]
    fn collect() -> Self {
        forget();
        Entered { _restore: Restore::after(Innermost::Empty) }
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        // The scopes inside have ended, so the innermost one is this one.
        if INNERMOST.get() == Innermost::Stacked {
            pop();
        }
    }
}

fn push(kind: Kind) {
    SCOPES.with_borrow_mut(|scopes| scopes.push(Scope { kind, contexts: Vec::new() }));
}

#[cold]
fn pop() {
    // Dropped outside the borrow, because the drop of a handle may do anything.
    let ended = SCOPES.with_borrow_mut(Vec::pop);
    drop(ended);
}

/// Moves the innermost scope to the stack, where handles can be attached. Returns false if it
/// refuses all handles.
fn opened() -> bool {
    match INNERMOST.get() {
        Innermost::Stacked => true,
        Innermost::Empty => {
            push(Kind::Collect(Vec::new(), None));
            INNERMOST.set(Innermost::Stacked);
            true
        }
        Innermost::Refusing | Innermost::Refused => false,
    }
}

/// Begins a new message, and forgets the reason of the last one.
#[inline]
fn forget() {
    if CAUSED.replace(false) {
        CAUSE.set(None);
    }
}

/// Returns the innermost scope.
fn kind_of(scopes: &mut [Scope]) -> Option<&mut Kind> {
    scopes.last_mut().map(|scope| &mut scope.kind)
}

/// Runs `encode`, and returns its result and the handles that were attached meanwhile.
#[inline]
pub fn collect<R>(encode: impl FnOnce() -> R) -> (R, Vec<OsHandle>) {
    let entered = Entered::collect();
    let result = encode();
    let handles = if INNERMOST.get() == Innermost::Stacked { collected() } else { Vec::new() };
    drop(entered);
    (result, handles)
}

#[cold]
fn collected() -> Vec<OsHandle> {
    SCOPES.with_borrow_mut(|scopes| match kind_of(scopes) {
        Some(Kind::Collect(handles, _)) => std::mem::take(handles),
        _ => Vec::new(),
    })
}

/// Runs `decode`, which can take `handles` by their index. Those that it does not take are closed.
pub fn provide<R>(handles: Vec<OsHandle>, decode: impl FnOnce() -> R) -> R {
    let _entered = Entered::provide(handles);
    decode()
}

/// Runs `f` on a route that carries bytes only: [`attach`] and [`take`] are refused inside.
#[inline]
pub fn refuse<R>(f: impl FnOnce() -> R) -> R {
    let _restore = Restore::after(Innermost::Refusing);
    f()
}

/// Runs `f` outside the message that this thread is encoding or decoding, if there is one. Refuses
/// all handles inside `f`, and discards the reasons that `f` gives to [`record_cause`].
pub(crate) fn aside<R>(f: impl FnOnce() -> R) -> R {
    struct Cause(Option<String>, bool);

    impl Drop for Cause {
        fn drop(&mut self) {
            CAUSE.set(self.0.take());
            CAUSED.set(self.1);
        }
    }

    let _cause = Cause(CAUSE.take(), CAUSED.get());
    refuse(f)
}

/// Gives `handle` to the message that this thread is encoding, and returns its index there.
///
/// # Errors
///
/// [`NotCarried`] if no message is being encoded, its route carries no handles, or it is full.
/// `handle` is closed.
pub fn attach(handle: OsHandle) -> Result<u32, NotCarried> {
    carried()?;
    SCOPES.with_borrow_mut(|scopes| match kind_of(scopes) {
        Some(Kind::Collect(handles, _)) => {
            handles.push(handle);
            Ok(handles.len() as u32 - 1)
        }
        _ => Err(NotCarried::BytesOnly),
    })
}

/// Gives a copy of `handle` to the message that this thread is encoding, and returns its index
/// there. The copy is a further handle to the same open file.
///
/// # Errors
///
/// As [`attach`], and [`NotCarried::Exhausted`] if this process may open no more handles.
#[cfg(any(unix, windows))]
pub fn attach_copy(handle: &OsHandle) -> Result<u32, NotCarried> {
    // Checked first, because the copy is a system call.
    carried()?;
    let Ok(copy) = handle.try_clone() else {
        return SCOPES
            .with_borrow_mut(|scopes| Err(not_carried(kind_of(scopes), NotCarried::Exhausted)));
    };
    attach(copy)
}

/// As on other systems; there are no handles here.
///
/// # Errors
///
/// None.
#[cfg(not(any(unix, windows)))]
pub fn attach_copy(handle: &OsHandle) -> Result<u32, NotCarried> {
    match *handle {}
}

/// Records why a handle was not attached.
fn not_carried(scope: Option<&mut Kind>, cause: NotCarried) -> NotCarried {
    if let Some(Kind::Collect(_, why)) = scope {
        *why = Some(cause);
    }
    cause
}

/// Returns whether a message is being encoded or decoded on this thread now, in any of the scopes.
#[must_use]
pub fn in_scope() -> bool {
    INNERMOST.get() != Innermost::Stacked || SCOPES.with_borrow(|scopes| !scopes.is_empty())
}

/// Returns whether a message can carry a handle now. Checking first is cheaper than making a handle
/// in vain.
///
/// # Errors
///
/// As [`attach`].
pub fn carried() -> Result<(), NotCarried> {
    if !opened() {
        INNERMOST.set(Innermost::Refused);
        return Err(NotCarried::BytesOnly);
    }
    SCOPES.with_borrow_mut(|scopes| match kind_of(scopes) {
        Some(Kind::Collect(handles, _)) if handles.len() < MAX_HANDLES => Ok(()),
        scope @ Some(Kind::Collect(..)) => Err(not_carried(scope, NotCarried::TooMany)),
        _ => Err(NotCarried::BytesOnly),
    })
}

/// Records why the owner of a handle cannot give one to the message that this thread is encoding.
pub fn decline(cause: NotCarried) {
    if opened() {
        SCOPES.with_borrow_mut(|scopes| not_carried(kind_of(scopes), cause));
    }
}

/// Returns why the enclosing [`collect`] has refused a handle, if it has.
#[must_use]
#[inline]
pub fn not_collected() -> Option<NotCarried> {
    if INNERMOST.get() == Innermost::Stacked { refused_while_collecting() } else { None }
}

#[cold]
fn refused_while_collecting() -> Option<NotCarried> {
    SCOPES.with_borrow(|scopes| match scopes.last().map(|scope| &scope.kind) {
        Some(Kind::Collect(_, why)) => *why,
        _ => None,
    })
}

/// Returns whether the enclosing [`refuse`] has refused a handle. If so, that is why an encoding
/// failed, since serde's errors do not carry causes.
#[must_use]
#[inline]
pub fn refused() -> bool {
    INNERMOST.get() == Innermost::Refused
}

/// Takes the handle with this index out of the message that this thread is decoding.
///
/// Returns `None` if there is no such handle, it was taken before, or no message with handles is
/// being decoded.
#[must_use]
pub fn take(index: u32) -> Option<OsHandle> {
    if INNERMOST.get() != Innermost::Stacked {
        return None;
    }
    SCOPES.with_borrow_mut(|scopes| match kind_of(scopes) {
        Some(Kind::Provide(handles)) => handles.get_mut(index as usize)?.take(),
        _ => None,
    })
}

/// Leaves `context` for other values of the message that this thread is encoding or decoding.
///
/// A context says, for example, which index a shared handle has in this message, or what was made
/// of that handle. It is dropped with the scope. Outside a scope, this function does nothing.
pub fn set_context<C: Any>(context: C) {
    if opened() {
        SCOPES.with_borrow_mut(|scopes| {
            if let Some(scope) = scopes.last_mut() {
                scope.contexts.push(Box::new(context));
            }
        });
    }
}

/// Reads the contexts of type `C` in the message that this thread is encoding or decoding.
///
/// Calls `read` with each of them, in the order of the calls of [`set_context`], and returns its
/// first answer that is not `None`. `read` must not encode or decode anything itself.
#[must_use]
pub fn context<C: Any, R>(read: impl FnMut(&C) -> Option<R>) -> Option<R> {
    if INNERMOST.get() != Innermost::Stacked {
        return None;
    }
    SCOPES.with_borrow(|scopes| {
        scopes.last()?.contexts.iter().filter_map(|context| context.downcast_ref()).find_map(read)
    })
}

/// Records why a handle's owner refuses to be encoded or decoded, and returns that as text.
///
/// Formats discard the text of an error. The code that opened the scope reads the recorded one with
/// [`cause_text`].
pub fn record_cause(cause: impl fmt::Display) -> String {
    let text = cause.to_string();
    CAUSE.set(Some(text.clone()));
    CAUSED.set(true);
    text
}

/// Returns why a message could not be encoded or decoded in the scope that has just ended.
///
/// That is the text of [`record_cause`], or the format's own error if nothing was recorded.
pub fn cause_text(error: impl fmt::Display) -> String {
    CAUSE.take().unwrap_or_else(|| error.to_string())
}

/// The reason why a handle could not be given to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotCarried {
    /// The route of the message carries bytes only, or the message does not travel at all.
    BytesOnly,
    /// The message carries [`MAX_HANDLES`] already.
    TooMany,
    /// Sending the message needs a further handle, and this process may open no more.
    Exhausted,
    /// The object of the handle has its maximum of attached processes.
    Participants {
        /// That maximum.
        most: usize,
    },
}

impl fmt::Display for NotCarried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotCarried::BytesOnly => f.write_str(
                "a handle or channel end can only travel in the arguments or the result of a spawned \
                 process, or over a route that carries handles",
            ),
            NotCarried::TooMany => write!(f, "a message carries at most {MAX_HANDLES} handles"),
            NotCarried::Exhausted => f.write_str(
                "it takes a further handle to send the message; raise the limit on open files (RLIMIT_NOFILE)",
            ),
            NotCarried::Participants { most } => write!(
                f,
                "all {most} participants are taken (processes that are attached, and handles on their way); \
                 make the channel, or the segment in which it lies, with more `participants`"
            ),
        }
    }
}

impl std::error::Error for NotCarried {}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    fn pipe() -> (UnixStream, OsHandle) {
        let (reader, writer) = std::os::unix::net::UnixStream::pair().unwrap();
        (reader, writer.into())
    }

    fn closed(mut reader: UnixStream) -> bool {
        reader.read(&mut [0]).unwrap() == 0
    }

    #[test]
    fn attached_handles_come_back_by_index_and_once() {
        let (mut reader, writer) = pipe();
        let (index, handles) = collect(|| attach(writer).unwrap());
        provide(handles, || {
            let mut writer = UnixStream::from(take(index).unwrap());
            assert!(take(index).is_none());
            assert!(take(7).is_none());
            writer.write_all(b"x").unwrap();
        });
        assert_eq!(reader.read(&mut [0]).unwrap(), 1);
        assert!(closed(reader));
    }

    #[test]
    fn scopes_that_nothing_was_given_to_are_scopes() {
        assert!(!in_scope());
        let ((), handles) = collect(|| {
            assert!(in_scope());
            // An inner one is another message.
            let (index, inner) = collect(|| attach(pipe().1).unwrap());
            assert_eq!((index, inner.len()), (0, 1));
            assert_eq!(not_collected(), None);
            provide(inner, || {
                let ((), none) = collect(|| assert!(take(0).is_none()));
                assert!(none.is_empty() && take(0).is_some());
            });
            assert_eq!(attach(pipe().1), Ok(0));
            let ((), none) = collect(|| ());
            assert!(none.is_empty());
            assert_eq!(attach(pipe().1), Ok(1));
        });
        assert_eq!((handles.len(), in_scope()), (2, false));
    }

    #[test]
    fn what_was_attached_is_closed_on_unwind() {
        let (reader, writer) = pipe();
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            collect(|| {
                attach(writer).unwrap();
                panic!("encoder")
            })
        }));
        assert!(unwound.is_err());
        assert!(closed(reader) && !in_scope());
    }

    #[test]
    fn outside_a_scope_and_inside_refuse_nothing_is_carried() {
        let (reader, writer) = pipe();
        assert_eq!(attach(writer), Err(NotCarried::BytesOnly));
        assert!(closed(reader));
        let ((), handles) = collect(|| {
            assert_eq!(carried(), Ok(()));
            let (reader, writer) = pipe();
            refuse(|| assert_eq!(attach(writer), Err(NotCarried::BytesOnly)));
            assert!(closed(reader));
        });
        assert!(handles.is_empty());
        assert_eq!(carried(), Err(NotCarried::BytesOnly));
    }

    #[test]
    fn what_nobody_takes_is_closed_even_on_unwind() {
        let (reader, writer) = pipe();
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            provide(vec![writer], || panic!("decoder"))
        }));
        assert!(unwound.is_err());
        assert!(closed(reader));
        assert!(take(0).is_none());
    }

    #[test]
    fn what_an_owner_said_is_told_once_and_not_of_another_message() {
        let ((), _) = collect(|| assert_eq!(record_cause("no room"), "no room"));
        assert_eq!(cause_text("the format's"), "no room");
        assert_eq!(cause_text("the format's"), "the format's");
        let ((), _) = collect(|| drop(record_cause("no room")));
        let ((), _) = collect(|| ());
        assert_eq!(cause_text("the format's"), "the format's");
    }

    #[test]
    fn notes_are_for_values_of_one_message() {
        let read =
            |known: u32| context(move |note: &(u32, &str)| (note.0 == known).then_some(note.1));
        set_context((1u32, "outside")); // No message.
        let ((), _) = collect(|| {
            set_context((1u32, "one"));
            set_context(1u64);
            set_context((2u32, "two"));
            assert_eq!((read(1), read(2), read(3)), (Some("one"), Some("two"), None));
            refuse(|| assert_eq!(read(1), None));
            provide(Vec::new(), || assert_eq!(read(1), None));
            assert_eq!(read(1), Some("one"));
        });
        provide(Vec::new(), || assert_eq!(read(1), None));
    }

    #[test]
    fn the_254th_handle_is_refused() {
        let ((), handles) = collect(|| {
            for i in 0..MAX_HANDLES {
                assert_eq!(attach(pipe().1), Ok(i as u32));
            }
            assert_eq!(attach(pipe().1), Err(NotCarried::TooMany));
        });
        assert_eq!(handles.len(), MAX_HANDLES);
    }
}
