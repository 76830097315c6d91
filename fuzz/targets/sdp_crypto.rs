//! An SDP offer to a side that takes SRTP.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| segue_sdp::fuzz::crypto(bytes));
