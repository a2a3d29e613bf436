//! The faults, by number, with what must happen.

/// One part of the catalogue.
pub(crate) struct Part {
    pub(crate) title: &'static str,
    /// Number, what happens, what must come of it.
    pub(crate) faults: &'static [(u32, &'static str, &'static str)],
}

const fn part(title: &'static str, faults: &'static [(u32, &'static str, &'static str)]) -> Part {
    Part { title, faults }
}

pub(crate) const PARTS: &[Part] = &[
    part(
        "kill -9",
        &[
            (
                1,
                "at every named point of `send`",
                "survivors go on; nothing that was sent is lost or torn",
            ),
            (
                2,
                "at every named point of `recv`",
                "at most the message it was taking is lost; none comes twice",
            ),
            (
                3,
                "at every named point of `recv_ref`",
                "the message is delivered again, with a count above 1",
            ),
            (
                4,
                "while it makes, attaches to or initialises something",
                "the next attempt succeeds",
            ),
            (
                5,
                "while it drops, closes or removes a name",
                "no name is left, never are there two under one name",
            ),
            (6, "of who repairs what a dead one left", "the next one repairs both, as if once"),
            (7, "of two repairers, one after the other", "as 6"),
            (
                8,
                "at random times, 2 to 8 processes that are replaced",
                "as 1 and 2; no place is lost",
            ),
            (
                9,
                "of all at once",
                "what was queued or named is there, or gone; names can be used again",
            ),
            (10, "after each instruction of `send`", "as 1"),
            (
                11,
                "after each instruction of `recv`, locking, unlocking, attaching",
                "as 2, 17 and 4",
            ),
            (
                12,
                "between publishing and waking, while all receivers sleep",
                "received when a slice is over",
            ),
            (
                13,
                "of the sleeper that was woken",
                "another sleeper gets the message when a slice is over",
            ),
            (14, "of a sleeper", "its registration goes; no waiter is woken in vain for ever"),
            (
                15,
                "in a claim to send, at the head of a full queue",
                "all get on after a slice and a repair",
            ),
            (
                16,
                "of a receiver with a guard, the queue full",
                "all get on; the message is delivered again",
            ),
            (
                17,
                "of a lock's holder",
                "the next one gets it with an error, until a process clears the poison",
            ),
            (18, "in the middle of an update", "the old value or the new one, never a mixture"),
            (
                19,
                "of a process with a gigabyte of memory",
                "later, for its memory goes first; but the same",
            ),
            (20, "no kill, but SIGSEGV, abort, exit, panic, exec", "the same"),
            (21, "between fork and exec", "its place is free when its memory is gone"),
            (22, "of a process with many writing threads", "no store after it is known to be dead"),
            (23, "no kill: the thread that took the lease ends", "no process is taken for dead"),
            (24, "while it holds 3000 locks", "all of them come back"),
        ],
    ),
    part(
        "Stopped, slow, late",
        &[
            (25, "SIGSTOP of a sender", "deadlines hold; it goes on, and its message comes once"),
            (26, "SIGSTOP of a receiver", "deadlines hold; it goes on, and has received once"),
            (
                27,
                "SIGSTOP of a lock's holder",
                "deadlines hold; it is robbed of nothing; killed, it is as 17",
            ),
            (28, "SIGSTOP of who repairs", "deadlines hold; nothing is repaired twice"),
            (29, "frozen for long", "no process is taken for dead"),
            (30, "the clock is set", "no deadline moves"),
            (
                31,
                "timeouts of 0, 1 ns, almost a second, `Duration::MAX`",
                "no error, none early, none overflows",
            ),
            (
                32,
                "a waiter of real-time priority, an owner of idle priority, one processor",
                "both get on",
            ),
            (33, "one processor, 32 processes", "no process starves"),
        ],
    ),
    part(
        "Signals",
        &[
            (34, "thousands a second, none restarts a call", "same results, same deadlines"),
            (35, "SIGPIPE at its default", "`Disconnected`; the process lives"),
            (
                36,
                "a handler that sends, in the middle of `send`",
                "no corruption; what may block is documented",
            ),
            (37, "a panic while a loan or guard is held", "it is given back, or poisoned"),
        ],
    ),
    part(
        "Headers and files",
        &[
            (38, "a wrong mark", "an error"),
            (39, "another version, another byte order", "an error"),
            (40, "another type, size or alignment", "an error"),
            (41, "capacity 0, or more than the file has", "an error"),
            (42, "offsets beyond the end, misaligned, overlapping", "an error"),
            (43, "sizes that overflow", "an error"),
            (44, "a checksum that is wrong", "an error"),
            (45, "empty, shorter than its header, no whole page", "an error"),
            (46, "truncated, before or while it is used", "an error, or forbidden by a seal"),
            (47, "a hole punched into it while it is used", "`Corrupt`, no endless loop"),
            (48, "grown while it is used", "nothing"),
            (49, "half made: its maker is dead, or slow", "made anew; or waited for, with a limit"),
            (50, "each bit flipped, then used", "an error, or correct; never undefined behaviour"),
        ],
    ),
    part(
        "Names and permissions",
        &[
            (
                51,
                "a link, a pipe, a directory, a device at the name",
                "an error; it is left as it is",
            ),
            (
                52,
                "`../x`, `/x`, empty, NUL, too long, not UTF-8",
                "an error, or a name like others",
            ),
            (53, "made before by another user, or for everybody", "an error, unless asked for"),
            (54, "read only", "an error; nothing half made"),
            (55, "umask 000, 077", "the mode is the one asked for"),
            (56, "removed and made again while in use", "who had it keeps the old one"),
            (57, "many race to make and remove it", "never two that live"),
            (58, "opened twice in one process, one dropped", "the other one lives"),
            (59, "the program closes every descriptor", "it stays alive to its peers"),
            (
                60,
                "process namespaces that share memory",
                "no process is taken for another, though all are process 1",
            ),
        ],
    ),
    part(
        "Resources",
        &[
            (
                61,
                "no descriptor left, at each step",
                "an error; nothing leaks; what is there goes on",
            ),
            (62, "a file system of 256 KiB", "an error when it is made, no SIGBUS"),
            (
                63,
                "a limit on memory (control group)",
                "an error, or an ordinary death; peers go on",
            ),
            (64, "limits on address space, file size, locked memory", "an error, no signal"),
            (65, "memory files or other calls forbidden", "another way, or an error"),
            (
                66,
                "every participant taken: by dead processes, by living ones",
                "repaired; an error",
            ),
            (67, "thousands of them made and dropped", "no descriptor, mapping or name is left"),
        ],
    ),
    part(
        "Sizes",
        &[
            (68, "messages of no bytes", "delivered"),
            (69, "the largest, one more, `usize::MAX`", "sent, or an error with the message"),
            (70, "messages over several slots that wrap at each lap", "first in, first out"),
            (71, "positions that start again at 0", "as if they did not"),
            (72, "a slot inside a longer message for half of all laps", "no livelock"),
            (73, "many short messages against a long one", "the long one gets through"),
        ],
    ),
    part(
        "Hostile peers",
        &[
            (
                74,
                "each word changes at full speed",
                "no panic, nothing out of bounds, no endless loop",
            ),
            (75, "a length changes between check and use", "it is read once"),
            (76, "each word with each kind of nonsense", "`Corrupt`, or nothing"),
            (77, "the words, bits and addresses of sleepers", "deadlines hold"),
            (78, "bytes that are no value", "an error; no memory for what is not there"),
            (79, "frames that are none", "an error, or `Disconnected`"),
            (80, "too many, too few, other descriptors", "an error; all are closed"),
            (81, "another user at the other end", "refused"),
            (82, "all leases locked", "an error, no hang"),
        ],
    ),
    part(
        "Misuse",
        &[
            (83, "send, all receivers gone", "`Disconnected`, with the message"),
            (84, "recv, all senders gone", "what is queued, then `Disconnected`"),
            (85, "unlock twice, or by another", "impossible, or an error"),
            (
                86,
                "a lock taken twice; a full channel that is one's own",
                "an error; or as in `std`, documented",
            ),
            (87, "guards and ends forgotten", "they come back when the process ends"),
            (88, "dropped in each order, from several threads", "the last one removes the name"),
            (89, "used in a forked child", "an error there, nothing in the parent"),
            (90, "forked in the middle of `send`", "as 89"),
            (91, "an end sent through itself", "nothing is left when both are closed"),
            (
                92,
                "select over dead peers, living ones and never; death between choosing and completing",
                "as crossbeam; another receiver gets the message, the place is skipped",
            ),
            (93, "programs written for crossbeam", "the same outcome"),
        ],
    ),
    part(
        "Tools",
        &[
            (94, "loom: each pair of operations, with deaths", "all interleavings hold"),
            (95, "random schedules with deaths", "hold"),
            (96, "Miri", "clean"),
            (97, "thread sanitizer", "clean"),
            (98, "fuzzing: headers, frames, words", "no finding"),
            (99, "the code against a model, random operations and deaths", "equal"),
            (100, "the search of all states; each step of the protocol left out", "holds; found"),
            (101, "aarch64", "works"),
            (
                102,
                "each system call fails",
                "an error or success; nothing leaks; it works the next time",
            ),
        ],
    ),
    part(
        "Reported by users of other crates",
        &[
            (
                103,
                "a peer is killed while a receiver polls with short timeouts on a busy machine",
                "`Disconnected`",
            ),
            (
                104,
                "a type that only a self-describing format can carry",
                "it arrives, or `send` says why not",
            ),
            (105, "a type whose own `Serialize` refuses, with a text", "the text is in the error"),
            (
                106,
                "two programs built apart that share a type",
                "the ends fit; other types are named in the error",
            ),
            (107, "a message longer than `max_message` by one byte", "`TooLarge`, with both sizes"),
            (
                108,
                "`try_*` while a running peer is in the middle of its operation",
                "it is waited for, and recovered if it is dead",
            ),
            (
                109,
                "a process with channels dumps core",
                "the dump has no segment in it; the others lose no memory",
            ),
            (
                110,
                "8,000 channels; a limit on address space",
                "they fit; or an error that says what to set",
            ),
            (111, "a message nested 200,000 deep", "`Unreadable`; no stack overflows"),
            (112, "a thread ends with a lock's guard forgotten", "no later thread is taken for it"),
            (113, "a process that cannot read its own /proc files", "it spawns"),
            (
                114,
                "an executable with set-user-ID or capabilities",
                "`spawn` refuses; `main` does not run twice",
            ),
            (
                115,
                "a child that executes another program, or outlives a helper",
                "no variable is left that misleads",
            ),
            (
                116,
                "a process forks after it has used channels",
                "the child makes and opens new ones",
            ),
            (
                117,
                "children of tests, also of those that forget `init`",
                "no foreign test body runs; output stays clean",
            ),
            (
                118,
                "something else reaps all children, or SIGCHLD is ignored",
                "status and kills are known; no wrong pid is killed",
            ),
            (119, "no /dev/null, no /proc", "it works, or the error says so"),
            (
                120,
                "arguments that take longer to decode than the start may last",
                "the child is not killed while it works",
            ),
            (121, "the parent is killed", "children that were asked to end with it do"),
            (
                122,
                "Ctrl-C, blocked signals, limits of the parent",
                "children get what the builder says",
            ),
            (123, "many processes in `ps`", "each child has a name"),
            (
                124,
                "more processes than the default participants",
                "the default follows the machine; an error of its own kind",
            ),
            (125, "one end of a pipe received 507 times", "no descriptor more"),
            (126, "named segments of killed processes", "`remove_abandoned` removes them"),
            (127, "a function travels in a message", "it runs in the process that receives it"),
            (
                128,
                "two bounded channels to a worker, all sent before any is received",
                "documented, with a way out",
            ),
            (129, "descriptors opened without close-on-exec", "the child does not inherit them"),
            (130, "programs written for `std::sync` and parking_lot", "they compile and behave"),
            (131, "a fresh clone", "the first command builds few crates and shows a gain"),
        ],
    ),
];

