#![no_main]
//! See `pallasite_fuzz::query`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::query::check(input));
