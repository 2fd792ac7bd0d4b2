//! Filters: a pattern in Go's syntax, an extract, a pattern of tags to leave out (or an empty line), then tags, one a line,
//! with the hour of their push behind a space where they have one. The choice does not depend on how often it is made, is
//! one of those that the policy allows, and none of those is better.
#![no_main]

use butler::engine::{
    image::Tag,
    policy::{Direction, Order, TagPolicy},
};
use libfuzzer_sys::fuzz_target;
use std::cmp::Ordering;

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let [pattern, extract, excluded] = [(); 3].map(|()| lines.next().unwrap_or_default());
    // A pattern may be slow to compile, which its own limit bounds; length is not what is looked for here.
    if pattern.len() > 200 || excluded.len() > 200 {
        return;
    }
    let tags: Vec<Tag> = lines.take(20).map(tag).collect();
    let orders = [
        Order::Numerical(Direction::Ascending),
        Order::Numerical(Direction::Descending),
        Order::Alphabetical(Direction::Ascending),
        Order::Alphabetical(Direction::Descending),
        Order::Semver { range: "*".into(), three_part: true },
        Order::Newest,
        Order::Flux1("glob:*".into()),
        Order::Flux1(format!("glob:{extract}")),
        Order::Flux1(format!("regexp:{pattern}")),
        Order::Flux1("semver:*".into()),
    ];
    for order in orders {
        // Flux v1 has no other filter than its pattern.
        let filter = (!matches!(order, Order::Flux1(_))).then_some((pattern, extract));
        let exclude = (!excluded.is_empty()).then(|| vec![excluded.to_owned()]);
        let Ok(policy) = TagPolicy::new(order, filter, exclude) else { continue };
        check(&policy, &tags);
        check(&policy.without_attached(), &tags);
    }
});

fn tag(line: &str) -> Tag {
    let (name, hour) = line.rsplit_once(' ').unwrap_or((line, ""));
    let second = hour.parse::<u32>().ok().map(|hour| i64::from(hour) * 3600);
    let pushed_at = second.and_then(|second| jiff::Timestamp::from_second(second).ok());
    Tag { pushed_at, ..Tag::named(name) }
}

fn check(policy: &TagPolicy, tags: &[Tag]) {
    let selection = policy.select(tags);
    assert!(selection.matched <= selection.considered);
    assert!(!selection.reason.is_empty());
    assert_eq!(policy.select(tags), selection, "the same choice twice");
    let account = policy.account(tags, None);
    assert_eq!(
        account.selected.as_deref(),
        selection.selected.map(|tag| tag.name.as_str()),
        "the choice is the one told"
    );
    let Some(best) = selection.selected else { return };
    assert!(policy.allows(&best.name));
    for tag in tags.iter().filter(|tag| policy.allows(&tag.name)) {
        assert_ne!(policy.compare_tags(best, tag), Some(Ordering::Less), "{best:?} < {tag:?}");
    }
    if policy.by_time() && !policy.wants_every_time() {
        let mut other = tags.to_vec();
        other.reverse();
        let again = policy.select(&other).selected.map(|tag| &tag.name);
        assert_eq!(again, Some(&best.name), "times do not go by the order of the list");
    }
}
