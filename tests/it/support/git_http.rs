//! A git server in the test's own process, with one token and faults to order.

use butler::sandbox::git_http::{Auth, Fault, GitHttp, RefUpdate, RequestInfo};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use super::person::Person;

/// The token that may read and write.
pub const TOKEN: &str = "the-writing-token";
/// A token that may read only.
pub const READER: &str = "the-reading-token";

/// A repository and the refs that one push moved in it.
pub type Push = (String, Vec<RefUpdate>);
type Rule = Box<dyn FnMut(&RequestInfo) -> Fault + Send>;

/// Bare repositories in a folder that goes with the server, served on a port of its own.
pub struct GitServer {
    root: TempDir,
    address: SocketAddr,
    rule: Arc<Mutex<Rule>>,
    pushes: Arc<Mutex<Vec<Push>>>,
    _runtime: Runtime,
}

impl GitServer {
    pub fn start() -> GitServer {
        let root = TempDir::new().unwrap();
        let rule: Arc<Mutex<Rule>> = Arc::new(Mutex::new(Box::new(|_| Fault::None)));
        let pushes = Arc::new(Mutex::new(Vec::new()));
        let service = GitHttp::new(root.path())
            .authorize(|user, password, _, write| match (user, password, write) {
                ("x-access-token", TOKEN, _) | ("x-access-token", READER, false) => Auth::Allow,
                ("x-access-token", READER, true) => Auth::Forbidden,
                _ => Auth::Unauthenticated,
            })
            .on_push({
                let pushes = pushes.clone();
                move |repo, updates| {
                    pushes.lock().unwrap().push((repo, updates));
                    async {}
                }
            })
            .before({
                let rule = rule.clone();
                move |request| (rule.lock().unwrap())(request)
            });
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move { axum::serve(listener, service.router()).await });
        GitServer { root, address, rule, pushes, _runtime: runtime }
    }

    /// Makes an empty bare repository, whose default branch is `main`.
    pub fn create(&self, repo: &str) -> PathBuf {
        let folder = self.folder(repo);
        fs::create_dir_all(&folder).unwrap();
        let made = Command::new("git").args(["init", "--quiet", "--bare", "-b", "main"]).arg(&folder).status().unwrap();
        assert!(made.success());
        folder
    }

    /// Where a repository is on disk.
    pub fn folder(&self, repo: &str) -> PathBuf {
        self.root.path().join(format!("{repo}.git"))
    }

    /// The address without credentials.
    pub fn url(&self, repo: &str) -> String {
        format!("http://{}/{repo}.git", self.address)
    }

    /// A person with a clone, who may write.
    pub fn person(&self, repo: &str, name: &str) -> Person {
        Person::clone(&format!("http://x-access-token:{TOKEN}@{}/{repo}.git", self.address), name)
    }

    /// Decides about every request from now on.
    pub fn fault(&self, rule: impl FnMut(&RequestInfo) -> Fault + Send + 'static) {
        *self.rule.lock().unwrap() = Box::new(rule);
    }

    /// Sends git from one name to another on this server.
    pub fn rename(&self, from: &'static str, to: &'static str) {
        self.fault(move |request| match request.repo == from {
            true => Fault::Renamed(to.to_owned()),
            false => Fault::None,
        });
    }

    pub fn heal(&self) {
        self.fault(|_| Fault::None);
    }

    /// The pushes told of since the last call, oldest first.
    pub fn take_pushes(&self) -> Vec<Push> {
        std::mem::take(&mut self.pushes.lock().unwrap())
    }

    /// Installs a hook that runs this shell script.
    pub fn hook(&self, repo: &str, name: &str, script: &str) {
        let path = self.folder(repo).join("hooks").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        make_executable(&path);
    }
}

fn make_executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
