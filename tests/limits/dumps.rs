//! Core dumps: what processes share is in none.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use multiprocess::process::Builder;
use multiprocess::shm::{Mutex, Segment};
use multiprocess::{JoinError, Receiver, Sender, bounded, pipe, spawn};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Deserializer, Serialize};
use testkit::proc::{CHANNELS, open_files, path_of};
use testkit::watchdog;

/// The mappings of this crate's objects, by name: how many there are, and how many a dump leaves
/// out.
fn mappings() -> BTreeMap<String, (usize, usize)> {
    let mut found = BTreeMap::<_, (usize, usize)>::new();
    let mut object = None;
    for line in std::fs::read_to_string("/proc/self/smaps").unwrap().lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            if let Some(object) = object.take() {
                let counts = found.entry(object).or_default();
                counts.0 += 1;
                counts.1 += usize::from(flags.split_whitespace().any(|flag| flag == "dd"));
            }
        } else if let Some(at) = line.find("/memfd:multiprocess").or(line.find("/dev/shm/")) {
            object = Some(line[at..].trim_end_matches(" (deleted)").to_owned());
        }
    }
    found
}

/// A message that looks at the mappings while it is decoded, in the place where it arrived.
struct Nosy(BTreeMap<String, (usize, usize)>);

impl Serialize for Nosy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        vec![1u64; 1 << 18].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Nosy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<u64>::deserialize(deserializer)?;
        Ok(Nosy(mappings()))
    }
}

impl fmt::Debug for Nosy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

// fault 109: of every kind.
#[test]
fn no_mapping_of_shared_memory_goes_into_a_dump() {
    multiprocess::init();
    let _watchdog = watchdog();
    let look = |()| {
        let name = format!("multiprocess-dump-{}", std::process::id());
        let channel = bounded::<Vec<u8>>(2).unwrap();
        channel.0.send(vec![1; 5 << 20]).unwrap();
        let mutex = Mutex::new(0u64).unwrap();
        let named = Segment::create(&name, 1).unwrap();
        let (segment, view) = (Segment::anonymous(1).unwrap(), named.view().unwrap());
        let anonymous = pipe::anonymous::<u64>().unwrap();
        let (tx, rx) = pipe::channel::<Nosy>().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || tx.send(Nosy(BTreeMap::new())).unwrap());
            let kinds = rx.recv().unwrap().0;
            assert!(kinds.keys().any(|kind| kind.contains("message")), "{kinds:?}");
            assert!(kinds.values().all(|(all, left_out)| all == left_out), "{kinds:?}");
        });
        let kinds = mappings();
        for kind in ["channel", "segment", "counters", "/dev/shm/"] {
            assert!(kinds.keys().any(|known| known.contains(kind)), "{kind}: {kinds:?}");
        }
        assert!(kinds.values().all(|(all, left_out)| all == left_out), "{kinds:?}");
        drop((channel, mutex, named, segment, view, anonymous));
    };
    spawn(look, ()).unwrap().join().unwrap();
}

/// Bytes of memory that the channels of this process take.
fn taken() -> u64 {
    let channels = open_files().into_iter().filter(|(_, file)| file.starts_with(CHANNELS));
    channels.map(|(fd, _)| std::fs::metadata(path_of(fd)).unwrap().blocks() * 512).sum()
}

type Ends = (Sender<Vec<u8>>, Receiver<Vec<u8>>, Segment);

fn abort(_ends: Ends) {
    // Enough to see what is wrong, if something is.
    let hard = getrlimit(Resource::Core).maximum;
    let current = Some(hard.unwrap_or(u64::MAX).min(1 << 30));
    setrlimit(Resource::Core, Rlimit { current, maximum: hard }).unwrap();
    std::process::abort();
}

// fault 109: and a dump that is written.
#[test]
fn a_core_dump_takes_no_memory_from_the_survivors() {
    multiprocess::init();
    let _watchdog = watchdog();
    let pattern = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    if pattern.starts_with('|') || pattern.contains('/') {
        println!("dumps of this machine go elsewhere: {pattern}");
        return;
    }
    let survive = |directory: PathBuf| {
        const LARGE: usize = 256 << 20;
        // 18 blocks of 16 MiB: more than the dump of anything else in a child.
        let (tx, rx) = multiprocess::shm::erase(
            multiprocess::shm::Builder::new(2).max_message(LARGE / 16).typed::<Vec<u8>>().unwrap(),
        );
        let (back, other) = bounded::<Vec<u8>>(2).unwrap();
        let segment = Segment::anonymous(LARGE).unwrap();
        let before = taken();
        let child = Builder::new().current_dir(&directory);
        let child = child.spawn(abort, (tx, other, segment)).unwrap();
        let error = rx.recv_timeout(Duration::from_secs(20)).unwrap_err();
        assert!(error.is_disconnected(), "{error}");
        let failed = (0..3).find_map(|_| back.send(vec![1]).err());
        assert!(failed.is_some_and(|error| error.is_disconnected()));
        assert!(matches!(child.join(), Err(JoinError::Killed(6))));
        assert_eq!(taken(), before, "the dump has filled the holes of a channel");
        let files = std::fs::read_dir(Path::new(&directory)).unwrap();
        let dumped: Vec<_> = files.map(|file| file.unwrap().metadata().unwrap().len()).collect();
        println!("core dumps: {dumped:?} bytes");
        assert!(dumped.iter().sum::<u64>() < LARGE as u64, "{dumped:?}");
    };
    let directory = std::env::temp_dir().join(format!("multiprocess-dump-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    let survived = spawn(survive, directory.clone()).unwrap().join();
    std::fs::remove_dir_all(&directory).unwrap();
    survived.unwrap();
}
