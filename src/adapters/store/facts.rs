//! Small cached facts: tags, the state ref's tip, which repository follows which image.

use super::{
    Debounce, JobKey, Lease, Store, StoreError, queue,
    sqlite::{damaged, failed, micros, time},
};
use crate::engine::{
    event::RepoName,
    image::{Repository, Tag},
};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use sqlx::{Row, Sqlite, SqliteExecutor, Transaction};
use std::{collections::BTreeSet, time::Duration};

/// An image's tags as its registry told them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CachedTags {
    pub tags: Vec<Tag>,
    /// When the registry was asked.
    pub as_of: Timestamp,
}

const TAGS: &str = "tags";
const TAGS_CHANGED: &str = "tags-changed";
const STATE: &str = "state";
const HEARD: &str = "heard";
const DEBOUNCE: &str = "debounce";

impl Store {
    /// The image's tags, unless an event said since they were asked for that they changed. Whether they are fresh enough
    /// is the caller's to judge.
    pub async fn cached_tags(&self, image: &Repository) -> Result<Option<CachedTags>, StoreError> {
        let row = sqlx::query(
            "SELECT f.value, f.as_of FROM facts f WHERE f.scope = ?1 AND f.key = ?2 AND NOT EXISTS
             (SELECT 1 FROM facts c WHERE c.scope = ?3 AND c.key = ?2 AND c.as_of >= f.as_of)",
        )
        .bind(TAGS)
        .bind(image.to_string())
        .bind(TAGS_CHANGED)
        .fetch_optional(self.database.read())
        .await
        .map_err(failed("read cached tags"))?;
        Ok(decoded(row, "read cached tags")?.map(|(tags, as_of)| CachedTags { tags, as_of }))
    }

    /// Keeps an image's tags. `asked_at` is when the question to the registry *began*, so that a push while it was
    /// answered makes them stale.
    pub async fn cache_tags(&self, image: &Repository, tags: &[Tag], asked_at: Timestamp) -> Result<(), StoreError> {
        self.put_fact(TAGS, &image.to_string(), &tags, asked_at).await
    }

    /// The tip of `refs/butler/state` that butler last saw or wrote; the ref's next tip must descend from it.
    pub async fn seen_state(&self, repo: &RepoName) -> Result<Option<String>, StoreError> {
        Ok(self.fact(STATE, &repo.to_string()).await?.map(|(commit, _)| commit))
    }

