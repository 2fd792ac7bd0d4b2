//! The job queue: requests merge, one worker holds a key, a lease that ran out is taken over.

use super::{
    JobKey, JobKind, JobRequest, Lease, LeasedJob, MAX_TRIES, Outcome, Parked, ParkedFor, Pending, Store, StoreError,
    job::{Schedule, micros_of},
    sqlite::{damaged, failed, micros, time},
};
use jiff::Timestamp;
use sqlx::{Row, Sqlite, Transaction, sqlite::SqliteRow};
use std::time::Duration;

type Tx = Transaction<'static, Sqlite>;

impl Store {
    /// Asks for jobs. A key that waits already is merged into (see [`super::Debounce`]; the latest payload wins), one that
    /// runs is run once more when it ends, one that is parked comes back with its tries forgotten.
    pub async fn enqueue(&self, jobs: &[JobRequest], now: Timestamp) -> Result<(), StoreError> {
        let mut tx = self.database.write("enqueue jobs").await?;
        request(&mut tx, jobs, now).await?;
        tx.commit().await.map_err(failed("enqueue jobs"))?;
        self.changed.notify_waiters();
        Ok(())
    }

    /// Takes the job that is due and has waited the longest, with a lease of that length; what people wait for goes
    /// before repositories, and those before sweeps, without starving them. A job whose lease ran out is taken over; that
    /// counts as a failed try, because its worker died on it. `kinds` restricts what is taken; empty means all.
    pub async fn lease(
        &self,
        now: Timestamp,
        owner: &str,
        length: Duration,
        kinds: &[JobKind],
    ) -> Result<Option<LeasedJob>, StoreError> {
        const DOING: &str = "lease a job";
        let kinds: Vec<_> = kinds.iter().map(|k| k.name()).collect();
        let kinds = if kinds.is_empty() { None } else { Some(serde_json::json!(kinds).to_string()) };
        let mut tx = self.database.write(DOING).await?;
        let job = loop {
            let row = sqlx::query(
                "SELECT key, payload, state, attempts, why, rerun FROM jobs
                 WHERE ready_at <= ?1 AND (?2 IS NULL OR kind IN (SELECT value FROM json_each(?2)))
                 ORDER BY ready_at + patience, key LIMIT 1",
            )
            .bind(micros(now))
            .bind(&kinds)
            .fetch_optional(&mut *tx)
            .await
            .map_err(failed(DOING))?;
            let Some(row) = row else { break None };
            let get = failed(DOING);
            let text: String = row.try_get(0).map_err(&get)?;
            let abandoned = row.try_get::<&str, _>(2).map_err(&get)? == "running";
            let rerun: bool = row.try_get(5).map_err(&get)?;
            let mut attempts = row.try_get::<u32, _>(3).map_err(&get)? + u32::from(abandoned);
            if attempts >= MAX_TRIES && rerun {
                // What was asked for since deserves all its tries.
                attempts = 0;
            }
            if attempts >= MAX_TRIES {
                let last: Option<String> = row.try_get(4).map_err(&get)?;
                let why = match last {
                    Some(last) => format!("the last try never ended (its worker died, or hung); before that: {last}"),
                    None => "no try ever ended (its worker died, or hung)".into(),
                };
                park(&mut tx, &text, ParkedFor::Tries, &why, attempts, now).await?;
                continue;
            }
            let key: JobKey = text.parse().map_err(|e| damaged(DOING)(&e))?;
            let payload = match row.try_get::<Option<&str>, _>(1).map_err(&get)? {
                Some(json) => Some(serde_json::from_str(json).map_err(|e| damaged(DOING)(&e))?),
                None => None,
            };
            let until = time(micros(now).saturating_add(micros_of(length)));
            let token: i64 = sqlx::query("UPDATE lease_token SET last = last + 1 RETURNING last")
                .fetch_one(&mut *tx)
                .await
                .and_then(|row| row.try_get(0))
                .map_err(&get)?;
            sqlx::query(
                "UPDATE jobs SET state = 'running', rerun = 0, attempts = ?, owner = ?, token = ?, ready_at = ?
                 WHERE key = ?",
            )
            .bind(attempts)
            .bind(owner)
            .bind(token)
            .bind(micros(until))
            .bind(&text)
            .execute(&mut *tx)
            .await
            .map_err(&get)?;
            break Some(LeasedJob { lease: Lease { key: key.clone(), token, until }, key, payload, attempts });
        };
        tx.commit().await.map_err(failed(DOING))?;
        Ok(job)
    }

