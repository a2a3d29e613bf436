//! How children of a program start, or fail to, and what is taken for a child.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

use multiprocess::process::Builder;
use multiprocess::spawn;
use testkit::proc::exists;
use testkit::watchdog;

use crate::runner::{tests, this_program};
use crate::support::{Fd, read_byte, socket_pair, write_byte};

tests![
    a_child_that_ends_before_init_is_an_error_of_spawn,
    a_child_that_never_comes_to_init_is_killed_in_time,
    a_child_that_has_not_come_to_init_cannot_spawn,
    a_child_that_lost_its_socket_exits_and_does_not_start_itself_for_ever,
    a_child_that_changed_its_stdin_before_init_starts,
    a_program_that_never_calls_init_cannot_spawn,
    a_program_whose_other_threads_call_init_or_spawn_needs_no_main,
    a_child_ends_if_its_parent_is_killed_before_it_comes_to_init,
    a_child_that_cannot_take_all_handles_refuses,
    what_main_does_before_init_happens_in_a_child_again,
    a_program_that_a_child_starts_or_becomes_is_no_child,
    a_program_that_outlives_the_child_that_started_it_is_no_child,
    a_variable_without_its_socket_makes_no_child_and_no_second_main,
];

/// What a test does before `init` in processes that are told so.
const BEFORE: &str = "MULTIPROCESS_TEST_BEFORE_INIT";

fn before_init() -> Option<String> {
    std::env::var(BEFORE).ok()
}

fn a_child_that_ends_before_init_is_an_error_of_spawn() {
    match before_init().as_deref() {
        Some("exit") => std::process::exit(3),
        Some("return") => return,
        Some("abort") => std::process::abort(),
        _ => {}
    }
    multiprocess::init();
    let _watchdog = watchdog();
    for (how, status) in
        [("exit", "exit status 3"), ("return", "exit status 0"), ("abort", "killed by signal 6")]
    {
        let error = Builder::new().name("early").env(BEFORE, how).spawn(|()| (), ()).unwrap_err();
        let text = error.to_string();
        let expected = format!("ended ({status}) before it reached multiprocess::init()");
        assert!(text.contains(&expected) && text.contains("\"early\""), "{text}");
    }
}

