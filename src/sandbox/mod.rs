//! Everything butler needs, in one process on loopback and without any account: to try it with, and to test against.
//!
//! - [`github`]: an in-process GitHub; [`git_http`] serves its repositories with git's own HTTP server.
//! - [`registry`]: an in-process OCI registry.
//! - [`sample`]: a config repository of one application in three stages.
//! - [`sync`]: writes the stages into folders, in the agent's place.
//! - [`Sandbox`]: all of these around the real server. [`walk`] leads it through the main job, [`visitor`] is a second
//!   terminal that plays with it, [`card`] is how that finds it, [`news`] what it is told when it waited.

pub mod bell;
pub mod card;
pub mod figures;
pub mod git_http;
pub mod github;
pub mod news;
pub mod registry;
pub mod sample;
pub mod sync;
pub mod tools;
pub mod visitor;
pub mod walk;

use crate::{
    adapters::{
        private,
        store::{Store, StoreError},
    },
    server::{
        Server, StartError,
        settings::{Settings, SettingsError},
    },
};
use bell::Bell;
use card::CardServer;
use github::{Github, Role, SetupError, Webhook};
use jiff::{SignedDuration, Timestamp};
use registry::{Notify, RegistryServer};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use sync::{Stage, Sync};
use tempfile::TempDir;

/// People of the sample repository, and what they may do there.
pub const PEOPLE: [(&str, Role); 3] = [("ann", Role::Maintain), ("dan", Role::Write), ("rita", Role::Read)];
/// Who fetches for the sync; may read only.
const READER: &str = "sync";
/// What the stages run at first.
pub const FIRST_TAG: &str = "1.0.0";
/// A job that is due later than this is not waited for: a sweep, a look at something that was away.
const SOON: SignedDuration = SignedDuration::from_secs(45);

