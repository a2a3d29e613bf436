//! Names, and who may have them.

use std::ffi::CString;
use std::io::ErrorKind::{AlreadyExists, InvalidData, InvalidInput, NotFound, PermissionDenied};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use multiprocess::shm::{Lifetime, Segment, SegmentBuilder, Shared, View};
use multiprocess::{Receiver, Sender, bounded, spawn};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use testkit::rights::is_root;
use testkit::{held, until, watchdog};

use crate::support::{Name, forbid_unnamed, text};

// fault 52
#[test]
fn a_name_is_one_printable_component() {
    let _watchdog = watchdog();
    let long = "n".repeat(256);
    for name in
        ["", ".", "..", "a/b", "/a", "../x", "a\0b", "a\nb", "a\x7fb", "a\\b", "a\u{85}b", &long]
    {
        for error in [
            Segment::create(name, 1).unwrap_err(),
            Segment::open(name).unwrap_err(),
            Segment::open_or_create(name, 1).unwrap_err(),
            Segment::unlink(name).unwrap_err(),
            View::open(name).unwrap_err(),
            Shared::<u8>::open(name).unwrap_err(),
        ] {
            assert_eq!(error.kind(), InvalidInput, "{name:?}");
            assert!(error.to_string().starts_with(&format!("segment name {name:?}: ")), "{error}");
        }
    }
    let base = Name::new("é ?*:");
    let longest = format!("{}{}", &*base, "n".repeat(255 - base.len()));
    for name in [&*base, &longest] {
        let segment = Segment::create(name, 1).unwrap();
        assert!(
            Segment::list().unwrap().iter().any(|info| info.name == name && info.attached == 1)
        );
        drop(segment);
        assert_eq!(Segment::open(name).unwrap_err().kind(), NotFound);
    }
}

fn c_path(path: &Path) -> CString {
    CString::new(path.as_os_str().as_bytes()).unwrap()
}

fn refused(name: &str, what: &str) {
    for error in [
        Segment::open(name).unwrap_err(),
        Segment::open_or_create(name, 1).unwrap_err(),
        Segment::create(name, 1).unwrap_err(),
        View::open(name).unwrap_err(),
    ] {
        assert_eq!(error.kind(), PermissionDenied, "{what}: {error}");
        assert!(error.to_string().contains("not trusted"), "{what}: {error}");
    }
}

// fault 51
#[test]
fn what_is_no_file_of_one_name_is_refused() {
    let _watchdog = watchdog();
    let target = Name::new("target");
    let persistent = SegmentBuilder::new(1).lifetime(Lifetime::Persistent);
    drop(persistent.create(&target).unwrap());

    let link = Name::new("symlink");
    std::os::unix::fs::symlink(target.path(), link.path()).unwrap();
    refused(&link, "a symbolic link");
    assert_eq!(Segment::unlink(&link).unwrap_err().kind(), PermissionDenied);

    let pipe = Name::new("fifo");
    // SAFETY: a path that ends with zero.
    assert_eq!(unsafe { libc::mkfifo(c_path(&pipe.path()).as_ptr(), 0o600) }, 0);
    refused(&pipe, "a FIFO");

    let directory = Name::new("directory");
    std::fs::create_dir(directory.path()).unwrap();
    refused(&directory, "a directory");

    let socket = Name::new("socket");
    let _socket = std::os::unix::net::UnixListener::bind(socket.path()).unwrap();
    refused(&socket, "a socket");

    let device = Name::new("device");
    // SAFETY: as above.
    if unsafe {
        libc::mknod(c_path(&device.path()).as_ptr(), libc::S_IFCHR | 0o600, libc::makedev(1, 3))
    } == 0
    {
        refused(&device, "a device");
    }

    let second = Name::new("hard-link");
    std::fs::hard_link(target.path(), second.path()).unwrap();
    refused(&target, "a second name");
    drop(second);
    drop(Segment::open(&target).unwrap());
    for name in [&target, &link, &pipe, &directory, &socket, &device] {
        assert_eq!(held(name), (0, 0));
    }
    Segment::unlink(&target).unwrap();
}

