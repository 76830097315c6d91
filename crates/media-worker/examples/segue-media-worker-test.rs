//! The worker alone, for tests: in the product it is `segue media-worker`.

fn main() -> std::process::ExitCode {
    match std::env::args().any(|argument| argument == "--live") {
        true => segue_media_worker::live(),
        false => segue_media_worker::main(),
    }
}
