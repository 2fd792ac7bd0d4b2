//! Version ranges as Masterminds/semver reads and checks them (`NewConstraint` and `Check`, release 3.5):
//! `1.x`, `~1.2`, `^1`, `>=1 <2`, `1.0 - 2.0`, `^1 || ^2`. A pre-release is in a range only where a term of its group
//! names one. One difference: Masterminds reads `|` as part of a number, and so refuses or misreads `3||1.0 - 2.0` without a
//! space before the range; here it is read as written. Flux v1 had release 3.1 of it, of which the [`Dialect`] knows the differences.

use super::version::{Version, is_pre_release};

/// The longest range, in bytes, and the most groups between `||`; Masterminds' own limits.
const MAX: usize = 512;
const MAX_GROUPS: usize = 32;

/// A range: any of its groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    groups: Vec<Group>,
}

/// All of its terms.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Group {
    terms: Vec<Term>,
    /// Whether a term names a pre-release, which admits those of all its terms.
    admits_pre: bool,
}

/// Which release of Masterminds/semver reads a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// 3.5: terms stand apart.
    Current,
    /// 3.1, for Flux v1: terms need nothing between them, and may end with a comma. Pre-releases are admitted as in 3.5 all
    /// the same, by which the ranges of both Fluxes are told.
    Flux1,
}

/// One comparison, `>=1.2`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Term {
    op: Op,
    major: u64,
    minor: u64,
    patch: u64,
    pre: String,
    given: Given,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Greater,
    Less,
    GreaterOrEqual,
    LessOrEqual,
    Tilde,
    Caret,
}

/// How many of the three numbers a term gives; the rest is absent or `x`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Given {
    None,
    Major,
    Minor,
    Patch,
}

/// Why a text is no range, and where (byte offset from 0).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeError {
    pub at: usize,
    pub why: String,
}

impl Range {
    /// Reads a range.
    ///
    /// # Errors
    /// With the byte at which it stops being one.
    pub fn parse(text: &str, dialect: Dialect) -> Result<Self, RangeError> {
        if text.len() > MAX {
            return Err(RangeError { at: MAX, why: format!("a range has at most {MAX} bytes") });
        }
        let mut groups = Vec::new();
        let mut at = 0;
        for part in text.split("||") {
            if groups.len() == MAX_GROUPS {
                return Err(RangeError { at, why: format!("a range has at most {MAX_GROUPS} groups between `||`") });
            }
            let terms = Scanner { text: &text[..at + part.len()], at, dialect }.group()?;
            let admits_pre = terms.iter().any(|term| !term.pre.is_empty());
            groups.push(Group { terms, admits_pre });
            at += part.len() + 2;
        }
        Ok(Range { groups })
    }

    /// Whether a version is in the range.
    pub fn contains(&self, version: &Version<'_>) -> bool {
        self.groups.iter().any(|group| {
            (version.pre.is_empty() || group.admits_pre) && group.terms.iter().all(|term| term.admits(version))
        })
    }

    /// Whether the version is left out only because it is a pre-release and the range names none.
    pub fn would_contain_release(&self, version: &Version<'_>) -> bool {
        !self.contains(version) && self.contains(&Version { pre: "", ..*version })
    }
}

