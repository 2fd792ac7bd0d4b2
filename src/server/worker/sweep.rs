//! The sweep: what no event told. It looks at every repository that the App is installed on.

use super::{WorkError, Worker};
use crate::adapters::store::{Debounce, JobKey, JobRequest, Outcome};
use jiff::{SignedDuration, Timestamp};

impl Worker {
    pub(super) async fn sweep(&self, jobs: &mut Vec<JobRequest>) -> Result<Outcome, WorkError> {
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
