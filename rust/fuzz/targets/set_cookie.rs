#![no_main]
//! See `pallasite_fuzz::set_cookie`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::set_cookie::check(input));
