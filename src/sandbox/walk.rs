//! The main job, walked aloud: an image is pushed, butler commits it to development and opens a promotion, ProdOps say
//! `/merge`, and the sync shows the result; then the same from staging to production.
//!
//! Every step waits for the thing itself, with a deadline, and a failure says what was expected and what was found.

use super::{
    Sandbox, figures,
    figures::Figures,
    github::{Comment, Issue, SetupError},
    sample, stages,
    tools::{ToolError, git},
    visitor::{VisitError, Visitor},
};
use crate::adapters::store::StoreError;
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Longer than any step takes on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(45);
/// Who merges: ProdOps, with the role `maintain`.
const PROD_OPS: &str = "ann";
/// What is pushed.
const NEW_TAG: &str = "1.1.0";

/// One step that was done.
#[derive(Clone, Debug)]
pub struct Step {
    pub what: String,
    pub took: Duration,
    pub details: Vec<String>,
}

/// Why the walk ended early.
#[derive(Debug, thiserror::Error)]
pub enum WalkError {
    #[error("expected {expected} within {waited:?}, found {found}")]
    Late { expected: String, waited: Duration, found: String },
    #[error("expected {} as on the branch, found {found}", folder.display())]
    Differs { folder: PathBuf, found: String },
    #[error(transparent)]
    Tool(#[from] ToolError),
    #[error(transparent)]
    Visit(#[from] VisitError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{0}")]
    Setup(#[from] SetupError),
    #[error("cannot read {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("no folder to work in: {0}")]
    Folder(#[source] io::Error),
}

/// Walks the main job and tells each step. Gives what was measured on the way.
pub async fn walk(sandbox: &Sandbox, tell: &mut (dyn FnMut(Step) + Send)) -> Result<Figures, WalkError> {
    let work = tempfile::tempdir().map_err(WalkError::Folder)?;
    let visitor = Visitor::find(Some(sandbox.card_url())).await?;
    let mut walk = Walk { sandbox, tell, visitor, work: work.path(), since: Instant::now() };
    walk.look_around().await?;
    let (commit, event_to_commit) = walk.update().await?;
    for (from, to) in stages().iter().zip(stages().iter().skip(1)) {
        walk.promote(&from.name, &to.name).await?;
    }
    sandbox.parts.settled().await?;
    // As the repository's butler.yaml has it.
    let debounce = match sample::REPOSITORY.parse() {
        Ok(repo) => sandbox.parts.store.debounce(&repo).await?,
        Err(_) => None,
    };
    Ok(Figures {
        event_to_commit,
        debounce: debounce.map(|debounce| debounce.quiet).unwrap_or_default(),
        bare_push: figures::bare_push(sandbox, PROD_OPS, &commit, work.path()).await?,
        resident_kib: figures::resident_kib(),
    })
}

struct Walk<'a> {
    sandbox: &'a Sandbox,
    tell: &'a mut (dyn FnMut(Step) + Send),
    visitor: Visitor,
    work: &'a Path,
    /// When the last step ended.
    since: Instant,
}

impl Walk<'_> {
    fn done(&mut self, what: impl Into<String>, details: Vec<String>) {
        self.done_in(self.since.elapsed(), what, details);
    }

    fn done_in(&mut self, took: Duration, what: impl Into<String>, details: Vec<String>) {
        (self.tell)(Step { what: what.into(), took, details });
        self.since = Instant::now();
    }

    /// Looks whenever something happened, until it is there: `Err` says what is there instead.
    async fn wait<T>(&self, expected: &str, mut look: impl FnMut() -> Result<T, String>) -> Result<T, WalkError> {
        let start = Instant::now();
        let mut listener = self.sandbox.parts.bell.listen();
        loop {
            listener.heed();
            let found = match look() {
                Ok(found) => return Ok(found),
                Err(found) => found,
            };
            if start.elapsed() > DEADLINE {
                return Err(self.late(expected, found).await);
            }
            listener.rung().await;
        }
    }

    /// As [`Walk::wait`], for what says by itself when it is done.
    async fn wait_for<T>(&self, expected: &str, done: impl Future<Output = T>) -> Result<T, WalkError> {
        match tokio::time::timeout(DEADLINE, done).await {
            Ok(done) => Ok(done),
            Err(_) => Err(self.late(expected, "nothing yet".to_owned()).await),
        }
    }

    async fn late(&self, expected: &str, mut found: String) -> WalkError {
        for job in self.sandbox.parts.store.parked().await.unwrap_or_default() {
            found.push_str(&format!("; the job {} is parked: {}", job.key, job.why));
        }
        WalkError::Late { expected: expected.to_owned(), waited: DEADLINE, found }
    }

    /// butler reads the repository that it was given.
    async fn look_around(&mut self) -> Result<(), WalkError> {
        let parts = &self.sandbox.parts;
        self.wait_for("butler to read the config repository", parts.settled()).await??;
        let found = self
            .wait("the check butler/config to succeed", || {
                let tip = parts.github.branch(sample::REPOSITORY, "main").unwrap_or_default();
                let checks = parts.github.checks(sample::REPOSITORY, &tip);
                let check = checks.into_iter().find(|check| check.name == "butler/config").ok_or("no such check")?;
                let conclusion = check.conclusion.unwrap_or_default();
                let title = check.title.unwrap_or_default();
                if conclusion == "success" { Ok(title) } else { Err(format!("{conclusion}: {title}")) }
            })
            .await?;
        self.done(
            format!("butler read {}", sample::REPOSITORY),
            vec![format!("check butler/config: success: {found}")],
        );
        Ok(())
    }

    /// An image is pushed and committed to development: the commit, and how long after the registry's event.
    async fn update(&mut self) -> Result<(String, Duration), WalkError> {
        let parts = &self.sandbox.parts;
        let before = parts.github.branch(sample::REPOSITORY, "main");
        let digest = self.visitor.push(sample::IMAGE, NEW_TAG).await?;
        let pushed = Instant::now();
        // As docker shows it: the whole is wider than a terminal.
        let digest = digest.get(.."sha256:".len() + 12).unwrap_or(&digest).to_owned();
        self.done(format!("pushed {}:{NEW_TAG} to the registry", sample::IMAGE), vec![digest]);

        self.wait_for("the registry's notification to be taken", parts.registry.idle()).await?;
        self.done("the registry notified butler, which wrote it down", Vec::new());

        let stage = sample::STAGES[0];
        let commit = self
            .wait(&format!("a commit on {}", stage.1), || {
                let tip = parts.github.branch(sample::REPOSITORY, stage.1);
                if tip == before {
                    Err("the branch where it was".to_owned())
                } else {
                    tip.ok_or("no branch".to_owned())
                }
            })
            .await?;
        let event_to_commit = pushed.elapsed();
        let message = self.message(&commit);
        self.done(format!("butler committed {} to {} for {}", short(&commit), stage.1, stage.0), message);
        self.synced(stage.0, &commit).await?;
        Ok((commit, event_to_commit))
    }

    /// A promotion is opened, merged on a person's word, and synced.
    async fn promote(&mut self, from: &str, to: &str) -> Result<(), WalkError> {
        let parts = &self.sandbox.parts;
        let subject = format!("promote({to}):");
        let pull = self
            .wait(&format!("a pull request that promotes {from} to {to}"), || {
                let open: Vec<Issue> =
                    parts.github.pulls(sample::REPOSITORY).into_iter().filter(|pull| pull.open).collect();
                let found = open.iter().map(|pull| pull.title.as_str()).collect::<Vec<_>>().join(", ");
                let found = if found.is_empty() { "no open pull request".to_owned() } else { found };
                open.into_iter().find(|pull| pull.title.starts_with(&subject)).ok_or(found)
            })
            .await?;
        let number = pull.number;
        let url = format!("{}/{}/pull/{number}", parts.github.url(), sample::REPOSITORY);
        self.done(format!("butler opened pull request #{number}"), vec![pull.title, url]);

        let said = self.visitor.comment(PROD_OPS, number, "/merge").await?;
        self.done(format!("{PROD_OPS} (ProdOps) commented `/merge` on #{number}"), Vec::new());

        let commit = self
            .wait(&format!("#{number} to be merged"), || {
                let pull = parts.github.issue(sample::REPOSITORY, number).and_then(|issue| issue.pull);
                let merged = pull.and_then(|pull| pull.merged);
                merged.map(|merged| merged.sha).ok_or_else(|| match self.answer(number, said) {
                    Some(answer) => format!("it open, and butler's answer: {answer}"),
                    None => "it open, and no answer".to_owned(),
                })
            })
            .await?;
        let message = self.message(&commit);
        self.done(format!("butler merged #{number} as {}", short(&commit)), message);

        let answer = self
            .wait(&format!("butler's answer on #{number}"), || self.answer(number, said).ok_or("none".to_owned()))
            .await?;
        self.done("butler answered", vec![answer]);
        self.synced(to, &commit).await
    }

    /// butler's answer to a comment, without its hidden marker.
    fn answer(&self, number: u64, said: u64) -> Option<String> {
        let github = &self.sandbox.parts.github;
        let own = github.app_login();
        let later = |comment: &Comment| comment.author == own && comment.id > said;
        let answer = github.comments(sample::REPOSITORY, number).into_iter().find(later)?;
        Some(visible(&answer.body))
    }

    /// Waits until a stage's folder shows this commit, and compares it with a clone, byte for byte.
    async fn synced(&mut self, stage: &str, commit: &str) -> Result<(), WalkError> {
        let parts = &self.sandbox.parts;
        let stages = stages();
        let Some(wanted) = stages.iter().find(|wanted| wanted.name == stage) else { return Ok(()) };
        self.wait(&format!("{stage} to be synced to {}", short(commit)), || match parts.sync.reports().get(stage) {
            Some(Ok(found)) if found == commit => Ok(()),
            Some(Ok(found)) => Err(short(found).to_owned()),
            Some(Err(why)) => Err(why.clone()),
            None => Err("nothing synced".to_owned()),
        })
        .await?;
        // What follows is the comparison's time.
        let took = self.since.elapsed();
        let clone = self.work.join(commit);
        if !clone.is_dir() {
            let url = parts.url_for(PROD_OPS, sample::REPOSITORY);
            git(self.work, &["clone", "--quiet", "--no-checkout", &url, commit]).await?;
            git(&clone, &["checkout", "--quiet", "--detach", commit]).await?;
        }
        let folder = parts.sync.folder(stage);
        let (on_branch, synced) = (read(&clone.join(&wanted.path))?, read(&folder)?);
        if let Some(found) = difference(&on_branch, &synced) {
            return Err(WalkError::Differs { folder, found });
        }
        let count = match on_branch.len() {
            1 => "1 file".to_owned(),
            count => format!("{count} files"),
        };
        let shown = folder.strip_prefix(&parts.folder).unwrap_or(&folder).display();
        let what = format!("{shown} is {} at {}, byte for byte ({count})", wanted.path, short(commit));
        self.done_in(took, format!("the sync wrote {stage}"), vec![what]);
        Ok(())
    }

    /// A commit's message: its subject, then its trailers.
    fn message(&self, commit: &str) -> Vec<String> {
        let history = self.sandbox.parts.github.history(sample::REPOSITORY, commit);
        let message = history.into_iter().find(|info| info.id == commit).map(|info| info.message).unwrap_or_default();
        message.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
    }
}

impl super::Parts {
    /// Where a person clones from, with their password in it.
    pub fn url_for(&self, login: &str, repo: &str) -> String {
        let token = self.tokens.get(login).map(String::as_str).unwrap_or_default();
        self.github.clone_url(repo).replacen("http://", &format!("http://{login}:{token}@"), 1)
    }
}

/// A commit's id as people write it.
pub fn short(commit: &str) -> &str {
    commit.get(..7).unwrap_or(commit)
}

/// Text as people see it at GitHub: hidden markers are left out.
pub fn visible(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("<!--"));
    lines.collect::<Vec<_>>().join("\n").trim().to_owned()
}

/// Every file below a folder with its bytes.
fn read(folder: &Path) -> Result<BTreeMap<PathBuf, Vec<u8>>, WalkError> {
    let mut files = BTreeMap::new();
    let mut left = vec![folder.to_owned()];
    while let Some(next) = left.pop() {
        let failed = |source| WalkError::Read { path: next.clone(), source };
        for entry in fs::read_dir(&next).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() {
                left.push(path);
                continue;
            }
            let bytes = fs::read(&path).map_err(|source| WalkError::Read { path: path.clone(), source })?;
            files.insert(path.strip_prefix(folder).unwrap_or(&path).to_owned(), bytes);
        }
    }
    Ok(files)
}

