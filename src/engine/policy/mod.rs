//! Tag policies: exclusions, filter, then order, then one tag (or a reason why none). The answers are those of Flux's
//! image-reflector-controller, but for numbers, which are compared exactly, and of which a bad one is left out.

mod account;
mod filter;
pub(crate) mod flux1;
mod memo;
mod newest;
mod number;
mod range;
mod re2;
mod reason;
mod select;
mod version;

pub use account::{Account, LeftOut, Ranked, Sample};
pub use filter::DEFAULT_EXCLUSION;
pub use memo::{Choice, Memo};
pub use version::Version;

use crate::engine::image::Tag;
use filter::{Exclusions, Filter, Patterns};
use number::Number;
use range::{Dialect, Range};
use re2::{Pattern, PatternError};
use std::{cmp::Ordering, fmt, str::FromStr};

/// Which end of an order is chosen. Ascending chooses the last, descending the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    #[default]
    Ascending,
    Descending,
}

/// What an order compares.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Order {
    /// The highest version in a range of Masterminds' syntax. `three_part` leaves out `1` and `1.2`, as ImagePolicy does.
    Semver { range: String, three_part: bool },
    /// By number, compared exactly; what is no number is left out and reported.
    Numerical(Direction),
    /// By bytes.
    Alphabetical(Direction),
    /// By the time at which the image was pushed, or else created; a tag without a time is left out and reported.
    Newest,
    /// A tag pattern of Flux v1 with the order that it has there: `glob:dev-*`, `semver:~1.2`, `regexp:^v`. One that is
    /// none matches nothing ([`TagPolicy::fault`] says why).
    Flux1(String),
}

/// A policy that compiled: cheap to use again and again. Two are equal where they are made of the same, and so
/// choose alike.
#[derive(Clone, Debug, PartialEq)]
pub struct TagPolicy {
    order: CompiledOrder,
    filter: Option<Filter>,
    exclusions: Exclusions,
}

#[derive(Clone, Debug)]
enum CompiledOrder {
    Semver { range: Range, text: String, three_part: bool },
    Numerical(Direction),
    Alphabetical(Direction),
    Newest,
    Flux1(flux1::Pattern),
}

impl PartialEq for CompiledOrder {
    fn eq(&self, other: &Self) -> bool {
        use CompiledOrder::{Alphabetical, Flux1, Newest, Numerical, Semver};
        match (self, other) {
            // However the range is spelled.
            (Semver { range, three_part, .. }, Semver { range: other, three_part: other_three, .. }) => {
                (range, three_part) == (other, other_three)
            }
            (Numerical(a), Numerical(b)) | (Alphabetical(a), Alphabetical(b)) => a == b,
            (Flux1(a), Flux1(b)) => a.canonical == b.canonical,
            (Newest, Newest) => true,
            (Semver { .. } | Numerical(_) | Alphabetical(_) | Flux1(_) | Newest, _) => false,
        }
    }
}

/// Why a policy cannot be: which part, and where in it. Someone must fix the policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part} {text:?}: {why}{}", at.map(|at| format!(" (at byte {at})")).unwrap_or_default())]
pub struct PolicyError {
    /// `semver range`, `filter pattern`, `exclude pattern`, `order`
    pub part: &'static str,
    pub text: String,
    pub why: String,
    /// Byte offset in `text`, from 0, where it can be told.
    pub at: Option<usize>,
}

/// What a policy chose from a list of tags.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection<'a> {
    /// `None` is a state with a reason, never an error.
    pub selected: Option<&'a Tag>,
    /// How many tags were looked at.
    pub considered: usize,
    /// How many passed filter, exclusions and the order's own condition (a version in range, a number, …).
    pub matched: usize,
    /// A sentence for people: "0 of 412 tags match `^release-`; nearest: …".
    pub reason: String,
}

impl TagPolicy {
    /// The names in the filter's extract that are no group of its pattern: they stand for nothing.
    pub fn unknown_groups(&self) -> Vec<&str> {
        self.filter.as_ref().map(Filter::unknown_groups).unwrap_or_default()
    }

    /// Where an extract keeps every tag out: it names a group that the pattern has not, and what is left of it is no
    /// version or number.
    pub fn never_matches(&self) -> Option<String> {
        let [unknown, ..] = self.unknown_groups()[..] else { return None };
        let filter = self.filter.as_ref()?;
        let what = match &self.order {
            CompiledOrder::Semver { .. } => "version",
            CompiledOrder::Numerical(_) => "number",
            _ => return None,
        };
        filter.extracts_nothing().then(|| {
            let known = filter.pattern.groups.iter().flatten().map(|name| format!("`${name}`"));
            let known: Vec<String> = known.collect();
            let hint = if known.is_empty() { String::new() } else { format!("; it has {}", known.join(", ")) };
            format!(
                "the extract `{}` names `{unknown}`, which is no group of `{}`, so that no tag has a {what}{hint}",
                filter.extract_text, filter.pattern_text
            )
        })
    }

