//! What was read, within bounds.

use super::BranchState;
use crate::engine::manifest::{FileKind, Scan};
use std::{collections::HashMap, mem, path::PathBuf, sync::Arc};

/// About how many bytes of scans are kept. A file of the field's usual size takes one to three thousand.
const SCAN_BYTES: usize = 256 << 20;
/// How many bytes of data a byte of YAML is kept as, or more.
const DATA_WEIGHT: usize = 4;
/// How many files the snapshots kept may have together; an entry takes some 200 bytes.
const SNAPSHOT_FILES: usize = 1_000_000;

/// What files hold, by their blob's id. `None`: a file without interest.
///
/// There are two generations: what is used moves to the young one, and when that is full the old one is dropped. So
/// what was used lately stays, at the cost of one look-up.
#[derive(Default)]
pub(super) struct ScanCache {
    young: Generation,
    old: Generation,
    limit: Option<usize>,
}

#[derive(Default)]
struct Generation {
    scans: HashMap<(Arc<str>, FileKind), Option<Arc<Scan>>>,
    bytes: usize,
}

impl ScanCache {
    pub fn get(&mut self, blob: &Arc<str>, kind: FileKind) -> Option<Option<Arc<Scan>>> {
        let key = (blob.clone(), kind);
        if let Some(known) = self.young.scans.get(&key) {
            return Some(known.clone());
        }
        let known = self.old.scans.remove(&key)?;
        self.insert(key, known.clone(), weight(known.as_deref()));
        Some(known)
    }

    /// `weight`: that of [`weight`], which is told more quickly by who has just made the scan.
    pub fn put(&mut self, blob: &Arc<str>, kind: FileKind, scan: Option<Arc<Scan>>, weight: usize) {
        self.insert((blob.clone(), kind), scan, weight);
    }

    /// Makes room for so many at once, or for as many as a generation holds of the usual size.
    pub fn reserve(&mut self, more: usize) {
        self.young.scans.reserve(more.min(self.limit.unwrap_or(SCAN_BYTES) / 2 / 1024));
    }

    fn insert(&mut self, key: (Arc<str>, FileKind), scan: Option<Arc<Scan>>, bytes: usize) {
        if self.young.bytes + bytes > self.limit.unwrap_or(SCAN_BYTES) / 2 {
            self.old = mem::take(&mut self.young);
        }
        self.young.bytes += bytes;
        self.young.scans.insert(key, scan);
    }
}

/// About how many bytes a scan takes, its key included.
pub(super) fn weight(scan: Option<&Scan>) -> usize {
    let key = 128;
    let Some(scan) = scan else { return key };
    let document = |document: &crate::engine::manifest::Document| {
        let annotations = document.annotations.iter().map(|a| size_of_val(a) + a.key.len() + a.value.len());
        size_of_val(document) + 64 + annotations.sum::<usize>()
    };
    let line = |line: &crate::engine::manifest::ImageLine| {
        size_of_val(line) + line.value.len() + line.image.as_ref().map_or(0, String::len) + 48 * line.path.0.len()
    };
    // Kustomizations, image objects and the like are kept as data: some times the bytes that they were read from.
    let is_data = |document: &crate::engine::manifest::Document| {
        document.content.is_some() || document.kustomization.is_some() || document.generator.is_some()
    };
    let data = if scan.documents.iter().any(is_data) { DATA_WEIGHT * scan.end.size } else { 0 };
    key + data
        + size_of_val(scan)
        + scan.documents.iter().map(document).sum::<usize>()
        + scan.lines.iter().map(line).sum::<usize>()
        + scan.findings.iter().map(|finding| size_of_val(finding) + finding.message.len()).sum::<usize>()
}

/// The branches that were read last, the latest at the end.
#[derive(Default)]
pub(super) struct Recent(Vec<(Key, Arc<BranchState>)>);

/// A mirror's folder and a branch.
type Key = (PathBuf, String);

impl Recent {
    pub fn get(&mut self, key: &Key) -> Option<Arc<BranchState>> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        let found = self.0.remove(at);
        let state = found.1.clone();
        self.0.push(found);
        Some(state)
    }

    pub fn put(&mut self, key: Key, state: Arc<BranchState>) {
        self.0.retain(|(known, _)| *known != key);
        self.0.push((key, state));
        let mut files = 0;
        // The one just put stays, however large it is.
        let kept = self.0.iter().rev().take_while(|(_, state)| {
            let first = files == 0;
            files += state.snapshot.entries.len() + 1;
            first || files <= SNAPSHOT_FILES
        });
        let kept = kept.count();
        self.0.drain(..self.0.len() - kept);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_lately_stays() {
        let mut cache = ScanCache { limit: Some(128 * 20), ..ScanCache::default() };
        cache.put(&"kept".into(), FileKind::Yaml, None, 128);
        for n in 0..1000 {
            cache.put(&n.to_string().into(), FileKind::Yaml, None, 128);
            assert_eq!(cache.get(&"kept".into(), FileKind::Yaml), Some(None), "after {n}");
            assert!(cache.young.scans.len() + cache.old.scans.len() <= 20);
        }
        assert_eq!(cache.get(&"999".into(), FileKind::Yaml), Some(None));
        assert_eq!(cache.get(&"999".into(), FileKind::Json), None);
        assert_eq!(cache.get(&"0".into(), FileKind::Yaml), None);
    }
}
