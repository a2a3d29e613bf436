//! Signals: storms of them, and processes that they stop.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

static HANDLED: AtomicU64 = AtomicU64::new(0);

extern "C" fn count(_: libc::c_int) {
    HANDLED.fetch_add(1, Ordering::Relaxed);
}

/// Returns how many signals of [`storm`] this process has handled.
pub fn handled() -> u64 {
    HANDLED.load(Ordering::Relaxed)
}

/// Runs `f` on a thread that gets a signal every 50 µs, which interrupts whatever it waits in.
pub fn storm<R: Send>(f: impl FnOnce() -> R + Send) -> R {
    storm_of(count, f)
}

/// As [`storm`], with a handler that does more than to count.
pub fn storm_of<R: Send>(handler: extern "C" fn(libc::c_int), f: impl FnOnce() -> R + Send) -> R {
    // SAFETY: all of it is valid as zeros; what the handlers do is what is tested. No SA_RESTART.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = handler as usize;
    // SAFETY: `action` is valid during the call, and the handler for ever.
    assert_eq!(unsafe { libc::sigaction(libc::SIGUSR1, &action, std::ptr::null_mut()) }, 0);
    let over = AtomicBool::new(false);
    let target = AtomicU64::new(0);
    thread::scope(|scope| {
        let victim = scope.spawn(|| {
            // SAFETY: no preconditions.
            target.store(unsafe { libc::pthread_self() } as u64, Ordering::Release);
            let result = f();
            over.store(true, Ordering::Release);
            // Alive until no signal can be on its way any more.
            while target.load(Ordering::Acquire) != 0 {
                thread::yield_now();
            }
            result
        });
        while target.load(Ordering::Acquire) == 0 {
            thread::yield_now();
        }
        // It is finished before it is over if `f` panics.
        while !over.load(Ordering::Acquire) && !victim.is_finished() {
            // SAFETY: the thread is not joined before the end of this function, so that its number
            // is its own.
            unsafe {
                libc::pthread_kill(target.load(Ordering::Relaxed) as libc::pthread_t, libc::SIGUSR1)
            };
            thread::sleep(Duration::from_micros(50));
        }
        target.store(0, Ordering::Release);
        victim.join().unwrap()
    })
}

/// Lets this process ignore a signal. Programs that it starts do so as well.
pub fn ignore(signal: libc::c_int) {
    // SAFETY: ignoring a signal installs no code.
    assert_ne!(unsafe { libc::signal(signal, libc::SIG_IGN) }, libc::SIG_ERR);
}

/// Sends a signal to a process, which has not been waited for.
pub fn signal(process: u32, signal: Signal) {
    kill_process(Pid::from_raw(process as i32).unwrap(), signal).unwrap();
}

/// Stops a process, and waits until none of its threads runs any more: the signal reaches one of
/// them first.
pub fn stop(process: u32) {
    signal(process, Signal::STOP);
    while !crate::proc::states(process).iter().all(|state| *state == 'T') {
        thread::yield_now();
    }
}

/// Kills the calling process at once. It returns nothing, so that functions of children can end
/// with it.
pub fn kill_this_process() {
    // SAFETY: no preconditions.
    unsafe { libc::raise(libc::SIGKILL) };
}

/// Lets the kernel kill this process when the thread that started it ends: a child that goes on
/// until it is told to end does not outlive a test that has failed.
pub fn end_with_the_parent() {
    // SAFETY: numbers.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }, 0);
}
