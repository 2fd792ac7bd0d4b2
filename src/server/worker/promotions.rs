//! Promotions: each edge is planned, and its pull request (or its commit) made so.

use super::{WorkError, publish::Published, pulls::PullWork, session::Session, updates::ROUNDS};
use crate::{
    adapters::git::BranchState,
    engine::{
        config::{Config, Edge, Environment, Merge, Mode, Open, UpdateMode, Write},
        memory::promotion_key,
        plan::{Planned, PromotionInputs, PromotionPlan, Scope, Side, promotion},
        wording::{self, Finding, Merging, Standing, promotion_commit, promotion_pull},
    },
};
use std::sync::Arc;

const PROMOTIONS: &str = "butler/promote/";
const UPDATES: &str = "butler/update/";

/// The fixed head branch of an edge: `butler/promote/<name>`, and `butler/promote/<name>+<from>+<to>` where a promotion
/// has several. All are leaves of one folder, since git cannot hold a ref and another below it, and no name holds a `+`.
pub fn head_of(config: &Config, edge: &Edge<'_>) -> String {
    let name = &edge.promotion.name;
    match config.edges().iter().filter(|other| other.promotion.name == *name).count() {
        0 | 1 => format!("{PROMOTIONS}{name}"),
        _ => format!("{PROMOTIONS}{name}+{}+{}", edge.from.name, edge.to.name),
    }
}

/// The head branch of an environment's updates.
pub fn update_head(environment: &str) -> String {
    format!("{UPDATES}{environment}")
}

