//! The SQLite file: how it is opened, its two pools, and what its errors mean.

use super::StoreError;
use crate::adapters::private;
use jiff::Timestamp;
use sqlx::{
    Sqlite, SqlitePool, Transaction,
    error::DatabaseError,
    migrate::{MigrateError, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// How long a statement waits for another process's write, and a task for a connection.
const BUSY: Duration = Duration::from_secs(10);

/// One connection that writes and several that read: WAL lets them work at the same time, and writers of this process
/// queue fairly for the one connection instead of polling for the file's lock.
#[derive(Clone)]
pub(super) struct Database {
    writer: SqlitePool,
    readers: SqlitePool,
    path: PathBuf,
    /// Device and inode of the file that was opened.
    file: (u64, u64),
}

impl Database {
    pub(super) async fn open(location: &str) -> Result<Database, StoreError> {
        let failed = |why: String| StoreError::Open { location: location.into(), why };
        if location.starts_with("postgres://") || location.starts_with("postgresql://") {
            return Err(StoreError::Open {
                // Not the URL: it carries a password.
                location: "postgres://…".into(),
                why: "PostgreSQL comes with a later version; name a file for SQLite, as in data/butler.db".into(),
            });
        }
        let path = location.strip_prefix("sqlite:").map_or(location, |p| p.strip_prefix("//").unwrap_or(p));
        if path.is_empty() {
            return Err(failed("expected the path of a SQLite file".into()));
        }
        let path = Path::new(path);
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty()) {
            private::create_dir_all(folder)
                .map_err(|e| failed(format!("its folder {} could not be created: {e}", folder.display())))?;
        }
        // SQLite gives the files beside it the same mode.
        let made = private::options().truncate(false).open(path);
        made.map_err(|e| failed(format!("unable to open database file: {e}")))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A 202 promises that the delivery survives a loss of power.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY);
        let pool = |connections| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .acquire_timeout(BUSY * 2)
                .idle_timeout(None)
                .max_lifetime(None)
                .test_before_acquire(false)
        };
        let writer = pool(1).connect_with(options.clone()).await.map_err(|e| failed(e.to_string()))?;
        MIGRATIONS.run(&writer).await.map_err(|e| {
            failed(match e {
                MigrateError::VersionMissing(_) | MigrateError::VersionMismatch(_) => format!(
                    "its schema is of another version of butler ({e}); run that version, or delete the file: it is rebuilt"
                ),
                e => e.to_string(),
            })
        })?;
        // A reader that connects late must not make an empty file in place of one that was deleted.
        let options = options.create_if_missing(false);
        let readers = pool(4).connect_with(options).await.map_err(|e| failed(e.to_string()))?;
        let file = identity(path).map_err(|e| failed(e.to_string()))?;
        Ok(Database { writer, readers, path: path.to_owned(), file })
    }

    /// Whether the file is still the one that was opened.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        match identity(&self.path) {
            Ok(file) if file == self.file => Ok(()),
            _ => Err(StoreError::Gone { path: self.path.clone() }),
        }
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT 1").execute(&self.readers).await.map_err(failed("answer"))?;
        Ok(())
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// For statements that only read.
    pub(super) fn read(&self) -> &SqlitePool {
        &self.readers
    }

    /// Begins a transaction that holds the write lock from its first statement, so that what it reads stays so.
    pub(super) async fn write(&self, doing: &'static str) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed(doing))
    }
}

fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    let file = std::fs::metadata(path)?;
    Ok((file.dev(), file.ino()))
}

/// What an error of the database means for the caller.
pub(super) fn failed(doing: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| {
        // SQLite's primary result codes (https://www.sqlite.org/rescode.html): busy, locked, no memory, read-only,
        // interrupted, I/O, full, cannot open, protocol.
        let passing = |e: &dyn DatabaseError| {
            e.code().and_then(|c| c.parse::<u32>().ok()).is_some_and(|c| matches!(c & 0xff, 5..=10 | 13..=15))
        };
        match &error {
            sqlx::Error::Database(e) if !passing(e.as_ref()) => StoreError::Damaged { doing, why: error.to_string() },
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
                StoreError::Damaged { doing, why: error.to_string() }
            }
            _ => StoreError::Unavailable { doing, source: Box::new(error) },
        }
    }
}

pub(super) fn damaged(doing: &'static str) -> impl Fn(&dyn std::error::Error) -> StoreError {
    move |error| StoreError::Damaged { doing, why: error.to_string() }
}

/// A time as a column holds it.
pub(super) fn micros(time: Timestamp) -> i64 {
    time.as_microsecond()
}

/// A column as a time. What is out of range was not written by butler; it reads as the nearest time there is.
pub(super) fn time(micros: i64) -> Timestamp {
    Timestamp::from_microsecond(micros).unwrap_or(if micros < 0 { Timestamp::MIN } else { Timestamp::MAX })
}
