//! The git adapter against real git over HTTP, with a person at the `git` command line on the other side.

mod commit;
mod failure;
mod fetch;
mod push;
mod read;

use crate::support::git_http::{GitServer, READER, TOKEN};
use crate::support::person::Person;
use butler::adapters::git::{
    ChangedPath, CommitMeta, FileChange, GitError, Identity, Mirror, Mode, PushOutcome, RefUpdate, Remedy, TokenSource,
};
use butler::sandbox::git_http::{Fault, RequestInfo, Service};
use std::{collections::BTreeMap, fs, process::Command, sync::Arc, time::Duration};
use tempfile::TempDir;

const REPO: &str = "acme/config";
const MAIN: &str = "refs/heads/main";
const BRANCHES: &[&str] = &["refs/heads/*"];

/// A server with one repository, Ann with a clone of it, and butler's mirror.
struct Town {
    server: GitServer,
    ann: Person,
    folder: TempDir,
    mirror: Mirror,
}

fn token(text: &str) -> TokenSource {
    let text = text.to_owned();
    Arc::new(move || Ok(text.clone().into()))
}

/// `main` has one commit of Ann's with `files`, and is fetched.
fn town(files: &[(&str, &str)]) -> (Town, String) {
    let server = GitServer::start();
    server.create(REPO);
    let ann = server.person(REPO, "Ann");
    for (file, text) in files {
        ann.write(file, text);
    }
    let first = ann.commit("first");
    ann.push();
    let folder = TempDir::new().unwrap();
    let mirror = Mirror::open_or_create(&folder.path().join("mirror"), &server.url(REPO), token(TOKEN)).unwrap();
    let heads = mirror.fetch(BRANCHES).unwrap();
    assert_eq!(heads, BTreeMap::from([(MAIN.to_owned(), first.clone())]));
    (Town { server, ann, folder, mirror }, first)
}

impl Town {
    fn mirror_with(&self, repo: &str, secret: &str) -> Mirror {
        let dir = self.folder.path().join(format!("{}-{secret}", repo.replace('/', "-")));
        Mirror::open_or_create(&dir, &self.server.url(repo), token(secret)).unwrap()
    }

    fn edit(&self, base: &str, path: &str, text: &str) -> String {
        self.mirror.commit_edits(base, &[change(path, Some(text))], &meta("butler: update")).unwrap()
    }

    fn push(&self, name: &str, expected: Option<&str>, new: Option<&str>) -> PushOutcome {
        self.mirror.push(&[update(name, expected, new)]).unwrap()
    }

    fn fsck(&self) {
        for dir in [self.folder.path().join("mirror"), self.server.folder(REPO)] {
            let output = Command::new("git").args(["fsck", "--strict", "--full"]).current_dir(&dir).output().unwrap();
            let words = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && !words.contains("error"), "{words}");
        }
    }
}

fn change(path: &str, text: Option<&str>) -> FileChange {
    FileChange { path: path.to_owned(), new_bytes: text.map(|text| text.as_bytes().to_vec()) }
}

fn meta(message: &str) -> CommitMeta {
    let butler = Identity { name: "butler".to_owned(), email: "butler@example.com".to_owned() };
    CommitMeta {
        author: butler.clone(),
        committer: butler,
        time: "2026-03-01T12:00:00Z".parse().unwrap(),
        message: message.to_owned(),
        more_parents: Vec::new(),
    }
}

fn update(name: &str, expected: Option<&str>, new: Option<&str>) -> RefUpdate {
    RefUpdate { name: name.to_owned(), expected: expected.map(str::to_owned), new: new.map(str::to_owned) }
}

fn moved(name: &str, expected: Option<&str>, found: Option<&str>) -> PushOutcome {
    let own = |id: Option<&str>| id.map(str::to_owned);
    PushOutcome::Moved { name: name.to_owned(), expected: own(expected), found: own(found) }
}

fn pushes(request: &RequestInfo) -> bool {
    request.service == Service::ReceivePack && !request.advertise
}