    /// Compiles a policy. `filter` is `filterTags`' pattern, in Go's RE2 syntax, and its extract, in that of Go's
    /// `Regexp.Expand` (empty: the whole tag is compared). `exclude` holds patterns of tags that are never candidates;
    /// `None` and an empty list mean [`DEFAULT_EXCLUSION`], as they do for Flux. Where the order may be by time, signatures
    /// and attestations are left out too ([`Self::without_attached`]): the newest tag is often one.
    ///
    /// # Errors
    /// Where the range or a pattern is none, with its place in it.
    pub fn new(
        order: Order,
        filter: Option<(&str, &str)>,
        exclude: Option<Vec<String>>,
    ) -> Result<TagPolicy, PolicyError> {
        let order = match order {
            Order::Semver { range: text, three_part } => match Range::parse(&text, Dialect::Current) {
                Ok(range) => CompiledOrder::Semver { range, text, three_part },
                Err(e) => return Err(PolicyError { part: "semver range", text, why: e.why, at: Some(e.at) }),
            },
            Order::Numerical(direction) => CompiledOrder::Numerical(direction),
            Order::Alphabetical(direction) => CompiledOrder::Alphabetical(direction),
            Order::Newest => CompiledOrder::Newest,
            Order::Flux1(text) => CompiledOrder::Flux1(flux1::Pattern::new(&text)),
        };
        let filter = match filter {
            Some((pattern, extract)) => Some(Filter::new(compile("filter pattern", pattern)?, pattern, extract)),
            None => None,
        };
        let patterns = match exclude.unwrap_or_default() {
            list if list.is_empty() || list == [DEFAULT_EXCLUSION] => Patterns::Default,
            mut list => {
                list.sort_unstable();
                list.dedup();
                let compiled = list.into_iter().map(|text| {
                    let pattern = compile("exclude pattern", &text)?;
                    Ok((text, pattern))
                });
                Patterns::Own(compiled.collect::<Result<_, _>>()?)
            }
        };
        let attached = matches!(order, CompiledOrder::Newest | CompiledOrder::Flux1(_));
        Ok(TagPolicy { order, filter, exclusions: Exclusions { patterns, attached } })
    }

    /// The same policy, for which signatures, attestations and bills of materials that are tagged `sha256-<digest>` are
    /// never candidates, whatever its order and filter. An ImagePolicy of Flux takes them where its filter does.
    #[must_use]
    pub fn without_attached(mut self) -> Self {
        self.exclusions.attached = true;
        self
    }

    /// Whether a tag passes exclusions, filter and the order's own condition. A policy by time takes any tag that the
    /// filter takes: its name does not tell the time.
    pub fn allows(&self, tag: &str) -> bool {
        self.key(tag).is_some_and(|key| match &self.order {
            CompiledOrder::Semver { .. } => self.version_in_range(&key).is_some(),
            CompiledOrder::Numerical(_) => Number::parse(&key).is_some(),
            CompiledOrder::Alphabetical(_) | CompiledOrder::Newest => true,
            CompiledOrder::Flux1(pattern) => pattern.takes(&key),
        })
    }

    /// Compares two tags by the policy's order: `Greater` where `a` would be chosen over `b`. `None` where either does
    /// not pass the filter, or where the order is by time, which names do not tell. A version out of range compares too.
    pub fn compare(&self, a: &str, b: &str) -> Option<Ordering> {
        let (a, b) = (self.key(a)?, self.key(b)?);
        match &self.order {
            // Neither the range nor the number of parts counts: what stands in the file may well be `1.10`.
            CompiledOrder::Semver { .. } => Some(Version::parse(&a)?.cmp(&Version::parse(&b)?)),
            CompiledOrder::Numerical(direction) => Some(direction.apply(Number::parse(&a)?.cmp(&Number::parse(&b)?))),
            CompiledOrder::Alphabetical(direction) => Some(direction.apply(a.cmp(&b))),
            CompiledOrder::Flux1(pattern) if !pattern.by_time() => Some(Version::parse(&a)?.cmp(&Version::parse(&b)?)),
            CompiledOrder::Newest | CompiledOrder::Flux1(_) => None,
        }
    }

