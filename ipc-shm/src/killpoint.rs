//! Places to die at, for the crash tests: nothing at all without `--cfg killpoints`.
//!
//! A process that is started with `KILLPOINT=name:n` in its environment kills itself with SIGKILL when
//! it reaches the point of that name for the n-th time. Points stand before each shared write and each
//! syscall of the protocol.

macro_rules! kp {
    ($name:literal) => {
        #[cfg(killpoints)]
        $crate::killpoint::reach($name);
    };
}
pub(crate) use kp;

#[cfg(killpoints)]
mod armed {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    static ARMED: OnceLock<Option<(String, u64)>> = OnceLock::new();
    static REACHED: AtomicU64 = AtomicU64::new(0);

    fn parse() -> Option<(String, u64)> {
        let spec = std::env::var("KILLPOINT").ok()?;
        let (name, hit) = spec.rsplit_once(':')?;
        Some((name.to_owned(), hit.parse().ok()?))
    }

    pub(crate) fn reach(name: &str) {
        let Some((armed, hit)) = ARMED.get_or_init(parse) else { return };
        // Relaxed: a count, and the process ends with it.
        if armed == name && REACHED.fetch_add(1, Ordering::Relaxed) + 1 == *hit {
            let me = rustix::process::getpid();
            let _ = rustix::process::kill_process(me, rustix::process::Signal::KILL);
            // The signal is delivered before the call returns, or as soon as this thread is scheduled.
            loop {
                std::hint::spin_loop();
            }
        }
    }
}
#[cfg(killpoints)]
pub(crate) use armed::reach;
