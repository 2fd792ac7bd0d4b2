//! Versions as Masterminds/semver reads them (`NewVersion`, release 3.5): looser than semver.org. One to three numbers, a
//! leading `v`, leading zeros in the numbers; no precedence by build metadata. The `semver` crate refuses most of these.

use std::cmp::Ordering;

/// The longest version, in bytes.
const MAX: usize = 256;

/// A version that borrows its pre-release from the tag it was read from. Ordered by precedence: `v1.2.0` equals
/// `1.2+build`.
#[derive(Clone, Copy, Debug)]
pub struct Version<'a> {
    pub major: u64,
    pub minor: u64,
    pub patch: u64,
    /// Without its hyphen; empty for a release.
    pub pre: &'a str,
}

impl<'a> Version<'a> {
    /// Reads a version; `None` where `text` is none, or a number exceeds 64 bits.
    pub fn parse(text: &'a str) -> Option<Self> {
        if text.len() > MAX {
            return None;
        }
        let rest = text.strip_prefix('v').unwrap_or(text);
        let (major, rest) = number(rest)?;
        let (minor, rest) = next_number(rest)?;
        let (patch, rest) = next_number(rest)?;
        let (rest, build) = match rest.split_once('+') {
            Some((rest, build)) => (rest, Some(build)),
            None => (rest, None),
        };
        if build.is_some_and(|b| !b.split('.').all(is_identifier)) {
            return None;
        }
        let pre = match rest.strip_prefix('-') {
            Some(pre) if is_pre_release(pre) => pre,
            None if rest.is_empty() => "",
            _ => return None,
        };
        Some(Version { major, minor, patch, pre })
    }

    /// As [`Self::parse`], for Flux's ImagePolicy, which wants three parts. Flux counts dots, wherever they are, so
    /// `1.2-rc.1` passes.
    pub fn parse_three_part(text: &'a str) -> Option<Self> {
        if memchr::memchr_iter(b'.', text.as_bytes()).take(2).count() < 2 {
            return None;
        }
        Self::parse(text)
    }
}

/// Reads the digits that `text` begins with.
fn number(text: &str) -> Option<(u64, &str)> {
    let bytes = text.as_bytes();
    let mut value = 0u64;
    let mut end = 0;
    while let Some(digit @ b'0'..=b'9') = bytes.get(end) {
        value = value.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        end += 1;
    }
    (end > 0).then(|| (value, &text[end..]))
}

/// Reads `.` and digits; 0 where there is no dot.
fn next_number(text: &str) -> Option<(u64, &str)> {
    match text.strip_prefix('.') {
        Some(rest) => number(rest),
        None => Some((0, text)),
    }
}

fn is_identifier(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Dot-separated identifiers, numbers without leading zeros.
pub(super) fn is_pre_release(text: &str) -> bool {
    let leading_zero = |p: &str| p.len() > 1 && p.starts_with('0') && p.bytes().all(|b| b.is_ascii_digit());
    text.split('.').all(|p| is_identifier(p) && !leading_zero(p))
}

/// The precedence of two pre-releases; an empty one, a release, comes after all others.
fn compare_pre(a: &str, b: &str) -> Ordering {
    match (a.is_empty(), b.is_empty()) {
        (true, true) => return Ordering::Equal,
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    let (mut left, mut right) = (a.split('.'), b.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(x), Some(y)) => compare_identifiers(x, y),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Numbers before words. A number of more than 64 bits counts as a word, as it does for Masterminds.
fn compare_identifiers(a: &str, b: &str) -> Ordering {
    let value = |text: &str| if text.starts_with('-') { None } else { text.parse::<u64>().ok() };
    match (value(a), value(b)) {
        (Some(x), Some(y)) => x.cmp(&y),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.cmp(b),
    }
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.major, self.minor, self.patch)
            .cmp(&(other.major, other.minor, other.patch))
            .then_with(|| compare_pre(self.pre, other.pre))
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Version<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_version() {
        #[rustfmt::skip]
        let cases = [
            // text, version, version in three parts
            ("1.2.3", true, true),
            ("v1.2.3", true, true),
            ("v2025.07.03", true, true),
            ("1", true, false),
            ("1.2", true, false),
            ("1.2-rc.1", true, false),
            ("1.2-rc.1.2", true, true),
            ("8-jdk11", true, false),
            ("1.2.3-rc1-with-hyphen+meta.1", true, true),
            ("1.2.3+build", true, true),
            ("18446744073709551615.0.0", true, true),
            ("18446744073709551616.0.0", false, false),
            ("", false, false),
            ("v", false, false),
            ("V1.2.3", false, false),
            ("1.2.3.4", false, false),
            ("1.2.", false, false),
            ("1.2.3-", false, false),
            ("1.2.3+", false, false),
            ("1.2.3-01", false, false),
            ("1.2.3-0a", true, true),
            ("1.2.3-a..b", false, false),
            ("1.2.3 ", false, false),
            ("\n1.2.3", false, false),
            ("1.0.0p", false, false),
            ("latest", false, false),
        ];
        for (text, any, three) in cases {
            assert_eq!(Version::parse(text).is_some(), any, "{text:?}");
            // Two dots anywhere are enough, as for Flux.
            let three = three || text == "1.2-rc.1";
            assert_eq!(Version::parse_three_part(text).is_some(), three, "{text:?} in three parts");
        }
        for (length, is_version) in [(256, true), (257, false)] {
            assert_eq!(
                Version::parse(&format!("1.2.3-{:a<1$}", "", length - 6)).is_some(),
                is_version,
                "{length} bytes"
            );
        }
    }

    #[test]
    fn precedence() {
        let ascending = [
            "0.9",
            "1.0.0-1",
            "1.0.0-2",
            "1.0.0-10",
            "1.0.0--1",
            "1.0.0-99999999999999999999",
            "1.0.0-alpha",
            "1.0.0-alpha.1",
            "1.0.0-alpha.beta",
            "1.0.0-rc10",
            "1.0.0-rc9",
            "1",
            "1.0.1",
            "1.2",
            "1.10",
            "2024.01.05",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                let (x, y) = (Version::parse(a).unwrap(), Version::parse(b).unwrap());
                assert_eq!(x.cmp(&y), i.cmp(&j), "{a} against {b}");
            }
        }
        assert_eq!(Version::parse("v1.2"), Version::parse("01.2.0+build"));
    }
}
