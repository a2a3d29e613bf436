//! Barriers in the threads of other processes.

use rustix::thread::MembarrierCommand;

pub(crate) fn register() -> bool {
    // Each time: the kernel keeps the answer, and a forked child is another process.
    rustix::thread::membarrier(MembarrierCommand::RegisterGlobalExpedited).is_ok()
}

pub(crate) fn issue() -> bool {
    rustix::thread::membarrier(MembarrierCommand::GlobalExpedited).is_ok()
}