// fault 53
#[test]
fn what_others_may_write_is_refused_unless_asked_for() {
    let _watchdog = watchdog();
    let name = Name::new("wide");
    let persistent = SegmentBuilder::new(1).lifetime(Lifetime::Persistent);
    drop(persistent.create(&name).unwrap());
    for mode in [0o666, 0o602, 0o620, 0o640, 0o604, 0o700, 0o1600, 0o2600, 0o4600] {
        std::fs::set_permissions(name.path(), std::fs::Permissions::from_mode(mode)).unwrap();
        refused(&name, &format!("mode {mode:o}"));
        // In either direction, exactly what was asked for.
        let asked = SegmentBuilder::new(0).mode(mode & 0o777);
        match mode {
            0o666 | 0o602 | 0o620 | 0o640 | 0o604 => drop(asked.open(&name).unwrap()),
            0o700 => assert_eq!(
                asked.open(&name).unwrap_err().kind(),
                InvalidInput,
                "no process executes it"
            ),
            _ => assert_eq!(asked.open(&name).unwrap_err().kind(), PermissionDenied, "{mode:o}"),
        }
    }
    std::fs::set_permissions(name.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
    if is_root() {
        std::os::unix::fs::chown(name.path(), Some(12345), None).unwrap();
        refused(&name, "another user's");
        drop(SegmentBuilder::new(0).any_owner(true).open(&name).unwrap());
        let info = Segment::list().unwrap().into_iter().find(|info| info.name == *name.0).unwrap();
        assert_eq!((info.attached, info.is_abandoned()), (0, false));
    }
    Segment::unlink(&name).unwrap();
    for mode in [0, 0o400, 0o200, 0o1600, 0o10600, u32::MAX] {
        assert_eq!(
            SegmentBuilder::new(1).mode(mode).create(&name).unwrap_err().kind(),
            InvalidInput
        );
    }
}

// fault 53: a directory that gives its group to what is made in it.
#[test]
fn a_setgid_directory_gives_no_rights() {
    let _watchdog = watchdog();
    let directory = Name::new("setgid");
    std::fs::create_dir(directory.path()).unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o2777)).unwrap();
    let path = directory.path().join("file");
    let segment = Segment::file(&path, 1).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
    drop(segment);
    drop(Segment::file(&path, 1).unwrap());
    std::fs::remove_file(&path).unwrap();
}

// fault 54
#[test]
fn what_may_not_be_opened_is_an_error_and_leaves_nothing() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("read-only");
    let attempt = |name: String| {
        if is_root() {
            // SAFETY: this process' own rights.
            assert_eq!(unsafe { libc::setuid(65534) }, 0);
        }
        let path = Path::new("/dev/shm").join(&name);
        let segment = Segment::create(&name, 1).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        assert_eq!(Segment::open(&name).unwrap_err().kind(), PermissionDenied);
        assert_eq!(Segment::open_or_create(&name, 1).unwrap_err().kind(), PermissionDenied);
        // Its owner may read it.
        assert_eq!(View::open(&name).unwrap().size(), 1);
        drop(segment);
        assert!(!path.exists(), "its last handle may remove it");
        // A directory that is not his.
        assert_eq!(Segment::file("/multiprocess-test", 1).unwrap_err().kind(), PermissionDenied);
        assert_eq!(held(&name), (0, 0));
    };
    spawn(attempt, name.0.clone()).unwrap().join().unwrap();
    // A file system to be read only.
    assert!(Segment::file("/proc/multiprocess-test", 1).is_err());
    assert!(Segment::file("/sys/multiprocess-test", 1).is_err());
    assert_eq!(held("/proc/multi"), (0, 0));
}

// fault 55
#[test]
fn the_mode_is_the_one_asked_for_whatever_the_umask() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("umask");
    let attempt = |(name, umask): (String, u32)| {
        // SAFETY: this process' own.
        unsafe { libc::umask(umask) };
        let path = Path::new("/dev/shm").join(&name);
        for (mode, asked) in
            [(0o600, None), (0o660, Some(0o660)), (0o666, Some(0o666)), (0o644, Some(0o644))]
        {
            let builder = SegmentBuilder::new(1);
            let segment =
                asked.map_or(builder.clone(), |mode| builder.mode(mode)).create(&name).unwrap();
            assert_eq!(path.metadata().unwrap().mode() & 0o7777, mode);
            drop(segment);
        }
    };
    for umask in [0, 0o077, 0o777] {
        spawn(attempt, (name.0.clone(), umask)).unwrap().join().unwrap();
    }
}

// fault 56
#[test]
fn a_name_that_is_made_anew_leads_to_the_new_one_only() {
    let _watchdog = watchdog();
    let name = Name::new("anew");
    let old = Segment::create(&name, 100).unwrap();
    old.write(0, b"old").unwrap();
    Segment::unlink(&name).unwrap();
    assert_eq!(Segment::unlink(&name).unwrap_err().kind(), NotFound);
    let new = Segment::create(&name, 100).unwrap();
    new.write(0, b"new").unwrap();
    assert!(!old.same_segment(&new));
    assert_eq!((text(&old), text(&new)), ("old".into(), "new".into()));
    assert_eq!(text(&Segment::open(&name).unwrap()), "new");
    drop(old);
    assert_eq!(
        text(&Segment::open(&name).unwrap()),
        "new",
        "the old one has not taken the name with it"
    );
    drop(new);
    assert!(!name.is_there());
}

