//! Starting it and setting it up: repositories, roles, protection, webhooks, faults, time.

use super::{
    auth,
    faults::{Fault, FaultError},
    git::{Bare, File},
    merge::Method,
    people::Person,
    server::{Record, Seen, Shared},
    state::{Access, App, CheckRun, Clock, Kind, Nature, Permissions, Protection, Repo, Role, State},
    webhooks::{Delivery, Hooks, Webhook},
};
use crate::engine::event::RepoName;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, atomic::Ordering},
};
use tokio::task::AbortHandle;

/// How it starts. The defaults are an App `butler` with the permissions and events that butler asks for.
#[derive(Clone, Debug)]
pub struct Options {
    pub app_slug: String,
    pub app_id: u64,
    pub permissions: Permissions,
    pub events: BTreeSet<String>,
    pub webhook: Option<Webhook>,
    /// The port on loopback; 0 takes a spare one.
    pub port: u16,
    /// The time stands still here until it is moved; `None`: the machine's time.
    pub time: Option<Timestamp>,
    /// GitHub's is an hour.
    pub token_lifetime: SignedDuration,
    /// Keep requests' and answers' bodies in the log.
    pub record_bodies: bool,
}

impl Default for Options {
    fn default() -> Self {
        let write = ["checks", "contents", "deployments", "issues", "pull_requests", "statuses"];
        let read = ["administration", "metadata"];
        let permissions = write.map(|name| (name, Access::Write)).into_iter().chain(read.map(|n| (n, Access::Read)));
        let events = ["check_run", "issue_comment", "pull_request", "pull_request_review", "push", "status"];
        Options {
            app_slug: "butler".into(),
            app_id: 4242,
            permissions: permissions.map(|(name, access)| (name.to_owned(), access)).collect(),
            events: events.map(str::to_owned).into(),
            webhook: None,
            port: 0,
            time: None,
            token_lifetime: auth::TOKEN_LIFETIME,
            record_bodies: false,
        }
    }
}

