//! Updates of environments: planned with facts until nothing is missing, then written the environment's way.

use super::{WorkError, promotions::update_head, publish::Published, pulls::PullWork, session::Session};
use crate::{
    adapters::git::{BranchState, CommitInfo, Identity},
    engine::{
        config::{Environment, Merge, UnparsedFiles, UpdateMode},
        memory::{Decline, line_file, line_key},
        plan::{
            Change, Fact, ForeignCommit, Need, Planned, Scopes, Skip, UpdateInputs, UpdatePlan, component_of,
            is_updated, plan_hash, update,
        },
        snapshot::Snapshot,
        wording::{self, Finding, Stopped, update_commit, update_commits},
    },
    server::facts::ask_registries,
};
use jiff::SignedDuration;
use std::{collections::BTreeSet, sync::Arc};

/// More rounds of questions than this are a bug in the planner.
pub const ROUNDS: usize = 8;
/// How many commits are searched for who set a line back.
const LATELY: usize = 50;
/// How many commits are searched for one of Flux v1's: more than two weeks of a busy repository.
const FLUX_V1_LATELY: usize = 2_000;
/// How long a list of tags that no event made stale is used again: many pushes in a row cost one question.
const TAGS_FRESH: SignedDuration = SignedDuration::from_secs(30);

