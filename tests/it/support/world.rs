//! A whole world on loopback: GitHub, a registry, the intake and a worker that the test pumps, under a clock that the
//! test moves. Nothing sleeps.

use butler::{
    adapters::{
        github::Patience,
        store::{Debounce, JobKey, JobRequest, Pending, Store},
    },
    sandbox::{
        github::{Github, Options, Person, Role, Webhook},
        registry::{Notify, Options as RegistryOptions, RegistryServer},
        sample,
    },
    server::{
        assemble,
        clock::Clock,
        intake::{IntakeState, router},
        settings::Settings,
        worker::{Step, Worker},
    },
};
use jiff::{SignedDuration, Timestamp};
use regex::Regex;
use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};
use tempfile::TempDir;

pub const REPO: &str = sample::REPOSITORY;
pub const SECRET: &str = "webhook-secret";
pub const TOKEN: &str = "registry-token";

pub struct World {
    pub github: Github,
    pub registry: RegistryServer,
    pub worker: Arc<Worker>,
    pub clock: Clock,
    /// Where webhooks go.
    pub webhooks: String,
    /// butler's comments that the test has read, as they were when it did.
    read: Mutex<BTreeMap<u64, String>>,
    finished: bool,
    data: TempDir,
}

pub fn start_of_time() -> Timestamp {
    "2026-03-02T09:00:00Z".parse().unwrap()
}

impl World {
    /// The sample repository, everything at 1.0.0, and Ann (maintain), Dan (write), Rita (read).
    pub async fn new() -> World {
        World::with(|_| {}).await
    }

    /// As [`World::new`], with another butler.yaml.
    pub async fn configured(config: &str) -> World {
        World::with(|files| replace(files, "butler.yaml", config)).await
    }

    /// As [`World::new`], with the repository's files changed before anything looks at them.
    pub async fn with(change: impl FnOnce(&mut Vec<(String, String)>)) -> World {
        World::prepared(change, |_| {}).await
    }

    /// As [`World::with`], and with GitHub changed before anything looks at it.
    pub async fn prepared(change: impl FnOnce(&mut Vec<(String, String)>), prepare: impl FnOnce(&Github)) -> World {
        let clock = Clock::manual(start_of_time());
        let registry = RegistryServer::start(RegistryOptions::default()).await.unwrap();
        let github = Github::start(Options { time: Some(clock.now()), ..Options::default() }).await.unwrap();
        registry.push_image(sample::IMAGE, "1.0.0", clock.now(), &[]);
        let mut files = sample::files(registry.host(), "1.0.0");
        change(&mut files);
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        github.create_repository(REPO, &files).unwrap();
        for (login, role) in [("ann", Role::Maintain), ("dan", Role::Write), ("rita", Role::Read)] {
            github.set_role(REPO, login, Some(role)).unwrap();
        }
        prepare(&github);
        let data = TempDir::new().unwrap();
        let settings = settings(&github, &registry, data.path());
        let world = World::around(github, registry, clock, settings, data).await;
        // The App's first look at the repository.
        world.sweep().await;
        world
    }

    async fn around(
        github: Github,
        registry: RegistryServer,
        clock: Clock,
        settings: Settings,
        data: TempDir,
    ) -> World {
        let worker = assemble(&settings, clock.clone(), patience()).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = router(IntakeState::new(worker.store().clone(), &settings, clock.source()));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        github.set_webhook(Some(Webhook { url: format!("{url}/webhooks/github"), secret: SECRET.into() }));
        registry.notify(Some(Notify { url: format!("{url}/webhooks/registry/sandbox"), token: TOKEN.into() }));
        World {
            github,
            registry,
            worker,
            clock,
            webhooks: format!("{url}/webhooks/github"),
            read: Mutex::default(),
            finished: false,
            data,
        }
    }

