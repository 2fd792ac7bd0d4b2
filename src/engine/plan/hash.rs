//! A plan's fingerprint: the same lines with the same values give the same hash. Never text, gates or the time.

use super::Change;
use sha2::{Digest, Sha256};

/// 16 hex digits over (line, old, new) of all changes, in the order of the lines.
pub fn plan_hash(changes: &[Change]) -> String {
    let mut rows: Vec<String> = changes
        .iter()
        .map(|change| {
            let object = change.line.object.as_ref().map(ToString::to_string).unwrap_or_default();
            let line = &change.line;
            format!("{}\0{object}\0{}\0{}\0{}\0{}\n", line.file, line.document, line.path, change.old, change.new)
        })
        .collect();
    rows.sort();
    let mut hasher = Sha256::new();
    for row in &rows {
        hasher.update(row.as_bytes());
    }
    hex::encode(&hasher.finalize()[..8])
}
