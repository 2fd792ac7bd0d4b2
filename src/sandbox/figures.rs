//! What the walk measures: butler's way from the event to the pushed commit beside git's own push of the same commit, and
//! the memory that the process takes.

use super::{
    Sandbox, sample,
    tools::{ToolError, git},
    walk::WalkError,
};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// So many bare pushes are made, each to a repository of its own; the one in the middle counts.
const PUSHES: usize = 3;

/// Figures of one walk. They say something about the machine as well; nothing is asserted of them.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    /// From the registry's event to the commit on the branch, with the debounce.
    pub event_to_commit: Duration,
    /// What of that is waiting for more events.
    pub debounce: Duration,
    /// `git push` of the same commit to a repository that has its parent, through the same server.
    pub bare_push: Duration,
    /// Resident memory of this process, with everything that the sandbox stands in for; `None` where the system does not
    /// say.
    pub resident_kib: Option<u64>,
}

impl Figures {
    /// butler's time without the debounce, as a multiple of the bare push's.
    pub fn ratio(&self) -> f64 {
        self.event_to_commit.saturating_sub(self.debounce).as_secs_f64() / self.bare_push.as_secs_f64()
    }
}

/// Pushes `commit` with the git command line to repositories that hold its parent, through the emulator's HTTP.
pub async fn bare_push(sandbox: &Sandbox, login: &str, commit: &str, work: &Path) -> Result<Duration, WalkError> {
    let parts = &sandbox.parts;
    let clone = work.join("measured.git");
    let clone = clone.display().to_string();
    git(work, &["clone", "--quiet", "--bare", &parts.url_for(login, sample::REPOSITORY), &clone]).await?;
    let mut times = Vec::new();
    for number in 1..=PUSHES {
        let name = format!("acme/bare-{number}");
        parts.github.create_repository(&name, &[])?;
        // butler is not to look at it.
        parts.github.uninstall(&name)?;
        parts.github.set_role(&name, login, Some(super::github::Role::Write))?;
        let url = parts.url_for(login, &name);
        push(&clone, &url, &format!("{commit}^")).await?;
        let start = Instant::now();
        push(&clone, &url, commit).await?;
        times.push(start.elapsed());
    }
    times.sort_unstable();
    Ok(times.get(PUSHES / 2).copied().unwrap_or_default())
}

async fn push(clone: &str, url: &str, commit: &str) -> Result<(), ToolError> {
    git(Path::new(clone), &["push", "--quiet", url, &format!("{commit}:refs/heads/main")]).await.map(drop)
}

/// `VmRSS` of this process, in KiB (Linux's proc(5)).
pub fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}
