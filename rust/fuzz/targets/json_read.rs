#![no_main]
//! See `pallasite_fuzz::json_read`.
libfuzzer_sys::fuzz_target!(|input: &[u8]| pallasite_fuzz::json_read::check(input));
