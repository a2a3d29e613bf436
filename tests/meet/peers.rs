//! Which peers are let in, and what becomes of those that die or cannot be let in.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use multiprocess::pipe::{
    Connector, Duplex, Listener, Name, OneShotClient, OneShotServer, connect,
};
use multiprocess::{Receiver, Sender, bounded};
use rustix::process::Resource;
use testkit::rights::is_root;
use testkit::signals::kill_this_process;
use testkit::{Directory, descriptors, limit, watchdog};

use super::support::{NOBODY, dying, give_up_all_rights, kind};

/// Connects as the user without rights, sends, and says what came of it: whether an answer came.
fn stranger((name, allow, answer): (String, Vec<u32>, Sender<bool>)) {
    give_up_all_rights();
    let connection: Duplex<u8, u8> = match Connector::new().allow_users(allow).connect(name) {
        Ok(connection) => connection,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
            return answer.send(false).unwrap();
        }
    };
    let _ = connection.send(1);
    answer.send(connection.recv() == Ok(2)).unwrap();
}

// fault 81
#[test]
fn processes_of_other_users_are_refused_unless_allowed_on_both_sides() {
    multiprocess::init();
    let _watchdog = watchdog();
    if !is_root() {
        return;
    }
    let directory = Directory::new();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let file = directory.name("orders").to_str().unwrap().to_owned();
    let root = rustix::process::geteuid().as_raw();
    for name in [file, Name::random().unwrap().to_string()] {
        // The user that listens there is not allowed by the one that connects, whichever users the
        // listener lets in.
        let listener = Listener::builder().allow_any_user().bind(&name).unwrap();
        let (answer, answered) = bounded(1).unwrap();
        let child = dying(stranger, (name.clone(), vec![], answer.clone()));
        assert_eq!(answered.recv(), Ok(false));
        child.join().unwrap();
        let gone: Duplex<u8, u8> = listener.accept().unwrap();
        assert!(gone.recv().unwrap_err().is_disconnected(), "it has said nothing");

        // Allowed on both sides.
        let child = dying(stranger, (name.clone(), vec![root], answer.clone()));
        let connection: Duplex<u8, u8> = listener.accept().unwrap();
        assert_eq!(connection.peer().unwrap().uid, NOBODY);
        assert_eq!(connection.peer().unwrap().gid, NOBODY);
        assert_eq!(connection.peer().unwrap().pid, child.id());
        assert_eq!(connection.recv(), Ok(1));
        connection.send(2).unwrap();
        assert_eq!(answered.recv(), Ok(true));
        child.join().unwrap();
        drop(listener);

        for allowed in [vec![], vec![1, NOBODY - 1]] {
            // Not allowed by the listener, though the mode would let it in.
            let listener = Listener::builder().mode(0o666).allow_users(allowed).bind(&name);
            let listener = listener.unwrap();
            let child = dying(stranger, (name.clone(), vec![root], answer.clone()));
            let own: Duplex<u8, u8> = loop {
                // The refused one is not seen, but counted.
                match listener.accept_timeout(std::time::Duration::from_millis(20)) {
                    Ok(connection) => break connection,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut, "{error}"),
                }
                if listener.refused() == 1 {
                    assert_eq!(answered.recv(), Ok(false));
                    let _own: Duplex<u8, u8> = connect(&name).unwrap();
                    break listener.accept().unwrap();
                }
            };
            assert_eq!(own.peer().unwrap().uid, root);
            child.join().unwrap();
        }
    }
}

/// Listens as the user without rights.
fn foreign((name, ready, done): (String, Sender<()>, Receiver<()>)) {
    give_up_all_rights();
    let listener = Listener::builder().allow_any_user().bind(name).unwrap();
    ready.send(()).unwrap();
    let refused: Duplex<u8, u8> = listener.accept().unwrap();
    assert!(refused.recv().unwrap_err().is_disconnected());
    let connection: Duplex<u8, u8> = listener.accept().unwrap();
    connection.send(3).unwrap();
    let _ = done.recv();
}

// fault 81: a client that trusted a name alone would talk to any process that took it first.
#[test]
fn a_listener_of_another_user_is_not_talked_to() {
    multiprocess::init();
    let _watchdog = watchdog();
    if !is_root() {
        return;
    }
    let name = Name::random().unwrap().to_string();
    let (ready, is_ready) = bounded(1).unwrap();
    let (done, is_done) = bounded(1).unwrap();
    let child = dying(foreign, (name.clone(), ready, is_done));
    is_ready.recv().unwrap();
    assert_eq!(kind(connect::<u8, u8>(&name)), ErrorKind::PermissionDenied);
    let connection: Duplex<u8, u8> = Connector::new().allow_users([NOBODY]).connect(&name).unwrap();
    assert_eq!(connection.recv(), Ok(3));
    drop(done);
    child.join().unwrap();
}

