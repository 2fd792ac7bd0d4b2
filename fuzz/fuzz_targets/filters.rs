//! Filters: a pattern in Go's syntax, an extract, then tags, one a line. The choice does not depend on how often it is
//! made, and is one of those that the policy allows.
#![no_main]

use butler::engine::{
    image::Tag,
    policy::{Direction, Order, TagPolicy},
};
use libfuzzer_sys::fuzz_target;
use std::cmp::Ordering;

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let pattern = lines.next().unwrap_or_default();
    let extract = lines.next().unwrap_or_default();
    // A pattern may be slow to compile, which its own limit bounds; length is not what is looked for here.
    if pattern.len() > 200 {
        return;
    }
    let tags: Vec<Tag> = lines.take(20).map(Tag::named).collect();
    let orders = [
        Order::Numerical(Direction::Ascending),
        Order::Numerical(Direction::Descending),
        Order::Alphabetical(Direction::Ascending),
        Order::Alphabetical(Direction::Descending),
        Order::Semver { range: "*".into(), three_part: true },
        Order::Newest,
    ];
    for order in orders {
        let Ok(policy) = TagPolicy::new(order, Some((pattern, extract)), None) else { return };
        let selection = policy.select(&tags);
        assert!(selection.matched <= selection.considered);
        assert!(!selection.reason.is_empty());
        assert_eq!(policy.select(&tags), selection, "the same choice twice");
        let Some(best) = selection.selected else { continue };
        assert!(policy.allows(&best.name));
        for tag in tags.iter().filter(|tag| policy.allows(&tag.name)) {
            assert_ne!(policy.compare(&best.name, &tag.name), Some(Ordering::Less), "{} < {}", best.name, tag.name);
        }
    }
});
