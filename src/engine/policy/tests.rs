use super::*;
use proptest::prelude::*;
use std::cmp::Ordering::{Equal, Greater, Less};

fn semver(range: &str) -> Order {
    Order::Semver { range: range.into(), three_part: true }
}

fn policy(order: Order, filter: Option<(&str, &str)>) -> TagPolicy {
    TagPolicy::new(order, filter, None).unwrap()
}

fn named(names: &str) -> Vec<Tag> {
    names.split_whitespace().map(Tag::named).collect()
}

const ASC: Order = Order::Numerical(Direction::Ascending);
const DESC: Order = Order::Numerical(Direction::Descending);
const BYTES: Order = Order::Alphabetical(Direction::Ascending);

#[test]
fn the_tag_that_is_selected() {
    #[rustfmt::skip]
    let cases: &[(Order, Option<(&str, &str)>, &str, Option<&str>)] = &[
        (semver("1.0.x"), None, "1.0.0 1.0.0.1 1.0.0p 1.0.1 1.2.0", Some("1.0.1")),
        (semver("*"), None, "1.2.3 v1.2.3", Some("1.2.3")),
        (semver("*"), None, "v1.2.3 1.2.3", Some("v1.2.3")),
        (semver("*"), None, "1 1.2", None),
        (Order::Semver { range: "*".into(), three_part: false }, None, "1 1.2", Some("1.2")),
        (semver(">=2024.0.0"), None, "2024.01.05 2024.1.4", Some("2024.01.05")),
        (semver(">=0.x"), Some(("^test-(.*)$", "$1")), "test-0.1.0 test-0.1.1 dev-0.2.0 1.0.0", Some("test-0.1.1")),
        (semver("*"), Some(("^(?:a|b)-(.*)$", "$1")), "b-1.2.3 a-1.2.3", Some("a-1.2.3")),
        (semver("*"), None, "1.0.0 2.0.0.sig", Some("1.0.0")),
        (ASC, None, "-62 73 72 -91", Some("73")),
        (DESC, None, "-62 73 72 -91", Some("-91")),
        (ASC, None, "7 007", Some("007")),
        (DESC, None, "7 007", Some("007")),
        (ASC, None, "007 7", Some("7")),
        (ASC, None, "20240101123456789 20240101123456788", Some("20240101123456789")),
        (ASC, None, "0 1a b 2 nan", Some("2")),
        (ASC, None, "latest", None),
        (ASC, None, "1 inf 3", Some("inf")),
        (ASC, Some((r"^main-[a-z]+-(\d+)$", "$1")), "main-bbb-5 main-aaa-5 main-ccc-5", Some("main-aaa-5")),
        (ASC, Some((r"^m-(\d+)$", "$1")), "m-7 m-007", Some("m-7")),
        (ASC, Some((r"^(\d+)-(\d+)", "$1$2")), "20260528-153652-a 20260528-153651-b", Some("20260528-153652-a")),
        (BYTES, None, "v1.9.0 v1.10.0", Some("v1.9.0")),
        (Order::Alphabetical(Direction::Descending), None, "xenial artful zesty", Some("artful")),
        (BYTES, Some(("^zz", "")), "a b", None),
        (BYTES, None, "", None),
    ];
    for (order, filter, tags, expected) in cases {
        let tags = named(tags);
        let policy = policy(order.clone(), *filter);
        let selection = policy.select(&tags);
        assert_eq!(
            selection.selected.map(|t| t.name.as_str()),
            *expected,
            "{}: {}",
            policy.describe(),
            selection.reason
        );
    }
}

