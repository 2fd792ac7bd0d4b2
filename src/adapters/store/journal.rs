//! What senders told, and the comments whose commands wait to be decided.

use super::{
    JobRequest, Store, StoreError, facts, queue,
    sqlite::{damaged, failed, micros, time},
};
use crate::engine::event::{Comment, Event, RepoName};
use jiff::Timestamp;
use sqlx::{Row, Sqlite, Transaction};

/// One delivery: what a sender told, once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// `github`, or `registry/` and the sender's name in the settings.
    pub sender: String,
    /// The sender's own id of it; a redelivery keeps it.
    pub id: String,
    /// The sender's word for what it is: `push`, `issue_comment`.
    pub event_kind: String,
    pub event: Event,
    /// Kept in microseconds.
    pub received_at: Timestamp,
}

/// Whether a delivery was told for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    New,
    /// It was recorded before; nothing changed.
    Duplicate,
}

impl Store {
    /// Records a delivery and asks for its jobs, in one transaction: when this returns, both survive a loss of power. A
    /// comment goes to the inbox as well; an image's event makes tags that were cached before it stale.
    pub async fn record(&self, delivery: &Delivery, jobs: &[JobRequest]) -> Result<Recorded, StoreError> {
        let mut tx = self.database.write("record a delivery").await?;
        let recorded = insert(&mut tx, delivery, jobs).await?;
        tx.commit().await.map_err(failed("record a delivery"))?;
        if recorded == Recorded::New && !jobs.is_empty() {
            self.changed.notify_waiters();
        }
        Ok(recorded)
    }

    /// [`Store::record`] for what came in one envelope: all or nothing, in one transaction.
    pub async fn record_all(&self, deliveries: &[(Delivery, Vec<JobRequest>)]) -> Result<Vec<Recorded>, StoreError> {
        let mut tx = self.database.write("record deliveries").await?;
        let mut recorded = Vec::with_capacity(deliveries.len());
        let mut asked = false;
        for (delivery, jobs) in deliveries {
            let what = insert(&mut tx, delivery, jobs).await?;
            asked |= what == Recorded::New && !jobs.is_empty();
            recorded.push(what);
        }
        tx.commit().await.map_err(failed("record deliveries"))?;
        if asked {
            self.changed.notify_waiters();
        }
        Ok(recorded)
    }

    /// The latest deliveries, newest first.
    pub async fn deliveries(&self, at_most: u32) -> Result<Vec<Delivery>, StoreError> {
        const DOING: &str = "list deliveries";
        let rows = sqlx::query(
            "SELECT sender, id, event_kind, event, received_at FROM deliveries
             ORDER BY received_at DESC, sender, id LIMIT ?",
        )
        .bind(at_most)
        .fetch_all(self.database.read())
        .await
        .map_err(failed(DOING))?;
        rows.iter()
            .map(|row| {
                Ok(Delivery {
                    sender: row.try_get(0).map_err(failed(DOING))?,
                    id: row.try_get(1).map_err(failed(DOING))?,
                    event_kind: row.try_get(2).map_err(failed(DOING))?,
                    event: serde_json::from_str(row.try_get(3).map_err(failed(DOING))?)
                        .map_err(|e| damaged(DOING)(&e))?,
                    received_at: time(row.try_get(4).map_err(failed(DOING))?),
                })
            })
            .collect()
    }

    /// The comments of a repository that are not decided, in the order in which they were made.
    pub async fn inbox(&self, repo: &RepoName) -> Result<Vec<Comment>, StoreError> {
        const DOING: &str = "read the inbox";
        let rows =
            sqlx::query("SELECT comment FROM inbox WHERE repo = ? AND done_at IS NULL ORDER BY created_at, comment_id")
                .bind(repo.to_string())
                .fetch_all(self.database.read())
                .await
                .map_err(failed(DOING))?;
        rows.iter()
            .map(|row| serde_json::from_str(row.try_get(0).map_err(failed(DOING))?).map_err(|e| damaged(DOING)(&e)))
            .collect()
    }