/// What differs first, if anything does.
fn difference(wanted: &BTreeMap<PathBuf, Vec<u8>>, found: &BTreeMap<PathBuf, Vec<u8>>) -> Option<String> {
    let missing = wanted.keys().find(|path| !found.contains_key(*path)).map(|path| format!("no {}", path.display()));
    let extra = found.keys().find(|path| !wanted.contains_key(*path)).map(|path| format!("{} as well", path.display()));
    let other = wanted
        .iter()
        .find(|(path, bytes)| found.get(*path).is_some_and(|found| found != *bytes))
        .map(|(path, _)| format!("other bytes in {}", path.display()));
    missing.or(extra).or(other)
}

#[cfg(test)]
mod tests {
    use super::{difference, visible};
    use std::{collections::BTreeMap, path::PathBuf};

    fn files(list: &[(&str, &str)]) -> BTreeMap<PathBuf, Vec<u8>> {
        list.iter().map(|(path, text)| (PathBuf::from(path), text.as_bytes().to_vec())).collect()
    }

    #[test]
    fn a_difference_is_told() {
        let branch = files(&[("a.yaml", "1"), ("b/c.yaml", "2")]);
        let cases: [(&[(&str, &str)], Option<&str>); 4] = [
            (&[("a.yaml", "1"), ("b/c.yaml", "2")], None),
            (&[("a.yaml", "1")], Some("no b/c.yaml")),
            (&[("a.yaml", "1"), ("b/c.yaml", "2"), ("d", "")], Some("d as well")),
            (&[("a.yaml", "1"), ("b/c.yaml", "2\n")], Some("other bytes in b/c.yaml")),
        ];
        for (synced, told) in cases {
            assert_eq!(difference(&branch, &files(synced)).as_deref(), told);
        }
    }

    #[test]
    fn hidden_markers_are_left_out() {
        assert_eq!(visible("<!-- butler:reply -->\nMerged.\n\n  as abc\n"), "Merged.\n\n  as abc");
    }
}