/// Why there is no test for a fault, or not for all of it.
pub(crate) const REMARKS: &[(u32, &str)] = &[
    (
        22,
        "The kernel gives up a lease only when no thread has the memory any more, so the verdict cannot come \
         earlier.",
    ),
    (
        30,
        "Not tested: setting the clock needs rights and disturbs the machine. Every deadline is an `Instant`, \
         which is monotonic by its type; no other clock is read.",
    ),
    (
        52,
        "What is a name differs between segments and sockets only in its length; other systems than Linux \
         answer `Unsupported`.",
    ),
    (
        62,
        "Channels have no file system: their memory belongs to no mount, and is bounded by 63 and 64.",
    ),
    (
        70,
        "Cannot be: a message lies in one slot or in one block, never over several. Batches wrap: see 71.",
    ),
    (72, "Cannot be, as 70: no slot is ever inside a message."),
    (
        96,
        "Not run: Miri has no shared mappings, no futexes between processes and no processes, which is what the \
         `unsafe` code here is about. loom checks the same code over memory of its own (94).",
    ),
    (
        97,
        "By hand: threads that share one mapping. Through two mappings of one memory it sees no race, and it knows no \
         fences: loom checks the orders of memory accesses (94).",
    ),
    (
        99,
        "What real processes did, at random and with deaths, is judged by an oracle (`tests/crash/oracle.rs`), not \
         step by step by the model.",
    ),
    (
        101,
        "By hand, under emulation, which does not show what other processors reorder: that is loom's (94).",
    ),
    (
        109,
        "The dump itself is looked at where the system writes it to the current directory \
         (`kernel.core_pattern`).",
    ),
    (
        131,
        "That the first command shows a gain depends on the machine, so no test measures it: it prints the speed-up.",
    ),
];
