//! A URI, a name-addr, a Via.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| segue_sip_wire::fuzz::uri(bytes));
