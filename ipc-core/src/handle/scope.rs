//! The scopes of the messages that a thread encodes or decodes, and the handles in them.

use std::any::Any;
use std::cell::{Cell, RefCell};

use super::cause;
use super::not_carried::NotCarried;
use super::os::{MAX_HANDLES, OsHandle};

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
        cause::forget();
        push(Kind::Provide(handles.into_iter().map(Some).collect()));
        Entered { _restore: Restore::after(Innermost::Stacked) }
    }

    #[inline]
    fn collect() -> Self {
        cause::forget();
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
///
/// [`record_cause`]: super::record_cause
pub(crate) fn aside<R>(f: impl FnOnce() -> R) -> R {
    let _cause = cause::set_aside();
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
