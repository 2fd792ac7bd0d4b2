//! The sentence that says why a tag was chosen, or why none was.

use super::{
    CompiledOrder, Direction, TagPolicy,
    filter::Filter,
    flux1::Kind,
    newest, parse_version,
    range::{Dialect, Range},
    select::Tally,
    version::Version,
};
use crate::engine::image::Tag;
use std::fmt::Write;

/// How many tags a sentence names, and how many bytes of each.
const NAMED: usize = 3;
const SHOWN: usize = 80;

pub(super) fn chosen(policy: &TagPolicy, tag: &Tag, tally: &Tally<'_>) -> String {
    let (matched, name) = (tally.matched, quote(&tag.name));
    let of =
        if tally.considered == matched { String::new() } else { format!(" (of {})", count(tally.considered, "tag")) };
    let mut text = match &policy.order {
        CompiledOrder::Semver { text, .. } => match matched {
            1 => format!("{name} is the only version in `{text}`{of}"),
            _ => format!("{name} is the highest of {matched} versions in `{text}`{of}"),
        },
        CompiledOrder::Numerical(direction) | CompiledOrder::Alphabetical(direction) => {
            let numerical = matches!(policy.order, CompiledOrder::Numerical(_));
            let (place, things) = match (numerical, direction) {
                (true, Direction::Ascending) => ("highest", "number"),
                (true, Direction::Descending) => ("lowest", "number"),
                (false, Direction::Ascending) => ("last", "tag"),
                (false, Direction::Descending) => ("first", "tag"),
            };
            let by_alphabet = if numerical { "" } else { " by alphabet" };
            let which = match matched {
                1 => format!("the only {things}"),
                _ => format!("the {place} of {matched} {things}s{by_alphabet}"),
            };
            let of_filter = match &policy.filter {
                Some(filter) => {
                    let verb = if matched == 1 { "matches" } else { "match" };
                    format!(" that {verb} `{}`", filter.pattern_text)
                }
                None => String::new(),
            };
            format!("{name} is {which}{of_filter}{of}")
        }
        CompiledOrder::Flux1(pattern) if !pattern.by_time() => match matched {
            1 => format!("{name} is the only version in `{}`{of}", pattern.canonical),
            _ => format!("{name} is the highest of {matched} versions in `{}`{of}", pattern.canonical),
        },
        CompiledOrder::Flux1(pattern) => {
            let that = format!("`{}`{of}{}", pattern.canonical, when(tag));
            match matched {
                1 => format!("{name} is the only tag that matches {that}"),
                // Those that have a time come first.
                _ if newest::time(tag).is_none() => {
                    format!("{name} is the first by name of {matched} tags that match {that}, none of which has a time")
                }
                _ => format!("{name} is the newest of {matched} tags that match {that}"),
            }
        }
        CompiledOrder::Newest => {
            let time = when(tag);
            match matched {
                1 => format!("{name} is the only tag with a time{of}{time}"),
                _ => format!("{name} is the newest of {matched} tags{of}{time}"),
            }
        }
    };
    if !tally.left_out.is_empty() {
        let _ = write!(text, "; left out: {}", left_out(policy, tally));
    }
    text
}

/// `, pushed 2020-01-01T00:00:00Z`
fn when(tag: &Tag) -> String {
    newest::time(tag).map_or_else(String::new, |time| {
        format!(", {} {time}", if tag.pushed_at.is_some() { "pushed" } else { "created" })
    })
}

pub(super) fn none(policy: &TagPolicy, tags: &[Tag], tally: &Tally<'_>) -> String {
    if tags.is_empty() {
        return "there are no tags to choose from".to_owned();
    }
    if tally.excluded == tags.len() {
        return match tags {
            [tag] => format!("the only tag, {}, is excluded", quote(&tag.name)),
            _ => format!("all {} tags are excluded", tags.len()),
        };
    }
    if tally.candidates.is_empty() {
        // Without a filter, what is not excluded is a candidate.
        return policy.filter.as_ref().map_or_else(String::new, |filter| unfiltered(policy, filter, tags));
    }
    let from = match &policy.filter {
        Some(filter) => format!("{} tags that match `{}`", tally.candidates.len(), filter.pattern_text),
        None => format!("{} tags", tally.candidates.len()),
    };
    match &policy.order {
        CompiledOrder::Semver { range, text, three_part } => {
            out_of_range(tally, range, text, *three_part, &from) + &extract_hint(policy, tally)
        }
        CompiledOrder::Flux1(pattern) => match &pattern.kind {
            Kind::Invalid(error) => {
                format!("`{}` matches nothing: {error}; Flux v1 would take every tag", pattern.canonical)
            }
            Kind::Semver(range) => out_of_range(tally, range, &pattern.canonical, false, &from),
            Kind::Glob | Kind::Regexp(_) => {
                let names = list(tally.candidates.iter().map(|(tag, _)| tag.name.as_str()));
                let latest = tally.candidates.iter().any(|(tag, _)| tag.name.eq_ignore_ascii_case("latest"));
                let hint = if latest { " (`latest` is taken by `glob:latest` alone)" } else { "" };
                format!("0 of {from} match `{}`; there are: {names}{hint}", pattern.canonical)
            }
        },
        CompiledOrder::Numerical(_) | CompiledOrder::Alphabetical(_) | CompiledOrder::Newest => {
            format!("0 of {from} can be ordered; left out: {}{}", left_out(policy, tally), extract_hint(policy, tally))
        }
    }
}

