#![no_main]
//! See `pallasite_fuzz::content_type`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::content_type::check(input));
