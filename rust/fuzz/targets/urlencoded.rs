#![no_main]
//! See `pallasite_fuzz::urlencoded`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::urlencoded::check(input));
