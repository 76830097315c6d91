//! Performs what calls decide: carries between call, sip, media and store.
