//! Namespaces without devices, or without /proc.

use std::io::Read;
use std::process::Command;

use multiprocess::pipe::{self, Listener};
use multiprocess::shm::{Mutex, Segment};
use multiprocess::{bounded, spawn};
use testkit::{inside, watchdog};

/// Hides what is below a directory. False, and a word about it, where that is not permitted.
fn cover(directory: &str) -> bool {
    cover_by(directory, "mode=1777")
}

/// As [`cover`], by a file system in memory with these options.
fn cover_by(directory: &str, options: &str) -> bool {
    let arguments = ["-t", "tmpfs", "-o", options, "none", directory];
    let output = Command::new("mount").args(arguments).output().unwrap();
    if !output.status.success() {
        println!("{directory} cannot be covered here ({output:?}): NOT TESTED");
    }
    output.status.success()
}

// fault 119
#[test]
fn without_dev_null_children_start_with_an_empty_stdin() {
    multiprocess::init();
    let _watchdog = watchdog();
    if !inside("--mount") || !cover("/dev") {
        return;
    }
    assert!(std::fs::File::open("/dev/null").is_err());
    let read = |()| {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!(spawn(read, ()).unwrap().join().unwrap(), "");
}

// fault 119
#[test]
fn without_proc_errors_ask_whether_it_is_mounted() {
    multiprocess::init();
    let _watchdog = watchdog();
    if !inside("--mount") || !cover("/proc") {
        return;
    }
    let errors = [
        spawn(|()| (), ()).unwrap_err().to_string(),
        bounded::<u64>(1).unwrap_err().to_string(),
        Segment::anonymous(100).unwrap_err().to_string(),
        Mutex::new(1u8).unwrap_err().to_string(),
    ];
    for error in errors {
        assert!(error.contains("is /proc mounted?"), "{error}");
    }
    let name = format!("/tmp/multiprocess-test-{}-bare", std::process::id());
    // A dead socket is at this name, and then nothing.
    drop(std::os::unix::net::UnixListener::bind(&name).unwrap());
    let errors = [
        pipe::connect::<u8, u8>(&name).unwrap_err().to_string(),
        Listener::bind(&name).unwrap_err().to_string(),
        Listener::remove_abandoned(&name).unwrap_err().to_string(),
    ];
    std::fs::remove_file(&name).unwrap();
    let nothing = Listener::bind(&name).unwrap_err().to_string();
    for error in errors.into_iter().chain([nothing]) {
        assert!(error.contains("/proc is not mounted"), "{error}");
    }
}

// fault 110: of memory, where names are.
#[test]
fn a_segment_for_which_there_is_no_memory_says_what_takes_less() {
    multiprocess::init();
    let _watchdog = watchdog();
    if !inside("--mount") || !cover_by("/dev/shm", "size=64k") {
        return;
    }
    let name = format!("multiprocess-test-{}-full", std::process::id());
    let error = Segment::create(&name, 1 << 20).unwrap_err().to_string();
    assert!(error.contains("there is no memory for") && error.contains("takes less"), "{error}");
    // Nothing is left in its way.
    Segment::create(&name, 1 << 10).unwrap();
}
