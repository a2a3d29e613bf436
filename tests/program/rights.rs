//! Programs with less, more or other rights than usual.

use std::ffi::c_int;
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use multiprocess::{Receiver, Sender, bounded, spawn};
use rustix::fs::XattrFlags;
use testkit::rights::is_root;
use testkit::{Directory, watchdog};

use crate::runner::tests;

tests![
    a_program_that_is_not_dumpable_spawns_and_makes_channels,
    a_program_that_may_not_read_its_executable_spawns,
    a_program_that_gains_rights_is_refused_by_spawn,
    a_child_that_has_more_rights_than_its_parent_exits,
];

/// The user that programs run as which have no rights.
const NO_RIGHTS: u32 = 65534;

/// In the copy of this program that a test starts: what it is to do.
const PART: &str = "MULTIPROCESS_TEST_PART";

fn part() -> Option<String> {
    std::env::var(PART).ok()
}

/// A copy of this program with a mode, which goes when dropped.
struct Copy(Directory);

impl Copy {
    fn new(mode: u32) -> Self {
        let copy = Copy(Directory::new());
        std::fs::copy("/proc/self/exe", copy.file()).unwrap();
        std::fs::set_permissions(copy.0.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        copy.set_mode(mode);
        copy
    }

    fn file(&self) -> PathBuf {
        self.0.name("program")
    }

    fn set_mode(&self, mode: u32) {
        std::fs::set_permissions(self.file(), std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// The copy as a program of the user without rights.
    fn command(&self, part: &str) -> Command {
        let mut command = Command::new(self.file());
        command.env(PART, part).uid(NO_RIGHTS).gid(NO_RIGHTS).current_dir("/");
        command
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn echo((tx, rx): (Sender<u64>, Receiver<u64>)) {
    rx.iter().for_each(|n| tx.send(n + 1).unwrap());
}

/// Fails if anything does that a program needs.
fn spawn_and_talk() {
    let dumpable = rustix::process::dumpable_behavior().unwrap();
    assert_eq!(dumpable, rustix::process::DumpableBehavior::NotDumpable);
    assert!(std::fs::read("/proc/self/auxv").is_err(), "its files are closed to it");
    let (tx, there) = bounded(2).unwrap();
    let (back, rx) = bounded(2).unwrap();
    let child = spawn(echo, (back, there)).unwrap();
    tx.send(4).unwrap();
    assert_eq!(rx.recv(), Ok(5));
    drop(tx);
    child.join().unwrap();
    println!("spawned and talked");
}

// fault 113: as a daemon that has given up the superuser's rights.
fn a_program_that_is_not_dumpable_spawns_and_makes_channels() {
    multiprocess::init();
    let _watchdog = watchdog();
    if !is_root() {
        return;
    }
    // SAFETY: numbers, and no groups.
    assert_eq!(unsafe { libc::setgroups(0, std::ptr::null()) }, 0);
    // SAFETY: a number.
    assert_eq!(unsafe { libc::setgid(NO_RIGHTS) }, 0);
    // SAFETY: a number.
    assert_eq!(unsafe { libc::setuid(NO_RIGHTS) }, 0);
    // What the system does by itself, unless it is told to dump such processes.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).unwrap();
    spawn_and_talk();
}

// fault 113: an executable of mode 0711.
fn a_program_that_may_not_read_its_executable_spawns() {
    multiprocess::init();
    let _watchdog = watchdog();
    if part().is_some() {
        return spawn_and_talk();
    }
    if !is_root() {
        return;
    }
    let output = Copy::new(0o711).command("talk").output().unwrap();
    assert!(
        output.status.success() && text(&output).contains("spawned and talked"),
        "{}",
        text(&output)
    );
}

fn without_set_user_id(file: &Path) -> bool {
    let mount = rustix::fs::statvfs(file).unwrap();
    let without = mount.f_flag.contains(rustix::fs::StatVfsMountFlags::NOSUID);
    if without {
        println!("the directory for temporary files is mounted nosuid: NOT TESTED");
    }
    without
}

/// File capabilities, in the form that the kernel keeps: revision 2, effective, one of them
/// permitted.
fn give_capability(file: &Path) {
    let mut value = [0u8; 20];
    value[0..4].copy_from_slice(&0x0200_0001u32.to_le_bytes());
    value[4..8].copy_from_slice(&(1u32 << 10).to_le_bytes());
    rustix::fs::setxattr(file, "security.capability", &value, XattrFlags::empty()).unwrap();
}

// fault 114
fn a_program_that_gains_rights_is_refused_by_spawn() {
    if part().is_some() {
        println!("main");
    }
    multiprocess::init();
    let _watchdog = watchdog();
    if part().is_some() {
        // Until its file is what it is to be.
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        let error = spawn(|()| (), ()).unwrap_err();
        println!("{:?} {error}", error.kind());
        return;
    }
    if !is_root() {
        return;
    }
    let refuses = |name: &str, before: u32, change: &dyn Fn(&Copy), why: &str| {
        let copy = Copy::new(before);
        if without_set_user_id(&copy.file()) {
            return;
        }
        let (stdin, stdout) = (Stdio::piped(), Stdio::piped());
        let mut program = copy.command("spawn").stdin(stdin).stdout(stdout).spawn().unwrap();
        change(&copy);
        program.stdin.take().unwrap().flush().unwrap();
        let output = program.wait_with_output().unwrap();
        let text = text(&output);
        assert!(text.contains("Unsupported") && text.contains(why), "{name}: {text}");
        assert_eq!(text.matches("main\n").count(), 1, "{name}: {text}");
    };
    refuses("running-as", 0o4755, &|_| {}, "acts as another");
    refuses("set-user", 0o755, &|copy| copy.set_mode(0o4755), "set-user-ID or set-group-ID");
    refuses("set-group", 0o755, &|copy| copy.set_mode(0o2755), "set-user-ID or set-group-ID");
    refuses("capabilities", 0o755, &|copy| give_capability(&copy.file()), "file capabilities");
}

// fault 114: where the parent could not see it.
fn a_child_that_has_more_rights_than_its_parent_exits() {
    if part().is_some() {
        println!("main");
        return;
    }
    multiprocess::init();
    let _watchdog = watchdog();
    if !is_root() {
        return;
    }
    let copy = Copy::new(0o4755);
    if without_set_user_id(&copy.file()) {
        return;
    }
    // What `spawn` leaves a child.
    let (_ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
    rustix::io::fcntl_setfd(&theirs, rustix::io::FdFlags::empty()).unwrap();
    let number: c_int = theirs.as_raw_fd();
    let inode = std::fs::metadata(format!("/proc/self/fd/{number}")).unwrap().ino();
    for start in ["main", "before-main"] {
        let marker = format!("{number} {inode} {} {start}", std::process::id());
        let output = copy.command("child").env("MULTIPROCESS_CHILD", marker).output().unwrap();
        let text = text(&output);
        assert_eq!(output.status.code(), Some(112), "{text}");
        assert!(text.contains("more rights than its parent") && !text.contains("main\n"), "{text}");
    }
}
