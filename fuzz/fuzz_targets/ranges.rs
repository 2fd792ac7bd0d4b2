//! Version ranges: a range, a line break, versions. What a range selects it also allows, and its order is one.
#![no_main]

use butler::engine::{
    image::Tag,
    policy::{Order, TagPolicy},
};
use libfuzzer_sys::fuzz_target;
use std::cmp::Ordering;

fuzz_target!(|text: &str| {
    let mut lines = text.lines();
    let range = lines.next().unwrap_or_default();
    let tags: Vec<Tag> = lines.take(20).map(Tag::named).collect();
    for three_part in [true, false] {
        let order = Order::Semver { range: range.to_owned(), three_part };
        let Ok(policy) = TagPolicy::new(order, None, None) else { continue };
        let selection = policy.select(&tags);
        assert_eq!(selection.selected.is_some(), tags.iter().any(|tag| policy.allows(&tag.name)));
        let Some(best) = selection.selected else { continue };
        assert!(policy.allows(&best.name));
        for tag in tags.iter().filter(|tag| policy.allows(&tag.name)) {
            let order = policy.compare(&best.name, &tag.name).expect("what is allowed compares");
            assert_ne!(order, Ordering::Less, "{} was chosen, {} is higher", best.name, tag.name);
            assert_eq!(policy.compare(&tag.name, &best.name), Some(order.reverse()));
        }
    }
});