/// What about the filter's extract may keep tags from being what the order compares.
fn extract_hint(policy: &TagPolicy, tally: &Tally<'_>) -> String {
    let Some(filter) = &policy.filter else { return String::new() };
    if let Some(group) = filter.unknown_groups().first() {
        return format!("; the extract names `{group}`, which is no group of the pattern");
    }
    let ordered = match &policy.order {
        CompiledOrder::Semver { three_part, .. } => {
            tally.candidates.iter().any(|(_, key)| parse_version(key, *three_part).is_some())
        }
        order => !matches!(order, CompiledOrder::Numerical(_)),
    };
    match (filter.extract_text.as_str(), filter.pattern.groups.get(1)) {
        ("", Some(group)) if !ordered => {
            let group = group.as_deref().unwrap_or("1");
            format!("; the whole tag is compared, since there is no extract (`${group}` would be the pattern's group)")
        }
        _ => String::new(),
    }
}

/// `0 of 412 tags match …`
fn unfiltered(policy: &TagPolicy, filter: &Filter, tags: &[Tag]) -> String {
    let names = tags.iter().map(|tag| tag.name.as_str()).filter(|tag| !policy.exclusions.exclude(tag));
    let near = nearest_first(filter, names);
    let word = if near.first().is_some_and(|tag| likeness(filter, tag) > 0) { "nearest" } else { "there are" };
    let names = list(near.iter().copied());
    format!("0 of {} tags match `{}`; {word}: {names}", tags.len(), filter.pattern_text)
}

/// Tags by how much of the text that the pattern begins with they share, whatever the case.
pub(super) fn nearest_first<'a>(filter: &Filter, tags: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<_> = tags.map(|tag| (likeness(filter, tag), tag)).collect();
    near.sort_unstable_by(|a, b| b.cmp(a));
    near.into_iter().map(|(_, tag)| tag).collect()
}

fn likeness(filter: &Filter, tag: &str) -> usize {
    let prefix = filter.pattern.prefix.chars().flat_map(char::to_lowercase);
    prefix.zip(tag.chars().flat_map(char::to_lowercase)).take_while(|(p, t)| p == t).count()
}

/// `0 of 40 tags are versions in …`
fn out_of_range(tally: &Tally<'_>, range: &Range, range_text: &str, three_part: bool, from: &str) -> String {
    let mut versions: Vec<_> =
        tally.candidates.iter().filter_map(|(tag, key)| Some((parse_version(key, three_part)?, tag))).collect();
    let head = format!("0 of {from} are versions in `{range_text}`");
    if versions.is_empty() {
        let loose = three_part && tally.candidates.iter().any(|(_, key)| parse_version(key, false).is_some());
        let hint = if loose { " (a version has three parts here, as in 1.2.0)" } else { "" };
        let names = list(tally.candidates.iter().map(|(tag, _)| tag.name.as_str()));
        return format!("{head}: none is a version{hint}; there are: {names}");
    }
    versions.sort_by(|(a, _), (b, _)| b.cmp(a));
    if versions.iter().any(|(version, _)| range.would_contain_release(version)) {
        let pre = versions.iter().filter(|(version, _)| range.would_contain_release(version));
        let names = list(pre.clone().map(|(_, tag)| tag.name.as_str()));
        let named = pre.map(|(version, _)| version).find_map(|version| naming_one(range_text, version));
        let named = named.unwrap_or_else(|| ">=1.0.0-0".to_owned());
        return format!("{head}; it would take pre-releases ({names}) only if it named one, as `{named}` does");
    }
    let names = list(versions.iter().map(|(_, tag)| tag.name.as_str()));
    match versions.len() {
        1 => format!("{head}; the only version is {names}"),
        several => format!("{head}; the highest of {several} versions are: {names}"),
    }
}

/// The range with a pre-release at its end, where that is what takes a version.
fn naming_one(range: &str, version: &Version<'_>) -> Option<String> {
    let named = format!("{}-0", range.trim_start_matches("semver:").trim());
    Range::parse(&named, Dialect::Current).ok()?.contains(version).then_some(named)
}

fn left_out(policy: &TagPolicy, tally: &Tally<'_>) -> String {
    let why = match policy.order {
        CompiledOrder::Newest => "without a time",
        _ => "not a number",
    };
    let names = list(tally.left_out.iter().copied());
    format!("{} {why}: {names}", tally.left_out.len())
}

/// The first few names, and how many more there are.
fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut names = names.peekable();
    let mut text = names.by_ref().take(NAMED).map(quote).collect::<Vec<_>>().join(", ");
    if names.peek().is_some() {
        text.push_str(", …");
    }
    text
}

/// A tag as it is; anything that no registry would call a tag is escaped and cut.
fn quote(text: &str) -> String {
    if text.len() <= SHOWN && crate::engine::image::is_tag(text) {
        return text.to_owned();
    }
    let short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() { format!("{short:?}…") } else { format!("{short:?}") }
}

fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}