    /// Keeps the tip of the state ref of the lease's repository, if the lease still holds.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`] also for a lease that is not a repository's.
    pub async fn set_seen_state(&self, lease: &Lease, commit: &str, now: Timestamp) -> Result<(), StoreError> {
        const DOING: &str = "keep the state's tip";
        let JobKey::Repository(repo) = lease.key() else {
            return Err(StoreError::LeaseLost { key: lease.key().clone() });
        };
        let mut tx = self.database.write(DOING).await?;
        queue::held(&mut tx, lease).await?;
        // The lease says that this is the newest, whatever the clock says.
        sqlx::query("DELETE FROM facts WHERE scope = ? AND key = ?")
            .bind(STATE)
            .bind(repo.to_string())
            .execute(&mut *tx)
            .await
            .map_err(failed(DOING))?;
        put(&mut *tx, STATE, &repo.to_string(), &commit, now, DOING).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    /// When the repository's comments were last read from GitHub. `None`: never by this database; it may be new, or the
    /// one before it was lost.
    pub async fn heard(&self, repo: &RepoName) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.fact::<bool>(HEARD, &repo.to_string()).await?.map(|(_, at)| at))
    }

    /// Forgets which tip of the state ref was seen: the next one is believed by its seal alone.
    pub async fn forget_state(&self, repo: &RepoName) -> Result<(), StoreError> {
        const DOING: &str = "forget a state";
        let mut tx = self.database.write(DOING).await?;
        sqlx::query("DELETE FROM facts WHERE scope = ? AND key = ?")
            .bind(STATE)
            .bind(repo.to_string())
            .execute(&mut *tx)
            .await
            .map_err(failed(DOING))?;
        tx.commit().await.map_err(failed(DOING))
    }

    /// Keeps that all comments from before `at` were read.
    pub async fn set_heard(&self, repo: &RepoName, at: Timestamp) -> Result<(), StoreError> {
        self.put_fact(HEARD, &repo.to_string(), &true, at).await
    }

    /// How events for a repository are gathered, where its butler.yaml says so.
    pub async fn debounce(&self, repo: &RepoName) -> Result<Option<Debounce>, StoreError> {
        let known: Option<((u64, u64), _)> = self.fact(DEBOUNCE, &repo.to_string()).await?;
        Ok(known.map(|((quiet, at_most), _)| Debounce {
            quiet: Duration::from_millis(quiet),
            at_most: Duration::from_millis(at_most),
        }))
    }

    /// Keeps what a repository's butler.yaml says of gathering events; nothing is written where it is known.
    pub async fn set_debounce(&self, repo: &RepoName, debounce: Debounce, now: Timestamp) -> Result<(), StoreError> {
        if self.debounce(repo).await? == Some(debounce) {
            return Ok(());
        }
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.put_fact(DEBOUNCE, &repo.to_string(), &(millis(debounce.quiet), millis(debounce.at_most)), now).await
    }

    /// A fact that somebody put, and as of when. Scopes keep their keys apart; the store's own are `tags`,
    /// `tags-changed`, `state`, `known` and `debounce`.
    pub async fn fact<T: DeserializeOwned>(
        &self,
        scope: &str,
        key: &str,
    ) -> Result<Option<(T, Timestamp)>, StoreError> {
        let row = sqlx::query("SELECT value, as_of FROM facts WHERE scope = ? AND key = ?")
            .bind(scope)
            .bind(key)
            .fetch_optional(self.database.read())
            .await
            .map_err(failed("read a fact"))?;
        decoded(row, "read a fact")
    }

    /// Keeps a fact, unless a newer one is there.
    pub async fn put_fact<T: Serialize + Sync>(
        &self,
        scope: &str,
        key: &str,
        value: &T,
        as_of: Timestamp,
    ) -> Result<(), StoreError> {
        const DOING: &str = "keep a fact";
        let mut tx = self.database.write(DOING).await?;
        put(&mut *tx, scope, key, value, as_of, DOING).await?;
        tx.commit().await.map_err(failed(DOING))
    }

    /// Forgets the facts of a scope that are from before that time. Returns how many went.
    pub async fn prune_facts(&self, scope: &str, before: Timestamp) -> Result<u64, StoreError> {
        const DOING: &str = "prune facts";
        let mut tx = self.database.write(DOING).await?;
        let gone = sqlx::query("DELETE FROM facts WHERE scope = ? AND as_of < ?")
            .bind(scope)
            .bind(micros(before))
            .execute(&mut *tx)
            .await
            .map_err(failed(DOING))?
            .rows_affected();
        tx.commit().await.map_err(failed(DOING))?;
        Ok(gone)
    }

    /// Keeps which images a config repository follows, in place of those it followed before.
    pub async fn index_images(&self, repo: &RepoName, images: &BTreeSet<Repository>) -> Result<(), StoreError> {
        const DOING: &str = "index images";
        let repo = repo.to_string();
        let mut tx = self.database.write(DOING).await?;
        sqlx::query("DELETE FROM image_index WHERE repo = ?")
            .bind(&repo)
            .execute(&mut *tx)
            .await
            .map_err(failed(DOING))?;
        for image in images {
            sqlx::query("INSERT INTO image_index (image, repo) VALUES (?, ?)")
                .bind(image.to_string())
                .bind(&repo)
                .execute(&mut *tx)
                .await
                .map_err(failed(DOING))?;
        }
        tx.commit().await.map_err(failed(DOING))
    }

    /// The config repositories that follow an image, by name.
    pub async fn repos_following(&self, image: &Repository) -> Result<Vec<RepoName>, StoreError> {
        const DOING: &str = "look up who follows an image";
        let rows = sqlx::query("SELECT repo FROM image_index WHERE image = ? ORDER BY repo")
            .bind(image.to_string())
            .fetch_all(self.database.read())
            .await
            .map_err(failed(DOING))?;
        rows.iter()
            .map(|row| {
                let repo: &str = row.try_get(0).map_err(failed(DOING))?;
                repo.parse().map_err(|e| damaged(DOING)(&e))
            })
            .collect()
    }
}

/// An event said that the image's tags changed.
pub(super) async fn tags_changed(
    tx: &mut Transaction<'static, Sqlite>,
    image: &Repository,
    at: Timestamp,
) -> Result<(), StoreError> {
    put(&mut **tx, TAGS_CHANGED, &image.to_string(), &true, at, "note that tags changed").await
}

async fn put<T: Serialize + Sync>(
    executor: impl SqliteExecutor<'_>,
    scope: &str,
    key: &str,
    value: &T,
    as_of: Timestamp,
    doing: &'static str,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO facts (scope, key, value, as_of) VALUES (?, ?, ?, ?)
         ON CONFLICT (scope, key) DO UPDATE SET value = excluded.value, as_of = excluded.as_of
         WHERE excluded.as_of >= facts.as_of",
    )
    .bind(scope)
    .bind(key)
    .bind(serde_json::to_string(value).map_err(|e| damaged(doing)(&e))?)
    .bind(micros(as_of))
    .execute(executor)
    .await
    .map_err(failed(doing))?;
    Ok(())
}

fn decoded<T: DeserializeOwned>(
    row: Option<sqlx::sqlite::SqliteRow>,
    doing: &'static str,
) -> Result<Option<(T, Timestamp)>, StoreError> {
    let Some(row) = row else { return Ok(None) };
    let value: &str = row.try_get(0).map_err(failed(doing))?;
    let as_of = row.try_get(1).map_err(failed(doing))?;
    Ok(Some((serde_json::from_str(value).map_err(|e| damaged(doing)(&e))?, time(as_of))))
}