    /// butler is started again with other settings, over the same data.
    pub async fn restart(&mut self, change: impl FnOnce(&mut Settings)) {
        let mut settings = settings(&self.github, &self.registry, self.data.path());
        change(&mut settings);
        self.worker = assemble(&settings, self.clock.clone(), patience()).await.unwrap();
    }

    pub fn store(&self) -> &Store {
        self.worker.store()
    }

    /// The sweep comes early, and looks at everything.
    pub async fn sweep(&self) {
        self.store().enqueue(&[JobRequest::urgent(JobKey::Sweep)], self.clock.now()).await.unwrap();
        self.settle().await;
    }

    /// Time passes, and what waited for it happens.
    pub async fn later(&self, by: SignedDuration) {
        self.advance(by);
        self.settle().await;
    }

    /// Moves the time for everybody.
    pub fn advance(&self, by: SignedDuration) {
        self.clock.advance(by);
        self.github.set_time(self.clock.now());
    }

    /// Lets everything happen that is going to happen within the debounce: deliveries, jobs, their effects.
    pub async fn settle(&self) {
        for _ in 0..50 {
            self.github.idle().await;
            self.registry.idle().await;
            while let Step::Did(_) = self.worker.step().await.unwrap() {
                self.github.idle().await;
            }
            let pending = self.store().pending(self.clock.now()).await.unwrap();
            let soon = self
                .store()
                .next_due()
                .await
                .unwrap()
                .filter(|due| due.duration_since(self.clock.now()) < SignedDuration::from_secs(45));
            match soon {
                None => return,
                Some(due) if pending.ready == 0 => {
                    let wait = due.duration_since(self.clock.now());
                    self.advance(wait.max(SignedDuration::from_millis(1)));
                }
                Some(_) => {}
            }
        }
        panic!("the world does not come to rest: {:?}", self.store().pending(self.clock.now()).await);
    }

    /// Somebody pushes an image, and everything that follows happens.
    pub async fn push_image(&self, tag: &str) {
        self.registry.push_image(sample::IMAGE, tag, self.clock.now(), &[]);
        self.settle().await;
    }

    pub fn person(&self, login: &str) -> Person {
        self.github.person(login)
    }

    /// Says something on a pull request or issue, and lets butler answer.
    pub async fn comment(&self, login: &str, number: u64, text: &str) -> u64 {
        let id = self.person(login).comments(REPO, number, text).unwrap();
        self.settle().await;
        id
    }

    /// A person changes one file of a branch by hand, and butler looks at it.
    pub async fn edit(&self, login: &str, branch: &str, path: &str, change: impl FnOnce(String) -> String) -> String {
        let text = change(self.github.file(REPO, branch, path).unwrap_or_default());
        self.push(login, branch, path, &text).await
    }

    /// A person pushes one file, and butler looks at it.
    pub async fn push(&self, login: &str, branch: &str, path: &str, text: &str) -> String {
        let commit = self.person(login).pushes(REPO, branch, &format!("Change {path}"), &[(path, Some(text))]).unwrap();
        self.settle().await;
        commit
    }

    /// A person puts a stage's image to another tag by hand.
    pub async fn set_tag(&self, login: &str, branch: &str, stage: &str, tag: &str) -> String {
        let now = self.tag_at(branch, stage);
        let path = format!("deploy/{stage}/app.yaml");
        self.edit(login, branch, &path, |text| text.replace(&format!(":{now}"), &format!(":{tag}"))).await
    }

    /// What butler said since the test last read here: the one comment that is new or was edited.
    pub fn reply(&self, number: u64) -> String {
        let mut unread = self.unread(number);
        let (id, body) = unread.pop().expect("butler said nothing new");
        assert!(unread.is_empty(), "one reply, no more: {unread:#?} and {body}");
        self.read.lock().unwrap().insert(id, body.clone());
        self.shown(&body)
    }

    /// Everything new that butler said, oldest first, where several things happened at once.
    pub fn replies(&self, number: u64) -> Vec<String> {
        let unread = self.unread(number);
        self.read.lock().unwrap().extend(unread.clone());
        unread.iter().map(|(_, body)| self.shown(body)).collect()
    }

