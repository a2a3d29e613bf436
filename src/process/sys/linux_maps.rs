//! Where the executable's code lies, as `/proc/self/maps` and `/proc/self/auxv` tell it.

use std::fs;
use std::io;

use super::super::CodeRange;

/// Key of the auxiliary vector: the program's entry point, which lies in the executable's own code.
const AT_ENTRY: usize = 9;
/// Key of the auxiliary vector: not 0 if the program runs with more rights than who started it.
const AT_SECURE: usize = 23;

pub(crate) fn code_ranges() -> io::Result<Vec<CodeRange>> {
    let context = |what: &'static str| {
        move |error: io::Error| io::Error::new(error.kind(), format!("reading {what}: {error}"))
    };
    let auxv = fs::read("/proc/self/auxv").map_err(context("/proc/self/auxv"))?;
    let maps = fs::read("/proc/self/maps").map_err(context("/proc/self/maps"))?;
    Ok(lookup(&auxv, AT_ENTRY).map(|entry| parse(&maps, entry as u64)).unwrap_or_default())
}

/// Where the executable's file lies in memory that this process can read and nothing can write: its code, and
/// its constants, those that the loader has relocated included.
pub(crate) fn constant_ranges() -> io::Result<Vec<CodeRange>> {
    let code = code_ranges()?;
    let maps = fs::read("/proc/self/maps")
        .map_err(|error| io::Error::new(error.kind(), format!("reading /proc/self/maps: {error}")))?;
    Ok(constants(&maps, &code))
}

/// The mappings of the file which this code is of, if they can be read and not written.
fn constants(maps: &[u8], code: &[CodeRange]) -> Vec<CodeRange> {
    let lines = || maps.split(|byte| *byte == b'\n').filter_map(|line| Some((line, parse_line(line)?)));
    let of_code = |range: &CodeRange| code.iter().any(|code| code.start == range.start);
    let Some((_, program)) = lines().find(|(_, mapping)| of_code(&mapping.range)) else { return Vec::new() };
    let constant =
        |line: &[u8]| line.split(|byte| *byte == b' ').nth(1).is_some_and(|it| it.starts_with(b"r-"));
    let found = lines().filter(|(line, mapping)| mapping.file == program.file && constant(line));
    found.map(|(_, mapping)| mapping.range).collect()
}

/// Whether this program runs with other rights than who started it (set-user-ID, capabilities of the file).
pub(super) fn secure() -> bool {
    rustix::process::getuid() != rustix::process::geteuid()
        || rustix::process::getgid() != rustix::process::getegid()
        || fs::read("/proc/self/auxv").is_ok_and(|auxv| lookup(&auxv, AT_SECURE).unwrap_or(0) != 0)
}

/// The value of `key` in an auxiliary vector: pairs of words.
fn lookup(auxv: &[u8], key: usize) -> Option<usize> {
    let mut words =
        auxv.chunks_exact(size_of::<usize>()).map(|bytes| bytes.try_into().map_or(0, usize::from_ne_bytes));
    while let (Some(found), Some(value)) = (words.next(), words.next()) {
        if found == key {
            return Some(value);
        }
    }
    None
}

/// One line of `/proc/self/maps`.
struct Mapping<'a> {
    range: CodeRange,
    executable: bool,
    /// Device, inode and path: the same for all mappings of one file.
    file: (&'a [u8], &'a [u8], &'a [u8]),
}

/// The executable mappings of that file which `entry` lies in.
fn parse(maps: &[u8], entry: u64) -> Vec<CodeRange> {
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
    mappings.iter().filter(|mapping| mapping.file == program.file).map(|mapping| mapping.range).collect()
}

/// `start-end perms offset device inode path`.
fn parse_line(line: &[u8]) -> Option<Mapping<'_>> {
    let mut fields = line.splitn(6, |byte| *byte == b' ');
    let addresses = std::str::from_utf8(fields.next()?).ok()?;
    let (start, end) = addresses.split_once('-')?;
    let permissions = fields.next()?;
    let offset = std::str::from_utf8(fields.next()?).ok()?;
    let (device, inode, path) = (fields.next()?, fields.next()?, fields.next().unwrap_or_default());
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
        let ranges = parse(MAPS, 0x55d0_0000_2010);
        let expected =
            [(0x55d0_0000_2000, 0x55d0_0000_5000, 0x2000), (0x55d0_0000_6000, 0x55d0_0000_7000, 0x9000)];
        let found: Vec<_> = ranges.iter().map(|r| (r.start, r.end, r.offset)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn constants_are_what_cannot_be_written_in_the_same_file() {
        let maps = [MAPS, b"56d000006000-56d000007000 r--p 00009000 fe:00 43 /opt/a b/prog\n"].concat();
        let found: Vec<_> =
            constants(&maps, &parse(&maps, 0x55d0_0000_2010)).iter().map(|r| r.start).collect();
        assert_eq!(found, [0x55d0_0000_0000, 0x55d0_0000_2000, 0x55d0_0000_6000]);
        assert!(constants(&maps, &[]).is_empty());
    }

    #[test]
    fn an_entry_point_outside_any_code_gives_nothing() {
        assert!(parse(MAPS, 0x55d0_0000_0010).is_empty());
        assert!(parse(b"", 1).is_empty());
        assert!(parse(b"-  \n1-2 r-xp zz a b c\n", 1).is_empty());
    }

    #[test]
    fn this_process_finds_its_own_function() {
        let here = this_process_finds_its_own_function as fn() as usize as u64;
        let ranges = code_ranges().unwrap();
        assert!(ranges.iter().any(|r| (r.start..r.end).contains(&here)));
        assert!(!secure());
    }
}
