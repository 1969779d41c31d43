#![no_main]
//! See `pallasite_fuzz::cookie`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::cookie::check(input));
