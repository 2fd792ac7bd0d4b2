//! What became of every tag of a list, told for people: how many fell out where, the nearest of those that did, and the
//! order of the rest. The choice itself is [`TagPolicy::select`]'s.

use super::{CompiledOrder, Direction, TagPolicy, newest, number::Number, parse_version, reason, select::Tally};
use crate::engine::image::Tag;
use serde::Serialize;

/// How many tags each list of an [`Account`] names.
const LISTED: usize = 5;

/// The way of a list of tags through a policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Account {
    /// How many tags there are.
    pub considered: usize,
    /// Never candidates (signatures, …), in the order given.
    pub excluded: Sample,
    /// Those that the filter's pattern does not match, nearest first.
    pub unmatched: Sample,
    /// Those that the order cannot take, by the reason why not; the highest first where they compare.
    pub left_out: Vec<LeftOut>,
    /// How many may be chosen.
    pub eligible: usize,
    /// The first few of them, the chosen one first.
    pub first: Vec<Ranked>,
    /// The last few, where there are more than `first` holds; worst last.
    pub last: Vec<Ranked>,
    /// The chosen tag.
    pub selected: Option<String>,
    /// A sentence: why that one, or why none.
    pub reason: String,
}

/// How many there are, and the names of a few.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Sample {
    pub count: usize,
    pub names: Vec<String>,
}

/// Tags that passed exclusions and filter, and are none that the order compares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// `not a number`, `outside 1.x`, …
    pub why: String,
    pub tags: Sample,
}

/// A tag and the part of it that is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ranked {
    pub tag: String,
    /// The filter's extract; the time for a policy by time; the tag itself otherwise.
    pub key: String,
}

impl Sample {
    fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut sample = Sample::default();
        for name in names {
            sample.count += 1;
            if sample.names.len() < LISTED {
                sample.names.push(name.to_owned());
            }
        }
        sample
    }
}

impl TagPolicy {
    /// Tells what becomes of every tag. `current` is as for [`Self::select_beside`].
    pub fn account(&self, tags: &[Tag], current: Option<&str>) -> Account {
        let selection = self.select_beside(tags, current);
        let selected = selection.selected.map(|tag| tag.name.as_str());
        let names = || tags.iter().map(|tag| tag.name.as_str());
        let unmatched = self.filter.as_ref().map_or_else(Vec::new, |filter| {
            let mut locations = filter.locations();
            let misses = |name: &&str| !self.exclusions.exclude(name) && filter.key(name, &mut locations).is_none();
            reason::nearest_first(filter, names().filter(misses))
        });
        let tally = self.candidates(tags);
        let (ranked, left_out) = self.ranked(&tally, selected);
        Account {
            considered: selection.considered,
            excluded: Sample::of(names().filter(|name| self.exclusions.exclude(name))),
            unmatched: Sample::of(unmatched),
            left_out,
            eligible: ranked.len(),
            first: ranked.iter().take(LISTED).cloned().collect(),
            last: ranked.iter().skip(LISTED.max(ranked.len().saturating_sub(LISTED))).cloned().collect(),
            selected: selected.map(str::to_owned),
            reason: selection.reason,
        }
    }

