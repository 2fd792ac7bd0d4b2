//! What is there more than once: names that name nothing, fields of which none counts, objects told apart by their order.

use super::{Document, FieldPath, ImageLine, ObjectId, Scan, ScanFinding};
use std::collections::{HashMap, HashSet};

/// So few names are compared with each other in less time than a set of them takes to make.
const FEW: usize = 16;

/// Names that more than one item has: they name none.
pub(super) fn repeats<'n>(names: impl Iterator<Item = &'n str> + Clone) -> HashSet<&'n str> {
    if names.size_hint().1.is_some_and(|most| most <= FEW) {
        let before = |index: usize| names.clone().take(index);
        return names
            .clone()
            .enumerate()
            .filter(|(index, name)| before(*index).any(|it| it == *name))
            .map(|(_, name)| name)
            .collect();
    }
    let mut seen = HashSet::new();
    names.filter(|name| !seen.insert(*name)).collect()
}

/// A field that is there twice is no line: which one counts depends on the reader.
pub(super) fn drop_duplicates(scan: &mut Scan, repeated: &HashSet<(usize, FieldPath)>) {
    if scan.lines.len() < 2 && repeated.is_empty() {
        return;
    }
    let mut counts: HashMap<(usize, &FieldPath), usize> = HashMap::new();
    for line in &scan.lines {
        *counts.entry((line.document, &line.path)).or_default() += 1;
    }
    if counts.len() == scan.lines.len() && repeated.is_empty() {
        return;
    }
    let alone = |line: &ImageLine| {
        counts[&(line.document, &line.path)] == 1 && !repeated.contains(&(line.document, line.path.clone()))
    };
    let single: Vec<bool> = scan.lines.iter().map(alone).collect();
    let mut single = single.into_iter();
    let findings = &mut scan.findings;
    scan.lines.retain(|line| {
        let keep = single.next().unwrap_or(true);
        if !keep {
            let message =
                format!("expected {} once, found it more than once: none of them is updated; keep one", line.path);
            findings.push(ScanFinding { code: "duplicate-key".into(), position: line.position, message });
        }
        keep
    });
}

/// Numbers the documents of one identity.
pub(super) fn count_occurrences(documents: &mut [Document]) {
    if documents.len() < 2 {
        return;
    }
    let mut counts: HashMap<ObjectId, usize> = HashMap::new();
    for document in documents {
        if let Some(object) = &document.object {
            let count = counts.entry(object.clone()).or_default();
            document.occurrence = *count;
            *count += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_names_however_many_there_are() {
        let others: Vec<String> = (0..FEW).map(|n| n.to_string()).collect();
        for (names, expected) in [("", ""), ("a", ""), ("a b", ""), ("a b a", "a"), ("a a a b b c", "a b")] {
            let (names, expected) = (names.split_whitespace(), HashSet::from_iter(expected.split_whitespace()));
            assert_eq!(repeats(names.clone().collect::<Vec<_>>().into_iter()), expected);
            let many: Vec<&str> = others.iter().map(String::as_str).chain(names).collect();
            assert_eq!(repeats(many.into_iter()), expected);
        }
    }
}
