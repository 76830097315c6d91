//! SIP messages out of a byte stream.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| segue_sip_wire::fuzz::stream(bytes));