    /// Presses GitHub's "Update branch" on a pull request: the base is merged into its head.
    pub fn update_branch(&self, login: &str, number: u64) {
        self.person(login).updates_branch(REPO, number).unwrap();
    }

    /// The last comment's id.
    pub fn reply_id(&self, number: u64) -> u64 {
        let own = self.github.app_login();
        let comments = self.github.comments(REPO, number);
        comments.iter().rev().find(|comment| comment.author == own).expect("butler said nothing").id
    }

    /// butler has nothing (new) to say there.
    pub fn silent(&self, number: u64) {
        assert_eq!(self.unread(number), [], "nothing new on #{number}");
    }

    fn unread(&self, number: u64) -> Vec<(u64, String)> {
        let (own, read) = (self.github.app_login(), self.read.lock().unwrap());
        let comments = self.github.comments(REPO, number).into_iter().filter(|comment| comment.author == own);
        comments
            .filter(|comment| read.get(&comment.id) != Some(&comment.body))
            .map(|comment| (comment.id, comment.body))
            .collect()
    }

    /// butler's reactions to a comment, in order.
    pub fn reactions(&self, number: u64, comment: u64) -> Vec<String> {
        let comments = self.github.comments(REPO, number);
        let comment = comments.into_iter().find(|known| known.id == comment).unwrap();
        comment.reactions.into_iter().map(|reaction| reaction.content).collect()
    }

    /// The tip's whole message.
    pub fn message(&self, branch: &str) -> String {
        self.shown(&self.github.history(REPO, branch).last().unwrap().message)
    }

    /// A pull request as people see it: title, base, body, labels.
    pub fn pull(&self, number: u64) -> String {
        let issue = self.github.issue(REPO, number).unwrap();
        let pull = issue.pull.as_ref().unwrap();
        let title = format!("{}\n{} -> {}\n\n", issue.title, pull.head_ref, pull.base_ref);
        self.shown(&format!("{title}{}", issue.body.unwrap_or_default()))
    }

    /// The newest check run of that name on any commit of a branch, as people see it. `None`: there is none.
    pub fn check(&self, branch: &str, name: &str) -> Option<String> {
        let history = self.github.history(REPO, branch);
        let checks = history.iter().flat_map(|commit| self.github.checks(REPO, &commit.id));
        let check = checks.filter(|check| check.name == name).max_by_key(|check| check.id)?;
        let (conclusion, title) = (check.conclusion.unwrap_or_default(), check.title.unwrap_or_default());
        Some(self.shown(&format!("{conclusion}: {title}\n\n{}", check.summary.unwrap_or_default())))
    }

    /// Everything that butler may have written: refs, pull requests, comments.
    pub fn written(&self) -> String {
        let pulls = self.github.pulls(REPO);
        let pulls: Vec<_> = pulls.iter().map(|pull| (pull.number, pull.open, &pull.title, &pull.body)).collect();
        let comments: Vec<_> = pulls.iter().flat_map(|(number, ..)| self.github.comments(REPO, *number)).collect();
        let comments: Vec<_> = comments.iter().map(|comment| (comment.id, &comment.body)).collect();
        format!("{:#?}\n{pulls:#?}\n{comments:#?}", self.github.refs(REPO))
    }

    /// The end: nothing is left to do, every comment of butler's was read, and one more look changes nothing.
    pub async fn finish(mut self) {
        self.finished = true;
        self.settle().await;
        let numbers = self.github.pulls(REPO).into_iter().map(|pull| pull.number).collect::<Vec<_>>();
        for number in numbers {
            self.silent(number);
        }
        let before = self.written();
        self.later(SignedDuration::from_secs(60)).await;
        self.sweep().await;
        assert_eq!(self.written(), before, "one more look changes nothing");
        let parked = self.store().parked().await.unwrap();
        assert!(parked.is_empty(), "a job is parked: {parked:#?}");
        let pending = self.store().pending(self.clock.now()).await.unwrap();
        assert_eq!(pending, Pending { later: 1, ..Pending::default() }, "only the next sweep waits");
        assert!(self.github.all_faults_struck(), "a fault was ordered in vain");
    }