#[test]
fn the_newest_tag_and_its_ties() {
    let tag = |name: &str, pushed: &str, created: &str| Tag {
        pushed_at: pushed.parse().ok(),
        created_at: created.parse().ok(),
        ..Tag::named(name)
    };
    let (early, late) = ("2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z");
    let tags = [
        tag("old", early, late),
        tag("sha-06c5953", late, ""),
        tag("qa-sha-06c5953", "", late),
        tag("sha-06c5953a06c5953a06c5953a06c5953a06c5953a", late, early),
        tag("timeless", "", ""),
    ];
    let policy = policy(Order::Newest, None);
    #[rustfmt::skip]
    let cases = [
        (None, "sha-06c5953a06c5953a06c5953a06c5953a06c5953a"),
        (Some("sha-fffffff"), "sha-06c5953"),
        (Some("qa-sha-fffffff"), "qa-sha-06c5953"),
        (Some("1.2.3"), "sha-06c5953a06c5953a06c5953a06c5953a06c5953a"),
    ];
    for (current, expected) in cases {
        for turn in 0..tags.len() {
            let mut turned = tags.to_vec();
            turned.rotate_left(turn);
            let selection = policy.select_beside(&turned, current);
            assert_eq!(selection.selected.unwrap().name, expected, "beside {current:?}");
            assert_eq!((selection.considered, selection.matched), (5, 4));
            assert!(selection.reason.contains("1 without a time: timeless"), "{}", selection.reason);
        }
    }
}

#[test]
fn reasons() {
    #[rustfmt::skip]
    let cases: &[(Order, Option<(&str, &str)>, &str, &str)] = &[
        (semver("1.x"), None, "1.4.2 1.4.1 2.0.0 latest", "1.4.2 is the highest of 2 versions in `1.x` (of 4 tags)"),
        (semver("1.x"), None, "1.4.2", "1.4.2 is the only version in `1.x`"),
        (semver("1.x"), None, "2.0.0 0.9.0 3.1.0 3.0.0",
         "0 of 4 tags are versions in `1.x`; the highest of 4 versions are: 3.1.0, 3.0.0, 2.0.0, …"),
        (semver("1.x"), None, "latest dev", "0 of 2 tags are versions in `1.x`: none is a version; there are: latest, dev"),
        (semver("1.x"), None, "1 1.2",
         "0 of 2 tags are versions in `1.x`: none is a version (a version has three parts here, as in 1.2.0); there are: 1, 1.2"),
        (semver("1.x"), None, "1.0.0-rc.1 0.9.0",
         "0 of 2 tags are versions in `1.x`; it would take pre-releases (1.0.0-rc.1) only if it named one, as `1.x-0` does"),
        (semver("1.0.0"), None, "1.0.0-rc.1", "0 of 1 tags are versions in `1.0.0`; it would take pre-releases (1.0.0-rc.1) only if it named one, as `>=1.0.0-0` does"),
        (semver("*"), Some(("^m-(.*)", "")), "m-1.2.3",
         "0 of 1 tags that match `^m-(.*)` are versions in `*`: none is a version; there are: m-1.2.3; the whole tag is compared, since there is no extract (`$1` would be the pattern's group)"),
        (ASC, Some(("^m-(?P<ts>.*)", "")), "m-1",
         "0 of 1 tags that match `^m-(?P<ts>.*)` can be ordered; left out: 1 not a number: m-1; the whole tag is compared, since there is no extract (`$ts` would be the pattern's group)"),
        (Order::Flux1("glob:*".into()), None, "latest", "0 of 1 tags match `glob:*`; there are: latest (`latest` is taken by `glob:latest` alone)"),
        (Order::Flux1("dev-*".into()), None, "dev-1 dev-2", "dev-1 is the first by name of 2 tags that match `glob:dev-*`, none of which has a time"),
        (ASC, None, "1 2 latest", "2 is the highest of 2 numbers (of 3 tags); left out: 1 not a number: latest"),
        (DESC, Some(("^m-(.*)", "$1")), "m-1 m-2 x", "m-1 is the lowest of 2 numbers that match `^m-(.*)` (of 3 tags)"),
        (ASC, Some(("^m-(.*)", "$ts")), "m-1 m-2",
         "0 of 2 tags that match `^m-(.*)` can be ordered; left out: 2 not a number: m-1, m-2; the extract names `ts`, which is no group of the pattern"),
        (BYTES, None, "a b", "b is the last of 2 tags by alphabet"),
        (BYTES, Some(("^release-", "")), "rel-1 dev Release-2 x", "0 of 4 tags match `^release-`; nearest: Release-2, rel-1, x, …"),
        (BYTES, Some(("^[0-9]", "")), "dev", "0 of 1 tags match `^[0-9]`; there are: dev"),
        (BYTES, None, "", "there are no tags to choose from"),
        (BYTES, None, "1.sig", "the only tag, 1.sig, is excluded"),
        (Order::Newest, None, "a", "0 of 1 tags can be ordered; left out: 1 without a time: a"),
    ];
    for (order, filter, tags, expected) in cases {
        assert_eq!(policy(order.clone(), *filter).select(&named(tags)).reason, *expected);
    }
}

