//! `butler serve` as a process of its own, between a GitHub and a registry in the test's process: it can be killed at
//! any request, and started again.

use super::{
    end::tag_of,
    world::{REPO, SECRET, TOKEN, settings_text},
};
use butler::{
    sandbox::{
        github::{Fault, Github, Options, Role, Webhook, When},
        registry::{Notify, Options as RegistryOptions, RegistryServer},
        sample,
    },
    server::settings::Settings,
};
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Generous: on a loaded machine everything takes its time, and a test that waits in vain fails anyway.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until `holds`; fails after `patience`, with what `otherwise` says.
///
/// This is the one place where tests nap: another process cannot be awaited, only looked at.
pub async fn eventually(
    what: &str,
    patience: Duration,
    mut holds: impl FnMut() -> bool,
    otherwise: impl Fn() -> String,
) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < patience, "in vain: {what}\n{}", otherwise());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A port of 127.0.0.1 that nobody listens on.
pub fn spare_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A running `butler serve`, shared with whoever kills it.
#[derive(Clone, Default)]
pub struct Process(Arc<Mutex<Option<Child>>>);

impl Process {
    /// Starts it; its log is added to the file.
    pub fn start(&self, config: &Path, log: &Path) {
        let log = File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_butler"))
            .args(["serve", "--config"])
            .arg(config)
            .env_clear()
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        *self.0.lock().unwrap() = Some(child);
    }

    /// `kill -9`; it is gone when this returns.
    pub fn kill(&self) {
        if let Some(mut child) = self.0.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM.
    pub fn terminate(&self) {
        // Locked for as long, so that it is not gone meanwhile.
        if let Some(child) = self.0.lock().unwrap().as_ref() {
            assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        }
    }

    /// How it ended, if it did.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.0.lock().unwrap().as_mut()?.try_wait().unwrap()
    }

    pub fn was_killed(&self) -> bool {
        self.0.lock().unwrap().is_none()
    }
}

/// What is lost together with the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    Nothing,
    Database,
    DatabaseAndMirrors,
}

/// When a process is killed: at the nth request that changes something.
#[derive(Clone, Copy, Debug)]
pub struct Kill {
    pub nth: u32,
    /// Before: the request does not arrive. After: it is done, and its answer is lost.
    pub when: When,
    pub loss: Loss,
}

/// One GitHub, one registry, one butler.
pub struct Live {
    pub github: Github,
    pub registry: RegistryServer,
    registry_host: String,
    pub process: Process,
    pub data: TempDir,
    pub port: u16,
    loss: Loss,
    /// How long the log was when the process was started.
    started_at: AtomicUsize,
    /// The requests that changed something, in the order of their answers.
    pub writes: Arc<Mutex<Vec<String>>>,
    /// How often it was started again.
    pub restarts: AtomicU32,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.process.kill();
        // The observer holds the emulator, which holds it: neither would go, nor the emulator's folder.
        self.github.on_request(|_| {});
    }
}

impl Live {
    /// The sample repository at 1.0.0, and Ann, who maintains it. butler is not started.
    pub async fn new() -> Live {
        Live::with(spare_port(), None).await
    }

    /// The same for a butler at this port, with images in another registry.
    pub async fn with(port: u16, other_registry: Option<String>) -> Live {
        let registry = RegistryServer::start(RegistryOptions::default()).await.unwrap();
        let github = Github::start(Options::default()).await.unwrap();
        registry.push_image(sample::IMAGE, "1.0.0", jiff::Timestamp::now(), &[]);
        let registry_host = other_registry.unwrap_or_else(|| registry.host().to_owned());
        let files = sample::files(&registry_host, "1.0.0");
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        github.create_repository(REPO, &files).unwrap();
        github.set_role(REPO, "ann", Some(Role::Maintain)).unwrap();
        let data = TempDir::new().unwrap();
        fs::write(data.path().join("app.pem"), github.private_key()).unwrap();
        let url = format!("http://127.0.0.1:{port}");
        github.set_webhook(Some(Webhook { url: format!("{url}/webhooks/github"), secret: SECRET.into() }));
        registry.notify(Some(Notify { url: format!("{url}/webhooks/registry/sandbox"), token: TOKEN.into() }));
        let live = Live {
            github,
            registry,
            registry_host,
            process: Process::default(),
            data,
            port,
            loss: Loss::Nothing,
            started_at: AtomicUsize::new(0),
            writes: Arc::default(),
            restarts: AtomicU32::new(0),
        };
        live.configure(|text| text);
        live.observe(None);
        live
    }

    /// Writes the settings, changed.
    pub fn configure(&self, change: impl FnOnce(String) -> String) {
        let listen = format!("127.0.0.1:{}", self.port);
        let text = settings_text(&self.github, &self.registry, self.data.path(), &listen);
        let text = text.replace(self.registry.host(), &self.registry_host);
        fs::write(self.config(), change(text)).unwrap();
    }

    pub fn config(&self) -> PathBuf {
        self.data.path().join("settings.yaml")
    }

    fn log_file(&self) -> PathBuf {
        self.data.path().join("log")
    }

