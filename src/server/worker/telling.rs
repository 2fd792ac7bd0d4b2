//! Check runs on the default branch's head: what keeps lines from being updated, and what Flux writes.

use super::{Effect, WorkError, session::Session};
use crate::{
    adapters::github::Conclusion,
    engine::{
        memory::line_key,
        plan::{Stands, UpdatePlan, is_updated},
        wording::{self, Agreement, CheckText, Finding, Watched},
    },
};
use jiff::Timestamp;
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The store's scopes of what the check runs said last, and on which commit.
const FINDINGS_TOLD: &str = "findings-told";
const SHADOW_TOLD: &str = "shadow-told";
/// The store's scope of the values that Flux was first seen not to have written, and when.
const WAITING: &str = "shadow-waiting";

impl Session<'_> {
    /// Says what keeps lines from being updated.
    pub async fn tell_findings(&mut self) -> Result<(), WorkError> {
        self.find_problems().await?;
        // The list may be cut: what somebody has to act on goes first.
        self.findings.sort_by_key(|finding| !finding.failing);
        // Several plans may look at one line.
        let mut seen = HashSet::new();
        self.findings.retain(|finding| seen.insert(finding.clone()));
        let failing = self.findings.iter().any(|finding| finding.failing);
        let conclusion = match (self.findings.is_empty(), failing) {
            (true, _) => Conclusion::Success,
            (false, false) => Conclusion::Neutral,
            (false, true) => Conclusion::Failure,
        };
        let text = wording::findings(&self.findings);
        self.tell("butler/update", FINDINGS_TOLD, conclusion, text, self.findings.is_empty()).await
    }

    /// Adds what is wrong with policies, automations and annotations themselves, where no line's finding tells it.
    async fn find_problems(&mut self) -> Result<(), WorkError> {
        let config = self.config.clone();
        let mut told = BTreeSet::new();
        for environment in config.environments.iter().filter(|environment| is_updated(environment)) {
            let branch = self.branch_of(environment);
            if !told.insert(branch.clone()) {
                continue;
            }
            let Some(state) = self.branch(&branch).await? else { continue };
            let elsewhere = (branch != self.default_branch).then_some(branch.as_str());
            let problems = state.bindings.problems.iter();
            let untold = problems.filter(|problem| !self.findings.iter().any(|finding| finding.tells(problem)));
            let more: Vec<Finding> = untold.filter_map(|problem| Finding::of_problem(elsewhere, problem)).collect();
            self.findings.extend(more);
        }
        Ok(())
    }

    /// Notes what Flux wrote, beside what butler would have written.
    pub fn note_shadow(&mut self, environment: &str, plan: &UpdatePlan) {
        self.agreement.agree += plan.agree;
        self.agreement.uncompared += plan.uncompared;
        self.agreement.others.extend(plan.changes.iter().filter_map(|change| Watched::of(environment, change)));
    }

    /// Says what Flux writes, and whether butler would have written the same.
    pub async fn tell_agreement(&mut self) -> Result<(), WorkError> {
        let mut agreement = std::mem::take(&mut self.agreement);
        self.date(&mut agreement).await?;
        let conclusion = if agreement.differs() { Conclusion::Neutral } else { Conclusion::Success };
        let text = wording::agreement(&agreement);
        self.tell("butler/shadow", SHADOW_TOLD, conclusion, text, agreement.is_empty()).await
    }

    /// Since when lines wait, where the registry does not tell: since they were first seen to. The store may forget that.
    async fn date(&self, agreement: &mut Agreement) -> Result<(), WorkError> {
        let (store, now, key) = (&self.worker.store, self.worker.clock.now(), self.repo.to_string());
        let before: Option<(BTreeMap<String, Timestamp>, _)> = store.fact(WAITING, &key).await?;
        let before = before.map(|(before, _)| before).unwrap_or_default();
        let mut waiting = BTreeMap::new();
        for Watched { environment, change, stands, .. } in &mut agreement.others {
            if let Stands::Waits { since: since @ None } = stands {
                let what = format!("{environment} {} {}", line_key(&change.line), change.new);
                let first = before.get(&what).copied().unwrap_or(now);
                *since = Some(first);
                waiting.insert(what, first);
            }
        }
        if waiting != before {
            store.put_fact(WAITING, &key, &waiting, now).await?;
        }
        Ok(())
    }

    /// Puts a check run on the default branch's head: once for each text, and on each new head while somebody has to act.
    /// A head that there is `nothing` to say of needs none, unless it carries one that says otherwise.
    async fn tell(
        &self,
        check: &str,
        scope: &str,
        conclusion: Conclusion,
        text: CheckText,
        nothing: bool,
    ) -> Result<(), WorkError> {
        let (store, now, key) = (&self.worker.store, self.worker.clock.now(), self.repo.to_string());
        let Some(head) = self.head(&self.default_branch).cloned() else { return Ok(()) };
        let told = if nothing { String::new() } else { wording::fingerprint(&text) };
        let before: Option<((String, String), _)> = store.fact(scope, &key).await?;
        let (told_at, told_before) = before.map(|(before, _)| before).unwrap_or_default();
        let same = told == told_before && (conclusion != Conclusion::Failure || told_at == head);
        let nothing_to_mend = nothing && told_at != head;
        if !same && !nothing_to_mend {
            store.enqueue(&[Effect::check(&head, check, conclusion, text).job(self.repo)?], now).await?;
        }
        if !same {
            store.put_fact(scope, &key, &(head, told), now).await?;
        }
        Ok(())
    }
}
