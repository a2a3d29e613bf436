//! Full barriers in the threads of other processes.

use crate::os::barrier as os;

contract! {
    /// Registers this process: from now on [`issue`] in any process is a full barrier in its
    /// threads.
    ///
    /// Returns false if the system cannot. (`membarrier(REGISTER_GLOBAL_EXPEDITED)`)
    pub fn register() -> bool;

    /// Issues a full barrier in all running threads of registered processes.
    ///
    /// Returns false if the system cannot. (`membarrier(GLOBAL_EXPEDITED)`)
    pub fn issue() -> bool;
}