impl Session<'_> {
    /// Updates every environment that butler writes. Returns whether branches moved under what was planned: a pull request
    /// was merged, or a commit went into a file that a pull request changes as well.
    pub async fn update_all(&mut self) -> Result<bool, WorkError> {
        let config = self.config.clone();
        let mut moved = false;
        for environment in &config.environments {
            if is_updated(environment) && config.blocks_environment(&environment.name).is_none() {
                moved |= self.update_one(environment).await?;
            }
        }
        Ok(moved)
    }

    async fn update_one(&mut self, environment: &Environment) -> Result<bool, WorkError> {
        let branch = self.branch_of(environment);
        let Some(state) = self.branch(&branch).await? else {
            self.findings.push(Finding::no_branch(&environment.name, &branch));
            return Ok(false);
        };
        let plan = self.plan_update(environment, &branch, &state).await?;
        self.look_again |= plan.skipped.iter().any(|skip| skip.code == "registry-unavailable");
        for skip in &plan.skipped {
            tracing::info!(
                environment = environment.name,
                file = skip.file,
                code = %skip.code,
                reason = skip.reason,
                "skipped"
            );
            self.findings.extend(Finding::of(&environment.name, skip));
        }
        let declined = plan.skipped.iter().filter(|skip| skip.code == "declined");
        self.declined.extend(declined.map(|skip| (environment.name.clone(), skip.reason.clone())));
        self.note_stopped(&environment.name, &state.snapshot, &plan.skipped);
        self.note_hand_edits(&plan.hand_edits, &branch).await?;
        self.note_shadow(&environment.name, &plan);

        let ours = plan.changes.iter().filter(|change| change.shadowed.is_none());
        let (careful, direct): (Vec<Change>, Vec<Change>) = ours.cloned().partition(|change| change.downgrade);
        let mut by_pull = careful;
        let mut why = "A downgrade is never committed without a person's word.";
        match environment.update {
            _ if direct.is_empty() => {}
            UpdateMode::PullRequest => {
                by_pull.extend(direct);
                why = "This environment is updated by pull request.";
            }
            mode => {
                let commit = self.commit_update(&plan, &state, &direct).await?;
                match self.move_branch(&branch, Some(state.commit.clone()), Some(commit)).await? {
                    Published::Done { commit } => {
                        tracing::info!(
                            environment = environment.name,
                            branch,
                            commit,
                            changes = direct.len(),
                            "updated"
                        );
                    }
                    Published::Protected { message, .. } if mode == UpdateMode::Auto => {
                        tracing::info!(branch, message, "the branch takes no commits: by pull request");
                        by_pull.extend(direct);
                        why = "The branch takes no direct commits.";
                    }
                    Published::Protected { message, .. } => {
                        self.findings.push(Finding::protected(&environment.name, &branch, &message));
                    }
                }
            }
        }
        self.update_by_pull(environment, &branch, plan, by_pull, why).await
    }

    /// One commit for each automation on top of the branch, one after the other; returns the last. No ref moves.
    async fn commit_update(
        &self,
        plan: &UpdatePlan,
        state: &BranchState,
        changes: &[Change],
    ) -> Result<String, WorkError> {
        let mut head = state.commit.clone();
        let mut before: Vec<Change> = Vec::new();
        for commit in update_commits(plan, &state.snapshot, &state.bindings, changes) {
            let author = commit.author.filter(|_| self.config.commits.author.is_none()).and_then(identity);
            let author = author.unwrap_or_else(|| self.author());
            // All changes were planned on the same blobs: of a file that two commits touch, the second one's edits are
            // put beside the first one's.
            let files: BTreeSet<&str> = commit.changes.iter().map(|change| change.line.file.as_str()).collect();
            let again = before.iter().filter(|change| files.contains(change.line.file.as_str()));
            let edits: Vec<Change> = again.chain(&commit.changes).cloned().collect();
            (head, _) = self.commit_as(author, &head, &edits, &commit.message).await?;
            before.extend(commit.changes);
        }
        Ok(head)
    }

    async fn update_by_pull(
        &mut self,
        environment: &Environment,
        branch: &str,
        plan: UpdatePlan,
        changes: Vec<Change>,
        why: &str,
    ) -> Result<bool, WorkError> {
        let head = update_head(&environment.name);
        let known = self.memory.pulls.contains_key(&head) || self.pulls.contains_key(&head);
        if changes.is_empty() && !known {
            return Ok(false);
        }
        let Some(state) = self.branch(branch).await? else { return Ok(false) };
        if changes.is_empty()
            && let Some(sentence) = self.left_as_it_is(&head, &state.snapshot, &plan.skipped, &line_key)
        {
            self.note_standing(head, None, environment.name.clone(), sentence);
            return Ok(false);
        }
        // A direct commit may have moved the branch: the rest is planned on what is there now.
        let planned = changes.len();
        let still: Vec<Change> =
            changes.into_iter().filter(|change| state.snapshot.blob(&change.line.file) == &*change.edit.blob).collect();
        if still.len() < planned {
            // It changed a file of theirs, too: they are planned again, and not taken out of the pull request meanwhile.
            return Ok(true);
        }
        let message = update_commit(&plan, &still);
        let why = why.to_owned();
        let empty = still.is_empty();
        let work = PullWork {
            head: head.clone(),
            edge: format!("update:{}", environment.name),
            branch: branch.to_owned(),
            base: state.commit.clone(),
            source: String::new(),
            hash: plan_hash(&still),
            message,
            options: self.config.updates.pull_request.clone(),
            keys: still.iter().map(|change| (line_key(&change.line), change.new.clone())).collect(),
            text: Arc::new({
                let changes = still.clone();
                move |diff: &str| wording::update_pull(&plan, &changes, diff, &why)
            }),
            changes: still,
            may_open: true,
        };
        // A downgrade is merged by a person's word alone.
        let down = work.changes.iter().any(|change| change.downgrade);
        let stands = self.converge_pull(work).await?;
        if empty {
            return Ok(false);
        }
        let automatic = self.config.updates.pull_request.merge == Merge::Auto && !down;
        let (waits, merged) = self.merge_if_asked(&head, branch, automatic).await?;
        let sentence = if merged { self.merged_in_words(&head) } else { waits.unwrap_or(stands.sentence) };
        self.note_standing(head, None, environment.name.clone(), sentence);
        Ok(merged)
    }

    /// Plans with what is known, fetches what is missing, plans again.
    async fn plan_update(
        &mut self,
        environment: &Environment,
        branch: &str,
        state: &Arc<BranchState>,
    ) -> Result<UpdatePlan, WorkError> {
        for _ in 0..ROUNDS {
            match self.plan_once(environment, branch, state) {
                Planned::Ready(plan) => return Ok(plan),
                Planned::Needs(needs) => self.learn(needs).await?,
            }
        }
        Err(WorkError::Bug(format!("the update of {} still asks questions after {ROUNDS} rounds", environment.name)))
    }

    fn plan_once(&self, environment: &Environment, branch: &str, state: &BranchState) -> Planned<UpdatePlan> {
        let scopes = Scopes::of(&self.config);
        // Only environments of this repository are planned.
        let Some(scope) = scopes.get(&environment.name) else { return Planned::Ready(UpdatePlan::default()) };
        update(&UpdateInputs {
            environment: scope,
            others: &scopes.others(&environment.name, |other| self.branch_of(other) == branch),
            branch,
            snapshot: &state.snapshot,
            bindings: &state.bindings,
            memory: &self.memory,
            facts: &self.facts,
            now: self.worker.clock.now(),
            downgrade: self.config.updates.downgrade,
            edit_unparsed: self.config.dialects.unparsed_files == UnparsedFiles::Edit,
            take_over: self.config.dialects.flux.take_over,
            with_history: true,
        })
    }

    /// Answers a plan's questions: registries, the tag cache, the history.
    pub async fn learn(&mut self, needs: BTreeSet<Need>) -> Result<(), WorkError> {
        let now = self.worker.clock.now();
        let mut asked = BTreeSet::new();
        for need in needs {
            match &need {
                Need::OwnWrites { branch, file } => {
                    let Some(head) = self.head(branch).cloned() else { continue };
                    let (mirror, reader) = (self.mirror.clone(), self.worker.reader.clone());
                    let (path, email) = (file.clone(), self.identity.commit_email());
                    let writes = Self::blocking(move || Ok(reader.own_writes(&mirror, &head, &path, &email)?)).await?;
                    let fact = Fact::Known { value: Arc::new(writes), as_of: now };
                    self.facts.own_writes.insert((branch.clone(), file.clone()), fact);
                }
                Need::FluxV1 { branch } => {
                    let Some(head) = self.head(branch).cloned() else { continue };
                    let (mirror, email) = (self.mirror.clone(), self.identity.commit_email());
                    let value = Self::blocking(move || {
                        let history = mirror.first_parent_history(&head, FLUX_V1_LATELY)?;
                        Ok(history.into_iter().find(|commit| commit.is_by_flux_v1(&email)))
                    });
                    let value = value.await?.map(|CommitInfo { id, time, .. }| ForeignCommit { commit: id, at: time });
                    self.facts.flux_v1.insert(branch.clone(), Fact::Known { value, as_of: now });
                }
                Need::Tags(repository) => {
                    let cached = self.worker.store.cached_tags(repository).await?;
                    let fresh = |as_of| as_of >= self.worker.started && now.duration_since(as_of) < TAGS_FRESH;
                    match cached.filter(|cached| fresh(cached.as_of)) {
                        Some(cached) => {
                            let fact = Fact::Known { value: Arc::new(cached.tags), as_of: cached.as_of };
                            self.facts.tags.insert(repository.clone(), fact);
                        }
                        None => {
                            asked.insert(need);
                        }
                    }
                }
                Need::Digest { .. } | Need::Times { .. } => {
                    asked.insert(need);
                }
            }
        }
        ask_registries(&self.worker.registry, Some(&self.worker.store), &asked, &mut self.facts, now).await;
        for need in &asked {
            if let Need::Tags(repository) = need
                && let Some(Fact::Known { value, .. }) = self.facts.tags.get(repository)
            {
                self.worker.store.cache_tags(repository, value, now).await?;
            }
        }
        Ok(())
    }

    /// Notes the lines that the circuit breaker stopped, for `/status`.
    pub fn note_stopped(&mut self, environment: &str, snapshot: &Snapshot, skipped: &[Skip]) {
        for skip in skipped.iter().filter(|skip| skip.code == "circuit-breaker") {
            let line = snapshot.scans.get(&skip.file).and_then(|scan| {
                let line = scan.lines.iter().find(|line| line.position == skip.position)?;
                Some(component_of(&scan.line_id(&skip.file, line), line))
            });
            self.stopped.insert(Stopped {
                environment: environment.to_owned(),
                component: line.unwrap_or_else(|| skip.file.clone()),
                place: format!("{}:{}", skip.file, skip.position),
                reason: skip.reason.clone(),
            });
        }
    }

    /// Lines of a branch that a person set back are remembered as declined.
    pub async fn note_hand_edits(&mut self, declines: &[Decline], branch: &str) -> Result<(), WorkError> {
        if declines.is_empty() {
            return Ok(());
        }
        let mut memory = self.memory.clone();
        for decline in declines {
            let by = self.last_other_author(branch, line_file(&decline.what)).await?;
            memory.decline(Decline { by, ..decline.clone() });
        }
        self.remember(memory, &format!("decline: {} lines set back by hand", declines.len())).await
    }

    /// Who changed a file last, butler aside; as the commit says, so for people to read and for nothing else.
    async fn last_other_author(&self, branch: &str, file: &str) -> Result<Option<String>, WorkError> {
        let Some(head) = self.head(branch).cloned() else { return Ok(None) };
        let (mirror, file, own) = (self.mirror.clone(), file.to_owned(), self.identity.commit_email());
        Self::blocking(move || {
            let versions = mirror.file_history(&head, &file, LATELY)?;
            let others = versions.into_iter().find(|version| version.commit.author.email != own);
            Ok(others.map(|version| version.commit.author.name))
        })
        .await
    }
}

/// A name and email from a manifest, where git can take them.
fn identity((name, email): (String, String)) -> Option<Identity> {
    let name = if name.trim().is_empty() { email.clone() } else { name };
    let takes = |text: &str| !text.trim().is_empty() && !text.contains(['<', '>', '\n', '\r', '\0']);
    (takes(&name) && takes(&email)).then_some(Identity { name, email })
}
