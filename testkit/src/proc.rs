//! What `/proc` says of this process and of others.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

/// In the path of each segment of a channel.
pub const CHANNELS: &str = "/memfd:multiprocess-channel";
/// In the path of each segment without a name that is no channel's.
pub const ANONYMOUS: &str = "/memfd:multiprocess-segment";

/// Returns how many descriptors this process has open.
pub fn descriptors() -> usize {
    // One of those in the directory is that of the directory itself.
    fs::read_dir("/proc/self/fd").unwrap().count() - 1
}

/// Returns the number of each descriptor of this process, and what it leads to.
pub fn open_files() -> Vec<(i32, String)> {
    let file = |link: fs::DirEntry| {
        // One that is closed meanwhile has no target.
        let target = fs::read_link(link.path()).ok()?;
        Some((link.file_name().to_str()?.parse().ok()?, target.to_string_lossy().into_owned()))
    };
    fs::read_dir("/proc/self/fd").unwrap().filter_map(|link| file(link.unwrap())).collect()
}

/// Returns the path by which a descriptor of this process can be opened again.
pub fn path_of(descriptor: i32) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{descriptor}"))
}

/// A mapping of this process.
pub struct Mapping {
    /// Bytes of address space.
    pub len: usize,
    /// As in `rw-s`.
    pub rights: String,
    /// The number of the file; 0 if there is none.
    pub inode: u64,
    /// The file, or in brackets what it is instead; empty if that is not known.
    pub path: String,
}

/// Returns the mappings of this process.
pub fn mappings() -> Vec<Mapping> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    maps.lines().map(mapping).collect()
}

/// Reads a line as `7f5c-7f6d rw-s 00000000 00:01 2063 /memfd:name (deleted)`.
fn mapping(line: &str) -> Mapping {
    let mut words = line.splitn(6, ' ');
    let mut word = || words.next().unwrap_or_default();
    let (begin, end) = word().split_once('-').unwrap();
    let [begin, end] = [begin, end].map(|number| usize::from_str_radix(number, 16).unwrap());
    let (rights, _offset, _device) = (word().to_owned(), word(), word());
    let inode = word().parse().unwrap();
    Mapping { len: end - begin, rights, inode, path: word().trim_start().to_owned() }
}

/// Returns how many descriptors and mappings of this process have `what` in their paths: a name, or
/// [`CHANNELS`], or [`ANONYMOUS`].
pub fn held(what: &str) -> (usize, usize) {
    let descriptors = open_files().iter().filter(|(_, path)| path.contains(what)).count();
    (descriptors, mappings().iter().filter(|mapping| mapping.path.contains(what)).count())
}

/// Returns how many descriptors of this process are of segments of channels.
pub fn channel_descriptors() -> usize {
    held(CHANNELS).0
}

/// Returns how many mappings of this process are of segments of channels.
pub fn channel_mappings() -> usize {
    held(CHANNELS).1
}

/// Returns how many bytes of address space this process has.
pub fn address_space() -> u64 {
    let sizes = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = sizes.split(' ').next().unwrap().parse().unwrap();
    // SAFETY: no preconditions.
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64
}

/// Returns the numbers of the children of the calling thread, as text: empty if it has none.
pub fn children_of_this_thread() -> String {
    // The kernel may be built without this file.
    fs::read_to_string("/proc/thread-self/children").unwrap_or_default()
}

/// Whether there is a process of this number, also one that has ended and is not waited for.
pub fn exists(process: u32) -> bool {
    Path::new(&format!("/proc/{process}")).exists()
}

/// Returns the state of a process' first thread as one letter: `R`, `S`, `T`, `Z`. `None` if there
/// is no such process.
pub fn state(process: u32) -> Option<char> {
    state_in(Path::new(&format!("/proc/{process}")))
}

/// Returns the states of all threads of a process, without those that end meanwhile.
pub fn states(process: u32) -> Vec<char> {
    threads(process).iter().filter_map(|thread| state_in(thread)).collect()
}

/// Whether this thread of this process sleeps.
pub fn asleep(process: u32, thread: u32) -> bool {
    state_in(Path::new(&format!("/proc/{process}/task/{thread}"))) == Some('S')
}

/// Whether there is such a process, and all of its threads sleep.
pub fn all_asleep(process: u32) -> bool {
    let states = states(process);
    !states.is_empty() && states.iter().all(|state| *state == 'S')
}

/// Returns the number of the calling thread.
pub fn this_thread() -> u32 {
    // SAFETY: no preconditions.
    unsafe { libc::gettid() as u32 }
}

/// Returns the names of the threads of this process, without those that end meanwhile.
pub fn thread_names() -> Vec<String> {
    let names = threads(std::process::id()).into_iter();
    let names = names.filter_map(|thread| fs::read_to_string(thread.join("comm")).ok());
    names.map(|name| name.trim_end().to_owned()).collect()
}

/// Returns in which system call, and with which first argument, each thread of a process sleeps;
/// `None` if one runs.
pub fn asleep_at(process: u32) -> Option<HashMap<OsString, [String; 2]>> {
    let place = |thread: PathBuf| {
        let line = fs::read_to_string(thread.join("syscall")).ok()?;
        // A thread that runs says so, in one word.
        let mut words = line.split(' ').map(str::to_owned);
        Some((thread.file_name()?.to_owned(), [words.next()?, words.next()?]))
    };
    threads(process).into_iter().map(place).collect()
}

/// The directories of a process' threads; none if there is no such process.
fn threads(process: u32) -> Vec<PathBuf> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).into_iter();
    tasks.flatten().flatten().map(|task| task.path()).collect()
}

/// The letter after the name, which may contain anything, in a directory's `stat`.
fn state_in(directory: &Path) -> Option<char> {
    let stat = fs::read_to_string(directory.join("stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
