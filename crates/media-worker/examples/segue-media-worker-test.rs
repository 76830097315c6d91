//! The worker alone, for tests: in the product it is `segue media-worker`.

fn main() -> std::process::ExitCode {
    segue_media_worker::main()
}
