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
        tokio::pin!(work);
        loop {
            tokio::select! {
                result = &mut work => return result,
                () = tokio::time::sleep(length / 3) => match self.confirm(store, clock, length).await {
                    Err(WorkError::LeaseLost) => return Err(WorkError::LeaseLost),
                    // The database may come back before the lease runs out.
                    Err(error) => tracing::warn!(%error, "the lease could not be renewed"),
                    Ok(()) => {}
                },
            }
        }
    }
}