    /// The tags that may be chosen, best first, and those that the order cannot take.
    fn ranked(&self, tally: &Tally<'_>, selected: Option<&str>) -> (Vec<Ranked>, Vec<LeftOut>) {
        match &self.order {
            CompiledOrder::Semver { text, three_part, .. } => {
                let (ranked, rest) = sorted(tally, Direction::Ascending, selected, |_, key| self.version_in_range(key));
                (ranked, self.outside(&rest, text, *three_part))
            }
            CompiledOrder::Numerical(direction) => {
                let (ranked, rest) = sorted(tally, *direction, selected, |_, key| Number::parse(key));
                (ranked, left_out("not a number", rest.into_iter().map(|(tag, _)| tag)))
            }
            CompiledOrder::Alphabetical(direction) => {
                let (ranked, _) = sorted(tally, *direction, selected, |_, key| Some(key));
                (ranked, Vec::new())
            }
            CompiledOrder::Flux1(pattern) => {
                let (taken, rest): (Vec<&Tag>, Vec<&Tag>) =
                    tally.candidates.iter().map(|(tag, _)| *tag).partition(|tag| pattern.takes(&tag.name));
                let mut taken = taken;
                taken.sort_by(|a, b| pattern.compare(b, a));
                let key = |tag: &Tag| match pattern.by_time() {
                    true => newest::time(tag).map_or_else(|| "no time".to_owned(), |time| time.to_string()),
                    false => tag.name.clone(),
                };
                let ranked = taken.into_iter().map(|tag| Ranked { tag: tag.name.clone(), key: key(tag) }).collect();
                let why = format!("not taken by {}", pattern.canonical);
                (ranked, left_out(&why, rest.into_iter().map(|tag| tag.name.as_str())))
            }
            CompiledOrder::Newest => {
                let (mut ranked, rest) = sorted(tally, Direction::Ascending, selected, |tag, _| newest::time(tag));
                for row in &mut ranked {
                    let tag = tally.candidates.iter().find(|(tag, _)| tag.name == row.tag);
                    row.key = tag.and_then(|(tag, _)| newest::time(tag)).map_or_else(String::new, |t| t.to_string());
                }
                (ranked, left_out("without a time", rest.into_iter().map(|(tag, _)| tag)))
            }
        }
    }

    /// Why candidates are no versions in the range.
    fn outside(&self, rest: &[(&str, &str)], range_text: &str, three_part: bool) -> Vec<LeftOut> {
        let CompiledOrder::Semver { range, .. } = &self.order else { return Vec::new() };
        let mut versions: Vec<_> =
            rest.iter().filter_map(|(tag, key)| Some((parse_version(key, three_part)?, *tag))).collect();
        versions.sort_by(|(a, _), (b, _)| b.cmp(a));
        let (pre, far): (Vec<_>, Vec<_>) =
            versions.into_iter().partition(|(version, _)| range.would_contain_release(version));
        let short = |key: &str| three_part && parse_version(key, false).is_some();
        let no_version = |key: &str| parse_version(key, three_part).is_none();
        let shorter = rest.iter().filter(|(_, key)| no_version(key) && short(key)).map(|(tag, _)| *tag);
        let others = rest.iter().filter(|(_, key)| no_version(key) && !short(key)).map(|(tag, _)| *tag);
        let mut rows = left_out(&format!("outside `{range_text}`"), far.into_iter().map(|(_, tag)| tag));
        rows.extend(left_out("a pre-release, and the range names none", pre.into_iter().map(|(_, tag)| tag)));
        rows.extend(left_out("a version without its three parts", shorter));
        rows.extend(left_out("not a version", others));
        rows
    }
}

fn left_out<'a>(why: &str, tags: impl Iterator<Item = &'a str>) -> Vec<LeftOut> {
    let tags = Sample::of(tags);
    if tags.count == 0 { Vec::new() } else { vec![LeftOut { why: why.to_owned(), tags }] }
}

