//! A spool file.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| segue_media::fuzz::spool(bytes));
