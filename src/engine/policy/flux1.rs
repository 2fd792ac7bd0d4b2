//! Tag patterns of Flux v1 (`pkg/policy/pattern.go`, and `pkg/image` for the order): `glob:`, in which only `*` is
//! special, `semver:`, `regexp:` and `regex:`; anything else is a glob. Versions are ordered as versions, of which one
//! and two parts do; everything else by the time at which the image was created.
//!
//! One quirk is not kept: a pattern that is none matches nothing here. For Flux v1 it matches every tag.

use super::{
    PolicyError, newest,
    range::{Dialect, Range},
    re2::Pattern as Regexp,
    version::Version,
};
use crate::engine::image::Tag;
use std::cmp::Ordering;

/// The tag that only [`LATEST_PATTERN`] takes, in any case.
const LATEST: &str = "latest";
const LATEST_PATTERN: &str = "glob:latest";

/// A pattern as an annotation holds it.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    /// With its prefix, `regexp:` for both spellings: `dev-*` is `glob:dev-*`.
    pub canonical: String,
    pub kind: Kind,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Glob,
    Semver(Range),
    Regexp(Regexp),
    Invalid(PolicyError),
}

impl Pattern {
    /// Reads a pattern; one that cannot be is kept, as one that matches nothing.
    pub fn new(text: &str) -> Self {
        let regexp = ["regexp:", "regex:"].into_iter().find_map(|prefix| text.strip_prefix(prefix));
        if let Some(range) = text.strip_prefix("semver:") {
            let kind = match range.trim() {
                "" => Kind::Invalid(invalid("semver range", range, "expected a range of versions".into(), 0)),
                _ => Range::parse(range, Dialect::Flux1)
                    .map_or_else(|e| Kind::Invalid(invalid("semver range", range, e.why, e.at)), Kind::Semver),
            };
            return Pattern { canonical: text.to_owned(), kind };
        }
        if let Some(source) = regexp {
            let kind = Regexp::compile(source)
                .map_or_else(|e| Kind::Invalid(invalid("regexp", source, e.why, e.at)), Kind::Regexp);
            return Pattern { canonical: format!("regexp:{source}"), kind };
        }
        let glob = text.strip_prefix("glob:").unwrap_or(text);
        Pattern { canonical: format!("glob:{glob}"), kind: Kind::Glob }
    }

    /// Whether it is a glob that a space begins or ends: no tag has one.
    pub fn has_stray_space(&self) -> bool {
        let glob = self.canonical.strip_prefix("glob:").filter(|_| matches!(self.kind, Kind::Glob));
        glob.is_some_and(|glob| glob.trim() != glob)
    }

    /// Whether a tag may be chosen.
    pub fn takes(&self, tag: &str) -> bool {
        if tag.eq_ignore_ascii_case(LATEST) && self.canonical != LATEST_PATTERN {
            return false;
        }
        match &self.kind {
            Kind::Glob => glob_matches(self.canonical.strip_prefix("glob:").unwrap_or_default(), tag),
            Kind::Semver(range) => Version::parse(tag).is_some_and(|version| range.contains(&version)),
            Kind::Regexp(regexp) => regexp.regex.is_match(tag),
            Kind::Invalid(_) => false,
        }
    }

    /// Whether the order is by time, which has to be asked for.
    pub fn by_time(&self) -> bool {
        matches!(self.kind, Kind::Glob | Kind::Regexp(_))
    }

    /// `Greater` where `a` is chosen over `b`. Equal versions: the higher text. Equal times: the lower text; no time: last.
    pub fn compare(&self, a: &Tag, b: &Tag) -> Ordering {
        if self.by_time() {
            return newest::time(a).cmp(&newest::time(b)).then_with(|| b.name.cmp(&a.name));
        }
        Version::parse(&a.name).cmp(&Version::parse(&b.name)).then_with(|| a.name.cmp(&b.name))
    }
}

fn invalid(part: &'static str, text: &str, why: String, at: usize) -> PolicyError {
    PolicyError { part, text: text.to_owned(), why, at: Some(at) }
}

/// Whether a glob, in which `*` is any text and nothing else is special, is the whole of a tag.
fn glob_matches(glob: &str, tag: &str) -> bool {
    let Some((first, rest)) = glob.split_once('*') else { return glob == tag };
    let Some(mut tag) = tag.strip_prefix(first) else { return false };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    for piece in middle.split('*').filter(|piece| !piece.is_empty()) {
        match tag.split_once(piece) {
            Some((_, after)) => tag = after,
            None => return false,
        }
    }
    tag.ends_with(last)
}

/// The regular expression, in Go's syntax, that means what a glob means.
pub(crate) fn glob_as_regexp(glob: &str) -> String {
    let pieces: Vec<String> = glob.split('*').map(regex::escape).collect();
    format!("^{}$", pieces.join(".*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs() {
        #[rustfmt::skip]
        let cases = [
            ("*", "", true), ("a*", "a", true), ("a*a", "a", false), ("a*a", "aa", true), ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false), ("**", "x", true), ("a.c", "abc", false), ("*b", "ab", true), ("*b", "ba", false),
        ];
        for (glob, tag, expected) in cases {
            assert_eq!(glob_matches(glob, tag), expected, "{glob} {tag}");
            let regexp = Regexp::compile(&glob_as_regexp(glob)).unwrap();
            assert_eq!(regexp.regex.is_match(tag), expected, "{glob} as a regular expression, {tag}");
        }
    }

    #[test]
    fn latest_is_asked_for_by_name_only() {
        #[rustfmt::skip]
        let cases = [
            ("glob:latest", "latest", true), ("latest", "latest", true), ("glob:*", "latest", false),
            ("glob:*", "Latest", false), ("glob:LATEST", "LATEST", false), ("glob:late*", "latest", false),
            ("regexp:^latest$", "latest", false), ("glob:*", "latest-1", true),
        ];
        for (pattern, tag, expected) in cases {
            assert_eq!(Pattern::new(pattern).takes(tag), expected, "{pattern} {tag}");
        }
    }
}
