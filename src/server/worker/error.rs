//! What stopped a job, told apart by what happens next.

use crate::adapters::{
    git::{GitError, Remedy},
    github::ForgeError,
    store::StoreError,
};
use jiff::Timestamp;

/// Why a job did not end well.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// It may pass: to be tried again, not before `at`.
    #[error("{why}")]
    Retry { at: Option<Timestamp>, why: String },
    /// Something moved while it was planned: plan again.
    #[error("{0}")]
    Again(String),
    /// Somebody has to change something.
    #[error("{0}")]
    Fix(String),
    /// A fault of butler's own.
    #[error("{0}")]
    Bug(String),
    /// Another worker holds the lease by now.
    #[error("the lease was lost to another worker")]
    LeaseLost,
}

impl From<GitError> for WorkError {
    fn from(error: GitError) -> Self {
        let why = error.to_string();
        match error.remedy() {
            Remedy::Retry { after } => WorkError::Retry {
                at: after
                    .and_then(|after| Timestamp::now().checked_add(jiff::SignedDuration::try_from(after).ok()?).ok()),
                why,
            },
            Remedy::Fix => WorkError::Fix(why),
            Remedy::Bug => WorkError::Bug(why),
        }
    }
}

impl From<ForgeError> for WorkError {
    fn from(error: ForgeError) -> Self {
        let why = error.to_string();
        match &error {
            ForgeError::RetryLater { at, .. } => WorkError::Retry { at: Some(*at), why },
            ForgeError::Unknown { .. } => WorkError::Retry { at: None, why },
            ForgeError::Refused { .. } | ForgeError::NotFound { .. } => WorkError::Fix(why),
            _ => WorkError::Bug(why),
        }
    }
}

impl From<StoreError> for WorkError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::LeaseLost { .. } => WorkError::LeaseLost,
            error => WorkError::Retry { at: None, why: error.to_string() },
        }
    }
}
