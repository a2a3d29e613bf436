//! [`Builder`]: what can be said about a child before it starts.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ipc_core::__private::codec;
use ipc_core::{CodecError, NotCarried, OsHandle, SizeLimit, Unreadable, Unsendable};
use ipc_pipes::__private::frame::Payload;
use ipc_sys::spawn::{self as sys, SetUp, Status, Streams};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::JoinHandle;
use super::causes::{Refusal, text_of_unsendable};
use super::child;
use super::entry::Entry;
use super::error::{caused, context};
use super::protocol::{self, Call, Start};
use super::running::{self, Event, Running};

/// How long a child may take for one step of its start.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(30);

/// Configures and starts a child process: [`spawn`](super::spawn) with more to say.
///
/// # Examples
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// multiprocess::init();
/// let child = multiprocess::process::Builder::new()
///     .name("reader")
///     .env("GREETING", "hello")
///     .kill_on_drop(true)
///     .spawn(|key: String| std::env::var(key).ok(), "GREETING".into())?;
/// assert_eq!(child.name(), Some("reader"));
/// assert_eq!(child.join()?.as_deref(), Some("hello"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing starts before `spawn` is called"]
pub struct Builder {
    pub(super) command: Command,
    pub(super) set_up: SetUp,
    name: Option<String>,
    kill_on_drop: bool,
    kill_with_parent: bool,
    startup_timeout: Duration,
}

impl Default for Builder {
    fn default() -> Self {
        Builder::new()
    }
}

impl Builder {
    /// A child with the environment, the current directory, stdout and stderr of this process.
    pub fn new() -> Self {
        Builder {
            command: sys::command(),
            set_up: SetUp::default(),
            name: None,
            kill_on_drop: false,
            kill_with_parent: false,
            startup_timeout: STARTUP_TIMEOUT,
        }
    }

    /// Names the child; without it, the child has the program's name.
    ///
    /// The name is that of [`JoinHandle::name`], of [`current`](super::current()) in the child, of
    /// the errors of [`spawn`](Self::spawn), and of what a panic in the child prints. As far as 15
    /// bytes go, it is also the name of the process and of the threads that it starts without a
    /// name, as `ps`, `top`, `pkill` and `perf` show it. The child's command line stays that of
    /// this process.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets an environment variable of the child.
    pub fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    /// Sets several environment variables of the child.
    pub fn envs<K: AsRef<OsStr>, V: AsRef<OsStr>>(
        mut self,
        variables: impl IntoIterator<Item = (K, V)>,
    ) -> Self {
        self.command.envs(variables);
        self
    }

    /// Removes an environment variable from the child's environment.
    pub fn env_remove(mut self, key: impl AsRef<OsStr>) -> Self {
        self.command.env_remove(key);
        self
    }

    /// Gives the child an environment with nothing in it but what is set from here on.
    pub fn env_clear(mut self) -> Self {
        self.command.env_clear();
        self
    }

    /// Sets the directory that the child starts in.
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.set_up.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Whether dropping the [`JoinHandle`] kills the child; otherwise it detaches it.
    pub fn kill_on_drop(mut self, kill: bool) -> Self {
        self.kill_on_drop = kill;
        self
    }

