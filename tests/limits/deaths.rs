//! Deaths of large processes, of processes with many threads, and of those in the middle of
//! starting another.

use std::ffi::c_void;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::PathBuf;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::time::{Duration, Instant};

use multiprocess::pipe::Handle;
use multiprocess::process::Builder;
use multiprocess::shm::{Mutex, Segment, Shared};
use multiprocess::{JoinError, Receiver, Sender, bounded};
use testkit::{watchdog, watchdog_of};

fn park() -> ! {
    loop {
        std::thread::park();
    }
}

/// What the machine could give, in bytes.
fn available() -> u64 {
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap();
    let line = memory.lines().find(|line| line.starts_with("MemAvailable:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

// fault 19: its memory is given back before its leases are.
#[test]
fn a_process_with_a_gigabyte_is_repaired_like_others() {
    multiprocess::init();
    let _watchdog = watchdog_of(Duration::from_secs(55));
    let large: usize = if available() > 3 << 30 { 1 << 30 } else { 128 << 20 };
    fn grow(
        (tx, rx, mutex, ready, size): (Sender<u64>, Receiver<u64>, Mutex<u64>, Sender<()>, usize),
    ) {
        let mut memory = vec![0u8; size];
        memory.iter_mut().step_by(4096).for_each(|byte| *byte = 1);
        std::hint::black_box(&memory);
        let _lent = rx.recv_ref().unwrap();
        let _guard = mutex.lock().unwrap();
        tx.send(8).unwrap();
        ready.send(()).unwrap();
        park()
    }
    let (tx, rx) = bounded(4).unwrap();
    let (ready, is_ready) = bounded(1).unwrap();
    let mutex = Mutex::new(0u64).unwrap();
    tx.send(7).unwrap();
    let args = (tx.clone(), rx.clone(), mutex.clone(), ready, large);
    let child = Builder::new().kill_on_drop(true).spawn(grow, args).unwrap();
    is_ready.recv().unwrap();
    child.kill().unwrap();
    let began = Instant::now();
    assert!(mutex.lock().unwrap_err().cause().is_some(), "its holder is dead");
    let mut got = [rx.recv().unwrap(), rx.recv().unwrap()];
    got.sort();
    assert_eq!(got, [7, 8], "what was lent, and what was sent");
    println!("{} MiB: all repaired after {:?}", large >> 20, began.elapsed());
    drop(tx);
    assert!(rx.recv().unwrap_err().is_disconnected());
    assert!(matches!(child.join(), Err(JoinError::Killed(9))));
}

const THREADS: usize = 8;

// fault 22
#[test]
fn nothing_is_written_by_one_that_is_known_to_be_dead() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn write((_segment, numbers, ready): (Segment, Vec<Shared<u64>>, Sender<()>)) {
        let threads: Vec<_> = numbers
            .into_iter()
            .map(|number| {
                std::thread::spawn(move || {
                    loop {
                        number.fetch_add(1, Relaxed);
                    }
                })
            })
            .collect();
        ready.send(()).unwrap();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }
    let rounds = if cfg!(debug_assertions) { 15 } else { 60 };
    for _ in 0..rounds {
        let segment = Segment::anonymous(8192).unwrap();
        let numbers: Vec<_> =
            (0..THREADS).map(|_| Shared::new_in(&segment, 0u64).unwrap()).collect();
        let (ready, is_ready) = bounded(1).unwrap();
        let args = (segment.clone(), numbers.clone(), ready);
        let child = Builder::new().kill_on_drop(true).spawn(write, args).unwrap();
        is_ready.recv().unwrap();
        while numbers.iter().any(|number| number.load(Relaxed) == 0) {
            std::hint::spin_loop();
        }
        assert_eq!(segment.attached(), Some(2));
        child.kill().unwrap();
        while segment.attached() != Some(1) {
            std::hint::spin_loop();
        }
        // The verdict. From here on they stand still.
        let read = || numbers.iter().map(|number| number.load(Acquire)).collect::<Vec<_>>();
        let now = read();
        for _ in 0..2000 {
            assert_eq!(read(), now, "it was not dead");
        }
        child.join().unwrap_err();
    }
}

/// Stays until the other end of this pipe is closed, in the memory of who called `vfork`.
extern "C" fn stay(pipe: *mut c_void) -> libc::c_int {
    let mut byte = 0u8;
    // SAFETY: reads into a byte on this stack.
    unsafe { libc::read(pipe as usize as RawFd, (&raw mut byte).cast(), 1) };
    0
}

// fault 21: a process that starts another as `posix_spawn` does has its memory in two processes
// until the other one execs. Killed meanwhile it is not dead: the other one could still write.
#[test]
fn one_that_is_killed_while_it_starts_another_is_dead_when_its_memory_is_gone() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn start((tx, mutex, pipe): (Sender<u64>, Mutex<u64>, Handle)) {
        let pipe: OwnedFd = pipe.into();
        let _guard = mutex.lock().unwrap();
        tx.send(1).unwrap();
        let mut stack = vec![0u64; 16 << 10];
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        // SAFETY: within the vector.
        let top = unsafe { stack.as_mut_ptr().add(stack.len()) };
        // SAFETY: the child has this stack for itself, for this thread waits until it has ended,
        // and reads only.
        unsafe { libc::clone(stay, top.cast(), flags, pipe.as_raw_fd() as usize as *mut c_void) };
    }
    let (tx, rx) = bounded(4).unwrap();
    let mutex = Mutex::new(0u64).unwrap();
    let mut pipe = [0; 2];
    // SAFETY: two numbers, written during the call.
    assert_eq!(unsafe { libc::pipe2(pipe.as_mut_ptr(), libc::O_CLOEXEC) }, 0);
    // SAFETY: just made, and used here only.
    let [read, write] = pipe.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
    let args = (tx, mutex.clone(), Handle::from(read));
    let child = Builder::new().kill_on_drop(true).spawn(start, args).unwrap();
    assert_eq!(rx.recv(), Ok(1));
    // It sleeps until the other one is done, and has one.
    let children = || -> Vec<u32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", child.id())).unwrap();
        let lists = tasks
            .map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap());
        lists.collect::<String>().split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    };
    while children().is_empty() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.join().unwrap_err();
    // Several looks.
    assert!(
        rx.recv_timeout(Duration::from_millis(100)).unwrap_err().is_timeout(),
        "its memory is there"
    );
    assert!(mutex.lock_timeout(Duration::from_millis(30)).unwrap_err().is_timeout());
    drop(write);
    assert!(rx.recv().unwrap_err().is_disconnected());
    assert!(mutex.lock().unwrap_err().cause().is_some());
}

