//! The command line: one file a subcommand. Exit codes: 0 fine, 1 findings (errors or warnings), 2 usage, 3 failure.

mod annotate;
mod explain;
mod lint;
mod memory;
mod output;
mod plan;
mod policy;
mod registries;
#[cfg(feature = "sandbox")]
mod sandbox;
mod serve;
mod set;
mod tags;
mod worktree;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// What a command ended with when it could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The arguments, or a file that they name, cannot be: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// The outside was in the way: exit code 3.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

/// Takes the toil out of GitOps releases: image updates, promotions and slash-commands.
#[derive(Parser)]
#[command(name = "butler", version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show what would change in a checkout, and why
    Plan(plan::PlanArgs),
    /// Put given images on lines by policy, image or object, whatever the registry says
    Set(set::SetArgs),
    /// Write Flux v1's policies into an object's annotations, as `fluxctl policy` did
    Annotate(annotate::AnnotateArgs),
    /// Try a tag policy on an image or a list of tags
    Policy(policy::PolicyArgs),
    /// Tell step by step how a line, a policy or an image is decided
    Explain(explain::ExplainArgs),
    /// Find what keeps lines from being updated, and what is wrong with a repository's butler.yaml
    Lint(lint::LintArgs),
    /// Serve GitHub's and registries' webhooks, and keep config repositories up to date
    Serve(serve::ServeArgs),
    /// Try butler on this machine: a GitHub, a registry and a config repository, without any account
    #[cfg(feature = "sandbox")]
    Sandbox(sandbox::SandboxArgs),
    /// Look after the server's settings
    #[command(subcommand)]
    Config(serve::ConfigCommand),
    /// Look after what butler remembers of a repository
    #[command(subcommand)]
    Memory(memory::MemoryCommand),
}

/// Parses the arguments and runs the subcommand.
pub fn main() -> ExitCode {
    // A bad argument ends here with code 2 (clap's own), `--help` and `--version` with 0.
    let arguments = Arguments::parse();
    let result = match arguments.command {
        Command::Plan(args) => plan::run(args),
        Command::Set(args) => set::run(&args),
        Command::Annotate(args) => annotate::run(&args),
        Command::Policy(args) => policy::run(args, registries::tags_of).map_err(Failure::Other),
        Command::Explain(args) => explain::run(&args),
        Command::Lint(args) => lint::run(&args),
        Command::Serve(args) => serve::run(&args),
        #[cfg(feature = "sandbox")]
        Command::Sandbox(args) => sandbox::run(&args),
        Command::Config(command) => serve::check(&command),
        Command::Memory(command) => memory::run(&command),
    };
    match result {
        Ok(code) => code,
        Err(Failure::Usage(message)) => {
            anstream::eprintln!("{}", output::error(&message));
            ExitCode::from(2)
        }
        Err(Failure::Other(error)) => {
            anstream::eprintln!("{}", output::error(&format!("{error:#}")));
            ExitCode::from(3)
        }
    }
}
