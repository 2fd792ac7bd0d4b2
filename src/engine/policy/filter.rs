//! Which tags a policy looks at, and which part of each it compares: exclusions, then `filterTags`' pattern and extract.

use super::re2::{Pattern, Places, Straight};
use regex::CaptureLocations;
use std::{borrow::Cow, ops::Range};

/// What Flux leaves out where a repository sets no list of its own (`exclusionList` of ImageRepository): signatures.
pub const DEFAULT_EXCLUSION: &str = r"^.*\.sig$";

/// Tags that are never candidates.
#[derive(Clone, Debug)]
pub(super) struct Exclusions {
    pub patterns: Patterns,
    /// Whether tags of what is attached to an image are left out too, whatever the patterns say.
    pub attached: bool,
}

#[derive(Clone, Debug)]
pub(super) enum Patterns {
    /// [`DEFAULT_EXCLUSION`], without the cost of a regular expression.
    Default,
    /// With their texts, in the order of those.
    Own(Vec<(String, Pattern)>),
}

/// What is attached is no image: nobody means to follow it, whether it is kept out or not.
impl PartialEq for Exclusions {
    fn eq(&self, other: &Self) -> bool {
        self.texts().eq(other.texts())
    }
}

impl Exclusions {
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let (default, patterns) = match &self.patterns {
            Patterns::Default => (Some(DEFAULT_EXCLUSION), [].as_slice()),
            Patterns::Own(patterns) => (None, patterns.as_slice()),
        };
        default.into_iter().chain(patterns.iter().map(|(text, _)| text.as_str()))
    }

    pub fn exclude(&self, tag: &str) -> bool {
        let by_pattern = match &self.patterns {
            // `.` matches no line break.
            Patterns::Default => tag.strip_suffix(".sig").is_some_and(|rest| !rest.contains('\n')),
            Patterns::Own(patterns) => patterns.iter().any(|(_, pattern)| pattern.regex.is_match(tag)),
        };
        by_pattern || (self.attached && is_attached(tag))
    }
}

/// Where the groups of a match are.
pub(super) struct Locations {
    regex: CaptureLocations,
    straight: Box<Places>,
    /// Which of the two was read last.
    is_straight: bool,
}

impl Locations {
    /// Whether the pattern matches.
    fn read(&mut self, pattern: &Pattern, tag: &str) -> bool {
        let straight = pattern.straight.as_ref().and_then(|straight| straight.read(tag, &mut self.straight));
        self.is_straight = straight.is_some();
        straight.unwrap_or_else(|| pattern.regex.captures_read(&mut self.regex, tag).is_some())
    }

    /// Of a group that took part in the match.
    fn get(&self, group: usize) -> Option<Range<usize>> {
        match self.is_straight {
            true => self.straight.get(group).cloned(),
            false => self.regex.get(group).map(|(start, end)| start..end),
        }
    }
}

/// Whether a tag is that of a signature, an attestation or a bill of materials, and no image's: `sha256-<64 hex>` with
/// cosign's `.sig`, `.att`, `.sbom` or another ending, or without one, as the referrers tag schema of the OCI
/// distribution specification has it.
fn is_attached(tag: &str) -> bool {
    let digest = tag.strip_prefix("sha256-").or_else(|| tag.strip_prefix("sha512-"));
    let Some((hex, ending)) = digest.and_then(|digest| digest.split_at_checked(64)) else { return false };
    hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) && (ending.is_empty() || ending.starts_with('.'))
}

/// A pattern that tags must match, and what of the match is compared.
#[derive(Clone, Debug)]
pub(super) struct Filter {
    pub pattern: Pattern,
    pub pattern_text: String,
    pub extract_text: String,
    extract: Extract,
}

