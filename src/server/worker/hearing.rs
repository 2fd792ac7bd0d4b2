//! Commands that no delivery told: GitHub does not send again what nobody took, and a lost database loses the inbox. So
//! comments are read from GitHub when a process first looks at a repository, and once in each sweep's time. A lost
//! database loses effects that waited, too: of commands that were decided their replies and reactions are seen to again.

use super::{WorkError, Worker, commands::reply_key, session::Session};
use crate::{
    adapters::github::Found,
    engine::event::{Comment, RepoName},
};
use jiff::{SignedDuration, Timestamp};
use std::{collections::BTreeSet, sync::PoisonError};

/// GitHub's clock and ours may differ by so much.
const SKEW: SignedDuration = SignedDuration::from_mins(10);
/// With the database gone, comments that are this much older than the last state are read: longer than GitHub lets
/// people redeliver, and than a job that is parked goes unnoticed.
const LOST: SignedDuration = SignedDuration::from_hours(72);
/// States searched for the time at which the memory began.
const STATES: usize = 2000;

impl Worker {
    /// Remembers that there is nothing older to be heard in a repository.
    pub(super) async fn heard_just_now(&self, repo: &RepoName) -> Result<(), WorkError> {
        self.store.set_heard(repo, self.clock.now()).await?;
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(repo.clone());
        Ok(())
    }

    fn hears_for_the_first_time(&self, repo: &RepoName) -> bool {
        !self.heard.lock().unwrap_or_else(PoisonError::into_inner).contains(repo)
    }
}

impl Session<'_> {
    /// Puts comments into the inbox that it missed: undecided ones, and decided ones whose reply is not there. Where the
    /// database does not know what was done, reactions that may be missing are asked for once more: GitHub keeps one.
    pub async fn hear_what_was_missed(&mut self) -> Result<(), WorkError> {
        let worker = self.worker;
        let now = worker.clock.now();
        let interval = SignedDuration::try_from(worker.options.sweep).unwrap_or(SignedDuration::from_mins(5));
        let before = worker.store.heard(self.repo).await?;
        if before.is_some_and(|at| now.duration_since(at) < interval) && !worker.hears_for_the_first_time(self.repo) {
            return Ok(());
        }
        let since = match before {
            Some(at) => at.saturating_sub(SKEW).unwrap_or(at),
            None => self.since_the_memory().await?,
        };
        let found = worker.forge.comments_since(self.repo, since).await?;
        let (mut missed, mut reactions) = (Vec::new(), Vec::new());
        for one in found.iter().filter(|one| !one.comment.author_is_bot) {
            if self.is_missed(one, &found) {
                missed.push(one.comment.clone());
            } else if let Some(decisions) = self.memory.commands.get(&one.comment.id).filter(|_| before.is_none()) {
                reactions.push(self.reaction_to(one.comment.id, decisions)?);
            }
        }
        worker.store.enqueue(&reactions, now).await?;
        let new = worker.store.inbox_add(&missed).await?;
        if new > 0 {
            tracing::info!(new, "comments that no delivery told");
        }
        worker.heard_just_now(self.repo).await
    }

    /// An edit carries no command, so what was edited before it was read is left alone.
    fn is_missed(&self, one: &Found, all: &[Found]) -> bool {
        let Comment { id, created_at, .. } = one.comment;
        match self.memory.commands.contains_key(&id) {
            true => !all.iter().any(|other| other.answers(&self.identity.bot_login, &reply_key(id))),
            false => !one.edited && !self.memory.decided(id, created_at),
        }
    }

    /// How far back comments may be unheard where the database does not tell: a while before the last state, but not
    /// before there was any.
    async fn since_the_memory(&self) -> Result<Timestamp, WorkError> {
        let (mirror, tip) = (self.mirror.clone(), self.memory_commit.clone());
        let states: BTreeSet<Timestamp> = Self::blocking(move || match tip {
            Some(tip) => Ok(mirror.first_parent_history(&tip, STATES)?.into_iter().map(|commit| commit.time).collect()),
            None => Ok(BTreeSet::new()),
        })
        .await?;
        let now = self.worker.clock.now();
        let (began, last) = (states.first().copied().unwrap_or(now), states.last().copied().unwrap_or(now));
        Ok(last.saturating_sub(LOST).unwrap_or(last).max(began))
    }
}
