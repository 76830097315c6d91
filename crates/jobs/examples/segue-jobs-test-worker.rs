//! The media worker alone, for tests of this crate: in the product it is `segue media-worker`.

fn main() -> std::process::ExitCode {
    segue_media_worker::main()
}
