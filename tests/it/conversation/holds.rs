//! `/hold` and `/resume` on butler's own pull requests, and what is answered where nothing is done.

use super::{REPO, World, only_pull, proposed};
use butler::sandbox::github::Protection;

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_hold_holds_what_its_pull_request_carries() {
    let (world, number) = proposed().await;
    world.comment("dan", number, "/hold until 3h waiting for QA").await;
    insta::assert_snapshot!(world.reply(number), @"Held: the promotion from `development` to `staging`, by `dan` since 2026-03-02 09:00 UTC, until 2026-03-02 12:00 UTC (waiting for QA). This pull request is neither refreshed nor merged by butler; other promotions and updates go on. `/resume` here ends that; `/hold all` holds everything.");
    let held = world.reply_id(number);
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Merging as soon as it may be: #1 stays as it is: the promotion from `development` to `staging` is held by `dan` since 2026-03-02 09:00 UTC, until 2026-03-02 12:00 UTC (waiting for QA); `/butler resume staging` ends that.");
    world.push_image("1.2.0").await;
    assert_eq!(world.tag("development"), "1.2.0", "updates are not held");
    assert_eq!(world.tag_at("butler/promote/to-staging", "staging"), "1.1.0", "the promotion is");

    // Each command has a reply of its own, and the `/merge` that waited is told as well.
    let resumed = world.comment("dan", number, "/resume").await;
    insta::assert_snapshot!(world.replies(number).join("\n---\n"), @r"
    Merged as COMMIT.
    ---
    There is something newer: `app 1.0.0 -> 1.2.0`. This pull request stays as it is while it is under review or waits to be merged.
    ---
    Resumed: the promotion from `development` to `staging`.

    - No longer held: the promotion from `development` to `staging`, by `dan` since 2026-03-02 09:00 UTC, until 2026-03-02 12:00 UTC (waiting for QA).

    Now:

    - `development` → `staging`: #1 was merged as COMMIT, as `ann` asked.
    ");
    assert_ne!(world.reply_id(number), held);
    assert_eq!(world.reactions(number, resumed), ["eyes", "rocket"]);
    for number in world.open_pulls() {
        world.replies(number);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_takes_up_the_merge_that_waited() {
    let (world, number) = proposed().await;
    world.comment("dan", number, "/hold").await;
    insta::assert_snapshot!(world.reply(number), @"Held: the promotion from `development` to `staging`, by `dan` since 2026-03-02 09:00 UTC. This pull request is neither refreshed nor merged by butler; other promotions and updates go on. `/resume` here ends that; `/hold all` holds everything.");
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Merging as soon as it may be: #1 stays as it is: the promotion from `development` to `staging` is held by `dan` since 2026-03-02 09:00 UTC; `/butler resume staging` ends that.");
    let check = Protection { required_checks: vec!["ci".into()], as_ruleset: true, ..Protection::default() };
    world.github.protect(REPO, "main", Some(check)).unwrap();
    world.comment("dan", number, "/resume").await;
    insta::assert_snapshot!(world.replies(number).join("\n---\n"), @r"
    Merging as soon as it may be: #1 waits: the check `ci` has not succeeded.
    ---
    Resumed: the promotion from `development` to `staging`.

    - No longer held: the promotion from `development` to `staging`, by `dan` since 2026-03-02 09:00 UTC.

    Now:

    - `development` → `staging`: #1 waits: the check `ci` has not succeeded. The `/merge` of `ann` on #1 is done as soon as it may be.
    ");
    world.comment("rita", number, "/status").await;
    insta::assert_snapshot!(world.reply(number), @r"
    | component | `development` | `staging` | `production` |
    | --- | --- | --- | --- |
    | `app` | **`1.1.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: #1 waits: the check `ci` has not succeeded. The `/merge` of `ann` on #1 is done as soon as it may be.
    - `staging` → `production`: nothing to promote: `production` runs what `staging` runs.

    Nothing is held or declined.
    ");
    world.github.check(REPO, "butler/promote/to-staging", "ci", Some("success")).unwrap();
    world.settle().await;
    insta::assert_snapshot!(world.reply(number), @"Merged as COMMIT.");
    assert_eq!(world.tag("staging"), "1.1.0");
    world.comment("rita", number, "/status").await;
    insta::assert_snapshot!(world.reply(number), @r"
    | component | `development` | `staging` | `production` |
    | --- | --- | --- | --- |
    | `app` | **`1.1.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.1.0`**<br>since 2026-03-02 09:00 UTC by #1 | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: nothing to promote: `staging` runs what `development` runs.
    - `staging` → `production`: #2 is open: `app 1.0.0 -> 1.1.0`.

    Nothing is held or declined.
    ");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hold_all_holds_everything() {
    let (world, number) = proposed().await;
    world.comment("dan", number, "/hold all the cluster moves").await;
    insta::assert_snapshot!(world.reply(number), @"Held: everything, by `dan` since 2026-03-02 09:00 UTC (the cluster moves). butler updates and promotes nothing in this repository. `/butler resume all` ends that.");
    world.push_image("1.2.0").await;
    assert_eq!(world.tag("development"), "1.1.0");
    world.comment("dan", number, "/resume all").await;
    insta::assert_snapshot!(world.reply(number), @r"
    Resumed: everything.

    - No longer held: everything, by `dan` since 2026-03-02 09:00 UTC (the cluster moves).

    Now:

    - `development` → `staging`: #1 is open: `app 1.0.0 -> 1.2.0`.
    - `staging` → `production`: nothing to promote: `production` runs what `staging` runs.
    ");
    assert_eq!(world.tag("development"), "1.2.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bare_slip_on_butlers_own_pull_request_gets_an_answer() {
    let (world, number) = proposed().await;
    let said = world.comment("ann", number, "/mrege").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: there is no command `mrege`; did you mean `/merge`?");
    assert_eq!(world.reactions(number, said), ["eyes", "confused"]);
    for of_another_bot in ["/lgtm", "/retest", "/ok-to-test", "/assign @ann"] {
        let said = world.comment("ann", number, of_another_bot).await;
        world.silent(number);
        assert_eq!(world.reactions(number, said), [""; 0], "{of_another_bot}");
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_of_what_has_ended_gets_an_answer() {
    let (world, number) = proposed().await;
    world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Merged as COMMIT.");
    let again = world.comment("ann", number, "/merge").await;
    insta::assert_snapshot!(world.reply(number), @"Already merged as COMMIT.");
    assert_eq!(world.reactions(number, again), ["eyes", "rocket"]);
    let next = only_pull(&world);
    world.person("dan").merges(REPO, next).unwrap();
    world.settle().await;
    world.comment("ann", next, "/merge").await;
    insta::assert_snapshot!(world.reply(next), @"Already merged as COMMIT, by `dan`.");

    world.push_image("1.2.0").await;
    let closed = only_pull(&world);
    world.person("dan").closes(REPO, closed).unwrap();
    world.settle().await;
    world.comment("ann", closed, "/merge").await;
    insta::assert_snapshot!(world.reply(closed), @"Not done: this pull request was closed without being merged; `/butler promote to staging` opens one again.");
    assert_eq!(world.tag("staging"), "1.1.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_people_who_ask_for_one_merge_are_both_told() {
    let (world, number) = proposed().await;
    let check = Protection { required_checks: vec!["ci".into()], as_ruleset: true, ..Protection::default() };
    world.github.protect(REPO, "main", Some(check)).unwrap();
    for _ in 0..2 {
        world.comment("ann", number, "/merge").await;
        assert!(world.reply(number).starts_with("Merging as soon as it may be: #1 waits"));
    }
    world.github.check(REPO, "butler/promote/to-staging", "ci", Some("success")).unwrap();
    world.settle().await;
    assert_eq!(world.replies(number), ["Merged as COMMIT."; 2]);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_that_may_have_been_a_name_is_no_reason() {
    let (world, number) = proposed().await;
    let said = world.comment("dan", number, "/hold prod").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: `prod` is neither an environment nor a component here (did you mean `production`?); there are the environments `development`, `staging`, `production` and the component `app`; a reason goes behind a name or `all`, or as several words.");
    assert_eq!(world.reactions(number, said), ["eyes", "confused"]);
    world.comment("dan", number, "/hold prod until 2h the disk is full").await;
    assert!(world.reply(number).starts_with("Not done: `prod` is neither"));
    world.comment("dan", number, "/hold qa").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: `qa` is neither an environment nor a component here; there are the environments `development`, `staging`, `production` and the component `app`; a reason goes behind a name or `all`, or as several words.");
    world.comment("dan", number, "/promote to prod").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: `prod` is no environment here (did you mean `production`?); there are the environments `development`, `staging`, `production`.");
    world.comment("dan", number, "/resume prod").await;
    insta::assert_snapshot!(world.reply(number), @"Not done: `prod` is neither an environment nor a component here (did you mean `production`?); there are the environments `development`, `staging`, `production` and the component `app`.");
    world.comment("rita", number, "/status").await;
    assert!(world.reply(number).ends_with("Nothing is held or declined."));
    // Behind a name, or as several words, it is one.
    world.comment("dan", number, "/hold production qa").await;
    assert!(
        world.reply(number).starts_with("Held: everything in `production`, by `dan` since 2026-03-02 09:00 UTC (qa).")
    );
    world.comment("dan", number, "/hold waiting for QA").await;
    assert!(world.reply(number).starts_with(
        "Held: the promotion from `development` to `staging`, by `dan` since 2026-03-02 09:00 UTC (waiting for QA)."
    ));
    world.finish().await;
}

/// A second workload beside `app` in each stage, of the same image and policy.
fn with_web(files: &mut Vec<(String, String)>) {
    let more: Vec<(String, String)> = files
        .iter()
        .filter(|(path, _)| path.starts_with("deploy/") && path.ends_with("/app.yaml"))
        .map(|(path, text)| (path.replace("/app.yaml", "/web.yaml"), text.replace("name: app\n", "name: web\n")))
        .collect();
    assert_eq!(more.len(), 3);
    files.extend(more);
}

#[tokio::test(flavor = "multi_thread")]
async fn promoting_one_component_ends_only_its_declines() {
    let world = World::with(with_web).await;
    world.push_image("1.1.0").await;
    let number = only_pull(&world);
    insta::assert_snapshot!(world.pull(number).lines().next().unwrap(), @"promote(staging): 2 changes");
    world.person("dan").closes(REPO, number).unwrap();
    world.settle().await;
    world.comment("dan", number, "/butler promote web to staging").await;
    insta::assert_snapshot!(world.reply(number), @"- `development` → `staging`: #2 is open: `web 1.0.0 -> 1.1.0`.");
    let next = only_pull(&world);
    insta::assert_snapshot!(world.pull(next).lines().next().unwrap(), @"promote(staging): web 1.0.0 -> 1.1.0");
    world.comment("rita", number, "/status").await;
    insta::assert_snapshot!(world.reply(number), @r"
    | component | `development` | `staging` | `production` |
    | --- | --- | --- | --- |
    | `app` | **`1.1.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |
    | `web` | **`1.1.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: #2 is open: `web 1.0.0 -> 1.1.0`.
    - `staging` → `production`: nothing to promote: `production` runs what `staging` runs.

    **Held or declined**

    - `REGISTRY/acme/app:1.1.0` in `staging` was declined by `dan`, seen 2026-03-02 09:00 UTC (#‍1 was closed); a newer version or `/butler resume staging` ends that.
    ");
    // `app` stays declined when this one is through.
    world.comment("ann", next, "/merge").await;
    world.reply(next);
    let titles: Vec<_> = world.open_pulls().iter().map(|n| world.github.issue(REPO, *n).unwrap().title).collect();
    insta::assert_snapshot!(titles.join("\n"), @"promote(production): web 1.0.0 -> 1.1.0");
    world.finish().await;
}