#[test]
fn a_one_shot_server_can_be_for_another_user() {
    multiprocess::init();
    let _watchdog = watchdog();
    if !is_root() {
        return;
    }
    let work = |name: String| {
        give_up_all_rights();
        let client = OneShotClient::new(name).unwrap();
        assert_eq!(kind(client.connect::<u8, u8>()), ErrorKind::PermissionDenied);
        let client = client.connector(Connector::new().allow_users([0]));
        let parent: Duplex<u8, u8> = client.connect().unwrap();
        parent.send(1).unwrap();
    };
    let listener = Listener::builder().allow_users([NOBODY]).bind(Name::random().unwrap()).unwrap();
    let child = dying(work, listener.name().to_string());
    // The first connection is the one that the child gave up when it saw which user listens.
    let first: Duplex<u8, u8> = listener.accept().unwrap();
    assert!(first.recv().unwrap_err().is_disconnected());
    let mut server = OneShotServer::from(listener);
    let connection: Duplex<u8, u8> = server.accept().unwrap();
    assert_eq!(connection.recv(), Ok(1));
    child.join().unwrap();
}

#[test]
fn a_client_that_is_killed_before_it_is_accepted_has_sent_what_it_sent() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let name = directory.name("orders");
    let listener = Listener::bind(&name).unwrap();
    fn work(name: PathBuf) {
        let connection: Duplex<u64, u64> = connect(name).unwrap();
        connection.send(1).unwrap();
        kill_this_process();
    }
    let child = dying(work, name.clone());
    let id = child.id();
    assert!(child.join().is_err());
    let connection: Duplex<u64, u64> = listener.accept().unwrap();
    assert_eq!(connection.peer().unwrap().pid, id);
    assert_eq!(connection.recv(), Ok(1));
    assert!(connection.recv().unwrap_err().is_disconnected());
    assert!(connection.send(2).unwrap_err().is_disconnected());
}

// fault 61
#[test]
fn out_of_descriptors_each_call_is_an_error_and_later_ones_work() {
    multiprocess::init();
    let _watchdog = watchdog();
    let directory = Directory::new();
    let work = |directory: PathBuf| {
        let name = directory.join("orders");
        let listener = Listener::bind(&name).unwrap();
        let here: Duplex<u64, u64> = connect(&name).unwrap();
        here.send(1).unwrap();
        let count = descriptors() as u64;
        let entries = || fs::read_dir(&directory).unwrap().count();
        let mut failed = (0, 0);
        for spare in 0..8 {
            // The limit is on numbers, and those in use are the lowest.
            let old = limit(Resource::Nofile, Some(count + spare));
            let bound = Listener::bind(directory.join("other"));
            let connected = connect::<u64, u64>(&name);
            limit(Resource::Nofile, old);
            failed.0 += u32::from(bound.is_err());
            failed.1 += u32::from(connected.is_err());
            drop(bound);
            assert_eq!(entries(), 1, "with {spare} descriptors to spare");
            let now = descriptors() as u64;
            assert_eq!(
                now - u64::from(connected.is_ok()),
                count,
                "with {spare} descriptors to spare"
            );
        }
        assert!(failed.0 >= 3 && failed.1 >= 2, "{failed:?}");
        assert!(failed.0 < 8 && failed.1 < 8, "{failed:?}");
        let old = limit(Resource::Nofile, Some(3));
        let refused = listener.accept::<u64, u64>();
        let again = listener.accept_timeout::<u64, u64>(std::time::Duration::from_secs(1));
        limit(Resource::Nofile, old);
        for error in [refused.unwrap_err(), again.unwrap_err()] {
            assert!(error.to_string().contains("Too many open files"), "{error}");
        }
        let there: Duplex<u64, u64> = listener.accept().unwrap();
        assert_eq!(there.recv(), Ok(1));
        // Its name goes even then.
        let old = limit(Resource::Nofile, Some(3));
        drop(listener);
        limit(Resource::Nofile, old);
        assert_eq!(entries(), 0);
    };
    dying(work, directory.path().to_owned()).join().unwrap();
    assert!(directory.entries().is_empty());
}
