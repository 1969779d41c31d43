#![no_main]
//! See `pallasite_fuzz::accept`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::accept::check(input));
