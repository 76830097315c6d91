//! An SDP offer and our answer to it.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| segue_sdp::fuzz::offer(bytes));
