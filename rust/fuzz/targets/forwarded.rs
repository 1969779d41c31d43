#![no_main]
//! See `pallasite_fuzz::forwarded`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::forwarded::check(input));
