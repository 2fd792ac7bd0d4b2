//! The command line: one file a subcommand.

pub mod policy;

use std::process::ExitCode;

/// Parses the arguments and runs the subcommand. Exit codes: 0 fine, 1 findings, 2 usage, 3 failure.
pub fn main() -> ExitCode {
    ExitCode::from(2)
}