#[derive(Clone, Debug)]
enum Extract {
    /// No template: the whole tag.
    Tag,
    /// Only one group, borrowed from the tag.
    Group(usize),
    Template(Vec<Piece>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    /// The first of these that took part in the match: several groups may have one name.
    Groups(Vec<usize>),
}

impl PartialEq for Filter {
    fn eq(&self, other: &Self) -> bool {
        (&self.pattern_text, &self.extract_text) == (&other.pattern_text, &other.extract_text)
    }
}

impl Filter {
    pub fn new(pattern: Pattern, pattern_text: &str, extract_text: &str) -> Self {
        let extract = match parse_template(extract_text, &pattern.groups).as_slice() {
            _ if extract_text.is_empty() => Extract::Tag,
            [Piece::Groups(groups)] if groups.len() == 1 => Extract::Group(groups[0]),
            pieces => Extract::Template(pieces.to_vec()),
        };
        Filter { pattern, pattern_text: pattern_text.to_owned(), extract_text: extract_text.to_owned(), extract }
    }

    /// Room for the places of groups, to use again from tag to tag.
    pub fn locations(&self) -> Locations {
        let straight = self.pattern.straight.as_ref().map(Straight::places).unwrap_or_default();
        Locations { regex: self.pattern.regex.capture_locations(), straight, is_straight: false }
    }

    /// The part of a tag that is compared; `None` where the pattern does not match.
    pub fn key<'t>(&self, tag: &'t str, locations: &mut Locations) -> Option<Cow<'t, str>> {
        if let Extract::Tag = self.extract {
            return self.pattern.regex.is_match(tag).then_some(Cow::Borrowed(tag));
        }
        if !locations.read(&self.pattern, tag) {
            return None;
        }
        let group = |index| locations.get(index).map_or("", |place| &tag[place]);
        Some(match &self.extract {
            Extract::Tag => Cow::Borrowed(tag),
            Extract::Group(index) => Cow::Borrowed(group(*index)),
            Extract::Template(pieces) => {
                let mut key = String::with_capacity(tag.len());
                for piece in pieces {
                    key.push_str(match piece {
                        Piece::Text(text) => text,
                        Piece::Groups(groups) => {
                            groups.iter().find_map(|index| locations.get(*index)).map_or("", |place| &tag[place])
                        }
                    });
                }
                Cow::Owned(key)
            }
        })
    }

    /// Whether the extract is the same nothing for every tag: all that it names is no group.
    pub fn extracts_nothing(&self) -> bool {
        matches!(&self.extract, Extract::Template(pieces) if pieces.is_empty())
    }

    /// The names in the extract that are no group of the pattern: they stand for nothing.
    pub fn unknown_groups(&self) -> Vec<&str> {
        let mut unknown = Vec::new();
        let mut rest = self.extract_text.as_str();
        while let Some((_, after)) = rest.split_once('$') {
            rest = match (after.strip_prefix('$'), name(after)) {
                (Some(rest), _) => rest,
                (None, Some((name, rest))) => {
                    if groups_of(name, &self.pattern.groups).is_empty() {
                        unknown.push(name);
                    }
                    rest
                }
                (None, None) => after,
            };
        }
        unknown
    }
}

/// Reads a template as Go's `Regexp.Expand` does: `$name` takes the longest name, `${name}` ends it, `$$` is a dollar,
/// `$1` is a group by number, a group that is not there is empty, a dollar without a name is itself.
fn parse_template(template: &str, groups: &[Option<String>]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        text.push_str(before);
        if let Some(after) = after.strip_prefix('$') {
            text.push('$');
            rest = after;
        } else if let Some((name, after)) = name(after) {
            rest = after;
            let found = groups_of(name, groups);
            if !found.is_empty() {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                pieces.push(Piece::Groups(found));
            }
        } else {
            text.push('$');
            rest = after;
        }
    }
    text.push_str(rest);
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    pieces
}

/// Reads the name after a dollar, and what follows it.
fn name(text: &str) -> Option<(&str, &str)> {
    let (braced, text) = match text.strip_prefix('{') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    let rest = if braced { rest.strip_prefix('}')? } else { rest };
    (!name.is_empty()).then_some((name, rest))
}