#[test]
fn two_tags_compared_by_the_policy() {
    let main = Some((r"^main-(\d+)$", "$1"));
    #[rustfmt::skip]
    let cases = [
        (semver("1.x"), None, "1.10.0", "1.9.0", Some(Greater)),
        (semver("1.x"), None, "1.9.0", "v1.9.0", Some(Equal)),
        (semver("1.x"), None, "1.9.0", "2.0.0", Some(Less)),
        (semver("*"), None, "1.9.0", "latest", None),
        (semver("*"), None, "1.9.0", "1.9.0.sig", None),
        (ASC, main, "main-9", "main-10", Some(Less)),
        (DESC, main, "main-9", "main-10", Some(Greater)),
        (ASC, main, "main-9", "dev-10", None),
        (BYTES, None, "b", "a", Some(Greater)),
        (Order::Newest, None, "a", "b", None),
    ];
    for (order, filter, a, b, expected) in cases {
        let policy = policy(order, filter);
        assert_eq!(policy.compare(a, b), expected, "{a} {b} by {}", policy.describe());
        let allowed = policy.allows(a) && policy.allows(b);
        assert!(!allowed || expected.is_some() || policy.describe() == "newest", "{a} {b} by {}", policy.describe());
    }
}

#[test]
fn exclusions_replace_the_default() {
    let exclude = |list: Option<&[&str]>| {
        TagPolicy::new(BYTES, None, list.map(|l| l.iter().map(|p| (*p).to_owned()).collect())).unwrap()
    };
    #[rustfmt::skip]
    let cases: &[(Option<&[&str]>, &str, bool)] = &[
        (None, "1.0.0.sig", false), (Some(&[]), "1.0.0.sig", false), (Some(&["^.*\\.sig$"]), "1.sig", false),
        (Some(&["-alpha$"]), "1.0.0.sig", true), (Some(&["-alpha$"]), "1-alpha", false), (Some(&["a", "b"]), "xbx", false),
        (None, "sha256-abc.att", true),
    ];
    for (list, tag, allowed) in cases {
        assert_eq!(exclude(*list).allows(tag), *allowed, "{list:?} {tag}");
    }
}

#[test]
fn signatures_are_no_images_by_time() {
    let digest = "0123456789abcdef".repeat(4);
    let sha = Some(("^sha", ""));
    let own = TagPolicy::new(BYTES, sha, Some(vec!["x".into()])).unwrap().without_attached();
    #[rustfmt::skip]
    let cases = [
        (policy(Order::Newest, None), false), (policy(Order::Newest, sha), false), (own, false),
        (policy(Order::Flux1("glob:*".into()), None), false), (policy(Order::Flux1("regexp:^sha".into()), None), false),
        // Flux takes what the filter of an ImagePolicy takes.
        (policy(BYTES, sha), true),
    ];
    for (policy, expected) in cases {
        for ending in ["", ".att", ".sbom"] {
            let tag = format!("sha256-{digest}{ending}");
            assert_eq!(policy.allows(&tag), expected, "{tag} by {}", policy.describe());
            let tags = [Tag::named(tag)];
            assert_eq!(policy.account(&tags, None).excluded.count, usize::from(!expected), "{}", policy.describe());
        }
        assert!(policy.allows("sha-0123456"), "{}", policy.describe());
    }
}

