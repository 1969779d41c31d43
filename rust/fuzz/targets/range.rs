#![no_main]
//! See `pallasite_fuzz::range`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::range::check(input));
