//! A whole world on loopback: GitHub, a registry, the intake and a worker that the test pumps, under a clock that the
//! test moves. Nothing sleeps.

use butler::{
    adapters::{
        github::Patience,
        store::{Debounce, JobKey, JobRequest},
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
use std::{sync::Arc, time::Duration};
use tempfile::TempDir;

pub const REPO: &str = sample::REPOSITORY;
pub const SECRET: &str = "webhook-secret";
pub const TOKEN: &str = "registry-token";

pub struct World {
    pub github: Github,
    pub registry: RegistryServer,
    pub worker: Arc<Worker>,
    pub clock: Clock,
    pub settings: Settings,
    /// The intake's address.
    pub url: String,
    _data: TempDir,
}

pub fn start_of_time() -> Timestamp {
    "2026-03-02T09:00:00Z".parse().unwrap()
}

impl World {
    /// The sample repository, everything at 1.0.0, and Ann (maintain), Dan (write), Rita (read).
    pub async fn new() -> World {
        World::with(|_| {}).await
    }

    /// As [`World::new`], with the repository's files changed before anything looks at them.
    pub async fn with(change: impl FnOnce(&mut Vec<(String, String)>)) -> World {
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
        let data = TempDir::new().unwrap();
        let settings = settings(&github, &registry, data.path());
        let world = World::around(github, registry, clock, settings, data).await;
        // The App's first look at the repository.
        world.worker_store().enqueue(&[JobRequest::urgent(JobKey::Sweep)], world.clock.now()).await.unwrap();
        world.settle().await;
        world
    }

    async fn around(
        github: Github,
        registry: RegistryServer,
        clock: Clock,
        settings: Settings,
        data: TempDir,
    ) -> World {
        let patience =
            Patience { first: Duration::from_millis(1), longest: Duration::from_millis(2), ..Patience::default() };
        let worker = assemble(&settings, clock.clone(), patience).await.unwrap();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = router(IntakeState::new(worker.store().clone(), &settings, clock.source()));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        github.set_webhook(Some(Webhook { url: format!("{url}/webhooks/github"), secret: SECRET.into() }));
        registry.notify(Some(Notify { url: format!("{url}/webhooks/registry/sandbox"), token: TOKEN.into() }));
        World { github, registry, worker, clock, settings, url, _data: data }
    }

    fn worker_store(&self) -> &butler::adapters::store::Store {
        self.worker.store()
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
            let pending = self.worker_store().pending(self.clock.now()).await.unwrap();
            let soon = self
                .worker_store()
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
        panic!("the world does not come to rest: {:?}", self.worker_store().pending(self.clock.now()).await);
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

    /// butler's last comment on a pull request, without its hidden marker and with the registry's address as `REGISTRY`.
    pub fn reply(&self, number: u64) -> String {
        let own = self.github.app_login();
        let comments = self.github.comments(REPO, number);
        let last = comments.iter().rev().find(|comment| comment.author == own).expect("butler said nothing");
        self.shown(&last.body)
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

fn hide_ids(line: &str) -> String {
    let id = regex::Regex::new(r"\b[0-9a-f]{40}\b|\b[0-9a-f]{7}\b").unwrap();
    id.replace_all(line, "COMMIT").into_owned()
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