    /// The heartbeat: makes a lease last for that long from now. It also works just after the lease ran out, as long as
    /// nobody took the job over.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`]: stop writing at once.
    pub async fn renew(&self, lease: &mut Lease, now: Timestamp, length: Duration) -> Result<(), StoreError> {
        let until = time(micros(now).saturating_add(micros_of(length)));
        let mut tx = self.database.write("renew a lease").await?;
        held(&mut tx, lease).await?;
        sqlx::query("UPDATE jobs SET ready_at = ? WHERE key = ?")
            .bind(micros(until))
            .bind(lease.key.to_string())
            .execute(&mut *tx)
            .await
            .map_err(failed("renew a lease"))?;
        tx.commit().await.map_err(failed("renew a lease"))?;
        lease.until = until;
        Ok(())
    }

    /// Ends a try. If the key was asked for while it ran, it is queued once more, whatever the outcome; a retry's time is
    /// kept even then.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`]: somebody else has the job; nothing changed.
    pub async fn finish(&self, lease: Lease, outcome: Outcome, now: Timestamp) -> Result<(), StoreError> {
        self.finish_with(lease, outcome, &[], now).await
    }

    /// [`Store::finish`], and asks for the effects that follow, in one transaction.
    pub async fn finish_with(
        &self,
        lease: Lease,
        outcome: Outcome,
        effects: &[JobRequest],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        const DOING: &str = "finish a job";
        let mut tx = self.database.write(DOING).await?;
        let row = held(&mut tx, &lease).await?;
        let attempts: u32 = row.try_get("attempts").map_err(failed(DOING))?;
        let rerun = row.try_get::<bool, _>("rerun").map_err(failed(DOING))?;
        let key = lease.key.to_string();
        match outcome {
            Outcome::Retry { at, why } if rerun || attempts + 1 < MAX_TRIES => {
                sqlx::query(
                    "UPDATE jobs SET state = 'waiting', rerun = 0, owner = NULL, token = NULL, attempts = ?2, why = ?3,
                     due = ?4, latest = ?4, not_before = ?4, ready_at = ?4 WHERE key = ?1",
                )
                .bind(&key)
                // What was asked for since deserves all its tries.
                .bind(if attempts + 1 < MAX_TRIES { attempts + 1 } else { 0 })
                .bind(why)
                .bind(micros(at))
                .execute(&mut *tx)
                .await
                .map_err(failed(DOING))?;
            }
            _ if rerun => {
                sqlx::query(
                    "UPDATE jobs SET state = 'waiting', rerun = 0, owner = NULL, token = NULL, attempts = 0, why = NULL,
                     not_before = 0, ready_at = due WHERE key = ?",
                )
                .bind(&key)
                .execute(&mut *tx)
                .await
                .map_err(failed(DOING))?;
            }
            Outcome::Done { again_at: None } => {
                sqlx::query("DELETE FROM jobs WHERE key = ?")
                    .bind(&key)
                    .execute(&mut *tx)
                    .await
                    .map_err(failed(DOING))?;
            }
            Outcome::Done { again_at: Some(at) } => {
                sqlx::query(
                    "UPDATE jobs SET state = 'waiting', owner = NULL, token = NULL, attempts = 0, why = NULL,
                     due = ?2, latest = ?2, not_before = 0, ready_at = ?2 WHERE key = ?1",
                )
                .bind(&key)
                .bind(micros(at))
                .execute(&mut *tx)
                .await
                .map_err(failed(DOING))?;
            }
            Outcome::Retry { why, .. } => park(&mut tx, &key, ParkedFor::Tries, &why, attempts + 1, now).await?,
            Outcome::Blocked { finding } => {
                park(&mut tx, &key, ParkedFor::Blocked, &finding, attempts + 1, now).await?;
            }
            Outcome::Bug { why } => park(&mut tx, &key, ParkedFor::Bug, &why, attempts + 1, now).await?,
        }
        request(&mut tx, effects, now).await?;
        tx.commit().await.map_err(failed(DOING))?;
        self.changed.notify_waiters();
        Ok(())
    }

