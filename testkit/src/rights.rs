//! What a process may do: limits of its resources, forbidden system calls, namespaces, users.

use std::fs::File;
use std::process::{Command, Output};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Sets the soft limit of this process, and returns the old one. `None` is no limit.
pub fn limit(resource: Resource, to: Option<u64>) -> Option<u64> {
    let old = getrlimit(resource);
    setrlimit(resource, Rlimit { current: to, maximum: old.maximum }).unwrap();
    old.current
}

/// Runs `f` while this process may have no more than `spare` further descriptors. At most 96 may be
/// open before.
pub fn starved<R>(spare: usize, f: impl FnOnce() -> R) -> R {
    let old = limit(Resource::Nofile, Some(96));
    let mut filler = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        filler.push(file);
    }
    filler.truncate(filler.len() - spare);
    let result = f();
    drop(filler);
    limit(Resource::Nofile, old);
    result
}

/// Whether this process is the superuser's, which may act for other users. If not, it says that
/// something is not tested.
pub fn is_root() -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        println!("not the superuser, so acting for other users is NOT TESTED");
    }
    root
}

/// From now on this system call answers with this error in this thread; if an argument's number and
/// flags are given, only with one of those in it.
pub fn forbid(call: libc::c_long, flags: Option<(u32, libc::c_int)>, error: libc::c_int) {
    let code =
        |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |offset| code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
    let answer = |with| code(libc::BPF_RET | libc::BPF_K, with, 0, 0);
    // Of `seccomp_data`: the number of the call is at 0, the arguments, of 8 bytes, from 16 on.
    let mut filter =
        vec![load(0), code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, 1, 0)];
    filter.push(answer(libc::SECCOMP_RET_ALLOW));
    if let Some((argument, flags)) = flags {
        let low_half = 16 + 8 * argument + if cfg!(target_endian = "big") { 4 } else { 0 };
        filter.extend([
            load(low_half),
            code(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, flags as u32, 1, 0),
        ]);
        filter.push(answer(libc::SECCOMP_RET_ALLOW));
    }
    filter.push(answer(libc::SECCOMP_RET_ERRNO | error as u32));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: numbers only.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the program is read during the call.
    let done =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(done, 0);
}

const INSIDE: &str = "MULTIPROCESS_TEST_INSIDE";

/// Runs the calling test again, alone, as the superuser of new namespaces: `options` are those of
/// unshare(1) that say of what kind. True in there; false outside, when it has passed in there, or
/// where this user may have none, which is said.
pub fn inside(options: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let unshare = |user: bool| {
        let mut command = Command::new("unshare");
        command.args(if user { &["--user", "--map-root-user"][..] } else { &[] });
        command.args(["--fork", "--kill-child"]).args(options.split_whitespace());
        command
    };
    // The superuser needs no users of his own, if he is one.
    let tried = [false, true].map(|user| (user, unshare(user).arg("true").output()));
    let permitted = |(_, output): &&(bool, std::io::Result<Output>)| {
        output.as_ref().is_ok_and(|output| output.status.success())
    };
    let Some((user, _)) = tried.iter().find(permitted) else {
        println!("this user may have no namespaces here ({tried:?}): NOT TESTED");
        return false;
    };
    let test = std::thread::current().name().unwrap().to_owned();
    let output = unshare(*user)
        .arg(std::env::current_exe().unwrap())
        .args([&test, "--exact", "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "in the namespaces: {}\n{text}",
        output.status
    );
    text.lines().filter(|line| line.contains("NOT TESTED")).for_each(|line| println!("{line}"));
    false
}