    /// Whether the child is killed when this process ends, however it ends: by returning from
    /// `main`, by a panic, by SIGKILL. Otherwise it goes on to the end of its function.
    ///
    /// It does not matter which thread spawned the child, nor whether that one or the
    /// [`JoinHandle`] still exists. A child that is stopped is continued, and killed. Nobody sees
    /// its exit status. The option covers the child from [`init`](super::init) on, where a child
    /// whose parent is gone exits, and does not reach programs that the child executes, nor what it
    /// forks. Its own children end with it if they were started with this option too.
    ///
    /// A thread of the child, named `parent-watch`, waits for the parent. As a side effect, a
    /// stopped child is continued (SIGCONT) when the thread that spawned it ends.
    ///
    /// # Examples
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// fn work(_: ()) {
    ///     loop {
    ///         std::thread::park();
    ///     }
    /// }
    ///
    /// multiprocess::init();
    /// let worker = multiprocess::process::Builder::new().kill_with_parent(true).spawn(work, ())?;
    /// drop(worker); // It goes on, but never longer than this process.
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("PR_SET_PDEATHSIG", "daemon"))]
    pub fn kill_with_parent(mut self, kill: bool) -> Self {
        self.kill_with_parent = kill;
        self
    }

    /// Sets how long a starting child may be inactive before it is killed; 30 seconds by default.
    ///
    /// That is how long it may take to come to [`init`](super::init), and afterwards how long it
    /// may go without taking a part of its arguments, and without working on them. A child that
    /// decodes for longer is not killed while it uses the processor or waits for it or for a disk.
    /// One that stops working is killed within twice this time.
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.startup_timeout = timeout;
        self
    }

    /// Where the child's stdin comes from; it is empty by default.
    ///
    /// With `Stdio::piped()`, [`JoinHandle::take_stdin`] has the writing end.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self.set_up.stdin = true;
        self
    }

    /// Lets the child inherit a descriptor, open under the same number, and across its own `exec`.
    ///
    /// For code that knows descriptors by their numbers, like a jobserver; what the child's
    /// function uses is better part of its arguments, as a [`pipe::Handle`](crate::pipe::Handle).
    /// The child inherits its standard streams and what was given here, and no other descriptor,
    /// also if it was opened without close-on-exec.
    ///
    /// # Examples
    ///
    /// ```
    /// # #[cfg(unix)]
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::os::fd::{AsRawFd, OwnedFd};
    ///
    /// multiprocess::init();
    /// let file = OwnedFd::from(std::fs::File::open("/etc/passwd")?);
    /// let number = file.as_raw_fd();
    /// let child = multiprocess::process::Builder::new()
    ///     .inherit_fd(file)
    ///     .spawn(|fd: i32| std::path::Path::new(&format!("/proc/self/fd/{fd}")).exists(), number)?;
    /// assert!(child.join()?);
    /// # Ok(())
    /// # }
    /// # #[cfg(not(unix))]
    /// # fn main() {}
    /// ```
    #[cfg(unix)]
    pub fn inherit_fd(mut self, fd: impl Into<std::os::fd::OwnedFd>) -> Self {
        self.set_up.inherited.push(fd.into());
        self
    }

    /// Where the child's stdout goes; to that of this process by default.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// Where the child's stderr goes; to that of this process by default.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    /// Starts a child process that runs `f` with `args`; see [`spawn`](super::spawn).
    ///
    /// # Errors
    ///
    /// As [`spawn`](super::spawn).
    pub fn spawn<A, R>(self, f: fn(A) -> R, args: A) -> io::Result<JoinHandle<R>>
    where
        A: Serialize + DeserializeOwned,
        R: Serialize + DeserializeOwned,
    {
        let label = match &self.name {
            Some(name) => format!("spawning the process {name:?}"),
            None => "spawning a process".to_owned(),
        };
        let name = self.name.clone();
        let kill_on_drop = self.kill_on_drop;
        let start = move || {
            let start = child::start_of_children()?;
            sys::check_executable()?;
            running::reap_detached();
            let entry = Entry::new(f)?;
            let mut payload = Payload::new();
            let (most, set_by) = (protocol::MAX_MESSAGE, SizeLimit::Spawn);
            let encoded = codec::encode_into(&args, &mut payload, most, set_by);
            // Now, not when the child already runs: what it sees of its channels does not depend on
            // how soon this process goes on.
            drop(args);
            let handles = encoded.map_err(not_encoded)?;
            self.start(start, entry, (payload, handles))
        };
        let (running, streams) = start().map_err(|error| context(&label, error))?;
        Ok(JoinHandle::new(running, name, kill_on_drop, streams))
    }

    fn start(
        mut self,
        start: Start,
        entry: Entry,
        args: (Payload, Vec<OsHandle>),
    ) -> io::Result<(Running, Streams)> {
        let context = |what: &'static str| move |error: io::Error| context(what, error);
        let this_process = self.kill_with_parent.then(sys::own_process).transpose()?;
        let (ours, theirs) = sys::stream_pair().map_err(context("making a socket pair"))?;
        let marker = sys::marker(&theirs).map_err(context("looking at the socket"))?;
        self.command
            .args(std::env::args_os().skip(1))
            .env(protocol::VARIABLE, start.variable(&marker));
        let started = sys::start(self.command, &ours, theirs, self.set_up).map_err(|error| {
            // A step before `exec` says what it was. Without a word, it was `exec` itself.
            let exec = error.raw_os_error().is_some() && error.kind() == io::ErrorKind::NotFound;
            let hint = if exec { " (is /proc mounted?)" } else { "" };
            let text = format!("starting this executable again{hint}: {error}");
            io::Error::new(error.kind(), text)
        })?;
        let mut running = Running::new(started.process, ours);
        let call = Call { entry, end_with_parent: this_process.is_some(), name: self.name };
        let call = (&call, Vec::from_iter(this_process));
        match hand_over(&mut running, call, args, self.startup_timeout) {
            Ok(()) => Ok((running, started.streams)),
            Err(error) => {
                running.kill_and_reap();
                Err(error)
            }
        }
    }
}