    /// Puts comments into the inbox that came another way than by a delivery: read again after a loss of the store, or
    /// found by a sweep. Those that are known, decided or not, stay as they are. Returns how many were new.
    pub async fn inbox_add(&self, comments: &[Comment]) -> Result<u64, StoreError> {
        let mut tx = self.database.write("add to the inbox").await?;
        let mut new = 0;
        for comment in comments {
            new += add(&mut tx, comment).await?;
        }
        tx.commit().await.map_err(failed("add to the inbox"))?;
        Ok(new)
    }

    /// The comment's commands are decided (recorded in the repository's memory): it leaves the inbox, for good.
    pub async fn inbox_done(&self, repo: &RepoName, comment: u64, now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.database.write("empty the inbox").await?;
        sqlx::query("UPDATE inbox SET done_at = ? WHERE repo = ? AND comment_id = ? AND done_at IS NULL")
            .bind(micros(now))
            .bind(repo.to_string())
            .bind(comment.cast_signed())
            .execute(&mut *tx)
            .await
            .map_err(failed("empty the inbox"))?;
        tx.commit().await.map_err(failed("empty the inbox"))
    }

    /// Forgets deliveries and decided comments from before that time. GitHub can redeliver for three days, so keep
    /// them longer than that. Returns how many went.
    pub async fn prune(&self, before: Timestamp) -> Result<u64, StoreError> {
        let mut tx = self.database.write("prune the journal").await?;
        let mut gone = 0;
        for statement in ["DELETE FROM deliveries WHERE received_at < ?", "DELETE FROM inbox WHERE done_at < ?"] {
            gone += sqlx::query(statement)
                .bind(micros(before))
                .execute(&mut *tx)
                .await
                .map_err(failed("prune the journal"))?
                .rows_affected();
        }
        tx.commit().await.map_err(failed("prune the journal"))?;
        Ok(gone)
    }
}

async fn insert(
    tx: &mut Transaction<'static, Sqlite>,
    delivery: &Delivery,
    jobs: &[JobRequest],
) -> Result<Recorded, StoreError> {
    const DOING: &str = "record a delivery";
    let event = serde_json::to_string(&delivery.event).map_err(|e| damaged(DOING)(&e))?;
    let inserted = sqlx::query(
        "INSERT INTO deliveries (sender, id, event_kind, event, received_at) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (sender, id) DO NOTHING",
    )
    .bind(&delivery.sender)
    .bind(&delivery.id)
    .bind(&delivery.event_kind)
    .bind(event)
    .bind(micros(delivery.received_at))
    .execute(&mut **tx)
    .await
    .map_err(failed(DOING))?;
    if inserted.rows_affected() == 0 {
        return Ok(Recorded::Duplicate);
    }
    match &delivery.event {
        Event::Comment(comment) => {
            add(tx, comment).await?;
        }
        Event::Image { repository, .. } => facts::tags_changed(tx, repository, delivery.received_at).await?,
        _ => {}
    }
    queue::request(tx, jobs, delivery.received_at).await?;
    Ok(Recorded::New)
}

async fn add(tx: &mut Transaction<'static, Sqlite>, comment: &Comment) -> Result<u64, StoreError> {
    const DOING: &str = "add to the inbox";
    let inserted = sqlx::query(
        "INSERT INTO inbox (repo, comment_id, comment, created_at) VALUES (?, ?, ?, ?)
         ON CONFLICT (repo, comment_id) DO NOTHING",
    )
    .bind(comment.repo.to_string())
    .bind(comment.id.cast_signed())
    .bind(serde_json::to_string(comment).map_err(|e| damaged(DOING)(&e))?)
    .bind(micros(comment.created_at))
    .execute(&mut **tx)
    .await
    .map_err(failed(DOING))?;
    Ok(inserted.rows_affected())
}
