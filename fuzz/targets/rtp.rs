//! RTP and RTCP into a bridged, recorded call.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| segue_media::fuzz::rtp(bytes));
