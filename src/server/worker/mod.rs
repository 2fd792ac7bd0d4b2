//! The worker: takes what is stale, under its lease, and makes the world match the plan.

mod commands;
mod effect;
mod error;
mod hearing;
mod held;
mod memory;
mod merging;
mod orphans;
mod parked;
mod promotions;
mod publish;
mod pulls;
mod reconcile;
mod reset;
mod said;
mod session;
mod status;
mod sweep;
mod telling;
mod updates;

pub use effect::Effect;
pub use error::WorkError;

use super::clock::Clock;
use crate::{
    adapters::{
        git::{Mirror, Reader},
        github::{AppIdentity, Forge},
        registry::Registry,
        store::{JobKey, JobKind, LeasedJob, MAX_TRIES, Outcome, Store, StoreError, backoff},
    },
    engine::{event::RepoName, memory::Key},
};
use held::Held;
use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::{OnceCell, watch};

/// How the worker works; all of it has defaults in the settings.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Where mirrors are kept.
    pub data_dir: PathBuf,
    /// Where repositories are fetched from: `https://github.com`.
    pub git_url: String,
    /// How long a lease lasts without a heartbeat.
    pub lease: Duration,
    /// How often everything is compared with GitHub.
    pub sweep: Duration,
    /// Jobs done at once.
    pub count: usize,
}

/// Everything that work is done with.
pub struct Worker {
    pub(crate) store: Store,
    pub(crate) forge: Forge,
    pub(crate) registry: Registry,
    pub(crate) clock: Clock,
    pub(crate) options: WorkerOptions,
    /// The newest first: it signs; all of them are believed.
    pub(crate) keys: Vec<Key>,
    /// Whose leases they are: the name that the data folder keeps.
    owner: String,
    /// What was cached before may have missed an event.
    pub(crate) started: jiff::Timestamp,
    identity: OnceCell<AppIdentity>,
    mirrors: Mutex<HashMap<RepoName, Arc<Mirror>>>,
    reader: Arc<Reader>,
    /// The repositories whose comments this process has read.
    heard: Mutex<BTreeSet<RepoName>>,
    /// Turns true when jobs at hand are to be given up.
    halted: watch::Sender<bool>,
}

/// What [`Worker::step`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A job was done, whatever became of it.
    Did(JobKey),
    /// Nothing is due.
    Idle,
}

const KINDS: &[JobKind] = &[JobKind::Effect, JobKind::Repository, JobKind::Sweep];
/// The longest that a worker sleeps: other processes' jobs do not wake it.
const NAP: Duration = Duration::from_secs(2);

impl Worker {
    pub fn new(
        store: Store,
        forge: Forge,
        registry: Registry,
        clock: Clock,
        keys: Vec<Key>,
        owner: String,
        options: WorkerOptions,
    ) -> Self {
        Worker {
            store,
            forge,
            registry,
            started: clock.now(),
            clock,
            options,
            keys,
            owner,
            identity: OnceCell::new(),
            mirrors: Mutex::default(),
            reader: Arc::default(),
            heard: Mutex::default(),
            halted: watch::Sender::new(false),
        }
    }

    /// The journal, for whoever hands in work.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Ends the leases that an earlier process of this data folder held when it died, so that nobody waits for them to
    /// run out. The caller has made sure that it is dead.
    pub async fn take_over(&self) -> Result<u64, StoreError> {
        self.store.expire_leases_of(&self.owner, self.clock.now()).await
    }

    /// Works until `shutdown` turns true, then finishes what it is at.
    ///
    /// # Errors
    /// [`StoreError::Gone`]: it stopped by itself.
    pub async fn run(self: Arc<Self>, shutdown: watch::Receiver<bool>) -> Result<(), StoreError> {
        let mut loops = tokio::task::JoinSet::new();
        for _ in 0..self.options.count.max(1) {
            loops.spawn(self.clone().work(shutdown.clone()));
        }
        let mut result = Ok(());
        while let Some(ended) = loops.join_next().await {
            match ended {
                Ok(ended) => result = result.and(ended),
                // Cancelled where the runtime ends without a shutdown: nothing to say then.
                Err(error) if error.is_panic() => tracing::error!(%error, "a worker ended by a fault of butler's own"),
                Err(_) => {}
            }
        }
        result
    }

    /// Gives up the jobs at hand: each is handed back, so that another worker takes it at once. Whatever they were
    /// doing is safe to repeat.
    pub fn halt(&self) {
        self.halted.send_replace(true);
    }