/// Opens the name, says so, and stays until told.
fn keep((name, ready, go): (String, Sender<usize>, Receiver<()>)) {
    let segment = Segment::open(&name).unwrap();
    ready.send(segment.attached().unwrap()).unwrap();
    let _ = go.recv();
}

// fault 58
#[test]
fn a_process_that_opens_it_twice_and_drops_one_stays_alive() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("twice");
    let (ready, is_ready) = bounded(1).unwrap();
    let (go, wait) = bounded(1).unwrap();
    let first = Segment::create(&name, 1).unwrap();
    let second = Segment::open(&name).unwrap();
    drop(first);
    // Nor does any open and close of the file end it.
    drop(std::fs::File::open(name.path()).unwrap());
    let child = spawn(keep, (name.0.clone(), ready, wait)).unwrap();
    assert_eq!(is_ready.recv(), Ok(2));
    assert_eq!(second.attached(), Some(2));
    drop(second);
    assert!(name.is_there(), "the child has it");
    go.send(()).unwrap();
    child.join().unwrap();
    assert!(!name.is_there(), "the last one took it along");
}

// faults 9, 57: what is left when all are killed.
#[test]
fn after_every_process_was_killed_the_name_is_free_again() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("abandoned");
    let abandon = |text: &[u8]| {
        let (ready, is_ready) = bounded(1).unwrap();
        let (_go, wait) = bounded(1).unwrap();
        let segment = Segment::create(&name, 100).unwrap();
        segment.write(0, text).unwrap();
        let child = spawn(keep, (name.0.clone(), ready, wait)).unwrap();
        is_ready.recv().unwrap();
        drop(segment);
        child.kill().unwrap();
        child.join().unwrap_err();
        assert!(name.is_there());
    };
    abandon(b"first");
    let info = Segment::list().unwrap().into_iter().find(|info| info.name == *name.0).unwrap();
    assert!(info.is_abandoned());
    assert_eq!((info.size, info.attached, info.lifetime), (100, 0, Lifetime::LastHandle));
    // The process that opens it has the data, and is its last handle.
    let found = Segment::open(&name).unwrap();
    assert_eq!((text(&found), found.attached()), ("first".into(), Some(1)));
    assert_eq!(Segment::create(&name, 1).unwrap_err().kind(), AlreadyExists);
    drop(found);
    assert!(!name.is_there());

    abandon(b"second");
    assert_eq!(text(&Segment::open_or_create(&name, 100).unwrap()), "second");
    assert!(!name.is_there());

    abandon(b"third");
    let replaced = Segment::create(&name, 50).unwrap();
    assert_eq!((text(&replaced), replaced.size()), (String::new(), 50));
    drop(replaced);

    abandon(b"fourth");
    Segment::unlink(&name).unwrap();
    assert_eq!(held(&name), (0, 0));
}

#[test]
fn what_is_persistent_stays() {
    let _watchdog = watchdog();
    let name = Name::new("persistent");
    let builder = SegmentBuilder::new(100).lifetime(Lifetime::Persistent);
    builder.create(&name).unwrap().write(0, b"kept").unwrap();
    assert_eq!(text(&Segment::open(&name).unwrap()), "kept");
    let error = Segment::create(&name, 1).unwrap_err();
    assert!(error.kind() == AlreadyExists && error.to_string().contains("unlink"), "{error}");
    assert_eq!(text(&Segment::open_or_create(&name, 100).unwrap()), "kept");
    // It is smaller than asked for.
    let error = Segment::open_or_create(&name, 101).unwrap_err();
    assert!(error.kind() == InvalidData && error.to_string().contains("100 bytes"), "{error}");
    Segment::unlink(&name).unwrap();
    assert!(!name.is_there());
}

