//! A bare repository on disk whose refs are the remote's.

use super::{
    error::{GitError, Local, said},
    transport::{self, Access, Learnt, TokenSource},
};
use git2::{AutotagOption, Direction, FetchOptions, Reference, Repository};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// The remote's refs that were asked for: full name to commit id.
pub type Heads = BTreeMap<String, String>;

/// For each answer to begin, and for each piece of it: GitHub sends signs of life while it packs.
const TIMEOUT: Duration = Duration::from_secs(60);
/// How often a fetch is tried in one go, where the failure may pass within a second or two.
const ATTEMPTS: u32 = 3;
/// libgit2 adds a pack with each fetch and never repacks; looking an object up costs a probe into each.
const MAX_PACKS: usize = 50;

/// A bare repository of one remote. It may be shared between threads; one process at a time owns its folder.
pub struct Mirror {
    dir: PathBuf,
    access: Access,
    /// libgit2's handles are not for two threads at once, and hold open packs worth keeping: they are lent and come back.
    handles: Mutex<Vec<Repository>>,
    /// Fetches and pushes move the same refs: one at a time.
    moving: Mutex<()>,
}

impl Mirror {
    /// Opens the mirror of `url` in `dir`, or makes it, empty until the first [`Mirror::fetch`]. A folder that is half
    /// written, or whose refs lead nowhere, is emptied and made anew: it holds nothing that the remote does not.
    ///
    /// `url` is `https` (or `http`, for tests) and carries no credentials: those come from `token`.
    pub fn open_or_create(dir: &Path, url: &str, token: TokenSource) -> Result<Mirror, GitError> {
        transport::init();
        let url =
            reqwest::Url::parse(url).map_err(|error| GitError::Invalid(format!("a repository's address: {error}")))?;
        if !matches!(url.scheme(), "http" | "https") || !url.username().is_empty() || url.password().is_some() {
            let host = url.host_str().unwrap_or_default();
            return Err(GitError::Invalid(format!(
                "expected https://host/owner/name without credentials, for {host:?}"
            )));
        }
        let access = Access { url, token, timeout: TIMEOUT };
        let mirror = Mirror { dir: dir.to_owned(), access, handles: Mutex::default(), moving: Mutex::default() };
        let sound = match Repository::open_bare(dir) {
            Ok(repository) => sound(&repository),
            Err(error) => Err(error),
        };
        if let Err(error) = sound {
            if dir.exists() {
                tracing::warn!(dir = %dir.display(), why = said(&error), "a damaged mirror is made anew");
            }
            mirror.recreate()?;
        }
        Ok(mirror)
    }

    /// Waits this long for each answer to begin, and for each piece of it, instead of a minute.
    pub fn with_timeout(mut self, timeout: Duration) -> Mirror {
        self.access.timeout = timeout;
        self
    }

    /// The remote's address, without credentials.
    pub fn url(&self) -> &str {
        self.access.url.as_str()
    }

    /// Its folder.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Brings every ref that a pattern names to where the remote has it: new ones appear, deleted ones disappear, forced
    /// ones follow. A pattern is a full ref name, or ends in `/*`: `refs/heads/*`, `refs/butler/state`. Objects that are here
    /// already are not fetched again.
    ///
    /// Failures that may pass are tried a few times within about two seconds, unless the server said when to come back.
    pub fn fetch(&self, patterns: &[&str]) -> Result<Heads, GitError> {
        let _span = tracing::info_span!("git.fetch", url = self.url()).entered();
        for pattern in patterns {
            let name = pattern.strip_suffix("/*").unwrap_or(pattern);
            if !name.starts_with("refs/") || !Reference::is_valid_name(name) {
                return Err(GitError::Invalid(format!("expected refs/… or refs/…/*, found {pattern:?}")));
            }
        }
        let _alone = self.moving();
        let mut attempt = 1;
        let heads = loop {
            match self.try_fetch(patterns) {
                Ok(heads) => break heads,
                Err(error) if attempt == ATTEMPTS => return Err(error),
                Err(GitError::Damaged { why, .. }) => {
                    tracing::warn!(dir = %self.dir.display(), why, "a damaged mirror is made anew");
                    self.recreate()?;
                }
                Err(error @ (GitError::Unreachable { .. } | GitError::Busy { retry_after: None, .. })) => {
                    tracing::info!(%error, attempt, "fetching again");
                    let base = Duration::from_millis(200 * u64::from(attempt * attempt));
                    thread::sleep(base.mul_f64(rand::random_range(0.5..1.5)));
                }
                Err(error) => return Err(error),
            }
            attempt += 1;
        };
        self.tidy();
        Ok(heads)
    }

    fn try_fetch(&self, patterns: &[&str]) -> Result<Heads, GitError> {
        let heads = self.online(|repository| {
            let mut remote = repository.remote_anonymous(self.url())?;
            let mut connection = remote.connect_auth(Direction::Fetch, None, None)?;
            let heads: Heads = connection
                .list()?
                .iter()
                // `refs/tags/v1^{}` is what an annotated tag points at, and no ref.
                .filter(|head| !head.name().ends_with("^{}") && matches(patterns, head.name()))
                .map(|head| (head.name().to_owned(), head.oid().to_string()))
                .collect();
            if !heads.is_empty() {
                let mut options = FetchOptions::new();
                options.download_tags(AutotagOption::None).update_fetchhead(false);
                let specs: Vec<String> = patterns.iter().map(|pattern| format!("+{pattern}:{pattern}")).collect();
                connection.remote().download(&specs, Some(&mut options))?;
            }
            Ok(heads)
        })?;
        self.local(|repository| Ok(follow(repository, patterns, &heads)?))?;
        Ok(heads)
    }

