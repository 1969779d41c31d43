#![no_main]
//! See `pallasite_fuzz::pattern`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::pattern::check(input));
