//! A lease that is held while work goes on: renewed in the background, asked for by whatever writes.

use super::WorkError;
use crate::{
    adapters::store::{Lease, Store},
    server::clock::Clock,
};
use std::time::Duration;
use tokio::sync::Mutex;

/// Proof that this worker may write. It comes from the store's lease only; functions that write take it.
pub struct Held(Mutex<Lease>);

impl Held {
    pub(super) fn new(lease: Lease) -> Self {
        Held(Mutex::new(lease))
    }

    pub(super) fn into_lease(self) -> Lease {
        self.0.into_inner()
    }

    /// The lease itself, for the store.
    pub(super) async fn lease(&self) -> tokio::sync::MutexGuard<'_, Lease> {
        self.0.lock().await
    }

    /// Makes sure that the lease is still ours, and for a while yet: to be called before anything is written.
    pub(super) async fn confirm(&self, store: &Store, clock: &Clock, length: Duration) -> Result<(), WorkError> {
        let mut lease = self.0.lock().await;
        Ok(store.renew(&mut lease, clock.now(), length).await?)
    }

    /// Does `work`, with a heartbeat every third of the lease. The work is dropped when the lease is lost.
    pub(super) async fn while_renewed<T>(
        &self,
        store: &Store,
        clock: &Clock,
        length: Duration,
        work: impl Future<Output = Result<T, WorkError>>,
    ) -> Result<T, WorkError> {
        // Both go on at once: the work may be holding the lease when it is to be renewed.
        let lost = async {
            loop {
                tokio::time::sleep(length / 3).await;
                match self.confirm(store, clock, length).await {
                    Err(WorkError::LeaseLost) => return,
                    // The database may come back before the lease runs out.
                    Err(error) => tracing::warn!(%error, "the lease could not be renewed"),
                    Ok(()) => {}
                }
            }
        };
        tokio::select! {
            result = work => result,
            () = lost => Err(WorkError::LeaseLost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::store::{JobKey, JobKind, JobRequest};
    use tokio::time::{sleep, timeout};

    #[tokio::test]
    async fn work_may_hold_the_lease_while_it_is_to_be_renewed() {
        let data = tempfile::TempDir::new().unwrap();
        let store = Store::open(&format!("sqlite:{}", data.path().join("db").display())).await.unwrap();
        let (clock, length) = (Clock::System, Duration::from_millis(60));
        store.enqueue(&[JobRequest::urgent(JobKey::Sweep)], clock.now()).await.unwrap();
        let job = store.lease(clock.now(), "worker", length, &[JobKind::Sweep]).await.unwrap().unwrap();
        let held = Held::new(job.lease);
        let work = async {
            let lease = held.lease().await;
            // Past the next heartbeat, which waits for the lease meanwhile.
            sleep(length / 2).await;
            drop(lease);
            held.confirm(&store, &clock, length).await
        };
        let done = timeout(Duration::from_secs(20), held.while_renewed(&store, &clock, length, work)).await;
        done.expect("neither waits for the other").unwrap();
    }
}
