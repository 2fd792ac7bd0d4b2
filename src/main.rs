//! The `butler` command: parses arguments, hands over to [`butler::cli`].

fn main() -> std::process::ExitCode {
    butler::cli::main()
}
