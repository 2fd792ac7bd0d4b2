//! `butler sandbox`: everything on this machine, to try butler with, and the second terminal that plays with it.

mod look;
mod tell;

use super::{Failure, serve::stop_signal};
use crate::cli::output::say;
use crate::{
    engine::image::Reference,
    sandbox::{
        Folder, PEOPLE, Sandbox,
        card::StateFile,
        news::Scene,
        sample, tools,
        visitor::{VisitError, Visitor},
        walk::{Step, walk},
    },
};
use anyhow::Context as _;
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Mutex,
    time::Instant,
};
use tokio::runtime::Runtime;
use tracing_subscriber::EnvFilter;

/// The exit code of a walk that Ctrl-C ended, as a shell tells it: 128 and the signal's number.
const INTERRUPTED: u8 = 130;

#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SandboxArgs {
    /// Walk the main job, then exit instead of staying open
    #[arg(long, conflicts_with = "no_walk")]
    once: bool,
    /// Stay open without walking the main job first
    #[arg(long)]
    no_walk: bool,
    /// Keep everything in this new or empty folder, instead of a temporary one
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Show the server's log here, instead of writing it to a file
    #[arg(long)]
    verbose: bool,
    #[command(subcommand)]
    visit: Option<Visit>,
}

#[derive(clap::Subcommand)]
enum Visit {
    /// Push a small image to the sandbox's registry, as a build does
    Push {
        /// `app:1.2.4` is `acme/app:1.2.4`
        #[arg(value_name = "IMAGE:TAG")]
        image: String,
        #[command(flatten)]
        how: How,
    },
    /// Comment on a pull request of the sandbox
    Comment {
        /// The pull request
        number: u64,
        /// What to say, such as /merge
        #[arg(required = true, num_args = 1..)]
        text: Vec<String>,
        /// Who says it: ann (maintain), dan (write), rita (read)
        #[arg(long = "as", value_name = "LOGIN", default_value = "ann")]
        login: String,
        #[command(flatten)]
        how: How,
    },
    /// Show a pull request of the sandbox: title, body, comments, checks
    Show {
        /// The pull request
        number: u64,
        #[command(flatten)]
        how: How,
    },
    /// Show what each stage runs, and the pull requests
    Status {
        #[command(flatten)]
        how: How,
    },
}

#[derive(clap::Args)]
struct How {
    /// Wait until butler is through with everything that happened so far; `push` and `comment` then say what it did
    #[arg(long)]
    wait: bool,
    /// Which sandbox, where several run: the URL behind `--at` that each one prints when it has started [default: the
    /// one that was started last]
    #[arg(long, value_name = "URL")]
    at: Option<String>,
}

/// Runs a sandbox, or visits one.
pub fn run(args: &SandboxArgs) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(anyhow::Error::new(error).context("cannot start the runtime")))?;
    match &args.visit {
        Some(visit) => runtime.block_on(self::visit(visit)),
        None => open(args, runtime),
    }
}

fn open(args: &SandboxArgs, runtime: Runtime) -> Result<ExitCode, Failure> {
    runtime.block_on(tools::check()).map_err(|error| Failure::Other(anyhow::anyhow!("{error}")))?;
    let mut folder = Folder::open(args.dir.as_deref()).map_err(|error| Failure::Usage(error.to_string()))?;
    let log = (!args.verbose).then(|| folder.log());
    start_logging(log.as_deref())?;
    let stayed = runtime.block_on(stay(args, &folder));
    // Whatever still writes ends before the folder goes.
    drop(runtime);
    let error = match stayed {
        Ok(true) => return Ok(ExitCode::SUCCESS),
        Ok(false) => return Ok(ExitCode::from(INTERRUPTED)),
        Err(error) => error,
    };
    folder.keep();
    let place = match log {
        Some(log) => format!("the server's log is {}", log.display()),
        None => format!("its files are in {}", folder.path().display()),
    };
    Err(Failure::Other(anyhow::anyhow!("{error}; {place}")))
}

