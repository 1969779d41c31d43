#![no_main]
//! See `pallasite_fuzz::route`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::route::check(input));
