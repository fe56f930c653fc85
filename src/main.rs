//! Command line to exit code.

fn main() -> std::process::ExitCode {
    std::process::ExitCode::from(2)
}
