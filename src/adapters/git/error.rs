//! What can go wrong, told apart by what the caller does about it.

use super::transport::TokenError;
use std::{path::PathBuf, time::Duration};

/// Why git could not do it. Addresses never carry credentials, so neither do messages.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("{url}: the credentials were refused (401): the installation token expired or was revoked")]
    Unauthorized { url: String },
    #[error("{url}: not allowed (403): {detail}; check the App's permissions on this repository")]
    Forbidden { url: String, detail: String },
    #[error("{url}: no such repository, or the App is not installed on it (404)")]
    NotFound { url: String },
    #[error("{url}: expected an answer, found status {status}: {detail}")]
    Busy { url: String, status: u16, detail: String, retry_after: Option<Duration> },
    #[error("{url}: no answer: {why}")]
    Unreachable { url: String, why: String },
    #[error("{url}: redirected to {to}, which is another host; put the repository's own address into the settings")]
    Redirected { url: String, to: String },
    #[error("{url}: expected {expected}, found {found}; check that this is a git repository's address")]
    Unexpected { url: String, expected: String, found: String },
    #[error("no token for {url}: {source}")]
    Token { url: String, source: TokenError },
    /// Asked for an object that was never fetched, or is gone since a history was rewritten.
    #[error("{what} {id} is not in the mirror; fetch first")]
    Missing { what: &'static str, id: String },
    #[error("{what} {id} has {size} bytes, more than the limit of {limit}")]
    TooLarge { what: &'static str, id: String, size: usize, limit: usize },
    /// The next fetch makes the mirror anew.
    #[error("the mirror in {dir} is damaged: {why}; it is made anew at the next fetch")]
    Damaged { dir: PathBuf, why: String },
    #[error("{dir}: {source}")]
    Disk { dir: PathBuf, source: std::io::Error },
    /// The caller asked for something that makes no sense.
    #[error("{0}")]
    Invalid(String),
}

/// What a caller does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// It may pass: try again, not before `after` where the server said when.
    Retry { after: Option<Duration> },
    /// Somebody must change permissions, settings or the repository.
    Fix,
    /// A fault of butler's own.
    Bug,
}

impl GitError {
    pub fn remedy(&self) -> Remedy {
        match self {
            GitError::Busy { retry_after, .. } => Remedy::Retry { after: *retry_after },
            // A token that was refused is replaced by the next attempt's.
            GitError::Unauthorized { .. }
            | GitError::Unreachable { .. }
            | GitError::Token { .. }
            | GitError::Missing { .. }
            | GitError::Damaged { .. }
            | GitError::Disk { .. } => Remedy::Retry { after: None },
            GitError::Forbidden { .. }
            | GitError::NotFound { .. }
            | GitError::Redirected { .. }
            | GitError::Unexpected { .. }
            | GitError::TooLarge { .. } => Remedy::Fix,
            GitError::Invalid(_) => Remedy::Bug,
        }
    }
}

/// What libgit2 says. Some of its errors carry no text: then their kind, so that no message ends in nothing.
pub(super) fn said(error: &git2::Error) -> String {
    match error.message().trim() {
        "" => format!("libgit2 gives no reason ({:?} in {:?})", error.code(), error.class()),
        message => message.to_owned(),
    }
}

/// Names the object that a caller asked for, where libgit2 says that there is none.
pub(super) fn missing(what: &'static str, id: git2::Oid) -> impl FnOnce(git2::Error) -> Local {
    move |error| match error.code() {
        git2::ErrorCode::NotFound => Local::Missing { what, id: id.to_string() },
        _ => Local::Git(error),
    }
}

/// An error of the local repository, before it is known which one.
#[derive(Debug)]
pub(super) enum Local {
    Git(git2::Error),
    Missing { what: &'static str, id: String },
    TooLarge { what: &'static str, id: String, size: usize, limit: usize },
    Invalid(String),
}

impl From<git2::Error> for Local {
    fn from(error: git2::Error) -> Self {
        Local::Git(error)
    }
}

impl Local {
    pub(super) fn in_dir(self, dir: &std::path::Path) -> GitError {
        match self {
            Local::Missing { what, id } => GitError::Missing { what, id },
            Local::TooLarge { what, id, size, limit } => GitError::TooLarge { what, id, size, limit },
            Local::Invalid(why) => GitError::Invalid(why),
            Local::Git(error) if passing(&error) => {
                GitError::Disk { dir: dir.to_owned(), source: std::io::Error::other(said(&error)) }
            }
            // What is left has to do with objects or refs that should be there and are not, or cannot be read.
            Local::Git(error) => GitError::Damaged { dir: dir.to_owned(), why: said(&error) },
        }
    }
}

/// A full disk or missing rights say nothing about what is on the disk; a lock or a file that is gone does.
fn passing(error: &git2::Error) -> bool {
    use git2::{ErrorClass, ErrorCode};
    error.class() == ErrorClass::Os && !matches!(error.code(), ErrorCode::Locked | ErrorCode::NotFound)
}

/// Reads an id as callers write it.
pub(super) fn oid(id: &str) -> Result<git2::Oid, Local> {
    match git2::Oid::from_str(id) {
        Ok(oid) if id.len() == 40 => Ok(oid),
        _ => Err(Local::Invalid(format!("expected an object id of 40 hexadecimal digits, found {id:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use git2::{ErrorClass, ErrorCode};

    #[test]
    fn no_message_ends_in_nothing() {
        #[rustfmt::skip]
        let cases = [
            ("", ErrorCode::GenericError, ErrorClass::None, "the mirror in m is damaged: libgit2 gives no reason (GenericError in None); it is made anew at the next fetch"),
            (" ", ErrorCode::Eof, ErrorClass::Os, "m: libgit2 gives no reason (Eof in Os)"),
            ("bad object", ErrorCode::GenericError, ErrorClass::Odb, "the mirror in m is damaged: bad object; it is made anew at the next fetch"),
        ];
        for (message, code, class, shown) in cases {
            let error = Local::Git(git2::Error::new(code, class, message)).in_dir(std::path::Path::new("m"));
            assert_eq!(error.to_string(), shown);
        }
    }
}
