#![no_main]
//! See `pallasite_fuzz::multipart`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::multipart::check(input));