fn a_child_that_never_comes_to_init_is_killed_in_time() {
    if let Some(path) = before_init() {
        let mut line = UnixStream::connect(path).unwrap();
        line.write_all(&std::process::id().to_le_bytes()).unwrap();
        while read_byte(&mut line).is_some() {}
        return;
    }
    multiprocess::init();
    let _watchdog = watchdog();
    let path = std::env::temp_dir().join(format!("multiprocess-{}-init", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let error = Builder::new()
        .env(BEFORE, &path)
        .startup_timeout(Duration::from_secs(2))
        .spawn(|()| (), ())
        .unwrap_err();
    let (mut line, _) = listener.accept().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert!(error.to_string().contains("did not reach multiprocess::init()"), "{error}");
    let mut id = [0; 4];
    line.read_exact(&mut id).unwrap();
    assert!(!exists(u32::from_le_bytes(id)));
}

fn a_child_that_has_not_come_to_init_cannot_spawn() {
    if before_init().is_some() {
        let error = spawn(|()| (), ()).unwrap_err();
        let right = error.to_string().contains("itself spawned");
        std::process::exit(if right { 42 } else { 1 });
    }
    multiprocess::init();
    let _watchdog = watchdog();
    let error = Builder::new().env(BEFORE, "x").spawn(|()| (), ()).unwrap_err();
    assert!(error.to_string().contains("exit status 42"), "{error}");
}

fn a_child_that_lost_its_socket_exits_and_does_not_start_itself_for_ever() {
    if before_init().is_some() {
        // SAFETY: the process' own descriptors; it knows what it loses.
        assert_eq!(unsafe { libc::close_range(3, !0, 0) }, 0);
        multiprocess::init();
        std::process::exit(42);
    }
    multiprocess::init();
    let _watchdog = watchdog();
    let error =
        Builder::new().env(BEFORE, "x").stderr(Stdio::null()).spawn(|()| (), ()).unwrap_err();
    assert!(error.to_string().contains("exit status 112) instead of becoming"), "{error}");
}

fn a_child_that_changed_its_stdin_before_init_starts() {
    if before_init().is_some() {
        rustix::stdio::dup2_stdin(std::fs::File::open("/dev/null").unwrap()).unwrap();
    }
    multiprocess::init();
    let _watchdog = watchdog();
    assert_eq!(Builder::new().env(BEFORE, "x").spawn(|()| 3, ()).unwrap().join().unwrap(), 3);
}

fn a_program_that_never_calls_init_cannot_spawn() {
    let text = spawn(|()| (), ()).unwrap_err().to_string();
    assert!(text.contains("init() has not been called"), "{text}");
}

// fault 117: no thread is taken for a test by its name.
fn a_program_whose_other_threads_call_init_or_spawn_needs_no_main() {
    assert!(before_init().is_none(), "main ran again");
    let _watchdog = watchdog();
    let work = || {
        let mut child =
            Builder::new().env(BEFORE, "x").stdout(Stdio::piped()).spawn(arguments, ()).unwrap();
        let mut output = String::new();
        child.take_stdout().unwrap().read_to_string(&mut output).unwrap();
        assert_eq!(output, "");
        assert_eq!(child.join().unwrap(), arguments(()));
    };
    let thread = std::thread::Builder::new().name("worker".into()).spawn(work).unwrap();
    thread.join().unwrap();
    let with_init = move || {
        multiprocess::init();
        work();
    };
    let thread =
        std::thread::Builder::new().name("tokio-runtime-worker".into()).spawn(with_init).unwrap();
    thread.join().unwrap();
    work();
}

fn arguments((): ()) -> Vec<String> {
    std::env::args().collect()
}

fn a_child_ends_if_its_parent_is_killed_before_it_comes_to_init() {
    if let Some(path) = before_init() {
        if std::env::var_os("MULTIPROCESS_TEST_DEPTH").is_some() {
            let mut line = UnixStream::connect(path).unwrap();
            write_byte(&mut line, b'i');
            assert_eq!(read_byte(&mut line), Some(b'g'));
            // From here on only its own end closes the line.
            std::mem::forget(line);
        }
    }
    multiprocess::init();
    let _watchdog = watchdog();
    let path = std::env::temp_dir().join(format!("multiprocess-{}-orphan", std::process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let parent = |()| {
        let held = Builder::new().env("MULTIPROCESS_TEST_DEPTH", "1");
        held.spawn(|()| (), ()).unwrap();
    };
    let parent = Builder::new().env(BEFORE, &path).spawn(parent, ()).unwrap();
    let (mut line, _) = listener.accept().unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(read_byte(&mut line), Some(b'i'));
    parent.kill().unwrap();
    assert!(parent.join().is_err());
    write_byte(&mut line, b'g');
    assert_eq!(read_byte(&mut line), None);
}

fn a_child_that_cannot_take_all_handles_refuses() {
    if before_init().is_some() {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let limit = Rlimit { current: Some(40), maximum: Some(40) };
        setrlimit(Resource::Nofile, limit).unwrap();
    }
    multiprocess::init();
    let _watchdog = watchdog();
    let (mut ours, theirs): (Vec<_>, Vec<Fd>) = (0..100).map(|_| socket_pair()).unzip();
    let error = Builder::new().env(BEFORE, "x").spawn(|_: Vec<Fd>| (), theirs).unwrap_err();
    assert!(error.to_string().contains("limit on open files"), "{error}");
    assert!(ours.iter_mut().all(|line| read_byte(line).is_none()), "all are closed");
}

fn what_main_does_before_init_happens_in_a_child_again() {
    std::env::set_current_dir("/").unwrap();
    multiprocess::init();
    let _watchdog = watchdog();
    let place = |()| {
        let thread = std::thread::current().name().map(str::to_owned);
        (std::env::current_dir().unwrap(), thread)
    };
    let child = Builder::new().current_dir("/tmp").spawn(place, ()).unwrap();
    assert_eq!(child.join().unwrap(), ("/".into(), Some("main".into())));
}

/// Set where this program is an ordinary one, which a child has started.
const ORDINARY: &str = "MULTIPROCESS_TEST_ORDINARY";

/// What an ordinary program prints that can spawn.
fn be_ordinary() {
    println!("spawned {}", spawn(|n: u32| n + 1, 4).unwrap().join().unwrap());
}

// fault 115
fn a_program_that_a_child_starts_or_becomes_is_no_child() {
    multiprocess::init();
    let _watchdog = watchdog();
    if std::env::var_os(ORDINARY).is_some() {
        return be_ordinary();
    }
    let starts = |()| {
        assert_eq!(std::env::var_os("MULTIPROCESS_CHILD"), None);
        let (_ours, socket) = socket_pair();
        let inputs = [Stdio::inherit(), Stdio::piped(), socket.take().into()];
        for stdin in inputs {
            let output = this_program().env(ORDINARY, "1").stdin(stdin).output().unwrap();
            let text = String::from_utf8(output.stdout).unwrap();
            assert!(output.status.success() && text.contains("spawned 5"), "{text}");
        }
    };
    spawn(starts, ()).unwrap().join().unwrap();

    fn becomes(path: String) {
        panic!("{}", std::process::Command::new(path).env(ORDINARY, "1").exec());
    }
    // By its name, and by the very name that children are started by.
    for path in [std::env::current_exe().unwrap(), "/proc/self/exe".into()] {
        let path = path.to_str().unwrap().to_owned();
        let mut child = Builder::new().stdout(Stdio::piped()).spawn(becomes, path).unwrap();
        let mut text = String::new();
        child.take_stdout().unwrap().read_to_string(&mut text).unwrap();
        assert!(text.contains("spawned 5"), "{text}");
        assert!(matches!(child.join(), Err(multiprocess::JoinError::Exited(0))));
    }
}

// fault 115
fn a_program_that_outlives_the_child_that_started_it_is_no_child() {
    multiprocess::init();
    let _watchdog = watchdog();
    if std::env::var_os(ORDINARY).is_some() {
        // Until the child that started it is gone, so that it has another parent: the first process
        // itself.
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        let parent = rustix::process::getppid().map(|pid| pid.as_raw_nonzero().to_string());
        assert_eq!(parent, std::env::var(ORDINARY).ok());
        // Once more: this process has the parent that the child had.
        let again = this_program().env_remove(ORDINARY).env("MULTIPROCESS_TEST_AGAIN", "1").exec();
        panic!("{again}");
    }
    if std::env::var_os("MULTIPROCESS_TEST_AGAIN").is_some() {
        return be_ordinary();
    }
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let leaves = |first: u32| {
        let (ours, theirs) = socket_pair();
        let mut helper = this_program();
        helper.env(ORDINARY, first.to_string()).stdin(Stdio::from(theirs.take()));
        #[allow(clippy::zombie_processes, reason = "it outlives this process")]
        helper.spawn().unwrap();
        // It goes with this process.
        std::mem::forget(ours);
    };
    let mut child =
        Builder::new().stdout(Stdio::piped()).spawn(leaves, std::process::id()).unwrap();
    let mut stdout = child.take_stdout().unwrap();
    child.join().unwrap();
    let mut text = String::new();
    stdout.read_to_string(&mut text).unwrap();
    assert!(text.contains("spawned 5"), "{text}");
}

// faults 114, 115: the socket that the variable names is not there.
fn a_variable_without_its_socket_makes_no_child_and_no_second_main() {
    multiprocess::init();
    let _watchdog = watchdog();
    if std::env::var_os(ORDINARY).is_some() {
        return be_ordinary();
    }
    let start = |spawner: u32| {
        let variable = format!("1000 1 {spawner} main");
        this_program().env(ORDINARY, "1").env("MULTIPROCESS_CHILD", variable).output().unwrap()
    };
    // Inherited by accident: the process that it was meant for had another parent.
    let output = start(std::os::unix::process::parent_id());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.contains("spawned 5"), "{text}");
    // Meant for this child, which must not run `main` in place of its function.
    let output = start(std::process::id());
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("the socket to its parent is closed; it exits"), "{text}");
    assert_eq!((output.status.code(), output.stdout.is_empty()), (Some(112), true));
}