/// Why the sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("expected a new or empty folder, found {} with something in it; name another with --dir", .0.display())]
    NotEmpty(PathBuf),
    #[error("cannot use the folder {}: {source}", path.display())]
    Folder { path: PathBuf, source: io::Error },
    #[error("cannot listen on 127.0.0.1: {0}")]
    Listen(#[source] io::Error),
    #[error(transparent)]
    Github(#[from] SetupError),
    #[error("the sandbox's own settings: {0}")]
    Settings(#[from] SettingsError),
    #[error("the server: {0}")]
    Server(#[from] StartError),
}

/// Where the sandbox keeps its files.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    /// Removed in the end, unless it is to be kept.
    temporary: Option<TempDir>,
}

impl Folder {
    /// `dir`, which must be empty or not there yet, or a temporary folder.
    pub fn open(dir: Option<&Path>) -> Result<Folder, SandboxError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| SandboxError::Folder { path, source }
        };
        let Some(dir) = dir else {
            let above = std::env::temp_dir();
            let temporary =
                tempfile::Builder::new().prefix("butler-sandbox-").tempdir_in(&above).map_err(failed(&above))?;
            return Ok(Folder { path: temporary.path().to_owned(), temporary: Some(temporary) });
        };
        private::create_dir_all(dir).map_err(failed(dir))?;
        if fs::read_dir(dir).map_err(failed(dir))?.next().is_some() {
            return Err(SandboxError::NotEmpty(dir.to_owned()));
        }
        let path = dir.canonicalize().map_err(failed(dir))?;
        Ok(Folder { path, temporary: None })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the server's log goes.
    pub fn log(&self) -> PathBuf {
        self.path.join("server.log")
    }

    /// Whether it goes when the sandbox does.
    pub fn is_temporary(&self) -> bool {
        self.temporary.is_some()
    }

    /// Leaves a temporary folder where it is, for somebody to look at.
    pub fn keep(&mut self) {
        if let Some(temporary) = self.temporary.take() {
            self.path = temporary.keep();
        }
    }
}

/// What runs beside the server, for whoever looks at it.
pub struct Parts {
    pub github: Github,
    pub registry: RegistryServer,
    pub sync: Sync,
    /// The server's journal.
    pub store: Store,
    pub bell: Bell,
    /// Each person's token: their password for git and REST.
    pub tokens: BTreeMap<String, String>,
    /// Where webhooks are taken.
    pub server_url: String,
    pub folder: PathBuf,
}

/// A sandbox that runs.
pub struct Sandbox {
    pub parts: Arc<Parts>,
    server: Server,
    card: CardServer,
}

impl Sandbox {
    /// Starts everything on spare ports of 127.0.0.1 and keeps its files in `folder`. What it needs of the machine is
    /// checked by [`tools::check`], not here.
    pub async fn start(folder: &Folder) -> Result<Sandbox, SandboxError> {
        let bell = Bell::default();
        let registry = RegistryServer::start(registry::Options::default()).await.map_err(SandboxError::Listen)?;
        let github = Github::start(github::Options::default()).await?;
        let tokens = set_up(&github, &registry, &bell)?;

        let secrets = Secrets { webhook: uuid::Uuid::new_v4().to_string(), registry: uuid::Uuid::new_v4().to_string() };
        let settings = settings(&github, &registry, folder.path(), &secrets)?;
        let server = Server::start(&settings).await?;
        let server_url = format!("http://{}", server.address);
        let hook = Webhook { url: format!("{server_url}/webhooks/github"), secret: secrets.webhook };
        github.set_webhook(Some(hook));
        let notify = Notify { url: format!("{server_url}/webhooks/registry/sandbox"), token: secrets.registry };
        registry.notify(Some(notify));

        let reader = github.person(READER).token();
        let sync = Sync::start(
            github.clone(),
            sample::REPOSITORY,
            reader.into(),
            stages(),
            folder.path().join("clusters"),
            bell.clone(),
        );
        let store = server.worker.store().clone();
        let folder = folder.path().to_owned();
        let parts = Arc::new(Parts { github, registry, sync, store, bell, tokens, server_url, folder });
        let card = CardServer::start(parts.clone()).await.map_err(SandboxError::Listen)?;
        Ok(Sandbox { parts, server, card })
    }

    /// Where [`visitor::Visitor`]s look.
    pub fn card_url(&self) -> &str {
        self.card.url()
    }

    /// Stops: the server finishes what it is at, then everything else ends.
    pub async fn stop(self) {
        self.server.stop().await;
    }
}

impl Parts {
    /// Returns when everything that follows from what happened so far is done: deliveries, jobs, the sync. What is due
    /// in more than 45 seconds is not waited for.
    pub async fn settled(&self) -> Result<(), StoreError> {
        let mut listener = self.bell.listen();
        loop {
            listener.heed();
            self.github.idle().await;
            self.registry.idle().await;
            let changed = self.store.changed();
            if self.at_rest().await? {
                return Ok(());
            }
            tokio::select! {
                () = changed => {}
                () = listener.rung() => {}
            }
        }
    }

    async fn at_rest(&self) -> Result<bool, StoreError> {
        let now = Timestamp::now();
        let pending = self.store.pending(now).await?;
        let soon = self.store.next_due().await?.is_some_and(|due| due.duration_since(now) < SOON);
        let synced = stages().iter().all(|stage| {
            let tip = self.github.branch(sample::REPOSITORY, &stage.branch);
            match self.sync.reports().get(&stage.name) {
                Some(Ok(commit)) => Some(commit) == tip.as_ref(),
                // It says why, and does not try again by itself.
                Some(Err(_)) => true,
                None => tip.is_none(),
            }
        });
        Ok(synced && !soon && pending.ready == 0 && pending.running == 0)
    }
}

/// The sample's stages, as the sync writes them.
pub fn stages() -> Vec<Stage> {
    let stage = |(name, branch): (&str, &str)| Stage {
        name: name.into(),
        branch: branch.into(),
        path: format!("deploy/{name}"),
    };
    sample::STAGES.into_iter().map(stage).collect()
}

/// The sample repository and its people; their tokens.
fn set_up(github: &Github, registry: &RegistryServer, bell: &Bell) -> Result<BTreeMap<String, String>, SandboxError> {
    registry.push_image(sample::IMAGE, FIRST_TAG, Timestamp::now(), &[]);
    let files = sample::files(registry.host(), FIRST_TAG);
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    github.create_repository(sample::REPOSITORY, &files)?;
    let mut tokens = BTreeMap::new();
    for (login, role) in PEOPLE {
        github.set_role(sample::REPOSITORY, login, Some(role))?;
        tokens.insert(login.to_owned(), github.person(login).token());
    }
    github.set_role(sample::REPOSITORY, READER, Some(Role::Read))?;
    let ring = bell.clone();
    github.on_request(move |seen| {
        if seen.when == github::When::After {
            ring.ring();
        }
    });
    Ok(tokens)
}

struct Secrets {
    webhook: String,
    registry: String,
}

/// Settings as a file would give them; the file stays in the sandbox's folder to be looked at.
fn settings(
    github: &Github,
    registry: &RegistryServer,
    folder: &Path,
    secrets: &Secrets,
) -> Result<Settings, SandboxError> {
    let key = folder.join("app.pem");
    let file = folder.join("settings.yaml");
    // JSON's strings are YAML's as well.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let (data, pem) = (folder.join("server").display().to_string(), key.display().to_string());
    let text = format!(
        "listen: 127.0.0.1:0
data-dir: {data}
github:
  app-id: {app}
  private-key-file: {pem}
  webhook-secrets: [{webhook}]
  api-url: {url}
  git-url: {url}
registries:
  - {{host: {host}, insecure: true}}
registry-senders:
  sandbox: {{type: distribution, host: {host}, token: {token}}}
worker: {{count: 4, lease: 10s}}
",
        data = quoted(&data),
        app = github.app_id(),
        pem = quoted(&pem),
        webhook = quoted(&secrets.webhook),
        url = quoted(github.url()),
        host = quoted(registry.host()),
        token = quoted(&secrets.registry),
    );
    for (path, text) in [(&key, github.private_key()), (&file, text.as_str())] {
        private::write(path, text).map_err(|source| SandboxError::Folder { path: path.clone(), source })?;
    }
    Ok(Settings::load(Some(&file), &|_| None)?)
}
