//! Places to die at, for the crash tests: nothing at all without `--cfg killpoints`.

macro_rules! kill_point {
    ($name:literal) => {
        #[cfg(killpoints)]
        $crate::killpoint::reach($name);
    };
}
pub(crate) use kill_point;

#[cfg(killpoints)]
pub(crate) fn reach(name: &str) {
    if ipc_core::__private::killpoint::is_armed(name) {
        ipc_sys::process::kill_this_process();
    }
}
