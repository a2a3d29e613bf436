//! Places to die at, for the crash tests: nothing at all without `--cfg killpoints`.
//!
//! A process that is started with `KILLPOINT=name:n` in its environment kills itself with SIGKILL when
//! it reaches the point of that name for the n-th time. Points stand before each shared write and each
//! syscall of the protocol.
//!
//! In a model (`--cfg loom`) the same points end a simulated process: see `killed_at`.

macro_rules! kp {
    ($name:literal) => {
        #[cfg(any(killpoints, loom))]
        $crate::killpoint::reach($name);
    };
}
pub(crate) use kp;

#[cfg(all(killpoints, not(loom)))]
mod armed {
    pub(crate) fn reach(name: &str) {
        if ipc_core::killpoint::is_armed(name) {
            let me = rustix::process::getpid();
            let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
            // The signal is delivered before the call returns, or as soon as this thread is scheduled.
            loop {
                std::hint::spin_loop();
            }
        }
    }
}
#[cfg(any(killpoints, loom))]
pub(crate) use armed::reach;

#[cfg(loom)]
mod armed {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    loom::thread_local! {
        /// Where the simulated process that this thread is will be killed, and how often it passes before.
        static ARMED: Cell<Option<(&'static str, u32)>> = Cell::new(None);
    }

    /// What unwinds a killed process: nothing of the protocol is a destructor, so nothing more happens.
    struct Killed;

    pub(crate) fn reach(name: &'static str) {
        let dies = ARMED.with(|armed| match armed.get() {
            Some((at, passes)) if at == name => {
                armed.set((passes > 0).then(|| (at, passes - 1)));
                passes == 0
            }
            _ => false,
        });
        if dies {
            resume_unwind(Box::new(Killed));
        }
    }

    /// Runs `work` up to the point `name`, the `n`-th time that it comes there, counted from 0. `None` if
    /// it was killed there.
    pub(crate) fn killed_at<T>(name: &'static str, n: u32, work: impl FnOnce() -> T) -> Option<T> {
        ARMED.with(|armed| armed.set(Some((name, n))));
        let done = catch_unwind(AssertUnwindSafe(work));
        ARMED.with(|armed| armed.set(None));
        match done {
            Ok(done) => Some(done),
            Err(killed) if killed.is::<Killed>() => None,
            Err(panic) => resume_unwind(panic),
        }
    }
}
#[cfg(loom)]
pub(crate) use armed::killed_at;
