//! The sweep: what no event told. It looks at every repository that the App is installed on, has what people see tried
//! again where it was given up, and forgets what nobody needs any more.

use super::{WorkError, Worker, said::SAID};
use crate::{
    adapters::store::{Debounce, JobKey, JobRequest, Outcome, ParkedFor},
    server::facts::CREATED,
};
use jiff::{SignedDuration, Timestamp};

/// GitHub lets people redeliver for three days
/// (<https://docs.github.com/en/webhooks/testing-and-troubleshooting-webhooks/redelivering-webhooks>). A comment that is
/// told later than this is known by the repository's memory all the same.
const JOURNAL_KEPT: SignedDuration = SignedDuration::from_hours(7 * 24);

/// What is only there so that nobody has to be asked: forgotten, it is asked for once more.
const FACTS_KEPT: [(&str, SignedDuration); 2] =
    [(SAID, SignedDuration::from_hours(30 * 24)), (CREATED, SignedDuration::from_hours(90 * 24))];

/// How long an effect that was given up is left alone.
const GIVEN_UP: SignedDuration = SignedDuration::from_hours(1);

impl Worker {
    /// Forgets deliveries, comments that were decided, and facts that can be had again, when they are old.
    async fn forget(&self, now: Timestamp) -> Result<(), WorkError> {
        let before = |kept: SignedDuration| now.saturating_sub(kept).unwrap_or(Timestamp::MIN);
        let mut gone = self.store.prune(before(JOURNAL_KEPT)).await?;
        for (scope, kept) in FACTS_KEPT {
            gone += self.store.prune_facts(scope, before(kept)).await?;
        }
        if gone > 0 {
            tracing::info!(gone, "old entries of the database were removed");
        }
        Ok(())
    }

    /// Has comments, reactions and checks tried again that failed too often, or that GitHub refused: nothing else brings
    /// them back once their command is decided, and what was missing may be there by now.
    async fn revive_effects(&self, now: Timestamp) -> Result<(), WorkError> {
        for parked in self.store.parked().await? {
            let waited = now.duration_since(parked.at) >= GIVEN_UP;
            let may_pass = matches!(parked.parked_for, ParkedFor::Tries | ParkedFor::Blocked);
            if waited && may_pass && matches!(parked.key, JobKey::Effect { .. }) {
                self.store.unpark(&parked.key, now).await?;
            }
        }
        Ok(())
    }

    pub(super) async fn sweep(&self, jobs: &mut Vec<JobRequest>) -> Result<Outcome, WorkError> {
        let now = self.clock.now();
        self.forget(now).await?;
        self.revive_effects(now).await?;
        for installation in self.forge.installations().await? {
            if installation.suspended {
                continue;
            }
            for repo in self.forge.repositories(installation.id).await? {
                jobs.push(JobRequest::new(JobKey::Repository(repo), Debounce::NONE));
            }
        }
        Ok(Outcome::Done { again_at: self.next_sweep() })
    }

    /// When to sweep again. Replicas that sweep at the same time would all ask at once: up to a tenth later.
    pub(super) fn next_sweep(&self) -> Option<Timestamp> {
        let wait = self.options.sweep.mul_f64(1.0 + rand::random::<f64>() / 10.0);
        let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::from_mins(5));
        self.clock.now().checked_add(wait).ok()
    }
}