#[test]
fn descriptions() {
    let main = Some((r"^main-.*-(?P<ts>[0-9]+)", "$ts"));
    #[rustfmt::skip]
    let cases = [
        (semver("1.x"), None, "semver 1.x"),
        (ASC, main, "numerical asc of `^main-.*-(?P<ts>[0-9]+)` $ts"),
        (Order::Alphabetical(Direction::Descending), Some(("a", "")), "alphabetical desc of `a`"),
        (Order::Newest, None, "newest"),
    ];
    for (order, filter, expected) in cases {
        assert_eq!(policy(order, filter).describe(), expected);
    }
}

#[test]
fn what_makes_two_policies_one() {
    let made = |order: &Order, filter, exclude: &[&str]| {
        TagPolicy::new(order.clone(), filter, Some(exclude.iter().map(|text| (*text).to_owned()).collect())).unwrap()
    };
    let (range, flux1) = (semver("1.x"), |text: &str| Order::Flux1(text.to_owned()));
    let loose = Order::Semver { range: "1.x".into(), three_part: false };
    let (desc, bytes) = (Order::Numerical(Direction::Descending), Order::Alphabetical(Direction::Ascending));
    #[rustfmt::skip]
    let cases = [
        (made(&range, None, &[]), made(&range, None, &[DEFAULT_EXCLUSION]), true),
        (made(&range, None, &["a", "b"]), made(&range, None, &["b", "a", "b"]), true),
        (made(&range, None, &["a"]), made(&range, None, &[]), false),
        (made(&range, None, &["a"]), made(&range, None, &["a", DEFAULT_EXCLUSION]), false),
        (made(&range, None, &[]), made(&semver(" 1.X"), None, &[]), true),
        (made(&range, None, &[]), made(&semver("1.x-0"), None, &[]), false),
        (made(&range, None, &[]), made(&loose, None, &[]), false),
        (made(&range, None, &[]), made(&flux1("semver:1.x"), None, &[]), false),
        (made(&flux1("a*"), None, &[]), made(&flux1("glob:a*"), None, &[]), true),
        (made(&flux1("glob:a*"), None, &[]), made(&flux1("regexp:a*"), None, &[]), false),
        (made(&ASC, None, &[]), made(&ASC, None, &[]), true),
        (made(&ASC, None, &[]), made(&desc, None, &[]), false),
        (made(&ASC, None, &[]), made(&bytes, None, &[]), false),
        (made(&Order::Newest, None, &[]), made(&Order::Newest, None, &[]), true),
        (made(&ASC, Some(("^(a)", "$1")), &[]), made(&ASC, Some(("^(a)", "$1")), &[]), true),
        (made(&ASC, Some(("^(a)", "$1")), &[]), made(&ASC, Some(("^(a)", "")), &[]), false),
        (made(&ASC, Some(("^(a)", "")), &[]), made(&ASC, Some(("^(b)", "")), &[]), false),
        (made(&ASC, Some(("a", "")), &[]), made(&ASC, None, &[]), false),
    ];
    for (a, b, same) in cases {
        assert_eq!(a == b, same, "{} and {}", a.describe(), b.describe());
    }
}

