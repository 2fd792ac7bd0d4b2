//! Stands in for the agent: instead of a cluster it writes each stage's folder of the config repository into a folder of
//! this machine, exactly as it is on the branch.
//!
//! A stage changes as a whole: `<clusters>/<stage>` is a link to the folder of one revision, which is written beside it
//! and swapped in by one rename. Nobody ever reads half a revision, and what the branch deleted is gone.

use super::{bell::Bell, github::Github};
use crate::adapters::git::{GitError, Mirror, Mode};
use secrecy::SecretString;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::{
    sync::watch,
    task::{AbortHandle, spawn_blocking},
};

/// A manifest is never larger.
const FILE_LIMIT: usize = 16 << 20;

/// One stage: where it is in the config repository, and where it goes.
#[derive(Clone, Debug)]
pub struct Stage {
    pub name: String,
    pub branch: String,
    /// The folder on the branch.
    pub path: String,
}

/// What a stage's folder holds: the commit that was written, or why none could be.
pub type Reported = Result<String, String>;

/// Why a revision was not written. It is tried again when the branch next moves.
#[derive(Debug, thiserror::Error)]
enum SyncError {
    #[error(transparent)]
    Git(#[from] GitError),
    #[error("cannot write {}: {source}", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("the sync's task ended: {0}")]
    Ended(#[from] tokio::task::JoinError),
}

/// A sync that runs. It ends when this is dropped.
#[derive(Debug)]
pub struct Sync {
    clusters: PathBuf,
    reports: watch::Receiver<BTreeMap<String, Reported>>,
    task: AbortHandle,
}

impl Drop for Sync {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Sync {
    /// Begins to write `stages` of `repo` below `clusters`, and goes on whenever `bell` says that something happened.
    pub fn start(
        github: Github,
        repo: &str,
        token: SecretString,
        stages: Vec<Stage>,
        clusters: PathBuf,
        bell: Bell,
    ) -> Self {
        let (reporter, reports) = watch::channel(BTreeMap::new());
        let syncing =
            Syncing { github, repo: repo.to_owned(), token, stages, clusters: clusters.clone(), mirror: None };
        let task = tokio::spawn(syncing.run(reporter, bell)).abort_handle();
        Sync { clusters, reports, task }
    }

    /// What each stage's folder holds; a stage that was never written is missing.
    pub fn reports(&self) -> BTreeMap<String, Reported> {
        self.reports.borrow().clone()
    }

    /// The commit that a stage's folder shows.
    pub fn commit(&self, stage: &str) -> Option<String> {
        self.reports.borrow().get(stage)?.clone().ok()
    }

    /// A stage's folder.
    pub fn folder(&self, stage: &str) -> PathBuf {
        self.clusters.join(stage)
    }
}

struct Syncing {
    github: Github,
    repo: String,
    token: SecretString,
    stages: Vec<Stage>,
    clusters: PathBuf,
    mirror: Option<Arc<Mirror>>,
}

impl Syncing {
    async fn run(mut self, reporter: watch::Sender<BTreeMap<String, Reported>>, bell: Bell) {
        let mut listener = bell.listen();
        // What was last tried, so that a failure is not repeated at every ring.
        let mut tried: BTreeMap<String, String> = BTreeMap::new();
        loop {
            listener.heed();
            for stage in self.stages.clone() {
                // Asked in this process: the fetch below rings the bell itself.
                let Some(tip) = self.github.branch(&self.repo, &stage.branch) else { continue };
                if tried.insert(stage.name.clone(), tip.clone()).as_ref() == Some(&tip) {
                    continue;
                }
                let report = self.write(&stage, &tip).await.map(|()| tip).map_err(|error| error.to_string());
                if let Err(why) = &report {
                    tracing::warn!(stage = stage.name, why, "not synced");
                }
                reporter.send_modify(|reports| drop(reports.insert(stage.name.clone(), report)));
                bell.ring();
            }
            listener.rung().await;
        }
    }

    /// Fetches as an agent would, over HTTP, and writes the stage.
    async fn write(&mut self, stage: &Stage, commit: &str) -> Result<(), SyncError> {
        let mirror = match &self.mirror {
            Some(mirror) => mirror.clone(),
            None => {
                let (dir, url, token) =
                    (self.clusters.join(".mirror.git"), self.github.clone_url(&self.repo), self.token.clone());
                let open = move || Mirror::open_or_create(&dir, &url, Arc::new(move || Ok(token.clone())));
                self.mirror.insert(Arc::new(spawn_blocking(open).await??)).clone()
            }
        };
        let (stage, commit, clusters) = (stage.clone(), commit.to_owned(), self.clusters.clone());
        spawn_blocking(move || {
            mirror.fetch(&["refs/heads/*"])?;
            export(&mirror, &commit, &stage, &clusters)
        })
        .await?
    }
}

/// Writes a stage's folder as it is in the commit.
fn export(mirror: &Mirror, commit: &str, stage: &Stage, clusters: &Path) -> Result<(), SyncError> {
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| SyncError::Write { path, source }
    };
    let revision = PathBuf::from(".revisions").join(&stage.name).join(commit);
    let folder = clusters.join(&revision);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(at(&folder))?;
    let prefix = format!("{}/", stage.path);
    for entry in mirror.tree_entries(commit)? {
        let Some(path) = entry.path.strip_prefix(&prefix) else { continue };
        if entry.mode == Mode::Submodule {
            continue;
        }
        // git refuses paths with `..` when a commit is pushed.
        let path = folder.join(path);
        let bytes = mirror.read_blob(&entry.id, FILE_LIMIT)?;
        put(&path, &bytes, entry.mode).map_err(at(&path))?;
    }
    let (link, new) = (clusters.join(&stage.name), clusters.join(format!(".{}.new", stage.name)));
    let old = fs::read_link(&link).ok();
    let _ = fs::remove_file(&new);
    std::os::unix::fs::symlink(&revision, &new).map_err(at(&new))?;
    fs::rename(&new, &link).map_err(at(&link))?;
    if let Some(old) = old.filter(|old| *old != revision) {
        // Somebody may stand in it; what stays does not show.
        let _ = fs::remove_dir_all(clusters.join(old));
    }
    Ok(())
}

fn put(path: &Path, bytes: &[u8], mode: Mode) -> io::Result<()> {
    use std::os::unix::{ffi::OsStrExt as _, fs::PermissionsExt as _};
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    if mode == Mode::Symlink {
        return std::os::unix::fs::symlink(std::ffi::OsStr::from_bytes(bytes), path);
    }
    fs::write(path, bytes)?;
    if mode == Mode::Executable {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
