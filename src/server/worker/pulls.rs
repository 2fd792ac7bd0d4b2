//! butler's own pull requests: one for each head branch, found again by it, refreshed in place, closed when nothing is
//! left. How they are merged is in [`super::merging`].
//!
//! What butler is about to put on a head branch is remembered before it is put there: whatever else stands there is a
//! person's.

use super::{WorkError, publish::Published, session::Session};
use crate::{
    adapters::github::{ForgeError, Pull, PullSpec, PullState as PullStatus},
    engine::{
        config::PullRequest,
        manifest::LineId,
        memory::{self, Decline, Merged, PullRecord, line_file},
        plan::{Change, PullAction, PullState, Skip, decide_pull},
        snapshot::Snapshot,
        wording::{self, Finding, PullText},
    },
};
use std::{collections::BTreeMap, sync::Arc};

/// Who commits when a person presses "Update branch".
const UPDATER: &str = "noreply@github.com";
/// More merges of the base into one head than these are somebody at work on it.
const MOST_UPDATES: usize = 20;

/// What a pull request is to carry.
pub struct PullWork {
    pub head: String,
    /// The promotion's name, or `update:<environment>`.
    pub edge: String,
    /// The branch that it is to be merged into, and the commit that was planned on.
    pub branch: String,
    pub base: String,
    /// The source's commit, for promotions.
    pub source: String,
    pub changes: Vec<Change>,
    pub hash: String,
    pub message: String,
    /// What is declined when a person closes it: decline key and value.
    pub keys: BTreeMap<String, String>,
    pub options: PullRequest,
    /// Title and body, from the unified diff.
    pub text: Arc<dyn Fn(&str) -> PullText + Send + Sync>,
    /// Whether one may be opened where there is none.
    pub may_open: bool,
}

/// Where a pull request stands after it was looked after: a sentence for people.
pub struct Stands {
    pub sentence: String,
}

/// What became of writing a pull request.
enum Written {
    Open {
        number: u64,
    },
    /// The server does not take the head branch from butler. The sentence says why, in Markdown.
    Refused {
        why: String,
        finding: Finding,
    },
}

/// Whether a body was written for another plan. One without butler's marker is a person's, and stays.
fn shows_another_plan(body: &str, hash: &str) -> bool {
    body.contains("<!-- butler:plan:") && !body.contains(&format!("<!-- butler:plan:{hash} -->"))
}

