//! Copies of bytes to and from any place in shared memory, whatever a peer does meanwhile.
//!
//! They resemble those of [`copy`](crate::copy), for places that are not whole words. They touch
//! only the bytes themselves. A number of 1, 2, 4 or 8 bytes that is aligned to its size is moved
//! at once, so it is never torn. Longer ones may be.

// Atomics over addresses, and `asm!`.
#![allow(unsafe_code)]

use crate::sync::unmodelled::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::ptr::NonNull;

/// The length from which on the processor's string move is faster.
#[cfg(target_arch = "x86_64")]
const LONG: usize = 256;

/// Returns the size of the next access: 1, 2, 4 or 8 bytes.
///
/// It is the largest of them to which the address is aligned and which fits into `left`.
#[inline(always)]
fn unit(address: usize, left: usize) -> usize {
    let aligned = 1 << address.trailing_zeros().min(3);
    let fits = 1 << left.ilog2().min(3);
    if aligned < fits { aligned } else { fits }
}

/// Copies from shared memory.
///
/// # Safety
///
/// `to.len()` bytes are mapped at `from`, in memory that no part of the program has references to
/// but to atomics.
#[inline]
pub(crate) unsafe fn read(from: NonNull<u8>, to: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if to.len() >= LONG {
        // SAFETY: the caller's promise. `to` belongs to this call alone, and the processor copies
        // behind the compiler's back.
        return unsafe { string_move(from.as_ptr(), to.as_mut_ptr(), to.len()) };
    }
    let (mut from, mut to) = (from, to);
    while !to.is_empty() {
        let n = unit(from.addr().get(), to.len());
        let (now, rest) = to.split_at_mut(n);
        // Relaxed, all of these: the user is responsible for any ordering.
        match n {
            8 => {
                // SAFETY: `n` bytes are mapped there (the caller's promise), aligned to `n`
                // (`unit`).
                let word = unsafe { from.cast::<AtomicU64>().as_ref() };
                now.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
            }
            4 => {
                // SAFETY: as above.
                let word = unsafe { from.cast::<AtomicU32>().as_ref() };
                now.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
            }
            2 => {
                // SAFETY: as above.
                let word = unsafe { from.cast::<AtomicU16>().as_ref() };
                now.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
            }
            _ => {
                // SAFETY: as above.
                let byte = unsafe { from.cast::<AtomicU8>().as_ref() };
                now[0] = byte.load(Relaxed);
            }
        }
        // SAFETY: at most one past the last byte, within what the caller promises.
        from = unsafe { from.add(n) };
        to = rest;
    }
}

/// Copies to shared memory.
///
/// # Safety
///
/// `bytes.len()` bytes are mapped at `to`, to be written, in memory that no part of the program has
/// references to but to atomics.
#[inline]
pub(crate) unsafe fn write(to: NonNull<u8>, bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    if bytes.len() >= LONG {
        // SAFETY: the caller's promise.
        return unsafe { string_move(bytes.as_ptr(), to.as_ptr(), bytes.len()) };
    }
    let (mut to, mut bytes) = (to, bytes);
    while !bytes.is_empty() {
        let n = unit(to.addr().get(), bytes.len());
        let (now, rest) = bytes.split_at(n);
        let mut word = [0; 8];
        word[..n].copy_from_slice(now);
        let [a, b, c, d, ..] = word;
        // Relaxed: as in `read`.
        match n {
            8 => {
                // SAFETY: `n` bytes are mapped there (the caller's promise), aligned to `n`
                // (`unit`).
                unsafe { to.cast::<AtomicU64>().as_ref() }.store(u64::from_ne_bytes(word), Relaxed);
            }
            4 => {
                // SAFETY: as above.
                unsafe { to.cast::<AtomicU32>().as_ref() }
                    .store(u32::from_ne_bytes([a, b, c, d]), Relaxed);
            }
            2 => {
                // SAFETY: as above.
                unsafe { to.cast::<AtomicU16>().as_ref() }
                    .store(u16::from_ne_bytes([a, b]), Relaxed);
            }
            _ => {
                // SAFETY: as above.
                unsafe { to.cast::<AtomicU8>().as_ref() }.store(a, Relaxed);
            }
        }
        // SAFETY: at most one past the last byte, within what the caller promises.
        to = unsafe { to.add(n) };
        bytes = rest;
    }
}

/// Copies by `rep movsb`.
///
/// # Safety
///
/// `len` bytes can be read at `from` and written at `to`, and they do not overlap.
#[cfg(target_arch = "x86_64")]
#[inline]
unsafe fn string_move(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise. The direction flag is clear, as the ABI requires, and `rep
    // movsb` changes nothing but the three registers and the destination.
    unsafe {
        std::arch::asm!(
            "rep movsb",
            inout("rcx") len => _,
            inout("rsi") from => _,
            inout("rdi") to => _,
            options(nostack, preserves_flags)
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_at_every_place_comes_back_and_nothing_beside_it_is_touched() {
        let source: Vec<u8> = (0..700u32).map(|i| (i * 7 + 1) as u8).collect();
        for at in 0..17 {
            for len in (0..40).chain([255, 256, 257, 600]) {
                let mut memory = vec![0u64; 100];
                let base = NonNull::new(memory.as_mut_ptr().cast::<u8>()).unwrap();
                // SAFETY: 800 bytes lie there, and `at + len` is less.
                let place = unsafe { base.add(at) };
                // SAFETY: as above. No other code uses it.
                unsafe { write(place, &source[..len]) };
                let mut back = vec![0; len];
                // SAFETY: as above.
                unsafe { read(place, &mut back) };
                assert_eq!(back, source[..len]);
                let bytes: &[u8] = bytemuck::cast_slice(&memory);
                assert!(
                    bytes[..at].iter().chain(&bytes[at + len..]).all(|byte| *byte == 0),
                    "{at} {len}"
                );
            }
        }
    }
}