    /// Gives a job back untried, for a graceful shutdown: another worker may take it at once.
    ///
    /// # Errors
    /// [`StoreError::LeaseLost`]: somebody else has it already.
    pub async fn hand_back(&self, lease: Lease, now: Timestamp) -> Result<(), StoreError> {
        const DOING: &str = "hand a job back";
        let mut tx = self.database.write(DOING).await?;
        held(&mut tx, &lease).await?;
        sqlx::query(
            "UPDATE jobs SET state = 'waiting', rerun = 0, owner = NULL, token = NULL, due = ?2, latest = ?2, ready_at = ?2
             WHERE key = ?1",
        )
        .bind(lease.key.to_string())
        .bind(micros(now))
        .execute(&mut *tx)
        .await
        .map_err(failed(DOING))?;
        tx.commit().await.map_err(failed(DOING))?;
        self.changed.notify_waiters();
        Ok(())
    }

    /// Ends the leases of an owner that is known to be dead, instead of waiting until they run out: a process that
    /// starts again under its old name calls it first. Returns how many there were; a live holder's writes are refused
    /// by the fencing token once the job was taken over.
    pub async fn expire_leases_of(&self, owner: &str, now: Timestamp) -> Result<u64, StoreError> {
        const DOING: &str = "end a dead worker's leases";
        let mut tx = self.database.write(DOING).await?;
        let ended =
            sqlx::query("UPDATE jobs SET ready_at = ?1 WHERE state = 'running' AND owner = ?2 AND ready_at > ?1")
                .bind(micros(now))
                .bind(owner)
                .execute(&mut *tx)
                .await
                .map_err(failed(DOING))?
                .rows_affected();
        tx.commit().await.map_err(failed(DOING))?;
        self.changed.notify_waiters();
        Ok(ended)
    }

    /// When there is next something to take: a job becomes due or a lease runs out. May be in the past.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        let at: Option<i64> = sqlx::query_scalar("SELECT min(ready_at) FROM jobs WHERE ready_at IS NOT NULL")
            .fetch_one(self.database.read())
            .await
            .map_err(failed("look for the next job"))?;
        Ok(at.map(time))
    }

    /// The jobs that wait for a person or an event, latest first.
    pub async fn parked(&self) -> Result<Vec<Parked>, StoreError> {
        const DOING: &str = "list parked jobs";
        let rows = sqlx::query(
            "SELECT key, parked_for, why, attempts, parked_at FROM jobs WHERE state = 'parked'
             ORDER BY parked_at DESC, key",
        )
        .fetch_all(self.database.read())
        .await
        .map_err(failed(DOING))?;
        rows.iter()
            .map(|row| {
                let get = failed(DOING);
                let name: &str = row.try_get(1).map_err(&get)?;
                Ok(Parked {
                    key: row.try_get::<&str, _>(0).map_err(&get)?.parse().map_err(|e| damaged(DOING)(&e))?,
                    parked_for: ParkedFor::parse(name)
                        .ok_or_else(|| StoreError::Damaged { doing: DOING, why: format!("parked for {name:?}") })?,
                    why: row.try_get(2).map_err(&get)?,
                    attempts: row.try_get(3).map_err(&get)?,
                    at: time(row.try_get(4).map_err(&get)?),
                })
            })
            .collect()
    }

    /// Has a parked job tried again now, with its tries forgotten. False where no such job is parked.
    pub async fn unpark(&self, key: &JobKey, now: Timestamp) -> Result<bool, StoreError> {
        const DOING: &str = "unpark a job";
        let mut tx = self.database.write(DOING).await?;
        let changed = sqlx::query(
            "UPDATE jobs SET state = 'waiting', attempts = 0, why = NULL, parked_for = NULL, parked_at = NULL, rerun = 0,
             due = ?2, latest = ?2, not_before = 0, ready_at = ?2 WHERE key = ?1 AND state = 'parked'",
        )
        .bind(key.to_string())
        .bind(micros(now))
        .execute(&mut *tx)
        .await
        .map_err(failed(DOING))?
        .rows_affected();
        tx.commit().await.map_err(failed(DOING))?;
        self.changed.notify_waiters();
        Ok(changed > 0)
    }

    /// How much is left to do.
    pub async fn pending(&self, now: Timestamp) -> Result<Pending, StoreError> {
        const DOING: &str = "count jobs";
        let row = sqlx::query(
            "SELECT count(*) FILTER (WHERE ready_at <= ?1),
                    count(*) FILTER (WHERE state = 'waiting' AND ready_at > ?1),
                    count(*) FILTER (WHERE state = 'running' AND ready_at > ?1),
                    count(*) FILTER (WHERE state = 'parked'),
                    (SELECT count(*) FROM inbox WHERE done_at IS NULL) FROM jobs",
        )
        .bind(micros(now))
        .fetch_one(self.database.read())
        .await
        .map_err(failed(DOING))?;
        let count = |column: usize| row.try_get::<i64, _>(column).map(i64::cast_unsigned).map_err(failed(DOING));
        Ok(Pending { ready: count(0)?, later: count(1)?, running: count(2)?, parked: count(3)?, inbox: count(4)? })
    }
}