impl Session<'_> {
    /// Reads butler's open pull requests, and notices those that ended since: merged, or closed by a person (which
    /// declines what they proposed).
    pub async fn settle_pulls(&mut self) -> Result<(), WorkError> {
        let expects_any = self.memory.pulls.values().any(|record| record.number != record.ended);
        let has_heads = self.heads.keys().any(|name| name.starts_with("refs/heads/butler/"));
        self.pulls = match expects_any || has_heads {
            true => self
                .worker
                .forge
                .own_pulls(self.repo, "open")
                .await?
                .into_iter()
                .map(|p| (p.head_ref.clone(), p))
                .collect(),
            false => BTreeMap::new(),
        };
        let mut memory = self.memory.clone();
        let mut ended = Vec::new();
        for (head, record) in &memory.pulls {
            let Some(number) = record.number.filter(|number| record.ended != Some(*number)) else { continue };
            if self.pulls.get(head).is_some_and(|pull| pull.number == number) {
                continue;
            }
            let pull = match self.worker.forge.pull(self.repo, number).await {
                Ok(pull) if pull.state == PullStatus::Open => continue,
                Ok(pull) => pull,
                Err(ForgeError::NotFound { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let by = match pull.merged {
                true => None,
                // For people to read: not knowing it is no reason to wait.
                false => self.worker.forge.closed_by(self.repo, number).await.unwrap_or_else(|error| {
                    tracing::warn!(%error, number, "who closed it?");
                    None
                }),
            };
            let ours = self.head(head) == Some(&pull.head_sha) && self.is_ours(record, &pull).await?;
            ended.push((head.clone(), pull, by, ours));
        }
        if ended.is_empty() {
            return Ok(());
        }
        let now = self.worker.clock.now();
        let mut said = Vec::new();
        for (head, pull, by, ours) in &ended {
            let Some(record) = memory.pulls.get_mut(head) else { continue };
            let (values, merge) = (std::mem::take(&mut record.values), record.merge.take());
            record.end(pull.number, ours.then_some(&pull.head_sha));
            record.requested = None;
            if merge.is_some() {
                self.restate.insert(pull.number);
            }
            if pull.merged {
                record.values = values;
                record.land(pull.number, now);
                // butler's own merge whose answer was lost counts for the one who asked, and so does a person's.
                if let (Some(merge), Some(commit)) = (merge, &pull.merge_sha) {
                    let (comment, by, commit) = (merge.comment, merge.by, commit.clone());
                    record.merged = Some(Merged { number: pull.number, comment, by, commit });
                }
                said.push(format!("#{} merged", pull.number));
            } else {
                for (what, value) in values {
                    let why = format!("#{} was closed", pull.number);
                    memory.decline(Decline { what, value, why, by: by.clone(), at: now, ended: None });
                }
                said.push(format!("#{} closed", pull.number));
            }
        }
        self.remember(memory, &said.join(", ")).await
    }

    /// Removes the heads of pull requests that ended: now, or in an attempt that did not live to do it.
    pub async fn delete_left_heads(&mut self) -> Result<(), WorkError> {
        let open = |head: &str| self.pulls.contains_key(head);
        // A new plan for the same head has values again.
        let over =
            |record: &PullRecord| record.number.is_some() && record.ended == record.number && record.values.is_empty();
        let left: Vec<String> = self
            .memory
            .pulls
            .iter()
            .filter(|(head, record)| over(record) && !open(head) && self.head(head) == Some(&record.head))
            .map(|(head, _)| head.clone())
            .collect();
        for head in left {
            self.delete_head(&head).await?;
        }
        Ok(())
    }

    /// Removes a head branch that still stands where butler put it.
    pub(super) async fn delete_head(&mut self, head: &str) -> Result<(), WorkError> {
        let Some(at) = self.head(head).cloned() else { return Ok(()) };
        let ours = self.memory.pulls.get(head).is_some_and(|record| record.head == at);
        if ours {
            self.move_branch(head, Some(at), None).await?;
        }
        Ok(())
    }

    /// Why an open pull request is left as it stands though its plan carries nothing now: one of its lines is held, or what
    /// it should be cannot be told. Only where each is as it should be, or declined, has it nothing left to do. `key` names
    /// a line as the record does.
    pub fn left_as_it_is(
        &self,
        head: &str,
        snapshot: &Snapshot,
        skipped: &[Skip],
        key: &dyn Fn(&LineId) -> String,
    ) -> Option<String> {
        let (pull, record) = (self.pulls.get(head)?, self.memory.pulls.get(head)?);
        let proposed = |skip: &&Skip| {
            let scan = snapshot.scans.get(&skip.file);
            let line = scan.and_then(|scan| {
                let line = scan.lines.iter().find(|line| line.position == skip.position)?;
                Some((key(&scan.line_id(&skip.file, line)), &line.value))
            });
            match line {
                Some((line, stands)) => record.values.get(&line).is_some_and(|value| value != stands),
                // A value that is still to be put into the file.
                None => record.values.keys().any(|line| line_file(line) == skip.file),
            }
        };
        let skip = skipped.iter().filter(|skip| skip.code != "declined").find(proposed)?;
        let held = self.memory.holds_at(self.worker.clock.now()).find(|hold| hold.sentence() == skip.reason);
        let why = held.map_or_else(|| wording::code(&skip.reason), memory::hold_in_words);
        Some(format!("#{} stays as it is: {why}", pull.number))
    }

    /// Makes the pull request carry exactly this, and says where it stands.
    pub async fn converge_pull(&mut self, work: PullWork) -> Result<Stands, WorkError> {
        let pull = self.pulls.get(&work.head).cloned();
        let standing_at = self.head(&work.head).cloned();
        let record = self.memory.pulls.get(&work.head).cloned();
        let state = match (&pull, &standing_at) {
            (Some(pull), _) => PullState::Open {
                number: pull.number,
                head: self.head_without_updates(&work.head, pull).await?,
                reviewed: self.under_review(record.as_ref(), &work.hash, pull.number).await?,
                mergeable: pull.mergeable,
            },
            // The branch stands there without a pull request: butler's, or somebody else's.
            (None, Some(at)) if !record.as_ref().is_some_and(|record| record.stands_at(at)) => {
                PullState::Foreign { number: 0 }
            }
            _ => PullState::None,
        };
        if let Some(pull) = &pull {
            self.note_number(&work.head, pull.number).await?;
            if pull.base_ref != work.branch {
                return Ok(Stands { sentence: retargeted(pull) });
            }
        }
        let mut record = record;
        if let (Some(pull), Some(record)) = (&pull, &mut record)
            && record.before.as_deref() == Some(&pull.head_sha)
            && record.head != pull.head_sha
        {
            // The plan was remembered, and its push did not come to pass.
            record.plan.clear();
        }
        let action = decide_pull(&work.hash, work.changes.len(), record.as_ref(), &state);
        tracing::debug!(head = work.head, ?action, changes = work.changes.len(), "pull request");
        let open = |number: u64| Stands { sentence: format!("#{number} is open: {}", wording::summary(&work.changes)) };
        match (action, pull) {
            (PullAction::Keep, Some(pull)) if shows_another_plan(&pull.body, &work.hash) => {
                // Pushed by an attempt that did not live to say so.
                let diff = self.commit(&work.base, &work.changes, &work.message).await?.1;
                Ok(open(self.show_pull(&work, &diff).await?.number))
            }
            (PullAction::Keep, Some(pull)) => Ok(open(pull.number)),
            (PullAction::Keep, None) => Ok(Stands { sentence: "nothing to carry".into() }),
            (PullAction::Write, None) if !work.may_open => Ok(Stands {
                sentence: format!("waits for {}: {}", wording::code("/promote"), wording::summary(&work.changes)),
            }),
            (PullAction::Write, pull) => Ok(match self.write_pull(&work, record, pull).await? {
                Written::Open { number } => open(number),
                Written::Refused { why, finding } => {
                    self.findings.push(finding);
                    Stands { sentence: format!("{why}: {}", wording::summary(&work.changes)) }
                }
            }),
            (PullAction::Close, Some(pull)) => {
                self.close(&work.head, &pull, &wording::nothing_left()).await?;
                Ok(Stands { sentence: "nothing is left to carry".into() })
            }
            (PullAction::Announce, Some(pull)) => {
                let body = wording::newer_plan(&wording::summary(&work.changes));
                self.say(pull.number, "newer", body).await?;
                Ok(open(pull.number))
            }
            (PullAction::Edited, Some(pull)) => {
                let body = wording::edited(&work.head);
                self.say(pull.number, "edited", body).await?;
                Ok(Stands { sentence: format!("#{} has a person's commits; butler leaves it alone", pull.number) })
            }
            (PullAction::Foreign { .. }, _) => Ok(Stands {
                sentence: format!("the branch {} is not butler's; delete or rename it", wording::code(&work.head)),
            }),
            (action, None) => Err(WorkError::Bug(format!("{action:?} without a pull request"))),
        }
    }

    /// Whether people judge what stands there: somebody reviewed it, or asked to merge it. Asked only where it matters.
    async fn under_review(&self, record: Option<&PullRecord>, hash: &str, number: u64) -> Result<bool, WorkError> {
        let Some(record) = record.filter(|record| record.plan != hash) else { return Ok(false) };
        Ok(record.merge.is_some() || !self.worker.forge.reviews(self.repo, number).await?.is_empty())
    }

    /// The pull request's head; GitHub's "Update branch" merges of the base do not count as a person's commits.
    pub(super) async fn head_without_updates(&self, head: &str, pull: &Pull) -> Result<String, WorkError> {
        let Some(record) = self.memory.pulls.get(head) else { return Ok(pull.head_sha.clone()) };
        Ok(if self.is_ours(record, pull).await? { record.head.clone() } else { pull.head_sha.clone() })
    }

    /// Whether a pull request's head is what butler put there, with nothing but the base merged into it since.
    pub(super) async fn is_ours(&self, record: &PullRecord, pull: &Pull) -> Result<bool, WorkError> {
        if record.stands_at(&pull.head_sha) {
            return Ok(true);
        }
        let Some(base) = self.head(&pull.base_ref).cloned() else { return Ok(false) };
        let (mirror, mut at, ours) = (self.mirror.clone(), pull.head_sha.clone(), record.head.clone());
        Self::blocking(move || {
            for _ in 0..MOST_UPDATES {
                if at == ours {
                    return Ok(true);
                }
                let Some(commit) = mirror.first_parent_history(&at, 1)?.into_iter().next() else { return Ok(false) };
                let [first, second] = commit.parents.as_slice() else { return Ok(false) };
                // Names can be forged, a tree cannot: all that it may bring in is the base branch's.
                let is_update = commit.committer.email == UPDATER
                    && mirror.is_ancestor(second, &base)?
                    && mirror.is_plain_merge(&at)?;
                if !is_update {
                    return Ok(false);
                }
                at = first.clone();
            }
            Ok(false)
        })
        .await
    }

    async fn write_pull(
        &mut self,
        work: &PullWork,
        record: Option<PullRecord>,
        pull: Option<Pull>,
    ) -> Result<Written, WorkError> {
        let standing_at = self.head(&work.head).cloned();
        let (mut commit, diff) = self.commit(&work.base, &work.changes, &work.message).await?;
        let already = record.as_ref().is_some_and(|record| {
            record.plan == work.hash && record.base == work.base && standing_at.as_ref() == Some(&record.head)
        });
        if !already {
            if let Some(meant) = self.meant(work, standing_at.as_ref()).await? {
                commit = meant;
            }
            let mut memory = self.memory.clone();
            let record = memory.pulls.entry(work.head.clone()).or_insert_with(|| PullRecord::of(&work.edge));
            record.before = standing_at.clone();
            record.head = commit.clone();
            record.plan = work.hash.clone();
            record.source = work.source.clone();
            record.base = work.base.clone();
            record.values = work.keys.clone();
            // An approval or a `/merge` was of the plan that stood there.
            record.merge = None;
            self.remember(memory, &format!("plan: {} {}", work.edge, work.hash)).await?;
            match self.move_branch(&work.head, standing_at, Some(commit)).await? {
                Published::Done { .. } => {}
                Published::Protected { in_the_way: Some(other), .. } => {
                    let why = format!("{} is in the way of {}", wording::code(&other), wording::code(&work.head));
                    return Ok(Written::Refused { why, finding: Finding::in_the_way(&work.head, &other) });
                }
                Published::Protected { message, in_the_way: None } => {
                    let (head, said) = (wording::code(&work.head), wording::code(&message));
                    let why = format!("{head} refuses butler's push ({said})");
                    return Ok(Written::Refused { why, finding: Finding::protected_head(&work.head, &message) });
                }
            }
        }
        let opened = self.show_pull(work, &diff).await?;
        tracing::info!(number = opened.number, head = work.head, new = pull.is_none(), "pull request");
        let number = opened.number;
        self.pulls.insert(work.head.clone(), opened);
        self.note_number(&work.head, number).await?;
        Ok(Written::Open { number })
    }

    /// The commit that butler meant to put on the head branch before, and could not: the same work is the same commit, so
    /// that trying again remembers nothing new.
    async fn meant(&self, work: &PullWork, standing_at: Option<&String>) -> Result<Option<String>, WorkError> {
        let meant = self.memory.pulls.get(&work.head).filter(|record| {
            record.plan == work.hash && record.base == work.base && record.before.as_ref() == standing_at
        });
        let Some(meant) = meant.map(|record| record.head.clone()) else { return Ok(None) };
        let (mirror, base, message) = (self.mirror.clone(), work.base.clone(), work.message.clone());
        Self::blocking(move || {
            // Not there where the mirror was lost since.
            let found = mirror.first_parent_history(&meant, 1).unwrap_or_default().into_iter().next();
            Ok(found.filter(|found| found.parents == [base] && found.message == message).map(|found| found.id))
        })
        .await
    }

    /// Makes the pull request's title and body say what it carries; opens it where there is none.
    async fn show_pull(&self, work: &PullWork, diff: &str) -> Result<Pull, WorkError> {
        let PullText { title, body } = (work.text)(diff);
        let spec = PullSpec {
            head: work.head.clone(),
            base: work.branch.clone(),
            title,
            body,
            labels: work.options.labels.clone(),
            reviewers: work.options.users.clone(),
            team_reviewers: work.options.teams.clone(),
            draft: work.options.draft,
        };
        let ensured = self.worker.forge.ensure_pull(self.repo, &spec).await?;
        for finding in &ensured.findings {
            tracing::warn!(head = work.head, finding, "pull request");
        }
        Ok(ensured.pull)
    }

    /// Remembers the number of the pull request that is open from this head: its end is noticed by it.
    async fn note_number(&mut self, head: &str, number: u64) -> Result<(), WorkError> {
        let mut memory = self.memory.clone();
        if let Some(record) = memory.pulls.get_mut(head) {
            record.number = Some(number);
        }
        self.remember(memory, &format!("pull: {head} is #{number}")).await
    }

    /// Closes a pull request of butler's and says why. It is remembered as ended first: a person's close would decline
    /// its versions.
    pub(super) async fn close(&mut self, head: &str, pull: &Pull, why: &str) -> Result<(), WorkError> {
        let mut memory = self.memory.clone();
        if let Some(record) = memory.pulls.get_mut(head) {
            if record.merge.is_some() {
                self.restate.insert(pull.number);
            }
            record.end(pull.number, Some(&pull.head_sha));
            record.values.clear();
            record.merge = None;
        }
        self.remember(memory, &format!("close: #{}", pull.number)).await?;
        // Said first, and at once: nobody looks again at what is closed.
        self.worker.forge.say(self.repo, pull.number, "closed", why).await?;
        self.worker.forge.close_pull(self.repo, pull.number).await?;
        self.pulls.remove(head);
        self.delete_head(head).await
    }
}

/// Somebody turned the pull request to another branch: what it is merged into is theirs to decide.
pub(super) fn retargeted(pull: &Pull) -> String {
    let base = wording::code(&pull.base_ref);
    format!("#{} was turned to {base}; butler leaves it alone until it is turned back or closed", pull.number)
}
