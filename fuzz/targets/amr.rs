//! A payload of AMR or AMR-WB.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| segue_media::fuzz::amr(bytes));
