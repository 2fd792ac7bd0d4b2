//! `/merge`: at once, or as soon as it may be; one reply, edited as work goes on.

use super::{REPO, World, only_pull, proposed};
use butler::sandbox::github::{Fault, Protection, Role};
use jiff::SignedDuration;

fn ruleset() -> Protection {
    Protection {
        required_reviews: Some(1),
        required_checks: vec!["ci".into()],
        as_ruleset: true,
        ..Protection::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_waits_for_checks_and_approvals() {
    let (world, number) = proposed().await;
    world.github.protect(REPO, "main", Some(ruleset())).unwrap();
    let said = world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Merging as soon as it may be: #1 waits: 0 of 1 approvals.");
    let reply = world.reply_id(number);
    assert_eq!(world.reactions(number, said), ["eyes", "rocket"]);

    world.person("dan").approves(REPO, number).unwrap();
    world.settle().await;
    insta::assert_snapshot!(world.reply(number), @"Merging as soon as it may be: #1 waits: the check `ci` has not succeeded.");

    world.github.check(REPO, "butler/promote/to-staging", "ci", Some("failure")).unwrap();
    world.settle().await;
    world.silent(number);
    assert_eq!(world.tag("staging"), "1.0.0");

    world.github.check(REPO, "butler/promote/to-staging", "ci", Some("success")).unwrap();
    world.settle().await;
    insta::assert_snapshot!(world.reply(number), @"Merged as COMMIT.");
    assert_eq!(world.reply_id(number), reply, "the same comment, edited");
    assert_eq!(world.tag("staging"), "1.1.0");
    insta::assert_snapshot!(world.message("main"), @r"
    promote(staging): app 1.0.0 -> 1.1.0

    Merges #1.

    Butler-Plan: PLAN
    Butler-Requested-By: ann
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn classic_protection_is_heeded_in_github_s_own_words() {
    let (world, number) = proposed().await;
    let protection = Protection { required_reviews: Some(1), ..Protection::default() };
    world.github.protect(REPO, "main", Some(protection)).unwrap();
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Merging as soon as it may be: #1 cannot be merged: At least 1 approving review is required by reviewers with write access.");
    world.person("dan").approves(REPO, number).unwrap();
    world.settle().await;
    insta::assert_snapshot!(world.reply(number), @"Merged as COMMIT.");
    assert_eq!(world.tag("staging"), "1.1.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_moves_under_a_merge_that_waits() {
    let (world, number) = proposed().await;
    let check = Protection { required_checks: vec!["ci".into()], as_ruleset: true, ..Protection::default() };
    let bypass = Protection { bypass: [world.github.app_login()].into(), ..check };
    world.github.protect(REPO, "main", Some(bypass)).unwrap();
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Merging as soon as it may be: #1 waits: the check `ci` has not succeeded.");
    let judged = world.github.branch(REPO, "butler/promote/to-staging");
    world.push_image("1.2.0").await;
    assert_eq!(world.tag("development"), "1.2.0", "butler may push past the ruleset");
    insta::assert_snapshot!(world.reply(number), @"There is something newer: `app 1.0.0 -> 1.2.0`. This pull request stays as it is while it is under review or waits to be merged.");
    assert_eq!(world.github.branch(REPO, "butler/promote/to-staging"), judged);
    assert_eq!(world.tag("staging"), "1.0.0", "being on a bypass list is no permission to merge");

    world.github.check(REPO, "butler/promote/to-staging", "ci", Some("success")).unwrap();
    world.settle().await;
    insta::assert_snapshot!(world.reply(number), @"Merged as COMMIT.");
    assert_eq!(world.tag("staging"), "1.1.0", "what was asked for");
    insta::assert_snapshot!(world.log("main")[0], @"promote(staging): app 1.0.0 -> 1.1.0");
    let next = world.open_pulls();
    let titles: Vec<_> = next.iter().map(|number| world.github.issue(REPO, *number).unwrap().title).collect();
    insta::assert_snapshot!(titles.join("\n"), @r"
    promote(staging): app 1.1.0 -> 1.2.0
    promote(production): app 1.0.0 -> 1.1.0
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_persons_commit_after_the_merge_was_asked_for_is_not_merged() {
    let (world, number) = proposed().await;
    let check = Protection { required_checks: vec!["ci".into()], as_ruleset: true, ..Protection::default() };
    world.github.protect(REPO, "main", Some(check)).unwrap();
    world.comment("ann", number, "/merge").await;
    world.reply(number);
    world.push("dan", "butler/promote/to-staging", "evil.yaml", "kind: Evil\n").await;
    world.github.check(REPO, "butler/promote/to-staging", "ci", Some("success")).unwrap();
    world.settle().await;
    assert_eq!(world.open_pulls(), [number]);
    assert_eq!(world.github.file(REPO, "main", "evil.yaml"), None);
    insta::assert_snapshot!(world.replies(number).join("\n---\n"), @r"
    Not merged: #1: somebody committed to its branch since; butler leaves the merge to people.
    ---
    `butler/promote/to-staging` holds a commit that butler does not know as its own, so it leaves this pull request alone. Merge it, or close it and delete the branch: butler then opens a new one.
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_a_person_does_by_hand_ends_the_wait() {
    let (world, number) = proposed().await;
    let check = Protection { required_checks: vec!["ci".into()], as_ruleset: true, ..Protection::default() };
    world.github.protect(REPO, "main", Some(check)).unwrap();
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Merging as soon as it may be: #1 waits: the check `ci` has not succeeded.");
    world.github.protect(REPO, "main", None).unwrap();
    world.person("dan").merges(REPO, number).unwrap();
    world.settle().await;
    insta::assert_snapshot!(world.reply(number), @"Merged as COMMIT.");
    assert_eq!(world.tag("staging"), "1.1.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_auto_needs_nobody() {
    let config = "\
version: 1
environments:
  development: {path: deploy/development}
  staging: {path: deploy/staging, update: none}
promotions:
  - {name: to-staging, from: development, to: staging, pull-request: {merge: auto}}
";
    let world = World::configured(config).await;
    world.push_image("1.1.0").await;
    assert_eq!(world.tag("staging"), "1.1.0");
    assert!(world.open_pulls().is_empty());
    world.finish().await;
}

const HEAD: &str = "butler/promote/to-staging";
const AUTO: &str = "\
version: 1
environments:
  development: {path: deploy/development}
  staging: {path: deploy/staging, update: none}
promotions:
  - {name: to-staging, from: development, to: staging, pull-request: {merge: auto}}
updates: {pull-request: {merge: auto}}
";

#[tokio::test(flavor = "multi_thread")]
async fn merge_auto_does_not_go_down_by_itself() {
    let world = World::configured(AUTO).await;
    // A promotion: somebody put something newer into the target.
    world.set_tag("dan", "main", "staging", "1.9.0").await;
    world.push_image("1.1.0").await;
    let number = only_pull(&world);
    assert!(world.pull(number).starts_with("promote(staging): app 1.9.0 -> 1.1.0\n"), "{}", world.pull(number));
    world.later(SignedDuration::from_mins(10)).await;
    assert_eq!((world.tag("staging"), world.open_pulls()), ("1.9.0".into(), vec![number]));
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Merged as COMMIT.");
    assert_eq!(world.tag("staging"), "1.1.0");

    // An update: the policy allows less than what runs.
    world.edit("dan", "main", "deploy/policies.yaml", |text| text.replace("range: 1.x", "range: 1.0.x")).await;
    let number = only_pull(&world);
    assert!(world.pull(number).contains("**Downgrade**: `app` goes `1.1.0 -> 1.0.0`"), "{}", world.pull(number));
    world.later(SignedDuration::from_mins(10)).await;
    assert_eq!((world.tag("development"), world.open_pulls()), ("1.1.0".into(), vec![number]));
    world.comment("ann", number, "/merge").await;
    world.replies(number);
    assert_eq!(world.tag("development"), "1.0.0");
    for number in world.open_pulls() {
        world.replies(number);
    }
    world.finish().await;
}

/// Nothing goes into main without `ci`, but for butler's own pushes.
fn guarded(world: &World) {
    let check = Protection { required_checks: vec!["ci".into()], as_ruleset: true, ..Protection::default() };
    let bypass = Protection { bypass: [world.github.app_login()].into(), ..check };
    world.github.protect(REPO, "main", Some(bypass)).unwrap();
}

/// Dan turns a pull request that waits for `ci` to another branch: whatever comes, butler does nothing to it.
async fn turned_away(world: &World, number: u64) {
    let main = world.github.branch(REPO, "main").unwrap();
    world.person("dan").resets(REPO, "release", &main).unwrap();
    world.person("dan").retargets(REPO, number, "release").unwrap();
    world.settle().await;
    let (judged, seen) = (world.github.branch(REPO, HEAD), world.pull(number));
    assert!(seen.contains("butler/promote/to-staging -> release\n"), "{seen}");
    world.github.check(REPO, HEAD, "ci", Some("success")).unwrap();
    world.settle().await;
    world.push_image("1.2.0").await;
    assert_eq!(world.open_pulls(), [number], "neither merged nor doubled");
    assert_eq!((world.github.branch(REPO, HEAD), world.pull(number)), (judged, seen), "not overwritten");
    assert_eq!(world.tag("staging"), "1.0.0");
    assert_eq!(world.github.branch(REPO, "release").unwrap(), main);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_that_waits_does_not_follow_to_another_branch() {
    let (world, number) = proposed().await;
    guarded(&world);
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Merging as soon as it may be: #1 waits: the check `ci` has not succeeded.");
    turned_away(&world, number).await;
    insta::assert_snapshot!(world.reply(number), @"Merging as soon as it may be: #1 was turned to `release`; butler leaves it alone until it is turned back or closed.");
    world.person("dan").retargets(REPO, number, "main").unwrap();
    world.settle().await;
    insta::assert_snapshot!(world.replies(number).join("\n---\n"), @r"
    Merged as COMMIT.
    ---
    There is something newer: `app 1.0.0 -> 1.2.0`. This pull request stays as it is while it is under review or waits to be merged.
    ");
    assert_eq!(world.tag("staging"), "1.1.0", "what ann asked for, where she asked for it");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn merge_auto_does_not_follow_to_another_branch() {
    let world = World::configured(AUTO).await;
    guarded(&world);
    world.push_image("1.1.0").await;
    let number = only_pull(&world);
    turned_away(&world, number).await;
    world.person("dan").retargets(REPO, number, "main").unwrap();
    world.settle().await;
    assert_eq!(world.tag_at(HEAD, "staging"), "1.2.0", "butler's again");
    world.github.check(REPO, HEAD, "ci", Some("success")).unwrap();
    world.settle().await;
    assert_eq!((world.tag("staging"), world.open_pulls()), ("1.2.0".into(), vec![]));
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_base_that_moves_during_the_merge_is_tried_again() {
    let (world, number) = proposed().await;
    let fault = Fault::refuse(405, "Base branch was modified. Review and try the merge again.");
    world.github.fail_next("PUT /repos/*/*/pulls/*/merge", fault).unwrap();
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Merged as COMMIT.");
    assert_eq!(world.log("main").iter().filter(|subject| subject.starts_with("promote")).count(), 2);
    assert_eq!(only_pull(&world), number + 1);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_environment_loosens_is_loosened_there_alone() {
    let config = "\
version: 1
environments:
  development: {path: deploy/development, protect: {commands: {merge: [read]}}}
  staging: {path: deploy/staging, update: none}
promotions:
  - {name: to-staging, from: development, to: staging}
updates: {quiet: 1s, at-most: 10s}
";
    let world = World::configured(config).await;
    world.push_image("1.1.0").await;
    let number = only_pull(&world);
    world.comment("rita", number, "/merge").await;
    assert!(world.reply(number).starts_with("Not done: this takes `maintain`"), "{}", world.reply(number));
    assert_eq!(world.tag("staging"), "1.0.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_lost_the_role_since_merges_nothing_and_a_readers_approval_does_not_count() {
    let (world, number) = proposed().await;
    world.github.protect(REPO, "main", Some(ruleset())).unwrap();
    world.comment("ann", number, "/merge").await;
    world.person("rita").approves(REPO, number).unwrap();
    world.settle().await;
    world.github.check(REPO, "butler/promote/to-staging", "ci", Some("success")).unwrap();
    world.settle().await;
    assert_eq!(world.tag("staging"), "1.0.0", "rita may only read");

    world.github.set_role(REPO, "ann", Some(Role::Read)).unwrap();
    world.person("dan").approves(REPO, number).unwrap();
    world.settle().await;
    assert_eq!(world.tag("staging"), "1.0.0", "ann may not merge any more");
    assert!(world.reply(number).contains("`ann` may not merge it any more"), "{}", world.reply(number));
    world.finish().await;
}