/// Why there is nothing to be sent to a child.
fn not_encoded(cause: Unsendable) -> io::Error {
    let (kind, what) = match &cause {
        Unsendable::Handles(NotCarried::Participants { .. }) => {
            (io::ErrorKind::QuotaExceeded, "an end among the arguments finds no participant")
        }
        Unsendable::TooLarge { .. } => (io::ErrorKind::FileTooLarge, "the arguments are too large"),
        Unsendable::OutOfMemory => (io::ErrorKind::OutOfMemory, "encoding the arguments"),
        _ => (io::ErrorKind::InvalidInput, "the arguments do not encode"),
    };
    caused(kind, format!("{what}: {}", text_of_unsendable(&cause)), cause)
}

/// What a child was doing when it failed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Init,
    Arguments,
}

/// Waits for the child to come to `init`, and gives it the function and its arguments.
fn hand_over(
    running: &mut Running,
    (call, call_handles): (&Call, Vec<OsHandle>),
    (payload, handles): (Payload, Vec<OsHandle>),
    patience: Duration,
) -> io::Result<()> {
    let call = postcard::to_stdvec(call).map_err(io::Error::other)?;
    expect(running, protocol::HELLO, Step::Init, patience)?;
    let sent = running
        .send(protocol::CALL, &call, &call_handles, patience)
        // The handles are then on their way, or with the child: they count as its own.
        .and_then(|()| running.send_payload(protocol::ARGUMENTS, payload, handles, patience));
    drop(call_handles);
    match sent {
        Ok(()) => expect(running, protocol::READY, Step::Arguments, patience),
        // A child that stopped listening may have said why.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            expect(running, protocol::READY, Step::Arguments, patience)
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Err(timed_out(Step::Arguments, patience))
        }
        Err(error) => Err(context("sending the arguments", error)),
    }
}

/// Waits for a frame of this kind, which carries nothing else.
fn expect(running: &mut Running, kind: u32, step: Step, patience: Duration) -> io::Result<()> {
    let invalid = |text: String| Err(io::Error::new(io::ErrorKind::InvalidData, text));
    let mut deadline = Instant::now().checked_add(patience);
    let mut activity = running.activity();
    let event = loop {
        match running.next(deadline)? {
            // Only while it decodes: a program that never calls `init` may be busy for ever.
            Event::TimedOut if step == Step::Arguments => {
                let now = running.activity();
                if !now.shows_work_since(activity) {
                    break Event::TimedOut;
                }
                activity = now;
                deadline = Instant::now().checked_add(patience);
            }
            event => break event,
        }
    };
    match event {
        Event::Frame(frame) if frame.kind == kind => Ok(()),
        Event::Frame(frame) if frame.kind == protocol::REFUSED => {
            match postcard::from_bytes::<Refusal>(&frame.body) {
                Ok(Refusal::Arguments(error)) => {
                    let cause = CodecError::from(error);
                    let text = format!("the child refused: the arguments do not decode: {cause}");
                    Err(caused(io::ErrorKind::InvalidData, text, Unreadable::Decode(cause)))
                }
                Ok(Refusal::Other(why)) => invalid(format!("the child refused: {why}")),
                Err(_) => invalid("the child refused, and why does not decode".to_owned()),
            }
        }
        Event::Frame(frame) => invalid(format!(
            "the child sent a message of kind {} where {kind} was expected",
            frame.kind
        )),
        Event::TimedOut => Err(timed_out(step, patience)),
        Event::Ended => {
            let reaped = running.reap(deadline);
            let refused = matches!(reaped, Ok(Some(Status::Exited(protocol::EXIT_REFUSED))));
            let status = match reaped {
                Ok(Some(status)) => status.to_string(),
                Ok(None) => "its status is held back by a debugger".to_owned(),
                Err(error) => format!("its status is unknown: {error}"),
            };
            let text = match step {
                Step::Init if refused => format!(
                    "the child ended ({status}) instead of becoming its function; its stderr says why"
                ),
                Step::Init => format!(
                    "the child ended ({status}) before it reached multiprocess::init(); \
                     call init() first in main"
                ),
                Step::Arguments => {
                    format!("the child ended ({status}) before it had decoded its arguments")
                }
            };
            Err(io::Error::new(io::ErrorKind::BrokenPipe, text))
        }
    }
}

fn timed_out(step: Step, patience: Duration) -> io::Error {
    let text = match step {
        Step::Init => format!(
            "the child did not reach multiprocess::init() within {patience:?} and was killed; \
             call init() first in main"
        ),
        Step::Arguments => {
            format!("the child did nothing with its arguments for {patience:?} and was killed")
        }
    };
    io::Error::new(io::ErrorKind::TimedOut, text)
}