    /// Runs a call that goes over the network: the transport's typed error wins over libgit2's text.
    pub(super) fn online<T>(&self, call: impl FnOnce(&Repository) -> Result<T, git2::Error>) -> Result<T, GitError> {
        self.online_sent(call).0
    }

    /// As [`Mirror::online`]; also whether a request that moves refs may have reached the server.
    pub(super) fn online_sent<T>(
        &self,
        call: impl FnOnce(&Repository) -> Result<T, git2::Error>,
    ) -> (Result<T, GitError>, bool) {
        let handle = match self.handle() {
            Ok(handle) => handle,
            Err(error) => return (Err(error), false),
        };
        let (result, Learnt { failure, sent }) = transport::with_access(self.access.clone(), || call(&handle));
        self.give_back(handle);
        let error = |error: git2::Error| match (failure, error.class()) {
            (Some(failure), _) => failure,
            (None, git2::ErrorClass::Net | git2::ErrorClass::Http) => {
                GitError::Unreachable { url: self.url().to_owned(), why: said(&error) }
            }
            (None, _) => Local::Git(error).in_dir(&self.dir),
        };
        (result.map_err(error), sent)
    }

    /// Runs a call that stays on this machine.
    pub(super) fn local<T>(&self, call: impl FnOnce(&Repository) -> Result<T, Local>) -> Result<T, GitError> {
        let handle = self.handle()?;
        let result = call(&handle);
        self.give_back(handle);
        result.map_err(|error| error.in_dir(&self.dir))
    }

    /// The same, with a handle that is closed after it, and takes along what libgit2 has kept for it.
    pub(super) fn apart<T>(&self, call: impl FnOnce(&Repository) -> Result<T, Local>) -> Result<T, GitError> {
        call(&self.open()?).map_err(|error| error.in_dir(&self.dir))
    }

    /// Held while refs move.
    pub(super) fn moving(&self) -> MutexGuard<'_, ()> {
        self.moving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handle(&self) -> Result<Repository, GitError> {
        match self.handles().pop() {
            Some(handle) => Ok(handle),
            None => self.open(),
        }
    }

    fn open(&self) -> Result<Repository, GitError> {
        Repository::open_bare(&self.dir).map_err(|error| Local::Git(error).in_dir(&self.dir))
    }

    fn give_back(&self, handle: Repository) {
        self.handles().push(handle);
    }

    fn handles(&self) -> MutexGuard<'_, Vec<Repository>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn recreate(&self) -> Result<(), GitError> {
        self.handles().clear();
        let disk = |source| GitError::Disk { dir: self.dir.clone(), source };
        match fs::remove_dir_all(&self.dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(disk(error)),
            _ => fs::create_dir_all(&self.dir).map_err(disk)?,
        }
        let made = Repository::init_bare(&self.dir);
        made.map(|_| ()).map_err(|error| disk(io::Error::other(said(&error))))
    }

    /// Repacks once there are many packs, if a `git` is there to do it. Best effort: it only costs time not to.
    fn tidy(&self) {
        let Ok(files) = fs::read_dir(self.dir.join("objects/pack")) else { return };
        let packs = files.flatten().filter(|file| file.path().extension().is_some_and(|end| end == "pack")).count();
        if packs <= MAX_PACKS {
            return;
        }
        // Unreachable objects stay for two weeks (git's default): a commit may be made and not yet pushed.
        let done = Command::new("git")
            .args(["-c", "gc.writeCommitGraph=false", "gc", "--quiet"])
            .current_dir(&self.dir)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_DIR", ".")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match done {
            Ok(status) if status.success() => tracing::info!(dir = %self.dir.display(), packs, "repacked"),
            Ok(status) => tracing::warn!(dir = %self.dir.display(), packs, %status, "git gc failed"),
            Err(error) => tracing::info!(dir = %self.dir.display(), packs, %error, "no git to repack with"),
        }
        // Open handles still look for the packs that are gone.
        self.handles().clear();
    }
}

fn matches(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => *pattern == name,
    })
}

/// Makes the local refs that the patterns name exactly `heads`.
fn follow(repository: &Repository, patterns: &[&str], heads: &Heads) -> Result<(), git2::Error> {
    let mut here = BTreeMap::new();
    for reference in repository.references()? {
        let reference = reference?;
        if let (Ok(name), Some(id)) = (reference.name(), reference.target())
            && matches(patterns, name)
        {
            here.insert(name.to_owned(), id.to_string());
        }
    }
    // First what goes: `release` must be away before `release/1` can be there.
    for name in here.keys().filter(|name| !heads.contains_key(*name)) {
        repository.find_reference(name)?.delete()?;
    }
    for (name, id) in heads.iter().filter(|(name, id)| here.get(*name) != Some(id)) {
        repository.reference(name, git2::Oid::from_str(id)?, true, "fetch")?;
    }
    Ok(())
}

/// Whether every ref leads to an object that is there: a crash in the middle of writing may leave one that does not.
fn sound(repository: &Repository) -> Result<(), git2::Error> {
    for reference in repository.references()? {
        let object = reference?.peel(git2::ObjectType::Any)?;
        if let Some(commit) = object.as_commit() {
            commit.tree()?;
        }
    }
    Ok(())
}
