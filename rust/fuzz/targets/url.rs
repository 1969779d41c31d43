#![no_main]
//! See `pallasite_fuzz::url`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::url::check(input));
