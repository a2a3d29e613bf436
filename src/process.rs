//! Processes that start like threads: [`spawn`], [`init`], [`JoinHandle`], [`Builder`].
//!
//! A child is this executable, started again. [`init`] turns it into the function that it was
//! started for. If its parent is a test, that happens before `main`. The function's arguments and
//! result travel by serde, together with the handles in them, such as ends of channels.
//!
//! | question | answer |
//! |---|---|
//! | what the child shares | nothing but what is in its arguments; stdout and stderr; the environment, current directory, user, nice value and limits at the start, unless [`Builder`] says otherwise. Its stdin is empty, or [`Builder::stdin`] |
//! | descriptors | the child inherits its standard streams and those given to [`Builder::inherit_fd`], and no other, also if it was opened without close-on-exec |
//! | its name | [`Builder::name`], or the program's: in `ps`, `top`, `pkill`, `perf`, in panics, and for [`current()`] |
//! | its signals | none is blocked, and SIGCHLD has its default action; signals that the parent ignores stay ignored, as over any `exec` |
//! | Ctrl-C | reaches the child too; not with [`Builder::new_process_group`] or [`Builder::ignore_interrupt`] |
//! | which functions | `fn` items and closures that capture nothing, of the executable itself |
//! | a function in a message | [`Func`], made by [`func!`](crate::func) |
//! | the child panics, exits, is killed | [`JoinHandle::join`] returns a [`JoinError`] |
//! | the child dies while it starts | [`spawn`] returns an error |
//! | the parent dies while the child starts | the child exits |
//! | the parent dies later | the child runs to the end of its function, and its result is lost. With [`Builder::kill_with_parent`] it is killed instead |
//! | the handle is dropped | the child continues, and a later [`spawn`] reaps it. With [`Builder::kill_on_drop`] it is killed instead |
//! | a child has sent its result | it exits like a `main` that returns: its other threads end with it |
//! | SIGCHLD is ignored, or another part of the program reaps all children | since Linux 6.15, `join` returns the same as always. Before, [`JoinError::Unknown`] for a child that gave no result and was not killed by [`JoinHandle::kill`] |
//! | the executable has set-user-ID or file capabilities | [`spawn`] fails: the child would have more rights than its parent, and could not trust it. A child that finds this out itself exits |
//! | its exit status | 0 with a result; 101 after a panic; 112 if it could not start its function or send its result; 113 if its parent died before |
//! | this process forks without exec | the fork may spawn children of its own. A handle that it inherited returns errors, and dropping it does nothing |
//! | how large arguments and results may be | 1 TiB each, encoded. More is [`Unsendable::TooLarge`](crate::Unsendable::TooLarge) with both sizes. More than 96 KiB lie in a memory file meanwhile, which counts as memory of the process that encoded them |
//! | no process waits for the result | the child ends all the same. Where it can make no memory file, it waits with a result larger than the socket's buffer (some 200 kB) until someone joins it or the handle is dropped |

mod active;
mod before_main;
mod builder;
mod call;
mod causes;
mod child;
mod current;
mod entry;
mod error;
mod execute;
mod fingerprint;
mod func;
mod identity;
mod join;
mod join_wait;
mod link;
mod options;
mod protocol;
mod running;
mod start;

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use self::active::{ActiveChild, active_children};
pub use self::builder::Builder;
pub use self::child::init;
pub use self::current::{Current, current};
pub use self::error::JoinError;
pub use self::func::{Func, Target};
pub use self::join::JoinHandle;
#[doc(inline)]
pub use ipc_sys::spawn::Resource;

/// Starts a process that runs `f` with `args`, like [`std::thread::spawn`] starts a thread.
///
/// The child is this same executable, started again with the same arguments. [`init`] must come
/// first in its `main`, and turns the child into `f`. A child of a test does not run `main`. `f` is
/// a `fn` or a closure that captures nothing. What it needs goes into `args`, which may hold the
/// ends of channels and other handles.
///
/// Blocks until the child has decoded its arguments: some milliseconds, and some 20 more for each
/// GiB of private memory of this process. A child that does nothing for 30 seconds meanwhile is
/// killed ([`Builder::startup_timeout`]).
///
/// # Errors
///
/// - `InvalidInput`: [`init`] was not called in this process and this is its main thread, or the
///   arguments do not encode.
/// - `FileTooLarge`: the arguments, encoded, are larger than 1 TiB.
/// - `OutOfMemory`: there is no memory for the encoded arguments.
/// - `QuotaExceeded`: a channel, segment or lock among the arguments has its maximum of attached
///   processes. Make it with more [`participants`](crate::shm::Builder::participants).
/// - `Unsupported`: `f` is not part of the executable itself, but of a plug-in, for example. Or the
///   executable gains rights when it is started (set-user-ID, file capabilities). Or this operating
///   system is not supported.
/// - `BrokenPipe`, `TimedOut`: the child ended, or did nothing, before it had its arguments, most
///   often because its `main` does not call [`init`].
/// - `InvalidData`: the child could not decode its arguments.
/// - Others: a system call failed. The text names the step.
///
/// In each case no process stays behind. The [`source`](std::error::Error::source) of the error is
/// its cause, if the cause has a type:
///
/// | cause | type of the source |
/// |---|---|
/// | arguments that cannot be sent | [`Unsendable`](crate::Unsendable) |
/// | arguments that the child cannot read | [`Unreadable`](crate::Unreadable) |
/// | a system call | [`io::Error`] |
///
/// # When a process dies
///
/// If the child dies, [`JoinHandle::join`] returns how it died. If the parent dies, the child runs
/// to the end of `f`.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// fn sum(numbers: Vec<u64>) -> u64 {
///     numbers.into_iter().sum()
/// }
///
/// multiprocess::init();
/// let child = multiprocess::spawn(sum, vec![1, 2, 3])?;
/// assert_eq!(child.join()?, 6);
/// # Ok(())
/// # }
/// ```
pub fn spawn<A, R>(f: fn(A) -> R, args: A) -> io::Result<JoinHandle<R>>
where
    A: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
{
    Builder::new().spawn(f, args)
}
