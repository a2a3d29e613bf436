#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| multiprocess_fuzz::frame::run(data));
