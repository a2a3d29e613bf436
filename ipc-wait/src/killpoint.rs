//! The kill points of the crash tests. Without `--cfg killpoints` they compile to nothing.
//!
//! The environment variable `KILLPOINT=name:n` arms a process. It kills itself with SIGKILL when it
//! reaches the point of that name for the n-th time. Each shared write and each system call of a
//! protocol has a point before it.
//!
//! In a model (`--cfg loom`, fuzzing, unit tests of `ipc-shm`), the same points end a simulated
//! process. See `killed_at` and `killed_after`.

macro_rules! kill_point {
    ($name:literal) => {
        #[cfg(any(killpoints, loom, fuzzing, feature = "model"))]
        $crate::killpoint::reach($name);
    };
}
pub(crate) use kill_point;

/// Ends this process if it is armed for the point `name`.
#[cfg(any(killpoints, loom, fuzzing, feature = "model"))]
pub fn reach(name: &'static str) {
    #[cfg(any(loom, fuzzing, feature = "model"))]
    armed::reach(name);
    #[cfg(all(killpoints, not(any(loom, fuzzing))))]
    if ipc_core::__private::killpoint::is_armed(name) {
        ipc_sys::process::kill_this_process();
    }
}

#[cfg(any(loom, fuzzing, feature = "model"))]
#[allow(clippy::missing_const_for_thread_local, reason = "loom's macro knows no const")]
mod armed {
    use std::cell::{Cell, RefCell};
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use crate::sync::models::thread_local;

    /// The point at which a simulated process will be killed.
    #[derive(Clone, Copy)]
    enum Armed {
        Nowhere,
        /// The point of this name, after the process has passed it so often.
        At(&'static str, u32),
        /// Any point, after the process has passed so many others.
        After(u32),
    }

    // With a scheduler, these belong to a thread of the model, because the scheduler runs all of
    // them in one thread of the system.
    thread_local! {
        /// The point at which the simulated process of this thread will be killed.
        static ARMED: Cell<Armed> = Cell::new(Armed::Nowhere);
        /// The points that the process reached since it was armed, including the one that killed
        /// it.
        static REACHED: RefCell<Vec<&'static str>> = RefCell::new(Vec::new());
    }

    /// The panic payload that unwinds a killed process.
    ///
    /// No part of the protocol is a destructor, so the unwinding does nothing else.
    struct Killed;

    /// Ends the simulated process of this thread.
    pub fn die() -> ! {
        resume_unwind(Box::new(Killed))
    }

    pub(crate) fn reach(name: &'static str) {
        let dies = ARMED.with(|armed| match armed.get() {
            Armed::At(at, passes) if at == name => {
                armed.set(if passes > 0 { Armed::At(at, passes - 1) } else { Armed::Nowhere });
                passes == 0
            }
            Armed::After(passes) => {
                REACHED.with(|reached| reached.borrow_mut().push(name));
                armed.set(if passes > 0 { Armed::After(passes - 1) } else { Armed::Nowhere });
                passes == 0
            }
            _ => false,
        });
        if dies {
            die();
        }
    }

    fn armed<T>(how: Armed, work: impl FnOnce() -> T) -> Option<T> {
        ARMED.with(|armed| armed.set(how));
        let done = catch_unwind(AssertUnwindSafe(work));
        ARMED.with(|armed| armed.set(Armed::Nowhere));
        match done {
            Ok(done) => Some(done),
            Err(killed) if killed.is::<Killed>() => None,
            Err(panic) => resume_unwind(panic),
        }
    }

    /// Runs `work` until it reaches the point `name` for the `n`-th time, counted from 0.
    ///
    /// Returns `None` if it was killed there.
    pub fn killed_at<T>(name: &'static str, n: u32, work: impl FnOnce() -> T) -> Option<T> {
        armed(Armed::At(name, n), work)
    }

    /// Runs `work` until it reaches the point after `n` others.
    ///
    /// Returns `None` if it was killed there. Also returns the points that it reached.
    pub fn killed_after<T>(n: u32, work: impl FnOnce() -> T) -> (Option<T>, Vec<&'static str>) {
        REACHED.with(|reached| reached.borrow_mut().clear());
        let done = armed(Armed::After(n), work);
        (done, REACHED.with(|reached| reached.take()))
    }
}
#[cfg(any(loom, fuzzing, feature = "model"))]
pub use armed::{die, killed_after, killed_at};