    async fn work(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) -> Result<(), StoreError> {
        while !*shutdown.borrow() {
            self.store.check()?;
            let changed = self.store.changed();
            match self.step().await {
                Ok(Step::Did(_)) => continue,
                Ok(Step::Idle) => {}
                Err(error) => tracing::error!(%error, "the database does not answer"),
            }
            let nap = match self.store.next_due().await {
                Ok(Some(due)) => Duration::try_from(due.duration_since(self.clock.now())).unwrap_or_default().min(NAP),
                _ => NAP,
            };
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(nap.max(Duration::from_millis(5))) => {}
                _ = shutdown.changed() => {}
            }
        }
        Ok(())
    }

    /// Does the next job that is due, if there is one. Tests pump this by hand.
    pub async fn step(&self) -> Result<Step, StoreError> {
        let now = self.clock.now();
        let Some(job) = self.store.lease(now, &self.owner, self.options.lease, KINDS).await? else {
            return Ok(Step::Idle);
        };
        let key = job.key.clone();
        self.perform(job).await?;
        Ok(Step::Did(key))
    }

    /// Does one job while its lease is renewed, and says how it ended.
    async fn perform(&self, job: LeasedJob) -> Result<(), StoreError> {
        let LeasedJob { lease, key, payload, attempts } = job;
        let span = tracing::info_span!("job", %key, attempts);
        let held = Held::new(lease);
        let (result, effects) = {
            let mut effects = Vec::new();
            let mut halted = self.halted.subscribe();
            let work = tracing::Instrument::instrument(self.dispatch(&key, payload, &held, &mut effects), span.clone());
            let result = tokio::select! {
                result = held.while_renewed(&self.store, &self.clock, self.options.lease, work) => Some(result),
                // The sender is this worker's own: it is not gone.
                _ = halted.wait_for(|halted| *halted) => None,
            };
            (result, effects)
        };
        let Some(result) = result else {
            span.in_scope(|| tracing::warn!("given up and handed back"));
            return self.store.hand_back(held.into_lease(), self.clock.now()).await;
        };
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(WorkError::LeaseLost) => {
                span.in_scope(|| tracing::warn!("another worker took over"));
                return Ok(());
            }
            Err(error) if key == JobKey::Sweep => {
                // Nothing would ever bring it back, and all else relies on it.
                span.in_scope(|| tracing::warn!(%error, "the sweep failed; it comes again"));
                Outcome::Done { again_at: self.next_sweep() }
            }
            Err(error) => self.outcome_of(error, attempts + 1),
        };
        let given_up = match &outcome {
            Outcome::Retry { why, .. } if attempts + 1 >= MAX_TRIES => Some(why.clone()),
            Outcome::Blocked { finding: why } | Outcome::Bug { why } => Some(why.clone()),
            Outcome::Retry { .. } | Outcome::Done { .. } => None,
        };
        span.in_scope(|| match &outcome {
            Outcome::Done { .. } => tracing::debug!("done"),
            Outcome::Retry { at, why } => tracing::warn!(%at, why, "to be tried again"),
            Outcome::Blocked { finding } => tracing::warn!(finding, "somebody has to act"),
            Outcome::Bug { why } => tracing::error!(why, "a fault of butler's own"),
        });
        self.store.finish_with(held.into_lease(), outcome, &effects, self.clock.now()).await?;
        match (&key, given_up) {
            (JobKey::Repository(repo), Some(why)) => self.tell_who_waits(repo, &why).await,
            _ => Ok(()),
        }
    }

    fn outcome_of(&self, error: WorkError, attempts: u32) -> Outcome {
        match error {
            WorkError::Retry { at, why } => {
                let wait = jiff::SignedDuration::try_from(backoff(attempts, rand::random())).unwrap_or_default();
                let soonest = self.clock.now().saturating_add(wait).unwrap_or_else(|_| self.clock.now());
                Outcome::Retry { at: at.map_or(soonest, |at| at.max(soonest)), why }
            }
            WorkError::Again(why) => Outcome::Retry { at: self.clock.now(), why },
            WorkError::Fix(finding) => Outcome::Blocked { finding },
            WorkError::Bug(why) => Outcome::Bug { why },
            // Handled before; the lease is somebody else's.
            WorkError::LeaseLost => Outcome::Done { again_at: None },
        }
    }

    async fn dispatch(
        &self,
        key: &JobKey,
        payload: Option<serde_json::Value>,
        held: &Held,
        effects: &mut Vec<crate::adapters::store::JobRequest>,
    ) -> Result<Outcome, WorkError> {
        match key {
            JobKey::Repository(repo) => self.reconcile(repo, held, effects).await,
            JobKey::Effect { repo, .. } => {
                let payload = payload.ok_or_else(|| WorkError::Bug("an effect without its payload".into()))?;
                let effect = serde_json::from_value(payload).map_err(|error| WorkError::Bug(error.to_string()))?;
                self.make(repo, effect).await?;
                Ok(Outcome::Done { again_at: None })
            }
            JobKey::Sweep => self.sweep(effects).await,
        }
    }

    /// Who butler is on GitHub; asked once.
    pub(crate) async fn identity(&self) -> Result<&AppIdentity, WorkError> {
        Ok(self.identity.get_or_try_init(|| self.forge.app()).await?)
    }

    /// The mirror of a repository; opened once.
    fn mirror(&self, repo: &RepoName) -> Result<Arc<Mirror>, WorkError> {
        let mut mirrors = self.mirrors.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mirror) = mirrors.get(repo) {
            return Ok(mirror.clone());
        }
        let dir = self.options.data_dir.join("mirrors").join(repo.owner()).join(format!("{}.git", repo.name()));
        let url = format!("{}/{repo}.git", self.options.git_url.trim_end_matches('/'));
        let (forge, name, runtime) = (self.forge.clone(), repo.clone(), tokio::runtime::Handle::current());
        // Called by libgit2 on a blocking thread.
        let token = Arc::new(move || runtime.block_on(forge.git_token(&name)).map_err(Into::into));
        let mirror = Arc::new(Mirror::open_or_create(&dir, &url, token)?);
        mirrors.insert(repo.clone(), mirror.clone());
        Ok(mirror)
    }
}
