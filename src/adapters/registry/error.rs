//! What can go wrong with a registry, told apart by what the caller does about it.

use std::time::Duration;

/// Why a registry could not tell what it was asked. No message holds a credential, a token or a signed address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Nothing is wrong with the request: ask again after this time. The registry was away, too slow or overloaded.
    #[error("{what}: {why}; asked again in {}", wait(*after))]
    RetryLater { what: String, why: String, after: Duration },
    /// Asking again does not help: somebody must change credentials, permissions or settings first.
    #[error("{what}: refused: {why}")]
    Refused { what: String, why: String },
    /// The registry has no such repository, manifest or blob (or hides it from these credentials).
    #[error(
        "{what}: not found at the registry (or hidden from these credentials); check the name, and that it was pushed"
    )]
    NotFound { what: String },
    /// The answer goes beyond what butler reads, so that a broken or hostile registry cannot fill the memory.
    #[error("{what}: {found}, expected at most {limit}")]
    TooLarge { what: String, found: String, limit: String },
    /// The registry answered something that the distribution specification does not allow, or this client is wrong.
    #[error("{what}: expected {expected}, found {found}")]
    Protocol { what: String, expected: String, found: String },
}

impl RegistryError {
    pub(super) fn refused(what: &str, why: impl Into<String>) -> Self {
        RegistryError::Refused { what: what.into(), why: why.into() }
    }

    pub(super) fn protocol(what: &str, expected: impl Into<String>, found: impl Into<String>) -> Self {
        RegistryError::Protocol { what: what.into(), expected: expected.into(), found: found.into() }
    }

    /// As it is told where nobody asks again.
    pub fn asked_once(&self) -> String {
        match self {
            RegistryError::RetryLater { what, why, .. } => format!("{what}: {why}"),
            other => other.to_string(),
        }
    }

    /// When it makes sense to ask again; `None` where it does not.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            RegistryError::RetryLater { after, .. } => Some(*after),
            _ => None,
        }
    }
}

fn wait(after: Duration) -> String {
    match after.as_secs() {
        0 => "a moment".into(),
        seconds => format!("{seconds} s"),
    }
}

/// A text from outside, shortened and without control characters, fit for a message.
pub(super) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut short: String =
        text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect::<String>().trim().into();
    if text.chars().count() > LONGEST {
        short.push('…');
    }
    short
}
