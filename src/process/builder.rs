//! [`Builder`]: the options of a child, and its start.

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
use super::call::Call;
use super::causes::{Refusal, text_of_unsendable};
use super::entry::Entry;
use super::error::{caused, context};
use super::protocol::{self, Start};
use super::running::{self, Event, Running};
use super::start::start_of_children;

/// How long a child may take for one step of its start.
const STARTUP_TIMEOUT: Duration = Duration::from_secs(30);

/// Configures and starts a child process; [`spawn`](super::spawn) with options.
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
    /// Makes a builder of a child.
    ///
    /// By default the child has the environment, current directory, stdout and stderr of this
    /// process.
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

    /// Sets the name of the child. The default is the name of the program.
    ///
    /// [`JoinHandle::name`], [`current`](super::current()) in the child and the errors of
    /// [`spawn`](Self::spawn) show the name, and so does a panic in the child. Its first 15 bytes
    /// are also the name of the process, and of the threads that it starts without a name. `ps`,
    /// `top`, `pkill` and `perf` show them. The child's command line stays that of this process.
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

    /// Removes all environment variables of the child.
    ///
    /// Variables that are set after this call stay.
    pub fn env_clear(mut self) -> Self {
        self.command.env_clear();
        self
    }

    /// Sets the directory that the child starts in.
    pub fn current_dir(mut self, directory: impl AsRef<Path>) -> Self {
        self.set_up.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Sets whether dropping the [`JoinHandle`] kills the child. By default it detaches the child.
    pub fn kill_on_drop(mut self, kill: bool) -> Self {
        self.kill_on_drop = kill;
        self
    }

    /// Sets whether the child is killed when this process ends, however it ends.
    ///
    /// By default the child runs to the end of its function. With this option it is killed if this
    /// process returns from `main`, panics or is killed by SIGKILL. It does not matter which thread
    /// spawned the child, nor whether that thread or the [`JoinHandle`] still exists. A stopped
    /// child is continued and killed. No process gets the exit status of the child.
    ///
    /// The option applies from [`init`](super::init) on; before that, a child whose parent is gone
    /// exits. It does not apply to programs that the child executes, nor to processes that it
    /// forks. The child's own children end with it if they were started with this option too.
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

    /// Sets how long a starting child may be inactive before it is killed. The default is 30
    /// seconds.
    ///
    /// The time limits how long the child may take to call [`init`](super::init). After that it
    /// limits how long the child may take no part of its arguments, and not work on them. A child
    /// that decodes for longer is not killed while it uses the processor, or waits for the
    /// processor or for a disk. A child that stops working is killed within twice this time.
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.startup_timeout = timeout;
        self
    }

    /// Sets the stdin of the child. By default it is empty.
    ///
    /// With `Stdio::piped()`, [`JoinHandle::take_stdin`] returns the writing end.
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.command.stdin(stdin);
        self.set_up.stdin = true;
        self
    }

    /// Lets the child inherit a descriptor under the same number, also across its own `exec`.
    ///
    /// This is for code that knows descriptors by their numbers, such as a jobserver. A handle that
    /// the child's function uses is better part of its arguments, as a
    /// [`pipe::Handle`](crate::pipe::Handle). The child inherits its standard streams and these
    /// descriptors, and no other one, even if it was opened without close-on-exec.
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
    ///     .spawn(
    ///         |fd: i32| std::path::Path::new(&format!("/proc/self/fd/{fd}")).exists(),
    ///         number,
    ///     )?;
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

    /// Sets the stdout of the child. By default it is that of this process.
    pub fn stdout(mut self, stdout: impl Into<Stdio>) -> Self {
        self.command.stdout(stdout);
        self
    }

    /// Sets the stderr of the child. By default it is that of this process.
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.command.stderr(stderr);
        self
    }

    /// Starts a child process that runs `f` with `args`; see [`spawn`](super::spawn).
    ///
    /// Blocks until the child has decoded its arguments.
    ///
    /// # Errors
    ///
    /// As [`spawn`](super::spawn). An option that the system refuses is an error too.
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
            let start = start_of_children()?;
            sys::check_executable()?;
            running::reap_detached();
            let entry = Entry::new(f)?;
            let mut payload = Payload::new();
            let (most, set_by) = (protocol::MAX_MESSAGE, SizeLimit::Spawn);
            let encoded = codec::encode_into(&args, &mut payload, most, set_by);
            // Dropped now, so that what the child observes of its channels does not depend on how
            // soon this process continues.
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
            // A step before `exec` names itself in the error. An error without text is that of
            // `exec`.
            let exec = error.raw_os_error().is_some() && error.kind() == io::ErrorKind::NotFound;
            let hint = if exec { " (is /proc mounted?)" } else { "" };
            let text = format!("starting this executable again{hint}: {error}");
            io::Error::new(error.kind(), text)
        })?;
        let mut running = Running::new(started.process, ours);
        let call = Call { entry, end_with_parent: this_process.is_some(), name: self.name };
        let call = (&call, Vec::from_iter(this_process));
        match send_call(&mut running, call, args, self.startup_timeout) {
            Ok(()) => Ok((running, started.streams)),
            Err(error) => {
                running.kill_and_reap();
                Err(error)
            }
        }
    }
}

/// Makes the error for arguments that cannot be sent to a child.
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

/// Waits until the child calls `init`, and sends it the function and its arguments.
fn send_call(
    running: &mut Running,
    (call, call_handles): (&Call, Vec<OsHandle>),
    (payload, handles): (Payload, Vec<OsHandle>),
    timeout: Duration,
) -> io::Result<()> {
    let call = postcard::to_stdvec(call).map_err(io::Error::other)?;
    expect(running, protocol::HELLO, Step::Init, timeout)?;
    let sent = running
        .send(protocol::CALL, &call, &call_handles, timeout)
        // The handles then travel or have arrived, so they count as the child's own.
        .and_then(|()| running.send_payload(protocol::ARGUMENTS, payload, handles, timeout));
    drop(call_handles);
    match sent {
        Ok(()) => expect(running, protocol::READY, Step::Arguments, timeout),
        // A child that closed its socket may have sent the reason before.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            expect(running, protocol::READY, Step::Arguments, timeout)
        }
        Err(error) if error.kind() == io::ErrorKind::TimedOut => {
            Err(timed_out(Step::Arguments, timeout))
        }
        Err(error) => Err(context("sending the arguments", error)),
    }
}

/// Waits for a frame of this kind with no contents.
fn expect(running: &mut Running, kind: u32, step: Step, timeout: Duration) -> io::Result<()> {
    let invalid = |text: String| Err(io::Error::new(io::ErrorKind::InvalidData, text));
    let mut deadline = Instant::now().checked_add(timeout);
    let mut activity = running.activity();
    let event = loop {
        match running.next(deadline)? {
            // Only while the child decodes: a program that never calls `init` may be busy for ever.
            Event::TimedOut if step == Step::Arguments => {
                let now = running.activity();
                if !now.shows_work_since(activity) {
                    break Event::TimedOut;
                }
                activity = now;
                deadline = Instant::now().checked_add(timeout);
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
        Event::TimedOut => Err(timed_out(step, timeout)),
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

fn timed_out(step: Step, timeout: Duration) -> io::Error {
    let text = match step {
        Step::Init => format!(
            "the child did not reach multiprocess::init() within {timeout:?} and was killed; \
             call init() first in main"
        ),
        Step::Arguments => {
            format!("the child did nothing with its arguments for {timeout:?} and was killed")
        }
    };
    io::Error::new(io::ErrorKind::TimedOut, text)
}
