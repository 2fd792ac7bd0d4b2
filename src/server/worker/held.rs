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
        // Side by side: the heartbeat needs what the work may be holding just then, the lease and the database's one
        // writing connection, so neither may stop while the other waits.
        let heartbeat = async {
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
            () = heartbeat => Err(WorkError::LeaseLost),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::store::{JobKey, JobRequest};

    #[tokio::test]
    async fn the_heartbeat_and_the_work_do_not_wait_for_each_other_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("butler.db").display().to_string()).await.unwrap();
        let (clock, length) = (Clock::System, Duration::from_secs(60));
        store.enqueue(&[JobRequest::urgent(JobKey::Sweep)], clock.now()).await.unwrap();
        let lease = store.lease(clock.now(), "one", length, &[]).await.unwrap().unwrap().lease;
        let held = Held::new(lease);
        let work = async {
            for _ in 0..100 {
                held.confirm(&store, &clock, length).await?;
            }
            Ok(())
        };
        // A heartbeat each millisecond is sure to come in the middle of a confirmation.
        let beating = held.while_renewed(&store, &clock, Duration::from_millis(3), work);
        tokio::time::timeout(Duration::from_secs(30), beating).await.expect("it ends").unwrap();
    }
}