#[test]
fn a_policy_that_cannot_be_says_where() {
    #[rustfmt::skip]
    let cases = [
        (TagPolicy::new(semver("1.x || oops"), None, None).map(|_| ()), "semver range", Some(7)),
        (TagPolicy::new(BYTES, Some(("^test-(.*", "$1")), None).map(|_| ()), "filter pattern", Some(6)),
        (TagPolicy::new(BYTES, None, Some(vec!["a".into(), "b**".into()])).map(|_| ()), "exclude pattern", Some(2)),
        ("invalid".parse::<Direction>().map(|_| ()), "order", None),
    ];
    for (result, part, at) in cases {
        let error = result.unwrap_err();
        assert_eq!((error.part, error.at), (part, at), "{error}");
    }
    assert_eq!("DesC".parse::<Direction>(), Ok(Direction::Descending));
    assert_eq!("".parse::<Direction>(), Ok(Direction::Ascending));
}

fn any_order() -> impl Strategy<Value = Order> {
    let direction = prop_oneof![Just(Direction::Ascending), Just(Direction::Descending)];
    prop_oneof![
        ("[0-9x.<>=~^ |-]{0,8}", any::<bool>()).prop_map(|(range, three_part)| Order::Semver { range, three_part }),
        Just(semver("*")),
        direction.clone().prop_map(Order::Numerical),
        direction.prop_map(Order::Alphabetical),
        Just(Order::Newest),
    ]
}

proptest! {
    #[test]
    fn selecting_never_panics_and_takes_one_of_the_tags(
        order in any_order(),
        filter in proptest::option::of(("\\PC{0,12}|[a-z0-9().*+^$\\\\d-]{0,12}|(\\^)?\\(\\.\\*\\)", "\\PC{0,6}|\\$[0-9]|[$a-z{}0-9]{0,6}")),
        tags in proptest::collection::vec("\\PC{0,10}|v?[0-9]{1,2}\\.[0-9]\\.[0-9](-rc[0-9])?|[0-9]{1,4}", 0..12),
    ) {
        let filter = filter.as_ref().map(|(p, e)| (p.as_str(), e.as_str()));
        let Ok(policy) = TagPolicy::new(order.clone(), filter, None) else { return Ok(()) };
        let tags: Vec<_> = tags.into_iter().map(Tag::named).collect();
        let selection = policy.select(&tags);
        prop_assert_eq!(&selection, &TagPolicy::new(order, filter, None).unwrap().select(&tags));
        prop_assert_eq!(selection.selected.is_some(), selection.matched > 0);
        prop_assert!(!selection.reason.is_empty());
        if let Some(selected) = selection.selected {
            prop_assert!(tags.iter().any(|tag| std::ptr::eq(tag, selected)));
            for tag in tags.iter().filter(|tag| policy.allows(&tag.name)) {
                // Nothing that passes comes before it.
                prop_assert_ne!(policy.compare(&tag.name, &selected.name), Some(Greater));
            }
        }
        if policy.describe() != "newest" && filter.is_none() {
            prop_assert_eq!(tags.iter().filter(|t| policy.allows(&t.name)).count(), selection.matched);
        }
    }
}

proptest! {
    // Each case is a long list.
    #![proptest_config(ProptestConfig::with_cases(16))]
    /// However long the list: the best of two parts is the best of the whole, ties included.
    #[test]
    fn the_best_of_the_bests_is_the_best(
        order in any_order(),
        filter in proptest::option::of(Just(("^v?([0-9]+)", "$1"))),
        tags in proptest::collection::vec("v?[0-9]\\.[0-9]\\.[0-9](-rc[0-9])?|[0-9]{1,2}|latest", 257..600),
        part in 1..300_usize,
    ) {
        let Ok(policy) = TagPolicy::new(order, filter, None) else { return Ok(()) };
        let tags: Vec<_> = tags.into_iter().map(Tag::named).collect();
        let whole = policy.select(&tags);
        let parts: Vec<_> = tags.chunks(part).map(|tags| policy.select(tags)).collect();
        let bests: Vec<_> = parts.iter().filter_map(|part| part.selected.cloned()).collect();
        prop_assert_eq!(whole.selected, policy.select(&bests).selected);
        prop_assert_eq!(whole.matched, parts.iter().map(|part| part.matched).sum::<usize>());
    }
}
