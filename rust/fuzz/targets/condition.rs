#![no_main]
//! See `pallasite_fuzz::condition`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::condition::check(input));
