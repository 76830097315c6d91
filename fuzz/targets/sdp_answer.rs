//! An SDP answer to an offer of ours.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| segue_sdp::fuzz::answer(bytes));
