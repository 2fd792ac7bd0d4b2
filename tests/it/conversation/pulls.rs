//! A pull request's life: refreshed in place, left alone, closed.

use super::{REPO, World, only_pull, proposed};
use butler::sandbox::github::{Protection, Verdict};

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_version_refreshes_the_pull_request_in_place() {
    let (world, number) = proposed().await;
    world.push_image("1.2.0").await;
    assert_eq!(world.open_pulls(), [number], "the same one");
    insta::assert_snapshot!(world.pull(number), @"");
    assert_eq!(world.tag_at("butler/promote/to-staging", "staging"), "1.2.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn under_review_a_newer_version_is_only_announced() {
    let (world, number) = proposed().await;
    world.person("dan").reviews(REPO, number, Verdict::Commented, "Why this one?").unwrap();
    world.push_image("1.2.0").await;
    insta::assert_snapshot!(world.reply(number), @"");
    assert_eq!(world.tag_at("butler/promote/to-staging", "staging"), "1.1.0");
    world.push_image("1.3.0").await;
    let first = world.reply_id(number);
    insta::assert_snapshot!(world.reply(number), @"");
    assert_eq!(world.reply_id(number), first, "one comment, edited");
    world.comment("ann", number, "/merge").await;
    world.reply(number);
    assert_eq!(world.tag("staging"), "1.1.0", "what was reviewed");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn promoted_by_hand_it_is_closed() {
    let (world, number) = proposed().await;
    world.set_tag("dan", "main", "staging", "1.1.0").await;
    insta::assert_snapshot!(world.reply(number), @"");
    let [production] = world.open_pulls()[..] else { panic!("{:?}", world.open_pulls()) };
    assert_ne!(production, number);
    assert_eq!(world.github.branch(REPO, "butler/promote/to-staging"), None);
    // It was butler that closed it: nothing is declined.
    world.set_tag("dan", "main", "staging", "1.0.0").await;
    world.replies(production);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_commit_on_the_head_stops_butler() {
    let (world, number) = proposed().await;
    let commit = world.push("dan", "butler/promote/to-staging", "notes.md", "By hand\n").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.push_image("1.2.0").await;
    assert_eq!(world.github.branch(REPO, "butler/promote/to-staging"), Some(commit), "left alone");
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"");
    assert_eq!(world.tag("staging"), "1.0.0", "nobody judged that commit");
    world.person("dan").merges(REPO, number).unwrap();
    world.settle().await;
    assert_eq!(world.tag("staging"), "1.1.0");
    assert!(world.github.branch(REPO, "butler/promote/to-staging").is_some(), "a person's branch is not deleted");
    insta::assert_snapshot!(world.replies(number).join("\n---\n"), @"");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn update_branch_does_not_count_as_a_persons_commit() {
    let (world, number) = proposed().await;
    world.push("dan", "main", "notes.md", "Unrelated\n").await;
    world.update_branch("dan", number);
    world.settle().await;
    world.silent(number);
    world.push_image("1.2.0").await;
    world.silent(number);
    assert_eq!(world.open_pulls(), [number]);
    assert_eq!(world.tag_at("butler/promote/to-staging", "staging"), "1.2.0");
    world.update_branch("dan", number);
    world.comment("ann", number, "/merge").await;
    world.reply(number);
    assert_eq!(world.tag("staging"), "1.2.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_elses_pull_request_from_that_head_is_not_adopted() {
    let world = World::new().await;
    let commit = world.push("dan", "butler/promote/to-staging", "mine.md", "Mine\n").await;
    let theirs = world.person("dan").opens(REPO, "butler/promote/to-staging", "main", "Mine").unwrap();
    world.push_image("1.1.0").await;
    assert_eq!(world.open_pulls(), [theirs]);
    assert_eq!(world.github.branch(REPO, "butler/promote/to-staging"), Some(commit));
    world.comment("ann", theirs, "/merge").await;
    world.silent(theirs);
    world.comment("ann", theirs, "/butler merge").await;
    insta::assert_snapshot!(world.reply(theirs), @"");
    world.comment("ann", theirs, "/butler status").await;
    insta::assert_snapshot!(world.reply(theirs), @"");
    world.person("dan").closes(REPO, theirs).unwrap();
    world.person("dan").deletes_branch(REPO, "butler/promote/to-staging").unwrap();
    world.settle().await;
    assert_ne!(only_pull(&world), theirs, "the way is free");
    world.finish().await;
}

const AUTO: &str = "version: 1\nenvironments:\n  development: {path: deploy/development}\n";

fn reviewed() -> Protection {
    Protection { required_reviews: Some(1), ..Protection::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn update_auto_goes_by_pull_request_where_the_branch_is_protected() {
    let world = World::prepared(
        |files| crate::support::world::replace(files, "butler.yaml", AUTO),
        |github| github.protect(REPO, "main", Some(reviewed())).unwrap(),
    )
    .await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.0.0");
    let number = only_pull(&world);
    insta::assert_snapshot!(world.pull(number), @"");
    world.push_image("1.2.0").await;
    assert_eq!(world.open_pulls(), [number]);
    world.person("dan").approves(REPO, number).unwrap();
    world.person("dan").merges(REPO, number).unwrap();
    world.settle().await;
    assert_eq!(world.tag("development"), "1.2.0");
    assert!(world.open_pulls().is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_that_is_closed_is_declined() {
    let world = World::configured(&AUTO.replace("development}", "development, update: pull-request}")).await;
    world.push_image("1.1.0").await;
    let number = only_pull(&world);
    world.person("dan").closes(REPO, number).unwrap();
    world.settle().await;
    world.later(jiff::SignedDuration::from_mins(30)).await;
    assert!(world.open_pulls().is_empty());
    world.push_image("1.2.0").await;
    insta::assert_snapshot!(world.pull(only_pull(&world)), @"");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn update_commit_on_a_protected_branch_says_what_to_do() {
    let config = AUTO.replace("development}", "development, update: commit}");
    let world = World::prepared(
        |files| crate::support::world::replace(files, "butler.yaml", &config),
        |github| github.protect(REPO, "main", Some(reviewed())).unwrap(),
    )
    .await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.0.0");
    assert!(world.open_pulls().is_empty());
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @"");
    world.github.protect(REPO, "main", None).unwrap();
    world.sweep().await;
    assert_eq!(world.tag("development"), "1.1.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_downgrade_is_a_pull_request_that_says_so() {
    let world = World::configured(AUTO).await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("development"), "1.1.0");
    world.registry.remove_tag("acme/app", "1.1.0");
    world.sweep().await;
    world.later(jiff::SignedDuration::from_mins(6)).await;
    assert_eq!(world.tag("development"), "1.1.0");
    insta::assert_snapshot!(world.pull(only_pull(&world)), @"");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn downgrades_can_be_denied() {
    let world = World::configured(&format!("{AUTO}updates: {{downgrade: deny}}\n")).await;
    world.push_image("1.1.0").await;
    world.registry.remove_tag("acme/app", "1.1.0");
    world.later(jiff::SignedDuration::from_mins(6)).await;
    assert_eq!(world.tag("development"), "1.1.0");
    assert!(world.open_pulls().is_empty());
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @"");
    world.finish().await;
}
