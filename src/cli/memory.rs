//! `butler memory reset`: begin a repository's memory anew.

use super::{Failure, serve};
use crate::cli::output::say;
use crate::{
    adapters::{
        github::Patience,
        store::{Debounce, JobKey, JobRequest},
    },
    engine::event::RepoName,
    server::{assemble, clock::Clock},
};
use std::process::ExitCode;

#[derive(clap::Subcommand)]
pub enum MemoryCommand {
    /// Forget all holds, declines and promotions' records of a repository: when refs/butler/state is lost or forged
    Reset(ResetArgs),
}

#[derive(clap::Args)]
pub struct ResetArgs {
    /// The config repository
    #[arg(value_name = "OWNER/NAME")]
    repository: RepoName,
    #[command(flatten)]
    settings: serve::ServeArgs,
}

pub fn run(MemoryCommand::Reset(args): &MemoryCommand) -> Result<ExitCode, Failure> {
    let settings = serve::load(&args.settings)?;
    let runtime = serve::runtime()?;
    runtime.block_on(async {
        let worker = assemble(&settings, Clock::System, Patience::default())
            .await
            .map_err(|error| Failure::Other(error.into()))?;
        let commit = worker.reset_memory(&args.repository).await.map_err(|error| Failure::Other(error.into()))?;
        // A server on this database looks again.
        let look = JobRequest::new(JobKey::Repository(args.repository.clone()), Debounce::NONE);
        let now = Clock::System.now();
        worker.store().enqueue(&[look], now).await.map_err(|error| Failure::Other(error.into()))?;
        say!("{}: butler's memory begins anew at {commit}", args.repository);
        Ok(ExitCode::SUCCESS)
    })
}
