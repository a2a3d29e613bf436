//! What a name is, what it may be, and what is left as it is.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

use multiprocess::pipe::{Duplex, Listener, Name, connect};
use multiprocess::process::Builder;
use rustix::fs::Mode;
use testkit::rights::is_root;
use testkit::{Directory, forked, watchdog};

use super::support::{NOBODY, doubles, dying, give_up_all_rights, kind, listener_at};

#[test]
fn processes_meet_by_name_and_know_each_other() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let name = directory.name("orders");
    let child = listener_at(name.clone());
    assert_eq!(directory.entries(), ["orders"]);
    let connection: Duplex<u64, u64> = connect(&name).unwrap();
    assert!(doubles(&connection));
    let peer = connection.peer().unwrap();
    assert_eq!(peer.pid, child.id());
    assert_eq!(peer.uid, rustix::process::geteuid().as_raw());
    assert_eq!(peer.gid, rustix::process::getegid().as_raw());
    let process = match connection.peer_process() {
        Ok(process) => process,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            return;
        }
    };
    child.kill().unwrap();
    assert!(child.join().is_err());
    let mut fds = [rustix::event::PollFd::new(&process, rustix::event::PollFlags::IN)];
    let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    assert_eq!(rustix::event::poll(&mut fds, Some(&at_once)), Ok(1), "the peer has ended");
    assert!(connection.recv().unwrap_err().is_disconnected());
}

// fault 53: and a directory that others may enter is refused.
#[test]
fn a_plain_name_lies_in_a_directory_of_this_user_and_goes_with_the_listener() {
    multiprocess::init();
    let _watchdog = watchdog();
    let runtime = Directory::new();
    let work = |runtime: PathBuf| {
        let place = runtime.join("multiprocess");
        let listener = Listener::bind("orders").unwrap();
        assert!(fs::symlink_metadata(place.join("orders")).unwrap().file_type().is_socket());
        assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o7777, 0o700);
        let here: Duplex<u8, ()> = connect("orders").unwrap();
        let there: Duplex<(), u8> = listener.accept().unwrap();
        here.send(1).unwrap();
        assert_eq!(there.recv(), Ok(1));
        drop(listener);
        assert_eq!(fs::read_dir(&place).unwrap().count(), 0);
        // A directory that others may enter could hold any user's sockets.
        fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(kind(Listener::bind("orders")), ErrorKind::PermissionDenied);
        assert_eq!(kind(connect::<(), ()>("orders")), ErrorKind::PermissionDenied);
        fs::remove_dir(&place).unwrap();
        symlink("/tmp", &place).unwrap();
        assert_eq!(kind(Listener::bind("orders")), ErrorKind::PermissionDenied);
    };
    let builder = Builder::new().env("XDG_RUNTIME_DIR", runtime.path());
    builder.spawn(work, runtime.path().to_owned()).unwrap().join().unwrap();
}

#[test]
fn an_abstract_name_is_no_file_and_one_process_has_it() {
    multiprocess::init();
    let _watchdog = watchdog();
    let name = Name::random().unwrap();
    let listener = Listener::bind(&name).unwrap();
    let text = name.to_string();
    assert!(text.starts_with('@'), "{text}");
    assert_eq!(kind(Listener::bind(&text)), ErrorKind::AddrInUse);
    let here: Duplex<u8, ()> = connect(&text).unwrap();
    let there: Duplex<(), u8> = listener.accept().unwrap();
    here.send(1).unwrap();
    assert_eq!(there.recv(), Ok(1));
    drop(listener);
    assert_eq!(kind(connect::<(), ()>(&name)), ErrorKind::ConnectionRefused);
    Listener::bind(&name).unwrap();
}

// fault 55
#[test]
fn the_mode_is_as_asked_whatever_the_umask() {
    multiprocess::init();
    let _watchdog = watchdog();
    let work = |umask: u32| {
        let directory = Directory::new();
        let name = directory.name("orders");
        rustix::process::umask(Mode::from_bits_truncate(umask));
        for (asked, expected) in [
            (None, 0o600),
            (Some(0o600), 0o600),
            (Some(0o666), 0o666),
            (Some(0o640), 0o640),
            (Some(0), 0),
        ] {
            let mut builder = Listener::builder();
            if let Some(mode) = asked {
                builder = builder.mode(mode);
            }
            let _listener = builder.bind(&name).unwrap();
            let mode = fs::symlink_metadata(&name).unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode, expected, "{mode:o} with umask {umask:o}");
        }
        let listener = Listener::builder().allow_users([1]).bind(&name).unwrap();
        assert_eq!(fs::symlink_metadata(&name).unwrap().permissions().mode() & 0o7777, 0o666);
        drop(listener);
        assert_eq!(kind(Listener::builder().mode(0o4600).bind(&name)), ErrorKind::InvalidInput);
        assert!(directory.entries().is_empty(), "{:?}", directory.entries());
    };
    for umask in [0, 0o022, 0o077, 0o777] {
        dying(work, umask).join().unwrap();
    }
}

