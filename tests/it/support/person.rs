//! A person at their own clone, with the `git` command line.

use std::{fs, path::Path, process::Command};
use tempfile::TempDir;

/// A clone in a folder of its own, which goes with it.
pub struct Person {
    folder: TempDir,
    name: String,
}

impl Person {
    /// Clones `url`, which may carry credentials: `http://user:password@host/owner/name`. An empty repository is cloned
    /// with `main` checked out.
    pub fn clone(url: &str, name: &str) -> Person {
        let person = Person { folder: TempDir::new().unwrap(), name: name.to_owned() };
        person.git(&["clone", "--quiet", url, "."]);
        if person.try_git(&["rev-parse", "--verify", "--quiet", "HEAD"]).is_err() {
            person.git(&["symbolic-ref", "HEAD", "refs/heads/main"]);
        }
        person
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Runs git in the clone and returns what it printed, trimmed; panics with git's words where it fails.
    pub fn git(&self, args: &[&str]) -> String {
        self.try_git(args).unwrap_or_else(|words| panic!("git {args:?}: {words}"))
    }

    /// As [`Person::git`], for what is meant to fail: git's words on stderr are the error.
    pub fn try_git(&self, args: &[&str]) -> Result<String, String> {
        let email = format!("{}@example.com", self.name.to_lowercase());
        let output = Command::new("git")
            .args(args)
            .current_dir(self.folder())
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", &self.name)
            .env("GIT_AUTHOR_EMAIL", &email)
            .env("GIT_COMMITTER_NAME", &self.name)
            .env("GIT_COMMITTER_EMAIL", &email)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    /// Writes a file below the clone, and the folders it needs.
    pub fn write(&self, file: &str, text: &str) -> &Person {
        let path = self.folder().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// A file's text in the clone.
    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.folder().join(file)).unwrap()
    }

    /// Commits everything that changed, even when nothing did, and returns the commit's id.
    pub fn commit(&self, message: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.head()
    }

    /// The id of the commit that is checked out.
    pub fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    /// Checks a branch out, newly made from where one stands if it does not exist.
    pub fn checkout(&self, branch: &str) -> &Person {
        if self.try_git(&["checkout", "--quiet", branch]).is_err() {
            self.git(&["checkout", "--quiet", "-b", branch]);
        }
        self
    }

    pub fn pull(&self) -> &Person {
        self.git(&["pull", "--quiet", "--ff-only", "origin", "HEAD"]);
        self
    }

    /// Pushes the branch that is checked out.
    pub fn push(&self) -> &Person {
        self.git(&["push", "--quiet", "origin", "HEAD"]);
        self
    }

    pub fn force_push(&self) -> &Person {
        self.git(&["push", "--quiet", "--force", "origin", "HEAD"]);
        self
    }

    /// Moves the branch that is checked out to a commit, without pushing.
    pub fn reset_hard(&self, commit: &str) -> &Person {
        self.git(&["reset", "--quiet", "--hard", commit]);
        self
    }

    /// Deletes a branch at the remote.
    pub fn delete_branch(&self, branch: &str) -> &Person {
        self.git(&["push", "--quiet", "origin", "--delete", branch]);
        self
    }

    /// The subjects of the remote branch's first parents, newest first, freshly fetched.
    pub fn log(&self, branch: &str) -> Vec<String> {
        self.git(&["fetch", "--quiet", "origin", branch]);
        let text = self.git(&["log", "--first-parent", "--format=%s", "FETCH_HEAD"]);
        text.lines().map(str::to_owned).collect()
    }
}