/// Starts, walks, stays open, stops. False where it was stopped before the walk was done.
async fn stay(args: &SandboxArgs, folder: &Folder) -> anyhow::Result<bool> {
    let stopped = stop_signal()?;
    tokio::pin!(stopped);
    let start = Instant::now();
    let sandbox = Sandbox::start(folder).await?;
    // The file that names the sandbox to a second terminal goes when it is dropped.
    let mut _state = None;
    if !args.once {
        match StateFile::write(sandbox.card_url()) {
            Ok(file) => _state = Some(file),
            Err(error) => anstream::eprintln!("a second terminal needs `--at {}`: {error}", sandbox.card_url()),
        }
    }
    tell::started(&sandbox, folder, start.elapsed(), args.verbose);
    let mut done = true;
    if !args.no_walk {
        let mut tell_step = |step: Step| tell::step(&step);
        let walked = tokio::select! {
            // Ctrl-C reaches the walk's git as well, whose end is no failure then.
            biased;
            () = &mut stopped => None,
            walked = walk(&sandbox, &mut tell_step) => Some(walked),
        };
        match walked {
            Some(Ok(figures)) => tell::figures(&figures, start.elapsed()),
            Some(Err(error)) => {
                sandbox.stop().await;
                return Err(error.into());
            }
            None => done = false,
        }
    }
    if done && !args.once {
        tell::guide(&sandbox);
        stopped.await;
    }
    if !done || !args.once {
        say!("\nstopping");
    }
    sandbox.stop().await;
    Ok(done)
}

/// The server's log, to a file or here.
fn start_logging(file: Option<&Path>) -> Result<(), Failure> {
    let subscriber = tracing_subscriber::fmt().with_env_filter(EnvFilter::new("warn,butler=info"));
    // A second subscriber in one process is refused, which is fine.
    let _ = match file {
        None => subscriber.with_writer(std::io::stderr).try_init(),
        Some(path) => {
            let log = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
            subscriber.with_ansi(false).with_writer(Mutex::new(log)).try_init()
        }
    };
    Ok(())
}

impl From<VisitError> for Failure {
    fn from(error: VisitError) -> Self {
        match error.is_usage() {
            true => Failure::Usage(error.to_string()),
            // It tells its sources itself.
            false => Failure::Other(anyhow::anyhow!("{error}")),
        }
    }
}

async fn visit(visit: &Visit) -> Result<ExitCode, Failure> {
    let (Visit::Push { how, .. } | Visit::Comment { how, .. } | Visit::Show { how, .. } | Visit::Status { how }) =
        visit;
    // Before anything is asked of a sandbox.
    let image = match visit {
        Visit::Push { image, .. } => Some(image_and_tag(image)?),
        Visit::Comment { .. } | Visit::Show { .. } | Visit::Status { .. } => None,
    };
    let mut visitor = Visitor::find(how.at.as_deref()).await?;
    let acts = matches!(visit, Visit::Push { .. } | Visit::Comment { .. });
    let before = match acts && how.wait {
        true => {
            // What is still under way comes of something else.
            visitor.settled().await?;
            Some(Scene::look(&mut visitor).await?)
        }
        false => None,
    };
    let mut said = None;
    if let Some((name, tag)) = image {
        let digest = visitor.push(&name, &tag).await?;
        say!("pushed {name}:{tag}\n  {digest}");
    }
    if let Visit::Comment { number, text, login, .. } = visit {
        let text = text.join(" ");
        said = Some(visitor.comment(login, *number, &text).await?);
        say!("{login} commented on #{number}: {text}");
    }
    if how.wait {
        visitor.settled().await?;
    }
    if let Some(before) = before {
        let after = Scene::look(&mut visitor).await?;
        tell::news(&before.until(&after, &visitor, said).await?);
    }
    match visit {
        Visit::Show { number, .. } => look::pull(&visitor, *number).await?,
        Visit::Status { .. } => look::status(&mut visitor).await?,
        Visit::Push { .. } | Visit::Comment { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// `app:1.2.4` -> (`acme/app`, `1.2.4`)
fn image_and_tag(text: &str) -> Result<(String, String), Failure> {
    let usage = |why: String| Failure::Usage(format!("expected IMAGE:TAG such as app:1.2.4, {why}"));
    let (name, tag) = text
        .rsplit_once(':')
        .filter(|(name, tag)| !name.is_empty() && !tag.contains('/'))
        .ok_or_else(|| usage(format!("found {text:?}")))?;
    let organisation = sample::IMAGE.split('/').next().unwrap_or_default();
    let name = if name.contains('/') { name.to_owned() } else { format!("{organisation}/{name}") };
    let image = Reference::parse(text).map_err(|error| usage(error.to_string()))?;
    if image.digest.is_some() {
        return Err(usage(format!("found {text:?} with a digest")));
    }
    Ok((name, tag.to_owned()))
}

/// `ann (maintain), dan (write), rita (read)`
fn people() -> String {
    PEOPLE.map(|(login, role)| format!("{login} ({})", role.name())).join(", ")
}
