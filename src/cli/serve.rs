//! `butler serve` and `butler config check`: the server, and what it is told.

use super::Failure;
use crate::cli::output::say;
use crate::server::{
    Server,
    settings::{LogFormat, LogLevel, LogSettings, Settings},
};
use std::{path::PathBuf, process::ExitCode};
use tracing_subscriber::EnvFilter;

#[derive(clap::Args)]
pub struct ServeArgs {
    /// The settings file (docs/install.md has one); BUTLER_* variables win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(clap::Subcommand)]
pub enum ConfigCommand {
    /// Check the server's settings, and say everything that is wrong with them; a repository's butler.yaml is checked by
    /// `butler lint`
    Check(ServeArgs),
}

pub fn load(args: &ServeArgs) -> Result<Settings, Failure> {
    Settings::load(args.config.as_deref(), &|name| std::env::var(name).ok()).map_err(|error| {
        let hint = match args.config {
            Some(_) => "",
            None => "\nno settings file was named: name one with --config FILE; docs/install.md says what goes into it",
        };
        Failure::Usage(format!("{error}{hint}"))
    })
}

pub fn check(ConfigCommand::Check(args): &ConfigCommand) -> Result<ExitCode, Failure> {
    let settings = load(args)?;
    say!("the settings are valid: App {} at {}", settings.github.app_id, settings.github.api_url);
    Ok(ExitCode::SUCCESS)
}

/// Serves until it is told to stop (SIGTERM, SIGINT), then finishes what it is at, for `worker.grace` at most.
pub fn run(args: &ServeArgs) -> Result<ExitCode, Failure> {
    let settings = load(args)?;
    start_logging(&settings.log);
    let runtime = runtime()?;
    let ended = runtime.block_on(async {
        // Before anything is begun, so that it is finished.
        let stop = stop_signal()
            .map_err(|error| Failure::Other(anyhow::Error::new(error).context("cannot listen for signals")))?;
        let mut server = Server::start(&settings).await.map_err(|error| Failure::Other(error.into()))?;
        tracing::info!(address = %server.address, "butler serves");
        let failed = tokio::select! {
            () = stop => None,
            error = server.failed() => Some(error),
        };
        tracing::info!("stopping: jobs at hand are finished");
        server.stop().await;
        match failed {
            None => Ok(ExitCode::SUCCESS),
            Some(error) => Err(Failure::Other(error.into())),
        }
    });
    // What blocks (git) and was given up does not keep the process.
    runtime.shutdown_background();
    ended
}

/// The runtime that the server runs in.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(anyhow::Error::new(error).context("cannot start the runtime")))
}

/// Logs go to stderr; `log.level` speaks of butler, others only of what is wrong.
pub fn start_logging(log: &LogSettings) {
    let level = match log.level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(format!("warn,butler={level}")))
        .with_writer(std::io::stderr);
    // A second subscriber in one process (tests) is refused, which is fine.
    let _ = match log.format {
        LogFormat::Text => subscriber.try_init(),
        LogFormat::Json => subscriber.json().try_init(),
    };
}

/// Ends at the first SIGTERM or SIGINT that comes after the call.
pub fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminated, mut interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminated.recv() => {}
            _ = interrupted.recv() => {}
        }
    })
}