impl Term {
    fn bound(&self) -> Version<'_> {
        Version { major: self.major, minor: self.minor, patch: self.patch, pre: &self.pre }
    }

    fn admits(&self, v: &Version<'_>) -> bool {
        let bound = self.bound();
        match self.op {
            Op::Equal if self.given == Given::Patch => *v == bound,
            Op::Equal | Op::Tilde => self.tilde(v),
            Op::NotEqual => match self.given {
                Given::None | Given::Patch => *v != bound,
                Given::Minor => (v.major, v.minor) != (self.major, self.minor) || v.pre != self.pre,
                Given::Major => v.major != self.major,
            },
            // `>11` wants 12, `>11.1` wants 11.2.
            Op::Greater => match self.given {
                Given::Major => v.major > self.major,
                Given::Minor => (v.major, v.minor) > (self.major, self.minor),
                Given::None | Given::Patch => *v > bound,
            },
            Op::Less => *v < bound,
            Op::GreaterOrEqual => *v >= bound,
            // `<=11` takes 11.9.
            Op::LessOrEqual => match self.given {
                Given::Patch => *v <= bound,
                Given::Major => v.major <= self.major,
                Given::Minor | Given::None => (v.major, v.minor) <= (self.major, self.minor),
            },
            Op::Caret => self.caret(v),
        }
    }

    /// `~1` is 1.x.x, `~1.2` and `~1.2.3` are 1.2.x from there on; `~0.0.0` and `~*` are everything.
    fn tilde(&self, v: &Version<'_>) -> bool {
        if *v < self.bound() {
            return false;
        }
        match self.given {
            Given::None => true,
            Given::Patch if (self.major, self.minor, self.patch) == (0, 0, 0) => true,
            Given::Major => v.major == self.major,
            Given::Minor | Given::Patch => (v.major, v.minor) == (self.major, self.minor),
        }
    }

    /// Up to the next change of the leftmost number that is not 0. `^*` is 0.0.0 only, as for Masterminds.
    fn caret(&self, v: &Version<'_>) -> bool {
        if *v < self.bound() || v.major != self.major {
            return false;
        }
        match self.given {
            Given::Major => true,
            _ if self.major > 0 => true,
            Given::Minor => v.minor == self.minor,
            _ if self.minor > 0 => v.minor == self.minor,
            Given::None | Given::Patch => v.minor == 0 && v.patch == self.patch,
        }
    }
}

/// Reads one group of `text` from `at` to its end.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
    dialect: Dialect,
}

