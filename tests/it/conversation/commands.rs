//! What people say to butler, and what it answers.

use super::{REPO, World, only_pull, proposed};
use jiff::SignedDuration;

/// (who, why not)
#[tokio::test(flavor = "multi_thread")]
async fn a_merge_takes_permission() {
    let (world, number) = proposed().await;
    let before = world.github.refs(REPO);

    let said = world.comment("dan", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"");
    assert_eq!(world.reactions(number, said), ["eyes", "confused"]);

    let said = world.comment("rita", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"");
    assert_eq!(world.reactions(number, said), ["eyes", "confused"]);

    world.github.make_public(REPO).unwrap();
    let said = world.comment("stranger", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"");
    assert_eq!(world.reactions(number, said), ["eyes", "confused"]);

    assert_eq!(world.open_pulls(), [number]);
    assert_eq!(world.tag("staging"), "1.0.0");
    let branches = |refs: std::collections::BTreeMap<String, String>| -> Vec<_> {
        refs.into_iter().filter(|(name, _)| name.starts_with("refs/heads/")).collect()
    };
    assert_eq!(branches(world.github.refs(REPO)), branches(before), "no branch moved");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_command_gets_no_answer() {
    let (world, number) = proposed().await;
    let other = {
        world.push("dan", "feature", "README.md", "Feature\n").await;
        world.person("dan").opens(REPO, "feature", "main", "A feature").unwrap()
    };
    world.settle().await;
    let before = world.written();
    let asked = world.person("ann").comments(REPO, number, "I wonder").unwrap();
    world.person("ann").edits_comment(REPO, asked, "/merge").unwrap();
    let mut said = vec![asked];
    for text in ["> /merge", "```\n/merge\n```", "    /merge", "`/merge`", "<!-- /merge -->", "please /merge", "/lgtm"] {
        said.push(world.person("ann").comments(REPO, number, text).unwrap());
    }
    said.push(world.person("renovate[bot]").comments(REPO, number, "/merge").unwrap_or_default());
    world.settle().await;
    for comment in said.into_iter().filter(|comment| *comment != 0) {
        assert_eq!(world.reactions(number, comment), [""; 0]);
    }
    world.silent(number);
    // On somebody else's pull request the bare command is somebody else's.
    let bare = world.comment("ann", other, "/status").await;
    world.silent(other);
    assert_eq!(world.reactions(other, bare), [""; 0]);
    assert!(world.written().starts_with(before.split("\n[").next().unwrap()), "no ref moved");
    world.comment("ann", other, "/butler status").await;
    insta::assert_snapshot!(world.reply(other), @"");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_on_an_issue() {
    let world = World::configured(&COMMAND_ONLY).await;
    world.push_image("1.1.0").await;
    assert!(world.open_pulls().is_empty(), "it waits to be asked");
    let issue = world.person("dan").opens_issue(REPO, "Release 1.1.0").unwrap();
    world.comment("dan", issue, "Let us have it.\n\n/butler promote staging\n").await;
    insta::assert_snapshot!(world.reply(issue), @"");
    let number = only_pull(&world);
    insta::assert_snapshot!(world.pull(number), @"");
    insta::assert_snapshot!(world.message("butler/promote/to-staging"), @"");
    world.finish().await;
}

const COMMAND_ONLY: &str = "\
version: 1
environments:
  development: {path: deploy/development}
  staging: {path: deploy/staging, update: none}
promotions:
  - {name: to-staging, from: development, to: staging, open: command}
";

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_gets_the_nearest_command() {
    let (world, number) = proposed().await;
    let said = world.comment("rita", number, "/butler mrege").await;
    insta::assert_snapshot!(world.reply(number), @"");
    assert_eq!(world.reactions(number, said), ["eyes", "confused"]);
    world.comment("dan", number, "/hold stagin").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.comment("dan", number, "/promote to produktion").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.comment("dan", number, "/promote to staging 1.0.0").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.comment("ann", number, "/rollback app staging").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hold_stops_updates_and_promotions_until_it_ends() {
    let (world, number) = proposed().await;
    world.comment("dan", number, "/hold app staging until 2h waiting for QA").await;
    insta::assert_snapshot!(world.replies(number).join("\n---\n"), @"");
    assert!(world.open_pulls().is_empty());
    world.push_image("1.2.0").await;
    assert_eq!(world.tag("development"), "1.2.0", "development is not held");
    assert!(world.open_pulls().is_empty());
    world.comment("rita", number, "/butler status").await;
    insta::assert_snapshot!(world.reply(number), @"");

    world.later(SignedDuration::from_hours(2)).await;
    let again = only_pull(&world);
    insta::assert_snapshot!(world.pull(again).lines().next().unwrap(), @"");

    world.comment("dan", again, "/hold development").await;
    insta::assert_snapshot!(world.reply(again), @"");
    world.push_image("1.3.0").await;
    assert_eq!(world.tag("development"), "1.2.0");
    world.comment("dan", again, "/butler resume development").await;
    insta::assert_snapshot!(world.reply(again), @"");
    assert_eq!(world.tag("development"), "1.3.0");
    world.comment("dan", again, "/butler resume").await;
    insta::assert_snapshot!(world.reply(again), @"");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn help_says_what_a_person_may() {
    let (world, number) = proposed().await;
    world.comment("rita", number, "/help").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.comment("dan", number, "/butler").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.comment("ann", number, "/butler help").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn several_commands_get_one_reply() {
    let (world, number) = proposed().await;
    let said = world.comment("dan", number, "/hold production\nand then\n/merge\n/status").await;
    insta::assert_snapshot!(world.reply(number), @"");
    assert_eq!(world.reactions(number, said), ["eyes", "confused"]);
    assert_eq!(world.tag("staging"), "1.0.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_may_ask_for_more() {
    let config = "\
version: 1
environments:
  development: {path: deploy/development}
  staging: {path: deploy/staging, update: none, protect: {commands: {hold: [maintain], status: [write]}}}
promotions:
  - {name: to-staging, from: development, to: staging}
";
    let world = World::configured(config).await;
    world.push_image("1.1.0").await;
    let number = only_pull(&world);
    world.comment("dan", number, "/hold staging").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.comment("rita", number, "/status").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.comment("rita", number, "/help").await;
    insta::assert_snapshot!(world.reply(number), @"");
    world.finish().await;
}
