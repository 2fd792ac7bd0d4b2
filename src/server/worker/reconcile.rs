//! A config repository, reconciled: read it, hear its people, make it as it should be.

use super::{Effect, Held, WorkError, Worker, memory, session::Session};
use crate::{
    adapters::{
        github::{Conclusion, ForgeError, Pull, RepositoryInfo},
        store::{Debounce, JobRequest, Outcome},
    },
    engine::{
        config::{self, Config},
        event::RepoName,
        memory::{MEMORY_REF, Memory},
        plan::Facts,
        wording::{self, MemoryTrouble},
    },
};
use jiff::SignedDuration;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// Attempts at one job, when the world moves meanwhile.
const ATTEMPTS: usize = 8;
/// When something could not be asked (a registry that is away).
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(60);
/// butler.yaml is never larger.
const CONFIG_LIMIT: usize = 1024 * 1024;

/// What butler.yaml says, read from the default branch.
enum Consent {
    /// There is none: the repository is observed, nothing is written.
    None,
    Invalid {
        blob: Arc<str>,
        errors: Vec<String>,
    },
    Given {
        blob: Arc<str>,
        config: Arc<Config>,
    },
}

impl Worker {
    /// Makes a repository as it should be. `jobs` are the effects that follow, whatever the result.
    pub(super) async fn reconcile(
        &self,
        repo: &RepoName,
        held: &Held,
        jobs: &mut Vec<JobRequest>,
    ) -> Result<Outcome, WorkError> {
        let info = match self.forge.repository(repo).await {
            Ok(info) => info,
            Err(ForgeError::NotFound { .. }) => {
                tracing::info!("not installed on this repository, or it is gone");
                return Ok(Outcome::Done { again_at: None });
            }
            Err(error) => return Err(error.into()),
        };
        if info.archived || info.fork || info.template {
            tracing::info!("archived, a fork or a template: never written");
            return Ok(Outcome::Done { again_at: None });
        }
        let mut last = String::new();
        for _ in 0..ATTEMPTS {
            match self.attempt(repo, &info, held, jobs).await {
                Ok(Some(outcome)) => return Ok(outcome),
                Ok(None) => {}
                Err(WorkError::Again(why)) => {
                    tracing::info!(why, "planned again");
                    last = why;
                }
                Err(error) => return Err(error),
            }
        }
        Err(WorkError::Retry { at: None, why: format!("the repository keeps moving: {last}") })
    }

