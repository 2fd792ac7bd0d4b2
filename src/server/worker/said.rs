//! What stands in butler's comments, so that GitHub is not asked before each look that changes nothing. It is noted when
//! it was said, not when it is to be said: what could not be said is tried again.

use crate::{
    adapters::store::{Store, StoreError},
    engine::event::RepoName,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

/// The store's scope of it.
pub(super) const SAID: &str = "said";

fn place(repo: &RepoName, number: u64, key: &str) -> String {
    format!("{repo}#{number} {key}")
}

fn fingerprint(body: &str) -> String {
    hex::encode(Sha256::digest(body.as_bytes()))
}

/// Whether this is what stands there.
pub(super) async fn is_said(
    store: &Store,
    repo: &RepoName,
    number: u64,
    key: &str,
    body: &str,
) -> Result<bool, StoreError> {
    let said: Option<(String, _)> = store.fact(SAID, &place(repo, number, key)).await?;
    Ok(said.is_some_and(|(said, _)| said == fingerprint(body)))
}

/// Whether anything was said there, or is to be.
pub(super) async fn is_anything(store: &Store, repo: &RepoName, number: u64, key: &str) -> Result<bool, StoreError> {
    Ok(store.fact::<String>(SAID, &place(repo, number, key)).await?.is_some())
}

/// Notes that this was said.
pub(super) async fn note(
    store: &Store,
    repo: &RepoName,
    number: u64,
    key: &str,
    body: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    store.put_fact(SAID, &place(repo, number, key), &fingerprint(body), now).await
}

/// Notes that something else is to be said.
pub(super) async fn unsay(
    store: &Store,
    repo: &RepoName,
    number: u64,
    key: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    store.put_fact(SAID, &place(repo, number, key), &"", now).await
}
