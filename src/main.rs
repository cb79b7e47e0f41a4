//! The `stepseal` binary: parses the arguments, runs the command, and returns its exit code.

fn main() -> std::process::ExitCode {
    stepseal::cli::run(std::env::args_os()).into()
}
