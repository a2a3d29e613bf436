//! The other process' thread, in our hands: one instruction, or one system call, at a time.

use std::io;
use std::ptr;

use libc::{c_int, c_long, c_uint, pid_t};
use multiprocess::{JoinError, JoinHandle, Receiver, Sender, bounded, spawn};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What a traced process says that it has come to a mark with. It never gets there.
const MARK: c_int = libc::SIGUSR1;

/// In the traced process: its way to the tracer, and its marks.
#[derive(Serialize, Deserialize)]
pub(crate) struct Stand {
    thread: Sender<u32>,
    go: Receiver<()>,
}

/// Places in a traced process' run.
pub(crate) struct Marks {
    process: pid_t,
    thread: pid_t,
}

impl Stand {
    /// Waits until the tracer has this thread in its hands.
    pub(crate) fn wait(self) -> Marks {
        let thread = rustix::thread::gettid().as_raw_nonzero().get();
        self.thread.send(thread as u32).unwrap();
        self.go.recv().unwrap();
        Marks { process: std::process::id() as pid_t, thread }
    }
}

impl Marks {
    /// The tracer knows that this thread is here. One system call, and nothing else.
    #[inline(always)]
    pub(crate) fn mark(&self) {
        // SAFETY: numbers only; the signal is this thread's, and its tracer takes it away.
        unsafe { libc::syscall(libc::SYS_tgkill, self.process, self.thread, MARK) };
    }
}

/// Where a traced thread has stopped.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// After an instruction.
    Step,
    /// Before or after a system call.
    Call,
    Mark,
}

/// A child with a thread in our hands. It ends with us.
pub(crate) struct Traced<R> {
    child: JoinHandle<R>,
    thread: pid_t,
}

/// The system calls that start a process or thread.
const STARTS: [c_long; 4] = [libc::SYS_clone, libc::SYS_clone3, libc::SYS_fork, libc::SYS_vfork];

/// Starts `f` in a child that is stopped at its first mark. None, and a word about it, where that
/// is not permitted.
pub(crate) fn trace<A, R>(f: fn((A, Stand)) -> R, args: A) -> Option<Traced<R>>
where
    A: Serialize + DeserializeOwned,
    R: Serialize + DeserializeOwned,
{
    let (said, thread) = bounded(1).unwrap();
    let (go, wait) = bounded(1).unwrap();
    let child = spawn(f, (args, Stand { thread: said, go: wait })).unwrap();
    let thread = thread.recv().unwrap() as pid_t;
    let traced = Traced { child, thread };
    traced.stay_close();
    let options = libc::PTRACE_O_EXITKILL | libc::PTRACE_O_TRACESYSGOOD;
    if let Err(error) = traced.request(libc::PTRACE_SEIZE, options as usize) {
        println!("tracing is not permitted here ({error}): NOT TESTED");
        traced.child.kill().unwrap();
        return None;
    }
    go.send(()).unwrap();
    traced.wait_for_mark();
    Some(traced)
}

impl<R: DeserializeOwned> Traced<R> {
    /// Both on one processor: only one of them ever runs, and each step is some times faster.
    fn stay_close(&self) {
        let mut here = rustix::thread::CpuSet::new();
        here.set(rustix::thread::sched_getcpu());
        // Without it everything works as well.
        for thread in [None, rustix::thread::Pid::from_raw(self.thread)] {
            let _ = rustix::thread::sched_setaffinity(thread, &here);
        }
    }

