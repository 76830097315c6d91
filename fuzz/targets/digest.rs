//! A digest challenge, digest credentials.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| segue_sip_wire::fuzz::digest(bytes));
