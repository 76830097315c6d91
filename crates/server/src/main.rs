//! The binary `segue`.

fn main() {}