/// Candidates by rank, the chosen one first of its equals, and those without a rank.
fn sorted<'t, K: Ord>(
    tally: &'t Tally<'_>,
    direction: Direction,
    selected: Option<&str>,
    rank: impl Fn(&'t Tag, &'t str) -> Option<K>,
) -> (Vec<Ranked>, Vec<(&'t str, &'t str)>) {
    let (mut ranked, mut rest) = (Vec::new(), Vec::new());
    for (tag, key) in &tally.candidates {
        match rank(tag, key) {
            Some(rank) => ranked.push((rank, tag.name.as_str(), key.as_ref())),
            None => rest.push((tag.name.as_str(), key.as_ref())),
        }
    }
    ranked.sort_by(|(a, a_name, _), (b, b_name, _)| {
        let chosen = |name: &str| Some(name) == selected;
        direction.apply(b.cmp(a)).then_with(|| chosen(b_name).cmp(&chosen(a_name)))
    });
    let row = |(_, tag, key): (K, &str, &str)| Ranked { tag: tag.to_owned(), key: key.to_owned() };
    (ranked.into_iter().map(row).collect(), rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::policy::Order;

    fn show(policy: &TagPolicy, tags: &[&str]) -> String {
        let tags: Vec<Tag> = tags.iter().map(|name| Tag::named(*name)).collect();
        let account = policy.account(&tags, None);
        let ranked = |rows: &[Ranked]| rows.iter().map(|row| row.tag.as_str()).collect::<Vec<_>>().join(" ");
        let mut text = format!("{} = {}", account.considered, ranked(&account.first));
        if !account.last.is_empty() {
            text += &format!(" .. {}", ranked(&account.last));
        }
        for (what, sample) in [("excluded", &account.excluded), ("unmatched", &account.unmatched)] {
            if sample.count > 0 {
                text += &format!(" | {what} {}: {}", sample.count, sample.names.join(" "));
            }
        }
        for row in &account.left_out {
            text += &format!(" | {}: {}", row.why, row.tags.names.join(" "));
        }
        text
    }

    #[test]
    fn accounts() {
        let semver = |range: &str| Order::Semver { range: range.into(), three_part: true };
        let numerical = Order::Numerical;
        let (up, down) = (Direction::Ascending, Direction::Descending);
        let many: Vec<String> = (1..=12).map(|n| format!("{n}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        #[rustfmt::skip]
        let cases: Vec<(Order, Option<(&str, &str)>, &[&str], &str)> = vec![
            (semver("1.x"), None, &["1.2.0", "1.10.0", "2.0.0", "3.0.0", "1.11.0-rc.1", "1.3", "main", "a.sig"],
                "8 = 1.10.0 1.2.0 | excluded 1: a.sig | outside `1.x`: 3.0.0 2.0.0 \
                 | a pre-release, and the range names none: 1.11.0-rc.1 | a version without its three parts: 1.3 \
                 | not a version: main"),
            (numerical(up), Some(("^main-(?P<n>.+)", "$n")), &["main-1", "main-10", "main-x", "mai-3", "z"],
                "5 = main-10 main-1 | unmatched 2: mai-3 z | not a number: main-x"),
            (numerical(down), None, &["1", "10", "2"], "3 = 1 2 10"),
            (Order::Alphabetical(up), None, &["a", "c", "b"], "3 = c b a"),
            (numerical(up), None, &many, "12 = 12 11 10 9 8 .. 5 4 3 2 1"),
            (Order::Newest, None, &["a"], "1 =  | without a time: a"),
            (numerical(up), None, &[], "0 = "),
        ];
        for (order, filter, tags, expected) in cases {
            assert_eq!(show(&TagPolicy::new(order, filter, None).unwrap(), tags), expected, "{tags:?}");
        }
    }

    /// Whatever the order, the first row is what [`TagPolicy::select`] chooses, also among equals.
    #[test]
    fn the_first_is_the_chosen_one() {
        let tags: Vec<Tag> = ["1.0.0", "v1.0.0", "1.0.0+b", "01", "1", "+1", "0.9.0"].map(Tag::named).into();
        let mut reversed = tags.clone();
        reversed.reverse();
        for tags in [tags, reversed] {
            for direction in [Direction::Ascending, Direction::Descending] {
                for order in [
                    Order::Semver { range: "*".into(), three_part: true },
                    Order::Numerical(direction),
                    Order::Alphabetical(direction),
                ] {
                    for filter in [None, Some(("^[v+]?(.*)", "$1"))] {
                        let policy = TagPolicy::new(order.clone(), filter, None).unwrap();
                        let account = policy.account(&tags, None);
                        assert!(account.selected.is_some(), "{order:?}");
                        assert_eq!(account.first.first().map(|row| &row.tag), account.selected.as_ref(), "{order:?}");
                    }
                }
            }
        }
    }
}