impl Scanner<'_> {
    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn error<T>(&self, why: impl Into<String>) -> Result<T, RangeError> {
        Err(RangeError { at: self.at, why: why.into() })
    }

    fn skip_space(&mut self) -> bool {
        let start = self.at;
        while self.rest().starts_with(['\t', '\n', '\x0c', '\r', ' ']) {
            self.at += 1;
        }
        self.at > start
    }

    fn take(&mut self, prefix: &str) -> bool {
        let taken = self.rest().starts_with(prefix);
        if taken {
            self.at += prefix.len();
        }
        taken
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &str {
        let start = self.at;
        self.at += self.rest().bytes().take_while(|b| wanted(*b)).count();
        &self.text[start..self.at]
    }

    fn group(mut self) -> Result<Vec<Term>, RangeError> {
        let mut terms = Vec::new();
        let apart = self.dialect == Dialect::Current;
        // Whether a hyphen range may begin here: Masterminds wants a comma between it and a plain term before it.
        let mut fresh = true;
        self.skip_space();
        loop {
            let start = self.at;
            let op = self.op();
            self.skip_space();
            let term = self.term(op.unwrap_or(Op::Equal))?;
            let mut separated = self.skip_space();
            let hyphen = separated && self.rest().starts_with('-');
            if !hyphen {
                terms.push(term);
            } else if op.is_some() || !fresh && apart {
                let why = "a hyphen range is two plain versions, with a comma between it and a term before it";
                return Err(RangeError { at: start, why: why.into() });
            } else {
                terms.push(Term { op: Op::GreaterOrEqual, ..term });
                terms.push(self.upper_end()?);
                separated = true;
            }
            let comma = self.take(",");
            fresh = comma || hyphen;
            if comma {
                self.skip_space();
            }
            if self.rest().is_empty() && !(comma && apart) {
                return Ok(terms);
            } else if !separated && !comma && apart {
                return self.error("expected a space, a comma, `||` or the end");
            }
        }
    }

    /// ` - 2.0`, from the hyphen on.
    fn upper_end(&mut self) -> Result<Term, RangeError> {
        self.at += 1;
        if !self.skip_space() {
            return self.error("expected a space after the hyphen, as in `1.0 - 2.0`");
        }
        let term = self.term(Op::LessOrEqual)?;
        self.skip_space();
        Ok(term)
    }

    fn op(&mut self) -> Option<Op> {
        const OPS: [(&str, Op); 11] = [
            ("!=", Op::NotEqual),
            (">=", Op::GreaterOrEqual),
            ("=>", Op::GreaterOrEqual),
            ("<=", Op::LessOrEqual),
            ("=<", Op::LessOrEqual),
            ("~>", Op::Tilde),
            ("=", Op::Equal),
            (">", Op::Greater),
            ("<", Op::Less),
            ("~", Op::Tilde),
            ("^", Op::Caret),
        ];
        OPS.into_iter().find(|(text, _)| self.take(text)).map(|(_, op)| op)
    }

    /// A version, in which numbers may be absent or `x`, `X` or `*`; what follows an `x` does not count.
    fn term(&mut self, op: Op) -> Result<Term, RangeError> {
        self.take("v");
        let mut numbers = [0u64; 3];
        let mut given = Given::None;
        let levels = [Given::Major, Given::Minor, Given::Patch];
        let mut wild = false;
        for (i, level) in levels.into_iter().enumerate() {
            if i > 0 && !self.take(".") {
                break;
            }
            let start = self.at;
            let number = self.take_while(|b| b.is_ascii_digit() || matches!(b, b'x' | b'X' | b'*'));
            if number.is_empty() {
                return self.error("expected a version, such as `1.2.x`");
            }
            if wild || matches!(number, "x" | "X" | "*") {
                wild = true;
                continue;
            }
            let Ok(value) = number.parse() else {
                let why = format!("`{number}` is neither a number of at most 64 bits nor one of `x`, `X`, `*`");
                return Err(RangeError { at: start, why });
            };
            (numbers[i], given) = (value, level);
        }
        let pre = if self.take("-") { self.suffix("pre-release", is_pre_release)?.to_owned() } else { String::new() };
        if self.take("+") {
            self.suffix("build metadata", |text| text.split('.').all(|p| !p.is_empty()))?;
        }
        let [major, minor, patch] = numbers;
        Ok(Term { op, major, minor, patch, pre, given })
    }

    fn suffix(&mut self, what: &str, valid: impl Fn(&str) -> bool) -> Result<&str, RangeError> {
        let start = self.at;
        let text = self.take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.')).to_owned();
        if !valid(&text) {
            return Err(RangeError { at: start, why: format!("{text:?} is not a {what}") });
        }
        Ok(&self.text[start..self.at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_range_contains() {
        #[rustfmt::skip]
        let cases = [
            // range, versions in it, versions not in it
            ("1.x", "1 1.0.0 1.9.9 v1.2", "0.9 2.0.0 1.2.0-rc.1"),
            ("*", "0.0.0 99.1.2", "1.0.0-rc.1"),
            ("1.2", "1.2 1.2.9", "1.3 1.1.9"),
            ("=1.2.3", "1.2.3 1.2.3+build v1.2.3", "1.2.4"),
            ("=1.2.3+a.b-c", "1.2.3 1.2.3+build", "1.2.4"),
            ("!=1.2.3", "1.2.4 1", "1.2.3"),
            ("!=1.2", "1.3 2.2", "1.2.3"),
            ("!=1.2-rc", "1.2.0-beta 1.2.3 1.3.0-rc", "1.2.0-rc"),
            ("!=1", "2", "1.9"),
            ("~1", "1.9", "2"),
            ("~1.2", "1.2.9", "1.3"),
            ("~1.2.3", "1.2.3 1.2.9", "1.2.2 1.3.0"),
            ("~>1.2", "1.2.9", "1.3"),
            ("~0.0.0", "9", ""),
            ("^1.2", "1.2 1.9", "1.1 2"),
            ("^0.9", "0.9.5", "0.10 1.9"),
            ("^0.2.3", "0.2.3 0.2.9", "0.2.2 0.3.0 1.2.3"),
            ("^0.0.3", "0.0.3", "0.0.4 0.1.3"), ("^0.0.x", "0.0.9", "0.1.0"), ("^*", "0.0.0", "0.0.1 1.0.0"),
            ("^0", "0.9", "1"),
            (">1.2.3", "1.2.4 2", "1.2.3 1.2.2 0.9"),
            (">11", "12", "11.1"),
            (">11.1", "11.2", "11.1.9"),
            ("<=1.2.3", "1.2.3 0.9", "1.2.4 2"),
            ("<=11", "11.9", "12"),
            ("=<1.2", "1.2.9", "1.3"),
            ("=>1.2", "1.2", "1.1"),
            (">0,<2.0", "1.5", "2.0.0"),
            (">=1.0 <1.2", "1.1.9", "1.2"),
            ("1.0 - 1.2", "1.0 1.2.9", "1.3"),
            ("3, 1 - 2", "", "3 1.5"),
            ("1 - 3 2 - 4", "2.5 3", "1.5 4"),
            ("^1 || 3.x", "1.5 3.1", "2"),
            (">=1.0.0-0", "1.0.0-rc.1 1.1.0-rc.1", "0.9.0"),
            ("1.27.x-0", "1.27.1-alpine 1.27.3", "1.28.0"),
            (">=1.0.0-alpha, <2.0.0-0", "1.3.0-rc.1 1", "2.0.0-alpha 2.0.0"),
            (">= 0.0.0", "0.0.0 5", "1.0.0-rc"),
            ("v1.0.x", "v1.0.1 1.0.2", "v1.1.0"),
        ];
        for (text, inside, outside) in cases {
            let range = Range::parse(text, Dialect::Current).unwrap_or_else(|e| panic!("{text}: {e:?}"));
            for (versions, expected) in [(inside, true), (outside, false)] {
                for version in versions.split_whitespace() {
                    assert_eq!(range.contains(&Version::parse(version).unwrap()), expected, "{version} in {text}");
                }
            }
        }
    }

    #[test]
    fn what_is_no_range_says_where() {
        #[rustfmt::skip]
        let cases = [
            ("", 0), ("a", 0), ("-1", 0), ("*-*", 2), ("1x", 0), ("x1", 0), ("1.0.0p", 5), ("1.2.3.4", 5),
            (">=1.0 || ", 9), ("^1 || oops", 6), (">=1.0.0<2.0.0", 7), ("1.x,", 4), ("~0.", 3), ("1.2.3-01", 6),
            ("1.2.3-", 6), ("1.2.3+", 6), ("1.2.3+a..b", 6), ("1.0 -2.0", 5), (">1 - 2", 0), ("3 1 - 2", 2), ("99999999999999999999.x", 0), ("1 ü", 2),
        ];
        for (text, at) in cases {
            assert_eq!(Range::parse(text, Dialect::Current).map(|_| ()).map_err(|e| e.at), Err(at), "{text:?}");
        }
        for (length, is_range) in [(512, true), (513, false)] {
            assert_eq!(Range::parse(&format!("{:length$}", "1"), Dialect::Current).is_ok(), is_range, "{length} bytes");
        }
        for (groups, is_range) in [(32, true), (33, false)] {
            assert_eq!(
                Range::parse(&vec!["1"; groups].join("||"), Dialect::Current).is_ok(),
                is_range,
                "{groups} groups"
            );
        }
    }

    #[test]
    fn what_flux_v1_reads_differently() {
        #[rustfmt::skip]
        let cases = [
            // range, version, whether it is in the range today, and for Flux v1; `None` where that is none
            (">=1.0<2.0", "1.5.0", None, Some(true)),
            (">=1.0<2.0", "2.0.0", None, Some(false)),
            (">=1.0,<2.0,", "1.5.0", None, Some(true)),
            ("1.x 1 - 2", "1.5.0", None, Some(true)),
            (">=1.0.0-0 <2.0.0", "1.5.0-rc", Some(true), Some(true)),
            ("!=1.2.3", "1.5.0-rc", Some(false), Some(false)),
            ("1.2.3.4", "1.2.3", None, None),
        ];
        for (text, version, today, flux1) in cases {
            let version = Version::parse(version).unwrap();
            for (dialect, expected) in [(Dialect::Current, today), (Dialect::Flux1, flux1)] {
                let contains = Range::parse(text, dialect).ok().map(|range| range.contains(&version));
                assert_eq!(contains, expected, "{version:?} in {text}, {dialect:?}");
            }
        }
    }

    #[test]
    fn what_only_a_pre_release_keeps_out() {
        let cases = [
            ("1.x", "1.2.0-rc", true),
            ("1.x", "2.0.0-rc", false),
            ("1.x", "1.2.0", false),
            ("1.x", "2.0.0", false),
            (">=1.0.0-0", "1.2.0-rc", false),
        ];
        for (range, version, expected) in cases {
            let version = Version::parse(version).unwrap();
            assert_eq!(
                Range::parse(range, Dialect::Current).unwrap().would_contain_release(&version),
                expected,
                "{version:?} in {range}"
            );
        }
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in "\\PC{0,20}|[0-9xX*.<>=!~^|, v+a-]{0,24}") {
            if let Err(error) = Range::parse(&text, Dialect::Current) {
                prop_assert!(error.at <= text.len() && text.is_char_boundary(error.at));
            }
        }
    }
}