// fault 87: what is never dropped goes when the program ends in order.
#[test]
fn what_a_program_forgets_goes_with_it() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("forgotten");
    let forget = |(name, exit): (String, bool)| {
        std::mem::forget(Segment::create(&name, 1).unwrap());
        if exit {
            std::process::exit(0);
        }
    };
    for exit in [false, true] {
        let _ = spawn(forget, (name.0.clone(), exit)).unwrap().join();
        assert!(!name.is_there(), "{exit}");
    }
    // But not while others have it.
    let (ready, is_ready) = bounded(1).unwrap();
    let (go, wait) = bounded::<()>(1).unwrap();
    let linger = |(name, ready, wait): (String, Sender<()>, Receiver<()>)| {
        std::mem::forget(Segment::create(&name, 1).unwrap());
        ready.send(()).unwrap();
        let _ = wait.recv();
    };
    let child = spawn(linger, (name.0.clone(), ready, wait)).unwrap();
    is_ready.recv().unwrap();
    let segment = Segment::open(&name).unwrap();
    drop(go);
    child.join().unwrap();
    assert!(name.is_there());
    until("the dead process's part is free", || segment.attached() == Some(1));
    drop(segment);
    assert!(!name.is_there());
}

// fault 49: in-place makers, where files cannot be made without a name, may die before they are
// done.
#[test]
fn what_a_dead_maker_left_unfinished_is_replaced() {
    let _watchdog = watchdog();
    let name = Name::new("unfinished");
    let marked = || {
        let mut bytes = vec![0; 8192];
        bytes[8192 - 256..][..8].copy_from_slice(b"mprocshm");
        bytes
    };
    for left in [vec![], marked()] {
        let write = || {
            std::fs::write(name.path(), &left).unwrap();
            std::fs::set_permissions(name.path(), std::fs::Permissions::from_mode(0o600)).unwrap();
        };
        write();
        let error = Segment::open(&name).unwrap_err();
        assert!(
            error.kind() == InvalidData
                && error.to_string().contains("died before it was finished"),
            "{error}"
        );
        assert!(name.is_there());
        let made = Segment::open_or_create(&name, 10).unwrap();
        assert_eq!(made.size(), 10);
        drop(made);
        write();
        assert_eq!(Segment::create(&name, 10).unwrap().size(), 10);
        assert!(!name.is_there());
    }
}

// fault 49: a maker that lives and does not get on, or a process that is stopped while it is its
// turn.
#[test]
fn a_process_stopped_at_a_name_holds_others_up_for_a_while_only() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("stopped");
    let hold = |(name, ready, wait): (String, Sender<()>, Receiver<()>)| {
        let file =
            std::fs::File::options().write(true).open(Path::new("/dev/shm").join(name)).unwrap();
        lock_first_byte(&file);
        ready.send(()).unwrap();
        let _ = wait.recv();
    };
    let (ready, is_ready) = bounded(1).unwrap();
    let (go, wait) = bounded::<()>(1).unwrap();
    let segment = SegmentBuilder::new(1).lifetime(Lifetime::Persistent).create(&name).unwrap();
    let child = spawn(hold, (name.0.clone(), ready, wait)).unwrap();
    is_ready.recv().unwrap();
    let start = std::time::Instant::now();
    let error = Segment::open(&name).unwrap_err();
    assert!(
        error.kind() == std::io::ErrorKind::TimedOut && error.to_string().contains("stopped"),
        "{error}"
    );
    assert!(start.elapsed() < std::time::Duration::from_secs(10));
    // When it is killed, everybody goes on.
    child.kill().unwrap();
    child.join().unwrap_err();
    drop(go);
    assert!(Segment::open(&name).unwrap().same_segment(&segment));
    Segment::unlink(&name).unwrap();
}

fn lock_first_byte(file: &std::fs::File) {
    use std::os::fd::AsRawFd;
    let lock = libc::flock {
        l_type: libc::F_WRLCK as i16,
        l_whence: libc::SEEK_SET as i16,
        l_start: 0,
        l_len: 1,
        l_pid: 0,
    };
    // SAFETY: the file is open, the lock is read during the call.
    assert_eq!(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_OFD_SETLK, &raw const lock) }, 0);
}

// Where files cannot be made without a name.
#[test]
fn what_is_made_under_its_name_is_as_good() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::new("in-place");
    let make = |name: String| {
        forbid_unnamed();
        let unnamed = rustix::fs::open("/dev/shm", OFlags::TMPFILE | OFlags::RDWR, Mode::RUSR);
        assert_eq!(unnamed.unwrap_err(), Errno::OPNOTSUPP);
        let segment = Segment::create(&name, 100).unwrap();
        assert_eq!(Segment::create(&name, 100).unwrap_err().kind(), AlreadyExists);
        assert!(Segment::open(&name).unwrap().same_segment(&segment));
        let path = Path::new("/dev/shm").join(&name);
        assert_eq!(path.metadata().unwrap().mode() & 0o7777, 0o600);
        drop(segment);
        assert!(!path.exists());
        assert!(SegmentBuilder::new(usize::MAX).create(&name).is_err());
        assert!(!path.exists());
    };
    spawn(make, name.0.clone()).unwrap().join().unwrap();
}