// fault 51
#[test]
fn what_is_no_socket_is_refused_and_stays_as_it_is() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let live = directory.name("live");
    let _listener = Listener::bind(&live).unwrap();
    File::create(directory.name("file")).unwrap();
    fs::hard_link(directory.name("file"), directory.name("link")).unwrap();
    fs::create_dir(directory.name("directory")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, directory.name("pipe"), Mode::RUSR | Mode::WUSR).unwrap();
    symlink(&live, directory.name("to-live")).unwrap();
    symlink("nowhere", directory.name("to-nowhere")).unwrap();
    let before = directory.entries();
    for what in ["file", "link", "directory", "pipe", "to-live", "to-nowhere"] {
        let name = directory.name(what);
        let inode = fs::symlink_metadata(&name).unwrap().ino();
        assert_eq!(kind(Listener::bind(&name)), ErrorKind::AlreadyExists, "{what}");
        assert_eq!(kind(connect::<(), ()>(&name)), ErrorKind::InvalidInput, "{what}");
        assert_eq!(fs::symlink_metadata(&name).unwrap().ino(), inode, "{what}");
    }
    assert_eq!(directory.entries(), before);
    // Nor is anything else taken for the lock file.
    fs::write(directory.name(".orders.lock"), "mine").unwrap();
    assert_eq!(kind(Listener::bind(directory.name("orders"))), ErrorKind::AlreadyExists);
    assert_eq!(fs::read(directory.name(".orders.lock")).unwrap(), b"mine");
    assert_eq!(kind(Listener::bind(directory.name("no/orders"))), ErrorKind::NotFound);
    assert_eq!(kind(Listener::bind(directory.name("file/orders"))), ErrorKind::NotADirectory);
}

#[test]
fn sockets_of_other_programs_are_taken_over_when_dead_only() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let (stream, datagram) = (directory.name("stream"), directory.name("datagram"));
    let held = (UnixListener::bind(&stream).unwrap(), UnixDatagram::bind(&datagram).unwrap());
    for name in [&stream, &datagram] {
        assert_eq!(kind(Listener::bind(name)), ErrorKind::AddrInUse);
        assert_eq!(kind(connect::<(), ()>(name)), ErrorKind::InvalidInput);
    }
    drop(held);
    for name in [&stream, &datagram] {
        // A process that another test starts just now has copies of both until it executes its
        // program.
        let dead =
            || Some(kind(connect::<(), ()>(name))).filter(|kind| *kind != ErrorKind::InvalidInput);
        let told = std::iter::repeat_with(dead).flatten().next();
        assert_eq!(told, Some(ErrorKind::ConnectionRefused));
        Listener::bind(name).unwrap();
    }
    assert!(directory.entries().is_empty());
}

// fault 52: on both sides of what fits a socket address, and far beyond.
#[test]
fn any_name_that_a_path_may_have_works() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let begin = directory.path().as_os_str().len() + 1;
    let mut names: Vec<PathBuf> =
        (105..112).map(|len| directory.name(&"x".repeat(len - begin))).collect();
    names.push(directory.name(&"x".repeat(240)));
    let mut deep = directory.path().to_owned();
    for _ in 0..15 {
        deep.push("d".repeat(255));
        fs::create_dir(&deep).unwrap();
    }
    names.push(deep.join("x"));
    // And of any bytes.
    names.push(directory.path().join(OsStr::from_bytes(b"\xff\xfe not text")));
    names.push(directory.name("two\nlines"));
    for name in names {
        let len = name.as_os_str().len();
        let listener = Listener::bind(&name).unwrap_or_else(|error| panic!("{len}: {error}"));
        let here: Duplex<usize, ()> = connect(&name).unwrap();
        let there: Duplex<(), usize> = listener.accept().unwrap();
        here.send(len).unwrap();
        assert_eq!(there.recv(), Ok(len));
        drop(listener);
        assert!(!name.exists());
    }
    let longest = "x".repeat(107);
    let listener = Listener::bind(Name::abstract_name(&longest).unwrap()).unwrap();
    connect::<(), ()>(Name::abstract_name(longest).unwrap()).unwrap();
    drop(listener);
}