/// Why it did not start, or could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error("the GitHub emulator cannot listen on 127.0.0.1:{port}: {source}")]
    Listen { port: u16, source: std::io::Error },
    #[error("no folder for the GitHub emulator's repositories: {0}")]
    Folder(#[source] std::io::Error),
    #[error("{0}")]
    Key(&'static str),
    #[error("repository {name}: {source}")]
    Git { name: RepoName, source: git2::Error },
    #[error("expected owner/name, found {0:?}")]
    Name(String),
    #[error("repository {0} is not there; create it first")]
    Missing(String),
    #[error("repository {0} has no branch or commit {1}")]
    Commit(String, String),
}

/// A running GitHub. Clones are the same one; it ends with the last.
#[derive(Clone, Debug)]
pub struct Github(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shared: Arc<Shared>,
    base: String,
    tasks: [AbortHandle; 2],
    private_key: &'static str,
    /// Removed with it.
    _root: tempfile::TempDir,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Github {
    /// Listens on loopback.
    pub async fn start(options: Options) -> Result<Self, SetupError> {
        let key = auth::app_key().map_err(SetupError::Key)?;
        let root = tempfile::Builder::new().prefix("butler-github-").tempdir().map_err(SetupError::Folder)?;
        let failed = |source| SetupError::Listen { port: options.port, source };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", options.port)).await.map_err(failed)?;
        let base = format!("http://{}", listener.local_addr().map_err(failed)?);
        let clock = options.time.map_or(Clock::System(SignedDuration::ZERO), Clock::Fixed);
        let hooks = Arc::new(Hooks::default());
        hooks.set(options.webhook);
        let mut state = State {
            base: base.clone(),
            root: root.path().to_owned(),
            clock,
            app: App {
                id: options.app_id,
                name: options.app_slug.clone(),
                owner: "butler-authors".into(),
                slug: options.app_slug,
                permissions: options.permissions,
                events: options.events,
                public_keys: vec![key.public_der.clone()],
                created_at: options.time.unwrap_or_else(Timestamp::now),
            },
            accounts: BTreeMap::new(),
            installations: Vec::new(),
            grants: BTreeMap::new(),
            person_tokens: BTreeMap::new(),
            token_lifetime: options.token_lifetime,
            repos: BTreeMap::new(),
            hooks: hooks.clone(),
            rate_limited_until: None,
            next_id: 1000,
        };
        state.ensure_account("butler-authors", Kind::Organization);
        let login = state.app.login();
        state.ensure_account(&login, Kind::Bot);
        let shared = Arc::new(Shared::new(state));
        shared.record_bodies.store(options.record_bodies, Ordering::Relaxed);
        let answer = shared.clone();
        let router = axum::Router::new().fallback(move |request| answer.clone().respond(request));
        let serve = tokio::spawn(async move {
            // `serve` ends only with its task.
            let _ = axum::serve(listener, router).await;
        });
        let deliver = tokio::spawn(async move { hooks.run().await });
        let tasks = [serve.abort_handle(), deliver.abort_handle()];
        Ok(Github(Arc::new(Inner { shared, base, tasks, private_key: &key.private_pem, _root: root })))
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.0.shared
    }

    /// The API's address, without a slash at its end; people's pages and repositories are below it as well.
    pub fn url(&self) -> &str {
        &self.0.base
    }

    /// Where to clone from; credentials go in as for GitHub (`x-access-token` and a token).
    pub fn clone_url(&self, repo: &str) -> String {
        format!("{}/{repo}.git", self.0.base)
    }

    pub fn app_id(&self) -> u64 {
        self.shared().state().app.id
    }

    /// The login that the App acts under.
    pub fn app_login(&self) -> String {
        self.shared().state().app.login()
    }

    /// The App's private key, as GitHub hands it out.
    pub fn private_key(&self) -> &str {
        self.0.private_key
    }

    /// Makes the App another private key, as the button on its page does; those before it stay good.
    pub fn generate_private_key(&self) -> Result<String, SetupError> {
        let key = auth::AppKey::make().ok_or(SetupError::Key(auth::NO_KEY))?;
        self.shared().state().app.public_keys.push(key.public_der);
        Ok(key.private_pem)
    }

    /// A private repository with a first commit of these files on `main` (an empty repository without any), with the App
    /// installed.
    pub fn create_repository(&self, name: &str, files: &[(&str, &str)]) -> Result<(), SetupError> {
        let name = parse(name)?;
        let failed = |source| SetupError::Git { name: name.clone(), source };
        let mut state = self.shared().state();
        let dir = state.root.join(format!("{name}.git"));
        let git = Bare::init(dir, "main").map_err(failed)?;
        let now = state.now();
        if !files.is_empty() {
            let files: Vec<File<'_>> = files.iter().map(|(path, text)| (*path, Some(text.as_bytes()))).collect();
            let author = super::git::Person { name: "Setup".into(), email: "setup@example.com".into(), at: now };
            let commit = git.commit(None, &files, "First commit", &author).map_err(failed)?;
            git.set_ref("refs/heads/main", &commit).map_err(failed)?;
        }
        state.ensure_account(name.owner(), Kind::Organization);
        let known_refs = git.refs().map_err(failed)?;
        let repo = Repo {
            id: state.id(),
            name: name.clone(),
            private: true,
            nature: Nature::Usual,
            default_branch: "main".into(),
            git,
            roles: BTreeMap::new(),
            protections: BTreeMap::new(),
            issues: BTreeMap::new(),
            comments: BTreeMap::new(),
            checks: BTreeMap::new(),
            statuses: Vec::new(),
            labels: BTreeMap::new(),
            delete_branch_on_merge: false,
            merge_methods: BTreeSet::from([Method::Merge, Method::Squash]),
            created_at: now,
            pushed_at: now,
            known_refs,
        };
        state.repos.insert(name.clone(), repo);
        state.install(name.owner(), BTreeSet::from([name.clone()]));
        Ok(())
    }

    /// Changes a repository's settings.
    fn repo<T>(&self, name: &str, change: impl FnOnce(&mut Repo) -> T) -> Result<T, SetupError> {
        let parsed = parse(name)?;
        let mut state = self.shared().state();
        state.repos.get_mut(&parsed).map(change).ok_or_else(|| SetupError::Missing(name.to_owned()))
    }

    /// Everybody may read it.
    pub fn make_public(&self, repo: &str) -> Result<(), SetupError> {
        self.repo(repo, |repo| repo.private = false)
    }

    /// Makes it an archived repository, a fork or a template.
    pub fn set_nature(&self, repo: &str, nature: Nature) -> Result<(), SetupError> {
        self.repo(repo, |repo| repo.nature = nature)
    }

    pub fn set_default_branch(&self, repo: &str, branch: &str) -> Result<(), SetupError> {
        self.repo(repo, |repo| repo.default_branch = branch.to_owned())
    }

    /// How pull requests may be merged: merge commits and squashes, unless said otherwise here.
    pub fn allow_merging_by(&self, repo: &str, methods: &[Method]) -> Result<(), SetupError> {
        self.repo(repo, |repo| repo.merge_methods = methods.iter().copied().collect())
    }

    /// A merged pull request's head branch is deleted.
    pub fn delete_branch_on_merge(&self, repo: &str, delete: bool) -> Result<(), SetupError> {
        self.repo(repo, |repo| repo.delete_branch_on_merge = delete)
    }

    /// Protects a branch; `None` lifts it.
    pub fn protect(&self, repo: &str, branch: &str, protection: Option<Protection>) -> Result<(), SetupError> {
        self.repo(repo, |repo| match protection {
            Some(protection) => drop(repo.protections.insert(branch.to_owned(), protection)),
            None => drop(repo.protections.remove(branch)),
        })
    }

    /// The next `looks` at a pull request find `mergeable` not yet computed.
    pub fn mergeable_unknown(&self, repo: &str, number: u64, looks: u32) -> Result<(), SetupError> {
        self.repo(repo, |repo| {
            if let Some(pull) = repo.issues.get_mut(&number).and_then(|issue| issue.pull.as_mut()) {
                pull.mergeable_unknown = looks;
            }
        })
    }

    /// Installs the App on repositories and tells it so.
    pub fn install(&self, repos: &[&str]) -> Result<(), SetupError> {
        for repo in repos {
            let name = parse(repo)?;
            let mut state = self.shared().state();
            let only = BTreeSet::from([name.clone()]);
            let first = !state.installations.iter().any(|i| i.account.eq_ignore_ascii_case(name.owner()));
            let id = state.install(name.owner(), only.clone());
            let listed = state.listed(&only);
            if first {
                let payload = json!({"repositories": listed, "requester": null});
                state.emit_installation("installation", "created", id, name.owner(), payload);
            } else {
                let payload = json!({
                    "repositories_added": listed, "repositories_removed": [], "repository_selection": "selected",
                    "requester": null,
                });
                state.emit_installation("installation_repositories", "added", id, name.owner(), payload);
            }
        }
        Ok(())
    }

    /// Takes a repository away from the App and tells it so.
    pub fn uninstall(&self, repo: &str) -> Result<(), SetupError> {
        let name = parse(repo)?;
        let mut state = self.shared().state();
        let mut removed = Vec::new();
        for installation in &mut state.installations {
            if installation.repositories.remove(&name) {
                removed.push(installation.id);
            }
        }
        for id in removed {
            let payload = json!({
                "repositories_added": [], "repositories_removed": state.listed(&BTreeSet::from([name.clone()])),
                "repository_selection": "selected", "requester": null,
            });
            state.emit_installation("installation_repositories", "removed", id, name.owner(), payload);
        }
        Ok(())
    }

    /// What installations may do from now on; tokens that are out keep what they have.
    pub fn set_permissions(&self, permissions: Permissions) {
        let mut state = self.shared().state();
        for installation in &mut state.installations {
            installation.permissions = permissions.clone();
        }
        state.app.permissions = permissions;
    }

    /// Every installation token that is out ends.
    pub fn expire_tokens(&self) {
        self.shared().state().grants.clear();
    }

    /// Somebody with an account; made where it is missing.
    pub fn person(&self, login: &str) -> Person {
        self.shared().state().ensure_account(login, Kind::User);
        Person::new(self.clone(), login)
    }

    /// Gives somebody a role in a repository; `None` takes it away.
    pub fn set_role(&self, repo: &str, login: &str, role: Option<Role>) -> Result<(), SetupError> {
        self.shared().state().ensure_account(login, Kind::User);
        let login = login.to_ascii_lowercase();
        self.repo(repo, |repo| match role {
            Some(role) => drop(repo.roles.insert(login, role)),
            None => drop(repo.roles.remove(&login)),
        })
    }

    /// The repository's name and the commit that a branch, tag or id names.
    fn commit(&self, repo: &str, at: &str) -> Result<(RepoName, String), SetupError> {
        let sha = self.repo(repo, |repo| repo.git.resolve(at))?;
        Ok((parse(repo)?, sha.ok_or_else(|| SetupError::Commit(repo.to_owned(), at.to_owned()))?))
    }

    /// A check run of another App (GitHub Actions) on a branch's tip or a commit; `conclusion` as GitHub spells it, `None`
    /// while it runs.
    pub fn check(&self, repo: &str, at: &str, check: &str, conclusion: Option<&str>) -> Result<(), SetupError> {
        let (name, head_sha) = self.commit(repo, at)?;
        let mut state = self.shared().state();
        state.ensure_account("github-actions[bot]", Kind::Bot);
        let (id, suite, now) = (state.id(), state.id(), state.now());
        let run = CheckRun {
            id,
            suite,
            app: "github-actions".into(),
            name: check.to_owned(),
            head_sha,
            external_id: String::new(),
            details_url: None,
            status: if conclusion.is_some() { "completed" } else { "in_progress" }.into(),
            conclusion: conclusion.map(str::to_owned),
            started_at: now,
            completed_at: conclusion.map(|_| now),
            title: None,
            summary: None,
            text: None,
            annotations: Vec::new(),
        };
        let action = if conclusion.is_some() { "completed" } else { "created" };
        state.put_check(&name, run, action, "github-actions[bot]");
        Ok(())
    }

    /// A commit status on a branch's tip or a commit: `success`, `failure`, `pending`, `error`.
    pub fn status(&self, repo: &str, at: &str, context: &str, verdict: &str) -> Result<(), SetupError> {
        let (name, sha) = self.commit(repo, at)?;
        self.shared().state().status(&name, &sha, context, verdict, None, None, name.owner());
        Ok(())
    }

    /// Where deliveries go from now on.
    pub fn set_webhook(&self, webhook: Option<Webhook>) {
        self.shared().hooks.set(webhook);
    }

    /// Keeps deliveries back until [`Github::release_webhooks`].
    pub fn hold_webhooks(&self) {
        self.shared().hooks.hold(true);
    }

    pub fn release_webhooks(&self) {
        self.shared().hooks.hold(false);
    }

    /// The next delivery is never sent.
    pub fn lose_next_webhook(&self) {
        self.shared().hooks.lose(1);
    }

    /// Every delivery so far, oldest first.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared().hooks.log()
    }

    /// Delivers again, under the same GUID; the new attempt's id, `None` where there is no such delivery.
    pub fn redeliver(&self, id: u64) -> Option<u64> {
        let now = self.shared().state().now();
        self.shared().hooks.redeliver(id, now)
    }

    /// Waits until every delivery was answered or failed. Held deliveries are waited for.
    pub async fn idle(&self) {
        self.shared().hooks.idle().await;
    }

    /// What is done in `act` (on this thread) sends no event, as when GitHub loses it.
    pub fn without_webhook<T>(&self, act: impl FnOnce() -> T) -> T {
        super::people::muted(act)
    }

    /// Orders a fault for the `nth` request (from 1, counted from now) that matches `METHOD /path`, where `*` stands for
    /// anything but a slash, `**` for anything, and the method may be `*`. git's requests match as well:
    /// `POST /acme/config.git/git-receive-pack`.
    pub fn fail_nth(&self, pattern: &str, nth: u32, fault: Fault) -> Result<(), FaultError> {
        self.shared().faults().order(pattern, nth, fault)
    }

    /// Orders a fault for the next request that matches.
    pub fn fail_next(&self, pattern: &str, fault: Fault) -> Result<(), FaultError> {
        self.fail_nth(pattern, 1, fault)
    }

    /// Whether every fault that was ordered has struck: a test that ordered one in vain tests nothing.
    pub fn all_faults_struck(&self) -> bool {
        self.shared().faults().all_struck()
    }

    pub fn clear_faults(&self) {
        self.shared().faults().clear();
    }

    /// Every request is answered with the primary rate limit until then; `None` lifts it.
    pub fn rate_limit_until(&self, until: Option<Timestamp>) {
        self.shared().state().rate_limited_until = until;
    }

    /// Calls `observer` before and after every request is performed. It runs on the server's thread: keep it short.
    pub fn on_request(&self, observer: impl Fn(&Seen) + Send + Sync + 'static) {
        self.shared().observe(Some(Arc::new(observer)));
    }

    /// The last 10,000 requests, git's included.
    pub fn requests(&self) -> Vec<Record> {
        self.shared().log()
    }

    pub fn clear_requests(&self) {
        self.shared().clear_log();
    }

    /// REST requests with their bodies, to check against GitHub's description.
    pub fn recorded(&self) -> Vec<Record> {
        let git = crate::sandbox::git_http::GitHttp::is_git_path;
        self.requests().into_iter().filter(|record| !record.faulty && !git(&record.path)).collect()
    }

    pub fn now(&self) -> Timestamp {
        self.shared().state().now()
    }

    /// The time stands still here from now on. The App's tokens are judged by it as well.
    pub fn set_time(&self, at: Timestamp) {
        self.shared().state().clock = Clock::Fixed(at);
    }

    pub fn advance(&self, by: SignedDuration) {
        let mut state = self.shared().state();
        state.clock = match state.clock {
            Clock::System(offset) => Clock::System(offset.saturating_add(by)),
            Clock::Fixed(at) => Clock::Fixed(at.saturating_add(by).unwrap_or(Timestamp::MAX)),
        };
    }
}

fn parse(name: &str) -> Result<RepoName, SetupError> {
    name.parse().map_err(|_| SetupError::Name(name.to_owned()))
}
