//! Places to die at, for the crash tests: nothing at all without `--cfg killpoints`.
//!
//! A process that is started with `KILLPOINT=name:n` in its environment kills itself with SIGKILL
//! when it reaches the point of that name for the n-th time. Points stand before each shared write
//! and each syscall of the protocol.
//!
//! In a model (`--cfg loom`, fuzzing, unit tests) the same points end a simulated process: see
//! `killed_at` and `killed_after`.

macro_rules! kill_point {
    ($name:literal) => {
        #[cfg(any(killpoints, loom, fuzzing, test))]
        $crate::killpoint::reach($name);
    };
}
pub(crate) use kill_point;

#[cfg(all(killpoints, not(any(loom, fuzzing, test))))]
mod armed {
    pub(crate) fn reach(name: &str) {
        if ipc_core::__private::killpoint::is_armed(name) {
            ipc_sys::process::kill_this_process();
        }
    }
}
#[cfg(any(killpoints, loom, fuzzing, test))]
pub(crate) use armed::reach;

#[cfg(any(loom, fuzzing, test))]
#[allow(clippy::missing_const_for_thread_local, reason = "loom's macro knows no const")]
mod armed {
    use std::cell::{Cell, RefCell};
    use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

    use crate::sync::models::thread_local;

    /// Where a simulated process will be killed.
    #[derive(Clone, Copy)]
    enum Armed {
        Nowhere,
        /// At the point of this name, after it has been passed so often.
        At(&'static str, u32),
        /// At whatever point comes after so many others.
        After(u32),
    }

    // Of a model's thread, where there is a scheduler: it runs them all in one of the system's.
    thread_local! {
        /// Where the simulated process that this thread is will be killed.
        static ARMED: Cell<Armed> = Cell::new(Armed::Nowhere);
        /// The points that were reached since the process was armed, the one that it was killed at
        /// included.
        static REACHED: RefCell<Vec<&'static str>> = RefCell::new(Vec::new());
    }

    /// What unwinds a killed process: nothing of the protocol is a destructor, so nothing more
    /// happens.
    struct Killed;

    /// Ends the simulated process that this thread is.
    pub(crate) fn die() -> ! {
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

    /// Runs `work` up to the point `name`, the `n`-th time that it comes there, counted from 0.
    /// `None` if it was killed there.
    pub(crate) fn killed_at<T>(name: &'static str, n: u32, work: impl FnOnce() -> T) -> Option<T> {
        armed(Armed::At(name, n), work)
    }

    /// Runs `work` up to the point that comes after `n` others; `None` if it was killed there.
    /// Beside it the points that were reached.
    pub(crate) fn killed_after<T>(
        n: u32,
        work: impl FnOnce() -> T,
    ) -> (Option<T>, Vec<&'static str>) {
        REACHED.with(|reached| reached.borrow_mut().clear());
        let done = armed(Armed::After(n), work);
        (done, REACHED.with(|reached| reached.take()))
    }
}
#[cfg(all(any(fuzzing, test), not(loom)))]
pub(crate) use armed::die;
#[cfg(any(loom, fuzzing, test))]
pub(crate) use armed::{killed_after, killed_at};
