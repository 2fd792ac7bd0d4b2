//! Merge commits, squashes and rebases: as the repository allows. What people decide holds all the same.

use super::{REPO, World, only_pull, proposed};
use butler::sandbox::github::{Fault, Method};

/// A world in which pull requests are merged in these ways only, and 1.1.0 waits for staging.
async fn merged_by(methods: &[Method]) -> (World, u64) {
    let world = World::prepared(|_| {}, |github| github.allow_merging_by(REPO, methods).unwrap()).await;
    world.push_image("1.1.0").await;
    let number = only_pull(&world);
    (world, number)
}

#[tokio::test(flavor = "multi_thread")]
async fn pull_requests_are_merged_as_the_repository_allows() {
    for (methods, parents) in [(&[Method::Squash, Method::Rebase][..], 1), (&[Method::Rebase], 1), (&Method::ALL, 2)] {
        let (world, number) = merged_by(methods).await;
        world.comment("ann", number, "/merge").await;
        assert_eq!(world.reply(number), "Merged as COMMIT.", "{methods:?}");
        let tip = world.github.history(REPO, "main").pop().unwrap();
        assert_eq!(tip.parents.len(), parents, "{methods:?}");
        assert!(tip.message.starts_with("promote(staging): app 1.0.0 -> 1.1.0\n"), "{methods:?}: {}", tip.message);
        assert_eq!(world.github.branch(REPO, "butler/promote/to-staging"), None);
        world.comment("rita", number, "/status").await;
        assert!(world.reply(number).contains("<br>since 2026-03-02 09:00 UTC by #1 |"), "{methods:?}");

        // A person sets it back: declined, until something newer comes.
        world.set_tag("dan", "main", "staging", "1.0.0").await;
        assert_eq!(world.tag("staging"), "1.0.0", "{methods:?}");
        assert!(world.open_pulls().is_empty(), "{methods:?}: neither again to staging nor on to production");
        world.push_image("1.2.0").await;
        let title = world.github.issue(REPO, only_pull(&world)).unwrap().title;
        assert_eq!(title, "promote(staging): app 1.0.0 -> 1.2.0", "{methods:?}");
        for pull in world.github.pulls(REPO) {
            world.replies(pull.number);
        }
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_squash_or_rebase_by_a_person_counts_as_merged() {
    for method in [Method::Squash, Method::Rebase] {
        let (world, number) = merged_by(&[method]).await;
        world.person("dan").merges_by(REPO, number, method).unwrap();
        world.settle().await;
        assert_eq!(world.tag("staging"), "1.1.0");
        let next = only_pull(&world);
        assert_eq!(
            world.github.issue(REPO, next).unwrap().title,
            "promote(production): app 1.0.0 -> 1.1.0",
            "{method:?}"
        );
        world.set_tag("dan", "main", "staging", "1.0.0").await;
        assert_eq!(world.tag("staging"), "1.0.0", "{method:?}");
        assert!(world.open_pulls().is_empty(), "{method:?}: declined");
        world.replies(next);
        world.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_github_tells_only_when_asked_to_merge_is_heeded() {
    let (world, number) = proposed().await;
    let fault = Fault::refuse(405, "Merge commits are not allowed on this repository.");
    world.github.fail_next("PUT /repos/*/*/pulls/*/merge", fault).unwrap();
    world.comment("ann", number, "/merge").await;
    assert_eq!(world.reply(number), "Merged as COMMIT.");
    let tip = world.github.history(REPO, "main").pop().unwrap();
    assert_eq!(tip.parents.len(), 1, "squashed");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_allows_no_way_to_merge_is_told() {
    let (world, number) = merged_by(&[]).await;
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Merging as soon as it may be: #1 cannot be merged: the repository's settings and the branch's rules together allow no way to merge.");
    assert_eq!(world.tag("staging"), "1.0.0");
    world.finish().await;
}
