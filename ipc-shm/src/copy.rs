//! Copies of bytes into and out of shared memory, whatever a peer does to them meanwhile.
//!
//! Other processes may write these bytes while this process reads them, if they break the protocol.
//! So the compiler must not assume that they do not change. Copies go through relaxed atomics, or
//! through vector registers in `asm!` blocks, which the compiler cannot analyse. A copy yields some
//! bytes. They are the message only if the peers keep the protocol.
//!
//! Copies do not use `rep movsb`. Many virtual machines have no fast one. There it moves one byte
//! at a time as soon as the two sides are aligned differently.

// `asm!` blocks, and views of bytes that are about to be filled.
#![allow(unsafe_code)]

#[cfg(not(loom))]
pub(crate) mod bytes_at;
use bytemuck::{AnyBitPattern, NoUninit};

use crate::layout::LINE;
use crate::sync::{AtomicU64, Ordering::Relaxed};

/// Returns the number of words that `len` bytes take.
#[inline]
pub(crate) const fn words(len: usize) -> usize {
    len.div_ceil(8)
}

/// Copies `bytes` to the beginning of `to`.
///
/// # Panics
///
/// If they do not fit.
#[inline]
pub(crate) fn write_bytes(to: &[AtomicU64], bytes: &[u8]) {
    let to = &to[..words(bytes.len())];
    let (to, bytes) = write_runs(to, bytes);
    let (to, bytes) = write_vectors(to, bytes);
    let (whole, rest) = bytes.split_at(bytes.len() & !7);
    for (word, bytes) in to.iter().zip(whole.chunks_exact(8)) {
        // Relaxed: the state word's Release publishes it (RING-E1).
        word.store(u64::from_ne_bytes(bytes.try_into().expect("eight bytes")), Relaxed);
    }
    if !rest.is_empty() {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        to[to.len() - 1].store(u64::from_ne_bytes(last), Relaxed);
    }
}

/// Copies the first bytes of `from` to `bytes`.
///
/// # Panics
///
/// If there are not so many.
#[inline]
pub(crate) fn read_bytes(from: &[AtomicU64], bytes: &mut [u8]) {
    let from = &from[..words(bytes.len())];
    let (from, bytes) = read_runs(from, bytes);
    let (from, bytes) = read_vectors(from, bytes);
    let whole = bytes.len() & !7;
    let (whole, rest) = bytes.split_at_mut(whole);
    for (word, bytes) in from.iter().zip(whole.chunks_exact_mut(8)) {
        // Relaxed: the state word's Acquire came before (RING-E1).
        bytes.copy_from_slice(&word.load(Relaxed).to_ne_bytes());
    }
    if !rest.is_empty() {
        let last = from[from.len() - 1].load(Relaxed).to_ne_bytes();
        rest.copy_from_slice(&last[..rest.len()]);
    }
}

/// Returns the first `n` elements in `from`. Any bytes are valid elements.
///
/// # Panics
///
/// If there are not so many, or if an element has no bytes.
#[cfg(not(loom))]
pub(crate) fn read_vec<E: NoUninit + AnyBitPattern>(from: &[AtomicU64], n: usize) -> Vec<E> {
    let fit = size_of_val(from) / size_of::<E>();
    assert!(n <= fit, "{n} elements are read where {fit} are");
    let mut elements = Vec::<E>::with_capacity(n);
    let len = n * size_of::<E>();
    let whole = len - len % RUN;
    let to = elements.as_mut_ptr().cast::<u8>();
    if whole > 0 {
        // SAFETY: so many bytes can be read, as checked above, and written, in what was allocated.
        // A peer that writes the source meanwhile changes only which bytes arrive.
        unsafe { move_runs(from.as_ptr().cast(), to, whole) };
    }
    let mut rest = [0; RUN];
    let rest = &mut rest[..len - whole];
    read_bytes(&from[whole / 8..], rest);
    // SAFETY: `whole` is at most what was allocated.
    let end = unsafe { to.add(whole) };
    // SAFETY: so many bytes are left there.
    unsafe { end.copy_from_nonoverlapping(rest.as_ptr(), rest.len()) };
    // SAFETY: all of its bytes are written, and any bytes are a valid element.
    unsafe { elements.set_len(n) };
    elements
}