    /// One attempt; `None`: branches moved by butler's own hand, look again.
    async fn attempt(
        &self,
        repo: &RepoName,
        info: &RepositoryInfo,
        held: &Held,
        jobs: &mut Vec<JobRequest>,
    ) -> Result<Option<Outcome>, WorkError> {
        let done = Ok(Some(Outcome::Done { again_at: None }));
        let mirror = self.mirror(repo)?;
        let fetched = mirror.clone();
        let heads = Session::blocking(move || Ok(fetched.fetch(&["refs/heads/*", MEMORY_REF])?)).await?;
        let Some(head) = heads.get(&format!("refs/heads/{}", info.default_branch)).cloned() else { return done };

        let (reading, at) = (mirror.clone(), head.clone());
        let consent = Session::blocking(move || consent(&reading, &at)).await?;
        self.report_config(repo, &head, &consent).await?;
        let config = match consent {
            Consent::Given { config, .. } => config,
            Consent::Invalid { .. } => return done,
            Consent::None => {
                // Nobody is listening: what is said now must not be carried out when there is a butler.yaml one day.
                for comment in self.store.inbox(repo).await? {
                    self.store.inbox_done(repo, comment.id, self.clock.now()).await?;
                }
                return done;
            }
        };
        if config.blocks_everything().is_some() {
            return done;
        }

        let debounce = Debounce { quiet: config.updates.quiet, at_most: config.updates.at_most };
        self.store.set_debounce(repo, debounce, self.clock.now()).await?;
        let identity = self.identity().await?;
        let mut session = Session {
            worker: self,
            repo,
            held,
            mirror,
            heads,
            default_branch: info.default_branch.clone(),
            config,
            memory: Memory::new(),
            memory_commit: None,
            identity,
            facts: Facts::default(),
            branches: HashMap::new(),
            heard: BTreeSet::new(),
            standings: BTreeMap::new(),
            pulls: BTreeMap::new(),
            restate: BTreeSet::new(),
            declined: BTreeSet::new(),
            stopped: BTreeSet::new(),
            merge_methods: info.merge_methods.clone(),
            findings: Vec::new(),
            agreement: wording::Agreement::default(),
            look_again: false,
        };
        if let Err(trouble) = session.recall().await? {
            let found = session.heads.get(MEMORY_REF).map(String::as_str);
            let last_seen = self.store.seen_state(repo).await?;
            let text = wording::memory_refused(&trouble, found, last_seen.as_deref());
            tracing::error!(%trouble, "butler's memory is not believed: nothing is written");
            jobs.push(Effect::check(&head, "butler/memory", Conclusion::Failure, text).job(repo)?);
            self.store.put_fact("memory-refused", &repo.to_string(), &head, self.clock.now()).await?;
            return done;
        }
        let refused: Option<(String, _)> = self.store.fact("memory-refused", &repo.to_string()).await?;
        if let Some((refused, _)) = refused.filter(|(refused, _)| !refused.is_empty()) {
            let text = wording::memory_mended();
            jobs.push(Effect::check(&refused, "butler/memory", Conclusion::Success, text).job(repo)?);
            self.store.put_fact("memory-refused", &repo.to_string(), &"", self.clock.now()).await?;
        }
        session.settle_pulls().await?;
        session.hear_what_was_missed().await?;
        let comments = session.decide_commands().await?;
        // What is decided for good is answered whatever becomes of the rest.
        let (shown, settled) = comments.into_iter().partition::<Vec<_>, _>(|comment| session.shows_work(comment));
        session.finish(&settled).await?;
        let moved = match session.work().await {
            Ok(moved) => moved,
            Err(error) => {
                session.answer_in_spite(&shown, &error).await?;
                return Err(error);
            }
        };
        session.finish(&shown).await?;
        if moved {
            return Ok(None);
        }
        let again_at = session.look_again.then(|| self.clock.now().checked_add(LOOK_AGAIN).ok()).flatten();
        Ok(Some(Outcome::Done { again_at }))
    }

    /// A check run says whether butler.yaml can be used: once for each version of it, and on each new head while it
    /// cannot.
    async fn report_config(&self, repo: &RepoName, head: &str, consent: &Consent) -> Result<(), WorkError> {
        let (told, conclusion, text) = match consent {
            Consent::None => return Ok(()),
            Consent::Invalid { blob, errors } => {
                (format!("{blob} {head}"), Conclusion::Failure, wording::config_invalid(errors))
            }
            Consent::Given { blob, config } => {
                let warnings: Vec<String> = config.not_yet().iter().map(ToString::to_string).collect();
                let text = wording::config_valid(config.environments.len(), config.promotions.len(), &warnings);
                (blob.to_string(), Conclusion::Success, text)
            }
        };
        let key = repo.to_string();
        let before: Option<String> = self.store.fact("config-told", &key).await?.map(|(told, _)| told);
        if before.as_ref() != Some(&told) {
            let check = Effect::check(head, "butler/config", conclusion, text).job(repo)?;
            self.store.enqueue(&[check], self.clock.now()).await?;
            self.store.put_fact("config-told", &key, &told, self.clock.now()).await?;
        }
        Ok(())
    }
}