    fn request(&self, request: c_uint, data: usize) -> io::Result<()> {
        // SAFETY: none of the requests made here reads or writes memory of this process.
        let done = unsafe { libc::ptrace(request, self.thread, ptr::null_mut::<u8>(), data) };
        if done == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Lets the thread go on by this request, and waits until it stops.
    fn resume(&self, request: c_uint) -> Stop {
        self.request(request, 0).unwrap();
        self.wait(request)
    }

    /// Waits until the thread stops. Signals that come meanwhile it gets, and goes on by this
    /// request.
    fn wait(&self, request: c_uint) -> Stop {
        loop {
            let mut status = 0;
            // SAFETY: `status` is written during the call only.
            let waited = unsafe { libc::waitpid(self.thread, &raw mut status, libc::__WALL) };
            if waited == -1 && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted {
                continue;
            }
            assert_eq!(waited, self.thread, "{}", io::Error::last_os_error());
            assert!(libc::WIFSTOPPED(status), "the traced process has ended: {status:#x}");
            const CALL: c_int = libc::SIGTRAP | 0x80;
            match libc::WSTOPSIG(status) {
                MARK => return Stop::Mark,
                libc::SIGTRAP => return Stop::Step,
                CALL => return Stop::Call,
                // Whatever else comes to a process.
                signal => self.request(request, signal as usize).unwrap(),
            }
        }
    }

    fn wait_for_mark(&self) {
        assert_eq!(self.wait(libc::PTRACE_CONT), Stop::Mark);
    }

    /// One instruction on. False: it has come to its next mark instead.
    pub(crate) fn step(&self) -> bool {
        self.resume(libc::PTRACE_SINGLESTEP) == Stop::Step
    }

    /// So many instructions on, if there are as many before its next mark; how many there were.
    pub(crate) fn steps(&self, most: u64) -> u64 {
        (0..most).find(|_| !self.step()).unwrap_or(most)
    }

    /// kill -9, where it stands.
    pub(crate) fn kill(self) {
        self.child.kill().unwrap();
        let leader = self.thread == self.child.id() as pid_t;
        if !leader {
            // The tracer of a thread must also reap it.
            let mut status = 0;
            // SAFETY: as above.
            while unsafe { libc::waitpid(self.thread, &raw mut status, libc::__WALL) }
                == self.thread
                && libc::WIFSTOPPED(status)
            {}
        }
        assert!(matches!(self.child.join(), Err(JoinError::Killed(9))));
    }

    /// Lets it go on to its next mark, and then to its end.
    pub(crate) fn finish(self) -> R {
        self.request(libc::PTRACE_CONT, 0).unwrap();
        self.wait_for_mark();
        self.release()
    }

    /// From a mark, lets it go on to its end.
    pub(crate) fn release(self) -> R {
        self.request(libc::PTRACE_DETACH, 0).unwrap();
        self.child.join().unwrap()
    }

    fn registers(&self) -> libc::user_regs_struct {
        // SAFETY: numbers, for which zero is as good as any.
        let mut registers: libc::user_regs_struct = unsafe { std::mem::zeroed() };
        let to = &raw mut registers;
        // SAFETY: the thread is stopped; the structure is what the request writes.
        let done =
            unsafe { libc::ptrace(libc::PTRACE_GETREGS, self.thread, ptr::null_mut::<u8>(), to) };
        assert_eq!(done, 0);
        registers
    }

    fn set(&self, registers: &libc::user_regs_struct) {
        let from = &raw const *registers;
        // SAFETY: the thread is stopped; the structure is what the request reads.
        let done =
            unsafe { libc::ptrace(libc::PTRACE_SETREGS, self.thread, ptr::null_mut::<u8>(), from) };
        assert_eq!(done, 0);
    }

    /// On to the next mark; of the system calls that may fail, the `n`-th (from 0) is not made, and
    /// fails with `error`. Which one that was; none if there are not as many.
    pub(crate) fn fail_call(
        &self,
        n: u64,
        error: c_int,
        may_fail: impl Fn(c_long) -> bool,
    ) -> Option<c_long> {
        let mut failed = None;
        let mut number = 0;
        // `std` starts a process, and then receives how `exec` went. If that fails with anything
        // but EINTR, which it never does, `std` waits for the child, which waits for its parent.
        let mut starting = false;
        loop {
            if self.resume(libc::PTRACE_SYSCALL) == Stop::Mark {
                return failed;
            }
            // Before a call; the mark itself is one.
            let mut registers = self.registers();
            let call = registers.orig_rax as c_long;
            let receives_exec_result =
                starting && [libc::SYS_read, libc::SYS_recvfrom].contains(&call);
            starting = !receives_exec_result && (starting || STARTS.contains(&call));
            let fails = call != libc::SYS_tgkill && may_fail(call) && {
                number += 1;
                number == n + 1
            };
            if fails {
                failed = Some(call);
                registers.orig_rax = u64::MAX;
                self.set(&registers);
            }
            if self.resume(libc::PTRACE_SYSCALL) == Stop::Mark {
                return failed;
            }
            if fails {
                let mut registers = self.registers();
                let error = if receives_exec_result { libc::EINTR } else { error };
                registers.rax = -i64::from(error) as u64;
                self.set(&registers);
            }
        }
    }
}
