#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| multiprocess_fuzz::ring_hostile::run(data));
