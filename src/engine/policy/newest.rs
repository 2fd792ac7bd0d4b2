//! The order by time, and what decides where times are the same: one build often carries several tags
//! (`sha-<40>`, `sha-<7>`, `qa-sha-<7>`).

use crate::engine::image::Tag;
use jiff::Timestamp;
use std::cmp::Ordering;

/// When the image was pushed, or else created.
pub(super) fn time(tag: &Tag) -> Option<Timestamp> {
    tag.pushed_at.or(tag.created_at)
}

/// Compares two tags of one time: the one of the current value's shape, then the longer, then the first by bytes is
/// `Greater`, that is, chosen.
pub(super) fn break_tie(a: &str, b: &str, current: Option<&str>) -> Ordering {
    let like_current = |tag: &str| current.is_some_and(|current| shape(tag).eq(shape(current)));
    like_current(a).cmp(&like_current(b)).then(a.len().cmp(&b.len())).then_with(|| b.cmp(a))
}

/// A tag's shape, word by word: hexadecimal words of seven digits or more (commits) and dates count by their length,
/// other words by their letters, whatever their numbers are.
fn shape(tag: &str) -> impl Iterator<Item = Part<'_>> {
    let separator = |c: char| !c.is_ascii_alphanumeric();
    tag.split_inclusive(separator).map(move |part| {
        let word = part.trim_end_matches(separator);
        let end = part[word.len()..].chars().next();
        if word.len() >= 7 && word.bytes().all(|b| b.is_ascii_hexdigit()) {
            Part { word: Word::Hex(word.len()), end }
        } else {
            Part { word: Word::Letters(Letters(word)), end }
        }
    })
}

#[derive(PartialEq)]
struct Part<'a> {
    word: Word<'a>,
    end: Option<char>,
}

#[derive(PartialEq)]
enum Word<'a> {
    Hex(usize),
    Letters(Letters<'a>),
}

/// A word in which each run of digits is one.
struct Letters<'a>(&'a str);

impl PartialEq for Letters<'_> {
    fn eq(&self, other: &Self) -> bool {
        fn folded(text: &str) -> impl Iterator<Item = u8> {
            let mut in_number = false;
            text.bytes().filter_map(move |b| {
                let first = !std::mem::replace(&mut in_number, b.is_ascii_digit());
                match b {
                    b'0'..=b'9' => first.then_some(b'0'),
                    _ => Some(b),
                }
            })
        }
        folded(self.0).eq(folded(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        #[rustfmt::skip]
        let cases = [
            ("sha-06c5953", "sha-fffffff", true),
            ("sha-06c5953", "qa-sha-06c5953", false),
            ("sha-06c5953", "sha-06c5953a06c5953a06c5953a06c5953a06c5953a", false),
            ("1.2.3", "10.20.30", true),
            ("1.2.3", "1.2", false),
            ("v1.2.3", "1.2.3", false),
            ("main-abcdef0-1700000000", "main-1234567-1800000000", true),
            ("rc1", "rc12", true),
            ("a-b", "a_b", false),
            ("latest", "stable", false),
        ];
        for (a, b, same) in cases {
            assert_eq!(shape(a).eq(shape(b)), same, "{a} and {b}");
        }
    }
}
