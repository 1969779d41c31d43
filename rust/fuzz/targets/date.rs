#![no_main]
//! See `pallasite_fuzz::date`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::date::check(input));
