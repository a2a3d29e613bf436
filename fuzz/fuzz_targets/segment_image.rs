#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| multiprocess_fuzz::segment_image::run(data));
