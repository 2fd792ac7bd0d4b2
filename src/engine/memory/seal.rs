//! The seal on a memory commit. Anybody who may push can push `refs/butler/state`; only butler can seal it.
//!
//! The seal is an HMAC-SHA-256 over the repository's name, the parent commit and the file's bytes, under a key derived
//! from the App's private key. It stands in the commit's message as a trailer.

use crate::engine::mac::{hmac_sha256, same};

const TRAILER: &str = "Butler-Seal: ";
const CONTEXT: &[u8] = b"butler memory v1\0";

/// A sealing key. Its id is public; its bytes never leave.
#[derive(Clone)]
pub struct Key {
    bytes: [u8; 32],
    id: String,
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Key({})", self.id)
    }
}

/// Why a memory commit is not butler's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("the commit carries no seal of butler's")]
    Missing,
    #[error("the commit's seal was made with a key that is not configured")]
    UnknownKey,
    #[error("the commit's seal does not fit its content")]
    Forged,
}

impl Key {
    /// Derives a sealing key from a secret (the App's private key, however its file writes it).
    pub fn derive(secret: &[u8]) -> Self {
        let bytes = hmac_sha256(secret, &[b"butler memory key v1"]);
        let id = hex::encode(&hmac_sha256(&bytes, &[b"key id"])[..4]);
        Key { bytes, id }
    }
}

/// The commit message's trailer that seals `content` as the child of `parent` (`None` for the first one).
pub fn seal(key: &Key, repository: &str, parent: Option<&str>, content: &[u8]) -> String {
    format!("{TRAILER}{} {}", key.id, hex::encode(tag(key, repository, parent, content)))
}

/// Checks the seal in a commit's message. Any configured key will do, so that keys can be rotated.
pub fn verify(
    keys: &[Key],
    repository: &str,
    parent: Option<&str>,
    content: &[u8],
    message: &str,
) -> Result<(), SealError> {
    let sealed = message.lines().rev().find_map(|line| line.strip_prefix(TRAILER)).ok_or(SealError::Missing)?;
    let (id, tag_hex) = sealed.split_once(' ').ok_or(SealError::Missing)?;
    let key = keys.iter().find(|key| key.id == id).ok_or(SealError::UnknownKey)?;
    let given = hex::decode(tag_hex.trim()).map_err(|_| SealError::Forged)?;
    let expected = tag(key, repository, parent, content);
    if same(&expected, &given) { Ok(()) } else { Err(SealError::Forged) }
}

fn tag(key: &Key, repository: &str, parent: Option<&str>, content: &[u8]) -> [u8; 32] {
    hmac_sha256(&key.bytes, &[CONTEXT, repository.as_bytes(), b"\0", parent.unwrap_or("").as_bytes(), b"\0", content])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_fits_one_key_repository_parent_and_content_only() {
        let (key, old) = (Key::derive(b"new"), Key::derive(b"old"));
        let message = format!("hold: app\n\n{}\n", seal(&old, "o/r", Some("p1"), b"{}"));
        let keys = [key.clone(), old];
        let cases: &[(&[Key], &str, Option<&str>, &[u8], &str, Result<(), SealError>)] = &[
            (&keys, "o/r", Some("p1"), b"{}", &message, Ok(())),
            (&keys[..1], "o/r", Some("p1"), b"{}", &message, Err(SealError::UnknownKey)),
            (&keys, "o/other", Some("p1"), b"{}", &message, Err(SealError::Forged)),
            (&keys, "o/r", Some("p2"), b"{}", &message, Err(SealError::Forged)),
            (&keys, "o/r", None, b"{}", &message, Err(SealError::Forged)),
            (&keys, "o/r", Some("p1"), b"{ }", &message, Err(SealError::Forged)),
            (&keys, "o/r", Some("p1"), b"{}", "hold: app", Err(SealError::Missing)),
            (&keys, "o/r", Some("p1"), b"{}", "Butler-Seal: nonsense", Err(SealError::Missing)),
        ];
        for (keys, repository, parent, content, message, expected) in cases {
            assert_eq!(verify(keys, repository, *parent, content, message), *expected, "{repository} {parent:?}");
        }
    }
}