/// The number of bytes that long copies move at once.
const RUN: usize = 64;

/// Writes as many whole runs as there are, and returns what is left.
#[inline(always)]
fn write_runs<'a, 'b>(to: &'a [AtomicU64], bytes: &'b [u8]) -> (&'a [AtomicU64], &'b [u8]) {
    // The length is constant, so that the compiler unrolls the vectors.
    if cfg!(loom) || bytes.len() < 4 * RUN {
        return (to, bytes);
    }
    let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % RUN);
    let (runs, to) = to.split_at(words(whole.len()));
    // SAFETY: so many bytes can be read, and, because they are atomics, written also through a
    // shared reference. They do not overlap, because no code makes a slice of shared memory.
    unsafe { move_runs(whole.as_ptr(), runs.as_ptr().cast::<u8>().cast_mut(), whole.len()) };
    (to, rest)
}

/// Reads as many whole runs as there are, and returns what is left.
#[inline(always)]
fn read_runs<'a, 'b>(
    from: &'a [AtomicU64],
    bytes: &'b mut [u8],
) -> (&'a [AtomicU64], &'b mut [u8]) {
    if cfg!(loom) || bytes.len() < 4 * RUN {
        return (from, bytes);
    }
    let whole = bytes.len() - bytes.len() % RUN;
    let (whole, rest) = bytes.split_at_mut(whole);
    let (runs, from) = from.split_at(words(whole.len()));
    // SAFETY: so many bytes can be read, and written, because the destination belongs to this call
    // alone. A peer that writes the source meanwhile changes only which bytes arrive.
    unsafe { move_runs(runs.as_ptr().cast(), whole.as_mut_ptr(), whole.len()) };
    (from, rest)
}

/// Copies `len` bytes, a multiple of [`RUN`], through vector registers.
///
/// # Safety
///
/// `len` bytes can be read at `from` and written at `to`, and they do not overlap. Other processes
/// may write both meanwhile.
#[inline]
unsafe fn move_runs(from: *const u8, to: *mut u8, len: usize) {
    debug_assert!(len % RUN == 0);
    for at in (0..len).step_by(RUN) {
        // SAFETY: the access is within what the caller promises.
        let from = unsafe { from.add(at) };
        // SAFETY: as above.
        let to = unsafe { to.add(at) };
        // SAFETY: as above. The instructions change nothing else, and the compiler does not analyse
        // them.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            std::arch::asm!(
                "movups {a}, [{from}]",
                "movups {b}, [{from} + 16]",
                "movups {c}, [{from} + 32]",
                "movups {d}, [{from} + 48]",
                "movups [{to}], {a}",
                "movups [{to} + 16], {b}",
                "movups [{to} + 32], {c}",
                "movups [{to} + 48], {d}",
                from = in(reg) from, to = in(reg) to,
                a = out(xmm_reg) _, b = out(xmm_reg) _, c = out(xmm_reg) _, d = out(xmm_reg) _,
                options(nostack, preserves_flags)
            );
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            std::arch::asm!(
                "ldp {a:q}, {b:q}, [{from}]",
                "ldp {c:q}, {d:q}, [{from}, #32]",
                "stp {a:q}, {b:q}, [{to}]",
                "stp {c:q}, {d:q}, [{to}, #32]",
                from = in(reg) from, to = in(reg) to,
                a = out(vreg) _, b = out(vreg) _, c = out(vreg) _, d = out(vreg) _,
                options(nostack, preserves_flags)
            );
        }
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        for i in 0..RUN {
            // SAFETY: as above. Volatile, because bytes that a peer may be writing must not be read
            // twice.
            let byte = unsafe { from.add(i).read_volatile() };
            // SAFETY: as above.
            unsafe { to.add(i).write_volatile(byte) };
        }
    }
}

/// The size of a vector register that every processor of the architecture has, in bytes.
#[cfg(all(target_arch = "x86_64", not(loom)))]
const VECTOR: usize = 16;

