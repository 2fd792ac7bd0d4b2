//! Promotions: each edge is planned, and its pull request (or its commit) made so.

use super::{WorkError, publish::Published, pulls::PullWork, session::Session};
use crate::{
    adapters::store::JobRequest,
    engine::{
        config::{Config, Edge, Environment, Merge, Mode, Open, UpdateMode, Write},
        memory::promotion_key,
        plan::{PromotionInputs, PromotionPlan, Side, promotion},
        wording::{self, Standing, promotion_commit, promotion_pull},
    },
};
use std::sync::Arc;

/// The fixed head branch of an edge: `butler/promote/<name>`, with the target's name where a promotion has several.
pub fn head_of(config: &Config, edge: &Edge<'_>) -> String {
    let name = &edge.promotion.name;
    match config.edges().iter().filter(|other| other.promotion.name == *name).count() {
        0 | 1 => format!("butler/promote/{name}"),
        _ => format!("butler/promote/{name}/{}-{}", edge.from.name, edge.to.name),
    }
}

impl Session<'_> {
    /// Looks after every edge. Returns whether something was merged or committed: then branches moved, and the edges
    /// behind them are to be looked at again.
    pub async fn promote_all(&mut self, jobs: &mut Vec<JobRequest>) -> Result<bool, WorkError> {
        let config = self.config.clone();
        let mut moved = false;
        for edge in config.edges() {
            let head = head_of(&config, &edge);
            let (sentence, merged) = self.promote_edge(&config, &edge, &head, jobs).await?;
            moved |= merged;
            let merged_for = self.standings.remove(&head).and_then(|standing| standing.merged_for);
            let (from, to) = (edge.from.name.clone(), edge.to.name.clone());
            self.standings.insert(head.clone(), Standing { head, from, to, sentence, merged_for });
        }
        Ok(moved)
    }

    async fn promote_edge(
        &mut self,
        config: &Config,
        edge: &Edge<'_>,
        head: &str,
        jobs: &mut Vec<JobRequest>,
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
        let plan = {
            let from_relative = |file: &str| relative(edge.from, file);
            let to_relative = |file: &str| relative(edge.to, file);
            promotion(&PromotionInputs {
                name,
                from: Side {
                    environment: &edge.from.name,
                    branch: &from_branch,
                    snapshot: &from.snapshot,
                    relative: &from_relative,
                },
                to: Side {
                    environment: &edge.to.name,
                    branch: &to_branch,
                    snapshot: &to.snapshot,
                    relative: &to_relative,
                },
                target_updates: !matches!(edge.to.update, UpdateMode::None | UpdateMode::External),
                memory: &self.memory,
                now: self.worker.clock.now(),
                components: &components,
            })
        };
        let by = requested.as_ref().map(|requested| requested.by.clone());
        let asked_for = requested.is_some() || edge.promotion.open != Open::Command;
        match edge.promotion.write {
            Write::Commit => self.promote_by_commit(config, edge, &to_branch, plan, head, by, asked_for).await,
            Write::PullRequest => self.promote_by_pull(config, edge, to_branch, plan, head, by, asked_for, jobs).await,
        }
    }

    async fn promote_by_commit(
        &mut self,
        config: &Config,
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
        if config.blocks_environment(&edge.to.name).is_some() {
            return Ok(("the target is protected by settings that this version does not know".into(), false));
        }
        if !asked_for {
            let wait = format!("waits for {}: {}", wording::code("/promote"), wording::summary(&plan.changes));
            return Ok((wait, false));
        }
        let message = promotion_commit(&plan, by.as_deref());
        let (commit, _) = self.commit(&plan.base, &plan.changes, &message).await?;
        match self.move_branch(branch, Some(plan.base.clone()), Some(commit)).await? {
            Published::Done { commit } => {
                self.forget_request(head, &format!("promote: {} as {commit}", plan.name)).await?;
                let short = commit.get(..7).unwrap_or(&commit).to_owned();
                Ok((format!("committed as {short}: {}", wording::summary(&plan.changes)), true))
            }
            Published::Protected { message } => Ok((
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

    #[expect(clippy::too_many_arguments, reason = "everything that was planned, and where it goes")]
    async fn promote_by_pull(
        &mut self,
        config: &Config,
        edge: &Edge<'_>,
        branch: String,
        plan: PromotionPlan,
        head: &str,
        by: Option<String>,
        asked_for: bool,
        jobs: &mut Vec<JobRequest>,
    ) -> Result<(String, bool), WorkError> {
        let known = self.memory.pulls.contains_key(head) || self.pulls.contains_key(head);
        if plan.changes.is_empty() && !known {
            return Ok((nothing(&plan), false));
        }
        let nothing = nothing(&plan);
        let title = wording::subject(&plan.to, &plan.changes);
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
        let stands = self.converge_pull(work, jobs).await?;
        if empty {
            return Ok((nothing, false));
        }
        if config.blocks_environment(&edge.to.name).is_some() {
            return Ok((
                format!(
                    "{}; people merge it: the target is protected by settings that this version does not know",
                    stands.sentence
                ),
                false,
            ));
        }
        let automatic = edge.promotion.pull_request.merge == Merge::Auto;
        let (waits, merged) = self.merge_if_asked(head, automatic, &title, jobs).await?;
        let sentence = match (waits, merged) {
            (Some(waits), _) => waits,
            (None, true) => "merged".into(),
            (None, false) => stands.sentence,
        };
        Ok((sentence, merged))
    }
}

/// A file's path below the environment's folder.
fn relative(environment: &Environment, file: &str) -> Option<String> {
    environment.relative(file)
}

/// Why nothing is carried.
fn nothing(plan: &PromotionPlan) -> String {
    let blocked: Vec<&str> = plan.skipped.iter().map(|skip| skip.reason.as_str()).take(3).collect();
    match blocked.is_empty() {
        true => format!("nothing to promote: {} runs what {} runs", wording::code(&plan.to), wording::code(&plan.from)),
        false => format!("nothing to promote: {}", wording::plain(&blocked.join("; "))),
    }
}
