//! The journal and the cache: deliveries, the inbox of commands, jobs under leases, small facts. SQLite; nothing of the
//! database shows in a signature, so that PostgreSQL comes behind the same methods. All of it can be lost: what people
//! decided and what butler did is in git and on GitHub.
//!
//! Time comes in as an argument and is kept in microseconds. A method that changes jobs wakes those that wait for
//! [`Store::changed`].

mod facts;
mod job;
mod journal;
mod queue;
mod sqlite;

pub use facts::CachedTags;
pub use job::{
    Debounce, JobKey, JobKeyError, JobKind, JobRequest, Lease, LeasedJob, MAX_TRIES, Outcome, Parked, ParkedFor,
    Pending, backoff,
};
pub use journal::{Delivery, Recorded};

use std::{future::Future, path::PathBuf, sync::Arc};
use tokio::sync::Notify;

/// The store. Cheap to clone; clones share their connections and wake-ups.
#[derive(Clone)]
pub struct Store {
    database: sqlite::Database,
    changed: Arc<Notify>,
}

/// Why the store could not do something, told apart by what the caller does about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Try again later: the database is busy, full or away.
    #[error("the database could not {doing} and may do so later: {source}")]
    Unavailable { doing: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
    /// Stop writing at once: somebody else holds the job now, or it ended.
    #[error("the lease of {key} was lost: it ran out and another worker took the job over")]
    LeaseLost { key: JobKey },
    /// The database cannot be used; somebody must change the settings or the file.
    #[error("cannot open the database {location}: {why}")]
    Open { location: String, why: String },
    /// The process has to end: what it writes from now on is lost. The next one starts with an empty database.
    #[error(
        "the database {path} is gone (deleted, or replaced); butler starts anew with an empty one: it is rebuilt from GitHub"
    )]
    Gone { path: PathBuf },
    /// A row or a statement that butler itself got wrong, or a file that something else wrote into.
    #[error("the database holds what butler cannot have written ({doing}): {why}; it may be deleted, it is rebuilt")]
    Damaged { doing: &'static str, why: String },
}

impl Store {
    /// Opens the database and brings its schema up to date. `location` is a path, or `sqlite:` and a path; the file and
    /// its folder are created where they are missing. The file must be on a local disk (SQLite's WAL needs shared
    /// memory); several processes of one machine may open it.
    ///
    /// # Errors
    /// [`StoreError::Open`] with what to change.
    pub async fn open(location: &str) -> Result<Store, StoreError> {
        Ok(Store { database: sqlite::Database::open(location).await?, changed: Arc::new(Notify::new()) })
    }

    /// Whether the database answers; for `/readyz`.
    pub async fn ping(&self) -> Result<(), StoreError> {
        self.database.check()?;
        self.database.ping().await
    }

    /// Ends when this process next changes a job. Ask for it *before* looking for work, and wait for it after: a change
    /// in between is not missed. Changes by other processes do not show, so wait with a timeout as well.
    pub fn changed(&self) -> impl Future<Output = ()> + Send + use<> {
        self.changed.clone().notified_owned()
    }

    /// Whether the file is still there: SQLite goes on without noticing that it was deleted.
    ///
    /// # Errors
    /// [`StoreError::Gone`].
    pub fn check(&self) -> Result<(), StoreError> {
        self.database.check()
    }

    /// Closes the connections, after what runs has ended. Other clones cannot be used after that either.
    pub async fn close(&self) {
        self.database.close().await;
    }
}
