//! A person's decision is state: what people undo stays undone.

use super::{REPO, only_pull, proposed};
use jiff::SignedDuration;

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_that_was_closed_stays_closed() {
    let (world, number) = proposed().await;
    world.person("rita").comments(REPO, number, "Not this one.").unwrap();
    world.person("dan").closes(REPO, number).unwrap();
    world.settle().await;
    assert_eq!(world.github.branch(REPO, "butler/promote/to-staging"), None);
    world.later(SignedDuration::from_mins(30)).await;
    world.push("dan", "main", "notes.md", "Unrelated\n").await;
    assert!(world.open_pulls().is_empty());
    world.comment("rita", number, "/butler status").await;
    insta::assert_snapshot!(world.reply(number), @r"
    | component | `development` | `staging` | `production` |
    | --- | --- | --- | --- |
    | `app` | **`1.1.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: nothing to promote: `REGISTRY/acme/app:1.1.0 was declined (#1 was closed); a newer version, /resume or /promote ends that`.
    - `staging` → `production`: nothing to promote: `production` runs what `staging` runs.

    **Held or declined**

    - `REGISTRY/acme/app:1.1.0` in `staging` was declined by `dan`, seen 2026-03-02 09:00 UTC (#‍1 was closed); a newer version or `/butler resume staging` ends that.
    ");

    world.push_image("1.2.0").await;
    let next = only_pull(&world);
    assert_ne!(next, number);
    insta::assert_snapshot!(world.pull(next).lines().next().unwrap(), @"promote(staging): app 1.0.0 -> 1.2.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn promote_brings_a_closed_one_back() {
    let (world, number) = proposed().await;
    world.person("dan").closes(REPO, number).unwrap();
    world.settle().await;
    world.comment("dan", number, "/butler promote staging").await;
    let next = only_pull(&world);
    assert_ne!(next, number);
    insta::assert_snapshot!(world.reply(number), @"- `development` → `staging`: #2 is open: `app 1.0.0 -> 1.1.0`.");
    // Closed once more: the word of before does not bring it back again.
    world.person("dan").closes(REPO, next).unwrap();
    world.settle().await;
    assert!(world.open_pulls().is_empty());
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_was_set_back_stays_until_something_newer_comes() {
    let (world, number) = proposed().await;
    world.set_tag("dan", "main", "development", "1.0.0").await;
    assert_eq!(world.tag("development"), "1.0.0", "butler does not write it again");
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @r"
    neutral: deploy/development/app.yaml:12:18: REGISTRY/acme/app:1.1.0 was declined (set back by hand after COMMIT); a newer version, /resume or /promote ends that

    - `deploy/development/app.yaml:12:18` in `development` (`flux-system:app`): `REGISTRY/acme/app:1.1.0 was declined (set back by hand after COMMIT); a newer version, /resume or /promote ends that`
    ");
    assert!(world.open_pulls().is_empty(), "nothing is left to promote");
    insta::assert_snapshot!(world.reply(number), @"Nothing is left to carry: the target has these versions, or they were declined.");

    let told = world.github.requests().iter().filter(|request| request.path.ends_with("/check-runs")).count();
    world.push("dan", "main", "notes.md", "Unrelated\n").await;
    world.later(SignedDuration::from_mins(30)).await;
    assert_eq!(world.tag("development"), "1.0.0");
    let again = world.github.requests().iter().filter(|request| request.path.ends_with("/check-runs")).count();
    assert_eq!(told, again, "it is said once");

    world.push_image("1.2.0").await;
    assert_eq!(world.tag("development"), "1.2.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn resume_takes_a_declined_version_after_all() {
    let (world, number) = proposed().await;
    world.set_tag("dan", "main", "development", "1.0.0").await;
    world.reply(number);
    let issue = world.person("dan").opens_issue(REPO, "Back to 1.1.0").unwrap();
    world.comment("dan", issue, "/butler resume development").await;
    insta::assert_snapshot!(world.reply(issue), @r"
    Resumed: everything in `development`.

    - No longer declined: `REGISTRY/acme/app:1.1.0`.

    Now:

    - `development` → `staging`: #3 is open: `app 1.0.0 -> 1.1.0`.
    ");
    assert_eq!(world.tag("development"), "1.1.0");
    // And back once more: that is a new decision.
    world.set_tag("dan", "main", "development", "1.0.0").await;
    assert_eq!(world.tag("development"), "1.0.0");
    for number in world.github.pulls(REPO) {
        world.replies(number.number);
    }
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_of_the_update_commit_declines_it() {
    let (world, number) = proposed().await;
    let update = world.github.branch(REPO, "main").unwrap();
    world.person("dan").reverts(REPO, "main", &update).unwrap();
    world.settle().await;
    world.later(SignedDuration::from_mins(30)).await;
    assert_eq!(world.tag("development"), "1.0.0");
    insta::assert_snapshot!(world.check("main", "butler/update").unwrap(), @r"
    neutral: deploy/development/app.yaml:12:18: REGISTRY/acme/app:1.1.0 was declined (set back by hand after COMMIT); a newer version, /resume or /promote ends that

    - `deploy/development/app.yaml:12:18` in `development` (`flux-system:app`): `REGISTRY/acme/app:1.1.0 was declined (set back by hand after COMMIT); a newer version, /resume or /promote ends that`
    ");
    world.reply(number);
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_of_a_merged_promotion_declines_it() {
    let (world, number) = proposed().await;
    world.comment("ann", number, "/merge").await;
    world.reply(number);
    let next = only_pull(&world);
    world.set_tag("dan", "main", "staging", "1.0.0").await;
    world.later(SignedDuration::from_mins(30)).await;
    assert_eq!(world.tag("staging"), "1.0.0");
    assert!(world.open_pulls().is_empty(), "neither again to staging nor on to production");
    insta::assert_snapshot!(world.reply(next), @"Nothing is left to carry: the target has these versions, or they were declined.");
    world.comment("dan", number, "/butler status").await;
    insta::assert_snapshot!(world.reply(number), @r"
    | component | `development` | `staging` | `production` |
    | --- | --- | --- | --- |
    | `app` | **`1.1.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT | **`1.0.0`**<br>since 2026-03-02 09:00 UTC by COMMIT |

    **On the way**

    - `development` → `staging`: nothing to promote: `REGISTRY/acme/app:1.1.0 was declined (set back by hand after #1); a newer version, /resume or /promote ends that`.
    - `staging` → `production`: nothing to promote: `production` runs what `staging` runs.

    **Held or declined**

    - `REGISTRY/acme/app:1.1.0` in `staging` was declined by `dan`, seen 2026-03-02 09:00 UTC (set back by hand after #‍1); a newer version or `/butler resume staging` ends that.
    ");
    world.push_image("1.2.0").await;
    insta::assert_snapshot!(world.pull(only_pull(&world)).lines().next().unwrap(), @"promote(staging): app 1.0.0 -> 1.2.0");
    world.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_goes_ahead_declines_nothing() {
    let (world, number) = proposed().await;
    // 1.2.0 set by hand before it is pushed to the registry; then the registry has it, and something newer.
    world.set_tag("dan", "main", "development", "1.2.0").await;
    world.replies(number);
    assert_ne!(world.tag("development"), "1.1.0", "butler does not fight");
    world.push_image("1.2.0").await;
    world.push_image("1.3.0").await;
    assert_eq!(world.tag("development"), "1.3.0");
    world.replies(number);
    world.finish().await;
}