    /// What butler logged, over all its lives.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    pub fn settings(&self) -> Settings {
        Settings::load(Some(&self.config()), &|_| None).unwrap()
    }

    pub fn start(&self) {
        self.started_at.store(self.log().len(), Ordering::SeqCst);
        self.process.start(&self.config(), &self.log_file());
    }

    /// Starts it, and waits until it listens.
    pub async fn start_and_wait(&self) {
        self.start();
        self.until("butler listens", Live::listens).await;
    }

    /// Whether the process that was started last has said that it serves.
    fn listens(&self) -> bool {
        self.log().get(self.started_at.load(Ordering::SeqCst)..).is_some_and(|log| log.contains("butler serves"))
    }

    /// Kills the process as told.
    pub fn kill_at(&mut self, kill: Kill) {
        self.loss = kill.loss;
        self.observe(Some(kill));
    }

    fn observe(&self, kill: Option<Kill>) {
        let (github, process, writes) = (self.github.clone(), self.process.clone(), self.writes.clone());
        let (count, strikes_at) = (AtomicU32::new(0), Mutex::new(None));
        let before = Mutex::new(self.github.refs(REPO));
        self.github.on_request(move |seen| {
            let reads = seen.method == "GET" || seen.path.ends_with("access_tokens");
            if reads || seen.path.ends_with("git-upload-pack") {
                return;
            }
            match seen.when {
                When::Before => {
                    let nth = count.fetch_add(1, Ordering::SeqCst) + 1;
                    match kill {
                        Some(kill) if nth == kill.nth && kill.when == When::Before => {
                            process.kill();
                            github.fail_next("* /**", Fault::Drop).unwrap();
                            writes.lock().unwrap().push(format!("{} {} was not done", seen.method, seen.path));
                        }
                        Some(kill) if nth == kill.nth => *strikes_at.lock().unwrap() = Some(seen.number),
                        _ => {}
                    }
                }
                When::After => {
                    if *strikes_at.lock().unwrap() == Some(seen.number) {
                        process.kill();
                    }
                    let now = github.refs(REPO);
                    let mut before = before.lock().unwrap();
                    let moved: Vec<_> = now
                        .keys()
                        .chain(before.keys())
                        .filter(|name| !name.starts_with("refs/pull/") && now.get(*name) != before.get(*name))
                        .map(String::as_str)
                        .collect::<std::collections::BTreeSet<_>>()
                        .into_iter()
                        .collect();
                    let path = seen.path.trim_start_matches("/repos/").trim_start_matches(REPO);
                    writes
                        .lock()
                        .unwrap()
                        .push(format!("{} {path} {}", seen.method, moved.join(" ")).trim().to_owned());
                    *before = now;
                }
            }
        });
    }

    /// Waits until `holds`. A process that was killed is started again, without what it is to lose.
    pub async fn until(&self, what: &str, holds: impl Fn(&Live) -> bool) {
        let attempt = || {
            if self.process.was_killed() && self.restarts.fetch_add(1, Ordering::SeqCst) < 5 {
                self.lose();
                self.start();
            }
            assert!(self.process.ended().is_none(), "butler ended by itself\n{}", self.tail());
            holds(self)
        };
        eventually(what, PATIENCE, attempt, || self.tail()).await;
    }

    fn lose(&self) {
        if self.loss != Loss::Nothing {
            for end in ["", "-wal", "-shm"] {
                let _ = fs::remove_file(self.data.path().join(format!("butler.db{end}")));
            }
        }
        if self.loss == Loss::DatabaseAndMirrors {
            let _ = fs::remove_dir_all(self.data.path().join("mirrors"));
        }
    }

    /// The end of the log, and what is to be seen.
    fn tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        let refs = self.github.refs(REPO);
        format!("{}\n{refs:#?}\n{:#?}", lines[lines.len().saturating_sub(60)..].join("\n"), self.writes.lock().unwrap())
    }

    /// Stops it with SIGTERM, and waits for its end. Where it is killed while it finishes, it is started again first. A
    /// process that has hardly begun is not told: before it listens for signals they end it.
    pub async fn stop(&self) -> ExitStatus {
        loop {
            self.until("butler listens", |live| !live.process.was_killed() && live.listens()).await;
            self.process.terminate();
            let over = || self.process.was_killed() || self.process.ended().is_some();
            eventually("butler stops", PATIENCE, over, || self.tail()).await;
            if let Some(status) = self.process.ended() {
                return status;
            }
        }
    }

    pub fn push_image(&self, tag: &str) {
        self.registry.push_image(sample::IMAGE, tag, jiff::Timestamp::now(), &[]);
    }

    pub fn tag(&self, branch: &str, stage: &str) -> String {
        tag_of(&self.github, branch, stage)
    }

    pub fn registry_host(&self) -> &str {
        &self.registry_host
    }

    /// The open pull request of a head branch.
    pub fn open_pull(&self, head: &str) -> Option<u64> {
        let pulls = self.github.pulls(REPO);
        pulls.iter().find(|one| one.open && one.pull.as_ref().is_some_and(|p| p.head_ref == head)).map(|one| one.number)
    }
}