/// A control group with a limit on memory; none, and a word about it, where that cannot be had.
struct Group(PathBuf);

impl Group {
    fn new(bytes: u64) -> Option<Group> {
        let name = format!("multiprocess-test-{}", std::process::id());
        for (root, limit) in
            [("/sys/fs/cgroup/memory", "memory.limit_in_bytes"), ("/sys/fs/cgroup", "memory.max")]
        {
            let group = PathBuf::from(root).join(&name);
            if std::fs::create_dir(&group).is_err() {
                continue;
            }
            let group = Group(group);
            if std::fs::write(group.0.join(limit), bytes.to_string()).is_ok() {
                return Some(group);
            }
        }
        println!("no control group with a limit on memory can be made here: NOT TESTED");
        None
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // Once the kernel has buried all who were in it.
        let began = Instant::now();
        while std::fs::remove_dir(&self.0).is_err() && began.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
    }
}

// fault 63
#[test]
fn one_that_the_kernel_kills_for_its_memory_is_dead_like_others() {
    multiprocess::init();
    let _watchdog = watchdog();
    fn fill((tx, mutex, group): (Sender<Vec<u8>>, Mutex<u64>, PathBuf)) {
        std::fs::write(group.join("cgroup.procs"), std::process::id().to_string()).unwrap();
        let _guard = mutex.lock().unwrap();
        tx.send(vec![1; 100_000]).unwrap();
        // Memory of the channel counts, too: an error, or the end.
        while tx.try_send(vec![2; 900_000]).is_ok() {}
        let mut all = Vec::new();
        loop {
            all.push(std::hint::black_box(vec![1u8; 1 << 20]));
        }
    }
    let Some(group) = Group::new(24 << 20) else { return };
    let (tx, rx) = bounded(40).unwrap();
    let mutex = Mutex::new(0u64).unwrap();
    let child = Builder::new()
        .kill_on_drop(true)
        .spawn(fill, (tx, mutex.clone(), group.0.clone()))
        .unwrap();
    assert!(matches!(child.join(), Err(JoinError::Killed(9))), "it had more than it may have");
    assert!(mutex.lock().unwrap_err().cause().is_some());
    // What was sent is there and whole.
    assert_eq!(rx.recv().unwrap(), vec![1; 100_000]);
    for message in &rx {
        assert_eq!(message, vec![2; 900_000]);
    }
}
