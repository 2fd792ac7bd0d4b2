//! Merging butler's pull requests: when somebody who may says so, or butler.yaml does, and everything required is there.

use super::{WorkError, pulls::retargeted, session::Session};
use crate::{
    adapters::github::{BranchRules, MergeOutcome, Pull, ReviewState, last_words},
    engine::{
        command::Permission,
        memory::{Decision, Merged, Outcome},
        wording,
    },
};
use std::collections::BTreeSet;

impl Session<'_> {
    /// Merges what somebody asked to be merged, where it may be. Returns the sentence that says what it waits for, and
    /// whether something was merged.
    pub async fn merge_if_asked(
        &mut self,
        head: &str,
        branch: &str,
        automatic: bool,
    ) -> Result<(Option<String>, bool), WorkError> {
        let Some(record) = self.memory.pulls.get(head).cloned() else { return Ok((None, false)) };
        let Some(pull) = self.pulls.get(head).cloned() else { return Ok((None, false)) };
        // Lists do not tell whether it can be merged.
        let pull = match record.merge.is_some() || automatic {
            true => self.worker.forge.pull(self.repo, pull.number).await?,
            false => pull,
        };
        let asked = record.merge.clone();
        if asked.is_none() && !automatic {
            return Ok((None, false));
        }
        if let Some(asked) = &asked
            && (asked.plan != record.plan || asked.head != record.head)
        {
            return Ok((
                Some(format!("#{} changed since {} asked to merge it", pull.number, wording::code(&asked.by))),
                false,
            ));
        }
        if asked.is_some() {
            self.restate.insert(pull.number);
        }
        if pull.base_ref != branch {
            return Ok((Some(retargeted(&pull)), false));
        }
        if let Some(asked) = &asked {
            // The memory names who asked; whether they may is asked again now.
            let needed = self.needed("merge", self.target_of(head).as_deref());
            let has = self.worker.forge.role(self.repo, &asked.by).await?;
            if has.is_none_or(|has| has < needed) {
                let by = wording::code(&asked.by);
                return Ok((Some(format!("#{}: {by} may not merge it any more", pull.number)), false));
            }
        }
        if self.head_without_updates(head, &pull).await? != record.head {
            // What was asked for was another commit; it is not asked for any more.
            let mut memory = self.memory.clone();
            if let Some(record) = memory.pulls.get_mut(head) {
                record.merge = None;
            }
            self.remember(memory, &format!("#{} has a person's commits: not merged", pull.number)).await?;
            let why = "somebody committed to its branch since; butler leaves the merge to people";
            return Ok((Some(format!("#{}: {why}", pull.number)), false));
        }
        let rules = self.worker.forge.branch_rules(self.repo, &pull.base_ref).await?;
        if let Some(waits) = self.missing_for_merge(&pull, &rules).await? {
            return Ok((Some(format!("#{} waits: {waits}", pull.number)), false));
        }
        let title = self.title_of(&record.head, &pull).await?;
        self.last_word().await?;
        let by = asked.as_ref().map(|asked| format!("Butler-Requested-By: {}\n", asked.by)).unwrap_or_default();
        let message = format!("Merges #{}.\n\nButler-Plan: {}\n{by}", pull.number, record.plan);
        let outcome = self.merge_as_allowed(&pull, &rules, &title, &message).await?;
        let commit = match outcome {
            MergeOutcome::Merged { sha } | MergeOutcome::AlreadyMerged { sha } => sha,
            MergeOutcome::HeadMoved => {
                return Err(WorkError::Again(format!("#{} moved before the merge", pull.number)));
            }
            MergeOutcome::BaseMoved => return Err(WorkError::Again(format!("the base of #{} moved", pull.number))),
            MergeOutcome::NotMergeable { why } | MergeOutcome::MethodRefused { why } => {
                return Ok((
                    Some(format!("#{} cannot be merged: {}", pull.number, wording::plain(why.trim_end_matches('.')))),
                    false,
                ));
            }
        };
        tracing::info!(number = pull.number, commit, "merged");
        let mut memory = self.memory.clone();
        if let Some(record) = memory.pulls.get_mut(head) {
            record.end(pull.number, Some(&pull.head_sha));
            record.requested = None;
            record.merge = None;
            record.land(pull.number, self.worker.clock.now());
            record.merged = Some(Merged {
                number: pull.number,
                comment: asked.as_ref().map_or(0, |asked| asked.comment),
                by: asked.map(|asked| asked.by).unwrap_or_default(),
                commit: commit.clone(),
            });
        }
        self.remember(memory, &format!("merge: #{} as {commit}", pull.number)).await?;
        self.pulls.remove(head);
        self.delete_head(head).await?;
        Ok((None, true))
    }

    /// What the pull request carries, in the words of butler's commit on its head: a newer plan may wait by now.
    async fn title_of(&self, head: &str, pull: &Pull) -> Result<String, WorkError> {
        let (mirror, head) = (self.mirror.clone(), head.to_owned());
        let commits = Self::blocking(move || Ok(mirror.first_parent_history(&head, 1)?)).await?;
        let subject = commits.first().and_then(|commit| commit.message.lines().next());
        Ok(subject.map_or_else(|| format!("Merge #{}", pull.number), str::to_owned))
    }

    /// Merges in the first way that the repository and the branch's rules allow: a merge commit, a squash, a rebase. What
    /// GitHub does not tell beforehand it tells when asked to merge.
    async fn merge_as_allowed(
        &self,
        pull: &Pull,
        rules: &BranchRules,
        title: &str,
        message: &str,
    ) -> Result<MergeOutcome, WorkError> {
        let why = "the repository's settings and the branch's rules together allow no way to merge".to_owned();
        let mut outcome = MergeOutcome::MethodRefused { why };
        for method in self.merge_methods.iter().filter(|method| rules.merge_methods.contains(method)) {
            let forge = &self.worker.forge;
            outcome = forge.merge(self.repo, pull.number, &pull.head_sha, *method, title, message).await?;
            if !matches!(outcome, MergeOutcome::MethodRefused { .. }) {
                break;
            }
        }
        Ok(outcome)
    }

    /// What was merged last from a head branch: `` merged #1 as 1a2b3c4, as `ann` asked ``.
    pub fn merged_in_words(&self, head: &str) -> String {
        let Some(merged) = self.memory.pulls.get(head).and_then(|record| record.merged.as_ref()) else {
            return "merged".into();
        };
        let by = if merged.by.is_empty() { String::new() } else { format!(", as {} asked", wording::code(&merged.by)) };
        format!("#{} was merged as {}{by}", merged.number, merged.commit)
    }

    /// What keeps a pull request from being merged, as far as butler can see. Being on a bypass list is no permission.
    async fn missing_for_merge(&self, pull: &Pull, rules: &BranchRules) -> Result<Option<String>, WorkError> {
        if pull.draft {
            return Ok(Some("it is a draft".into()));
        }
        if pull.mergeable == Some(false) {
            return Ok(Some("it conflicts with its base".into()));
        }
        if rules.required_approvals > 0 {
            let reviews = self.worker.forge.reviews(self.repo, pull.number).await?;
            let mut approvals = 0;
            for review in last_words(&reviews) {
                let may = self.worker.forge.role(self.repo, &review.author).await?;
                match review.state {
                    _ if may.is_none_or(|may| may < Permission::Write) => {}
                    ReviewState::Approved if review.commit == pull.head_sha => approvals += 1,
                    ReviewState::ChangesRequested => {
                        return Ok(Some(format!("{} asked for changes", wording::code(&review.author))));
                    }
                    _ => {}
                }
            }
            if approvals < rules.required_approvals {
                return Ok(Some(format!("{approvals} of {} approvals", rules.required_approvals)));
            }
        }
        if !rules.required_checks.is_empty() {
            let checks = self.worker.forge.checks(self.repo, &pull.head_sha).await?;
            let missing: Vec<String> = rules
                .required_checks
                .iter()
                .filter(|name| !checks.succeeded(name))
                .map(|name| wording::code(name))
                .collect();
            if !missing.is_empty() {
                return Ok(Some(format!("the check {} has not succeeded", missing.join(", "))));
            }
        }
        Ok(None)
    }

    /// Says again what became of merges that people asked for: those that wait, those that came to an end, and those that
    /// an earlier attempt did and did not live to tell.
    pub async fn restate_merges(&mut self) -> Result<(), WorkError> {
        let merged = self.memory.pulls.values().filter_map(|record| record.merged.as_ref());
        let mut numbers: BTreeSet<u64> = merged.map(|merged| merged.number).collect();
        numbers.append(&mut self.restate);
        let asked_for = |decisions: &[Decision]| {
            decisions.iter().find_map(|decision| match decision.outcome {
                Outcome::Merging { number, .. } if numbers.contains(&number) => Some(number),
                _ => None,
            })
        };
        let commands = self.memory.commands.iter();
        let due: Vec<(u64, u64, Vec<Decision>)> = commands
            .filter_map(|(comment, decisions)| Some((asked_for(decisions)?, *comment, decisions.clone())))
            .collect();
        for (number, comment, decisions) in due {
            self.reply_to(number, comment, &decisions).await?;
        }
        Ok(())
    }
}