/// A number without leading zeros is the group of that number, anything else is a name.
fn groups_of(name: &str, groups: &[Option<String>]) -> Vec<usize> {
    if name.bytes().all(|b| b.is_ascii_digit()) && (name == "0" || !name.starts_with('0')) {
        return name.parse().ok().filter(|index| *index < groups.len()).into_iter().collect();
    }
    let named = groups.iter().enumerate().filter(|(_, group)| group.as_deref() == Some(name));
    named.map(|(index, _)| index).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extracts_as_go_expands() {
        #[rustfmt::skip]
        let cases = [
            // pattern, extract, tag, key, unknown groups
            (r"^v(?P<a>\d)-(?P<b>\d)", "", "v1-2x", Some("v1-2x"), ""),
            (r"^v(?P<a>\d)-(?P<b>\d)", "$a", "v1-2x", Some("1"), ""),
            (r"^v(?P<a>\d)-(?P<b>\d)", "${b}${a}", "v1-2x", Some("21"), ""),
            (r"^v(?P<a>\d)-(?P<b>\d)", "$a_$b", "v1-2x", Some("2"), "a_"),
            (r"^v(?P<a>\d)-(?P<b>\d)", "$a.$b", "v1-2x", Some("1.2"), ""),
            (r"^v(?P<a>\d)-(?P<b>\d)", "$0", "v1-2x", Some("v1-2"), ""),
            (r"^v(?P<a>\d)-(?P<b>\d)", "$2", "v1-2x", Some("2"), ""),
            (r"^v(?P<a>\d)-(?P<b>\d)", "x$1x", "v1-2x", Some("x"), "1x"),
            (r"^v(?P<a>\d)-(?P<b>\d)", "$3", "v1-2x", Some(""), "3"),
            (r"^v(?P<a>\d)-(?P<b>\d)", "$01", "v1-2x", Some(""), "01"),
            (r"^v(?P<a>\d)-(?P<b>\d)", "$$a $", "v1-2x", Some("$a $"), ""),
            (r"^v(?P<a>\d)-(?P<b>\d)", "${a", "v1-2x", Some("${a"), ""),
            (r"^v(?P<a>\d)-(?P<b>\d)", "${}$-", "v1-2x", Some("${}$-"), ""),
            (r"^v(?P<a>\d)-(?P<b>\d)", "$ts", "v1-2x", Some(""), "ts"),
            (r"^v(?P<a>\d)-(?P<b>\d)", "$a", "w1-2x", None, ""),
            (r"^(a)?(b)?", "[$1|$2]", "b", Some("[|b]"), ""),
            (r"^(?P<2>x)(y)", "$2", "xy", Some("y"), ""),
            (r"^a-(?P<n>x)|^b-(?P<n>y)", "$n", "b-y", Some("y"), ""),
        ];
        for (pattern, extract, tag, key, unknown) in cases {
            let filter = Filter::new(Pattern::compile(pattern).unwrap(), pattern, extract);
            let found = filter.key(tag, &mut filter.locations());
            assert_eq!(found.as_deref(), key, "{pattern} {extract} {tag}");
            assert_eq!(filter.unknown_groups().join(" "), unknown, "{extract}");
        }
    }

    #[test]
    fn the_default_exclusion_is_what_its_pattern_says() {
        let pattern = Pattern::compile(DEFAULT_EXCLUSION).unwrap();
        for tag in ["1.0.0", "1.0.0.sig", ".sig", "sig", "a.sig.b", "a\nb.sig", "a.SIG", ""] {
            let exclusions = Exclusions { patterns: Patterns::Default, attached: false };
            assert_eq!(exclusions.exclude(tag), pattern.regex.is_match(tag), "{tag:?}");
        }
    }

    #[test]
    fn what_is_attached_to_an_image_is_none() {
        let digest = "0123456789abcdef".repeat(4);
        #[rustfmt::skip]
        let cases = [
            (format!("sha256-{digest}"), true), (format!("sha256-{digest}.sig"), true), (format!("sha256-{digest}.att"), true),
            (format!("sha256-{digest}.sbom"), true), (format!("sha256-{digest}.cosign.bundle"), true), (format!("sha512-{digest}"), true),
            // Images of a commit: with another length, or with more around it.
            (format!("sha-{digest}"), false), ("sha256-0123456".into(), false), (format!("sha256-{digest}0"), false), (format!("sha256-{digest}-amd64"), false),
            (format!("a-sha256-{digest}"), false), (format!("sha256-{}", digest.to_uppercase()), false), (format!("sha256-{}é", &digest[1..]), false),
        ];
        for (tag, expected) in cases {
            assert_eq!(is_attached(&tag), expected, "{tag}");
        }
    }
}
