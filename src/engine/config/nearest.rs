//! "Did you mean": the nearest known word to one that is not known.

/// The known word nearest to `word`, if it is near enough to be a slip of the keyboard: at most a third of its letters
/// inserted, left out, replaced or swapped with their neighbour, and never more than three. Case is no difference.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    // Longer than any key: not a slip, and the comparison is quadratic.
    if word.len() > 64 {
        return None;
    }
    let word: Vec<char> = word.to_lowercase().chars().collect();
    let allowed = (word.len() / 3).clamp(1, 3);
    known
        .into_iter()
        .map(|candidate| (distance(&word, &candidate.to_lowercase().chars().collect::<Vec<_>>()), candidate))
        .filter(|(distance, candidate)| *distance <= allowed && *distance < candidate.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Whether two words are the same but for so many slips of the keyboard. Case is no difference.
pub fn is_near(a: &str, b: &str, slips: usize) -> bool {
    let letters = |word: &str| word.to_lowercase().chars().collect::<Vec<_>>();
    a.len().abs_diff(b.len()) <= slips && distance(&letters(a), &letters(b)) <= slips
}

/// Optimal string alignment: insertions, deletions, replacements and swaps of neighbours, each counted once.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_is_recognised_and_another_word_is_not() {
        let known = ["environments", "promotions", "path", "branch", "to", "update"];
        for (word, expected) in [
            ("enviroments", Some("environments")),
            ("Environments", Some("environments")),
            ("promotion", Some("promotions")),
            ("pathes", Some("path")),
            ("ptah", Some("path")),
            ("brnach", Some("branch")),
            ("upadte", Some("update")),
            ("xy", None),
            ("labels", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known), expected, "{word}");
        }
        assert_eq!(nearest(&"e".repeat(10_000), known), None);
    }
}