/// Reads butler.yaml at a commit.
fn consent(mirror: &crate::adapters::git::Mirror, commit: &str) -> Result<Consent, WorkError> {
    let mut found = HashMap::new();
    for file in Config::files() {
        found.extend(mirror.entry_at(commit, file)?.map(|entry| (file, entry)));
    }
    let file = match config::locate(|file| found.contains_key(file)) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(Consent::None),
        Err(error) => return Ok(Consent::Invalid { blob: commit.into(), errors: vec![error.to_string()] }),
    };
    let Some(entry) = found.get(file) else { return Ok(Consent::None) };
    let bytes = mirror.read_blob(&entry.id, CONFIG_LIMIT)?;
    let blob = entry.id.clone();
    let Ok(text) = String::from_utf8(bytes) else {
        return Ok(Consent::Invalid { blob, errors: vec![format!("{file}: expected UTF-8 text")] });
    };
    Ok(match config::parse(file, &text) {
        Ok(config) => Consent::Given { blob, config: Arc::new(config) },
        Err(errors) => Consent::Invalid { blob, errors: errors.iter().map(ToString::to_string).collect() },
    })
}

impl Session<'_> {
    /// Reads the memory, or begins one: before anything else is written, so that own commits without a memory mean that
    /// it vanished.
    async fn recall(&mut self) -> Result<Result<(), MemoryTrouble>, WorkError> {
        let seen = self.worker.store.seen_state(self.repo).await?;
        let (mirror, heads, keys) = (self.mirror.clone(), self.heads.clone(), self.worker.keys.clone());
        let (name, last) = (self.repo.to_string(), seen.clone());
        let found = Self::blocking(move || memory::read(&mirror, &heads, &keys, &name, last.as_deref())).await?;
        match found {
            Err(trouble) => Ok(Err(trouble)),
            Ok(memory::Found::Memory { commit, memory }) => {
                self.memory = *memory;
                self.memory_commit = Some(commit.clone());
                if seen.as_deref() != Some(&commit) {
                    let lease = self.held.lease().await;
                    self.worker.store.set_seen_state(&lease, &commit, self.worker.clock.now()).await?;
                }
                Ok(Ok(()))
            }
            Ok(memory::Found::Absent) => {
                // What was said before butler came was not said to it.
                self.worker.heard_just_now(self.repo).await?;
                let mut branches: Vec<String> =
                    self.config.environments.iter().map(|environment| self.branch_of(environment)).collect();
                branches.push(self.default_branch.clone());
                // Merged ones too: GitHub committed them, or the person who merged.
                let is_ours = |pull: &Pull| pull.head_ref.starts_with("butler/");
                let (mirror, heads, email) = (self.mirror.clone(), self.heads.clone(), self.identity.commit_email());
                let traces = Self::blocking(move || memory::has_own_commits(&mirror, &heads, &branches, &email))
                    .await?
                    || self.worker.forge.own_pulls(self.repo, "all").await?.iter().any(is_ours);
                if traces {
                    return Ok(Err(MemoryTrouble::Vanished { last_seen: None }));
                }
                self.remember(Memory::new(), "begin: butler's memory of this repository").await?;
                Ok(Ok(()))
            }
        }
    }

    /// Remembers which images matter here, before registries are asked about them: an image that is pushed later than
    /// that finds who follows it, and one that was pushed before is in the answer.
    async fn index_images(&mut self) -> Result<(), WorkError> {
        let config = self.config.clone();
        let mut images = BTreeSet::new();
        for environment in &config.environments {
            let branch = self.branch_of(environment);
            if let Some(state) = self.branch(&branch).await? {
                images.extend(state.bindings.images().cloned());
            }
        }
        Ok(self.worker.store.index_images(self.repo, &images).await?)
    }

    /// Makes everything as it should be. Returns whether branches moved by butler's own hand.
    async fn work(&mut self) -> Result<bool, WorkError> {
        self.delete_left_heads().await?;
        self.close_orphans().await?;
        self.index_images().await?;
        let mut moved = self.update_all().await?;
        moved |= self.promote_all().await?;
        self.tell_findings().await?;
        self.tell_agreement().await?;
        self.restate_merges().await?;
        Ok(moved)
    }

    /// Answers these comments: the replies are in the journal before the inbox forgets them.
    async fn finish(&mut self, comments: &[crate::engine::event::Comment]) -> Result<(), WorkError> {
        let now = self.worker.clock.now();
        self.answer(comments).await?;
        for comment in comments {
            self.worker.store.inbox_done(self.repo, comment.id, now).await?;
        }
        Ok(())
    }
}