/// Writes as many whole vectors as there are, and returns what is left.
#[inline(always)]
fn write_vectors<'a, 'b>(to: &'a [AtomicU64], bytes: &'b [u8]) -> (&'a [AtomicU64], &'b [u8]) {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    {
        let (whole, rest) = bytes.split_at(bytes.len() - bytes.len() % VECTOR);
        for (words, bytes) in to.chunks_exact(VECTOR / 8).zip(whole.chunks_exact(VECTOR)) {
            // SAFETY: sixteen bytes can be read there, at any alignment.
            let vector = unsafe { std::arch::x86_64::_mm_loadu_si128(bytes.as_ptr().cast()) };
            // SAFETY: two words of atomics can be written there, also through a shared reference.
            // The instruction changes nothing else.
            unsafe {
                std::arch::asm!(
                    "movups [{}], {}", in(reg) words.as_ptr(), in(xmm_reg) vector,
                    options(nostack, preserves_flags)
                );
            }
        }
        (&to[words(whole.len())..], rest)
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    (to, bytes)
}

/// Reads as many whole vectors as there are, and returns what is left.
#[inline(always)]
fn read_vectors<'a, 'b>(
    from: &'a [AtomicU64],
    bytes: &'b mut [u8],
) -> (&'a [AtomicU64], &'b mut [u8]) {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    {
        let whole = bytes.len() - bytes.len() % VECTOR;
        let (whole, rest) = bytes.split_at_mut(whole);
        for (words, bytes) in from.chunks_exact(VECTOR / 8).zip(whole.chunks_exact_mut(VECTOR)) {
            let vector: std::arch::x86_64::__m128i;
            // SAFETY: two words of atomics can be read there. A peer that writes them meanwhile
            // changes only which bits arrive, because the compiler does not analyse the
            // instruction.
            unsafe {
                std::arch::asm!(
                    "movups {}, [{}]", out(xmm_reg) vector, in(reg) words.as_ptr(),
                    options(nostack, preserves_flags, readonly)
                );
            }
            // SAFETY: sixteen bytes can be written there, at any alignment, and they belong to this
            // call alone.
            unsafe { std::arch::x86_64::_mm_storeu_si128(bytes.as_mut_ptr().cast(), vector) };
        }
        (&from[words(whole.len())..], rest)
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    (from, bytes)
}

/// Copies a value of plain data to the beginning of `to`.
#[inline]
pub(crate) fn write_value<T: NoUninit>(to: &[AtomicU64], value: &T) {
    write_bytes(to, bytemuck::bytes_of(value));
}

/// Reads a value of plain data from the beginning of `from`. Any bytes are a valid value.
#[inline]
pub(crate) fn read_value<T: NoUninit + AnyBitPattern>(from: &[AtomicU64]) -> T {
    let mut value = T::zeroed();
    read_bytes(from, bytemuck::bytes_of_mut(&mut value));
    value
}

/// Reads as [`read_bytes`], and writes to each line of the payload.
///
/// The slot is about to be freed.
///
/// A line that a receiver only reads stays shared between the two processors. The sender's next
/// write must then request exclusive access, which costs more than all the rest. A line that the
/// receiver has written moves over as a whole. So the receiver stores into each line what it has
/// just read there.
#[inline(always)]
pub(crate) fn take_bytes(from: &[AtomicU64], bytes: &mut [u8]) {
    read_bytes(from, bytes);
    touch_lines(from, words(bytes.len()));
}

/// Writes into each line that the first `words` words of a payload lie in, except the first.
///
/// The state word of the first line is written anyway.
#[inline(always)]
pub(crate) fn touch_lines(payload: &[AtomicU64], words: usize) {
    // The payload begins at the second word of a line.
    for word in payload[..words].iter().skip(LINE / 8 - 1).step_by(LINE / 8) {
        // Relaxed: this process owns the slot, and stores the value that it read there.
        word.store(word.load(Relaxed), Relaxed);
    }
}

/// Moves the lines of a message in a block over as a whole before it is read. See [`take_bytes`].
///
/// Messages larger than a cache gain nothing from it.
pub(crate) fn own_lines(message: &[AtomicU64]) {
    const MOST: usize = (256 << 10) / 8;
    // The number of lines that a core can wait for at once.
    const LEAD: usize = 24 * LINE / 8;
    if message.len() > MOST {
        return;
    }
    for (i, word) in message.iter().enumerate().step_by(LINE / 8) {
        if let Some(ahead) = message.get(i + LEAD) {
            prefetch_line(ahead);
        }
        // Relaxed: the block is lent to this process, which stores the value that it read there.
        word.store(word.load(Relaxed), Relaxed);
    }
}

/// Reads as [`read_value`], and writes to each line as [`take_bytes`].
#[inline(always)]
pub(crate) fn take_value<T: NoUninit + AnyBitPattern>(from: &[AtomicU64]) -> T {
    let mut value = T::zeroed();
    take_bytes(from, bytemuck::bytes_of_mut(&mut value));
    value
}

/// Prefetches the lines of a slot's first `len` bytes for writing.
///
/// The slot is about to be filled or freed.
#[inline(always)]
pub(crate) fn prefetch(state: &AtomicU64, payload: &[AtomicU64], len: usize) {
    prefetch_line(state);
    // The payload begins at the second word of a line.
    for word in payload[..words(len).saturating_sub(1).min(payload.len())]
        .iter()
        .skip(LINE / 8 - 1)
        .step_by(LINE / 8)
    {
        prefetch_line(word);
    }
}

#[inline(always)]
fn prefetch_line(word: &AtomicU64) {
    let address: *const AtomicU64 = word;
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    // SAFETY: a prefetch is a hint. It faults on no address and changes nothing.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(all(target_arch = "aarch64", not(loom)))]
    // SAFETY: a prefetch is a hint. It faults on no address and changes nothing.
    unsafe {
        std::arch::asm!("prfm pstl1keep, [{}]", in(reg) address, options(nostack, preserves_flags, readonly));
    }
    #[cfg(any(loom, not(any(target_arch = "x86_64", target_arch = "aarch64"))))]
    let _ = address;
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn memory(words: usize) -> Vec<AtomicU64> {
        (0..words).map(|_| AtomicU64::new(u64::MAX)).collect()
    }

    #[test]
    fn every_length_comes_back_and_nothing_beyond_it_is_touched() {
        let source: Vec<u8> = (0..2000u32).map(|i| (i * 7 + 1) as u8).collect();
        for len in (0..70).chain([255, 256, 257, 319, 320, 511, 1000, 1999]) {
            let memory = memory(words(len) + 1);
            write_bytes(&memory, &source[..len]);
            assert_eq!(memory[words(len)].load(Relaxed), u64::MAX);
            let mut back = vec![0; len];
            read_bytes(&memory, &mut back);
            assert_eq!(back, source[..len]);
            let mut taken = vec![0; len];
            take_bytes(&memory, &mut taken);
            assert_eq!(taken, source[..len]);
            assert_eq!(read_vec::<u8>(&memory, len), source[..len]);
            let threes = read_vec::<[u8; 3]>(&memory, len / 3);
            assert_eq!(threes.as_flattened(), &source[..len / 3 * 3]);
        }
    }

    #[test]
    fn bytes_at_any_alignment_come_back() {
        let source: Vec<u8> = (0..1100u32).map(|i| (i * 7 + 1) as u8).collect();
        let memory = memory(words(1000));
        for offset in 0..70 {
            write_bytes(&memory, &source[offset..][..1000]);
            let mut back = vec![0; 1070];
            read_bytes(&memory, &mut back[offset..][..1000]);
            assert_eq!(back[offset..][..1000], source[offset..][..1000]);
        }
    }

    #[test]
    #[should_panic(expected = "9 elements are read where 8 are")]
    fn more_elements_than_there_are_are_refused() {
        let _ = read_vec::<[u16; 2]>(&memory(4), 9);
    }

    #[test]
    #[should_panic(expected = "range end index")]
    fn more_than_fits_is_refused() {
        write_bytes(&memory(2), &[0; 17]);
    }

    #[test]
    fn values_keep_their_bits() {
        let value = [1.5f32, -0.0, f32::NAN, 7.0, 8.0];
        let memory = memory(3);
        write_value(&memory, &value);
        assert_eq!(read_value::<[f32; 5]>(&memory).map(f32::to_bits), value.map(f32::to_bits));
    }
}
