#![no_main]
//! See `pallasite_fuzz::header`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::header::check(input));