impl Session<'_> {
    /// Looks after every edge. Returns whether something was merged or committed: then branches moved, and the edges
    /// behind them are to be looked at again.
    pub async fn promote_all(&mut self) -> Result<bool, WorkError> {
        let config = self.config.clone();
        let mut moved = false;
        for edge in config.edges() {
            let head = head_of(&config, &edge);
            let (sentence, merged) = self.promote_edge(&config, &edge, &head).await?;
            moved |= merged;
            self.note_standing(head, Some(edge.from.name.clone()), edge.to.name.clone(), sentence);
        }
        Ok(moved)
    }

    /// Notes where a pull request (or a promotion by commit) stands.
    pub fn note_standing(&mut self, head: String, from: Option<String>, to: String, sentence: String) {
        let record = self.memory.pulls.get(&head);
        let merging = record.and_then(|record| {
            let (number, merge) = (record.number?, record.merge.as_ref()?);
            Some(Merging { number, by: merge.by.clone() })
        });
        let merged = record.and_then(|record| record.merged.clone());
        self.standings.insert(head.clone(), Standing { head, from, to, sentence, merging, merged });
    }

    async fn promote_edge(
        &mut self,
        config: &Config,
        edge: &Edge<'_>,
        head: &str,
    ) -> Result<(String, bool), WorkError> {
        let name = &edge.promotion.name;
        if edge.promotion.mode != Mode::Versions || config.blocks_promotion(name).is_some() {
            return Ok(("not available in this version of butler: see the check on butler.yaml".into(), false));
        }
        if edge.from.repository.is_some() || edge.to.repository.is_some() {
            return Ok(("promotions between repositories are not available in this version of butler".into(), false));
        }
        let (from_branch, to_branch) = (self.branch_of(edge.from), self.branch_of(edge.to));
        let Some(from) = self.branch(&from_branch).await? else {
            return Ok((format!("there is no branch {}", wording::code(&from_branch)), false));
        };
        let Some(to) = self.branch(&to_branch).await? else {
            return Ok((format!("there is no branch {}", wording::code(&to_branch)), false));
        };
        let record = self.memory.pulls.get(head).cloned();
        let requested = record.as_ref().and_then(|record| record.requested.clone());
        let components = requested.as_ref().map(|requested| requested.components.clone()).unwrap_or_default();
        let automatic = requested.is_none() && edge.promotion.write == Write::Commit;
        let sides = (&*from, from_branch.as_str(), &*to, to_branch.as_str());
        let plan = self.plan_promotion(edge, sides, automatic, &components).await?;
        self.note_hand_edits(&plan.hand_edits, &to_branch).await?;
        self.note_stopped(&edge.to.name, &to.snapshot, &plan.skipped);
        self.findings.extend(plan.skipped.iter().filter_map(|skip| Finding::of(&edge.to.name, skip)));
        let declined = plan.skipped.iter().filter(|skip| skip.code == "declined");
        self.declined.extend(declined.map(|skip| (edge.to.name.clone(), skip.reason.clone())));
        let by = requested.as_ref().map(|requested| requested.by.clone());
        let asked_for = requested.is_some() || edge.promotion.open != Open::Command;
        match edge.promotion.write {
            Write::Commit => self.promote_by_commit(edge, &to_branch, plan, head, by, asked_for).await,
            Write::PullRequest => self.promote_by_pull(edge, to_branch, plan, head, by, asked_for).await,
        }
    }

    /// Plans with what is known, fetches what is missing, plans again.
    async fn plan_promotion(
        &mut self,
        edge: &Edge<'_>,
        sides: (&BranchState, &str, &BranchState, &str),
        automatic: bool,
        components: &[String],
    ) -> Result<PromotionPlan, WorkError> {
        for _ in 0..ROUNDS {
            match self.plan_promotion_once(edge, sides, automatic, components) {
                Planned::Ready(plan) => return Ok(plan),
                Planned::Needs(needs) => self.learn(needs).await?,
            }
        }
        Err(WorkError::Bug(format!("promotion {} still asks questions after {ROUNDS} rounds", edge.promotion.name)))
    }

    fn plan_promotion_once(
        &self,
        edge: &Edge<'_>,
        (from, from_branch, to, to_branch): (&BranchState, &str, &BranchState, &str),
        automatic: bool,
        components: &[String],
    ) -> Planned<PromotionPlan> {
        let from_relative = |file: &str| edge.from.relative(file);
        let to_relative = |file: &str| edge.to.relative(file);
        let others: Vec<&Environment> = self
            .config
            .environments
            .iter()
            .filter(|other| {
                other.name != edge.to.name && other.repository.is_none() && self.branch_of(other) == to_branch
            })
            .collect();
        let contains: Vec<_> = others.iter().map(|other| |file: &str| other.contains(file)).collect();
        let others: Vec<Scope<'_>> = others
            .iter()
            .zip(&contains)
            .map(|(other, contains)| Scope { name: &other.name, contains, automatic: false })
            .collect();
        promotion(&PromotionInputs {
            name: &edge.promotion.name,
            from: Side {
                environment: &edge.from.name,
                branch: from_branch,
                snapshot: &from.snapshot,
                relative: &from_relative,
            },
            to: Side { environment: &edge.to.name, branch: to_branch, snapshot: &to.snapshot, relative: &to_relative },
            others: &others,
            bindings: &to.bindings,
            write: edge.promotion.write,
            target_updates: !matches!(edge.to.update, UpdateMode::None | UpdateMode::External),
            memory: &self.memory,
            facts: &self.facts,
            now: self.worker.clock.now(),
            automatic,
            components,
        })
    }

    async fn promote_by_commit(
        &mut self,
        edge: &Edge<'_>,
        branch: &str,
        plan: PromotionPlan,
        head: &str,
        by: Option<String>,
        asked_for: bool,
    ) -> Result<(String, bool), WorkError> {
        if plan.changes.is_empty() {
            // Carried already, by an attempt that did not live to remember it; or there was nothing to carry. Either way
            // what was asked for is done, and does not hold for what comes later.
            self.forget_request(head, &format!("promote: {} has nothing to carry", plan.name)).await?;
            return Ok((nothing(&plan), false));
        }
        if self.config.blocks_environment(&edge.to.name).is_some() {
            return Ok(("the target is protected by settings that this version does not know".into(), false));
        }
        if !asked_for {
            let wait = format!("waits for {}: {}", wording::code("/promote"), wording::summary(&plan.changes));
            return Ok((wait, false));
        }
        if by.is_none() && plan.changes.iter().any(|change| change.downgrade) {
            let wait = "would go down from what somebody put there";
            let asks = wording::code("/promote");
            return Ok((format!("{} {wait}; {asks} does it", wording::summary(&plan.changes)), false));
        }
        let message = promotion_commit(&plan, by.as_deref());
        let (commit, _) = self.commit(&plan.base, &plan.changes, &message).await?;
        match self.move_branch(branch, Some(plan.base.clone()), Some(commit)).await? {
            Published::Done { commit } => {
                self.forget_request(head, &format!("promote: {} as {commit}", plan.name)).await?;
                let short = commit.get(..7).unwrap_or(&commit).to_owned();
                Ok((format!("committed as {short}: {}", wording::summary(&plan.changes)), true))
            }
            Published::Protected { message, .. } => Ok((
                format!("the branch takes no direct commits ({}): use `write: pull-request`", wording::plain(&message)),
                false,
            )),
        }
    }

    async fn forget_request(&mut self, head: &str, summary: &str) -> Result<(), WorkError> {
        let mut memory = self.memory.clone();
        let asked = memory.pulls.get_mut(head).and_then(|record| record.requested.take());
        match asked {
            Some(_) => self.remember(memory, summary).await,
            None => Ok(()),
        }
    }

    async fn promote_by_pull(
        &mut self,
        edge: &Edge<'_>,
        branch: String,
        plan: PromotionPlan,
        head: &str,
        by: Option<String>,
        asked_for: bool,
    ) -> Result<(String, bool), WorkError> {
        let known = self.memory.pulls.contains_key(head) || self.pulls.contains_key(head);
        if plan.changes.is_empty() && !known {
            return Ok((nothing(&plan), false));
        }
        let nothing = nothing(&plan);
        // What waits is not gone: the pull request stays as it is, with all that was said on it.
        if plan.changes.is_empty()
            && let Some(to) = self.branch(&branch).await?
            && let Some(sentence) =
                self.left_as_it_is(head, &to.snapshot, &plan.skipped, &|line| promotion_key(&plan.name, line))
        {
            return Ok((sentence, false));
        }
        let work = PullWork {
            head: head.to_owned(),
            edge: plan.name.clone(),
            branch,
            base: plan.base.clone(),
            source: plan.source.clone(),
            hash: plan.hash.clone(),
            message: promotion_commit(&plan, by.as_deref()),
            keys: plan
                .changes
                .iter()
                .map(|change| (promotion_key(&plan.name, &change.line), change.new.clone()))
                .collect(),
            options: edge.promotion.pull_request.clone(),
            changes: plan.changes.clone(),
            text: Arc::new(move |diff: &str| promotion_pull(&plan, diff, by.as_deref())),
            may_open: asked_for,
        };
        let empty = work.changes.is_empty();
        let (down, branch) = (work.changes.iter().any(|change| change.downgrade), work.branch.clone());
        let shared = work.changes.iter().any(|change| !change.environments.is_empty());
        let stands = self.converge_pull(work).await?;
        if empty {
            return Ok((nothing, false));
        }
        if self.config.blocks_environment(&edge.to.name).is_some() {
            return Ok((
                format!(
                    "{}; people merge it: the target is protected by settings that this version does not know",
                    stands.sentence
                ),
                false,
            ));
        }
        let automatic = edge.promotion.pull_request.merge == Merge::Auto && !down && !shared;
        let (waits, merged) = self.merge_if_asked(head, &branch, automatic).await?;
        let sentence = match (waits, merged) {
            (Some(waits), _) => waits,
            (None, true) => self.merged_in_words(head),
            (None, false) => stands.sentence,
        };
        Ok((sentence, merged))
    }
}

/// Why nothing is carried.
fn nothing(plan: &PromotionPlan) -> String {
    let blocked: Vec<String> = plan.skipped.iter().map(|skip| wording::code(&skip.reason)).take(3).collect();
    match blocked.is_empty() {
        true => format!("nothing to promote: {} runs what {} runs", wording::code(&plan.to), wording::code(&plan.from)),
        false => format!("nothing to promote: {}", blocked.join("; ")),
    }
}
