#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| multiprocess_fuzz::codec::run(data));