/// The lease's row, if the lease still holds.
pub(super) async fn held(tx: &mut Tx, lease: &Lease) -> Result<SqliteRow, StoreError> {
    sqlx::query("SELECT attempts, rerun FROM jobs WHERE key = ? AND token = ? AND state = 'running'")
        .bind(lease.key.to_string())
        .bind(lease.token)
        .fetch_optional(&mut **tx)
        .await
        .map_err(failed("check a lease"))?
        .ok_or_else(|| StoreError::LeaseLost { key: lease.key.clone() })
}

/// Merges requests into the queue. The transaction holds the write lock, so that what is read here stays so.
pub(super) async fn request(tx: &mut Tx, jobs: &[JobRequest], now: Timestamp) -> Result<(), StoreError> {
    const DOING: &str = "enqueue jobs";
    let get = failed(DOING);
    for job in jobs {
        let key = job.key.to_string();
        let payload = job.payload.as_ref().map(ToString::to_string);
        let row = sqlx::query("SELECT state, due, latest, patience, rerun, not_before FROM jobs WHERE key = ?")
            .bind(&key)
            .fetch_optional(&mut **tx)
            .await
            .map_err(&get)?;
        let Some(row) = row else {
            let schedule = Schedule::merged(None, job, now);
            sqlx::query(
                "INSERT INTO jobs (key, kind, payload, state, ready_at, due, latest, not_before, patience, attempts, rerun)
                 VALUES (?, ?, ?, 'waiting', ?, ?, ?, 0, ?, 0, 0)",
            )
            .bind(&key)
            .bind(job.key.kind().name())
            .bind(payload)
            .bind(schedule.due)
            .bind(schedule.due)
            .bind(schedule.latest)
            .bind(schedule.patience)
            .execute(&mut **tx)
            .await
            .map_err(&get)?;
            continue;
        };
        let waiting = Schedule {
            due: row.try_get(1).map_err(&get)?,
            latest: row.try_get(2).map_err(&get)?,
            patience: row.try_get(3).map_err(&get)?,
        };
        let rerun: bool = row.try_get(4).map_err(&get)?;
        let not_before: i64 = row.try_get(5).map_err(&get)?;
        let (schedule, change) = match row.try_get(0).map_err(&get)? {
            "waiting" => (Schedule::merged(Some(waiting), job, now), "waiting"),
            "running" => (Schedule::merged(rerun.then_some(waiting), job, now), "running"),
            _ => (Schedule::merged(None, job, now), "parked"),
        };
        let query = sqlx::query(match change {
            "waiting" => {
                "UPDATE jobs SET due = ?2, latest = ?3, patience = ?4, payload = coalesce(?5, payload), ready_at = ?6
                 WHERE key = ?1"
            }
            "running" => {
                "UPDATE jobs SET due = ?2, latest = ?3, patience = ?4, payload = coalesce(?5, payload), rerun = 1
                 WHERE key = ?1"
            }
            _ => {
                "UPDATE jobs SET due = ?2, latest = ?3, patience = ?4, payload = coalesce(?5, payload), ready_at = ?2,
                 state = 'waiting', attempts = 0, not_before = 0, rerun = 0, why = NULL, parked_for = NULL,
                 parked_at = NULL WHERE key = ?1"
            }
        })
        .bind(&key)
        .bind(schedule.due)
        .bind(schedule.latest)
        .bind(schedule.patience)
        .bind(payload);
        // Only a waiting job's next try is held back by its retry.
        let query = if change == "waiting" { query.bind(schedule.due.max(not_before)) } else { query };
        query.execute(&mut **tx).await.map_err(&get)?;
    }
    Ok(())
}

async fn park(
    tx: &mut Tx,
    key: &str,
    parked_for: ParkedFor,
    why: &str,
    attempts: u32,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE jobs SET state = 'parked', ready_at = NULL, owner = NULL, token = NULL, rerun = 0, parked_for = ?,
         why = ?, attempts = ?, parked_at = ? WHERE key = ?",
    )
    .bind(parked_for.name())
    .bind(why)
    .bind(attempts)
    .bind(micros(now))
    .bind(key)
    .execute(&mut **tx)
    .await
    .map_err(failed("park a job"))?;
    Ok(())
}
