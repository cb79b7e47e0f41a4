//! The `stepseal` binary: parse, run, exit code.

fn main() -> std::process::ExitCode {
    stepseal::cli::run(std::env::args_os()).into()
}