    /// As [`Self::compare`], of tags whose times may be known: an order by time compares those, whatever the filter says.
    /// `None` where one of them has no time.
    pub fn compare_tags(&self, a: &Tag, b: &Tag) -> Option<Ordering> {
        match self.by_time() {
            true => Some(newest::time(a)?.cmp(&newest::time(b)?)),
            false => self.compare(&a.name, &b.name),
        }
    }

    /// Whether the order is by the images' times: those of the tags that pass have to be known before the choice.
    pub fn by_time(&self) -> bool {
        match &self.order {
            CompiledOrder::Newest => true,
            CompiledOrder::Flux1(pattern) => pattern.by_time(),
            _ => false,
        }
    }

    /// Whether it is one of Flux v1's patterns.
    pub fn is_flux_v1(&self) -> bool {
        matches!(&self.order, CompiledOrder::Flux1(_))
    }

    /// Whether a tag without a time is never replaced, nor chosen, as with Flux v1: its age cannot be told.
    pub fn wants_every_time(&self) -> bool {
        matches!(&self.order, CompiledOrder::Flux1(pattern) if pattern.by_time())
    }

    /// Whether a space keeps a glob of Flux v1 from every tag: `glob: dev-*`.
    pub fn has_stray_space(&self) -> bool {
        matches!(&self.order, CompiledOrder::Flux1(pattern) if pattern.has_stray_space())
    }

    /// Why the policy matches nothing at all: a pattern of Flux v1 that is none.
    pub fn fault(&self) -> Option<&PolicyError> {
        match &self.order {
            CompiledOrder::Flux1(flux1::Pattern { kind: flux1::Kind::Invalid(error), .. }) => Some(error),
            _ => None,
        }
    }

    /// The policy in a few words: ``numerical asc of `^main-(?P<ts>[0-9]+)` $ts``.
    pub fn describe(&self) -> String {
        let mut text = match &self.order {
            CompiledOrder::Semver { text, .. } => format!("semver {text}"),
            CompiledOrder::Numerical(direction) => format!("numerical {direction}"),
            CompiledOrder::Alphabetical(direction) => format!("alphabetical {direction}"),
            CompiledOrder::Newest => "newest".to_owned(),
            CompiledOrder::Flux1(pattern) => pattern.canonical.clone(),
        };
        if let Some(filter) = &self.filter {
            text.push_str(&format!(" of `{}`", filter.pattern_text));
            if !filter.extract_text.is_empty() {
                text.push_str(&format!(" {}", filter.extract_text));
            }
        }
        text
    }

    /// The patterns of tags that are never candidates.
    pub fn exclusions(&self) -> impl Iterator<Item = &str> {
        self.exclusions.texts()
    }

    fn key<'t>(&self, tag: &'t str) -> Option<std::borrow::Cow<'t, str>> {
        if self.exclusions.exclude(tag) {
            return None;
        }
        match &self.filter {
            Some(filter) => filter.key(tag, &mut filter.locations()),
            None => Some(tag.into()),
        }
    }

    /// The version that a key is, where the policy's range contains it.
    fn version_in_range<'k>(&self, key: &'k str) -> Option<Version<'k>> {
        let CompiledOrder::Semver { range, three_part, .. } = &self.order else { return None };
        parse_version(key, *three_part).filter(|version| range.contains(version))
    }
}

fn parse_version(key: &str, three_part: bool) -> Option<Version<'_>> {
    if three_part { Version::parse_three_part(key) } else { Version::parse(key) }
}

fn compile(part: &'static str, text: &str) -> Result<Pattern, PolicyError> {
    Pattern::compile(text).map_err(|PatternError { at, why }| PolicyError {
        part,
        text: text.to_owned(),
        why,
        at: Some(at),
    })
}

impl Direction {
    fn apply(self, ascending: Ordering) -> Ordering {
        match self {
            Direction::Ascending => ascending,
            Direction::Descending => ascending.reverse(),
        }
    }
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Direction::Ascending => "asc",
            Direction::Descending => "desc",
        })
    }
}

/// `asc` and `desc` in any case; empty means `asc`, as for Flux.
impl FromStr for Direction {
    type Err = PolicyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "" | "asc" => Ok(Direction::Ascending),
            "desc" => Ok(Direction::Descending),
            _ => {
                let why = "expected `asc` or `desc`".to_owned();
                Err(PolicyError { part: "order", text: text.to_owned(), why, at: None })
            }
        }
    }
}

#[cfg(test)]
mod tests;
