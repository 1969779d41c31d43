#![no_main]
//! See `pallasite_fuzz::host`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::host::check(input));
