//! The `git` command line: what the sandbox needs of it, and what it checks and measures with it.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
};
use tokio::process::Command;

/// Why git did not do it. Somebody must install or mend something.
#[derive(Debug, thiserror::Error)]
pub enum ToolError {
    #[error("expected `git` on PATH, found none ({0}); install it (Debian: apt-get install git)")]
    NoGit(std::io::Error),
    #[error(
        "expected git's HTTP server at {0}/git-http-backend, found none; it comes with git (Fedora: dnf install git-core, \
         Alpine: apk add git-daemon)"
    )]
    NoHttpBackend(String),
    #[error(
        "expected requests to 127.0.0.1 to go there directly, found a proxy in {0}; everything of the sandbox is on \
         127.0.0.1: set NO_PROXY=127.0.0.1"
    )]
    Proxy(&'static str),
    #[error("`git {command}` failed: {message}")]
    Failed { command: String, message: String },
}

/// Checks that git and its HTTP server are there, and that no proxy comes between.
pub async fn check() -> Result<(), ToolError> {
    check_proxy(&|name| std::env::var(name).ok())?;
    let folder = git(Path::new("."), &["--exec-path"]).await?;
    if Path::new(&folder).join("git-http-backend").is_file() { Ok(()) } else { Err(ToolError::NoHttpBackend(folder)) }
}

/// What curl (git) and reqwest go by, for plain HTTP.
fn check_proxy(env: &dyn Fn(&str) -> Option<String>) -> Result<(), ToolError> {
    const PROXIES: [&str; 4] = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];
    let set = |name: &str| env(name).filter(|value| !value.trim().is_empty());
    let direct = ["no_proxy", "NO_PROXY"]
        .into_iter()
        .filter_map(set)
        .any(|list| list.split(',').map(str::trim).any(|entry| matches!(entry, "*" | "127.0.0.1" | "127.0.0.0/8")));
    match PROXIES.into_iter().find(|name| set(name).is_some()) {
        Some(name) if !direct => Err(ToolError::Proxy(name)),
        _ => Ok(()),
    }
}

/// Runs git in a folder, with none of the machine's own configuration, and gives what it printed, trimmed.
pub async fn git(folder: &Path, args: &[&str]) -> Result<String, ToolError> {
    let output = Command::new("git")
        .args(args)
        .current_dir(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::null())
        .output()
        .await
        .map_err(ToolError::NoGit)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let command = args.first().copied().unwrap_or_default().to_owned();
    Err(ToolError::Failed { command, message: reason(&output.stderr, output.status) })
}

/// What a command that failed said, or else how it ended.
fn reason(stderr: &[u8], status: ExitStatus) -> String {
    match String::from_utf8_lossy(stderr).trim() {
        "" => format!("it gave no reason ({status})"),
        said => said.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{check_proxy, reason};
    use std::{os::unix::process::ExitStatusExt as _, process::ExitStatus};

    #[test]
    fn a_failure_without_a_word_tells_how_it_ended() {
        for (stderr, status, told) in [
            ("fatal: no\n", 128 << 8, "fatal: no"),
            ("\n", 1 << 8, "it gave no reason (exit status: 1)"),
            ("", 9, "it gave no reason (signal: 9 (SIGKILL))"),
        ] {
            assert_eq!(reason(stderr.as_bytes(), ExitStatus::from_raw(status)), told);
        }
    }

    #[test]
    fn a_proxy_must_leave_loopback_alone() {
        let cases: [(&[(&str, &str)], bool); 6] = [
            (&[], true),
            (&[("https_proxy", "http://proxy:3128")], true),
            (&[("HTTP_PROXY", "http://proxy:3128")], false),
            (&[("http_proxy", "")], true),
            (&[("all_proxy", "http://proxy:3128"), ("no_proxy", "example.com")], false),
            (&[("http_proxy", "http://proxy:3128"), ("NO_PROXY", "example.com, 127.0.0.1")], true),
        ];
        for (variables, fine) in cases {
            let env = |name: &str| variables.iter().find(|(n, _)| *n == name).map(|(_, value)| value.to_string());
            assert_eq!(check_proxy(&env).is_ok(), fine, "{variables:?}");
        }
    }
}
