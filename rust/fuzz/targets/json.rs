#![no_main]
//! See `pallasite_fuzz::json`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::json::check(input));
