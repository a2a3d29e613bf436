//! Forbidden system calls, as in a sandbox.

/// From now on this system call answers with this error in this thread; if an argument's number and
/// flags are given, only with one of those in it.
pub(crate) fn forbid(call: libc::c_long, flags: Option<(u32, libc::c_int)>, error: libc::c_int) {
    let code =
        |code: u32, k: u32, jt: u8, jf: u8| libc::sock_filter { code: code as u16, jt, jf, k };
    let load = |offset| code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0);
    let answer = |with| code(libc::BPF_RET | libc::BPF_K, with, 0, 0);
    // Of `seccomp_data`: the number of the call is at 0, the arguments, of 8 bytes, from 16 on.
    let mut filter =
        vec![load(0), code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, 1, 0)];
    filter.push(answer(libc::SECCOMP_RET_ALLOW));
    if let Some((argument, flags)) = flags {
        let low_half = 16 + 8 * argument + if cfg!(target_endian = "big") { 4 } else { 0 };
        filter.extend([
            load(low_half),
            code(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, flags as u32, 1, 0),
        ]);
        filter.push(answer(libc::SECCOMP_RET_ALLOW));
    }
    filter.push(answer(libc::SECCOMP_RET_ERRNO | error as u32));
    let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_ptr().cast_mut() };
    // SAFETY: numbers only.
    assert_eq!(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }, 0);
    // SAFETY: the program is read during the call.
    let done =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!(done, 0);
}