#[test]
fn a_relative_path_and_a_change_of_directory_do_no_harm() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let work = |directory: PathBuf| {
        let listener = Listener::bind(Path::new("orders")).unwrap();
        connect::<(), ()>("./orders").unwrap();
        std::env::set_current_dir("/").unwrap();
        assert_eq!(kind(connect::<(), ()>("./orders")), ErrorKind::NotFound);
        connect::<(), ()>(directory.join("orders")).unwrap();
        drop(listener);
        assert!(!directory.join("orders").exists());
    };
    let builder = Builder::new().current_dir(directory.path());
    builder.spawn(work, directory.path().to_owned()).unwrap().join().unwrap();
}

// fault 58
#[test]
fn a_second_listener_of_the_same_process_is_refused_and_the_first_stays() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let name = directory.name("orders");
    let listener = Listener::bind(&name).unwrap();
    for _ in 0..3 {
        assert_eq!(kind(Listener::bind(&name)), ErrorKind::AddrInUse);
        let here: Duplex<u8, ()> = connect(&name).unwrap();
        here.send(1).unwrap();
        assert_eq!(listener.accept::<(), u8>().unwrap().recv(), Ok(1));
        assert_eq!(directory.entries(), ["orders"]);
    }
    drop(listener);
    assert!(directory.entries().is_empty());
}

// fault 56
#[test]
fn a_listener_takes_away_its_own_name_only() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let name = directory.name("orders");
    let first = Listener::bind(&name).unwrap();
    fs::rename(&name, directory.name("moved")).unwrap();
    let second = Listener::bind(&name).unwrap();
    let to_second: Duplex<u8, ()> = connect(&name).unwrap();
    let to_first: Duplex<u8, ()> = connect(directory.name("moved")).unwrap();
    drop(first);
    assert_eq!(directory.entries(), ["moved", "orders"]);
    // Closed in the queue; a process that another test is starting may hold it a moment longer.
    while !to_first.try_send(1).is_err_and(|error| error.is_disconnected()) {
        std::thread::yield_now();
    }
    to_second.send(2).unwrap();
    assert_eq!(second.accept::<(), u8>().unwrap().recv(), Ok(2));
    drop(second);
    File::create(&name).unwrap();
    assert_eq!(directory.entries(), ["moved", "orders"]);
}

// fault 53
#[test]
fn another_users_name_is_refused_and_stays() {
    multiprocess::init();
    let _watchdog = watchdog();
    if !is_root() {
        return;
    }
    let directory = Directory::new();
    let name = directory.name("orders");
    drop(UnixListener::bind(&name).unwrap());
    std::os::unix::fs::lchown(&name, Some(NOBODY), Some(NOBODY)).unwrap();
    assert_eq!(kind(Listener::bind(&name)), ErrorKind::PermissionDenied);
    assert_eq!(directory.entries(), ["orders"]);
}

// fault 54
#[test]
fn a_directory_that_cannot_be_written_gets_nothing_half_made() {
    multiprocess::init();
    let _watchdog = watchdog();
    if !is_root() {
        return;
    }
    let directory = Directory::new();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let listener = Listener::bind(directory.name("other")).unwrap();
    let work = |directory: PathBuf| {
        give_up_all_rights();
        assert_eq!(kind(Listener::bind(directory.join("orders"))), ErrorKind::PermissionDenied);
        assert_eq!(kind(connect::<(), ()>(directory.join("other"))), ErrorKind::PermissionDenied);
    };
    dying(work, directory.path().to_owned()).join().unwrap();
    assert_eq!(directory.entries(), ["other"]);
    drop(listener);
}

#[test]
fn a_forked_child_does_not_take_the_name_of_its_parent_away() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let work = |name: PathBuf| {
        let listener = Cell::new(Some(Listener::bind(&name).unwrap()));
        assert_eq!(forked(|| drop(listener.take())), 0);
        connect::<(), ()>(&name).unwrap();
        drop(listener.take());
        assert!(!name.exists());
    };
    dying(work, directory.name("orders")).join().unwrap();
}

#[test]
fn others_are_not_let_in_where_they_cannot_come() {
    multiprocess::init();
    let refused = Listener::builder().allow_any_user().bind("orders");
    assert_eq!(kind(refused), ErrorKind::InvalidInput);
    for wrong in ["", "a\nb", "@"] {
        assert_eq!(kind(Listener::bind(wrong)), ErrorKind::InvalidInput, "{wrong:?}");
        assert_eq!(kind(connect::<(), ()>(wrong)), ErrorKind::InvalidInput, "{wrong:?}");
    }
}