    /// Text as a snapshot can hold it: no ports, no commit ids, no hidden markers.
    pub fn shown(&self, text: &str) -> String {
        let text = text.replace(self.registry.host(), "REGISTRY");
        let lines = text.lines().filter(|line| !line.starts_with("<!--"));
        lines.map(hide_ids).collect::<Vec<_>>().join("\n").trim_end().to_owned()
    }

    /// The tag that a stage's manifest runs.
    pub fn tag(&self, stage: &str) -> String {
        self.tag_at("main", stage)
    }

    pub fn tag_at(&self, branch: &str, stage: &str) -> String {
        let text = self.github.file(REPO, branch, &format!("deploy/{stage}/app.yaml")).unwrap();
        let line = text.lines().find(|line| line.trim_start().starts_with("image:")).unwrap().to_owned();
        let image = line.split('#').next().unwrap().trim().to_owned();
        image.rsplit(':').next().unwrap().to_owned()
    }

    /// The subjects on a branch, newest first.
    pub fn log(&self, branch: &str) -> Vec<String> {
        let history = self.github.history(REPO, branch);
        history.iter().rev().map(|commit| commit.message.lines().next().unwrap_or_default().to_owned()).collect()
    }

    /// The numbers of the pull requests that are open.
    pub fn open_pulls(&self) -> Vec<u64> {
        self.github.pulls(REPO).iter().filter(|issue| issue.open).map(|issue| issue.number).collect()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        assert!(self.finished || std::thread::panicking(), "the test ends without `world.finish().await`");
    }
}

fn patience() -> Patience {
    Patience { first: Duration::from_millis(1), longest: Duration::from_millis(2), ..Patience::default() }
}

/// Puts another text in the place of a file's.
pub fn replace(files: &mut Vec<(String, String)>, path: &str, text: &str) {
    files.retain(|(known, _)| known != path);
    files.push((path.to_owned(), text.to_owned()));
}

fn hide_ids(line: &str) -> String {
    static COMMIT: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(?:[0-9a-f]{40}|[0-9a-f]{7})\b").unwrap());
    static PLAN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b[0-9a-f]{16}\b").unwrap());
    PLAN.replace_all(&COMMIT.replace_all(line, "COMMIT"), "PLAN").into_owned()
}

/// Settings as a file would give them, for this GitHub and this registry.
pub fn settings(github: &Github, registry: &RegistryServer, data: &std::path::Path) -> Settings {
    let file = data.join("settings.yaml");
    std::fs::write(data.join("app.pem"), github.private_key()).unwrap();
    std::fs::write(&file, settings_text(github, registry, data, "127.0.0.1:0")).unwrap();
    let mut settings = Settings::load(Some(&file), &|_| None).unwrap();
    settings.worker.debounce = Debounce { quiet: Duration::from_secs(2), at_most: Duration::from_secs(30) };
    settings
}

pub fn settings_text(github: &Github, registry: &RegistryServer, data: &std::path::Path, listen: &str) -> String {
    let (data, host) = (data.display(), registry.host());
    let (url, app) = (github.url(), github.app_id());
    format!(
        "listen: {listen}
data-dir: {data}
github: {{app-id: {app}, private-key-file: {data}/app.pem, webhook-secrets: [{SECRET}], api-url: \"{url}\", git-url: \"{url}\"}}
registries: [{{host: \"{host}\", insecure: true}}]
registry-senders: {{sandbox: {{type: distribution, host: \"{host}\", token: {TOKEN}}}}}
worker: {{count: 2, sweep: 5m, lease: 2s, quiet: 1s, at-most: 2s}}
log: {{level: debug}}
"
    )
}
