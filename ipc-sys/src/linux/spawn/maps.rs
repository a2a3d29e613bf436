//! The places of the executable's code, from `/proc/self/maps` and the auxiliary vector.
//!
//! `/proc/self/auxv` has the same content as `getauxval`. But a process that is not dumpable cannot
//! open it: one that has changed its user, for example, or that may not read its executable.
//!
//! This file opts in to `unsafe` for `getauxval`, which no crate of ours has for these keys.
#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;

use crate::types::spawn::CodeRange;

pub(crate) fn code_ranges() -> io::Result<Vec<CodeRange>> {
    let maps = fs::read("/proc/self/maps").map_err(|error| {
        io::Error::new(
            error.kind(),
            format!("reading /proc/self/maps: {error} (is /proc mounted?)"),
        )
    })?;
    let started = fs::read_link("/proc/self/exe").unwrap_or_default();
    // The program's entry point, which lies in the executable's own code.
    Ok(parse(&maps, auxiliary(libc::AT_ENTRY), started.as_os_str().as_bytes()))
}

/// Returns where the executable's file is mapped in memory that this process can read and no
/// process can write: its code, and its constants, also those that the loader has relocated.
pub(crate) fn constant_ranges() -> io::Result<Vec<CodeRange>> {
    let code = code_ranges()?;
    let maps = fs::read("/proc/self/maps").map_err(|error| {
        io::Error::new(error.kind(), format!("reading /proc/self/maps: {error}"))
    })?;
    Ok(constants(&maps, &code))
}

/// Returns the mappings of the file of this code that can be read and not written.
fn constants(maps: &[u8], code: &[CodeRange]) -> Vec<CodeRange> {
    let lines =
        || maps.split(|byte| *byte == b'\n').filter_map(|line| Some((line, parse_line(line)?)));
    let of_code = |range: &CodeRange| code.iter().any(|code| code.start == range.start);
    let Some((_, program)) = lines().find(|(_, mapping)| of_code(&mapping.range)) else {
        return Vec::new();
    };
    let constant = |line: &[u8]| {
        line.split(|byte| *byte == b' ').nth(1).is_some_and(|it| it.starts_with(b"r-"))
    };
    let found = lines().filter(|(line, mapping)| mapping.file == program.file && constant(line));
    found.map(|(_, mapping)| mapping.range).collect()
}

/// Returns whether this program runs with other rights than the process that started it:
/// set-user-ID, capabilities of the file.
pub(super) fn secure() -> bool {
    rustix::process::getuid() != rustix::process::geteuid()
        || rustix::process::getgid() != rustix::process::getegid()
        || auxiliary(libc::AT_SECURE) != 0
}

/// Returns a value of the auxiliary vector, or 0 if it has none under this key.
fn auxiliary(key: libc::c_ulong) -> u64 {
    // SAFETY: looks up a number, for any key.
    unsafe { libc::getauxval(key) }
}

/// One line of `/proc/self/maps`.
struct Mapping<'a> {
    range: CodeRange,
    executable: bool,
    /// Device, inode and path: the same for all mappings of one file.
    file: (&'a [u8], &'a [u8], &'a [u8]),
}

/// Returns the executable mappings of the file that contains `entry`, if it is the one that was
/// `started`. A program that was passed to its dynamic loader has another file: starting that again
/// would start the loader without a program.
fn parse(maps: &[u8], entry: u64, started: &[u8]) -> Vec<CodeRange> {
    let mappings: Vec<Mapping<'_>> = maps
        .split(|byte| *byte == b'\n')
        .filter_map(parse_line)
        .filter(|mapping| mapping.executable)
        .collect();
    let Some(program) =
        mappings.iter().find(|mapping| (mapping.range.start..mapping.range.end).contains(&entry))
    else {
        return Vec::new();
    };
    if program.file.2 != started && mappings.iter().any(|mapping| mapping.file.2 == started) {
        return Vec::new();
    }
    mappings
        .iter()
        .filter(|mapping| mapping.file == program.file)
        .map(|mapping| mapping.range)
        .collect()
}

/// `start-end perms offset device inode path`.
fn parse_line(line: &[u8]) -> Option<Mapping<'_>> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let addresses = std::str::from_utf8(fields.next()?).ok()?;
    let (start, end) = addresses.split_once('-')?;
    let permissions = fields.next()?;
    let offset = std::str::from_utf8(fields.next()?).ok()?;
    let (device, inode, path) = (fields.next()?, fields.next()?, fields.next().unwrap_or_default());
    let path = path.trim_ascii_start();
    let hex = |text| u64::from_str_radix(text, 16).ok();
    Some(Mapping {
        range: CodeRange { start: hex(start)?, end: hex(end)?, offset: hex(offset)? },
        executable: permissions.get(2) == Some(&b'x') && inode != b"0",
        file: (device, inode, path),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &[u8] = b"\
55d000000000-55d000002000 r--p 00000000 fe:00 42                         /opt/a b/prog\n\
55d000002000-55d000005000 r-xp 00002000 fe:00 42                         /opt/a b/prog\n\
55d000005000-55d000006000 rw-p 00005000 fe:00 42                         /opt/a b/prog\n\
55d000006000-55d000007000 r-xp 00009000 fe:00 42                         /opt/a b/prog\n\
7f0000000000-7f0000001000 r-xp 00000000 fe:00 43                         /lib/lib.so\n\
7ffc00000000-7ffc00001000 r-xp 00000000 00:00 0                          [vdso]\n\
garbage\n";

    #[test]
    fn only_the_code_of_the_file_with_the_entry_point_counts() {
        let ranges = parse(MAPS, 0x55d0_0000_2010, b"/opt/a b/prog");
        let expected = [
            (0x55d0_0000_2000, 0x55d0_0000_5000, 0x2000),
            (0x55d0_0000_6000, 0x55d0_0000_7000, 0x9000),
        ];
        let found: Vec<_> = ranges.iter().map(|r| (r.start, r.end, r.offset)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn constants_are_what_cannot_be_written_in_the_same_file() {
        let maps =
            [MAPS, b"56d000006000-56d000007000 r--p 00009000 fe:00 43 /opt/a b/prog\n"].concat();
        let found: Vec<_> = constants(&maps, &parse(&maps, 0x55d0_0000_2010, b"/opt/a b/prog"))
            .iter()
            .map(|r| r.start)
            .collect();
        assert_eq!(found, [0x55d0_0000_0000, 0x55d0_0000_2000, 0x55d0_0000_6000]);
        assert!(constants(&maps, &[]).is_empty());
    }

    #[test]
    fn an_entry_point_outside_any_code_gives_nothing() {
        assert!(parse(MAPS, 0x55d0_0000_0010, b"/opt/a b/prog").is_empty());
        assert!(parse(b"", 1, b"").is_empty());
        assert!(parse(b"-  \n1-2 r-xp zz a b c\n", 1, b"").is_empty());
    }

    #[test]
    fn a_program_that_was_handed_to_its_loader_is_not_the_file_that_was_started() {
        assert!(parse(MAPS, 0x55d0_0000_2010, b"/lib/lib.so").is_empty());
        // A name that the map shows in another way says nothing.
        assert_eq!(parse(MAPS, 0x55d0_0000_2010, b"/opt/a b/prog (deleted)").len(), 2);
    }

    #[test]
    fn this_process_finds_its_own_function() {
        let here = this_process_finds_its_own_function as fn() as usize as u64;
        let ranges = code_ranges().unwrap();
        assert!(ranges.iter().any(|r| (r.start..r.end).contains(&here)));
        assert!(!secure());
    }
}
